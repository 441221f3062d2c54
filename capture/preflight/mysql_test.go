package preflight_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/mysql"
	"github.com/tributary-cdc/tributary/capture/preflight"
	"github.com/tributary-cdc/tributary/deploy/local"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/servers"
)

var errConnection = capture.ErrConnection

func nobodyMySQL() preflight.Options {
	return preflight.Options{MySQL: &mysql.Options{Source: event.Source{ID: "330106-nobody"}, Host: "127.0.0.1", Port: 1, User: "nobody", Tables: []string{"a.*"}}}
}

// maria is a MySQL or MariaDB server with an administrator and a capture user that has
// what it needs and nothing more.
type maria struct {
	t        *testing.T
	db       servers.DB
	admin    *client.Conn
	product  string
	password string
}

func newMaria(t *testing.T, db servers.DB) *maria {
	m := &maria{t: t, db: db, admin: db.Connect(t, ""), product: "MySQL", password: rand.Text()}
	if strings.Contains(m.admin.GetServerVersion(), "MariaDB") {
		m.product = "MariaDB"
	}
	m.user(t)
	return m
}

// user makes the capture user; MariaDB's test server begins each time without it.
func (m *maria) user(t *testing.T) {
	create := map[string]string{"MariaDB": "CREATE OR REPLACE USER", "MySQL": "CREATE USER IF NOT EXISTS"}[m.product]
	m.run(t, create+" capture@'127.0.0.1' IDENTIFIED BY '"+m.password+"'")
	m.run(t, "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO capture@'127.0.0.1'")
}

func (m *maria) run(t *testing.T, sql string) {
	t.Helper()
	if _, err := m.admin.Execute(sql); err != nil {
		t.Fatalf("%.200s: %v", sql, err)
	}
}

// again connects once more, after the server has started again.
func (m *maria) again(db servers.DB) { m.db, m.admin = db, db.Connect(m.t, "") }

// source makes a database for the capture user and gives the options of a source there.
func (m *maria) source(t *testing.T, name string) preflight.Options {
	m.run(t, "CREATE DATABASE IF NOT EXISTS "+name+" CHARACTER SET utf8mb4")
	m.run(t, "GRANT SELECT ON `"+strings.ReplaceAll(name, "_", `\_`)+"`.* TO capture@'127.0.0.1'")
	m.run(t, "CREATE TABLE IF NOT EXISTS "+name+".student (id int PRIMARY KEY, name varchar(40))")
	engine := event.MariaDB
	if m.product == "MySQL" {
		engine = event.MySQL
	}
	return preflight.Options{MySQL: &mysql.Options{Source: event.Source{ID: "330106-" + name, Engine: engine}, Host: m.db.Host, Port: m.db.Port,
		User: "capture", Password: m.password, Tables: []string{name + ".*"}}}
}

// otherwise starts the server again with other settings, its data as they are.
func (m *maria) otherwise(t *testing.T, settings map[string]string) {
	t.Helper()
	if err := m.db.Server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	start := local.StartMariaDB
	if m.product == "MySQL" {
		start = local.StartMySQL
	}
	s, err := start(t.Context(), local.Options{Dir: m.db.Server.Dir, Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	m.t.Cleanup(func() {
		if err := s.Kill(); err != nil {
			m.t.Error(err)
		}
	})
	db := m.db
	db.Port, db.Server = s.Port, s
	m.again(db)
	m.user(t)
}

var mysqlFindings = []finding{
	{code: "MYSQL_BINLOG_FORMAT", severity: preflight.Refuses, part: "MIXED", provoke: []string{"SET GLOBAL binlog_format = 'MIXED'"}, tidy: []string{"SET GLOBAL binlog_format = 'ROW'"}},
	{code: "MYSQL_ROW_IMAGE", severity: preflight.Harms, part: "MINIMAL", provoke: []string{"SET GLOBAL binlog_row_image = 'MINIMAL'"}, tidy: []string{"SET GLOBAL binlog_row_image = 'FULL'"}},
	{code: "MYSQL_ROW_METADATA", severity: preflight.Harms, part: "MINIMAL", provoke: []string{"SET GLOBAL binlog_row_metadata = 'MINIMAL'"}, tidy: []string{"SET GLOBAL binlog_row_metadata = 'FULL'"}},
	{code: "PARTIAL_JSON", severity: preflight.Refuses, part: "PARTIAL_JSON", provoke: []string{"SET GLOBAL binlog_row_value_options = 'PARTIAL_JSON'"}, tidy: []string{"SET GLOBAL binlog_row_value_options = ''"}, only: "MySQL"},
	{code: "MYSQL_RETENTION", severity: preflight.Harms, part: "1.0 h", provoke: []string{"SET GLOBAL binlog_expire_logs_seconds = 3600"}, tidy: []string{"SET GLOBAL binlog_expire_logs_seconds = 604800"}},
	{code: "MYSQL_TIMEOUT", severity: preflight.Harms, part: "net_write_timeout = 5", provoke: []string{"SET GLOBAL net_write_timeout = 5"}, tidy: []string{"SET GLOBAL net_write_timeout = 60"}},
	{code: "MYSQL_SERVER_ID", severity: preflight.Refuses, part: "server_id = {id}", provoke: []string{"SET GLOBAL server_id = {id}"}, tidy: []string{"SET GLOBAL server_id = 1"}},
	{code: "MYSQL_GRANT", severity: preflight.Refuses, part: "REPLICATION SLAVE", provoke: []string{"REVOKE REPLICATION SLAVE ON *.* FROM capture@'127.0.0.1'"}, tidy: []string{"GRANT REPLICATION SLAVE ON *.* TO capture@'127.0.0.1'"}},
	{code: "MYSQL_GRANT", severity: preflight.Refuses, part: "ON *.*", provoke: []string{"REVOKE REPLICATION CLIENT ON *.* FROM capture@'127.0.0.1'"}, tidy: []string{"GRANT REPLICATION CLIENT ON *.* TO capture@'127.0.0.1'"}},
	{code: "MYSQL_GRANT", severity: preflight.Refuses, part: "SELECT ON `{escaped}`.*", provoke: []string{"REVOKE SELECT ON `{escaped}`.* FROM capture@'127.0.0.1'"}, tidy: []string{"GRANT SELECT ON `{escaped}`.* TO capture@'127.0.0.1'"}},
	{code: "MYSQL_GRANT", severity: preflight.Refuses, part: "`{db}`.`teacher`", provoke: []string{"CREATE TABLE {db}.teacher (id int PRIMARY KEY)", "REVOKE SELECT ON `{escaped}`.* FROM capture@'127.0.0.1'", "GRANT SELECT ON {db}.student TO capture@'127.0.0.1'", "GRANT SHOW VIEW ON {db}.teacher TO capture@'127.0.0.1'"}, tidy: []string{"REVOKE SELECT ON {db}.student FROM capture@'127.0.0.1'"}},
	{code: "MYSQL_GRANT_EXCESS", severity: preflight.Advice, part: "DELETE", provoke: []string{"GRANT DELETE, DROP ON {db}.* TO capture@'127.0.0.1'"}, tidy: []string{"REVOKE DELETE, DROP ON {db}.* FROM capture@'127.0.0.1'"}},
	{code: "MYSQL_GRANT_EXCESS", severity: preflight.Advice, part: "ALL PRIVILEGES", provoke: []string{"GRANT ALL PRIVILEGES ON {db}.* TO capture@'127.0.0.1'"}, tidy: []string{"REVOKE ALL PRIVILEGES ON {db}.* FROM capture@'127.0.0.1'"}},
	{code: "SOURCE_CONNECTIONS", severity: preflight.Refuses, part: "MAX_USER_CONNECTIONS 4", provoke: []string{"ALTER USER capture@'127.0.0.1' WITH MAX_USER_CONNECTIONS 4"}, tidy: []string{"ALTER USER capture@'127.0.0.1' WITH MAX_USER_CONNECTIONS 0"}},
	{code: "TABLE_NO_KEY", severity: preflight.Refuses, part: "bare", provoke: []string{"CREATE TABLE {db}.bare (a int)"}},
	{code: "TABLE_NO_KEY", severity: preflight.Refuses, part: "counted", provoke: []string{"CREATE TABLE {db}.counted (a int AUTO_INCREMENT, KEY (a))"}},
	{code: "MYSQL_ENGINE", severity: preflight.Harms, part: "MyISAM", provoke: []string{"CREATE TABLE {db}.old (id int PRIMARY KEY) ENGINE = MyISAM"}},
	{code: "MYSQL_ENGINE", severity: preflight.Harms, part: "Aria", provoke: []string{"CREATE TABLE {db}.aria (id int PRIMARY KEY) ENGINE = Aria"}, only: "MariaDB"},
	{code: "MYSQL_CASCADE", severity: preflight.Harms, part: "ON DELETE CASCADE ON UPDATE SET NULL", only: "MariaDB",
		provoke: []string{"CREATE TABLE {db}.mark (id int PRIMARY KEY, student int, CONSTRAINT of_student FOREIGN KEY (student) REFERENCES {db}.student (id) ON DELETE CASCADE ON UPDATE SET NULL)"}},
	{code: "TYPE_UNSUPPORTED", severity: preflight.Refuses, part: "old_text.b", provoke: []string{"CREATE TABLE {db}.old_text (id int PRIMARY KEY, a int, b varchar(9) CHARACTER SET sjis NOT NULL DEFAULT 'x' COMMENT 'b, of b', c int)"}},
	{code: "NAME_TOO_LONG", severity: preflight.Refuses, part: "66 > 63", provoke: []string{"CREATE TABLE {db}.longer (id int PRIMARY KEY, 一二三四五六七八九十一二三四五六七八九十一二 int NOT NULL DEFAULT 3)"}},
	{code: "TABLE_VERSIONED", severity: preflight.Refuses, part: "kept", provoke: []string{"CREATE TABLE {db}.kept (id int PRIMARY KEY) WITH SYSTEM VERSIONING"}, only: "MariaDB"},
}

func TestMySQLFindings(t *testing.T) {
	for name, start := range map[string]func(testing.TB, map[string]string) servers.DB{"MariaDB": servers.MariaDB, "MySQL": servers.MySQL} {
		t.Run(name, func(t *testing.T) {
			m := newMaria(t, start(t, map[string]string{"binlog_expire_logs_seconds": "604800"}))
			for i, c := range mysqlFindings {
				if c.only != "" && c.only != m.product {
					continue
				}
				t.Run(c.code+" "+c.part, func(t *testing.T) {
					db := fmt.Sprintf("pf_%d", i)
					o := m.source(t, db)
					o.Load = c.load
					fill := strings.NewReplacer("{db}", db, "{escaped}", strings.ReplaceAll(db, "_", `\_`), "{id}", fmt.Sprint(mysql.ReplicaID(o.MySQL.Source.ID)))
					c.part = fill.Replace(c.part)
					if f := found(look(t, o), c.code, c.part); f != nil {
						t.Fatalf("before it was provoked: %+v", f)
					}
					for _, sql := range c.provoke {
						m.run(t, fill.Replace(sql))
					}
					repairs(t, o, c, m.run)
					for _, sql := range append(c.tidy, "DROP DATABASE {db}") {
						m.run(t, fill.Replace(sql))
					}
				})
			}
			t.Run("well", func(t *testing.T) { wellMaria(t, m) })
			t.Run("keys", func(t *testing.T) { keysMaria(t, m) })
			t.Run("types", func(t *testing.T) { typesMaria(t, m) })
			t.Run("others", func(t *testing.T) { others(t, m) })
			if m.product == "MariaDB" { // MySQL's is made where InnoDB runs foreign keys
				t.Run("script", func(t *testing.T) { scriptMaria(t, m) })
			}
		})
	}
}

// wellMaria: a server as the handbook wants it and a user with the least privileges
// leave nothing but the word about encryption on loopback.
func wellMaria(t *testing.T, m *maria) {
	o := m.source(t, "well")
	o.Load = true
	m.run(t, "INSERT INTO well.student VALUES (1, 'x')")
	m.run(t, "ANALYZE TABLE well.student")
	r := look(t, o)
	for _, f := range r.Findings {
		if f.Code != "SOURCE_TLS" || f.Severity != preflight.Advice {
			t.Errorf("%+v", f)
		}
	}
	if r.LogRate == nil || r.LogRate.BytesPerDay <= 0 {
		t.Errorf("rate of the log: %+v", r.LogRate)
	}
	if len(r.Tables) != 1 || r.Tables[0].ID != "well.student" || r.Tables[0].Rows != 1 || r.Tables[0].Bytes == 0 {
		t.Errorf("tables %+v", r.Tables)
	}
	if !strings.Contains(r.Server, m.product+" ") || len(r.Makes) != 0 {
		t.Errorf("server %q, makes %v", r.Server, r.Makes)
	}
}

// others are findings whose repair isn't SQL at the source.
func others(t *testing.T, m *maria) {
	o := m.source(t, "other")
	my := o.MySQL
	vary := func(f func(*mysql.Options)) preflight.Options {
		c := *my
		f(&c)
		return preflight.Options{MySQL: &c}
	}
	wants(t, vary(func(c *mysql.Options) { c.Password = "wrong" }), preflight.Refuses, "MYSQL_LOGIN", "")
	gone(t, o, "MYSQL_LOGIN", "")
	wants(t, vary(func(c *mysql.Options) { c.Source.Engine = "other" }), preflight.Harms, "SOURCE_ENGINE", m.product)
	gone(t, o, "SOURCE_ENGINE", "")
	wants(t, vary(func(c *mysql.Options) { c.Tables = append(c.Tables, "other.teach*") }), preflight.Refuses, "MYSQL_NO_TABLE", "other.teach*")
	m.run(t, "CREATE TABLE other.teacher (id int PRIMARY KEY)")
	gone(t, vary(func(c *mysql.Options) { c.Tables = append(c.Tables, "other.teach*") }), "MYSQL_NO_TABLE", "")

	slow := o
	slow.Now = func() time.Time { return time.Now().Add(-time.Minute) }
	wants(t, slow, preflight.Harms, "SOURCE_CLOCK", "server - agent = ")
	gone(t, o, "SOURCE_CLOCK", "")

	m.source(t, "twin")
	both := func(datasets map[string]string) preflight.Options {
		return vary(func(c *mysql.Options) { c.Tables, c.Datasets = []string{"other.*", "twin.*"}, datasets })
	}
	f := wants(t, both(nil), preflight.Harms, "DATASET_SHARED", "student other.student, twin.student")
	if f.Repairs[0].Agent != "datasets: {twin.student: twin_student}" {
		t.Errorf("%+v", f.Repairs)
	}
	gone(t, both(map[string]string{"twin.student": "twin_student"}), "DATASET_SHARED", "")

	m.run(t, "CREATE TABLE twin.teacher (id int PRIMARY KEY)")
	m.run(t, "REVOKE SELECT ON `twin`.* FROM capture@'127.0.0.1'")
	m.run(t, "GRANT SELECT ON twin.student TO capture@'127.0.0.1'")
	f = wants(t, both(nil), preflight.Advice, "MYSQL_GRANT", "SELECT ON `twin`.*")
	m.run(t, f.Repairs[0].SQL)
	gone(t, both(nil), "MYSQL_GRANT", "")

	long := "other." + strings.Repeat("学", 22)
	m.run(t, "CREATE TABLE "+long+" (id int PRIMARY KEY)")
	f = wants(t, o, preflight.Refuses, "NAME_TOO_LONG", long)
	if want := "datasets: {" + long + ": "; !strings.HasPrefix(f.Repairs[0].Agent, want) {
		t.Errorf("repair %+v, want %s", f.Repairs, want)
	}
	gone(t, vary(func(c *mysql.Options) { c.Datasets = map[string]string{long: "学生"} }), "NAME_TOO_LONG", long)

	columns := "id int PRIMARY KEY"
	for i := range 1999 {
		columns += fmt.Sprintf(", c%d tinyint", i)
	}
	m.run(t, "CREATE TABLE other.sheet ("+columns+") ENGINE = MyISAM")
	wants(t, o, preflight.Refuses, "TABLE_TOO_WIDE", "other.sheet 2000 > 1593")
	m.run(t, "DROP TABLE other.sheet")
	gone(t, o, "TABLE_TOO_WIDE", "")

	wide := func() {
		m.run(t, "INSERT INTO other.photo SELECT COALESCE(MAX(id), 0) + 1, REPEAT('x', 2000000) FROM other.photo")
		m.run(t, "ANALYZE TABLE other.photo")
	}
	m.run(t, "CREATE TABLE other.photo (id int PRIMARY KEY, picture longblob)")
	wide()
	f = wants(t, o, preflight.Harms, "ROW_TOO_LARGE", "picture")
	if want := "caps: {other.photo: {picture: {size: 1MB, action: omit}}}"; len(f.Repairs) != 1 || f.Repairs[0].Agent != want {
		t.Errorf("repair %+v, want %s", f.Repairs, want)
	}
	bound := func(column string, stop bool) preflight.Options {
		return vary(func(c *mysql.Options) {
			c.Caps = capture.Caps{"other.photo": {column: {Bytes: 1 << 20, Stop: stop}}}
		})
	}
	wants(t, bound("Picture", true), preflight.Harms, "ROW_TOO_LARGE", "picture") // it stops as well
	gone(t, bound("Picture", false), "ROW_TOO_LARGE", "")
	wants(t, bound("nowhere", false), preflight.Harms, "CAP_UNUSED", `other.photo caps: no column "nowhere"`)
	wants(t, bound("ID", false), preflight.Harms, "CAP_UNUSED", `caps: "ID" PRIMARY KEY`)
	gone(t, bound("Picture", false), "CAP_UNUSED", "")
	m.run(t, "DROP TABLE other.photo")
	gone(t, o, "ROW_TOO_LARGE", "")
	wants(t, bound("picture", false), preflight.Harms, "CAP_UNUSED", "other.photo caps: no table")

	m.run(t, "XA START 'a''b', 'c'")
	m.run(t, "INSERT INTO other.teacher VALUES (1)")
	m.run(t, "XA END 'a''b', 'c'")
	m.run(t, "XA PREPARE 'a''b', 'c'")
	if m.product == "MySQL" { // it hides other users' transactions
		wants(t, o, preflight.Harms, "MYSQL_XA", "Com_xa_prepare = 1")
		m.run(t, "GRANT XA_RECOVER_ADMIN ON *.* TO capture@'127.0.0.1'")
	}
	f = wants(t, o, preflight.Refuses, "MYSQL_XA", "XA RECOVER")
	if err := m.admin.Close(); err != nil { // the session that prepared it may do nothing else
		t.Fatal(err)
	}
	m.again(m.db)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for { // until the server has noticed
		if _, err := m.admin.Execute(f.Repairs[0].SQL); err == nil {
			break
		} else if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	wants(t, o, preflight.Harms, "MYSQL_XA", "Com_xa_prepare = 1") // until the server starts again

	collision(t, m, o)
}

// collision: another replica has the number that the source's reader will have.
func collision(t *testing.T, m *maria, o preflight.Options) {
	if m.product == "MariaDB" {
		m.run(t, "GRANT REPLICATION MASTER ADMIN ON *.* TO capture@'127.0.0.1'")
	}
	flavor := gomysql.MySQLFlavor
	if m.product == "MariaDB" {
		flavor = gomysql.MariaDBFlavor
	}
	s := replication.NewBinlogSyncer(replication.BinlogSyncerConfig{ServerID: mysql.ReplicaID(o.MySQL.Source.ID), Flavor: flavor, Host: m.db.Host, Port: m.db.Port,
		User: m.db.User, Password: m.db.Password, Localhost: "elsewhere", Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	rows, err := m.admin.Execute("SHOW BINARY LOGS")
	if err != nil {
		t.Fatal(err)
	}
	file, err := rows.GetString(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := s.StartSync(gomysql.Position{Name: file, Pos: 4})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if _, err := stream.GetEvent(ctx); err != nil {
		t.Fatal(err)
	}
	wants(t, o, preflight.Refuses, "MYSQL_SERVER_ID", "elsewhere")
	s.Close()
	for ctx.Err() == nil && found(look(t, o), "MYSQL_SERVER_ID", "elsewhere") != nil { // until the server notices
	}
	if ctx.Err() != nil {
		t.Error("the replica is gone and still found")
	}
}
