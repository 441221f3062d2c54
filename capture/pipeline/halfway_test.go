package pipeline

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
)

// halfway has transactions of two parts. Within the first one a table stops, and then the
// connection breaks.
type halfway struct {
	next   uint64
	step   int
	broken bool
	idle   bool
}

func (h *halfway) Start(_ context.Context, r capture.Resume) (uint32, error) {
	h.next, h.step, h.idle = r.Last.Offset+1, 0, true
	return 1, nil
}

func (h *halfway) Next(ctx context.Context) (*event.Segment, error) {
	select {
	case <-time.After(time.Second): // virtual: each segment is in the log before the next comes
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if h.idle {
		h.idle = false
		return &event.Segment{Kind: event.Idle, Restart: event.Place{Offset: h.next}, State: []byte("{}")}, nil
	}
	s := &event.Segment{Txn: event.Txn{Position: event.Position{Epoch: 1, Place: event.Place{Offset: h.next}}},
		Rows: []event.Row{{Op: event.Create, Table: things, After: []event.Value{event.Signed(int64(h.next))}}}}
	h.step++
	switch {
	case h.step == 1:
		s.First = true
	case h.step == 2 && !h.broken:
		return &event.Segment{Kind: event.TableStopped, Txn: s.Txn, Stop: &event.TableStop{Table: "d.other", Code: "TYPE_UNSUPPORTED", Reason: "x"}}, nil
	case h.step == 3 && !h.broken:
		h.broken = true
		return nil, fmt.Errorf("gone: %w", capture.ErrConnection)
	default:
		s.Last, s.Restart, s.State = true, event.Place{Offset: h.next + 1}, []byte("{}")
		h.next++
		h.step = 0
	}
	return s, nil
}

func (*halfway) Ack(event.Place) {}

func (*halfway) Close() error { return nil }

// TestStopWithinATransaction: a table that stops within a transaction doesn't end it. Its
// rows that are in the log when the connection breaks count as nothing: the producer is
// opened again before they come once more.
func TestStopWithinATransaction(t *testing.T) {
	h := &halfway{}
	bubble(t, nil, func(o *Options) { o.Reader = h }, func(m *memory, p *Pipeline) {
		pass(30 * time.Second)
		if !h.broken {
			t.Error("the connection didn't break")
		}
	})
}
