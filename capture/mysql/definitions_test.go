package mysql_test

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tributary-cdc/tributary/capture/mysql/definition"
	"github.com/tributary-cdc/tributary/stream/event"
)

// checks has rapid run a property this often, because each run alters tables of a server,
// and in the same way each time: -rapid.seed and -rapid.checks find more.
func checks(t *testing.T, n string) {
	t.Helper()
	for name, value := range map[string]string{"rapid.checks": n, "rapid.shrinktime": "3s", "rapid.seed": "1"} {
		f := flag.Lookup(name)
		was := f.Value.String()
		if was != f.DefValue { // somebody has asked for another one
			continue
		}
		if err := f.Value.Set(value); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := f.Value.Set(was); err != nil {
				t.Error(err)
			}
		})
	}
}

// testDefinitions runs random statements at the server, and has the catalogue and the
// statements themselves agree on the table after each.
func testDefinitions(t *testing.T, g *rig) {
	checks(t, "15")
	g.run("SET SESSION sql_mode = 'STRICT_ALL_TABLES'")
	version := g.query("SELECT VERSION()")[0]
	s := definition.Session{MariaDB: g.maria()}
	var major, minor, patch int
	if _, err := fmt.Sscanf(version, "%d.%d.%d", &major, &minor, &patch); err != nil {
		t.Fatal(err)
	}
	s.Version = major*10000 + minor*100 + patch
	refused, run := 0, 0
	rapid.Check(t, func(r *rapid.T) {
		g.run("DROP TABLE IF EXISTS d")
		sql := "CREATE TABLE d (c0 int" + rapid.SampledFrom([]string{" PRIMARY KEY", " NOT NULL", ""}).Draw(r, "key") + ", c1 varchar(9)" +
			rapid.SampledFrom([]string{"", " NOT NULL UNIQUE", " UNIQUE"}).Draw(r, "unique") + ", KEY (c1)) CHARACTER SET " + rapid.SampledFrom(sets).Draw(r, "set")
		g.run(sql)
		st, err := definition.Parse(sql, s)
		if err != nil {
			r.Fatalf("%s: %v", sql, err)
		}
		table, err := st.Create("utf8mb4")
		if err != nil {
			r.Fatalf("%s: %v", sql, err)
		}
		g.agrees(r, sql, table)
		for range rapid.IntRange(1, 7).Draw(r, "statements") {
			sql := randomAlter(r, table)
			if _, err := g.sql.Execute(sql); err != nil { // the server refuses it, so it isn't in a log
				continue
			}
			run++
			st, err := definition.Parse(sql, s)
			if err == nil {
				table, err = st.Alter(table, "utf8mb4")
			}
			if err != nil {
				refused++
				r.Logf("%s: %v", sql, err)
				return
			}
			g.agrees(r, sql, table)
		}
	})
	if run < 10 || refused > run/2 {
		t.Errorf("%d statements were run, %d refused", run, refused)
	}
}

var (
	sets  = []string{"utf8mb4", "gbk", "latin1", "utf8"}
	types = []string{"int", "int unsigned", "bigint(20) zerofill", "tinyint", "bool", "smallint unsigned", "mediumint", "decimal", "decimal(7)", "numeric(9,3) unsigned", "float", "float(30)", "double",
		"real", "bit(5)", "bit", "year", "date", "time(2)", "datetime", "datetime(6)", "timestamp NULL", "char", "char(5)", "varchar(20)", "text", "text(70)", "mediumtext", "tinytext", "long varchar",
		"binary(4)", "varbinary(30)", "blob", "blob(300)", "longblob", "enum('a','b''c','学')", "set('x','y')", "json", "character varying(7)", "dec(4,2)", "int8",
		"nchar(4)", "national varchar(6)", "char(3) ascii", "varchar(5) byte", "point", "geometry", "inet6", "uuid", "int INVISIBLE", "varchar(30) COMPRESSED", "int DEFAULT (1 + 1)"}
)

// randomAlter gives a statement that may fit the table.
func randomAlter(r *rapid.T, table *definition.Table) string {
	name := func(label string) string {
		return fmt.Sprintf("c%d", rapid.IntRange(0, 6).Draw(r, label))
	}
	there := func(label string) string {
		return table.Columns[rapid.IntRange(0, len(table.Columns)-1).Draw(r, label)].Name
	}
	def := func() string {
		typ := rapid.SampledFrom(types).Draw(r, "type")
		if strings.Contains(typ, "char") || strings.Contains(typ, "text") || strings.HasPrefix(typ, "enum") || strings.HasPrefix(typ, "set") {
			typ += rapid.SampledFrom([]string{"", "", " CHARACTER SET gbk", " CHARSET utf8mb4 COLLATE utf8mb4_bin", " COLLATE utf8_general_ci"}).Draw(r, "set")
		}
		return typ + rapid.SampledFrom([]string{"", "", " NOT NULL", " UNIQUE", " COMMENT 'NOT NULL'", " DEFAULT NULL CHECK (1 > 0)"}).Draw(r, "option")
	}
	place := func() string {
		switch rapid.IntRange(0, 4).Draw(r, "place") {
		case 0:
			return " FIRST"
		case 1:
			return " AFTER " + there("after")
		}
		return ""
	}
	var clauses []string
	for range rapid.SampledFrom([]int{1, 1, 1, 2, 3}).Draw(r, "clauses") {
		switch rapid.IntRange(0, 13).Draw(r, "clause") {
		case 0, 1, 2:
			clauses = append(clauses, "ADD "+name("new")+" "+def()+place())
		case 3, 4:
			clauses = append(clauses, "DROP COLUMN "+there("drop"))
		case 5, 6:
			clauses = append(clauses, "MODIFY "+strings.ToUpper(there("modify"))+" "+def()+place())
		case 7:
			clauses = append(clauses, "CHANGE "+there("change")+" "+name("to")+" "+def()+place())
		case 8:
			clauses = append(clauses, rapid.SampledFrom([]string{"CONVERT TO CHARACTER SET ", "DEFAULT CHARACTER SET "}).Draw(r, "how")+rapid.SampledFrom(sets).Draw(r, "set"))
		case 9:
			clauses = append(clauses, rapid.SampledFrom([]string{"DROP PRIMARY KEY", "ADD PRIMARY KEY (" + there("key") + ")", "DROP PRIMARY KEY, ADD PRIMARY KEY (" + there("key") + ")"}).Draw(r, "primary"))
		case 10:
			clauses = append(clauses, rapid.SampledFrom([]string{"ADD UNIQUE (" + there("key") + ")", "ADD KEY (" + there("key") + ")", "ADD UNIQUE u (" + there("key") + ", " + there("key2") + ")", "ADD UNIQUE (" + there("key") + "(3))"}).Draw(r, "index"))
		case 11:
			if len(table.Keys) > 0 {
				clauses = append(clauses, "DROP KEY `"+table.Keys[rapid.IntRange(0, len(table.Keys)-1).Draw(r, "key")].Name+"`")
			}
		case 12:
			clauses = append(clauses, "COMMENT 'ADD c9 int, '")
		case 13:
			clauses = append(clauses, rapid.SampledFrom([]string{"ADD COLUMN IF NOT EXISTS " + name("new") + " int", "DROP COLUMN IF EXISTS " + name("drop"), "ADD UNIQUE KEY IF NOT EXISTS u (" + there("key") + ")",
				"ADD CONSTRAINT k UNIQUE (" + there("key") + ")", "ADD FULLTEXT (" + there("key") + ")", "ADD SPATIAL (" + there("key") + ")", "RENAME KEY u TO k"}).Draw(r, "own"))
		}
	}
	return rapid.SampledFrom([]string{"ALTER TABLE d ", "ALTER TABLE d ", "ALTER ONLINE TABLE d ", "ALTER IGNORE TABLE d WAIT 5 "}).Draw(r, "head") + strings.Join(clauses, ", ")
}

// agrees holds a table against the catalogue.
func (g *rig) agrees(r *rapid.T, sql string, table *definition.Table) {
	var got []string
	for _, c := range table.Columns {
		got = append(got, column(r, c.Info().DataType, c.Type, c.Charset, c.Name, c.Nulls == definition.NotNull))
	}
	var want []string
	res, err := g.sql.Execute("SELECT DATA_TYPE, COLUMN_TYPE, COALESCE(CHARACTER_SET_NAME, ''), COLUMN_NAME, IS_NULLABLE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '" + g.name + "' AND TABLE_NAME = 'd' ORDER BY ORDINAL_POSITION")
	if err != nil {
		r.Fatal(err)
	}
	for i := range res.RowNumber() {
		var f [5]string
		for n := range f {
			if f[n], err = res.GetString(i, n); err != nil {
				r.Fatal(err)
			}
			f[n] = strings.Clone(f[n])
		}
		want = append(want, column(r, f[0], f[1], f[2], f[3], f[4] == "NO"))
	}
	if !slices.Equal(got, want) {
		r.Fatalf("%s:\nby the statement %q\nat the server    %q", sql, got, want)
	}
	got, want = nil, nil
	for _, k := range table.Keys {
		for _, p := range k.Parts {
			got = append(got, part(k.Name, k.Unique, p.Column, p.Length))
		}
	}
	if res, err = g.sql.Execute("SHOW INDEX FROM d"); err != nil {
		r.Fatal(err)
	}
	for i := range res.RowNumber() {
		name, err1 := res.GetString(i, 2)
		nonUnique, err2 := res.GetInt(i, 1)
		of, err3 := res.GetString(i, 4)
		length, err4 := res.GetInt(i, 7) // 0 for NULL
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			r.Fatal(err)
		}
		want = append(want, part(name, nonUnique == 0, of, int(length)))
	}
	if !slices.Equal(got, want) {
		r.Fatalf("%s:\nkeys by the statement %q\nat the server         %q", sql, got, want)
	}
}

// part prints a column of a key. Servers shorten keys that aren't unique as they must.
func part(name string, unique bool, column string, length int) string {
	if !unique {
		return name + " " + column
	}
	return fmt.Sprint(name, " unique ", column, " ", length)
}

// column prints a column by what the log has of it.
func column(r *rapid.T, kind, typ, charset, name string, notNull bool) string {
	def := definition.Column{Type: typ, Charset: charset}
	in := def.Info()
	in.DataType = kind
	c, err := in.Column()
	if err != nil {
		r.Fatalf("column %s: %v", name, err)
	}
	size := strings.TrimSuffix(strings.TrimSuffix(kind, "text"), "blob") // no more than what it has room for
	return fmt.Sprint(name, " ", size, " ", c.Type, " ", c.Meta, " ", c.Unsigned, " ", definition.Canonical(c.Charset), " ", c.Labels, " ", notNull)
}

// testPeriods follows tables with periods while nobody can ask for them: they are gone by then.
func testPeriods(t *testing.T, g *rig) {
	if !g.maria() || strings.HasPrefix(g.query("SELECT VERSION()")[0], "10.2.") { // they are of MariaDB 10.4 and 10.5
		return
	}
	g.run("CREATE TABLE s (id int PRIMARY KEY)")
	res := g.first()
	if err := g.r.Close(); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"CREATE TABLE lease (id int, x date, y date, PERIOD FOR p (x, y), PRIMARY KEY (id, p WITHOUT OVERLAPS))", "INSERT INTO lease VALUES (1, '2026-09-01', '2026-09-03')",
		"DELETE FROM lease FOR PORTION OF p FROM '2026-09-02' TO '2026-09-09'", "ALTER TABLE lease ADD n int", "INSERT INTO lease VALUES (2, '2026-09-01', '2026-09-03', 5)", "DROP TABLE lease",
		"CREATE TABLE room (id int PRIMARY KEY, x date, y date)", "ALTER TABLE room ADD PERIOD FOR p (x, y)", "INSERT INTO room VALUES (3, '2026-09-01', '2026-09-03')",
		"ALTER TABLE room DROP PERIOD FOR p, DROP y", "INSERT INTO room VALUES (4, '2026-09-02')", "DROP TABLE room"} {
		g.run(sql)
	}
	if err := g.start(res); err != nil {
		t.Fatal(err)
	}
	rows := func(columns string) {
		t.Helper()
		for seg := g.busy(); ; seg = g.busy() {
			if seg.Kind == event.TableStopped {
				t.Fatalf("a table stops: %+v", seg.Stop)
			}
			if len(seg.Rows) == 0 {
				continue
			}
			table := seg.Rows[0].Table
			var have, key []string
			for _, c := range table.Columns {
				have = append(have, fmt.Sprintf("%s %t", c.Name, c.Nullable))
			}
			for _, i := range table.Key {
				key = append(key, table.Columns[i].Name)
			}
			if got := fmt.Sprint(have, key, len(seg.Rows)); got != columns {
				t.Errorf("%s, want %s", got, columns)
			}
			return
		}
	}
	rows("[id false x false y false] [id y x] 1")
	rows("[id false x false y false] [id y x] 1")
	rows("[id false x false y false n true] [id y x] 1")
	stopped := g.busy()
	if stopped.Kind != event.TableStopped || stopped.Stop.Code != event.CodeDropped {
		t.Fatalf("%+v, want the table dropped", stopped)
	}
	rows("[id false x false y false] [id] 1")
	rows("[id false x false] [id] 1")
}
