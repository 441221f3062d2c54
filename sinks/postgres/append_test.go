package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/servers"
)

// held tells what a table without a key holds by its log: rows that came, less those
// that went, since the last truncate.
const held = `SELECT concat_ws('|', id, name, note, sum(CASE WHEN _op IN ('c', 'r', 'u') THEN 1 ELSE -1 END)) FROM ods.student s
	WHERE NOT EXISTS (SELECT FROM ods.student t WHERE t._op = 't' AND (t._position, t._order) > (s._position, s._order)) AND _op <> 't'
	GROUP BY id, name, note HAVING sum(CASE WHEN _op IN ('c', 'r', 'u') THEN 1 ELSE -1 END) <> 0`

// TestAppendMode keeps a table without a key as the log of its changes, beside a source
// with a key in the same batches, whatever the way of writing, and over a restart.
func TestAppendMode(t *testing.T) {
	bench := &bench{db: servers.Postgres(t, nil)}
	for name, o := range map[string]worker.Options{"batches": {}, "pieces": {BatchRows: 60, SpoolBytes: 64 << 10}} {
		t.Run(name, func(t *testing.T) {
			h, c := bench.fresh(t)
			l := newWritten()
			o.SpoolDir = t.TempDir()
			keyless := named("330106-a")
			keyless.Append, keyless.Key = true, nil
			keyed := named("330108-b")
			keyed.Dataset = "keyed"
			a, b := l.source(1, 1, keyless), l.source(2, 2, keyed)
			rng := rand.New(rand.NewPCG(7, 7))
			var rows [][]event.Value // of the source, equal ones included
			records := 0
			for txn := range 30 {
				n := 0
				for range 1 + rng.IntN(100) {
					var row event.Row
					fresh := insert(int64(rng.IntN(4)), fmt.Sprint(rng.IntN(3)), "n").After
					switch k := rng.IntN(10); {
					case k < 5 || len(rows) == 0:
						row = event.Row{Op: event.Create, After: fresh}
						rows = append(rows, fresh)
					case k < 8:
						i := rng.IntN(len(rows))
						row = event.Row{Op: event.Update, Before: rows[i], After: fresh}
						rows[i] = fresh
						records++
					default:
						i := rng.IntN(len(rows))
						row = event.Row{Op: event.Delete, Before: rows[i]}
						rows = slices.Delete(rows, i, i+1)
					}
					a.rows(1, func(int) event.Row { return row })
					n++
				}
				if txn == 9 || txn == 20 {
					a.truncate()
					rows, n = nil, n+1
				}
				a.commit(n)
				records += n
				if txn == 0 {
					b.apply(insert(1, "x", "0"))
				}
				b.apply(update(1, fmt.Sprint(txn)), update(1, fmt.Sprint(txn, "!")))
			}
			w := apply(t, l, h.Open(t), o)
			w.await(t, a.table.Source, a.last)
			if err := w.stop(); err != nil {
				t.Fatal(err)
			}
			w = apply(t, l, h.Open(t), o)
			a.apply(insert(9, "after", "n"))
			rows, records = append(rows, insert(9, "after", "n").After), records+1
			w.await(t, a.table.Source, a.last)
			w.await(t, b.table.Source, b.last)
			counts := map[string]int{}
			for _, r := range rows {
				counts[fmt.Sprintf("%d|%s|%s", r[0].Int(), r[1].B, r[2].B)]++
			}
			var want []string
			for r, n := range counts {
				want = append(want, fmt.Sprint(r, "|", n))
			}
			slices.Sort(want)
			got := texts(t, c, held)
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("the log holds %q, want %q", got, want)
			}
			if n := count(t, c, a.table.Source); n != records {
				t.Errorf("%d rows of the log, want %d", n, records)
			}
			if got := texts(t, c, "SELECT concat_ws('|', name, note) FROM ods.keyed"); !slices.Equal(got, []string{"x|29!"}) {
				t.Errorf("the table with a key holds %q", got)
			}
			if got := texts(t, c, "SELECT code FROM tributary.anomaly"); len(got) > 0 {
				t.Errorf("anomalies %q", got)
			}
		})
	}
}

// TestAppendModeQuarantine: a row that the store refuses is kept apart alone.
func TestAppendModeQuarantine(t *testing.T) {
	bench := &bench{db: servers.Postgres(t, nil)}
	for name, o := range map[string]worker.Options{"batches": {}, "pieces": {BatchRows: 2, SpoolBytes: 64 << 10}} {
		t.Run(name, func(t *testing.T) {
			h, c := bench.fresh(t)
			l := newWritten()
			o.SpoolDir = t.TempDir()
			table := named("330106-a")
			table.Append, table.Key = true, nil
			a := l.source(1, 1, table)
			w := apply(t, l, h.Open(t), o)
			w.await(t, table.Source, a.apply(insert(1, "a", "")))
			sql(t, c, "ALTER TABLE ods.student ADD CHECK (name <> 'bad')")
			good, bad := insert(1, "a", "").After, insert(1, "bad", "").After
			a.rows(1, func(int) event.Row { return event.Row{Op: event.Create, After: bad} })
			a.rows(1, func(int) event.Row { return event.Row{Op: event.Create, After: good} })
			a.rows(1, func(int) event.Row { return event.Row{Op: event.Update, Before: bad, After: good} })
			a.rows(1, func(int) event.Row { return event.Row{Op: event.Update, Before: good, After: good} })
			st := w.await(t, table.Source, a.commit(4))
			if st.Keys != 2 || st.Quarantined != 2 {
				t.Errorf("status %+v, want 2 rows", st)
			}
			want := []string{"0|c|a", "1|c|a", "2|u|a", "3|b|a", "3|u|a"}
			if got := texts(t, c, `SELECT concat_ws('|', _order, _op, name) x FROM ods.student ORDER BY _position, _order, _op`); !slices.Equal(got, want) {
				t.Errorf("stored %q, want %q", got, want)
			}
			at := a.last.String()
			s, ok := h.Open(t).(*postgres.Store)
			if !ok {
				t.Fatal("another store")
			}
			if found, err := s.Trace(t.Context(), "student", []string{at, "3", "b"}); err != nil || len(found) != 1 || found[0].Op != "b" || found[0].Position != a.last {
				t.Errorf("traced %+v, %v", found, err)
			}
			want = []string{fmt.Sprintf(`["%s", 0, "c"] c 23514`, at), fmt.Sprintf(`["%s", 2, "b"] b 23514`, at)}
			if got := texts(t, c, `SELECT concat_ws(' ', key::jsonb, op, code) FROM tributary.quarantine ORDER BY key::text`); !slices.Equal(got, want) {
				t.Errorf("quarantine %q, want %q", got, want)
			}
		})
	}
}
