package mysql_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/mysql"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/servers"
)

type rig struct {
	t    *testing.T
	db   servers.DB
	name string
	sql  *client.Conn
	o    mysql.Options
	r    *mysql.Reader
	wait time.Duration // for a start or a segment
}

func newRig(t *testing.T, db servers.DB, name string) *rig {
	g := &rig{t: t, db: db, name: name, sql: db.Connect(t, ""), wait: 20 * time.Second}
	if g.metadata() {
		g.run("SET GLOBAL binlog_row_metadata = FULL")
	}
	g.run("CREATE DATABASE " + name + " CHARACTER SET utf8mb4")
	g.again()
	g.o = mysql.Options{Source: event.Source{ID: "330106-" + name, Org: "330106", Engine: event.MariaDB, Agent: "a1"},
		Host: db.Host, Port: db.Port, User: db.User, Password: db.Password, Tables: []string{name + ".*"}}
	t.Cleanup(func() {
		if g.r != nil {
			if err := g.r.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return g
}

// again opens a new session, which sees global variables as they are now.
func (g *rig) again() { g.sql = g.db.Connect(g.t, g.name) }

func (g *rig) run(sql string) {
	g.t.Helper()
	if _, err := g.sql.Execute(sql); err != nil {
		g.t.Fatalf("%.100s: %v", sql, err)
	}
}

// query gives the first column.
func (g *rig) query(sql string) (out []string) {
	g.t.Helper()
	res, err := g.sql.Execute(sql)
	if err != nil {
		g.t.Fatal(err)
	}
	for i := range res.RowNumber() {
		s, err := res.GetString(i, 0)
		if err != nil {
			g.t.Fatal(err)
		}
		out = append(out, strings.Clone(s))
	}
	return out
}

// maria reports whether the server is MariaDB.
func (g *rig) maria() bool { return strings.Contains(g.query("SELECT VERSION()")[0], "MariaDB") }

// metadata reports whether the server can describe tables in its log.
func (g *rig) metadata() bool {
	return len(g.query("SHOW GLOBAL VARIABLES LIKE 'binlog_row_metadata'")) == 1
}

// describes reports whether the server does describe tables in its log.
func (g *rig) describes() bool {
	return len(g.query("SHOW GLOBAL VARIABLES WHERE Variable_name = 'binlog_row_metadata' AND Value = 'FULL'")) == 1
}

// bare runs a test with a server that doesn't describe tables in its log.
func bare(f func(*testing.T, *rig)) func(*testing.T, *rig) {
	return func(t *testing.T, g *rig) {
		switch {
		case !g.metadata():
		case g.maria():
			g.run("SET GLOBAL binlog_row_metadata = NO_LOG")
		default:
			g.run("SET GLOBAL binlog_row_metadata = MINIMAL")
		}
		g.again()
		f(t, g)
	}
}

// events gives a log file's types and contents of events.
func (g *rig) events(file string) (out []string) {
	g.t.Helper()
	res, err := g.sql.Execute("SHOW BINLOG EVENTS IN '" + file + "'")
	if err != nil {
		g.t.Fatal(err)
	}
	for i := range res.RowNumber() {
		for _, column := range []int{2, 5} {
			s, err := res.GetString(i, column)
			if err != nil {
				g.t.Fatal(err)
			}
			out = append(out, strings.Clone(s))
		}
	}
	return out
}

// tear kills the server, cuts the last five events off its log and starts it again.
func (g *rig) tear() {
	g.t.Helper()
	files := g.query("SHOW BINARY LOGS")
	name := files[len(files)-1]
	res, err := g.sql.Execute("SHOW BINLOG EVENTS IN '" + name + "'")
	if err != nil {
		g.t.Fatal(err)
	}
	size, err := res.GetInt(res.RowNumber()-5, 1)
	if err != nil {
		g.t.Fatal(err)
	}
	if err := g.db.Server.Kill(); err != nil {
		g.t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(g.db.Server.Dir, "data", name), size); err != nil {
		g.t.Fatal(err)
	}
	if err := g.db.Server.Start(g.t.Context()); err != nil {
		g.t.Fatal(err)
	}
	g.again()
}

// until reads on to the first segment that is wanted.
func (g *rig) until(wanted func(*event.Segment) bool) (*event.Segment, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		if seg, err := g.r.Next(ctx); err != nil || wanted(seg) {
			return seg, err
		}
	}
}

func (g *rig) start(res capture.Resume) error {
	g.t.Helper()
	if g.r == nil {
		r, err := mysql.New(g.o)
		if err != nil {
			g.t.Fatal(err)
		}
		g.r = r
	}
	ctx, cancel := context.WithTimeout(context.Background(), g.wait)
	defer cancel()
	_, err := g.r.Start(ctx, res)
	return err
}

func (g *rig) first() capture.Resume {
	g.t.Helper()
	if err := g.start(capture.Resume{FirstStart: true}); err != nil {
		g.t.Fatal(err)
	}
	seg := g.next()
	if seg.Kind != event.Idle || seg.State == nil {
		g.t.Fatalf("the first segment is %+v, want an idle one with the state", seg)
	}
	return capture.Resume{Restart: seg.Restart, State: append([]byte(nil), seg.State...)}
}

// take follows what the log would hold.
func (g *rig) take(res *capture.Resume, seg *event.Segment) {
	res.Last, res.Restart = seg.Txn.Position, seg.Restart
	res.Since = append(res.Since, seg.Txn.ID)
	if seg.State != nil {
		res.State, res.Since = append([]byte(nil), seg.State...), nil
	}
}

func (g *rig) next() *event.Segment {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), g.wait)
	defer cancel()
	seg, err := g.r.Next(ctx)
	if err != nil {
		g.t.Fatal(err)
	}
	return seg
}

func (g *rig) busy() *event.Segment {
	g.t.Helper()
	for {
		if seg := g.next(); seg.Kind != event.Idle {
			return seg
		}
	}
}

func (g *rig) refuses(code string, texts ...string) {
	g.t.Helper()
	err := g.start(capture.Resume{FirstStart: true})
	var coded *capture.Coded
	if !errors.As(err, &coded) || coded.Code != code || capture.ActionOf(err) != capture.AskOperator {
		g.t.Fatalf("%v, want %s", err, code)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error()+coded.Hint, text) {
			g.t.Errorf("%v (%s) doesn't say %q", err, coded.Hint, text)
		}
	}
	if strings.Contains(err.Error(), g.o.Password) || strings.Contains(err.Error(), g.db.Password) {
		g.t.Errorf("the error holds a password: %v", err)
	}
}
