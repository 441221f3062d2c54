package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
)

// ErrNotHalted: an order to accept a table that hasn't stopped in this store.
var ErrNotHalted = errors.New("the table hasn't stopped in this store")

// Held is what a batch, or a piece, has for one stopped table. The store keeps it until a
// person accepts the table, or has it read again.
type Held struct {
	Source, Table string
	Changes       []HeldChange // in the order of the log
	// Rows and Bytes count the changes' rows and the bytes of their records.
	Rows, Bytes int64
	// Over says that this batch alone has more than may be held; Changes are gone then.
	Over bool
	// Dropped is set by the store: more than HeldLimit would be held, so nothing is any
	// more, and the table needs to be read again.
	Dropped bool
}

// HeldLimit bounds what a store holds of one table.
type HeldLimit struct{ Rows, Bytes int64 }

func (l HeldLimit) over(rows, bytes int64) bool { return rows > l.Rows || bytes > l.Bytes }

// HeldPlace names a held change of a table: its transaction's position, and its place in it.
type HeldPlace struct {
	Position event.Position
	Order    int
}

// HeldChange is one change of a stopped table, as the log has it.
type HeldChange struct {
	HeldPlace
	Committed time.Time
	// Op is the row's, or event.Truncate. A change with Load isn't one of a row: a load of
	// the table, or of a part of it, ends here.
	Op   event.Op
	Load *event.Load
	// Table is the row's version; Topic and SchemaID name it. A store that gives held
	// changes back leaves Table and Key out.
	Table    *schema.Table
	Key      []event.Value // in the order of Table.Key; nil in append mode and for a truncate
	Topic    string
	SchemaID uint32
	Record   []byte // the record's value
	// Loading and Sweep say that a load of the table went on, and its sort.
	Loading, Sweep bool
}

// Resume is what a batch does with held changes of a table that a person has accepted. The
// batch has no steps then.
type Resume struct {
	Source, Table string
	// First and Last are the held changes whose effect the batch has; they go with it.
	First, Last HeldPlace
	Version     schema.Version
	// Load is a load that ends behind Last, at Last's place.
	Load *Load
	// Done says that nothing more is held: the table isn't stopped any more.
	Done bool
}

// stop is why a table has stopped in the store.
type stop struct {
	err     error
	version schema.Version // with which it stopped
	reread  bool           // nothing of it is held any more
	stored  bool           // the store has it: what it doesn't know of any more goes on
}

// hold keeps a change of a stopped table for later, and has the batch say so.
func (u *builder) hold(b *Batch, st *Step, t *txn, table *schema.Table, c *change) error {
	k := keyOf(table)
	u.halt(b, k, t.commit.Txn.Position)
	if u.refused[k].reread || t.checks > 0 { // a verification is given up where the table has stopped
		st.Skipped++
		return nil
	}
	st.Held++
	out := HeldChange{HeldPlace: HeldPlace{t.commit.Txn.Position, c.order}, Committed: t.commit.Txn.Committed, Op: event.Truncate,
		Table: table, Topic: u.topic, SchemaID: c.schemaID, Record: c.value}
	if c.kind != truncateChange {
		if err := u.decode(table, c.value, &u.row); err != nil {
			return err
		}
		out.Op = u.row.Op
		image := u.row.After
		if image == nil {
			image, u.before = u.row.Before, nil // its key is kept
		}
		for _, i := range table.Key {
			out.Key = append(out.Key, image[i])
		}
	}
	l, loading := u.loading[k]
	out.Loading, out.Sweep = loading, l.Sweep
	h := u.heldOf(k)
	h.Rows++
	h.Bytes += int64(len(c.value))
	// The rows of all of a table aren't kept twice: an order to read it again, which accepts
	// what has stopped it, brings them.
	h.Over = h.Over || loading && l.Sweep && l.Range == nil
	u.keep(h, out)
	return nil
}

func (u *builder) heldOf(k tableKey) *Held {
	for i := range u.held {
		if h := &u.held[i]; h.Source == k.source && h.Table == k.table {
			return h
		}
	}
	u.held = append(u.held, Held{Source: k.source, Table: k.table})
	return &u.held[len(u.held)-1]
}

// keep adds a change, unless more than may be held has come with this transaction.
func (u *builder) keep(h *Held, c HeldChange) {
	before := u.heldBefore[tableKey{h.Source, h.Table}]
	if h.Over = h.Over || u.w.o.Held.over(before.Rows+h.Rows, before.Bytes+h.Bytes); h.Over {
		h.Changes = nil
		return
	}
	h.Changes = append(h.Changes, c)
}

// holdLoad keeps the end of a load of a stopped table in its place among the held rows.
func (u *builder) holdLoad(t *txn, l event.Load, n int) {
	k := tableKey{t.source, l.Table}
	if s := u.refused[k]; s == nil || s.reread || !u.recorded[k] {
		return
	}
	u.keep(u.heldOf(k), HeldChange{HeldPlace: HeldPlace{t.commit.Txn.Position, t.rows + n}, Committed: t.commit.Txn.Committed, Load: &l, Topic: u.topic})
}

// count adds what a piece holds to what the pieces before have.
func (u *builder) count() {
	for i := range u.held {
		h := &u.held[i]
		k := tableKey{h.Source, h.Table}
		n := u.heldBefore[k]
		u.heldBefore[k] = HeldLimit{n.Rows + h.Rows, n.Bytes + h.Bytes}
	}
}

// holds adds what pieces hold of a table to what the batch has of it.
func (b *Batch) holds(k tableKey, n HeldLimit) {
	for i := range b.Held {
		if h := &b.Held[i]; h.Source == k.source && h.Table == k.table {
			h.Rows, h.Bytes = n.Rows, n.Bytes
			return
		}
	}
	b.Held = append(b.Held, Held{Source: k.source, Table: k.table, Rows: n.Rows, Bytes: n.Bytes})
}

// lookEvery is the pause between two looks for tables that a person has accepted.
const lookEvery = time.Second

// accept applies the next held changes of a table that a person has accepted, if there is
// one. Nothing else is written meanwhile, so what the log has next comes behind them.
func (s *session) accept(ctx context.Context) error {
	if len(s.build.refused) == 0 && !s.stopped || s.beside != nil || s.accepting == nil && time.Since(s.looked) < lookEvery {
		return nil
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	if a := s.accepting; a != nil && s.build.refused[tableKey{a.Source, a.Table}] == nil { // it is read again
		s.accepting = nil
	}
	if s.accepting == nil {
		s.looked = time.Now()
		all, err := s.w.o.Store.Halts(ctx, s.claim)
		if err != nil {
			return err
		}
		for i, h := range all {
			f := s.asm.flows[h.Source] // of a source in a gap all comes again, from another log perhaps
			if h.Accepted && !h.Reread && f != nil && !f.gap && s.build.refused[tableKey{h.Source, h.Table}] != nil {
				s.accepting = &all[i]
				break
			}
		}
		s.stops(all)
	}
	if s.accepting == nil {
		return nil
	}
	h := *s.accepting
	err := s.replay(ctx, h)
	var te *TableError
	if !errors.As(err, &te) {
		return err
	}
	// It stays stopped, where it is now, and says why.
	s.accepting, s.looked = nil, time.Time{}
	s.w.o.Logger.Error("accepted table stopped again", "source", h.Source, "table", h.Table, "err", te.Err)
	h.Error, h.Version = coded(te.Err), te.Table.Version()
	return s.w.o.Store.HaltAgain(ctx, s.claim, h)
}

// replay applies the next held changes of one version of a table. They aren't in any group:
// a batch of their own has their effect, and they go with it.
func (s *session) replay(ctx context.Context, h Halt) error {
	k := tableKey{h.Source, h.Table}
	changes, more, err := s.w.o.Store.Held(ctx, s.claim, h.Source, h.Table, HeldLimit{int64(s.w.o.BatchRows), pieceBytes})
	if err != nil {
		return err
	}
	n := alike(changes)
	r := &Resume{Source: h.Source, Table: h.Table, Done: !more && n == len(changes)}
	if n > 0 {
		r.First, r.Last = changes[0].HeldPlace, changes[n-1].HeldPlace
	}
	u := newBuilder(s.w, s.p.Topic, map[tableKey]*stop{})
	u.keys, u.ensure = s.build.keys, s.ensure
	delete(s.versions.stored, k) // a person may have repaired the store's table
	st := Step{Source: event.Source{ID: h.Source}}
	for refused := (*RowsError)(nil); ; refused = nil {
		st.Quarantined = 0
		b, err := u.replayed(ctx, s.claim, &st, r, changes[:n])
		if err == nil {
			err = s.w.o.Store.Apply(ctx, b)
		}
		if err == nil {
			break
		}
		if !errors.As(err, &refused) {
			return err
		}
		u.refuse(refused)
	}
	s.applied++
	s.update(h.Source, func(c *SourceStatus) {
		c.Quarantined += int64(st.Quarantined)
		c.Keys = u.keysOf(h.Source).count()
	})
	if r.Done {
		delete(s.build.refused, k)
		delete(s.build.recorded, k)
		s.accepting, s.looked = nil, time.Time{}
		s.w.o.Logger.Info("accepted table goes on", "source", h.Source, "table", h.Table)
	}
	return nil
}

// alike counts the held changes from the first one on that are of one version and of one
// sort of load; the end of a load is the last of them.
func alike(changes []HeldChange) int {
	for i := range changes {
		switch c, first := &changes[i], &changes[0]; {
		case c.Load != nil:
			return i + 1
		case c.SchemaID != first.SchemaID || c.Topic != first.Topic || c.Loading != first.Loading || c.Sweep != first.Sweep:
			return i
		}
	}
	return len(changes)
}

// replayed makes a batch of held changes.
func (u *builder) replayed(ctx context.Context, claim Claim, st *Step, r *Resume, changes []HeldChange) (*Batch, error) {
	u.reset()
	b := &Batch{Claim: claim, Topics: u.topic, Resume: r}
	for i := range changes {
		c := &changes[i]
		if c.Load != nil {
			r.Load = &Load{Source: r.Source, Load: *c.Load}
			continue
		}
		table, err := u.w.o.Schemas.Table(ctx, c.Topic, c.SchemaID)
		if err != nil {
			return nil, fmt.Errorf("schema %d of %s: %w", c.SchemaID, c.Topic, err)
		}
		r.Version = table.Version()
		if c.Loading {
			u.loading[keyOf(table)] = event.Load{Sweep: c.Sweep}
		}
		t := &txn{source: r.Source, commit: &envelope.Commit{Txn: event.Txn{Position: c.Position, Committed: c.Committed}}}
		in := change{schemaID: c.SchemaID, value: c.Record, order: c.Order}
		if c.Op == event.Truncate {
			in.kind = truncateChange
		}
		if err := u.add(ctx, b, st, t, table, &in); err != nil {
			return nil, err
		}
	}
	b.Tables, b.Quarantine = u.result(), u.quarantine
	for i := range b.Tables {
		b.Tables[i].Late = true
	}
	return b, nil
}

// stops shows what has stopped in the store of the sources that this session has.
func (s *session) stops(all []Halt) {
	of := map[string][]Halt{}
	for _, h := range all {
		of[h.Source] = append(of[h.Source], h)
	}
	changed := false
	s.stopped = false
	for source := range s.asm.flows {
		s.stopped = s.stopped || len(of[source]) > 0
		s.update(source, func(st *SourceStatus) {
			changed = changed || !slices.EqualFunc(st.Halts, of[source], func(a, b Halt) bool { return a.Table == b.Table && a.Reread == b.Reread && a.Error == b.Error })
			st.Halts = of[source]
		})
	}
	if changed {
		s.w.o.OnChange()
	}
}

// dropped notes tables of which more came than may be held.
func (s *session) dropped(held []Held) {
	for _, h := range held {
		k := tableKey{h.Source, h.Table}
		if was := s.build.refused[k]; h.Dropped && was != nil {
			s.build.refused[k] = &stop{err: was.err, version: was.version, reread: true, stored: true} // others may be looking at the old one
			s.w.o.Logger.Error("table stopped, and more rows of it came than may be held, or all of them again: they were dropped, and the table must be read again",
				"source", h.Source, "table", h.Table, "limit_rows", s.w.o.Held.Rows, "limit_bytes", s.w.o.Held.Bytes)
			s.looked = time.Time{}
			if a := s.accepting; a != nil && (tableKey{a.Source, a.Table}) == k {
				s.accepting = nil
			}
		}
	}
}
