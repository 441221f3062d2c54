package postgres_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/sinks/sinktest"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

// unknownToStatistics: the planner believes that the source has no row, and must look up
// each staged row all the same, not all staged ones for each of the table's.
func unknownToStatistics(t *testing.T, s worker.Store, c *pgx.Conn) {
	const n = 1000
	claim := claimed(t, s)
	rows := func(update bool) []worker.NetRow {
		all := make([]worker.NetRow, n)
		for i := range all {
			key := event.Signed(int64(i))
			all[i] = worker.NetRow{New: !update, Values: []event.Value{key, event.NullValue, event.NullValue}}
			if update {
				all[i].Base = []event.Value{key}
			}
		}
		return all
	}
	var table *schema.Table
	for _, source := range []string{"330106-old", "330106-new"} {
		table = sinktest.Table()
		table.Source = source
		if _, err := s.EnsureTable(t.Context(), claim, table); err != nil {
			t.Fatal(err)
		}
		if err := s.Apply(t.Context(), one(claim, table, 1, rows(false)...)); err != nil {
			t.Fatal(err)
		}
		if source == "330106-old" {
			if _, err := c.Exec(t.Context(), "VACUUM ANALYZE ods.student"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Apply(t.Context(), one(claim, table, 2, rows(true)...)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil { // the server counts it at the latest now
		t.Fatal(err)
	}
	limit, tick := time.After(30*time.Second), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		scans := texts(t, c, "SELECT CASE WHEN idx_scan >= 1000 THEN 'each' ELSE idx_scan::text END FROM pg_stat_user_indexes WHERE indexrelname = 'student_pkey'")[0]
		if scans == "each" {
			return
		}
		select {
		case <-limit:
			t.Fatalf("%s look-ups of %d rows", scans, n)
		case <-tick.C:
		}
	}
}
