package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/servers"
)

// shaky is a store that breaks off around batches of held rows: before the first one, right
// after the commit of the next, and so on later, and right after that of the last one.
type shaky struct {
	worker.Store
	mu    sync.Mutex
	calls int
	done  bool
}

func (s *shaky) Apply(ctx context.Context, b *worker.Batch) error {
	if b.Resume == nil {
		return s.Store.Apply(ctx, b)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.calls++; s.calls % 50 {
	case 1:
		return worker.ErrStoreAway
	case 2:
		return errors.Join(s.Store.Apply(ctx, b), worker.ErrOutcomeUnknown)
	}
	if b.Resume.Done && !s.done {
		s.done = true
		return errors.Join(s.Store.Apply(ctx, b), worker.ErrOutcomeUnknown)
	}
	return s.Store.Apply(ctx, b)
}

// haltedBy waits until the store says why the only halted table has stopped.
func haltedBy(t *testing.T, c *pgx.Conn, text string) {
	t.Helper()
	wait(t, fmt.Sprintf("halted by %q", text), func() bool {
		got := texts(t, c, "SELECT error FROM tributary.table_state WHERE state = 'halted'")
		return len(got) == 1 && strings.Contains(got[0], text)
	})
}

// whole waits until no table is halted.
func whole(t *testing.T, c *pgx.Conn) {
	t.Helper()
	wait(t, "no table halted", func() bool { return len(texts(t, c, "SELECT error FROM tributary.table_state")) == 0 })
}

func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("still waiting: %s", what)
		}
		<-tick.C
	}
}

func accept(t *testing.T, s worker.Store, source, table string) worker.Halt {
	t.Helper()
	h, err := s.Accept(t.Context(), source, table)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestHeldRows holds the rules for tables that change, but for evolve's own tests.
func TestHeldRows(t *testing.T) {
	databases := &bench{db: servers.Postgres(t, nil)}
	for _, part := range []struct {
		name string
		rule postgres.Evolution
		f    func(*testing.T, *bench)
	}{{"held and accepted", postgres.EvolutionHalt, heldRows}, {"beyond the limit", postgres.EvolutionHalt, beyondTheLimit},
		{"a load ends behind a large transaction", postgres.EvolutionHalt, endsBehindLarge},
		{"halted by what has it read again", postgres.EvolutionHalt, haltedAndReread}, {"only what is wanted", postgres.EvolutionHalt, onlyWhatIsWanted},
		{"accepted losses", postgres.EvolutionFollow, acceptedLosses}, {"ignored columns", postgres.EvolutionIgnore, ignoredColumns}} {
		databases.rule = part.rule
		t.Run(part.name, func(t *testing.T) { part.f(t, databases) })
	}
}

// heldRows: a table of a dataset with the rule halt stops at each change of its shape; its
// rows wait in the store, whatever their number and way, and are applied once and in order
// when a person accepts the change, over broken connections and other workers.
func heldRows(t *testing.T, b *bench) {
	for name, o := range map[string]worker.Options{"batches": {}, "pieces": {BatchRows: 7}} {
		for _, n := range []int{3, 150} {
			t.Run(fmt.Sprintf("%s of %d", name, n), func(t *testing.T) {
				h, c := b.fresh(t)
				heldAndAccepted(t, &shaky{Store: h.Open(t)}, c, n, o)
			})
		}
	}
}

func heldAndAccepted(t *testing.T, s worker.Store, c *pgx.Conn, n int, o worker.Options) {
	l := newWritten()
	o.SpoolDir = t.TempDir()
	w := l.source(1, 1, shape("s1", "name string", "n int64"))
	other := l.source(1, 2, named("s2"))
	w.apply(many(n, 0, func(i int) event.Row { return change(event.Create, i, "a", i) })...)
	w.become(3, shape("s1", "name string", "more string"))
	w.apply(many(n, 0, func(i int) event.Row { return change(event.Update, i, "b", "m") })...)
	w.rows(n, func(i int) event.Row { return change(event.Create, 1000+i, "c", "m") })
	w.become(4, shape("s1", "name string", "more string", "third int64")) // within a transaction
	w.rows(n, func(i int) event.Row { return change(event.Update, 1000+i, "d", "m", i) })
	w.commit(2 * n)
	w.truncate()
	w.rows(n, func(i int) event.Row { return change(event.Create, 2000+i, "e", "m", 3) })
	at := w.commit(n + 1)
	beside := other.apply(insert(1, "x", ""))
	a := apply(t, l, s, o)
	if st := a.await(t, "s1", at); st.Skipped != 0 || st.Held == 0 {
		t.Errorf("%d rows skipped, %d held", st.Skipped, st.Held)
	}
	a.await(t, "s2", beside)
	const first = `new column "more": string; column "n" is gone: int64`
	haltedBy(t, c, first)
	want := fmt.Sprintf("2|%d|f|tributary table accept s1 xueji.pupil", 4*n+1)
	if got := texts(t, c, "SELECT concat_ws('|', (SELECT count(DISTINCT schema_id) FROM tributary.held), held_rows, reread, remedy) FROM tributary.table_state"); !slices.Equal(got, []string{want}) {
		t.Errorf("state %q, want %q", got, want)
	}
	if got := texts(t, c, `SELECT concat_ws('|', op, key, count(*)) FROM tributary.held WHERE key = '[0]' OR op = 't' GROUP BY op, key ORDER BY 1`); !slices.Equal(got, []string{"t|1", "u|[0]|1"}) {
		t.Errorf("held are %q", got)
	}
	if got := texts(t, c, "SELECT count(*)::text FROM ods.pupil WHERE name = 'a'"); got[0] != fmt.Sprint(n) {
		t.Errorf("rows before the change: %s", got)
	}

	accept(t, s, "s1", "xueji.pupil")
	haltedBy(t, c, `new column "third": int64`) // what nobody has accepted yet, where it is
	if got := texts(t, c, "SELECT concat_ws('|', count(*), min(name), max(more)) FROM ods.pupil GROUP BY name ORDER BY 1"); !slices.Equal(got, []string{fmt.Sprintf("%d|b|m", n), fmt.Sprintf("%d|c|m", n)}) {
		t.Errorf("rows up to the second change: %q", got)
	}
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	accept(t, s, "s1", "xueji.pupil") // while nobody is there
	a = apply(t, l, s, o)
	whole(t, c)
	a.await(t, "s1", w.apply(change(event.Update, 2000, "f", "m", 4)))
	if got := texts(t, c, "SELECT concat_ws('|', count(*), name, more, third, n) FROM ods.pupil GROUP BY name, more, third, n ORDER BY name"); !slices.Equal(got, []string{fmt.Sprintf("%d|e|m|3", n-1), "1|f|m|4"}) {
		t.Errorf("rows in the end: %q", got)
	}
	if got := texts(t, c, "SELECT position FROM tributary.held UNION ALL SELECT code FROM tributary.anomaly UNION ALL SELECT state FROM tributary.source WHERE state <> 'streaming'"); len(got) > 0 {
		t.Errorf("left over: %q", got)
	}
	found, err := s.(*shaky).Store.(*postgres.Store).Trace(t.Context(), "pupil", []string{"2001"})
	if n > 1 && (err != nil || len(found) != 1 || found[0].Position != at || found[0].Batch.First < 0 || found[0].Batch.Last < found[0].Batch.First) {
		t.Errorf("traced %+v, %v", found, err)
	}
	wait(t, "the worker says that nothing is halted", func() bool { all, _ := a.Status(); return len(all["s1"].Halts) == 0 })
}

// beyondTheLimit: what is too much is dropped, loudly, and the table needs to be read
// again.
func beyondTheLimit(t *testing.T, b *bench) {
	for name, o := range map[string]worker.Options{"rows": {Held: worker.HeldLimit{Rows: 5}}, "bytes": {Held: worker.HeldLimit{Bytes: 1000}}, "pieces": {BatchRows: 3, Held: worker.HeldLimit{Rows: 5}}} {
		t.Run(name, func(t *testing.T) {
			h, c := b.fresh(t)
			s, l := h.Open(t), newWritten()
			o.SpoolDir = t.TempDir()
			w := l.source(1, 1, shape("s1", "name string"))
			w.apply(change(event.Create, 1, "a"))
			w.become(2, shape("s1", "name string", "n int64"))
			a := apply(t, l, s, o)
			a.await(t, "s1", w.apply(change(event.Create, 2, "b", 2)))
			haltedBy(t, c, `new column "n": int64`)
			a.await(t, "s1", w.apply(many(50, 100, func(i int) event.Row { return change(event.Create, i, "c", i) })...))
			want := []string{"t|0|0|0|tributary table reread s1 xueji.pupil"}
			wait(t, "reread needed", func() bool {
				return slices.Equal(texts(t, c, "SELECT concat_ws('|', reread, held_rows, held_bytes, (SELECT count(*) FROM tributary.held), remedy) FROM tributary.table_state"), want)
			})
			if st := a.await(t, "s1", w.apply(change(event.Create, 3, "d", 3))); st.Skipped != 1 {
				t.Errorf("%d rows skipped, want the last one", st.Skipped)
			}
			if h := accept(t, s, "s1", "xueji.pupil"); !h.Reread {
				t.Errorf("accepted %+v", h)
			}
			begin := event.Load{Table: "xueji.pupil", Dataset: "pupil", Since: place1(w.at + 1), Sweep: true, Ordered: true}
			w.loads(begin)
			w.apply(change(event.Read, 2, "b", 2))
			end := begin
			end.Phase = event.LoadEnded
			a.await(t, "s1", w.loads(end))
			if got := pupils(t, c, "true"); fmt.Sprint(got) != `[{"n": 2, "id": 2, "name": "b"}]` {
				t.Errorf("after the load %q", got)
			}
			whole(t, c)
		})
	}
}

// endsBehindLarge: the end of a load is held, too, if a large transaction was the first whose
// rows had to be.
func endsBehindLarge(t *testing.T, b *bench) {
	h, c := b.fresh(t)
	s, l := h.Open(t), newWritten()
	w := l.source(1, 1, shape("s1", "name string"))
	w.apply(change(event.Create, 1, "a"))
	load := event.Load{Table: "xueji.pupil", Dataset: "pupil", Since: place1(w.at + 1)}
	w.loads(load)
	w.apply(change(event.Read, 1, "a"))
	w.become(2, shape("s1", "name string", "n int64"))
	w.apply(many(10, 100, func(i int) event.Row { return change(event.Create, i, "b", i) })...)
	load.Phase = event.LoadEnded
	at := w.loads(load)
	apply(t, l, s, worker.Options{SpoolDir: t.TempDir(), BatchRows: 3}).await(t, "s1", at)
	haltedBy(t, c, `new column "n": int64`)
	accept(t, s, "s1", "xueji.pupil")
	whole(t, c)
	if got := texts(t, c, "SELECT name || ' ' || count(*) FROM ods.pupil GROUP BY name ORDER BY name"); !slices.Equal(got, []string{"a 1", "b 10"}) {
		t.Errorf("rows %q", got)
	}
}

// haltedAndReread: a statement that changes a table's shape, and has all of it read again,
// stops it; nothing of the load is kept, and the order to read it again lets it go on.
func haltedAndReread(t *testing.T, b *bench) {
	for name, o := range map[string]worker.Options{"batches": {}, "pieces": {BatchRows: 7}} {
		t.Run(name, func(t *testing.T) {
			h, c := b.fresh(t)
			s, l := h.Open(t), newWritten()
			o.SpoolDir = t.TempDir()
			w := l.source(1, 1, shape("s1", "name string"))
			w.apply(change(event.Create, 1, "a"), change(event.Create, 2, "gone by now"))
			a := apply(t, l, s, o)
			load := event.Load{Table: "xueji.pupil", Dataset: "pupil", Since: place1(w.at + 1), Sweep: true}
			w.loads(load)
			w.become(2, shape("s1", "name string", "n int64"))
			w.apply(change(event.Update, 1, "b", 1)) // of the stream
			w.apply(many(50, 100, func(i int) event.Row { return change(event.Read, i, "r", i) })...)
			load.Phase = event.LoadEnded
			a.await(t, "s1", w.loads(load))
			haltedBy(t, c, `new column "n": int64`)
			want := []string{"halted|t|0|0|0|tributary table reread s1 xueji.pupil"}
			if got := texts(t, c, "SELECT concat_ws('|', state, reread, held_rows, held_bytes, (SELECT count(*) FROM tributary.held), remedy) FROM tributary.table_state"); !slices.Equal(got, want) {
				t.Errorf("state %q, want %q", got, want)
			}
			load = event.Load{Table: "xueji.pupil", Dataset: "pupil", Since: place1(w.at + 1), Sweep: true, Ordered: true}
			w.loads(load)
			w.apply(change(event.Read, 1, "b", 1))
			load.Phase = event.LoadEnded
			a.await(t, "s1", w.loads(load))
			if got := pupils(t, c, "true"); fmt.Sprint(got) != `[{"n": 1, "id": 1, "name": "b"}]` {
				t.Errorf("after the load %q", got)
			}
			whole(t, c)
			if err := a.stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// onlyWhatIsWanted: of what is held no more comes into a worker's memory than it asks for.
func onlyWhatIsWanted(t *testing.T, b *bench) {
	h, c := b.fresh(t)
	s := h.Open(t)
	if err := s.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	claim, _, err := s.Claim(t.Context(), place, "w")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), `INSERT INTO tributary.held (source, "table", position, "index", op, topic, schema_id, record, loading, sweep, committed_at, batch)
		SELECT 's1', 'xueji.pupil', $1, i, 'c', 't', 1, convert_to(repeat('x', 1 << 20), 'UTF8'), false, false, now(), 1 FROM generate_series(1, 100) i`, place1(1).String()); err != nil {
		t.Fatal(err)
	}
	for bytes, want := range map[int64]int{1: 1, 1 << 20: 1, 5 << 19: 2} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, more, err := s.Held(t.Context(), claim, "s1", "xueji.pupil", worker.HeldLimit{Rows: 1000, Bytes: bytes})
		runtime.ReadMemStats(&after)
		if err != nil || len(got) != want || !more || after.TotalAlloc-before.TotalAlloc > 20<<20 {
			t.Errorf("%d bytes: %d rows, more %t, with %d bytes, %v", bytes, len(got), more, after.TotalAlloc-before.TotalAlloc, err)
		}
	}
}

// acceptedLosses: what the store refuses of a change is followed once a person accepts it.
func acceptedLosses(t *testing.T, b *bench) {
	t.Run("two sources that don't go together", func(t *testing.T) {
		h, c := b.fresh(t)
		s, l := h.Open(t), newWritten()
		a := apply(t, l, s, worker.Options{SpoolDir: t.TempDir()})
		w1 := l.source(1, 1, shape("s1", "n int64"))
		a.await(t, "s1", w1.apply(change(event.Create, 1, 7)))
		w2 := l.source(1, 2, shape("s2", "n json"))
		load := event.Load{Table: "xueji.pupil", Dataset: "pupil", Since: place1(1)}
		w2.loads(load)
		w2.apply(change(event.Read, 1, "[1]"), change(event.Read, 2, nil))
		load.Phase = event.LoadEnded
		a.await(t, "s2", w2.loads(load))
		haltedBy(t, c, "is bigint for s1 xueji.pupil, wanted json")
		accept(t, s, "s2", "xueji.pupil")
		whole(t, c)
		a.await(t, "s1", w1.apply(many(150, 10, func(i int) event.Row { return change(event.Create, i, i) })...))
		w1.become(3, shape("s1", "n int64", "more string"))
		a.await(t, "s1", w1.apply(change(event.Update, 1, 8, "m")))
		a.await(t, "s2", w2.apply(many(150, 10, func(i int) event.Row { return change(event.Create, i, fmt.Sprint(i)) })...))
		if got := typesOf(t, c); got != "id bigint, more text, n text" {
			t.Errorf("columns %s", got)
		}
		if got := texts(t, c, "SELECT concat_ws('|', _source, id, n, more) FROM ods.pupil WHERE id < 11 ORDER BY _source, id"); !slices.Equal(got, []string{"s1|1|8|m", "s1|10|10", "s2|1|[1]", "s2|2", "s2|10|10"}) {
			t.Errorf("rows %q", got)
		}
		if got := texts(t, c, "SELECT error FROM tributary.table_state"); len(got) > 0 {
			t.Errorf("halted: %q", got)
		}
	})
	t.Run("narrowed, and another key", func(t *testing.T) {
		h, c := b.fresh(t)
		s, l := h.Open(t), newWritten()
		a := apply(t, l, s, worker.Options{SpoolDir: t.TempDir()})
		w := l.source(1, 1, shape("s1", "n int32"))
		w.apply(change(event.Create, 1, 70000), change(event.Create, 2, 2))
		narrow := shape("s1", "n int16")
		narrow.Key, narrow.Columns[0].Nullable = []int{1}, true
		w.become(2, narrow)
		a.await(t, "s1", w.apply(change(event.Update, 20, 2), change(event.Create, 3, 3)))
		haltedBy(t, c, `column "n": int32 → int16; key: (id) → (n)`)
		accept(t, s, "s1", "xueji.pupil")
		whole(t, c)
		if got := texts(t, c, "SELECT id || '|' || n FROM ods.pupil ORDER BY id"); !slices.Equal(got, []string{"1|70000", "3|3", "20|2"}) {
			t.Errorf("rows %q", got)
		}
		a.await(t, "s1", w.apply(change(event.Create, nil, 4))) // what was the key may be NULL now
		whole(t, c)
	})
}

// ignoredColumns: with the rule ignore new columns have no place in the store, which says
// so once; all else of their rows comes, whatever their number and way. What the store's
// columns have no room for halts the table, and accepting that follows all of the version.
func ignoredColumns(t *testing.T, b *bench) {
	for name, o := range map[string]worker.Options{"batches": {}, "pieces": {BatchRows: 7}} {
		for _, n := range []int{3, 150} {
			t.Run(fmt.Sprintf("%s of %d", name, n), func(t *testing.T) { h, c := b.fresh(t); ignored(t, h.Open(t), c, n, o) })
		}
	}
}

func ignored(t *testing.T, s worker.Store, c *pgx.Conn, n int, o worker.Options) {
	l := newWritten()
	o.SpoolDir = t.TempDir()
	w := l.source(1, 1, shape("s1", "name string", "n int32"))
	w.apply(many(n, 0, func(i int) event.Row { return change(event.Create, i, "a", i) })...)
	wide := &schema.Table{}
	*wide = *shape("s1", "more string", "name string", "n int32", "last string")
	wide.Columns[0], wide.Columns[1], wide.Key = wide.Columns[1], wide.Columns[0], []int{1} // a left out one before the key
	w.become(2, wide)
	w.apply(many(n, 0, func(i int) event.Row { return change(event.Update, "m", i, "b", i+1, "l") })...)
	w.rows(n, func(i int) event.Row { return change(event.Create, "m", 1000+i, "c", i, "l") })
	at := w.commit(n)
	a := apply(t, l, s, o)
	a.await(t, "s1", at)
	if got := typesOf(t, c); got != "id bigint, n integer, name text" {
		t.Errorf("columns %s", got)
	}
	if got := texts(t, c, "SELECT concat_ws('|', count(*), name, count(*) FILTER (WHERE n = id + 1 OR n = id - 1000)) FROM ods.pupil GROUP BY name ORDER BY name"); !slices.Equal(got, []string{fmt.Sprintf("%d|b|%d", n, n), fmt.Sprintf("%d|c|%d", n, n)}) {
		t.Errorf("rows %q", got)
	}
	left := func() {
		t.Helper()
		wait(t, "the worker says what is left out", func() bool {
			all, _ := a.Status()
			return slices.Equal(all["s1"].LeftOut["xueji.pupil"], []string{"more", "last"})
		})
		if got := texts(t, c, "SELECT code || ' ' || detail FROM tributary.anomaly"); !slices.Equal(got, []string{"COLUMNS_LEFT_OUT more, last"}) {
			t.Errorf("told: %q", got)
		}
	}
	left()
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	a = apply(t, l, s, o)
	left() // before anything comes, and not as something new
	a.await(t, "s1", w.apply(change(event.Update, "m", 1, "d", 5, nil), change(event.Delete, "m", 2, "b", 3, nil)))
	if got := pupils(t, c, "id BETWEEN 1 AND 2"); fmt.Sprint(got) != `[{"n": 5, "id": 1, "name": "d"}]` {
		t.Errorf("rows %q", got)
	}
	left()
	w.become(3, shape("s1", "name string", "n int64", "more string"))
	a.await(t, "s1", w.apply(change(event.Update, 1, "e", 1<<40, "m")))
	haltedBy(t, c, `column "n" of the store's table "ods"."pupil" is integer, wanted bigint`)
	accept(t, s, "s1", "xueji.pupil")
	whole(t, c)
	if got := pupils(t, c, "id = 1"); fmt.Sprint(got) != fmt.Sprintf(`[{"n": %d, "id": 1, "more": "m", "name": "e"}]`, 1<<40) {
		t.Errorf("accepted: %q", got)
	}
	wait(t, "nothing is left out any more", func() bool { all, _ := a.Status(); return len(all["s1"].LeftOut) == 0 })
}
