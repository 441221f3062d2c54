package snapshot

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// worn is a source of one table whose rows say in each column which they are; it counts
// the memories that it was lent.
type worn struct {
	integers
	table *schema.Table
	lent  map[*Memory]bool
	keys  []int64 // of chunks' ends, as they were given
	// decodes says that it leaves no row as it was sent.
	decodes bool
	last    [][]event.Value
}

const wornRows, wornChunk = 30_000, 1000

func (s *worn) Tables(context.Context) ([]Table, error) {
	return []Table{{ID: s.table.ID(), Schema: s.table}}, nil
}

func (s *worn) Close() error { return nil }

func (s *worn) Read(_ context.Context, r Request) (*Chunk, error) {
	s.lent[r.Memory] = true
	m, from := r.Fresh(), int64(0)
	if r.After != nil {
		from = r.After[0].Int() + 1
	}
	c := &Chunk{Rows: m.Rows, Coded: m.Coded, High: event.Place{File: 1}, Decode: func(b []byte, m *Memory) ([]event.Value, []event.Anomaly, error) {
		id := int64(binary.BigEndian.Uint64(b))
		after := m.Image(3)
		after[0], after[1], after[2] = event.Signed(id), event.Signed(2*id), event.Raw(m.Arena.Copy(b[8:]))
		return after, nil, nil
	}}
	r.Coded = r.Coded && !s.decodes
	for id := from; id < min(from+wornChunk, wornRows); id++ {
		coded := append(m.Arena.Take(48)[:0], make([]byte, 8)...)
		binary.BigEndian.PutUint64(coded, uint64(id))
		if err := c.Take(append(coded, bytes.Repeat([]byte{byte(id)}, 40)...), &r, m); err != nil {
			return nil, err
		}
	}
	if err := c.Finish(&r, false); err != nil {
		return nil, err
	}
	c.End = from+wornChunk >= wornRows
	s.last = append(s.last, c.Last)
	s.keys = append(s.keys, c.Last[0].Int())
	return c, nil
}

// TestMemoryComesBack: a load of many chunks lies in the memory of a few, rows are whole
// while they are handed out, and a chunk's last key outlives it.
func TestMemoryComesBack(t *testing.T) {
	for _, decodes := range []bool{false, true} {
		testMemory(t, decodes)
	}
}

func testMemory(t *testing.T, decodes bool) {
	s := newServer(rand.New(rand.NewPCG(1, 1)), 0)
	table := modelTable()
	table.Columns[2].Type = schema.Type{Kind: schema.Bytes}
	src := &worn{table: table, lent: map[*Memory]bool{}, decodes: decodes}
	l, err := New(Options{Reader: &stream{s: s}, Open: func(context.Context) (Source, error) { return src, nil }, First: true, Parallel: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Start(t.Context(), capture.Resume{FirstStart: true}); err != nil {
		t.Fatal(err)
	}
	next := int64(0)
	for ended := false; !ended; {
		g, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range g.Rows {
			if id := r.After[0].Int(); id != next || r.After[1].Int() != 2*id || !bytes.Equal(r.After[2].B, bytes.Repeat([]byte{byte(id)}, 40)) {
				t.Fatalf("row %d is %+v", next, r.After)
			}
			next++
		}
		for _, x := range g.Loads {
			ended = ended || x.Phase == event.LoadEnded
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if chunks := len(src.keys); next != wornRows || chunks != wornRows/wornChunk || len(src.lent) > 5 || src.lent[nil] {
		t.Errorf("%d rows in %d chunks, in %d memories (one is none: %t)", next, chunks, len(src.lent), src.lent[nil])
	}
	for i, key := range src.last {
		if key[0].Int() != src.keys[i] {
			t.Errorf("the end of chunk %d was %d, and is %d", i, src.keys[i], key[0].Int())
		}
	}
}

// TestMemory: images of any width in turn, cleared where large values have lain.
func TestMemory(t *testing.T) {
	r := Request{Memory: &Memory{}}
	for round := range 3 {
		m := r.Fresh()
		var images [][]event.Value
		for n := range 300 {
			image := m.Image(1 + n%7*n)
			if round == 2 { // of the round before
				for i := range image {
					if image[i].B != nil {
						t.Fatal("a slot keeps what is gone")
					}
				}
			}
			for i := range image {
				image[i] = event.Value{State: event.Present, N: uint64(n), B: []byte{byte(n)}}
			}
			if n%50 == 0 || n < 20 {
				images = append(images, image)
			}
		}
		for _, image := range images {
			for i := range image {
				if image[i].N != image[0].N {
					t.Fatal("two images share slots")
				}
			}
		}
		if round == 1 {
			m.Expect(fatRow + 1)
		}
	}
}
