package worker

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// change is one row, truncate or check record, in a copy of its own.
type change struct {
	schemaID uint32
	kind     changeKind
	value    []byte
	order    int // its place in the transaction, from 0, once it is read again
}

// changeKind is what a change is.
type changeKind uint8

const (
	rowChange changeKind = iota
	truncateChange
	checkChange // a step of a verification with rows, which has a version and is no row
	noteChange  // one without
)

// counts reports whether the commit counts a change among its rows.
func (k changeKind) counts() bool { return k == rowChange || k == truncateChange }

// txn is a source transaction that is being collected, or is complete.
type txn struct {
	source  string
	first   log.Offset
	offset  log.Offset // of the commit record
	logged  time.Time  // when the log had that, by the broker's clock or the agent's
	rows    int        // row and truncate records
	checks  int        // check records
	size    int64      // bytes that its rows take, or took, in memory
	ids     []uint32   // of the table versions that its rows use
	hops    []string   // of its first record that has any: a relay passes on whole transactions
	changes []change   // the rows, unless they are on disk
	disk    *extent
	commit  *envelope.Commit
	from    event.Position
	lost    *Gap // with which a repair begins, if the store hasn't been told of it

	// The producer that wrote it, and where that took the source.
	producer log.Producer
	open     log.Offset
}

// flow is one source within a partition.
type flow struct {
	source   string
	applied  event.Position // of the last complete transaction, applied or waiting to be
	stored   event.Position // of the last one that the store has
	proof    log.Offset     // of its commit record; -1 if unknown
	doubted  bool           // records came that don't count since the log was held against that
	untils   []envelope.Until
	producer log.Producer
	open     log.Offset // of the latest open record; -1 if unknown
	kept     log.Offset // of the commit record up to which the store knows the producer
	part     *txn       // the transaction under way
	gap      bool

	// queue are complete transactions that must wait: for a large one that is being
	// applied beside the others (busy), or their own turn for that.
	queue []*txn
	busy  bool
	// behind is a large transaction of another source whose end the queue waits for.
	behind *beside
	held   int64 // bytes of part and queue in memory
}

// Counts is what an assembler has set aside, for status and metrics.
type Counts struct {
	Foreign int64 // records of nobody's
	Fenced  int64 // records of producers that had lost their source
	Void    int64 // transactions left unfinished by their agent
	Known   int64 // transactions that the store had already
	Unknown int64 // control records of a kind this version doesn't know
}

func (c *Counts) add(d Counts, sign int64) {
	c.Foreign += sign * d.Foreign
	c.Fenced += sign * d.Fenced
	c.Void += sign * d.Void
	c.Known += sign * d.Known
	c.Unknown += sign * d.Unknown
}

// assembler turns a partition's records into whole transactions and decides
// which of them count. Its only I/O is the spool's.
type assembler struct {
	flows  map[string]*flow
	done   []*txn
	gaps   []Gap
	counts Counts
	// untold says that a flow has moments that the store wasn't told.
	untold bool
	// lastForeign is the offset of the newest foreign record.
	lastForeign log.Offset
	now         func() time.Time
	// values holds the rows' bytes. Its chunks are never used again: a transaction
	// may be kept for long.
	values event.Arena
	spool  spool
	// lists of changes that were used and are empty again.
	lists [][]change
}

// What is kept of the lists: enough for the batches that are under way, and no giant ones.
const keptLists, keptChanges = 40, 2048

// reuse takes the list of a transaction that nobody reads any more.
func (a *assembler) reuse(t *txn) {
	if c := cap(t.changes); c == 0 || c > keptChanges || len(a.lists) == keptLists {
		return
	}
	clear(t.changes)
	a.lists = append(a.lists, t.changes[:0])
	t.changes = nil
}

func newAssembler(known []Progress, s spool) *assembler {
	a := &assembler{flows: map[string]*flow{}, now: time.Now, spool: s}
	for _, p := range known {
		a.flows[p.Source] = &flow{source: p.Source, applied: p.Applied, stored: p.Applied, proof: p.Commit, producer: p.Producer, open: p.Open, kept: p.Commit, gap: p.Gap}
	}
	return a
}

// record takes the record at offset o of batch b.
func (a *assembler) record(b *log.Batch, o log.Offset, r *log.Record) error {
	class, name := envelope.Classify(r)
	if class == envelope.Foreign {
		a.counts.Foreign++
		a.lastForeign = o
		return nil
	}
	f := a.flows[string(name)]
	if f == nil {
		f = &flow{source: string(name), producer: log.NoProducer, open: -1, kept: -1, proof: -1}
		a.flows[f.source] = f
	}
	if f.gap && class != envelope.ControlRecord { // only a repair counts
		return nil
	}
	if class == envelope.ControlRecord {
		c, err := envelope.ParseControl(r)
		if err != nil {
			return fmt.Errorf("source %s, offset %d: %w", name, o, err)
		}
		if c.Open != nil {
			if o <= f.open {
				return nil
			}
			f.producer, f.open = b.Producer, o
			return a.void(f)
		}
		if f.gap && (c.Commit == nil || c.Commit.Repair != event.RepairBegun) || !a.counted(f, b) {
			return nil
		}
		if c.Truncate != nil || c.Check != nil || c.Commit != nil {
			a.begin(f, o).hop(r)
		}
		return a.control(f, b, o, &c)
	}
	if !a.counted(f, b) {
		return nil
	}
	id, err := envelope.SchemaID(r)
	if err != nil {
		return fmt.Errorf("source %s, offset %d: %w", name, o, err)
	}
	t := a.begin(f, o)
	t.hop(r)
	return a.add(f, t, change{schemaID: id, value: r.Value})
}

// counted tells whether a batch is by the producer that has the source.
func (a *assembler) counted(f *flow, b *log.Batch) bool {
	if f.producer == log.NoProducer { // retention has taken the open record of a source that is new here
		f.producer = b.Producer
	}
	if b.Producer != f.producer {
		a.counts.Fenced++
		f.doubted = true
		return false
	}
	return true
}

// control takes a control record that isn't an open record.
func (a *assembler) control(f *flow, b *log.Batch, o log.Offset, c *envelope.Control) error {
	switch {
	case c.Truncate != nil:
		return a.add(f, a.begin(f, o), change{schemaID: c.Truncate.SchemaID, kind: truncateChange})
	case c.Check != nil && c.Check.Phase == event.CheckRows:
		return a.add(f, a.begin(f, o), change{schemaID: c.Check.SchemaID, kind: checkChange, value: c.Body})
	case c.Check != nil:
		return a.add(f, a.begin(f, o), change{kind: noteChange, value: c.Body})
	case c.Commit != nil:
		return a.commit(f, b, o, c.Commit)
	case c.Heartbeat != nil:
		if c.Heartbeat.Last.Compare(f.applied) > 0 {
			return a.lost(f, o, "PREV_MISMATCH", fmt.Sprintf("the source's last commit is %s, the last one here is %s", c.Heartbeat.Last, f.applied))
		}
	case c.Until != nil:
		if c.Until.Last.Compare(f.applied) > 0 {
			return a.lost(f, o, "PREV_MISMATCH", fmt.Sprintf("the source's last commit is %s, the last one here is %s", c.Until.Last, f.applied))
		}
		f.until(c.Until)
		a.untold = true
	case c.Gap != nil:
		if c.Gap.Last.Compare(f.applied) >= 0 {
			err := a.lost(f, o, c.Gap.Code, c.Gap.Reason)
			a.gaps[len(a.gaps)-1].To = c.Gap.To
			return err
		}
	case c.Halt != nil, c.Seal:
	default:
		a.counts.Unknown++
	}
	return nil
}

// hop notes the relays that a record of the transaction has passed.
func (t *txn) hop(r *log.Record) {
	if t.hops == nil && len(r.Headers) > 2 { // rows of our own agents have no more in Avro
		t.hops = envelope.Hops(r)
	}
}

func (a *assembler) begin(f *flow, o log.Offset) *txn {
	if f.part == nil {
		f.part = &txn{source: f.source, first: o}
		if n := len(a.lists); n > 0 {
			f.part.changes, a.lists = a.lists[n-1], a.lists[:n-1]
		}
	}
	return f.part
}

// add takes a change, whose value is the batch's. With too much in memory the
// source that has most of it goes to disk.
func (a *assembler) add(f *flow, t *txn, c change) error {
	if t.disk != nil {
		return t.add(c)
	}
	c.value = a.values.Copy(c.value)
	f.held += c.size()
	a.spool.held += c.size()
	if err := t.add(c); err != nil || a.spool.held <= a.spool.limit {
		return err
	}
	most := f
	for _, other := range a.flows {
		if other.held > most.held {
			most = other
		}
	}
	return a.spool.relieve(most)
}

// leave takes a transaction that was collected or queued out of what is held. Its
// rows stay where they are.
func (a *assembler) leave(f *flow, t *txn) {
	if t.disk == nil {
		f.held -= t.size
		a.spool.held -= t.size
	}
}

// queue has a complete transaction wait.
func (a *assembler) queue(f *flow, t *txn) {
	f.queue = append(f.queue, t)
	if t.disk == nil {
		f.held += t.size
		a.spool.held += t.size
	}
}

// void drops what an agent left unfinished.
func (a *assembler) void(f *flow) error {
	if f.part == nil {
		return nil
	}
	a.counts.Void++
	return a.forget(f)
}

func (a *assembler) forget(f *flow) error {
	t := f.part
	if t == nil {
		return nil
	}
	f.part = nil
	a.leave(f, t)
	return t.drop()
}

func (a *assembler) commit(f *flow, b *log.Batch, o log.Offset, c *envelope.Commit) error {
	t := a.begin(f, o)
	switch {
	case c.Txn.Position.Compare(f.applied) <= 0:
		a.counts.Known++
		return a.forget(f)
	case c.Repair == event.RepairBegun:
		a.repair(f, t, o, c)
	case c.Prev != f.applied:
		return a.lost(f, o, "PREV_MISMATCH", fmt.Sprintf("commit %s follows %s, the last one here is %s", c.Txn.Position, c.Prev, f.applied))
	case c.Rows != t.rows:
		return a.lost(f, o, "ROW_COUNT", fmt.Sprintf("commit %s has %d rows, %d are in the log", c.Txn.Position, c.Rows, t.rows))
	}
	f.part = nil
	a.leave(f, t)
	t.commit, t.offset, t.logged, t.from = c, o, b.Appended, f.applied
	t.producer, t.open = f.producer, f.open
	f.applied = c.Txn.Position
	a.done = append(a.done, t)
	if t.disk != nil {
		return t.disk.file.flush()
	}
	return nil
}

// repair takes up a source whose tables are all read again from this commit on. A gap that
// the store hasn't been told of yet goes to it with the commit. What was applied before the
// gap proves nothing any more: the log may be another one.
func (a *assembler) repair(f *flow, t *txn, o log.Offset, c *envelope.Commit) {
	for i, g := range a.gaps {
		if g.Source == f.source {
			t.lost, a.gaps = &g, slices.Delete(a.gaps, i, i+1)
			break
		}
	}
	if !f.gap && c.Prev != f.applied {
		t.lost = &Gap{Source: f.source, Last: f.applied, Code: "PREV_MISMATCH", At: a.now(), Offset: o,
			Reason: fmt.Sprintf("the repair at %s follows %s, the last commit here is %s", c.Txn.Position, c.Prev, f.applied)}
	}
	f.gap, f.proof = false, -1
}

// lost puts a source into the state GAP: nothing of it counts any more.
func (a *assembler) lost(f *flow, o log.Offset, code, reason string) error {
	f.gap, f.untils = true, nil
	a.gaps = append(a.gaps, Gap{Source: f.source, Last: f.applied, Code: code, Reason: reason, At: a.now(), Offset: o, Producer: f.producer, Open: f.open})
	return a.forget(f)
}

// close drops everything that is held.
func (a *assembler) close() error {
	var all []error
	for _, f := range a.flows {
		all = append(all, a.forget(f))
		for _, t := range f.queue {
			all = append(all, t.drop())
		}
		f.queue = nil
	}
	for _, t := range a.done {
		all = append(all, t.drop())
	}
	a.done = nil
	return errors.Join(all...)
}

// readFrom is the oldest record that is still needed once everything is in the
// store but what is being collected, what is queued, and rest. Everything below next
// was read.
func (a *assembler) readFrom(next log.Offset, rest []*txn) log.Offset {
	for _, t := range rest {
		next = a.needs(next, t)
	}
	for _, f := range a.flows {
		for _, t := range f.queue {
			next = a.needs(next, t)
		}
		if f.part != nil {
			next = min(next, f.part.first)
		}
		if f.open > f.kept { // the store doesn't know this producer yet
			next = min(next, f.open)
		}
	}
	return next
}

func (a *assembler) needs(next log.Offset, t *txn) log.Offset {
	next = min(next, t.first)
	if t.open > a.flows[t.source].kept {
		next = min(next, t.open)
	}
	return next
}
