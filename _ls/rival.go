package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/tributary-cdc/tributary/deploy/local"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/test/bench/peers"
)

// rival is a source connector of Debezium that has read some rows and is stopped
// until its turn comes. A nil one is never measured.
type rival struct {
	b       *bench
	connect *peers.Connect
	name    string
	topic   string
}

// rivalProcess starts a worker of Kafka Connect.
func (b *bench) rivalProcess(ctx context.Context) (*peers.Connect, error) {
	c, err := peers.Start(ctx, filepath.Join(b.dir, fmt.Sprintf("connect-%d", len(b.rivals)+1)), b.kafka.Addr)
	if err == nil {
		b.rivals = append(b.rivals, c)
	}
	return c, err
}

// warmedUp starts Debezium for the tables warm and student of a schema and lets it
// read rows of the first one. It gives nil if peers aren't measured.
func (b *bench) warmedUp(ctx context.Context, r *report, s *local.Server, schema string) (*rival, error) {
	if !b.peers {
		return nil, nil
	}
	r.step("start Debezium for %s", s.Engine)
	c, err := b.rivalProcess(ctx)
	if err != nil {
		return nil, err
	}
	v := &rival{b: b, connect: c, name: "peer_" + schema, topic: "peer_" + schema + "." + schema + ".student"}
	if err := c.Read(ctx, peers.Source{Name: v.name, Server: s, Tables: schema + ".student," + schema + ".warm"}); err != nil {
		return nil, err
	}
	db, n := b.mdb, b.warmUpRows()
	if s == b.pg {
		db = b.pdb
	}
	r.step("let Debezium read %d rows to warm up", n)
	if err := fill(ctx, db, schema+".warm", n); err != nil {
		return nil, err
	}
	warm := v.name + "." + schema + ".warm"
	if _, err := b.grown(ctx, warm, 0, log.Offset(n), c.PID(), func() error { return nil }); err != nil {
		return nil, err
	}
	return v, c.Stop(ctx, v.name)
}

// warmUpRows are a fifth of the rows, 20,000 at least.
func (b *bench) warmUpRows() int { return max(20_000, b.rows/5-b.rows/5%transaction) }

// compare lets the connector read the rows that ours has read, adds the figure name,
// and to the figures of ours the ratio.
func (v *rival) compare(ctx context.Context, r *report, name string, ours ...string) error {
	if v == nil {
		return nil
	}
	r.step("%s", name)
	if err := v.connect.Resume(ctx, v.name); err != nil {
		return err
	}
	got, err := v.b.grown(ctx, v.topic, 0, log.Offset(v.b.rows), v.connect.PID(), func() error { return nil })
	if err != nil {
		return err
	}
	s := sample{Rows: v.b.rows, Seconds: got.seconds, Rate: got.records / got.seconds, CPU: got.cpu * 1e6 / got.records}
	if _, s.Resident, err = usage(v.connect.PID()); err != nil {
		return err
	}
	size, err := v.b.logSize(v.topic)
	if err != nil {
		return err
	}
	s.Wire = float64(size) / float64(v.b.rows)
	for _, figure := range ours {
		r.last(figure).over("Debezium", s.Rate)
	}
	r.note("Debezium to Kafka: JSON without schemas, lz4, warm: its process has read %d other rows before, is stopped while ours is measured, and then reads the same rows. An agent has read those other rows, too, so that the broker is warm for both; the agent that is measured is new.", v.b.warmUpRows())
	r.add(name, s)
	return v.connect.End()
}
