package snapshot

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// shared is a task that two goroutines read.
func shared(kind schema.Kind, perRow float64) *task {
	table := modelTable()
	table.Columns[0].Type.Kind = kind
	return &task{table: &Table{ID: table.ID(), Schema: table}, readers: make([]chan struct{}, 2), stride: stride{perRow: perRow, chunks: strideAfter}}
}

func TestBound(t *testing.T) {
	for _, c := range []struct {
		kind   schema.Kind
		after  event.Value
		perRow float64
		rows   int
		want   int64 // 0: none is planned
	}{
		{schema.Int64, event.Signed(100), 1, 20, 120},
		{schema.Int64, event.Signed(100), 2.5, 3, 108},
		{schema.Int64, event.Signed(-100), 1, 20, -80},
		{schema.Int64, event.Signed(-10), 1, 20, 10},
		{schema.Int64, event.Signed(math.MinInt64), 1, 20, math.MinInt64 + 20},
		{schema.Int64, event.Signed(math.MaxInt64 - 20), 1, 20, 0},
		{schema.Int64, event.Signed(math.MaxInt64 - 21), 1, 20, math.MaxInt64 - 1},
		{schema.Int64, event.Signed(math.MinInt64), 1e18, 1000, 0},
		{schema.Int8, event.Signed(100), 1, 27, 0},
		{schema.Int8, event.Signed(-100), 1, 27, -73},
		{schema.Uint8, event.Number(200), 1, 50, 250},
		{schema.Uint8, event.Number(200), 1, 60, 0},
		{schema.Uint64, event.Number(math.MaxUint64 - 5), 1, 4, -2},
		{schema.Uint64, event.Number(math.MaxUint64 - 5), 1, 5, 0},
		{schema.Int64, event.Signed(5), 0, 20, 0},
		{schema.String, event.Raw([]byte("a")), 1, 20, 0},
		{schema.Date, event.Signed(5), 1, 20, 0},
	} {
		task := shared(c.kind, c.perRow)
		r := task.bound(task.table.Schema, []event.Value{c.after}, c.rows)
		switch {
		case r == nil && c.want == 0:
		case r == nil || c.want == 0 || len(r.From) != 0 || r.To[0].Int() != c.want:
			t.Errorf("%d rows of %s behind %d, %g a row: %+v, want up to %d", c.rows, c.kind, c.after.Int(), c.perRow, r, c.want)
		}
	}
	alone := shared(schema.Int64, 1)
	alone.readers = alone.readers[:1]
	part := shared(schema.Int64, 1)
	part.Range = &event.KeyRange{}
	both := shared(schema.Int64, 1)
	both.table.Schema.Key = []int{0, 1}
	for name, task := range map[string]*task{"one reader": alone, "a part": part, "a key of two columns": both} {
		if r := task.bound(task.table.Schema, []event.Value{event.Signed(1)}, 9); r != nil {
			t.Errorf("%s: planned up to %v", name, r.To)
		}
	}
}

func TestStrides(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*task)
		want   bool
	}{
		"an integer key":  {func(*task) {}, true},
		"another key":     {func(t *task) { t.table.Schema.Columns[0].Type.Kind = schema.String }, false},
		"added":           {func(t *task) { t.Added = true }, false},
		"a part":          {func(t *task) { t.Range = &event.KeyRange{} }, false},
		"at its end":      {func(t *task) { t.ended = true }, false},
		"few chunks":      {func(t *task) { t.stride.chunks-- }, false},
		"no connection":   {func(t *task) { t.alone = true }, false},
		"not described":   {func(t *task) { t.forget() }, false},
		"no rows lately":  {func(t *task) { t.stride.learn(9, 0) }, false},
		"few rows lately": {func(t *task) { t.stride.learn(9, 1) }, true},
	} {
		task := shared(schema.Int64, 1)
		if c.change(task); task.strides() != c.want {
			t.Errorf("%s: %t", name, !c.want)
		}
	}
}

func TestStrideLearns(t *testing.T) {
	var s stride
	for i, step := range []struct {
		over float64
		rows int
		want float64
	}{{100, 50, 2}, {90, 90, 1}, {1e9, 1, strideGrowth}, {1e9, 1, strideGrowth * strideGrowth}, {1e6, 0, 0}, {1e9, 1, 1e9}} {
		if s.learn(step.over, step.rows); s.perRow != step.want {
			t.Errorf("step %d: %g a row, want %g", i, s.perRow, step.want)
		}
	}
}

// pair is a source whose tables two connections can read at the same time.
type pair struct {
	integers
	tables []*schema.Table
	rows   int64
	every  int64 // distance of the keys
	fail   error // of a second reader's connection

	mu      sync.Mutex
	sources int
	parts   int // reads whose end was planned
}

// smallTable has few rows.
const smallTable = "small"

type one struct{ *pair }

func (p *pair) open(context.Context) (Source, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sources++; p.sources > 2 && p.fail != nil { // the first one lists the tables
		return nil, p.fail
	}
	return one{p}, nil
}

func (p one) Tables(context.Context) ([]Table, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []Table
	for _, t := range p.tables {
		out = append(out, Table{ID: t.ID(), Schema: t, Rows: p.rows})
	}
	return out, nil
}

func (p one) Close() error { return nil }

func (p one) Read(_ context.Context, r Request) (*Chunk, error) {
	p.mu.Lock()
	if r.Range != nil {
		p.parts++
	}
	p.mu.Unlock()
	rows := p.rows
	if r.Table.Name == smallTable {
		rows = 10
	}
	m, from := r.Fresh(), int64(0)
	if r.After != nil {
		from = r.After[0].Int() + 1
	}
	from = (from + p.every - 1) / p.every * p.every
	c := &Chunk{Rows: m.Rows, High: event.Place{File: 1}}
	for id := from; id < rows*p.every && inside(r.Range, id) && len(c.Rows) < r.Rows; id += p.every {
		c.Rows = append(c.Rows, event.Row{Op: event.Read, Table: r.Table, After: image(id, row{id, id})})
	}
	return c, c.Finish(&r, false)
}

// TestTwoReaders: an integer key is read by two connections at once, whatever its density,
// each row once and in the order of the key; a server that allows one connection only is
// read by that, and isn't asked again and again.
func TestTwoReaders(t *testing.T) {
	for name, p := range map[string]*pair{
		"dense":              {rows: 40_000, every: 1},
		"sparse":             {rows: 40_000, every: 1000},
		"one connection":     {rows: 40_000, every: 1, fail: errors.New("too many connections")},
		"fewer than a chunk": {rows: 10, every: 3},
	} {
		t.Run(name, func(t *testing.T) {
			p.tables = []*schema.Table{modelTable()}
			synctest.Test(t, func(t *testing.T) { testTwoReaders(t, p) })
		})
	}
}

func testTwoReaders(t *testing.T, p *pair) {
	l, err := New(Options{Reader: silent{}, Open: p.open, First: true})
	if err != nil {
		t.Fatal(err)
	}
	l.pace.most = 500
	if _, err := l.Start(t.Context(), capture.Resume{FirstStart: true}); err != nil {
		t.Fatal(err)
	}
	var got []int64
	for ended := false; !ended; {
		g, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range g.Rows {
			got = append(got, g.Rows[i].After[0].Int())
		}
		ended = slices.ContainsFunc(g.Loads, func(x event.Load) bool { return x.Phase == event.LoadEnded })
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for i, id := range got {
		if id != int64(i)*p.every {
			t.Fatalf("row %d has key %d", i, id)
		}
	}
	if int64(len(got)) != p.rows {
		t.Errorf("%d rows, want %d", len(got), p.rows)
	}
	if beside := p.rows > 10_000; p.fail == nil && (p.parts > 0) != beside || p.sources > 3 {
		t.Errorf("%d parts by %d connections", p.parts, p.sources)
	}
}

// TestSecondReaderLeaves: a table that nobody reads comes before a second reader of another.
func TestSecondReaderLeaves(t *testing.T) { synctest.Test(t, testLeaves) }

func testLeaves(t *testing.T) {
	p := &pair{tables: []*schema.Table{modelTable()}, rows: 40_000, every: 1}
	l, err := New(Options{Reader: silent{}, Open: p.open, First: true, Rate: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Start(t.Context(), capture.Resume{FirstStart: true}); err != nil {
		t.Fatal(err)
	}
	other := modelTable()
	other.Name = smallTable
	var ended []string
	for ordered := false; len(ended) < 2; {
		g, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range g.Loads {
			if x.Phase == event.LoadEnded {
				ended = append(ended, x.Table)
			}
		}
		p.mu.Lock()
		now := !ordered && p.parts > 0
		if now {
			p.tables = append(p.tables, other)
		}
		p.mu.Unlock()
		if now {
			ordered = true
			if err := l.Load(t.Context(), other.ID()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if ended[0] != other.ID() {
		t.Errorf("ended in the order %v", ended)
	}
}

// TestRestsAreBounded: while nothing is handed out no more chunks are read than may be, though
// each gets full and leaves a rest; and a rest that everything waits for is read.
func TestRestsAreBounded(t *testing.T) {
	l, err := New(Options{Reader: silent{}, Open: (&pair{}).open})
	if err != nil {
		t.Fatal(err)
	}
	task := shared(schema.Int64, 1)
	task.Since, task.Phase = event.Position{Epoch: 1}, Loading
	task.readTo = []event.Value{event.Signed(0)}
	task.pace = pace{rows: 100, most: 100}
	read := func() (n int) {
		for {
			c := l.next(task, task.table.Schema, true)
			if c == nil {
				return n
			}
			n++
			c.res = &Chunk{Rows: make([]event.Row, 10), Last: []event.Value{event.Signed(c.req.After[0].Int() + 10)}}
			task.planned(c)
		}
	}
	if n := read(); n != l.o.Ahead {
		t.Fatalf("%d chunks read ahead, want %d", n, l.o.Ahead)
	}
	after := int64(0)
	for range 50 { // handed out one by one
		if c := task.flight[0]; c.req.After[0].Int() != after {
			t.Fatalf("behind %d comes what is behind %d", after, c.req.After[0].Int())
		}
		after += 10
		task.flight = task.flight[1:]
		if read(); task.taken() > l.o.Ahead || !task.flight[0].taken {
			t.Fatalf("%d chunks are read, the first one is: %t", task.taken(), task.flight[0].taken)
		}
	}
}
