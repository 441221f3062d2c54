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

// restore takes up the tables and the keys that were stopped before this claim.
func (s *session) restore(ctx context.Context) error {
	r, err := s.w.o.Store.Recall(ctx, s.claim)
	if err != nil {
		return err
	}
	for _, h := range r.Halts {
		k := tableKey{h.Source, h.Table}
		s.build.refused[k], s.build.recorded[k] = errors.New(h.Error), true
	}
	for _, k := range r.Keys {
		s.build.keysOf(k.Source).table(k.Table).ids[k.ID] = reason{}
	}
	for source := range s.asm.flows {
		s.update(source, func(st *SourceStatus) { st.Keys, st.Unequal = s.build.keysOf(source).count(), r.Unequal[source] })
	}
	for _, l := range r.Loads {
		s.build.loading[tableKey{l.Source, l.Table}] = l.Load
	}
	return nil
}

// skip leaves a row of a stopped table out of a batch, and has the batch say so.
func (u *builder) skip(b *Batch, st *Step, k tableKey, at event.Position) {
	st.Skipped++
	if !u.recorded[k] {
		u.recorded[k] = true // a batch that isn't committed ends the session
		b.Halts = append(b.Halts, Halt{Source: k.source, Table: k.table, Since: at, Error: coded(u.refused[k])})
	}
}

// coded is an error's text with its code. It is all that is kept of it.
func coded(err error) string {
	if code := CodeOf(err); code != "" {
		return err.Error() + " [" + code + "]"
	}
	return err.Error()
}
