package arch

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// names are the test functions of the project, and the folders that have each.
func names(t *testing.T) map[string][]string {
	t.Helper()
	function := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	have := map[string][]string{}
	err := filepath.WalkDir("../..", func(path string, d os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range function.FindAllStringSubmatch(string(b), -1) {
			have[m[1]] = append(have[m[1]], filepath.Dir(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return have
}

// suites are folders whose subtests are run by the tests of others.
var suites = []string{"../../sinks/sinktest"}

// literals are the strings in the sources of a folder's tests and of the suites.
func literals(t *testing.T, folder string) (all []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range suites {
		more, err := filepath.Glob(filepath.Join(s, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, more...)
	}
	quoted := regexp.MustCompile(`"(?:[^"\\\n]|\\.)*"`)
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range quoted.FindAllString(string(b), -1) {
			if s, err := strconv.Unquote(q); err == nil {
				all = append(all, s)
			}
		}
	}
	return all
}

// missing says what a name of the form Test/subtest has that doesn't exist; empty for nothing.
// A subtest may be named by its beginning up to a comma, as the number of an attack.
func missing(t *testing.T, name string, have map[string][]string) string {
	t.Helper()
	function, sub, deeper := strings.Cut(name, "/")
	folders := have[function]
	if len(folders) == 0 {
		return "the test " + function
	}
	if !deeper {
		return ""
	}
	for _, f := range folders {
		for _, l := range literals(t, f) {
			if l == sub || strings.HasPrefix(l, sub+",") {
				return ""
			}
		}
	}
	return "the subtest " + sub
}

// TestAttacksNameTests: each line of the page of attacks names tests that exist, no attack is
// missing, and no test of an attack stands elsewhere than in its line.
func TestAttacksNameTests(t *testing.T) {
	have := names(t)
	named, numbered := regexp.MustCompile("`(Test[^`]+)`"), regexp.MustCompile(`^\| (\d+) \|`)
	attack := regexp.MustCompile(`^TestAttack(\d+)|/attack (\d+)`)
	seen, listed, lines := map[int]bool{}, map[string]bool{}, 0
	for line := range strings.Lines(read(t, "test/ATTACKS.md")) {
		tests := named.FindAllStringSubmatch(line, -1)
		if strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| #") && !strings.HasPrefix(line, "| what bites") {
			if lines++; len(tests) == 0 {
				t.Errorf("no test holds: %s", line)
			}
		}
		number := 0
		if m := numbered.FindStringSubmatch(line); m != nil {
			number, _ = strconv.Atoi(m[1]) // digits
			seen[number] = true
		}
		for _, m := range tests {
			listed[m[1]] = true
			if what := missing(t, m[1], have); what != "" {
				t.Errorf("ATTACKS.md names %s: %s doesn't exist", m[1], what)
			}
			if n := attack.FindStringSubmatch(m[1]); n != nil && number > 0 && n[1]+n[2] != fmt.Sprint(number) {
				t.Errorf("the line of attack %d names %s", number, m[1])
			}
		}
	}
	for n := 1; n <= 34; n++ {
		if !seen[n] {
			t.Errorf("attack %d is missing", n)
		}
	}
	if len(seen) != 34 || lines < 80 {
		t.Errorf("%d attacks, %d lines", len(seen), lines)
	}
	for name := range have {
		if attack.MatchString(name) && !listed[name] {
			t.Errorf("%s stands in no line", name)
		}
	}
}

// TestMissingTells: what doesn't exist is noticed.
func TestMissingTells(t *testing.T) {
	have := names(t)
	for name, want := range map[string]string{
		"TestMissingTells":                         "",
		"TestNobodyHasThis":                        "the test TestNobodyHasThis",
		"TestStore/attack 28, random histories":    "",
		"TestStore/attack 28":                      "",
		"TestStore/attack 2":                       "the subtest attack 2",
		"TestReader/no such thing as this subtest": "the subtest no such thing as this subtest",
	} {
		if got := missing(t, name, have); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
