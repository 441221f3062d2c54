package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// script is a reader that says what a test wants.
type script struct {
	says      chan *event.Segment
	restarted chan string
}

func (s *script) Start(context.Context, capture.Resume) (uint32, error) { return 1, nil }

func (s *script) Next(ctx context.Context) (*event.Segment, error) {
	select {
	case seg := <-s.says:
		return seg, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *script) Ack(event.Place) {}

func (s *script) Close() error { return nil }

func (s *script) Restart(table string) { s.restarted <- table }

func (s *script) idle() {
	s.says <- &event.Segment{Kind: event.Idle, Restart: event.Place{File: 1, Offset: 100}, State: []byte("{}")}
}

// altering is a loader on a script.
type altering struct {
	t *testing.T
	s *script
	l *Loader
}

func newAltering(t *testing.T, rows int64) *altering {
	table := &schema.Table{Source: "s", Dataset: "d", Database: "d", Name: "t", Key: []int{0}, Columns: []schema.Column{
		{Name: "id", Type: schema.Type{Kind: schema.Int64}}, {Name: "a", Type: schema.Type{Kind: schema.Int64}}, {Name: "b", Type: schema.Type{Kind: schema.Int64}}}}
	s := &script{says: make(chan *event.Segment, 100), restarted: make(chan string, 1)}
	l, err := New(Options{Reader: s, Open: func(context.Context) (Source, error) { return &quiet{table: table, rows: rows}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // the script's can't fail
	if _, err := l.Start(t.Context(), capture.Resume{FirstStart: true}); err != nil {
		t.Fatal(err)
	}
	s.idle()
	return &altering{t, s, l}
}

func (a *altering) alter(c event.Alteration) {
	c.Table = "d.t"
	a.s.says <- &event.Segment{Kind: event.TableAltered, Altered: &c}
	a.s.idle()
}

// fickle is a script that captures a table, or doesn't.
type fickle struct {
	script
	captures bool
}

func (c *fickle) Captures(string) bool { return c.captures }

// TestTableTakenOut: a table that was taken out of the configuration is missing, also once it
// is back, until all of it is read again.
func TestTableTakenOut(t *testing.T) {
	for name, verified := range map[string]bool{"loaded": false, "verified since": true} {
		t.Run(name, func(t *testing.T) { takenOut(t, verified) })
	}
}

func takenOut(t *testing.T, verified bool) {
	a := newAltering(t, 200)
	a.alter(event.Alteration{Reread: true})
	a.until(event.LoadEnded)
	if verified {
		if err := a.l.Verify(t.Context(), "d.t", Verification{ID: "before"}); err != nil {
			t.Fatal(err)
		}
		for ended := false; !ended; {
			seg, err := a.l.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ended = len(seg.Checks) > 0 && seg.Checks[0].Phase == event.CheckEnded
		}
	}
	var state []byte
	take := func() {
		t.Helper()
		for state = nil; state == nil; {
			seg, err := a.l.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			state = slices.Clone(seg.State)
		}
	}
	a.s.idle()
	take()
	c := &fickle{script: *a.s}
	a.l.o.Reader = c
	for _, c.captures = range []bool{false, true} {
		if _, err := a.l.Start(t.Context(), capture.Resume{State: state, Last: event.Position{Epoch: 1}}); err != nil {
			t.Fatal(err)
		}
		a.s.idle()
		take()
		if got, all := a.l.Missing(); all || !slices.Equal(got, []string{"d.t"}) {
			t.Errorf("captured %t: missing are %q", c.captures, got)
		}
		if p := a.l.Progress(); len(p) != 1 || p[0].Phase == Loading || p[0].Error == "" {
			t.Errorf("captured %t: progress %+v", c.captures, p)
		}
		if err := a.l.Verify(t.Context(), "d.t", Verification{ID: "v"}); !errors.Is(err, ErrIncomplete) {
			t.Errorf("captured %t: verified: %v", c.captures, err)
		}
	}
	if err := a.l.Load(t.Context(), "d.t"); err != nil {
		t.Fatal(err)
	}
	a.until(event.LoadEnded)
	if got, all := a.l.Missing(); all || len(got) > 0 {
		t.Errorf("read again: missing are %q", got)
	}
}

// TestListedOnce: a table that is to be read before the first load is listed isn't read twice
// at once, which would mix the windows of both.
func TestListedOnce(t *testing.T) {
	a := newAltering(t, 3)
	a.l.altered(&event.Alteration{Table: "d.t", Reread: true})
	src, err := a.l.o.Open(t.Context())
	if err == nil {
		err = a.l.list(t.Context(), src)
	}
	if p := a.l.Progress(); err != nil || len(p) != 1 {
		t.Errorf("%+v, %v", p, err)
	}
}

// until reads on until a load begins or ends, and gives that.
func (a *altering) until(phase event.LoadPhase) event.Load {
	a.t.Helper()
	for {
		seg, err := a.l.Next(a.t.Context())
		if err != nil {
			a.t.Fatal(err)
		}
		for _, l := range seg.Loads {
			if l.Phase == phase {
				if !seg.Durable || seg.State == nil {
					a.t.Errorf("segment %+v isn't durable", seg)
				}
				return l
			}
		}
	}
}

// TestAlteredIsReadAgain: an alteration that may have changed rows begins a load, and one
// within a load begins it anew.
func TestAlteredIsReadAgain(t *testing.T) {
	a := newAltering(t, 200)
	a.alter(event.Alteration{Reread: true})
	first := a.until(event.LoadBegun)
	a.alter(event.Alteration{})             // what is under way is read again, the load goes on
	a.alter(event.Alteration{Reread: true}) // the load begins anew
	second := a.until(event.LoadBegun)
	if !first.Sweep || !second.Sweep || second.Since.Compare(first.Since) <= 0 || first.Ordered || second.Ordered {
		t.Errorf("loads %+v, %+v", first, second)
	}
	if end := a.until(event.LoadEnded); end.Since != second.Since {
		t.Errorf("load %+v ends", end)
	}
	if p := a.l.Progress(); len(p) != 1 || p[0].Phase != Loaded || p[0].Rows != 200 {
		t.Errorf("progress %+v", p)
	}
}

// TestStoppedTableIsReadAgain: a person's order has a stopped table delivered again, and
// the load says whose order it was. Until that has ended the log lacks rows of it.
func TestStoppedTableIsReadAgain(t *testing.T) {
	a := newAltering(t, 3)
	missing := func(want ...string) {
		t.Helper()
		if got, all := a.l.Missing(); all || !slices.Equal(got, want) {
			t.Errorf("missing are %q, want %q", got, want)
		}
	}
	missing()
	a.s.says <- &event.Segment{Kind: event.TableStopped, Stop: &event.TableStop{Table: "d.t"}}
	for {
		seg, err := a.l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if seg.Kind == event.TableStopped {
			break
		}
	}
	missing("d.t")
	a.alter(event.Alteration{Reread: true}) // nobody reads what isn't delivered
	if err := a.l.Load(t.Context(), "d.t"); err != nil {
		t.Fatal(err)
	}
	if table := <-a.s.restarted; table != "d.t" {
		t.Errorf("table %s delivered again", table)
	}
	if p := a.l.Progress(); len(p) != 0 {
		t.Errorf("progress %+v of a stopped table", p)
	}
	a.alter(event.Alteration{Reread: true, Resumed: true})
	if l := a.until(event.LoadBegun); !l.Ordered || !l.Sweep {
		t.Errorf("load %+v", l)
	}
	missing("d.t")
	a.until(event.LoadEnded)
	missing()
}

// TestAnotherKey: a table that has got another key while it was read, or while nobody read,
// is read from its beginning by that one, since no place of the old order stands in the new one.
func TestAnotherKey(t *testing.T) {
	table := &schema.Table{Source: "s", Dataset: "d", Database: "d", Name: "t", Key: []int{0}, Columns: []schema.Column{
		{Name: "id", Type: schema.Type{Kind: schema.Int64}}, {Name: "a", Type: schema.Type{Kind: schema.Int64}}, {Name: "b", Type: schema.Type{Kind: schema.Int64}}}}
	other, wider := *table, *table
	other.Key, wider.Key = []int{1}, []int{1, 0}
	one := []event.Value{event.Signed(5)}
	for name, tt := range map[string]struct {
		p     progress
		now   *schema.Table
		anew  bool
		fails bool
	}{
		"the same":         {progress{After: one, By: []string{"id"}}, table, false, false},
		"another":          {progress{After: one, By: []string{"id"}}, &other, true, false},
		"a wider one":      {progress{After: one, By: []string{"id"}}, &wider, true, false},
		"of an old state":  {progress{After: one}, &wider, true, false},
		"rows by keys":     {progress{Read: true, Keys: [][]event.Value{one}}, &wider, true, false},
		"the same, of old": {progress{After: one, Keys: [][]event.Value{one}}, table, false, false},
		"nothing read":     {progress{}, &wider, false, false},
		"a verification":   {progress{After: one, By: []string{"id"}, Check: &verification{}}, &wider, false, true},
		"a part":           {progress{After: one, By: []string{"id"}, Range: &event.KeyRange{}}, &wider, false, true},
	} {
		k := &task{progress: tt.p, readTo: tt.p.After, ended: tt.p.Read}
		err := k.keyed(tt.now)
		if (err != nil) != tt.fails {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if anew := tt.p.After != nil && k.After == nil || tt.p.Keys != nil && k.Keys == nil; anew != tt.anew || anew && (k.readTo != nil || k.ended || k.Read || len(k.By) != len(tt.now.Key)) {
			t.Errorf("%s: %+v, read to %v", name, k.progress, k.readTo)
		}
	}
	moved := &event.Row{Op: event.Update, Table: table, Before: image(1, row{1, 1}), After: image(2, row{1, 1})}
	moved.After[2].State = event.Absent
	for name, tt := range map[string]struct {
		by     []string
		region *event.KeyRange
		keys   int
		after  bool
		phase  Phase
	}{
		"by the key it was read by": {[]string{"id"}, nil, 1, true, Loading},
		"by one that it has lost":   {[]string{"a", "id"}, nil, 0, false, Loading},
		"in a part":                 {[]string{"a", "id"}, &event.KeyRange{}, 0, true, Failed},
	} {
		k := &task{progress: progress{Progress: Progress{Phase: Loading, Since: event.Position{Epoch: 1}}, After: one, By: tt.by, Range: tt.region}}
		if !k.note(moved) || len(k.Keys) != tt.keys || k.After != nil != tt.after || k.Phase != tt.phase {
			t.Errorf("a row that moved %s: %+v", name, k.progress)
		}
	}
	a := newAltering(t, 30)
	state, err := json.Marshal(state{Reader: []byte("{}"), Listed: true, Tables: []progress{{Progress: Progress{Table: "d.t", Phase: Loading, Since: event.Position{Epoch: 1}}, After: []event.Value{event.Signed(20), event.Signed(20)}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.l.Start(t.Context(), capture.Resume{State: state, Last: event.Position{Epoch: 1}}); err != nil {
		t.Fatal(err)
	}
	a.until(event.LoadEnded)
	if p := a.l.Progress(); p[0].Rows != 30 {
		t.Errorf("read are %d rows, want all", p[0].Rows)
	}
}
