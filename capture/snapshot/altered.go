package snapshot

import (
	"slices"

	"github.com/tributary-cdc/tributary/stream/event"
)

// altered takes what the stream says of a table's definition. What is under way was read
// of the table as it was: it is read again. No log tells what an alteration does to rows
// that stand already, so if it may have done something all of the table is.
func (l *Loader) altered(a *event.Alteration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ordered := l.ordered[a.Table]
	if a.Resumed {
		delete(l.stopped, a.Table)
		delete(l.ordered, a.Table)
	}
	if l.keyless[a.Table] && a.Reread {
		l.unloaded(a)
		return
	}
	next := &task{progress: progress{Progress: Progress{Table: a.Table, Phase: Queued}, Sweep: true, Ordered: ordered}}
	for _, t := range l.tasks {
		if t.Table != a.Table || !t.active() && t.Phase != Paused {
			continue
		}
		t.again()
		t.forget()
		if !a.Reread || t.Since.IsZero() && t.Check == nil {
			t.tell()
			return
		}
		next.Ordered, next.Added = next.Ordered || t.Ordered, next.Added || t.Added
		if t.Phase == Paused && t.Check == nil {
			next.Phase = Paused
		}
		t.Phase = Canceled // whoever reads it ends
		t.tell()
	}
	if a.Reread && !l.stopped[a.Table] {
		l.tasks = append(slices.DeleteFunc(l.tasks, func(t *task) bool {
			if t.Table == a.Table {
				next.Dataset = t.Dataset
			}
			return t.Table == a.Table
		}), next)
		l.nudge()
	}
}

// unloaded takes an alteration of a table in append mode, of which nothing can be read again.
// If it was gone the stores take it for whole from here on.
func (l *Loader) unloaded(a *event.Alteration) {
	next := &task{progress: progress{Progress: Progress{Table: a.Table, Phase: Unloaded, Error: ErrAppend.Error()}}}
	if a.Resumed {
		next.Phase, next.Read = Loading, true
	}
	l.put(next)
}
