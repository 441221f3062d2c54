// Package e2e runs the whole system as processes against real servers, breaks
// it, and compares every row of the source with the stores. It shares no code
// with the data path.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

func connect(t testing.TB, db servers.DB, name string) *pgx.Conn {
	t.Helper()
	db.Database = name
	c, err := pgx.Connect(context.Background(), db.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func mustExec(t testing.TB, c *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := c.Exec(context.Background(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

const tables = `
CREATE TABLE school (xxdm char(10) PRIMARY KEY, xxmc varchar(60) NOT NULL, head_count int NOT NULL);
CREATE TABLE student (xh bigint PRIMARY KEY, xxdm char(10) NOT NULL, xm varchar(36) NOT NULL, xbm char(1), csrq date, sznj smallint NOT NULL, remark text, balance numeric(10,2), seen timestamptz, photo bytea);
CREATE INDEX ON student (xxdm);
CREATE TABLE score (xh bigint, kch varchar(10), xn char(9), kccj numeric(5,1), PRIMARY KEY (xh, kch, xn));`

const schools = 8

// workload writes real transactions until ctx ends. Every school's head count is
// the number of its students after each of them.
type workload struct {
	c    *pgx.Conn
	rng  *rand.Rand
	next int64
	txns int
}

func (w *workload) school(i int) string { return fmt.Sprintf("2133%06d", i) }

// long is a text that doesn't compress, so that the server keeps it out of line.
func (w *workload) long() string {
	b := make([]byte, 3000)
	for i := range b {
		b[i] = byte('!' + w.rng.IntN(90))
	}
	return string(b) + " 备注"
}

func (w *workload) enrol(ctx context.Context, tx pgx.Tx) error {
	s := w.school(w.rng.IntN(schools))
	for range 45 {
		w.next++
		remark := any(nil)
		if w.rng.IntN(3) == 0 {
			remark = w.long() // long enough to be stored out of line
		}
		if _, err := tx.Exec(ctx, `INSERT INTO student VALUES ($1, $2, $3, '1', date '2012-09-01' + $4::int, 1, $5, $6::text::numeric, clock_timestamp(), '\x00ff')`,
			w.next, s, "学生"+strconv.FormatInt(w.next, 10), w.rng.IntN(900), remark, fmt.Sprintf("%d.%02d", w.rng.IntN(1000), w.rng.IntN(100))); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `UPDATE school SET head_count = head_count + 45 WHERE xxdm = $1`, s)
	return err
}

func (w *workload) transfer(ctx context.Context, tx pgx.Tx) error {
	from, to := w.rng.IntN(schools), w.rng.IntN(schools)
	tag, err := tx.Exec(ctx, `UPDATE student SET xxdm = $2 WHERE xh IN (SELECT xh FROM student WHERE xxdm = $1 ORDER BY xh LIMIT 3)`, w.school(from), w.school(to))
	if err != nil || from == to {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE school SET head_count = head_count - $2 WHERE xxdm = $1`, w.school(from), tag.RowsAffected()); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE school SET head_count = head_count + $2 WHERE xxdm = $1`, w.school(to), tag.RowsAffected())
	return err
}

func (w *workload) step(ctx context.Context) error {
	return pgx.BeginFunc(ctx, w.c, func(tx pgx.Tx) error {
		var err error
		switch n := w.rng.IntN(100); {
		case n < 15:
			err = w.enrol(ctx, tx)
		case n < 50:
			err = w.transfer(ctx, tx)
		case n < 70:
			_, err = tx.Exec(ctx, `INSERT INTO score SELECT xh, 'k' || $1::text, '2025-2026', round((random() * 100)::numeric, 1) FROM student WHERE xxdm = $2 ORDER BY xh LIMIT 40 ON CONFLICT DO NOTHING`, strconv.Itoa(w.rng.IntN(9)), w.school(w.rng.IntN(schools)))
		case n < 85: // a correction that leaves the long column alone
			_, err = tx.Exec(ctx, `UPDATE student SET xm = xm || '改' WHERE xh = (SELECT xh FROM student WHERE length(xm) < 30 ORDER BY xh OFFSET $1 LIMIT 1)`, w.rng.IntN(200))
		case n < 90: // the key moves: a temporary number becomes a final one
			w.next++
			_, err = tx.Exec(ctx, `UPDATE student SET xh = $1 WHERE xh = (SELECT min(xh) FROM student)`, w.next)
		case n < 92: // a whole grade moves up
			_, err = tx.Exec(ctx, `UPDATE student SET sznj = sznj + 1`)
		case n < 93:
			_, err = tx.Exec(ctx, `TRUNCATE score`)
		default:
			var school string
			err = tx.QueryRow(ctx, `DELETE FROM student WHERE xh = (SELECT max(xh) FROM student) RETURNING xxdm`).Scan(&school)
			if err == nil {
				_, err = tx.Exec(ctx, `UPDATE school SET head_count = head_count - 1 WHERE xxdm = $1`, school)
			} else if errors.Is(err, pgx.ErrNoRows) {
				err = nil
			}
		}
		if err == nil && w.rng.IntN(20) == 0 {
			err = tx.Rollback(ctx)
			w.txns--
			return errors.Join(err, errAbandon)
		}
		return err
	})
}

var errAbandon = errors.New("abandoned")

// fingerprint is one canonical text per row of a table, in key order.
func fingerprint(t testing.TB, c *pgx.Conn, table, key string) []string {
	t.Helper()
	cols := map[string]string{
		"school":  "xxdm, xxmc, head_count",
		"student": "xh, xxdm, xm, xbm, csrq, sznj, remark, balance, seen, photo",
		"score":   "xh, kch, xn, kccj",
	}[table]
	from := table
	if key != "" {
		from = key + "." + table
	}
	var out []string
	rows, err := c.Query(context.Background(), "SELECT ROW("+cols+")::text FROM "+from+" ORDER BY 1")
	if err == nil {
		out, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if missing := (*pgconn.PgError)(nil); key != "" && errors.As(err, &missing) && missing.Code == "42P01" {
		return nil // the store has no table before its first row
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func seed(t testing.TB) uint64 {
	s := servers.Number(t, "SEED", rand.Uint64N(1<<32))
	t.Logf("seed %d: run again with SEED=%d", s, s)
	return s
}

// TestKilledAnywhere kills agent, workers and log with SIGKILL at random moments
// while the workload runs and both stores are polled, then compares every row.
func TestKilledAnywhere(t *testing.T) {
	number := seed(t)
	rng := rand.New(rand.NewPCG(number, 1))
	db := servers.Postgres(t, nil)
	admin := connect(t, db, "postgres")
	for _, name := range []string{"renshi", "city", "province"} {
		mustExec(t, admin, "CREATE DATABASE "+name)
	}
	source := connect(t, db, "renshi")
	mustExec(t, source, tables)
	bin, dir := program.Build(t), t.TempDir()
	logPort := program.Port(t)
	procs := []*program.Process{
		{Name: "log", Args: []string{"log", "--config", program.Write(t, filepath.Join(dir, "log.yml"), "data_dir: %s\nport: %d\n", filepath.Join(dir, "log"), logPort)}},
		{Name: "agent", Args: []string{"agent", "--config", program.Write(t, filepath.Join(dir, "agent.yml"), `
name: a1
org: "330108"
data_dir: %s
log: {brokers: ["127.0.0.1:%d"], embedded: true}
sources:
  - {name: renshi, engine: postgres, host: 127.0.0.1, port: %d, database: renshi, user: postgres, password_env: TRIBUTARY_TEST_PASSWORD, tables: ["public.*"], first_start: now}
`, filepath.Join(dir, "agent"), logPort, db.Port)}},
	}
	stores := []string{"city", "province"}
	for _, s := range stores {
		procs = append(procs, &program.Process{Name: s, Args: []string{"worker", "--config", program.Write(t, filepath.Join(dir, s+".yml"), `
name: %s
orgs: ["330108"]
log: {brokers: ["127.0.0.1:%d"], embedded: true}
store: {host: 127.0.0.1, port: %d, database: %s, user: postgres, password_env: TRIBUTARY_TEST_PASSWORD}
`, s, logPort, db.Port, s)}})
	}
	for _, p := range procs {
		p.Start(t, bin, dir, db.Password)
	}
	// A slot is active while it is made, too; only from its consistent point on does
	// it hold every transaction.
	await(t, "the slot", func() bool {
		var n int
		err := source.QueryRow(context.Background(), `SELECT count(*) FROM pg_replication_slots WHERE active AND confirmed_flush_lsn IS NOT NULL`).Scan(&n)
		return err == nil && n == 1
	})
	mustExec(t, source, `INSERT INTO school SELECT '2133' || lpad(i::text, 6, '0'), '学校' || i, 0 FROM generate_series(0, $1 - 1) i`, schools)

	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	w := &workload{c: source, rng: rand.New(rand.NewPCG(number, 2))}
	var failure error
	work.Go(func() {
		for ctx.Err() == nil {
			if err := w.step(context.Background()); err != nil && !errors.Is(err, errAbandon) {
				failure = err
				return
			}
			w.txns++
		}
	})
	var polls, half atomic.Int64
	for _, s := range stores {
		c := connect(t, db, s)
		work.Go(func() { poll(ctx, t, c, &polls, &half) })
	}
	kills := 0
	for kills < 10 {
		pause := time.NewTimer(time.Duration(300+rng.IntN(900)) * time.Millisecond)
		<-pause.C
		p := procs[rng.IntN(len(procs))]
		if !p.Signal(syscall.SIGKILL) {
			t.Fatalf("%s was dead before kill %d", p.Name, kills+1)
		}
		kills++
		p.Again()
	}
	await(t, "100 polls", func() bool { return polls.Load() >= 100 }) // on a slow machine the tables come late
	stop()
	work.Wait()
	if failure != nil {
		t.Fatal("workload: ", failure)
	}
	var students int
	if err := source.QueryRow(context.Background(), "SELECT count(*) FROM student").Scan(&students); err != nil || students == 0 {
		t.Fatalf("%d students, %v", students, err)
	}
	for _, s := range stores {
		compare(t, source, connect(t, db, s), s)
	}
	t.Logf("transactions %d, students %d, polls %d, half transactions %d, kills %d", w.txns, students, polls.Load(), half.Load(), kills)
	if half.Load() != 0 || polls.Load() < 100 || w.txns < 200 {
		t.Errorf("half transactions %d of %d polls, %d transactions", half.Load(), polls.Load(), w.txns)
	}
	for i := len(procs) - 1; i >= 0; i-- { // a quiet end: everyone drains and exits 0
		if !procs[i].Signal(syscall.SIGTERM) || !procs[i].Clean() {
			t.Errorf("%s didn't stop cleanly", procs[i].Name)
		}
	}
}

// poll looks for half transactions: in one statement, head counts and students must agree.
func poll(ctx context.Context, t testing.TB, c *pgx.Conn, polls, half *atomic.Int64) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var heads, students, batch, skipped int64
		err := c.QueryRow(context.Background(), `SELECT coalesce(sum(head_count), 0), (SELECT count(*) FROM ods.student),
			(SELECT max(id) FROM tributary.batch), (SELECT sum(skipped) FROM tributary.batch) FROM ods.school`).Scan(&heads, &students, &batch, &skipped)
		if err != nil { // the tables aren't there yet
			continue
		}
		polls.Add(1)
		if heads != students && half.Add(1) == 1 {
			t.Errorf("store %s, batch %d: head counts say %d, there are %d students; %d rows skipped", c.Config().Database, batch, heads, students, skipped)
		}
	}
}

// compare waits until the store has what the source has, row for row.
func compare(t *testing.T, source, store *pgx.Conn, name string) {
	t.Helper()
	var position string
	for _, table := range []string{"school", "student", "score"} {
		want := fingerprint(t, source, table, "")
		var got []string
		ok := within(40*time.Second, func() bool {
			got = fingerprint(t, store, table, "ods")
			return equal(got, want)
		})
		if !ok {
			t.Errorf("store %s, table %s: %d rows, want %d; first difference %s", name, table, len(got), len(want), difference(got, want))
		}
	}
	err := store.QueryRow(context.Background(), `SELECT _position FROM ods.school s JOIN tributary.batch b ON b.id = s._batch WHERE _source = '330108-renshi' AND _committed_at <= _applied_at LIMIT 1`).Scan(&position)
	if err != nil || len(position) != 43 {
		t.Errorf("store %s: stamp %q, %v", name, position, err)
	}
	var gaps int
	if err := store.QueryRow(context.Background(), `SELECT count(*) FROM tributary.gap`).Scan(&gaps); err != nil || gaps != 0 {
		t.Errorf("store %s: %d gaps, %v", name, gaps, err)
	}
}

// difference names the first place where two lists of rows part.
func difference(got, want []string) string {
	for i := range max(len(got), len(want)) {
		g, w := "nothing", "nothing"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			return fmt.Sprintf("%.80s, want %.80s", g, w)
		}
	}
	return "none"
}

func equal(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func within(d time.Duration, f func() bool) bool {
	deadline := time.NewTimer(d)
	defer deadline.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-deadline.C:
			return f()
		case <-tick.C:
		}
	}
	return true
}

func await(t testing.TB, what string, f func() bool) {
	t.Helper()
	if !within(30*time.Second, f) {
		t.Fatalf("%s didn't come within 30 s", what)
	}
}
