package snapshot

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/schema"
)

// slow starts a loader of a table that takes a while, from what is durable.
func slow(t *testing.T, table *schema.Table, res capture.Resume) *Loader {
	t.Helper()
	l, err := New(Options{Reader: silent{}, Open: func(context.Context) (Source, error) {
		return &connection{quiet: &quiet{table: table, rows: 4000}}, nil
	}, First: true, Rate: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Start(t.Context(), res); err != nil {
		t.Fatal(err)
	}
	return l
}

// hand takes segments until done says so, and keeps what a log would.
func hand(t *testing.T, l *Loader, res *capture.Resume, done func() bool) {
	t.Helper()
	for n := 0; !done(); n++ {
		seg, err := l.Next(t.Context())
		if err != nil || n > 100 {
			t.Fatalf("segment %d: %v", n, err)
		}
		if seg.Durable || res.State == nil { // a segment whose state may come later is lost here
			kept(res, seg)
		}
	}
}

// TestDecisionsOutliveTheProgram: once an order to rest, go on or end has a place in the
// log, whoever goes on from there knows it; before that a lost connection forgets nothing.
func TestDecisionsOutliveTheProgram(t *testing.T) {
	for name, steps := range map[string][]func(*Loader, context.Context, string) error{
		"paused":   {(*Loader).Pause},
		"resumed":  {(*Loader).Pause, (*Loader).Resume},
		"canceled": {(*Loader).Cancel},
		"at rest":  {(*Loader).Pause, (*Loader).Cancel},
	} {
		for how, lost := range map[string]bool{"killed": false, "lost": true} {
			t.Run(name+" and "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					table, res := modelTable(), capture.Resume{FirstStart: true}
					want := map[string]Phase{"paused": Paused, "resumed": Loading, "canceled": Canceled, "at rest": Canceled}[name]
					l := slow(t, table, res)
					hand(t, l, &res, func() bool { p := l.Progress(); return len(p) > 0 && p[0].Rows > 3 })
					for _, step := range steps {
						if err := step(l, t.Context(), table.ID()); err != nil {
							t.Fatal(err)
						}
						if at, ok := l.Logged(table.ID()); ok {
							t.Fatalf("the log has an order at %s that was never handed out", at)
						}
						if lost {
							if _, err := l.Start(t.Context(), res); err != nil {
								t.Fatal(err)
							}
						}
						hand(t, l, &res, func() bool { at, ok := l.Logged(table.ID()); return ok && res.Last.Compare(at) >= 0 })
					}
					if err := l.Close(); err != nil {
						t.Error(err)
					}
					l = slow(t, table, res)
					time.Sleep(time.Second) // of the test's own clock: whatever it goes on with is done by then
					if p := l.Progress(); len(p) != 1 || p[0].Phase != want && (want != Loading || p[0].Phase != Queued) {
						t.Errorf("another program goes on with %+v, want %s", p, want)
					}
					if err := l.Close(); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}
