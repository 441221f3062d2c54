package snapshot

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
)

func (a *altering) stop(code string) {
	a.s.says <- &event.Segment{Kind: event.TableStopped, Stop: &event.TableStop{Table: "d.t", Code: code, Reason: "so it was"}}
	a.s.idle()
}

// state gives that of the first segment that has one, from the next one on.
func (a *altering) state() []byte {
	a.t.Helper()
	for {
		seg, err := a.l.Next(a.t.Context())
		if err != nil {
			a.t.Fatal(err)
		}
		if seg.State != nil {
			return slices.Clone(seg.State)
		}
	}
}

// row is a transaction that inserts one.
func (a *altering) row(id int64) *event.Segment {
	a.t.Helper()
	src, err := a.l.o.Open(a.t.Context())
	if err != nil {
		a.t.Fatal(err)
	}
	at := event.Place{File: 1, Offset: 100 + uint64(id)}
	return &event.Segment{First: true, Last: true, Txn: event.Txn{Position: event.Position{Epoch: 1, Place: at}}, Restart: at, Rows: []event.Row{{Op: event.Create, Table: src.(*quiet).table, After: image(id, row{id, id})}}}
}

func (a *altering) want(phase Phase, missing ...string) {
	a.t.Helper()
	if p := a.l.Progress(); len(p) != 1 || p[0].Phase != phase || p[0].Error == "" {
		a.t.Errorf("progress %+v, want one that is %s, with a reason", p, phase)
	}
	if got, all := a.l.Missing(); all || !slices.Equal(got, missing) {
		a.t.Errorf("missing are %q, want %q", got, missing)
	}
}

// TestDropped: of a table that is dropped, be it in the middle of its load, the log says so
// once, and it isn't missing; one that stops for another reason is. Made anew it is loaded.
func TestDropped(t *testing.T) {
	for name, rows := range map[string]int64{"while it is loaded": 1_000_000, "loaded": 3, "never known": 0} {
		a := newAltering(t, rows)
		if rows > 0 {
			a.alter(event.Alteration{Reread: true})
			a.until(event.LoadBegun)
		}
		if rows == 3 {
			a.until(event.LoadEnded)
		}
		a.stop(event.CodeDropped)
		if l := a.until(event.TableDropped); l.Table != "d.t" || l.Dataset == "" && rows == 3 || l.Since.IsZero() {
			t.Errorf("%s: the log has %+v", name, l)
		}
		a.want(Dropped)
		if _, err := a.l.Start(t.Context(), capture.Resume{State: a.state(), Last: event.Position{Epoch: 1}}); err != nil {
			t.Fatal(err)
		}
		a.s.idle()
		a.stop(event.CodeDropped) // it may be read again
		a.alter(event.Alteration{Reread: true, Resumed: true})
		for n := 0; ; n++ {
			seg, err := a.l.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				a.want(Dropped)
			}
			if len(seg.Loads) == 0 {
				continue
			}
			if l := seg.Loads[0]; l.Phase != event.LoadBegun || !l.Sweep {
				t.Errorf("%s: behind the restart the log has %+v", name, l)
			}
			break
		}
		if got, _ := a.l.Missing(); !slices.Equal(got, []string{"d.t"}) {
			t.Errorf("%s: missing are %q while it is loaded anew", name, got)
		}
		a.stop(event.CodeDropped)
		a.until(event.TableDropped)
		a.stop("TABLE_UNPUBLISHED") // it is there again, and doesn't come
		a.state()                   // of before it
		a.state()
		a.want(Failed, "d.t")
		if err := a.l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestDroppedOutOfTheConfiguration: a table that was dropped, and then taken out, isn't
// missing; once it is back it may be, for it may have been made anew.
func TestDroppedOutOfTheConfiguration(t *testing.T) {
	a := newAltering(t, 3)
	a.stop(event.CodeDropped)
	a.until(event.TableDropped)
	c := &fickle{script: *a.s}
	a.l.o.Reader = c
	for _, c.captures = range []bool{true, false, false, true} {
		state := a.state()
		if _, err := a.l.Start(t.Context(), capture.Resume{State: state, Last: event.Position{Epoch: 1}}); err != nil {
			t.Fatal(err)
		}
		a.s.idle()
		if p := a.l.tasks[0]; p.Out && c.captures {
			a.want(Failed, "d.t")
		} else {
			a.want(Dropped)
		}
	}
	if !a.l.tasks[0].Out {
		t.Error("nothing is known of the table's absence")
	}
}

// TestDroppedInAGap: no stream tells of a table that went while there was a gap. The repair
// does, and once rows of the table come all of it is read.
func TestDroppedInAGap(t *testing.T) {
	s := newServer(rand.New(rand.NewPCG(3, 12)), 20)
	l, err := New(Options{Reader: &renewed{stream: stream{s: s}}, Open: func(context.Context) (Source, error) { return open(s, false), nil }})
	if err != nil {
		t.Fatal(err)
	}
	since := event.Position{Epoch: 1}
	before, err := json.Marshal(state{Reader: []byte("s"), Listed: true, Tables: []progress{
		{Progress: Progress{Table: "d.gone", Phase: Loading, Since: since}, Dataset: "gone"}, {Progress: Progress{Table: s.table.ID(), Phase: Loaded, Since: since}}, {Progress: Progress{Table: "d.never", Phase: Failed}}}})
	if err != nil {
		t.Fatal(err)
	}
	res := capture.Resume{Last: event.Position{Epoch: 9, Place: event.Place{File: 7, Offset: 1}, Index: 3}, Restart: event.Place{File: 7, Offset: 2}, State: before, Repair: true}
	if _, err := l.Start(t.Context(), res); err != nil {
		t.Fatal(err)
	}
	said := map[string]event.LoadPhase{}
	for begun := false; !begun; {
		seg, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		begun = seg.Repair == event.RepairBegun
		for _, x := range seg.Loads {
			said[x.Table] = x.Phase
		}
		if len(seg.Loads) > 0 != begun {
			t.Errorf("the repair has begun: %t; loads %+v", begun, seg.Loads)
		}
	}
	if len(said) != 2 || said["d.gone"] != event.TableDropped || said[s.table.ID()] != event.LoadBegun {
		t.Errorf("the repair begins with %v", said)
	}
	for ended := false; !ended; {
		seg, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ended = seg.Repair == event.RepairEnded
	}
	if missing, all := l.Missing(); all || len(missing) > 0 {
		t.Errorf("repaired: missing are %q", missing)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}

	a := newAltering(t, 3)
	a.stop(event.CodeDropped)
	a.until(event.TableDropped)
	if _, err := a.l.Start(t.Context(), capture.Resume{State: a.state(), Last: event.Position{Epoch: 1}}); err != nil {
		t.Fatal(err)
	}
	a.s.idle()
	a.s.says <- a.row(9)
	if l := a.until(event.LoadBegun); !l.Sweep {
		t.Errorf("rows came of a dropped table, and the log has %+v", l)
	}
	a.until(event.LoadEnded)
	if missing, _ := a.l.Missing(); len(missing) > 0 {
		t.Errorf("read again: missing are %q", missing)
	}
}

// TestStopsAreKnown: a start tells the tables that the reader's state has as stopped, for the
// reader itself doesn't tell of them again; a repair has none.
func TestStopsAreKnown(t *testing.T) {
	a := newAltering(t, 3)
	if got := a.l.Stops(); len(got) > 0 {
		t.Errorf("stops %+v of a first start", got)
	}
	stop := event.TableStop{Table: "d.t", Code: "TABLE_CHANGED", Reason: "why"}
	inner, err := json.Marshal(readerState{Stopped: []event.TableStop{{Table: "d.gone", Code: event.CodeDropped}, stop}})
	if err != nil {
		t.Fatal(err)
	}
	state, err := json.Marshal(state{Reader: inner, Listed: true})
	if err != nil {
		t.Fatal(err)
	}
	c := &fickle{script: *a.s}
	a.l.o.Reader = c
	for name, tt := range map[string]struct {
		captures, repair bool
		want             []event.TableStop
	}{"captured": {true, false, []event.TableStop{stop}}, "repaired": {true, true, nil}, "taken out": {false, false, nil}} {
		c.captures = tt.captures
		if _, err := a.l.Start(t.Context(), capture.Resume{State: state, Last: event.Position{Epoch: 1}, Repair: tt.repair}); err != nil {
			t.Fatal(err)
		}
		if got := a.l.Stops(); !slices.Equal(got, tt.want) {
			t.Errorf("%s: stops %+v, want %+v", name, got, tt.want)
		}
	}
}
