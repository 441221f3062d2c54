package snapshot

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// manage lists the tables of a first load, or of a repair, and keeps up to Parallel tables being read.
func (l *Loader) manage(ctx context.Context) {
	var reading sync.WaitGroup
	defer reading.Wait()
	slots := make(chan struct{}, l.o.Parallel)
	for ctx.Err() == nil {
		l.mu.Lock()
		listed := l.listed
		next := l.wanted()
		l.mu.Unlock()
		switch {
		case !listed:
			if err := l.first(ctx); err != nil {
				l.mu.Lock()
				l.listing = err
				l.mu.Unlock()
				signal(l.wake)
				return
			}
		case next == nil:
			select {
			case <-ctx.Done():
			case <-l.work:
			}
		default:
			select {
			case <-ctx.Done():
				return
			case slots <- struct{}{}:
			}
			l.mu.Lock()
			if next != l.wanted() { // it has changed while it waited
				l.mu.Unlock()
				<-slots
				continue
			}
			moved := make(chan struct{}, 1)
			if len(next.readers) == 0 {
				next.Phase, next.pace, next.stride, next.alone = Loading, l.pace, stride{}, false
				next.again() // of readers that have left
				next.rewind()
			}
			next.readers = append(next.readers, moved)
			l.mu.Unlock()
			signal(l.wake)
			reading.Go(func() {
				l.again(ctx, "load "+next.Table, func(src Source) error { return l.load(ctx, next, src, moved) }, func(err error) bool { return l.trouble(next, moved, err) })
				l.mu.Lock()
				next.readers = slices.DeleteFunc(next.readers, func(c chan struct{}) bool { return c == moved })
				if !slices.ContainsFunc(l.tasks, func(t *task) bool { return len(t.readers) > 0 }) {
					l.spare = nil
				}
				l.mu.Unlock()
				<-slots
				signal(l.work)
			})
		}
	}
}

// unread gives the next table that nobody reads.
func (l *Loader) unread() *task {
	for _, t := range l.tasks {
		if t.active() && len(t.readers) == 0 && !l.keyless[t.Table] && l.delivered(t) {
			return t
		}
	}
	return nil
}

// wanted gives the table that is to get a reader next, one that nobody reads first.
func (l *Loader) wanted() *task {
	if t := l.unread(); t != nil {
		return t
	}
	for _, t := range l.tasks {
		if t.Phase == Loading && len(t.readers) == 1 && l.o.Ahead > 1 && t.strides() {
			return t
		}
	}
	return nil
}

// again opens a source and works on it until that ends well, somebody gives up, or ctx
// ends. Between two attempts lies a growing pause.
func (l *Loader) again(ctx context.Context, what string, work func(Source) error, giveUp func(error) bool) {
	for pause := 200 * time.Millisecond; ctx.Err() == nil; pause = min(2*pause, 30*time.Second) {
		src, err := l.o.Open(ctx)
		if err == nil {
			err = errors.Join(work(src), src.Close())
		}
		if err == nil || ctx.Err() != nil || giveUp(err) {
			return
		}
		l.o.Logger.Warn("load interrupted, trying again", "what", what, "err", err, "pause", pause)
		wait(ctx, pause/2+rand.N(pause/2+1), nil)
	}
}

// wait pauses until something is signalled.
func wait(ctx context.Context, d time.Duration, c <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-c:
	}
}

// trouble shows why a load doesn't go on, and ends it if it never will. A second reader of a
// table gives up: the first one meets what there is to be met, and goes on if it is about the
// second one's connection.
func (l *Loader) trouble(t *task, moved chan struct{}, err error) (final bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.readers[0] != moved {
		t.alone = true
		l.o.Logger.Warn("table goes on with one connection", "table", t.Table, "err", err)
		return true
	}
	if t.Phase == Failed { // the table has stopped meanwhile
		return true
	}
	t.Error = err.Error()
	if errors.Is(err, ErrAppend) && t.Check == nil { // the load ends without a row, and takes none away
		t.again()
		l.keyless[t.Table], t.Read, t.Sweep = true, true, false
		t.tell()
		signal(l.wake)
		return true
	}
	if capture.ActionOf(err) == capture.StopSource {
		t.fail(err.Error())
		l.o.Logger.Error("load of a table failed", "table", t.Table, "err", err)
		return true
	}
	return false
}

// first lists the tables of a first load. Nothing is handed out before that, so trouble
// with it is the source's.
func (l *Loader) first(ctx context.Context) error {
	src, err := l.o.Open(ctx)
	if err != nil {
		return err
	}
	return errors.Join(l.list(ctx, src), src.Close())
}

func (l *Loader) list(ctx context.Context, src Source) error {
	tables, err := src.Tables(ctx)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range tables {
		if n := slices.IndexFunc(l.tasks, func(t *task) bool { return t.Table == tables[i].ID }); n >= 0 {
			if l.tasks[n].Phase != Dropped { // it is to be read already
				continue
			}
			l.tasks = slices.Delete(l.tasks, n, n+1)
		}
		t := &task{progress: progress{Progress: Progress{Table: tables[i].ID, Phase: Queued, Estimate: tables[i].Rows}}}
		t.Sweep, t.Ordered = l.repair != "", l.repair != "" // the store has older rows then
		switch s := tables[i].Schema; {
		case s != nil && s.Append:
			l.keyless[t.Table] = true
			t.Dataset, t.Phase, t.Error = s.Dataset, Unloaded, ErrAppend.Error()
			l.o.Logger.Warn("table isn't loaded", "table", t.Table, "err", t.Error)
		case s != nil:
			t.Dataset = s.Dataset
		default:
			t.Phase, t.Error = Failed, tables[i].Refused
			l.o.Logger.Error("table can't be loaded", "table", t.Table, "err", t.Error)
		}
		l.tasks = append(l.tasks, t)
	}
	l.listed = true
	signal(l.wake)
	return nil
}

// find describes one of the captured tables; nil if it isn't among them.
func find(ctx context.Context, src Source, id string) (*Table, error) {
	var tables []Table
	var err error
	if d, ok := src.(Describer); ok {
		tables, err = d.Table(ctx, id)
	} else {
		tables, err = src.Tables(ctx)
	}
	i := slices.IndexFunc(tables, func(t Table) bool { return t.ID == id })
	if err != nil || i < 0 {
		return nil, err
	}
	return &tables[i], nil
}

// describe finds the task's table among those that exist, and says of which version of its
// description it is; nil if it must be asked for once more.
func (l *Loader) describe(ctx context.Context, t *task, src Source) (*Table, int, error) {
	l.mu.Lock()
	before := t.version
	l.mu.Unlock()
	table, err := find(ctx, src, t.Table)
	if err != nil {
		return nil, 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case t.version != before: // what was asked may be older than what another reader knows
		return nil, 0, nil
	case table == nil:
		return nil, 0, fmt.Errorf("table %s: %w", t.Table, ErrTable)
	case table.Schema == nil:
		return nil, 0, fmt.Errorf("table %s: %s: %w", t.Table, table.Refused, ErrTable)
	case table.Schema.Append:
		return nil, 0, fmt.Errorf("table %s: %w", t.Table, ErrAppend)
	}
	if err := t.keyed(table.Schema); err != nil {
		return nil, 0, err
	}
	t.table, t.Dataset = table, table.Schema.Dataset
	if t.Estimate == 0 {
		t.Estimate = table.Rows
	}
	return table, t.version, nil
}

// keyed has a load begin its reading anew if the table has another key than that by which
// it was read so far: no order goes on where another one has come to. Rows that the log has
// already come once more.
func (t *task) keyed(now *schema.Table) error {
	by := keyNames(now)
	size := len(by)
	if t.By == nil { // nothing is read yet, or the state is of an older version
		for _, k := range append(slices.Clone(t.Keys), t.After) {
			if k != nil {
				size = len(k)
			}
		}
	}
	if t.By != nil && !slices.Equal(t.By, by) || size != len(by) {
		if t.Check != nil || t.Range != nil {
			return fmt.Errorf("table %s: it has another key than before: %w", t.Table, ErrTable)
		}
		t.anew()
	}
	t.By = by
	return nil
}

func (t *task) anew() {
	t.again()
	t.forget() // other readers may know another key
	t.After, t.Read, t.Keys, t.Rows = nil, false, nil, 0
	t.rewind()
}

func keyNames(t *schema.Table) (names []string) {
	for _, i := range t.Key {
		names = append(names, t.Columns[i].Name)
	}
	return names
}

// load reads a table's chunks until all of it is handed out, or, if it is the second one to
// read it, until there is a table that nobody reads.
func (l *Loader) load(ctx context.Context, t *task, src Source, moved chan struct{}) error {
	var table *Table // as this connection has described it: what another one knew of it isn't known here
	version := 0
	for ctx.Err() == nil {
		l.mu.Lock()
		if t.Phase != Loading || t.readers[0] != moved && l.unread() != nil {
			l.mu.Unlock()
			return nil
		}
		described := table != nil && t.table != nil && version == t.version
		open, change := l.o.Hours.Open(time.Now())
		var c *chunk
		if described {
			c = l.next(t, table.Schema, open)
		}
		l.mu.Unlock()
		switch {
		case !described:
			var err error
			if table, version, err = l.describe(ctx, t, src); err != nil {
				return err
			}
			continue
		case c == nil && !open:
			wait(ctx, time.Until(change), moved)
			continue
		case c == nil:
			select {
			case <-ctx.Done():
			case <-moved:
			}
			continue
		}
		if !l.beginNow(c) {
			select {
			case <-ctx.Done():
				return nil
			case l.begins <- c:
				<-c.begun
			}
		}
		if c.void {
			continue
		}
		began := time.Now()
		res, err := l.view(ctx, src, c)
		took := time.Since(began)
		if err == nil && res.Last != nil && c.req.After != nil && sameKey(res.Last, c.req.After) {
			err = fmt.Errorf("chunk of table %s: it ends with the key behind which it begins: %w", t.Table, ErrOrder)
		}
		if err == nil && c.req.Keys != nil && !res.End {
			if c.left = missed(c.req.Keys, res.Rows); len(c.left) == len(c.req.Keys) {
				err = fmt.Errorf("chunk of table %s: its rows have none of the keys that were asked for: %w", t.Table, ErrOrder)
			}
		}
		if errors.Is(err, errVoid) {
			continue
		}
		rows, size := 0, 0 // once it is handed over, it is no longer ours
		if err == nil {
			rows, size = res.Len(), res.Bytes
		}
		l.mu.Lock()
		if err == nil {
			t.pace.adapt(rows, size, took)
		}
		if l.read(c, res, err); errors.Is(err, ErrTable) { // described anew, once
			t.forget()
		}
		l.mu.Unlock()
		if err != nil {
			return err
		}
		l.limit.took(ctx, rows)
	}
	return nil
}

// missed gives the keys of which rows has none.
func missed(keys [][]event.Value, rows []event.Row) (left [][]event.Value) {
	for _, k := range keys {
		if !slices.ContainsFunc(rows, func(r event.Row) bool { return sameKey(k, keyValues(r.Table, r.After)) }) {
			left = append(left, k)
		}
	}
	return left
}

// mostKeys is the number of rows that are asked for by their keys at once.
const mostKeys = 200

// errVoid: what was to be read isn't wanted any more.
var errVoid = errors.New("void")

// tellAfter is how long a load waits for a view before it says so.
const tellAfter = 5 * time.Second

// view reads a chunk as soon as the server shows what its log has delivered.
func (l *Loader) view(ctx context.Context, src Source, c *chunk) (*Chunk, error) {
	began := time.Now()
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		res, err := src.Read(ctx, c.req)
		if !errors.Is(err, ErrView) {
			return res, err
		}
		if time.Since(began) > tellAfter {
			l.mu.Lock()
			c.task.Error = err.Error()
			l.mu.Unlock()
		}
		wait(ctx, pause, nil)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		l.mu.Lock()
		void := !slices.Contains(c.task.flight, c)
		l.mu.Unlock()
		if void {
			return nil, errVoid
		}
	}
}

// pace finds the number of rows, at most so many, that take the target time and fit the bytes.
type pace struct {
	rows, most int
	max        int
	target     time.Duration
}

// Rows of a chunk.
const (
	firstRows = 500
	mostRows  = 50_000
)

func (p *pace) adapt(rows, bytes int, took time.Duration) {
	if rows == 0 {
		return
	}
	byTime := int(float64(rows) * float64(p.target) / float64(max(took, time.Millisecond)))
	byBytes := int(float64(rows) * float64(p.max) / float64(max(bytes, 1)) * 7 / 8) // a chunk that gets full is read for nothing beyond
	p.rows = max(1, min(byTime, byBytes, 4*p.rows, p.most))
}
