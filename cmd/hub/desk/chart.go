package desk

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/state"
)

// chart is a figure over time in a box of chartWide × chartHigh, drawn by the server: the
// pages' policy lets no script draw into them, and a picture is there without one. What
// nobody knew is a gap in the line, and shaded.
type chart struct {
	Name  string // of its texts
	Lines []line // the higher one first
	Gaps  []segment
	Y     []string // from the top
	X     []string // from the left
	// Last is the newest figure, Most the highest, with when it was; empty if nothing is known.
	Last, Most, MostAt string
}

// line is a path with its style.
type line struct{ Style, Path string }

const (
	chartWide = 1440
	chartHigh = 200
)

// reading is a figure at a moment.
type reading struct {
	at    time.Time
	value float64
}

// axis is the time that a chart shows.
type axis struct {
	from time.Time
	span state.Span
}

func (a axis) x(at time.Time) float64 {
	return chartWide * float64(at.Sub(a.from)) / float64(a.span.Length)
}

// path draws a line, in pieces where steps are missing. Of steps with one height only the
// ends are drawn.
func (a axis) path(all []reading, top float64) string {
	var b strings.Builder
	last := time.Time{}
	var x, y, drawn int
	for i, k := range all {
		nx, ny := int(a.x(k.at)), int(chartHigh-chartHigh*min(1, k.value/top)+0.5)
		joined := i > 0 && k.at.Sub(last) <= a.span.Step*3/2
		if i > 0 && (!joined || ny != y) && drawn != x {
			fmt.Fprintf(&b, "H%d", x)
			drawn = x
		}
		switch {
		case !joined: // a step by itself is to be seen, too
			fmt.Fprintf(&b, "M%d,%dh1", nx, ny)
			drawn = nx + 1
		case ny != y:
			fmt.Fprintf(&b, "L%d,%d", nx, ny)
			drawn = nx
		}
		x, y, last = max(nx, drawn), ny, k.at
	}
	if len(all) > 0 && drawn != x {
		fmt.Fprintf(&b, "H%d", x)
	}
	return b.String()
}

// gaps are the times of which nothing is known.
func (a axis) gaps(all []reading, until time.Time) (out []segment) {
	add := func(from, to time.Time) {
		if to.Sub(from) > a.span.Step*3/2 {
			x := max(0, a.x(from))
			out = append(out, segment{X: x, Width: a.x(to) - x})
		}
	}
	end := a.from
	for _, k := range all {
		add(end, k.at)
		end = k.at.Add(a.span.Step)
	}
	if left := until.Sub(end); left > 2*a.span.Step+2*time.Minute { // the present step isn't over
		add(end, until)
	}
	return out
}

// ceiling is the round number at the top of a chart; steps are those of its unit.
func ceiling(most float64, steps []float64) float64 {
	for _, s := range steps {
		if most <= s {
			return s
		}
	}
	unit := math.Pow(10, math.Floor(math.Log10(most)))
	for _, m := range []float64{1, 2, 5} {
		if most <= m*unit {
			return m * unit
		}
	}
	return 10 * unit
}

// lagSteps are round lengths of time in seconds.
var lagSteps = []float64{1, 2, 4, 10, 20, 60, 120, 240, 600, 1200, 3600, 7200, 14400, 43200, 86400, 172800}

// rateSteps are round numbers of rows per second.
var rateSteps = []float64{1, 2, 4, 10}

// figures are what charts are drawn of.
type figures struct {
	v     *view
	axis  axis
	until time.Time
	past  []state.Past
}

// of gives the figures of a field that are known.
func (f *figures) of(field func(*state.Past) *float32) (out []reading) {
	for i := range f.past {
		if v := field(&f.past[i]); v != nil && !f.past[i].At.Before(f.axis.from) {
			out = append(out, reading{f.past[i].At, float64(*v)})
		}
	}
	return out
}

// chart draws a figure, with what is below it if there is another.
func (f *figures) chart(name string, steps []float64, tell func(float64) string, high []reading, low []reading) chart {
	c := chart{Name: name, Gaps: f.axis.gaps(high, f.until)}
	top, most := 1.0, reading{value: -1}
	for _, k := range high {
		if k.value > most.value {
			most = k
		}
	}
	if len(high) > 0 {
		top = ceiling(most.value, steps)
		c.Last, c.Most, c.MostAt = tell(high[len(high)-1].value), tell(most.value), f.v.Moment(most.at)
	}
	c.Lines = []line{{"high", f.axis.path(high, top)}}
	if low != nil {
		c.Lines = append(c.Lines, line{"low", f.axis.path(low, top)})
	}
	for _, part := range []float64{1, 0.5, 0} {
		c.Y = append(c.Y, tell(part*top))
	}
	for i := range 5 {
		at := f.v.here(f.axis.from.Add(f.axis.span.Length * time.Duration(i) / 4))
		if f.axis.span == state.Day {
			c.X = append(c.X, at.Format("15:04"))
		} else {
			c.X = append(c.X, at.Format("01-02"))
		}
	}
	return c
}

// pastRow is a row of the table beside the charts: an hour, or a day.
type pastRow struct {
	At              time.Time
	Lag, Most, Rate float64 // -1 if nobody knew
}

// rows are the hours or days of the history, the newest first.
func (f *figures) rows() (out []pastRow) {
	begin := func(at time.Time) time.Time {
		at = f.v.here(at)
		hour := at.Hour()
		if f.axis.span == state.Month {
			hour = 0
		}
		return time.Date(at.Year(), at.Month(), at.Day(), hour, 0, 0, 0, f.v.zone)
	}
	for from := 0; from < len(f.past); {
		at, to := begin(f.past[from].At), from+1
		for to < len(f.past) && begin(f.past[to].At).Equal(at) {
			to++
		}
		part := figures{v: f.v, axis: f.axis, past: f.past[from:to]}
		row := pastRow{at, -1, -1, -1}
		if lags := part.of(func(p *state.Past) *float32 { return p.Lag }); len(lags) > 0 {
			slices.SortFunc(lags, func(a, b reading) int { return int(math.Copysign(1, a.value-b.value)) })
			row.Lag = lags[(len(lags)-1)/2].value
		}
		for _, k := range part.of(func(p *state.Past) *float32 { return p.Top }) {
			row.Most = max(row.Most, k.value)
		}
		if rates := part.of(func(p *state.Past) *float32 { return p.Rate }); len(rates) > 0 {
			row.Rate = 0
			for _, k := range rates {
				row.Rate += k.value / float64(len(rates))
			}
		}
		out, from = append(out, row), to
	}
	slices.Reverse(out)
	return out
}
