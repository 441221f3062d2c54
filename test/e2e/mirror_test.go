package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestMirrorsKilledAnywhere has two sources with the same tables and the same keys, one
// store with a mirror of each, and SIGKILL for agent, worker and log: each schema ends
// equal to its source, no poll sees half a transaction, and a table that somebody has
// spoilt is whole again after it was read again.
func TestMirrorsKilledAnywhere(t *testing.T) {
	number := seed(t)
	rng := rand.New(rand.NewPCG(number, 11))
	db := servers.Postgres(t, nil)
	admin := connect(t, db, "postgres")
	names := []string{"yizhong", "erzhong"}
	for _, name := range append(names, "city") {
		mustExec(t, admin, "CREATE DATABASE "+name)
	}
	bin, dir := program.Build(t), t.TempDir()
	logPort, agentHTTP, workerHTTP := program.Port(t), program.Port(t), program.Port(t)
	sources := ""
	for _, name := range names {
		mustExec(t, connect(t, db, name), tables)
		sources += fmt.Sprintf("  - {name: %s, engine: postgres, host: 127.0.0.1, port: %d, database: %s, user: postgres, password_env: %s, tables: [\"public.*\"], first_start: load}\n",
			name, db.Port, name, program.PasswordVariable)
	}
	procs := []*program.Process{
		{Name: "log", Args: []string{"log", "--config", program.Write(t, filepath.Join(dir, "log.yml"), "data_dir: %s\nport: %d\n", filepath.Join(dir, "log"), logPort)}},
		{Name: "agent", Args: []string{"agent", "--config", program.Write(t, filepath.Join(dir, "agent.yml"), "name: a1\norg: \"330106\"\ndata_dir: %s\nhttp: 127.0.0.1:%d\nlog: {brokers: [\"127.0.0.1:%d\"], embedded: true}\nsources:\n%s",
			filepath.Join(dir, "agent"), agentHTTP, logPort, sources)}},
		{Name: "city", Args: []string{"worker", "--config", program.Write(t, filepath.Join(dir, "city.yml"), "name: city\norgs: [\"330106\"]\nhttp: 127.0.0.1:%d\nlog: {brokers: [\"127.0.0.1:%d\"], embedded: true}\nstore: {host: 127.0.0.1, port: %d, database: city, user: postgres, password_env: %s, target: mirror}\n",
			workerHTTP, logPort, db.Port, program.PasswordVariable)}},
	}
	for _, p := range procs {
		p.Start(t, bin, dir, db.Password)
	}
	store := connect(t, db, "city")
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var work sync.WaitGroup
	var polls, half atomic.Int64
	works := make([]*workload, len(names))
	failures := make([]error, len(names))
	for i, name := range names {
		w := &workload{c: connect(t, db, name), rng: rand.New(rand.NewPCG(number, uint64(i)))}
		works[i] = w
		mustExec(t, w.c, `INSERT INTO school SELECT '2133' || lpad(i::text, 6, '0'), '学校' || i, 0 FROM generate_series(0, $1 - 1) i`, schools)
		work.Go(func() {
			for ctx.Err() == nil && failures[i] == nil {
				if failures[i] = w.step(context.Background()); errors.Is(failures[i], errAbandon) {
					failures[i] = nil
				}
				w.txns++
			}
		})
		schema, c := mirrorOf(name), connect(t, db, "city")
		work.Go(func() { pollMirror(ctx, t, c, schema, &polls, &half) })
	}
	for kills := range 9 {
		pause := time.NewTimer(time.Duration(300+rng.IntN(600)) * time.Millisecond)
		<-pause.C
		p := procs[rng.IntN(len(procs))]
		if !p.Signal(syscall.SIGKILL) {
			t.Fatalf("%s was dead before kill %d", p.Name, kills+1)
		}
		p.Again()
	}
	await(t, "50 polls", func() bool { return polls.Load() >= 50 }) // on a slow machine the tables come late
	stop()
	work.Wait()
	if err := errors.Join(failures...); err != nil {
		t.Fatal("workload: ", err)
	}
	for i, name := range names {
		compareMirror(t, works[i].c, store, name)
	}
	t.Logf("transactions %d and %d, polls %d, half transactions %d", works[0].txns, works[1].txns, polls.Load(), half.Load())
	if half.Load() != 0 || polls.Load() < 50 {
		t.Errorf("half transactions %d of %d polls", half.Load(), polls.Load())
	}
	spoilt := mirrorOf(names[0]) + ".student"
	mustExec(t, store, "DELETE FROM "+spoilt+" WHERE xh = (SELECT min(xh) FROM "+spoilt+")")
	mustExec(t, store, "INSERT INTO "+spoilt+" SELECT (jsonb_populate_record(s, '{\"xh\": 999999999}')).* FROM "+spoilt+" s LIMIT 1")
	order := exec.CommandContext(t.Context(), bin, "table", "reread", "--agent", fmt.Sprintf("http://127.0.0.1:%d", agentHTTP), "330106-"+names[0], names[0]+".public.student")
	if out, err := order.CombinedOutput(); err != nil {
		t.Fatalf("reread: %v\n%s", err, out)
	}
	for i, name := range names {
		compareMirror(t, works[i].c, store, name)
	}
	if got := column(t, store, "SELECT source || ' ' || rows FROM tributary.anomaly WHERE code = 'ROW_SURPLUS'"); len(got) != 1 || got[0] != "330106-"+names[0]+" 1" {
		t.Errorf("surplus rows %q", got)
	}
	if got := column(t, store, "SELECT schema || ' ' || count(*) FROM tributary.target GROUP BY schema ORDER BY 1"); strings.Join(got, ", ") != "330106-erzhong 3, 330106-yizhong 3" {
		t.Errorf("places of tables %q", got)
	}
	trace := exec.CommandContext(t.Context(), bin, "trace", filepath.Join(dir, "city.yml"), "school", works[0].school(1), "--output", "json")
	trace.Env = append(os.Environ(), program.PasswordVariable+"="+db.Password)
	if out, err := trace.CombinedOutput(); err != nil || strings.Count(string(out), `"source": "330106-`) != len(names) {
		t.Errorf("trace: %v\n%s", err, out)
	}
	for i := len(procs) - 1; i >= 0; i-- {
		if !procs[i].Signal(syscall.SIGTERM) || !procs[i].Clean() {
			t.Errorf("%s didn't stop cleanly", procs[i].Name)
		}
	}
}

// mirrorOf is the quoted schema of a source.
func mirrorOf(name string) string { return pgx.Identifier{"330106-" + name}.Sanitize() }

// pollMirror looks for half transactions in one mirror, once its tables are loaded.
func pollMirror(ctx context.Context, t testing.TB, c *pgx.Conn, schema string, polls, half *atomic.Int64) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var heads, students, loading int64
		err := c.QueryRow(context.Background(), `SELECT coalesce(sum(head_count), 0), (SELECT count(*) FROM `+schema+`.student), (SELECT count(*) FROM tributary.table_state) FROM `+schema+`.school`).
			Scan(&heads, &students, &loading)
		if err != nil || loading > 0 { // the tables aren't there yet, or not whole
			continue
		}
		polls.Add(1)
		if heads != students && half.Add(1) == 1 {
			t.Errorf("mirror %s: head counts say %d, there are %d students", schema, heads, students)
		}
	}
}

// compareMirror waits until a mirror has what its source has, row for row, and nothing of
// anybody else's.
func compareMirror(t *testing.T, source, store *pgx.Conn, name string) {
	t.Helper()
	for _, table := range []string{"school", "student", "score"} {
		want := fingerprint(t, source, table, "")
		var got []string
		if !within(60*time.Second, func() bool {
			var there *string
			if err := store.QueryRow(context.Background(), "SELECT to_regclass($1)::text", mirrorOf(name)+"."+table).Scan(&there); err != nil || there == nil {
				return false
			}
			got = fingerprint(t, store, table, mirrorOf(name))
			return equal(got, want)
		}) {
			t.Errorf("mirror of %s, table %s: %d rows, want %d; first difference %s", name, table, len(got), len(want), difference(got, want))
		}
		if got := column(t, store, "SELECT DISTINCT _source FROM "+mirrorOf(name)+"."+table); len(got) > 1 || len(got) == 1 && got[0] != "330106-"+name {
			t.Errorf("mirror of %s, table %s: rows of %q", name, table, got)
		}
	}
	if got := column(t, store, "SELECT source || ' ' || code FROM tributary.gap"); len(got) > 0 {
		t.Errorf("gaps %q", got)
	}
}
