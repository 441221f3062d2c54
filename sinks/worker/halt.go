package worker

import (
	"context"
	"errors"
	"maps"
	"strings"

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
	// Of a batch that let a table go on the outcome may not have been known.
	maps.DeleteFunc(s.build.refused, func(_ tableKey, was *stop) bool { return was.stored })
	for _, h := range r.Halts {
		k := tableKey{h.Source, h.Table}
		s.build.refused[k], s.build.recorded[k] = &stop{err: errors.New(h.Error), version: h.Version, reread: h.Reread, stored: true}, true
	}
	for _, k := range r.Keys {
		s.build.keysOf(k.Source).table(k.Table).ids[k.ID] = reason{}
	}
	s.stops(r.Halts)
	for source := range s.asm.flows {
		s.update(source, func(st *SourceStatus) {
			st.Keys, st.Unequal, st.LeftOut = s.build.keysOf(source).count(), r.Unequal[source], r.LeftOut[source]
		})
	}
	for _, l := range r.Loads {
		s.build.loading[tableKey{l.Source, l.Table}] = l.Load
	}
	return nil
}

// halt has the batch that misses rows of a stopped table first say so.
func (u *builder) halt(b *Batch, k tableKey, at event.Position) {
	if !u.recorded[k] {
		u.recorded[k] = true // a batch that isn't committed ends the session
		s := u.refused[k]
		b.Halts = append(b.Halts, Halt{Source: k.source, Table: k.table, Since: at, Error: coded(s.err), Version: s.version})
	}
}

// halted notes that the store has halts.
func (u *builder) halted(halts []Halt) {
	for _, h := range halts {
		k := tableKey{h.Source, h.Table}
		if was := u.refused[k]; was != nil {
			u.refused[k], u.recorded[k] = &stop{err: was.err, version: was.version, reread: was.reread, stored: true}, true // others may be looking at the old one
		}
	}
}

// coded is an error's text with its code. It is all that is kept of it.
func coded(err error) string {
	if code := CodeOf(err); code != "" {
		return err.Error() + " [" + code + "]"
	}
	return err.Error()
}

// Code is the code in the text of what has stopped the table, empty if there is none.
func (h *Halt) Code() string {
	text, ok := strings.CutSuffix(h.Error, "]")
	if i := strings.LastIndex(text, "["); ok && i >= 0 {
		return text[i+1:]
	}
	return ""
}
