package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/tributary-cdc/tributary/capture"
	mysqlcapture "github.com/tributary-cdc/tributary/capture/mysql"
	"github.com/tributary-cdc/tributary/capture/pipeline"
	pgcapture "github.com/tributary-cdc/tributary/capture/postgres"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/stream/embedded"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/schemas"
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

// instance names this agent's installation. Whoever was fenced gets a new name,
// so that a restart meets the newer agent's fresh records and stays down.
func instance(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("data_dir: %w", err)
	}
	name := filepath.Join(dir, "instance")
	b, err := os.ReadFile(name)
	if err == nil && len(b) > 0 {
		return strings.TrimSpace(string(b)), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("data_dir: %w", err)
	}
	id := rand.Text()[:12]
	if err := os.WriteFile(name, []byte(id+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("data_dir: %w", err)
	}
	return id, nil
}

// runAgent runs one pipeline per source. A source that stops for good doesn't
// stop the others; the agent fails only when none is left.
func runAgent(ctx context.Context, file string, _ io.Writer, l *slog.Logger) error {
	var c config.Agent
	if err := config.Load(file, &c); err != nil {
		return err
	}
	id, err := instance(c.DataDir)
	if err != nil {
		return err
	}
	client, err := kafka.New(kafka.Options{Brokers: c.Log.Brokers})
	if err != nil {
		return err
	}
	defer client.Close()
	if err := awaitTopics(ctx, client, c.Org, c.Partitions, l); err != nil {
		return err
	}
	pipes := make([]*pipeline.Pipeline, len(c.Sources))
	versions := schemas.New(client)
	for i, s := range c.Sources {
		if pipes[i], err = newPipeline(client, versions, &c, s, c.Name+"/"+id, l); err != nil {
			return fmt.Errorf("source %s-%s: %w", c.Org, s.Name, err)
		}
	}
	statuses := func() []pipeline.Status {
		out := make([]pipeline.Status, len(pipes))
		for i, p := range pipes {
			out[i] = p.Status()
		}
		return out
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g := errgroup.Group{}
	g.Go(func() error {
		return serve(ctx, c.HTTP, handler(func() report { return report{Role: "agent", Name: c.Name, Sources: statuses()} }, agentMetrics(statuses)), l)
	})
	var sources errgroup.Group
	for _, p := range pipes {
		sources.Go(func() error {
			err := p.Run(ctx)
			if err != nil {
				l.Error("source stopped", "source", p.Status().Source, "err", err)
			}
			if errors.Is(err, log.ErrFenced) {
				err = errors.Join(err, os.Remove(filepath.Join(c.DataDir, "instance")))
			}
			return err
		})
	}
	err = sources.Wait()
	cancel()
	return errors.Join(err, g.Wait())
}

func newPipeline(client *kafka.Client, versions *schemas.Catalogue, c *config.Agent, s config.Source, agent string, l *slog.Logger) (*pipeline.Pipeline, error) {
	password, err := s.Secret.Read()
	if err != nil {
		return nil, err
	}
	src := event.Source{ID: c.Org + "-" + s.Name, Org: c.Org, Engine: event.Engine(s.Engine), Agent: c.Name}
	reader, err := newReader(src, s, password)
	if err != nil {
		return nil, err
	}
	codec, err := envelope.ParseCodec(c.Codec)
	if err != nil {
		return nil, err
	}
	part := log.Partition{Topic: kafka.Changes(c.Org), Index: s.Partition}
	return pipeline.New(pipeline.Options{
		Source: src, Agent: agent, Version: version, Reader: reader, FirstStart: s.FirstStart == "now", StopTimeout: c.StopTimeout, Codec: codec, Logger: l,
		Log: client.Producer(kafka.ProducerOptions{Partition: part, TransactionalID: kafka.Prefix + c.Org + "." + src.ID,
			Compression: kafka.LZ4, KeepsState: !c.Log.Embedded}),
		Tail: client.Fetcher(part, 1<<20), Checkpoints: client.Latest(kafka.Checkpoints(c.Org)), Schemas: versions.Publisher(kafka.Schemas(c.Org)),
	})
}

func newReader(src event.Source, s config.Source, password string) (capture.Reader, error) {
	if src.Engine == event.Postgres {
		return pgcapture.New(pgcapture.Options{Source: src, Host: s.Host, Port: s.Port, Database: s.Database, User: s.User,
			Password: password, SSLMode: s.SSLMode, Tables: s.Tables, Datasets: s.Datasets})
	}
	return mysqlcapture.New(mysqlcapture.Options{Source: src, Host: s.Host, Port: s.Port, User: s.User, Password: password, Tables: s.Tables, Datasets: s.Datasets})
}

// awaitTopics makes and checks an org's topics, as soon as the log answers.
func awaitTopics(ctx context.Context, client *kafka.Client, org string, partitions int, l *slog.Logger) error {
	return capture.Retrying(ctx, func() error {
		err := client.CreateTopics(ctx, org, kafka.TopicOptions{Partitions: partitions})
		if err == nil {
			err = client.CheckTopics(ctx, org)
		}
		if err != nil {
			l.Warn("topics", "org", org, "err", err)
		}
		return err
	})
}

// handler answers health checks, the status as JSON, metrics, and profiles.
func handler(status func() report, figures prometheus.Collector) http.Handler {
	reg := prometheus.NewRegistry() // one per process part, never the global one
	reg.MustRegister(figures, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	ok := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") }
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile) // ?seconds=n
	mux.Handle("GET /debug/pprof/heap", pprof.Handler("heap"))
	mux.HandleFunc("GET /-/healthy", ok)
	mux.HandleFunc("GET /-/ready", ok)
	mux.HandleFunc("GET /api/status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"data": status()})
	})
	return mux
}
