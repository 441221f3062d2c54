package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/cmd/internal/codes"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/cmd/internal/sealed"
)

// sealedAgent is an agent's file with one source whose password is encrypted.
func sealedAgent(t *testing.T, password string) (agent, key, kept string) {
	t.Helper()
	agent = file(t, "agent.yml", "# 西湖区\nname: a1\norg: \"330106\"\ndata_dir: "+t.TempDir()+"\nlog: {brokers: [\"127.0.0.1:1\"], embedded: true}\nsources: []\n")
	f, err := openEdited(agent)
	if err != nil {
		t.Fatal(err)
	}
	kept = f.sealedFile("xueji")
	if err := f.seal(kept, "xueji", password, false); err != nil {
		t.Fatal(err)
	}
	text, _, err := f.with(newSource{Name: "xueji", Engine: "mariadb", Host: "127.0.0.1", Port: 1, User: "u", Sealed: kept, Tables: []string{"a.*"}, FirstStart: "now"}, "")
	if err == nil {
		err = f.write(text)
	}
	if err != nil {
		t.Fatal(err)
	}
	return agent, f.newKey, kept
}

// TestSealedPassword: what source add writes is what the agent reads; the key lies outside the
// data folder, and none of the files but the two has anything of the password.
func TestSealedPassword(t *testing.T) {
	const password = "geheim-口令-😀"
	agent, key, kept := sealedAgent(t, password)
	var c config.Agent
	if err := config.Load(agent, &c); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Sources[0].Password(); err != nil || got != password {
		t.Errorf("%q, %v", got, err)
	}
	if c.PasswordKey != key || strings.HasPrefix(key, c.DataDir) {
		t.Errorf("key %s, data folder %s", c.PasswordKey, c.DataDir)
	}
	for _, name := range []string{agent, key, kept} {
		b, err := os.ReadFile(name)
		if err != nil || strings.Contains(string(b), "geheim") {
			t.Errorf("%s: %s, %v", name, b, err)
		}
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	s := c.Sources[0]
	s.Engine, s.Database = "postgres", "renshi"
	if _, err := leave(t.Context(), "330106", s); err == nil || errors.Is(err, config.ErrInvalid) { // nobody is there
		t.Errorf("a source that is retired isn't let go of: %v", err)
	}
	dir := t.TempDir() // as systemd gives it
	if err := os.Rename(key, filepath.Join(dir, sealed.Credential)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	if got, err := c.Sources[0].Password(); err != nil || got != password {
		t.Errorf("%q, %v", got, err)
	}
	f, err := openEdited(agent)
	if err == nil {
		err = f.seal(kept+".2", "xueji", "another", false)
	}
	if _, gone := os.Stat(key); err != nil || f.newKey != "" || !errors.Is(gone, os.ErrNotExist) {
		t.Errorf("%v, %q, %v", err, f.newKey, gone)
	}
}

// TestSealedPasswordLost: each thing that can be wrong with the files has its own message in
// both languages, and no command goes on without the password.
func TestSealedPasswordLost(t *testing.T) {
	other, err := sealed.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, text []byte) {
		t.Helper()
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		spoil func(key, kept string)
		code  string
	}{
		"no key":      {func(key, _ string) { _ = os.Remove(key) }, "PASSWORD_KEY_FILE"}, // the message tells whether it has gone
		"no key's":    {func(key, _ string) { write(key, []byte("secret")) }, "PASSWORD_KEY_FILE"},
		"another key": {func(key, _ string) { write(key, other) }, "PASSWORD_KEY_OTHER"},
		"damaged":     {func(_, kept string) { write(kept, []byte("tributary-sealed-1 x")) }, "PASSWORD_DAMAGED"},
		"no password": {func(_, kept string) { _ = os.Remove(kept) }, "CONFIG_SECRET"}, // as above
	} {
		agent, key, kept := sealedAgent(t, "secret")
		tt.spoil(key, kept)
		for _, tag := range []string{"zh-CN", "en"} {
			code, out, errs := call("preflight", agent, "--lang", tag)
			if code != exitUsage || out != "" || !strings.Contains(errs, "["+tt.code+"] ") || strings.Contains(errs, "secret\n") {
				t.Errorf("%s: exit %d, %s%s", name, code, out, errs)
			}
		}
		what, do := codes.Explain(tt.code, chinese)
		if what == "" || do == "" {
			t.Errorf("%s isn't explained", tt.code)
		}
	}
}

// TestKeyLost: a key that is gone isn't made anew without a word, nor one that is there; a try that
// comes to nothing leaves none behind.
func TestKeyLost(t *testing.T) {
	agent, key, kept := sealedAgent(t, "old")
	next := file(t, "next", "new\n")
	if code, _, errs := call("source", "password", agent, "xueji", "--password-file", next, "--new-key", "--lang", "en"); code != exitUsage || !strings.Contains(errs, key+" is there") {
		t.Errorf("exit %d, %s", code, errs)
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"zh-CN", "en"} {
		for code, args := range map[string][]string{
			"PASSWORD_KEY_GONE":  {"source", "password", agent, "xueji", "--password-file", next},
			"SOURCE_UNREACHABLE": {"source", "password", agent, "xueji", "--password-file", next, "--new-key"},
		} {
			if exit, out, errs := call(append(args, "--lang", tag)...); exit == 0 || out != "" || !strings.Contains(errs, "["+code+"]") {
				t.Errorf("exit %d, %s%s; want %s", exit, out, errs, code)
			}
			if _, err := os.Stat(key); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s leaves a key: %v", code, err)
			}
		}
	}
	f, err := openEdited(agent)
	if err == nil {
		err = f.seal(kept+".2", "renshi", "another", false) // as source add does
	}
	if p, ok := errors.AsType[*problem](err); !ok || p.code != "PASSWORD_KEY_GONE" {
		t.Errorf("%v", err)
	}
	after, err := os.ReadFile(kept)
	if err != nil || string(after) != string(before) {
		t.Errorf("%s, before %s, %v", after, before, err)
	}
}

// TestKeyExposed: a key that everybody may read is warned of, by all that look at the file.
func TestKeyExposed(t *testing.T) {
	agent, key, _ := sealedAgent(t, "old")
	next := file(t, "next", "new\n")
	for mode, exposed := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o604: true, 0o644: true} {
		if err := os.Chmod(key, mode); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"config", "check", "agent", agent}, {"source", "password", agent, "xueji", "--password-file", next}} {
			if _, _, errs := call(append(args, "--lang", "en")...); strings.Contains(errs, "[PASSWORD_KEY_EXPOSED]") != exposed {
				t.Errorf("%s of %v: %s", args[1], mode, errs)
			}
		}
	}
}

// TestPasswordKept: a password that can't log in changes nothing, and one that others manage
// is left to them.
func TestPasswordKept(t *testing.T) {
	agent, _, kept := sealedAgent(t, "old")
	before, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	next := file(t, "next", "new\n")
	for _, tag := range []string{"zh-CN", "en"} {
		code, out, errs := call("source", "password", agent, "xueji", "--password-file", next, "--lang", tag)
		if code != exitUnreachable || out != "" || !strings.Contains(errs, "[SOURCE_UNREACHABLE]") {
			t.Errorf("exit %d, %s%s", code, out, errs)
		}
		if code, _, errs := call("source", "password", agent, "nosuch", "--password-file", next, "--lang", tag); code != exitUsage || !strings.Contains(errs, "xueji") {
			t.Errorf("exit %d, %s", code, errs)
		}
	}
	after, err := os.ReadFile(kept)
	if err != nil || string(after) != string(before) {
		t.Errorf("%s, before %s, %v", after, before, err)
	}
	if names, err := os.ReadDir(filepath.Dir(kept)); err != nil || len(names) != 1 {
		t.Errorf("%v, %v", names, err)
	}
	text, err := os.ReadFile(agent)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := file(t, "agent.yml", strings.Replace(string(text), "password_sealed: "+kept, "password_file: "+next, 1))
	if code, _, errs := call("source", "password", elsewhere, "xueji", "--password-file", next, "--lang", "en"); code != exitFailed || !strings.Contains(errs, "[PASSWORD_ELSEWHERE]") {
		t.Errorf("exit %d, %s", code, errs)
	}
	f, err := openEdited(elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	sealedText, c, err := f.withSealed("xueji", kept)
	if err != nil || c.Sources[0].Sealed != kept || c.Sources[0].File != "" || !strings.HasPrefix(string(sealedText), "# 西湖区\n") {
		t.Errorf("%s, %v", sealedText, err)
	}
}
