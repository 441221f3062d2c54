package worker

import (
	"context"
	"errors"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// tableKey names a table of one source; schools share table names.
type tableKey struct{ source, table string }

func keyOf(t *schema.Table) tableKey { return tableKey{t.Source, t.ID()} }

// restore takes up the tables that were stopped before this claim.
func (s *session) restore(ctx context.Context) error {
	halts, err := s.w.o.Store.Halted(ctx, s.claim)
	if err != nil {
		return err
	}
	for _, h := range halts {
		k := tableKey{h.Source, h.Table}
		s.refused[k], s.recorded[k] = errors.New(h.Error), true
	}
	return nil
}

// skip leaves a row of a stopped table out of a batch, and has the batch say so.
func (s *session) skip(b *Batch, st *Step, k tableKey, at event.Position) {
	st.Skipped++
	if !s.recorded[k] {
		s.recorded[k] = true // a batch that isn't committed ends the session
		b.Halts = append(b.Halts, Halt{Source: k.source, Table: k.table, Since: at, Error: s.refused[k].Error()})
	}
}
