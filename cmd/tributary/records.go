package main

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tributary-cdc/tributary/capture/pipeline"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/status"
)

// records writes what an agent or a worker says to its orgs' status topics.
type records struct {
	client *kafka.Client
	writer *status.Writer
}

// statusTopic is where an org's records stand.
func statusTopic(org string) log.Partition { return log.Partition{Topic: kafka.Status(org)} }

// newRecords connects for itself, so that data never waits behind a record.
func newRecords(l config.Log, now func() []status.Record, logger *slog.Logger) (*records, error) {
	client, err := newClient(l, "tributary-status")
	if err != nil {
		return nil, err
	}
	w, err := status.NewWriter(status.WriterOptions{Log: client, Topic: statusTopic, Now: now, Logger: logger})
	return &records{client: client, writer: w}, err
}

// close ends the connections, once nothing is written any more.
func (r *records) close() { r.client.Close() }

// metrics counts the records that the log didn't take.
func (r *records) metrics() collector {
	return func(out chan<- prometheus.Metric) { counter(out, statusFailures, r.writer.Failed()) }
}

// times holds how long transactions took in the last minute, per source.
type times struct {
	mu sync.Mutex
	of map[string]*stages
}

// stages are the stages that one program sees the end of.
type stages struct{ sourceLog, logStore, sourceStore status.Window }

func newTimes() *times { return &times{of: map[string]*stages{}} }

func (t *times) source(id string) *stages {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.of[id]
	if s == nil {
		s = &stages{}
		t.of[id] = s
	}
	return s
}

// logged is told of each transaction of a source that came into the log.
func (t *times) logged(source string) func(committed, logged time.Time) {
	s := t.source(source)
	return func(committed, logged time.Time) { s.sourceLog.Add(logged, logged.Sub(committed)) }
}

// applied is told of each transaction that came into the store.
func (t *times) applied(a worker.Applied) {
	s := t.source(a.Source)
	s.logStore.Add(a.At, a.At.Sub(a.Logged))
	s.sourceStore.Add(a.At, a.At.Sub(a.Committed))
}

func (t *times) lag(source string) status.Lag {
	s, now := t.source(source), time.Now()
	return status.Lag{SourceLog: s.sourceLog.Figures(now), LogStore: s.logStore.Figures(now), SourceStore: s.sourceStore.Figures(now)}
}

// agentRecords are an agent's records: one per source.
func agentRecords(c *config.Agent, sources []pipeline.Status, t *times) []status.Record {
	servers := map[string]string{}
	for i := range c.Sources {
		servers[c.Org+"-"+c.Sources[i].Name] = c.Sources[i].Address()
	}
	out := make([]status.Record, 0, len(sources))
	for _, s := range sources {
		r := status.Record{Kind: status.OfSource, Org: c.Org, Source: s.Source, Server: servers[s.Source], Program: c.Name, Version: version,
			State: string(s.State), Code: s.Code, Error: s.Error, Hint: s.Hint, NeedsPerson: s.NeedsPerson,
			Position: s.Position, Committed: s.Committed, Logged: s.Logged, Txns: s.Txns, Rows: s.Rows, Bytes: s.Bytes,
			Lag: t.lag(s.Source), WholeSeconds: s.WholeSeconds}
		for _, stop := range s.Stopped {
			r.Stopped = append(r.Stopped, status.Table{Table: stop.Table, Code: stop.Code, Reason: stop.Reason})
		}
		out = append(out, r)
	}
	return out
}

// workerSays gives a worker's records: one per org, and one per source of the
// partitions that are this worker's. It belongs to the writer's goroutine.
type workerSays struct {
	config *config.Worker
	worker *worker.Worker
	times  *times
	topics *topicCheck
	last   []status.Record
}

// records gives them as of now. Once the work has ended they are the last ones, with
// that state: the partitions are somebody else's then, or nobody's.
func (w *workerSays) records(ended context.Context) []status.Record {
	if ended.Err() != nil {
		out := slices.Clone(w.last)
		for i := range out {
			out[i].State, out[i].Error, out[i].Lag = "stopped", "", status.Lag{}
		}
		return out
	}
	parts := w.worker.Partitions()
	org, held := map[string]string{}, map[string]worker.PartitionStatus{}
	var out []status.Record
	for _, o := range w.config.Orgs {
		org[kafka.Changes(o)] = o
		r := w.record(status.OfWorker, o)
		r.State = "waiting"
		for _, p := range parts {
			if p.Partition.Topic == kafka.Changes(o) && (r.State == "waiting" || p.State != worker.Applying) {
				r.State, r.Error, r.Code, r.NeedsPerson = string(p.State), p.Error, p.Code, p.State == worker.Failed
			}
		}
		if err := w.topics.of(o); err != nil && r.Error == "" {
			r.Error, r.Code, r.NeedsPerson = err.Error(), log.CodeOf(err), true
		}
		out = append(out, r)
	}
	for _, p := range parts {
		held[p.Partition.String()] = p
	}
	for _, s := range applied(w.worker) {
		p, ours := held[s.Partition]
		if !ours {
			continue
		}
		r := w.record(status.OfStore, org[p.Partition.Topic])
		r.Source, r.State, r.Error, r.Code, r.NeedsPerson = s.Source, string(p.State), p.Error, p.Code, p.State == worker.Failed
		for i := range s.Halts {
			h := &s.Halts[i]
			r.Stopped = append(r.Stopped, status.Table{Table: h.Table, Code: h.Code(), Reason: counted("%s; %d {row|rows} held; %s", h.Error, h.Rows, h.Remedy())})
		}
		if len(s.Unequal) > 0 && r.Code == "" {
			r.Code, r.Error, r.NeedsPerson = worker.TablesUnequal, strings.Join(s.Unequal, ", "), true
		}
		if s.Gap != "" {
			r.State, r.Code, r.Error, r.NeedsPerson = "gap", s.Gap, s.GapReason, true
		}
		if s.Repairing {
			r.State, r.NeedsPerson = "repairing", false
		}
		r.Position, r.Committed, r.Logged, r.Applied = s.Applied, s.Committed, s.Logged, s.At
		r.Txns, r.Rows, r.Skipped, r.WholeSeconds, r.Lag = s.Txns, s.Rows, s.Skipped, s.WholeSeconds, w.times.lag(s.Source)
		out = append(out, r)
	}
	w.last = out
	return out
}

func (w *workerSays) record(kind status.Kind, org string) status.Record {
	return status.Record{Kind: kind, Org: org, Store: w.config.Store.Name, Program: w.config.Name, Version: version}
}
