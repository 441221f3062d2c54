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
	// committed, 1 to 1000000. A larger transaction is written piece by piece into a
	// store transaction of its own, beside the others. Default 40000.
	BatchRows int
	// SpoolBytes bounds the row data, in bytes per partition, that wait in memory for
	// their commit or for a large transaction before them; beyond it they go to a
	// file. 64 KiB to 4 GiB, default 16 MiB. A transaction beyond it is large, too. What
	// has been fetched and what is being written comes on top, some ten times pieceBytes.
	SpoolBytes int
	// SpoolDir is the folder of those files, of which nothing is left when the worker
	// ends. Default: the system's folder for temporary files; where that lies in
	// memory, set another one.
	SpoolDir string
	// Held bounds what the store keeps of one stopped table until a person accepts it, in
	// rows and in bytes of their records. Beyond it the rows are dropped, and the table
	// needs to be read again. Default 1000000 rows, 1 GiB.
	Held HeldLimit
	// StopTimeout bounds what is still written after a stop is asked. Default 10s.
	StopTimeout time.Duration
	// Wait is the longest time a fetch waits for new records. Default 500ms.
	Wait time.Duration
	// MaxBackoff caps the pause between two attempts. Default 3s.
	MaxBackoff time.Duration
	// AskEvery is the pause while only a person can help, e.g. with a wrong password or
	// a damaged log. Default 30s.
	AskEvery time.Duration
	// Shared tells datasets in whose tables rows of several sources share the keys: the
	// changes of one source aren't brought past another's there. Default: none.
	Shared func(dataset string) bool
	// OnChange is called after a partition's state has changed or a source has fallen
	// into a gap. It must not block.
	OnChange func()
	// OnApplied is called for each transaction once the store has it. It must not block.
	OnApplied func(Applied)
	Logger    *slog.Logger
}

// Worker applies partitions to a store.
type Worker struct {
	o Options

	mu     sync.Mutex
	status map[string]SourceStatus
	parts  map[log.Partition]PartitionStatus
	counts Counts
	held   map[log.Partition]log.Offset // claimed, and the next record to deal with; -1 before it is known
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
	// Held are rows of stopped tables that the store has kept for later, since the start.
	Held int64 `json:"held"`
	// LeftOut are columns of tables that the store leaves out by the dataset's rule.
	LeftOut map[string][]string `json:"left_out_columns,omitempty"`
	// Halts are the tables that have stopped in the store.
	Halts []Halt `json:"halted_tables,omitempty"`
	// Quarantined are rows that went to quarantine since the start, Keys those keys
	// that are there.
	Quarantined int64 `json:"quarantined"`
	Keys        int   `json:"quarantined_keys"`
	// Unequal are tables whose last verification has found a difference that stands.
	Unequal []string `json:"unequal_tables,omitempty"`
	Gap     string   `json:"gap,omitempty"` // the code, once the source is in GAP
	// Repairing says that the gap is being repaired. The others say why the source is in
	// it, after which position, and since when.
	Repairing bool           `json:"repairing,omitempty"`
	GapReason string         `json:"gap_reason,omitempty"`
	GapLast   event.Position `json:"gap_last,omitzero"`
	GapFound  time.Time      `json:"gap_found_at,omitzero"`
	// Partition is the last one that had the source, as log.Partition prints it.
	Partition string    `json:"partition"`
	Logged    time.Time `json:"logged"` // when the log had it
	// WholeSeconds says that Committed is a whole second of the source's clock.
	WholeSeconds bool `json:"whole_seconds,omitempty"`
}

// New checks the options. It starts nothing.
func New(o Options) (*Worker, error) {
	if o.Store == nil || o.Fetcher == nil || o.Schemas == nil || o.Name == "" {
		return nil, errors.New("worker options: Store, Fetcher, Schemas and Name must be set")
	}
	if o.BatchRows == 0 {
		o.BatchRows = 40_000
	}
	if o.BatchRows < 1 || o.BatchRows > 1_000_000 {
		return nil, fmt.Errorf("worker options: BatchRows %d is outside 1 to 1000000", o.BatchRows)
	}
	if o.SpoolBytes == 0 {
		o.SpoolBytes = 16 << 20
	}
	if o.SpoolBytes < 64<<10 || o.SpoolBytes > 4<<30 {
		return nil, fmt.Errorf("worker options: SpoolBytes %d is outside 65536 to 4294967296", o.SpoolBytes)
	}
	if o.Held.Rows == 0 {
		o.Held.Rows = 1_000_000
	}
	if o.Held.Bytes == 0 {
		o.Held.Bytes = 1 << 30
	}
	if o.Held.Rows < 0 || o.Held.Bytes < 0 {
		return nil, fmt.Errorf("worker options: Held %+v is below 0", o.Held)
	}
	if o.StopTimeout == 0 {
		o.StopTimeout = 10 * time.Second
	}
	if o.StopTimeout < 0 {
		return nil, fmt.Errorf("worker options: StopTimeout %s is below 0", o.StopTimeout)
	}
	if o.Wait == 0 {
		o.Wait = 500 * time.Millisecond
	}
	if o.MaxBackoff == 0 {
		o.MaxBackoff = 3 * time.Second
	}
	if o.AskEvery == 0 {
		o.AskEvery = 30 * time.Second
	}
	if o.Shared == nil {
		o.Shared = func(string) bool { return false }
	}
	if o.OnChange == nil {
		o.OnChange = func() {}
	}
	if o.OnApplied == nil {
		o.OnApplied = func(Applied) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Worker{o: o, status: map[string]SourceStatus{}, parts: map[log.Partition]PartitionStatus{}, held: map[log.Partition]log.Offset{}}, nil
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

// RunPartition claims a partition and applies it until ctx ends (nil) or another
// worker has the claim (ErrClaimLost). Every other trouble is tried again: claim, look
// what the store has, go on from there. A damaged log is the state Failed until what
// was damaged has been read. With a worker's first claim it takes the partition from
// whoever has it; from then on, or if held says that the worker had it, it takes it from
// nobody. Once ctx ends it reads nothing more, and has StopTimeout for what is under way.
func (w *Worker) RunPartition(ctx context.Context, held Claim) error {
	grace, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		t := time.NewTimer(w.o.StopTimeout * 9 / 10) // the rest is for closing
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-grace.Done():
		}
	})()
	refused, p := map[tableKey]*stop{}, held.Partition
	w.partition(p, Starting, nil)
	damaged := log.Offset(-1)
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, w.o.MaxBackoff) {
		s := newSession(w, held, refused)
		s.damaged = damaged
		err := s.run(ctx, grace)
		held, damaged = s.claim, s.damaged
		if ctx.Err() != nil {
			w.leave(p)
			if !errors.Is(err, context.Canceled) {
				w.o.Logger.Warn("partition interrupted at the stop", "partition", p.String(), "err", err)
			}
			return nil
		}
		if errors.Is(err, ErrClaimLost) {
			w.partition(p, Failed, err)
			return fmt.Errorf("partition %s: %w", p, err)
		}
		var te *TableError
		if errors.As(err, &te) && refused[keyOf(te.Table)] == nil {
			refused[keyOf(te.Table)] = &stop{err: te.Err, version: te.Table.Version()}
			w.o.Logger.Error("table stopped", "source", te.Table.Source, "table", te.Table.ID(), "err", te.Err)
		}
		if s.applied > 0 {
			pause = 100 * time.Millisecond
		}
		wait, state := pause, Retrying
		if damaged >= 0 {
			state = Failed
		}
		if errors.Is(err, ErrStoreAccess) || isDamage(err) {
			wait = w.o.AskEvery
		}
		w.partition(p, state, err)
		w.o.Logger.Warn("partition interrupted, trying again", "partition", p.String(), "code", CodeOf(err), "err", err, "pause", wait)
		t := time.NewTimer(wait/2 + rand.N(wait/2+1))
		select {
		case <-ctx.Done():
			t.Stop()
			w.leave(p)
			return nil
		case <-t.C:
		}
	}
}

// isDamage tells errors of a log that can't be read as it is.
func isDamage(err error) bool {
	return errors.Is(err, log.ErrCorrupt) || errors.Is(err, envelope.ErrMalformed)
}
