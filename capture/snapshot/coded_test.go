package snapshot

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// garbled is a source of one table in which a row can't be decoded.
type garbled struct {
	integers
	table *schema.Table
	coded []bool // what was allowed
}

var errGarbled = errors.New("garbled")

func (s *garbled) Tables(context.Context) ([]Table, error) {
	return []Table{{ID: s.table.ID(), Schema: s.table}}, nil
}

func (s *garbled) Close() error { return nil }

func (s *garbled) Read(_ context.Context, r Request) (*Chunk, error) {
	if r.After != nil {
		return &Chunk{End: true, High: event.Place{File: 1}}, nil
	}
	s.coded = append(s.coded, r.Coded)
	m := r.Fresh()
	c := &Chunk{Rows: m.Rows, Coded: m.Coded, High: event.Place{File: 1}, Decode: func(b []byte, m *Memory) ([]event.Value, []event.Anomaly, error) {
		id := int64(binary.BigEndian.Uint64(b))
		if id == 20_000 { // beyond the first part
			return nil, nil, errGarbled
		}
		return image(id, row{id, id}), nil, nil
	}}
	for id := range uint64(30_000) {
		if err := c.Take(binary.BigEndian.AppendUint64(m.Arena.Take(8)[:0], id), &r, m); err != nil {
			return nil, err
		}
	}
	return c, c.Finish(&r, false)
}

// TestGarbledRow: a row that can't be decoded when it is to be handed out breaks its
// transaction off, and once the reader has started anew it stops its table, while the stream
// goes on.
func TestGarbledRow(t *testing.T) {
	s := newServer(rand.New(rand.NewPCG(1, 1)), 0)
	src := &garbled{table: s.table}
	l, err := New(Options{Reader: &stream{s: s}, Open: func(context.Context) (Source, error) { return src, nil }, First: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	broken, rows := false, 0
	for failed := false; !failed; {
		if rows == 0 || broken {
			if _, err := l.Start(t.Context(), capture.Resume{FirstStart: true}); err != nil {
				t.Fatal(err)
			}
		}
		for {
			seg, err := l.Next(t.Context())
			if err != nil {
				if broken || !errors.Is(err, errGarbled) || capture.ActionOf(err) != capture.Retry || rows == 0 {
					t.Fatalf("after %d rows: %v", rows, err)
				}
				broken = true
				break
			}
			rows += len(seg.Rows)
			if seg.Last && len(seg.Rows) > 0 {
				t.Fatal("the transaction has an end")
			}
			if p := l.Progress(); len(p) == 1 && p[0].Phase == Failed {
				failed = true
				break
			}
		}
	}
	if !broken || len(src.coded) != 2 || !src.coded[0] || src.coded[1] {
		t.Errorf("broken off: %t; rows were allowed to be coded: %v", broken, src.coded)
	}
}
