package preflight_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/capture/preflight"
)

// onlyLive are findings that only a connection of the agent shows.
var onlyLive = []string{"SOURCE_TLS", "SOURCE_TLS_UNVERIFIED", "SOURCE_TLS_LEGACY", "SOURCE_CLOCK", "PG_ACCESS"}

// byClient runs the source's script with the real client program, as user, and gives what
// it prints.
func byClient(t *testing.T, o preflight.Options, user, password string, flags ...string) []byte {
	t.Helper()
	script, err := preflight.Script(o)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "script.sql")
	if err := os.WriteFile(file, []byte("-- how it is run\n"+script), 0o600); err != nil {
		t.Fatal(err)
	}
	var c *exec.Cmd
	if o.Postgres != nil {
		c = exec.Command("psql", append([]string{"-X", "--host=127.0.0.1", fmt.Sprintf("--port=%d", o.Postgres.Port), "--username=" + user, "--dbname=" + o.Postgres.Database, "--file=" + file}, flags...)...)
		c.Env = append(os.Environ(), "PGPASSWORD="+password)
	} else {
		c = exec.Command("mariadb", append([]string{"--no-defaults", "--host=127.0.0.1", fmt.Sprintf("--port=%d", o.MySQL.Port), "--user=" + user, "--batch", "--force", "--default-character-set=utf8mb4"}, flags...)...)
		c.Env = append(os.Environ(), "MYSQL_PWD="+password)
		in, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = in.Close() }() // read only
		c.Stdin = in
	}
	var said, complained bytes.Buffer
	c.Stdout, c.Stderr = &said, &complained
	if err := c.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "#tributary done") {
		t.Fatalf("the script didn't end: %s", complained.String())
	}
	return said.Bytes()
}

// moving is what a look and the next have differently.
var moving = regexp.MustCompile(`\d+ bytes`)

// same fails unless a file and the server itself lead to the same findings, tables and
// things that the agent makes. Repairs of some codes may be missing in a file.
func same(t *testing.T, o preflight.Options, printed []byte, bare ...string) *preflight.Report {
	t.Helper()
	live := look(t, o)
	o.Printed = printed
	file := look(t, o)
	findings := func(r *preflight.Report) (out []preflight.Finding) {
		for _, f := range r.Findings {
			if slices.Contains(bare, f.Code) {
				f.Repairs = nil
			}
			f.Found = moving.ReplaceAllString(f.Found, "N bytes") // the log grows between the two
			if !slices.Contains(onlyLive, f.Code) {
				out = append(out, f)
			}
		}
		return out
	}
	want, got := findings(live), findings(file)
	for _, f := range want {
		if !slices.ContainsFunc(got, func(g preflight.Finding) bool { return reflect.DeepEqual(f, g) }) {
			t.Errorf("the file lacks %+v", f)
		}
	}
	for _, f := range got {
		if !slices.ContainsFunc(want, func(g preflight.Finding) bool { return reflect.DeepEqual(f, g) }) {
			t.Errorf("the file alone has %+v", f)
		}
	}
	if len(want) < 6 || !reflect.DeepEqual(live.Tables, file.Tables) || !reflect.DeepEqual(live.Makes, file.Makes) || live.Server != file.Server || file.LogRate == nil {
		t.Errorf("%d findings; %+v, want %+v", len(want), file, live)
	}
	return file
}

// damaged takes a cell from a line at a time: no file leads to a panic, and one that is
// cut is refused.
func damaged(t *testing.T, o preflight.Options, printed []byte) {
	t.Helper()
	lines := strings.Split(strings.TrimRight(string(printed), "\n"), "\n")
	check := func(lines []string) error {
		o.Printed = []byte(strings.Join(lines, "\n"))
		_, err := preflight.Check(t.Context(), o)
		return err
	}
	refused := 0
	for i, l := range lines {
		if strings.Contains(l, "\t") && i > 0 && i < len(lines)-1 && !strings.Contains(lines[i-1], "\t") {
			cut := slices.Clone(lines)
			cut[i] = l[:strings.LastIndexByte(l, '\t')]
			if err := check(cut); errors.Is(err, preflight.ErrPrinted) {
				refused++
			} else if err != nil {
				t.Errorf("%.100s: %v", cut[i], err)
			}
		}
	}
	if err := check(lines[:len(lines)-1]); !errors.Is(err, preflight.ErrPrinted) || refused < 3 {
		t.Errorf("without an end: %v; %d refused", err, refused)
	}
	if err := check([]string{"nothing of ours"}); !errors.Is(err, preflight.ErrPrinted) {
		t.Errorf("another file: %v", err)
	}
	if o.MySQL != nil {
		other := *o.MySQL
		other.Source.ID = "330106-other"
		o.MySQL = &other
	} else {
		other := *o.Postgres
		other.Source.ID = "330106-other"
		o.Postgres = &other
	}
	if err := check(lines); !errors.Is(err, preflight.ErrPrinted) {
		t.Errorf("another source's file: %v", err)
	}
}

// faults of a MySQL or MariaDB server that are planted together.
var planted = []string{"SET GLOBAL binlog_row_image = 'MINIMAL'", "SET GLOBAL net_write_timeout = 5", "SET GLOBAL binlog_expire_logs_seconds = 3600",
	"CREATE TABLE script.bare (a int)", "CREATE TABLE script.old (id int PRIMARY KEY) ENGINE = MyISAM", "CREATE TABLE `script`.`odd``name` (id int PRIMARY KEY, b varchar(9) CHARACTER SET sjis NOT NULL DEFAULT 'x\\ty' COMMENT 'b, of\nb')",
	"CREATE TABLE script.longer (id int PRIMARY KEY, 一二三四五六七八九十一二三四五六七八九十一二 int NOT NULL DEFAULT 3)",
	"CREATE TABLE script.mark (id int PRIMARY KEY, student int, CONSTRAINT of_student FOREIGN KEY (student) REFERENCES script.student (id) ON DELETE CASCADE ON UPDATE SET NULL)",
	"GRANT DELETE ON script.* TO capture@'127.0.0.1'"}

// scriptMaria runs the printed script with the real client, as the source's user and as an
// administrator, and compares what is judged of it with a live look.
func scriptMaria(t *testing.T, m *maria) {
	o := m.source(t, "script")
	for _, sql := range planted {
		m.run(t, sql)
	}
	var bare []string
	if m.product == "MySQL" { // has no script that asks for the statement of each table
		bare = []string{"TYPE_UNSUPPORTED", "NAME_TOO_LONG"}
		m.run(t, "CREATE ROLE script_reader")
		m.run(t, "GRANT SELECT ON script.* TO script_reader")
		m.run(t, "REVOKE SELECT ON `script`.* FROM capture@'127.0.0.1'")
		m.run(t, "GRANT script_reader TO capture@'127.0.0.1'")
		m.run(t, "SET DEFAULT ROLE script_reader TO capture@'127.0.0.1'")
	}
	printed := byClient(t, o, "capture", m.password, "--skip-column-names")
	file := same(t, o, printed, bare...)
	same(t, o, byClient(t, o, "capture", m.password), bare...) // with the columns' names
	for _, code := range []string{"MYSQL_ROW_IMAGE", "MYSQL_CASCADE", "TYPE_UNSUPPORTED", "MYSQL_GRANT_EXCESS", "TABLE_NO_KEY"} {
		if found(file, code, "") == nil {
			t.Errorf("no %s in %+v", code, file.Findings)
		}
	}
	damaged(t, o, printed)
	if bytes.Contains(printed, []byte("IDENTIFIED")) || bytes.Contains(printed, []byte(m.password)) {
		t.Error("what is printed holds a password or its hash")
	}

	o.Printed = byClient(t, o, m.db.User, m.db.Password, "--skip-column-names")
	admin := look(t, o)
	if found(admin, "MYSQL_GRANT_EXCESS", "") != nil || found(admin, "MYSQL_CASCADE", "") == nil || !slices.ContainsFunc(admin.Unseen, func(u preflight.Unseen) bool { return u.Question == "privileges of capture" }) {
		t.Errorf("by an administrator: %+v, %+v", admin.Findings, admin.Unseen)
	}
}

// scriptPostgres is the same with psql.
func scriptPostgres(t *testing.T, e *elephant) {
	o := e.source(t, "script")
	for _, sql := range []string{"ALTER ROLE capture SET statement_timeout = '5s'", "CREATE TABLE script.bare (a int, \"odd\tname\" text)", "CREATE UNLOGGED TABLE script.scratch (id int PRIMARY KEY)",
		"GRANT UPDATE ON script.student TO capture", "CREATE TABLE script.teacher (id int PRIMARY KEY)", "ALTER PUBLICATION tributary_330106_script SET (publish = 'insert, update')",
		"REVOKE SELECT ON script.teacher FROM capture", "SELECT pg_create_logical_replication_slot('left_behind', 'pgoutput')"} {
		e.run(t, sql)
	}
	printed := byClient(t, o, "capture", e.password)
	file := same(t, o, printed, "PG_SLOT_WAL") // the rate, by which it is repaired, moves
	for _, code := range []string{"PG_TIMEOUT", "PG_UNLOGGED", "PG_GRANT", "PG_PUBLISHED", "PG_SLOT_IDLE", "TABLE_NO_KEY"} {
		if found(file, code, "") == nil {
			t.Errorf("no %s in %+v", code, file.Findings)
		}
	}
	damaged(t, o, printed)
	o.Printed = byClient(t, o, e.db.User, e.db.Password)
	admin := look(t, o)
	if found(admin, "PG_GRANT_EXCESS", "") != nil || found(admin, "PG_UNLOGGED", "") == nil || !slices.ContainsFunc(admin.Unseen, func(u preflight.Unseen) bool { return u.Question == "privileges of capture" }) {
		t.Errorf("by an administrator: %+v, %+v", admin.Findings, admin.Unseen)
	}
	e.run(t, "SELECT pg_drop_replication_slot('left_behind')")
}
