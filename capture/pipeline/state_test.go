package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
)

// diary is a source whose state is the list of the transactions that were read. They come in
// bursts, some with a state; now and then the connection breaks.
type diary struct {
	t      *testing.T
	rnd    *rand.Rand
	read   []string
	burst  int
	idle   bool
	starts int
}

func (d *diary) state() []byte {
	b, err := json.Marshal(d.read)
	if err != nil {
		d.t.Error(err)
	}
	return b
}

// Start holds that what it is given names all transactions up to the last one.
func (d *diary) Start(_ context.Context, r capture.Resume) (uint32, error) {
	d.starts++
	var known []string
	if r.State != nil {
		if err := json.Unmarshal(r.State, &known); err != nil {
			return 0, err
		}
	}
	for _, id := range r.Since { // one that the state has may come again
		if !slices.Contains(known, id) {
			known = append(known, id)
		}
	}
	var want []string
	for n := range r.Last.Offset {
		want = append(want, fmt.Sprint(n+1))
	}
	if !slices.Equal(known, want) {
		d.t.Errorf("start %d after %s: state %s and since %v", d.starts, r.Last, r.State, r.Since)
	}
	d.read, d.idle = known, true
	return 1, nil
}

func (d *diary) Next(ctx context.Context) (*event.Segment, error) {
	if d.idle {
		d.idle = false
		return &event.Segment{Kind: event.Idle, Restart: event.Place{Offset: uint64(len(d.read)) + 1}, State: d.state()}, nil
	}
	if d.burst == 0 {
		d.burst = 1 + d.rnd.IntN(9)
		if d.rnd.IntN(4) == 0 {
			return nil, fmt.Errorf("gone: %w", capture.ErrConnection)
		}
		select {
		case <-time.After(time.Duration(d.rnd.IntN(1500)) * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		d.idle = d.rnd.IntN(4) == 0
	}
	d.burst--
	n := uint64(len(d.read)) + 1
	id := fmt.Sprint(n)
	d.read = append(d.read, id)
	s := &event.Segment{First: true, Last: true, Txn: event.Txn{ID: id, Position: event.Position{Epoch: 1, Place: event.Place{Offset: n}}}, Restart: event.Place{Offset: n + 1},
		Rows: []event.Row{{Op: event.Create, Table: things, After: []event.Value{event.Signed(int64(n))}}}}
	if d.rnd.IntN(4) == 0 {
		s.State, s.Durable = d.state(), d.rnd.IntN(2) == 0
	}
	return s, nil
}

func (*diary) Ack(event.Place) {}

func (*diary) Close() error { return nil }

// TestStateAndSince: whatever a batch has, the state of the checkpoint and the transactions
// that are found behind it are all that was read. A reader that knows less has them sent once
// more by a server that goes by their names.
func TestStateAndSince(t *testing.T) {
	d := &diary{t: t, rnd: rand.New(rand.NewPCG(1, 2))}
	bubble(t, nil, func(o *Options) { o.Reader, o.CheckpointEvery = d, 100*time.Millisecond }, func(_ *memory, _ *Pipeline) {
		pass(5 * time.Minute)
		if d.starts < 20 {
			t.Errorf("%d starts", d.starts)
		}
	})
}

// stopping is a clockwork that knows of a table that has stopped, and tells of another one.
type stopping struct {
	clockwork
	tell bool
}

func (s *stopping) Stops() []event.TableStop {
	return []event.TableStop{{Table: "d.old", Code: "TABLE_CHANGED"}}
}

func (s *stopping) Next(ctx context.Context) (*event.Segment, error) {
	if !s.idle && s.tell {
		s.tell = false
		return &event.Segment{Kind: event.TableStopped, Stop: &event.TableStop{Table: "d.new", Code: "TABLE_NO_KEY"}}, nil
	}
	return s.clockwork.Next(ctx)
}

// TestStoppedTablesAreTold: the status has the tables that had stopped before the program
// began as well, since nobody would have them read again otherwise.
func TestStoppedTablesAreTold(t *testing.T) {
	r := &stopping{clockwork: clockwork{every: time.Minute, within: time.Second}, tell: true}
	bubble(t, &r.clockwork, func(o *Options) { o.Reader = r }, func(_ *memory, p *Pipeline) {
		pass(time.Hour)
		if s := p.Status().Stopped; len(s) != 2 || s[0].Table != "d.old" || s[1].Table != "d.new" {
			t.Errorf("stopped are %+v", s)
		}
	})
}
