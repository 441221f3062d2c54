package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Errors of a person's orders.
var (
	// ErrUnknown: the table isn't among those that are, or were, loaded.
	ErrUnknown = errors.New("no such load")
	// ErrBusy: the table is being loaded already.
	ErrBusy = errors.New("the table is being loaded")
	// ErrStopped: the stream doesn't deliver the table, so a load would soon be stale.
	ErrStopped = errors.New("the table has stopped at the source's reader")
	// ErrCaptured: a table that is to be added is captured already.
	ErrCaptured = errors.New("the table is captured already: read it again instead")
	// ErrNotCaptured: a table that is to be read again isn't captured.
	ErrNotCaptured = errors.New("the table isn't captured: add it first")
	// ErrIncomplete: a load of the whole table hasn't ended, so that a part wouldn't help.
	ErrIncomplete = errors.New("the last load of the whole table hasn't ended: read all of it again")
	// ErrAppend: nothing tells a row that is read from an equal one that the stream brings.
	ErrAppend = errors.New("rows without a key can't be loaded, the log of changes begins with the first one that is delivered (append mode)")
	// ErrNotStarted: nobody knows yet what is captured.
	ErrNotStarted = errors.New("the source isn't being read yet: see tributary status")
	// ErrNotAdded: only what an order has added can be left by one.
	ErrNotAdded = errors.New("no order has added the table, or the patterns have it: take it out of the source's tables in the configuration")
	// ErrFixed: the reader can't take further tables.
	ErrFixed = errors.New("this reader takes no further tables")
)

// errRangeOrder: which rows of the store lie in a range can't be told there.
var errRangeOrder = errors.New("only the source's server knows the order of these keys, so the store can't tell which of its rows lie between them")

// Load orders the load of a captured table (schema.Table.ID). One that was loaded before is
// read again, and rows that don't exist at the source any more leave the store at its end.
// The stream goes on meanwhile. A table that the reader has stopped is delivered again
// first. It may be called at any time, and asks the source: a load of a table that isn't
// there would begin in the store and never end. The order is durable once the load's
// beginning stands in the log: see Logged.
func (l *Loader) Load(ctx context.Context, table string) error {
	l.mu.Lock()
	r, ok := l.o.Reader.(Restarter)
	if restart := ok && l.stopped[table]; restart {
		l.ordered[table] = true
		l.mu.Unlock()
		r.Restart(table)
		return nil
	}
	l.mu.Unlock()
	if err := l.free(table, false); err != nil {
		return err
	}
	var t *schema.Table
	if err := l.with(ctx, func(src Source) (err error) { t, err = captured(ctx, src, table); return err }); err != nil {
		return err
	}
	return l.order(progress{Progress: Progress{Table: table}, Sweep: true, Ordered: true, Dataset: t.Dataset})
}

// captured describes a table that an order means.
func captured(ctx context.Context, src Source, table string) (*schema.Table, error) {
	t, err := find(ctx, src, table)
	switch {
	case err != nil:
		return nil, err
	case t == nil:
		return nil, fmt.Errorf("table %s: %w", table, ErrNotCaptured)
	case t.Schema == nil:
		return nil, fmt.Errorf("table %s: %s: %w", table, t.Refused, ErrTable)
	case t.Schema.Append:
		return nil, fmt.Errorf("table %s: %w", table, ErrAppend)
	}
	return t.Schema, nil
}

// LoadRange orders that a part of a captured table be read again. Rows outside stay as
// they are; rows of the part that don't exist at the source any more leave the store,
// unless keep is set. It asks the source.
func (l *Loader) LoadRange(ctx context.Context, table string, b Bounds, keep bool) error {
	if err := l.free(table, true); err != nil {
		return err
	}
	var r *event.KeyRange
	var t *schema.Table
	err := l.with(ctx, func(src Source) (err error) {
		if t, err = captured(ctx, src, table); err == nil {
			r, err = src.Range(ctx, t, b)
		}
		return err
	})
	if err != nil {
		return err
	}
	if r.Backwards() {
		return fmt.Errorf("table %s, %s begins behind its end: %w", table, b, ErrBadBounds)
	}
	if r.Keep = keep; !keep && !r.Tellable() {
		return &capture.Coded{Code: "RANGE_ORDER", Hint: "read all of the table again, or this part with --keep-missing, which lets rows stay that don't exist at the source any more",
			Err: fmt.Errorf("table %s, %s: %w", table, b, errRangeOrder)}
	}
	return l.order(progress{Progress: Progress{Table: table, Estimate: -1, Part: b.String()}, Sweep: true, Range: r, Dataset: t.Dataset})
}

// Add orders that a table which isn't captured yet be loaded and streamed from now on,
// for as long as the source's state lasts. It asks the source, and makes it publish the
// table if need be and allowed.
func (l *Loader) Add(ctx context.Context, table string) error {
	adder, ok := l.o.Reader.(Adder)
	if !ok {
		return ErrFixed
	}
	if err := l.free(table, false); err != nil {
		return err
	}
	var t *schema.Table
	err := l.with(ctx, func(src Source) error {
		err := src.Include(ctx, table)
		if err == nil {
			t, err = captured(ctx, src, table)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := l.order(progress{Progress: Progress{Table: table}, Sweep: true, Added: true, Dataset: t.Dataset}); err != nil {
		return err
	}
	adder.Add(table)
	return nil
}

// Remove orders that a table which was added be left: from one place of the stream on none
// of its changes is delivered, and the log says so there. A load or a verification of it
// ends. Added again it is loaded again. The order is durable once Logged has a place for it.
func (l *Loader) Remove(ctx context.Context, table string) error {
	adder, ok := l.o.Reader.(Adder)
	if !ok {
		return ErrFixed
	}
	wait(ctx, startWithin, l.started)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.added, table) || l.configured[table] {
		return fmt.Errorf("table %s: %w", table, ErrNotAdded)
	}
	p := progress{Progress: Progress{Table: table, Phase: Removed, Error: errRemoved.Error()}}
	for _, t := range l.tasks {
		if t.Table == table {
			t.again()
			t.Phase, p.Dataset = Canceled, t.Dataset // whoever reads it ends
			t.tell()
		}
	}
	delete(l.ordered, table)
	l.replace(p)
	adder.Remove(table)
	return nil
}

// errRemoved: the table stays in the store as it was.
var errRemoved = errors.New("removed by an order: its changes since then are missing until it is added again")

// startWithin is how long an order waits for the durable state: one that comes right after
// the program's start finds which tables were added.
const startWithin = 10 * time.Second

// with works on a connection of its own.
func (l *Loader) with(ctx context.Context, work func(Source) error) error {
	wait(ctx, startWithin, l.started)
	select {
	case <-l.started:
	default:
		return ErrNotStarted
	}
	src, err := l.o.Open(ctx)
	if err != nil {
		return err
	}
	return errors.Join(work(src), src.Close())
}

// free reports why a load of the table can't be ordered now.
func (l *Loader) free(table string, part bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.freeLocked(table, part)
}

func (l *Loader) freeLocked(table string, part bool) error {
	if l.stopped[table] {
		return fmt.Errorf("table %s: %w", table, ErrStopped)
	}
	if l.keyless[table] {
		return fmt.Errorf("table %s: %w", table, ErrAppend)
	}
	for _, t := range l.tasks {
		switch {
		case t.Table != table:
		case t.active() || t.Phase == Paused:
			return fmt.Errorf("table %s: %w", table, ErrBusy)
		case part && (t.Out || t.Phase != Loaded && t.Range == nil && t.Check == nil):
			return fmt.Errorf("table %s: %w", table, ErrIncomplete)
		}
	}
	return nil
}

// order takes the place of the table's last load.
func (l *Loader) order(p progress) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.freeLocked(p.Table, p.Range != nil); err != nil {
		return err
	}
	p.Phase = Queued
	l.replace(p)
	return nil
}

// replace puts what a person has ordered in the place of the table's last load.
func (l *Loader) replace(p progress) {
	l.put(&task{progress: p, ordered: &p})
}

// put has a task be the only one of its table.
func (l *Loader) put(t *task) {
	l.tasks = append(slices.DeleteFunc(l.tasks, func(old *task) bool { return old.Table == t.Table }), t)
	l.nudge()
}

// nudge wakes whoever hands out and whoever reads.
func (l *Loader) nudge() {
	signal(l.wake)
	signal(l.work)
}
