package snapshot

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
)

// TestRemoved leaves a table that was added while it is written, with restarts: what comes
// before the place that the log names is delivered, nothing is behind it, the table is missing
// from then on, and one that is added again is loaded again.
func TestRemoved(t *testing.T) {
	for seed := range uint64(60) {
		s := newServer(rand.New(rand.NewPCG(seed, 6)), 100)
		begun, table := maps.Clone(s.rows), s.table.ID()
		l, err := New(Options{Reader: &choosy{stream: stream{s: s}}, Open: func(context.Context) (Source, error) { return open(s, false), nil }})
		if err != nil {
			t.Fatal(err)
		}
		w, res := &target{rows: map[int64]row{}}, capture.Resume{FirstStart: true}
		start := func() {
			if _, err := l.Start(t.Context(), res); err != nil {
				t.Fatal(err)
			}
		}
		start()
		if err := l.Remove(t.Context(), table); !errors.Is(err, ErrNotAdded) {
			t.Errorf("remove a table that nobody has added: %v", err)
		}
		drive(t, l, s, w, &res, 1, func() bool { return false })
		if err := l.Add(t.Context(), table); err != nil {
			t.Fatal(err)
		}
		whole := seed%2 == 0 // or in the middle of its load
		n := 0
		if !whole {
			n = 10 + s.chance(30)
		}
		drive(t, l, s, w, &res, n, func() bool { return w.loaded && whole })
		if len(l.Added()) == 0 {
			continue
		}
		if err := l.Remove(t.Context(), table); err != nil {
			t.Fatal(err)
		}
		if seed%3 == 1 { // an order that isn't durable is given anew
			start()
		}
		var gone event.Position
		for n, behind := 0, 0; behind < 20; n++ {
			s.mu.Lock()
			s.write()
			s.mu.Unlock()
			seg, err := l.Next(t.Context())
			if err != nil || n > 2000 {
				t.Fatalf("seed %d, segment %d: %v", seed, n, err)
			}
			if kept(&res, seg); !gone.IsZero() {
				if behind++; len(seg.Rows) > 0 || len(seg.Loads) > 0 {
					t.Fatalf("seed %d: behind the end of the table comes %+v", seed, seg)
				}
				continue
			}
			if w.apply(seg); w.err != nil {
				t.Fatal(w.err)
			}
			for _, x := range seg.Loads {
				if x.Phase == event.TableRemoved {
					gone = seg.Txn.Position
				}
			}
		}
		if at, ok := l.Logged(table); !ok || at != gone {
			t.Errorf("seed %d: the order stands at %s, %t; want %s", seed, at, ok, gone)
		}
		if seed%3 == 2 {
			start()
		}
		if missing, _ := l.Missing(); len(missing) != 1 || missing[0] != table {
			t.Errorf("seed %d: missing are %q", seed, missing)
		}
		if whole { // all that was written before the place is there
			want := &target{rows: begun}
			for i := range int(gone.Place.Offset) - 100 + 1 {
				c := s.log[i]
				want.apply(&event.Segment{First: true, Last: true, Rows: c.changes, Txn: event.Txn{Position: event.Position{Epoch: 9, Place: event.Place{File: 1, Offset: 100 + uint64(i)}}}})
			}
			if !maps.Equal(w.rows, want.rows) {
				t.Errorf("seed %d: %d rows where the table was left, want %d", seed, len(w.rows), len(want.rows))
			}
		}
		w.loaded = false
		if err := l.Add(t.Context(), table); err != nil {
			t.Fatal(err)
		}
		drive(t, l, s, w, &res, 0, func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return w.loaded && l.place.Offset == 100+uint64(len(s.log))
		})
		compare(t, seed, s, w)
		if missing, _ := l.Missing(); len(missing) != 0 {
			t.Errorf("seed %d: missing are %q after the second load", seed, missing)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}
