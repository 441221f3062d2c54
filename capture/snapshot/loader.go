// Package snapshot loads what tables hold while their changes stream on. It decides
// which part of a table is read when, what a view must show, and how rows that were
// read and changes that were delivered become one order; it knows no database and no
// broker.
package snapshot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Options tunes a Loader. Reader and Open are required; the rest is fit for production.
type Options struct {
	// Reader delivers the stream. The loader owns it.
	Reader capture.Reader
	// Open connects to the same server as Reader, for one table's load.
	Open func(ctx context.Context) (Source, error)
	// First orders the load of all tables of a source of which nothing is known.
	First bool
	// Parallel is the number of connections that read tables, 1 to 16. A table has one, or
	// two if no other one waits and its key is one integer. Default 2.
	Parallel int
	// Ahead is the number of chunks of a table that are read before the first of them
	// is handed out, 1 to 16. Default 4.
	Ahead int
	// Bytes bounds a chunk, 64 KiB to 64 MiB. Memory is at most Parallel × (Ahead + 1) × Bytes
	// and one row for chunks, and as much, at least 8 MiB per table, for what the stream
	// changes meanwhile: beyond that the chunks are read again. Default 8 MiB.
	Bytes int
	// Target is how long reading a chunk should take, 10ms to 10s. Default 200ms.
	Target time.Duration
	// Rate bounds the rows read per second, of all tables together; 0 for no bound.
	Rate int
	// Hours are those in which tables are read; the zero value for all of the day. What is
	// under way when they end is read to its end.
	Hours  Hours
	Logger *slog.Logger
}

func (o *Options) fill() error {
	if o.Reader == nil || o.Open == nil {
		return errors.New("snapshot options: Reader and Open must be set")
	}
	for _, f := range []struct {
		name           string
		v              *int
		def, low, high int
	}{{"Parallel", &o.Parallel, 2, 1, 16}, {"Ahead", &o.Ahead, 4, 1, 16}, {"Bytes", &o.Bytes, 8 << 20, 64 << 10, 64 << 20}} {
		if *f.v == 0 {
			*f.v = f.def
		}
		if *f.v < f.low || *f.v > f.high {
			return fmt.Errorf("snapshot options: %s %d is outside %d to %d", f.name, *f.v, f.low, f.high)
		}
	}
	if o.Rate < 0 {
		return fmt.Errorf("snapshot options: Rate %d is below 0", o.Rate)
	}
	if o.Target == 0 {
		o.Target = 200 * time.Millisecond
	}
	if o.Target < 10*time.Millisecond || o.Target > 10*time.Second {
		return fmt.Errorf("snapshot options: Target %s is outside 10ms to 10s", o.Target)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Loader is a capture.Reader that hands out its inner reader's stream and, between two
// transactions, chunks of tables that are being loaded.
type Loader struct {
	o Options

	// What follows belongs to the goroutine that calls Start, Next and Close.
	epoch   uint32
	origin  event.Place
	last    event.Position // of what was handed out
	shown   event.Place    // highest mark of the chunks that were handed out
	reader  []byte         // the reader's own state
	since   []string
	owing   bool              // something must be read or stopped, and no durable state says so yet
	turn    bool              // the last thing handed out was a chunk
	asked   bool              // the pump is reading
	paced   int               // milliseconds, of the reader
	seg     event.Segment     // the part of a chunk that is being handed out
	rest    []event.Row       // of the chunk, in no part yet
	coded   [][]byte          // instead, those that aren't decoded yet
	codedOf *chunk            // whose they are
	images  Memory            // what those of a part are decoded into
	end     event.Segment     // what the last part says beside its rows
	lent    *Memory           // what the chunk lies in
	stops   []event.TableStop // tables that had stopped when reading began
	pump    *pump
	cancel  context.CancelFunc
	running sync.WaitGroup

	begins chan *chunk   // chunks that are about to be read, and can't begin within a transaction
	wake   chan struct{} // something to hand out has come up; capacity 1
	work   chan struct{} // something to be read has come up; capacity 1

	mu sync.Mutex
	// What the stream has delivered; only Next and its like write it, but for recent.
	place   event.Place // its end
	recent  []string    // transactions that no view has shown yet
	inside  bool        // within a transaction
	settled bool        // the first segment after Start was handed out
	listed  bool
	repair  repair
	listing error // why the tables of a first load can't be listed
	// stopped are tables that the reader doesn't deliver, by schema.Table.ID.
	stopped map[string]bool
	// keyless are tables in append mode, as far as any was seen.
	keyless map[string]bool
	added   []string // tables that the reader delivers besides those of its patterns
	// configured are those of them that the patterns have by now.
	configured map[string]bool
	tasks      []*task   // in the order in which they were asked for
	spare      []*Memory // of chunks that were handed out
	// ordered are stopped tables that a person wants to be read again once the reader
	// delivers them.
	ordered map[string]bool

	// decoded are tables whose rows are decoded when they are read, because of one that can't
	// be; any goroutine looks there.
	decoded sync.Map

	limit limiter
	pace  pace // that a table's load begins with
	caps  caps
	// started is closed once the durable state is known, and with it which tables were added.
	started chan struct{}
	starts  sync.Once
}

// New checks the options. It starts nothing.
func New(o Options) (*Loader, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	of, _ := o.Reader.(Capper)
	return &Loader{o: o, caps: caps{of: of}, ordered: map[string]bool{}, images: images(), wake: make(chan struct{}, 1), work: make(chan struct{}, 1), limit: limiter{rate: o.Rate}, pace: pace{rows: firstRows, most: mostRows, max: o.Bytes, target: o.Target}, started: make(chan struct{})}, nil
}

// Start implements capture.Reader.
func (l *Loader) Start(ctx context.Context, res capture.Resume) (uint32, error) {
	if err := l.Close(); err != nil {
		return 0, err
	}
	var s state
	first := res.State == nil
	if !first {
		var err error
		if s, err = parseState(res.State); err != nil {
			return 0, err
		}
		res.State = s.Reader
		res.Since = append(s.Since, res.Since...)
	}
	if res.Repair { // nothing that was read counts any more
		s = state{Reader: s.Reader, Repair: repairOrdered, Tables: s.Tables}
		res.Since = nil
	}
	l.origin, l.last, l.place, l.shown = s.Origin, res.Last, res.Restart, s.Shown
	res.Shown = s.Shown
	l.reader, l.since = s.Reader, res.Since
	l.recent = trim(append(s.Recent, res.Since...))
	if res.Last.Index > 0 { // a chunk; the reader knows its own transactions only
		res.Last.Index = 0
		if res.Last.Place == before(l.origin) {
			res.Last = event.Position{}
		}
	}
	epoch, err := l.o.Reader.Start(ctx, res)
	if err != nil {
		return 0, err
	}
	if l.epoch = epoch; l.last.Epoch != epoch { // chunks come at a place of the new log
		l.origin, l.shown = event.Place{}, event.Place{}
	}
	l.mu.Lock()
	if res.Repair {
		l.tasks, l.ordered = nil, map[string]bool{}
		s.Tables = l.unrepaired(s.Tables)
	}
	l.repair = s.Repair
	l.listed = s.Listed || first && !l.o.First && !res.Repair
	l.listing = nil
	l.stopped, l.added = map[string]bool{}, additions(s.Reader)
	l.keyless = map[string]bool{}
	if l.stops = nil; !res.Repair { // else all tables are described anew
		l.stops = stops(s.Reader)
	}
	for _, stop := range l.stops {
		l.stopped[stop.Table] = true
	}
	for _, p := range s.Tables {
		l.keyless[p.Table] = p.Phase == Unloaded
	}
	l.resume(s.Tables)
	l.out()
	l.mu.Unlock()
	l.starts.Do(func() { close(l.started) })
	if len(l.added) > 0 {
		l.o.Logger.Info("tables added by an order are captured beside those of the patterns", "tables", l.added)
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.cancel, l.pump = cancel, newPump(l.o.Reader)
	l.begins = make(chan *chunk)
	l.running.Go(func() { l.pump.run(own) })
	l.running.Go(func() { l.manage(own) })
	return epoch, nil
}

// before gives the place of chunks that come before any transaction.
func before(p event.Place) event.Place { return event.Place{File: p.File, Offset: p.Offset - 1} }

// Ack implements capture.Reader.
func (l *Loader) Ack(p event.Place) { l.o.Reader.Ack(p) }

// Waiting implements capture.Waiter.
func (l *Loader) Waiting() error {
	if w, ok := l.o.Reader.(capture.Waiter); ok {
		return w.Waiting()
	}
	return nil
}

// Close implements capture.Reader.
func (l *Loader) Close() error {
	if l.cancel != nil {
		l.cancel()
		l.running.Wait()
		l.cancel = nil
	}
	l.inside, l.settled, l.turn, l.asked, l.owing = false, false, false, false, false
	l.paced, l.rest, l.coded, l.codedOf, l.lent, l.spare = 0, nil, nil, nil, nil, nil
	return l.o.Reader.Close()
}

// Next implements capture.Reader.
func (l *Loader) Next(ctx context.Context) (*event.Segment, error) {
	for {
		if l.parts() { // the stream stands still meanwhile, and the next chunks are read
			return l.part()
		}
		l.back()
		// A chunk after each transaction at most, so that neither waits for the other's end.
		if l.between() && !l.turn {
			seg, err := l.emit()
			if err != nil {
				return nil, err
			}
			if seg != nil {
				l.turn = true
				return seg, nil
			}
		}
		busy, listed := l.busy()
		if !listed && l.settled { // no change may come before the beginning of its table's load
			l.mu.Lock()
			err := l.listing
			l.mu.Unlock()
			if err != nil {
				return nil, fmt.Errorf("list the tables of the first load: %w", err)
			}
			select {
			case <-l.wake:
				continue
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		if !busy && !l.asked {
			seg, err := l.o.Reader.Next(ctx)
			if err != nil {
				return nil, err
			}
			return l.took(seg)
		}
		if !l.asked {
			l.pump.ask()
			l.asked = true
		}
		var begins chan *chunk
		if l.between() {
			begins = l.begins
		}
		var idle <-chan struct{}
		if l.turn { // the stream had its turn if it has nothing
			idle = closed
		}
		select {
		case a := <-l.pump.answers:
			return l.answered(a)
		case <-ctx.Done():
			return nil, ctx.Err()
		default:
		}
		select {
		case a := <-l.pump.answers:
			return l.answered(a)
		case <-ctx.Done():
			return nil, ctx.Err()
		case c := <-begins:
			l.begin(c)
		case <-l.wake:
		case <-idle:
			l.turn = false
		}
	}
}

var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// busy reports whether anything is to be loaded and what is known, and keeps the reader's pace.
func (l *Loader) busy() (busy, listed bool) {
	l.mu.Lock()
	listed = l.listed
	busy = !listed
	open, _ := l.o.Hours.Open(time.Now())
	for _, t := range l.tasks { // outside the hours nothing begins, but what is under way ends
		busy = busy || t.owes || (t.Phase == Removed || t.Phase == Dropped) && t.Since.IsZero() || t.active() && (open || t.Since.IsZero() || len(t.flight) > 0 || t.Read && len(t.Keys) == 0)
	}
	l.mu.Unlock()
	pace := 0
	if busy {
		pace = 10
	}
	if p, ok := l.o.Reader.(Pacer); ok && pace != l.paced {
		p.Pace(pace)
	}
	l.paced = pace
	return busy, listed
}

// answered takes what the reader said.
func (l *Loader) answered(a answer) (*event.Segment, error) {
	l.asked = false
	if a.err != nil {
		return nil, a.err
	}
	return l.took(a.seg)
}

// took notes what the stream delivers, and puts the loader's state into it.
func (l *Loader) took(seg *event.Segment) (*event.Segment, error) {
	l.turn = false
	switch seg.Kind {
	case event.TableStopped:
		l.stop(seg.Stop)
		l.owing = true
		return seg, nil
	case event.TableAltered:
		l.altered(seg.Altered)
		l.owing = true
		return seg, nil
	case event.Idle:
		l.mu.Lock()
		l.place, l.inside, l.settled = seg.Restart, false, true
		l.mu.Unlock()
		if l.last.Epoch != l.epoch && l.origin == (event.Place{}) {
			l.origin = seg.Restart
		}
	default:
		if err := l.caps.cut(seg.Rows, true); err != nil {
			return nil, fmt.Errorf("transaction at %s: %w", seg.Txn.Position, err)
		}
		l.delivers(seg)
	}
	if seg.State != nil {
		l.reader, l.since = bytes.Clone(seg.State), nil
		l.confirm()
	} else if !seg.Last || !l.owing {
		return seg, nil
	}
	// The stream isn't delivered again after a restart, so what it asked for must be known.
	seg.Durable, l.owing = seg.Durable || l.owing, false
	var err error
	seg.State, err = l.encode()
	return seg, err
}

// delivers notes a segment of a transaction, all at once: a chunk begins either before it or
// behind it.
func (l *Loader) delivers(seg *event.Segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inside = !seg.Last
	l.note(seg.Rows)
	if !seg.Last {
		return
	}
	l.last, l.place = seg.Txn.Position, seg.Restart
	if id := seg.Txn.ID; id != "" {
		l.since, l.recent = append(l.since, id), append(l.recent, id)
		if len(l.recent) > 2*recentLimit {
			l.recent = trim(l.recent)
		}
	}
}

// between reports whether the stream stands between two transactions.
func (l *Loader) between() bool { return !l.inside && l.settled }

// note looks at the rows of a transaction for tables that are being loaded.
func (l *Loader) note(rows []event.Row) {
	var table *schema.Table
	for i := range rows {
		if t := rows[i].Table; t != table {
			if table = t; t.Append {
				l.keyless[t.ID()] = true
			}
		}
	}
	if len(l.tasks) == 0 {
		return
	}
	table = nil
	var own *task
	var children []*task
	for i := range rows {
		row := &rows[i]
		if row.Table != table {
			table, own, children = row.Table, nil, nil
			for _, t := range l.tasks {
				if t.Table == table.ID() && t.Phase == Dropped && !table.Append { // it is there again, and nobody has said so
					*t = task{progress: progress{Progress: Progress{Table: t.Table, Phase: Queued}, Sweep: true, Dataset: t.Dataset}}
					l.owing = true
					l.nudge()
				}
				if t.Table == table.ID() && (t.active() || t.resting()) {
					own = t
				}
				if t.active() && t.cascades(table.ID()) {
					children = append(children, t)
				}
			}
		}
		if own != nil {
			if own.note(row) {
				l.owing = true
			}
			if own.win.size > max(l.o.Ahead*l.o.Bytes, 8<<20) { // cheaper to read the chunks again than to keep that
				own.again()
			}
		}
		if row.Op == event.Delete || row.Op == event.Update && row.Before != nil {
			for _, t := range children {
				t.stale()
			}
		}
	}
}

func (l *Loader) encode() ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.encodeLocked()
}

func (l *Loader) encodeLocked() ([]byte, error) {
	l.recent = trim(l.recent)
	recent, active := l.recent, false
	for _, t := range l.tasks {
		active = active || t.active()
	}
	if n := len(recent) - quietLimit; n > 0 && !active { // this goes with every checkpoint
		recent = recent[n:]
	}
	s := state{Reader: l.reader, Origin: l.origin, Since: l.since, Recent: recent, Shown: l.shown}
	s.Listed, s.Repair = l.listed, l.repair
	for _, t := range l.tasks {
		s.Tables = append(s.Tables, t.progress)
	}
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write the state of loads: %w", err)
	}
	return b, nil
}
