package worker

import (
	"fmt"
	"time"

	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// change is one row or truncate record, in a copy of its own.
type change struct {
	schemaID uint32
	truncate bool
	value    []byte
}

// txn is a source transaction that is being collected, or is complete.
type txn struct {
	source  string
	first   log.Offset
	offset  log.Offset // of the commit record
	logged  time.Time  // when the log had that, by the broker's clock or the agent's
	changes []change
	commit  *envelope.Commit
	from    event.Position

	// The producer that wrote it, and where that took the source.
	producer log.Producer
	open     log.Offset
}

// flow is one source within a partition.
type flow struct {
	source   string
	applied  event.Position // of the last complete transaction, applied or waiting to be
	producer log.Producer
	open     log.Offset // of the latest open record; -1 if unknown
	kept     log.Offset // of the commit record up to which the store knows the producer
	part     *txn       // the transaction under way
	gap      bool
}

// Counts is what an assembler has set aside, for status and metrics.
type Counts struct {
	Foreign int64 // records of nobody's
	Fenced  int64 // records of producers that had lost their source
	Void    int64 // transactions left unfinished by their agent
	Known   int64 // transactions that the store had already
	Unknown int64 // control records of a kind this version doesn't know
}

// assembler turns a partition's records into whole transactions and decides
// which of them count. It does no I/O.
type assembler struct {
	flows  map[string]*flow
	done   []*txn
	gaps   []Gap
	counts Counts
	// lastForeign is the offset of the newest foreign record.
	lastForeign log.Offset
	now         func() time.Time
	// values holds the rows' bytes. Its chunks are never used again: a transaction
	// may be kept for long.
	values event.Arena
}

func newAssembler(known []Progress) *assembler {
	a := &assembler{flows: map[string]*flow{}, now: time.Now}
	for _, p := range known {
		a.flows[p.Source] = &flow{source: p.Source, applied: p.Applied, producer: p.Producer, open: p.Open, kept: p.Commit, gap: p.Gap}
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
		f = &flow{source: string(name), producer: log.NoProducer, open: -1, kept: -1}
		a.flows[f.source] = f
	}
	if f.gap {
		return nil
	}
	if class == envelope.ControlRecord {
		c, err := envelope.ParseControl(r)
		if err != nil {
			return fmt.Errorf("source %s, offset %d: %w", name, o, err)
		}
		if c.Open != nil {
			if o > f.open {
				a.void(f)
				f.producer, f.open = b.Producer, o
			}
			return nil
		}
		if a.counted(f, b) {
			a.control(f, b, o, &c)
		}
		return nil
	}
	if !a.counted(f, b) {
		return nil
	}
	id, err := envelope.SchemaID(r)
	if err != nil {
		return fmt.Errorf("source %s, offset %d: %w", name, o, err)
	}
	f.begin(o).add(change{schemaID: id, value: a.values.Copy(r.Value)})
	return nil
}

// counted tells whether a batch is by the producer that has the source.
func (a *assembler) counted(f *flow, b *log.Batch) bool {
	if f.producer == log.NoProducer { // retention has taken the open record of a source that is new here
		f.producer = b.Producer
	}
	if b.Producer != f.producer {
		a.counts.Fenced++
		return false
	}
	return true
}

// control takes a control record that isn't an open record.
func (a *assembler) control(f *flow, b *log.Batch, o log.Offset, c *envelope.Control) {
	switch {
	case c.Truncate != nil:
		f.begin(o).add(change{schemaID: c.Truncate.SchemaID, truncate: true})
	case c.Commit != nil:
		a.commit(f, b, o, c.Commit)
	case c.Heartbeat != nil:
		if c.Heartbeat.Last.Compare(f.applied) > 0 {
			a.lost(f, o, "PREV_MISMATCH", fmt.Sprintf("the source's last commit is %s, the last one here is %s", c.Heartbeat.Last, f.applied))
		}
	case c.Gap != nil:
		if c.Gap.Last.Compare(f.applied) >= 0 {
			a.lost(f, o, c.Gap.Code, c.Gap.Reason)
		}
	case c.Halt != nil:
	default:
		a.counts.Unknown++
	}
}

func (f *flow) begin(o log.Offset) *txn {
	if f.part == nil {
		f.part = &txn{source: f.source, first: o}
	}
	return f.part
}

func (t *txn) add(c change) { t.changes = append(t.changes, c) }

// void drops what an agent left unfinished.
func (a *assembler) void(f *flow) {
	if f.part != nil {
		a.counts.Void++
		f.part = nil
	}
}

func (a *assembler) commit(f *flow, b *log.Batch, o log.Offset, c *envelope.Commit) {
	t := f.begin(o)
	f.part = nil
	switch {
	case c.Txn.Position.Compare(f.applied) <= 0:
		a.counts.Known++
	case c.Prev != f.applied:
		a.lost(f, o, "PREV_MISMATCH", fmt.Sprintf("commit %s follows %s, the last one here is %s", c.Txn.Position, c.Prev, f.applied))
	case c.Rows != len(t.changes):
		a.lost(f, o, "ROW_COUNT", fmt.Sprintf("commit %s has %d rows, %d are in the log", c.Txn.Position, c.Rows, len(t.changes)))
	default:
		t.commit, t.offset, t.logged, t.from = c, o, b.Appended, f.applied
		t.producer, t.open = f.producer, f.open
		f.applied = c.Txn.Position
		a.done = append(a.done, t)
	}
}

// lost puts a source into the state GAP: nothing of it counts any more.
func (a *assembler) lost(f *flow, o log.Offset, code, reason string) {
	f.gap, f.part = true, nil
	a.gaps = append(a.gaps, Gap{Source: f.source, Last: f.applied, Code: code, Reason: reason, At: a.now(), Offset: o})
}

// readFrom is the oldest record that is still needed after the transactions up
// to, not including, rest are in the store and everything below next was read.
func (a *assembler) readFrom(next log.Offset, rest []*txn) log.Offset {
	for _, t := range rest {
		next = min(next, t.first)
		if t.open > a.flows[t.source].kept {
			next = min(next, t.open)
		}
	}
	for _, f := range a.flows {
		if f.part != nil {
			next = min(next, f.part.first)
		}
		if f.open > f.kept && !f.gap { // the store doesn't know this producer yet
			next = min(next, f.open)
		}
	}
	return next
}
