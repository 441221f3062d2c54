// Package sinktest holds the contract of worker.Store once, for every store. It
// decides what a store must do; it knows no SQL.
package sinktest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// Harness is one empty database.
type Harness struct {
	// Open returns another Store on the database, as another worker would have it.
	Open func(t *testing.T) worker.Store
	// Rows returns the rows of a dataset's table, the columns joined by "|", NULL as
	// "~", in text order.
	Rows func(t *testing.T, dataset string, columns ...string) []string
	// Verified gives the newest verification in words: state, rows, missing, surplus,
	// different, repaired, quarantined, owned by others, then the named rows in order.
	Verified func(t *testing.T) string
	// Until gives, of the one source and by dataset, the second since 1970 up to which each is
	// complete, 0 for none, and by what it is held back, e.g. "100", "100 gap".
	Until func(t *testing.T) string
	// Gaps counts the recorded gaps.
	Gaps func(t *testing.T) int
	// Shared says that the keys of the table are those of several sources.
	Shared bool
	// Brief says that few random steps are enough, because the suite holds the same store
	// in another way as well.
	Brief bool
}

// Table is the table that the suite writes.
func Table() *schema.Table {
	return &schema.Table{Source: "330106-xueji", Dataset: "student", Database: "xueji", Name: "student", Key: []int{0}, Columns: []schema.Column{
		{Name: "id", Type: schema.Type{Kind: schema.Int64}},
		{Name: "name", Type: schema.Type{Kind: schema.String}, Nullable: true},
		{Name: "note", Type: schema.Type{Kind: schema.String}, Nullable: true},
	}}
}

// fixture is a claimed partition of a fresh database.
type fixture struct {
	*testing.T
	h     Harness
	store worker.Store
	claim worker.Claim
	table *schema.Table
	at    event.Position
}

var partition = log.Partition{Topic: "tributary.330106", Index: 3}

// Run holds a store against the contract. Each case gets a database of its own.
func Run(t *testing.T, newHarness func(t *testing.T) Harness) {
	for name, f := range map[string]func(*fixture){
		"claim fences the former holder": fences, "apply compares and sets": comparesAndSets, "a replay changes nothing": replay,
		"absent columns": absentColumns, "keys swap and chain": keys, "truncate": truncate, "gap recorded once": gapOnce, "a gap is repaired": gapRepaired, "complete until": completeUntil, "complete until, without a row": completeEmpty,
		"progress comes back": progress, "halt recorded once": haltOnce, "loads": loads, "a load ends a halt": loadEndsHalt, "halt while loaded": haltWhileLoaded,
		"a table is left": tableLeft, "a table is gone": tableGone, "a part read again": parts, "a halt outlives a part": haltOutlivesPart, "keys between two": keyOrders,
		"a table is compared": checks, "a table is compared without columns": checksWithout, "a comparison is given up": checksGivenUp,
		"attack 28, random histories": histories, "new rows that are there already": thereAlready,
		"reclaim takes from nobody": reclaims, "what a worker left": left,
		"many rows lack a base": manyWithoutBase, "pieces become one": pieces, "a key in quarantine comes back": quarantine,
		"pieces, random histories": pieceHistories, "pieces of a lost claim": lostPieces,
		"held rows come back once": heldRows, "more than may be held": heldLimits, "held in pieces": heldPieces, "a load ends while halted": heldLoads,
		"append mode": appends, "append mode, a row in quarantine": appendQuarantine,
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			s := h.Open(t)
			for range 2 {
				if err := s.Prepare(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			x := &fixture{T: t, h: h, store: s, table: Table()}
			x.claim = x.take(s)
			if _, err := s.EnsureTable(t.Context(), x.claim, x.table); err != nil {
				t.Fatal(err)
			}
			f(x)
		})
	}
}

func (x *fixture) take(s worker.Store) worker.Claim {
	x.Helper()
	c, _, err := s.Claim(x.Context(), partition, "w")
	if err != nil {
		x.Fatal(err)
	}
	return c
}

// batch makes the next batch of the source, without moving the fixture on.
func (x *fixture) batch(c worker.TableChange) *worker.Batch {
	c.Source, c.Table = x.table.Source, x.table
	to := event.Position{Epoch: 1, Place: event.Place{Offset: x.at.Place.Offset + 10}}
	for i := range c.Upserts {
		u := &c.Upserts[i]
		u.Position, u.Committed = to, time.Unix(1_700_000_000, 0)
		if u.Op == 0 {
			u.Op = event.Update
		}
	}
	return &worker.Batch{Claim: x.claim, Topics: partition.Topic, First: 1, Last: 9, Tables: []worker.TableChange{c}, Steps: []worker.Step{{
		Source: event.Source{ID: x.table.Source}, From: x.at, To: to, Commit: 9, Producer: log.Producer{ID: 7, Epoch: 2}, Open: 0, ReadFrom: 5,
		Txns: 1, Rows: len(c.Upserts), Committed: time.Unix(1_700_000_000, 0), TxnID: "77"}}}
}

func (x *fixture) apply(c worker.TableChange) {
	x.Helper()
	b := x.batch(c)
	if err := x.store.Apply(x.Context(), b); err != nil {
		x.Fatal(err)
	}
	x.at = b.Steps[0].To
}

func (x *fixture) want(rows ...string) {
	x.Helper()
	if got := x.h.Rows(x.T, x.table.Dataset, "id", "name", "note"); !slices.Equal(got, rows) {
		x.Errorf("rows %q, want %q", got, rows)
	}
}

func key(id int64) []event.Value { return []event.Value{event.Signed(id)} }

func text(s string) event.Value { return event.Raw([]byte(s)) }

// made is a row that the batch inserts.
func made(id int64, name, note string) worker.NetRow {
	return worker.NetRow{Op: event.Create, New: true, Values: []event.Value{event.Signed(id), text(name), text(note)}}
}

// moved is a row that stood under base and keeps what isn't given.
func moved(base, id int64, name event.Value) worker.NetRow {
	return worker.NetRow{Base: key(base), Values: []event.Value{event.Signed(id), name, {}}}
}

func fences(x *fixture) {
	other := x.h.Open(x.T)
	fresh := x.take(other)
	if fresh.Fence <= x.claim.Fence {
		x.Errorf("fence %d after %d", fresh.Fence, x.claim.Fence)
	}
	b := x.batch(worker.TableChange{Upserts: []worker.NetRow{made(1, "a", "b")}})
	if err := x.store.Apply(x.Context(), b); err == nil {
		x.Error("the former holder could apply")
	}
	x.want()
	b.Claim = fresh
	if err := other.Apply(x.Context(), b); err != nil {
		x.Fatal(err)
	}
	b.Claim = x.claim
	if err := other.Apply(x.Context(), b); !errors.Is(err, worker.ErrClaimLost) {
		x.Errorf("apply with the old fence: %v", err)
	}
	x.want("1|a|b")
}

func comparesAndSets(x *fixture) {
	x.apply(worker.TableChange{Upserts: []worker.NetRow{made(1, "a", "b")}})
	b := x.batch(worker.TableChange{Upserts: []worker.NetRow{made(2, "x", "y")}})
	b.Steps[0].From.Place.Offset--
	if err := x.store.Apply(x.Context(), b); !errors.Is(err, worker.ErrProgressMoved) {
		x.Errorf("apply from another position: %v", err)
	}
	x.want("1|a|b")
}

func replay(x *fixture) {
	b := x.batch(worker.TableChange{Upserts: []worker.NetRow{made(1, "a", "b")}})
	if err := x.store.Apply(x.Context(), b); err != nil {
		x.Fatal(err)
	}
	b.Tables[0].Upserts[0].Values[1] = text("again")
	if err := x.store.Apply(x.Context(), b); !errors.Is(err, worker.ErrProgressMoved) {
		x.Errorf("the same batch again: %v", err)
	}
	x.want("1|a|b")
}

func absentColumns(x *fixture) {
	x.apply(worker.TableChange{Upserts: []worker.NetRow{made(1, "a", "long"), made(2, "b", "")}})
	x.apply(worker.TableChange{Upserts: []worker.NetRow{moved(1, 1, text("A")), moved(2, 2, event.NullValue)}})
	x.want("1|A|long", "2|~|")
	// The base of a row whose key changes is read before it is removed.
	x.apply(worker.TableChange{Deletes: [][]event.Value{key(1)}, Upserts: []worker.NetRow{moved(1, 5, text("five"))}})
	x.want("2|~|", "5|five|long")
}

func keys(x *fixture) {
	x.apply(worker.TableChange{Upserts: []worker.NetRow{made(1, "a", "one"), made(2, "b", "two"), made(3, "c", "three")}})
	x.apply(worker.TableChange{Upserts: []worker.NetRow{moved(2, 1, text("b")), moved(1, 2, text("a"))}})
	x.want("1|b|two", "2|a|one", "3|c|three")
	x.apply(worker.TableChange{Deletes: [][]event.Value{key(1), key(9)}, Upserts: []worker.NetRow{moved(1, 2, text("x")), moved(2, 3, text("y"))}})
	x.want("2|x|two", "3|y|one")
}

func truncate(x *fixture) {
	x.apply(worker.TableChange{Upserts: []worker.NetRow{made(1, "a", "one"), made(2, "b", "two")}})
	x.apply(worker.TableChange{Truncate: true, Upserts: []worker.NetRow{made(2, "c", "new")}})
	x.want("2|c|new")
}

func gapOnce(x *fixture) {
	g := worker.Gap{Source: x.table.Source, Last: x.at, Code: "ROW_COUNT", Reason: "r", At: time.Unix(1_700_000_000, 0), Offset: 4}
	for range 2 {
		if err := x.store.RecordGap(x.Context(), x.claim, g); err != nil {
			x.Fatal(err)
		}
	}
	if n := x.h.Gaps(x.T); n != 1 {
		x.Errorf("%d gaps", n)
	}
	_, known, err := x.store.Claim(x.Context(), partition, "w")
	if err != nil || len(known) != 1 || !known[0].Gap || known[0].Lost.Code != g.Code {
		x.Errorf("after a gap: %+v, %v", known, err)
	}
}

func progress(x *fixture) {
	x.apply(worker.TableChange{Upserts: []worker.NetRow{made(1, "a", "one")}})
	_, known, err := x.store.Claim(x.Context(), partition, "w")
	want := worker.Progress{Source: x.table.Source, Applied: x.at, Commit: 9, Producer: log.Producer{ID: 7, Epoch: 2}, Open: 0, ReadFrom: 5}
	if err != nil || len(known) != 1 || known[0] != want {
		x.Errorf("progress %+v, %v; want %+v", known, err, want)
	}
}

func haltOnce(x *fixture) {
	want := worker.Halt{Source: x.table.Source, Table: x.table.ID(), Since: event.Position{Epoch: 1, Place: event.Place{Offset: 10}}, Error: "first"}
	for _, text := range []string{"first", "second"} {
		b := x.batch(worker.TableChange{})
		b.Halts = []worker.Halt{want}
		b.Halts[0].Error = text
		if err := x.store.Apply(x.Context(), b); err != nil {
			x.Fatal(err)
		}
		x.at = b.Steps[0].To
	}
	other := x.h.Open(x.T)
	got, err := other.Recall(x.Context(), x.take(other))
	if err != nil || !slices.Equal(timeless(got.Halts), []worker.Halt{want}) {
		x.Errorf("halts %+v, %v; want %+v", got.Halts, err, want)
	}
}

// timeless is what doesn't depend on the clock.
func timeless(halts []worker.Halt) []worker.Halt {
	for i := range halts {
		halts[i].At = time.Time{}
	}
	return halts
}

// quarantine has a key in a batch and again in a piece: it comes back once.
func quarantine(x *fixture) {
	q := worker.Quarantined{Table: x.table, ID: "\x01id\x00", Key: key(7), First: x.at, Last: x.at, Changes: 2, Op: event.Create, Row: made(7, "a", "\x00").Values, Code: "C", Text: "why"}
	b := x.batch(worker.TableChange{})
	b.Quarantine, b.Steps[0].Quarantined = []worker.Quarantined{q}, 2
	if err := x.store.Apply(x.Context(), b); err != nil {
		x.Fatal(err)
	}
	x.at = b.Steps[0].To
	tx := x.begin(x.store, x.claim)
	q.Row, q.Op = nil, event.Delete
	if err := tx.Write(x.Context(), nil, []worker.Quarantined{q}, nil); err != nil {
		x.Fatal(err)
	}
	b = x.batch(worker.TableChange{})
	b.Tables = nil
	if err := tx.Commit(x.Context(), b); err != nil {
		x.Fatal(err)
	}
	if err := tx.Close(); err != nil {
		x.Error(err)
	}
	other := x.h.Open(x.T)
	want := worker.QuarantinedKey{Source: x.table.Source, Table: x.table.ID(), ID: q.ID}
	got, err := other.Recall(x.Context(), x.take(other))
	if err != nil || !slices.Equal(got.Keys, []worker.QuarantinedKey{want}) {
		x.Errorf("keys %+v, %v; want %+v", got.Keys, err, want)
	}
}
