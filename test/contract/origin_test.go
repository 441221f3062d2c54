package contract

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/pipeline"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/schemas"
)

// pupils is the table of a source.
func pupils(source string) *schema.Table {
	return &schema.Table{Source: source, Dataset: "student", Database: "xueji", Name: "student", Key: []int{0},
		Columns: []schema.Column{{Name: "id", Type: schema.Type{Kind: schema.Int64}}}}
}

func position(n int) event.Position {
	if n == 0 {
		return event.Position{}
	}
	return event.Position{Epoch: 7, Place: event.Place{Offset: uint64(10 * n)}}
}

// origin is a source database: what it has committed is the same for every agent
// that reads it. Transaction n, from 1, inserts the row n.
type origin struct {
	table *schema.Table

	mu   sync.Mutex
	n    int
	more chan struct{}
}

func newOrigin(source string) *origin {
	return &origin{table: pupils(source), more: make(chan struct{})}
}

// commit commits one more transaction.
func (o *origin) commit() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.n++
	close(o.more)
	o.more = make(chan struct{})
	return o.n
}

func (o *origin) state() (n int, more <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.n, o.more
}

// follower reads an origin as a capture does.
type follower struct {
	o    *origin
	next int
	idle bool
}

func (f *follower) Start(_ context.Context, r capture.Resume) (uint32, error) {
	f.next, f.idle = int(r.Last.Offset/10)+1, true
	return 7, nil
}

func (f *follower) Next(ctx context.Context) (*event.Segment, error) {
	beat := time.NewTimer(200 * time.Millisecond)
	defer beat.Stop()
	for {
		n, more := f.o.state()
		switch {
		case f.idle:
			f.idle = false
			return &event.Segment{Kind: event.Idle, Restart: event.Place{Offset: position(f.next-1).Offset + 5}, State: []byte(`{}`)}, nil
		case f.next <= n:
			pos := position(f.next)
			s := &event.Segment{First: true, Last: true, Restart: event.Place{Offset: pos.Offset + 5}, State: []byte(`{}`),
				Txn:  event.Txn{Position: pos, ID: fmt.Sprint(f.next), Committed: time.Now(), Captured: time.Now()},
				Rows: []event.Row{{Op: event.Create, Table: f.o.table, After: []event.Value{event.Signed(int64(f.next))}}}}
			f.next++
			return s, nil
		}
		select {
		case <-more:
		case <-beat.C:
			f.idle = true
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (*follower) Ack(event.Place) {}

func (*follower) Close() error { return nil }

// agent is a running pipeline.
type agent struct {
	*pipeline.Pipeline
	stop  func()
	ended chan error
}

// agent starts a pipeline on the origin; change adapts its options.
func (r *rig) agent(name string, o *origin, change func(*pipeline.Options)) *agent {
	r.Helper()
	source := o.table.Source
	opts := pipeline.Options{Source: event.Source{ID: source, Org: r.org, Agent: name}, Agent: name, Reader: &follower{o: o}, FirstStart: true,
		Log: r.producer(source, 0), Tail: r.client.Fetcher(r.part(0), 0), Partition: r.part(0),
		Checkpoints: r.client.LatestBy(kafka.Checkpoints(r.org), pipeline.NewerCheckpoint),
		Schemas:     schemas.New(r.client).Publisher(kafka.Schemas(r.org)), CheckpointEvery: 100 * time.Millisecond, StopTimeout: 2 * time.Second}
	if change != nil {
		change(&opts)
	}
	p, err := pipeline.New(opts)
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	a := &agent{Pipeline: p, ended: make(chan error, 1)}
	done := make(chan struct{})
	go func() { defer close(done); a.ended <- p.Run(ctx) }()
	a.stop = func() { cancel(); <-done }
	r.Cleanup(a.stop)
	return a
}

// reaches waits until the agent has the transaction n in the log.
func (r *rig) reaches(a *agent, n int) {
	r.Helper()
	r.await(fmt.Sprintf("transaction %d in the log", n), func() bool { return a.Status().Position.Compare(position(n)) >= 0 })
}

// hand writes a source's records one by one, as an agent would, and can stop anywhere.
type hand struct {
	r      *rig
	source string
	p      *kafka.Producer
	enc    *envelope.Encoder
	table  *schema.Table
	last   event.Position
}

func (r *rig) hand(source string, partition int32) *hand {
	r.Helper()
	h := &hand{r: r, source: source, p: r.producer(source, partition), table: pupils(source),
		enc: envelope.NewEncoder(event.Source{ID: source, Org: r.org}, "", envelope.Avro)}
	id, err := schemas.New(r.client).Publisher(kafka.Schemas(r.org)).ID(r.Context(), h.table)
	if err != nil {
		r.Fatal(err)
	}
	h.enc.BindTable(h.table, id)
	return h
}

func (h *hand) append(fill func(*log.Records)) error {
	var rec log.Records
	fill(&rec)
	_, err := h.p.Append(h.r.Context(), &rec)
	return err
}

func (h *hand) must(err error) {
	h.r.Helper()
	if err != nil {
		h.r.Fatal(err)
	}
}

// open takes the source.
func (h *hand) open(name string) log.Producer {
	h.r.Helper()
	id, err := h.p.Open(h.r.Context())
	h.must(err)
	h.must(h.append(func(rec *log.Records) { envelope.AddOpen(rec, h.source, envelope.Open{Agent: name, At: time.Now()}) }))
	return id
}

func (h *hand) row(rec *log.Records, txn *event.Txn, order, id int) {
	h.r.Helper()
	row := event.Row{Op: event.Create, Table: h.table, After: []event.Value{event.Signed(int64(id))}}
	key, err := h.enc.AppendKey(nil, &row)
	h.must(err)
	value, err := h.enc.AppendValue(nil, txn, &row, order)
	h.must(err)
	pos, err := txn.Position.AppendBinary(nil)
	h.must(err)
	rec.Add(key, value, log.Header{Key: envelope.HeaderSource, Value: []byte(h.source)}, log.Header{Key: envelope.HeaderPosition, Value: pos})
}

// rows writes rows of the transaction n, in a batch of their own.
func (h *hand) rows(n, order int, ids ...int) error {
	txn := event.Txn{Position: position(n), Committed: time.Now(), Captured: time.Now()}
	return h.append(func(rec *log.Records) {
		for i, id := range ids {
			h.row(rec, &txn, order+i, id)
		}
	})
}

// commit ends the transaction n of so many rows.
func (h *hand) commit(n, rows int) error {
	err := h.append(func(rec *log.Records) {
		envelope.AddCommit(rec, h.source, &envelope.Commit{Prev: h.last, Restart: event.Place{Offset: position(n).Offset + 5}, Rows: rows,
			Txn: event.Txn{Position: position(n), ID: fmt.Sprint(n), Committed: time.Now(), Captured: time.Now()}})
	})
	if err == nil {
		h.last = position(n)
	}
	return err
}

// txn writes the transaction n whole.
func (h *hand) txn(n int, ids ...int) {
	h.r.Helper()
	h.must(h.rows(n, 0, ids...))
	h.must(h.commit(n, len(ids)))
}
