package mysql_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
)

// testIncident has a statement that the log can't hold, of a table that nobody asked for:
// the server keeps the rows and says in its log that it lacks something.
func testIncident(t *testing.T, g *rig) {
	g.run("CREATE TABLE s (id int PRIMARY KEY)")
	res := g.first()
	g.run("INSERT INTO s VALUES (1)")
	g.take(&res, g.busy())
	g.run("CREATE DATABASE IF NOT EXISTS other_incident")
	g.run("CREATE TABLE other_incident.big (id int, v varchar(200)) ENGINE = MyISAM")
	g.run("SET GLOBAL binlog_stmt_cache_size = 4096")
	defer g.run("SET GLOBAL binlog_stmt_cache_size = 32768")
	g.run("SET GLOBAL max_binlog_stmt_cache_size = 4096")
	defer g.run("SET GLOBAL max_binlog_stmt_cache_size = 1073741824")
	rows := make([]string, 100)
	for i := range rows {
		rows[i] = fmt.Sprintf("(%d, REPEAT('x', 200))", i)
	}
	if _, err := g.db.Connect(t, "other_incident").Execute("INSERT INTO big VALUES " + strings.Join(rows, ", ")); err == nil {
		t.Fatal("a statement that the log can't hold succeeds")
	}
	seg, err := g.until(func(seg *event.Segment) bool { return seg.Kind != event.Idle })
	var gap *capture.GapError
	if !errors.As(err, &gap) || gap.Code != "INCIDENT" || gap.From != res.Last {
		t.Errorf("%+v, %v; want the gap INCIDENT after %s", seg, err, res.Last)
	}
}
