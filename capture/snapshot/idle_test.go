package snapshot

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// quiet is a source that nobody writes: all views of it have one high position. It hands
// out one row a chunk.
type quiet struct {
	integers
	table *schema.Table
	rows  int64
}

func (q *quiet) Tables(context.Context) ([]Table, error) {
	return []Table{{ID: q.table.ID(), Schema: q.table}}, nil
}

func (q *quiet) Close() error { return nil }

func (q *quiet) Read(_ context.Context, r Request) (*Chunk, error) {
	id := int64(1)
	if r.After != nil {
		id = r.After[0].Int() + 1
	}
	if !inside(r.Range, id) || id > q.rows {
		return &Chunk{End: true, High: event.Place{File: 1, Offset: 100}}, nil
	}
	return &Chunk{Rows: []event.Row{{Op: event.Read, Table: q.table, After: image(id, row{id, id})}}, Last: []event.Value{event.Signed(id)},
		End: id == q.rows || !inside(r.Range, id+1), High: event.Place{File: 1, Offset: 100}}, nil
}

// TestAttack25ChunksOfOnePlace: chunks of an idle source, read at one and the same place,
// have positions that rise one by one, so that no store takes a later one for a replay.
func TestAttack25ChunksOfOnePlace(t *testing.T) {
	s := newServer(rand.New(rand.NewPCG(1, 1)), 0)
	src := &quiet{table: s.table, rows: 3}
	l, err := New(Options{Reader: &stream{s: s}, Open: func(context.Context) (Source, error) { return src, nil }, First: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Start(t.Context(), capture.Resume{FirstStart: true}); err != nil {
		t.Fatal(err)
	}
	var last event.Position
	ids, chunks := map[int64]bool{}, 0
	for ended := false; !ended; {
		seg, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if seg.Kind != event.Rows {
			continue
		}
		if seg.Txn.Position.Compare(last) <= 0 {
			t.Errorf("position %s after %s", seg.Txn.Position, last)
		}
		if last = seg.Txn.Position; len(seg.Rows) > 0 {
			chunks++
		}
		for _, r := range seg.Rows {
			ids[r.After[0].Int()] = true
		}
		for _, x := range seg.Loads {
			ended = ended || x.Phase == event.LoadEnded
		}
	}
	if len(ids) != 3 || chunks != 3 {
		t.Errorf("rows %v in %d chunks, want 3 in 3", ids, chunks)
	}
}

// noting is a stream that notes where it was started.
type noting struct {
	stream
	last []event.Position
}

func (a *noting) Start(ctx context.Context, res capture.Resume) (uint32, error) {
	a.last = append(a.last, res.Last)
	return a.stream.Start(ctx, res)
}

// TestRestartsBeforeAnyTransaction: chunks before the first transaction stand at a place
// where nothing begins. The reader never looks for a transaction there, however often it
// is started.
func TestRestartsBeforeAnyTransaction(t *testing.T) {
	s := newServer(rand.New(rand.NewPCG(1, 1)), 0)
	r, src := &noting{stream: stream{s: s}}, &quiet{table: s.table, rows: 3}
	l, err := New(Options{Reader: r, Open: func(context.Context) (Source, error) { return src, nil }, First: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	res := capture.Resume{FirstStart: true}
	for n := range 4 {
		if _, err := l.Start(t.Context(), res); err != nil {
			t.Fatal(err)
		}
		if !r.last[n].IsZero() {
			t.Fatalf("start %d: the reader is to find a transaction at %s", n, r.last[n])
		}
		for chunk := false; !chunk || len(l.rest) > 0; { // one more
			seg, err := l.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			kept(&res, seg)
			chunk = seg.Kind == event.Rows
		}
	}
	if res.Last.Index == 0 {
		t.Errorf("no chunk was handed out: %s", res.Last)
	}
}
