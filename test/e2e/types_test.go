package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/oracle"
	"github.com/tributary-cdc/tributary/test/servers"
	"github.com/tributary-cdc/tributary/test/values"
)

// TestTypesOfMariaDB sends every type from MariaDB to a store, by load and by stream, in
// both codecs, and compares with the source by expressions of both servers. The page of
// types is made of what it finds.
func TestTypesOfMariaDB(t *testing.T) {
	servers.EachWay(t, "MariaDB", func(t *testing.T, start servers.Starter) {
		y := sendTypes(t, start(t, nil), "mariadb")
		if strings.HasPrefix(y.version, "10.11.") {
			y.page("MariaDB", func(values.Value) bool { return true })
		}
	})
}

// TestTypesOfMySQL does the same with MySQL. The page has what MariaDB doesn't.
func TestTypesOfMySQL(t *testing.T) {
	servers.EachWay(t, "MySQL", func(t *testing.T, start servers.Starter) {
		sendTypes(t, start(t, nil), "mysql").page("MySQL", func(v values.Value) bool {
			return strings.HasPrefix(v.On, "mysql") && v.Type != "int INVISIBLE" && !v.Generated()
		})
	})
}

func sendTypes(t *testing.T, db servers.DB, engine string) *types {
	db.Part(t, servers.Parts[1])
	y := newTypes(t, db)
	y.writeBefore()
	names := []string{`"学籍` + "`" + `表"`}
	for _, g := range y.groups {
		names = append(names, g.Name)
	}
	y.way = newWay(t, y.pg, fmt.Sprintf(`engine: %s, port: %d, user: root, tables: ["leixing.*"]`, engine, db.Port), db.Password, names)
	y.store = y.way.store
	y.writeAfter()
	y.compareAll()
	y.way.verify()
	return y
}

// types is a source with the tables of all types, and its way to a store.
type types struct {
	t       *testing.T
	db, pg  servers.DB
	c       *client.Conn
	way     *way
	store   *pgx.Conn
	version string
	groups  []values.Group
}

func newTypes(t *testing.T, db servers.DB) *types {
	y := &types{t: t, db: db, pg: servers.Postgres(t, nil), c: db.Connect(t, "")}
	mustExec(t, connect(t, y.pg, "postgres"), "CREATE DATABASE city")
	y.version = y.query("SELECT VERSION()")[0]
	y.groups = values.For(y.version)
	y.run("CREATE DATABASE leixing CHARACTER SET utf8mb4", "USE leixing", "SET time_zone = '+00:00'", "SET sql_mode = ''")
	return y
}

func (y *types) run(statements ...string) {
	y.t.Helper()
	for _, sql := range statements {
		if _, err := y.c.Execute(sql); err != nil {
			y.t.Fatalf("%.200s: %v", sql, err)
		}
	}
}

func (y *types) maria() bool { return strings.Contains(y.version, "MariaDB") }

// query gives the first column.
func (y *types) query(sql string) (out []string) {
	y.t.Helper()
	r, err := y.c.Execute(sql)
	if err != nil {
		y.t.Fatalf("%.200s: %v", sql, err)
	}
	for i := range r.RowNumber() {
		s, err := r.GetString(i, 0)
		if err != nil {
			y.t.Fatal(err)
		}
		out = append(out, strings.Clone(s))
	}
	return out
}

// names is a table whose name, columns and key are in Chinese, with quotes between.
const names = "CREATE TABLE `学籍``表` (`证件号 码` varchar(20) CHARACTER SET gbk PRIMARY KEY, `姓\"名` varchar(9), `数,a` int)"

// writeBefore fills the tables before anybody comes.
func (y *types) writeBefore() {
	for _, g := range y.groups {
		y.run(g.Create(), g.Insert(1), "INSERT INTO "+g.Name+" (id) VALUES (2)")
	}
	y.run(names, "INSERT INTO `学籍``表` VALUES ('甲镕', '喆', 1), ('乙', NULL, 2)")
}

// writeAfter changes them while the log is read: whole rows, rows with few columns, key
// changes, deletes.
func (y *types) writeAfter() {
	for _, g := range y.groups {
		y.run(g.Insert(3), g.Insert(4), "UPDATE "+g.Name+" SET touched = 1 WHERE id = 3", "DELETE FROM "+g.Name+" WHERE id = 4")
		for i, image := range []string{"MINIMAL", "NOBLOB"} {
			if g.Name == "others" && y.maria() { // which has a virtual column
				image = "FULL"
			}
			id := 5 + 2*i
			y.run("SET SESSION binlog_row_image = "+image, g.Insert(id), fmt.Sprintf("UPDATE %s SET touched = 2 WHERE id = %d", g.Name, id), fmt.Sprintf("UPDATE %s SET id = %d WHERE id = %d", g.Name, id+1, id))
		}
		y.run("UPDATE "+g.Name+" SET touched = 3 WHERE id = 1", "SET SESSION binlog_row_image = FULL")
	}
	y.run("INSERT INTO `学籍``表` VALUES ('丙', '名', 3)", "UPDATE `学籍``表` SET `证件号 码` = '丁镕' WHERE `证件号 码` = '甲镕'", "DELETE FROM `学籍``表` WHERE `证件号 码` = '乙'")
}

// compareAll waits until the store has what the source has, and says where it hasn't.
func (y *types) compareAll() {
	y.t.Helper()
	var diffs []string
	if !within(30*time.Second, func() bool { diffs = y.differences(); return len(diffs) == 0 }) {
		y.t.Errorf("the store differs:\n%s", strings.Join(diffs, "\n"))
	}
	if halted := column(y.t, y.store, "SELECT \"table\" || ': ' || error x FROM tributary.table_state WHERE state = 'halted'"); len(halted) != 0 {
		y.t.Errorf("stopped tables: %q", halted)
	}
	y.anomalies()
}

func (y *types) differences() (out []string) {
	for _, source := range y.way.sources {
		out = append(out, y.differencesOf(source)...)
	}
	return out
}

func (y *types) differencesOf(id string) (out []string) {
	of := " WHERE _source = '" + id + "' "
	for _, g := range y.groups {
		ids, there := y.query("SELECT id FROM "+g.Name+" ORDER BY id"), column(y.t, y.store, "SELECT id::text x FROM ods."+g.Name+of+"ORDER BY id")
		if !slices.Equal(ids, there) || len(ids) < 5 {
			out = append(out, fmt.Sprintf("%s: %s: rows %v, want %v", id, g.Name, there, ids))
			continue
		}
		for i, v := range append([]values.Value{{Type: "touched", Family: "number"}}, g.Values...) {
			name := fmt.Sprintf("c%d", i-1)
			if i == 0 {
				name = v.Type
			}
			source, store := oracle.Canonical(v.Family, name)
			want := y.query("SELECT COALESCE(" + source + ", '∅') FROM " + g.Name + " ORDER BY id")
			got := column(y.t, y.store, "SELECT coalesce("+store+", '∅') x FROM ods."+g.Name+of+"ORDER BY id")
			for n := range ids {
				if v.Anomaly != "" || v.Unstorable {
					want[n] = "∅"
				}
				if want[n] != got[n] {
					out = append(out, fmt.Sprintf("%s: %s %s, row %s: %.80s, want %.80s", id, g.Name, v.Type, ids[n], got[n], want[n]))
				}
			}
		}
	}
	want := y.query("SELECT CONCAT_WS('|', `证件号 码`, COALESCE(`姓\"名`, '∅'), `数,a`) FROM `学籍``表` ORDER BY `数,a`")
	got := column(y.t, y.store, "SELECT concat_ws('|', \"证件号 码\", coalesce(\"姓\"\"名\", '∅'), \"数,a\") x FROM ods.\"学籍`表\""+of+"ORDER BY \"数,a\"")
	if !slices.Equal(got, want) {
		out = append(out, fmt.Sprintf("names: %q, want %q", got, want))
	}
	return out
}

// anomalies wants a trace of each value that isn't in the store.
func (y *types) anomalies() {
	y.t.Helper()
	var want int
	for _, g := range y.groups {
		for _, v := range g.Values {
			if v.Anomaly != "" || v.Unstorable {
				want++
			}
		}
	}
	var rows int
	if err := y.store.QueryRow(y.t.Context(), "SELECT coalesce(sum(rows), 0) FROM tributary.anomaly WHERE code = 'VALUE_NULLED'").Scan(&rows); err != nil {
		y.t.Fatal(err)
	}
	if rows < 8*want || want == 0 { // the values of the keys 1, 3, 5 and 7 at least, from two sources
		y.t.Errorf("%d values with a trace, want %d at least", rows, 8*want)
	}
	if other := column(y.t, y.store, "SELECT code || ' ' || detail x FROM tributary.anomaly WHERE code <> 'VALUE_NULLED'"); len(other) != 0 {
		y.t.Errorf("anomalies: %q", other)
	}
}

// page holds a part of the page of types to what was found, or writes it.
func (y *types) page(part string, shown func(values.Value) bool) {
	y.t.Helper()
	if y.t.Failed() {
		return
	}
	const head = "| at the source 源库 | value 值 | log 日志 | store 汇聚库 | in the store 存储值 |\n|---|---|---|---|---|\n"
	var b strings.Builder
	for _, g := range y.groups {
		var rows strings.Builder
		for i, v := range g.Values {
			if !shown(v) {
				continue
			}
			typ, stored := y.way.stored(g.Name, fmt.Sprintf("c%d", i))
			fmt.Fprintf(&rows, "| `%s` | %s | %s | `%s` | %s |\n", cell(v.Type), code(v.Literal), cell(logged(&v)), typ, code(stored))
		}
		if rows.Len() > 0 {
			fmt.Fprintf(&b, "\n### %s\n\n%s%s", g.Name, head, rows.String())
		}
	}
	holdPage(y.t, "../../capture/mysql/TYPES.md", part, b.String())
}

// logged says what stands in the log.
func logged(v *values.Value) string {
	switch {
	case v.Anomaly != "":
		return "null + `" + v.Anomaly + "`"
	case v.Unstorable:
		return "the value 原值"
	case v.Want.State == event.Null:
		return "null"
	}
	return "the value 原值"
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// code shows a value, cut where it is long, with what can't be seen written out.
func code(s string) string {
	r := []rune(s)
	if len(r) > 40 {
		r = append(r[:37], '…')
	}
	text := fmt.Sprintf("%q", string(r))
	return "`" + cell(strings.NewReplacer(`\"`, `"`, `\\`, `\`, "`", "'").Replace(text[1:len(text)-1])) + "`"
}
