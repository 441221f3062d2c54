package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
)

// Names of what first loads are compared with.
const (
	dumpCeiling = "mariadb-dump to /dev/null"
	copyCeiling = "COPY TO STDOUT"
)

// askLoads is the time between two questions to the log, or the store, whether a load has
// ended. Each takes a little from it.
const askLoads = 50 * time.Millisecond

// A broker works more until its compiler is done, which counts calls: what each record
// needs is compiled after some million, what each request needs after some ten thousand. It
// is warm once a load costs it nearly what the one before did.
const (
	leastWarmUpLoads = 2
	mostWarmUpLoads  = 6
	warm             = 0.95
	warmUpOrg        = 20 // the first one's number
	warmUpRequests   = 30000
)

// againOrg is added to a load's number for its second time.
const againOrg = 40

// load measures first loads of tables that are full: to the log, beside the server's own
// way to read them, and on to the store, beside plain COPY.
func (b *bench) load(ctx context.Context, r *report) error {
	for _, f := range []func(context.Context, *report) error{b.loadMariaDB, b.loadStore, b.loadShapes, b.loadPostgres} {
		if err := f(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// loadSource is a source in MariaDB that has one full table. Each has an org of its own.
func (b *bench) loadSource(n int, codec, table string) source {
	return source{org: fmt.Sprint(330120 + n), name: "quan", engine: "mariadb", codec: codec, start: "load", settings: at(b.maria) + fmt.Sprintf(`, tables: ["quan.%s"]`, table)}
}

func (b *bench) loadMariaDB(ctx context.Context, r *report) error {
	for _, q := range []string{"CREATE DATABASE quan CHARACTER SET utf8mb4", studentTable("quan.full", "tinyint", "datetime")} {
		if _, err := b.mdb.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	r.step("write %d rows into MariaDB, to be loaded", b.rows)
	if err := fill(ctx, b.mdb, "quan.full", b.rows); err != nil {
		return err
	}
	if err := b.warmUpLoads(ctx, r); err != nil {
		return err
	}
	if err := b.calm(ctx, r); err != nil {
		return err
	}
	// Before and after: the first one warms the server.
	before, err := b.dump(ctx, r)
	if err != nil {
		return err
	}
	var all []sample
	for n, codec := range b.codecs {
		s, err := b.loadedTwice(ctx, r, "load-mariadb-"+codec, func(again int) source { return b.loadSource(n+again, codec, "full") })
		if err != nil {
			return err
		}
		all = append(all, s)
	}
	after, err := b.dump(ctx, r)
	if err != nil {
		return err
	}
	best := max(before, after)
	for n, codec := range b.codecs {
		all[n].over(dumpCeiling, best)
		r.add("first load, MariaDB to Kafka, "+codec+", the faster of two", all[n])
	}
	r.add("mariadb-dump --single-transaction to /dev/null, the faster of two", sample{Rows: b.rows, Rate: best})
	return nil
}

// warmUpLoads has the broker take loads that don't count.
func (b *bench) warmUpLoads(ctx context.Context, r *report) error {
	profiles := b.profiles
	defer func() { b.profiles = profiles }()
	b.profiles = ""
	r.step("%d requests that warm the broker", warmUpRequests)
	if err := b.warmUpRequests(ctx); err != nil {
		return err
	}
	var before float64
	for n := range mostWarmUpLoads {
		r.step("load %d that warms the broker", n+1)
		s, err := b.loaded(ctx, "load-warm", b.loadSource(warmUpOrg+n, b.codecs[0], "full"), b.rows, nil)
		if err != nil {
			return err
		}
		if n+1 >= leastWarmUpLoads && s.Broker > warm*before {
			return nil
		}
		before = s.Broker
	}
	r.note("The broker still became faster after %d loads.", mostWarmUpLoads)
	return nil
}

// loadedTwice measures a load to the log two times, as what it is compared with, and gives the
// faster one with the larger memory of both: whatever else the machine does only takes from
// it. Only the second one is profiled, because that costs a little.
func (b *bench) loadedTwice(ctx context.Context, r *report, name string, of func(again int) source) (sample, error) {
	profiles := b.profiles
	defer func() { b.profiles = profiles }()
	b.profiles = ""
	r.step("first load, %s, to Kafka", name)
	one, err := b.loaded(ctx, name, of(0), b.rows, nil)
	if err != nil {
		return sample{}, err
	}
	b.profiles = profiles
	r.step("the same again")
	two, err := b.loaded(ctx, name, of(againOrg), b.rows, nil)
	if err != nil {
		return sample{}, err
	}
	r.note("%s: %.0f and %.0f rows/s.", name, one.Rate, two.Rate)
	if one.Rate < two.Rate {
		one, two = two, one
	}
	one.Resident = max(one.Resident, two.Resident)
	return one, nil
}

// warmUpRequests has the broker take small batches.
func (b *bench) warmUpRequests(ctx context.Context) error {
	org := b.loadSource(warmUpOrg-1, b.codecs[0], "full").org
	if err := b.client.CreateTopics(ctx, org, kafka.TopicOptions{}); err != nil {
		return err
	}
	p := b.client.Producer(kafka.ProducerOptions{
		Partition: log.Partition{Topic: kafka.Changes(org)}, TransactionalID: "warm", Compression: kafka.LZ4, KeepsState: true,
	})
	if _, err := p.Open(ctx); err != nil {
		return err
	}
	var batch log.Records
	for range 10 {
		batch.Add([]byte("key"), bytes.Repeat([]byte("value "), 20))
	}
	for range warmUpRequests {
		if _, err := p.Append(ctx, &batch); err != nil {
			return err
		}
	}
	return nil
}

// dump gives mariadb-dump's rows per second.
func (b *bench) dump(ctx context.Context, r *report) (float64, error) {
	program, err := exec.LookPath(b.maria.Program("mariadb-dump"))
	if err != nil {
		if program, err = exec.LookPath("mariadb-dump"); err != nil {
			return 0, fmt.Errorf("first loads are compared with mariadb-dump (Debian: mariadb-client): %w", err)
		}
	}
	r.step("mariadb-dump --single-transaction to /dev/null")
	cmd := exec.CommandContext(ctx, program, "--no-defaults", "--host="+b.maria.Host, fmt.Sprintf("--port=%d", b.maria.Port), "--user="+b.maria.User, "--single-transaction", "--skip-lock-tables", "quan", "full")
	cmd.Env = append(cmd.Environ(), "MYSQL_PWD="+b.maria.Password)
	var says strings.Builder
	cmd.Stdout, cmd.Stderr = nil, &says // /dev/null
	begun := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("mariadb-dump: %w\n%s", err, says.String())
	}
	return float64(b.rows) / time.Since(begun).Seconds(), nil
}

// loaded measures an agent from its open record in the log until done says so, or, without
// one, until the log has all rows. The log of the load before, which is on the disk by then, is
// deleted meanwhile, as a broker's retention does: what is written then comes into memory that
// it gives back, not into such as a virtual machine must ask its host for.
func (b *bench) loaded(ctx context.Context, name string, s source, rows int, done func() (bool, error)) (sample, error) {
	topic := kafka.Changes(s.org)
	from, err := b.end(ctx, topic)
	if err != nil {
		return sample{}, err
	}
	if b.before != "" {
		syscall.Sync()
		res, err := (&kafkago.Client{Addr: kafkago.TCP(b.kafka.Addr)}).DeleteTopics(ctx, &kafkago.DeleteTopicsRequest{Topics: []string{b.before}})
		if err == nil {
			err = res.Errors[b.before]
		}
		if err != nil {
			return sample{}, fmt.Errorf("delete topic %s: %w", b.before, err)
		}
	}
	b.before = topic
	p, err := b.agent(ctx, s)
	if err != nil {
		return sample{}, err
	}
	if err := until(ctx, time.Minute, "the first record of "+name, func() (bool, error) {
		end, err := b.end(ctx, topic)
		return end > from, errors.Join(err, alive(p.PID()))
	}); err != nil {
		return sample{}, err
	}
	w, err := b.begin(ctx, p, name)
	if err != nil {
		return sample{}, err
	}
	server := b.maria
	if s.engine == "postgres" {
		server = b.pg
	}
	around, err := b.shares(server)
	if err != nil {
		return sample{}, err
	}
	if done == nil {
		done = func() (bool, error) {
			end, err := b.end(ctx, topic)
			if err != nil || int(end-from) < rows { // most of the time the agent isn't disturbed
				return false, err
			}
			now, err := p.counters(ctx)
			return int(now["tributary_source_rows_total"]) >= rows, err
		}
	}
	if err := untilEvery(ctx, askLoads, 30*time.Minute, "all rows of "+name, func() (bool, error) {
		ok, err := done()
		return ok, errors.Join(err, alive(p.PID()))
	}); err != nil {
		return sample{}, err
	}
	out, err := w.took(rows)
	if err = errors.Join(err, around.end(&out)); err != nil {
		return sample{}, err
	}
	if err := w.end(ctx, &out, "tributary_source_rows_total", ""); err != nil {
		return sample{}, err
	}
	size, err := b.logSize(topic)
	if err != nil {
		return sample{}, err
	}
	out.Wire = float64(size) / float64(rows)
	return out, p.finish(true)
}

// loadStore measures the whole way of a first load, agent and worker at the same time.
func (b *bench) loadStore(ctx context.Context, r *report) error {
	if err := b.calm(ctx, r); err != nil {
		return err
	}
	r.step("first load, MariaDB to the store")
	s := b.loadSource(7, b.codecs[0], "full")
	var fence, fenceNow, before int64
	if err := b.storeFigures(ctx, &fence, &before); err != nil {
		return err
	}
	if err := b.prepared(ctx, source{org: s.org, name: "leer", engine: "mariadb", codec: "avro", settings: at(b.maria) + `, tables: ["quan.full"]`}); err != nil { // makes the topics
		return err
	}
	p, err := b.worker(ctx, s.org)
	if err != nil {
		return err
	}
	if err := until(ctx, time.Minute, "the worker's claim", func() (bool, error) {
		err := b.storeFigures(ctx, &fenceNow, new(int64))
		return fenceNow > fence, err
	}); err != nil {
		return err
	}
	out, err := b.loaded(ctx, "load-store", s, b.rows, func() (bool, error) {
		var now int64
		err := errors.Join(b.storeFigures(ctx, new(int64), &now), alive(p.PID()))
		return now >= before+int64(b.rows), err
	})
	if err != nil {
		return err
	}
	again, err := b.verified(ctx, r, s)
	if err != nil {
		return err
	}
	if err := p.finish(true); err != nil {
		return err
	}
	r.step("plain COPY into the same table")
	plain, err := b.plainCopy(ctx, "ods.full")
	if err != nil {
		return err
	}
	out.over("plain COPY", plain)
	r.add("first load, MariaDB to the store, the agent's part", out)
	again.over("the first load", out.Rate)
	r.add("verification of MariaDB against the store, the agent's part", again)
	return nil
}

// loadShapes measures the agent's memory with rows of other shapes.
func (b *bench) loadShapes(ctx context.Context, r *report) error {
	wide, fat := b.rows/20, max(b.rows/2000, 200)
	var defs, values []string
	for i := range 200 {
		defs, values = append(defs, fmt.Sprintf("c%d %s", i, [...]string{"int", "varchar(20)", "double", "datetime(6)"}[i%4])),
			append(values, [...]string{"seq * 7919", fmt.Sprintf("LEFT(MD5(seq + %d), 12)", i), "seq / 7e0", "'2026-01-01' + INTERVAL seq SECOND"}[i%4])
	}
	for n, t := range []struct {
		name, figure, defs, values string
		rows                       int
	}{
		{"wide", "first load, MariaDB to Kafka, rows of 200 columns", strings.Join(defs, ", "), strings.Join(values, ", "), wide},
		{"fat", "first load, MariaDB to Kafka, rows of 1 MB", "c mediumtext", "REPEAT(MD5(seq), 32768)", fat},
	} {
		r.step("%s", t.figure)
		for _, q := range []string{fmt.Sprintf("CREATE TABLE quan.%s (id int PRIMARY KEY, %s) ROW_FORMAT = DYNAMIC", t.name, t.defs),
			fmt.Sprintf("INSERT INTO quan.%s SELECT seq, %s FROM quan.seq_1_to_%d", t.name, t.values, t.rows)} {
			if _, err := b.mdb.ExecContext(ctx, q); err != nil {
				return fmt.Errorf("%.100s: %w", q, err)
			}
		}
		s, err := b.loaded(ctx, "load-"+t.name, b.loadSource(8+n, b.codecs[0], t.name), t.rows, nil)
		if err != nil {
			return err
		}
		r.add(t.figure, s)
	}
	return nil
}

func (b *bench) loadPostgres(ctx context.Context, r *report) error {
	if _, err := b.pdb.ExecContext(ctx, "CREATE DATABASE quan"); err != nil {
		return err
	}
	db, err := sql.Open("pgx", b.pg.PostgresURL("quan"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // only this measurement's
	if _, err := db.ExecContext(ctx, studentTable("full_student", "smallint", "timestamp")); err != nil {
		return err
	}
	r.step("write %d rows into PostgreSQL, to be loaded", b.rows)
	if err := fill(ctx, db, "full_student", b.rows); err != nil {
		return err
	}
	if err := errors.Join(tidy(ctx, db), b.calm(ctx, r)); err != nil {
		return err
	}
	of := func(again int) source {
		return source{org: fmt.Sprint(330130 + again), name: "quan", engine: "postgres", codec: "avro", start: "load", settings: at(b.pg) + `, database: quan, tables: ["public.*"]`}
	}
	r.step("first load, PostgreSQL to Kafka, that doesn't count") // both that do shall find a log of one before
	if _, err := b.loaded(ctx, "load-warm", of(2*againOrg), b.rows, nil); err != nil {
		return err
	}
	before, err := b.copyOut(ctx, r)
	if err != nil {
		return err
	}
	s, err := b.loadedTwice(ctx, r, "load-postgres", of)
	if err != nil {
		return err
	}
	after, err := b.copyOut(ctx, r)
	if err != nil {
		return err
	}
	best := max(before, after)
	s.over(copyCeiling, best)
	r.add("first load, PostgreSQL to Kafka, the faster of two", s)
	r.add("COPY TO STDOUT, the faster of two", sample{Rows: b.rows, Rate: best})
	return nil
}

// copyOut gives the rows per second of COPY TO STDOUT, thrown away.
func (b *bench) copyOut(ctx context.Context, r *report) (float64, error) {
	r.step("COPY TO STDOUT, thrown away")
	c, err := pgx.Connect(ctx, b.pg.PostgresURL("quan"))
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }() // only this measurement's
	begun := time.Now()
	if _, err := c.PgConn().CopyTo(ctx, io.Discard, "COPY full_student TO STDOUT"); err != nil {
		return 0, err
	}
	return float64(b.rows) / time.Since(begun).Seconds(), nil
}
