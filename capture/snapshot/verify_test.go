package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
)

// verifier compares what it has with each chunk's check, as a store does.
type verifier struct {
	target
	begun, ended, givenUp int
	rows                  int64 // that checks have named
	named                 map[int64]bool
	wrong                 []string
	repaired              int64 // rows that came with the checks
	shown                 bool  // the state says up to where rows show the source
}

func (v *verifier) apply(t *testing.T, seg *event.Segment) {
	t.Helper()
	for i := range seg.Checks {
		c := &seg.Checks[i]
		switch c.Phase {
		case event.CheckBegun:
			v.begun++
			v.rows, v.named = 0, map[int64]bool{}
		case event.CheckRows:
			for _, want := range c.Rows {
				key, err := envelope.ParseKeyColumns(c.Schema, want.Key)
				if err != nil {
					t.Fatal(err)
				}
				id := key[0].Int()
				v.named[id] = true
				v.rows++
				var d envelope.Digester
				compared, keep := c.Schema.Without(c.Without)
				got, ok := v.target.rows[id]
				values := image(id, got)
				for to, from := range keep {
					values[to] = values[from]
				}
				if !ok || d.Row(compared, values) != want.Digest {
					v.wrong = append(v.wrong, fmt.Sprintf("row %d: %v, %t", id, got, ok))
				}
			}
		case event.CheckEnded:
			v.ended++
			if c.Total != v.rows {
				v.wrong = append(v.wrong, fmt.Sprintf("%d rows were sent, %d were named", c.Total, v.rows))
			}
			for id, at := range v.written {
				if _, there := v.target.rows[id]; there && at.Compare(c.Since) < 0 && !v.named[id] {
					v.wrong = append(v.wrong, fmt.Sprintf("surplus row %d", id))
				}
			}
		case event.CheckGivenUp:
			v.givenUp++
		}
		if c.Repair && c.Phase == event.CheckRows {
			v.repaired += int64(len(c.Rows))
		}
	}
	v.target.apply(seg)
}

// verifies loads the world's table, and then compares it while the world goes on, with
// restarts at random moments. defect changes what the store has before.
func verifies(t *testing.T, s *server, restarts int, repair bool, defect func(*target), without ...string) *verifier {
	t.Helper()
	w, err := run(t, s, 0)
	if err != nil {
		t.Fatal(err)
	}
	defect(w)
	s.mu.Lock()
	s.ended = false
	s.mu.Unlock()
	ctx, v := t.Context(), &verifier{target: *w}
	l, err := New(Options{Reader: &stream{s: s}, Open: func(context.Context) (Source, error) { return s, nil }, Bytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	place := event.Place{File: 1, Offset: 100 + uint64(len(s.log))}
	kept := capture.Resume{Last: w.last, Restart: place, State: []byte(`{"reader":"cw==","listed":true}`)}
	for ordered := false; ; {
		if _, err := l.Start(ctx, kept); err != nil {
			t.Fatal(err)
		}
		if !ordered {
			if err := l.Verify(ctx, s.table.ID(), Verification{ID: "v", Repair: repair, Without: map[string][]string{s.table.ID(): without}}); err != nil {
				t.Fatal(err)
			}
			ordered = true
		}
		stop := -1
		if restarts > 0 {
			stop = 3 + s.chance(40)
			restarts--
		}
		for n := 0; stop < 0 || n < stop || l.inside || len(l.rest) > 0; n++ {
			seg, err := l.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if v.apply(t, seg); v.err != nil {
				t.Fatal(v.err)
			}
			if seg.Last {
				kept.Last, kept.Restart = seg.Txn.Position, seg.Restart
				if seg.Txn.ID != "" {
					kept.Since = append(kept.Since, seg.Txn.ID)
				}
			}
			if seg.Kind == event.Idle {
				kept.Restart = seg.Restart
			}
			if seg.State != nil {
				kept.State, kept.Since = bytes.Clone(seg.State), nil
			}
			s.mu.Lock()
			if s.rng.IntN(3) == 0 {
				s.write()
			}
			s.mu.Unlock()
			if v.ended+v.givenUp > 0 {
				last, err := parseState(kept.State)
				if err := errors.Join(err, l.Close()); err != nil {
					t.Fatal(err)
				}
				v.shown = last.Shown != event.Place{}
				return v
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestVerifyFindsNothing: a store that applies all of the stream differs from no chunk,
// whatever is written meanwhile and over restarts.
func TestVerifyFindsNothing(t *testing.T) {
	rows := int64(0)
	for seed := range uint64(seeds) {
		s := newServer(rand.New(rand.NewPCG(seed, 3)), 300)
		s.partial = seed%2 == 0
		repair := seed%3 == 0
		v := verifies(t, s, int(seed%4), repair, func(*target) {})
		if len(v.wrong) > 0 || v.begun != 1 || v.ended != 1 || repair != (v.repaired > 0) && v.rows > 0 || v.shown != repair {
			t.Fatalf("seed %d: %+v, %d begun, %d ended, %d of %d rows to mend with, shown %t", seed, v.wrong, v.begun, v.ended, v.repaired, v.rows, v.shown)
		}
		rows += v.rows
	}
	if rows < 10_000 {
		t.Errorf("only %d rows were compared", rows)
	}
}

// TestVerifyWithout: columns that a store leaves out aren't compared, whatever they hold, over
// restarts as well; all others are.
func TestVerifyWithout(t *testing.T) {
	rows, found := int64(0), 0
	for seed := range uint64(20) {
		s := newServer(rand.New(rand.NewPCG(seed, 5)), 300)
		defect := seed%2 == 1
		v := verifies(t, s, int(seed%4), seed%3 == 0, func(w *target) {
			for n, id := range slices.Sorted(maps.Keys(w.rows)) {
				r := w.rows[id]
				if r.b ^= 1; defect && n < 2 {
					r.a ^= 1
				}
				w.rows[id] = r
			}
		}, "b")
		if v.begun != 1 || v.ended != 1 || !defect && len(v.wrong) > 0 || len(v.wrong) > 2 {
			t.Fatalf("seed %d: %+v, %d begun, %d ended", seed, v.wrong, v.begun, v.ended)
		}
		rows, found = rows+v.rows, found+len(v.wrong)
	}
	if rows < 1000 || found == 0 {
		t.Errorf("only %d rows were compared, %d defects found", rows, found)
	}
}

// TestVerifyFindsDefects: what was changed in the store alone is found, unless the stream
// has written the row since.
func TestVerifyFindsDefects(t *testing.T) {
	found := 0
	for seed := range uint64(30) {
		s := newServer(rand.New(rand.NewPCG(seed, 4)), 300)
		v := verifies(t, s, int(seed%2), seed%2 == 0, func(w *target) {
			ids := slices.Sorted(maps.Keys(w.rows))
			if len(ids) < 2 {
				return
			}
			delete(w.rows, ids[0])
			r := w.rows[ids[1]]
			r.b ^= 1
			w.rows[ids[1]] = r
			w.rows[5000], w.written[5000] = r, w.written[ids[1]]
		})
		found += len(v.wrong)
	}
	if found < 80 {
		t.Errorf("%d of 90 defects were found", found)
	}
}

// TestVerifyIsCancelled: stores hear that a verification was given up, once, also over a
// restart; what isn't whole isn't compared.
func TestVerifyIsCancelled(t *testing.T) {
	s := newServer(rand.New(rand.NewPCG(1, 5)), 300)
	w, err := run(t, s, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, v := t.Context(), &verifier{target: *w}
	l, err := New(Options{Reader: &stream{s: s}, Open: func(context.Context) (Source, error) { return s, nil }, Rate: 100})
	if err != nil {
		t.Fatal(err)
	}
	kept := capture.Resume{Last: w.last, Restart: event.Place{File: 1, Offset: 100 + uint64(len(s.log))}, State: []byte(`{"reader":"cw==","listed":true}`)}
	if _, err := l.Start(ctx, kept); err != nil {
		t.Fatal(err)
	}
	id := s.table.ID()
	if err := l.Verify(ctx, "d.nosuch", Verification{ID: "v"}); !errors.Is(err, ErrNotCaptured) {
		t.Errorf("a table that isn't captured: %v", err)
	}
	if err := l.Verify(ctx, id, Verification{ID: "v"}); err != nil {
		t.Fatal(err)
	}
	if err := l.Verify(ctx, id, Verification{ID: "w"}); !errors.Is(err, ErrBusy) {
		t.Errorf("a second one: %v", err)
	}
	next := func() {
		seg, err := l.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		v.apply(t, seg)
		if seg.State != nil {
			kept.State = bytes.Clone(seg.State)
		}
		if seg.Last {
			kept.Last, kept.Restart = seg.Txn.Position, seg.Restart
		}
	}
	for v.rows == 0 {
		next()
	}
	if p := l.Progress(); p[0].Phase != Verifying || p[0].Verify != "v" {
		t.Errorf("progress %+v", p)
	}
	if err := l.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	for v.givenUp == 0 {
		next()
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Start(ctx, kept); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		next()
	}
	if v.givenUp != 1 || v.ended != 0 {
		t.Errorf("%d times given up, %d ended", v.givenUp, v.ended)
	}
	if err := l.Load(ctx, id); err != nil { // which isn't whole from now on
		t.Fatal(err)
	}
	if err := l.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := l.Verify(ctx, id, Verification{ID: "x"}); !errors.Is(err, ErrIncomplete) {
		t.Errorf("an incomplete table: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
