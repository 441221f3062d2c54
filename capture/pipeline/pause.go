package pipeline

import (
	"context"
	"fmt"
	"time"
)

// Pause has the source not be read until Resume: what was read is written, then the
// connections end. It returns at once, and may be called again. A source that has stopped for
// another reason gives ErrNotRunning. Whoever calls it remembers it over a restart, see
// Options.Paused.
func (p *Pipeline) Pause() error { return p.rests(true) }

// Resume goes on where reading has stopped.
func (p *Pipeline) Resume() error { return p.rests(false) }

func (p *Pipeline) rests(paused bool) error {
	r, s := &p.repair, p.Status()
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.State == Fenced || s.State == Failed || s.State == Stopped {
		return fmt.Errorf("%w: %s [%s]", ErrNotRunning, s.Error, s.Code)
	}
	if r.paused = paused; paused && r.interrupt != nil {
		r.interrupt()
	}
	r.signal()
	return nil
}

// signal wakes whoever waits for an order.
func (r *repair) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *repair) resting() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.paused
}

// rest waits while a person wants the source not to be read. It reports false if ctx ended
// first.
func (p *Pipeline) rest(ctx context.Context) bool {
	for told := false; p.repair.resting(); {
		if !told {
			told = true
			p.state(Paused, nil)
			p.opts.Logger.Info("source paused by an order: it isn't read until it is resumed")
		}
		select {
		case <-ctx.Done():
			return false
		case <-p.repair.wake:
		}
	}
	return ctx.Err() == nil
}

// wait pauses before the next attempt; an order ends it early. It reports false if ctx ended
// first.
func (p *Pipeline) wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
	case <-p.repair.wake:
	}
	return true
}
