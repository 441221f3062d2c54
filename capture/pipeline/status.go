package pipeline

import (
	"slices"
	"sync"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
)

// State is what a source is doing.
type State string

// The states.
const (
	Starting  State = "starting"
	Streaming State = "streaming"
	Repairing State = "repairing" // a gap is being closed: all tables are read again
	Retrying  State = "retrying"
	Paused    State = "paused" // a person wants it not to be read for now
	InGap     State = "gap"
	Fenced    State = "fenced"
	Failed    State = "failed"
	Stopped   State = "stopped"
)

// stopper is a reader whose durable state has tables that have stopped: it doesn't tell of
// them again.
type stopper interface {
	// Stops gives those with which reading has begun. It is called right after Start.
	Stops() []event.TableStop
}

// Status is a snapshot of a pipeline.
type Status struct {
	Source    string            `json:"source"`
	State     State             `json:"state"`
	Error     string            `json:"error,omitempty"`
	Code      string            `json:"code,omitempty"` // of the error, stable
	Hint      string            `json:"hint,omitempty"` // what to do about it, e.g. SQL
	Epoch     uint32            `json:"epoch"`
	Position  event.Position    `json:"position"`  // of the last commit in the log
	Committed time.Time         `json:"committed"` // its commit time at the source
	Logged    time.Time         `json:"logged"`    // when the log had it
	Txns      int64             `json:"transactions"`
	Rows      int64             `json:"rows"`
	Bytes     int64             `json:"bytes"` // before compression
	Stopped   []event.TableStop `json:"stopped_tables,omitempty"`
	// Gap is the gap that the source is in, or that is being repaired.
	Gap *Gap `json:"gap,omitempty"`
	// NeedsPerson says that the state doesn't get well by itself.
	NeedsPerson bool `json:"needs_person,omitempty"`
	// WholeSeconds says that Committed is a whole second of the source's clock.
	WholeSeconds bool `json:"whole_seconds,omitempty"`

	restart event.Place
}

// Reached gives the place up to which the log has the source, and the commit time of the
// last transaction before it; zero values while they aren't known.
func (s *Status) Reached() (event.Place, time.Time) { return s.restart, s.Committed }

// Gap is a loss of continuity: nothing proves what came between Last and To.
type Gap struct {
	Code   string         `json:"code"`
	Reason string         `json:"reason"`
	Last   event.Position `json:"last"`        // of the last transaction before it
	To     event.Place    `json:"to,omitzero"` // the oldest place that the server still has, if known
	Found  time.Time      `json:"found_at"`
}

// status guards a Status.
type status struct {
	mu  sync.Mutex
	cur Status
}

func (s *status) set(f func(*Status)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.cur)
}

// state notes a state and why, and tells whoever wants to know.
func (p *Pipeline) state(state State, err error) {
	p.status.set(func(c *Status) {
		c.State, c.Error = state, ""
		c.Code, c.Hint = capture.CodeOf(err)
		if err != nil {
			c.Error = err.Error()
		}
		c.NeedsPerson = state == InGap || state == Fenced || state == Failed ||
			state == Retrying && capture.ActionOf(err) == capture.AskOperator
	})
	p.opts.OnChange()
}

// Status returns a snapshot. It is safe to call at any time.
func (p *Pipeline) Status() Status {
	p.status.mu.Lock()
	defer p.status.mu.Unlock()
	c := p.status.cur
	if w, ok := p.opts.Reader.(capture.Waiter); ok && (c.State == Starting || c.State == Retrying) {
		if err := w.Waiting(); err != nil {
			c.State, c.Error, c.NeedsPerson = Starting, err.Error(), false
			c.Code, c.Hint = capture.CodeOf(err)
		}
	}
	c.Stopped = slices.Clone(c.Stopped)
	return c
}
