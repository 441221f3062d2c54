package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tributary-cdc/tributary/capture/pipeline"
	"github.com/tributary-cdc/tributary/cmd/hub/desk"
)

// pauses are the sources that a person doesn't want to be read for now. Orders of this machine
// stand in files of data_dir, so that they outlive the agent and need neither hub nor log; the
// hub's stand in the assignments that are kept, and count on while it is away. A source is read
// if neither holds it.
type pauses struct {
	dir     string
	guards  *guards
	loaders loaders
	log     *slog.Logger

	mu  sync.Mutex
	at  map[string]time.Time // since when by an order of this machine, by source
	hub map[string]time.Time // since when by the hub's
}

// paused is the answer to an order to pause or resume a source.
type paused struct {
	// At is since when the source is paused by an order of this machine; zero if it isn't.
	At time.Time `json:"paused_at,omitzero"`
	// HubAt is since when it is paused by the hub; zero if it isn't.
	HubAt time.Time `json:"hub_paused_at,omitzero"`
	// SafeUntil is when something of what isn't read will be lost, or given up by the fuse,
	// by what is known, SafeBy by which bound; zero and empty if no bound is known.
	SafeUntil time.Time `json:"safe_until,omitzero"`
	SafeBy    string    `json:"safe_by,omitempty"`
}

func newPauses(home *home, gs *guards, ls loaders, l *slog.Logger) *pauses {
	return &pauses{dir: filepath.Join(home.dir, "paused"), guards: gs, loaders: ls, log: l, at: map[string]time.Time{}, hub: map[string]time.Time{}}
}

func (p *pauses) file(source string) string { return filepath.Join(p.dir, source+".json") }

// recall says whether a source isn't to be read from the start: it was paused when the agent
// ended, or the hub wants that, since a moment that isn't zero then.
func (p *pauses) recall(source string, byHub time.Time) (bool, error) {
	if !byHub.IsZero() {
		p.mu.Lock()
		p.hub[source] = byHub
		p.mu.Unlock()
	}
	b, err := os.ReadFile(p.file(source))
	if errors.Is(err, os.ErrNotExist) {
		return !byHub.IsZero(), nil
	}
	var was paused
	if err == nil {
		err = json.Unmarshal(b, &was)
	}
	if err != nil {
		return false, fmt.Errorf("read whether %s is paused: %w", source, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at[source] = was.At
	return true, nil
}

// heard is told what the hub has granted last. Of a source that has stopped it takes no order:
// the next start has it from what was granted.
func (p *pauses) heard(g *desk.Grants) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range g.Sources {
		a := &g.Sources[i]
		l, ok := p.loaders[a.Source]
		at := time.Time{}
		if a.Paused != nil {
			at = *a.Paused
		}
		if !ok || a.Retired != nil || at.Equal(p.hub[a.Source]) {
			continue
		}
		p.hub[a.Source] = at
		if err := p.obey(a.Source, l); err != nil {
			p.log.Warn("an order of the hub to pause or resume", "source", a.Source, "err", err)
			continue
		}
		p.log.Info("an order of the hub to pause or resume", "source", a.Source, "paused", a.Paused != nil)
	}
}

// obey has a source rest if anybody wants that, and go on if nobody does.
func (p *pauses) obey(source string, l loading) error {
	if p.at[source].IsZero() && p.hub[source].IsZero() {
		return l.pipe.Resume()
	}
	return l.pipe.Pause()
}

// set takes an order of this machine. It is durable before it counts.
func (p *pauses) set(source string, l loading, on bool) (paused, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if state := l.pipe.Status(); state.State == pipeline.Failed || state.State == pipeline.Fenced || state.State == pipeline.Stopped {
		return paused{}, fmt.Errorf("%w: %s", pipeline.ErrNotRunning, state.Error)
	}
	at := p.at[source]
	if on && at.IsZero() {
		at = time.Now().UTC().Truncate(time.Second)
		if err := p.keep(source, at); err != nil {
			return paused{}, err
		}
		p.at[source] = at
	}
	if !on {
		if err := os.Remove(p.file(source)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return paused{}, err
		}
		if err := syncFolder(p.dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			return paused{}, err
		}
		delete(p.at, source)
	}
	if err := p.obey(source, l); err != nil || p.at[source].IsZero() && p.hub[source].IsZero() {
		return paused{}, err
	}
	return p.safe(source), nil
}

// keep writes a source's file. It is durable, whole or not there.
func (p *pauses) keep(source string, at time.Time) error {
	b, err := json.Marshal(paused{At: at})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(p.dir, "new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), p.file(source))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return errors.Join(syncFolder(p.dir), syncFolder(filepath.Dir(p.dir)))
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// safe says until when a source may rest, by what its guard saw last.
func (p *pauses) safe(source string) paused {
	out := paused{At: p.at[source], HubAt: p.hub[source]}
	if g := p.guards.of[source]; g != nil {
		s := g.Status()
		out.SafeUntil, out.SafeBy = s.Safe.UTC().Truncate(time.Second), s.SafeBy
		if s.Safe.IsZero() {
			out.SafeUntil = time.Time{}
		}
	}
	return out
}

// over says of paused sources since when by whose order, and until when that is safe.
func (p *pauses) over(all []pipeline.Status) []pipeline.Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range all {
		s := &all[i]
		safe := p.safe(s.Source)
		if s.State != pipeline.Paused || safe.At.IsZero() && safe.HubAt.IsZero() {
			continue
		}
		switch {
		case safe.HubAt.IsZero():
			s.Code, s.Error = "SOURCE_PAUSED", "paused at "+moment(safe.At)
		case safe.At.IsZero():
			s.Code, s.Error = "SOURCE_PAUSED_BY_HUB", "paused by the hub at "+moment(safe.HubAt)
		default:
			s.Code, s.Error = "SOURCE_PAUSED_BY_HUB", "paused at "+moment(safe.At)+" on its agent's machine, and by the hub at "+moment(safe.HubAt)
		}
		if !safe.SafeUntil.IsZero() {
			s.Error += fmt.Sprintf("; safe until %s, then %s", moment(safe.SafeUntil), safe.SafeBy)
		}
	}
	return all
}

func moment(t time.Time) string { return t.Local().Format("2006-01-02 15:04 -07:00") }

// take takes orders to pause, or to resume: POST /api/sources/{source}/pause, or resume. Only
// programs of this machine may give one.
func (p *pauses) take(on bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l, ok := p.loaders.ordered(w, r)
		if !ok {
			return
		}
		got, err := p.set(r.PathValue("source"), l, on)
		switch {
		case errors.Is(err, pipeline.ErrNotRunning):
			refuse(w, http.StatusConflict, trouble{Code: "SOURCE_STOPPED", Message: err.Error()})
		case err != nil:
			refuse(w, http.StatusInternalServerError, trouble{Code: "DATA_DIR_WRITE", Message: err.Error()})
		default:
			accept(w, got)
		}
	})
}

// restCommands are `tributary source pause` and `resume`.
func restCommands(usage catalogue) []*cobra.Command {
	var out []*cobra.Command
	for _, order := range []struct{ name, short, long string }{{"pause", usage.sourcePause, usage.sourcePauseLong}, {"resume", usage.sourceResume, ""}} {
		c := &cobra.Command{Use: order.name + " SOURCE", Short: order.short, Long: order.long, Args: usage.takes("SOURCE"),
			Example: fmt.Sprintf("tributary source %[1]s 330106-xueji\ntributary source %[1]s 330108-renshi --agent http://127.0.0.1:8071", order.name)}
		agent := c.Flags().String("agent", "http://127.0.0.1:8061", usage.tableAgent)
		c.RunE = func(c *cobra.Command, args []string) error {
			if err := usage.address(c, "--agent", *agent); err != nil {
				return err
			}
			var got paused
			if err := post(c.Context(), *agent, []string{"api/sources", args[0], order.name}, nil, &got); err != nil {
				return err
			}
			_, err := fmt.Fprintln(c.OutOrStdout(), got.words(usage))
			return err
		}
		out = append(out, c)
	}
	return out
}

// words say what an order to pause or resume has led to.
func (p paused) words(say catalogue) string {
	switch {
	case p.At.IsZero() && p.HubAt.IsZero():
		return say.sourceResumed
	case p.At.IsZero():
		return fmt.Sprintf(say.sourceHeld, moment(p.HubAt))
	case p.SafeUntil.IsZero():
		return say.sourcePaused
	case p.SafeBy == "fuse.age" || p.SafeBy == "fuse.size":
		return fmt.Sprintf(say.sourceSafeFuse, moment(p.SafeUntil), p.SafeBy)
	}
	return fmt.Sprintf(say.sourceSafe, moment(p.SafeUntil), p.SafeBy)
}
