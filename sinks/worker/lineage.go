package worker

import (
	"fmt"
	"slices"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// lineage gathers what a batch says of where its rows came from.
type lineage struct {
	content  envelope.Content
	versions map[*schema.Table]version
	stamps   map[string]stamped // by source
}

type version struct {
	name schema.Version
	hash envelope.VersionHash
}

// stamped is what all rows of a source say between two of its open records.
type stamped struct {
	open   log.Offset
	source event.Source
	policy string
}

func newLineage() lineage {
	return lineage{versions: map[*schema.Table]version{}, stamps: map[string]stamped{}}
}

// cover takes one change of a transaction, in the order of the log.
func (l *lineage) cover(st *Step, t *txn, table *schema.Table, c *change) error {
	v, ok := l.versions[table]
	if !ok {
		hash, err := envelope.HashOf(table)
		if err != nil {
			return err
		}
		v = version{table.Version(), hash}
		l.versions[table] = v
	}
	if n := len(st.Versions); n == 0 || st.Versions[n-1] != v.name {
		st.Versions = once(st.Versions, v.name)
	}
	if c.kind == truncateChange {
		l.content.Truncate(v.hash)
		return nil
	}
	l.content.Row(v.hash, c.value)
	s, ok := l.stamps[t.source]
	if !ok || s.open != t.open {
		var row event.Row
		var stamp envelope.Stamp
		if err := envelope.Decode(table, c.value, &row, &stamp); err != nil {
			return fmt.Errorf("transaction %s of %s: %w", t.commit.Txn.Position, t.source, err)
		}
		s = stamped{t.open, stamp.Source, stamp.Policy}
		s.source.ID = t.source
		l.stamps[t.source] = s
		st.Introduces = true
	}
	if n := len(st.Policies); n == 0 || st.Policies[n-1] != s.policy {
		st.Policies = once(st.Policies, s.policy)
	}
	st.Source = s.source
	return nil
}

// once adds what isn't there yet.
func once[T comparable](all []T, v T) []T {
	if slices.Contains(all, v) {
		return all
	}
	return append(all, v)
}
