//go:build changes

package e2e

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/oracle"
	"github.com/tributary-cdc/tributary/test/servers"
)

const movingSource = "330108-moving"

// running is a run of TestTablesChange.
type running struct {
	*years
	did   map[string]int // by the name of a change
	from  *sql.DB
	store *sql.DB
	kills [2]int // of the agent and the worker, still to come
	next  time.Time
}

// TestTablesChange has the tables of a source changed in every way that CHANGES.md lists,
// while they are written and agent and worker are killed; what halts a table is accepted as
// the store says. In the end oracle and tributary verify find the store equal, and one
// planted defect. The agent is killed KILLS times, the worker a quarter as often besides;
// SEED changes it. It takes minutes on each server.
func TestTablesChange(t *testing.T) {
	for _, engine := range []string{"MariaDB", "MySQL", "PostgreSQL"} {
		servers.Each(t, engine, func(t *testing.T, start servers.Starter) { tablesChange(t, engine, start) })
	}
}

func tablesChange(t *testing.T, engine string, start servers.Starter) {
	y := newYears(t, engine, start)
	city := servers.Postgres(t, nil)
	y.s = y.system(y.source, city)
	y.store = openSQL(t, "pgx", city.In("city"))
	y.s.procs[1].Expected, y.s.procs[2].Expected = "table", "table"
	exec := y.exec
	y.exec = func(sql string) error { y.disturb(); return exec(sql) }
	for _, o := range y.tables[1:] {
		o.exec = y.exec
	}
	for n := 0; y.kills != [2]int{} || y.down != nil; n++ {
		y.work()
		if y.rng.IntN(8) == 0 { // each that halts a table takes the worker some 0.2 s
			y.alter()
		}
		if n%25 == 24 && y.down == nil {
			y.operate()
		}
	}
	for _, k := range changes { // what chance has left out
		for n := 0; k.on(y.years) && y.did[k.name] == 0; n++ {
			if n == 200 {
				t.Fatalf("nothing could be done: %s", k.name)
			}
			y.work()
			y.try(k)
		}
	}
	for _, c := range y.tables {
		c.insert()
	}
	y.equal()
	y.verified()
	var v oracle.Verdict
	if err := oracle.Order(t.Context(), y.store, &v); err != nil || v.Gaps+v.OutOfOrder > 0 {
		t.Errorf("%d gaps, %d batches that don't follow theirs, %v", v.Gaps, v.OutOfOrder, err)
	}
	for _, p := range slices.Backward(y.s.procs) {
		if !p.Signal(syscall.SIGTERM) || !p.Clean() {
			t.Errorf("%s didn't stop cleanly", p.Name)
		}
	}
	t.Logf("%d statements, %d of them while the agent was down: %v", len(y.ddl), y.whileDown, y.did)
}

// newYears makes the tables, with some rows.
func newYears(t *testing.T, engine string, start servers.Starter) *running {
	number := seed(t)
	rng := rand.New(rand.NewPCG(number, 25))
	var settings map[string]string
	if level := map[string]string{"MariaDB": "NO_LOG", "MySQL": "MINIMAL"}[engine]; level != "" && number%2 == 1 {
		settings = map[string]string{"loose_binlog_row_metadata": level}
		t.Log("the log doesn't describe tables")
	}
	db := start(t, settings)
	y := &running{years: &years{changing: source(t, engine, db, rng), source: db, binlog: engine != "PostgreSQL"}, did: map[string]int{}, kills: [2]int{int(servers.Number(t, "KILLS", 20)), int(servers.Number(t, "KILLS", 20)) / 4}}
	y.most = 20
	if y.binlog {
		y.version = y.number("SELECT 100 * SUBSTRING_INDEX(VERSION(), '.', 1) + SUBSTRING_INDEX(SUBSTRING_INDEX(VERSION(), '.', 2), '.', -1)")
	} else {
		y.version = y.number("SELECT current_setting('server_version')")
	}
	y.tables = []*changing{y.changing}
	for _, name := range []string{"lefts", "rights", "parts"} {
		if name == "parts" && !y.parts() {
			continue
		}
		c := *y.changing
		c.table, c.cols, c.most = name, []string{"c0_int int", "c0_varchar varchar(20)"}, 20
		if name == "parts" {
			c.fixed, c.parts = true, []int{0}
			by := " PARTITION BY RANGE (id)"
			if y.binlog {
				by += " (PARTITION p0 VALUES LESS THAN (100))"
			}
			y.run(y.create(&c) + by)
			if !y.binlog {
				y.run("CREATE TABLE parts_0 PARTITION OF parts FOR VALUES FROM (0) TO (100)")
			}
		} else {
			y.run(y.create(&c))
		}
		y.tables = append(y.tables, &c)
	}
	for range 20 {
		y.work()
	}
	y.from = y.open(db)
	return y
}

func (y *running) number(sql string) int {
	n, err := strconv.Atoi(strings.Split(y.rows(sql)[0], ".")[0])
	if err != nil {
		y.t.Fatal(err)
	}
	return n
}

// work writes some rows of a table.
func (y *running) work() {
	c := y.tables[y.rng.IntN(len(y.tables))]
	if c.fixed && c.next+200 >= 100*(c.parts[len(c.parts)-1]+1) {
		y.room(c)
	}
	if y.binlog && y.rng.IntN(10) == 0 {
		y.run("SET SESSION binlog_row_image = " + []string{"FULL", "NOBLOB", "MINIMAL"}[y.rng.IntN(3)])
	}
	if col := c.free(); col != "" && !strings.HasSuffix(col, "NOT NULL") && y.rng.IntN(10) == 0 {
		y.run(fmt.Sprintf("UPDATE %s SET %s = NULL WHERE id %% 5 = %d", c.table, nameOf(col), y.rng.IntN(5)))
	}
	c.step()
	if y.binlog && y.rng.IntN(100) == 0 {
		y.run("FLUSH BINARY LOGS")
	}
}

// alter does one of the changes, to one of the tables.
func (y *running) alter() { y.try(changes[y.rng.IntN(len(changes))]) }

func (y *running) try(k change) {
	if k.on(y.years) && k.do(y.years, y.tables[y.rng.IntN(len(y.tables))]) {
		y.did[k.name]++
	}
}

// disturb kills agent or worker when it is time, and starts it again.
func (y *running) disturb() {
	if time.Now().Before(y.next) {
		return
	}
	y.next = time.Now().Add(time.Duration(100+y.rng.IntN(900)) * time.Millisecond)
	switch {
	case y.down != nil:
		y.next = time.Now().Add(time.Duration(200+y.rng.IntN(2500)) * time.Millisecond)
		y.down.Again()
		y.down = nil
	case y.kills != [2]int{}:
		which := 0
		if y.rng.IntN(y.kills[0]+y.kills[1]) >= y.kills[0] {
			which = 1
		}
		p := y.s.procs[1+which]
		if !p.Signal(syscall.SIGKILL) {
			y.t.Fatalf("%s was dead before it was killed, %v kills to come", p.Name, y.kills)
		}
		y.kills[which]--
		y.down = p
	}
}

// operate does what store and agent say of tables that have stopped.
func (y *running) operate() {
	rows, err := y.store.QueryContext(y.t.Context(), `SELECT "table", remedy, error FROM tributary.table_state WHERE state = 'halted' AND remedy IS NOT NULL`)
	if err != nil {
		return // no worker has made it yet
	}
	defer func() { _ = rows.Close() }() // read to the end, or failed already
	for rows.Next() {
		var table, remedy, reason string
		if err := rows.Scan(&table, &remedy, &reason); err != nil {
			y.t.Fatal(err)
		}
		if strings.Contains(reason, "key") && strings.Contains(reason, "STORE_TABLE_REFUSED") && y.lives(table) { // as the handbook has it
			mustExec(y.t, y.s.store, "DROP TABLE IF EXISTS ods."+table[strings.LastIndexByte(table, '.')+1:])
			remedy = strings.Replace(remedy, " accept ", " reread ", 1)
		}
		y.order(remedy, table)
	}
	if err := rows.Err(); err != nil {
		y.t.Fatal(err)
	}
	for _, stop := range y.stops() {
		y.order("tributary table reread "+movingSource+" "+stop.Table, stop.Table)
	}
}

// stops are the tables that the agent has stopped.
func (y *running) stops() []event.TableStop {
	var answer struct {
		Data struct {
			Sources []struct {
				Stopped []event.TableStop `json:"stopped_tables"`
			}
		}
	}
	code, body := ask(y.t, y.s.http, "/api/status")
	if code == 0 {
		return nil // dead
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		y.t.Fatalf("%v: %s", err, body)
	}
	if len(answer.Data.Sources) == 0 {
		return nil
	}
	return answer.Data.Sources[0].Stopped
}

// lives reports whether a table has a name still.
func (y *running) lives(table string) bool {
	return slices.ContainsFunc(y.tables, func(c *changing) bool { return y.id(c) == table })
}

// order gives a person's order for a table.
func (y *running) order(command, table string) {
	if !y.lives(table) {
		return
	}
	args := append(strings.Fields(command)[1:], "--agent", fmt.Sprintf("http://127.0.0.1:%d", y.s.http))
	if strings.Contains(command, " accept ") {
		args[len(args)-2], args[len(args)-1] = "--worker", fmt.Sprintf("http://127.0.0.1:%d", y.s.city)
	}
	if out, err := exec.CommandContext(y.t.Context(), y.s.bin, args...).CombinedOutput(); err != nil {
		y.t.Logf("%s: %v: %s", command, err, out) // it goes on by itself meanwhile, or who should hear it is starting
	}
}

// id is a table's name with its source's database.
func (y *running) id(c *changing) string {
	if y.binlog {
		return "moving." + c.table
	}
	return "moving.public." + c.table
}

// oracle gives what compares a table with the store's.
func (y *running) oracle(c *changing) *oracle.Table {
	o := &oracle.Table{Source: c.table, Store: `ods."` + c.table + `"`, ID: movingSource, Postgres: !y.binlog, Key: append([]string{"id"}, c.key...)}
	families := map[string]string{"decimal(9,2)": "scaled", "decimal(18,4)": "scaled", "varchar(20)": "text", "varchar(60)": "text"}
	for _, col := range append([]string{"id int"}, c.cols...) {
		family := cmp.Or(families[base(col)], "number")
		if !y.binlog {
			family = map[string]string{"number": "pg", "text": "pg", "scaled": "pg scaled"}[family]
		}
		o.Columns = append(o.Columns, oracle.Column{Name: nameOf(col), Family: family})
	}
	return o
}

// equal waits until the oracle finds each table in the store as it is at the source, or
// nothing has been applied for a minute.
func (y *running) equal() {
	y.t.Helper()
	var found []string
	var rows int64
	again := time.Now()
	batch, moved := 0, time.Now()
	compare := func() bool {
		found, rows = nil, 0
		var now int
		if err := y.store.QueryRowContext(y.t.Context(), "SELECT coalesce(max(id), 0) FROM tributary.batch").Scan(&now); err != nil {
			y.t.Fatal(err)
		}
		if now > batch {
			batch, moved = now, time.Now()
		}
		if time.Now().After(again) {
			y.operate()
			again = time.Now().Add(3 * time.Second)
		}
		for _, c := range y.tables {
			n, diffs, err := y.oracle(c).Compare(y.t.Context(), y.from, y.store, 3)
			if err != nil {
				found = append(found, err.Error())
			}
			for i := range diffs[:min(len(diffs), 3)] {
				found = append(found, diffs[i].String())
			}
			rows += n
		}
		return len(found) == 0 || time.Since(moved) > time.Minute
	}
	if !within(10*time.Minute, compare) || len(found) > 0 {
		found = append(found, column(y.t, y.s.store, `SELECT concat_ws(' ', "table", state, error, remedy) x FROM tributary.table_state`)...)
		found = append(found, column(y.t, y.s.store, `SELECT concat_ws(' ', 'held are of', "table", count(*), min(position), max(position)) x FROM tributary.held GROUP BY "table"`)...)
		found = append(found, column(y.t, y.s.store, `SELECT concat_ws(' ', 'applied are', source, applied) x FROM tributary.progress`)...)
		found = append(found, fmt.Sprintf("the agent has stopped %+v", y.stops()))
		for _, c := range y.tables {
			found = append(found, fmt.Sprintf("%s has id and %q, key %q", c.table, c.cols, c.key))
		}
		y.t.Fatalf("the store isn't equal:\n%s\nDDL:\n%s", strings.Join(found, "\n"), strings.Join(y.ddl, ";\n"))
	}
	y.t.Logf("%d tables with %d rows are equal", len(y.tables), rows)
}

// verified wants tributary verify to find nothing, then one planted defect, and to mend it.
func (y *running) verified() {
	t := y.t
	run := func(code int, args ...string) map[string]compared {
		return verify(t, y.s.bin, code, append(append([]string{movingSource}, args...), "--store", y.s.procs[2].Args[2], "--agent", fmt.Sprintf("http://127.0.0.1:%d", y.s.http))...)
	}
	for _, c := range y.tables {
		if found := run(0, y.id(c))[y.id(c)]; found.State != "equal" {
			t.Errorf("verify: %+v", found)
		}
	}
	c := y.tables[y.rng.IntN(len(y.tables))]
	mustExec(t, y.s.store, fmt.Sprintf("DELETE FROM ods.%s WHERE _source = '%s' AND id = %d", c.table, movingSource, c.next))
	if found := run(1, y.id(c))[y.id(c)]; found.State != "unequal" || found.Missing != 1 || found.Different+found.Surplus > 0 {
		t.Errorf("verify with a row missing: %+v", found)
	}
	if found := run(0, y.id(c), "--repair")[y.id(c)]; found.State != "repaired" || found.Repaired != 1 {
		t.Errorf("repair: %+v", found)
	}
	if found := run(0, y.id(c))[y.id(c)]; found.State != "equal" {
		t.Errorf("verify after the repair: %+v", found)
	}
	y.equal()
}

// open connects the oracle to the source, and later to the store.
func (y *running) open(db servers.DB) *sql.DB {
	driver, address := "pgx", ""
	if y.binlog {
		cfg := mysql.NewConfig()
		cfg.User, cfg.Passwd, cfg.Net, cfg.Addr, cfg.DBName = db.User, db.Password, "tcp", fmt.Sprintf("%s:%d", db.Host, db.Port), "moving"
		cfg.Params = map[string]string{"charset": "utf8mb4"}
		driver, address = "mysql", cfg.FormatDSN()
	} else {
		address = db.In("moving")
	}
	return openSQL(y.t, driver, address)
}

func openSQL(t *testing.T, driver, address string) *sql.DB {
	db, err := sql.Open(driver, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}
