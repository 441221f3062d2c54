package snapshot

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// server is a database whose commits stand in its log before a view shows them.
type server struct {
	integers
	mu      sync.Mutex
	rng     *rand.Rand
	table   *schema.Table
	start   map[int64]row // before the log
	rows    map[int64]row // after all of the log
	log     []commit
	more    chan struct{}
	partial bool // updates carry changed columns only
	naive   bool // views don't care about what was delivered
	short   bool // chunks have few rows
	rests   bool // a person has the load rest now and then
	strided int  // chunks whose end was planned
	chunks  int
	retries int
	ended   bool
}

// row is a row's columns beside the key.
type row struct{ a, b int64 }

type commit struct {
	id      string
	changes []event.Row
	visible bool
}

func modelTable() *schema.Table {
	t := &schema.Table{Source: "330106-m", Dataset: "m", Database: "d", Name: "m", Key: []int{0}}
	for _, n := range []string{"id", "a", "b"} {
		t.Columns = append(t.Columns, schema.Column{Name: n, Type: schema.Type{Kind: schema.Int64}})
	}
	return t
}

func image(id int64, r row) []event.Value {
	return []event.Value{event.Signed(id), event.Signed(r.a), event.Signed(r.b)}
}

func newServer(rng *rand.Rand, rows int) *server {
	s := &server{rng: rng, table: modelTable(), start: map[int64]row{}, more: make(chan struct{}, 1)}
	for range rows {
		s.start[rng.Int64N(1000)] = row{rng.Int64(), rng.Int64()}
	}
	s.rows = map[int64]row{}
	for k, v := range s.start {
		s.rows[k] = v
	}
	return s
}

// chance gives a number below n to who doesn't hold the lock.
func (s *server) chance(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.IntN(n)
}

// write commits a random transaction: its changes stand in the log at once.
func (s *server) write() {
	if len(s.log) >= 600 { // the world comes to rest, so that the load can end
		return
	}
	c := commit{id: strconv.Itoa(len(s.log))}
	for range 1 + s.rng.IntN(3) {
		s.change(&c)
	}
	if len(c.changes) == 0 {
		return
	}
	s.log = append(s.log, c)
	signal(s.more)
}

func (s *server) change(c *commit) {
	id := s.rng.Int64N(1000)
	old, there := s.rows[id]
	now := row{s.rng.Int64(), s.rng.Int64()}
	e := event.Row{Table: s.table}
	switch {
	case !there:
		e.Op, e.After = event.Create, image(id, now)
		s.rows[id] = now
	case s.rng.IntN(4) == 0:
		e.Op, e.Before = event.Delete, image(id, old)
		delete(s.rows, id)
	case s.rng.IntN(400) == 0:
		e.Op = event.Truncate
		s.rows = map[int64]row{}
	default:
		to := id
		if s.rng.IntN(2) == 0 { // the key moves
			if to = s.rng.Int64N(1000); to != id {
				if _, taken := s.rows[to]; taken {
					return
				}
			}
		}
		e.Op, e.Before = event.Update, image(id, old)
		if s.partial {
			now.b = old.b
		}
		e.After = image(to, now)
		if s.partial {
			e.After[2] = event.Value{}
		}
		delete(s.rows, id)
		s.rows[to] = now
	}
	c.changes = append(c.changes, e)
}

// show lets a view see more of the log.
func (s *server) show(all bool) {
	for i := range s.log {
		if !s.log[i].visible {
			s.log[i].visible = true
			if !all && s.rng.IntN(12) == 0 {
				return
			}
		}
	}
}

// view gives the rows that can be seen.
func (s *server) view() map[int64]row {
	out := map[int64]row{}
	for k, v := range s.start {
		out[k] = v
	}
	for _, c := range s.log {
		if !c.visible {
			break
		}
		for i := range c.changes {
			e := &c.changes[i]
			switch e.Op {
			case event.Truncate:
				clear(out)
				continue
			case event.Delete:
				delete(out, e.Before[0].Int())
				continue
			}
			var old row
			if e.Before != nil {
				old = out[e.Before[0].Int()]
				delete(out, e.Before[0].Int())
			}
			now := row{e.After[1].Int(), e.After[2].Int()}
			if e.After[2].State == event.Absent {
				now.b = old.b
			}
			out[e.After[0].Int()] = now
		}
	}
	return out
}

// Tables implements Source.
func (s *server) Tables(context.Context) ([]Table, error) {
	return []Table{{ID: s.table.ID(), Schema: s.table, Rows: 7}}, nil
}

// Close implements Source and capture.Reader.
func (s *server) Close() error { return nil }

// Read implements Source. The world goes on before and after the view is taken.
func (s *server) Read(_ context.Context, r Request) (*Chunk, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.goOn()
	seen := s.view()
	missing := false
	for _, id := range r.Delivered.Txns {
		n, err := strconv.Atoi(id)
		if err != nil {
			return nil, err
		}
		missing = missing || !s.log[n].visible
	}
	s.goOn()
	high := event.Place{File: 1, Offset: 100 + uint64(len(s.log))}
	if missing && !s.naive {
		s.retries++
		s.show(false)
		return nil, ErrView
	}
	s.chunks++
	if r.Keys == nil && r.Range != nil {
		s.strided++
	}
	var ids []int64
	for id := range seen {
		switch {
		case r.Keys != nil:
			if slices.ContainsFunc(r.Keys, func(k []event.Value) bool { return k[0].Int() == id }) {
				ids = append(ids, id)
			}
		case inside(r.Range, id) && (r.After == nil || id > r.After[0].Int()):
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	most := r.Rows
	if r.Keys != nil { // a full chunk may have few of them
		most = min(most, 1+s.rng.IntN(3))
	}
	m := r.Fresh()
	c := &Chunk{Rows: m.Rows, Coded: m.Coded, High: high, Decode: func(b []byte, m *Memory) ([]event.Value, []event.Anomaly, error) {
		id := int64(binary.BigEndian.Uint64(b))
		after := m.Image(3)
		copy(after, image(id, seen[id]))
		return after, nil, nil
	}}
	for _, id := range ids[:min(len(ids), most)] {
		if err := c.Take(binary.BigEndian.AppendUint64(nil, uint64(id)), &r, m); err != nil {
			return nil, err
		}
	}
	if err := c.Finish(&r, false); err != nil {
		return nil, err
	}
	c.End = len(ids) <= most
	s.goOn()
	return c, nil
}

func (s *server) goOn() {
	for range s.rng.IntN(4) {
		s.write()
	}
	if s.rng.IntN(3) == 0 {
		s.show(false)
	}
}

// stream is the server's log as a reader.
type stream struct {
	s    *server
	next int
	idle bool
}

func (r *stream) place() event.Place { return event.Place{File: 1, Offset: 100 + uint64(r.next)} }

// Start implements capture.Reader.
func (r *stream) Start(_ context.Context, res capture.Resume) (uint32, error) {
	r.next, r.idle = 0, true
	if res.State != nil {
		r.next = int(res.Restart.Offset) - 100
	}
	return 9, nil
}

// Ack implements capture.Reader.
func (r *stream) Ack(event.Place) {}

// Close implements capture.Reader.
func (r *stream) Close() error { return nil }

// Next implements capture.Reader.
func (r *stream) Next(ctx context.Context) (*event.Segment, error) {
	if r.idle {
		r.idle = false
		return &event.Segment{Kind: event.Idle, Restart: r.place(), State: []byte("s")}, nil
	}
	for {
		r.s.mu.Lock()
		if r.next < len(r.s.log) {
			c := r.s.log[r.next]
			at := event.Position{Epoch: 9, Place: r.place()}
			r.next++
			seg := &event.Segment{First: true, Last: true, Rows: c.changes, Restart: r.place(), Txn: event.Txn{Position: at, ID: c.id}}
			if r.next%5 == 0 {
				seg.State = fmt.Appendf(nil, "s%d", r.next)
			}
			r.s.mu.Unlock()
			return seg, nil
		}
		r.s.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-r.s.more:
		case <-time.After(time.Millisecond): // an idle segment, as a reader that is paced
			return &event.Segment{Kind: event.Idle, Restart: r.place(), State: fmt.Appendf(nil, "i%d", r.next)}, nil
		}
	}
}

// run loads the table while the world goes on, with restarts at random moments, and
// gives what the target has in the end.
func run(t *testing.T, s *server, restarts int) (*target, error) {
	t.Helper()
	ctx := t.Context()
	w := &target{rows: map[int64]row{}}
	var kept capture.Resume // what is durable: all that was handed out
	kept.FirstStart = true
	l, err := New(Options{Reader: &stream{s: s}, Open: func(context.Context) (Source, error) { return s, nil }, First: true, Bytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if s.short {
		l.pace.rows, l.pace.most = 3, 1+s.chance(20)
	}
	for {
		if _, err := l.Start(ctx, kept); err != nil {
			t.Fatal(err)
		}
		l.mu.Lock()
		for _, task := range l.tasks {
			task.table = nil
		}
		l.mu.Unlock()
		stop := -1
		if restarts > 0 {
			stop = s.chance(60)
			restarts--
		}
		for n := 0; stop < 0 || n < stop || l.inside || len(l.rest) > 0; n++ {
			seg, err := l.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if s.rests {
				if err := s.decide(ctx, l); err != nil {
					t.Fatal(err)
				}
			}
			w.apply(seg)
			if w.err != nil {
				return w, w.err
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
			if seg.State != nil && (seg.Kind == event.Idle || seg.Durable || s.chance(2) == 0) {
				kept.State, kept.Since = bytes.Clone(seg.State), nil
			}
			s.mu.Lock()
			if w.loaded && !s.ended {
				s.ended = true
				s.show(true)
			}
			done := w.loaded && l.place.Offset == 100+uint64(len(s.log))
			if !s.ended && s.rng.IntN(3) == 0 {
				s.write()
			}
			s.mu.Unlock()
			if done {
				return w, l.Close()
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// decide has the load rest, or go on, by chance. There may be none that can.
func (s *server) decide(ctx context.Context, l *Loader) (err error) {
	switch n := s.chance(12); {
	case n == 0:
		err = l.Pause(ctx, s.table.ID())
	case n < 4:
		err = l.Resume(ctx, s.table.ID())
	}
	if errors.Is(err, ErrUnknown) {
		return nil
	}
	return err
}

// seeds is how many worlds are tried.
const seeds = 200

// TestLoadEqualsSource loads tables whose commits are in the log before a view shows
// them, while rows are written, moved, removed and truncated, over restarts.
func TestLoadEqualsSource(t *testing.T) {
	retries, chunks, strided := 0, 0, 0
	for seed := range uint64(seeds) {
		s := newServer(rand.New(rand.NewPCG(seed, 1)), 300)
		s.partial, s.short, s.rests = seed%2 == 0, seed%3 > 0, seed%5 > 2
		w, err := run(t, s, int(seed%4))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		compare(t, seed, s, w)
		retries, chunks, strided = retries+s.retries, chunks+s.chunks, strided+s.strided
	}
	t.Logf("%d chunks, %d of them beside others, %d views that lacked something", chunks, strided, retries)
	if retries == 0 || chunks < 100 || strided < 100 {
		t.Error("too few to tell")
	}
}

func compare(t *testing.T, seed uint64, s *server, w *target) {
	t.Helper()
	if w.err != nil {
		t.Fatalf("seed %d: %v", seed, w.err)
	}
	for id, want := range s.rows {
		if got, ok := w.rows[id]; !ok || got != want {
			t.Errorf("seed %d: row %d is %v (%t), want %v", seed, id, got, ok, want)
		}
	}
	for id := range w.rows {
		if _, ok := s.rows[id]; !ok {
			t.Errorf("seed %d: row %d doesn't exist at the source", seed, id)
		}
	}
}

// TestNaiveLoadIsWrong shows that the test above can tell: views that lack what was
// delivered bring stale and deleted rows back.
func TestNaiveLoadIsWrong(t *testing.T) {
	for seed := range uint64(seeds) {
		s := newServer(rand.New(rand.NewPCG(seed, 1)), 300)
		s.naive = true
		w, err := run(t, s, 0)
		if err != nil {
			return
		}
		for id, want := range s.rows {
			if w.rows[id] != want {
				return
			}
		}
		if len(w.rows) != len(s.rows) {
			return
		}
	}
	t.Error("reading without the marks went unnoticed")
}
