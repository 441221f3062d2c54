// Package loadtest runs a loader as a pipeline would and keeps what a store would have,
// for the tests of each database's reader.
package loadtest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Image is a table of two columns as a store would have it, by the first one.
type Image map[string]string

// Apply brings the image up to date with a segment.
func (m Image) Apply(seg *event.Segment) {
	for i := range seg.Rows {
		r := &seg.Rows[i]
		if r.Op == event.Truncate {
			clear(m)
			continue
		}
		old := ""
		if r.Before != nil {
			old = m[Text(r.Before[0])]
			delete(m, Text(r.Before[0]))
		}
		if r.After == nil {
			continue
		}
		if r.After[1].State == event.Absent {
			if r.Before == nil {
				old = m[Text(r.After[0])]
			}
			if old == "" { // not loaded yet: the load brings it
				continue
			}
			m[Text(r.After[0])] = old
			continue
		}
		m[Text(r.After[0])] = Text(r.After[1])
	}
}

// Text gives a value for people.
func Text(v event.Value) string {
	switch {
	case v.State != event.Present:
		return fmt.Sprint(v.State)
	case v.B != nil:
		return string(v.B)
	}
	return fmt.Sprint(v.Int())
}

// Compare reports what an image has wrong.
func (m Image) Compare(t *testing.T, keys, values []string) {
	t.Helper()
	for i, k := range keys {
		if got, ok := m[k]; !ok || got != values[i] {
			t.Errorf("row %s is %.60q (%t), want %.60q", k, got, ok, values[i])
		}
	}
	if len(m) != len(keys) {
		t.Errorf("%d rows, want %d", len(m), len(keys))
	}
}

// with opens a source for f, and finds a table in it, whose name is enough.
func with(t *testing.T, open func(context.Context) (snapshot.Source, error), table string, f func(snapshot.Source, *snapshot.Table)) {
	t.Helper()
	src, err := open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	}()
	tables, err := src.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(tables, func(x snapshot.Table) bool { return x.Schema != nil && x.Schema.Name == table })
	if i < 0 {
		t.Fatalf("table %s isn't among those that can be loaded", table)
	}
	f(src, &tables[i])
}

// Chunk reads one chunk of a table, whose name is enough.
func Chunk(t *testing.T, open func(context.Context) (snapshot.Source, error), table string, r snapshot.Request) (c *snapshot.Chunk) {
	t.Helper()
	with(t, open, table, func(src snapshot.Source, found *snapshot.Table) {
		if r.After == nil && r.Keys == nil {
			testDescriber(t, src.(snapshot.Describer), found)
		}
		r.Table = found.Schema
		var err error
		if c, err = src.Read(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	})
	return c
}

// testDescriber wants a table by itself as it is among all.
func testDescriber(t *testing.T, d snapshot.Describer, table *snapshot.Table) {
	t.Helper()
	alone, err := d.Table(t.Context(), table.ID)
	if err != nil || len(alone) != 1 || alone[0].ID != table.ID || !slices.Equal(alone[0].Parents, table.Parents) || len(alone[0].Schema.Columns) != len(table.Schema.Columns) {
		t.Fatalf("table %s by itself: %+v, %v", table.ID, alone, err)
	}
	if none, err := d.Table(t.Context(), table.ID+"x"); err != nil || len(none) != 0 {
		t.Fatalf("a table that isn't there: %+v, %v", none, err)
	}
}

// Feed is a loader that is read in a goroutine of its own.
type Feed struct {
	Loader *snapshot.Loader
	// Turns has one for each transaction that may be written before the feed has read one
	// more, for writers that would outrun it. Who changes nothing gives its turn back.
	Turns chan struct{}
	t     *testing.T
	segs  chan *event.Segment // copies
	errs  chan error
}

// Start starts a loader over a reader of which nothing is known. With first all of its
// tables are loaded.
func Start(t *testing.T, r capture.Reader, open func(context.Context) (snapshot.Source, error), first bool) *Feed {
	t.Helper()
	f := &Feed{Turns: make(chan struct{}, 32), t: t, segs: make(chan *event.Segment), errs: make(chan error, 1)}
	for range cap(f.Turns) {
		f.Turns <- struct{}{}
	}
	var err error
	if f.Loader, err = snapshot.New(snapshot.Options{Reader: r, Open: open, First: first, Bytes: 64 << 10}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if _, err := f.Loader.Start(ctx, capture.Resume{FirstStart: true}); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		if err := f.Loader.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func (f *Feed) run(ctx context.Context) {
	for {
		seg, err := f.Loader.Next(ctx)
		if err != nil {
			f.errs <- err
			return
		}
		c := *seg
		c.Rows = nil
		for _, row := range seg.Rows {
			c.Rows = append(c.Rows, event.Row{Op: row.Op, Table: row.Table, Before: cloned(row.Before), After: cloned(row.After)})
		}
		select {
		case f.segs <- &c:
			if c.Last {
				f.Turn()
			}
		case <-ctx.Done():
			return
		}
	}
}

// Turn gives a turn back.
func (f *Feed) Turn() {
	select {
	case f.Turns <- struct{}{}:
	default: // the load's own transactions took none
	}
}

func cloned(in []event.Value) []event.Value {
	if in == nil {
		return nil
	}
	out := append([]event.Value(nil), in...)
	for i := range out {
		out[i].B = bytes.Clone(out[i].B)
	}
	return out
}

// Until applies what comes to m, up to the first segment that is wanted.
func (f *Feed) Until(m Image, wanted func(*event.Segment) bool) {
	f.t.Helper()
	limit := time.NewTimer(60 * time.Second)
	defer limit.Stop()
	for {
		select {
		case seg := <-f.segs:
			m.Apply(seg)
			if wanted(seg) {
				return
			}
		case err := <-f.errs:
			f.t.Fatal(err)
		case <-limit.C:
			f.t.Fatalf("it didn't come; %+v", f.Loader.Progress())
		}
	}
}

// Ended wants the end of a table's load.
func Ended(table string) func(*event.Segment) bool { return about(table, event.LoadEnded) }

// Removed waits for the place from which on a table isn't captured any more.
func Removed(table string) func(*event.Segment) bool { return about(table, event.TableRemoved) }

func about(table string, phase event.LoadPhase) func(*event.Segment) bool {
	return func(seg *event.Segment) bool {
		for _, l := range seg.Loads {
			if l.Phase == phase && strings.HasSuffix(l.Table, "."+table) {
				return true
			}
		}
		return false
	}
}

// Held follows a load while commits of its table are in the log and can't be seen. table
// is its ID; the log has delivered the commits already.
func (f *Feed) Held(m Image, table string, release func()) {
	f.t.Helper()
	if err := f.Loader.Load(f.t.Context(), table); err != nil {
		f.t.Fatal(err)
	}
	f.Until(m, func(seg *event.Segment) bool { return len(seg.Loads) > 0 })
	for range 3 { // views are tried meanwhile, and none of them may be taken
		f.Until(m, func(seg *event.Segment) bool {
			if len(seg.Rows) > 0 {
				f.t.Fatalf("a chunk came from a view that lacks a held commit: %+v", seg.Rows)
			}
			return seg.Kind == event.Idle
		})
	}
	release()
	f.Until(m, Ended(table[strings.LastIndexByte(table, '.')+1:]))
}

// Races loads a table n times while somebody writes it.
func (f *Feed) Races(m Image, table string, n int) {
	f.t.Helper()
	name := table[strings.LastIndexByte(table, '.')+1:]
	f.Until(m, Ended(name))
	for range n {
		if err := f.Loader.Load(f.t.Context(), table); err != nil {
			f.t.Fatal(err)
		}
		f.Until(m, Ended(name))
	}
}

// Part reads a part of a table, chunk by chunk, and gives what the source's own words for
// it were with the rows.
func Part(t *testing.T, open func(context.Context) (snapshot.Source, error), table, bounds string) (r *event.KeyRange, rows []event.Row) {
	t.Helper()
	b, err := snapshot.ParseBounds(bounds)
	if err != nil {
		t.Fatal(err)
	}
	with(t, open, table, func(src snapshot.Source, found *snapshot.Table) {
		if r, err = src.Range(t.Context(), found.Schema, b); err != nil {
			t.Fatalf("%s: %v", bounds, err)
		}
		for req := (snapshot.Request{Table: found.Schema, Range: r, Rows: 7, Bytes: 1 << 20}); ; {
			c, err := src.Read(t.Context(), req)
			if err != nil {
				t.Fatalf("%s: %v", bounds, err)
			}
			rows = append(rows, c.Rows...)
			if req.After = c.Last; c.End {
				return
			}
		}
	})
	return r, rows
}

// Add orders that a table be added.
func (f *Feed) Add(table string) {
	f.t.Helper()
	if err := f.Loader.Add(f.t.Context(), table); err != nil {
		f.t.Fatal(err)
	}
}
