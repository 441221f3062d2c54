package capture

import (
	"testing"

	"github.com/tributary-cdc/tributary/stream/event"
)

func TestBufferIsUsedAgain(t *testing.T) {
	var q Queue
	b := q.Begin(event.Txn{ID: "1"}, true)
	first := b.Image(3)
	first[0] = event.Signed(7)
	for range 100 {
		b.Image(3)
	}
	if first[0].N != 7 {
		t.Error("an image moved when its buffer grew")
	}
	b.Rows = append(b.Rows, event.Row{Op: event.Create})
	b.State, b.Size = []byte("{}"), 9
	q.Push(b)
	if seg := q.Next(); seg.Txn.ID != "1" || !q.Empty() {
		t.Errorf("handed out %+v", seg)
	}
	q.Release()
	q.Release()
	again := q.Begin(event.Txn{ID: "2"}, false)
	if again != b || len(again.Rows) != 0 || again.State != nil || again.First || again.Size != 0 {
		t.Errorf("the buffer came back as %+v", again.Segment)
	}
	for _, v := range again.Image(3) {
		if v.State != event.Absent {
			t.Error("a new image holds an old value")
		}
	}
	if other := q.Begin(event.Txn{}, true); other == b {
		t.Error("one buffer handed out twice")
	}
}
