// Command demo runs the main job on loopback: two districts' databases, an agent
// each, the embedded log, and a worker for the city's and the province's store.
// With -check it kills them at random and judges what came out. It decides what is
// shown; the programs are the ones that run in production.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/tributary-cdc/tributary/test/oracle"
)

func main() {
	dir := flag.String("dir", filepath.Join(os.TempDir(), "tributary-demo"), "data folder, made anew")
	program := flag.String("tributary", "bin/tributary", "the program")
	check := flag.Duration("check", 0, "run this long without a terminal, kill, judge, print JSON")
	log := flag.String("log", "embedded", "embedded, or kafka: a real Apache Kafka")
	seed := flag.Uint64("seed", rand.Uint64N(1<<32), "of the workload and the kills")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *log != "embedded" && *log != "kafka" {
		fmt.Fprintf(os.Stderr, "demo: -log %q: embedded or kafka\n", *log)
		os.Exit(2)
	}
	if err := run(ctx, *dir, *program, *log == "embedded", *check, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir, program string, embedded bool, check time.Duration, seed uint64) (err error) {
	s, err := start(ctx, dir, program, embedded, seed)
	if s != nil {
		defer func() {
			err = errors.Join(err, s.stop())
			step("已全部停止，数据在 %s / all stopped, the data lie in %s", dir, dir)
		}()
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	if check > 0 {
		return judge(ctx, s, check, seed)
	}
	return watch(ctx, s)
}

func step(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05.0 ")+format+"\n", args...)
}

// work writes transactions in all districts until ctx ends.
func (s *system) work(ctx context.Context) error {
	var all sync.WaitGroup
	errs := make([]error, len(s.districts))
	for i, d := range s.districts {
		all.Go(func() {
			for ctx.Err() == nil && errs[i] == nil {
				if err := d.Step(context.WithoutCancel(ctx)); err != nil {
					errs[i] = err
				}
				// About 120 a second: a busy district, and room for everything else on two cores.
				pause := time.NewTimer(8 * time.Millisecond)
				select {
				case <-pause.C:
				case <-ctx.Done():
					pause.Stop()
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// result is the one object that -check prints.
type result struct {
	Seed         uint64  `json:"seed"`
	Transactions int64   `json:"transactions"`
	Kills        int     `json:"kills"`
	P50          float64 `json:"lag_p50_ms"`
	P99          float64 `json:"lag_p99_ms"`
	oracle.Verdict
}

// judge kills processes at random moments of the seed while the workload runs,
// waits until everything is applied, and compares.
func judge(ctx context.Context, s *system, length time.Duration, seed uint64) error {
	step("种子 / seed %d", seed)
	working, done := context.WithTimeout(ctx, length)
	defer done()
	rng := rand.New(rand.NewPCG(seed, 7))
	var wg sync.WaitGroup
	var workErr error
	wg.Go(func() { workErr = s.work(working) })
	polls, half := make([]int, len(s.stores)), make([]int, len(s.stores))
	for i, st := range s.stores {
		wg.Go(func() { polls[i], half[i] = oracle.Poll(working, st.db) })
	}
	r := result{Seed: seed}
	const kills = 10
	for range kills {
		pause := time.NewTimer(length / (kills + 2) / 2 * time.Duration(100+rng.IntN(100)) / 100)
		select {
		case <-pause.C:
		case <-ctx.Done():
			return nil
		}
		n := len(s.processes)
		if s.kafka != nil { // the broker is one of those that die
			n++
		}
		i := rng.IntN(n)
		if i == len(s.processes) {
			step("SIGKILL → Kafka")
			if err := errors.Join(s.kafka.Kill(), s.kafka.Start(ctx)); err != nil {
				return fmt.Errorf("kill %d: %w", r.Kills+1, err)
			}
			r.Kills++
			continue
		}
		p := s.processes[i]
		if err := p.Kill(); err != nil {
			return fmt.Errorf("kill %d: %w", r.Kills+1, err)
		}
		r.Kills++
		step("SIGKILL → %s", p.Name)
		if err := p.Start(); err != nil {
			return err
		}
	}
	wg.Wait()
	if workErr != nil || ctx.Err() != nil {
		return workErr
	}
	step("等待全部应用并逐行比较 / waiting until all is applied, comparing every row")
	r.Polls = min(polls[0], polls[1])
	for i, st := range s.stores {
		r.Half += half[i]
		if err := oracle.Compare(ctx, st.db, s.districts, &r.Verdict); err != nil {
			return fmt.Errorf("store %s: %w", st.name, err)
		}
		p50, p99, err := oracle.Lag(ctx, st.db)
		if err != nil {
			return fmt.Errorf("store %s: %w", st.name, err)
		}
		r.P50, r.P99 = max(r.P50, p50), max(r.P99, p99)
	}
	for _, d := range s.districts {
		r.Transactions += d.Txns.Load()
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	if bad := r.Lost + r.Doubled + r.Half + r.OutOfOrder + r.Gaps; bad > 0 || r.Transactions < 2000 || r.Polls < 200 {
		return fmt.Errorf("failed: %d bad findings, %d transactions (2000 wanted), %d polls of a store (200 wanted)", bad, r.Transactions, r.Polls)
	}
	return nil
}

// watch shows what flows until ctx ends.
func watch(ctx context.Context, s *system) error {
	working, done := context.WithCancel(ctx)
	defer done()
	finished := make(chan error, 1)
	go func() { finished <- s.work(working) }()
	s.hints()
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return <-finished
		case err := <-finished:
			return err
		case <-tick.C:
		}
		fmt.Printf("\n%-18s %-10s %12s %14s %10s %10s  %s\n", "源 source", "库 store", "已提交 txns", "已应用 rows", "p50 ms", "p99 ms", "位置 applied")
		for _, d := range s.districts {
			for _, st := range s.stores {
				var rows int64
				var applied string
				var p50, p99 float64
				err := st.db.QueryRowContext(ctx, progress, d.ID).Scan(&applied, &rows)
				if err == nil {
					p50, p99, err = oracle.Lag(ctx, st.db)
				}
				if err != nil {
					applied = "-"
				}
				fmt.Printf("%-20s %-12s %12d %16d %10.1f %10.1f  %s\n", d.ID, st.name, d.Txns.Load(), rows, p50, p99, applied)
			}
		}
	}
}

const progress = `SELECT applied, (SELECT coalesce(sum(rows), 0) FROM tributary.batch b JOIN tributary.batch_source s ON s.batch = b.id WHERE s.source = p.source) FROM tributary.progress p WHERE source = $1`
