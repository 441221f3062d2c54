package pipeline

import (
	"errors"
	"testing"
	"time"
)

// TestPause: a source that a person lets rest isn't read, keeps what was read, says so, and
// goes on where it stopped; nothing is written meanwhile, in whatever state the order found it.
func TestPause(t *testing.T) {
	c := &broken{clockwork: clockwork{every: time.Minute, within: time.Second}}
	bubble(t, &c.clockwork, func(o *Options) { o.Reader, o.Paused = c, true }, func(m *memory, p *Pipeline) {
		still := func(when string) {
			t.Helper()
			before, at := p.Status(), m.controls()
			pass(time.Hour)
			if s := p.Status(); s.State != Paused || s.Txns != before.Txns || s.NeedsPerson || m.controls() != at {
				t.Errorf("%s: %s with %d transactions after %d, %s", when, s.State, s.Txns, before.Txns, m.controls())
			}
		}
		goes := func(when string) {
			t.Helper()
			if err := p.Resume(); err != nil {
				t.Fatal(err)
			}
			before := p.Status().Txns
			pass(time.Hour)
			if s := p.Status(); s.State != Streaming || s.Txns < before+50 {
				t.Errorf("%s: %s with %d transactions after %d", when, s.State, s.Txns, before)
			}
		}
		still("paused from the start")
		goes("resumed")
		for range 2 { // the second time it rests already
			if err := p.Pause(); err != nil {
				t.Fatal(err)
			}
			pass(time.Second)
			still("paused")
		}
		if err := p.Repair(false); !errors.Is(err, ErrNoGap) {
			t.Errorf("repair while it rests: %v", err)
		}
		goes("resumed again")
	})
}
