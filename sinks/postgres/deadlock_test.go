package postgres_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/sinks/sinktest"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

// deadlocked has a person's transaction lock two tables in the other order. The server ends
// the batch: it is to be tried again, and then takes effect once.
func deadlocked(t *testing.T, s worker.Store, c *pgx.Conn) {
	claim := claimed(t, s)
	batch := one(claim, sinktest.Table(), 1)
	for _, dataset := range []string{"a", "b"} {
		table := sinktest.Table()
		table.Dataset, table.Name = dataset, dataset
		if _, err := s.EnsureTable(t.Context(), claim, table); err != nil {
			t.Fatal(err)
		}
		batch.Tables = append(batch.Tables, one(claim, table, 1, worker.NetRow{New: true, Values: []event.Value{event.Signed(1), event.NullValue, event.NullValue}}).Tables...)
	}
	batch.Tables = batch.Tables[1:]
	person, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// He who looks for a deadlock is the one who is ended.
	for _, sql := range []string{"SET LOCAL deadlock_timeout = '10min'", "LOCK TABLE ods.b"} {
		if _, err := person.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Apply(t.Context(), batch) }()
	for waiting := 0; waiting == 0; {
		if err := person.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE NOT granted").Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := person.Exec(t.Context(), "LOCK TABLE ods.a"); err != nil {
		t.Fatal(err)
	}
	err = <-ended
	var pe *pgconn.PgError
	if !errors.Is(err, worker.ErrRetry) || !errors.As(err, &pe) || pe.Code != "40P01" {
		t.Errorf("%v, want ErrRetry for the deadlock", err)
	}
	if err := person.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(t.Context(), batch); err != nil {
		t.Errorf("the batch again: %v", err)
	}
	if err := s.Apply(t.Context(), batch); !errors.Is(err, worker.ErrProgressMoved) {
		t.Errorf("once more: %v", err)
	}
	if got := texts(t, c, "SELECT id::text FROM ods.a UNION ALL SELECT id::text FROM ods.b"); len(got) != 2 {
		t.Errorf("rows %q", got)
	}
}

// seenDespite has a person's transaction lock two tables in another order than a look at the
// store does. The server ends the look, which is taken again.
func seenDespite(t *testing.T, s worker.Store, c *pgx.Conn) {
	claimed(t, s)
	v := s.(*postgres.Store).Viewer()
	defer func() {
		if err := v.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	if _, err := v.Troubles(t.Context()); err != nil {
		t.Fatal(err)
	}
	person, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"SET LOCAL deadlock_timeout = '10min'", "LOCK TABLE tributary.anomaly"} {
		if _, err := person.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error, 1)
	go func() {
		_, err := v.Troubles(t.Context())
		ended <- err
	}()
	for waiting := 0; waiting == 0; {
		if err := person.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE NOT granted").Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	var has int
	if err := person.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE granted AND relation = 'tributary.quarantine'::regclass").Scan(&has); err != nil || has != 1 {
		t.Fatalf("the look has %d locks of what is locked next, %v", has, err)
	}
	if _, err := person.Exec(t.Context(), "LOCK TABLE tributary.quarantine"); err != nil { // which the look must give up
		t.Fatal(err)
	}
	if err := person.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the look: %v", err)
	}
}
