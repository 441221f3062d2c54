package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib" // database/sql's driver "pgx"

	"github.com/tributary-cdc/tributary/deploy/local"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/test/bench/peers"
)

// options say what is measured.
type options struct {
	program string
	out     string
	rows    int
	repeat  int
	seconds int      // of each latency run
	codecs  []string // the first one feeds the store
	peers   bool
	only    []string // names of parts, none for all
}

// bench is the servers of one repetition.
type bench struct {
	options
	dir      string
	maria    *local.Server
	pg       *local.Server
	store    *local.Server
	kafka    *local.Kafka
	client   *kafka.Client
	mdb, pdb *sql.DB // the sources
	sdb      *sql.DB // the store
	running  []*process
	rivals   []*peers.Connect
	profiles string // folder, empty for none
	before   string // the changes of the load before, empty for none
}

// start starts the servers. The bench comes back even with an error, to be stopped.
func start(ctx context.Context, o options) (*bench, error) {
	dir, err := os.MkdirTemp("", "tributary-bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, dir: dir}
	if err := os.Chmod(dir, 0o755); err != nil { // servers may run as another user
		return b, err
	}
	pg := map[string]string{"max_wal_size": "8GB", "shared_buffers": "512MB"}
	maria := map[string]string{"innodb-buffer-pool-size": "512M", "max-binlog-size": "1073741824"}
	for _, one := range []func(dir string) error{
		func(dir string) (err error) {
			b.maria, err = local.StartMariaDB(ctx, local.Options{Dir: filepath.Join(dir, "maria"), Settings: maria})
			return err
		},
		func(dir string) (err error) {
			b.pg, err = local.StartPostgres(ctx, local.Options{Dir: filepath.Join(dir, "pg"), Settings: pg})
			return err
		},
		func(dir string) (err error) {
			b.store, err = local.StartPostgres(ctx, local.Options{Dir: filepath.Join(dir, "store"), Settings: pg})
			return err
		},
		func(dir string) (err error) {
			b.kafka, err = local.StartKafka(ctx, local.KafkaOptions{Dir: filepath.Join(dir, "kafka"), Settings: map[string]string{"log.segment.delete.delay.ms": "1000"}})
			return err
		},
	} {
		if err := b.attempts(ctx, one); err != nil {
			return b, err
		}
	}
	return b, b.connect()
}

// attempts starts a server, each time in a new folder: another program may have
// taken the port that was free a moment before.
func (b *bench) attempts(ctx context.Context, start func(dir string) error) error {
	var all []error
	for n := 1; n <= 3 && ctx.Err() == nil; n++ {
		dir := filepath.Join(b.dir, fmt.Sprintf("start-%d", n))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		err := start(dir)
		if err == nil {
			return nil
		}
		all = append(all, err)
	}
	return errors.Join(append(all, ctx.Err())...)
}

func (b *bench) connect() (err error) {
	if b.client, err = kafka.New(kafka.Options{Brokers: []string{b.kafka.Addr}}); err != nil {
		return err
	}
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr = b.maria.User, b.maria.Password, "tcp", fmt.Sprintf("%s:%d", b.maria.Host, b.maria.Port)
	cfg.Params, cfg.InterpolateParams = map[string]string{"time_zone": "'+00:00'"}, true
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return err
	}
	b.mdb = sql.OpenDB(connector)
	b.mdb.SetMaxIdleConns(writers)
	if b.pdb, err = sql.Open("pgx", b.pg.PostgresURL("postgres")); err != nil {
		return err
	}
	b.sdb, err = sql.Open("pgx", b.store.PostgresURL("postgres"))
	return err
}

func (b *bench) servers() []string {
	s := []string{b.maria.Engine + " " + strings.TrimPrefix(b.maria.Version, "5.5.5-"), b.pg.Engine + " " + b.pg.Version, "Apache Kafka " + b.kafka.Version}
	if b.peers {
		s = append(s, "Debezium "+peers.Version+" on Kafka Connect "+peers.ConnectVersion)
	}
	return s
}

// stop ends everything and removes its data. After a failure the logs of our
// programs and of Debezium are kept beside the report.
func (b *bench) stop(failed bool) error {
	var all []error
	for _, p := range b.running {
		all = append(all, p.finish(!failed))
	}
	for _, c := range b.rivals {
		all = append(all, c.End())
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
			all = append(all, s.Abort())
		}
	}
	if failed {
		all = append(all, b.keepLogs())
	}
	return errors.Join(append(all, os.RemoveAll(b.dir))...)
}

func (b *bench) keepLogs() error {
	var all []error
	keep := func(from, name string) {
		text, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(b.out, name+".log"), text, 0o600)
		}
		all = append(all, err)
	}
	for _, p := range b.running {
		keep(p.Out, p.Name)
	}
	for i, c := range b.rivals {
		keep(c.Log(), fmt.Sprintf("connect-%d", i+1))
	}
	return errors.Join(all...)
}

// errEnded reports a program that ended before it had done its work. Waiting longer
// is in vain.
var errEnded = errors.New("the program has ended, see its log beside the report")

// until calls ready every 20 ms.
func until(ctx context.Context, limit time.Duration, what string, ready func() (bool, error)) error {
	return untilEvery(ctx, 20*time.Millisecond, limit, what, ready)
}

func untilEvery(ctx context.Context, every, limit time.Duration, what string, ready func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		ok, err := ready()
		if ok && err == nil {
			return nil
		}
		if errors.Is(err, errEnded) {
			return fmt.Errorf("%s didn't come: %w", what, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s didn't come within %s: %w", what, limit, errors.Join(err, ctx.Err()))
		}
	}
}

// end is the offset behind a topic's last record; a topic that isn't there has none.
func (b *bench) end(ctx context.Context, topic string) (log.Offset, error) {
	_, end, err := b.client.Fetcher(log.Partition{Topic: topic}, 0).Bounds(ctx)
	if errors.Is(err, log.ErrUnknownTopic) {
		return 0, nil
	}
	return end, err
}

// logSize gives the bytes of a topic on the broker's disk.
func (b *bench) logSize(topic string) (total int64, err error) {
	files, err := filepath.Glob(filepath.Join(b.kafka.Dir, "data", topic+"-0", "*.log"))
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
