package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/preflight"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/test/servers"
)

func TestPreflightTextsAreWhole(t *testing.T) {
	for lang, say := range preflightTexts {
		v := reflect.ValueOf(say)
		for i := range v.NumField() {
			if f := v.Field(i); f.Kind() == reflect.String && f.String() == "" {
				t.Errorf("language %d lacks %s", lang, v.Type().Field(i).Name)
			}
		}
		for s := preflight.Advice; s <= preflight.Refuses; s++ {
			if say.severities[s] == "" {
				t.Errorf("language %d lacks a word for %s", lang, s)
			}
		}
	}
}

// sample is a report with each kind of repair.
func sample() []checked {
	f := func(f preflight.Finding) explained {
		return explained{f, "means", "leads to", "do"}
	}
	return []checked{
		{address: "10.0.0.1", Report: &preflight.Report{Source: "330106-xueji", Server: "MariaDB 10.11.6", LogRate: &preflight.Rate{BytesPerDay: 3 << 30, Basis: "Binlog_bytes_written / Uptime 60 s"},
			Tables: []preflight.Table{{ID: "x.a", Rows: 3_000_000, Bytes: 1 << 30}, {ID: "x.b", Rows: -1}}, Unseen: []preflight.Unseen{{Question: "SHOW SLAVE HOSTS", Reason: "denied"}},
			Makes: []preflight.Repair{{SQL: "CREATE PUBLICATION p", Undo: "DROP PUBLICATION p"}}},
			Findings: []explained{
				f(preflight.Finding{Code: "MYSQL_LOG_BIN", Severity: preflight.Refuses, Found: "log_bin = OFF", Repairs: []preflight.Repair{{Setting: "log_bin = binlog", Restart: true}}}),
				f(preflight.Finding{Code: "TABLE_NO_KEY", Severity: preflight.Refuses, Object: "x.a", Repairs: []preflight.Repair{{SQL: "ALTER TABLE a ADD", Undo: "ALTER TABLE a DROP", Rebuild: true},
					{SQL: "ALTER TABLE a FULL", Undo: "ALTER TABLE a DEFAULT", Instead: true}, {Agent: "append: [x.a]", Instead: true}}}),
				f(preflight.Finding{Code: "TABLE_NO_KEY", Severity: preflight.Refuses, Object: "x.b\nDROP TABLE y;\x1b[2J", Repairs: []preflight.Repair{{SQL: "ALTER TABLE b\n; ADD", Undo: "ALTER TABLE b\n; DROP", Decide: true}}}),
				f(preflight.Finding{Code: "SOURCE_TLS", Severity: preflight.Advice, Found: "10.0.0.1", Repairs: []preflight.Repair{{Agent: "tls: {mode: verify-full, ca_file: /etc/tributary/source-ca.pem}"}}}),
			}},
		{address: "10.0.0.2", Report: &preflight.Report{Source: "330106-renshi"}, Error: "connect: refused", err: capture.ErrConnection},
	}
}

var update = flag.Bool("update", false, "write testdata/preflight anew")

func TestPreflightOutput(t *testing.T) {
	for name, print := range map[string]func(*bytes.Buffer) error{
		"findings.en.txt":    func(b *bytes.Buffer) error { return printFindings(b, preflightTexts[english], sample()) },
		"findings.zh-CN.txt": func(b *bytes.Buffer) error { return printFindings(b, preflightTexts[chinese], sample()) },
		"order.en.txt":       func(b *bytes.Buffer) error { return printOrders(b, preflightTexts[english], sample()) },
		"order.zh-CN.txt":    func(b *bytes.Buffer) error { return printOrders(b, preflightTexts[chinese], sample()) },
		"findings.json":      func(b *bytes.Buffer) error { return printJSON(b, sample()) },
	} {
		var got bytes.Buffer
		if err := print(&got); err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", "preflight", name)
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got.String(), want)
		}
	}
	full := errors.New("disk full")
	if err := printFindings(failing{full}, preflightTexts[english], sample()); !errors.Is(err, full) {
		t.Errorf("a write that fails: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// agentFile writes an agent's file with sources.
func agentFile(t *testing.T, sources string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "agent.yml")
	text := "name: a\norg: \"330106\"\ndata_dir: /nowhere\nlog: {brokers: [\"127.0.0.1:1\"], embedded: true}\nsources:\n" + sources
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestPatternOf: an added table is named as the orders about it name it.
func TestPatternOf(t *testing.T) {
	for in, want := range map[[2]string]string{{"mysql", "a.b"}: "a.b", {"mysql", "a"}: "", {"mysql", "a.b.c"}: "", {"mysql", "a.*"}: "",
		{"postgres", "xueji.public.b"}: "public.b", {"postgres", "public.b"}: "", {"postgres", "other.public.b"}: "", {"postgres", "xueji.public."}: ""} {
		got, ok := patternOf(&config.Source{Engine: in[0], Database: "xueji"}, in[1])
		if ok != (want != "") || ok && got != want {
			t.Errorf("%v: %q, %v, want %q", in, got, ok, want)
		}
	}
}

// TestPreflight: the command's four ends, its JSON, and a change sheet that a server
// takes as it stands.
func TestPreflight(t *testing.T) {
	db := servers.MariaDB(t, map[string]string{"binlog-expire-logs-seconds": "604800"})
	admin := db.Connect(t, "")
	run := func(sql string) {
		t.Helper()
		if _, err := admin.Execute(sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	run("CREATE DATABASE xueji")
	run("CREATE TABLE xueji.student (id int PRIMARY KEY)")
	run("CREATE USER capture@'127.0.0.1' IDENTIFIED BY 'x'")
	t.Setenv("CAPTURE_PASSWORD", "x")
	line := "  - {name: %s, engine: mariadb, host: 127.0.0.1, port: %d, user: capture, password_env: CAPTURE_PASSWORD, tables: [\"xueji.*\"], first_start: load}\n"
	one, two := fmt.Sprintf(line, "xueji", db.Port), fmt.Sprintf(line, "away", 1)

	file := agentFile(t, one+two)
	code, out, errs := call("preflight", file, "--lang", "en")
	if code != exitUnreachable || !strings.Contains(out, "MYSQL_GRANT") || !strings.Contains(out, "330106-away: ") {
		t.Fatalf("exit %d\n%s\n%s", code, out, errs)
	}
	code, sheet, errs := call("preflight", file, "330106-xueji", "--change-order", "--lang", "en")
	if code != exitFailed || !strings.Contains(errs, "NEEDS_PERSON") {
		t.Fatalf("exit %d\n%s\n%s", code, sheet, errs)
	}
	for l := range strings.Lines(sheet) {
		if sql, _, _ := strings.Cut(l, ";  --"); !strings.HasPrefix(l, "--") && strings.TrimSpace(l) != "" {
			run(strings.TrimSuffix(strings.TrimSpace(sql), ";"))
		}
	}
	code, out, errs = call("preflight", file, "xueji", "--output", "json", "--lang", "zh-CN")
	if code != 0 {
		t.Fatalf("after the change sheet exit %d\n%s\n%s", code, out, errs)
	}
	var answer struct {
		Data []struct {
			Source, Server string
			Findings       []struct{ Code, Severity, Meaning, Consequence string }
		}
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatal(err)
	}
	if d := answer.Data[0]; d.Source != "330106-xueji" || len(d.Findings) != 1 || d.Findings[0].Code != "SOURCE_TLS" || d.Findings[0].Severity != "advice" || !strings.Contains(d.Findings[0].Meaning, "加密") {
		t.Errorf("%+v", d)
	}
	run("CREATE DATABASE other")
	run("CREATE TABLE other.added (a int)")
	run("GRANT SELECT ON other.added TO capture@'127.0.0.1'")
	if code, out, errs := call("preflight", file, "xueji", "--table", "other.added", "--lang", "en"); code != exitFailed || !strings.Contains(out, "TABLE_NO_KEY") || !strings.Contains(out, `append: ["other.added"]  -- does as well`) {
		t.Errorf("exit %d\n%s\n%s", code, out, errs)
	}
	if strings.Contains(out+sheet, db.Password) {
		t.Error("a password was printed")
	}

	for _, args := range [][]string{
		{"preflight", agentFile(t, "  - {name: xueji}\n")},
		{"preflight", file, "nobody"},
		{"preflight", file, "--output", "xml"},
		{"preflight", file, "--table", "other.added"}, // of which of the two?
		{"preflight", file, "xueji", "--table", "other.*"},
		{"preflight", file, "--output", "json", "--change-order"},
		{"preflight", agentFile(t, strings.Replace(one, "CAPTURE_PASSWORD", "NO_SUCH_VARIABLE", 1))},
	} {
		if code, out, errs := call(args...); code != exitUsage || out != "" {
			t.Errorf("%v: exit %d, %q, %s", args[2:], code, out, errs)
		}
	}
}
