package servers

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/tributary-cdc/tributary/deploy/local"
)

// matrix lists the releases of each engine that readers are tested on. The empty one
// is the machine's, or the usual one where none is installed.
var matrix = map[string]struct {
	start    func(t testing.TB, release string, settings map[string]string) DB
	releases []string
}{
	"PostgreSQL": {postgres, []string{"", "10.23", "18.1"}},
	"MariaDB":    {mariadb, []string{"", "10.2.11", "11.4.5"}},
	"MySQL":      {func(t testing.TB, _ string, settings map[string]string) DB { t.Helper(); return MySQL(t, settings) }, []string{""}},
}

// Each runs f on each release of an engine, "PostgreSQL", "MariaDB" or "MySQL", as a
// subtest named by the two.
func Each(t *testing.T, engine string, f func(*testing.T, Starter)) {
	t.Helper()
	row, ok := matrix[engine]
	if !ok {
		t.Fatalf("no engine %q in the matrix", engine)
	}
	for _, release := range row.releases {
		t.Run(engine+" "+cmp.Or(release, "at hand"), func(t *testing.T) {
			f(t, func(t testing.TB, settings map[string]string) DB { t.Helper(); return row.start(t, release, settings) })
		})
	}
}

// Fetch brings everything into the cache that the tests of this module may start and
// that can be fetched, so that none of them has to wait for it. tell gets lines for
// people.
func Fetch(ctx context.Context, tell func(string)) error {
	for _, engine := range slices.Sorted(maps.Keys(matrix)) {
		for _, release := range matrix[engine].releases {
			if err := local.Fetch(ctx, engine, release, tell); err != nil {
				return err
			}
		}
	}
	return local.Fetch(ctx, "Kafka", "", tell)
}

// RanVariable names the environment variable with a file that gets a line for each
// server that ran.
const RanVariable = "TRIBUTARY_SERVERS_RAN"

var ledger sync.Mutex

// ran prints which server runs, and adds it to the file of RanVariable.
func ran(t testing.TB, format string, args ...any) {
	t.Helper()
	line := fmt.Sprintf(format, args...)
	t.Log(line)
	name := os.Getenv(RanVariable)
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
