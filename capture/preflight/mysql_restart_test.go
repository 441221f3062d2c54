package preflight_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/capture/preflight"
	"github.com/tributary-cdc/tributary/test/servers"
)

// restarts gives the only repair of a finding, which must say that the server starts again.
func restarts(t *testing.T, o preflight.Options, severity preflight.Severity, code, part, setting string) {
	t.Helper()
	f := wants(t, o, severity, code, part)
	if len(f.Repairs) != 1 || !f.Repairs[0].Restart || !strings.Contains(f.Repairs[0].Setting, setting) {
		t.Errorf("%s is repaired by %+v, want %q and a restart", code, f.Repairs, setting)
	}
}

// TestMariaDBOddSettings: findings that only another start of the server takes away.
func TestMariaDBOddSettings(t *testing.T) {
	m := newMaria(t, servers.MariaDB(t, map[string]string{"binlog-ignore-db": "odd", "version": "10.1.48-MariaDB"}))
	o := m.source(t, "odd")
	restarts(t, o, preflight.Refuses, "MYSQL_BINLOG_FILTER", "odd", "binlog_ignore_db")
	wants(t, o, preflight.Refuses, "MYSQL_VERSION", "10.1.48")

	caseless(t, m)
	m.otherwise(t, map[string]string{"skip-log-bin": "1", "lower-case-table-names": "2"})
	o = m.source(t, "odd")
	wants(t, o, preflight.Refuses, "MYSQL_TABLE_CASE", "lower_case_table_names = 2")
	gone(t, o, "MYSQL_BINLOG_FILTER", "")
	gone(t, o, "MYSQL_VERSION", "")
	restarts(t, o, preflight.Refuses, "MYSQL_LOG_BIN", "log_bin = OFF", "log_bin = binlog")
	gone(t, o, "MYSQL_BINLOG_FORMAT", "")

	m.otherwise(t, map[string]string{"lower-case-table-names": "1"})
	o = m.source(t, "odd")
	gone(t, o, "MYSQL_LOG_BIN", "")
	gone(t, o, "MYSQL_TABLE_CASE", "")
	m.run(t, "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_USER = 'nobody'")
	if r := look(t, o); len(r.Unseen) == 0 || found(r, "MYSQL_REPLICA_LOG", "") != nil {
		t.Errorf("without the privilege %+v, not seen %+v", r.Findings, r.Unseen)
	}
	const more = "GRANT REPLICA MONITOR, REPLICATION MASTER ADMIN ON *.* TO capture@'127.0.0.1'"
	m.run(t, more)
	restarts(t, o, preflight.Refuses, "MYSQL_REPLICA_LOG", "OFF", "log_slave_updates = ON")

	for _, sql := range []string{"XA START 'x'", "INSERT INTO odd.student VALUES (1, 'x')", "XA END 'x'", "XA PREPARE 'x'", "XA ROLLBACK 'x'"} {
		m.run(t, sql)
	}
	wants(t, o, preflight.Harms, "MYSQL_XA", "Com_xa_prepare = 1")

	m.otherwise(t, map[string]string{"log-slave-updates": "ON"})
	o = m.source(t, "odd")
	m.run(t, more)
	if r := look(t, o); len(r.Unseen) > 0 {
		t.Errorf("%+v, not seen %+v", r.Findings, r.Unseen)
	}
	gone(t, o, "MYSQL_REPLICA_LOG", "")
	gone(t, o, "MYSQL_XA", "") // the server counts from its start
	byRole(t, m, "FOR", o)
}

// caseless makes the server take its file system for one that ignores case, without which it
// doesn't run with lower_case_table_names = 2. It makes HOST.lower-test and asks for
// HOST.LOWER-TEST, which it has tried to delete as a file.
func caseless(t *testing.T, m *maria) {
	t.Helper()
	r, err := m.admin.Execute("SELECT @@hostname, @@datadir")
	if err != nil {
		t.Fatal(err)
	}
	host := string(r.Values[0][0].AsString())
	name := filepath.Join(string(r.Values[0][1].AsString()), strings.TrimSuffix(host, filepath.Ext(host))+".LOWER-TEST")
	if err := os.Mkdir(name, 0o755); err != nil {
		t.Fatal(err)
	}
}

// TestOldMariaDB: 10.2 doesn't describe tables in its log, and writes NULL in place of
// the value of a column that isn't stored.
func TestOldMariaDB(t *testing.T) {
	m := newMaria(t, servers.Start(t, "MariaDB", "10.2.11", nil))
	o := m.source(t, "aged")
	wants(t, o, preflight.Advice, "MYSQL_ROW_METADATA", "-")
	repairs(t, o, provoked(t, m, finding{code: "IMAGE_INCOMPLETE", severity: preflight.Refuses, part: "aged.grade.label",
		provoke: []string{"CREATE TABLE aged.grade (id int PRIMARY KEY, n int, label varchar(9) AS (CONCAT('级', n)) VIRTUAL)"}}), m.run)
	repairs(t, o, provoked(t, m, finding{code: "MYSQL_CASCADE", severity: preflight.Harms, part: "ON DELETE CASCADE",
		provoke: []string{"CREATE TABLE aged.mark (id int PRIMARY KEY, student int, FOREIGN KEY (student) REFERENCES aged.student (id) ON DELETE CASCADE)"}}), m.run)
	repairs(t, o, provoked(t, m, finding{code: "MYSQL_RETENTION", severity: preflight.Harms, part: "24.0 h", provoke: []string{"SET GLOBAL expire_logs_days = 1"}}), m.run)
}

func provoked(t *testing.T, m *maria, c finding) finding {
	t.Helper()
	for _, sql := range c.provoke {
		m.run(t, sql)
	}
	return c
}

// TestMariaDBLogBySize: from 11.4 on the log may be bounded by its size, which lasts for
// as long as the server's own rate says.
func TestMariaDBLogBySize(t *testing.T) {
	m := newMaria(t, servers.Start(t, "MariaDB", "11.4.5", nil))
	o := m.source(t, "sized")
	repairs(t, o, provoked(t, m, finding{code: "MYSQL_RETENTION", severity: preflight.Harms, part: "max_binlog_total_size", differs: true,
		provoke: []string{"SET GLOBAL max_binlog_total_size = 1048576"}}), m.run)
}

// TestMySQLOddSettings: GTIDs are switched on online by the steps that are given.
func TestMySQLOddSettings(t *testing.T) {
	m := newMaria(t, servers.MySQL(t, map[string]string{"gtid-mode": "OFF", "enforce-gtid-consistency": "OFF", "innodb-native-foreign-keys": "ON"}))
	o := m.source(t, "odd")
	repairs(t, o, finding{code: "MYSQL_GTID_MODE", severity: preflight.Harms, part: "OFF"}, m.run)
	o.Load = true
	repairs(t, o, finding{code: "MYSQL_GTID_MODE", severity: preflight.Refuses, part: "OFF"}, m.run)
	m.run(t, "CREATE TABLE odd.mark (id int PRIMARY KEY, student int, FOREIGN KEY (student) REFERENCES odd.student (id) ON DELETE SET NULL)")
	repairs(t, o, finding{code: "MYSQL_CASCADE", severity: preflight.Harms, part: "SET NULL"}, m.run)

	m.run(t, "SET GLOBAL server_id = 0")
	repairs(t, o, finding{code: "MYSQL_SERVER_ID", severity: preflight.Refuses, part: "server_id = 0"}, m.run)
	m.run(t, "SET GLOBAL server_id = 1")

	byRole(t, m, "TO", o)
	t.Run("script", func(t *testing.T) { scriptMaria(t, m) })
}

// byRole: a privilege may come from an active role.
func byRole(t *testing.T, m *maria, to string, o preflight.Options) {
	m.run(t, "CREATE ROLE readers")
	m.run(t, "GRANT SELECT ON odd.* TO readers")
	m.run(t, "REVOKE SELECT ON odd.* FROM capture@'127.0.0.1'")
	wants(t, o, preflight.Refuses, "MYSQL_GRANT", "SELECT")
	m.run(t, "GRANT readers TO capture@'127.0.0.1'")
	m.run(t, "SET DEFAULT ROLE readers "+to+" capture@'127.0.0.1'")
	gone(t, o, "MYSQL_GRANT", "")
}
