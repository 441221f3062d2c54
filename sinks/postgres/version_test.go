package postgres_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestAttack29NewVersionInsideATransaction: a transaction has rows of one form, then of
// another that has a column more, among them rows of the first form that are changed. It
// is applied whole, in one batch, by each way of writing and to each target.
func TestAttack29NewVersionInsideATransaction(t *testing.T) {
	b := &bench{db: servers.Postgres(t, nil)}
	for _, target := range []postgres.Target{postgres.TargetDataset, postgres.TargetMirror} {
		for _, way := range []struct {
			name    string
			rows    int64 // of each form
			options worker.Options
		}{{"statements", 3, worker.Options{}}, {"copy", 500, worker.Options{}}, {"pieces", 2000, worker.Options{BatchRows: 100, SpoolBytes: 64 << 10}}} {
			t.Run(fmt.Sprintf("%s, %s", target, way.name), func(t *testing.T) {
				h, c := b.laid(t, target, nil)
				old := named("330106-a")
				more := named("330106-a")
				more.Columns = append(slices.Clone(more.Columns), schema.Column{Name: "born", Type: schema.Type{Kind: schema.String}, Nullable: true})
				l := newWritten()
				a := l.source(1, 1, old)
				l.tables[2] = more
				a.enc.BindTable(more, 2)
				way.options.SpoolDir = t.TempDir()
				w := apply(t, l, h.Open(t), way.options)
				w.await(t, old.Source, a.apply(insert(1, "first", "")))

				stop, halves := make(chan struct{}), 0
				var polling sync.WaitGroup
				table := map[postgres.Target]string{postgres.TargetDataset: "ods.student", postgres.TargetMirror: `"330106-a".student`}[target]
				poll := connect(t, b.db.In(c.Config().Database))
				polling.Go(func() {
					tick := time.NewTicker(time.Millisecond)
					defer tick.Stop()
					for {
						select {
						case <-stop:
							return
						case <-tick.C:
						}
						var n int64
						if err := poll.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil || n != 1 && n != 1+2*way.rows {
							t.Errorf("a poll sees %d rows, %v", n, err)
							halves++
							return
						}
					}
				})
				n := int(way.rows)
				a.rows(n, func(i int) event.Row { return insert(int64(10+i), "old form", "") })
				a.table, a.id = more, 2
				a.rows(n, func(i int) event.Row {
					return event.Row{Op: event.Create, After: append(insert(int64(100_000+i), "new form", "").After, event.Raw([]byte("2012-09-01")))}
				})
				a.rows(n, func(i int) event.Row { // rows of this transaction's first form
					key := event.Signed(int64(10 + i))
					return event.Row{Op: event.Update, Before: []event.Value{key, {}, {}, {}}, After: []event.Value{key, event.Raw([]byte("changed")), {}, event.Raw([]byte("x"))}}
				})
				w.await(t, old.Source, a.commit(3*n))
				close(stop)
				polling.Wait()
				got := texts(t, c, "SELECT concat_ws(' ', name, coalesce(born, '-'), count(*), count(DISTINCT _batch)) FROM "+table+" GROUP BY name, born ORDER BY 1")
				want := []string{fmt.Sprintf("changed x %d 1", n), "first - 1 1", fmt.Sprintf("new form 2012-09-01 %d 1", n)}
				if !slices.Equal(got, want) || halves > 0 {
					t.Errorf("stored %q, want %q", got, want)
				}
				if got := texts(t, c, "SELECT concat_ws(' ', transactions, rows, (SELECT cardinality(versions) FROM tributary.batch_source WHERE batch = id)) FROM tributary.batch ORDER BY id"); !slices.Equal(got, []string{"1 1 1", fmt.Sprint("1 ", 3*n, " 2")}) {
					t.Errorf("batches %q", got)
				}
			})
		}
	}
}
