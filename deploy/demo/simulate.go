package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/status"
)

// simulation writes status records of sources that don't exist, as their agents and
// workers would. There are no rows behind them.
type simulation struct {
	client *kafka.Client
	writer *status.Writer
}

// simulate makes the topics of all districts, so that the hub finds them, and the writer
// for those that are simulated. Nothing is written before run.
func (s *system) simulate(ctx context.Context) error {
	client, err := kafka.New(kafka.Options{Brokers: []string{s.broker}, ClientID: "demo-simulation"})
	if err != nil {
		return err
	}
	s.simulation = &simulation{client: client}
	for _, org := range districts() {
		if err := client.CreateTopics(ctx, org, kafka.TopicOptions{Partitions: 1, Replication: 1}); err != nil {
			return fmt.Errorf("topics of %s: %w", org, err)
		}
	}
	begun := time.Now()
	s.simulation.writer, err = status.NewWriter(status.WriterOptions{Log: client, Topic: func(org string) log.Partition { return log.Partition{Topic: kafka.Status(org)} },
		Now: func() []status.Record { return pretend(s.o.seed, begun, time.Now()) }})
	return err
}

// run writes until ctx ends.
func (m *simulation) run(ctx context.Context) { m.writer.Run(ctx) }

// pretend gives the records of all simulated sources at a moment. One of them can't reach
// its database, one is in a gap; the others are well.
func pretend(seed uint64, begun, now time.Time) (all []status.Record) {
	n := 0
	for _, o := range orgs {
		if !simulated(o.code, o.kind) {
			continue
		}
		n++
		rng := rand.New(rand.NewPCG(seed, uint64(n)))
		rate := 20 + rng.Int64N(400) // rows per second
		rows := int64(now.Sub(begun).Seconds()) * rate
		delay := time.Duration(5+rng.Int64N(60)) * time.Millisecond
		at := now.Add(-delay).Truncate(time.Microsecond)
		position := event.Position{Epoch: 1, Place: event.Place{File: 1, Offset: uint64(1000 + rows*100)}}
		figures := func(d time.Duration) *status.Figures {
			return &status.Figures{P50: d.Seconds(), P99: 4 * d.Seconds(), Max: 6 * d.Seconds(), Count: 60 * rate / 3}
		}
		source := status.Record{Kind: status.OfSource, Org: o.code, Source: o.code + "-simulated", Program: "simulated", Version: "simulated", State: "streaming",
			Position: position, Committed: at, Logged: now, Txns: rows / 3, Rows: rows, Bytes: rows * 200, Lag: status.Lag{SourceLog: figures(delay)}}
		state := "applying"
		if n == 4 || n == 7 { // nothing has come since the beginning
			source.Txns, source.Rows, source.Bytes = 1000, 3000, 600_000
		}
		switch n {
		case 4:
			source.State, source.Code, source.Error = "retrying", "SOURCE_UNREACHABLE", "simulated: the source doesn't answer"
			source.Committed, source.Logged, source.Lag = begun, begun, status.Lag{}
		case 7:
			source.State, source.Code, source.Error, source.NeedsPerson = "gap", "BINLOG_PURGED", "simulated: the server has deleted what wasn't read", true
			source.Committed, source.Logged, source.Lag, state = begun, begun, status.Lag{}, "gap"
		}
		all = append(all, source)
		for _, store := range []string{"city", "province"} {
			share := source
			share.Kind, share.Store, share.State, share.Applied, share.Bytes = status.OfStore, store, state, now, 0
			share.Code, share.Error, share.NeedsPerson = "", "", false
			if share.Lag = (status.Lag{}); source.Lag.SourceLog != nil {
				share.Lag = status.Lag{LogStore: figures(delay / 2), SourceStore: figures(delay * 3 / 2)}
			}
			all = append(all, share)
		}
	}
	return all
}
