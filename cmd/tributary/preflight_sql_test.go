package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/test/program"
)

// TestPreflightSQL: the script says in its head how it is run, and what it prints is
// refused if it isn't this source's; no password is read for either.
func TestPreflightSQL(t *testing.T) {
	dir := t.TempDir()
	source := "  - {name: %s, engine: %s, host: 10.1.2.3, user: tributary, password_env: TRIBUTARY_TEST_NO_SUCH_VARIABLE, tables: [\"xueji.*\"]%s}\n"
	file := program.Write(t, filepath.Join(dir, "agent.yml"), "name: a1\norg: \"330106\"\ndata_dir: %s\nlog: {brokers: [\"127.0.0.1:1\"], embedded: true}\nsources:\n"+source+source+source,
		dir, "xueji", "mariadb", "", "shitang", "mysql", "", "renshi", "postgres", ", database: renshi, port: 6543")
	for name, want := range map[string][]string{
		"xueji":   {"mariadb --host=10.1.2.3 --port=3306 --user=tributary --password --batch --force --skip-column-names", "BEGIN NOT ATOMIC", "TABLE_SCHEMA LIKE 'xueji'"},
		"shitang": {"mysql --host=10.1.2.3 --port=3306", "SHOW BINARY LOG STATUS", "EXECUTE tributary"},
		"renshi":  {"psql -X --host=10.1.2.3 --port=6543 --username=tributary --dbname=renshi --file=renshi.sql > renshi.txt", "default_transaction_read_only = on", "tributary_330106_renshi"},
	} {
		for _, lang := range []string{"en", "zh-CN"} {
			code, out, errs := call("preflight", "sql", file, name, "--lang", lang)
			if code != 0 || errs != "" {
				t.Fatalf("%s: exit %d, %s", name, code, errs)
			}
			for _, w := range append(want, "#tributary 1 ", " 330106-"+name, "tributary preflight AGENT "+name+" --from "+name+".txt") {
				if !strings.Contains(out, w) {
					t.Errorf("the script of %s lacks %q", name, w)
				}
			}
			if head, _, _ := strings.Cut(out, "\n"); !strings.HasPrefix(head, "-- ") || han(head) != (lang == "zh-CN") {
				t.Errorf("%s begins with %q", name, head)
			}
			for _, write := range []string{"INSERT INTO", "DELETE FROM", "DROP TABLE", "ALTER TABLE"} {
				if strings.Contains(out, write) {
					t.Errorf("the script of %s has %q", name, write)
				}
			}
		}
	}
	other := program.Write(t, filepath.Join(dir, "other.txt"), "#tributary 1 mysql 330106-shitang\n#tributary done\n")
	for _, tt := range []struct {
		args []string
		code string
	}{
		{[]string{"xueji", "--from", other}, "PREFLIGHT_FILE"}, {[]string{"xueji", "--from", filepath.Join(dir, "nothing")}, "PREFLIGHT_FILE"},
		{[]string{"shitang", "--from", other}, "PREFLIGHT_FILE"}, {[]string{"--from", other}, "USAGE_VALUE"}, {[]string{"nobody", "--from", other}, "USAGE_VALUE"},
	} {
		if code, _, errs := call(append([]string{"preflight", file}, tt.args...)...); code != 2 || !strings.Contains(errs, tt.code) {
			t.Errorf("%v: exit %d, %s", tt.args, code, errs)
		}
	}
}
