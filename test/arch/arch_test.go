// Package arch holds the rules on who may import whom.
package arch

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tributary-cdc/tributary/"

// allowed lists, per folder, the folders of this module that it may import.
// The first matching row counts.
var allowed = []struct {
	from string
	to   []string
}{
	{"schema", nil},
	{"stream/peer", nil},
	{"stream/log", []string{"stream/peer"}},
	{"stream/event", []string{"schema"}},
	{"stream/envelope", []string{"schema", "stream/event", "stream/log"}},
	{"stream/kafka", []string{"stream/log", "stream/peer"}},
	{"stream/embedded", nil},
	{"stream/status", []string{"stream/event", "stream/log"}},
	{"stream/schemas", []string{"schema", "stream/envelope", "stream/log"}},
	{"stream/registry", []string{"stream/envelope", "stream/log", "schema"}},
	{"capture", []string{"capture", "schema", "stream/event", "stream/envelope", "stream/log", "stream/peer"}},
	{"sinks", []string{"sinks", "schema", "stream/event", "stream/envelope", "stream/log", "stream/peer"}},
	{"cmd", []string{"cmd", "capture", "sinks", "stream", "schema"}},
	{"deploy", []string{"cmd", "capture", "sinks", "stream", "schema", "deploy", "test"}},
	// What judges the product shares no code with it.
	{"test/workload", nil},
	{"test/oracle", []string{"test/workload"}},
	{"test/holdings", []string{"test/oracle"}},
	{"test", []string{"cmd", "capture", "sinks", "stream", "schema", "deploy", "test"}},
}

func within(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }

func TestImports(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Doc,Imports,GoFiles", module+"...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := 0
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath, Doc string
			Imports         []string
			GoFiles         []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		seen++
		from := strings.TrimPrefix(p.ImportPath, module)
		if p.Doc == "" && len(p.GoFiles) > 0 {
			t.Errorf("%s has no package comment", from)
		}
		check(t, from, p.Imports)
	}
	if seen < 10 {
		t.Errorf("only %d packages were looked at", seen)
	}
}

func check(t *testing.T, from string, imports []string) {
	t.Helper()
	for _, rule := range allowed {
		if !within(from, rule.from) {
			continue
		}
	next:
		for _, i := range imports {
			to, ours := strings.CutPrefix(i, module)
			if !ours {
				continue
			}
			for _, a := range rule.to {
				if within(to, a) {
					continue next
				}
			}
			t.Errorf("%s must not import %s", from, to)
		}
		return
	}
	t.Errorf("%s lies outside the agreed folders", from)
}

// TestNothingIsSkipped: a test that is skipped looks like one that has passed. One
// that lacks something fails and says what; outside of CI only it may be skipped.
func TestNothingIsSkipped(t *testing.T) {
	skip, seen := regexp.MustCompile(`\b[tb]\.Skip(Now|f)?\(|testing\.Short\(`), 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "arch_test.go") {
			return err
		}
		seen++
		b, err := os.ReadFile(path)
		if found := skip.Find(b); found != nil && !strings.Contains(string(b), `os.Getenv("CI")`) {
			t.Errorf("%s has %s, and doesn't ask for CI", path, found)
		}
		return err
	})
	if err != nil || seen < 100 {
		t.Errorf("%d files, %v", seen, err)
	}
}

// TestTopLevel: the project has these folders and no other. What Go's tools pass over, as
// names that begin with a line below, is seen, too.
func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir("../..")
	if err != nil {
		t.Fatal(err)
	}
	agreed := []string{"cmd", "capture", "stream", "sinks", "schema", "deploy", "test", "bin"} // bin is what make builds
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && !slices.Contains(agreed, e.Name()) {
			t.Errorf("%s isn't one of the agreed folders %s", e.Name(), agreed)
		}
	}
}
