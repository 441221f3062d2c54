package desk

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/cmd/internal/language"
)

// TestCharts: a line breaks where minutes are missing, and just there it is shaded; its top is
// a round figure; the table has the median and the longest of each hour.
func TestCharts(t *testing.T) {
	until := time.Date(2026, 3, 2, 12, 0, 0, 0, time.Local)
	f := figures{v: &view{lang: language.English, zone: time.Local}, axis: axis{until.Add(-24 * time.Hour), state.Day}, until: until}
	for i := range 24 * 60 {
		if i >= 600 && i < 660 {
			continue
		}
		v := float32(3)
		if i == 700 {
			v = 95
		}
		f.past = append(f.past, state.Past{At: f.axis.from.Add(time.Duration(i) * time.Minute), Lag: &v, Top: &v})
	}
	c := f.chart("lag", lagSteps, f.v.Span, f.of(func(p *state.Past) *float32 { return p.Top }), nil)
	if fmt.Sprint(c.Y) != "[2 min 60 s 0 s]" || len(c.X) != 5 || c.X[0] != "12:00" || c.Last != "3.0 s" || c.Most != "95 s" || c.MostAt != "03-01 23:40" {
		t.Errorf("%+v", c)
	}
	if len(c.Gaps) != 1 || c.Gaps[0].X != 600 || c.Gaps[0].Width != 60 {
		t.Errorf("%+v", c.Gaps)
	}
	if want := "M0,195h1H599M660,195h1H699L700,42L701,195H1439"; c.Lines[0].Path != want {
		t.Errorf("%s, want %s", c.Lines[0].Path, want)
	}
	rows := f.rows()
	if len(rows) != 23 || !rows[0].At.Equal(until.Add(-time.Hour)) || rows[12].Most != 95 || rows[12].Lag != 3 || rows[0].Rate != -1 {
		t.Errorf("%d rows: %+v", len(rows), rows)
	}
	none := figures{v: f.v, axis: f.axis, until: until}
	if c := none.chart("lag", lagSteps, f.v.Span, nil, nil); len(c.Gaps) != 1 || c.Gaps[0].Width != chartWide || c.Lines[0].Path != "" || c.Last != "" || len(none.rows()) != 0 {
		t.Errorf("%+v", c)
	}
	one := []reading{{f.axis.from, 1}}
	if path := f.axis.path(one, 1); !strings.HasPrefix(path, "M0,0h1") {
		t.Error(path)
	}
	for most, want := range map[float64]float64{0: 1, 1: 1, 1.5: 2, 61: 120, 200000: 200000, 1234567: 2000000} {
		if got := ceiling(most, lagSteps); got != want {
			t.Errorf("%v under %v, want %v", most, got, want)
		}
	}
}
