package watch

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/stream/status"
)

// chronicle notes faces in words.
type chronicle struct {
	told string
	away error
}

func (c *chronicle) KeepFaces(_ context.Context, faces []Face) error {
	if c.away != nil {
		return c.away
	}
	for _, f := range faces {
		c.told += fmt.Sprintf("%s %s %s %v %v;", f.Source, f.State, f.Code, f.Tables(), f.Restarted)
	}
	return nil
}

// TestChronicler: a face is told once it has held for two looks, once, and again if nobody
// took it.
func TestChronicler(t *testing.T) {
	w, kept := newWorld(t), &chronicle{}
	c, err := NewChronicler(ChroniclerOptions{Chronicle: kept, Watch: func() *Snapshot { return w.w.Snapshot() }})
	if err != nil {
		t.Fatal(err)
	}
	id := w.feed("330106", "a", "student", catalog.Authoritative)
	look := func(what string, change func(r *status.Record), want string) {
		t.Helper()
		kept.told = ""
		w.now = w.now.Add(5 * time.Second)
		r := w.say(status.OfSource, id, "streaming", 2, 5)
		if change != nil {
			change(r)
		}
		w.say(status.OfStore, id, "applying", 2, 5)
		w.look(t)
		if err := c.Look(t.Context()); err != nil && !errors.Is(err, kept.away) {
			t.Fatal(err)
		}
		if kept.told != want {
			t.Errorf("%s: %q, want %q", what, kept.told, want)
		}
	}
	gap := func(r *status.Record) { r.State, r.Code = "gap", "SLOT_LOST" }
	clear := func(r *status.Record) { r.Code, r.Stopped = "", nil }
	stopped := func(r *status.Record) { clear(r); r.Stopped = []status.Table{{Table: "x.y", Code: "TABLE_NO_KEY"}} }
	look("at first", nil, "")
	look("it holds", nil, id+" streaming  [] false;")
	look("nothing", nil, "")
	look("a moment's gap", gap, "")
	look("which is gone", clear, "")
	kept.away = errors.New("away")
	look("a gap", gap, "")
	look("nobody takes it", gap, "")
	kept.away = nil
	look("it is told", gap, id+" gap SLOT_LOST [] false;")
	look("a table", stopped, "")
	look("has stopped", stopped, id+" partial  [x.y] false;")
	look("much work", func(r *status.Record) { stopped(r); r.Txns = 100 }, "")
	look("a restart", func(r *status.Record) { stopped(r); r.Txns = 3 }, "")
	look("is told", func(r *status.Record) { stopped(r); r.Txns = 4 }, id+" partial  [x.y] true;")
	look("once", func(r *status.Record) { stopped(r); r.Txns = 5 }, "")
	if _, err := NewChronicler(ChroniclerOptions{}); err == nil {
		t.Error("options without anything are taken")
	}
}
