package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/schemas"
)

// runWorker applies the partitions of its orgs to its store.
func runWorker(ctx context.Context, file string, _ io.Writer, l *slog.Logger) error {
	var c config.Worker
	if err := config.Load(file, &c); err != nil {
		return err
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
	w, err := worker.New(worker.Options{Store: store, Schemas: schemas.New(client), Name: c.Name, Logger: l,
		Fetcher: func(p log.Partition) log.Fetcher { return client.Fetcher(p, 2<<20) }})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var g, parts errgroup.Group
	g.Go(func() error {
		return serve(ctx, c.HTTP, handler(func() report { return report{Role: "worker", Name: c.Name, Stores: applied(w)} }, workerMetrics(w.Status)), l)
	})
	if c.Registry != "" {
		g.Go(func() error {
			defer cancel() // without it the worker isn't what was asked for
			return serveRegistry(ctx, c.Registry, client, c.Orgs, l)
		})
	}
	for _, org := range c.Orgs {
		for i := range c.Partitions {
			parts.Go(func() error {
				return w.RunPartition(ctx, log.Partition{Topic: kafka.Changes(org), Index: int32(i)})
			})
		}
	}
	err = parts.Wait()
	cancel()
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
