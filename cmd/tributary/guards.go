package main

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/guard"
	mysqlcapture "github.com/tributary-cdc/tributary/capture/mysql"
	"github.com/tributary-cdc/tributary/capture/pipeline"
	pgcapture "github.com/tributary-cdc/tributary/capture/postgres"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/status"
)

// guards watch what the servers of an agent's sources keep of their logs, by source. They
// need neither the log nor the pipelines.
type guards struct {
	of    map[string]*guard.Guard
	stops map[string]context.CancelFunc
	group sync.WaitGroup
}

// newGuard makes a source's. Its pipeline, which comes later, tells up to where it was read.
func newGuard(o guard.Options, src event.Source, s config.Source, password string) (*guard.Guard, error) {
	o.Source = src.ID
	o.Fuse = guard.Fuse{Size: int64(s.Fuse.Size), Age: s.Fuse.Age}
	o.WarnLeft, o.WarnHeld = s.Warn.Left, int64(s.Warn.Held)
	var err error
	if src.Engine == event.Postgres {
		o.Server, err = pgcapture.NewRoom(postgresOptions(src, s, password))
	} else {
		o.Server, err = mysqlcapture.NewRoom(mysqlOptions(src, s, password))
	}
	if err != nil {
		return nil, err
	}
	return guard.New(o)
}

// guardFile is where a source's guard remembers over restarts.
func guardFile(home *home, source string) string {
	return filepath.Join(home.dir, "guard", source+".json")
}

// run starts all of them; each ends with ctx, or by stop.
func (gs *guards) run(ctx context.Context) {
	for id, g := range gs.of {
		ctx, cancel := context.WithCancel(ctx)
		gs.stops[id] = cancel
		gs.group.Go(func() { g.Run(ctx) })
	}
}

// ended is told how a source's pipeline has ended. A source that another agent has taken
// is that one's to guard. Any other is looked at once more: an agent without sources ends.
func (gs *guards) ended(ctx context.Context, source string, err error) {
	switch {
	case err == nil:
	case capture.ActionOf(err) == capture.StayDown:
		gs.stops[source]()
	default:
		gs.of[source].Look(ctx)
	}
}

// over tells that a fuse has blown where the pipeline can't know it yet, because the log
// or the source doesn't answer.
func (gs *guards) over(all []pipeline.Status) []pipeline.Status {
	for i := range all {
		s := &all[i]
		g := gs.of[s.Source]
		if g == nil || s.State != pipeline.Retrying && s.State != pipeline.Starting && s.State != pipeline.Paused {
			continue
		}
		gap := g.Blown()
		if gap == nil {
			continue
		}
		gap.From = s.Position
		text := gap.Error()
		if s.Error != "" {
			text += "; the log doesn't have the gap yet: " + s.Error
		}
		s.State, s.Error, s.NeedsPerson = pipeline.InGap, text, true
		s.Code, s.Hint = capture.CodeOf(gap)
	}
	return all
}

// rooms gives what the guards have seen, by source.
func (gs *guards) rooms() map[string]guard.Status {
	out := map[string]guard.Status{}
	for id, g := range gs.of {
		if s := g.Status(); !s.Looked.IsZero() {
			out[id] = s
		}
	}
	return out
}

// records adds what the guards say to each record.
func (gs *guards) records(all []status.Record) []status.Record {
	rooms := gs.rooms()
	for i := range all {
		r := &all[i]
		room := rooms[r.Source]
		r.LogLeft, r.LogLeftBy, r.LogHeld = room.Left, room.LeftBy, room.Held
		for _, w := range room.Warnings {
			r.Warnings = append(r.Warnings, status.Warning{Code: w.Code, Text: w.Text, Hint: w.Hint})
		}
	}
	return all
}

// metrics are the figures of what the guards have seen.
func (gs *guards) metrics() collector {
	return func(out chan<- prometheus.Metric) {
		for id, s := range gs.rooms() {
			if s.Left != nil {
				gauge(out, roomLeft, *s.Left, id)
			}
			if !s.Safe.IsZero() {
				gauge(out, roomSafe, float64(s.Safe.UnixMilli())/1000, id)
			}
			gauge(out, roomHeld, float64(s.Held), id)
			gauge(out, roomBehind, float64(s.Behind), id)
			gauge(out, roomLooked, float64(s.Looked.UnixMilli())/1000, id)
			for _, w := range s.Warnings {
				gauge(out, roomWarn, 1, id, w.Code)
			}
		}
	}
}

// reached tells a guard up to where its source was read, once there is a pipeline.
func reached(pipe func() *pipeline.Pipeline) func() (event.Place, time.Time) {
	return func() (event.Place, time.Time) {
		p := pipe()
		if p == nil {
			return event.Place{}, time.Time{}
		}
		s := p.Status()
		return s.Reached()
	}
}

// server is what a reader of a source's log knows of where it reads: that changes with its
// start only.
type server interface{ Server() string }

// end tells a pipeline where its source's log ended at a moment, if the server that was asked
// is the one that is read.
func (gs *guards) end(source string, under server) func() (event.Place, time.Time) {
	return func() (event.Place, time.Time) {
		e := gs.of[source].End()
		if e.Before.IsZero() || e.Server != under.Server() {
			return event.Place{}, time.Time{}
		}
		return e.Place, e.Before
	}
}

// explained gives a found gap the reason that the source's guard knows.
func (gs *guards) explained(source string) func(*capture.GapError) *capture.GapError {
	return func(gap *capture.GapError) *capture.GapError { return gs.of[source].Explain(gap) }
}
