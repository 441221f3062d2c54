package postgres_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// written is a partition whose batches are made anew at each fetch, so that a large
// one takes no memory.
type written struct {
	mu      sync.Mutex
	batches []writtenBatch
	end     log.Offset
	more    chan struct{} // closed when something is appended
	tables  map[uint32]*schema.Table
}

type writtenBatch struct {
	base  log.Offset
	count int
	epoch int16
	fill  func(*log.Records)
}

func newWritten() *written {
	return &written{more: make(chan struct{}), tables: map[uint32]*schema.Table{}}
}

// add appends a batch of a producer and returns the offset of its last record.
func (l *written) add(epoch int16, count int, fill func(*log.Records)) log.Offset {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.batches = append(l.batches, writtenBatch{l.end, count, epoch, fill})
	l.end += log.Offset(count)
	close(l.more)
	l.more = make(chan struct{})
	return l.end - 1
}

// Table implements worker.Schemas.
func (l *written) Table(_ context.Context, _ string, id uint32) (*schema.Table, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.tables[id]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("schema %d: %w", id, envelope.ErrMalformed)
}

// reader implements log.Fetcher.
type reader struct {
	l    *written
	recs []*log.Records // one per batch of a fetch
}

// Bounds implements log.Fetcher.
func (r *reader) Bounds(context.Context) (first, end log.Offset, err error) {
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	return 0, r.l.end, nil
}

// Fetch implements log.Fetcher: about a thousand records at a time.
func (r *reader) Fetch(ctx context.Context, from log.Offset, wait time.Duration) ([]log.Batch, error) {
	t := time.NewTimer(wait)
	defer t.Stop()
	for {
		r.l.mu.Lock()
		more, all := r.l.more, r.l.batches
		r.l.mu.Unlock()
		at, _ := slices.BinarySearchFunc(all, from, func(b writtenBatch, from log.Offset) int { return cmp.Compare(b.base+log.Offset(b.count), from+1) })
		if at < len(all) {
			return r.render(all[at:])
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-t.C:
			return nil, nil
		case <-more:
		}
	}
}

func (r *reader) render(batches []writtenBatch) ([]log.Batch, error) {
	var out []log.Batch
	for i, records := 0, 0; i < len(batches) && records < 1000; i++ {
		b := &batches[i]
		if len(r.recs) == i {
			r.recs = append(r.recs, &log.Records{})
		}
		recs := r.recs[i]
		recs.Reset()
		b.fill(recs)
		if recs.Count() != b.count {
			return nil, errors.New("a batch has another number of records than it was appended with")
		}
		records += b.count
		out = append(out, log.Batch{Base: b.base, Last: b.base + log.Offset(b.count) - 1, Count: b.count, Data: recs.Data(), Size: recs.Size(),
			Producer: log.Producer{ID: 1, Epoch: b.epoch}})
	}
	return out, nil
}

// writer is one source of a written log, as its agent writes it.
type writer struct {
	l     *written
	table *schema.Table
	id    uint32
	enc   *envelope.Encoder
	epoch int16
	last  event.Position // of the last commit
	at    uint64
}

// source opens a source with one table.
func (l *written) source(epoch int16, id uint32, t *schema.Table) *writer {
	w := &writer{l: l, table: t, id: id, epoch: epoch, enc: envelope.NewEncoder(event.Source{ID: t.Source, Org: "330106", Engine: event.MariaDB, Agent: "a"}, "policy-1", envelope.Avro)}
	w.enc.BindTable(t, id)
	l.mu.Lock()
	l.tables[id] = t
	l.mu.Unlock()
	l.add(epoch, 1, func(r *log.Records) { envelope.AddOpen(r, t.Source, envelope.Open{Agent: "a"}) })
	return w
}

func place1(n uint64) event.Position {
	if n == 0 {
		return event.Position{}
	}
	return event.Position{Epoch: 1, Place: event.Place{Offset: n}}
}

func (w *writer) txn() *event.Txn {
	return &event.Txn{Position: place1(w.at + 1), ID: fmt.Sprint("gtid-", w.at+1), Committed: time.Unix(1_700_000_000, 0)}
}

// rows appends row records of the transaction under way; change makes the n-th.
func (w *writer) rows(n int, change func(int) event.Row) log.Offset {
	txn, table, encoder := w.txn(), w.table, w.enc
	return w.l.add(w.epoch, n, func(r *log.Records) {
		var key, value []byte
		enc := *encoder // several readers may render at once
		pos, _ := txn.Position.AppendBinary(nil)
		for i := range n {
			row := change(i)
			row.Table = table
			var err error
			if key, err = enc.AppendKey(key[:0], &row); err == nil {
				value, err = enc.AppendValue(value[:0], txn, &row, i)
			}
			if err != nil {
				panic(err) // the test's own rows
			}
			r.Add(key, value, log.Header{Key: envelope.HeaderSource, Value: []byte(table.Source)}, log.Header{Key: envelope.HeaderPosition, Value: pos})
		}
	})
}

// truncate is a record of the transaction under way.
func (w *writer) truncate() {
	pos, id := w.txn().Position, w.id
	w.l.add(w.epoch, 1, func(r *log.Records) {
		envelope.AddTruncate(r, w.table.Source, envelope.TruncateTable{Position: pos, SchemaID: id})
	})
}

// become gives what follows another version of the table.
func (w *writer) become(id uint32, t *schema.Table) {
	enc := envelope.NewEncoder(event.Source{ID: t.Source, Org: "330106", Engine: event.MariaDB, Agent: "a"}, "policy-1", envelope.Avro)
	enc.BindTable(t, id)
	w.l.mu.Lock()
	defer w.l.mu.Unlock()
	w.l.tables[id] = t
	w.id, w.table, w.enc = id, t, enc
}

// loads is a transaction that only says that a load begins or ends.
func (w *writer) loads(l ...event.Load) event.Position {
	c := envelope.Commit{Txn: *w.txn(), Prev: w.last, Loads: l}
	w.l.add(w.epoch, 1, func(r *log.Records) { envelope.AddCommit(r, w.table.Source, &c) })
	w.at++
	w.last = c.Txn.Position
	return w.last
}

// commit ends the transaction of n rows and returns its position.
func (w *writer) commit(n int) event.Position {
	c := envelope.Commit{Txn: *w.txn(), Prev: w.last, Rows: n}
	w.l.add(w.epoch, 1, func(r *log.Records) { envelope.AddCommit(r, w.table.Source, &c) })
	w.at++
	w.last = c.Txn.Position
	return w.last
}

// apply is a whole transaction.
func (w *writer) apply(rows ...event.Row) event.Position {
	w.rows(len(rows), func(i int) event.Row { return rows[i] })
	return w.commit(len(rows))
}

// applying runs a worker on the log until the test stops it, or ends.
type applying struct {
	*worker.Worker
	ask  func() // to stop
	stop func() error
}

func apply(t *testing.T, l *written, store worker.Store, o worker.Options) *applying {
	t.Helper()
	o.Store, o.Schemas, o.Name, o.Wait = store, l, "w", 50*time.Millisecond
	o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	o.Fetcher = func(log.Partition) log.Fetcher { return &reader{l: l} }
	w, err := worker.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.RunPartition(ctx, worker.Claim{Partition: place, Worker: "w"}) }()
	once := sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := once(); err != nil {
			t.Error(err)
		}
	})
	return &applying{w, cancel, once}
}

// await waits until the store has a source's transaction.
func (a *applying) await(t *testing.T, source string, p event.Position) worker.SourceStatus {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		all, _ := a.Status()
		if s := all[source]; s.Applied.Compare(p) >= 0 {
			return s
		} else if s.Gap != "" || time.Now().After(deadline) {
			t.Fatalf("%s is at %s, gap %q; wanted %s", source, s.Applied, s.Gap, p)
		}
		<-tick.C
	}
}
