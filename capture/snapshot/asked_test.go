package snapshot

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
)

// asked starts a loader over a stream that delivers its table only once it was added, or
// from the start.
func asked(t *testing.T, add bool) (*Loader, *server) {
	t.Helper()
	s := newServer(rand.New(rand.NewPCG(7, 7)), 50)
	var r capture.Reader = &stream{s: s}
	if add {
		r = &choosy{stream: stream{s: s}}
	}
	l, err := New(Options{Reader: r, Open: func(context.Context) (Source, error) { return open(s, false), nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // a fake has nothing to lose
	if _, err := l.Start(t.Context(), capture.Resume{FirstStart: true}); err != nil {
		t.Fatal(err)
	}
	return l, s
}

// TestOrderNamesTheStoresTable: a load of a table that isn't there would begin in the store
// and never end, and the beginning of any other names the store's table.
func TestOrderNamesTheStoresTable(t *testing.T) {
	for name, order := range map[string]func(*Loader, string) error{
		"all": func(l *Loader, table string) error { return l.Load(t.Context(), table) },
		"part": func(l *Loader, table string) error {
			return l.LoadRange(t.Context(), table, Bounds{From: []string{"1"}}, false)
		},
		"added": func(l *Loader, table string) error { return l.Add(t.Context(), table) },
	} {
		l, s := asked(t, name == "added")
		if err := order(l, "d.nobody"); !errors.Is(err, ErrNotCaptured) || len(l.Progress()) > 0 {
			t.Errorf("%s: %v, loads %+v; want ErrNotCaptured and none", name, err, l.Progress())
		}
		if err := order(l, s.table.ID()); err != nil {
			t.Fatal(name, ": ", err)
		}
		for begun := false; !begun; {
			seg, err := l.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range seg.Loads {
				begun = true
				if x.Dataset != s.table.Dataset {
					t.Errorf("%s: %+v, want the dataset %q", name, x, s.table.Dataset)
				}
			}
		}
	}
}

// TestOrderBeforeTheStart: an order that comes before the durable state is known waits for
// it, and isn't answered by what isn't known yet.
func TestOrderBeforeTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := New(Options{Reader: silent{}, Open: func(context.Context) (Source, error) { return &quiet{table: modelTable()}, nil }})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Load(t.Context(), modelTable().ID()); !errors.Is(err, ErrNotStarted) {
			t.Errorf("never started: %v", err)
		}
		late := make(chan error)
		go func() { late <- l.Load(t.Context(), modelTable().ID()) }()
		time.Sleep(time.Second)
		if _, err := l.Start(t.Context(), capture.Resume{FirstStart: true}); err != nil {
			t.Fatal(err)
		}
		if err := <-late; err != nil {
			t.Errorf("started meanwhile: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestCanceledBeforeItsBeginning: the stream delivers a table that was added even if its
// load was cancelled at once, so the store must know that the table isn't whole.
func TestCanceledBeforeItsBeginning(t *testing.T) {
	for name, rest := range map[string]func(*Loader, context.Context, string) error{"cancelled": (*Loader).Cancel, "paused": (*Loader).Pause} {
		l, s := asked(t, true)
		if err := l.Add(t.Context(), s.table.ID()); err != nil {
			t.Fatal(err)
		}
		if err := rest(l, t.Context(), s.table.ID()); err != nil {
			t.Fatal(err)
		}
		begun := false
		for n := 0; !begun; n++ {
			s.mu.Lock()
			s.write()
			s.mu.Unlock()
			seg, err := l.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			begun = len(seg.Loads) > 0 && seg.Loads[0].Phase == event.LoadBegun
			if len(seg.Rows) > 0 || n > 1000 {
				t.Fatalf("%s: segment %d has rows, and nothing says that the table isn't whole: %+v", name, n, seg)
			}
		}
	}
}

// connection is a Source that knows only the tables which it has described itself.
type connection struct {
	*quiet
	known bool
}

func (c *connection) Tables(ctx context.Context) ([]Table, error) {
	c.known = true
	return c.quiet.Tables(ctx)
}

func (c *connection) Read(ctx context.Context, r Request) (*Chunk, error) {
	if !c.known {
		return nil, ErrTable
	}
	return c.quiet.Read(ctx, r)
}

// TestPausedAndGoingOn: a load that has rested goes on by another connection, which has to
// describe the table itself.
func TestPausedAndGoingOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := modelTable()
		l, err := New(Options{Reader: silent{}, Open: func(context.Context) (Source, error) { return &connection{quiet: &quiet{table: table, rows: 40}}, nil }, First: true, Rate: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Start(t.Context(), capture.Resume{FirstStart: true}); err != nil {
			t.Fatal(err)
		}
		rows, phase := 0, Queued
		for rested := false; phase != Loaded; {
			seg, err := l.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if rows += len(seg.Rows); rows > 5 && !rested {
				rested = true
				if err := l.Pause(t.Context(), table.ID()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute) // the reader lets its connection go
				if err := l.Resume(t.Context(), table.ID()); err != nil {
					t.Fatal(err)
				}
			}
			for _, p := range l.Progress() {
				if phase = p.Phase; phase == Failed {
					t.Fatalf("%+v", p)
				}
			}
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}
