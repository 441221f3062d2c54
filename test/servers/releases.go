package servers

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/deploy/local"
)

// MatrixVariable names the environment variable that says on which releases Each runs:
// "all" for all of the matrix, empty for those that every change is tested on.
const MatrixVariable = "TRIBUTARY_MATRIX"

// State says how a release is tested.
type State string

// The states.
const (
	Run      State = "run"      // the tests run on the server itself
	Emulated State = "emulated" // the reader's rules run on a newer release that is made to look like it
	NotRun   State = "not run"  // it speaks a protocol that the tests run on; nobody has tried it
)

// Release is a server of the matrix.
type Release struct {
	Engine, Version string // without what changes within a release, e.g. "10.11"
	State           State
	fetch           string // the release that local fetches; empty for the only one
	always          bool   // on every change
	way             bool   // on every change, the whole way to a store, too
	Note            string // for people, in both languages
}

// Matrix lists the servers that sources may be, in the page's order.
var Matrix = []Release{
	{Engine: "MariaDB", Version: "10.2", State: Run, fetch: "10.2.11", always: true, Note: "TABLE_MAP 不含元数据，与 MySQL 5.7 相同 / TABLE_MAP without metadata, as MySQL 5.7 has it"},
	{Engine: "MariaDB", Version: "10.11", State: Run, fetch: "10.11.5", always: true, way: true},
	{Engine: "MariaDB", Version: "11.4", State: Run, fetch: "11.4.5", always: true},
	{Engine: "MySQL", Version: "5.7", State: Emulated, always: true, Note: "代理让现有的 MySQL 在日志中如同 5.7（servers.MySQL57）/ a proxy makes the MySQL at hand look like 5.7 in its log (servers.MySQL57)"},
	{Engine: "MySQL", Version: "8.0", State: NotRun},
	{Engine: "MySQL", Version: "8.4", State: NotRun},
	{Engine: "MySQL", Version: "9.7", State: Run, always: true, way: true},
	{Engine: "PostgreSQL", Version: "10", State: Run, fetch: "10.23", always: true, way: true, Note: "TRUNCATE 不在流中 / TRUNCATE isn't in its stream"},
	{Engine: "PostgreSQL", Version: "11", State: NotRun},
	{Engine: "PostgreSQL", Version: "12", State: Run, fetch: "12.22"},
	{Engine: "PostgreSQL", Version: "13", State: NotRun},
	{Engine: "PostgreSQL", Version: "14", State: Run, fetch: "14.20"},
	{Engine: "PostgreSQL", Version: "15", State: Run, fetch: "15.15", always: true, way: true},
	{Engine: "PostgreSQL", Version: "16", State: Run, fetch: "16.11"},
	{Engine: "PostgreSQL", Version: "17", State: Run, fetch: "17.7"},
	{Engine: "PostgreSQL", Version: "18", State: Run, fetch: "18.1", always: true, way: true},
	{Engine: "OceanBase", Version: "binlog service", State: NotRun, Note: "MySQL 协议 / by MySQL's protocol"},
	{Engine: "PolarDB-X", Version: "2", State: NotRun, Note: "MySQL 协议，无 GTID / by MySQL's protocol, without GTIDs"},
	{Engine: "openGauss", Version: "3", State: NotRun, Note: "pgoutput，自报版本 9.2 / by pgoutput; it says that it is 9.2"},
}

var starters = map[string]func(t testing.TB, release string, settings map[string]string) DB{
	"PostgreSQL": postgres,
	"MariaDB":    mariadb,
	"MySQL":      func(t testing.TB, _ string, settings map[string]string) DB { t.Helper(); return MySQL(t, settings) },
}

// chosen are the releases of an engine that run. On every change the machine's own
// programs stand for their usual release.
func chosen(t testing.TB, engine string, always func(*Release) bool) (out []Release) {
	t.Helper()
	mode := os.Getenv(MatrixVariable)
	if mode != "" && mode != "all" {
		t.Fatalf("%s=%q: all, or empty", MatrixVariable, mode)
	}
	for _, r := range Matrix {
		if r.Engine != engine || r.State != Run || mode == "" && !always(&r) {
			continue
		}
		if mode == "" && local.Usual(engine) == r.fetch {
			r.fetch = ""
		}
		out = append(out, r)
	}
	if len(out) == 0 {
		t.Fatalf("no %s in the matrix", engine)
	}
	return out
}

// Each runs f on each release of an engine, "PostgreSQL", "MariaDB" or "MySQL", as a
// subtest named by the two.
func Each(t *testing.T, engine string, f func(*testing.T, Starter)) {
	t.Helper()
	each(t, engine, func(r *Release) bool { return r.always }, f)
}

// EachWay is Each for tests that take the whole way to a store, which are slow: on every
// change they run on fewer releases.
func EachWay(t *testing.T, engine string, f func(*testing.T, Starter)) {
	t.Helper()
	each(t, engine, func(r *Release) bool { return r.way }, f)
}

func each(t *testing.T, engine string, always func(*Release) bool, f func(*testing.T, Starter)) {
	t.Helper()
	for _, r := range chosen(t, engine, always) {
		t.Run(engine+" "+cmp.Or(r.fetch, "at hand"), func(t *testing.T) {
			f(t, func(t testing.TB, settings map[string]string) DB {
				t.Helper()
				return starters[engine](t, r.fetch, settings)
			})
		})
	}
}

// Start starts one release of an engine: the one that local fetches under that name.
func Start(t testing.TB, engine, release string, settings map[string]string) DB {
	t.Helper()
	if !slices.ContainsFunc(Matrix, func(r Release) bool { return r.Engine == engine && r.fetch == release }) {
		t.Fatalf("no %s %q in the matrix", engine, release)
	}
	return starters[engine](t, release, settings)
}

// Fetch brings everything into the cache that the tests of this module may start and
// that can be fetched, so that none of them has to wait for it. tell gets lines for
// people.
func Fetch(ctx context.Context, tell func(string)) error {
	for _, r := range Matrix {
		if r.State != Run || !r.always && r.fetch != OldestStore && os.Getenv(MatrixVariable) != "all" {
			continue
		}
		if err := local.Fetch(ctx, r.Engine, r.fetch, tell); err != nil {
			return err
		}
	}
	if _, err := local.Axe.Fetch(ctx, tell); err != nil {
		return err
	}
	return local.Fetch(ctx, "Kafka", "", tell)
}

// Page is the matrix for people.
func Page() string {
	var b strings.Builder
	b.WriteString("| server 服务器 | release 版本 | state 状态 | on every change 每次改动 | note 说明 |\n|---|---|---|---|---|\n")
	for _, r := range Matrix {
		state, always := map[State]string{Run: "run 已运行", Emulated: "emulated 模拟", NotRun: "not run 未运行"}[r.State], ""
		if r.always {
			always = "yes 是"
		}
		version := r.Version
		if r.fetch != "" {
			version += " (" + r.fetch + ")"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.Engine, version, state, always, r.Note)
	}
	return b.String()
}
