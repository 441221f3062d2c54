package e2e

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/tributary-cdc/tributary/test/oracle"
	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

// gapRig is a source with an agent, the log, and a worker with its store. Causes of gaps
// follow each other on it: each is found, shown and repaired, and the store equals the
// source before the next one.
type gapRig struct {
	*testing.T
	whole         *testing.T // what is started lives as long as this
	engine        string
	server        servers.DB // that the agent is sent to
	source        *sql.DB    // its database xueji
	keeper        servers.DB // of the store
	store         *sql.DB
	bin, dir      string
	http, city    int // ports of agent and worker
	port          int // of the log
	agent, worker *program.Process
	log           *program.Process
	next          int
	rng           *rand.Rand
}

// cause is a way to lose continuity.
type cause struct {
	name string
	code string // of the gap
	// always has it run in CI, too; the others run with GAPS=all.
	always bool
	// lose loses it while the agent is down, or while it runs.
	lose func(x *gapRig)
	runs bool
}

const gapSource = "330106-xueji"

// newGapRig starts everything. The tables hold rows of which the store has all.
func newGapRig(t *testing.T, engine string, server servers.DB) *gapRig {
	x := &gapRig{T: t, whole: t, engine: engine, server: server, keeper: servers.Postgres(t, nil), bin: program.Build(t), dir: t.TempDir(),
		http: program.Port(t), city: program.Port(t), port: program.Port(t), next: 5000, rng: rand.New(rand.NewPCG(seed(t), 11))}
	mustExec(t, connect(t, x.keeper, "postgres"), "CREATE DATABASE city")
	x.store = x.open("pgx", x.keeper.In("city")+"&timezone=UTC")
	x.make(server)
	x.source = x.at(server, "xueji")
	x.send(server)
	for _, p := range []struct {
		to   **program.Process
		name string
		args string
	}{
		{&x.log, "log", program.Write(t, filepath.Join(x.dir, "log.yml"), "data_dir: %s\nport: %d\n", filepath.Join(x.dir, "log"), x.port)},
		{&x.agent, "agent", filepath.Join(x.dir, "agent.yml")},
		{&x.worker, "worker", program.Write(t, filepath.Join(x.dir, "worker.yml"), "name: city\norgs: [\"330106\"]\nhttp: 127.0.0.1:%d\nlog: {brokers: [\"127.0.0.1:%d\"], embedded: true}\nstore: {host: 127.0.0.1, port: %d, database: city, user: postgres, password_env: %s}\n",
			x.city, x.port, x.keeper.Port, program.PasswordVariable)},
	} {
		*p.to = &program.Process{Name: p.name, Args: []string{p.name, "--config", p.args}, Expected: "source in GAP"}
		(*p.to).Start(t, x.bin, x.dir, x.keeper.Password, server.Password)
	}
	x.equal("the first load")
	return x
}

func (x *gapRig) open(driver, address string) *sql.DB {
	x.Helper()
	db, err := sql.Open(driver, address)
	if err != nil {
		x.Fatal(err)
	}
	x.whole.Cleanup(func() { _ = db.Close() })
	return db
}

// at opens a database of a server of the source's engine.
func (x *gapRig) at(server servers.DB, database string) *sql.DB {
	x.Helper()
	if x.engine == "postgres" {
		return x.open("pgx", server.In(database)+"&timezone=UTC")
	}
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr, cfg.DBName = server.User, server.Password, "tcp", fmt.Sprintf("%s:%d", server.Host, server.Port), database
	cfg.Params = map[string]string{"time_zone": "'+00:00'", "charset": "utf8mb4"}
	return x.open("mysql", cfg.FormatDSN())
}

// digits gives n = 0 to 44, in SQL that all products know.
const digits = "SELECT p.n * 9 + q.n n FROM (SELECT 0 n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4) p CROSS JOIN (SELECT 0 n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8) q"

// make gives a server the tables and their first rows.
func (x *gapRig) make(server servers.DB) {
	x.Helper()
	root := "postgres"
	if x.engine != "postgres" {
		root = ""
	}
	x.run(x.at(server, root), "CREATE DATABASE xueji")
	db := x.at(server, "xueji")
	x.run(db, "CREATE TABLE student (xh int PRIMARY KEY, xm varchar(40))", "CREATE TABLE score (xh int, kmh varchar(9), v int, PRIMARY KEY (xh, kmh))", "CREATE TABLE visit (xh int, at varchar(20))",
		"INSERT INTO student SELECT a.n * 100 + b.n, 'first' FROM ("+digits+") a CROSS JOIN ("+digits+") b", "INSERT INTO score SELECT xh, 'k1', xh FROM student WHERE xh < 500")
	if x.engine == "postgres" {
		x.run(db, "ALTER TABLE visit REPLICA IDENTITY FULL", "ANALYZE")
	}
}

func (x *gapRig) run(db *sql.DB, statements ...string) {
	x.Helper()
	for _, s := range statements {
		if _, err := db.ExecContext(x.Context(), s); err != nil {
			x.Fatalf("%.80s: %v", s, err)
		}
	}
}

// send has the agent read a server from its next start on.
func (x *gapRig) send(server servers.DB) {
	x.Helper()
	x.server = server
	secret := program.Write(x, filepath.Join(x.dir, "source.password"), "%s\n", server.Password)
	tables, database := "xueji.*", ""
	if x.engine == "postgres" {
		tables, database = "public.*", "database: xueji, "
	}
	program.Write(x, filepath.Join(x.dir, "agent.yml"), "name: a1\norg: \"330106\"\ndata_dir: %s\nhttp: 127.0.0.1:%d\nlog: {brokers: [\"127.0.0.1:%d\"], embedded: true}\nsources:\n  - {name: xueji, engine: %s, host: 127.0.0.1, port: %d, %suser: %s, password_file: %s, tables: [\"%s\"], append: [\"%s\"], first_start: load}\n",
		filepath.Join(x.dir, "agent"), x.http, x.port, x.engine, server.Port, database, server.User, secret, tables, strings.Replace(tables, "*", "visit", 1))
}

// change writes a few rows of every kind, so that any that is missed shows.
func (x *gapRig) change() {
	x.Helper()
	n := x.next
	x.next += 5
	x.run(x.source, fmt.Sprintf("INSERT INTO student VALUES (%d, 'a'), (%d, 'b'), (%d, 'c')", n, n+1, n+2),
		fmt.Sprintf("UPDATE student SET xm = 'u%d' WHERE xh IN (%d, %d)", n, x.rng.IntN(4500), n), fmt.Sprintf("DELETE FROM student WHERE xh IN (%d, %d)", x.rng.IntN(4500), n+1),
		fmt.Sprintf("INSERT INTO score VALUES (%d, 'k2', 1)", n), fmt.Sprintf("DELETE FROM score WHERE xh = %d", x.rng.IntN(500)), fmt.Sprintf("INSERT INTO visit VALUES (%d, 'v')", n))
}

// equal waits until the oracle finds no difference.
func (x *gapRig) equal(when string) {
	x.Helper()
	pg, all := x.engine == "postgres", ""
	number, text := "number", "text"
	if pg {
		number, text = "pg", "pg"
	}
	if !within(60*time.Second, func() bool {
		all = ""
		for _, table := range []oracle.Table{
			{Source: "student", Store: "ods.student", Columns: []oracle.Column{{Name: "xh", Family: number}, {Name: "xm", Family: text}}, Key: []string{"xh"}},
			{Source: "score", Store: "ods.score", Columns: []oracle.Column{{Name: "xh", Family: number}, {Name: "kmh", Family: text}, {Name: "v", Family: number}}, Key: []string{"xh", "kmh"}},
		} {
			table.ID, table.Postgres = gapSource, pg
			rows, found, err := table.Compare(x.Context(), x.source, x.store, 5)
			if err != nil || rows == 0 {
				all += fmt.Sprintf("%s: %d rows, %v\n", table.Source, rows, err)
			}
			for _, d := range found {
				all += d.String() + "\n"
			}
		}
		return all == ""
	}) {
		x.Fatalf("%s: source and store differ:\n%s", when, all)
	}
}

// one gives the only value of a query of the store; empty if there is none.
func (x *gapRig) one(query string) (value string) {
	x.Helper()
	if err := x.store.QueryRowContext(x.Context(), query).Scan(&value); err != nil && !errors.Is(err, sql.ErrNoRows) {
		x.Fatalf("%s: %v", query, err)
	}
	return value
}

// down does something while the agent is down.
func (x *gapRig) down(what func()) {
	x.Helper()
	if !x.agent.Signal(syscall.SIGTERM) || !x.agent.Clean() {
		x.Error("the agent didn't stop cleanly")
	}
	what()
	x.agent.Again()
}

// gapStatus is what agent and worker say of their gaps.
type gapStatus struct {
	Data struct {
		Sources []struct {
			State string
			Gap   struct {
				Code, Reason, Last string
				Found              time.Time `json:"found_at"`
			}
		}
		Applied []struct {
			Gap       string
			Repairing bool
			GapReason string    `json:"gap_reason"`
			GapLast   string    `json:"gap_last"`
			GapFound  time.Time `json:"gap_found_at"`
		}
	}
}

func (x *gapRig) status(port int) (s gapStatus) {
	x.Helper()
	code, body := ask(x.T, port, "/api/status")
	if code != http.StatusOK { // not up yet
		return s
	}
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		x.Fatalf("%v: %s", err, body)
	}
	return s
}

// shown waits until the gap is recorded and shown, with its bounds, by everybody.
func (x *gapRig) shown(code string) {
	x.Helper()
	await(x.T, "the gap "+code+" in the store", func() bool {
		return x.one("SELECT coalesce(string_agg(code, ' '), '') FROM tributary.gap WHERE closed_at IS NULL") == code && x.one("SELECT state FROM tributary.source") == "gap"
	})
	if bounds := x.one("SELECT concat_ws(' ', reason <> '', last_position = (SELECT applied FROM tributary.progress), last_committed_at <= found_at + interval '5 s', found_at > now() - interval '10 min') FROM tributary.gap WHERE closed_at IS NULL"); bounds != "t t t t" {
		x.Errorf("bounds of the gap: %s", bounds)
	}
	await(x.T, "the worker's word", func() bool {
		a := x.status(x.city).Data.Applied
		return len(a) == 1 && a[0].Gap == code && a[0].GapReason != "" && a[0].GapLast != "" && !a[0].GapFound.IsZero()
	})
	out, err := exec.CommandContext(x.Context(), x.bin, "status", fmt.Sprintf("http://127.0.0.1:%d", x.http), fmt.Sprintf("http://127.0.0.1:%d", x.city), "--lang", "en").CombinedOutput()
	if ee, ok := errors.AsType[*exec.ExitError](err); !ok || ee.ExitCode() != 1 || !strings.Contains(string(out), "["+code+"]") {
		x.Errorf("status: %v\n%s", err, out)
	}
}

// repaired reports whether the order to repair was taken.
func (x *gapRig) repaired() bool {
	out, err := exec.CommandContext(x.Context(), x.bin, "gap", "repair", gapSource, "--agent", fmt.Sprintf("http://127.0.0.1:%d", x.http), "--lang", "en").CombinedOutput()
	if err != nil && !strings.Contains(string(out), "[GAP_NONE]") {
		x.Errorf("gap repair: %v\n%s", err, out)
	}
	return err == nil
}

// forget has the store's bookkeeping say something else while no worker runs.
func (x *gapRig) forget(sql string) {
	x.Helper()
	if !x.worker.Signal(syscall.SIGTERM) {
		x.Error("the worker wasn't alive")
	}
	x.run(x.store, sql)
	x.worker.Again()
	x.change()
}

// ofTheLog are gaps between log and store, which the agent knows nothing of.
var ofTheLog = []cause{
	{name: "prev doesn't fit", code: "PREV_MISMATCH", runs: true, lose: func(x *gapRig) {
		x.forget("UPDATE tributary.progress SET applied = left(applied, 41) || '99', commit_offset = -1 WHERE applied < left(applied, 41) || '99'")
	}},
	{name: "another record in the last one's place", code: "TOPIC_REPLACED", runs: true, lose: func(x *gapRig) {
		x.forget("UPDATE tributary.progress SET commit_offset = commit_offset - 1")
	}},
}

// restore stops the source's server and puts a copy of its data folder into its place.
func (x *gapRig) restore(backup string) {
	x.Helper()
	x.stopped(func(data string) {
		if err := os.RemoveAll(data); err != nil {
			x.Fatal(err)
		}
		x.copied(backup, data)
	})
}

// backup copies the data folder of the source's server while it is stopped.
func (x *gapRig) backup() (copied string) {
	x.Helper()
	copied = filepath.Join(x.server.Server.Dir, fmt.Sprintf("backup%d", x.next))
	x.stopped(func(data string) { x.copied(data, copied) })
	return copied
}

func (x *gapRig) copied(from, to string) {
	x.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil { // owner and rights, too
		x.Fatalf("%v: %s", err, out)
	}
}

func (x *gapRig) stopped(what func(data string)) {
	x.Helper()
	s := x.server.Server
	if err := s.Stop(x.Context()); err != nil {
		x.Fatal(err)
	}
	what(filepath.Join(s.Dir, "data"))
	if err := s.Start(x.Context()); err != nil {
		x.Fatal(err)
	}
	await(x.T, "the server", func() bool { return x.source.PingContext(x.Context()) == nil })
}

// restored has the server come back from a backup that is older than what was read.
func restored(writes int) func(x *gapRig) {
	return func(x *gapRig) {
		old := x.backup()
		x.agent.Again()
		x.change()
		x.change()
		x.equal("what the backup lacks")
		if !x.agent.Signal(syscall.SIGTERM) {
			x.Error("the agent wasn't alive")
		}
		x.restore(old)
		for range writes {
			x.change()
		}
	}
}

// repair gives the order. want is the code of the refusal, empty for none.
func (x *gapRig) repair(want string) {
	x.Helper()
	out, err := exec.CommandContext(x.Context(), x.bin, "gap", "repair", gapSource, "--agent", fmt.Sprintf("http://127.0.0.1:%d", x.http), "--lang", "en").CombinedOutput()
	if want == "" && err != nil || want != "" && !strings.Contains(string(out), "["+want+"]") {
		x.Errorf("gap repair, want %q: %v\n%s", want, err, out)
	}
}

// closed waits until nobody says any more that there is a gap.
func (x *gapRig) closed() {
	x.Helper()
	if !within(90*time.Second, func() bool {
		return x.one("SELECT concat_ws(' ', (SELECT state FROM tributary.source), (SELECT count(*) FROM tributary.gap WHERE closed_at IS NULL), (SELECT count(*) FROM tributary.table_state))") == "streaming 0 0"
	}) {
		_, body := ask(x.T, x.http, "/api/status")
		x.Fatalf("the gap isn't closed: %s, agent %s", x.one("SELECT concat_ws(' ', (SELECT state FROM tributary.source), (SELECT count(*) FROM tributary.gap WHERE closed_at IS NULL), (SELECT string_agg(\"table\" || ' ' || state, ', ') FROM tributary.table_state))"), body)
	}
	if bounds := x.one("SELECT string_agg(concat_ws(' ', repaired_from > last_position, closed_position > repaired_from, closed_at >= repair_began_at, repair_began_at >= found_at - interval '1 s', EXISTS (SELECT FROM tributary.batch WHERE id = closed_batch)), ', ') FROM (SELECT * FROM tributary.gap ORDER BY id DESC LIMIT 1) g"); bounds != "t t t t t" {
		x.Errorf("bounds of the closed gap: %s", bounds)
	}
	await(x.T, "the word of agent and worker that all is well", func() bool {
		s, a := x.status(x.http).Data.Sources, x.status(x.city).Data.Applied
		return len(s) == 1 && s[0].State == "streaming" && s[0].Gap.Code == "" && len(a) == 1 && a[0].Gap == "" && !a[0].Repairing
	})
	if _, figures := ask(x.T, x.city, "/metrics"); !strings.Contains(figures, `tributary_store_gap{source="`+gapSource+`"} 0`) {
		x.Error("the metric still says that there is a gap")
	}
}

// through goes through a cause from the gap to its end.
func (x *gapRig) through(c cause) {
	x.Helper()
	x.change()
	x.equal("before")
	if c.runs {
		c.lose(x)
	} else {
		x.down(func() { c.lose(x) })
	}
	x.shown(c.code)
	x.change()
	await(x.T, "the order to repair", func() bool { return x.repaired() }) // once the records say what only the store sees
	x.change()
	x.closed()
	x.equal("after the repair")
	x.change()
	x.equal("later")
}

// killed goes through a cause whose repair is interrupted again and again.
func (x *gapRig) killed(c cause, kills int) {
	x.Helper()
	x.down(func() { c.lose(x) })
	x.shown(c.code)
	x.repair("")
	for range kills {
		pause := time.NewTimer(time.Duration(x.rng.IntN(400)) * time.Millisecond)
		<-pause.C
		p := []*program.Process{x.agent, x.worker, x.log}[x.rng.IntN(3)]
		if !p.Signal(syscall.SIGKILL) {
			x.Fatalf("%s was dead", p.Name)
		}
		x.change()
		p.Again()
	}
	x.closed()
	x.equal("after the kills")
}

// causes runs those of a list that are asked for, and says which.
func (x *gapRig) causes(all []cause) {
	for _, c := range all {
		if !c.always && os.Getenv("GAPS") != "all" {
			continue
		}
		begun := time.Now()
		if !x.Run(c.name, func(t *testing.T) {
			defer func() { x.T = x.whole }()
			x.T = t
			x.through(c)
		}) {
			x.FailNow()
		}
		x.Logf("gap %s: %s, %s", c.code, c.name, time.Since(begun).Round(100*time.Millisecond))
	}
}
