package snapshot

import (
	"context"
	"fmt"
	"slices"

	"github.com/tributary-cdc/tributary/stream/event"
)

// Pause lets a load rest until Resume. Chunks that are under way are read again then.
// Like Resume and Cancel it counts at once, and outlives the program once the log has come
// to the place that Logged gives. It waits some seconds for a source that isn't read yet.
func (l *Loader) Pause(ctx context.Context, table string) error {
	return l.decide(ctx, table, Paused)
}

// Resume goes on with a load that rests, or that has failed.
func (l *Loader) Resume(ctx context.Context, table string) error {
	return l.decide(ctx, table, Queued)
}

// Cancel ends a load. The table stays incomplete in the store, and says so, until it is
// loaded anew.
func (l *Loader) Cancel(ctx context.Context, table string) error {
	return l.decide(ctx, table, Canceled)
}

// decide gives a load the phase that a person wants.
func (l *Loader) decide(ctx context.Context, table string, to Phase) error {
	wait(ctx, startWithin, l.started)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.tasks {
		if t.Table != table || !t.may(to) {
			continue
		}
		t.decide(to)
		l.nudge()
		return nil
	}
	return fmt.Errorf("table %s: %w", table, ErrUnknown)
}

// may reports whether a person can bring a load into a phase.
func (t *task) may(to Phase) bool {
	switch to {
	case Paused:
		return t.active()
	case Queued:
		return t.Phase == Paused || t.Phase == Failed
	}
	return t.Phase != Loaded && t.Phase != Unloaded && t.Phase != Removed && t.Phase != Dropped
}

// decide takes a person's decision, which the log doesn't have yet.
func (t *task) decide(to Phase) {
	t.again()
	t.Phase, t.wish = to, to
	t.Decisions++
	t.decided, t.owes = event.Position{}, true
	t.tell()
}

// redecide takes decisions up again that the durable state of a load, which is d, lacks.
func (t *task) redecide(d *task) {
	if t.Decisions > d.Decisions && d.may(t.wish) {
		d.decide(t.wish)
		d.Decisions = t.Decisions
	}
}

// undecided reports whether a decision waits for its place in the log.
func (l *Loader) undecided() bool {
	return slices.ContainsFunc(l.tasks, func(t *task) bool { return t.owes })
}

// Logged gives the position in the log from which on the last order about a table's load
// outlives the program. It reports false while the order has no place there.
func (l *Loader) Logged(table string) (event.Position, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.tasks, func(t *task) bool { return t.Table == table })
	if i < 0 || l.ordered[table] {
		return event.Position{}, false
	}
	t := l.tasks[i]
	at := t.Since
	if t.decided.Compare(at) > 0 {
		at = t.decided
	}
	return at, !t.owes && !at.IsZero()
}
