package contract

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/test/servers"
)

// turnstile holds a worker between two fetches, as one is held that is stopped or whose
// broker doesn't answer.
type turnstile struct {
	mu      sync.Mutex
	shut    chan struct{} // nil while it is open
	waiting bool
}

func (g *turnstile) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = make(chan struct{})
}

func (g *turnstile) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.shut)
	g.shut, g.waiting = nil, false
}

func (g *turnstile) waits() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waiting
}

// passing is a fetcher that goes through a turnstile.
type passing struct {
	log.Fetcher
	gate *turnstile
}

// Fetch implements log.Fetcher.
func (p *passing) Fetch(ctx context.Context, from log.Offset, wait time.Duration) ([]log.Batch, error) {
	p.gate.mu.Lock()
	shut := p.gate.shut
	p.gate.waiting = shut != nil
	p.gate.mu.Unlock()
	if shut != nil {
		select {
		case <-shut:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return p.Fetcher.Fetch(ctx, from, wait)
}

// meanwhile does something to the log while a worker that has two sources' first three
// transactions is away, or is held between two fetches.
func (r *rig) meanwhile(held bool, what func(a, b *hand)) (a, b *hand) {
	r.Helper()
	a, b = r.hand(r.org+"-a", 0), r.hand(r.org+"-b", 0)
	a.open("a/1")
	b.open("b/1")
	for n := 1; n <= 3; n++ {
		a.txn(n, n)
		b.txn(n, n)
	}
	gate := &turnstile{}
	start := func() *applying {
		return r.workWith(func(p log.Partition) log.Fetcher { return &passing{r.client.Fetcher(p, 0), gate} }, 0)
	}
	w := start()
	for _, h := range []*hand{a, b} {
		r.await("the first transactions", func() bool { return r.applied(h.source) == position(3).String() })
	}
	if !held {
		w.stop()
		what(a, b)
		start()
		return a, b
	}
	gate.close()
	r.await("the worker at the turnstile", gate.waits)
	what(a, b)
	gate.open()
	return a, b
}

// eachWay runs a test on both logs, with a worker that is away and with one that is held.
func eachWay(t *testing.T, f func(r *rig, held bool)) {
	for name, held := range map[string]bool{"the worker is away": false, "the worker is held": true} {
		t.Run(name, func(t *testing.T) { both(t, func(r *rig) { f(r, held) }) })
	}
}

// TestAttack17TopicMadeAnew: the topic of changes is deleted, made again, and grows beyond
// what was read of the old one, by agents that go on as if nothing had happened. Nothing
// of it is taken for what follows; each source is in a gap.
func TestAttack17TopicMadeAnew(t *testing.T) {
	eachWay(t, func(r *rig, held bool) {
		a, b := r.meanwhile(held, func(a, b *hand) {
			servers.DeleteTopic(r, r.addr, r.part(0).Topic)
			r.await("the end of the topic", func() bool {
				_, _, err := r.client.Fetcher(r.part(0), 0).Bounds(r.Context())
				return errors.Is(err, log.ErrUnknownTopic)
			})
			servers.CreateTopic(r, r.addr, r.part(0).Topic, map[string]string{"message.timestamp.type": "LogAppendTime"})
			r.await("the new topic", func() bool { // a client's metadata may be a second old
				_, _, err := r.client.Fetcher(r.part(0), 0).Bounds(r.Context())
				return err == nil
			})
			for _, old := range []*hand{a, b} {
				h := r.hand(old.source, 0)
				h.last = old.last
				h.open("again")
				for n := 4; n <= 9; n++ {
					h.txn(n, n)
				}
			}
		})
		want := fmt.Sprintf("%s TOPIC_REPLACED, %s TOPIC_REPLACED", a.source, b.source)
		r.await("the gaps "+want, func() bool { return r.gaps() == want })
		for _, h := range []*hand{a, b} {
			if got := r.rows(h.source); got != "1 2 3" {
				r.Errorf("%s has the rows %s", h.source, got)
			}
		}
	})
}

// TestAttack18RetentionOvertakesTheWorker: the log forgets transactions that the worker
// hasn't read. Their source is in a gap; one of which nothing was forgotten goes on.
func TestAttack18RetentionOvertakesTheWorker(t *testing.T) {
	eachWay(t, func(r *rig, held bool) {
		a, b := r.meanwhile(held, func(a, b *hand) {
			for n := 4; n <= 6; n++ {
				a.txn(n, n)
			}
			_, end, err := r.client.Fetcher(r.part(0), 0).Bounds(r.Context())
			if err != nil {
				r.Fatal(err)
			}
			servers.DeleteRecords(r, r.addr, r.part(0).Topic, 0, int64(end))
			for n := 4; n <= 6; n++ {
				b.txn(n, n)
			}
			for n := 7; n <= 9; n++ {
				a.txn(n, n)
			}
		})
		r.await("the other source's transactions", func() bool { return r.applied(b.source) == position(6).String() })
		want := a.source + " PREV_MISMATCH"
		r.await("the gap "+want, func() bool { return r.gaps() == want })
		if got := r.rows(a.source) + ", " + r.rows(b.source); got != "1 2 3, 1 2 3 4 5 6" {
			r.Errorf("the rows are %s", got)
		}
	})
}
