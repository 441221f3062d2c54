package status

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tributary-cdc/tributary/stream/log"
)

// BoardOptions tunes a Board. Fetcher and Topics are required.
type BoardOptions struct {
	// Fetcher opens a partition for one goroutine.
	Fetcher func(log.Partition) log.Fetcher
	// Topics are the status partitions of all orgs to watch; Follow adds others.
	Topics []log.Partition
	// Org tells whose a topic is. A record that speaks of another org, or of a source that
	// isn't the org's (<org>-<name>), is dropped: who may write to a topic of one org must not
	// speak for another. Without it all records are believed.
	Org func(log.Partition) string
	// MaxBytes bounds what is held of all records together, as they came. A record
	// that would go beyond it is dropped and counted. Default 64 MiB.
	MaxBytes int
	// Wait is the longest time a fetch waits for new records. Default 1s.
	Wait time.Duration
	// MaxBackoff caps the pause after a failed fetch. Default 3s.
	MaxBackoff time.Duration
	Logger     *slog.Logger
}

// Board follows the status topics of orgs and holds the newest record of each key.
type Board struct {
	o BoardOptions

	mu      sync.Mutex
	held    map[string]held // by topic and key
	bytes   int
	dropped int64
	topics  map[log.Partition]Reading
	order   []log.Partition
	start   func(log.Partition) // follows a topic; nil unless Run goes on
}

type held struct {
	record *Record // never changed
	topic  log.Partition
	size   int
}

// Reading is how a Board gets on with one topic.
type Reading struct {
	Topic string
	// Org is whose topic it is, where that is known.
	Org string
	// Error says why it can't be read now; empty if it can.
	Error string
	// Missing says that the topic isn't there and hasn't been since the Board began, which is no
	// fault of an org that sends nothing yet; Error says so, too.
	Missing bool
	// CaughtUp says that everything up to the topic's end was read once.
	CaughtUp bool
	// Forged is when a record was read last that speaks for another org, zero if none was, and
	// ForgedFor whom it was about.
	Forged    time.Time
	ForgedFor string
}

// NewBoard checks the options. It starts nothing.
func NewBoard(o BoardOptions) (*Board, error) {
	if o.Fetcher == nil || len(o.Topics) == 0 {
		return nil, errors.New("status board options: Fetcher and Topics must be set")
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 64 << 20
	}
	if o.Wait == 0 {
		o.Wait = time.Second
	}
	if o.MaxBackoff == 0 {
		o.MaxBackoff = 3 * time.Second
	}
	if o.MaxBytes < 0 || o.Wait < 0 || o.MaxBackoff < 0 {
		return nil, errors.New("status board options: MaxBytes, Wait and MaxBackoff must not be below 0")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	b := &Board{o: o, held: map[string]held{}, topics: map[log.Partition]Reading{}}
	for _, p := range o.Topics {
		b.Follow(p)
	}
	return b, nil
}

// Follow adds a topic to those that are watched, once.
func (b *Board) Follow(p log.Partition) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, there := b.topics[p]; there {
		return
	}
	b.topics[p] = Reading{Topic: p.Topic, Org: b.org(p)}
	b.order = append(b.order, p)
	if b.start != nil {
		b.start(p)
	}
}

func (b *Board) org(p log.Partition) string {
	if b.o.Org == nil {
		return ""
	}
	return b.o.Org(p)
}

// foreign says that a record of an org's topic speaks for another.
func foreign(r *Record, org string) bool {
	return r.Org != org || r.Kind != OfWorker && !strings.HasPrefix(r.Source, org+"-")
}

// Run follows all topics until ctx ends. Whatever fails is tried again.
func (b *Board) Run(ctx context.Context) {
	var all sync.WaitGroup
	b.mu.Lock()
	b.start = func(p log.Partition) { all.Go(func() { b.follow(ctx, p) }) }
	for _, p := range b.order {
		b.start(p)
	}
	b.mu.Unlock()
	<-ctx.Done()
	b.mu.Lock()
	b.start = nil
	b.mu.Unlock()
	all.Wait()
}

// Records gives the newest record of each key, by source, kind and store. They are
// the caller's.
func (b *Board) Records() []Record {
	b.mu.Lock()
	out := make([]Record, 0, len(b.held))
	for _, h := range b.held {
		r := *h.record
		r.Stopped, r.Loads, r.Added, r.Warnings = slices.Clone(r.Stopped), slices.Clone(r.Loads), slices.Clone(r.Added), slices.Clone(r.Warnings)
		out = append(out, r)
	}
	b.mu.Unlock()
	slices.SortFunc(out, func(x, y Record) int {
		return cmp.Or(cmp.Compare(x.Source, y.Source), cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Store, y.Store))
	})
	return out
}

// Newest gives the newest record of each key, in no order. They are everybody's: nobody may
// change them.
func (b *Board) Newest() []*Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]*Record, 0, len(b.held))
	for _, h := range b.held {
		out = append(out, h.record)
	}
	return out
}

// Readings tells how it gets on with each topic, in the order in which they were added.
func (b *Board) Readings() []Reading {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Reading, len(b.order))
	for i, p := range b.order {
		out[i] = b.topics[p]
	}
	return out
}

// Dropped counts records that aren't held: malformed ones, those that speak for another org,
// and those beyond MaxBytes.
func (b *Board) Dropped() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dropped
}

func (b *Board) follow(ctx context.Context, p log.Partition) {
	f, next, pause := b.o.Fetcher(p), log.Earliest, time.Duration(0)
	for {
		end, err := b.read(ctx, f, p, next)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, log.ErrOffsetOutOfRange): // deleted and made again, or compacted away
			b.forget(p)
			next = log.Earliest
		case err == nil:
			next, pause = end, 0
			b.reading(p, nil)
			continue
		}
		b.reading(p, err)
		pause = min(max(2*pause, 200*time.Millisecond), b.o.MaxBackoff)
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

// read takes what comes next and returns where to go on.
func (b *Board) read(ctx context.Context, f log.Fetcher, p log.Partition, from log.Offset) (next log.Offset, err error) {
	end := log.Offset(0)
	if !b.caughtUp(p) {
		if _, end, err = f.Bounds(ctx); err != nil {
			return from, err
		}
	}
	batches, err := f.Fetch(ctx, from, b.o.Wait)
	if err != nil {
		return from, err
	}
	for i := range batches {
		if !batches[i].Control {
			err := batches[i].Each(func(o log.Offset, r *log.Record) error {
				if o >= from {
					b.take(p, r)
				}
				return nil
			})
			if err != nil {
				return from, err
			}
		}
		from = batches[i].Last + 1
	}
	if from >= end || len(batches) == 0 {
		b.mu.Lock()
		t := b.topics[p]
		t.CaughtUp = true
		b.topics[p] = t
		b.mu.Unlock()
	}
	return from, nil
}

func (b *Board) caughtUp(p log.Partition) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.topics[p].CaughtUp
}

// take holds a record in place of the key's last one. A null value ends the key.
func (b *Board) take(p log.Partition, r *log.Record) {
	name := p.Topic + "\x00" + string(r.Key)
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.held[name]
	if r.Value == nil {
		b.bytes -= old.size
		delete(b.held, name)
		return
	}
	size := len(name) + len(r.Value)
	rec, err := Parse(r.Key, r.Value)
	if org := b.org(p); err == nil && b.o.Org != nil && foreign(&rec, org) {
		t := b.topics[p]
		t.Forged, t.ForgedFor = time.Now(), cut(strings.TrimSpace(rec.Org+" "+rec.Source))
		b.topics[p] = t
		err = fmt.Errorf("a record about %s %s: %w", rec.Org, rec.Source, ErrMalformed)
	}
	if err != nil || b.bytes-old.size+size > b.o.MaxBytes {
		if b.dropped++; b.dropped == 1 {
			b.o.Logger.Warn("status record dropped", "topic", p.Topic, "bytes", size, "err", err)
		}
		return
	}
	// The clock of a program that is ahead mustn't let it seem alive long after its end.
	if now := time.Now(); rec.Written.After(now) {
		rec.Written = now
	}
	b.bytes += size - old.size
	b.held[name] = held{&rec, p, size}
}

// forget drops a topic's records.
func (b *Board) forget(p log.Partition) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, h := range b.held {
		if h.topic == p {
			b.bytes -= h.size
			delete(b.held, name)
		}
	}
}

// reading notes a topic's error and logs only its coming and going.
func (b *Board) reading(p log.Partition, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.topics[p]
	text := ""
	if err != nil {
		text = cut(err.Error())
	}
	if (t.Error == "") != (text == "") {
		b.o.Logger.Info("status topic", "topic", p.Topic, "err", err)
	}
	t.Error, t.Missing = text, errors.Is(err, log.ErrUnknownTopic) && !t.CaughtUp
	b.topics[p] = t
}
