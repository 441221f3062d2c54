package snapshot

import (
	"errors"
	"slices"
)

// resume takes up the loads of a durable state. What a person has ordered since, and the
// state doesn't know, is ordered anew.
func (l *Loader) resume(durable []progress) {
	old := l.tasks
	l.tasks = nil
	for _, p := range durable {
		l.tasks = append(l.tasks, &task{progress: p, decided: l.last})
	}
	for _, t := range old {
		i := slices.IndexFunc(l.tasks, func(d *task) bool { return d.Table == t.Table })
		if i >= 0 && (t.ordered == nil || !t.Since.IsZero() && l.tasks[i].Since == t.Since) {
			t.redecide(l.tasks[i])
			continue
		}
		if t.ordered == nil || t.Phase == Canceled {
			continue
		}
		if i >= 0 {
			l.tasks = slices.Delete(l.tasks, i, i+1)
		}
		again := &task{progress: *t.ordered, ordered: t.ordered}
		if t.Phase == Paused {
			again.decide(Paused)
		}
		l.tasks = append(l.tasks, again)
	}
	adder, ok := l.o.Reader.(Adder)
	for _, t := range l.tasks { // what the reader hasn't taken up, as its state says
		switch {
		case !ok || !t.Since.IsZero() || l.delivered(t):
		case t.Phase == Removed:
			adder.Remove(t.Table)
		default:
			adder.Add(t.Table)
		}
	}
}

// out notes which tables the stream passes over from here on: what the store has of them grows
// old, and isn't whole once they are back, until all of each is read again.
func (l *Loader) out() {
	c, ok := l.o.Reader.(Capturer)
	for _, t := range l.tasks { // those that are to be added, or were removed, are another matter
		if !ok || t.Phase == Removed || !l.delivered(t) {
			continue
		}
		switch captured := c.Captures(t.Table); {
		case t.Phase == Dropped && t.Out && captured: // it may have been made anew meanwhile
			t.Phase, t.Error = Failed, errOut.Error()
		case captured || t.Out:
		case t.Phase == Dropped:
			t.Out = true
		default:
			t.Out, t.Error = true, errOut.Error()
			l.o.Logger.Warn("table isn't captured any more", "table", t.Table, "err", t.Error)
		}
	}
	l.configured = map[string]bool{}
	if adder, ok := l.o.Reader.(Adder); ok {
		for _, table := range l.added {
			l.configured[table] = adder.Configured(table)
		}
	}
}

// errOut: what happened to a table in the meantime is known to nobody.
var errOut = errors.New("taken out of the configuration: its changes since then are missing until it is back and read again")

// confirm looks at the reader's state for tables that it was asked to deliver.
func (l *Loader) confirm() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.ContainsFunc(l.tasks, func(t *task) bool { return t.Since.IsZero() && !l.delivered(t) }) {
		return
	}
	l.added = additions(l.reader)
	l.nudge()
}

// Added gives the tables that are captured besides those of the reader's patterns.
func (l *Loader) Added() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.added)
}
