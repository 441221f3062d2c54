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
	// recent is how many of the last numbers rows may have.
	recent int
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

// shared are the columns of the table, but for one.
func (o *online) shared(without string) string {
	out := []string{"`id`"}
	for _, col := range o.cols {
		if nameOf(col) != without {
			out = append(out, "`"+nameOf(col)+"`")
		}
	}
	return strings.Join(out, ", ")
}

// copied copies the rows in chunks, while they are written.
func (o *online) copied(insert, tail string) {
	last := o.next
	for from := o.next - o.recent; from < last; from += 100 {
		o.run(fmt.Sprintf("%s into `moving`.%s (%s) (select %[3]s from `moving`.`moving` force index (`PRIMARY`) where (((`id` > %d)) and ((`id` <= %d))) %s)", insert, o.copy, o.both, from, min(from+100, last), tail))
		o.work()
	}
}

// viaTriggers changes the table as pt-online-schema-change 3 does: triggers follow what is
// written, and both tables change their names in one statement. The new table is made by
// what SHOW CREATE TABLE says of the old one. (Its source: create_new_table,
// create_triggers, swap_tables; that an update's trigger deletes first is since 3.0.5.)
func (o *online) viaTriggers(change string) {
	o.copy, o.both = "`_moving_new`", o.shared("")
	res, err := o.db.Connect(o.t, "moving").Execute("SHOW CREATE TABLE `moving`.`moving`")
	if err != nil {
		o.t.Fatal(err)
	}
	create, err := res.GetString(0, 1)
	if err != nil {
		o.t.Fatal(err)
	}
	o.run(strings.Replace(create, "CREATE TABLE `moving` (", "CREATE TABLE `moving`.`_moving_new` (", 1))
	o.run("ALTER TABLE `moving`.`_moving_new` " + change)
	var fresh []string
	for _, n := range strings.Split(o.both, ", ") {
		fresh = append(fresh, "NEW."+n)
	}
	replace := fmt.Sprintf("REPLACE INTO `moving`.`_moving_new` (%s) VALUES (%s)", o.both, strings.Join(fresh, ", "))
	trigger := func(name, after, do string) {
		o.run("CREATE TRIGGER `pt_osc_moving_moving_" + name + "` AFTER " + after + " ON `moving`.`moving` FOR EACH ROW " + do)
	}
	trigger("del", "DELETE", "DELETE IGNORE FROM `moving`.`_moving_new` WHERE `moving`.`_moving_new`.`id` <=> OLD.`id`")
	trigger("upd", "UPDATE", "BEGIN DELETE IGNORE FROM `moving`.`_moving_new` WHERE !(OLD.`id` <=> NEW.`id`) AND `moving`.`_moving_new`.`id` <=> OLD.`id`; "+replace+"; END")
	trigger("ins", "INSERT", replace)
	o.copied("INSERT LOW_PRIORITY IGNORE", "LOCK IN SHARE MODE /*pt-online-schema-change 4711 copy nibble*/")
	o.run("ANALYZE TABLE `moving`.`_moving_new` /* pt-online-schema-change */")
	o.run("RENAME TABLE `moving`.`moving` TO `moving`.`_moving_old`, `moving`.`_moving_new` TO `moving`.`moving`")
	o.run("DROP TABLE IF EXISTS `moving`.`_moving_old`")
	for _, n := range []string{"del", "upd", "ins"} {
		o.run("DROP TRIGGER IF EXISTS `moving`.`pt_osc_moving_moving_" + n + "`")
	}
}

// viaLog changes the table as gh-ost 1.1 does: it follows the binary log, and lets a
// waiting RENAME through by dropping a table that stands in its way. Its name stands
// within each statement; dropped is the column that the change drops. (Its source: applier.go, and the order of migrator.go.)
func (o *online) viaLog(change, dropped string) {
	o.copy, o.both = "`_moving_gho`", o.shared(dropped)
	o.run("drop /* gh-ost */ table if exists `moving`.`_moving_ghc`")
	o.run("create /* gh-ost */ table `moving`.`_moving_ghc` (\n\t\t\tid bigint unsigned auto_increment,\n\t\t\tlast_update timestamp not null DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,\n" +
		"\t\t\thint varchar(64) charset ascii not null,\n\t\t\tvalue varchar(4096) charset ascii not null,\n\t\t\tprimary key(id),\n\t\t\tunique key hint_uidx(hint)\n\t\t) auto_increment=256\n\t\t")
	o.run("create /* gh-ost */ table `moving`.`_moving_gho` like `moving`.`moving`")
	o.run("alter /* gh-ost */ table `moving`.`_moving_gho` " + change)
	beat := func(id int, hint string) {
		o.run(fmt.Sprintf("insert /* gh-ost */ into `moving`.`_moving_ghc` (id, hint, value) values (NULLIF(%d, 0), '%s', 'now') on duplicate key update last_update=NOW(), value=VALUES(value)", id, hint))
	}
	beat(2, "state")
	beat(0, "state at 4711")
	o.wrote = func(before, after map[string]string) {
		for _, id := range slices.Sorted(maps.Keys(before)) {
			if _, there := after[id]; !there {
				o.run("delete /* gh-ost `moving`.`_moving_gho` */ from `moving`.`_moving_gho` where ((`id` = " + id + "))")
			}
		}
		for _, id := range slices.Sorted(maps.Keys(after)) {
			if before[id] != after[id] {
				o.run(fmt.Sprintf("replace /* gh-ost `moving`.`_moving_gho` */ into `moving`.`_moving_gho` (%s) select %[1]s from moving where id = %s", o.both, id))
			}
		}
		beat(1, "heartbeat")
	}
	o.copied("insert /* gh-ost `moving`.`moving` */ ignore", "lock in share mode")
	o.wrote = nil
	o.run("create /* gh-ost */ table `moving`.`_moving_del` (\n\t\t\tid int auto_increment primary key\n\t\t) engine=InnoDB comment='ghost-cut-over-sentry'\n\t\t")
	o.run("lock /* gh-ost */ tables `moving`.`moving` write, `moving`.`_moving_del` write")
	other, done := o.db.Connect(o.t, "moving"), make(chan error, 1)
	go func() {
		_, err := other.Execute("rename /* gh-ost */ table `moving`.`moving` to `moving`.`_moving_del`, `moving`.`_moving_gho` to `moving`.`moving`")
		done <- err
	}()
	await(o.t, "the waiting rename", func() bool {
		return slices.Equal(o.rows("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'rename%' AND STATE LIKE 'Waiting for table metadata lock%'"), []string{"1"})
	})
	o.run("drop /* gh-ost */ table if exists `moving`.`_moving_del`")
	o.run("unlock tables")
	if err := <-done; err != nil {
		o.t.Fatal(err)
	}
	o.run("drop /* gh-ost */ table if exists `moving`.`_moving_ghc`")
	o.run("drop /* gh-ost */ table if exists `moving`.`_moving_del`")
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
			o.recent = o.next
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
			o.recent = o.next
			o.viaLog("add column xb smallint NOT NULL DEFAULT 1 AFTER id, drop column minzu", "minzu")
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
