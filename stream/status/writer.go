package status

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tributary-cdc/tributary/stream/log"
)

// putter is the part of a log's client that a Writer uses.
type putter interface {
	// PutAll appends the records as one batch, and blocks until they are durable or
	// ctx ends.
	PutAll(ctx context.Context, p log.Partition, r *log.Records) error
}

// WriterOptions tunes a Writer. Log, Topic and Now are required.
type WriterOptions struct {
	Log putter
	// Topic gives the partition of an org's status records.
	Topic func(org string) log.Partition
	// Now gives all records as of now. Written and Within are the Writer's to set.
	// Two records with one key are a mistake of the caller's; the later one stays.
	Now func() []Record
	// Every is the pause between two looks, at least 100ms. Shorter ones cost writes to
	// the log, one per org whose records have changed. Default 2s.
	Every time.Duration
	// Within is the longest silence about a record that doesn't change. Default 10s.
	Within time.Duration
	// Timeout bounds one write. Default 5s.
	Timeout time.Duration
	Logger  *slog.Logger
}

// Writer writes records: at a change of state at once, otherwise every now and
// then. Nothing waits for it, and a log that doesn't take them stops nobody.
type Writer struct {
	o       WriterOptions
	changed chan struct{}
	failed  atomic.Int64
	last    map[string]written // by key; belongs to Run
	failing map[string]bool    // by org; belongs to Run
}

// written is what a key had last.
type written struct {
	value []byte // without the time of writing
	at    time.Time
}

// NewWriter checks the options. It starts nothing.
func NewWriter(o WriterOptions) (*Writer, error) {
	if o.Log == nil || o.Topic == nil || o.Now == nil {
		return nil, errors.New("status writer options: Log, Topic and Now must be set")
	}
	for _, d := range []struct {
		v     *time.Duration
		usual time.Duration
	}{{&o.Every, 2 * time.Second}, {&o.Within, 10 * time.Second}, {&o.Timeout, 5 * time.Second}} {
		if *d.v == 0 {
			*d.v = d.usual
		}
	}
	if o.Every < 100*time.Millisecond || o.Within < o.Every || o.Timeout <= 0 {
		return nil, errors.New("status writer options: Every must be 100ms or more, Within at least Every, Timeout above 0")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Writer{o: o, changed: make(chan struct{}, 1), last: map[string]written{}, failing: map[string]bool{}}, nil
}

// Changed asks for a write at once. It never blocks and may be called from anywhere.
func (w *Writer) Changed() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// Failed counts the writes that the log didn't take.
func (w *Writer) Failed() int64 { return w.failed.Load() }

// Run writes until ctx ends, and then once more, for at most Timeout, so that the
// last word is the state in which the program ended.
func (w *Writer) Run(ctx context.Context) {
	tick := time.NewTicker(w.o.Every)
	defer tick.Stop()
	for {
		w.write(ctx)
		select {
		case <-tick.C:
		case <-w.changed:
		case <-ctx.Done():
			w.write(context.WithoutCancel(ctx))
			return
		}
	}
}

// write puts the records that have changed, or that were silent for long.
func (w *Writer) write(ctx context.Context) {
	now := time.Now()
	fresh := map[string]map[string]written{} // by org and key
	batches := map[string]*log.Records{}
	for _, r := range w.o.Now() {
		r.Within, r.Written = w.o.Within.Seconds(), time.Time{}
		key := string(r.Key())
		bare, err := r.value()
		if old, ok := w.last[key]; ok && err == nil && bytes.Equal(old.value, bare) && now.Sub(old.at)+w.o.Every <= w.o.Within {
			continue
		}
		r.Written = now
		value, verr := r.value()
		if err = errors.Join(err, verr); err != nil { // never for what this package's types hold
			w.o.Logger.Error("status record not written", "source", r.Source, "err", err)
			continue
		}
		if fresh[r.Org] == nil {
			fresh[r.Org], batches[r.Org] = map[string]written{}, &log.Records{}
		}
		fresh[r.Org][key] = written{bare, now}
		batches[r.Org].Add([]byte(key), value)
	}
	for org, b := range batches {
		pctx, cancel := context.WithTimeout(ctx, w.o.Timeout)
		err := w.o.Log.PutAll(pctx, w.o.Topic(org), b)
		cancel()
		if ctx.Err() != nil {
			return
		}
		w.report(org, err)
		if err != nil {
			continue
		}
		for key, v := range fresh[org] {
			w.last[key] = v
		}
	}
}

// report counts a failure, and logs only that writing fails now, or goes on again.
func (w *Writer) report(org string, err error) {
	switch failing := err != nil; {
	case failing:
		w.failed.Add(1)
		if !w.failing[org] {
			w.o.Logger.Warn("status records aren't written, trying again; data flows on", "org", org, "err", err)
		}
	case w.failing[org]:
		w.o.Logger.Info("status records are written again", "org", org)
	}
	w.failing[org] = err != nil
}
