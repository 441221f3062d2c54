package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// memory is a log of one partition in memory, for tests whose clock is virtual. It
// fences as a broker does, and keeps a source's checkpoint.
type memory struct {
	mu      sync.Mutex
	batches []log.Batch
	end     log.Offset
	epoch   int16
	points  map[string][]byte
	refuse  error // of every open, while it is set
	opened  []time.Time
	wrote   []time.Time
}

// appender is one producer of a memory.
type appender struct {
	*memory
	id    log.Producer
	ahead time.Duration // by which the clock is ahead of the broker's
}

func (a *appender) Ahead() (time.Duration, bool) { return a.ahead, true }

func (a *appender) Open(context.Context) (log.Producer, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refuse != nil {
		return log.NoProducer, a.refuse
	}
	if a.id.ID == 1 && a.id.Epoch != a.epoch {
		return log.NoProducer, log.ErrFenced
	}
	a.epoch++
	a.id = log.Producer{ID: 1, Epoch: a.epoch}
	a.opened = append(a.opened, time.Now())
	return a.id, nil
}

func (a *appender) Append(_ context.Context, r *log.Records) (log.Offset, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.id.Epoch != a.epoch {
		return 0, log.ErrFenced
	}
	base := a.end
	a.end += log.Offset(r.Count())
	a.batches = append(a.batches, log.Batch{Base: base, Last: a.end - 1, Producer: a.id, Appended: time.Now(), Count: r.Count(), Data: slices.Clone(r.Data())})
	a.wrote = append(a.wrote, time.Now())
	return base, nil
}

func (m *memory) Fetch(_ context.Context, from log.Offset, _ time.Duration) ([]log.Batch, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, _ := slices.BinarySearchFunc(m.batches, from, func(b log.Batch, o log.Offset) int { return int(b.Last - o) })
	return slices.Clone(m.batches[i:]), nil
}

func (m *memory) Bounds(context.Context) (first, end log.Offset, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return 0, m.end, nil
}

func (m *memory) Load(_ context.Context, source string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.points[source], nil
}

func (m *memory) Save(_ context.Context, source string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.points[source] = value
	return nil
}

// ID implements Schemas.
func (*memory) ID(context.Context, *schema.Table) (uint32, error) { return 1, nil }

func (*memory) Columns(_ context.Context, source string) (map[string][]string, error) {
	return map[string][]string{"d.t": {source}}, nil
}

// counted gives, by the readers' rules, the positions of the transactions that count.
func (m *memory) counted() (txns []uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var producer log.Producer
	rows := 0
	for i := range m.batches {
		b := &m.batches[i]
		err := b.Each(func(_ log.Offset, r *log.Record) error {
			if class, _ := envelope.Classify(r); class == envelope.RowRecord {
				if b.Producer == producer {
					rows++
				}
				return nil
			}
			c, err := envelope.ParseControl(r)
			switch {
			case err != nil:
				return err
			case c.Open != nil:
				producer, rows = b.Producer, 0
			case c.Commit != nil && b.Producer == producer:
				if rows != c.Commit.Rows {
					return fmt.Errorf("commit %s has %d of %d rows", c.Commit.Txn.Position, rows, c.Commit.Rows)
				}
				txns, rows = append(txns, c.Commit.Txn.Position.Offset), 0
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return txns, nil
}

var things = &schema.Table{Source: "s", Dataset: "thing", Database: "d", Name: "thing", Key: []int{0},
	Columns: []schema.Column{{Name: "id", Type: schema.Type{Kind: schema.Int64}}}}

// clockwork is a source that commits a transaction of two rows every so often. The
// second row comes within after the first; in the very first attempt it takes once.
type clockwork struct {
	every, within time.Duration
	once          time.Duration
	begun         time.Time
	next          uint64
	half, idle    bool
}

func (c *clockwork) Start(_ context.Context, r capture.Resume) (uint32, error) {
	if c.begun.IsZero() {
		c.begun = time.Now()
	}
	c.next, c.half, c.idle = r.Last.Offset+1, false, true
	return 1, nil
}

func (c *clockwork) Next(ctx context.Context) (*event.Segment, error) {
	if c.idle {
		c.idle = false
		return &event.Segment{Kind: event.Idle, Restart: event.Place{Offset: c.next}, State: []byte("{}")}, nil
	}
	at := c.begun.Add(time.Duration(c.next) * c.every)
	if c.half {
		at = time.Now().Add(max(c.within, c.once))
		c.once = 0
	}
	t := time.NewTimer(max(0, time.Until(at)))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s := &event.Segment{First: !c.half, Last: c.half, Txn: event.Txn{Position: event.Position{Epoch: 1, Place: event.Place{Offset: c.next}}, Committed: at, Captured: at},
		Rows: []event.Row{{Op: event.Create, Table: things, After: []event.Value{event.Signed(int64(c.next))}}}}
	if c.half {
		s.Restart, s.State = event.Place{Offset: c.next + 1}, []byte("{}")
		c.next++
	}
	c.half = !c.half
	return s, nil
}

func (*clockwork) Ack(event.Place) {}

func (*clockwork) Close() error { return nil }

var errAway = errors.New("coordinator away")
