package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/tributary-cdc/tributary/cmd/console"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/status"
)

// runHub serves the page until ctx ends, and prints its address. Data flows without it.
func runHub(ctx context.Context, file string, out io.Writer, l *slog.Logger) error {
	var c config.Hub
	if err := config.Load(file, &c); err != nil {
		return err
	}
	client, err := newClient(c.Log, "tributary-hub")
	if err != nil {
		return err
	}
	defer client.Close()
	topics := make([]log.Partition, len(c.Orgs))
	for i, org := range c.Orgs {
		topics[i] = statusTopic(org)
	}
	board, err := status.NewBoard(status.BoardOptions{Topics: topics, Logger: l, Fetcher: func(p log.Partition) log.Fetcher { return client.Fetcher(p, 1<<20) }})
	if err != nil {
		return err
	}
	viewers := make([]*postgres.Viewer, len(c.Stores))
	stores := make([]console.Store, len(c.Stores))
	for i, s := range c.Stores {
		store, err := newStore(s)
		if err != nil {
			return fmt.Errorf("store %s: %w", s.Name, err)
		}
		viewers[i] = store.Viewer()
		stores[i] = console.Store{Name: s.Name, Viewer: viewers[i]}
	}
	page, err := console.New(console.Options{Board: board, Stores: stores, Logger: l})
	if err != nil {
		return err
	}
	ln, err := listen(c.HTTP)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "http://%s/\n", ln.Addr()); err != nil {
		return errors.Join(err, ln.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { board.Run(ctx); return nil })
	g.Go(func() error { return serve(ctx, ln, hubHandler(page, board), l) })
	err = g.Wait()
	closing, stop := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer stop()
	for _, v := range viewers {
		err = errors.Join(err, v.Close(closing))
	}
	return err
}

// hubHandler joins the page with what every role answers.
func hubHandler(page *console.Console, board *status.Board) http.Handler {
	own := handler(answers{
		status:  func() report { return report{Role: "hub"} },
		ready:   func() error { return hubReady(board.Readings()) },
		figures: []prometheus.Collector{collector(func(out chan<- prometheus.Metric) { counter(out, statusDropped, board.Dropped()) })},
	})
	mux := http.NewServeMux()
	for _, path := range []string{"/metrics", "/-/healthy", "/-/ready", "/debug/pprof/"} {
		mux.Handle("GET "+path, own)
	}
	mux.Handle("/", page.Handler())
	return mux
}

// hubReady: every status topic has been read to its end once.
func hubReady(topics []status.Reading) error {
	var all []error
	for _, t := range topics {
		switch {
		case t.CaughtUp:
		case t.Error != "":
			all = append(all, fmt.Errorf("topic %s: %s", t.Topic, t.Error))
		default:
			all = append(all, fmt.Errorf("topic %s isn't read to its end yet", t.Topic))
		}
	}
	return errors.Join(all...)
}
