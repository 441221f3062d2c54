package contract

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/pipeline"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/embedded"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/schemas"
)

// script is what the source has committed: rows per transaction. The large one
// spans several batches.
var script = []int{1, 3, 2500, 2, 1, 40, 1, 1}

var enrolled = &schema.Table{Source: "330106-xueji", Dataset: "student", Database: "xueji", Name: "student", Key: []int{0},
	Columns: []schema.Column{{Name: "id", Type: schema.Type{Kind: schema.Int64}}, {Name: "note", Type: schema.Type{Kind: schema.String}}}}

// played reads the script from wherever the log has got to.
type played struct {
	table     *schema.Table
	next, row int
	begun     bool
	hold      int           // before this transaction it waits for release
	held      chan struct{} // closed once it waits
	release   chan struct{}
	acked     chan event.Place
}

func place(n int) event.Position {
	return event.Position{Epoch: 7, Place: event.Place{Offset: uint64(10 * (n + 1))}}
}

func (p *played) Start(_ context.Context, r capture.Resume) (uint32, error) {
	if r.State == nil && !r.Last.IsZero() {
		return 0, &capture.GapError{Code: "NO_STATE", From: r.Last, Reason: "the state is lost"}
	}
	p.next, p.row, p.begun = int(r.Last.Offset/10), 0, false
	return 7, nil
}

func (p *played) Next(ctx context.Context) (*event.Segment, error) {
	if !p.begun {
		p.begun = true
		at := event.Place{Offset: uint64(10*p.next + 5)}
		return &event.Segment{Kind: event.Idle, Restart: at, State: []byte(`{"s":1}`)}, nil
	}
	if p.next == p.hold && p.held != nil {
		close(p.held)
		p.held = nil
		<-p.release
	}
	if p.next == len(script) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	pos := place(p.next)
	s := &event.Segment{Txn: event.Txn{Position: pos, ID: fmt.Sprint("t", p.next), Committed: time.Unix(1, 0), Captured: time.Unix(2, 0)}, First: p.row == 0}
	for len(s.Rows) < 600 && p.row < script[p.next] {
		s.Rows = append(s.Rows, event.Row{Op: event.Create, Table: p.table,
			After: []event.Value{event.Signed(int64(p.next*10_000 + p.row)), event.Raw(fmt.Appendf(nil, "%0100d", p.row))}})
		p.row++
	}
	if p.row == script[p.next] {
		s.Last, s.Restart = true, event.Place{Offset: pos.Offset + 5}
		p.next, p.row = p.next+1, 0
	}
	return s, nil
}

func (p *played) Ack(at event.Place) { p.acked <- at }

func (*played) Close() error { return nil }

// steps counts what a pipeline does to the outside, and ends it at one of them, as
// SIGKILL would: nothing after it happens.
type steps struct {
	log.Appender
	pipeline.Checkpoints
	mu     sync.Mutex
	n      int
	at     int // the step at which everything ends; 0 for never
	killed func()
}

var errCrashed = errors.New("killed")

// alive counts a step and reports whether the process is still there.
func (s *steps) alive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	if s.at > 0 && s.n == s.at {
		s.killed()
	}
	return s.at == 0 || s.n < s.at
}

// step is something with a moment before it and one after it.
func step[T any](s *steps, f func() (T, error)) (v T, err error) {
	if !s.alive() {
		return v, errCrashed
	}
	if v, err = f(); err == nil && !s.alive() {
		return v, errCrashed
	}
	return v, err
}

func (s *steps) Open(ctx context.Context) (log.Producer, error) {
	return step(s, func() (log.Producer, error) { return s.Appender.Open(ctx) })
}

func (s *steps) Append(ctx context.Context, r *log.Records) (log.Offset, error) {
	return step(s, func() (log.Offset, error) { return s.Appender.Append(ctx, r) })
}

func (s *steps) Save(ctx context.Context, source string, value []byte) error {
	_, err := step(s, func() (struct{}, error) { return struct{}{}, s.Checkpoints.Save(ctx, source, value) })
	return err
}

// forgetful has lost every checkpoint.
type forgetful struct{ pipeline.Checkpoints }

func (forgetful) Load(context.Context, string) ([]byte, error) { return nil, nil }

// road is one source's partition on either log.
type road struct {
	t      *testing.T
	client *kafka.Client
	org    string
	part   log.Partition
	table  *schema.Table
	keeps  bool // the broker's memory of producers outlives a broken connection
}

// roads runs f with sources of one org, each in a partition of its own, on the embedded
// log and on Apache Kafka.
func roads(t *testing.T, f func(t *testing.T, open func() *road)) {
	for _, name := range []string{"embedded", "apache"} {
		t.Run(name, func(t *testing.T) {
			addr, org := broker.Addr, fmt.Sprintf("33%04d", orgs.Add(1))
			if name == "embedded" {
				s, err := embedded.Start(embedded.Options{Dir: t.TempDir()})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = s.Close() })
				addr = s.Addr()
			}
			client, err := kafka.New(kafka.Options{Brokers: []string{addr}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(client.Close)
			const most = 64
			if err := client.CreateTopics(t.Context(), org, kafka.TopicOptions{Partitions: most}); err != nil {
				t.Fatal(err)
			}
			var n int32
			f(t, func() *road {
				table := *enrolled
				table.Source = fmt.Sprintf("%s-s%d", org, n)
				r := &road{t: t, client: client, org: org, part: log.Partition{Topic: kafka.Changes(org), Index: n}, table: &table, keeps: name == "apache"}
				if n++; n > most {
					t.Fatalf("more than %d sources", most)
				}
				return r
			})
		})
	}
}

func (r *road) steps() *steps {
	return &steps{Checkpoints: r.client.Latest(kafka.Checkpoints(r.org)),
		Appender: r.client.Producer(kafka.ProducerOptions{Partition: r.part, TransactionalID: "tributary." + r.org + "." + r.table.Source, KeepsState: r.keeps})}
}

// run drives a pipeline until the whole script is acknowledged, or it ends by itself.
func (r *road) run(agent string, p *played, s *steps, points pipeline.Checkpoints, force bool) error {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	defer cancel()
	s.killed = cancel
	p.acked, p.table = make(chan event.Place, 1000), r.table
	pipe, err := pipeline.New(pipeline.Options{Source: event.Source{ID: r.table.Source, Org: r.org}, Agent: agent, Reader: p, Log: s, Checkpoints: points, FirstStart: true, Force: force,
		Partition: r.part, Tail: r.client.Fetcher(r.part, 0), Schemas: schemas.New(r.client).Publisher(kafka.Schemas(r.org)), BatchBytes: 64 << 10, CheckpointEvery: 5 * time.Millisecond, StopTimeout: time.Second})
	if err != nil {
		r.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- pipe.Run(ctx) }()
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	for {
		select {
		case at := <-p.acked:
			if at.Offset == place(len(script)-1).Offset+5 {
				cancel()
				return <-ended
			}
		case err := <-ended:
			return err
		case <-limit.C:
			r.t.Fatal("the script wasn't acknowledged within 30 s")
		}
	}
}

// holds reads the log by the rules of FORMAT.md and expects each transaction of the
// script once, whole and in order.
func (r *road) holds() {
	r.t.Helper()
	f := r.client.Fetcher(r.part, 0)
	first, end, err := f.Bounds(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	var producer log.Producer
	var open []int64
	var last event.Position
	var got []int
	for from := first; from < end; {
		batches, err := f.Fetch(r.t.Context(), from, time.Second)
		if err != nil {
			r.t.Fatal(err)
		}
		for i := range batches {
			b := &batches[i]
			from = b.Last + 1
			err := b.Each(func(_ log.Offset, rec *log.Record) error {
				class, _ := envelope.Classify(rec)
				if class == envelope.RowRecord {
					var row event.Row
					if err := envelope.Decode(r.table, rec.Value, &row, nil); err != nil {
						return err
					}
					if b.Producer == producer {
						open = append(open, row.After[0].Int())
					}
					return nil
				}
				c, err := envelope.ParseControl(rec)
				switch {
				case err != nil:
					return err
				case c.Open != nil:
					producer, open = b.Producer, nil
				case b.Producer != producer:
				case c.Commit != nil:
					n := len(got)
					if c.Commit.Prev != last || c.Commit.Rows != len(open) || n >= len(script) || c.Commit.Txn.Position != place(n) || len(open) != script[n] {
						return fmt.Errorf("commit %s after %s with %d of %d rows", c.Commit.Txn.Position, c.Commit.Prev, len(open), c.Commit.Rows)
					}
					for i, id := range open {
						if id != int64(n*10_000+i) {
							return fmt.Errorf("row %d of transaction %d is %d", i, n, id)
						}
					}
					got, last, open = append(got, len(open)), c.Commit.Txn.Position, nil
				case c.Gap != nil:
					return fmt.Errorf("a gap: %s", c.Gap.Reason)
				}
				return nil
			})
			if err != nil {
				r.t.Fatal(err)
			}
		}
	}
	if len(got) != len(script) {
		r.t.Errorf("%d transactions, want %d", len(got), len(script))
	}
}

// TestCrashAtEachStep ends an agent before and after each thing that it does to the
// log, and lets another start of it go on.
func TestCrashAtEachStep(t *testing.T) {
	roads(t, func(t *testing.T, open func() *road) {
		whole := open()
		s := whole.steps()
		if err := whole.run("a/1", &played{}, s, s, false); err != nil {
			t.Fatal(err)
		}
		whole.holds()
		if s.n < 20 {
			t.Fatalf("only %d steps", s.n)
		}
		for at := 1; at <= s.n; at++ {
			r := open()
			s := r.steps()
			s.at = at
			if err := r.run("a/1", &played{}, s, s, false); err != nil && !errors.Is(err, errCrashed) {
				t.Fatalf("step %d: %v", at, err)
			}
			again := r.steps()
			if err := r.run("a/1", &played{}, again, again, false); err != nil {
				t.Fatalf("after step %d: %v", at, err)
			}
			r.holds()
		}
		t.Logf("%d steps", s.n)
	})
}

// TestAttack20CheckpointsEmptied: the log's tail says where to go on.
func TestAttack20CheckpointsEmptied(t *testing.T) {
	roads(t, func(t *testing.T, open func() *road) {
		r := open()
		s := r.steps()
		s.at = 16
		if err := r.run("a/1", &played{}, s, s, false); err != nil && !errors.Is(err, errCrashed) {
			t.Fatal(err)
		}
		again := r.steps()
		if err := r.run("a/1", &played{}, again, forgetful{again}, false); err != nil {
			t.Fatal(err)
		}
		r.holds()
	})
}

// TestTwoAgents: the newer one takes the source if it is told to, the older one stops
// and says so, and the log has one copy of each transaction.
func TestTwoAgents(t *testing.T) {
	roads(t, func(t *testing.T, open func() *road) {
		r := open()
		older := &played{hold: 3, held: make(chan struct{}), release: make(chan struct{})}
		held, ended := older.held, make(chan error, 1)
		s := r.steps()
		go func() { ended <- r.run("a/1", older, s, s, false) }()
		<-held
		other := r.steps()
		if err := r.run("b/1", &played{}, other, other, false); !errors.Is(err, capture.ErrOtherAgent) {
			t.Errorf("a second agent, not forced: %v", err)
		}
		forced := r.steps()
		if err := r.run("b/1", &played{}, forced, forced, true); err != nil {
			t.Fatal(err)
		}
		close(older.release)
		if err := <-ended; !errors.Is(err, log.ErrFenced) {
			t.Errorf("the older agent: %v, want ErrFenced", err)
		}
		r.holds()
	})
}
