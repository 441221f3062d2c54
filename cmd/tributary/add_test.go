package main

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/tributary-cdc/tributary/cmd/internal/config"
)

// TestEditedAgent: a source comes into a file whose comments and other sources stay, and a
// file that wouldn't be valid isn't written.
func TestEditedAgent(t *testing.T) {
	head := "# 西湖区\nname: a1 # kept\norg: \"330106\"\ndata_dir: /d\nlog: {brokers: [\"127.0.0.1:1\"], embedded: true}\n"
	for name, tt := range map[string]struct {
		text, joined string
		sources      int
		want         []string
	}{
		"none":         {head, "", 1, []string{"# 西湖区", "# kept"}},
		"empty list":   {head + "sources: []\nhttp: 127.0.0.1:1\n", "/j", 1, []string{"# 西湖区", "joined: \"/j\"", "http: 127.0.0.1:1"}},
		"others":       {head + "joined: /other\nsources:\n  # the old one\n  - {name: old, engine: mysql, host: h, user: u, password_env: P, tls: {mode: none}, tables: [\"a.*\"]}\n", "/j", 2, []string{"# the old one", "joined: /other", "{name: old"}},
		"without list": {head + "http: 127.0.0.1:1\n", "", 1, []string{"http"}},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := openEdited(file(t, "agent.yml", tt.text))
			if err != nil {
				t.Fatal(err)
			}
			s := newSource{Name: "xueji", Engine: "mariadb", Host: "127.0.0.1", Port: 3306, User: "u", PasswordFile: "/p'\"😀", Tables: []string{"a.学生", "a.*"}, FirstStart: "load"}
			text, agent, err := f.with(s, tt.joined)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.want {
				if !strings.Contains(string(text), want) {
					t.Errorf("%q is missing in\n%s", want, text)
				}
			}
			last := agent.Sources[len(agent.Sources)-1]
			if len(agent.Sources) != tt.sources || last.Name != "xueji" || last.Secret.File != "/p'\"😀" || len(last.Tables) != 2 || last.Tables[0] != "a.学生" {
				t.Errorf("%+v", agent.Sources)
			}
			if err := f.write(text); err != nil {
				t.Fatal(err)
			}
			var again config.Agent
			if err := config.Load(f.name, &again); err != nil {
				t.Error(err)
			}
			s.Name = "x/y"
			if _, _, err := f.with(s, ""); err == nil {
				t.Error("a name that can't be")
			}
		})
	}
	for name, text := range map[string]string{"no YAML": "{", "a list": "- a\n", "no org": "name: a\n", "empty": ""} {
		if _, err := openEdited(file(t, "agent.yml", text)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := openEdited("/nowhere/agent.yml"); err == nil {
		t.Error("a file that isn't there is taken")
	}
}

// TestQuestions: what can't be is asked for again, an empty line takes what is usual, and
// what flags have given isn't asked.
func TestQuestions(t *testing.T) {
	for lang, say := range addTexts {
		asked := func(s newSource, answers string) (*addition, string, error) {
			t.Helper()
			f, err := openEdited(file(t, "agent.yml", "name: a\norg: \"330106\"\ndata_dir: /d\nlog: {brokers: [a], embedded: true}\nsources: [{name: old}]\n"))
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			c := &cobra.Command{Use: "add"}
			c.SetErr(&out)
			a := &addition{say: say, lang: lang, file: f, s: s, c: c, q: newQuestions(strings.NewReader(answers), &out, say.wrong)}
			err = a.server()
			return a, out.String(), err
		}
		a, out, err := asked(newSource{}, "old\nx y\nxueji\noracle\nmariadb\n\n99999\n\n\n")
		want := newSource{Name: "xueji", Engine: "mariadb", Host: "127.0.0.1", Port: 3306, User: "tributary"}
		if err != nil || a.s.Name != want.Name || a.s.Engine != want.Engine || a.s.Host != want.Host || a.s.Port != want.Port || a.s.User != want.User || a.s.Database != "" {
			t.Errorf("%+v, %v", a.s, err)
		}
		for _, problem := range []string{say.taken, say.badName, say.badPort, "mysql, mariadb, postgres"} {
			if !strings.Contains(out, problem) {
				t.Errorf("%q isn't told: %s", problem, out)
			}
		}
		a, out, err = asked(newSource{Name: "p", Engine: "postgres", Host: "h", User: "u"}, "\nxueji\n")
		if err != nil || a.s.Port != 5432 || a.s.Database != "xueji" || strings.Contains(out, say.askName) {
			t.Errorf("%+v, %v, %s", a.s, err, out)
		}
		if _, _, err := asked(newSource{Name: "old"}, ""); err == nil || !strings.Contains(err.Error(), say.taken) {
			t.Error(err)
		}
		if _, _, err := asked(newSource{}, "xueji\nmysql"); err != errNoAnswer {
			t.Error(err)
		}
	}
	typed, err := os.CreateTemp(t.TempDir(), "typed") // no terminal
	if err == nil {
		_, err = typed.WriteString(" pass word \r\nnext\n")
	}
	if err == nil {
		_, err = typed.Seek(0, io.SeekStart)
	}
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if got, err := newQuestions(typed, &out, "%s").secret(t.Context(), "Password"); err != nil || got != " pass word " || strings.Contains(out.String(), "pass") {
		t.Errorf("%q, %v, %s", got, err, &out)
	}
	if err := typed.Close(); err != nil {
		t.Fatal(err)
	}
}
