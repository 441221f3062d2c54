package snapshot

import (
	"slices"

	"github.com/tributary-cdc/tributary/stream/event"
)

// stop takes what the stream says of a table that it delivers no more. A load of it ends.
// Of one that doesn't exist any more nothing is missing, which the log is told behind that.
func (l *Loader) stop(s *event.TableStop) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped[s.Table] = true
	gone := &task{progress: progress{Progress: Progress{Table: s.Table, Phase: Dropped, Error: s.Reason}}}
	for _, t := range l.tasks {
		switch {
		case t.Table != s.Table:
		case s.Code != event.CodeDropped:
			if t.active() || t.Phase == Dropped {
				t.fail("the table stopped: " + s.Reason)
			}
		case t.Phase == Dropped: // read again after a restart
			return
		default:
			gone.Dataset = t.Dataset
			t.again()
			t.Phase = Canceled // whoever reads it ends
			t.tell()
		}
	}
	if s.Code == event.CodeDropped {
		l.put(gone)
	}
}

// Stops gives the tables that had stopped when reading began. Those that don't exist any
// more, or were taken out of the configuration, wait for nobody, and stand among the loads.
func (l *Loader) Stops() []event.TableStop {
	c, ok := l.o.Reader.(Capturer)
	return slices.DeleteFunc(slices.Clone(l.stops), func(s event.TableStop) bool {
		return s.Code == event.CodeDropped || ok && !c.Captures(s.Table)
	})
}

func (t *task) fail(why string) {
	t.again()
	t.Phase, t.Error = Failed, why
	t.tell()
}
