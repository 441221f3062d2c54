package watch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/stream/status"
)

// diary notes minutes in words.
type diary struct {
	kept string
	away error
}

func (d *diary) KeepMinute(_ context.Context, at time.Time, orgs []OrgMinute) error {
	if d.away != nil {
		return d.away
	}
	word := func(p Point) string {
		f := func(v *float32) string {
			if v == nil {
				return "-"
			}
			return fmt.Sprint(*v)
		}
		return f(p.Lag) + "/" + f(p.Rate)
	}
	for _, o := range orgs {
		d.kept += fmt.Sprintf("%s %s %s", at.Format("04"), o.Org, word(o.All))
		for i, id := range o.Sources {
			d.kept += " " + id + " " + word(o.Points[i])
		}
		d.kept += "; "
	}
	return nil
}

// TestHistorian: a minute is the longest lag and the mean rate of its looks, for each source
// and all above it; what nobody says is a gap, and what the diary doesn't take waits.
func TestHistorian(t *testing.T) {
	w, d := newWorld(t), &diary{}
	h, err := NewHistorian(HistorianOptions{Diary: d, Watch: func() *Snapshot { return w.w.Snapshot() }})
	if err != nil {
		t.Fatal(err)
	}
	w.now = w.now.UTC().Truncate(time.Hour)
	a, b := w.feed("330106", "a", "student", catalog.Authoritative), w.feed("330108", "b", "student", catalog.Authoritative)
	look := func(pass time.Duration, rows int64, lag float64, both bool) {
		t.Helper()
		w.now = w.now.Add(pass)
		for _, id := range []string{a, b} {
			if id == b && !both {
				continue
			}
			w.say(status.OfSource, id, "streaming", 2, rows)
			w.say(status.OfStore, id, "applying", 2, rows).Lag.SourceStore = &status.Figures{P99: lag, Count: 1}
		}
		w.look(t)
		if err := h.Look(t.Context()); !errors.Is(err, d.away) {
			t.Fatal(err)
		}
	}
	look(0, 0, 0, true)
	look(20*time.Second, 200, 7, true)
	look(20*time.Second, 800, 3, true)
	look(20*time.Second, 800, 0, false) // the next minute, and b is silent from here on
	if want := "00 33 7/26.666666; 00 3301 7/26.666666; 00 330106 7/13.333333 330106-a 7/13.333333; 00 330108 7/13.333333 330108-b 7/13.333333; "; d.kept != want {
		t.Errorf("%s\nwant\n%s", d.kept, want)
	}
	d.kept, d.away = "", errors.New("away")
	look(time.Minute, 800, 0, false)
	look(time.Minute, 800, 0, false)
	d.away = nil
	look(time.Second, 800, 0, false)
	before, after, _ := strings.Cut(d.kept, " 02 33 ")
	if !strings.Contains(before, "330108-b") || !strings.Contains(after, "330106-a") || strings.Contains(after, "330108-b") {
		t.Errorf("%s", d.kept)
	}
	d.kept, d.away = "", errors.New("away")
	for range 2 * maxWaiting {
		look(time.Minute, 800, 0, true)
	}
	d.away = nil
	if look(time.Minute, 800, 0, true); strings.Count(d.kept, "330106-a") != maxWaiting {
		t.Errorf("%d minutes wait", strings.Count(d.kept, "330106-a"))
	}
	for _, o := range []HistorianOptions{{}, {Diary: d, Watch: w.w.Snapshot, Every: time.Hour}} {
		if _, err := NewHistorian(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
