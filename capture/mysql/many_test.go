package mysql_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/test/servers"
)

// TestManyTables: a source of TABLES tables, each of which has been written to, is read on
// after a restart within five seconds, whether the log describes them or not.
func TestManyTables(t *testing.T) {
	tables := int(servers.Number(t, "TABLES", 200))
	starts := map[string]servers.Starter{"MariaDB": servers.MariaDB}
	if tables >= 1000 {
		starts["MySQL"] = servers.MySQL
	}
	for engine, start := range starts {
		t.Run(engine, func(t *testing.T) {
			db := start(t, nil)
			manyTables(t, newRig(t, db, "many"), tables)
			t.Run("without metadata", func(t *testing.T) {
				bare(func(t *testing.T, g *rig) { manyTables(t, g, tables) })(t, newRig(t, db, "bare"))
			})
		})
	}
}

func manyTables(t *testing.T, g *rig, tables int) {
	for n := range tables {
		g.run(fmt.Sprintf("CREATE TABLE t%d (id int PRIMARY KEY, name varchar(40), born date, score decimal(5,2))", n))
	}
	g.wait += time.Duration(tables) * 10 * time.Millisecond // the first start asks for each table, where the log doesn't describe them
	began := time.Now()
	res := g.first()
	t.Logf("first start with %d tables: %s, state of %d bytes", tables, time.Since(began), len(res.State))
	for n := range tables {
		g.run(fmt.Sprintf("INSERT INTO t%d VALUES (1, '张三', '2015-09-01', 98.5)", n))
	}
	began = time.Now()
	for range tables {
		seg := g.busy()
		g.take(&res, seg)
	}
	t.Logf("a row of each: %s, state of %d bytes", time.Since(began), len(res.State))
	began = time.Now()
	if err := g.start(res); err != nil {
		t.Fatal(err)
	}
	t.Logf("start: %s", time.Since(began))
	g.run("INSERT INTO t7 VALUES (2, '李四', NULL, NULL)")
	if seg := g.busy(); len(seg.Rows) != 1 || seg.Rows[0].After[0].Int() != 2 {
		t.Errorf("%+v", seg)
	}
	took := time.Since(began)
	if t.Logf("first row after a restart: %s", took); took > restartLimit {
		t.Errorf("a restart with %d tables takes %s, want %s at most", tables, took, restartLimit)
	}
}

// restartLimit is what a restart may take.
const restartLimit = 5 * time.Second
