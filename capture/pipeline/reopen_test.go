package pipeline

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// bubble runs a pipeline on a virtual clock while f looks on.
func bubble(t *testing.T, c *clockwork, change func(*Options), f func(m *memory, p *Pipeline)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{points: map[string][]byte{}}
		o := Options{Source: event.Source{ID: "s", Org: "1"}, Agent: "a/1", Reader: c, Log: &appender{memory: m, id: log.NoProducer}, Tail: m, Checkpoints: m, Schemas: m, FirstStart: true}
		if change != nil {
			change(&o)
		}
		p, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		f(m, p)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		txns, err := m.counted()
		if err != nil {
			t.Error(err)
		}
		for i, n := range txns {
			if n != uint64(i+1) {
				t.Fatalf("transaction %d stands at place %d of %v", n, i+1, txns)
			}
		}
		if len(txns) == 0 {
			t.Error("no transaction is in the log")
		}
	})
}

// pass lets virtual time go by.
func pass(d time.Duration) { <-time.After(d); synctest.Wait() }

// TestOpensAgainDaily: the broker forgets a transactional id 7 days after the last
// InitProducerID, whatever was written since.
func TestOpensAgainDaily(t *testing.T) {
	bubble(t, &clockwork{every: time.Hour, within: time.Minute}, nil, func(m *memory, p *Pipeline) {
		pass(10*24*time.Hour + time.Hour)
		if n := len(m.opened); n != 10 {
			t.Errorf("opened %d times in 10 days: %v", n, m.opened)
		}
		for i := range m.opened[1:] {
			if gap := m.opened[i+1].Sub(m.opened[i]); gap < 24*time.Hour || gap > 26*time.Hour {
				t.Errorf("%s between two opens", gap)
			}
		}
		if s := p.Status(); s.State != Streaming || s.Txns < 235 {
			t.Errorf("%s after %d transactions", s.State, s.Txns)
		}
	})
}

// TestOpensAgainByRecords: sequence numbers end at 2^31.
func TestOpensAgainByRecords(t *testing.T) {
	bubble(t, &clockwork{every: time.Minute, within: time.Second}, func(o *Options) { o.ReopenRecords = 10 }, func(m *memory, _ *Pipeline) {
		pass(time.Hour)
		if n := len(m.opened); n < 12 || n > 20 {
			t.Errorf("opened %d times for 59 transactions of 3 records, at most 10 each", n)
		}
	})
}

// TestWithoutAnOpenNothingIsWritten: a day after the last open the producer must be
// opened again; until that succeeds nothing is written, and then all of it.
func TestWithoutAnOpenNothingIsWritten(t *testing.T) {
	bubble(t, &clockwork{every: time.Hour, within: time.Minute}, nil, func(m *memory, p *Pipeline) {
		pass(time.Hour)
		m.mu.Lock()
		m.refuse = fmt.Errorf("%w: %w", log.ErrUnavailable, errAway)
		m.mu.Unlock()
		pass(48 * time.Hour)
		m.mu.Lock()
		if last := m.wrote[len(m.wrote)-1].Sub(m.opened[0]); last > 24*time.Hour+10*time.Minute || len(m.opened) != 1 {
			t.Errorf("written until %s after the open, opened %d times", last, len(m.opened))
		}
		m.refuse = nil
		m.mu.Unlock()
		if s := p.Status(); s.State != Retrying || s.Code != "LOG_UNAVAILABLE" {
			t.Errorf("status %+v", s)
		}
		pass(2 * time.Hour)
		if s := p.Status(); s.State != Streaming || s.Position.Offset < 48 {
			t.Errorf("after the coordinator came back: %+v", s)
		}
	})
}

// TestTransactionBeyondTheLimit: a transaction that lasts longer than half of what the
// broker remembers is begun anew under a fresh open.
func TestTransactionBeyondTheLimit(t *testing.T) {
	c := &clockwork{every: time.Hour, within: time.Minute, once: 90 * time.Hour}
	bubble(t, c, nil, func(m *memory, p *Pipeline) {
		pass(91*time.Hour + 30*time.Second)
		m.mu.Lock()
		if len(m.opened) != 2 || m.opened[1].Sub(m.opened[0]) < 84*time.Hour {
			t.Errorf("opened at %v", m.opened)
		}
		m.mu.Unlock()
		pass(5 * time.Hour)
		if s := p.Status(); s.State != Streaming || s.Txns < 90 {
			t.Errorf("status %+v", s)
		}
	})
}

func TestOptionsOfReopening(t *testing.T) {
	for _, n := range []int{-1, 1<<30 + 1} {
		m := &memory{}
		_, err := New(Options{Source: event.Source{ID: "s", Org: "1"}, Agent: "a", Reader: &clockwork{}, Log: &appender{memory: m}, Tail: m, Checkpoints: m, Schemas: m, ReopenRecords: n})
		if err == nil || errors.Is(err, log.ErrFenced) {
			t.Errorf("ReopenRecords %d: %v, want a refusal", n, err)
		}
	}
}
