package main

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/test/bench/peers"
)

// rivalRows are the rows of the sink, a quarter of all: it is slow, and its rate is
// steady.
func (b *bench) rivalRows() int { return max(20_000, b.rows/4-b.rows/4%transaction) }

// rivalStore measures Debezium's JDBC sink with the first rows of ours, and the way
// from commit to visible by both its connectors.
func (b *bench) rivalStore(ctx context.Context, r *report) error {
	const source = "peer_store"
	r.step("start Debezium for MariaDB and the store")
	c, err := b.rivalProcess(ctx)
	if err != nil {
		return err
	}
	if err := c.Read(ctx, peers.Source{Name: source, Server: b.maria, Tables: "xueji.peer,xueji.peer_ping", Schemas: true}); err != nil {
		return err
	}
	v := &rival{b: b, connect: c, name: "sink_rows", topic: source + ".xueji.peer"}
	n := b.rivalRows()
	r.step("write %d rows into MariaDB and, with their schemas, into Kafka", n)
	if err := fill(ctx, b.mdb, "xueji.peer", n); err != nil {
		return err
	}
	if err := v.filled(ctx, n); err != nil {
		return err
	}
	r.step("Debezium's JDBC sink, inserts")
	if err := c.Write(ctx, peers.Sink{Name: v.name, Topic: v.topic, Table: "peer_student", Store: b.store}); err != nil {
		return err
	}
	if err := v.sunk(ctx, r, "Debezium's JDBC sink, inserts", insertsFigure, "SELECT EXISTS (SELECT FROM peer_student WHERE id = $1)"); err != nil {
		return err
	}
	if err := c.Stop(ctx, v.name); err != nil {
		return err
	}
	r.step("update %d rows in MariaDB and, with their schemas, in Kafka", n)
	if err := change(ctx, b.mdb, "xueji.peer", n); err != nil {
		return err
	}
	if err := v.filled(ctx, 2*n); err != nil {
		return err
	}
	r.step("Debezium's JDBC sink, updates")
	if err := c.Resume(ctx, v.name); err != nil {
		return err
	}
	if err := v.sunk(ctx, r, "Debezium's JDBC sink, updates", updatesFigure, "SELECT EXISTS (SELECT FROM peer_student WHERE id = $1 AND nj = 77)"); err != nil {
		return err
	}
	r.note("Debezium's JDBC sink: the first %d of the rows, JSON with schemas, upsert with its reduction buffer; the first fifth warms it up and doesn't count.", n)
	if err := c.Stop(ctx, v.name); err != nil {
		return err
	}
	return v.latency(ctx, r)
}

// filled waits until the connector's topic has so many records.
func (v *rival) filled(ctx context.Context, n int) error {
	return until(ctx, 10*time.Minute, fmt.Sprintf("record %d in the topic %s", n, v.topic), func() (bool, error) {
		end, err := v.b.end(ctx, v.topic)
		return end >= log.Offset(n), err
	})
}

// sunk measures the sink between two rows; there tells if the store has got to one.
func (v *rival) sunk(ctx context.Context, r *report, name, ours, there string) error {
	last := v.b.rivalRows()
	first := last / 5
	await := func(id int) (at time.Time, cpu float64, err error) {
		err = until(ctx, 10*time.Minute, fmt.Sprintf("row %d of the JDBC sink", id), func() (ok bool, err error) {
			var table sql.NullString
			if err := v.b.sdb.QueryRowContext(ctx, "SELECT to_regclass('peer_student')::text").Scan(&table); err != nil || !table.Valid {
				return false, err
			}
			err = v.b.sdb.QueryRowContext(ctx, there, id).Scan(&ok)
			return ok, err
		})
		if err == nil {
			cpu, _, err = usage(v.connect.PID())
		}
		return time.Now(), cpu, err
	}
	from, before, err := await(first)
	if err != nil {
		return err
	}
	to, after, err := await(last)
	if err != nil {
		return err
	}
	n, took := float64(last-first), to.Sub(from).Seconds()
	s := sample{Rows: last - first, Seconds: took, Rate: n / took, CPU: (after - before) * 1e6 / n}
	if _, s.Resident, err = usage(v.connect.PID()); err != nil {
		return err
	}
	r.last(ours).over("Debezium's JDBC sink", s.Rate)
	r.add(name, s)
	return nil
}

// latency measures commit to visible by both connectors.
func (v *rival) latency(ctx context.Context, r *report) error {
	b := v.b
	if err := b.calm(ctx, r); err != nil {
		return err
	}
	w := &way{insert: "INSERT INTO xueji.peer_ping VALUES (?, ?)", query: "SELECT id, at FROM peer_ping WHERE id >= $1 ORDER BY id", next: 2}
	// The topic must be there before its reader.
	if _, err := b.mdb.ExecContext(ctx, w.insert, 1, time.Now().UnixMicro()); err != nil {
		return err
	}
	v.topic = "peer_store.xueji.peer_ping"
	if err := v.filled(ctx, 1); err != nil {
		return err
	}
	if err := v.connect.Write(ctx, peers.Sink{Name: "sink_ping", Topic: v.topic, Table: "peer_ping", Store: b.store}); err != nil {
		return err
	}
	if err := b.opened(ctx, w); err != nil {
		return err
	}
	name := func(rate int) string { return "Debezium, " + latencyFigure(rate) }
	if err := b.rated(ctx, r, w, name); err != nil {
		return err
	}
	for _, rate := range rates {
		ours, theirs := r.last(latencyFigure(rate)), r.last(name(rate))
		if ours.P50 > 0 {
			ours.Ratios = map[string]float64{"Debezium's p50": ours.P50 / theirs.P50, "Debezium's p99": ours.P99 / theirs.P99}
		}
	}
	return v.connect.End()
}
