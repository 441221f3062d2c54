// Package faults breaks the connections and the processes of the whole system at
// random moments, while an oracle looks for loss, doubling, disorder and half
// transactions. It decides what is broken, from one seed; it knows nothing of how
// the system heals.
package faults

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib" // database/sql's driver "pgx"

	"github.com/tributary-cdc/tributary/deploy/local"
	"github.com/tributary-cdc/tributary/test/oracle"
	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
	"github.com/tributary-cdc/tributary/test/workload"
)

// system is two districts, the embedded log, and the province's store, with a
// link before each database.
type system struct {
	districts []*workload.District
	scores    *sql.DB // the second one's
	store     *sql.DB
	databases map[string]servers.DB // by the name of their link
	links     map[string]*servers.Link
	processes []*program.Process
	kafka     *local.Kafka // nil with the embedded log

	bin, dir string
	port     int // of the log
}

func open(t testing.TB, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func exec(t testing.TB, db *sql.DB, query string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query); err != nil {
		t.Fatalf("%.60s: %v", query, err)
	}
}

// begin starts everything and waits until both sources are being read.
func begin(t *testing.T, seed uint64, kafka bool) *system {
	s := &system{links: map[string]*servers.Link{}, databases: map[string]servers.DB{
		"xueji": servers.MariaDB(t, nil), "chengji": servers.PostgresPrograms(t, nil), "province": servers.PostgresPrograms(t, nil)}}
	for name, db := range s.databases {
		s.links[name] = servers.NewLink(t, fmt.Sprintf("127.0.0.1:%d", db.Port))
		if name == "xueji" {
			continue
		}
		exec(t, open(t, "pgx", db.URL()), "CREATE DATABASE "+name)
		db.Database = name
		s.databases[name] = db
	}
	s.store = open(t, "pgx", s.databases["province"].URL())
	scores := open(t, "pgx", s.databases["chengji"].URL())
	s.scores = scores
	x := s.databases["xueji"]
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr = x.User, x.Password, "tcp", fmt.Sprintf("%s:%d", x.Host, x.Port)
	cfg.Params = map[string]string{"time_zone": "'+00:00'"}
	if err := cfg.Apply(mysql.Charset("utf8mb4", "")); err != nil {
		t.Fatal(err)
	}
	cfg.Logger = &mysql.NopLogger{} // its connections break with the server, which is wanted here
	exec(t, open(t, "mysql", cfg.FormatDSN()), "CREATE DATABASE xueji CHARACTER SET utf8mb4")
	cfg.DBName = "xueji"
	connector, err := mysql.NewConnector(cfg) // a DSN wouldn't carry the logger
	if err != nil {
		t.Fatal(err)
	}
	enrolment := sql.OpenDB(connector)
	t.Cleanup(func() { _ = enrolment.Close() })
	s.districts = []*workload.District{workload.Enrolment(enrolment, seed), workload.Scores(scores, seed)}
	for _, d := range s.districts {
		if err := d.Setup(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if kafka {
		l := servers.NewLink(t, "")
		s.links["kafka"] = l
		s.kafka = servers.Kafka(t, map[string]string{"advertised.listeners": fmt.Sprintf("PLAINTEXT://127.0.0.1:%d", l.Port())})
		l.To(s.kafka.Addr)
	}
	s.programs(t)
	s.await(t, 30*time.Second, "both sources being read", func() bool {
		var dump, slot int
		_ = enrolment.QueryRow("SELECT count(*) FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'").Scan(&dump)
		_ = scores.QueryRow("SELECT count(*) FROM pg_replication_slots WHERE active AND confirmed_flush_lsn IS NOT NULL").Scan(&slot)
		return dump > 0 && slot > 0
	})
	for _, d := range s.districts {
		if err := d.Seed(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *system) programs(t *testing.T) {
	s.bin, s.dir, s.port = program.Build(t), t.TempDir(), program.Port(t)
	if s.kafka != nil {
		s.port = s.links["kafka"].Port()
	}
	dir, port := s.dir, s.port
	agent := "name: a-%[1]s\norg: %[1]q\ndata_dir: %[2]s\nlog: {brokers: [\"127.0.0.1:%[3]d\"], embedded: %[11]t, durability: single}\nsources:\n" +
		"  - {name: %[4]s, engine: %[5]s, host: 127.0.0.1, port: %[6]d, %[7]suser: %[8]s, password_file: %[9]s, tables: [%[10]q], first_start: now}\n"
	start := func(role, name, format string, args ...any) { s.start(t, role, name, format, args...) }
	embedded := s.kafka == nil
	if embedded {
		start("log", "log", "data_dir: %s\nport: %d\n", filepath.Join(dir, "log"), port)
	}
	start("agent", "agent-330106", agent, "330106", filepath.Join(dir, "a1"), port, "xueji", "mariadb", s.links["xueji"].Port(), "", s.databases["xueji"].User, s.password(t, "xueji"), "xueji.*", embedded)
	start("agent", "agent-330108", agent, "330108", filepath.Join(dir, "a2"), port, "chengji", "postgres", s.links["chengji"].Port(), "database: chengji, ", s.databases["chengji"].User, s.password(t, "chengji"), "public.*", embedded)
	s.worker(t, "province")
}

// worker starts a worker of this name on the store.
func (s *system) worker(t *testing.T, name string) *program.Process {
	return s.start(t, "worker", name, "name: %s\norgs: [\"330106\", \"330108\"]\nlog: {brokers: [\"127.0.0.1:%d\"], embedded: %t, durability: single}\nstore: {host: 127.0.0.1, port: %d, database: province, user: %s, password_file: %s}\n",
		name, s.port, s.kafka == nil, s.links["province"].Port(), s.databases["province"].User, s.password(t, "province"))
}

func (s *system) start(t *testing.T, role, name, format string, args ...any) *program.Process {
	p := &program.Process{Name: name, Args: []string{role, "--config", program.Write(t, filepath.Join(s.dir, name+".yml"), format, args...)}}
	p.Start(t, s.bin, s.dir, s.databases["xueji"].Password, s.databases["chengji"].Password, s.databases["province"].Password)
	s.processes = append(s.processes, p)
	return p
}

// password writes a database's password into a file.
func (s *system) password(t *testing.T, name string) string {
	return program.Write(t, filepath.Join(s.dir, name+".password"), "%s\n", s.databases[name].Password)
}

// await fails the test if ready doesn't come true in time, and says how long it took.
func (s *system) await(t testing.TB, limit time.Duration, what string, ready func() bool) time.Duration {
	t.Helper()
	begun, deadline := time.Now(), time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s didn't come within %s", what, limit)
		}
	}
	return time.Since(begun)
}

// applied gives the last applied position of each source, empty while the store is away.
func (s *system) applied() map[string]string {
	out := map[string]string{}
	rows, err := s.store.Query("SELECT source, applied FROM tributary.progress")
	if err != nil {
		return out
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var source, position string
		if rows.Scan(&source, &position) == nil {
			out[source] = position
		}
	}
	return out
}

// flows waits until every source has moved in the store, which proves that the
// whole way is healed.
func (s *system) flows(t testing.TB, after string) time.Duration {
	t.Helper()
	before := s.applied()
	return s.await(t, 60*time.Second, "new transactions of both sources after "+after, func() bool {
		now := s.applied()
		if len(before) < len(s.districts) {
			before = now
			return false
		}
		for source, position := range now {
			if position <= before[source] {
				return false
			}
		}
		return len(now) == len(s.districts)
	})
}

// kinds are the ways to break something. Each breaks, waits, heals, and says what it hit.
var kinds = map[string]func(*testing.T, *system, *rand.Rand) string{
	"kill": func(t *testing.T, s *system, rng *rand.Rand) string {
		if s.kafka != nil && rng.IntN(2) == 0 {
			if s.kafka.PID() == 0 {
				t.Fatal("the broker was dead")
			}
			if err := errors.Join(s.kafka.Kill(), s.kafka.Start(t.Context())); err != nil {
				t.Fatal(err)
			}
			return "kafka"
		}
		p := s.processes[rng.IntN(len(s.processes))]
		if !p.Signal(syscall.SIGKILL) {
			t.Fatalf("%s was dead", p.Name)
		}
		p.Again()
		return p.Name
	},
	"pause": func(t *testing.T, s *system, rng *rand.Rand) string {
		p := s.processes[rng.IntN(len(s.processes))]
		if !p.Pause(true) {
			t.Fatalf("%s was dead", p.Name)
		}
		<-time.After(between(rng, 500, 3000))
		if !p.Pause(false) {
			t.Fatalf("%s died while it was stopped", p.Name)
		}
		return p.Name
	},
	"reset": func(t *testing.T, s *system, rng *rand.Rand) string {
		return hit(t, s, rng, func(l *servers.Link) int { return l.Reset() })
	},
	"reset in a message": func(t *testing.T, s *system, rng *rand.Rand) string {
		return hit(t, s, rng, func(l *servers.Link) int {
			spent := l.ResetAfter(1 + rng.Int64N(20_000))
			select {
			case <-spent:
				return 1
			case <-time.After(20 * time.Second):
				return 0
			}
		})
	},
	"silence": func(t *testing.T, s *system, rng *rand.Rand) string {
		return hit(t, s, rng, func(l *servers.Link) int { n := l.Silence(); <-time.After(between(rng, 500, 4000)); return n })
	},
	"thin line": func(t *testing.T, s *system, rng *rand.Rand) string {
		return hit(t, s, rng, func(l *servers.Link) int { n := l.Thin(30_000); <-time.After(between(rng, 1000, 2000)); return n })
	},
	"down": func(t *testing.T, s *system, rng *rand.Rand) string {
		return hit(t, s, rng, func(l *servers.Link) int { n := l.Down(); <-time.After(between(rng, 500, 4000)); return n })
	},
	"restart": func(t *testing.T, s *system, rng *rand.Rand) string {
		name := pick(rng, s.databases)
		if err := s.databases[name].Server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		return name
	},
}

func between(rng *rand.Rand, low, high int) time.Duration {
	return time.Duration(low+rng.IntN(high-low)) * time.Millisecond
}

func pick[V any](rng *rand.Rand, m map[string]V) string {
	names := slices.Sorted(maps.Keys(m))
	return names[rng.IntN(len(names))]
}

// hit breaks one link; a break that met no connection isn't one.
func hit(t *testing.T, s *system, rng *rand.Rand, f func(*servers.Link) int) string {
	t.Helper()
	name := pick(rng, s.links)
	l := s.links[name]
	// What was still on its way may have hidden that the last break isn't healed yet.
	s.await(t, 20*time.Second, "a connection to "+name, func() bool { return l.Connections() > 0 })
	if f(l) == 0 {
		t.Fatalf("%s carried nothing", l)
	}
	l.Heal()
	return name
}

// TestAnythingBreaks breaks processes, connections and servers at random, each kind
// at least once, and compares every row in the end. FAULTS=n makes it longer.
func TestAnythingBreaks(t *testing.T) { breakAnything(t, false) }

// TestAnythingBreaksOnKafka is the same on Apache Kafka, whose broker and whose
// lines break, too.
func TestAnythingBreaksOnKafka(t *testing.T) { breakAnything(t, true) }

func breakAnything(t *testing.T, kafka bool) {
	seed, number := servers.Number(t, "SEED", rand.Uint64N(1<<32)), int(servers.Number(t, "FAULTS", 10))
	t.Logf("seed %d: run again with SEED=%d", seed, seed)
	rng := rand.New(rand.NewPCG(seed, 21))
	s := begin(t, seed, kafka)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var work sync.WaitGroup
	failed := make([]int, len(s.districts))
	for i, d := range s.districts {
		work.Go(func() {
			pace := time.NewTicker(10 * time.Millisecond)
			defer pace.Stop()
			for ctx.Err() == nil {
				if err := d.Step(context.WithoutCancel(ctx)); err != nil {
					failed[i]++ // its server is restarting
				}
				<-pace.C
			}
		})
	}
	var v oracle.Verdict
	work.Go(func() { v.Polls, v.Half = oracle.Poll(ctx, s.store) })
	s.flows(t, "the start")
	order := slices.Sorted(maps.Keys(kinds))
	rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	for i := range max(number, len(order)) {
		kind := order[i%len(order)]
		target := kinds[kind](t, s, rng)
		t.Logf("%s of %s: flows again after %s", kind, target, s.flows(t, kind+" of "+target).Round(10*time.Millisecond))
	}
	stop()
	work.Wait()
	if err := oracle.Compare(t.Context(), s.store, s.districts, &v); err != nil {
		t.Fatal(err)
	}
	txns := int64(0)
	for i, d := range s.districts {
		if n := d.Txns.Load(); n < 100 || failed[i] > int(n) {
			t.Errorf("%s: %d transactions, %d failed", d.ID, n, failed[i])
		}
		txns += d.Txns.Load()
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d transactions, %s", txns, out)
	if v.Lost+v.Doubled+v.Half+v.OutOfOrder+v.Gaps+len(v.Empty) != 0 || v.Polls < 200 {
		t.Errorf("broken promise: %s", out)
	}
	for i := len(s.processes) - 1; i >= 0; i-- {
		if p := s.processes[i]; !p.Signal(syscall.SIGTERM) || !p.Clean() {
			t.Errorf("%s didn't stop cleanly", p.Name)
		}
	}
}
