package kafka_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/status"
)

// TestStatusRecords: what a writer says of two orgs is on a board that began before
// it and on one that begins after it, and a change of state gets there at once.
func TestStatusRecords(t *testing.T) {
	contract(t, func(t *testing.T, b backend) {
		c := b.ready(t)
		other := b.org + "x"
		if err := c.CreateTopics(t.Context(), other, kafka.TopicOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := c.CheckTopics(t.Context(), b.org); err != nil && b.keeps {
			t.Errorf("the topics aren't accepted: %v", err)
		}
		topic := func(org string) log.Partition { return log.Partition{Topic: kafka.Status(org)} }
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		board := func() *status.Board {
			board, err := status.NewBoard(status.BoardOptions{Topics: []log.Partition{topic(b.org), topic(other)},
				Fetcher: func(p log.Partition) log.Fetcher { return c.Fetcher(p, 1<<20) }})
			if err != nil {
				t.Fatal(err)
			}
			running.Go(func() { board.Run(ctx) })
			return board
		}
		var state atomic.Value
		state.Store("starting")
		w, err := status.NewWriter(status.WriterOptions{Log: c, Topic: topic, Every: time.Minute, Within: time.Hour, Now: func() []status.Record {
			return []status.Record{
				{Kind: status.OfSource, Org: b.org, Source: b.org + "-a", State: state.Load().(string)},
				{Kind: status.OfStore, Org: b.org, Source: b.org + "-a", Store: "city", State: "applying"},
				{Kind: status.OfSource, Org: other, Source: other + "-b", State: "gap", Code: "SLOT_LOST"},
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		before := board()
		running.Go(func() { w.Run(ctx) })
		expect := func(on *status.Board, first string) {
			t.Helper()
			limit := time.NewTimer(20 * time.Second)
			defer limit.Stop()
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				got := on.Records()
				if len(got) == 3 && got[0].State == first && got[1].Store == "city" && got[2].Code == "SLOT_LOST" {
					return
				}
				select {
				case <-tick.C:
				case <-limit.C:
					t.Fatalf("the board has %+v, %+v", got, on.Readings())
				}
			}
		}
		expect(before, "starting")
		state.Store("streaming")
		w.Changed()
		expect(before, "streaming")
		expect(board(), "streaming")
		if n := w.Failed(); n != 0 {
			t.Errorf("%d writes failed", n)
		}
	})
}
