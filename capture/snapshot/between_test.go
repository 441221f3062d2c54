package snapshot

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// between is a source in which something happens after a chunk was read and before it is
// handed out. Chunks have two rows, one is read at a time.
type between struct {
	integers
	s       *script
	table   *schema.Table
	rows    map[int64]row
	reads   int
	during  int // the read within which it happens
	happens func(b *between)
	place   uint64
}

func (b *between) Tables(context.Context) ([]Table, error) {
	return []Table{{ID: b.table.ID(), Schema: b.table, Parents: []string{"d.parent"}}}, nil
}

func (b *between) Close() error { return nil }

func (b *between) Read(_ context.Context, r Request) (*Chunk, error) {
	c, end := &Chunk{}, true
	for _, id := range slices.Sorted(maps.Keys(b.rows)) {
		if r.Keys != nil && !slices.ContainsFunc(r.Keys, func(k []event.Value) bool { return k[0].Int() == id }) ||
			r.Keys == nil && (!inside(r.Range, id) || r.After != nil && id <= r.After[0].Int()) {
			continue
		}
		if len(c.Rows) == 2 {
			end = false
			break
		}
		c.Rows = append(c.Rows, event.Row{Op: event.Read, Table: b.table, After: image(id, b.rows[id])})
	}
	c.Finish(&r, false)
	c.End = end
	if b.reads++; b.reads == b.during {
		b.happens(b)
	}
	c.High = event.Place{File: 1, Offset: b.place}
	return c, nil
}

// commits has the stream deliver a transaction.
func (b *between) commits(rows ...event.Row) {
	at := event.Position{Epoch: 1, Place: event.Place{File: 1, Offset: b.place}}
	b.place += 10
	b.s.says <- &event.Segment{First: true, Last: true, Rows: rows, Restart: event.Place{File: 1, Offset: b.place}, Txn: event.Txn{Position: at}}
}

// stored loads the table and gives what a store has of it in the end.
func (b *between) stored(t *testing.T) map[int64]row {
	t.Helper()
	b.s, b.table, b.place = &script{says: make(chan *event.Segment, 100)}, modelTable(), 100
	l, err := New(Options{Reader: b.s, Open: func(context.Context) (Source, error) { return b, nil }, First: true, Parallel: 1, Ahead: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Start(t.Context(), capture.Resume{FirstStart: true}); err != nil {
		t.Fatal(err)
	}
	b.s.idle()
	w := &target{rows: map[int64]row{}}
	for !w.loaded {
		seg, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if w.apply(seg); w.err != nil {
			t.Fatal(w.err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if b.reads < b.during {
		t.Fatalf("%d chunks were read, it was to happen within the one after %d", b.reads, b.during-1)
	}
	return w.rows
}

// inPart is an update whose image lacks b.
func inPart(t *schema.Table, from, to, a int64) event.Row {
	after := image(to, row{a, 0})
	after[2] = event.Value{}
	return event.Row{Op: event.Update, Table: t, Before: image(from, row{})[:1:1], After: after}
}

// TestAttack4UpdateInPart: an update without a large column lies between a row's reading
// and its handing out. The row has the column as it was read and all else as it was updated.
func TestAttack4UpdateInPart(t *testing.T) {
	b := &between{rows: map[int64]row{1: {1, 11}, 2: {2, 22}}, during: 1, happens: func(b *between) {
		b.commits(inPart(b.table, 1, 1, 7))
		b.rows[1] = row{7, 11}
	}}
	if got, want := b.stored(t), map[int64]row{1: {7, 11}, 2: {2, 22}}; !maps.Equal(got, want) {
		t.Errorf("the store has %v, want %v", got, want)
	}
}

// TestAttack5MovedWithoutAColumn: a row moves from a range that isn't loaded into one that
// is, or the other way, or within a chunk, and its image lacks a column. It is whole under
// its new key.
func TestAttack5MovedWithoutAColumn(t *testing.T) {
	for name, keys := range map[string][2]int64{"into what is loaded": {150, 2}, "out of what is loaded": {1, 150}, "within a chunk": {100, 101}} {
		t.Run(name, func(t *testing.T) {
			b := &between{rows: map[int64]row{1: {1, 11}, 3: {3, 33}, 100: {5, 55}, 102: {6, 66}, keys[0]: {4, 44}}, during: 2}
			want := maps.Clone(b.rows)
			delete(want, keys[0])
			want[keys[1]] = row{8, 44}
			b.happens = func(b *between) {
				b.commits(inPart(b.table, keys[0], keys[1], 8))
				b.rows = want
			}
			if got := b.stored(t); !maps.Equal(got, want) {
				t.Errorf("the store has %v, want %v", got, want)
			}
		})
	}
}

// TestAttack6NothingComesBack: a chunk was read, and then its table is emptied or altered,
// or its rows leave with those of a parent table, of which the log says nothing.
func TestAttack6NothingComesBack(t *testing.T) {
	for name, tt := range map[string]struct {
		happens func(b *between)
		want    map[int64]row
	}{
		"truncate": {func(b *between) {
			b.commits(event.Row{Op: event.Truncate, Table: b.table})
			clear(b.rows)
			b.rows[9] = row{9, 99}
			b.commits(event.Row{Op: event.Create, Table: b.table, After: image(9, row{9, 99})})
		}, map[int64]row{9: {9, 99}}},
		"DDL": {func(b *between) { // e.g. a partition is dropped: its rows are in no log
			b.s.says <- &event.Segment{Kind: event.TableAltered, Altered: &event.Alteration{Table: b.table.ID()}}
			b.rows = map[int64]row{2: {2, 22}, 3: {3, 34}}
			b.commits()
		}, map[int64]row{2: {2, 22}, 3: {3, 34}}},
		"a parent's cascade": {func(b *between) {
			parent := modelTable()
			parent.Name, parent.Dataset = "parent", "parent"
			b.commits(event.Row{Op: event.Delete, Table: parent, Before: image(1, row{})})
			delete(b.rows, 1)
			delete(b.rows, 2)
		}, map[int64]row{3: {3, 33}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := &between{rows: map[int64]row{1: {1, 11}, 2: {2, 22}, 3: {3, 33}}, during: 1, happens: tt.happens}
			if got := b.stored(t); !maps.Equal(got, tt.want) {
				t.Errorf("the store has %v, want %v", got, tt.want)
			}
		})
	}
}
