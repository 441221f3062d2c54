package e2e

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/test/oracle"
	"github.com/tributary-cdc/tributary/test/servers"
	"github.com/tributary-cdc/tributary/test/values"
)

// TestTypesOfPostgreSQL sends every type from PostgreSQL to a store, by load and by
// stream, in both codecs, and compares with the source. The page of types is made of
// what it finds on the newest release. Each extension must be there on one server.
func TestTypesOfPostgreSQL(t *testing.T) {
	var mu sync.Mutex
	have := map[string]bool{}
	servers.EachWay(t, "PostgreSQL", func(t *testing.T, start servers.Starter) {
		y := newPostgresTypes(t, start(t, nil))
		mu.Lock()
		for _, e := range y.extensions {
			have[e] = true
		}
		mu.Unlock()
		y.before()
		y.way = newWay(t, y.pg, fmt.Sprintf(`engine: postgres, port: %d, database: leixing, user: postgres, tables: ["public.*"]`, y.db.Port), y.db.Password, y.tables())
		y.after()
		y.compareAll()
		y.way.verify()
		if y.release >= 18 {
			y.page()
		}
	})
	for _, e := range values.Extensions {
		if !have[e] {
			t.Errorf("no server has the extension %s", e)
		}
	}
}

// postgresTypes is a source with the tables of all types, and its way to a store.
type postgresTypes struct {
	t              *testing.T
	db, pg         servers.DB
	c              *pgx.Conn
	way            *way
	release        int // the first number of the version
	storeRelease   int
	version        string
	extensions     []string
	groups         []values.Group
	plain, dataset []string // of tables beside the groups: at the source, in the store
}

func newPostgresTypes(t *testing.T, db servers.DB) *postgresTypes {
	y := &postgresTypes{t: t, db: db, pg: servers.Postgres(t, nil)}
	mustExec(t, connect(t, y.pg, "postgres"), "CREATE DATABASE city")
	mustExec(t, connect(t, db, "postgres"), "CREATE DATABASE leixing")
	y.c = connect(t, db, "leixing")
	y.version = column(t, y.c, "SELECT current_setting('server_version') x")[0]
	y.release, y.storeRelease = y.major(y.c), y.major(connect(t, y.pg, "city"))
	y.extensions = column(t, y.c, "SELECT name::text x FROM pg_available_extensions WHERE name = ANY('{"+strings.Join(values.Extensions, ",")+"}') ORDER BY 1")
	var lacks []string
	for _, e := range values.Extensions {
		if !slices.Contains(y.extensions, e) {
			lacks = append(lacks, "no "+e+" in this build")
		}
	}
	db.Part(t, servers.Parts[1], lacks...)
	y.groups = values.Postgres(y.version, y.extensions)
	y.run("SET TimeZone = 'UTC'", "SET DateStyle = 'ISO, YMD'", "SET bytea_output = 'hex'")
	y.run(values.Prepare(y.version, y.extensions)...)
	return y
}

func (y *postgresTypes) major(c *pgx.Conn) int {
	y.t.Helper()
	n, err := strconv.Atoi(column(y.t, c, "SELECT current_setting('server_version_num') x")[0])
	if err != nil {
		y.t.Fatal(err)
	}
	return n / 10000
}

func (y *postgresTypes) run(statements ...string) {
	y.t.Helper()
	for _, sql := range statements {
		mustExec(y.t, y.c, sql)
	}
}

// before fills the tables before anybody comes.
func (y *postgresTypes) before() {
	for _, g := range y.groups {
		y.run(g.Create(), g.Insert(1), "INSERT INTO "+g.Name+" (id) VALUES (2)")
	}
	y.add(`"学籍""表"`, `("证件号 码" varchar(20) PRIMARY KEY, "姓""名" text, id int)`)
	y.run(`INSERT INTO "学籍""表" VALUES ('甲镕', '喆', 1), ('乙', NULL, 2)`)
	if y.release >= 12 {
		y.add("computed", "(id int PRIMARY KEY, a int, b int GENERATED ALWAYS AS (a + 41) STORED, c text)")
		y.run("INSERT INTO computed (id, a, c) VALUES (1, 1, 'x'), (2, NULL, 'y')")
	}
	if y.release >= 18 { // which has columns that are computed when they are read; its log hasn't
		y.run("ALTER TABLE computed ADD d int GENERATED ALWAYS AS (a * 2) VIRTUAL")
	}
	if y.release >= 11 {
		y.run("CREATE TABLE score (id int, term int, mark xb, PRIMARY KEY (id, term)) PARTITION BY LIST (term)",
			"CREATE TABLE score_1 PARTITION OF score FOR VALUES IN (1)", "CREATE TABLE score_2 PARTITION OF score FOR VALUES IN (2) PARTITION BY HASH (id)",
			"CREATE TABLE score_2_0 PARTITION OF score_2 FOR VALUES WITH (MODULUS 2, REMAINDER 0)", "CREATE TABLE score_2_1 PARTITION OF score_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1)")
		y.run("INSERT INTO score VALUES (1, 1, '男'), (2, 1, NULL)")
		if y.release >= 13 {
			y.plain, y.dataset = append(y.plain, "score"), append(y.dataset, "score")
		} else { // each partition is a table of its own
			y.plain, y.dataset = append(y.plain, "score_1"), append(y.dataset, "score_1")
		}
	}
}

// add makes a table beside the groups; it has a column id.
func (y *postgresTypes) add(name, columns string) {
	y.t.Helper()
	y.run("CREATE TABLE " + name + " " + columns)
	y.plain, y.dataset = append(y.plain, name), append(y.dataset, name)
}

// tables are those in the store that have two rows once they are loaded.
func (y *postgresTypes) tables() []string {
	out := slices.Clone(y.dataset)
	for _, g := range y.groups {
		out = append(out, g.Name)
	}
	return out
}

// after changes the tables while the log is read: whole rows, updates that leave large
// values alone, key changes, deletes, labels and partitions that weren't there.
func (y *postgresTypes) after() {
	for _, g := range y.groups {
		y.run(g.Insert(3), g.Insert(4), g.Insert(5), "UPDATE "+g.Name+" SET touched = 1 WHERE id IN (1, 3)", "DELETE FROM "+g.Name+" WHERE id = 4",
			"UPDATE "+g.Name+" SET id = 6 WHERE id = 5")
	}
	y.run(`INSERT INTO "学籍""表" VALUES ('丙', '名', 3)`, `UPDATE "学籍""表" SET "证件号 码" = '丁镕' WHERE id = 1`, `DELETE FROM "学籍""表" WHERE id = 2`)
	if y.release >= 12 {
		y.run("INSERT INTO computed (id, a, c) VALUES (3, 3, 'z')", "UPDATE computed SET a = 9 WHERE id = 1", "DELETE FROM computed WHERE id = 2")
	}
	y.run("ALTER TYPE xb ADD VALUE '未说明' BEFORE '男'")
	for i, v := range y.groups[1].Values {
		if v.Type == "xb" || v.Type == "sex" {
			y.run(fmt.Sprintf("UPDATE %s SET c%d = '未说明' WHERE id = 6", y.groups[1].Name, i))
		}
	}
	if y.release >= 11 {
		y.run("INSERT INTO score VALUES (3, 2, '未说明'), (4, 2, '女')", "UPDATE score SET term = 2 WHERE id = 1", "UPDATE score SET mark = '女' WHERE id = 2",
			"CREATE TABLE score_3 PARTITION OF score FOR VALUES IN (3)")
	}
	if y.release >= 13 {
		y.run("INSERT INTO score VALUES (5, 3, '男')")
	}
}

func (y *postgresTypes) compareAll() {
	y.t.Helper()
	var diffs []string
	if !within(60*time.Second, func() bool { diffs = y.differences(); return len(diffs) == 0 }) {
		y.t.Errorf("the store differs:\n%s", strings.Join(diffs, "\n"))
	}
	if halted := column(y.t, y.way.store, `SELECT "table" || ': ' || error x FROM tributary.table_state WHERE state = 'halted'`); len(halted) != 0 {
		y.t.Errorf("stopped tables: %q", halted)
	}
	if held := column(y.t, y.way.store, `SELECT "table" || ': ' || error x FROM tributary.quarantine`); len(held) != 0 {
		y.t.Errorf("rows in quarantine: %q", held)
	}
	y.anomalies()
}

func (y *postgresTypes) differences() (out []string) {
	for _, source := range y.way.sources {
		of := " WHERE _source = '" + source + "' "
		for _, g := range y.groups {
			out = append(out, y.differ(&g, source, of)...)
		}
		for i, name := range y.plain {
			// A row as text, without what only the one side has.
			hidden := "- 'd'"
			if y.release < 18 {
				hidden += " - 'b'"
			}
			want := column(y.t, y.c, "SELECT (to_jsonb(t) "+hidden+")::text x FROM "+name+" t ORDER BY id")
			got := column(y.t, y.way.store, "SELECT (to_jsonb(t) - '_source' - '_position' - '_op' - '_committed_at' - '_applied_at' - '_batch')::text x FROM ods."+y.dataset[i]+" t"+of+"ORDER BY id")
			if !slices.Equal(got, want) || len(want) == 0 {
				out = append(out, fmt.Sprintf("%s %s: %q, want %q", source, name, got, want))
			}
		}
	}
	return out
}

// unstorable says that the store has NULL in place of a value, with a trace.
func (y *postgresTypes) unstorable(v *values.Value) bool {
	from, err := strconv.Atoi("0" + v.StoreFrom)
	if err != nil {
		y.t.Fatal(err)
	}
	return v.Anomaly != "" || y.storeRelease < from
}

func (y *postgresTypes) differ(g *values.Group, id, of string) (out []string) {
	ids, there := column(y.t, y.c, "SELECT id::text x FROM "+g.Name+" ORDER BY id"), column(y.t, y.way.store, "SELECT id::text x FROM ods."+g.Name+of+"ORDER BY id")
	if !slices.Equal(ids, there) || len(ids) != 4 {
		return []string{fmt.Sprintf("%s %s: rows %v, want %v", id, g.Name, there, ids)}
	}
	for i, v := range append([]values.Value{{Type: "touched", Family: "same"}}, g.Values...) {
		name := fmt.Sprintf("c%d", i-1)
		if i == 0 {
			name = v.Type
		}
		source, store := oracle.CanonicalPostgres(v.Family, name)
		want := column(y.t, y.c, "SELECT coalesce("+source+", '∅') x FROM "+g.Name+" ORDER BY id")
		got := column(y.t, y.way.store, "SELECT coalesce("+store+", '∅') x FROM ods."+g.Name+of+"ORDER BY id")
		for n := range ids {
			if y.unstorable(&v) {
				want[n] = "∅"
			}
			if want[n] != got[n] {
				out = append(out, fmt.Sprintf("%s %s %s, row %s: %.80s, want %.80s", id, g.Name, v.Type, ids[n], got[n], want[n]))
			}
		}
	}
	return out
}

// anomalies wants a trace of each value that isn't in the store, and no other.
func (y *postgresTypes) anomalies() {
	y.t.Helper()
	var want int
	for _, g := range y.groups {
		for _, v := range g.Values {
			if y.unstorable(&v) {
				want++
			}
		}
	}
	got := column(y.t, y.way.store, "SELECT coalesce(sum(rows), 0)::text x FROM tributary.anomaly WHERE code = 'VALUE_NULLED'")[0]
	if n, err := strconv.Atoi(got); err != nil || want == 0 || n < 6*want { // of the keys 1, 3 and 5 at least, from two sources
		y.t.Errorf("%s values with a trace, want %d at least", got, 6*want)
	}
	if other := column(y.t, y.way.store, "SELECT code || ' ' || detail x FROM tributary.anomaly WHERE code <> 'VALUE_NULLED'"); len(other) != 0 {
		y.t.Errorf("anomalies: %q", other)
	}
}

// page holds the page of types to what was found, or writes it.
func (y *postgresTypes) page() {
	y.t.Helper()
	if y.t.Failed() {
		return
	}
	var b strings.Builder
	for _, g := range y.groups {
		fmt.Fprintf(&b, "\n### %s\n\n| at the source 源库 | since 起始版本 | value 值 | portable type 通用类型 | log 日志 | store 汇聚库 | in the store 存储值 |\n|---|---|---|---|---|---|---|\n", g.Name)
		for i, v := range g.Values {
			typ, stored := y.way.stored(g.Name, fmt.Sprintf("c%d", i))
			log := "the value 原值"
			if v.Anomaly != "" {
				log = "null + `" + v.Anomaly + "`"
			}
			shown := code(stored)
			if v.StoreFrom != "" {
				shown = code(string(v.Want.B)) + "; before " + v.StoreFrom + " `NULL` + trace " + v.StoreFrom + " 以前为 `NULL` 并留痕"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | `%s` | %s |\n", cell(v.Type), origin(&v), code(v.Literal), v.Kind, cell(log), typ, shown)
		}
	}
	holdPage(y.t, "../../capture/postgres/TYPES.md", "PostgreSQL", b.String())
}

// origin says where a type comes from, if not every server has it.
func origin(v *values.Value) string {
	if v.Extension != "" {
		return v.Extension
	}
	return v.On
}
