package servers

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// RanVariable names the environment variable with a file that gets a line for each
// server that ran.
const RanVariable = "TRIBUTARY_SERVERS_RAN"

// PartsVariable names the environment variable with a file that gets a line for each
// part of the matrix that a server has gone through.
const PartsVariable = "TRIBUTARY_MATRIX_PARTS"

// Parts are what each release of the matrix goes through.
var Parts = []string{"reader and first load", "types from source to store"}

var ledger sync.Mutex

// Ran prints which server or tool runs, and adds it to the file of RanVariable.
func Ran(t testing.TB, format string, args ...any) {
	t.Helper()
	line := fmt.Sprintf(format, args...)
	t.Log(line)
	note(t, RanVariable, line)
}

// Part says that a test is a part of the matrix. Its result is noted at its end, with
// what the server lacks, e.g. "no hstore in this build".
func (d DB) Part(t testing.TB, part string, lacks ...string) {
	t.Helper()
	if !slices.Contains(Parts, part) {
		t.Fatalf("no part %q", part)
	}
	for _, l := range lacks {
		t.Logf("not run: %s", l)
	}
	t.Cleanup(func() {
		result := "passed"
		if t.Failed() {
			result = "failed"
		}
		note(t, PartsVariable, strings.Join([]string{d.Server.Engine, d.Server.Version, part, result, strings.Join(lacks, "; ")}, "\t"))
	})
}

// note adds a line to the file that a variable names, if it does.
func note(t testing.TB, variable, line string) {
	t.Helper()
	name := os.Getenv(variable)
	if name == "" {
		return
	}
	ledger.Lock()
	defer ledger.Unlock()
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintln(f, line); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// Judge reads the lines of Part and writes a table of what ran. It is an error if a
// release that should run lacks a part or failed, or if another one ran.
func Judge(parts io.Reader, table io.Writer) error {
	found := map[string]string{} // by index in Matrix and part
	exact := map[int]string{}
	var faults []string
	for s := bufio.NewScanner(parts); s.Scan(); {
		f := strings.Split(s.Text(), "\t")
		if len(f) != 5 {
			return fmt.Errorf("line %q: %d fields", s.Text(), len(f))
		}
		version, _, _ := strings.Cut(f[1], " ")
		i := slices.IndexFunc(Matrix, func(r Release) bool {
			return r.Engine == f[0] && (version == r.Version || strings.HasPrefix(version, r.Version+"."))
		})
		if i < 0 || Matrix[i].State != Run {
			faults = append(faults, fmt.Sprintf("%s %s ran, which the matrix doesn't say", f[0], f[1]))
			continue
		}
		exact[i], _, _ = strings.Cut(version, "-")
		result := f[3]
		if f[4] != "" {
			result += "; not run: " + f[4]
		}
		if key := fmt.Sprint(i, f[2]); found[key] == "" || f[3] == "failed" {
			found[key] = result
		}
	}
	fmt.Fprintf(table, "%-11s %-16s %-10s %s\n", "server", "release", "state", strings.Join(Parts, " · "))
	for i, r := range Matrix {
		var results []string
		for _, part := range Parts {
			result := found[fmt.Sprint(i, part)]
			if r.State == Run && (result == "" || strings.HasPrefix(result, "failed")) {
				faults = append(faults, fmt.Sprintf("%s %s, %s: %s", r.Engine, r.Version, part, cmp.Or(result, "didn't run")))
			}
			results = append(results, cmp.Or(result, "-"))
		}
		fmt.Fprintf(table, "%-11s %-16s %-10s %s\n", r.Engine, cmp.Or(exact[i], r.Version), r.State, strings.Join(results, " · "))
	}
	if len(faults) > 0 {
		return fmt.Errorf("the matrix isn't what ran:\n%s", strings.Join(faults, "\n"))
	}
	return nil
}
