package snapshot

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
)

// TestAppendIsNotLoaded: of a table in append mode no load begins, neither the first
// nor one that a person orders, and progress says why; others are loaded.
func TestAppendIsNotLoaded(t *testing.T) {
	s := newServer(rand.New(rand.NewPCG(1, 1)), 0)
	keyed, keyless := *s.table, *s.table
	keyless.Name, keyless.Key, keyless.Append = "log", nil, true
	src := &gated{reading: make(chan string, 9), gate: make(chan struct{}), tables: []Table{{ID: keyless.ID(), Schema: &keyless}, {ID: keyed.ID(), Schema: &keyed}}}
	close(src.gate)
	l, err := New(Options{Reader: &stream{s: s}, Open: func(context.Context) (Source, error) { return src, nil }, First: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Start(t.Context(), capture.Resume{FirstStart: true}); err != nil {
		t.Fatal(err)
	}
	progress := func(id string) Progress {
		for _, p := range l.Progress() {
			if p.Table == id {
				return p
			}
		}
		return Progress{}
	}
	var loads []event.Load
	until := func(done func() bool) {
		for !done() {
			seg, err := l.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			loads = append(loads, seg.Loads...)
		}
	}
	until(func() bool { return progress(keyed.ID()).Phase == Loaded })
	if p := progress(keyless.ID()); p.Phase != Unloaded || !strings.Contains(p.Error, "append mode") {
		t.Errorf("progress %+v, want it unloaded", p)
	}
	if err := l.Cancel(t.Context(), keyless.ID()); err == nil {
		t.Error("what isn't loaded can be cancelled")
	}
	if err := l.Load(t.Context(), keyless.ID()); !errors.Is(err, ErrAppend) {
		t.Errorf("ordered: %v, want ErrAppend", err)
	}
	if err := l.Load(t.Context(), keyed.ID()); err != nil {
		t.Fatal(err)
	}
	until(func() bool { return progress(keyed.ID()).Phase == Loaded })
	if len(loads) != 4 {
		t.Errorf("loads %+v, want two of the other table", loads)
	}
	for _, load := range loads {
		if load.Table != keyed.ID() {
			t.Errorf("load %+v", load)
		}
	}
}

// TestAppendIsAltered: an alteration of a table in append mode begins no load that can't end,
// and one that comes again after it was dropped is whole for the stores at once.
func TestAppendIsAltered(t *testing.T) {
	a := newAltering(t, 3)
	row := a.row(1)
	row.Rows[0].Table.Append, row.Rows[0].Table.Key = true, nil
	a.s.says <- row
	a.alter(event.Alteration{Reread: true})
	a.stop(event.CodeDropped)
	if l := a.until(event.TableDropped); !l.Since.IsZero() && len(a.l.Progress()) != 1 {
		t.Errorf("%+v", a.l.Progress())
	}
	a.alter(event.Alteration{Reread: true, Resumed: true})
	begun := a.until(event.LoadBegun)
	if end := a.until(event.LoadEnded); begun.Sweep || end.Sweep || end.Since != begun.Since {
		t.Errorf("loads %+v, %+v; want none that takes rows away", begun, end)
	}
	a.want(Unloaded)

	a = newAltering(t, 3) // before any row has told that it has no key
	a.row(1).Rows[0].Table.Append = true
	a.alter(event.Alteration{Reread: true})
	a.until(event.LoadBegun)
	if end := a.until(event.LoadEnded); end.Sweep {
		t.Errorf("%+v takes rows away", end)
	}
	a.want(Unloaded)
}
