package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/schemas"
	"github.com/tributary-cdc/tributary/stream/status"
)

// runWorker applies its share of its orgs' partitions to its store.
func runWorker(ctx context.Context, file string, _ io.Writer, l *slog.Logger) error {
	var c config.Worker
	if err := config.Load(file, &c); err != nil {
		return err
	}
	warned(&c, l)
	if c.DataDir != "" {
		if err := worker.CleanSpool(c.DataDir); err != nil {
			return fmt.Errorf("data_dir: %w", err)
		}
	}
	store, err := newStore(c.Store)
	if err != nil {
		return err
	}
	client, err := newClient(c.Log, "tributary-worker")
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	topics := newTopicCheck(client, &c, l)
	says := workerSays{config: &c, times: newTimes(), topics: topics}
	said, err := newRecords(c.Log, func() []status.Record { return says.records(ctx) }, l)
	if err != nil {
		return err
	}
	defer said.close()
	topics.changed = said.writer.Changed
	w, err := worker.New(worker.Options{Store: store, Schemas: schemas.New(client), Name: c.Name, Logger: l, SpoolDir: c.DataDir, StopTimeout: c.StopTimeout, OnChange: said.writer.Changed, OnApplied: says.times.applied, Shared: store.Shared, Held: worker.HeldLimit{Rows: c.Held.Rows, Bytes: int64(c.Held.Size)},
		Fetcher: func(p log.Partition) log.Fetcher { return client.Fetcher(p, 2<<20) }})
	if err != nil {
		return err
	}
	says.worker = w
	ln, err := listen(c.HTTP)
	if err != nil {
		return err
	}
	s := &share{member: &readiness{}, w: w, name: c.Group, given: make(chan worker.Assignment), drained: make(chan struct{}), l: l}
	s.member.set(s.notYet())
	for _, org := range c.Orgs {
		s.topics = append(s.topics, kafka.Changes(org))
	}
	var g errgroup.Group
	part := func(f func() error) {
		g.Go(func() error {
			defer cancel() // no part goes on without the others
			return f()
		})
	}
	part(func() error {
		return serve(ctx, ln, handler(answers{
			status: func() report {
				r := report{Role: "worker", Name: c.Name, Stores: applied(w), Partitions: w.Partitions()}
				if err := s.member.get(); err != nil {
					r.Waits, r.Code = err.Error(), worker.CodeOf(err)
				}
				if err := topics.all(); err != nil {
					r.Warning, r.WarningCode = err.Error(), log.CodeOf(err)
				}
				return r
			},
			ready:   func() error { return workerReady(s.member.get(), w.Partitions()) },
			orders:  accepting{store},
			figures: []prometheus.Collector{workerMetrics(w.Status), partitionMetrics(w), said.metrics()},
		}), l)
	})
	if c.Registry != "" {
		part(func() error { return serveRegistry(ctx, c.Registry, client, c.Orgs, l) })
	}
	saying, silence := context.WithCancel(context.WithoutCancel(ctx))
	defer silence()
	g.Go(func() error { said.writer.Run(saying); return nil })
	part(func() error {
		defer silence() // after the work has ended, so that this is the last word
		defer close(s.drained)
		w.Run(ctx, s.topics, s.given)
		return nil
	})
	part(func() error { return s.run(ctx, client, store) })
	part(func() error { topics.run(ctx); return nil })
	return errors.Join(g.Wait(), store.Close())
}

// share is the worker's part of the work, as its consumer group gives it.
type share struct {
	member  *readiness
	w       *worker.Worker
	name    string
	topics  []string
	given   chan worker.Assignment
	drained chan struct{} // closed once the worker applies no more
	l       *slog.Logger
}

// tell is the time between two commits of offsets, which are for tools only.
const tell = 5 * time.Second

func (s *share) notYet() error {
	return fmt.Errorf("not a member of the consumer group %s yet", s.name)
}

// askEvery is the pause while only a person can help, e.g. with a wrong password.
const askEvery = 30 * time.Second

// run is a member of the group until ctx ends. It leaves after the worker has drained,
// so that whoever takes over finds nobody at work.
func (s *share) run(ctx context.Context, client *kafka.Client, store *postgres.Store) error {
	identity, err := s.identity(ctx, store)
	if err != nil {
		return nil // only because ctx has ended
	}
	s.member.set(s.notYet())
	group, err := client.Group(kafka.GroupOptions{Name: s.name, Scope: identity, Topics: s.topics, Holding: s.w.Held, Logger: s.l})
	if err != nil {
		return err
	}
	return group.Run(ctx, func(gctx context.Context, gen *kafka.Generation) { s.generation(gctx, ctx, gen) })
}

// identity asks the store who it is until it answers; the error is ctx's.
func (s *share) identity(ctx context.Context, store *postgres.Store) (string, error) {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 3*time.Second) {
		err := store.Prepare(ctx)
		if err == nil {
			var id string
			if id, err = store.Identity(ctx); err == nil {
				return id, nil
			}
		}
		wait := pause
		if errors.Is(err, worker.ErrStoreAccess) { // an account may be locked after some attempts
			wait = askEvery
		}
		if ctx.Err() == nil {
			s.member.set(err)
			s.l.Warn("the store doesn't say who it is, asking again", "code", worker.CodeOf(err), "err", err, "pause", wait)
		}
		select {
		case <-time.After(wait/2 + rand.N(wait/2+1)):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// generation hands one generation's partitions to the worker. They stay its own until
// the next one, or until a claim is lost: then it asks the group again.
func (s *share) generation(ctx, whole context.Context, gen *kafka.Generation) {
	s.member.set(nil)
	lost := make(chan log.Partition, 1)
	select {
	case s.given <- worker.Assignment{Partitions: gen.Partitions, Lost: lost}:
	case <-ctx.Done():
	}
	commit := time.NewTicker(tell)
	defer commit.Stop()
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			if whole.Err() != nil {
				<-s.drained
				s.tell(gen)
			}
			return
		case <-commit.C:
			s.tell(gen)
		case p := <-lost:
			// Whoever took it is a member that hasn't heard of this generation, and joins
			// again soon, or is none any more. Two groups on one store would chase each
			// other, but slowly.
			s.l.Info("joining again for a lost claim", "partition", p.String())
			if again == nil {
				again = time.After(time.Second + rand.N(2*time.Second))
			}
		case <-again:
			return
		}
	}
}

func (s *share) tell(gen *kafka.Generation) {
	if err := gen.Commit(s.w.Reached()); err != nil {
		s.l.Info("offsets not told to the group, harmless", "group", s.name, "err", err)
	}
}

// applied gives a worker's sources in the order of their ids.
func applied(w *worker.Worker) []worker.SourceStatus {
	sources, _ := w.Status()
	out := make([]worker.SourceStatus, 0, len(sources))
	for _, id := range slices.Sorted(maps.Keys(sources)) {
		out = append(out, sources[id])
	}
	return out
}
