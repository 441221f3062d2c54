package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib" // database/sql's driver "pgx"

	"github.com/tributary-cdc/tributary/deploy/local"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
)

// bench is the servers of one repetition.
type bench struct {
	dir, program string
	rows         int
	maria, pg    *local.Server
	store        *local.Server
	kafka        *local.Kafka
	client       *kafka.Client
	mdb, pdb     *sql.DB // the sources
	sdb          *sql.DB // the store
	running      []*process
	http         string // of the program that is measured
	profiles     string // folder, empty for none
}

// profile keeps a CPU profile of the running program from now on.
func (b *bench) profile(ctx context.Context, name string) error {
	if b.profiles == "" {
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.http+"/debug/pprof/profile?seconds=2", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // read only
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return fmt.Errorf("profile of %s: %s: %w", name, res.Status, err)
	}
	return os.WriteFile(filepath.Join(b.profiles, name+".pprof"), body, 0o644)
}

const transaction = 1000

func start(ctx context.Context, program, profiles string, rows int) (*bench, error) {
	dir, err := os.MkdirTemp("", "tributary-bench-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	if program, err = filepath.Abs(program); err != nil {
		return nil, err
	}
	port, err := local.FreePort()
	if err != nil {
		return nil, err
	}
	b := &bench{dir: dir, program: program, rows: rows - rows%transaction, profiles: profiles, http: fmt.Sprintf("127.0.0.1:%d", port)}
	pg := map[string]string{"max_wal_size": "8GB", "shared_buffers": "512MB"}
	if b.maria, err = local.StartMariaDB(ctx, local.Options{Dir: filepath.Join(dir, "maria"), Settings: map[string]string{"innodb-buffer-pool-size": "512M", "max-binlog-size": "1073741824"}}); err != nil {
		return b, err
	}
	if b.pg, err = local.StartPostgres(ctx, local.Options{Dir: filepath.Join(dir, "pg"), Settings: pg}); err != nil {
		return b, err
	}
	if b.store, err = local.StartPostgres(ctx, local.Options{Dir: filepath.Join(dir, "store"), Settings: pg}); err != nil {
		return b, err
	}
	if b.kafka, err = local.StartKafka(ctx, local.KafkaOptions{Dir: filepath.Join(dir, "kafka")}); err != nil {
		return b, err
	}
	if b.client, err = kafka.New(kafka.Options{Brokers: []string{b.kafka.Addr}}); err != nil {
		return b, err
	}
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr = b.maria.User, b.maria.Password, "tcp", fmt.Sprintf("%s:%d", b.maria.Host, b.maria.Port)
	cfg.Params, cfg.InterpolateParams = map[string]string{"time_zone": "'+00:00'"}, true
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return b, err
	}
	b.mdb = sql.OpenDB(connector)
	if b.pdb, err = sql.Open("pgx", b.pg.PostgresURL("postgres")); err != nil {
		return b, err
	}
	if b.sdb, err = sql.Open("pgx", b.store.PostgresURL("postgres")); err != nil {
		return b, err
	}
	return b, nil
}

func (b *bench) servers() []string {
	return []string{b.maria.Engine + " " + b.maria.Version, b.pg.Engine + " " + b.pg.Version, "Apache Kafka " + b.kafka.Version}
}

func (b *bench) stop() error {
	var all []error
	for _, p := range b.running {
		all = append(all, p.End())
	}
	for _, db := range []*sql.DB{b.mdb, b.pdb, b.sdb} {
		if db != nil {
			all = append(all, db.Close())
		}
	}
	if b.client != nil {
		b.client.Close()
	}
	if b.kafka != nil {
		all = append(all, b.kafka.Kill())
	}
	for _, s := range []*local.Server{b.maria, b.pg, b.store} {
		if s != nil {
			all = append(all, s.Kill())
		}
	}
	return errors.Join(append(all, os.RemoveAll(b.dir))...)
}

// agent starts an agent for one source.
func (b *bench) agent(org, name, engine, rest string, s *local.Server) (*process, error) {
	text := fmt.Sprintf("name: a\norg: %q\ndata_dir: %s\nhttp: %s\nlog: {brokers: [%q]}\nsources:\n  - {name: %s, engine: %s, host: %s, port: %d, user: %s, password_file: %s, %s, first_start: now}\n",
		org, filepath.Join(b.dir, "agent-"+org), b.http, b.kafka.Addr, name, engine, s.Host, s.Port, s.User, filepath.Join(s.Dir, "password"), rest)
	return b.run("agent", "agent-"+org, text)
}

// worker starts a worker that keeps its tables in a schema of their own.
func (b *bench) worker(org, schema string) (*process, error) {
	text := fmt.Sprintf("name: %s\norgs: [%q]\nhttp: %s\nlog: {brokers: [%q]}\nstore: {host: %s, port: %d, database: postgres, schema: %s, user: %s, password_file: %s}\n",
		schema, org, b.http, b.kafka.Addr, b.store.Host, b.store.Port, schema, b.store.User, filepath.Join(b.store.Dir, "password"))
	return b.run("worker", "worker-"+schema, text)
}

// process is one of our programs, with what it has used.
type process struct{ local.Process }

func (b *bench) run(role, name, config string) (*process, error) {
	file := filepath.Join(b.dir, name+".yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	p := &process{local.Process{Name: name, Path: b.program, Args: []string{role, "--config", file}, Out: filepath.Join(b.dir, name+".log")}}
	err := p.Start()
	if err == nil {
		b.running = append(b.running, p)
	}
	return p, err
}

// used gives the CPU seconds and the highest resident megabytes so far (proc(5)).
func (p *process) used() (cpu, resident float64, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		return 0, 0, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	for _, f := range fields[11:13] { // utime and stime, in hundredths
		n, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return 0, 0, err
		}
		cpu += n / 100
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(v)[0], 64)
			return cpu, kb / 1024, err
		}
	}
	return cpu, 0, nil
}

// until calls ready every 50 ms.
func until(ctx context.Context, limit time.Duration, what string, ready func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := ready()
		if ok {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s didn't come within %s: %w", what, limit, errors.Join(err, ctx.Err()))
		}
	}
}

func (b *bench) end(ctx context.Context, org string) (log.Offset, error) {
	_, end, err := b.client.Fetcher(log.Partition{Topic: kafka.Changes(org)}, 0).Bounds(ctx)
	return end, err
}

// logged waits until a backlog of rows is in the log, from the first new record on.
func (b *bench) logged(ctx context.Context, name, org string, from log.Offset, rows int) (time.Duration, error) {
	var first time.Time
	profiled := make(chan error, 1)
	want := from + log.Offset(rows+rows/transaction)
	err := until(ctx, 10*time.Minute, "the backlog in the log", func() (bool, error) {
		end, err := b.end(ctx, org)
		if err == nil && first.IsZero() && end > from+1 { // the first one is the agent's open
			first = time.Now()
			go func() { profiled <- b.profile(ctx, name) }()
		}
		return err == nil && end >= want, err
	})
	took := time.Since(first)
	if err == nil {
		err = <-profiled
	}
	return took, err
}

// logSize gives the bytes of an org's changes on the broker's disk.
func (b *bench) logSize(org string) (total int64, err error) {
	files, err := filepath.Glob(filepath.Join(b.kafka.Dir, "data", kafka.Changes(org)+"-0", "*.log"))
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			return 0, err
		}
		total += info.Size()
	}
	return total, nil
}
