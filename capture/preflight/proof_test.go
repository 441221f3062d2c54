package preflight_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// proofs are the codes of findings that tests have seen on a server, each with whether it
// was seen to be gone again, after its repair or what it names.
var proofs = struct {
	sync.Mutex
	gone map[string]bool
}{gone: map[string]bool{}}

// proven notes that a code was seen, or is gone after that.
func proven(code string, isGone bool) {
	proofs.Lock()
	defer proofs.Unlock()
	if was, seen := proofs.gone[code]; seen || !isGone {
		proofs.gone[code] = was || isGone
	}
}

// TestMain holds the codes of all findings against what the tests have seen, once all have
// run: each is provoked on a server, and goes away.
func TestMain(m *testing.M) {
	code := m.Run()
	whole := slices.IndexFunc([]string{"test.run", "test.skip", "test.list", "test.fuzz", "test.bench"}, func(name string) bool { return flag.Lookup(name).Value.String() != "" }) < 0
	if code == 0 && whole {
		for _, missing := range lacking() {
			fmt.Println("FAIL:", missing)
			code = 1
		}
	}
	os.Exit(code)
}

// lacking tells what is missing of the proofs.
func lacking() (out []string) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		return []string{err.Error()}
	}
	given := regexp.MustCompile(`(?:Refuses|Harms|Advice|severity|Code:), "([A-Z_]+)"|Code: "([A-Z_]+)"`)
	codes := []string{"MYSQL_LOG_BIN", "MYSQL_BINLOG_FORMAT", "MYSQL_LOGIN"} // the reader's own
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			return []string{err.Error()}
		}
		for _, m := range given.FindAllStringSubmatch(string(b), -1) {
			codes = append(codes, m[1]+m[2])
		}
	}
	slices.Sort(codes)
	if codes = slices.Compact(codes); len(codes) < 30 {
		return []string{fmt.Sprintf("%d codes in %d files", len(codes), len(files))}
	}
	for _, c := range codes {
		gone, seen := proofs.gone[c]
		switch {
		case !seen:
			out = append(out, "no test provokes the finding "+c)
		case !gone:
			out = append(out, "no test takes the finding "+c+" away")
		}
	}
	return out
}
