package mysql_test

import (
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestMySQL57 runs the reader's rules before a server that looks like MySQL 5.7.
func TestMySQL57(t *testing.T) {
	db := servers.MySQL57(t, nil)
	testReader(t, db)
	t.Run("looks like it", func(t *testing.T) { testLooksLike57(t, newRig(t, db, "looks")) })
	t.Run("gaps", func(t *testing.T) { testGaps(t, servers.MySQL57) })
}

// testLooksLike57 holds the emulation to what it says.
func testLooksLike57(t *testing.T, g *rig) {
	if v := g.query("SELECT VERSION()"); v[0] != "5.7.44-log" || !strings.HasPrefix(g.sql.GetServerVersion(), "5.7.44") {
		t.Errorf("version %q, greeting %q", v, g.sql.GetServerVersion())
	}
	if g.metadata() {
		t.Error("it knows binlog_row_metadata")
	}
	for _, sql := range []string{"SET GLOBAL binlog_row_metadata = FULL", "SET SESSION binlog_row_value_options = PARTIAL_JSON", "SHOW BINARY LOG STATUS"} {
		if _, err := g.sql.Execute(sql); err == nil {
			t.Errorf("it takes %s", sql)
		}
	}
	g.run("CREATE TABLE s (id int PRIMARY KEY, v varchar(9) CHARACTER SET gbk)")
	res := g.first()
	g.run("INSERT INTO s VALUES (1, '镕')")
	seg := g.busy()
	if seg.Txn.Precision != event.Seconds || seg.Txn.Committed.Nanosecond() != 0 || seg.Txn.ID == "" || string(seg.Rows[0].After[1].B) != "镕" {
		t.Errorf("%+v %+v", seg.Txn, seg.Rows)
	}
	// The last transaction is found again at its place.
	g.take(&res, seg)
	if err := g.start(res); err != nil {
		t.Fatal(err)
	}
	g.run("INSERT INTO s VALUES (2, '喆')")
	if seg = g.busy(); seg.Rows[0].After[0].Int() != 2 || seg.Txn.Position.Compare(res.Last) <= 0 {
		t.Errorf("after a restart %+v", seg)
	}
	g.take(&res, seg)
	res.Last.Place.Offset++ // no event begins there
	if err := g.start(res); capture.ActionOf(err) != capture.Gap {
		t.Errorf("from a place where nothing begins: %v", err)
	}
}
