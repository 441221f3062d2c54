package snapshot

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
)

// gated is a source of empty tables, whose chunks wait for the gate.
type gated struct {
	integers
	tables  []Table
	reading chan string
	gate    chan struct{}
}

func (g *gated) Tables(context.Context) ([]Table, error) { return g.tables, nil }
func (g *gated) Close() error                            { return nil }

func (g *gated) Read(ctx context.Context, r Request) (*Chunk, error) {
	select {
	case g.reading <- r.Table.Name:
	default:
	}
	select {
	case <-g.gate:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return &Chunk{End: true, High: event.Place{File: 1}}, nil
}

// stopping says in its stream that a table has stopped.
type stopping struct {
	stream
	stop chan string
}

func (r *stopping) Next(ctx context.Context) (*event.Segment, error) {
	select {
	case id := <-r.stop:
		return &event.Segment{Kind: event.TableStopped, Stop: &event.TableStop{Table: id, Reason: "ALTER TABLE"}}, nil
	default:
		return r.stream.Next(ctx)
	}
}

// TestEndedWhileWaiting: a load that is cancelled, or whose table stops, while it waits
// for a free reader never begins to read; the one behind it does.
func TestEndedWhileWaiting(t *testing.T) {
	for _, how := range []string{"cancelled", "stopped"} {
		t.Run(how, func(t *testing.T) {
			s := newServer(rand.New(rand.NewPCG(1, 1)), 0)
			src := &gated{reading: make(chan string, 3), gate: make(chan struct{})}
			for _, name := range []string{"a", "b", "c"} {
				x := *s.table
				x.Name = name
				src.tables = append(src.tables, Table{ID: x.ID(), Schema: &x})
			}
			waiting, last := src.tables[1].ID, src.tables[2].ID
			r := &stopping{stream{s: s}, make(chan string, 1)}
			l, err := New(Options{Reader: r, Open: func(context.Context) (Source, error) { return src, nil }, First: true, Parallel: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if _, err := l.Start(t.Context(), capture.Resume{FirstStart: true}); err != nil {
				t.Fatal(err)
			}
			var read []string
			for ended := false; !ended; {
				select {
				case name := <-src.reading:
					if read = append(read, name); len(read) > 1 {
						break
					}
					if how == "stopped" { // the only reader is taken: the others wait
						r.stop <- waiting
						break
					}
					if err := l.Cancel(t.Context(), waiting); err != nil {
						t.Fatal(err)
					}
					close(src.gate)
				default:
				}
				g, err := l.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if g.Kind == event.TableStopped {
					close(src.gate)
				}
				for _, x := range g.Loads {
					if x.Table == waiting && x.Phase == event.LoadEnded {
						t.Errorf("the load that was %s has ended", how)
					}
					ended = ended || x.Table == last && x.Phase == event.LoadEnded
				}
			}
			for len(src.reading) > 0 {
				read = append(read, <-src.reading)
			}
			if !slices.Equal(read, []string{"a", "c"}) {
				t.Errorf("read %q, want a and c", read)
			}
		})
	}
}
