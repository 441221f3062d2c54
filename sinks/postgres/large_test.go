package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/sinks/sinktest"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/servers"
)

// spoolIsEmpty says so even while files are in use: they have no name.
func spoolIsEmpty(t *testing.T, dir string) {
	t.Helper()
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("the spool folder holds %q, %v", left, err)
	}
}

func named(source string) *schema.Table {
	t := sinktest.Table()
	t.Source = source
	return t
}

func insert(id int64, name, note string) event.Row {
	return event.Row{Op: event.Create, After: []event.Value{event.Signed(id), event.Raw([]byte(name)), event.Raw([]byte(note))}}
}

// peak follows the heap while the test runs.
func peak(t *testing.T) func() uint64 {
	var most uint64
	quit := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		var m runtime.MemStats
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapInuse)
			}
		}
	})
	once := sync.OnceValue(func() uint64 { close(quit); done.Wait(); return most })
	t.Cleanup(func() { once() })
	return once
}

// TestAttack13GiantAndSmall: a transaction of A of LARGE_ROWS rows (1,000,000 take half a
// minute) comes among transactions of B. It fits no memory bound, B goes on while it is
// written, and nobody sees half of it.
func TestAttack13GiantAndSmall(t *testing.T) {
	rows := 100_000
	if s := os.Getenv("LARGE_ROWS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		rows = n
	}
	bench := &bench{db: servers.Postgres(t, map[string]string{"max_wal_size": "4GB"})}
	h, c := bench.fresh(t)
	heap := peak(t)
	wide := benchTable()
	l, dir := newWritten(), t.TempDir()
	a, b := l.source(1, 1, wide), l.source(2, 2, named("330108-b"))
	w := apply(t, l, h.Open(t), worker.Options{SpoolDir: dir, SpoolBytes: 4 << 20, BatchRows: 5000})
	const per = 1000
	for n := 0; n < rows; n += per {
		a.rows(min(per, rows-n), func(i int) event.Row {
			return event.Row{Op: event.Create, After: benchRow(rand.New(rand.NewPCG(uint64(n+i), 1)), int64(n+i))}
		})
		if n%(per*10) == 0 {
			w.await(t, b.table.Source, b.apply(insert(int64(n), "b", "while A grows")))
		}
	}
	spoolIsEmpty(t, dir)
	begin := time.Now()
	giant := a.commit(rows)
	follows := a.apply(event.Row{Op: event.Delete, Before: append([]event.Value{event.Signed(0)}, make([]event.Value, len(wide.Columns)-1)...)})
	var lags []time.Duration
	halves := 0
	for n := int64(0); ; n++ {
		sent := time.Now()
		w.await(t, b.table.Source, b.apply(insert(1_000_000_000+n, "b", "while A is written")))
		lags = append(lags, time.Since(sent))
		all, _ := w.Status()
		if all[wide.Source].Applied.Compare(giant) >= 0 {
			break
		}
		if n%20 == 0 {
			if got := count(t, c, wide.Source); got != 0 && got < rows-1 {
				halves++
			}
		}
	}
	took := time.Since(begin)
	w.await(t, wide.Source, follows)
	if got := count(t, c, wide.Source); got != rows-1 || halves > 0 {
		t.Errorf("%d rows of A, want %d; half of them were seen %d times", got, rows-1, halves)
	}
	if err := w.stop(); err != nil {
		t.Error(err)
	}
	spoolIsEmpty(t, dir)
	slices.Sort(lags)
	top, most := lags[len(lags)-1], heap()
	t.Logf("%d rows in %s; B meanwhile: %d transactions, p50 %s, at most %s; heap at most %d MiB", rows, took.Round(time.Millisecond), len(lags), lags[len(lags)/2], top, most>>20)
	if top > 10*time.Second {
		t.Errorf("B waited %s for A", top)
	}
	if most > 96<<20 {
		t.Errorf("heap of %d MiB", most>>20)
	}
}

func count(t *testing.T, c *pgx.Conn, source string) int {
	t.Helper()
	n, err := strconv.Atoi(texts(t, c, fmt.Sprintf("SELECT count(*)::text FROM ods.student WHERE _source = '%s'", source))[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func update(id int64, note string) event.Row {
	return event.Row{Op: event.Update, Before: []event.Value{event.Signed(id), {}, {}}, After: []event.Value{event.Signed(id), {}, event.Raw([]byte(note))}}
}

// TestAttack12RestartWhileOpen: A's transaction begins, B commits beyond it, and the
// worker ends: while A is open, and while A is being written.
func TestAttack12RestartWhileOpen(t *testing.T) {
	bench := &bench{db: servers.Postgres(t, nil)}
	h, c := bench.fresh(t)
	l := newWritten()
	a, b := l.source(1, 1, named("330106-a")), l.source(2, 2, named("330108-b"))
	o := worker.Options{SpoolDir: t.TempDir(), SpoolBytes: 64 << 10, BatchRows: 500, StopTimeout: time.Millisecond}
	const rows = 20_000
	w := apply(t, l, h.Open(t), o)
	a.rows(rows/2, func(i int) event.Row { return insert(int64(i), "a", "first half") })
	w.await(t, b.table.Source, b.apply(insert(1, "b", "")))
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	w = apply(t, l, h.Open(t), o)
	a.rows(rows/2, func(i int) event.Row { return insert(int64(rows/2+i), "a", "second half") })
	lock, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.await(t, b.table.Source, b.apply(insert(2, "b", "")))
	// The lock lets nobody write into the table; A is held within its pieces.
	if _, err := lock.Exec(t.Context(), "LOCK TABLE ods.student IN SHARE MODE"); err != nil {
		t.Fatal(err)
	}
	giant := a.commit(rows)
	for waiting := 0; waiting == 0; {
		if err := lock.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE NOT granted").Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	if err := lock.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := count(t, c, a.table.Source); got != 0 {
		t.Errorf("%d rows of A after a stop in its middle", got)
	}
	w = apply(t, l, h.Open(t), o)
	w.await(t, a.table.Source, giant)
	w.await(t, b.table.Source, b.apply(insert(3, "b", "")))
	if na, nb := count(t, c, a.table.Source), count(t, c, b.table.Source); na != rows || nb != 3 {
		t.Errorf("%d rows of A, %d of B; want %d and 3", na, nb, rows)
	}
	if got := texts(t, c, "SELECT concat_ws(' ', source, sum(transactions), sum(rows)) FROM tributary.batch b JOIN tributary.batch_source s ON s.batch = b.id GROUP BY source ORDER BY 1"); !slices.Equal(got,
		[]string{fmt.Sprintf("330106-a 1 %d", rows), "330108-b 3 3"}) {
		t.Errorf("batches %q", got)
	}
}

// TestOrderAroundLargeTransactions: what follows a large transaction of its source waits
// for it, in order, on disk if need be, and another large one after that.
func TestOrderAroundLargeTransactions(t *testing.T) {
	bench := &bench{db: servers.Postgres(t, nil)}
	h, c := bench.fresh(t)
	l := newWritten()
	a := l.source(1, 1, named("330106-a"))
	const rows, follow = 6000, 2000
	a.rows(rows, func(i int) event.Row { return insert(int64(i), "a", "0") })
	a.commit(rows)
	for n := range follow {
		a.apply(update(int64(n%7), strconv.Itoa(n)), update(8, strconv.Itoa(n)))
	}
	// Every key moves on by one, then every second one goes: pieces meet pieces' rows.
	a.rows(2*rows, func(i int) event.Row {
		if i >= rows {
			id := int64(2 * (i - rows))
			return event.Row{Op: event.Delete, Before: []event.Value{event.Signed(id % (2 * rows)), {}, {}}}
		}
		id := int64(rows - 1 - i)
		return event.Row{Op: event.Update, Before: []event.Value{event.Signed(id), {}, {}}, After: []event.Value{event.Signed(id + 1), event.Raw([]byte("moved")), {}}}
	})
	a.commit(2 * rows)
	last := a.apply(update(7, "the end"))
	w := apply(t, l, h.Open(t), worker.Options{SpoolDir: t.TempDir(), SpoolBytes: 64 << 10, BatchRows: 500})
	w.await(t, a.table.Source, last)
	if err := w.stop(); err != nil {
		t.Error(err)
	}
	if got := count(t, c, a.table.Source); got != rows/2 {
		t.Errorf("%d rows, want %d", got, rows/2)
	}
	want := []string{"1|moved|1995", "3|moved|1997", "5|moved|1999", "7|moved|the end", "9|moved|1999", "11|moved|0"}
	if got := texts(t, c, "SELECT concat_ws('|', id, name, note) FROM ods.student ORDER BY id LIMIT 6"); !slices.Equal(got, want) {
		t.Errorf("rows %q, want %q", got, want)
	}
	if got := texts(t, c, "SELECT from_position FROM (SELECT from_position, lag(to_position) OVER (PARTITION BY source ORDER BY batch) p FROM tributary.batch_source) x WHERE from_position <> p"); len(got) > 0 {
		t.Errorf("batches that don't begin where the one of the id before ended: %q", got)
	}
	spooled := texts(t, c, "SELECT concat_ws(' ', transactions, rows) FROM tributary.batch WHERE rows >= 1000 ORDER BY id")
	if !slices.Equal(spooled, []string{"1 6000", "1 12000"}) {
		t.Errorf("batches of more than 999 rows: %q", spooled)
	}
}

// TestLargeBehindAFewInABacklog: while a backlog is read, the few rows before a large
// transaction fill no group; they come before it all the same.
func TestLargeBehindAFewInABacklog(t *testing.T) {
	bench := &bench{db: servers.Postgres(t, nil)}
	h, c := bench.fresh(t)
	l := newWritten()
	a := l.source(1, 1, named("330106-a"))
	fat, all := strings.Repeat("x", 500), 0
	var last event.Position
	for n, batches := range []int{1, 100} { // the second transaction is still read when the first one is in the store
		a.apply(insert(int64(n), "few", ""))
		for range batches {
			first := 10 + all
			a.rows(1000, func(i int) event.Row { return insert(int64(first+i), "many", fat) })
			all += 1000
		}
		last = a.commit(1000 * batches)
	}
	w := apply(t, l, h.Open(t), worker.Options{SpoolDir: t.TempDir(), SpoolBytes: 64 << 10, BatchRows: 500})
	w.await(t, a.table.Source, last)
	if got := texts(t, c, "SELECT concat_ws(' ', name, count(*)) FROM ods.student GROUP BY name ORDER BY 1"); !slices.Equal(got, []string{"few 2", fmt.Sprint("many ", all)}) {
		t.Errorf("rows %q", got)
	}
	if got := texts(t, c, "SELECT rows::text FROM tributary.batch ORDER BY id"); !slices.Equal(got, []string{"1", "1000", "1", "100000"}) {
		t.Errorf("batches of %q rows", got)
	}
	if got := texts(t, c, "SELECT fence::text FROM tributary.claim"); !slices.Equal(got, []string{"1"}) {
		t.Errorf("the worker began anew: claims %q", got)
	}
}
