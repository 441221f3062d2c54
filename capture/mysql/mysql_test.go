package mysql_test

import (
	"testing"

	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestMicroseconds takes the commit's time from the GTID event.
func TestMicroseconds(t *testing.T) {
	g := newRig(t, servers.MySQL(t, nil), "micro")
	g.run("CREATE TABLE s (id int PRIMARY KEY)")
	g.first()
	g.run("INSERT INTO s VALUES (1)")
	if txn := g.busy().Txn; txn.Precision != event.Microseconds || txn.Committed.Nanosecond() == 0 {
		t.Errorf("%+v", txn)
	}
}
