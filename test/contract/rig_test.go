package contract

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/deploy/local"
	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/embedded"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/schemas"
	"github.com/tributary-cdc/tributary/test/servers"
)

// forgets are settings under which the broker forgets transactional ids after 4 s
// without InitProducerID, and what a producer wrote after 4 s of its silence.
var forgets = map[string]string{
	"transactional.id.expiration.ms": "4000", "transaction.remove.expired.transaction.cleanup.interval.ms": "500",
	"producer.id.expiration.ms": "4000", "producer.id.expiration.check.interval.ms": "500",
}

// The servers of all tests: each has an org and a database of its own.
var (
	broker *local.Kafka
	store  *local.Server
	orgs   atomic.Int32
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	ctx := context.Background()
	k, stop, err := servers.SharedKafka(ctx, forgets)
	if err != nil {
		fmt.Fprintln(os.Stderr, "start Apache Kafka:", err)
		return 1
	}
	defer stop()
	dir, err := os.MkdirTemp("", "tributary-contract-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := local.StartPostgres(ctx, local.Options{Dir: dir, Settings: map[string]string{"fsync": "off"}})
	if err != nil {
		fmt.Fprintln(os.Stderr, "start PostgreSQL:", err)
		return 1
	}
	defer func() {
		if err := s.Abort(); err != nil {
			fmt.Fprintln(os.Stderr, "end PostgreSQL:", err)
			code = max(code, 1)
		}
	}()
	broker, store = k, s
	fmt.Printf("Apache Kafka %s on %s, %s %s from %s\n", k.Version, k.Addr, s.Engine, s.Version, s.How)
	return m.Run()
}

// rig is one org on one log, and a database for its store.
type rig struct {
	*testing.T
	addr     string
	embedded bool
	org      string
	client   *kafka.Client
	database string
	sql      *pgx.Conn
	log      logged
}

// both runs a test on the embedded log and on Apache Kafka.
func both(t *testing.T, f func(*rig)) {
	t.Helper()
	for _, name := range []string{"embedded", "apache"} {
		t.Run(name, func(t *testing.T) { f(newRig(t, name == "embedded", 1)) })
	}
}

func newRig(t *testing.T, own bool, partitions int) *rig {
	t.Helper()
	r := &rig{T: t, addr: broker.Addr, embedded: own, org: fmt.Sprintf("33%04d", orgs.Add(1))}
	if own {
		s, err := embedded.Start(embedded.Options{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		r.addr = s.Addr()
	}
	r.client = r.connect(nil)
	if err := r.client.CreateTopics(t.Context(), r.org, kafka.TopicOptions{Partitions: partitions}); err != nil {
		t.Fatal(err)
	}
	r.database = "store" + r.org
	admin := r.open("postgres")
	if _, err := admin.Exec(t.Context(), "CREATE DATABASE "+r.database); err != nil {
		t.Fatal(err)
	}
	r.sql = r.open(r.database)
	return r
}

// connect makes a client, by its own way to the broker if there is one.
func (r *rig) connect(dial func(ctx context.Context, network, address string) (net.Conn, error)) *kafka.Client {
	r.Helper()
	c, err := kafka.New(kafka.Options{Brokers: []string{r.addr}, Dial: dial})
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(c.Close)
	return c
}

func (r *rig) open(name string) *pgx.Conn {
	r.Helper()
	c, err := pgx.Connect(r.Context(), store.PostgresURL(name))
	if err != nil {
		r.Fatal("connect to the store's server")
	}
	r.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func (r *rig) part(i int32) log.Partition {
	return log.Partition{Topic: kafka.Changes(r.org), Index: i}
}

func (r *rig) producer(source string, partition int32) *kafka.Producer {
	return r.client.Producer(kafka.ProducerOptions{Partition: r.part(partition), TransactionalID: kafka.Prefix + r.org + "." + source, KeepsState: !r.embedded})
}

// await waits until ready comes true.
func (r *rig) await(what string, ready func() bool) {
	r.Helper()
	limit, tick := time.NewTimer(30*time.Second), time.NewTicker(20*time.Millisecond)
	defer limit.Stop()
	defer tick.Stop()
	for !ready() {
		select {
		case <-tick.C:
		case <-limit.C:
			r.Fatalf("%s didn't come within 30 s%s", what, r.log.String())
		}
	}
}

// logged keeps what a worker logs.
type logged struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return "\n" + l.b.String()
}

// applying is a running worker.
type applying struct {
	*worker.Worker
	stop func()

	mu     sync.Mutex
	states []worker.State // of its first partition, as they came
}

// seen gives the states that the worker's first partition has had.
func (a *applying) seen() []worker.State {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.states)
}

// work starts a worker on the partitions; it ends with the test, or by stop.
func (r *rig) work(partitions ...int32) *applying {
	r.Helper()
	return r.workWith(func(p log.Partition) log.Fetcher { return r.client.Fetcher(p, 0) }, partitions...)
}

func (r *rig) workWith(fetcher func(log.Partition) log.Fetcher, partitions ...int32) *applying {
	r.Helper()
	st, err := postgres.New(postgres.Options{Host: store.Host, Port: store.Port, Database: r.database, User: store.User, Password: store.Password})
	if err != nil {
		r.Fatal(err)
	}
	a := &applying{}
	changed := func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, p := range a.Partitions() {
			if n := len(a.states); p.Partition == r.part(partitions[0]) && (n == 0 || a.states[n-1] != p.State) {
				a.states = append(a.states, p.State)
			}
		}
	}
	a.Worker, err = worker.New(worker.Options{Store: st, Schemas: schemas.New(r.client), Name: "w", Wait: 100 * time.Millisecond, AskEvery: 200 * time.Millisecond, OnChange: changed,
		Fetcher: fetcher, Logger: slog.New(slog.NewTextHandler(&r.log, nil))})
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var g sync.WaitGroup
	for _, i := range partitions {
		g.Go(func() {
			if err := a.RunPartition(ctx, worker.Claim{Partition: r.part(i), Worker: "w"}); err != nil {
				r.Error(err)
			}
		})
	}
	a.stop = sync.OnceFunc(func() { cancel(); g.Wait(); _ = st.Close() })
	r.Cleanup(a.stop)
	return a
}

// texts runs a query of one column; nothing while the store isn't prepared.
func (r *rig) texts(query string, args ...any) []string {
	rows, err := r.sql.Query(r.Context(), query, args...)
	if err != nil {
		return nil
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil
	}
	return out
}

// rows are the ids of a source's rows in the store, in order.
func (r *rig) rows(source string) string {
	return strings.Join(r.texts(`SELECT id::text FROM ods.student s WHERE _source = $1 ORDER BY s.id`, source), " ")
}

// gaps are the recorded gaps, "source code".
func (r *rig) gaps() string {
	return strings.Join(r.texts(`SELECT source || ' ' || code FROM tributary.gap ORDER BY source, id`), ", ")
}

// applied is the last commit of a source that the store has.
func (r *rig) applied(source string) string {
	return strings.Join(r.texts(`SELECT applied FROM tributary.progress WHERE source = $1`, source), " ")
}

// get asks a program over HTTP.
func get(t *testing.T, address string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", address, res.Status, err)
	}
	return string(b)
}
