package snapshot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
)

// opened is a source of a server's tables that knows when it was opened.
type opened struct {
	*server
	began  int // length of the log then
	ignore bool
}

func open(s *server, ignore bool) *opened {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &opened{s, len(s.log), ignore}
}

func (o *opened) Read(ctx context.Context, r Request) (*Chunk, error) {
	o.mu.Lock()
	for i := range o.began {
		if r.Delivered.Unnamed && !o.log[i].visible && !o.ignore {
			o.show(false)
			o.retries++
			o.mu.Unlock()
			return nil, ErrView
		}
	}
	o.mu.Unlock()
	return o.server.Read(ctx, r)
}

// choosy is a stream that passes its table over until it was added.
type choosy struct {
	stream
	additions capture.Additions
}

func (c *choosy) Add(table string)         { c.additions.Add(table) }
func (c *choosy) Remove(table string)      { c.additions.Remove(table) }
func (c *choosy) Configured(string) bool   { return false }
func (c *choosy) Captures(tab string) bool { return c.additions.Has(tab) }

func (c *choosy) state() []byte {
	b, err := json.Marshal(readerState{Added: c.additions.List()})
	if err != nil {
		panic(err)
	}
	return b
}

func (c *choosy) Start(ctx context.Context, res capture.Resume) (uint32, error) {
	c.additions.Reset(additions(res.State))
	return c.stream.Start(ctx, res)
}

func (c *choosy) Next(ctx context.Context) (*event.Segment, error) {
	if fresh, left := c.additions.Take(); len(fresh)+len(left) > 0 {
		return &event.Segment{Kind: event.Idle, Restart: c.place(), State: c.state()}, nil
	}
	seg, err := c.stream.Next(ctx)
	if err != nil {
		return nil, err
	}
	if seg.Kind == event.Rows && !c.additions.Has(c.s.table.ID()) {
		seg = &event.Segment{Kind: event.Idle, Restart: seg.Restart, State: c.state()} // it isn't named, either
	} else if seg.State != nil {
		seg.State = c.state()
	}
	return seg, nil
}

// kept is what a pipeline has made durable.
func kept(res *capture.Resume, seg *event.Segment) {
	if seg.Last {
		res.Last, res.Restart = seg.Txn.Position, seg.Restart
		if seg.Txn.ID != "" {
			res.Since = append(res.Since, seg.Txn.ID)
		}
	}
	if seg.Kind == event.Idle {
		res.Restart = seg.Restart
	}
	if seg.State != nil {
		res.State, res.Since = bytes.Clone(seg.State), nil
	}
}

// drive hands out segments until done says so, the target can't go on, or n of them.
func drive(t *testing.T, l *Loader, s *server, w *target, res *capture.Resume, n int, done func() bool) {
	t.Helper()
	for i := 0; (n == 0 || i < n || l.inside || len(l.rest) > 0) && !done(); i++ {
		seg, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if w.apply(seg); w.err != nil {
			return
		}
		kept(res, seg)
		s.mu.Lock()
		if w.loaded && !s.ended {
			s.ended = true
			s.show(true)
		}
		if !s.ended && s.rng.IntN(3) == 0 {
			s.write()
		}
		s.mu.Unlock()
	}
}

// added adds a table while it is written, with restarts, and gives what the target has.
func added(t *testing.T, seed uint64, ignore bool) (*server, *target) {
	t.Helper()
	s := newServer(rand.New(rand.NewPCG(seed, 4)), 300)
	s.partial = seed%2 == 0
	r := &choosy{stream: stream{s: s}}
	l, err := New(Options{Reader: r, Open: func(context.Context) (Source, error) { return open(s, ignore), nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w, res := &target{rows: map[int64]row{}}, capture.Resume{FirstStart: true}
	if _, err := l.Start(t.Context(), res); err != nil {
		t.Fatal(err)
	}
	drive(t, l, s, w, &res, 30+s.chance(30), func() bool { return false })
	if len(w.rows) > 0 {
		t.Fatalf("%d rows before the table was added", len(w.rows))
	}
	if err := l.Add(t.Context(), s.table.ID()); err != nil {
		t.Fatal(err)
	}
	for restarts := seed % 3; ; restarts-- {
		n := 0
		if restarts > 0 {
			n = 1 + s.chance(40)
		}
		drive(t, l, s, w, &res, n, func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return w.loaded && l.place.Offset == 100+uint64(len(s.log))
		})
		if n == 0 || w.err != nil {
			return s, w
		}
		if _, err := l.Start(t.Context(), res); err != nil { // an order that isn't durable is given anew
			t.Fatal(err)
		}
	}
}

// TestAdded adds tables whose commits are in the log before a view shows them: what was
// passed over before is there, and a restart forgets neither the order nor the table.
func TestAdded(t *testing.T) {
	retries := 0
	for seed := range uint64(seeds) {
		s, w := added(t, seed, false)
		compare(t, seed, s, w)
		retries += s.retries
	}
	if retries == 0 {
		t.Error("no view lacked anything: too few to tell")
	}
}

// TestAddedWithoutBarrierIsWrong shows that the test above can tell.
func TestAddedWithoutBarrierIsWrong(t *testing.T) {
	for seed := range uint64(seeds) {
		s, w := added(t, seed, true)
		if w.err != nil || fmt.Sprint(s.rows) != fmt.Sprint(w.rows) {
			return
		}
	}
	t.Error("views that lack what was passed over went unnoticed")
}

// TestRange reads a part of a spoilt table again while it is written, with restarts: the
// part is as at the source in the end, and nothing else is touched but by the stream.
func TestRange(t *testing.T) {
	for seed := range uint64(seeds) {
		s := newServer(rand.New(rand.NewPCG(seed, 5)), 300)
		b := Bounds{From: []string{"300"}, To: []string{"600"}}
		if seed%3 == 1 {
			b.From = nil
		} else if seed%3 == 2 {
			b.To = nil
		}
		r, err := integers{}.Range(t.Context(), s.table, b)
		if err != nil {
			t.Fatal(err)
		}
		w, stale := &target{rows: map[int64]row{}}, map[int64]row{}
		for range 200 { // rows that aren't there, or have other values, at the source
			id, spoilt := s.rng.Int64N(1000), row{-1, -1}
			w.rows[id], stale[id] = spoilt, spoilt
		}
		l, err := New(Options{Reader: &stream{s: s}, Open: func(context.Context) (Source, error) { return s, nil }, Bytes: 64 << 10})
		if err != nil {
			t.Fatal(err)
		}
		res := capture.Resume{FirstStart: true}
		if _, err := l.Start(t.Context(), res); err != nil {
			t.Fatal(err)
		}
		if err := l.LoadRange(t.Context(), s.table.ID(), Bounds{From: []string{"9"}, To: []string{"1"}}, false); !errors.Is(err, ErrBadBounds) {
			t.Errorf("a part that begins behind its end: %v", err)
		}
		if err := l.LoadRange(t.Context(), s.table.ID(), b, false); err != nil {
			t.Fatal(err)
		}
		if err := l.Load(t.Context(), s.table.ID()); !errors.Is(err, ErrBusy) {
			t.Errorf("a second load: %v", err)
		}
		done := func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return w.loaded && l.place.Offset == 100+uint64(len(s.log))
		}
		if seed%2 == 0 {
			drive(t, l, s, w, &res, 1+s.chance(20), done)
			if _, err := l.Start(t.Context(), res); err != nil {
				t.Fatal(err)
			}
		}
		drive(t, l, s, w, &res, 0, done)
		if got := l.Progress()[0]; got.Part != b.String() || got.Phase != Loaded {
			t.Errorf("seed %d: %+v", seed, got)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		touched := map[int64]bool{}
		for _, c := range s.log {
			for i := range c.changes {
				for _, image := range [][]event.Value{c.changes[i].Before, c.changes[i].After} {
					if image != nil {
						touched[image[0].Int()] = true
					}
				}
				if c.changes[i].Op == event.Truncate {
					stale = map[int64]row{}
				}
			}
		}
		for id := range int64(1000) {
			got, there := w.rows[id]
			want, exists := s.rows[id]
			if !inside(r, id) && !touched[id] {
				want, exists = stale[id]
			}
			if got != want || there != exists {
				t.Fatalf("seed %d, %s: row %d is %v (%t), want %v (%t)", seed, b, id, got, there, want, exists)
			}
		}
	}
}
