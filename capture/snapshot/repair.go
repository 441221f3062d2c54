package snapshot

import (
	"errors"
	"slices"

	"github.com/tributary-cdc/tributary/stream/event"
)

// repair is how far the repair of a gap has come; empty for none.
type repair string

const (
	repairOrdered repair = "ordered" // its beginning isn't in the log yet
	repairBegun   repair = "begun"
)

// Repairing reports whether the repair of a gap goes on.
func (l *Loader) Repairing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.repair != ""
}

// errGone: no stream has told that the table went.
var errGone = errors.New("the table was dropped or renamed while there was a gap")

// unrepaired gives the tables that a repair doesn't read, because they aren't captured any
// more: what the stores have of them stays as old as it is. Captured ones are taken for dropped
// until they are found at the source.
func (l *Loader) unrepaired(all []progress) (out []progress) {
	c, ok := l.o.Reader.(Capturer)
	for _, p := range all {
		if !ok || c.Captures(p.Table) || p.Added && p.Since.IsZero() {
			if !p.Since.IsZero() {
				out = append(out, progress{Progress: Progress{Table: p.Table, Phase: Dropped, Error: errGone.Error()}, Dataset: p.Dataset})
			}
			continue
		}
		if p.Phase != Loaded && p.Phase != Removed && p.Phase != Dropped { // none of it goes on
			p.Phase = Canceled
		}
		p.Keys, p.Check = nil, nil
		if p.Out = true; p.Error == "" {
			p.Error = errOut.Error()
		}
		out = append(out, p)
	}
	return out
}

// mark makes a transaction without rows. If a repair has come to one of its ends it says so.
func (l *Loader) mark(end bool, next repair, phase event.RepairPhase, about func(event.Position) ([]event.Load, []event.Check)) (*event.Segment, error) {
	if !end {
		return l.transaction(nil, about)
	}
	l.repair = next
	seg, err := l.transaction(nil, about)
	if err == nil {
		seg.Repair = phase
	}
	return seg, err
}

// mended reports whether a repair is over: every table that could be read again was, or a
// person doesn't want it.
func (l *Loader) mended() bool {
	return l.repair == repairBegun && !slices.ContainsFunc(l.tasks, func(t *task) bool {
		if t.Check != nil { // it brings nothing
			return false
		}
		switch t.Phase {
		case Loaded, Unloaded, Canceled, Removed, Dropped:
			return false
		case Failed: // one that never began can't be read at all
			return !t.Since.IsZero()
		}
		return true
	})
}
