package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestStop: what is under way is finished; a store that answers nothing holds a stop
// for no longer than its time limit.
func TestStop(t *testing.T) {
	bench := &bench{db: servers.Postgres(t, nil)}
	h, c := bench.fresh(t)
	link := servers.NewLink(t, fmt.Sprintf("127.0.0.1:%d", bench.db.Port))
	store, err := postgres.New(postgres.Options{Host: "127.0.0.1", Port: uint16(link.Port()), Database: c.Config().Database, User: bench.db.User, Password: bench.db.Password})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() }) // its connections may be broken
	l := newWritten()
	a := l.source(1, 1, named("330106-a"))
	// held lets the test's lock keep a batch from ending, and returns once it does.
	held := func(f func()) (free func()) {
		lock, err := c.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := lock.Exec(t.Context(), "LOCK TABLE ods.student IN SHARE MODE"); err != nil {
			t.Fatal(err)
		}
		f()
		for waiting := 0; waiting == 0; {
			if err := lock.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE NOT granted").Scan(&waiting); err != nil {
				t.Fatal(err)
			}
		}
		return func() {
			if err := lock.Rollback(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
	w := apply(t, l, h.Open(t), worker.Options{StopTimeout: time.Minute})
	w.await(t, a.table.Source, a.apply(insert(1, "a", "")))
	free := held(func() { a.apply(insert(2, "a", "")) })
	w.ask()
	free()
	if err := w.stop(); err != nil || count(t, c, a.table.Source) != 2 {
		t.Errorf("stopped with %v and %d rows, want the batch that was under way", err, count(t, c, a.table.Source))
	}
	const limit = time.Second
	for name, silent := range map[string]bool{"a lock": false, "silence": true} {
		w = apply(t, l, store, worker.Options{StopTimeout: limit})
		w.await(t, a.table.Source, a.apply(insert(int64(10*len(name)), "a", "")))
		free = held(func() { a.apply(insert(int64(10*len(name)+1), "a", "")) })
		if silent {
			link.Silence()
		}
		begin := time.Now()
		if err := w.stop(); err != nil {
			t.Error(err)
		}
		_ = store.Close() // what a process does at its end
		if d := time.Since(begin); d > limit+limit/2 {
			t.Errorf("%s holds a stop for %s", name, d)
		}
		link.Heal()
		free()
	}
	w = apply(t, l, h.Open(t), worker.Options{})
	w.await(t, a.table.Source, a.apply(insert(3, "a", "")))
	if n := count(t, c, a.table.Source); n != 7 {
		t.Errorf("%d rows, want 7", n)
	}
}
