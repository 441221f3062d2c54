package snapshot

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
)

// renewed is a stream that begins anew, in another epoch, when it is repaired.
type renewed struct {
	stream
	epoch uint32
}

func (r *renewed) Start(ctx context.Context, res capture.Resume) (uint32, error) {
	if r.epoch = max(r.epoch, 9); res.Repair {
		r.s.mu.Lock()
		r.next, r.idle = len(r.s.log), true
		r.s.mu.Unlock()
		r.epoch = max(r.epoch, res.Last.Epoch) + 1
		return r.epoch, nil
	}
	_, err := r.stream.Start(ctx, res)
	return r.epoch, err
}

func (r *renewed) Next(ctx context.Context) (*event.Segment, error) {
	seg, err := r.stream.Next(ctx)
	if err == nil && seg.Kind == event.Rows {
		seg.Txn.Position.Epoch = r.epoch
	}
	return seg, err
}

// TestRepairReadsAllAgain: a repair begins with the loads of all tables, before any change,
// ends behind the last of them, and goes on over restarts at any segment; what the store
// has and the source hasn't leaves it.
func TestRepairReadsAllAgain(t *testing.T) {
	for n := range 40 { // the restart comes after as many segments
		s := newServer(rand.New(rand.NewPCG(uint64(n), 12)), 60)
		reader := &renewed{stream: stream{s: s}}
		start := func(res capture.Resume) *Loader {
			l, err := New(Options{Reader: reader, Open: func(context.Context) (Source, error) { return open(s, false), nil }})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.Start(t.Context(), res); err != nil {
				t.Fatal(err)
			}
			return l
		}
		res := capture.Resume{Last: event.Position{Epoch: 9, Place: event.Place{File: 7, Offset: 1}, Index: 3}, Restart: event.Place{File: 7, Offset: 2}, State: []byte(`{"reader":"cw=="}`)}
		w := &target{rows: map[int64]row{77777: {1, 2}}, written: map[int64]event.Position{77777: {Epoch: 9}}, last: res.Last}
		order := res
		order.Repair = true
		l := start(order)
		var said []event.RepairPhase
		for segments := 0; len(said) == 0 || said[len(said)-1] != event.RepairEnded; segments++ {
			if segments > 5000 {
				t.Fatalf("restart after %d: the repair doesn't end: %+v", n, l.Progress())
			}
			if segments < 50 {
				s.mu.Lock()
				s.write()
				s.mu.Unlock()
			}
			seg, err := l.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(seg.Rows) > 0 && len(said) == 0 {
				t.Fatalf("restart after %d: rows before the repair's beginning", n)
			}
			w.apply(seg)
			kept(&res, seg)
			if seg.Repair != event.NoRepair {
				said = append(said, seg.Repair)
			}
			if seg.Repair == event.RepairBegun && (len(seg.Loads) != 1 || !seg.Loads[0].Sweep || !seg.Loads[0].Ordered) {
				t.Errorf("the repair begins with the loads %+v", seg.Loads)
			}
			if seg.Repair == event.RepairEnded && !w.loaded {
				t.Error("the repair ends before its load")
			}
			if segments == n && !l.inside && len(l.rest) == 0 {
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				if l = start(res); !l.Repairing() && said[len(said)-1] != event.RepairEnded {
					t.Errorf("restart after %d: the repair is forgotten", n)
				}
			}
		}
		if fmt.Sprint(said) != "[1 2]" || l.Repairing() || w.err != nil {
			t.Errorf("restart after %d: ends %v, repairing %v, %v", n, said, l.Repairing(), w.err)
		}
		if _, phantom := w.rows[77777]; phantom {
			t.Errorf("restart after %d: a row that the source hasn't got stays", n)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestRepairWithoutATable: a table that isn't captured any more when a gap is repaired stays
// among the missing ones over the repair, and holds it up no longer than what is captured.
func TestRepairWithoutATable(t *testing.T) {
	for name, p := range map[string]progress{
		"taken out with the repair": {Progress: Progress{Phase: Loaded, Since: event.Position{Epoch: 1}}},
		"while it was loaded":       {Progress: Progress{Phase: Loading, Since: event.Position{Epoch: 1}}},
		"taken out before":          {Progress: Progress{Phase: Loaded, Since: event.Position{Epoch: 1}, Error: "out"}, Out: true},
		"removed":                   {Progress: Progress{Phase: Removed, Since: event.Position{Epoch: 1}, Error: "out"}},
	} {
		p.Table = "d.gone"
		s := newServer(rand.New(rand.NewPCG(3, 12)), 20)
		l, err := New(Options{Reader: &leaving{renewed: renewed{stream: stream{s: s}}}, Open: func(context.Context) (Source, error) { return open(s, false), nil }})
		if err != nil {
			t.Fatal(err)
		}
		before, err := json.Marshal(state{Reader: []byte("s"), Listed: true, Tables: []progress{p, {Progress: Progress{Table: s.table.ID(), Phase: Loaded}}}})
		if err != nil {
			t.Fatal(err)
		}
		res := capture.Resume{Last: event.Position{Epoch: 9, Place: event.Place{File: 7, Offset: 1}, Index: 3}, Restart: event.Place{File: 7, Offset: 2}, State: before, Repair: true}
		if _, err := l.Start(t.Context(), res); err != nil {
			t.Fatal(err)
		}
		res.Repair = false
		for ended, n := false, 0; !ended; n++ {
			seg, err := l.Next(t.Context())
			if err != nil || n > 1000 {
				t.Fatalf("%s: segment %d: %v", name, n, err)
			}
			kept(&res, seg)
			ended = seg.Repair == event.RepairEnded
		}
		for range 2 { // and once more from what is durable
			if missing, all := l.Missing(); all || len(missing) != 1 || missing[0] != p.Table {
				t.Errorf("%s: missing are %q, %t", name, missing, all)
			}
			if _, err := l.Start(t.Context(), res); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// leaving is a stream that has one table of its server only.
type leaving struct{ renewed }

func (r *leaving) Captures(table string) bool { return table == r.s.table.ID() }

// TestRepairWaitsForFailures: a table whose load has failed keeps the gap open until it is
// read again, or a person gives it up; one that can't be read at all doesn't.
func TestRepairWaitsForFailures(t *testing.T) {
	since := event.Position{Epoch: 1}
	for name, tt := range map[string]struct {
		p      Progress
		mended bool
	}{
		"loaded": {Progress{Phase: Loaded}, true}, "append mode": {Progress{Phase: Unloaded}, true}, "given up": {Progress{Phase: Canceled, Since: since}, true},
		"can't be read": {Progress{Phase: Failed}, true}, "failed": {Progress{Phase: Failed, Since: since}, false}, "resting": {Progress{Phase: Paused, Since: since}, false},
		"under way": {Progress{Phase: Loading, Since: since}, false},
	} {
		l := &Loader{repair: repairBegun, tasks: []*task{{progress: progress{Progress: Progress{Phase: Loaded}}}, {progress: progress{Progress: tt.p}}}}
		if l.mended() != tt.mended {
			t.Errorf("%s: mended %v", name, !tt.mended)
		}
	}
}
