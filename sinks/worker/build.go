package worker

import (
	"context"
	"fmt"
	"maps"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
)

// builder turns the changes of transactions into the net effect of one batch, or of
// one piece of a large one. It is used by one goroutine.
type builder struct {
	w       *Worker
	topic   string
	refused map[tableKey]*stop // stopped tables; a load takes them out
	// recorded are those of them that the store knows of.
	recorded map[tableKey]bool
	// loading are tables whose load goes on.
	loading map[tableKey]event.Load
	// ensure prepares a table before its first row. What it gives is nil if the store has all
	// of its columns.
	ensure func(context.Context, *schema.Table) (*narrow, error)

	last struct {
		id    uint32
		table *schema.Table
	}
	mem     *memory
	before  []event.Value
	after   []event.Value // both: free images of mem
	row     event.Row
	mergers map[*schema.Table]*merger
	latest  map[tableKey]*schema.Table // of mergers, the version that each table has now
	order   []*merger
	turns   map[string]string // the source whose changes of a shared dataset came last

	keys       map[string]sourceKeys // in quarantine, by source
	quarantine []Quarantined
	noted      map[QuarantinedKey]int // places in quarantine

	held []Held
	// heldBefore are what earlier pieces of the same transaction have.
	heldBefore map[tableKey]HeldLimit

	parts map[part]*schema.Table // versions without the columns that a verification leaves aside

	lineage
}

func newBuilder(w *Worker, topic string, refused map[tableKey]*stop) *builder {
	return &builder{w: w, topic: topic, refused: refused, recorded: map[tableKey]bool{}, loading: map[tableKey]event.Load{}, mem: &memory{}, mergers: map[*schema.Table]*merger{}, latest: map[tableKey]*schema.Table{}, turns: map[string]string{},
		keys: map[string]sourceKeys{}, noted: map[QuarantinedKey]int{}, heldBefore: map[tableKey]HeldLimit{}, lineage: newLineage()}
}

// step opens, or goes on with, the batch's step of a transaction's source.
func (b *Batch) step(t *txn) *Step {
	var st *Step
	for i := range b.Steps {
		if b.Steps[i].Source.ID == t.source {
			st = &b.Steps[i]
		}
	}
	if st == nil {
		b.Steps = append(b.Steps, Step{Source: event.Source{ID: t.source}, From: t.from})
		st = &b.Steps[len(b.Steps)-1]
	}
	if b.Last == 0 || t.first < b.First {
		b.First = t.first
	}
	b.Last = max(b.Last, t.offset)
	st.To, st.Commit, st.Committed, st.TxnID, st.File = t.commit.Txn.Position, t.offset, t.commit.Txn.Committed, t.commit.Txn.ID, t.commit.Txn.File
	// What was written later, by a newer producer perhaps, isn't in the store yet.
	st.Producer, st.Open = t.producer, t.open
	st.Txns++
	st.Rows += t.rows
	st.Skipped += t.commit.Skipped
	st.Repair, st.LostBefore = t.commit.Repair, t.lost // alone in its batch
	for _, hop := range t.hops {
		st.Hops = once(st.Hops, hop)
	}
	return st
}

// ends names the last transactions of each source.
func (b *Batch) ends(group []*txn) {
	for i := range b.Steps {
		st := &b.Steps[i]
		n := min(st.Txns, MaxEnds)
		st.Ends = make([]End, n)
		for k := len(group) - 1; n > 0; k-- {
			if t := group[k]; t.source == st.Source.ID {
				n--
				st.Ends[n] = End{Position: t.commit.Txn.Position, TxnID: t.commit.Txn.ID, Commit: t.offset, Rows: t.rows}
			}
		}
	}
}

// txn adds a whole transaction to a batch.
func (u *builder) txn(ctx context.Context, b *Batch, t *txn) error {
	st := b.step(t)
	for r := t.read(); ; {
		c, ok, err := r.next(&u.mem.bytes)
		if err != nil {
			return err
		}
		if !ok {
			u.loads(b, t)
			return nil
		}
		if !c.kind.counts() {
			if err := u.check(ctx, b, t, &c); err != nil {
				return err
			}
			continue
		}
		table, err := u.table(ctx, t, c.schemaID)
		if err == nil {
			err = u.cover(st, t, table, &c)
		}
		if err == nil {
			err = u.add(ctx, b, st, t, table, &c)
		}
		if err != nil {
			return err
		}
	}
}

// table finds the version that a change of a transaction follows.
func (u *builder) table(ctx context.Context, t *txn, id uint32) (*schema.Table, error) {
	if last := u.last.table; last != nil && u.last.id == id && last.Source == t.source {
		return last, nil
	}
	table, err := u.w.o.Schemas.Table(ctx, u.topic, id)
	if err != nil {
		return nil, fmt.Errorf("schema %d of %s: %w", id, u.topic, err)
	}
	if table.Source != t.source {
		return nil, fmt.Errorf("source %s at offset %d uses a table of source %s: %w", t.source, t.offset, table.Source, envelope.ErrMalformed)
	}
	u.last.id, u.last.table = id, table
	return table, nil
}

// add merges one change.
func (u *builder) add(ctx context.Context, b *Batch, st *Step, t *txn, table *schema.Table, c *change) error {
	m := u.mergers[table]
	if m == nil {
		k := keyOf(table)
		if u.refused[k] != nil {
			return u.hold(b, st, t, table, c)
		}
		n, err := u.ensure(ctx, table)
		if err != nil {
			return err
		}
		// Changes of two versions aren't merged: what comes back to an earlier one comes
		// after the other's.
		delete(u.mergers, u.latest[k])
		u.latest[k] = table
		if u.w.o.Shared(table.Dataset) {
			u.turn(table)
		}
		m = newMerger(u.mem, t.source, table)
		if n != nil {
			m.table, m.narrow = n.table, n
		}
		m.held = u.keysOf(t.source).table(table.ID())
		var l event.Load
		l, m.loading = u.loading[k]
		m.sweep = l.Sweep
		u.mergers[table] = m
		u.order = append(u.order, m)
	}
	if table.Append {
		return u.append(m, st, t, c)
	}
	if c.kind == truncateChange {
		m.clear()
		return nil
	}
	if err := u.decode(table, c.value, &u.row); err != nil {
		return fmt.Errorf("transaction %s of %s: %w", t.commit.Txn.Position, t.source, err)
	}
	if m.narrow != nil {
		m.narrow.row(&u.row)
	}
	if len(m.held.ids) > 0 {
		diverted, err := u.divert(m, t, &u.row)
		if diverted {
			st.Quarantined++
		}
		if diverted || err != nil {
			return err
		}
	}
	if err := m.add(&u.row, t.commit.Txn.Position, t.commit.Txn.Committed); err != nil {
		return &TableError{Table: table, Err: fmt.Errorf("transaction %s: %w", t.commit.Txn.Position, err)}
	}
	return nil
}

// turn ends what other sources have in a shared dataset so far: what comes of them later
// is a change of its own, behind this one.
func (u *builder) turn(table *schema.Table) {
	if u.turns[table.Dataset] == table.Source {
		return
	}
	u.turns[table.Dataset] = table.Source
	maps.DeleteFunc(u.mergers, func(t *schema.Table, _ *merger) bool { return t.Dataset == table.Dataset })
}

// decode reads a row whose images live as long as the batch.
func (u *builder) decode(t *schema.Table, value []byte, row *event.Row) error {
	n := len(t.Columns)
	if cap(u.before) < n { // the merger keeps only key values of it, or append has taken it away
		u.before = u.mem.slots.take(n)[:0]
	}
	if row.After != nil || cap(u.after) < n { // else the image is still free
		u.after = u.mem.slots.take(n)[:0]
	}
	row.Before, row.After, row.Anomalies = u.before, u.after, nil
	return u.mem.dec.Decode(t, value, row, nil)
}

// result gives the net effect of what was added since the last reset.
func (u *builder) result() []TableChange {
	out := make([]TableChange, len(u.order))
	for i, m := range u.order {
		out[i] = m.result()
	}
	return out
}

// leave gives up the memory to a result that is still in use, and takes another one.
func (u *builder) leave(next *memory) {
	u.mem, u.before, u.after, u.row, u.order, u.quarantine, u.held = next, nil, nil, event.Row{}, nil, nil, nil
	clear(u.mergers)
	clear(u.latest)
	clear(u.turns)
	clear(u.noted)
}

// reset forgets the rows. Nothing of a result may be used any more.
func (u *builder) reset() {
	u.mem.reset()
	u.leave(u.mem)
}
