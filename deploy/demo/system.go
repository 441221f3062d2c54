package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tributary-cdc/tributary/deploy/local"
	"github.com/tributary-cdc/tributary/test/workload"
)

// store is an aggregation database.
type store struct {
	name   string
	server *local.Server
	db     *sql.DB
}

// system is everything that the demo runs.
type system struct {
	o          options
	say        *teller
	servers    []*local.Server
	stores     []*store
	districts  []*workload.District
	processes  []*local.Process // log, agents and workers, in the order of their start
	hub        *local.Process   // nil in a check, as all that is told of the hub
	opened     []*sql.DB
	unlock     func() error
	kafka      *local.Kafka // nil with the embedded log
	broker     string
	page       string // the hub's address
	link       string // by which the administrator's password is set, once
	joins      string // where agents join the hub
	simulation *simulation
	agents     map[string]string // addresses of the agents, by org
	workers    map[string]string // and of the workers, by store
}

// start brings everything up. On an error it returns what is up already.
func start(ctx context.Context, o options, say *teller) (*system, error) {
	var err error
	for _, path := range []*string{&o.program, &o.dir} {
		if *path, err = filepath.Abs(*path); err != nil {
			return nil, err
		}
	}
	if err := pageFree(o.page); err != nil {
		return nil, err
	}
	unlock, err := lock(o.dir)
	if err != nil {
		return nil, err
	}
	s := &system{o: o, say: say, unlock: unlock, servers: make([]*local.Server, 4), stores: []*store{{name: "city"}, {name: "province"}}}
	say.step("数据目录 / data folder %s", o.dir)
	if err := s.startServers(ctx); err != nil {
		return s, err
	}
	if err := s.databases(ctx); err != nil {
		return s, err
	}
	if err := s.programs(); err != nil {
		return s, err
	}
	say.step("等待采集开始 / waiting until the sources are being read")
	if err := s.reading(ctx); err != nil {
		return s, err
	}
	for _, d := range s.districts {
		if err := d.Seed(ctx); err != nil {
			return s, err
		}
	}
	say.step("源端已写入第一批数据 / the first rows are committed at the sources")
	if err := s.await(ctx, "省库的第一行 / the first row in the province's store", func() bool {
		var n int
		return s.stores[1].db.QueryRowContext(ctx, "SELECT count(*) FROM ods.school").Scan(&n) == nil && n > 0
	}); err != nil {
		return s, err
	}
	took := time.Since(time.Unix(o.begun, 0)).Seconds()
	say.step("省库收到第一行，用时 %.0f 秒（含编译与下载） / first row in the province's store after %.0f s, compiling and fetching included", took, took)
	if o.check > 0 {
		return s, nil
	}
	if err := s.writeLive(); err != nil {
		return s, err
	}
	return s, s.startHub(ctx)
}

// programs writes the configurations and starts log, agents and workers.
func (s *system) programs() error {
	port, err := local.FreePort()
	if err != nil {
		return err
	}
	s.broker = fmt.Sprintf("127.0.0.1:%d", port)
	if !s.o.embedded {
		s.broker = s.kafka.Addr
	}
	if err := s.addresses(); err != nil {
		return err
	}
	source := "name: a-%s\norg: %q\nhttp: %q\ndata_dir: %q\nlog: {brokers: [%q], embedded: %t, durability: single}\nsources:\n  - {name: %s, engine: %s, host: 127.0.0.1, port: %d, %suser: %s, password_file: %q, tables: [%q], first_start: now}\n"
	x, c := s.servers[0], s.servers[1]
	type file struct{ role, name, text string }
	files := []file{
		{"agent", "agent-330106", fmt.Sprintf(source, "330106", "330106", s.agents["330106"], filepath.Join(s.o.dir, "agent-330106"), s.broker, s.o.embedded, "xueji", "mariadb", x.Port, "", x.User, secret(x), "xueji.*")},
		{"agent", "agent-330108", fmt.Sprintf(source, "330108", "330108", s.agents["330108"], filepath.Join(s.o.dir, "agent-330108"), s.broker, s.o.embedded, "chengji", "postgres", c.Port, "database: chengji, ", c.User, secret(c), "public.*")},
	}
	if s.o.embedded {
		files = append([]file{{"log", "log", fmt.Sprintf("data_dir: %q\nport: %d\n", filepath.Join(s.o.dir, "log"), port)}}, files...)
	}
	for _, st := range s.stores {
		files = append(files, file{"worker", "worker-" + st.name, fmt.Sprintf("name: %s\norgs: %s\nhttp: %q\nlog: {brokers: [%q], embedded: %t, durability: single}\nstore: %s\n", st.name, s.applied(), s.workers[st.name], s.broker, s.o.embedded, st.config())})
	}
	for _, f := range files {
		p, err := s.launch(f.role, f.name, f.text)
		if err != nil {
			return err
		}
		s.processes = append(s.processes, p)
	}
	return nil
}

// applied are the orgs whose changes workers apply, in YAML. A check has nobody who joins.
func (s *system) applied() string {
	if s.o.check > 0 {
		return list(real)
	}
	return list(append([]string{live}, real...))
}

// list writes codes as a list in YAML.
func list(codes []string) string { return `["` + strings.Join(codes, `", "`) + `"]` }

// addresses picks where agents and workers answer.
func (s *system) addresses() (err error) {
	s.agents, s.workers = map[string]string{"330106": "", "330108": ""}, map[string]string{"city": "", "province": ""}
	for _, m := range []map[string]string{s.agents, s.workers} {
		for name := range m {
			port, perr := local.FreePort()
			m[name], err = fmt.Sprintf("127.0.0.1:%d", port), errors.Join(err, perr)
		}
	}
	return err
}

// secret is the file with a server's password.
func secret(v *local.Server) string { return filepath.Join(v.Dir, "password") }

// config is the store as configurations name it.
func (st *store) config() string {
	return fmt.Sprintf("{name: %s, host: 127.0.0.1, port: %d, database: %s, user: %s, password_file: %q}", st.name, st.server.Port, st.name, st.server.User, secret(st.server))
}

// launch writes a configuration and starts the program with it.
func (s *system) launch(role, name, text string) (*local.Process, error) {
	file := filepath.Join(s.o.dir, name+".yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	p := &local.Process{Name: name, Path: s.o.program, Args: []string{role, "--config", file}, Out: filepath.Join(s.o.dir, name+".log")}
	if err := p.Start(); err != nil {
		return nil, err
	}
	s.say.step("%s (PID %d), 日志 / log %s", name, p.PID(), p.Out)
	return p, nil
}

// reading waits until both sources are followed, so that no row comes before.
func (s *system) reading(ctx context.Context) error {
	sources := s.opened
	return s.await(ctx, "采集 / the agents", func() bool {
		var dump, slot int
		_ = sources[0].QueryRowContext(ctx, "SELECT count(*) FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'").Scan(&dump)
		_ = sources[2].QueryRowContext(ctx, "SELECT count(*) FROM pg_replication_slots WHERE active AND confirmed_flush_lsn IS NOT NULL").Scan(&slot)
		return dump > 0 && slot > 0
	})
}

// await waits until something is so. A program that ends before it is told with its
// last words.
func (s *system) await(ctx context.Context, what string, ready func() bool) error {
	defer s.say.await(what)()
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		for _, p := range s.children() {
			if p.Dead() {
				return fmt.Errorf("%s has ended: %s (%s)", p.Name, lastLine(p.Out), p.Out)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s didn't come: %w", what, ctx.Err())
		}
	}
	return nil
}

// children are the program's processes that were started.
func (s *system) children() []*local.Process {
	if s.hub == nil {
		return s.processes
	}
	return append(slices.Clone(s.processes), s.hub)
}

// lastLine gives the last line of a program's output.
func lastLine(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}

// stop ends everything in the reverse of its start.
func (s *system) stop() error {
	var all []error
	if s.simulation != nil {
		s.simulation.client.Close()
	}
	for _, p := range slices.Backward(s.children()) {
		all = append(all, s.end(p.Name, p.End))
	}
	for _, db := range s.opened {
		all = append(all, db.Close())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if s.kafka != nil {
		all = append(all, s.end("Kafka", func() error { return s.kafka.Stop(ctx) }))
	}
	var g errgroup.Group
	errs := make([]error, len(s.servers))
	for i, v := range s.servers {
		if v != nil {
			g.Go(func() error { errs[i] = s.end(filepath.Base(v.Dir), func() error { return v.Stop(ctx) }); return nil })
		}
	}
	_ = g.Wait() // the errors stand in errs
	return errors.Join(append(append(all, errs...), s.unlock())...)
}

// end ends one part and says so.
func (s *system) end(name string, f func() error) error {
	defer s.say.await(name)()
	err := f()
	if err == nil {
		s.say.step("已停止 / stopped: %s", name)
	}
	return err
}
