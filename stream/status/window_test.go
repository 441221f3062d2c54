package status

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestWindowForgets(t *testing.T) {
	var w Window
	at := time.Unix(1_800_000_000, 0)
	if f := w.Figures(at); f != nil {
		t.Errorf("an empty window gives %+v", f)
	}
	w.Add(at, 40*time.Millisecond)
	w.Add(at.Add(30*time.Second), -time.Second) // a clock that runs behind
	if f := w.Figures(at.Add(30 * time.Second)); f.Count != 2 || f.Max != 0.04 || f.P50 > 1e-6 {
		t.Errorf("after 30 s: %+v", f)
	}
	if f := w.Figures(at.Add(60 * time.Second)); f.Count != 1 || f.Max != 0 {
		t.Errorf("after 60 s: %+v", f)
	}
	if f := w.Figures(at.Add(90 * time.Second)); f != nil {
		t.Errorf("after 90 s: %+v", f)
	}
	w.Add(at.Add(120*time.Second), 100*time.Hour) // in the first one's slot
	if f := w.Figures(at.Add(120 * time.Second)); f.Count != 1 || f.Max != 360_000 {
		t.Errorf("after a round: %+v", f)
	}
}

// TestWindowQuantiles: a quantile is at most a sixteenth off the true one.
func TestWindowQuantiles(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	rapid.Check(t, func(t *rapid.T) {
		var w Window
		us := rapid.SliceOfN(rapid.Int64Range(0, 1<<36), 1, 300).Draw(t, "microseconds")
		for _, v := range us {
			w.Add(at, time.Duration(v)*time.Microsecond)
		}
		slices.Sort(us)
		f := w.Figures(at)
		for q, got := range map[float64]float64{0.5: f.P50, 0.99: f.P99} {
			want := float64(us[int(math.Ceil(q*float64(len(us))))-1]) / 1e6
			if math.Abs(got-want) > want/16+1e-6 {
				t.Fatalf("quantile %g of %v is %g, want %g", q, us, got, want)
			}
		}
	})
}
