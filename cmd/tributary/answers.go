package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// answers is what an agent or a worker says at its http address.
type answers struct {
	status func() report
	// ready says why the program isn't doing its work now; nil if it is, or if it
	// waits for a person.
	ready   func() error
	figures []prometheus.Collector
	// orders are what a person may want; nil for none.
	orders http.Handler
	// repairs takes the order to repair a gap; nil for none.
	repairs http.Handler
	// rests takes the orders to pause and to resume a source; nil for none.
	rests *pauses
}

// handler answers health checks, the status as JSON, metrics, and profiles.
func handler(a answers) http.Handler {
	reg := prometheus.NewRegistry() // one per process part, never the global one
	reg.MustRegister(a.figures...)
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile) // ?seconds=n
	mux.Handle("GET /debug/pprof/heap", pprof.Handler("heap"))
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /-/ready", func(w http.ResponseWriter, _ *http.Request) {
		if err := a.ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ok\n")
	})
	if a.orders != nil {
		mux.Handle("POST /api/sources/{source}/tables/{table}/{order}", a.orders)
		mux.Handle("POST /api/sources/{source}/verify", a.orders)
	}
	if a.repairs != nil {
		mux.Handle("POST /api/sources/{source}/gap/repair", a.repairs)
	}
	if a.rests != nil {
		mux.Handle("POST /api/sources/{source}/pause", a.rests.take(true))
		mux.Handle("POST /api/sources/{source}/resume", a.rests.take(false))
	}
	mux.HandleFunc("GET /api/status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"data": a.status()})
	})
	return mux
}
