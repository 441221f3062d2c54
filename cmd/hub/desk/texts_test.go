package desk

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/test/source"
)

// TestTexts: each text that a page or an action of the audit asks for is there in both
// languages, and none is there for nothing.
func TestTexts(t *testing.T) {
	asked := map[string]bool{"done.saved": true, "done.password": true, "done.again": true}
	for _, name := range pageNames {
		asked["title."+name], asked["note."+name] = true, true
	}
	for _, p := range pages {
		if p.menu {
			asked["menu."+p.name] = true
		}
	}
	asked["menu.status"] = true
	for _, u := range []string{"s", "min", "h", "d"} {
		asked["unit."+u] = true
	}
	for _, r := range account.Roles {
		asked["role."+string(r)], asked["role.note."+string(r)] = true, true
	}
	for _, k := range catalog.Kinds {
		asked["kind."+string(k)] = true
	}
	for prefix, words := range map[string][]string{"request.": {"pending", "approved", "partly", "refused"}, "standing.": {"authoritative", "check"}, "standing.note.": {"authoritative", "check"}, "severity.": {"advice", "harms", "refuses"}} {
		for _, w := range words {
			asked[prefix+w] = true
		}
	}
	for day := 1; day <= 7; day++ {
		asked[fmt.Sprint("weekday.", day)] = true
	}
	asked["history.rate"], asked["tree.well"], asked["tree.nosource"] = true, true, true
	for _, kind := range state.EventKinds {
		if kind != state.OfAudit { // whose action says it
			asked["event."+kind] = true
		}
	}
	for _, span := range []string{state.Day.Name, state.Month.Name} {
		for _, key := range []string{"history.span.", "history.table.", "history.lag.note.", "history.rate.note."} {
			asked[key+span] = true
		}
	}
	files, err := filepath.Glob("assets/*.html")
	if err != nil || len(files) != len(pageNames)+2 {
		t.Fatalf("%v, %v", files, err)
	}
	plain := regexp.MustCompile(`T "([a-z.]+)"`)
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range plain.FindAllStringSubmatch(string(b), -1) {
			asked[m[1]] = true
		}
		if regexp.MustCompile(`<script>|<style|style="|\son[a-z]+="|https?://`).Match(b) {
			t.Errorf("%s has what the policy forbids", f)
		}
	}
	for _, action := range actions(t) {
		asked["action."+action] = true
	}
	for key := range asked {
		if c := catalogue[key]; c[0] == "" || c[1] == "" {
			t.Errorf("the text %s is missing", key)
		}
	}
	for key := range catalogue {
		if !asked[key] {
			t.Errorf("nobody asks for the text %s", key)
		}
	}
}

// actions gives those that the audit can have.
func actions(t *testing.T) (found []string) {
	t.Helper()
	shape := regexp.MustCompile(`^(account|org|invitation|agent|request|rights|source|audit|alarm|maintenance|calendar)\.[a-z]+$|^(login|logout)$`)
	for _, dir := range []string{"../state", "."} {
		err := source.Literals(dir, func(path, text string) error {
			if shape.MatchString(text) && !strings.HasSuffix(path, "texts.go") {
				found = append(found, text)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(found) < 15 {
		t.Fatalf("only %v", found)
	}
	return append(found, "request.approved", "request.partly", "request.refused", "refused")
}

// TestOpenAPI: the file that is served has every route of the code with its fields and
// who may call it, and nothing else.
func TestOpenAPI(t *testing.T) {
	type operation struct {
		Act         string `yaml:"x-act"`
		RequestBody struct {
			Content map[string]struct {
				Schema struct {
					Properties map[string]any `yaml:"properties"`
				} `yaml:"schema"`
			} `yaml:"content"`
		} `yaml:"requestBody"`
		Parameters []map[string]any `yaml:"parameters"`
		Responses  map[string]any   `yaml:"responses"`
	}
	var doc struct {
		OpenAPI string                          `yaml:"openapi"`
		Paths   map[string]map[string]operation `yaml:"paths"`
	}
	b, err := assets.ReadFile("assets/openapi.yml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Error(doc.OpenAPI)
	}
	left := 0
	for _, methods := range doc.Paths {
		left += len(methods)
	}
	check := func(method, path, act string, fields []string) {
		t.Helper()
		o, ok := doc.Paths[path][strings.ToLower(method)]
		if !ok {
			t.Errorf("%s %s isn't described", method, path)
			return
		}
		left--
		var have []string
		for name := range o.RequestBody.Content["application/json"].Schema.Properties {
			have = append(have, name)
		}
		slices.Sort(have)
		want := slices.Sorted(slices.Values(fields))
		if !slices.Equal(have, want) || o.Act != act || o.Responses["default"] == nil {
			t.Errorf("%s %s: %v, %s; want %v, %s", method, path, have, o.Act, want, act)
		}
		params := len(regexp.MustCompile(`\{\w+\}`).FindAllString(path, -1))
		if method == "POST" {
			params++
		}
		if len(o.Parameters) < params {
			t.Errorf("%s %s has %d parameters", method, path, len(o.Parameters))
		}
	}
	for _, rt := range (&Desk{}).api() {
		act := map[access]string{anybody: "anybody", person: "person", acting: string(rt.Act)}[rt.Who]
		check(rt.Method, rt.Path, act, rt.Fields)
	}
	check("GET", "/api/status", "see", nil) // what stands behind the desk
	for _, rt := range agentRoutes {
		act := "anybody"
		if rt.Joined {
			act = "agent"
		}
		check(rt.Method, rt.Path, act, nil)
	}
	if left != 0 {
		t.Errorf("%d operations are described and don't exist", left)
	}
}
