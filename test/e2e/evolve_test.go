package e2e

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

// changing is one source whose tables change while they are written.
type changing struct {
	t      *testing.T
	rng    *rand.Rand
	engine string // of the configuration
	exec   func(sql string) error
	rows   func(sql string) []string
	table  string // "moving", or another one that changes beside it
	// cols are the table's columns beside id, each with its type; made counts names, so
	// that some come back.
	cols []string
	next int
	made int
	most int      // rows that an INSERT writes; 0 for 150
	rule string   // of the store, for tables that change; empty for its default
	gone []string // columns that were dropped, to come back
	ddl  []string // what was done, for people
	key  []string // names of the key's columns beside id
	// fixed says that it keeps name and key, since it has partitions: their numbers.
	fixed bool
	parts []int
}

// columnTypes are those that columns of both engines get, with a value as SQL.
var columnTypes = map[string]func(*rand.Rand) string{
	"smallint":      func(r *rand.Rand) string { return fmt.Sprint(r.IntN(60000) - 30000) },
	"int":           func(r *rand.Rand) string { return fmt.Sprint(r.IntN(2e9) - 1e9) },
	"bigint":        func(r *rand.Rand) string { return fmt.Sprint(r.Int64()) },
	"decimal(9,2)":  func(r *rand.Rand) string { return fmt.Sprintf("%d.%02d", r.IntN(1e6), r.IntN(100)) },
	"decimal(18,4)": func(r *rand.Rand) string { return fmt.Sprintf("%d.%04d", r.IntN(1e9), r.IntN(1e4)) },
	"varchar(20)":   func(r *rand.Rand) string { return fmt.Sprintf("'学生%d'", r.IntN(1e6)) },
	"varchar(60)":   func(r *rand.Rand) string { return fmt.Sprintf("'一年级学生%d'", r.IntN(1e6)) },
}

// wider is what a column's type may become without losing anything.
var wider = map[string]string{"smallint": "int", "int": "bigint", "decimal(9,2)": "decimal(18,4)", "varchar(20)": "varchar(60)"}

// type names of a column's definition "name type".
func typeOf(col string) string { _, typ, _ := strings.Cut(col, " "); return typ }

func nameOf(col string) string { name, _, _ := strings.Cut(col, " "); return name }

func (c *changing) run(sql string) {
	c.t.Helper()
	if err := c.exec(sql); err != nil {
		c.t.Fatalf("%s: %s: %v\nDDL so far: %s", c.engine, sql, err, strings.Join(c.ddl, "; "))
	}
}

func (c *changing) values() string {
	out := []string{fmt.Sprint(c.next)}
	for _, col := range c.cols {
		out = append(out, c.value(col))
	}
	return "(" + strings.Join(out, ", ") + ")"
}

// names are the columns that values gives.
func (c *changing) names() string {
	out := []string{"id"}
	for _, col := range c.cols {
		out = append(out, nameOf(col))
	}
	return " (" + strings.Join(out, ", ") + ")"
}

// value gives one of a column's values, which is none below 0 where the type has no sign.
func (c *changing) value(col string) string {
	typ, more, _ := strings.Cut(typeOf(col), " ")
	v := columnTypes[typ](c.rng)
	if strings.Contains(more, "unsigned") {
		v = strings.TrimPrefix(v, "-")
	}
	return v
}

// step writes some rows.
func (c *changing) step() {
	switch c.rng.IntN(8) {
	case 0, 1, 2, 3:
		var all []string
		for range 1 + c.rng.IntN(cmp.Or(c.most, 150)) {
			c.next++
			all = append(all, c.values())
		}
		c.run("INSERT INTO " + c.table + c.names() + " VALUES " + strings.Join(all, ", "))
	case 4, 5:
		if len(c.cols) > 0 {
			col := c.cols[c.rng.IntN(len(c.cols))]
			c.run(fmt.Sprintf("UPDATE %s SET %s = %s WHERE id %% 7 = %d", c.table, nameOf(col), c.value(col), c.rng.IntN(7)))
		}
	case 6:
		c.run(fmt.Sprintf("DELETE FROM %s WHERE id %% 11 = %d", c.table, c.rng.IntN(11)))
	case 7:
		c.next++
		c.run(fmt.Sprintf("UPDATE %s SET id = %d WHERE id = (SELECT * FROM (SELECT min(id) FROM %[1]s) m)", c.table, c.next))
	}
}

// alter changes the table's definition.
func (c *changing) alter() {
	do := func(sql string) { c.ddl = append(c.ddl, sql); c.run(sql) }
	names := []string{"smallint", "int", "decimal(9,2)", "varchar(20)"}
	typ := names[c.rng.IntN(len(names))]
	col := ""
	if len(c.cols) > 0 {
		col = c.cols[c.rng.IntN(len(c.cols))]
	}
	switch n := c.rng.IntN(9); {
	case n < 3 || col == "":
		def := fmt.Sprintf("c%d_%s %s", c.made, strings.TrimRight(typ, "(,0123456789)"), typ)
		if len(c.gone) > 0 && c.rng.IntN(3) == 0 {
			def, c.gone = c.gone[0], c.gone[1:]
			typ = typeOf(def)
		} else {
			c.made++
		}
		switch c.rng.IntN(3) {
		case 0:
			do("ALTER TABLE " + c.table + " ADD " + def)
		case 1:
			do("ALTER TABLE " + c.table + " ADD " + def + " DEFAULT " + columnTypes[typ](c.rng))
		case 2:
			do("ALTER TABLE " + c.table + " ADD " + def + " NOT NULL DEFAULT " + columnTypes[typ](c.rng))
		}
		c.cols = append(c.cols, def)
	case n < 5:
		do("ALTER TABLE " + c.table + " DROP COLUMN " + nameOf(col))
		c.cols = slices.DeleteFunc(c.cols, func(o string) bool { return o == col })
		c.gone = append(c.gone, col)
	case n < 7 && wider[typeOf(col)] != "":
		to := nameOf(col) + " " + wider[typeOf(col)]
		if c.engine == "postgres" {
			do("ALTER TABLE " + c.table + " ALTER " + nameOf(col) + " TYPE " + typeOf(to))
		} else {
			do("ALTER TABLE " + c.table + " MODIFY " + to)
		}
		c.cols[slices.Index(c.cols, col)] = to
	case n == 7:
		fresh := fmt.Sprintf("c%d_%s", c.made, strings.Split(nameOf(col), "_")[1])
		c.made++
		c.gone = append(c.gone, col)
		if c.engine == "postgres" {
			do("ALTER TABLE " + c.table + " RENAME " + nameOf(col) + " TO " + fresh)
		} else {
			do("ALTER TABLE " + c.table + " CHANGE " + nameOf(col) + " " + fresh + " " + typeOf(col))
		}
		c.cols[slices.Index(c.cols, col)] = fresh + " " + typeOf(col)
	case n == 8:
		do("TRUNCATE TABLE " + c.table)
	}
}

// insert writes one row, so that the store hears of the table as it is.
func (c *changing) insert() {
	c.next++
	c.run("INSERT INTO " + c.table + c.names() + " VALUES " + c.values())
}

// expression is a row as text, in the source or in a store.
func (c *changing) expression(postgres bool) string {
	out, text := []string{"id"}, "char"
	if postgres {
		text = "text"
	}
	for _, col := range c.cols {
		out = append(out, "coalesce(cast("+nameOf(col)+" as "+text+"), '~')")
	}
	return "concat_ws('|', " + strings.Join(out, ", ") + ")"
}

// TestDefinitionsChange writes rows and changes their tables at random while agent and
// worker are killed, the agent within its first starts, too: in the end each store has what its
// source has, column by column.
// MariaDB 10.2 doesn't describe its tables in the log, the others don't with an odd seed.
func TestDefinitionsChange(t *testing.T) {
	for _, engine := range []string{"MariaDB", "MySQL", "PostgreSQL"} {
		servers.Each(t, engine, func(t *testing.T, start servers.Starter) {
			definitionsChange(t, engine, start)
		})
	}
}

// source connects to a new database "moving" with the table.
func source(t *testing.T, engine string, db servers.DB, rng *rand.Rand) *changing {
	c := &changing{t: t, rng: rng, engine: strings.ToLower(engine), table: "moving", cols: []string{"c0_int int", "c0_varchar varchar(20)"}, made: 1}
	if engine == "PostgreSQL" {
		c.engine = "postgres"
		mustExec(t, connect(t, db, "postgres"), "CREATE DATABASE moving")
		conn := connect(t, db, "moving")
		c.exec = func(sql string) error { _, err := conn.Exec(context.Background(), sql); return err }
		c.rows = func(sql string) []string { return column(t, conn, sql) }
	} else {
		conn := db.Connect(t, "")
		c.exec = func(sql string) error { _, err := conn.Execute(sql); return err }
		c.rows = func(sql string) []string { return texts(t, &enrolWorkload{c: conn}, sql) }
		c.run("CREATE DATABASE moving CHARACTER SET utf8mb4")
		c.run("USE moving")
	}
	c.run("CREATE TABLE moving (id int PRIMARY KEY, c0_int int, c0_varchar varchar(20))")
	return c
}

// system is the program, with one source and one store.
type system struct {
	procs []*program.Process
	bin   string
	http  int // of the agent
	city  int // of the worker
	store *pgx.Conn
	id    string // of the table at its source
}

func (c *changing) system(db, store servers.DB) *system {
	t := c.t
	mustExec(t, connect(t, store, "postgres"), "CREATE DATABASE city")
	s := &system{bin: program.Build(t), http: program.Port(t), city: program.Port(t), store: connect(t, store, "city"), id: "moving.moving"}
	dir, logPort := t.TempDir(), program.Port(t)
	secret := func(name, password string) string {
		return program.Write(t, filepath.Join(dir, name), "%s\n", password)
	}
	tables := "moving.*"
	if c.engine == "postgres" {
		tables, s.id = "public.*", "moving.public.moving"
	}
	s.procs = []*program.Process{
		{Name: "log", Args: []string{"log", "--config", program.Write(t, filepath.Join(dir, "log.yml"), "data_dir: %s\nport: %d\n", filepath.Join(dir, "log"), logPort)}},
		{Name: "agent", Args: []string{"agent", "--config", program.Write(t, filepath.Join(dir, "agent.yml"), `
name: a1
org: "330108"
data_dir: %s
log: {brokers: ["127.0.0.1:%d"], embedded: true}
http: 127.0.0.1:%d
sources:
  - {name: moving, engine: %s, host: 127.0.0.1, port: %d, database: moving, user: %s, password_file: %s, tables: ["%s"], first_start: load}
`, filepath.Join(dir, "agent"), logPort, s.http, c.engine, db.Port, db.User, secret("source", db.Password), tables)}},
		{Name: "city", Args: []string{"worker", "--config", program.Write(t, filepath.Join(dir, "city.yml"), `
name: city
orgs: ["330108"]
log: {brokers: ["127.0.0.1:%d"], embedded: true}
http: 127.0.0.1:%d
store: {host: 127.0.0.1, port: %d, database: city, user: postgres, password_file: %s, evolution: "%s"}
`, logPort, s.city, store.Port, secret("store", store.Password), c.rule)}},
	}
	if c.engine != "postgres" {
		s.procs[1].Args[2] = program.Write(t, filepath.Join(dir, "agent.yml"), `
name: a1
org: "330108"
data_dir: %s
log: {brokers: ["127.0.0.1:%d"], embedded: true}
http: 127.0.0.1:%d
sources:
  - {name: moving, engine: %s, host: 127.0.0.1, port: %d, user: %s, password_file: %s, tables: ["%s"], first_start: load}
`, filepath.Join(dir, "agent"), logPort, s.http, c.engine, db.Port, db.User, secret("source", db.Password), tables)
	}
	for _, p := range s.procs {
		p.Expected = "table stopped"
		p.Start(t, s.bin, dir, db.Password, store.Password)
	}
	return s
}

// same waits until the store has what the source has.
func (s *system) same(c *changing) {
	c.t.Helper()
	want := c.rows("SELECT " + c.expression(c.engine == "postgres") + " FROM " + c.table)
	slices.Sort(want)
	var got []string
	if !within(3*time.Minute, func() bool {
		rows, err := s.store.Query(context.Background(), "SELECT "+c.expression(true)+" FROM ods."+c.table)
		if err != nil {
			return false
		}
		if got, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			return false
		}
		slices.Sort(got)
		return equal(got, want)
	}) {
		states := column(c.t, s.store, `SELECT state || ' ' || error x FROM tributary.table_state`)
		c.t.Fatalf("%d rows, want %d; first difference %s; states %q\nDDL: %s", len(got), len(want), difference(got, want), states, strings.Join(c.ddl, "; "))
	}
}

func definitionsChange(t *testing.T, engine string, start servers.Starter) {
	number := seed(t)
	rng := rand.New(rand.NewPCG(number, 21))
	var settings map[string]string
	if level := map[string]string{"MariaDB": "NO_LOG", "MySQL": "MINIMAL"}[engine]; level != "" && number%2 == 1 {
		settings = map[string]string{"loose_binlog_row_metadata": level}
		t.Log("the log doesn't describe tables")
	}
	db := start(t, settings)
	c := source(t, engine, db, rng)
	for range 5 {
		c.step()
	}
	link := servers.NewLink(t, fmt.Sprintf("%s:%d", db.Host, db.Port))
	db.Port = uint16(link.Port())
	s := c.system(db, servers.Postgres(t, nil))
	s.early(c, link)
	for round := range 6 {
		for range 8 {
			c.step()
			if rng.IntN(3) == 0 {
				c.alter()
			}
		}
		p := s.procs[1+rng.IntN(2)]
		if !p.Signal(syscall.SIGKILL) {
			t.Fatalf("%s was dead before kill %d", p.Name, round+1)
		}
		for range 4 { // also while the agent is down
			c.step()
			c.alter()
		}
		p.Again()
	}
	c.insert()
	s.same(c)
	s.refused(c)
	for _, p := range slices.Backward(s.procs) {
		if !p.Signal(syscall.SIGTERM) || !p.Clean() {
			t.Errorf("%s didn't stop cleanly", p.Name)
		}
	}
}

// early kills the agent in its first starts, EARLY times, each before one of its requests to
// the source has passed, which then passes or is lost: none of them may be taken for more than
// it was, whatever changes until the next one.
func (s *system) early(c *changing, link *servers.Link) {
	const requests = 60 // a first start with its load has some more
	agent := s.procs[1]
	for n := range servers.Number(c.t, "EARLY", 3) {
		if !agent.Signal(syscall.SIGKILL) {
			c.t.Fatalf("the agent was dead before early kill %d", n+1)
		}
		c.step()
		c.alter()
		met, dead := make(chan struct{}), make(chan struct{})
		lost := c.rng.IntN(2) == 0
		link.Before(1+c.rng.IntN(requests), func() {
			close(met)
			<-dead
			if lost {
				link.Reset()
			}
		})
		agent.Again()
		c.step()
		c.alter()
		select {
		case <-met:
		case <-time.After(time.Second): // it makes fewer when it goes on
		}
		alive := agent.Signal(syscall.SIGKILL)
		close(dead)
		if !alive {
			c.t.Fatalf("the agent was dead before early kill %d in its start", n+1)
		}
		agent.Again()
	}
}

// reread gives a person's order.
func (s *system) reread(t *testing.T) {
	t.Helper()
	order := exec.CommandContext(t.Context(), s.bin, "table", "reread", "--agent", fmt.Sprintf("http://127.0.0.1:%d", s.http), "330108-moving", s.id)
	if out, err := order.CombinedOutput(); err != nil {
		t.Fatalf("reread: %v\n%s", err, out)
	}
}

// halted waits until the store says that the table has stopped.
func (s *system) halted(t *testing.T, text string) {
	t.Helper()
	var got []string
	if !within(time.Minute, func() bool {
		got = column(t, s.store, `SELECT error x FROM tributary.table_state WHERE state = 'halted'`)
		return len(got) == 1 && strings.Contains(got[0], text)
	}) {
		t.Fatalf("halted: %q, want %q", got, text)
	}
}

// refused narrows a column: the table halts, and a person has it read again.
func (s *system) refused(c *changing) {
	c.run("ALTER TABLE " + c.table + " ADD big bigint")
	c.cols = append(c.cols, "big bigint")
	c.insert()
	s.same(c)
	if c.engine == "postgres" {
		c.run("ALTER TABLE " + c.table + " ALTER big TYPE smallint USING 1")
	} else {
		c.run("UPDATE moving SET big = 1")
		c.run("ALTER TABLE " + c.table + " MODIFY big smallint")
	}
	c.cols[len(c.cols)-1] = "big smallint"
	c.insert()
	s.halted(c.t, `column "big": int64 → int16`)
	s.reread(c.t)
	s.same(c)
}
