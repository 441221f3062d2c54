package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/registry"
)

// runRegistry answers the Schema Registry's read calls until ctx ends. It reads
// the log with the first request that needs it.
func runRegistry(ctx context.Context, file string, _ io.Writer, l *slog.Logger) error {
	var c config.Registry
	if err := config.Load(file, &c); err != nil {
		return err
	}
	client, err := newClient(c.Log, "tributary-registry")
	if err != nil {
		return err
	}
	defer client.Close()
	return serveRegistry(ctx, c.HTTP, client, c.Orgs, l)
}

// serveRegistry serves the versions of orgs on addr, with health and metrics beside them.
func serveRegistry(ctx context.Context, addr string, client *kafka.Client, orgs []string, l *slog.Logger) error {
	served := make([]registry.Org, len(orgs))
	for i, o := range orgs {
		served[i] = registry.Org{Code: o, Changes: kafka.Changes(o), Schemas: kafka.Schemas(o)}
	}
	r, err := registry.New(client, served, l)
	if err != nil {
		return err
	}
	ln, err := listen(addr)
	if err != nil {
		return err
	}
	return serve(ctx, ln, registryHandler(r.Handler()), l)
}

func registryHandler(calls http.Handler) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	requests := promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "tributary_registry_requests_total",
		Help: "Requests to the schema registry, by status of the answer.",
	}, []string{"code"})
	ok := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") }
	mux := http.NewServeMux()
	mux.HandleFunc("GET /-/healthy", ok)
	mux.HandleFunc("GET /-/ready", ok)
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	mux.Handle("/", promhttp.InstrumentHandlerCounter(requests, calls))
	return mux
}
