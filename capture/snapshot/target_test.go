package snapshot

import (
	"fmt"

	"github.com/tributary-cdc/tributary/stream/event"
)

// target applies what is handed out, as a worker does.
type target struct {
	rows    map[int64]row
	written map[int64]event.Position // of the rows
	loading bool
	loaded  bool
	last    event.Position
	err     error
}

func (w *target) apply(seg *event.Segment) {
	if seg.Kind != event.Rows {
		return
	}
	if seg.First {
		if seg.Txn.Position.Compare(w.last) <= 0 {
			w.err = fmt.Errorf("%s after %s", seg.Txn.Position, w.last)
		}
		w.last = seg.Txn.Position
	}
	if w.written == nil {
		w.written = map[int64]event.Position{}
	}
	for i := range seg.Rows {
		e := &seg.Rows[i]
		switch e.Op {
		case event.Truncate:
			clear(w.rows)
			continue
		case event.Delete:
			delete(w.rows, e.Before[0].Int())
			continue
		}
		var old row
		missing := false
		if e.Before != nil {
			var ok bool
			old, ok = w.rows[e.Before[0].Int()]
			missing = !ok
			delete(w.rows, e.Before[0].Int())
		}
		now := row{e.After[1].Int(), e.After[2].Int()}
		if e.After[2].State == event.Absent {
			if missing {
				if !w.loading {
					w.err = fmt.Errorf("row %d isn't there and nothing is being loaded", e.After[0].Int())
				}
				continue
			}
			now.b = old.b
		}
		w.rows[e.After[0].Int()], w.written[e.After[0].Int()] = now, w.last
	}
	for _, l := range seg.Loads {
		w.loading = l.Phase == event.LoadBegun
		w.loaded = l.Phase == event.LoadEnded
		for id := range w.rows {
			if w.loaded && l.Sweep && inside(l.Range, id) && w.written[id].Compare(l.Since) < 0 {
				delete(w.rows, id)
			}
		}
	}
}
