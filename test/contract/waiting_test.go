package contract

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/capture/pipeline"
	pgcapture "github.com/tributary-cdc/tributary/capture/postgres"
	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/stream/event"
)

// TestStatusSaysWhatTheSlotWaitsFor: an old transaction of another database holds up the slot
// of a first start. The status says which one and how it is ended; then the source streams.
func TestStatusSaysWhatTheSlotWaitsFor(t *testing.T) {
	r := newRig(t, true, 1)
	name := "held" + r.org
	if _, err := r.sql.Exec(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	held, old := r.open(name), r.open("postgres")
	if _, err := held.Exec(t.Context(), "CREATE TABLE student (id int PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"BEGIN", "SELECT txid_current()"} {
		if _, err := old.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	source := r.org + "-renshi"
	reader, err := pgcapture.New(pgcapture.Options{Source: event.Source{ID: source, Org: r.org, Engine: event.Postgres, Agent: "a"}, Host: store.Host, Port: store.Port,
		Database: name, User: store.User, Password: store.Password, Tables: []string{"public.*"}})
	if err != nil {
		t.Fatal(err)
	}
	loader, err := snapshot.New(snapshot.Options{Reader: reader, Open: reader.Source})
	if err != nil {
		t.Fatal(err)
	}
	a := r.agent("a/1", &origin{table: pupils(source)}, func(o *pipeline.Options) { o.Reader = loader })
	r.await("the reason", func() bool { return a.Status().Code == "PG_SLOT_WAITS" })
	pid := old.PgConn().PID()
	if s := a.Status(); s.State != pipeline.Starting || !strings.Contains(s.Error, fmt.Sprintf("pid %d ", pid)) || !strings.Contains(s.Hint, fmt.Sprintf("pg_terminate_backend(%d)", pid)) || s.NeedsPerson {
		t.Errorf("status %+v", s)
	}
	if _, err := old.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	r.await("streaming", func() bool { s := a.Status(); return s.State == pipeline.Streaming && s.Code == "" })
	a.stop()
	r.await("the end of the slot", func() bool {
		_, err := r.sql.Exec(context.Background(), `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1`, name)
		return err == nil
	})
}
