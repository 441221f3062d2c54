package watch

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/tributary-cdc/tributary/stream/status"
)

// Face is how a source looks to somebody who asks what happened: what isn't in it changes all
// the time and is no event.
type Face struct {
	Source, Org, Path string
	// State is the source's own and that of its stores, the worst; Code and Detail are the
	// program's own words for it.
	State, Code, Detail string
	// Epoch rises when continuity wasn't proved; 0 while nothing is in the log.
	Epoch uint32
	// Program and Version are the agent's, empty if none has reported.
	Program, Version string
	// Stopped are the tables that have stopped, with the code.
	Stopped map[string]string
	// Restarted says that the agent has counted anew since the face before.
	Restarted bool
}

// same reports whether nothing has happened from one face to the next.
func (f *Face) same(g *Face) bool {
	return f.State == g.State && f.Code == g.Code && f.Epoch == g.Epoch && f.Program == g.Program && f.Version == g.Version && !f.Restarted && maps.Equal(f.Stopped, g.Stopped)
}

// Chronicle is where it is kept what happened: a state.State.
type Chronicle interface {
	// KeepFaces notes what has changed since the faces that it knows, which may be another
	// hub's.
	KeepFaces(ctx context.Context, faces []Face) error
}

// ChroniclerOptions says what a Chronicler works with. Chronicle and Watch are required.
type ChroniclerOptions struct {
	Chronicle Chronicle
	Watch     func() *Snapshot
	// Every is the pause between two looks. Default 5s. What doesn't hold for two is no event.
	Every  time.Duration
	Logger *slog.Logger
}

// Chronicler has noted what happens to sources.
type Chronicler struct {
	o         ChroniclerOptions
	told      map[string]*Face
	pending   map[string]*Face
	txns      map[string]int64
	restarted map[string]bool
	looked    time.Time
}

// NewChronicler checks the options. It starts nothing.
func NewChronicler(o ChroniclerOptions) (*Chronicler, error) {
	if o.Chronicle == nil || o.Watch == nil {
		return nil, errors.New("chronicler options: Chronicle and Watch must be set")
	}
	if o.Every == 0 {
		o.Every = 5 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Chronicler{o: o, told: map[string]*Face{}, pending: map[string]*Face{}, txns: map[string]int64{}, restarted: map[string]bool{}}, nil
}

// Run looks until ctx ends.
func (c *Chronicler) Run(ctx context.Context) {
	Repeat(ctx, c.o.Every, c.o.Logger, "time line", c.Look)
}

// maxFaces bounds those that are told at once.
const maxFaces = 2000

// Look has noted the faces that have changed and held for two looks. Before all states have
// been read nothing is known.
func (c *Chronicler) Look(ctx context.Context) error {
	s := c.o.Watch()
	if !s.Ready || s.At == c.looked {
		return nil
	}
	c.looked = s.At
	var changed []Face
	for _, x := range s.Sources {
		f := c.face(x)
		switch last := c.pending[x.ID]; {
		case c.told[x.ID] != nil && f.same(c.told[x.ID]):
			delete(c.pending, x.ID)
		case last == nil || !f.same(last) && !(f.Restarted && last.Restarted):
			c.pending[x.ID] = f
		case len(changed) < maxFaces:
			changed = append(changed, *f)
		}
	}
	for _, known := range []map[string]*Face{c.told, c.pending} {
		maps.DeleteFunc(known, func(id string, _ *Face) bool { return s.sources[id] == nil })
	}
	maps.DeleteFunc(c.txns, func(id string, _ int64) bool { return s.sources[id] == nil })
	if len(changed) == 0 {
		return nil
	}
	if err := c.o.Chronicle.KeepFaces(ctx, changed); err != nil {
		return err
	}
	for _, f := range changed {
		f.Restarted = false
		c.told[f.Source] = &f
		delete(c.pending, f.Source)
		delete(c.restarted, f.Source)
	}
	return nil
}

// face gives how a source looks now.
func (c *Chronicler) face(x *Source) *Face {
	f := &Face{Source: x.ID, Org: x.Org.Code, Path: x.Org.Path, State: x.State}
	if r := x.Log; r != nil {
		f.Epoch, f.Program, f.Version = r.Position.Epoch, r.Program, r.Version
		if x.LogTone > Good {
			f.Code, f.Detail = r.Code, r.Error
		}
		if txns, ok := c.txns[x.ID]; ok && r.Txns < txns {
			c.restarted[x.ID] = true
		}
		c.txns[x.ID] = r.Txns
		f.stop(r.Stopped)
	}
	for i := range x.Flows {
		r := x.Flows[i].Record
		if r == nil {
			continue
		}
		if x.Flows[i].Tone > Good && f.Code == "" && f.Detail == "" {
			f.Code, f.Detail = r.Code, r.Error
		}
		f.stop(r.Stopped)
	}
	f.Restarted = c.restarted[x.ID]
	return f
}

// stop notes stopped tables; what was said of one first counts.
func (f *Face) stop(tables []status.Table) {
	for _, t := range tables {
		if f.Stopped == nil {
			f.Stopped = map[string]string{}
		}
		if _, ok := f.Stopped[t.Table]; !ok {
			f.Stopped[t.Table] = t.Code
		}
	}
}

// Tables gives the names of the stopped tables in order.
func (f *Face) Tables() []string { return slices.Sorted(maps.Keys(f.Stopped)) }
