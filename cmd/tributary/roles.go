package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/guard"
	mysqlcapture "github.com/tributary-cdc/tributary/capture/mysql"
	"github.com/tributary-cdc/tributary/capture/pipeline"
	pgcapture "github.com/tributary-cdc/tributary/capture/postgres"
	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/cmd/hub/desk"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/stream/embedded"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/schemas"
	"github.com/tributary-cdc/tributary/stream/status"
)

// runLog hosts the embedded log until ctx ends.
func runLog(ctx context.Context, file string, out io.Writer, l *slog.Logger) error {
	var c config.LogServer
	if err := config.Load(file, &c); err != nil {
		return err
	}
	s, err := embedded.Start(embedded.Options{Dir: c.DataDir, Port: c.Port})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, s.Addr()); err != nil {
		return errors.Join(err, s.Close())
	}
	l.Info("log is open", "addr", s.Addr(), "dir", c.DataDir)
	select {
	case <-ctx.Done():
	case <-s.Failed():
	}
	return s.Close()
}

// runAgent runs one pipeline per source. A source that stops for good doesn't
// stop the others; the agent fails only when none is left.
func runAgent(ctx context.Context, file string, _ io.Writer, l *slog.Logger) error {
	var c config.Agent
	if err := config.Load(file, &c); err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" { // rows leave no garbage, so that collecting twice as often costs nothing
		debug.SetGCPercent(50)
	}
	warned(&c, l)
	member, retired, err := granted(&c, l)
	freed := newReleased(&c, retired, l)
	if err != nil {
		for _, s := range retired { // there is nothing else to do
			freed.ended(ctx, c.Org+"-"+s.Name)
		}
		return err
	}
	home, err := openHome(c.DataDir)
	if err != nil {
		return err
	}
	defer func() { _ = home.Close() }() // the kernel frees the folder either way
	client, err := newClient(c.Log, "tributary-agent")
	if err != nil {
		return err
	}
	defer client.Close()
	pipes := make([]*pipeline.Pipeline, len(c.Sources))
	watch := &guards{of: map[string]*guard.Guard{}, stops: map[string]context.CancelFunc{}}
	gone := &absent{l: l, of: map[string][]string{}}
	loads := loaders{}
	rests := newPauses(home, watch, loads, l)
	statuses := func() []pipeline.Status {
		out := make([]pipeline.Status, len(pipes))
		for i, p := range pipes {
			out[i] = p.Status()
		}
		return gone.over(rests.over(watch.over(out)))
	}
	times := newTimes()
	book, err := openLedger(c.DataDir, time.Now, l)
	if err != nil {
		return err
	}
	said, err := newRecords(c.Log, func() []status.Record { return watch.records(loads.records(agentRecords(&c, statuses(), times))) }, l)
	if err != nil {
		return err
	}
	defer said.close()
	parts := agentParts{client: client, versions: schemas.New(client), config: &c, name: c.Name + "/" + home.id, points: client.LatestBy(kafka.Checkpoints(c.Org), pipeline.NewerCheckpoint), said: said, times: times, book: book, log: l, loaders: loads, home: home, guards: watch, rests: rests}
	for i, s := range c.Sources {
		if pipes[i], err = parts.pipeline(s); err != nil {
			return fmt.Errorf("source %s-%s: %w", c.Org, s.Name, err)
		}
	}
	ln, err := listen(c.HTTP)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var topics, size readiness
	topics.set(errors.New("the topics of " + c.Org + " haven't been checked yet"))
	g := errgroup.Group{}
	var orders http.Handler = parts.loaders
	if member != nil {
		orders = grantedOrders(orders)
		heard := func(ctx context.Context, g *desk.Grants) {
			rests.heard(g)
			freed.heard(ctx, g)
		}
		g.Go(func() error { keepMembership(ctx, member, heard, l); return nil })
		for _, s := range c.Sources {
			g.Go(func() error { gone.watch(ctx, &c, s, said.writer.Changed); return nil })
		}
	}
	g.Go(func() error {
		return serve(ctx, ln, handler(answers{
			status: func() report {
				r := report{Role: "agent", Name: c.Name, Sources: statuses(), Loads: parts.loaders.progress(), Added: parts.loaders.added(), Rooms: watch.rooms(), Legacy: legacy(&c)}
				if err := size.get(); err != nil {
					r.Warning, r.WarningCode = err.Error(), log.CodeOf(err)
				}
				return r
			},
			ready:   func() error { return errors.Join(topics.get(), agentReady(statuses())) },
			figures: []prometheus.Collector{agentMetrics(statuses), loadMetrics(parts.loaders.progress), said.metrics(), watch.metrics()},
			orders:  orders,
			rests:   rests,
			repairs: repairs{parts.loaders, func(ctx context.Context, source string) (bool, error) { return storeInGap(ctx, client, c.Org, source) }},
		}), l)
	})
	watch.run(ctx) // whether the log is there or not
	defer watch.group.Wait()
	defer cancel()
	if err := awaitTopics(ctx, client, &c, &topics, &size, l); err != nil {
		if ctx.Err() != nil { // asked to stop while the log was away
			err = nil
		}
		cancel()
		return errors.Join(err, g.Wait())
	}
	saying, silence := context.WithCancel(context.WithoutCancel(ctx))
	defer silence()
	g.Go(func() error { said.writer.Run(saying); return nil })
	g.Go(func() error { book.run(saying); return nil })
	var sources errgroup.Group
	for _, s := range c.Sources {
		id := c.Org + "-" + s.Name
		g.Go(func() error { parts.loaders[id].verifies(ctx, id, &s, l); return nil })
	}
	for _, p := range pipes {
		id := p.Status().Source
		reading, stop := context.WithCancel(ctx)
		defer stop()
		freed.reading(id, stop)
		sources.Go(func() error {
			err := p.Run(reading)
			if err != nil {
				l.Error("source stopped", "source", id, "err", err)
			}
			watch.ended(ctx, id, err)
			if reading.Err() != nil && ctx.Err() == nil {
				watch.stops[id]() // it isn't this agent's to guard
				freed.ended(ctx, id)
			}
			if errors.Is(err, log.ErrFenced) {
				err = errors.Join(err, home.forget())
			}
			return err
		})
	}
	err = sources.Wait()
	silence() // after the sources, so that the last word is how they ended
	cancel()
	return errors.Join(err, g.Wait())
}

// legacy gives the sources of a file that accept old TLS.
func legacy(c *config.Agent) (ids []string) {
	for _, s := range c.Sources {
		if s.TLS.Legacy {
			ids = append(ids, c.Org+"-"+s.Name)
		}
	}
	return ids
}

// agentParts is what the pipelines of an agent share.
type agentParts struct {
	client   *kafka.Client
	versions *schemas.Catalogue
	points   *kafka.Latest
	config   *config.Agent
	name     string // of the agent and this instance of it
	said     *records
	times    *times
	book     *ledger
	log      *slog.Logger
	loaders  loaders
	home     *home
	guards   *guards
	rests    *pauses
}

func (a *agentParts) pipeline(s config.Source) (*pipeline.Pipeline, error) {
	c, client := a.config, a.client
	password, err := s.Password()
	if err != nil {
		return nil, err
	}
	src := event.Source{ID: c.Org + "-" + s.Name, Org: c.Org, Engine: event.Engine(s.Engine), Agent: c.Name}
	reader, under, err := newReader(src, s, password, a.log)
	if err != nil {
		return nil, err
	}
	codec, err := envelope.ParseCodec(c.Codec)
	if err != nil {
		return nil, err
	}
	var pipe *pipeline.Pipeline // known before anything runs
	a.guards.of[src.ID], err = newGuard(guard.Options{File: guardFile(a.home, src.ID), At: reached(func() *pipeline.Pipeline { return pipe }),
		OnChange: a.said.writer.Changed, Logger: a.log}, src, s, password)
	if err != nil {
		return nil, err
	}
	resting, err := a.rests.recall(src.ID, s.Paused)
	if err != nil {
		return nil, err
	}
	part := log.Partition{Topic: kafka.Changes(c.Org), Index: s.Partition}
	pipe, err = pipeline.New(pipeline.Options{
		Source: src, Agent: a.name, Version: version, Reader: reader, FirstStart: s.FirstStart != "", Force: s.Takes, Paused: resting, StopTimeout: c.StopTimeout, Codec: codec, Logger: a.log,
		Log: client.Producer(kafka.ProducerOptions{Partition: part, TransactionalID: kafka.Prefix + c.Org + "." + src.ID,
			Compression: kafka.LZ4, KeepsState: !c.Log.Embedded}),
		Tail: client.Fetcher(part, 1<<20), Partition: part, Checkpoints: a.points, Schemas: a.versions.Publisher(kafka.Schemas(c.Org)),
		OnChange: a.said.writer.Changed, OnLogged: a.times.logged(src.ID), OnSent: a.book.sent(src.ID),
		Explain: a.guards.explained(src.ID), End: a.guards.end(src.ID, under), Missing: reader.Missing,
	})
	a.loaders[src.ID] = loading{reader, pipe}
	return pipe, err
}

// newReader makes a source's reader, which loads tables as well, over the one that reads its
// log.
func newReader(src event.Source, s config.Source, password string, l *slog.Logger) (loader *snapshot.Loader, under server, err error) {
	hours, err := s.Load.Hours()
	if err != nil {
		return nil, nil, err
	}
	o := snapshot.Options{First: s.FirstStart == "load", Rate: s.Load.RowsPerSecond, Hours: hours, Logger: l.With("source", src.ID)}
	if src.Engine == event.Postgres {
		r, err := pgcapture.New(postgresOptions(src, s, password))
		if err != nil {
			return nil, nil, err
		}
		o.Reader, o.Open = r, r.Source
		loader, err = snapshot.New(o)
		return loader, r, err
	}
	binlog := mysqlOptions(src, s, password)
	binlog.Logger = o.Logger
	r, err := mysqlcapture.New(binlog)
	if err != nil {
		return nil, nil, err
	}
	o.Reader, o.Open = r, r.Source
	loader, err = snapshot.New(o)
	return loader, r, err
}

// awaitTopics makes and checks the org's topics, as soon as the log answers. Until
// then ready says why it doesn't; size is told if the changes are bounded by their size.
func awaitTopics(ctx context.Context, client *kafka.Client, c *config.Agent, ready, size *readiness, l *slog.Logger) error {
	o := kafka.TopicOptions{Partitions: c.Partitions, Replication: 1}
	if c.Log.Durability == config.Replicated {
		o.Replication = 3
	}
	return capture.Retrying(ctx, func() error {
		err := client.CreateTopics(ctx, c.Org, o)
		if err == nil {
			err = client.CheckTopics(ctx, c.Org)
		}
		if err == nil && c.Log.Durability == config.Replicated {
			err = client.CheckDurable(ctx, c.Org)
		}
		if err == nil {
			if err = client.CheckRetention(ctx, c.Org); errors.Is(err, log.ErrSizeBound) {
				l.Warn("topics", "org", c.Org, "code", log.CodeOf(err), "err", err)
				size.set(err)
				err = nil
			}
		}
		ready.set(err)
		if err != nil {
			l.Warn("topics", "org", c.Org, "err", err)
		}
		return err
	})
}
