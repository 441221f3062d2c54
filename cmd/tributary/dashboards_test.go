package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

const (
	rulesFile = "../../deploy/prometheus/tributary.rules.yml"
	rulesTest = "../../deploy/prometheus/tributary.test.yml"
)

// promtool runs Debian's promtool (package prometheus).
func promtool(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no promtool on this machine: apt-get install prometheus")
		}
		t.Skip("no promtool on this machine")
	}
	if out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %v: %v\n%s", args, err, out)
	}
}

// written are the names of the metrics that the program has.
func written(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`= metric\("([a-z_]+)"`).FindAllSubmatch(b, -1) {
			names["tributary_"+string(m[1])] = true
		}
	}
	return names
}

func known(t *testing.T, names map[string]bool, where, expr string) {
	t.Helper()
	for _, name := range regexp.MustCompile(`tributary_[a-z_]+`).FindAllString(expr, -1) {
		if !names[name] {
			t.Errorf("%s asks for %s, which nothing has", where, name)
		}
	}
}

// TestRules: the alert rules are valid, each has a test that raises it, and they ask for
// metrics that exist.
func TestRules(t *testing.T) {
	b, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert       string            `yaml:"alert"`
				Expr        string            `yaml:"expr"`
				Annotations map[string]string `yaml:"annotations"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal(b, &rules); err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile(rulesTest)
	if err != nil {
		t.Fatal(err)
	}
	names, n := written(t), 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			n++
			known(t, names, r.Alert, r.Expr)
			if !strings.Contains(string(tests), fmt.Sprintf("{labels: 'ALERTS{alertname=%q", r.Alert)) {
				t.Errorf("no test raises %s", r.Alert)
			}
			if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s doesn't say what it means", r.Alert)
			}
		}
	}
	if n == 0 {
		t.Error("there are no rules")
	}
	promtool(t, "check", "rules", rulesFile)
	promtool(t, "test", "rules", rulesTest)
}

// TestDashboards: each panel has a question that Prometheus understands, about metrics that
// exist.
func TestDashboards(t *testing.T) {
	files, err := filepath.Glob("../../deploy/grafana/*.json")
	if err != nil || len(files) != 4 {
		t.Fatalf("%v, %v", files, err)
	}
	names := written(t)
	type rule struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	var all []rule
	uids := map[string]bool{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var board struct {
			UID    string `json:"uid"`
			Panels []struct {
				Title   string `json:"title"`
				Targets []struct {
					Expr string `json:"expr"`
				} `json:"targets"`
			} `json:"panels"`
			Templating struct {
				List []struct {
					Definition string `json:"definition"`
				} `json:"list"`
			} `json:"templating"`
		}
		if err := json.Unmarshal(b, &board); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if board.UID == "" || uids[board.UID] || len(board.Panels) == 0 {
			t.Errorf("%s: uid %q, %d panels", f, board.UID, len(board.Panels))
		}
		uids[board.UID] = true
		for _, v := range board.Templating.List {
			known(t, names, f, v.Definition)
		}
		for _, p := range board.Panels {
			if len(p.Targets) == 0 || p.Title == "" {
				t.Errorf("%s: the panel %q asks nothing", f, p.Title)
			}
			for _, q := range p.Targets {
				known(t, names, f+" "+p.Title, q.Expr)
				all = append(all, rule{fmt.Sprintf("panel:%d", len(all)), q.Expr})
			}
		}
	}
	b, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "panels", "rules": all}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "panels.yml")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}
