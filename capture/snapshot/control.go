package snapshot

import (
	"errors"
	"fmt"
	"slices"
)

// Errors of a person's orders.
var (
	// ErrUnknown: the table isn't among those that are, or were, loaded.
	ErrUnknown = errors.New("no such load")
	// ErrBusy: the table is being loaded already.
	ErrBusy = errors.New("the table is being loaded")
	// ErrStopped: the stream doesn't deliver the table, so a load would soon be stale.
	ErrStopped = errors.New("the table has stopped at the source's reader")
)

// Load orders the load of a table (schema.Table.ID). One that was loaded before is read
// again, and rows that don't exist at the source any more leave the store at its end. The
// stream goes on meanwhile. It may be called at any time; the order is durable once the
// load's beginning stands in the log.
func (l *Loader) Load(table string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped[table] {
		return fmt.Errorf("table %s: %w", table, ErrStopped)
	}
	for _, t := range l.tasks {
		if t.Table == table && (t.active() || t.Phase == Paused) {
			return fmt.Errorf("table %s: %w", table, ErrBusy)
		}
	}
	l.tasks = slices.DeleteFunc(l.tasks, func(t *task) bool { return t.Table == table })
	l.tasks = append(l.tasks, &task{progress: progress{Progress: Progress{Table: table, Phase: Queued}, Sweep: true}})
	l.nudge()
	return nil
}

// Pause lets a load rest until Resume. Chunks that are under way are read again then.
func (l *Loader) Pause(table string) error {
	return l.phase(table, Paused, func(t *task) bool { return t.active() })
}

// Resume goes on with a load that rests, or that has failed.
func (l *Loader) Resume(table string) error {
	return l.phase(table, Queued, func(t *task) bool { return t.Phase == Paused || t.Phase == Failed })
}

// Cancel ends a load. The table stays incomplete in the store, and says so, until it is
// loaded anew.
func (l *Loader) Cancel(table string) error {
	return l.phase(table, Canceled, func(t *task) bool { return t.Phase != Loaded })
}

func (l *Loader) phase(table string, to Phase, from func(*task) bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.tasks {
		if t.Table != table || !from(t) {
			continue
		}
		t.again()
		t.Phase = to
		signal(t.moved)
		l.nudge()
		return nil
	}
	return fmt.Errorf("table %s: %w", table, ErrUnknown)
}

// nudge wakes whoever hands out and whoever reads.
func (l *Loader) nudge() {
	signal(l.wake)
	signal(l.work)
}
