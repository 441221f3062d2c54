// Package watch puts together how the whole tree is doing: what agents and workers say of
// each source, what the stores have, and what is registered. It decides what is well, what
// is late and what is complete up to when; it knows no HTTP and no SQL.
package watch

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/stream/status"
)

// Board is what programs say: a status.Board.
type Board interface {
	// Newest gives the newest records, which nobody may change.
	Newest() []*status.Record
	Readings() []status.Reading
}

// Viewer is what is read of a store. Calls block until the store answers or ctx ends.
type Viewer interface {
	Complete(ctx context.Context) ([]postgres.Complete, error)
	Troubles(ctx context.Context) ([]postgres.Trouble, error)
}

// Store is a store under the name that status records give it.
type Store struct {
	Name   string
	Viewer Viewer
	// Orgs are those of which, with all below them, sources come into the store; empty for all.
	Orgs []string
}

// Register is the tree and what is registered in it: the hub's state.
type Register interface {
	Orgs(ctx context.Context, scopes []string) ([]catalog.Org, error)
	Registered(ctx context.Context) ([]catalog.Registered, error)
}

// Options says what is watched. Board and Register are required.
type Options struct {
	Board    Board
	Register Register
	Stores   []Store
	// Every is the pause between two looks at the board, AskEvery that between two questions
	// to the stores and the register. Default 2s, as often as programs write, and 5s.
	Every, AskEvery time.Duration
	// Late is the lag beyond which a source isn't well. Default 1 min.
	Late time.Duration
	// Promised is the lag by dataset beyond which one of its sources isn't well. Default Late.
	Promised map[string]time.Duration
	// Unheard is how long after its approval a source may say nothing at all. Default 24h.
	Unheard time.Duration
	// OnOrg is called for each org with registered sources, again and again, so that its
	// states are followed. It must not block. Default nothing.
	OnOrg func(org string)
	// Now is the clock. Default time.Now.
	Now    func() time.Time
	Logger *slog.Logger
}

// Watch looks again and again.
type Watch struct {
	o    Options
	last atomic.Pointer[Snapshot]
	made *memory
}

// New checks the options. It starts nothing.
func New(o Options) (*Watch, error) {
	if o.Board == nil || o.Register == nil {
		return nil, errors.New("watch options: Board and Register must be set")
	}
	for _, d := range []struct {
		v     *time.Duration
		usual time.Duration
	}{{&o.Every, 2 * time.Second}, {&o.AskEvery, 5 * time.Second}, {&o.Late, time.Minute}, {&o.Unheard, 24 * time.Hour}} {
		if *d.v == 0 {
			*d.v = d.usual
		}
		if *d.v < 0 {
			return nil, errors.New("watch options: Every, AskEvery, Late and Unheard must not be below 0")
		}
	}
	if o.OnOrg == nil {
		o.OnOrg = func(string) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	w := &Watch{o: o, made: newMemory(len(o.Stores))}
	w.last.Store(&Snapshot{orgs: map[string]*Org{}, sources: map[string]*Source{}, known: &known{}})
	return w, nil
}

// Run looks until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	tick := time.NewTicker(w.o.Every)
	defer tick.Stop()
	var asked time.Time
	for {
		if time.Since(asked) >= w.o.AskEvery {
			w.Ask(ctx)
			asked = time.Now()
		}
		w.Look()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Snapshot gives what the last look has shown. It never changes.
func (w *Watch) Snapshot() *Snapshot { return w.last.Load() }

// patient bounds a question to a store or the register.
const patient = 5 * time.Second

// Ask asks the register and the stores. What doesn't answer stays as it was.
func (w *Watch) Ask(ctx context.Context) {
	ask := func(what string, wrong *error, f func(context.Context) error) {
		ctx, cancel := context.WithTimeout(ctx, patient)
		defer cancel()
		err := f(ctx)
		if ctx.Err() == nil && (err == nil) != (*wrong == nil) {
			w.o.Logger.Info("watch", "what", what, "err", err)
		}
		*wrong = err
	}
	m := w.made
	m.asked = true
	ask("register", &m.registerErr, func(ctx context.Context) error {
		orgs, err := w.o.Register.Orgs(ctx, []string{""})
		if err != nil {
			return err
		}
		feeds, err := w.o.Register.Registered(ctx)
		if err == nil {
			m.orgs, m.feeds = orgs, feeds
		}
		return err
	})
	for i, s := range w.o.Stores {
		k := &m.stores[i]
		ask("store "+s.Name, &k.err, func(ctx context.Context) error {
			complete, err := s.Viewer.Complete(ctx)
			troubles, terr := s.Viewer.Troubles(ctx)
			err = errors.Join(err, terr)
			if unshown := errors.Is(err, postgres.ErrNotShown); unshown != k.unshown {
				k.unshown = unshown
				w.o.Logger.Warn("a store doesn't show up to when it is complete: it needs a worker of this version, and the hub's user SELECT", "store", s.Name, "err", err)
			}
			if k.unshown { // the store itself is there
				err, complete, troubles = nil, nil, nil
			}
			if err == nil {
				k.complete, k.troubles = complete, troubles
			}
			return err
		})
	}
	w.tellStrange()
	m.known = w.arrange()
	told := map[string]bool{}
	for i := range m.feeds {
		if org := m.feeds[i].Org; !told[org] {
			told[org] = true
			w.o.OnOrg(org)
		}
	}
}

// tellStrange warns of orgs of stores that the tree doesn't have, whenever they are others than
// before: a slip of the pen there would have nothing be expected in the store.
func (w *Watch) tellStrange() {
	m := w.made
	if m.registerErr != nil {
		return
	}
	for i, s := range w.o.Stores {
		var strange []string
		for _, code := range s.Orgs {
			if !slices.ContainsFunc(m.orgs, func(o catalog.Org) bool { return o.Code == code }) {
				strange = append(strange, code)
			}
		}
		k := &m.stores[i]
		if len(strange) > 0 && !slices.Equal(strange, k.strange) {
			w.o.Logger.Warn("the tree of orgs doesn't have orgs of a store: no source is expected of them in it", "store", s.Name, "orgs", strange)
		}
		k.strange = strange
	}
}

// Look makes a new snapshot.
func (w *Watch) Look() { w.last.Store(w.snapshot()) }
