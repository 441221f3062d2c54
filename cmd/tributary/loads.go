package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tributary-cdc/tributary/capture/pipeline"
	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/stream/status"
)

// loaders are an agent's sources by id, whose tables can be loaded.
type loaders map[string]loading

// loading is a source's loader with the pipeline that brings its work into the log.
type loading struct {
	*snapshot.Loader
	pipe *pipeline.Pipeline
}

// progress gives the loads of each source that has any.
func (ls loaders) progress() map[string][]snapshot.Progress {
	out := map[string][]snapshot.Progress{}
	for id, l := range ls {
		if p := l.Progress(); len(p) > 0 {
			out[id] = p
		}
	}
	return out
}

// added gives the tables that each source has beside those of its patterns.
func (ls loaders) added() map[string][]string {
	out := map[string][]string{}
	for id, l := range ls {
		if tables := l.Added(); len(tables) > 0 {
			out[id] = tables
		}
	}
	return out
}

// records adds what the loads of its source are doing to each record.
func (ls loaders) records(all []status.Record) []status.Record {
	for i := range all {
		l, ok := ls[all[i].Source]
		if !ok {
			continue
		}
		all[i].Added = l.Added()
		for _, p := range l.Progress() {
			if p.Phase == snapshot.Loaded || p.Phase == snapshot.Verified {
				continue
			}
			all[i].Loads = append(all[i].Loads, status.Load{Table: p.Table, Part: p.Part, Phase: string(p.Phase), Rows: p.Rows, Estimate: p.Estimate,
				Speed: p.Speed, Left: p.Left, Resumes: p.Resumes, Error: p.Error})
		}
	}
	return all
}

// durableWithin is how long an order waits for its place in the log before it says that
// it has none yet.
const durableWithin = 10 * time.Second

// durable waits until the log has the last order about a table's load, so that it
// outlives this program, and reports whether it has.
func (l loading) durable(ctx context.Context, table string) bool {
	ctx, cancel := context.WithTimeout(ctx, durableWithin)
	defer cancel()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		if at, ok := l.Logged(table); ok && l.pipe.Status().Position.Compare(at) >= 0 {
			return true
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return false
		}
	}
}

// loadMetrics gives the figures of loads.
func loadMetrics(progress func() map[string][]snapshot.Progress) prometheus.Collector {
	return collector(func(out chan<- prometheus.Metric) {
		for source, loads := range progress() {
			var rows, estimate, rest int64
			var speed float64
			phases := map[snapshot.Phase]int{}
			for _, p := range loads {
				rows += p.Rows
				phases[p.Phase]++
				if p.Phase != snapshot.Loading && p.Phase != snapshot.Verifying && p.Phase != snapshot.Queued && p.Phase != snapshot.Waiting {
					continue
				}
				speed += p.Speed
				if p.Estimate > 0 {
					estimate += p.Estimate
					rest += max(0, p.Estimate-p.Rows)
				}
			}
			counter(out, loadRows, rows, source)
			gauge(out, loadEstimate, float64(estimate), source)
			gauge(out, loadSpeed, speed, source)
			if speed > 0 && rest > 0 {
				gauge(out, loadLeft, float64(rest)/speed, source)
			}
			for phase, n := range phases {
				gauge(out, loadTables, float64(n), source, string(phase))
			}
		}
	})
}

// loadText says how far a load is.
func loadText(say catalogue, p snapshot.Progress) string {
	table := p.Table
	if p.Part != "" {
		table += " [" + p.Part + "]"
	}
	what := say.fieldLoad
	if p.Verify != "" {
		what = say.fieldVerify
	}
	parts := []string{fmt.Sprintf(what, table)}
	if p.Estimate >= 0 {
		parts = append(parts, counted(say.loadEstimate, p.Estimate))
	}
	if p.Speed > 0 {
		parts = append(parts, counted(say.loadSpeed, p.Speed))
	}
	if p.Left > 0 {
		parts = append(parts, fmt.Sprintf(say.loadLeft, (time.Duration(p.Left)*time.Second).String()))
	}
	if !p.Resumes.IsZero() {
		parts = append(parts, fmt.Sprintf(say.loadResumes, p.Resumes.Local().Format("2006-01-02 15:04 -07:00")))
	}
	if p.Error != "" {
		parts = append(parts, p.Error)
	}
	return strings.Join(parts, "; ")
}
