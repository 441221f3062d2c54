package snapshot

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
)

// scene is a server whose connections, numbered from 1, do what a test wants. The first one
// lists the tables.
type scene struct {
	integers
	mu          sync.Mutex
	connections int
	refuse      func(n int) error
	tables      func(n int) []Table
	read        func(n int, r Request) (*Chunk, error)
}

type sceneOf struct {
	*scene
	n int
}

func (s *scene) open(context.Context) (Source, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connections++
	if s.refuse != nil {
		if err := s.refuse(s.connections); err != nil {
			return nil, err
		}
	}
	return sceneOf{s, s.connections}, nil
}

func (s sceneOf) Tables(context.Context) ([]Table, error) { return s.tables(s.n), nil }

func (s sceneOf) Close() error { return nil }

func (s sceneOf) Read(_ context.Context, r Request) (*Chunk, error) { return s.read(s.n, r) }

func oneTable(int) []Table { return []Table{{ID: modelTable().ID(), Schema: modelTable()}} }

// chunkOf reads a chunk of rows of three columns.
func chunkOf(rows [][3]int64, r Request) (*Chunk, error) {
	k := r.Table.Key[0]
	rows = slices.Clone(rows)
	slices.SortFunc(rows, func(a, b [3]int64) int { return int(a[k] - b[k]) })
	m := r.Fresh()
	c := &Chunk{Rows: m.Rows, High: event.Place{File: 1}}
	for _, row := range rows {
		if len(c.Rows) == r.Rows {
			break
		}
		if inside(r.Range, row[k]) && (r.After == nil || row[k] > r.After[0].Int()) {
			c.Rows = append(c.Rows, event.Row{Op: event.Read, Table: r.Table, After: []event.Value{event.Signed(row[0]), event.Signed(row[1]), event.Signed(row[2])}})
		}
	}
	return c, c.Finish(&r, false)
}

func (s *scene) start(t *testing.T, o Options) *Loader {
	t.Helper()
	o.First, o.Reader, o.Open = true, silent{}, s.open
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	l.pace.rows, l.pace.most = 50, 100
	if _, err := l.Start(t.Context(), capture.Resume{FirstStart: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// next hands out one segment.
func next(t *testing.T, l *Loader) *event.Segment {
	t.Helper()
	g, err := l.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// both reports whether two read the first table.
func both(l *Loader) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.tasks) > 0 && len(l.tasks[0].readers) == 2
}

// TestAnotherKeyBetweenDescriptions: a key that has changed before the second connection
// describes the table, with nothing in the stream about it, has all rows read by it.
func TestAnotherKeyBetweenDescriptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 5000
		var rows [][3]int64
		for i := range int64(n) {
			rows = append(rows, [3]int64{i, n - 1 - i, 0})
		}
		var altered atomic.Bool
		s := &scene{tables: func(n int) []Table {
			table := modelTable()
			if n > 2 {
				altered.Store(true)
			}
			if altered.Load() {
				table.Key = []int{1}
			}
			return []Table{{ID: table.ID(), Schema: table}}
		}, read: func(_ int, r Request) (*Chunk, error) {
			time.Sleep(time.Millisecond)
			return chunkOf(rows, r)
		}}
		l := s.start(t, Options{})
		got := map[int64]bool{}
		for ended := false; !ended; {
			g := next(t, l)
			for i := range g.Rows {
				got[g.Rows[i].After[0].Int()] = true
			}
			ended = slices.ContainsFunc(g.Loads, func(x event.Load) bool { return x.Phase == event.LoadEnded })
		}
		if len(got) != n || s.connections < 3 {
			t.Errorf("loaded, and %d rows never came; %d connections", n-len(got), s.connections)
		}
	})
}

// TestRestsKnowHours: chunks get full one after the other where keys become dense, and what
// they leave isn't read when the hours are over.
func TestRestsKnowHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hours, err := ParseHours("00:00-01:00", time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		var rows [][3]int64
		for i := range int64(1000) {
			rows = append(rows, [3]int64{i * 1000})
		}
		for i := range int64(10_000) {
			rows = append(rows, [3]int64{1_000_000 + i})
		}
		begun, late, full := time.Now(), 0, 0
		s := &scene{tables: oneTable}
		s.read = func(_ int, r Request) (*Chunk, error) {
			at := time.Since(begun)
			c, err := chunkOf(rows, r)
			s.mu.Lock()
			if at > time.Hour && at < 24*time.Hour {
				late++
			}
			if r.Range != nil && len(c.Rows) == r.Rows {
				full++
			}
			s.mu.Unlock()
			if r.After != nil && r.After[0].Int() > 900_000 {
				time.Sleep(7 * time.Minute)
			}
			return c, err
		}
		l := s.start(t, Options{Hours: hours})
		for time.Since(begun) < 20*time.Hour {
			next(t, l)
		}
		if late > 0 || full == 0 {
			t.Errorf("%d reads began outside of the hours; %d chunks got full", late, full)
		}
		if p := l.Progress()[0]; p.Phase != Waiting {
			t.Errorf("it doesn't say that it waits: %+v", p)
		}
	})
}

// TestFailedIsLeft: a load that fails for its first reader keeps no second one.
func TestFailedIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rows [][3]int64
		for i := range int64(20_000) {
			rows = append(rows, [3]int64{i})
		}
		s := &scene{tables: oneTable, refuse: func(n int) error {
			if n > 3 {
				return errors.New("permission denied") // stops a load
			}
			return nil
		}}
		var broken, hit bool
		s.read = func(n int, r Request) (*Chunk, error) {
			s.mu.Lock()
			fails, slow := broken && n == 2, broken
			hit = hit || fails
			s.mu.Unlock()
			if fails {
				return nil, fmt.Errorf("reset: %w", capture.ErrConnection)
			}
			if slow {
				time.Sleep(10 * time.Millisecond)
			}
			return chunkOf(rows, r)
		}
		l := s.start(t, Options{Ahead: 3})
		for !both(l) {
			next(t, l)
		}
		s.mu.Lock()
		broken = true
		s.mu.Unlock()
		for failed := false; !failed; {
			next(t, l)
			s.mu.Lock()
			failed = hit
			s.mu.Unlock()
		}
		time.Sleep(time.Minute)
		for range 5 {
			next(t, l)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if x := l.tasks[0]; x.Phase != Failed || len(x.readers) > 0 || len(x.flight) > 0 {
			t.Errorf("%s with %d readers and %d chunks under way", x.Phase, len(x.readers), len(x.flight))
		}
	})
}

// TestSecondReaderFails: what happens to the second connection costs no row, and none comes
// twice or behind a later one.
func TestSecondReaderFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 5000
		var rows [][3]int64
		for i := range int64(n) {
			rows = append(rows, [3]int64{i})
		}
		reads := 0
		s := &scene{tables: oneTable}
		s.read = func(n int, r Request) (*Chunk, error) {
			time.Sleep(time.Millisecond)
			s.mu.Lock()
			defer s.mu.Unlock()
			if n > 2 {
				if reads++; reads == 3 {
					return nil, fmt.Errorf("reset: %w", capture.ErrConnection)
				}
			}
			return chunkOf(rows, r)
		}
		l := s.start(t, Options{})
		last := int64(-1)
		for ended := false; !ended; {
			g := next(t, l)
			for i := range g.Rows {
				id := g.Rows[i].After[0].Int()
				if id != last+1 {
					t.Fatalf("row %d behind %d", id, last)
				}
				last = id
			}
			ended = slices.ContainsFunc(g.Loads, func(x event.Load) bool { return x.Phase == event.LoadEnded })
		}
		if p := l.Progress()[0]; last != n-1 || p.Rows != n || reads != 3 || s.connections != 3 {
			t.Errorf("up to row %d, %+v; %d reads by the second connection, %d connections", last, p, reads, s.connections)
		}
	})
}

// TestGarbledRowBesideReaders: a row that can't be decoded is noted while others look (the
// race detector tells).
func TestGarbledRowBesideReaders(t *testing.T) {
	small := modelTable()
	small.Name = smallTable
	s := &scene{tables: func(int) []Table { return append(oneTable(0), Table{ID: small.ID(), Schema: small}) }}
	s.read = func(_ int, r Request) (*Chunk, error) {
		m, from, n := r.Fresh(), uint64(0), uint64(30_000)
		if r.After != nil {
			from = r.After[0].N + 1
		}
		if r.Table.Name == smallTable { // many chunks begin
			n = 1
		}
		c := &Chunk{Rows: m.Rows, Coded: m.Coded, High: event.Place{File: 1}, Decode: func(b []byte, _ *Memory) ([]event.Value, []event.Anomaly, error) {
			id := int64(binary.BigEndian.Uint64(b))
			if id == 20_000 && n > 1 {
				return nil, nil, errGarbled
			}
			return image(id, row{id, id}), nil, nil
		}}
		for id := range n {
			if err := c.Take(binary.BigEndian.AppendUint64(m.Arena.Take(8)[:0], from+id), &r, m); err != nil {
				return nil, err
			}
		}
		err := c.Finish(&r, false)
		c.End = false
		return c, err
	}
	for range 2 {
		l := s.start(t, Options{Ahead: 16})
		var err error
		for err == nil {
			_, err = l.Next(t.Context())
		}
		if !errors.Is(err, errGarbled) {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
