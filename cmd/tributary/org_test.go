package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/tributary-cdc/tributary/test/servers"
)

// file writes a file of a test.
func file(t *testing.T, name, text string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// hubFile writes a hub's file whose state is in a database.
func hubFile(t *testing.T, db servers.DB, more string) string {
	t.Helper()
	t.Setenv("TRIBUTARY_TEST_STATE", db.Password)
	return file(t, "hub.yml", fmt.Sprintf("accounts: none\nlog: {brokers: [\"127.0.0.1:1\"], embedded: true}\norgs: [\"330106\"]\nstate: {host: %s, port: %d, database: %s, user: %s, password_env: TRIBUTARY_TEST_STATE, tls: {mode: none}}\n%s", db.Host, db.Port, db.Database, db.User, more))
}

// TestOrgs imports trees by the command line: the example, the same again, what is wrong
// with a file in either language, and what isn't UTF-8.
func TestOrgs(t *testing.T) {
	hub := hubFile(t, servers.Postgres(t, nil), "")
	code, example, _ := call("org", "example")
	if code != 0 {
		t.Fatal(example)
	}
	for _, tt := range []struct {
		lang, name, text string
		code             int
		want             []string
	}{
		{"en", "a.csv", "\ufeff" + example, 0, []string{"added 16, changed 0, same 0", "code of 浙南产业集聚区: 330300-z"}},
		{"zh-CN", "a.csv", example, 0, []string{"新增 0，修改 0，未变 16"}},
		{"en", "b.yml", "- {code: \"330109\", parent: \"330100\", name: 萧山区, kind: district}\n", 0, []string{"added 1"}},
		{"en", "c.csv", "code,parent,name,kind\n1,2,x,city\n1,330000,<script>😀',city\n", exitUsage, []string{"[ORG_FILE_INVALID]", `line 2: there is no org "2" to be the parent`, "nothing was changed"}},
		{"zh-CN", "c.csv", "code,parent,name,kind\n2,330000,x,city\n2,330000,y,city\n", exitUsage, []string{"[ORG_FILE_INVALID]", `第 3 行："2" 重复出现（第 2 行）`, "未作任何修改"}},
		{"zh-CN", "d.csv", gbk(t, "代码,上级,名称,类型\n330111,330100,富阳区,区县\n"), exitUsage, []string{"GBK", "另存为 UTF-8"}},
	} {
		code, out, errs := call("org", "import", file(t, tt.name, tt.text), "--config", hub, "--lang", tt.lang)
		for _, want := range tt.want {
			if code != tt.code || !strings.Contains(out+errs, want) {
				t.Errorf("%s %s: exit %d, %s%s; want %q", tt.lang, tt.name, code, out, errs, want)
			}
		}
	}
	code, out, errs := call("org", "list", "--config", hub)
	if code != 0 || strings.Count(out, "\n") != 17 || !strings.Contains(out, "    330106  西湖区  district") && !strings.Contains(out, "    330106") {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
	if code, out, _ := call("org", "list", "--config", hub, "--output", "json"); code != 0 || !strings.Contains(out, `"path": "330000/330100/330106/"`) {
		t.Errorf("exit %d, %s", code, out)
	}
	if code, _, errs := call("org", "import", "none.csv", "--config", hub); code != exitUsage || !strings.Contains(errs, "CONFIG_FILE") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

func gbk(t *testing.T, s string) string {
	t.Helper()
	s, err := simplifiedchinese.GBK.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestHubWithoutState(t *testing.T) {
	bare := file(t, "hub.yml", "accounts: none\nlog: {brokers: [\"127.0.0.1:1\"], embedded: true}\norgs: [\"330106\"]\n")
	if code, _, errs := call("org", "list", "--config", bare); code != exitUsage || !strings.Contains(errs, "CONFIG_MISSING") {
		t.Errorf("exit %d, %s", code, errs)
	}
	if code, _, errs := call("org", "list"); code != exitUsage || !strings.Contains(errs, "--config FILE") {
		t.Errorf("exit %d, %s", code, errs)
	}
	if code, _, errs := call("org", "list", "--config", hubFile(t, servers.DB{Host: "127.0.0.1", Port: 1, User: "u", Database: "d"}, "")); code != exitUnreachable || !strings.Contains(errs, "HUB_STATE_AWAY") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

// TestTextsOfCommandsAreWhole: what has a catalogue of its own lacks no text either.
func TestTextsOfCommandsAreWhole(t *testing.T) {
	whole := func(texts any) {
		t.Helper()
		v := reflect.ValueOf(texts)
		for i := range v.NumField() {
			if v.Field(i).Len() == 0 {
				t.Errorf("%T lacks %s", texts, v.Type().Field(i).Name)
			}
		}
	}
	for _, lang := range tongues {
		whole(orgTexts[lang])
		whole(joinTexts[lang])
		whole(sourceTexts[lang])
	}
}
