package e2e

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib" // database/sql's driver "pgx"

	"github.com/tributary-cdc/tributary/test/holdings"
	"github.com/tributary-cdc/tributary/test/oracle"
	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestWholeDatabase loads a generated database of tables of every type and kind of key,
// which is written meanwhile, kills the agent again and again, and compares each value of
// each table. TABLES, ROWS, KILLS and SEED change it.
func TestWholeDatabase(t *testing.T) {
	for _, engine := range []string{"mariadb", "postgres"} {
		t.Run(engine, func(t *testing.T) { testWhole(t, engine) })
	}
}

func testWhole(t *testing.T, engine string) {
	w := newWhole(t, engine)
	w.fill()
	w.start()
	w.disturb()
	w.settle()
	w.compare()
	for i := len(w.procs) - 1; i >= 0; i-- {
		if !w.procs[i].Signal(syscall.SIGTERM) || !w.procs[i].Clean() {
			t.Errorf("%s didn't stop cleanly", w.procs[i].Name)
		}
	}
}

const wholeSource = "330106-shiku"

// whole is a generated database, its store and the programs between them.
type whole struct {
	t                   *testing.T
	tables, rows, kills int
	seed                uint64
	engine              string
	maria, pg           servers.DB
	source, store       *sql.DB
	data                *holdings.Database
	procs               []*program.Process // log, worker, agent
	http                int                // the agent's port
	changed, txns       int64
	inLoad              int // kills while tables were loading
	begun               time.Time
	loaded              time.Duration
}

func newWhole(t *testing.T, engine string) *whole {
	w := &whole{t: t, engine: engine, tables: int(servers.Number(t, "TABLES", 30)), rows: int(servers.Number(t, "ROWS", 60_000)), kills: int(servers.Number(t, "KILLS", 5)), seed: seed(t)}
	w.pg = servers.Postgres(t, map[string]string{"max_wal_size": "4GB"})
	for _, name := range []string{"city", "shiku"} {
		mustExec(t, connect(t, w.pg, "postgres"), "CREATE DATABASE "+name)
	}
	open := func(driver, address string) *sql.DB {
		db, err := sql.Open(driver, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	w.store = open("pgx", w.pg.In("city")+"&timezone=UTC")
	if engine == "postgres" {
		w.source = open("pgx", w.pg.In("shiku")+"&timezone=UTC")
	} else {
		w.maria = servers.MariaDB(t, map[string]string{"innodb-flush-log-at-trx-commit": "2", "innodb-buffer-pool-size": "512M"})
		cfg := mysql.NewConfig()
		cfg.User, cfg.Passwd, cfg.Net, cfg.Addr = w.maria.User, w.maria.Password, "tcp", fmt.Sprintf("%s:%d", w.maria.Host, w.maria.Port)
		cfg.Params = map[string]string{"time_zone": "'+00:00'", "sql_mode": "''", "charset": "utf8mb4"}
		w.source = open("mysql", cfg.FormatDSN())
	}
	w.data = holdings.New(holdings.Options{Seed: w.seed, Tables: w.tables, Rows: w.rows, Source: wholeSource, Postgres: engine == "postgres"})
	return w
}

func (w *whole) fill() {
	begun := time.Now()
	if err := w.data.Fill(w.t.Context(), w.source); err != nil {
		w.t.Fatal(err)
	}
	w.t.Logf("%d tables with %d rows, made within %.0f s", w.tables, w.rows, time.Since(begun).Seconds())
}

func (w *whole) start() {
	t := w.t
	bin, dir := program.Build(t), t.TempDir()
	port := program.Port(t)
	w.http = program.Port(t)
	secret := func(name, password string) string {
		return program.Write(t, filepath.Join(dir, name), "%s\n", password)
	}
	from := fmt.Sprintf(`port: %d, user: root, password_file: %s, tables: ["shiku.*"]`, w.maria.Port, secret("source", w.maria.Password))
	if w.engine == "postgres" {
		from = fmt.Sprintf(`port: %d, user: postgres, password_file: %s, database: shiku, tables: ["public.*"]`, w.pg.Port, secret("source", w.pg.Password))
	}
	if w.kills > 0 && w.rows < 1_000_000 { // else it is over before anything can break
		from += fmt.Sprintf(", load: {rows_per_second: %d}", max(w.rows/12, 1000))
	}
	w.procs = []*program.Process{
		{Name: "log", Args: []string{"log", "--config", program.Write(t, filepath.Join(dir, "log.yml"), "data_dir: %s\nport: %d\n", filepath.Join(dir, "log"), port)}},
		{Name: "worker", Args: []string{"worker", "--config", program.Write(t, filepath.Join(dir, "city.yml"), `
name: city
orgs: ["330106"]
log: {brokers: ["127.0.0.1:%d"], embedded: true}
store: {host: 127.0.0.1, port: %d, database: city, user: postgres, password_file: %s}
`, port, w.pg.Port, secret("store", w.pg.Password))}},
		{Name: "agent", Args: []string{"agent", "--config", program.Write(t, filepath.Join(dir, "agent.yml"), `
name: a1
org: "330106"
data_dir: %s
log: {brokers: ["127.0.0.1:%d"], embedded: true}
http: 127.0.0.1:%d
sources:
  - {name: shiku, engine: %s, host: 127.0.0.1, %s, first_start: load}
`, filepath.Join(dir, "agent"), port, w.http, w.engine, from)}},
	}
	w.begun = time.Now()
	for _, p := range w.procs {
		p.Start(t, bin, dir, w.pg.Password, cmp.Or(w.maria.Password, w.pg.Password))
	}
	await(t, "a load", func() bool { return w.loading() > 0 })
}

// loading is the number of tables whose load has begun and not ended in the store.
func (w *whole) loading() (n int) {
	if err := w.store.QueryRowContext(w.t.Context(), "SELECT count(*) FROM tributary.table_state WHERE state = 'loading'").Scan(&n); err != nil {
		return -1
	}
	return n
}

// disturb writes, and kills the agent, until the loads have ended and all kills are done.
func (w *whole) disturb() {
	ctx, stop := context.WithCancel(w.t.Context())
	defer stop()
	var work sync.WaitGroup
	var failure error
	work.Go(func() { failure = w.write(ctx) })
	rng := rand.New(rand.NewPCG(w.seed, 13))
	agent := w.procs[2]
	// Most of them within a load of about 30,000 rows per second, never within its start.
	span := max(600, 2*w.rows/30/max(w.kills, 1))
	for n := range w.kills {
		pause := time.NewTimer(time.Duration(200+rng.IntN(span)) * time.Millisecond)
		<-pause.C
		if w.loading() > 0 {
			w.inLoad++
		}
		if !agent.Signal(syscall.SIGKILL) {
			w.t.Fatalf("the agent was dead before kill %d", n+1)
		}
		agent.Again()
	}
	limit := 2*time.Minute + time.Duration(w.rows)*time.Millisecond
	if !within(limit, func() bool { return w.loading() == 0 }) {
		w.t.Errorf("%d tables are still loading after %s", w.loading(), limit)
	}
	w.loaded = time.Since(w.begun)
	stop()
	work.Wait()
	if failure != nil {
		w.t.Fatal("workload: ", failure)
	}
}

func (w *whole) write(ctx context.Context) error {
	c, err := w.source.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // goes back to the pool
	pace := time.NewTicker(25 * time.Millisecond)
	defer pace.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-pace.C:
		}
		n, err := w.data.Step(context.WithoutCancel(ctx), c)
		if err != nil {
			return err
		}
		if n > 0 {
			w.txns++
		}
		w.changed += n
	}
}

// settle writes a last row and waits for it: what was committed before is applied then.
func (w *whole) settle() {
	if err := w.data.Mark(w.t.Context(), w.source); err != nil {
		w.t.Fatal(err)
	}
	one := func(query string) (n int64) {
		if err := w.store.QueryRowContext(w.t.Context(), query).Scan(&n); err != nil {
			return -1 // the table isn't there yet
		}
		return n
	}
	for arrived := false; !arrived; { // however far behind the store is, it must come nearer
		batch := one("SELECT max(id) FROM tributary.batch")
		if !within(time.Minute, func() bool {
			arrived = one("SELECT count(*) FROM ods.last") == 1
			return arrived || one("SELECT max(id) FROM tributary.batch") > batch
		}) {
			w.t.Fatal("nothing was applied for a minute, and the last row isn't there")
		}
	}
	for what, query := range map[string]string{
		"tables that stopped or are loading": `SELECT string_agg("table" || ' ' || state || ' ' || error, '; ') FROM tributary.table_state`,
		"gaps":                               `SELECT string_agg(to_jsonb(g)::text, '; ') FROM tributary.gap g`,
		"rows in quarantine":                 `SELECT string_agg("table" || ' ' || code || ' ' || error, '; ') FROM tributary.quarantine`,
		"anomalies beside values":            `SELECT string_agg(dataset || ' ' || code || ' ' || rows || ' ' || detail, '; ') FROM tributary.anomaly WHERE code <> 'VALUE_NULLED'`,
	} {
		var found sql.NullString
		if err := w.store.QueryRowContext(w.t.Context(), query).Scan(&found); err != nil || found.Valid {
			w.t.Errorf("%s: %.2000s, %v", what, found.String, err)
		}
	}
}

// compare compares each value, and wants a trace of each that the store can't hold.
func (w *whole) compare() {
	begun := time.Now()
	var columns, expected, nulled int
	query := "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'shiku' AND TABLE_NAME <> 'last'"
	if w.engine == "postgres" {
		query = "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'last'"
	}
	if err := w.source.QueryRowContext(w.t.Context(), query).Scan(&columns); err != nil {
		w.t.Fatal(err)
	}
	var rows int64
	for _, table := range w.data.Tables {
		o := w.data.Oracle(table)
		expected += len(o.Columns)
		n, diffs, err := o.Compare(w.t.Context(), w.source, w.store, 20)
		if err != nil {
			w.t.Error(err)
		}
		rows += n
		for i := range diffs[:min(len(diffs), 20)] {
			w.t.Error(diffs[i])
		}
		count, err := w.traces(o, table.Name)
		if err != nil {
			w.t.Error(err)
		}
		nulled += count
	}
	if columns != expected {
		w.t.Errorf("%d columns were compared of %d", expected, columns)
	}
	if nulled == 0 && w.engine == "mariadb" || w.kills > 0 && w.inLoad == 0 || w.txns == 0 {
		w.t.Errorf("%d values that the store can't hold, %d kills in the load, %d transactions: nothing was tried", nulled, w.inLoad, w.txns)
	}
	w.t.Logf("%d tables, %d columns, %d rows equal; %d transactions changed %d rows; %d kills, %d while tables were loading; %d values NULL with a trace; loaded within %.0f s, compared within %.0f s; seed %d",
		w.tables, columns, rows, w.txns, w.changed, w.kills, w.inLoad, nulled, w.loaded.Seconds(), time.Since(begun).Seconds(), w.seed)
}

// traces wants as many traces of a table as it has values that the store can't hold, and
// that they name such columns.
func (w *whole) traces(o *oracle.Table, dataset string) (int, error) {
	unheld, err := o.Unheld(w.t.Context(), w.source)
	if err != nil {
		return 0, err
	}
	var want int
	for _, n := range unheld {
		want += int(n)
	}
	found, err := w.store.QueryContext(w.t.Context(), "SELECT rows, detail FROM tributary.anomaly WHERE source = $1 AND dataset = $2 AND code = 'VALUE_NULLED'", wholeSource, dataset)
	if err != nil {
		return want, err
	}
	defer func() { _ = found.Close() }() // read to the end, or failed already
	var traced int
	for found.Next() {
		var n int
		var detail string
		if err := found.Scan(&n, &detail); err != nil {
			return want, err
		}
		traced += n
		name, _, _ := strings.Cut(detail, ":")
		family := ""
		for _, c := range o.Columns {
			if c.Name == name {
				family = c.Family
			}
		}
		if family != "text" && family != "date" && family != "datetime" {
			err = errors.Join(err, fmt.Errorf("table %s: trace %q names no column whose values may be none", dataset, detail))
		}
	}
	if traced < want {
		err = errors.Join(err, fmt.Errorf("table %s: %d traces of %d values that the store can't hold (%v)", dataset, traced, want, unheld))
	}
	return want, errors.Join(err, found.Err())
}
