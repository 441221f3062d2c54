package postgres_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/sinks/sinktest"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

// viewed asks a store what a page shows, before there is anything, afterwards, and
// after its connection was ended.
func viewed(t *testing.T, s worker.Store, c *pgx.Conn) {
	v := s.(*postgres.Store).Viewer()
	if _, err := v.Recent(t.Context(), 5, nil); err == nil || !strings.Contains(err.Error(), "tributary.batch") {
		t.Errorf("a store that no worker has prepared: %v", err)
	}
	if _, err := v.Complete(t.Context()); !errors.Is(err, postgres.ErrNotShown) {
		t.Errorf("up to when a store that no worker has prepared is complete: %v", err)
	}
	if _, err := v.Troubles(t.Context()); !errors.Is(err, postgres.ErrNotShown) {
		t.Errorf("what a store that no worker has prepared keeps apart: %v", err)
	}
	claim, table := claimed(t, s), sinktest.Table()
	if _, err := s.EnsureTable(t.Context(), claim, table); err != nil {
		t.Fatal(err)
	}
	if got, err := v.Recent(t.Context(), 5, nil); err != nil || len(got) != 0 {
		t.Errorf("an empty store: %+v, %v", got, err)
	}
	for n := range uint64(4) {
		row := worker.NetRow{New: true, Values: []event.Value{event.Signed(int64(n)), event.NullValue, event.NullValue}}
		b := one(claim, table, n+1, row)
		b.First, b.Last, b.Topics = 10, 12, "t"
		st := &b.Steps[0]
		st.Txns, st.TxnID = 1, "txn"
		st.Ends = []worker.End{{Position: st.To, TxnID: "txn", Commit: 12, Rows: 1}}
		if err := s.Apply(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	look := func(when string) {
		t.Helper()
		got, err := v.Recent(t.Context(), 3, nil)
		if err != nil || len(got) != 3 || got[0].Batch <= got[1].Batch || got[0].From != got[1].To || got[0].Rows != 1 || got[0].Position != got[0].To || got[0].Offset != 12 ||
			got[0].Source != table.Source || got[0].TxnID != "txn" || got[0].Partition != place.String() || got[0].Applied.IsZero() {
			t.Errorf("%s: %+v, %v", when, got, err)
		}
		sets, err := v.Datasets(t.Context(), nil)
		if err != nil || len(sets) != 1 || sets[0].Name != table.Dataset || !slices.Equal(sets[0].Key, []string{"id"}) {
			t.Errorf("%s: %+v, %v", when, sets, err)
		}
		for topic, want := range map[string]int{place.Topic: 3, "tributary.other.changes": 0} {
			if got, err := v.Recent(t.Context(), 3, []string{topic}); err != nil || len(got) != want {
				t.Errorf("%s: %d batches of %s, want %d: %v", when, len(got), topic, want, err)
			}
			if sets, err := v.Datasets(t.Context(), []string{topic}); err != nil || len(sets) != min(1, want) {
				t.Errorf("%s: %d tables of %s: %v", when, len(sets), topic, err)
			}
		}
		shares, err := v.Complete(t.Context())
		if err != nil || len(shares) != 1 || shares[0].Dataset != table.Dataset || shares[0].Source != table.Source || shares[0].Until != nil || shares[0].HeldBy != nil {
			t.Errorf("%s: %+v, %v", when, shares, err)
		}
		if troubles, err := v.Troubles(t.Context()); err != nil || len(troubles) != 0 {
			t.Errorf("%s: %+v, %v", when, troubles, err)
		}
		found, err := v.Trace(t.Context(), table.Dataset, []string{"3"})
		if err != nil || len(found) != 1 || found[0].Batch.ID != got[0].Batch {
			t.Errorf("%s: %+v, %v", when, found, err)
		}
	}
	look("at first")
	backends := texts(t, c, "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE application_name = 'tributary-view' AND datname = current_database()")
	if len(backends) != 1 {
		t.Fatalf("%d connections of the viewer", len(backends))
	}
	for range 2 { // the first question after it may fail, no later one
		if _, err := v.Recent(t.Context(), 1, nil); err == nil {
			break
		}
	}
	look("on a new connection")
	if got := texts(t, c, "SELECT count(*)::text FROM pg_stat_activity WHERE application_name = 'tributary-view' AND datname = current_database()"); got[0] != "1" {
		t.Errorf("%s connections of the viewer", got[0])
	}
	if _, err := c.Exec(t.Context(), `INSERT INTO tributary.table_state (source, "table", state, since_position, error, batch, held_rows) VALUES ($1, 'a.b', 'halted', '', '', 1, 5), ($1, 'a.c', 'halted', '', '', 1, 2)`, table.Source); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), `INSERT INTO tributary.anomaly (batch, source, dataset, code, rows, first_position, detail) VALUES (1, $1, 'x', 'ROW_MISSING', 3, '', '')`, table.Source); err != nil {
		t.Fatal(err)
	}
	if troubles, err := v.Troubles(t.Context()); err != nil || len(troubles) != 1 || troubles[0] != (postgres.Trouble{Source: table.Source, Held: 7, Anomalies: 3}) {
		t.Errorf("%+v, %v", troubles, err)
	}
	if err := v.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
