package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// call runs the program with its arguments.
func call(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestExamplesAreValid(t *testing.T) {
	for _, role := range []string{"agent", "worker", "hub", "log", "registry"} {
		for lang, word := range map[string]string{"en": "# the ", "zh-CN": "目录"} {
			code, text, errs := call("config", "example", role, "--lang", lang)
			if code != 0 || strings.ContainsAny(strings.Split(text, "\n")[0], "{|}") {
				t.Fatalf("%s in %s: exit %d, %s\n%s", role, lang, code, errs, text)
			}
			if role == "agent" && !strings.Contains(text, word) && lang != "en" {
				t.Errorf("%s in %s doesn't say %q", role, lang, word)
			}
			file := filepath.Join(t.TempDir(), role+".yml")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if code, _, errs := call("config", "check", role, file); code != 0 {
				t.Errorf("%s in %s: %s", role, lang, errs)
			}
			if code, out, errs := call("config", "check", file, "--lang", "en"); code != 0 || out != "the file is valid, for tributary "+role+"\n" {
				t.Errorf("%s in %s, by its keys: %q, %s", role, lang, out, errs)
			}
		}
	}
	if code, _, errs := call("config", "example", "relay"); code != exitUsage || !strings.Contains(errs, "agent, worker, hub, log, registry") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

// TestExposed: a file whose status others can read is valid, and said to be so, in both languages.
func TestExposed(t *testing.T) {
	for _, role := range []string{"agent", "worker"} {
		_, text, _ := call("config", "example", role)
		for addr, want := range map[string]bool{"127.0.0.1:8061": false, "'[::1]:8061'": false, "localhost:8061": false, "0.0.0.0:8061": true, "':8061'": true, "10.1.2.3:8061": true, "'[::]:8061'": true} {
			file := filepath.Join(t.TempDir(), role+".yml")
			if err := os.WriteFile(file, []byte(regexp.MustCompile(`(?m)^http: .*$`).ReplaceAllString(text, "http: "+addr)), 0o600); err != nil {
				t.Fatal(err)
			}
			for tag, words := range map[string]string{"en": "without TLS", "zh-CN": "没有 TLS"} {
				code, out, errs := call("config", "check", role, file, "--lang", tag)
				if code != 0 || out == "" || (errs != "") != want || want && (!strings.Contains(errs, "[CONFIG_EXPOSED] http ") || !strings.Contains(errs, words)) {
					t.Errorf("%s at %s: exit %d, %s%s", role, addr, code, out, errs)
				}
			}
		}
	}
}

func TestCatalogueIsWhole(t *testing.T) {
	for lang, c := range texts {
		v := reflect.ValueOf(c)
		for i := range v.NumField() {
			if v.Field(i).String() == "" {
				t.Errorf("language %d lacks %s", lang, v.Type().Field(i).Name)
			}
		}
	}
}

func TestExitCodes(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yml")
	if err := os.WriteFile(bad, []byte("nmae: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	typo := filepath.Join(t.TempDir(), "typo.yml")
	if err := os.WriteFile(typo, []byte("name: x\nlog: {}\nsuorces: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"version"}, 0, ""},
		{[]string{"agent"}, exitUsage, "--config"},
		{[]string{"agent", "--no-such-flag"}, exitUsage, "no-such-flag"},
		{[]string{"config", "check", "agent", bad}, exitUsage, `nearest known one is "name"`},
		{[]string{"config", "check", typo}, exitUsage, `[CONFIG_KEY] line 3: unknown key "suorces", the nearest known one is "sources"`},
		{[]string{"config", "check", bad}, exitUsage, "[USAGE_ARGUMENTS] the argument agent|worker|hub|log|registry is missing"},
		{[]string{"config", "check", filepath.Join(t.TempDir(), "none.yml")}, exitUsage, "[CONFIG_FILE]"},
		{[]string{"worker", "--config", filepath.Join(t.TempDir(), "none.yml")}, exitUsage, "none.yml"},
	} {
		if code, _, errs := call(tt.args...); code != tt.code || !strings.Contains(errs, tt.want) {
			t.Errorf("%v: exit %d, %q; want %d, %q", tt.args, code, errs, tt.code, tt.want)
		}
	}
}

// TestReadmeConfigurations: what the README shows is valid as it stands.
func TestReadmeConfigurations(t *testing.T) {
	block := regexp.MustCompile("(?s)```yaml\n# (\\w+)\\.yml\n(.*?)```")
	for _, name := range []string{"README.md", "README.zh-CN.md"} {
		b, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		found := block.FindAllStringSubmatch(string(b), -1)
		if len(found) < 2 {
			t.Errorf("%s has %d configurations", name, len(found))
		}
		for _, m := range found {
			file := filepath.Join(t.TempDir(), m[1]+".yml")
			if err := os.WriteFile(file, []byte(m[2]), 0o600); err != nil {
				t.Fatal(err)
			}
			if code, _, errs := call("config", "check", m[1], file); code != 0 {
				t.Errorf("%s: %s", name, errs)
			}
		}
	}
}
