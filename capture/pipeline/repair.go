package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tributary-cdc/tributary/capture"
)

// Errors of an order to repair.
var (
	// ErrNoGap: the source goes on without a gap.
	ErrNoGap = errors.New("the source is in no gap")
	// ErrRepairing: a gap of the source is being repaired already.
	ErrRepairing = errors.New("a gap is being repaired already")
	// ErrNotRunning: the source has stopped for another reason, which a repair doesn't mend.
	ErrNotRunning = errors.New("the source has stopped for another reason")
)

// repairer is what a reader may be besides: one that knows whether a repair goes on.
type repairer interface{ Repairing() bool }

// repair is a person's order to repair a gap, until the log has it, and one not to read.
type repair struct {
	mu        sync.Mutex
	order     bool
	paused    bool
	interrupt context.CancelFunc // of the session that goes on
	wake      chan struct{}      // capacity 1
}

// wanted reports whether there is an order that the log doesn't have.
func (r *repair) wanted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.order
}

func (r *repair) logged() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.order = false
}

// session gives a context that an order ends; end must be called.
func (r *repair) session(ctx context.Context) (session context.Context, end func()) {
	session, cancel := context.WithCancel(ctx)
	r.mu.Lock()
	if r.interrupt = cancel; r.paused { // since it was looked at
		cancel()
	}
	r.mu.Unlock()
	return session, func() {
		r.mu.Lock()
		r.interrupt = nil
		r.mu.Unlock()
		cancel()
	}
}

// await waits for an order, and reports false if ctx ended first.
func (r *repair) await(ctx context.Context) bool {
	for !r.wanted() {
		select {
		case <-ctx.Done():
			return false
		case <-r.wake:
		}
	}
	return true
}

// Repair orders that the source begin anew at its present end, and that all tables be read
// again. Without a gap of its own the source refuses, unless stores says that a store is in
// one. It returns at once: see RepairLogged. The order is lost if the program ends before
// the log has it; the source is in its gap then as before.
func (p *Pipeline) Repair(stores bool) error {
	r, s := &p.repair, p.Status()
	r.mu.Lock()
	defer r.mu.Unlock()
	going, ok := p.opts.Reader.(repairer)
	switch {
	case r.order, s.State != InGap && ok && going.Repairing():
		return ErrRepairing
	case s.State == Fenced || s.State == Failed || s.State == Stopped:
		return fmt.Errorf("%w: %s [%s]", ErrNotRunning, s.Error, s.Code)
	case s.State != InGap && !stores:
		return ErrNoGap
	}
	r.order = true
	if r.interrupt != nil {
		r.interrupt()
	}
	r.signal()
	return nil
}

// RepairLogged reports whether the log has the order that was given last, so that it
// outlives the program.
func (p *Pipeline) RepairLogged() bool { return !p.repair.wanted() }

// flowing is the state of a source that is being read.
func (p *Pipeline) flowing() State {
	if r, ok := p.opts.Reader.(repairer); ok && r.Repairing() {
		return Repairing
	}
	return Streaming
}

// inGap shows the gap with its bounds.
func (p *Pipeline) inGap(err error) {
	gap := (*capture.GapError)(nil)
	if errors.As(err, &gap) {
		p.status.set(func(s *Status) {
			s.Gap = &Gap{Code: gap.Code, Reason: gap.Reason, Last: gap.From, To: gap.To, Found: gap.Found}
			if s.Gap.Found.IsZero() {
				s.Gap.Found = time.Now()
			}
		})
	}
	p.state(InGap, err)
}
