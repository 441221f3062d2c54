package sample

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/mysql"
	"github.com/tributary-cdc/tributary/capture/postgres"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/servers"
)

// tables are made on each product: names in any script, a key whose order isn't the
// columns', a table without one, an empty one, and numbers that are phones.
var tables = []string{
	`CREATE TABLE "xueji"."学生'""☎" ("id" bigint, "part" int, "c1" varchar(60), "c2" varchar(60), "SFZJH" varchar(20), "sjh" bigint, "memo" text, "photo" {blob}, PRIMARY KEY ("part", "id"))`,
	`CREATE TABLE "xueji"."log" ("line" text)`,
	`CREATE TABLE "xueji"."empty" ("id" bigint PRIMARY KEY, "xm" varchar(20))`,
	`CREATE TABLE "xueji"."plain" ("id" bigint PRIMARY KEY, "kcmc" varchar(20))`,
	`CREATE TABLE "xueji"."held" ("id" bigint PRIMARY KEY, "lxdh" varchar(20), "other" varchar(20))`,
	`CREATE TABLE "xueji"."other" ("id" bigint PRIMARY KEY, "xm" varchar(20))`,
	`INSERT INTO "xueji"."plain" VALUES (1, '语文'), (2, '数学'), (3, '物理')`,
	`INSERT INTO "xueji"."log" VALUES ('转学'), ('对花生过敏，家长 13800138000')`,
	`INSERT INTO "xueji"."held" VALUES (1, '13800138000', '13800138001')`,
}

const student = "xueji.学生'\"☎"

var ids = []string{student, "xueji.log", "xueji.empty", "xueji.plain", "xueji.held", "xueji.gone"}

// house is a server with the tables, and how to hold one so that nobody else can read it.
type house struct {
	options Options
	run     func(sql string)
	hold    func() // xueji.held
}

func (h *house) fill() {
	for _, sql := range tables {
		h.run(sql)
	}
	surnames, given := []rune("王李张刘陈"), []rune("小明雷敏芳")
	var rows []string
	for i := range 400 {
		name := string(surnames[i%5]) + string(given[i/5%5]) + string(given[i%4])
		rows = append(rows, fmt.Sprintf("(%d, %d, '%s', 'k%d', 'x', %d, '%s', NULL)", i, i%2, name, i, 13800130000+i, map[bool]string{true: "", false: "无"}[i%2 == 0]))
	}
	rows[0] = strings.Replace(rows[0], "'x'", "'11010519491231002X'", 1)
	h.run(`INSERT INTO "xueji"."学生'""☎" VALUES ` + strings.Join(rows, ", "))
}

// TestLook: what is suspected of tables on each product, at most 100 rows of each read by
// its key, and tables that can't be read judged by names.
func TestLook(t *testing.T) {
	products := map[string]func(*testing.T) *house{"PostgreSQL": openPostgres, "MariaDB": func(t *testing.T) *house { return openMySQL(t, servers.MariaDB) }}
	if os.Getenv(servers.MatrixVariable) == "all" { // it takes 15 s to start
		products["MySQL"] = func(t *testing.T) *house { return openMySQL(t, servers.MySQL) }
	}
	for name, open := range products {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			h.fill()
			look := func(o Options) map[string]Table {
				t.Helper()
				got, err := Look(t.Context(), o, ids)
				if err != nil {
					t.Fatal(err)
				}
				return got
			}
			got := look(h.options)
			if has, want := fmt.Sprint(got[student]), "{100 [{c1 name [form] 1} {SFZJH id_number [name] 0.01} {sjh phone [name form] 1} {photo biometric [name] 0}]}"; has != want {
				t.Errorf("%s, want %s", has, want)
			}
			for id, want := range map[string]string{"xueji.log": "{2 [{line health [form] 0.5} {line phone [form] 0.5}]}", "xueji.empty": "{0 [{xm name [name] 0}]}", "xueji.plain": "{3 []}", "xueji.held": "{1 [{lxdh phone [name form] 1} {other phone [form] 1}]}"} {
				if has := fmt.Sprint(got[id]); has != want {
					t.Errorf("%s: %s, want %s", id, has, want)
				}
			}
			if _, there := got["xueji.gone"]; there || len(got) != 5 {
				t.Errorf("%v", got)
			}
			h.hold()
			begun := time.Now()
			if got = look(h.options); fmt.Sprint(got["xueji.held"]) != "{0 [{lxdh phone [name] 0}]}" || got["xueji.log"].Rows != 2 {
				t.Errorf("%v", got)
			}
			if took := time.Since(begun); took > 20*time.Second {
				t.Errorf("a table that is held keeps us for %s", took)
			}
			names := h.options
			names.NamesOnly = true
			if got = look(names); got[student].Rows != 0 || fmt.Sprint(got[student].Hints) != "[{SFZJH id_number [name] 0} {sjh phone [name] 0} {photo biometric [name] 0}]" {
				t.Errorf("%v", got[student])
			}
			keyOf(t, h.options)
			wide(t, h)
			if missing, err := Missing(t.Context(), h.options, ids); err != nil || !slices.Equal(missing, []string{"xueji.gone"}) {
				t.Errorf("%q, %v", missing, err)
			}
		})
	}
}

// keyOf: rows are read in the order of the key's index, not of its columns in the table.
func keyOf(t *testing.T, o Options) {
	t.Helper()
	s, err := open(t.Context(), &o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	got, err := s.describe(t.Context(), map[string]bool{student: true})
	if err != nil || !slices.Equal(got[student].key, []string{"part", "id"}) {
		t.Errorf("%+v, %v", got, err)
	}
}

// wide: the columns of a table with as many as a server takes are all named and judged.
func wide(t *testing.T, h *house) {
	t.Helper()
	n, engine := 1600, "" // PostgreSQL takes no more
	if h.options.MySQL != nil {
		n, engine = 2000, " ENGINE MyISAM"
	}
	columns := make([]string, n)
	for i := range columns {
		columns[i] = fmt.Sprintf(`"lxdh%d" smallint`, i)
	}
	h.run(`CREATE TABLE "xueji"."wide" (` + strings.Join(columns, ", ") + ")" + engine)
	got, err := Columns(t.Context(), h.options, []string{"xueji.wide", "xueji.plain", "xueji.gone"})
	if err != nil || len(got) != 2 || len(got["xueji.wide"]) != n || got["xueji.wide"][n-1] != fmt.Sprintf("lxdh%d", n-1) || !slices.Equal(got["xueji.plain"], []string{"id", "kcmc"}) {
		t.Errorf("%d tables, %d columns, %v, %v", len(got), len(got["xueji.wide"]), got["xueji.plain"], err)
	}
	seen, err := Look(t.Context(), h.options, []string{"xueji.wide"})
	if err != nil || len(seen["xueji.wide"].Hints) != n {
		t.Errorf("%d of %d are suspected, %v", len(seen["xueji.wide"].Hints), n, err)
	}
}

func openPostgres(t *testing.T) *house {
	db := servers.Postgres(t, nil)
	connect := func() *pgx.Conn {
		c, err := pgx.Connect(t.Context(), db.URL())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close(context.Background()) }) // the server may be gone
		return c
	}
	admin, other := connect(), connect()
	run := func(c *pgx.Conn, sql string) {
		t.Helper()
		if _, err := c.Exec(t.Context(), strings.ReplaceAll(sql, "{blob}", "bytea")); err != nil {
			t.Fatalf("%.200s: %v", sql, err)
		}
	}
	run(admin, "CREATE SCHEMA xueji")
	return &house{
		options: Options{Postgres: &postgres.Options{Source: event.Source{ID: "330106-xueji", Engine: event.Postgres}, Host: db.Host, Port: db.Port, Database: db.Database, User: db.User, Password: db.Password, Tables: []string{"xueji.*"}}},
		run:     func(sql string) { t.Helper(); run(admin, sql) },
		hold:    func() { t.Helper(); run(other, "BEGIN"); run(other, "LOCK TABLE xueji.held IN ACCESS EXCLUSIVE MODE") },
	}
}

func openMySQL(t *testing.T, start servers.Starter) *house {
	db := start(t, nil)
	admin, other := db.Connect(t, ""), db.Connect(t, "")
	run := func(c *client.Conn, sql string) {
		t.Helper()
		if _, err := c.Execute(strings.ReplaceAll(sql, "{blob}", "blob")); err != nil {
			t.Fatalf("%.200s: %v", sql, err)
		}
	}
	run(admin, "CREATE DATABASE xueji CHARACTER SET utf8mb4")
	run(admin, "SET SESSION sql_mode = 'ANSI_QUOTES'")
	return &house{
		options: Options{MySQL: &mysql.Options{Source: event.Source{ID: "330106-xueji"}, Host: db.Host, Port: db.Port, User: db.User, Password: db.Password, Tables: []string{"xueji.*"}}},
		run:     func(sql string) { t.Helper(); run(admin, sql) },
		hold:    func() { t.Helper(); run(other, "LOCK TABLES xueji.held WRITE") },
	}
}

// TestRefused: options that can't be, and a server that doesn't answer.
func TestRefused(t *testing.T) {
	nobody := &postgres.Options{Source: event.Source{ID: "330106-nobody"}, Host: "127.0.0.1", Port: 1, Database: "a", User: "nobody", Tables: []string{"a.*"}}
	if _, err := Look(t.Context(), Options{Postgres: nobody}, nil); !errors.Is(err, capture.ErrConnection) {
		t.Error(err)
	}
	for name, o := range map[string]Options{"none": {}, "both": {MySQL: &mysql.Options{}, Postgres: nobody}, "statement": {Postgres: nobody, Statement: time.Hour}} {
		if _, err := Look(t.Context(), o, nil); err == nil || !strings.Contains(err.Error(), "options") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
