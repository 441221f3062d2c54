package pipeline

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// falling is a clockwork that falls quiet after some transactions. Its reader is slow.
type falling struct {
	clockwork
	after uint64        // transactions
	slow  time.Duration // from the commit at the server to its arrival
	rests bool          // the last segment was a commit
}

func (f *falling) Next(ctx context.Context) (*event.Segment, error) {
	if f.rests || f.next > f.after {
		f.rests = false
		if f.next > f.after {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return &event.Segment{Kind: event.Idle, Restart: event.Place{Offset: f.next}, State: []byte("{}")}, nil
	}
	s, err := f.clockwork.Next(ctx)
	if err == nil && s.Last {
		f.rests = f.next%3 == 0
		<-time.After(f.slow)
	}
	return s, err
}

// committed counts the transactions that the server had committed by a moment.
func (f *falling) committed(by time.Time) uint64 {
	d := by.Sub(f.begun) - f.within
	return min(f.after, uint64(max(0, d/f.every)))
}

// untils are the log's until records, each with the number of transactions before it.
func (m *memory) untils() (all []envelope.Until, before []uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := uint64(0)
	for i := range m.batches {
		_ = m.batches[i].Each(func(_ log.Offset, r *log.Record) error { // what is written here can be read
			if class, _ := envelope.Classify(r); class != envelope.ControlRecord {
				return nil
			}
			c, _ := envelope.ParseControl(r)
			if c.Commit != nil {
				n = c.Commit.Txn.Position.Offset
			} else if c.Until != nil {
				all, before = append(all, *c.Until), append(before, n)
			}
			return nil
		})
	}
	return all, before
}

// TestUntil: whatever the log says it has until a moment stands before that word; the moments
// go on while the source is busy and while it is quiet, and stay where nobody knows.
func TestUntil(t *testing.T) {
	for name, tt := range map[string]struct{ slow, ahead time.Duration }{"a quick reader": {}, "a slow reader": {slow: 1900 * time.Millisecond},
		"a clock that is ahead": {ahead: time.Hour}, "a clock that is behind": {ahead: -time.Hour}} {
		t.Run(name, func(t *testing.T) {
			slow := tt.slow
			f := &falling{clockwork: clockwork{every: 2 * time.Second, within: time.Second / 2}, after: 60, slow: slow}
			type known struct {
				blind   bool
				missing []string
				all     bool
			}
			var knows atomic.Pointer[known]
			knows.Store(&known{})
			change := func(o *Options) {
				o.Reader = f
				o.Log.(*appender).ahead = tt.ahead
				o.End = func() (event.Place, time.Time) { // the server is looked at every 15 s
					if knows.Load().blind {
						return event.Place{}, time.Time{}
					}
					asked := time.Now().Truncate(15 * time.Second)
					return event.Place{Offset: f.committed(asked) + 1}, asked
				}
				o.Missing = func() ([]string, bool) { k := knows.Load(); return k.missing, k.all }
			}
			bubble(t, &f.clockwork, change, func(m *memory, p *Pipeline) {
				check := func(least int, when string) []envelope.Until {
					t.Helper()
					said, before := m.untils()
					if len(said) < least {
						t.Errorf("%s: %d until records, want %d", when, len(said), least)
					}
					for i, u := range said {
						if n := f.committed(u.At.Add(tt.ahead)); u.Last.Offset != before[i] || before[i] < n {
							t.Errorf("%s: until %s behind %s at %d transactions: %d were committed", when, u.At, u.Last, before[i], n)
						}
						if i > 0 && !u.At.After(said[i-1].At) {
							t.Errorf("%s: %s after %s", when, u.At, said[i-1].At)
						}
					}
					return said
				}
				pass(2 * time.Minute)
				check(4, "while it is busy")
				pass(3*time.Minute + 7*time.Second) // between two looks
				n := len(check(14, "once it is quiet"))
				knows.Store(&known{blind: true})
				pass(time.Minute)
				if said := check(n, "while nobody knows"); len(said) != n {
					t.Errorf("%d more while nobody knows", len(said)-n)
				}
				missing := []string{"d.thing"}
				knows.Store(&known{missing: missing})
				pass(20 * time.Second)
				if said := check(n+1, "again"); !slices.Equal(said[len(said)-1].Missing, missing) {
					t.Errorf("%+v", said[len(said)-1])
				}
				for i := range maxMissing {
					missing = append(missing, fmt.Sprint("d.t", i))
				}
				knows.Store(&known{missing: missing})
				pass(20 * time.Second)
				if said := check(n+2, "too many tables"); !slices.Equal(said[len(said)-1].Missing, []string{envelope.AllTables}) {
					t.Errorf("%+v", said[len(said)-1].Missing)
				}
				knows.Store(&known{all: true})
				pass(20 * time.Second)
				if said := check(n+3, "tables that aren't listed"); !slices.Equal(said[len(said)-1].Missing, []string{envelope.AllTables}) {
					t.Errorf("%+v", said[len(said)-1].Missing)
				}
			})
		})
	}
}
