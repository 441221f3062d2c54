package mysql_test

import (
	"testing"

	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestPartialJSON stops a table whose updates stand in the log as differences.
func TestPartialJSON(t *testing.T) {
	g := newRig(t, servers.MySQL(t, nil), "partial")
	g.run("CREATE TABLE s (id int PRIMARY KEY, doc json)")
	g.run("CREATE TABLE good (id int PRIMARY KEY)")
	g.run("INSERT INTO s VALUES (1, '{\"a\": 1, \"b\": \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}')")
	g.first()
	g.run("SET SESSION binlog_row_value_options = PARTIAL_JSON")
	for _, sql := range []string{"BEGIN", "UPDATE s SET doc = JSON_SET(doc, '$.a', 2)", "INSERT INTO good VALUES (1)", "COMMIT"} {
		g.run(sql)
	}
	g.stops("PARTIAL_JSON", "binlog_row_value_options", 1)
}

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
