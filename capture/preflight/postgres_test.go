package preflight_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/postgres"
	"github.com/tributary-cdc/tributary/capture/preflight"
	"github.com/tributary-cdc/tributary/deploy/local"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/peer"
	"github.com/tributary-cdc/tributary/test/servers"
)

func nobodyPostgres() preflight.Options {
	return preflight.Options{Postgres: &postgres.Options{Source: event.Source{ID: "330106-nobody"}, Host: "127.0.0.1", Port: 1, Database: "a", User: "nobody", Tables: []string{"a.*"}}}
}

// elephant is a PostgreSQL server with an administrator and a capture role that has what
// it needs and nothing more.
type elephant struct {
	t        *testing.T
	db       servers.DB
	admin    *pgx.Conn
	version  int
	password string
}

func newElephant(t *testing.T, db servers.DB) *elephant {
	e := &elephant{t: t, password: rand.Text()}
	e.again(db)
	e.run(t, "CREATE ROLE capture LOGIN REPLICATION PASSWORD '"+e.password+"'")
	return e
}

// again connects as administrator.
func (e *elephant) again(db servers.DB) {
	c, err := pgx.Connect(e.t.Context(), db.URL())
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { _ = c.Close(e.t.Context()) }) // the server may be gone
	e.db, e.admin = db, c
	if err := c.QueryRow(e.t.Context(), "SELECT current_setting('server_version_num')::int").Scan(&e.version); err != nil {
		e.t.Fatal(err)
	}
}

func (e *elephant) run(t *testing.T, sql string) {
	t.Helper()
	if _, err := e.admin.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatalf("%.200s: %v", sql, err)
	}
}

// source makes a schema and a publication, and gives the options of a source there.
func (e *elephant) source(t *testing.T, name string) preflight.Options {
	for _, sql := range []string{"CREATE SCHEMA {db}", "GRANT USAGE ON SCHEMA {db} TO capture", "ALTER DEFAULT PRIVILEGES IN SCHEMA {db} GRANT SELECT ON TABLES TO capture",
		"CREATE TABLE {db}.student (id int PRIMARY KEY, name text)", "CREATE PUBLICATION tributary_330106_{db} FOR TABLE {db}.student"} {
		e.run(t, strings.ReplaceAll(sql, "{db}", name))
	}
	return preflight.Options{Postgres: &postgres.Options{Source: event.Source{ID: "330106-" + name, Engine: event.Postgres}, Host: e.db.Host, Port: e.db.Port,
		Database: "postgres", User: "capture", Password: e.password, Tables: []string{name + ".*"}}}
}

// otherwise starts the server again with other settings, its data as they are.
func (e *elephant) otherwise(t *testing.T, settings map[string]string) {
	t.Helper()
	dir := e.db.Server.Dir
	if err := e.db.Server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, err := local.StartPostgres(t.Context(), local.Options{Dir: dir, Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	e.t.Cleanup(func() {
		if err := s.Abort(); err != nil {
			e.t.Error(err)
		}
	})
	db := e.db
	db.Port, db.Server = s.Port, s
	e.again(db)
}

var postgresFindings = []struct {
	finding
	from int // the oldest release that has it, as server_version_num
	to   int // the newest; 0 for no end
}{
	{finding: finding{code: "PG_GRANT", severity: preflight.Refuses, part: "REPLICATION", provoke: []string{"ALTER ROLE capture NOREPLICATION"}, tidy: []string{"ALTER ROLE capture REPLICATION"}}},
	{finding: finding{code: "PG_GRANT", severity: preflight.Refuses, part: `SELECT ON "{db}"."student"`, provoke: []string{"REVOKE SELECT ON {db}.student FROM capture"}}},
	{finding: finding{code: "PG_GRANT", severity: preflight.Refuses, part: "USAGE ON SCHEMA", provoke: []string{"REVOKE USAGE ON SCHEMA {db} FROM capture"}}},
	{finding: finding{code: "PG_GRANT_EXCESS", severity: preflight.Advice, part: "SUPERUSER", provoke: []string{"ALTER ROLE capture SUPERUSER"}, tidy: []string{"ALTER ROLE capture NOSUPERUSER"}}},
	{finding: finding{code: "PG_GRANT_EXCESS", severity: preflight.Advice, part: "student", provoke: []string{"GRANT UPDATE ON {db}.student TO capture"}}},
	{finding: finding{code: "SOURCE_CONNECTIONS", severity: preflight.Refuses, part: "CONNECTION LIMIT 4", provoke: []string{"ALTER ROLE capture CONNECTION LIMIT 4"}, tidy: []string{"ALTER ROLE capture CONNECTION LIMIT -1"}}},
	{finding: finding{code: "TABLE_NO_KEY", severity: preflight.Refuses, part: "bare", provoke: []string{"CREATE TABLE {db}.bare (a int)"}}},
	{finding: finding{code: "TABLE_NO_KEY", severity: preflight.Refuses, part: "unique_only", provoke: []string{
		"CREATE TABLE {db}.unique_only (a int NOT NULL, b int, c int NOT NULL, UNIQUE (a, b), UNIQUE (c, a))", "CREATE UNIQUE INDEX ON {db}.unique_only (a) WHERE a > 1", "CREATE UNIQUE INDEX ON {db}.unique_only (abs(a))"}}},
	{finding: finding{code: "TABLE_NO_KEY", severity: preflight.Refuses, part: "NOTHING", provoke: []string{"ALTER TABLE {db}.student REPLICA IDENTITY NOTHING"}}},
	{finding: finding{code: "TABLE_NO_KEY", severity: preflight.Refuses, part: "FULL", provoke: []string{"CREATE TABLE {db}.whole (a int)", "ALTER TABLE {db}.whole REPLICA IDENTITY FULL"}}},
	{finding: finding{code: "TABLE_NO_KEY", severity: preflight.Refuses, part: "lost", differs: true, provoke: []string{"CREATE TABLE {db}.lost (a int NOT NULL)", "CREATE UNIQUE INDEX lost_a ON {db}.lost (a)",
		"ALTER TABLE {db}.lost REPLICA IDENTITY USING INDEX lost_a", "DROP INDEX {db}.lost_a"}}},
	{finding: finding{code: "TABLE_NO_KEY", severity: preflight.Refuses, part: "deferred", provoke: []string{"CREATE TABLE {db}.deferred (id int PRIMARY KEY DEFERRABLE)"}}},
	{finding: finding{code: "PG_UNLOGGED", severity: preflight.Refuses, part: "scratch", provoke: []string{"CREATE UNLOGGED TABLE {db}.scratch (id int PRIMARY KEY)"}}},
	{finding: finding{code: "PG_ROW_SECURITY", severity: preflight.Refuses, part: "student", provoke: []string{"ALTER TABLE {db}.student ENABLE ROW LEVEL SECURITY"}}},
	{finding: finding{code: "PG_PUBLICATION", severity: preflight.Refuses, part: "tributary_330106_{db}", provoke: []string{"DROP PUBLICATION tributary_330106_{db}"}}},
	{finding: finding{code: "PG_PUBLISHED", severity: preflight.Refuses, part: "teacher", provoke: []string{"CREATE TABLE {db}.teacher (id int PRIMARY KEY)"}}},
	{finding: finding{code: "PG_PUBLISHED", severity: preflight.Refuses, part: "publish: insert, update", provoke: []string{"ALTER PUBLICATION tributary_330106_{db} SET (publish = 'insert, update')"}}},
	{finding: finding{code: "PG_PUBLICATION_FILTER", severity: preflight.Harms, part: "WHERE (id > 5)", provoke: []string{"ALTER PUBLICATION tributary_330106_{db} SET TABLE {db}.student WHERE (id > 5)"}}, from: 150000},
	{finding: finding{code: "PG_PUBLICATION_FILTER", severity: preflight.Harms, part: ": id", provoke: []string{"ALTER PUBLICATION tributary_330106_{db} SET TABLE {db}.student (id)"}}, from: 150000},
	{finding: finding{code: "PG_GENERATED", severity: preflight.Harms, part: "label", final: true, provoke: []string{"ALTER TABLE {db}.student ADD label text GENERATED ALWAYS AS (name || '!') STORED"}}, from: 130000, to: 179999},
	{finding: finding{code: "PG_GENERATED", severity: preflight.Harms, part: "label", provoke: []string{"ALTER TABLE {db}.student ADD label text GENERATED ALWAYS AS (name || '!') STORED"}}, from: 180000},
	{finding: finding{code: "PG_TIMEOUT", severity: preflight.Harms, part: "statement_timeout = 5000 ms", provoke: []string{"ALTER ROLE capture SET statement_timeout = '5s'"}, tidy: []string{"ALTER ROLE capture RESET statement_timeout"}}},
	{finding: finding{code: "PG_TIMEOUT", severity: preflight.Harms, part: "statement_timeout = 6000 ms", provoke: []string{"ALTER DATABASE postgres SET statement_timeout = '6s'"}, tidy: []string{"ALTER DATABASE postgres RESET statement_timeout"}}},
	{finding: finding{code: "PG_TIMEOUT", severity: preflight.Harms, part: "wal_sender_timeout = 2000 ms", provoke: []string{"ALTER ROLE capture SET wal_sender_timeout = '2s'"}, tidy: []string{"ALTER ROLE capture RESET wal_sender_timeout"}}, from: 120000},
	{finding: finding{code: "PG_TIMEOUT", severity: preflight.Harms, part: "idle_session_timeout", provoke: []string{"ALTER ROLE capture SET idle_session_timeout = '1min'"}, tidy: []string{"ALTER ROLE capture RESET idle_session_timeout"}}, from: 140000},
	{finding: finding{code: "PG_DECODING_MEMORY", severity: preflight.Advice, part: "1024 kB", provoke: []string{"ALTER DATABASE postgres SET logical_decoding_work_mem = '1MB'"}, tidy: []string{"ALTER DATABASE postgres RESET logical_decoding_work_mem", "ALTER ROLE capture RESET logical_decoding_work_mem"}}, from: 130000},
	{finding: finding{code: "PG_SLOT_IDLE", severity: preflight.Advice, part: "left_behind", final: true, provoke: []string{"SELECT pg_create_logical_replication_slot('left_behind', 'pgoutput')"}}},
	{finding: finding{code: "PG_OPEN_TRANSACTION", severity: preflight.Refuses, part: "at night", final: true, provoke: []string{"BEGIN", "INSERT INTO {db}.student VALUES (1)", "PREPARE TRANSACTION 'at night'"}}},
}

func TestPostgresFindings(t *testing.T) {
	servers.Each(t, "PostgreSQL", func(t *testing.T, start servers.Starter) {
		e := newElephant(t, start(t, map[string]string{"max_prepared_transactions": "5"}))
		for i, c := range postgresFindings {
			if e.version < c.from || c.to > 0 && e.version > c.to {
				continue
			}
			t.Run(c.code+" "+c.part, func(t *testing.T) {
				db := fmt.Sprintf("pf_%d", i)
				o := e.source(t, db)
				fill := strings.NewReplacer("{db}", db)
				c.part = fill.Replace(c.part)
				if f := found(look(t, o), c.code, c.part); f != nil {
					t.Fatalf("before it was provoked: %+v", f)
				}
				for _, sql := range c.provoke {
					e.run(t, fill.Replace(sql))
				}
				repairs(t, o, c.finding, e.run)
				for _, sql := range append(c.tidy, "DROP PUBLICATION IF EXISTS tributary_330106_{db}", "DROP SCHEMA {db} CASCADE") {
					e.run(t, fill.Replace(sql))
				}
			})
		}
		t.Run("well", func(t *testing.T) { wellPostgres(t, e) })
		t.Run("keys", func(t *testing.T) { keysPostgres(t, e) })
		t.Run("partitions", func(t *testing.T) { partitionsPostgres(t, e) })
		t.Run("made", func(t *testing.T) { madePostgres(t, e) })
		t.Run("others", func(t *testing.T) { otherPostgres(t, e) })
		t.Run("script", func(t *testing.T) { scriptPostgres(t, e) })
	})
}

// wellPostgres: a server as the handbook wants it, and a role with the least privileges.
func wellPostgres(t *testing.T, e *elephant) {
	o := e.source(t, "well")
	if e.version >= 130000 {
		wants(t, o, preflight.Advice, "PG_SLOT_WAL", "-1")
		e.run(t, "ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
		e.run(t, "SELECT pg_reload_conf()")
		f := reloaded(t, o, "PG_SLOT_WAL", "1 MB")
		for _, r := range f.Repairs {
			e.run(t, r.SQL)
		}
		reloaded(t, o, "PG_SLOT_WAL", "")
	}
	e.run(t, "INSERT INTO well.student SELECT i, 'x' FROM generate_series(1, 1000) i")
	e.run(t, "ANALYZE well.student")
	r := look(t, o)
	for _, f := range r.Findings {
		old := e.version < 130000 && f.Code == "PG_SLOT_WAL"
		if f.Severity != preflight.Advice || f.Code != "SOURCE_TLS" && !old {
			t.Errorf("%+v", f)
		}
	}
	if r.LogRate == nil || r.LogRate.BytesPerDay <= 0 {
		t.Errorf("rate of the log: %+v", r.LogRate)
	}
	if len(r.Tables) != 1 || r.Tables[0].ID != "well.student" || r.Tables[0].Rows != 1000 || r.Tables[0].Bytes == 0 {
		t.Errorf("tables %+v", r.Tables)
	}
	if len(r.Makes) != 1 || r.Makes[0].SQL != postgres.CreateSlot(e.version, "'tributary_330106_well'") {
		t.Errorf("makes %+v", r.Makes)
	}
	e.run(t, r.Makes[0].SQL)
	if r := look(t, o); len(r.Makes) != 0 {
		t.Errorf("with its slot, makes %+v", r.Makes)
	}
	e.run(t, r.Makes[0].Undo)
}

// reloaded waits until the server works with its new settings: the finding is there, or
// with part empty it isn't.
func reloaded(t *testing.T, o preflight.Options, code, part string) *preflight.Finding {
	t.Helper()
	for deadline := time.Now().Add(limit); ; {
		f := found(look(t, o), code, part)
		if (f != nil) == (part != "") {
			proven(code, f == nil)
			return f
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s %q: %+v", code, part, f)
		}
	}
}

// otherPostgres are findings whose repair isn't SQL at the source.
func otherPostgres(t *testing.T, e *elephant) {
	o := e.source(t, "other")
	vary := func(f func(*postgres.Options)) preflight.Options {
		c := *o.Postgres
		f(&c)
		return preflight.Options{Postgres: &c}
	}
	wants(t, vary(func(c *postgres.Options) { c.Password = "wrong" }), preflight.Refuses, "PG_ACCESS", "")
	gone(t, o, "PG_ACCESS", "")
	wants(t, vary(func(c *postgres.Options) { c.Tables = append(c.Tables, "other.teach*") }), preflight.Refuses, "PG_NO_TABLE", "other.teach*")
	e.run(t, "CREATE TABLE other.teacher (id int PRIMARY KEY)")
	gone(t, vary(func(c *postgres.Options) { c.Tables = append(c.Tables, "other.teach*") }), "PG_NO_TABLE", "")
	slow := o
	slow.Now = func() time.Time { return time.Now().Add(time.Minute) }
	wants(t, slow, preflight.Harms, "SOURCE_CLOCK", "server - agent = -")
	gone(t, o, "SOURCE_CLOCK", "")

	e.run(t, "DO $$ BEGIN EXECUTE 'CREATE TABLE other.sheet (id int PRIMARY KEY, ' || (SELECT string_agg('c' || i || ' boolean', ', ') FROM generate_series(1, 1599) i) || ')'; END $$")
	wants(t, o, preflight.Refuses, "TABLE_TOO_WIDE", "other.sheet 1600 > 1593")
	e.run(t, "DROP TABLE other.sheet")
	gone(t, o, "TABLE_TOO_WIDE", "")

	e.run(t, "CREATE TABLE other.photo (id int PRIMARY KEY, picture text)")
	e.run(t, "ALTER TABLE other.photo ALTER picture SET STORAGE EXTERNAL")
	e.run(t, "INSERT INTO other.photo VALUES (1, repeat('x', 2000000))")
	e.run(t, "ANALYZE other.photo")
	f := wants(t, o, preflight.Harms, "ROW_TOO_LARGE", "photo")
	if want := "caps: {other.photo: {picture: {size: 1MB, action: omit}}}"; len(f.Repairs) != 1 || f.Repairs[0].Agent != want {
		t.Errorf("repair %+v, want %s", f.Repairs, want)
	}
	bound := func(column string) preflight.Options {
		return vary(func(c *postgres.Options) {
			c.Caps = capture.Caps{"other.photo": {column: {Bytes: 1 << 20}}}
		})
	}
	gone(t, bound("picture"), "ROW_TOO_LARGE", "")
	wants(t, bound("Picture"), preflight.Harms, "CAP_UNUSED", `other.photo caps: no column "Picture"`)
	wants(t, bound("id"), preflight.Harms, "CAP_UNUSED", `caps: "id" PRIMARY KEY`)
	gone(t, bound("picture"), "CAP_UNUSED", "")
	e.run(t, "DROP TABLE other.photo")
	gone(t, o, "ROW_TOO_LARGE", "")
	wants(t, bound("picture"), preflight.Harms, "CAP_UNUSED", "other.photo caps: no table")

	e.run(t, "CREATE DATABASE raw ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
	wants(t, vary(func(c *postgres.Options) { c.Database = "raw" }), preflight.Harms, "PG_ENCODING", "raw")
	gone(t, o, "PG_ENCODING", "")

	raw, err := pgx.Connect(t.Context(), e.db.In("raw"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close(t.Context()) }() // only the test's
	if _, err := raw.Exec(t.Context(), "SELECT pg_create_logical_replication_slot('tributary_330106_other', 'pgoutput')"); err != nil {
		t.Fatal(err)
	}
	f = wants(t, o, preflight.Refuses, "SLOT_OTHER", "database = raw")
	if _, err := raw.Exec(t.Context(), f.Repairs[0].SQL); err != nil {
		t.Fatal(err)
	}
	gone(t, o, "SLOT_OTHER", "")

	if _, err := raw.Exec(t.Context(), "BEGIN; CREATE TABLE held (a int)"); err != nil {
		t.Fatal(err)
	}
	gone(t, o, "PG_OPEN_TRANSACTION", "")
	o.Long = time.Microsecond
	e.run(t, "ALTER ROLE capture SUPERUSER") // others' transactions are hidden from roles without pg_read_all_stats
	f = wants(t, o, preflight.Harms, "PG_OPEN_TRANSACTION", "pid")
	e.run(t, f.Repairs[0].SQL)
	for _, err = raw.Exec(t.Context(), "SELECT 1"); err == nil; { // ends with the backend
	}
	gone(t, o, "PG_OPEN_TRANSACTION", "")
	e.run(t, "ALTER ROLE capture NOSUPERUSER")
}

// TestPostgresOddSettings: what the server must start again for. The repair's SQL leaves
// its setting in the server's file; the start after it is with the test's usual settings.
func TestPostgresOddSettings(t *testing.T) {
	e := newElephant(t, servers.PostgresPrograms(t, map[string]string{"wal_level": "replica", "max_wal_senders": "0", "max_replication_slots": "0"}))
	o := e.source(t, "odd")
	for code, name := range map[string]string{"PG_WAL_LEVEL": "wal_level", "PG_WAL_SENDERS": "max_wal_senders", "PG_SLOTS": "max_replication_slots"} {
		f := wants(t, o, preflight.Refuses, code, name+" = ")
		if len(f.Repairs) != 1 || !f.Repairs[0].Restart {
			t.Fatalf("%s is repaired by %+v, want a restart", code, f.Repairs)
		}
		e.run(t, f.Repairs[0].SQL)
		var line string
		if err := e.admin.QueryRow(t.Context(), "SELECT $1::text || ' = ''' || setting || '''' FROM pg_file_settings WHERE name = $1 AND sourcefile LIKE '%auto.conf'", name).Scan(&line); err != nil || line != f.Repairs[0].Setting {
			t.Errorf("%s: the server's file has %s, want %s (%v)", code, line, f.Repairs[0].Setting, err)
		}
	}
	ca := servers.NewAuthority(t)
	ca.IssueInto(t, filepath.Join(e.db.Server.Dir, "data"), servers.Leaf{Name: "db.example", Hosts: []string{"127.0.0.1"}})
	if err := os.WriteFile(filepath.Join(e.db.Server.Dir, "data", "standby.signal"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	e.otherwise(t, map[string]string{"ssl": "on"})
	o.Postgres.Port = e.db.Port
	for _, code := range []string{"PG_WAL_LEVEL", "PG_WAL_SENDERS", "PG_SLOTS"} {
		gone(t, o, code, "")
	}

	f := wants(t, o, preflight.Advice, "SOURCE_TLS", "127.0.0.1")
	if f.Repairs[0].Agent != "tls: {mode: verify-full, ca_file: /etc/tributary/source-ca.pem}" {
		t.Errorf("%+v", f.Repairs)
	}
	o.Postgres.TLS = peer.TLS{Mode: peer.Require, Legacy: true}
	gone(t, o, "SOURCE_TLS", "")
	wants(t, o, preflight.Advice, "SOURCE_TLS_UNVERIFIED", "")
	wants(t, o, preflight.Advice, "SOURCE_TLS_LEGACY", "")
	o.Postgres.TLS = peer.TLS{Mode: peer.VerifyFull, CAFile: servers.NewAuthority(t).File}
	if f := wants(t, o, preflight.Refuses, peer.Untrusted, "127.0.0.1"); len(f.Repairs) != 1 || f.Repairs[0].Agent == "" {
		t.Errorf("%+v", f)
	}
	o.Postgres.TLS.CAFile = ca.File
	for _, code := range []string{"SOURCE_TLS", "SOURCE_TLS_UNVERIFIED", "SOURCE_TLS_LEGACY", peer.Untrusted} {
		gone(t, o, code, "")
	}

	wants(t, o, preflight.Refuses, "PG_STANDBY", "")
	e.run(t, "SELECT pg_promote()")
	gone(t, o, "PG_STANDBY", "")
}

// TestOldPostgres: 9.6 is told apart, and nothing more is asked. No statement mends a version;
// the finding goes once the same roles and tables stand on the oldest server that can be
// captured, as after a dump and a restore.
func TestOldPostgres(t *testing.T) {
	e := newElephant(t, servers.OldPostgres(t))
	const table = "CREATE TABLE public.student (id int PRIMARY KEY, name text)"
	e.run(t, table)
	o := preflight.Options{Postgres: &postgres.Options{Source: event.Source{ID: "330106-old"}, Host: e.db.Host, Port: e.db.Port, Database: "postgres", User: "capture", Password: e.password, Tables: []string{"public.*"}}}
	if f := wants(t, o, preflight.Refuses, "PG_VERSION", "9.6"); len(f.Repairs) > 0 {
		t.Errorf("%+v", f.Repairs)
	}

	e = newElephant(t, servers.Start(t, "PostgreSQL", "10.23", nil))
	e.run(t, table)
	o.Postgres.Port, o.Postgres.Password = e.db.Port, e.password
	gone(t, o, "PG_VERSION", "")
}
