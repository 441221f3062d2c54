package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/schemas"
	"github.com/tributary-cdc/tributary/stream/status"
)

// runWorker applies the partitions of its orgs to its store.
func runWorker(ctx context.Context, file string, _ io.Writer, l *slog.Logger) error {
	var c config.Worker
	if err := config.Load(file, &c); err != nil {
		return err
	}
	if c.DataDir != "" {
		if err := worker.CleanSpool(c.DataDir); err != nil {
			return fmt.Errorf("data_dir: %w", err)
		}
	}
	store, err := newStore(c.Store)
	if err != nil {
		return err
	}
	client, err := kafka.New(kafka.Options{Brokers: c.Log.Brokers})
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	says := workerSays{config: &c, times: newTimes()}
	said, err := newRecords(c.Log.Brokers, func() []status.Record { return says.records(ctx) }, l)
	if err != nil {
		return err
	}
	defer said.close()
	w, err := worker.New(worker.Options{Store: store, Schemas: schemas.New(client), Name: c.Name, Logger: l, SpoolDir: c.DataDir, StopTimeout: c.StopTimeout, OnChange: said.writer.Changed, OnApplied: says.times.applied,
		Fetcher: func(p log.Partition) log.Fetcher { return client.Fetcher(p, 2<<20) }})
	if err != nil {
		return err
	}
	says.worker = w
	ln, err := listen(c.HTTP)
	if err != nil {
		return err
	}
	var g, parts errgroup.Group
	g.Go(func() error {
		return serve(ctx, ln, handler(answers{
			status: func() report {
				return report{Role: "worker", Name: c.Name, Stores: applied(w), Partitions: w.Partitions()}
			},
			ready:   func() error { return workerReady(w.Partitions()) },
			figures: []prometheus.Collector{workerMetrics(w.Status), said.metrics()},
		}), l)
	})
	if c.Registry != "" {
		g.Go(func() error {
			defer cancel() // without it the worker isn't what was asked for
			return serveRegistry(ctx, c.Registry, client, c.Orgs, l)
		})
	}
	saying, silence := context.WithCancel(context.WithoutCancel(ctx))
	defer silence()
	g.Go(func() error { said.writer.Run(saying); return nil })
	for _, org := range c.Orgs {
		for i := range c.Partitions {
			parts.Go(func() error {
				return w.RunPartition(ctx, log.Partition{Topic: kafka.Changes(org), Index: int32(i)})
			})
		}
	}
	err = parts.Wait()
	cancel()
	silence() // after the work has ended, so that this is the last word
	return errors.Join(err, g.Wait(), store.Close())
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
