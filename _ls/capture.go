package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/tributary-cdc/tributary/deploy/local"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
)

// source is one that an agent reads, with how it writes.
type source struct {
	org, name, engine, codec string
	start                    string // first_start; empty for now
	settings                 string // more of the configuration
}

// Orgs of the sources. MariaDB's rows go to one per codec.
const (
	mariaOrg = "330106"
	jsonOrg  = "330107"
	pgOrg    = "330108"
	warmOrg  = "330109"
)

// mariaSource gives the source of MariaDB as a codec writes it.
func (b *bench) mariaSource(codec string) source {
	s := source{org: mariaOrg, name: "xueji", engine: "mariadb", codec: codec, settings: at(b.maria) + `, tables: ["xueji.student", "xueji.single", "xueji.ping"]`}
	if codec != b.codecs[0] {
		s.org = jsonOrg
	}
	return s
}

func (b *bench) pgSource() source {
	return source{org: pgOrg, name: "chengji", engine: "postgres", codec: "avro", settings: at(b.pg) + `, database: postgres, tables: ["public.student"]`}
}

// at says where a server is, in the words of the configuration.
func at(s *local.Server) string {
	return fmt.Sprintf("host: %s, port: %d, user: %s, password_file: %s", s.Host, s.Port, s.User, filepath.Join(s.Dir, "password"))
}

// prepared starts an agent once, so that it knows where to begin, and ends it.
func (b *bench) prepared(ctx context.Context, s source) error {
	p, err := b.agent(ctx, s)
	if err != nil {
		return err
	}
	if err := until(ctx, time.Minute, "the first records of the agent of "+s.org, func() (bool, error) {
		end, err := b.end(ctx, kafka.Changes(s.org))
		if end >= 2 { // open and heartbeat
			return true, err
		}
		return false, errors.Join(err, alive(p.PID()))
	}); err != nil {
		return err
	}
	return p.finish(true)
}

// stretch is how a topic grew from its first new record on.
type stretch struct {
	records, seconds, cpu float64
}

// grown waits until a topic has the record before want. The stretch begins with
// the first record after from, where first is called once.
func (b *bench) grown(ctx context.Context, topic string, from, want log.Offset, pid int, first func() error) (stretch, error) {
	var begin struct {
		at  time.Time
		end log.Offset
		cpu float64
	}
	var s stretch
	err := until(ctx, 10*time.Minute, fmt.Sprintf("record %d in the topic %s", want, topic), func() (bool, error) {
		end, err := b.end(ctx, topic)
		if err != nil || end <= from {
			return false, errors.Join(err, alive(pid))
		}
		now := time.Now()
		if begin.at.IsZero() {
			begin.at, begin.end = now, end
			if begin.cpu, _, err = usage(pid); err == nil {
				err = first()
			}
			return false, err
		}
		if end < want {
			return false, alive(pid)
		}
		s.records, s.seconds = float64(end-begin.end), now.Sub(begin.at).Seconds()
		s.cpu, _, err = usage(pid)
		s.cpu -= begin.cpu
		return true, err
	})
	return s, err
}

// captured measures an agent that has a backlog of rows in so many transactions
// before it.
func (b *bench) captured(ctx context.Context, name string, s source, rows, txns int) (sample, error) {
	topic := kafka.Changes(s.org)
	from, err := b.end(ctx, topic)
	if err != nil {
		return sample{}, err
	}
	before, err := b.logSize(topic)
	if err != nil {
		return sample{}, err
	}
	p, err := b.agent(ctx, s)
	if err != nil {
		return sample{}, err
	}
	var w *watch
	// The stretch begins with the agent's open record: nothing has been read ahead then.
	got, err := b.grown(ctx, topic, from, from+1+log.Offset(rows+txns), p.PID(), func() (err error) {
		w, err = b.begin(ctx, p, name)
		return err
	})
	if err != nil {
		return sample{}, err
	}
	out := sample{Rows: rows, Seconds: got.seconds, Rate: float64(rows) / got.seconds, CPU: got.cpu * 1e6 / float64(rows)}
	if err := w.end(ctx, &out, "tributary_source_rows_total", "tributary_source_transactions_total"); err != nil {
		return sample{}, err
	}
	after, err := b.logSize(topic)
	if err != nil {
		return sample{}, err
	}
	out.Wire = float64(after-before) / float64(rows)
	return out, p.finish(true)
}

// mariadb measures MariaDB to Kafka, by each codec and by Debezium.
func (b *bench) mariadb(ctx context.Context, r *report) error {
	for _, q := range []string{"CREATE DATABASE xueji CHARACTER SET utf8mb4", studentTable("xueji.student", "tinyint", "datetime"), studentTable("xueji.single", "tinyint", "datetime"),
		studentTable("xueji.warm", "tinyint", "datetime"), studentTable("xueji.peer", "tinyint", "datetime"),
		"CREATE TABLE xueji.ping (id bigint PRIMARY KEY, at bigint NOT NULL)", "CREATE TABLE xueji.peer_ping (id bigint PRIMARY KEY, at bigint NOT NULL)"} {
		if _, err := b.mdb.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	warm := source{org: warmOrg, name: "warm", engine: "mariadb", codec: b.codecs[0], settings: at(b.maria) + `, tables: ["xueji.warm"]`}
	if err := b.prepared(ctx, warm); err != nil {
		return err
	}
	rival, err := b.warmedUp(ctx, r, b.maria, "xueji")
	if err != nil {
		return err
	}
	if err := b.warmedBroker(ctx, r, warm, rival == nil); err != nil {
		return err
	}
	for _, codec := range b.codecs {
		if err := b.prepared(ctx, b.mariaSource(codec)); err != nil {
			return err
		}
	}
	r.step("write %d rows into MariaDB", b.rows)
	if err := fill(ctx, b.mdb, "xueji.student", b.rows); err != nil {
		return err
	}
	var ours []string
	for _, codec := range b.codecs {
		figure := "MariaDB to Kafka, " + codec
		ours = append(ours, figure)
		r.step("%s", figure)
		s, err := b.captured(ctx, "capture-mariadb-"+codec, b.mariaSource(codec), b.rows, b.rows/transaction)
		if err != nil {
			return err
		}
		s.TxnAllocs = 0 // of 1,000 rows
		r.add(figure, s)
		if err := b.compressed(ctx, r, codec); err != nil {
			return err
		}
	}
	return rival.compare(ctx, r, "Debezium, MariaDB to Kafka, warm", ours...)
}

// warmedBroker lets an agent read the rows of the table warm and ends it: the broker has
// met the batches of both sides before one of them is measured.
func (b *bench) warmedBroker(ctx context.Context, r *report, s source, write bool) error {
	n := b.warmUpRows()
	r.step("let an agent read %d rows: the broker warms up", n)
	if write {
		if err := fill(ctx, b.mdb, "xueji.warm", n); err != nil {
			return err
		}
	}
	topic := kafka.Changes(s.org)
	from, err := b.end(ctx, topic)
	if err != nil {
		return err
	}
	p, err := b.agent(ctx, s)
	if err != nil {
		return err
	}
	if _, err := b.grown(ctx, topic, from, from+1+log.Offset(n+n/transaction), p.PID(), func() error { return nil }); err != nil {
		return err
	}
	return p.finish(true)
}

// compressed tells how alike the values of a codec's records are.
func (b *bench) compressed(ctx context.Context, r *report, codec string) error {
	if r.Compression[codec] != 0 {
		return nil
	}
	blocks, err := sampleValues(ctx, b.client, kafka.Changes(b.mariaSource(codec).org), 0, 32)
	if err != nil {
		return err
	}
	r.Compression[codec], err = compression(blocks)
	return err
}

// singles measures MariaDB to Kafka, and to the store, with transactions of one row.
func (b *bench) singles(ctx context.Context, r *report) error {
	n := b.rows / 10
	r.step("write %d transactions of one row into MariaDB", n)
	// Only the writing is faster by this: nobody reads here what the server hasn't kept.
	if _, err := b.mdb.ExecContext(ctx, "SET GLOBAL innodb_flush_log_at_trx_commit = 0"); err != nil {
		return err
	}
	const each = `BEGIN NOT ATOMIC DECLARE i INT DEFAULT 1; WHILE i <= %d DO INSERT INTO xueji.single SELECT * FROM xueji.student WHERE id = i; SET i = i + 1; END WHILE; END`
	if _, err := b.mdb.ExecContext(ctx, fmt.Sprintf(each, n)); err != nil {
		return err
	}
	if _, err := b.mdb.ExecContext(ctx, "SET GLOBAL innodb_flush_log_at_trx_commit = 1"); err != nil {
		return err
	}
	s, err := b.captured(ctx, "capture-mariadb-single", b.mariaSource(b.codecs[0]), n, n)
	if err != nil {
		return err
	}
	s.Allocs = 0 // the same as of a transaction
	r.add("MariaDB to Kafka, one-row transactions", s)
	if s, err = b.applied(ctx, "apply-single", n); err != nil {
		return err
	}
	r.add("Kafka to PostgreSQL, one-row transactions", s)
	return nil
}
