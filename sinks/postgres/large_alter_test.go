package postgres_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestAttack13AlteredBesideAGiant: while a large transaction of A is being written, B brings
// a version that alters the table which A holds. B isn't left in the table's queue, where
// everybody would wait behind it: C goes on in the same table. Once A is done B's rows come in
// their order, and nobody began anew.
func TestAttack13AlteredBesideAGiant(t *testing.T) {
	bench := &bench{db: servers.Postgres(t, nil)}
	h, conn := bench.fresh(t)
	l := newWritten()
	a, b, c := l.source(1, 1, named("330106-a")), l.source(2, 2, named("330108-b")), l.source(3, 3, named("330109-c"))
	w := apply(t, l, h.Open(t), worker.Options{SpoolDir: t.TempDir(), SpoolBytes: 64 << 10, BatchRows: 500})
	w.await(t, a.table.Source, a.apply(insert(1, "a", "held")))
	w.await(t, b.table.Source, b.apply(insert(1, "b", "")))
	person, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := person.Exec(t.Context(), "SELECT FROM ods.student WHERE _source = $1 FOR UPDATE", a.table.Source); err != nil {
		t.Fatal(err)
	}
	const rows = 5000
	a.rows(1, func(int) event.Row { return update(1, "written") })
	a.rows(rows, func(i int) event.Row { return insert(int64(10+i), "a", "") })
	giant := a.commit(1 + rows)
	for waiting := 0; waiting == 0; { // A holds the table, and waits for the row
		if err := person.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE NOT granted").Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	altering := func(want int) { // how many wait for the table alone
		t.Helper()
		for n := -1; n != want; {
			if err := person.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock' AND relation = 'ods.student'::regclass").Scan(&n); err != nil {
				t.Fatal(err)
			}
		}
	}
	more := named("330108-b")
	more.Columns = append(slices.Clone(more.Columns), schema.Column{Name: "born", Type: schema.Type{Kind: schema.String}, Nullable: true})
	b.become(4, more)
	altered := b.apply(event.Row{Op: event.Create, After: append(insert(2, "b", "").After, event.Raw([]byte("2012-09-01")))})
	altering(1)
	altering(0)
	for n := range int64(20) {
		w.await(t, c.table.Source, c.apply(insert(n, "c", "")))
		altered = b.apply(event.Row{Op: event.Update, Before: []event.Value{event.Signed(2), {}, {}, {}}, After: []event.Value{event.Signed(2), event.Raw(fmt.Append(nil, n)), {}, {}}})
	}
	if all, _ := w.Status(); all[a.table.Source].Applied.Compare(giant) >= 0 || all[b.table.Source].Applied.Compare(altered) >= 0 {
		t.Error("A wasn't held, or B didn't need what A holds")
	}
	if err := person.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.await(t, a.table.Source, giant)
	w.await(t, b.table.Source, altered)
	got := texts(t, conn, "SELECT concat_ws(' ', _source, count(*), max(born), max(name) FILTER (WHERE id = 2)) FROM ods.student GROUP BY _source ORDER BY 1")
	if want := []string{fmt.Sprint("330106-a ", rows+1), "330108-b 2 2012-09-01 19", "330109-c 20 c"}; !slices.Equal(got, want) {
		t.Errorf("stored %q, want %q", got, want)
	}
	if got := texts(t, conn, "SELECT fence::text FROM tributary.claim"); !slices.Equal(got, []string{"1"}) {
		t.Errorf("the worker began anew: claims %q", got)
	}
}
