package mysql_test

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/capture/guard"
	"github.com/tributary-cdc/tributary/capture/mysql"
	"github.com/tributary-cdc/tributary/stream/event"
)

// logEnd is where the server's log ends.
func (g *rig) logEnd() event.Place {
	g.t.Helper()
	res, err := g.sql.Execute("SHOW BINARY LOGS")
	if err != nil {
		g.t.Fatal(err)
	}
	last := res.RowNumber() - 1
	name, err := res.GetString(last, 0)
	if err != nil {
		g.t.Fatal(err)
	}
	size, err := res.GetUint(last, 1)
	if err != nil {
		g.t.Fatal(err)
	}
	n, err := strconv.ParseUint(name[strings.LastIndexByte(name, '.')+1:], 10, 32)
	if err != nil {
		g.t.Fatal(err)
	}
	return event.Place{File: uint32(n), Offset: size}
}

// testRoom: what has not been read is measured, its age and the log's size are held
// against the server's own limits, and nothing is warned of once it is read.
func testRoom(t *testing.T, g *rig) {
	g.run("CREATE TABLE s (id int PRIMARY KEY AUTO_INCREMENT, v longtext)")
	room, err := mysql.NewRoom(g.o)
	if err != nil {
		t.Fatal(err)
	}
	at, now := g.logEnd(), time.Now()
	w, err := guard.New(guard.Options{Source: g.o.Source.ID, Server: room, File: filepath.Join(t.TempDir(), "guard.json"), Window: time.Minute,
		At: func() (event.Place, time.Time) { return at, time.Time{} }, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	look := func() guard.Status {
		t.Helper()
		looked := w.Status().Looked
		now = now.Add(time.Second)
		w.Look(t.Context())
		if s := w.Status(); s.Looked.After(looked) {
			return s
		}
		t.Fatal("the server can't be looked at")
		return guard.Status{}
	}
	age, undo := "binlog_expire_logs_seconds", "0"
	if was := g.query("SHOW GLOBAL VARIABLES LIKE '" + age + "'"); len(was) == 0 { // MariaDB before 10.6
		if age = "expire_logs_days"; len(g.query("SHOW GLOBAL VARIABLES LIKE '"+age+"'")) == 0 { // the server behind the emulated 5.7 has no such setting
			if s := look(); s.Behind != 0 || s.Left != nil || len(s.Warnings) > 0 {
				t.Errorf("a log whose age has no bound: %+v", s)
			}
			return
		}
	} else {
		undo = g.query("SELECT @@GLOBAL." + age)[0]
	}
	g.run("SET GLOBAL " + age + " = " + map[string]string{"binlog_expire_logs_seconds": "172800", "expire_logs_days": "2"}[age])
	defer func() { g.run("SET GLOBAL " + age + " = " + undo) }()
	if s := look(); s.Behind != 0 || s.Spare <= 0 || len(s.Warnings) > 0 || s.LeftBy != age || *s.Left != 48*3600 {
		t.Errorf("read up: %+v", s)
	}
	for range 3 {
		g.run("INSERT INTO s (v) VALUES (REPEAT('x', 1000000))")
		g.run("FLUSH BINARY LOGS")
	}
	if s := look(); s.Behind < 3_000_000 || s.Behind > 3_100_000 || len(s.Warnings) > 0 || s.PerHour <= 0 {
		t.Errorf("behind: %+v", s)
	}
	now = now.Add(30 * time.Hour)
	if s := look(); len(s.Warnings) != 1 || s.Warnings[0].Code != "SOURCE_LOG_SHORT" || !strings.Contains(s.Warnings[0].Hint, "SET GLOBAL "+age) || *s.Left > 18*3600 || *s.Left < 17*3600 {
		t.Errorf("30 h later: %+v", s)
	} else {
		g.run(s.Warnings[0].Hint)
	}
	if s := look(); len(s.Warnings) > 0 || *s.Left < 65*3600 {
		t.Errorf("after the repair: %+v", s)
	}
	g.run("SET GLOBAL " + age + " = " + map[string]string{"binlog_expire_logs_seconds": "172800", "expire_logs_days": "2"}[age])
	if s := look(); len(s.Warnings) != 1 {
		t.Errorf("taken back: %+v", s)
	}
	at = g.logEnd()
	if s := look(); s.Behind != 0 || len(s.Warnings) > 0 {
		t.Errorf("read: %+v", s)
	}
	const most = "max_binlog_total_size"
	if len(g.query("SHOW GLOBAL VARIABLES LIKE '"+most+"'")) == 0 {
		return
	}
	g.run("SET GLOBAL " + most + " = 1073741824")
	defer g.run("SET GLOBAL " + most + " = 0")
	g.run("INSERT INTO s (v) VALUES (REPEAT('x', 8000000))")
	now = now.Add(time.Minute)
	look()
	g.run("SET GLOBAL " + most + " = 20000000")
	if s := look(); len(s.Warnings) != 1 || s.LeftBy != most || !strings.Contains(s.Warnings[0].Hint, most+" = 40000000") {
		t.Errorf("near the total size: %+v", s)
	}
	g.run("FLUSH BINARY LOGS")
	at = g.logEnd()
	if s := look(); len(s.Warnings) > 0 {
		t.Errorf("read to a new file: %+v", s)
	}
}
