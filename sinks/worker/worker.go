package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// Schemas resolves ids of a topic's .schemas.
type Schemas interface {
	// Table returns the version that a row record of the topic names. It is the same
	// pointer each time, and blocks until the id can be read.
	Table(ctx context.Context, topic string, id uint32) (*schema.Table, error)
}

// Options tunes a Worker. Store, Fetcher, Schemas and Name are required.
type Options struct {
	Store   Store
	Fetcher func(log.Partition) log.Fetcher
	Schemas Schemas
	// Name of this worker, in claims and batches.
	Name string
	// BatchRows is the number of rows after which a group of transactions is
	// committed, 1 to 1000000. One larger transaction is committed alone. Default 10000.
	BatchRows int
	// Wait is the longest time a fetch waits for new records. Default 500ms.
	Wait time.Duration
	// MaxBackoff caps the pause between two attempts. Default 3s.
	MaxBackoff time.Duration
	Logger     *slog.Logger
}

// Worker applies partitions to a store.
type Worker struct {
	o Options

	mu     sync.Mutex
	status map[string]SourceStatus
	counts Counts
}

// SourceStatus is what a worker knows of one source.
type SourceStatus struct {
	Source    string         `json:"source"`
	Applied   event.Position `json:"applied"`
	Committed time.Time      `json:"committed"` // at the source
	At        time.Time      `json:"at"`        // when the store had it
	Txns      int64          `json:"transactions"`
	Rows      int64          `json:"rows"`
	Skipped   int64          `json:"skipped"`
	Gap       string         `json:"gap,omitempty"`
}

// New checks the options. It starts nothing.
func New(o Options) (*Worker, error) {
	if o.Store == nil || o.Fetcher == nil || o.Schemas == nil || o.Name == "" {
		return nil, errors.New("worker options: Store, Fetcher, Schemas and Name must be set")
	}
	if o.BatchRows == 0 {
		o.BatchRows = 10_000
	}
	if o.BatchRows < 1 || o.BatchRows > 1_000_000 {
		return nil, fmt.Errorf("worker options: BatchRows %d is outside 1 to 1000000", o.BatchRows)
	}
	if o.Wait == 0 {
		o.Wait = 500 * time.Millisecond
	}
	if o.MaxBackoff == 0 {
		o.MaxBackoff = 3 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Worker{o: o, status: map[string]SourceStatus{}}, nil
}

// Status returns a snapshot per source, and what was set aside.
func (w *Worker) Status() (map[string]SourceStatus, Counts) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make(map[string]SourceStatus, len(w.status))
	for k, v := range w.status {
		out[k] = v
	}
	return out, w.counts
}

// RunPartition claims a partition and applies it until ctx ends (nil), another
// worker claims it (ErrClaimLost), or the log is damaged (log.ErrCorrupt). Every
// other trouble is tried again: claim, look what the store has, go on from there.
func (w *Worker) RunPartition(ctx context.Context, p log.Partition) error {
	refused := map[tableKey]error{}
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, w.o.MaxBackoff) {
		s := &session{w: w, p: p, refused: refused, recorded: map[tableKey]bool{}, ensured: map[*schema.Table]bool{}}
		err := s.run(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, ErrClaimLost) || errors.Is(err, log.ErrCorrupt) || errors.Is(err, envelope.ErrMalformed) {
			return fmt.Errorf("partition %s: %w", p, err)
		}
		var te *TableError
		if errors.As(err, &te) && refused[keyOf(te.Table)] == nil {
			refused[keyOf(te.Table)] = te.Err
			w.o.Logger.Error("table stopped", "source", te.Table.Source, "table", te.Table.ID(), "err", te.Err)
		}
		w.o.Logger.Warn("partition interrupted, trying again", "partition", p.String(), "err", err, "pause", pause)
		if s.applied > 0 {
			pause = 100 * time.Millisecond
		}
		t := time.NewTimer(pause/2 + rand.N(pause/2+1))
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
	}
}

// session is one claim on a partition.
type session struct {
	w       *Worker
	p       log.Partition
	claim   Claim
	fetch   log.Fetcher
	asm     *assembler
	mem     memory
	before  []event.Value // free images of mem
	after   []event.Value
	ensured map[*schema.Table]bool
	refused map[tableKey]error // stopped tables
	// recorded are those of them that the store knows of.
	recorded map[tableKey]bool
	applied  int
}

// tableKey names a table of one source; schools share table names.
type tableKey struct{ source, table string }

func keyOf(t *schema.Table) tableKey { return tableKey{t.Source, t.ID()} }

// restore takes up the tables that were stopped before this claim.
func (s *session) restore(ctx context.Context) error {
	halts, err := s.w.o.Store.Halted(ctx, s.claim)
	if err != nil {
		return err
	}
	for _, h := range halts {
		k := tableKey{h.Source, h.Table}
		s.refused[k], s.recorded[k] = errors.New(h.Error), true
	}
	return nil
}

// skip leaves a row of a stopped table out of a batch, and has the batch say so.
func (s *session) skip(b *Batch, st *Step, k tableKey, at event.Position) {
	st.Skipped++
	if !s.recorded[k] {
		s.recorded[k] = true // a batch that isn't committed ends the session
		b.Halts = append(b.Halts, Halt{Source: k.source, Table: k.table, Since: at, Error: s.refused[k].Error()})
	}
}

func (s *session) run(ctx context.Context) error {
	if err := s.w.o.Store.Prepare(ctx); err != nil {
		return err
	}
	claim, known, err := s.w.o.Store.Claim(ctx, s.p, s.w.o.Name)
	if err != nil {
		return err
	}
	s.claim, s.fetch, s.asm = claim, s.w.o.Fetcher(s.p), newAssembler(known)
	if err := s.restore(ctx); err != nil {
		return err
	}
	from, err := s.begin(ctx, known)
	if err != nil {
		return err
	}
	s.w.o.Logger.Info("applying", "partition", s.p.String(), "from", from, "fence", claim.Fence)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	spare := s.w.o.Fetcher(s.p)
	var ahead chan fetched
	for {
		var got fetched
		if ahead != nil {
			got, ahead = <-ahead, nil
			s.fetch, spare = spare, s.fetch
		} else {
			got.batches, got.err = s.fetch.Fetch(ctx, from, s.w.o.Wait)
		}
		if got.err != nil {
			return got.err
		}
		size := 0
		if from, size, err = s.take(got.batches, from); err != nil {
			return err
		}
		// With a backlog the next records come while these are written. Without one
		// they are waited for afterwards, so that a group holds all there is by then.
		if size >= prefetchFrom {
			ahead = make(chan fetched, 1)
			go func(f log.Fetcher, from log.Offset, out chan<- fetched) {
				var g fetched
				g.batches, g.err = f.Fetch(ctx, from, s.w.o.Wait)
				out <- g
			}(spare, from, ahead)
		}
		if err := s.flush(ctx, from); err != nil {
			return err
		}
	}
}

// prefetchFrom is the size of a fetch, in bytes on the wire, that tells a backlog.
const prefetchFrom = 256 << 10

// fetched is the answer of a fetch.
type fetched struct {
	batches []log.Batch
	err     error
}

// take hands the records to the assembler, which copies what it keeps.
func (s *session) take(batches []log.Batch, from log.Offset) (next log.Offset, size int, err error) {
	for i := range batches {
		b := &batches[i]
		size += b.Size
		if !b.Control {
			err := b.Each(func(o log.Offset, r *log.Record) error {
				if o < from {
					return nil
				}
				return s.asm.record(b, o, r)
			})
			if err != nil {
				return from, size, err
			}
		}
		from = b.Last + 1
	}
	return from, size, nil
}

// begin proves that the log still holds what was applied from it, and says where to read.
func (s *session) begin(ctx context.Context, known []Progress) (log.Offset, error) {
	first, end, err := s.fetch.Bounds(ctx)
	if err != nil {
		return 0, err
	}
	from := first
	for _, p := range known {
		from = max(from, p.ReadFrom)
		f := s.asm.flows[p.Source]
		if p.Gap || p.Commit < first { // retention has passed it: the next commit's prev decides
			continue
		}
		if err := s.verify(ctx, p, f, end); err != nil {
			return 0, err
		}
	}
	return min(from, end), s.flushGaps(ctx)
}

// verify reads the source's last applied commit again. Another record in its
// place means that the topic isn't the one that was read.
func (s *session) verify(ctx context.Context, p Progress, f *flow, end log.Offset) error {
	replaced := func() {
		s.asm.lost(p.Source, f, p.Commit, "TOPIC_REPLACED", fmt.Sprintf("offset %d doesn't hold the commit %s any more", p.Commit, p.Applied))
	}
	if p.Commit >= end {
		replaced()
		return nil
	}
	batches, err := s.fetch.Fetch(ctx, p.Commit, s.w.o.Wait)
	if err != nil {
		return err
	}
	found := false
	for i := range batches {
		err := batches[i].Each(func(o log.Offset, r *log.Record) error {
			if o != p.Commit {
				return nil
			}
			if class, source := envelope.Classify(r); class != envelope.ControlRecord || string(source) != p.Source {
				return nil
			}
			c, err := envelope.ParseControl(r)
			found = err == nil && c.Commit != nil && c.Commit.Txn.Position == p.Applied
			return err
		})
		if err != nil && !errors.Is(err, envelope.ErrMalformed) {
			return err
		}
	}
	if !found {
		replaced()
	}
	return nil
}

func (s *session) flushGaps(ctx context.Context) error {
	for _, g := range s.asm.gaps {
		s.w.o.Logger.Error("source in GAP", "source", g.Source, "pos", g.Last, "code", g.Code, "err", g.Reason)
		if err := s.w.o.Store.RecordGap(ctx, s.claim, g); err != nil {
			return err
		}
		s.w.update(g.Source, func(st *SourceStatus) { st.Gap = g.Code })
	}
	s.asm.gaps = nil
	return nil
}

func (w *Worker) update(source string, f func(*SourceStatus)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	st := w.status[source]
	st.Source = source
	f(&st)
	w.status[source] = st
}

// flush commits what is complete, in groups of about BatchRows.
func (s *session) flush(ctx context.Context, next log.Offset) error {
	s.w.mu.Lock()
	s.w.counts = s.asm.counts
	s.w.mu.Unlock()
	for len(s.asm.done) > 0 {
		rows, n := 0, 0
		for n < len(s.asm.done) && (n == 0 || rows+len(s.asm.done[n].changes) <= s.w.o.BatchRows) {
			rows += len(s.asm.done[n].changes)
			n++
		}
		group := s.asm.done[:n]
		s.asm.done = s.asm.done[n:]
		if err := s.apply(ctx, group, next); err != nil {
			return err
		}
		s.applied++
	}
	s.asm.done = nil
	return s.flushGaps(ctx)
}

// apply commits a group of transactions as one batch.
func (s *session) apply(ctx context.Context, group []*txn, next log.Offset) error {
	b := &Batch{Claim: s.claim, Topics: s.p.Topic, First: group[0].first, Last: group[len(group)-1].offset}
	steps := map[string]int{}
	mergers := map[*schema.Table]*merger{}
	var order []*merger
	var row event.Row
	defer func() { s.mem.reset(); s.before, s.after = nil, nil }()
	for _, t := range group {
		b.First = min(b.First, t.first)
		i, ok := steps[t.source]
		if !ok {
			i = len(b.Steps)
			steps[t.source] = i
			b.Steps = append(b.Steps, Step{Source: event.Source{ID: t.source}, From: t.from})
		}
		st := &b.Steps[i]
		st.To, st.Commit, st.Committed, st.TxnID, st.File = t.commit.Txn.Position, t.offset, t.commit.Txn.Committed, t.commit.Txn.ID, t.commit.Txn.File
		// What was written later, by a newer producer perhaps, isn't in the store yet.
		st.Producer, st.Open = t.producer, t.open
		st.Txns++
		st.Rows += len(t.changes)
		st.Skipped += t.commit.Skipped
		for _, c := range t.changes {
			table, err := s.w.o.Schemas.Table(ctx, s.p.Topic, c.schemaID)
			if err != nil {
				return fmt.Errorf("schema %d of %s: %w", c.schemaID, s.p.Topic, err)
			}
			if table.Source != t.source {
				return fmt.Errorf("source %s at offset %d uses a table of source %s: %w", t.source, t.offset, table.Source, envelope.ErrMalformed)
			}
			if k := keyOf(table); s.refused[k] != nil {
				s.skip(b, st, k, t.commit.Txn.Position)
				continue
			}
			m := mergers[table]
			if m == nil {
				if err := s.ensure(ctx, table); err != nil {
					return err
				}
				m = newMerger(&s.mem, t.source, table)
				mergers[table] = m
				order = append(order, m)
			}
			if c.truncate {
				m.clear()
				continue
			}
			if err := s.decode(table, c.value, &row); err != nil {
				return fmt.Errorf("transaction %s of %s: %w", t.commit.Txn.Position, t.source, err)
			}
			if err := m.add(&row, t.commit.Txn.Position, t.commit.Txn.Committed); err != nil {
				return &TableError{Table: table, Err: fmt.Errorf("transaction %s: %w", t.commit.Txn.Position, err)}
			}
		}
	}
	for _, m := range order {
		b.Tables = append(b.Tables, m.result())
	}
	for i := range b.Steps {
		s.asm.flows[b.Steps[i].Source.ID].kept = b.Steps[i].Commit
	}
	from := s.asm.readFrom(next, s.asm.done)
	for i := range b.Steps {
		b.Steps[i].ReadFrom = from
	}
	if err := s.w.o.Store.Apply(ctx, b); err != nil {
		return err
	}
	now := time.Now()
	for _, st := range b.Steps {
		s.w.update(st.Source.ID, func(c *SourceStatus) {
			c.Applied, c.Committed, c.At = st.To, st.Committed, now
			c.Txns += int64(st.Txns)
			c.Rows += int64(st.Rows)
			c.Skipped += int64(st.Skipped)
		})
	}
	return nil
}

// decode reads a row whose images live as long as the batch.
func (s *session) decode(t *schema.Table, value []byte, row *event.Row) error {
	n := len(t.Columns)
	if cap(s.before) < n { // the merger keeps only key values of it
		s.before = s.mem.slots.take(n)[:0]
	}
	if row.After != nil || cap(s.after) < n { // else the image is still free
		s.after = s.mem.slots.take(n)[:0]
	}
	row.Before, row.After, row.Anomalies = s.before, s.after, nil
	return envelope.Decode(t, value, row, nil)
}

func (s *session) ensure(ctx context.Context, t *schema.Table) error {
	if s.ensured[t] {
		return nil
	}
	if err := s.w.o.Store.EnsureTable(ctx, s.claim, t); err != nil {
		return err
	}
	s.ensured[t] = true
	return nil
}
