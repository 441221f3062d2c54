package snapshot

import (
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
		case Loaded, Unloaded, Canceled, Removed:
			return false
		case Failed: // one that never began can't be read at all
			return !t.Since.IsZero()
		}
		return true
	})
}
