package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// broken is a clockwork whose log breaks, and that takes a repair: it begins anew then.
type broken struct {
	clockwork
	breaks    bool // the server's log doesn't continue
	repairing atomic.Bool
	repairs   int
	say       event.RepairPhase
}

func (c *broken) Repairing() bool { return c.repairing.Load() }

func (c *broken) Start(ctx context.Context, r capture.Resume) (uint32, error) {
	switch {
	case r.Repair != (len(r.Had["d.t"]) == 1):
		return 0, fmt.Errorf("a repair: %t; tables have had the columns %q", r.Repair, r.Had)
	case r.Repair:
		c.repairs++
		c.repairing.Store(true)
		c.breaks, c.say = false, event.RepairBegun
	case c.breaks:
		return 0, &capture.GapError{Code: "SLOT_LOST", Reason: "gone", To: event.Place{Offset: 7}}
	}
	return c.clockwork.Start(ctx, r)
}

func (c *broken) Next(ctx context.Context) (*event.Segment, error) {
	seg, err := c.clockwork.Next(ctx)
	if err == nil && seg.Last {
		if seg.Repair, c.say = c.say, event.NoRepair; seg.Repair == event.RepairBegun {
			c.say = event.RepairEnded
		}
		if seg.Repair == event.RepairEnded {
			c.repairing.Store(false)
		}
	}
	return seg, err
}

// controls are the log's control records that aren't commits of transactions alone.
func (m *memory) controls() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []string
	for i := range m.batches {
		_ = m.batches[i].Each(func(_ log.Offset, r *log.Record) error { // what is written here can be read
			c, _ := envelope.ParseControl(r)
			switch {
			case c.Open != nil:
				all = append(all, "open")
			case c.Gap != nil:
				all = append(all, "gap "+c.Gap.Code)
			case c.Commit != nil && c.Commit.Repair == event.RepairBegun:
				all = append(all, "begun")
			case c.Commit != nil && c.Commit.Repair == event.RepairEnded:
				all = append(all, "ended")
			}
			return nil
		})
	}
	return strings.Join(all, ", ")
}

// TestRepair: a source in a gap stays up and says so, also after a restart, which tells the
// log nothing twice; it begins anew once it is ordered to, behind an open record of its own,
// and is well once the log has the repair's end.
func TestRepair(t *testing.T) {
	c := &broken{clockwork: clockwork{every: time.Minute, within: time.Second}, breaks: true}
	bubble(t, &c.clockwork, func(o *Options) { o.Reader = c }, func(m *memory, p *Pipeline) {
		pass(time.Hour)
		if s := p.Status(); s.State != InGap || s.Gap == nil || s.Gap.Code != "SLOT_LOST" || s.Gap.To.Offset != 7 || s.Gap.Found.IsZero() || !s.NeedsPerson {
			t.Errorf("in the gap: %+v, %+v", s, s.Gap)
		}
		again, err := New(Options{Source: event.Source{ID: "s", Org: "1"}, Agent: "a/1", Reader: c, Log: &appender{memory: m, id: log.NoProducer}, Tail: m, Checkpoints: m, Schemas: m, FirstStart: true})
		if err != nil {
			t.Fatal(err)
		}
		c.breaks = false                                      // the right server is back, but stores apply nothing any more
		ctx, stop := context.WithCancel(context.Background()) // of the bubble
		ended := make(chan error, 1)
		go func() { ended <- again.Run(ctx) }()
		pass(time.Minute)
		if s := again.Status(); s.State != InGap || s.Code != "SLOT_LOST" || m.controls() != "open, gap SLOT_LOST" {
			t.Errorf("started again: %s [%s], %s", s.State, s.Code, m.controls())
		}
		stop()
		if err := <-ended; err != nil || again.Status().State != Stopped {
			t.Errorf("asked to stop: %v, %s", err, again.Status().State)
		}
		if err := again.Repair(true); !errors.Is(err, ErrNotRunning) {
			t.Errorf("repair of one that has stopped: %v", err)
		}

		if err := p.Repair(false); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		if err := p.Repair(false); !errors.Is(err, ErrRepairing) || p.Status().State != Repairing || !p.RepairLogged() {
			t.Errorf("ordered twice: %v, %s", err, p.Status().State)
		}
		pass(time.Hour)
		if s := p.Status(); s.State != Streaming || s.Gap != nil || s.Txns == 0 || m.controls() != "open, gap SLOT_LOST, open, begun, ended" {
			t.Errorf("repaired: %s, %+v, %s", s.State, s.Gap, m.controls())
		}
		if err := p.Repair(false); !errors.Is(err, ErrNoGap) {
			t.Errorf("repair without a gap: %v", err)
		}
		if err := p.Repair(true); err != nil { // a store has found one
			t.Error(err)
		}
		pass(time.Hour)
		if s := p.Status(); s.State != Streaming || c.repairs != 2 {
			t.Errorf("after the store's gap: %s, %d repairs", s.State, c.repairs)
		}
	})
}
