package faults

import (
	"context"
	"database/sql"
	"encoding/json"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/test/oracle"
	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
	"github.com/tributary-cdc/tributary/test/workload"
)

// takeover is the longest time that a worker which stops or dies may hold anybody up.
const takeover = 15 * time.Second

// holders gives the worker that holds each partition, as far as the store answers.
func (s *system) holders() map[string]string {
	out := map[string]string{}
	rows, err := s.store.Query("SELECT partition, worker FROM tributary.claim")
	if err != nil {
		return out
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var partition, worker string
		if rows.Scan(&partition, &worker) == nil {
			out[partition] = worker
		}
	}
	return out
}

// oneEach waits until two workers hold one partition each.
func (s *system) oneEach(t *testing.T, what string, limit time.Duration) {
	t.Helper()
	s.await(t, limit, what, func() bool {
		h := s.holders()
		return len(h) == 2 && h[scoresPartition] != h[enrolmentPartition]
	})
}

const (
	scoresPartition    = "tributary.330108.changes/0"
	enrolmentPartition = "tributary.330106.changes/0"
)

// busy writes a district's transactions until ctx ends.
func busy(ctx context.Context, t *testing.T, d *workload.District) {
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for ctx.Err() == nil {
		if err := d.Step(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
			return
		}
		<-pace.C
	}
}

func number(t testing.TB, db *sql.DB, query string, args ...any) (n int64) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%.60s: %v", query, err)
	}
	return n
}

// TestWorkersShare: two workers on one store have a partition each. One that ends
// leaves the group at once; one that is killed is missed within its session; one that
// is killed and comes back takes up what it had without waiting for either.
func TestWorkersShare(t *testing.T) {
	s := begin(t, servers.Number(t, "SEED", rand.Uint64N(1<<32)), false)
	first := s.processes[len(s.processes)-1]
	second := s.worker(t, "second")
	s.oneEach(t, "a partition each", 30*time.Second)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var work sync.WaitGroup
	for _, d := range s.districts {
		work.Go(func() { busy(ctx, t, d) })
	}
	both := func(name string) func() bool {
		return func() bool {
			h := s.holders()
			return h[scoresPartition] == name && h[enrolmentPartition] == name
		}
	}
	if !first.Signal(syscall.SIGTERM) || !first.Clean() {
		t.Fatal("the first worker didn't stop cleanly")
	}
	t.Logf("stopped: taken over after %s", s.await(t, 5*time.Second, "the second taking over from the stopped first", both("second")))
	s.flows(t, "the stop")
	first.Again()
	s.oneEach(t, "a partition each after the first came back", takeover)
	first.Signal(syscall.SIGKILL)
	t.Logf("killed: taken over after %s", s.await(t, takeover, "the second taking over from the killed first", both("second")))
	s.flows(t, "the kill")
	first.Again()
	s.oneEach(t, "a partition each after the kill", takeover)
	fences := number(t, s.store, "SELECT sum(fence)::bigint FROM tributary.claim WHERE worker = 'second'")
	mine := s.holders()
	second.Signal(syscall.SIGKILL)
	batches := number(t, s.store, "SELECT max(id) FROM tributary.batch")
	second.Again()
	// Less than the session that the group still waits for.
	t.Logf("killed and back: applies again after %s", s.await(t, 5*time.Second, "the second applying again what it had", func() bool {
		return number(t, s.store, "SELECT count(*) FROM tributary.batch WHERE id > $1 AND worker = 'second'", batches) > 0
	}))
	s.flows(t, "the quick return")
	if now := s.holders(); now[scoresPartition] != mine[scoresPartition] || number(t, s.store, "SELECT sum(fence)::bigint FROM tributary.claim WHERE worker = 'second'") <= fences {
		t.Errorf("holders were %v and are %v", mine, now)
	}
	stop()
	work.Wait()
	s.judge(t, &oracle.Verdict{Polls: 200})
}

// judge compares every row, looks at the history of the batches, and ends all processes.
func (s *system) judge(t *testing.T, v *oracle.Verdict) {
	t.Helper()
	if err := oracle.Compare(t.Context(), s.store, s.districts, v); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(string(out))
	if v.Lost+v.Doubled+v.Half+v.OutOfOrder+v.Gaps != 0 || v.Polls < 200 {
		t.Errorf("broken promise: %s", out)
	}
	if n := number(t, s.store, "SELECT count(*) - count(DISTINCT (source, to_position)) FROM tributary.batch_source"); n != 0 {
		t.Errorf("%d batches end where another one has ended", n)
	}
	for _, p := range slices.Backward(s.processes) {
		if !p.Signal(syscall.SIGTERM) || !p.Clean() {
			t.Errorf("%s didn't stop cleanly", p.Name)
		}
	}
}

// TestAttack15StoppedInsideACopy stops a worker by SIGSTOP while its backend is inside
// a COPY, and wakes it after STOPPED (3s; an hour if you like).
func TestAttack15StoppedInsideACopy(t *testing.T) { stopInsideACopy(t, false) }

// TestAttack15StoppedInsideACopyOnKafka is the same with Apache Kafka as the log.
func TestAttack15StoppedInsideACopyOnKafka(t *testing.T) { stopInsideACopy(t, true) }

func stopInsideACopy(t *testing.T, kafka bool) {
	asleep := 3 * time.Second
	if v := os.Getenv("STOPPED"); v != "" {
		var err error
		if asleep, err = time.ParseDuration(v); err != nil {
			t.Fatalf("STOPPED=%q: %v", v, err)
		}
	}
	s := begin(t, servers.Number(t, "SEED", rand.Uint64N(1<<32)), kafka)
	workers := map[string]*program.Process{"province": s.processes[len(s.processes)-1], "second": s.worker(t, "second")}
	s.oneEach(t, "a partition each", 30*time.Second)
	enrolment, scores := s.districts[0], s.districts[1]
	for number(t, s.scores, "SELECT count(*) FROM score") == 0 {
		if err := scores.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.await(t, 20*time.Second, "the first scores in the store", func() bool {
		var n int
		return s.store.QueryRow("SELECT count(*) FROM ods.score").Scan(&n) == nil && n > 0
	})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var work sync.WaitGroup
	var v oracle.Verdict
	work.Go(func() { v.Polls, v.Half = oracle.Poll(ctx, s.store) })
	work.Go(func() { busy(ctx, t, enrolment) })

	sleeper := s.holders()[scoresPartition]
	pid := s.insideACopy(t, workers[sleeper])
	stopped := number(t, s.store, "SELECT max(id) FROM tributary.batch")
	fence := number(t, s.store, "SELECT fence FROM tributary.claim WHERE partition = $1", scoresPartition)
	// Nobody waits longer for it than this: neither its own partition nor the other one.
	limit, cancel := context.WithTimeout(t.Context(), takeover)
	defer cancel()
	before := s.applied()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var rows int
		err := s.store.QueryRowContext(limit, "SELECT count(*) FROM ods.score WHERE cjdid = $1", largeSheet).Scan(&rows)
		if limit.Err() != nil || err != nil {
			t.Fatalf("%s hasn't been replaced %s after its stop: %d rows, %v, %v", sleeper, takeover, rows, s.holders(), err)
		}
		if rows == largeScores && s.holders()[scoresPartition] != sleeper && s.applied()[enrolment.ID] > before[enrolment.ID] {
			break
		}
		<-tick.C
	}
	if n := number(t, s.store, "SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid); n != 0 {
		t.Errorf("the backend %d of %s is still there", pid, sleeper)
	}
	work.Go(func() { busy(ctx, t, scores) })
	<-time.After(asleep)
	s.flows(t, "the stop")
	if !workers[sleeper].Pause(false) {
		t.Fatalf("%s didn't live to be woken", sleeper)
	}
	s.oneEach(t, "the woken worker being a member again", takeover)
	s.flows(t, "the waking")
	if n := number(t, s.store, "SELECT count(*) FROM tributary.batch WHERE partition = $1 AND fence <= $2 AND id > $3", scoresPartition, fence, stopped); n != 0 {
		t.Errorf("%d batches under the fence of the worker that was stopped", n)
	}
	stop()
	work.Wait()
	s.judge(t, &v)
}

// A transaction of which no piece fits into what lies between a worker and its
// backend: sheets with long names, and one with many scores.
const (
	largeSheet  = 1_000_000
	largeScores = 60_000
	wideSheets  = 2000 // of 8 KB each
)

// insideACopy has the worker of the scores begin a COPY, stops it there by SIGSTOP, and
// gives its backend, which then waits for the worker within the transaction.
func (s *system) insideACopy(t *testing.T, w *program.Process) (pid int64) {
	t.Helper()
	lock, err := s.store.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Rollback() }() // again, if all went well
	if _, err := lock.ExecContext(t.Context(), "LOCK TABLE ods.score, ods.score_sheet IN SHARE MODE"); err != nil {
		t.Fatal(err)
	}
	sheet, err := s.scores.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sheet.Rollback() }() // nothing, once it is committed
	if _, err := sheet.ExecContext(t.Context(), "INSERT INTO score_sheet SELECT $1 + i, repeat('K', 8000), '2026-2027', 0 FROM generate_series(1, $2::int) i", largeSheet, wideSheets); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"INSERT INTO score_sheet VALUES ($1, 'K99', '2026-2027', $2)",
		"INSERT INTO score SELECT $1, i, 50, clock_timestamp() AT TIME ZONE 'UTC' FROM generate_series(1, $2::int) i"} {
		if _, err := sheet.ExecContext(t.Context(), q, largeSheet, largeScores); err != nil {
			t.Fatal(err)
		}
	}
	if err := sheet.Commit(); err != nil {
		t.Fatal(err)
	}
	backend := func(query, wait string) bool {
		return s.store.QueryRowContext(t.Context(), `SELECT a.pid FROM pg_stat_activity a JOIN tributary.claim c
			ON EXISTS (SELECT FROM unnest(string_to_array(c.backend, ',')) b WHERE b LIKE a.pid || ' %')
			WHERE c.partition = $1 AND a.state = 'active' AND a.query ILIKE $2 AND a.wait_event_type = $3 AND a.xact_start IS NOT NULL`, scoresPartition, query+"%score%", wait).Scan(&pid) == nil
	}
	s.await(t, 30*time.Second, "a writer that waits for the lock", func() bool { return backend("lock", "Lock") })
	if err := lock.Rollback(); err != nil {
		t.Fatal(err)
	}
	// Most of what follows is COPY: it is stopped here and there until one waits for it.
	for range 500 {
		if !w.Pause(true) {
			t.Fatalf("%s was dead before it was stopped", w.Name)
		}
		for n, waits := 0, 0; n < 20; n++ { // the server takes what is on its way first
			if waits++; !backend("copy", "Client") {
				waits = 0
			}
			if waits == 3 {
				return pid
			}
			<-time.After(5 * time.Millisecond)
		}
		w.Pause(false)
		<-time.After(3 * time.Millisecond)
	}
	t.Fatal("no COPY was stopped")
	return pid
}
