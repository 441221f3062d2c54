package snapshot

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// large is a source of one table in two chunks, of which the first takes several parts.
type large struct {
	integers
	table  *schema.Table
	listed int
	second chan struct{} // closed when the second chunk is read
}

func (s *large) Tables(context.Context) ([]Table, error) {
	s.listed++
	return []Table{{ID: s.table.ID(), Schema: s.table}}, nil
}

// Table implements Describer.
func (s *large) Table(_ context.Context, id string) ([]Table, error) {
	return []Table{{ID: id, Schema: s.table}}, nil
}

func (s *large) Close() error { return nil }

func (s *large) Read(_ context.Context, r Request) (*Chunk, error) {
	c := &Chunk{High: event.Place{File: 1}}
	if r.After != nil {
		close(s.second)
		c.End = true
		return c, nil
	}
	for id := range int64(20_000) {
		c.Rows = append(c.Rows, event.Row{Op: event.Read, Table: s.table, After: image(id, row{id, id})})
	}
	c.Last = []event.Value{event.Signed(19_999)}
	return c, nil
}

// TestNextChunkIsReadMeanwhile: while a chunk is handed out in parts, the next one is
// read. And a load describes its own table only, without listing all others.
func TestNextChunkIsReadMeanwhile(t *testing.T) { synctest.Test(t, testMeanwhile) }

func testMeanwhile(t *testing.T) {
	s := newServer(rand.New(rand.NewPCG(1, 1)), 0)
	src := &large{table: s.table, second: make(chan struct{})}
	l, err := New(Options{Reader: &stream{s: s}, Open: func(context.Context) (Source, error) { return src, nil }, First: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Start(t.Context(), capture.Resume{FirstStart: true}); err != nil {
		t.Fatal(err)
	}
	parts, early := 0, false
	for ended := false; !ended; {
		g, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(g.Rows) > 0 {
			parts++
		}
		if len(g.Rows) > 0 && !g.Last {
			synctest.Wait() // the next chunk waits to begin, or has been read
			select {
			case <-src.second:
				early = true
			default:
			}
		}
		for _, x := range g.Loads {
			ended = ended || x.Phase == event.LoadEnded
		}
	}
	if parts < 3 || !early {
		t.Errorf("a chunk in %d parts, the next one was read meanwhile: %t", parts, early)
	}
	if src.listed != 1 {
		t.Errorf("all tables were listed %d times, want once", src.listed)
	}
}

// circular is a source whose chunks all end with the same key.
type circular struct{ quiet }

func (c *circular) Read(context.Context, Request) (*Chunk, error) {
	return &Chunk{Rows: []event.Row{{Op: event.Read, Table: c.table, After: image(7, row{7, 7})}}, Last: []event.Value{event.Signed(7)}, High: event.Place{File: 1}}, nil
}

// TestEndlessLoad: a source that can't page by its key fails its table; the stream goes on.
func TestEndlessLoad(t *testing.T) {
	s := newServer(rand.New(rand.NewPCG(1, 1)), 0)
	src := &circular{quiet{table: s.table}}
	l, err := New(Options{Reader: &stream{s: s}, Open: func(context.Context) (Source, error) { return src, nil }, First: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Start(t.Context(), capture.Resume{FirstStart: true}); err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); ; {
		if _, err := l.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		p := l.Progress()
		if len(p) == 1 && p[0].Phase == Failed {
			if !strings.Contains(p[0].Error, ErrOrder.Error()) {
				t.Errorf("failed for %q", p[0].Error)
			}
			return
		}
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("it goes on: %+v", p)
		}
	}
}
