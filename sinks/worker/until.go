package worker

import (
	"context"
	"time"

	"github.com/tributary-cdc/tributary/stream/envelope"
)

// Reached says that the store has everything that a source had committed before a moment, of
// all tables but those that are missing in the log. What the store itself holds back it knows.
type Reached struct {
	Source string
	At     time.Time // as envelope.Until has it
	// Missing are tables (schema.Table.ID), or envelope.AllTables.
	Missing []string
}

// tellEvery is how often the store is told at most; tellBusy is that with a backlog, where
// telling it means to wait for the batch under way.
const (
	tellEvery = time.Second
	tellBusy  = 5 * time.Second
)

// maxUntils bounds the moments of a source between what was read and what is stored. With
// more the oldest goes: a later one says more.
const maxUntils = 64

// until notes a moment. It counts once the store has the commit that it stands behind.
func (f *flow) until(u *envelope.Until) {
	n := len(f.untils)
	if n > 0 && f.untils[n-1].Last == u.Last {
		f.untils[n-1] = *u
		return
	}
	if n == maxUntils {
		f.untils = append(f.untils[:0], f.untils[1:]...)
	}
	f.untils = append(f.untils, *u)
}

// reached takes the newest moment up to which the store has the source; nil if there is none
// that it wasn't told.
func (f *flow) reached() *Reached {
	n := 0
	for n < len(f.untils) && f.untils[n].Last.Compare(f.stored) <= 0 {
		n++
	}
	if n == 0 {
		return nil
	}
	r := &Reached{f.source, f.untils[n-1].At, f.untils[n-1].Missing}
	f.untils = append(f.untils[:0], f.untils[n:]...)
	return r
}

// stored notes what a batch has brought into the store.
func (s *session) stored(b *Batch) {
	for i := range b.Steps {
		f := s.asm.flows[b.Steps[i].Source.ID]
		f.stored, f.proof = b.Steps[i].To, b.Steps[i].Commit
	}
}

// tell has the store know up to which moment it has its sources.
func (s *session) tell(ctx context.Context, backlog bool) error {
	pause := tellEvery
	if backlog {
		pause = tellBusy
	}
	if !s.asm.untold || time.Since(s.told) < pause {
		return nil
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	s.told, s.asm.untold = time.Now(), false
	var all []Reached
	for _, f := range s.asm.flows {
		if r := f.reached(); r != nil {
			all = append(all, *r)
		}
		s.asm.untold = s.asm.untold || len(f.untils) > 0
	}
	if len(all) == 0 {
		return nil
	}
	return s.w.o.Store.Reach(ctx, s.claim, all)
}
