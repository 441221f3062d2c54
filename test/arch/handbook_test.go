package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// read gives a file of the project.
func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestHandbook: both languages have the same pages with the same parts, and every
// metric and code that they name exists.
func TestHandbook(t *testing.T) {
	pages, err := filepath.Glob("../../deploy/handbook/*/*.md")
	if err != nil || len(pages) < 6 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	metrics, codes := read(t, "cmd/tributary/metrics.go"), read(t, "cmd/internal/codes/codes.go")+read(t, "cmd/internal/codes/program.go")+read(t, "cmd/internal/codes/preflight.go")+read(t, "cmd/internal/codes/hub.go")+read(t, "cmd/internal/codes/secure.go")
	sources, err := filepath.Glob("../../cmd/tributary/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var commands string
	for _, f := range sources {
		commands += read(t, strings.TrimPrefix(filepath.ToSlash(f), "../../"))
	}
	metric, code := regexp.MustCompile("`tributary_([a-z_]+)`"), regexp.MustCompile("`([A-Z]+_[A-Z_]+)`")
	command := regexp.MustCompile("`tributary ([a-z]+)")
	for _, page := range pages {
		name := strings.TrimPrefix(filepath.ToSlash(page), "../../")
		text := read(t, name)
		other := strings.Replace(name, "/en/", "/zh-CN/", 1)
		if other == name {
			other = strings.Replace(name, "/zh-CN/", "/en/", 1)
		}
		shape := func(text string) []string {
			var out []string
			for line := range strings.Lines(text) {
				if i := strings.IndexFunc(line, func(r rune) bool { return r != '#' && r != '|' }); i > 0 && line[0] == '#' {
					out = append(out, line[:i])
				} else if line[0] == '|' {
					out = append(out, "|")
				}
			}
			return out
		}
		if a, b := shape(text), shape(read(t, other)); !slices.Equal(a, b) {
			t.Errorf("%s has the parts %v, %s has %v", name, a, other, b)
		}
		for _, m := range metric.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(metrics, `"`+m[1]+`"`) {
				t.Errorf("%s names the metric tributary_%s, which doesn't exist", name, m[1])
			}
		}
		for _, c := range code.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(codes, `"`+c[1]+`"`) {
				t.Errorf("%s names the code %s, which doesn't exist", name, c[1])
			}
		}
		for _, c := range command.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(commands, `"`+c[1]) {
				t.Errorf("%s names the command %s, which doesn't exist", name, c[1])
			}
		}
	}
}

// TestReadmeNamesTests: a promise without its test isn't one.
func TestReadmeNamesTests(t *testing.T) {
	have := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, d os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(string(b), -1) {
			have[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README.md", "README.zh-CN.md"} {
		found := regexp.MustCompile("`(Test\\w+)").FindAllStringSubmatch(read(t, name), -1)
		if len(found) < 10 {
			t.Errorf("%s names %d tests", name, len(found))
		}
		for _, m := range found {
			if !have[m[1]] {
				t.Errorf("%s names %s, which doesn't exist", name, m[1])
			}
		}
	}
}

// TestReadmeNamesDependencies: each direct dependency stands in the table of both READMEs,
// which has a reason for it.
func TestReadmeNamesDependencies(t *testing.T) {
	direct := regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(read(t, "go.mod"), -1)
	if len(direct) < 10 {
		t.Fatalf("%d direct dependencies", len(direct))
	}
	for name, head := range map[string]string{"README.md": "## Dependencies", "README.zh-CN.md": "## 依赖"} {
		_, table, _ := strings.Cut(read(t, name), head)
		for _, m := range direct {
			parts := strings.Split(regexp.MustCompile(`/v\d+$|\.v\d+$`).ReplaceAllString(m[1], ""), "/")
			if last := parts[len(parts)-1]; !regexp.MustCompile(`(?m)^\|.*\b` + regexp.QuoteMeta(last) + `\b.*\|.*\S.*\|`).MatchString(table) {
				t.Errorf("%s has no reason for %s", name, m[1])
			}
		}
	}
}
