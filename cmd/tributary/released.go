package main

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	pgcapture "github.com/tributary-cdc/tributary/capture/postgres"
	"github.com/tributary-cdc/tributary/cmd/hub/desk"
	"github.com/tributary-cdc/tributary/cmd/hub/joined"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/stream/event"
)

// leaving bounds the time to take away what a source has at its server, and to say so.
const leaving = 30 * time.Second

// released stops what the hub has taken from an agent. A source that was handed over is just
// read no more: what it has at its server is the next agent's. One that was retired loses its
// slot and its publication, or the SQL for them is told.
type released struct {
	joined string // the folder
	org    string
	log    *slog.Logger

	mu      sync.Mutex
	sources map[string]config.Source      // by id: those that aren't let go of yet
	stops   map[string]context.CancelFunc // of those that are read
	taken   map[string]bool               // by the hub
	retired map[string]bool
}

func newReleased(c *config.Agent, retired []config.Source, l *slog.Logger) *released {
	r := &released{joined: c.Joined, org: c.Org, log: l, sources: map[string]config.Source{}, stops: map[string]context.CancelFunc{}, taken: map[string]bool{}, retired: map[string]bool{}}
	for _, s := range c.Sources {
		r.sources[c.Org+"-"+s.Name] = s
	}
	for _, s := range retired {
		id := c.Org + "-" + s.Name
		r.sources[id], r.taken[id], r.retired[id] = s, true, true
	}
	return r
}

// reading notes how a source is stopped, before it is read; one that has been taken by then is
// stopped at once.
func (r *released) reading(id string, stop context.CancelFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken[id] {
		stop()
		return
	}
	r.stops[id] = stop
}

// heard is told what the hub has granted last.
func (r *released) heard(ctx context.Context, g *desk.Grants) {
	granted := map[string]*state.Assignment{}
	for i := range g.Sources {
		granted[g.Sources[i].Source] = &g.Sources[i]
	}
	var waiting []string
	r.mu.Lock()
	for id := range r.sources {
		a := granted[id]
		if a != nil && a.Retired == nil {
			continue
		}
		if a != nil && a.LetGo != nil && r.stops[id] == nil { // a person has brought the word to the hub
			delete(r.sources, id)
			continue
		}
		r.taken[id], r.retired[id] = true, a != nil
		if stop := r.stops[id]; stop != nil {
			r.log.Warn("the hub has taken the source from this agent; reading ends", "source", id, "retired", a != nil)
			stop()
			delete(r.stops, id)
		} else if a != nil {
			waiting = append(waiting, id)
		}
	}
	r.mu.Unlock()
	for _, id := range waiting {
		r.ended(ctx, id)
	}
}

// ended is told that a source is read no more. One that was retired is let go of; without the
// hub, or the server, the next answer of the hub tries again.
func (r *released) ended(ctx context.Context, id string) {
	r.mu.Lock()
	s, open := r.sources[id]
	retired := r.retired[id]
	r.mu.Unlock()
	if !open || !retired {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaving)
	defer cancel()
	remains, err := leave(ctx, r.org, s)
	if err == nil {
		err = r.tell(ctx, id, remains)
	}
	if err != nil {
		r.log.Warn("a retired source isn't let go of yet", "source", id, "err", err)
		return
	}
	if remains != "" {
		r.log.Warn("the user may not take away what the retired source has at its server: the DBA does", "source", id, "sql", remains)
	}
	r.log.Info("the retired source is let go of", "source", id)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sources, id)
}

// tell says at the hub that a source is let go of. The certificate may have been renewed.
func (r *released) tell(ctx context.Context, id, remains string) error {
	m, err := joined.Open(r.joined)
	if err != nil {
		return err
	}
	return m.Released(ctx, id, remains)
}

// leave takes away what a source has at its server, and gives the SQL for the rest. Only
// PostgreSQL keeps anything for its readers.
func leave(ctx context.Context, org string, s config.Source) (remains string, err error) {
	if event.Engine(s.Engine) != event.Postgres {
		return "", nil
	}
	password, err := s.Password()
	if err != nil {
		return "", err
	}
	room, err := pgcapture.NewRoom(postgresOptions(event.Source{ID: org + "-" + s.Name, Org: org, Engine: event.Postgres}, s, password))
	if err != nil {
		return "", err
	}
	left, err := room.Leave(ctx)
	if len(left) > 0 {
		remains = strings.Join(left, ";\n") + ";"
	}
	return remains, err
}
