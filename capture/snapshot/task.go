package snapshot

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// task is the load of one table. Loader.mu guards it.
type task struct {
	progress
	table   *Table          // as it was described last
	version int             // rises when the table must be described anew
	readers []chan struct{} // of the goroutines that read it, to tell them that something has changed; each has capacity 1
	alone   bool            // one goroutine reads it, since a second one couldn't
	win     window
	flight  []*chunk      // planned and not handed out, in the order of the key
	readTo  []event.Value // key up to which chunks are planned
	open    bool          // the last of them ends nobody knows where
	ended   bool          // the table's end was read
	pace    pace
	stride  stride
	speed   speed
	// ordered is the order as a person gave it, until it is known to outlive the program.
	ordered *progress
	wish    Phase          // of the last decision
	owes    bool           // no state in the log has the last decision yet
	decided event.Position // of the transaction whose state has it; zero if there is none
}

// chunk is one chunk on its way.
type chunk struct {
	task  *task
	req   Request
	taken bool // somebody reads it
	began bool // its window is open
	from  int  // index of the window's first change that counts
	begun chan struct{}
	void  bool // the task has changed meanwhile
	res   *Chunk
	left  [][]event.Value // of the keys that were asked for: not read, since the chunk was full
	stale bool
}

func (t *task) active() bool { return t.Phase == Queued || t.Phase == Loading }

// resting reports whether a person may have the load go on from where it is.
func (t *task) resting() bool { return t.Phase == Paused || t.Phase == Failed }

// delivered reports whether the stream delivers the table, or passes it over if that is
// what was ordered.
func (l *Loader) delivered(t *task) bool {
	if t.Phase == Removed {
		return !slices.Contains(l.added, t.Table)
	}
	return !t.Added || slices.Contains(l.added, t.Table)
}

// load says that the load begins or ends.
func (t *task) load(phase event.LoadPhase) event.Load {
	return event.Load{Table: t.Table, Dataset: t.Dataset, Phase: phase, Since: t.Since, Sweep: t.Sweep, Ordered: t.Ordered && phase == event.LoadBegun, Range: t.Range}
}

func (t *task) cascades(parent string) bool {
	return t.table != nil && slices.Contains(t.table.Parents, parent)
}

// stale has everything that is under way read again.
func (t *task) stale() {
	for _, c := range t.flight {
		c.stale = c.began
	}
}

// tell says to who reads it that something has changed.
func (t *task) tell() {
	for _, c := range t.readers {
		signal(c)
	}
}

// forget has the table described anew.
func (t *task) forget() {
	t.table = nil
	t.version++
}

// again throws away what is under way from the oldest chunk on.
func (t *task) again() {
	if len(t.flight) == 0 {
		return
	}
	t.flight = nil
	t.rewind()
	t.win.clear()
	t.tell()
}

// rewind has chunks planned from what is handed out.
func (t *task) rewind() { t.readTo, t.open, t.ended = t.After, false, t.Read }

// note takes a change that the stream delivers. It reports whether a row must be read
// by itself because of it.
func (t *task) note(row *event.Row) (owing bool) {
	if len(t.flight) > 0 {
		t.win.note(row)
	}
	if t.Check != nil || t.Since.IsZero() || t.resting() && t.After == nil || row.Op != event.Update || row.Before == nil || !partial(row.After) {
		return false
	}
	// The store may not have the row that this one was: then nobody has the columns
	// that are absent here.
	was, now := keyValues(row.Table, row.Before), keyValues(row.Table, row.After)
	if sameKey(was, now) {
		return false
	}
	if t.By != nil && !slices.Equal(t.By, keyNames(row.Table)) { // nobody can ask for it by the key that the table has now
		if t.Range != nil {
			t.fail("the table has another key than before")
		} else {
			t.anew()
			t.tell()
		}
		return true
	}
	if t.resting() && len(t.Keys) >= mostOwed { // nobody knows when, or whether, it goes on
		t.anew()
		return true
	}
	if !slices.ContainsFunc(t.Keys[min(t.keysUnder(), len(t.Keys)):], func(k []event.Value) bool { return sameKey(k, now) }) {
		t.Keys = append(t.Keys, now)
	}
	t.tell()
	return true
}

// mostOwed bounds the rows that a load which rests owes: with more all of the table is read
// anew.
const mostOwed = 10_000

// keysUnder is the number of Keys that are being read.
func (t *task) keysUnder() (n int) {
	for _, c := range t.flight {
		n += len(c.req.Keys)
	}
	return n
}

func partial(image []event.Value) bool {
	return slices.ContainsFunc(image, func(v event.Value) bool { return v.State == event.Absent })
}

// keyValues copies a row's key out of an image.
func keyValues(t *schema.Table, image []event.Value) []event.Value {
	out := make([]event.Value, len(t.Key))
	for n, i := range t.Key {
		out[n] = image[i]
		out[n].B = bytes.Clone(image[i].B)
	}
	return out
}

func sameKey(a, b []event.Value) bool {
	return slices.EqualFunc(a, b, func(x, y event.Value) bool { return x.State == y.State && x.N == y.N && bytes.Equal(x.B, y.B) })
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// begin opens a chunk's window: from here on the stream's changes count for it.
func (l *Loader) begin(c *chunk) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open(c)
	close(c.begun)
}

// beginNow is begin for a goroutine other than the stream's. It reports false if the stream
// is within a transaction.
func (l *Loader) beginNow(c *chunk) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.between() {
		return false
	}
	l.open(c)
	return true
}

func (l *Loader) open(c *chunk) {
	t := c.task
	if c.void = t.Phase != Loading || !slices.Contains(t.flight, c); c.void {
		return
	}
	c.began, c.from = true, len(t.win.changes)
	c.req.Delivered = Delivered{Place: l.place, Txns: slices.Clone(l.recent), Unnamed: t.Added}
	c.req.Memory = l.lend()
	c.req.Coded = c.req.Keys == nil && t.Check == nil && !l.undecodable(t.Table)
}

// read takes what a chunk was read to, or why it couldn't be. The loader's lock is held.
func (l *Loader) read(c *chunk, res *Chunk, err error) {
	t := c.task
	if !slices.Contains(t.flight, c) { // nobody waits for it any more
		return
	}
	c.res = res
	signal(l.wake)
	if err != nil {
		t.again()
		return
	}
	if t.planned(c); t.strides() && len(t.readers) == 1 {
		signal(l.work)
	}
	seen := make(map[string]bool, len(c.req.Delivered.Txns))
	for _, id := range c.req.Delivered.Txns {
		seen[id] = true
	}
	l.recent = slices.DeleteFunc(l.recent, func(id string) bool { return seen[id] })
}

// emit gives the first part of something that is due, nil if nothing is.
func (l *Loader) emit() (*event.Segment, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.repair == repairOrdered && l.listed
	if fresh := l.fresh(); len(fresh) > 0 || first { // before any change of them comes, or is passed over
		return l.mark(first, repairBegun, event.RepairBegun, func(p event.Position) (loads []event.Load, checks []event.Check) {
			for _, t := range fresh {
				t.Since, t.Begun = p, time.Now()
				t.tell()
				switch {
				case t.Check != nil:
					checks = append(checks, t.checkBegun())
				case t.Phase == Removed:
					loads = append(loads, t.load(event.TableRemoved))
				case t.Phase == Dropped:
					loads = append(loads, t.load(event.TableDropped))
				default:
					loads = append(loads, t.load(event.LoadBegun))
				}
			}
			return loads, checks
		})
	}
	for _, t := range l.tasks {
		if t.givenUp() {
			l.o.Logger.Warn("verification of a table given up", "table", t.Table, "verification", t.Check.ID, "reason", t.Error)
			return l.transaction(nil, func(event.Position) ([]event.Load, []event.Check) { return nil, []event.Check{t.giveUp()} })
		}
		if t.Phase != Loading {
			continue
		}
		if len(t.flight) == 0 {
			if t.Read && len(t.Keys) == 0 {
				return l.transaction(nil, t.end(l))
			}
			continue
		}
		c := t.flight[0]
		if c.res == nil || c.res.High.Compare(l.place) > 0 {
			continue
		}
		changes := t.win.changes[c.from:]
		if len(changes) > 0 {
			if err := l.decode(c); err != nil {
				return nil, err
			}
		}
		rows, ok, err := overlay(c.req.Table, c.res.Rows, changes)
		if err != nil {
			return nil, fmt.Errorf("chunk of table %s: %w", t.Table, err)
		}
		if c.stale || !ok {
			t.forget() // it may have been altered
			t.again()
			continue
		}
		var checks []event.Check
		if t.Check != nil {
			if err := l.caps.cut(rows, false); err != nil {
				return nil, err
			}
			check, err := t.checkRows(c, rows)
			if err != nil {
				return nil, fmt.Errorf("chunk of table %s: %w", t.Table, err)
			}
			checks = append(checks, check)
		}
		l.arrived(t, c, len(rows)+len(c.res.Coded))
		if l.lent = c.req.Memory; l.lent != nil {
			l.lent.Rows, l.lent.Coded = c.res.Rows, c.res.Coded
		}
		l.coded, l.codedOf = c.res.Coded, c
		if (t.Check == nil || t.Check.Repair) && c.res.High.Compare(l.shown) > 0 { // else stores keep nothing of it
			l.shown = c.res.High
		}
		if t.Check != nil && !t.Check.Repair {
			rows = nil
		}
		return l.transaction(rows, func(event.Position) ([]event.Load, []event.Check) { return nil, checks })
	}
	if l.undecided() {
		return l.transaction(nil, func(event.Position) ([]event.Load, []event.Check) { return nil, nil })
	}
	if l.mended() {
		return l.mark(true, "", event.RepairEnded, func(event.Position) ([]event.Load, []event.Check) { return nil, nil })
	}
	return nil, nil
}

// end says that a task is done.
func (t *task) end(l *Loader) func(event.Position) ([]event.Load, []event.Check) {
	return func(event.Position) ([]event.Load, []event.Check) {
		if t.Phase, t.Ended = Loaded, time.Now(); l.keyless[t.Table] {
			t.Phase = Unloaded
		}
		l.images = images()
		t.tell()
		if t.Check != nil {
			l.o.Logger.Info("table handed out for its verification", "table", t.Table, "verification", t.Check.ID, "rows", t.Rows)
			c := t.check(event.CheckEnded)
			c.Total = t.Rows
			return nil, []event.Check{c}
		}
		l.o.Logger.Info("table loaded", "table", t.Table, "rows", t.Rows)
		return []event.Load{t.load(event.LoadEnded)}, nil
	}
}

// fresh gives the tasks whose beginning isn't in the log yet. A table is delivered even if its
// load rests, and one that was added also if that was cancelled, so the store must know that it
// isn't whole.
func (l *Loader) fresh() (out []*task) {
	for _, t := range l.tasks {
		if t.Since.IsZero() && (t.active() || t.Phase == Paused || t.Added || t.Phase == Removed || t.Phase == Dropped && l.listed) && l.delivered(t) {
			out = append(out, t)
		}
	}
	return out
}

// arrived notes that the oldest chunk is being handed out.
func (l *Loader) arrived(t *task, c *chunk, rows int) {
	t.Rows += int64(rows)
	t.speed.note(time.Now(), t.Rows)
	if !t.Out {
		t.Error = ""
	}
	if c.req.Keys != nil {
		t.Keys = append(slices.Delete(t.Keys, 0, len(c.req.Keys)), c.left...)
	} else {
		t.Read = c.res.End && !c.strided()
		if c.res.Last != nil {
			t.After = c.res.Last
		}
	}
	t.flight = t.flight[1:]
	t.trim()
	t.tell()
}

// trim forgets what of the window no chunk needs.
func (t *task) trim() {
	if len(t.flight) == 0 {
		t.win.clear()
		return
	}
	drop := len(t.win.changes)
	for _, c := range t.flight {
		if c.began {
			drop = min(drop, c.from)
		}
	}
	t.win.drop(drop)
	for _, c := range t.flight {
		c.from -= drop // where that means anything
	}
}

// transaction makes rows into a transaction of their own, behind what was handed out
// last, and gives its first part.
func (l *Loader) transaction(rows []event.Row, about func(event.Position) ([]event.Load, []event.Check)) (*event.Segment, error) {
	p := l.last
	if p.Epoch != l.epoch {
		p = event.Position{Epoch: l.epoch, Place: before(l.origin)}
	}
	p.Index++
	now := time.Now()
	txn := event.Txn{Position: p, Committed: now.UTC(), Captured: now}
	l.last = p
	loads, checks := about(p)
	for _, t := range l.tasks { // the state below has every decision
		if t.owes {
			t.owes, t.decided = false, p
		}
	}
	l.rest, l.end = rows, event.Segment{Txn: txn, Last: true, Restart: l.place, Durable: true, Loads: loads}
	var err error
	if l.end.State, err = l.encodeLocked(); err != nil {
		return nil, err
	}
	first, err := l.part()
	if err != nil {
		return nil, err
	}
	first.First, first.Checks = true, checks
	return first, nil
}
