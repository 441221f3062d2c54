package kafka_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tributary-cdc/tributary/stream/embedded"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/test/servers"
)

// apache is one broker for all tests of the package; each has an org of its own. It starts
// with the first test that asks for it: a fuzzing process never does.
var apache struct {
	once sync.Once
	addr string
	stop func()
	err  error
}

func apacheKafka(t *testing.T) string {
	t.Helper()
	apache.once.Do(func() {
		k, stop, err := servers.SharedKafka(context.Background(), nil)
		if apache.err = err; err != nil {
			return
		}
		fmt.Printf("Apache Kafka %s on %s\n", k.Version, k.Addr)
		apache.addr, apache.stop = k.Addr, stop
	})
	if apache.err != nil {
		t.Fatal("start Apache Kafka: ", apache.err)
	}
	return apache.addr
}

func TestMain(m *testing.M) {
	code := m.Run()
	if apache.stop != nil {
		apache.stop()
	}
	os.Exit(code)
}

// backend is one implementation of the log, with the topics of an org.
type backend struct {
	addr    string
	keeps   bool // Apache Kafka: ProducerOptions.KeepsState, and times of the broker
	org     string
	changes log.Partition
}

var orgs atomic.Int32

// contract runs a test on the embedded log and on Apache Kafka.
func contract(t *testing.T, f func(*testing.T, backend)) {
	t.Helper()
	for _, name := range []string{"embedded", "apache"} {
		t.Run(name, func(t *testing.T) {
			b := backend{keeps: true, org: fmt.Sprintf("33%04d", orgs.Add(1))}
			if name == "apache" {
				b.addr = apacheKafka(t)
			} else {
				s, err := embedded.Start(embedded.Options{Dir: t.TempDir()})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := s.Close(); err != nil {
						t.Errorf("close the log: %v", err)
					}
				})
				b.addr, b.keeps = s.Addr(), false
			}
			b.changes = log.Partition{Topic: kafka.Changes(b.org)}
			f(t, b)
		})
	}
}

// client connects, through a wire if there is one.
func (b backend) client(t *testing.T, w *servers.Wire) *kafka.Client {
	t.Helper()
	o := kafka.Options{Brokers: []string{b.addr}}
	if w != nil {
		o.Dial = w.Dial
	}
	c, err := kafka.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// ready connects and makes the org's topics.
func (b backend) ready(t *testing.T) *kafka.Client {
	t.Helper()
	c := b.client(t, nil)
	if err := c.CreateTopics(t.Context(), b.org, kafka.TopicOptions{}); err != nil {
		t.Fatal(err)
	}
	return c
}

// producer makes an agent's producer for the source of the test.
func (b backend) producer(c *kafka.Client) *kafka.Producer {
	return c.Producer(kafka.ProducerOptions{Partition: b.changes, TransactionalID: "tributary." + b.org + ".a", KeepsState: b.keeps, Compression: kafka.LZ4})
}

func open(t *testing.T, p *kafka.Producer) log.Producer {
	t.Helper()
	id, err := p.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func appendAll(t *testing.T, p *kafka.Producer, values ...string) log.Offset {
	t.Helper()
	o, err := p.Append(t.Context(), records(values...))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func records(values ...string) *log.Records {
	var r log.Records
	for _, v := range values {
		r.Add([]byte("k"), []byte(v), log.Header{Key: "source", Value: []byte("s")})
	}
	return &r
}

// all reads every value of the partition.
func all(t *testing.T, c *kafka.Client, p log.Partition) (values []string) {
	t.Helper()
	_, err := c.ReadAll(t.Context(), p, func(_ log.Offset, r *log.Record) error {
		values = append(values, string(r.Value))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func want(t *testing.T, got []string, values ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(values) {
		t.Errorf("the log holds %q, want %q", got, values)
	}
}
