package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib" // database/sql's driver "pgx"
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
	dir       string
	program   string // tributary
	servers   []*local.Server
	mariadb   *local.Server
	stores    []*store
	districts []*workload.District
	processes []*local.Process
	opened    []*sql.DB
	unlock    func() error
	kafka     *local.Kafka // nil with the embedded log
	embedded  bool
}

// start brings everything up. On an error it returns what is up already.
func start(ctx context.Context, dir, program string, embedded bool, seed uint64) (*system, error) {
	begun := time.Now()
	program, err := filepath.Abs(program)
	if err != nil {
		return nil, err
	}
	unlock, err := lock(dir)
	if err != nil {
		return nil, err
	}
	s := &system{dir: dir, program: program, embedded: embedded, unlock: unlock, servers: make([]*local.Server, 4), stores: []*store{{name: "city"}, {name: "province"}}}
	step("数据目录 / data folder %s", dir)
	step("启动数据库服务器 / starting the database servers")
	var g errgroup.Group
	for i, name := range []string{"xueji", "chengji", "city", "province"} {
		g.Go(func() (err error) {
			f := local.StartPostgres
			if i == 0 {
				f = local.StartMariaDB
			}
			s.servers[i], err = f(ctx, local.Options{Dir: filepath.Join(dir, name), Tell: func(line string) { step("%s", line) }})
			if err == nil {
				step("%s %s 127.0.0.1:%d (%s)", name, s.servers[i].Engine, s.servers[i].Port, s.servers[i].How)
			}
			return err
		})
	}
	if !embedded {
		g.Go(func() (err error) {
			s.kafka, err = local.StartKafka(ctx, local.KafkaOptions{Dir: filepath.Join(dir, "kafka")})
			if err == nil {
				step("Apache Kafka %s %s", s.kafka.Version, s.kafka.Addr)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return s, err
	}
	if err := s.databases(ctx, seed); err != nil {
		return s, err
	}
	if err := s.programs(program); err != nil {
		return s, err
	}
	step("等待采集开始 / waiting until the sources are being read")
	if err := s.reading(ctx); err != nil {
		return s, err
	}
	for _, d := range s.districts {
		if err := d.Seed(ctx); err != nil {
			return s, err
		}
	}
	if err := s.await(ctx, "the first row in the province's store", func() bool {
		var n int
		return s.stores[1].db.QueryRowContext(ctx, "SELECT count(*) FROM ods.school").Scan(&n) == nil && n > 0
	}); err != nil {
		return s, err
	}
	step("省库收到第一行，用时 %.1f 秒 / first row in the province's store after %.1f s", time.Since(begun).Seconds(), time.Since(begun).Seconds())
	return s, nil
}

// lock makes the folder anew, unless another demo uses it.
func lock(dir string) (func() error, error) {
	name := strings.TrimSuffix(dir, "/") + ".lock"
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("目录正被另一个演示使用 / the folder %s is in use by another demo: end it, or give -dir", dir), f.Close())
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("empty the data folder: %w", err), f.Close())
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, errors.Join(fmt.Errorf("make the data folder: %w", err), f.Close())
	}
	return f.Close, nil
}

func (s *system) open(driver, dsn string) (*sql.DB, error) {
	db, err := sql.Open(driver, dsn)
	if err == nil {
		s.opened = append(s.opened, db)
	}
	return db, err
}

func (s *system) databases(ctx context.Context, seed uint64) error {
	m := s.servers[0]
	s.mariadb = m
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr = m.User, m.Password, "tcp", fmt.Sprintf("%s:%d", m.Host, m.Port)
	cfg.Params = map[string]string{"time_zone": "'+00:00'", "charset": "utf8mb4"}
	admin, err := s.open("mysql", cfg.FormatDSN())
	if err != nil {
		return err
	}
	if _, err := admin.ExecContext(ctx, "CREATE DATABASE xueji CHARACTER SET utf8mb4"); err != nil {
		return fmt.Errorf("make the database xueji: %w", err)
	}
	cfg.DBName = "xueji"
	enrolment, err := s.open("mysql", cfg.FormatDSN())
	if err != nil {
		return err
	}
	open := func(server *local.Server, name string) (*sql.DB, error) {
		admin, err := s.open("pgx", server.PostgresURL("postgres"))
		if err != nil {
			return nil, err
		}
		if _, err := admin.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
			return nil, fmt.Errorf("make the database %s: %w", name, err)
		}
		return s.open("pgx", server.PostgresURL(name))
	}
	scores, err := open(s.servers[1], "chengji")
	if err != nil {
		return err
	}
	for i, st := range s.stores {
		st.server = s.servers[2+i]
		if st.db, err = open(st.server, st.name); err != nil {
			return err
		}
	}
	s.districts = []*workload.District{workload.Enrolment(enrolment, seed), workload.Scores(scores, seed)}
	for _, d := range s.districts {
		if err := d.Setup(ctx); err != nil {
			return err
		}
	}
	step("表已建好 / tables made")
	return nil
}

// programs writes the configurations and starts log, agents and workers.
func (s *system) programs(program string) error {
	port, err := local.FreePort()
	if err != nil {
		return err
	}
	broker := fmt.Sprintf("127.0.0.1:%d", port)
	if !s.embedded {
		broker = s.kafka.Addr
	}
	source := "name: a-%s\norg: %q\ndata_dir: %s\nlog: {brokers: [%q], embedded: %t}\nsources:\n  - {name: %s, engine: %s, host: 127.0.0.1, port: %d, %suser: %s, password_file: %s, tables: [%q], first_start: now}\n"
	sink := "name: %s\norgs: [\"330106\", \"330108\"]\nlog: {brokers: [%q], embedded: %t}\nstore: {host: 127.0.0.1, port: %d, database: %s, user: %s, password_file: %s}\n"
	secret := func(v *local.Server) string { return filepath.Join(v.Dir, "password") }
	x, c := s.servers[0], s.servers[1]
	configs := []struct{ role, name, text string }{
		{"log", "log", fmt.Sprintf("data_dir: %s\nport: %d\n", filepath.Join(s.dir, "log"), port)},
		{"agent", "agent-330106", fmt.Sprintf(source, "330106", "330106", filepath.Join(s.dir, "agent-330106"), broker, s.embedded, "xueji", "mariadb", x.Port, "", x.User, secret(x), "xueji.*")},
		{"agent", "agent-330108", fmt.Sprintf(source, "330108", "330108", filepath.Join(s.dir, "agent-330108"), broker, s.embedded, "chengji", "postgres", c.Port, "database: chengji, ", c.User, secret(c), "public.*")},
	}
	if !s.embedded {
		configs = configs[1:]
	}
	for _, st := range s.stores {
		configs = append(configs, struct{ role, name, text string }{"worker", "worker-" + st.name, fmt.Sprintf(sink, st.name, broker, s.embedded, st.server.Port, st.name, st.server.User, secret(st.server))})
	}
	for _, cf := range configs {
		file := filepath.Join(s.dir, cf.name+".yml")
		if err := os.WriteFile(file, []byte(cf.text), 0o600); err != nil {
			return fmt.Errorf("write the configuration: %w", err)
		}
		p := &local.Process{Name: cf.name, Path: program, Args: []string{cf.role, "--config", file}, Out: filepath.Join(s.dir, cf.name+".log")}
		if err := p.Start(); err != nil {
			return err
		}
		s.processes = append(s.processes, p)
		step("%s (PID %d), 日志 / log %s", cf.name, p.PID(), p.Out)
	}
	return nil
}

// reading waits until both sources are followed, so that no row comes before.
func (s *system) reading(ctx context.Context) error {
	sources := s.opened
	return s.await(ctx, "the agents", func() bool {
		var dump, slot int
		_ = sources[0].QueryRowContext(ctx, "SELECT count(*) FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'").Scan(&dump)
		_ = sources[2].QueryRowContext(ctx, "SELECT count(*) FROM pg_replication_slots WHERE active AND confirmed_flush_lsn IS NOT NULL").Scan(&slot)
		return dump > 0 && slot > 0
	})
}

func (s *system) await(ctx context.Context, what string, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		for _, p := range s.processes {
			if p.Dead() {
				return fmt.Errorf("%s has ended, see %s", p.Name, p.Out)
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

// hints prints commands to try by hand. The passwords stay in their files.
func (s *system) hints() {
	m := s.mariadb
	number := 900_000_000 + time.Now().Unix()%1_000_000
	fmt.Printf("\n手工插入一行 / insert a row by hand:\n  MYSQL_PWD=$(cat %s/password) %s --no-defaults -h 127.0.0.1 -P %d -u %s --default-character-set=utf8mb4 xueji -e \"INSERT INTO class VALUES (%d, '2133000001', '手工班', '2026')\"\n",
		m.Dir, m.Program("mariadb"), m.Port, m.User, number)
	fmt.Printf("在省库查看它及其来源 / see it with its stamp in the province's store:\n  %s trace %s/worker-province.yml class %d\nCtrl-C 停止 / stops\n", s.program, s.dir, number)
}

// stop ends everything in the reverse of its start.
func (s *system) stop() error {
	var all []error
	for i := len(s.processes) - 1; i >= 0; i-- {
		all = append(all, s.processes[i].End())
	}
	for _, db := range s.opened {
		all = append(all, db.Close())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if s.kafka != nil {
		all = append(all, s.kafka.Stop(ctx))
	}
	for _, v := range s.servers {
		if v != nil {
			all = append(all, v.Stop(ctx))
		}
	}
	return errors.Join(append(all, s.unlock())...)
}
