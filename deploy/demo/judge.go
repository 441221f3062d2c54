package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/tributary-cdc/tributary/test/oracle"
)

// victim is what a check may kill.
type victim struct {
	name string
	// kill ends the live process with SIGKILL; it is an error if none was alive.
	kill  func() error
	start func(context.Context) error
}

// victims are log, agents and workers.
func (s *system) victims() []victim {
	var all []victim
	for _, p := range s.processes {
		all = append(all, victim{p.Name, p.Kill, func(context.Context) error { return p.Start() }})
	}
	if s.kafka != nil { // the broker is one of those that die
		all = append(all, victim{"Kafka", func() error {
			if s.kafka.PID() == 0 {
				return errors.New("the broker was dead already")
			}
			return s.kafka.Kill()
		}, s.kafka.Start})
	}
	return all
}

// order picks who dies when: everybody once, then whoever comes.
func order(rng *rand.Rand, victims, kills int) []int {
	picks := rng.Perm(victims)
	for len(picks) < kills {
		picks = append(picks, rng.IntN(victims))
	}
	picks = picks[:kills]
	rng.Shuffle(len(picks), func(i, j int) { picks[i], picks[j] = picks[j], picks[i] })
	return picks
}

// judge kills processes at random moments of the seed while the workload runs,
// at least for the time of the check and until all kills are done, waits until everything
// is applied, and compares.
func judge(ctx context.Context, s *system) error {
	s.say.step("种子 / seed %d", s.o.seed)
	working, done := context.WithCancel(ctx)
	defer done()
	enough := time.NewTimer(s.o.check)
	defer enough.Stop()
	var wg sync.WaitGroup
	var workErr error
	wg.Go(func() { workErr = s.work(working) })
	polls, half := make([]int, len(s.stores)), make([]int, len(s.stores))
	for i, st := range s.stores {
		wg.Go(func() { polls[i], half[i] = oracle.Poll(working, st.db) })
	}
	r := result{Seed: s.o.seed}
	noted := s.say.await("工作负载与故障 / workload and kills")
	err := s.killing(ctx, &r)
	if err == nil {
		select {
		case <-enough.C:
		case <-ctx.Done():
		}
	}
	done()
	wg.Wait()
	noted()
	if err = errors.Join(err, workErr); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted before the verdict: %w", ctx.Err())
	}
	if err := s.compare(ctx, &r); err != nil {
		return err
	}
	r.Polls = polls[0]
	for i := range s.stores {
		r.Half += half[i]
		r.Polls = min(r.Polls, polls[i])
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	if why := r.failures(); len(why) > 0 {
		return errors.New("the check has failed: " + strings.Join(why, "; "))
	}
	return nil
}

// killing kills and starts again until the kills are done or ctx ends.
func (s *system) killing(ctx context.Context, r *result) error {
	rng := rand.New(rand.NewPCG(s.o.seed, 7))
	victims := s.victims()
	for _, i := range order(rng, len(victims), wantKills) {
		pause := time.NewTimer(s.o.check / (wantKills + 2) / 2 * time.Duration(100+rng.IntN(100)) / 100)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil
		}
		v := victims[i]
		if err := v.kill(); err != nil {
			s.say.step("SIGKILL → %s: %v", v.name, err)
			r.MissedKills++
		} else {
			s.say.step("SIGKILL → %s", v.name)
			r.Kills++
		}
		if err := v.start(ctx); err != nil && ctx.Err() == nil {
			return fmt.Errorf("start %s again: %w", v.name, err)
		}
	}
	return nil
}

// compare waits until everything is applied and compares every row.
func (s *system) compare(ctx context.Context, r *result) error {
	s.say.step("等待全部应用并逐行比较 / waiting until all is applied, comparing every row")
	for _, st := range s.stores {
		noted := s.say.await(st.name)
		err := oracle.Compare(ctx, st.db, s.districts, &r.Verdict)
		noted()
		if err != nil {
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
	return nil
}
