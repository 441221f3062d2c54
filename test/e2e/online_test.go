package e2e

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/tributary-cdc/tributary/test/servers"
)

// online is a change of table "moving" by a tool that copies it beside its use.
type online struct {
	*changing
	db   servers.DB
	copy string // the table that takes its place
	both string // the columns that it has, too
	// wrote follows what was written to the table since, where the tool does that itself.
	wrote func(before, after map[string]string)
}

func (o *online) image() map[string]string {
	out := map[string]string{}
	for _, row := range o.rows("SELECT " + o.expression(false) + " FROM moving") {
		id, _, _ := strings.Cut(row, "|")
		out[id] = row
	}
	return out
}

// work is what the applications write meanwhile.
func (o *online) work() {
	before := o.image()
	o.step()
	if o.wrote != nil {
		o.wrote(before, o.image())
	}
}

// copied copies the rows in chunks, while they are written.
func (o *online) copied(insert, tail string) {
	last := o.next
	for from := 0; from < last; from += 100 {
		o.run(fmt.Sprintf("%s INTO %s (%s) SELECT %[3]s FROM moving FORCE INDEX (PRIMARY) WHERE id > %d AND id <= %d %s", insert, o.copy, o.both, from, min(from+100, last), tail))
		o.work()
	}
}

// viaTriggers changes the table as pt-online-schema-change 3.5 does: triggers follow what
// is written, and both tables change their names in one statement.
func (o *online) viaTriggers(change string) {
	o.copy, o.both = "_moving_new", "id, c0_int, c0_varchar"
	o.run("CREATE TABLE _moving_new LIKE moving")
	o.run("ALTER TABLE _moving_new " + change)
	var fresh []string
	for _, n := range strings.Split(o.both, ", ") {
		fresh = append(fresh, "NEW."+n)
	}
	replace := fmt.Sprintf("REPLACE INTO _moving_new (%s) VALUES (%s)", o.both, strings.Join(fresh, ", "))
	o.run("CREATE TRIGGER pt_osc_moving_del AFTER DELETE ON moving FOR EACH ROW DELETE IGNORE FROM _moving_new WHERE _moving_new.id <=> OLD.id")
	o.run("CREATE TRIGGER pt_osc_moving_upd AFTER UPDATE ON moving FOR EACH ROW BEGIN DELETE IGNORE FROM _moving_new WHERE !(OLD.id <=> NEW.id) AND _moving_new.id <=> OLD.id; " + replace + "; END")
	o.run("CREATE TRIGGER pt_osc_moving_ins AFTER INSERT ON moving FOR EACH ROW " + replace)
	o.copied("INSERT LOW_PRIORITY IGNORE", "LOCK IN SHARE MODE")
	o.run("ANALYZE TABLE _moving_new")
	o.run("RENAME TABLE moving TO _moving_old, _moving_new TO moving")
	o.run("DROP TABLE IF EXISTS _moving_old")
	for _, n := range []string{"del", "upd", "ins"} {
		o.run("DROP TRIGGER IF EXISTS pt_osc_moving_" + n)
	}
}

// viaLog changes the table as gh-ost 1.1 does: it follows the binary log, and lets a
// waiting RENAME through by dropping a table that stands in its way.
func (o *online) viaLog(change string) {
	o.copy, o.both = "_moving_gho", "id, c0_int, c0_varchar"
	o.run("create table _moving_gho like moving")
	o.run("alter table _moving_gho " + change)
	o.run("create table _moving_ghc (id bigint unsigned auto_increment, last_update timestamp not null DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, " +
		"hint varchar(64) charset ascii not null, value varchar(4096) charset ascii not null, primary key(id), unique key hint_uidx(hint)) auto_increment=256")
	beat := func(hint string) {
		o.run("insert into _moving_ghc (hint, value) values ('" + hint + "', 'now') on duplicate key update last_update=NOW(), value=VALUES(value)")
	}
	beat("state")
	o.wrote = func(before, after map[string]string) {
		for _, id := range slices.Sorted(maps.Keys(before)) {
			if _, there := after[id]; !there {
				o.run("delete from _moving_gho where id = " + id)
			}
		}
		for _, id := range slices.Sorted(maps.Keys(after)) {
			if before[id] != after[id] {
				o.run(fmt.Sprintf("replace into _moving_gho (%s) select %[1]s from moving where id = %s", o.both, id))
			}
		}
		beat("heartbeat")
	}
	o.copied("insert ignore", "lock in share mode")
	o.wrote = nil
	o.run("create table _moving_del (id int auto_increment primary key) engine=InnoDB comment='ghost-cut-over-sentry'")
	o.run("lock tables moving write, _moving_del write")
	other, done := o.db.Connect(o.t, "moving"), make(chan error, 1)
	go func() {
		_, err := other.Execute("rename table moving to _moving_del, _moving_gho to moving")
		done <- err
	}()
	await(o.t, "the waiting rename", func() bool {
		return slices.Equal(o.rows("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'rename table%' AND STATE LIKE 'Waiting for table metadata lock%'"), []string{"1"})
	})
	o.run("drop table if exists _moving_del")
	o.run("unlock tables")
	if err := <-done; err != nil {
		o.t.Fatal(err)
	}
	o.run("drop table if exists _moving_ghc")
	o.run("drop table if exists _moving_del")
}

// TestOnlineSchemaChange: tables are changed by the statements of the two tools that
// schools' administrators use, in their order, while rows are written and the agent is
// killed. The patterns take the tools' own tables, too. In the end the store has what the
// source has.
func TestOnlineSchemaChange(t *testing.T) {
	for engine, start := range map[string]servers.Starter{"MariaDB": servers.MariaDB, "MySQL": servers.MySQL} {
		t.Run(engine, func(t *testing.T) {
			number := seed(t)
			db := start(t, nil)
			o := &online{changing: source(t, engine, db, rand.New(rand.NewPCG(number, 24))), db: db}
			for range 4 {
				o.insert()
				o.step()
			}
			s := o.system(db, servers.Postgres(t, nil))
			s.procs[1].Expected = "table" // the tools' own come and go
			s.same(o.changing)
			o.viaTriggers("ADD COLUMN minzu varchar(20) DEFAULT '汉族', MODIFY c0_int bigint")
			o.cols = []string{"c0_int bigint", "c0_varchar varchar(20)", "minzu varchar(20)"}
			o.work()
			o.insert()
			s.same(o.changing)
			if !s.procs[1].Signal(syscall.SIGKILL) {
				t.Fatal("the agent wasn't alive")
			}
			o.work()
			s.procs[1].Again()
			o.viaLog("add column xb smallint NOT NULL DEFAULT 1 AFTER id, drop column minzu")
			o.cols = []string{"xb smallint", "c0_int bigint", "c0_varchar varchar(20)"}
			o.work()
			o.insert()
			s.same(o.changing)
			var there []string
			rows, err := s.store.Query(context.Background(), "SELECT xb::text FROM ods.moving WHERE xb IS NULL")
			if err != nil {
				t.Fatal(err)
			}
			for rows.Next() {
				there = append(there, "")
			}
			if rows.Close(); len(there) > 0 || rows.Err() != nil {
				t.Errorf("%d rows lack the new column, %v", len(there), rows.Err())
			}
			for _, p := range slices.Backward(s.procs) {
				if !p.Signal(syscall.SIGTERM) || !p.Clean() {
					t.Errorf("%s didn't stop cleanly", p.Name)
				}
			}
		})
	}
}
