package console

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/cmd/internal/language"
	"github.com/tributary-cdc/tributary/stream/status"
)

// maxFlows bounds the rows of the table; those in trouble come first.
const maxFlows = 200

// Tones of what is shown; the words say the same without colour.
const (
	good  = "good"
	wait  = "wait"
	bad   = "bad"
	quiet = "quiet"
)

// view is everything that changes while the page is open.
type view struct {
	T       words
	Tone    string
	Summary string
	Empty   bool // nobody has reported yet
	Linked  bool // sources have pages of their own
	// Unmade are orgs that have no topics yet, since nothing is registered for them; Nothing
	// says that these are all.
	Unmade  []string
	Nothing bool
	Trouble []problem
	Stores  []string
	Flows   []flow
	More    int
	Whole   bool // a source gives whole seconds
	Loads   []load
	// MoreLoads counts loads that aren't listed.
	MoreLoads int
	Recent    []transaction
	Failed    []problem // stores that can't be read
}

// flow is one source and its ways into the stores.
type flow struct {
	Source string
	State  pill
	Log    lagCell
	Stores []storeCell
	Last   moment
	Txns   string
	Rows   string

	rank int
}

type pill struct{ Tone, Text string }

// storeCell is a source's way into one store.
type storeCell struct {
	State pill
	Lag   lagCell
}

// lagCell is a stage's figures. Without any, None says so.
type lagCell struct {
	P50, P99   string
	None       bool
	Why        string  // there are none
	X, Width   float64 // of the bar, on the scale
	WholeNotes string
}

// moment is a time for people and for machines.
type moment struct{ Text, Full, Machine string }

// look gathers the view.
func (c *Console) look(ctx context.Context, lang language.Language) *view {
	t, now := texts[lang], time.Now()
	part := partOf(ctx)
	records := c.records(part)
	for i := range records {
		r := &records[i]
		for _, at := range []*time.Time{&r.Committed, &r.Logged, &r.Applied, &r.Written} {
			*at = at.In(c.o.Zone)
		}
		for k := range r.Loads {
			r.Loads[k].Resumes = r.Loads[k].Resumes.In(c.o.Zone)
		}
	}
	v := &view{Linked: menuOf(ctx) != nil, T: t, Empty: len(records) == 0, Stores: c.storeNames(records)}
	v.unmade(c.o.Board.Readings(), part)
	v.Trouble = c.problems(part, records, lang, now)
	v.Flows = flows(records, v.Stores, t, now)
	v.Loads, v.MoreLoads = loads(records, lang, now)
	v.Whole = slices.ContainsFunc(v.Flows, func(f flow) bool { return f.Log.WholeNotes != "" })
	if n := len(v.Flows); n > maxFlows {
		v.Flows, v.More = v.Flows[:maxFlows], n-maxFlows
	}
	v.Recent, v.Failed = c.transactions(ctx, t)
	v.Trouble = append(v.Trouble, v.Failed...)
	v.sum(t)
	return v
}

// unmade notes orgs without topics, at most 20 by name.
func (v *view) unmade(topics []status.Reading, part Part) {
	seen, missing := 0, 0
	for _, r := range topics {
		if !part.sees(r.Org) {
			continue
		}
		seen++
		if !r.Missing {
			continue
		}
		if missing++; missing <= maxPlaces {
			v.Unmade = append(v.Unmade, cmp.Or(r.Org, r.Topic))
		}
	}
	v.Nothing = v.Empty && missing > 0 && missing == seen
}

// sum says how all is, in one line.
func (v *view) sum(t words) {
	worst := good
	for _, p := range v.Trouble {
		if p.Tone == bad || worst == good {
			worst = p.Tone
		}
	}
	v.Tone = worst
	switch {
	case len(v.Trouble) > 0:
		v.Summary = fmt.Sprintf("%d %s", len(v.Trouble), t.Trouble)
	case v.Nothing:
		v.Tone, v.Summary = quiet, t.Nothing
	case v.Empty:
		v.Tone, v.Summary = quiet, t.NoRecords
	default:
		v.Summary = t.AllWell
	}
}

// storeNames are the configured stores, then those that only records name.
func (c *Console) storeNames(records []status.Record) []string {
	var names []string
	for _, s := range c.o.Stores {
		names = append(names, s.Name)
	}
	var others []string
	for _, r := range records {
		if r.Kind != status.OfSource && !slices.Contains(names, r.Store) && !slices.Contains(others, r.Store) {
			others = append(others, r.Store)
		}
	}
	slices.Sort(others)
	return append(names, others...)
}

func flows(records []status.Record, stores []string, t words, now time.Time) []flow {
	at := map[string]int{}
	var out []flow
	of := func(source string) *flow {
		i, ok := at[source]
		if !ok {
			i = len(out)
			at[source] = i
			out = append(out, flow{Source: source, State: pill{quiet, t.NoWord}, Log: lagCell{None: true, Why: t.NoTraffic}, Stores: make([]storeCell, len(stores))})
			for k := range stores {
				out[i].Stores[k] = storeCell{State: pill{quiet, t.NoWord}, Lag: lagCell{None: true, Why: t.NoTraffic}}
			}
		}
		return &out[i]
	}
	for i := range records {
		r := &records[i]
		switch r.Kind {
		case status.OfSource:
			f := of(r.Source)
			f.State = pillOf(r, t, now)
			if !r.Stale(now) {
				f.Log = lagOf(r.Lag.SourceLog, r.WholeSeconds, t)
			}
			f.Last, f.Txns, f.Rows = ago(r.Committed, now, t), grouped(r.Txns), grouped(r.Rows)
			f.rank += rank(f.State.Tone)
		case status.OfStore:
			f := of(r.Source)
			k := slices.Index(stores, r.Store)
			f.Stores[k] = storeCell{State: pillOf(r, t, now), Lag: lagCell{None: true, Why: t.NoTraffic}}
			if !r.Stale(now) {
				f.Stores[k].Lag = lagOf(r.Lag.LogStore, false, t)
			}
			f.rank += rank(f.Stores[k].State.Tone)
		}
	}
	slices.SortStableFunc(out, func(a, b flow) int { return cmp.Or(cmp.Compare(b.rank, a.rank), strings.Compare(a.Source, b.Source)) })
	return out
}

func rank(tone string) int { return map[string]int{bad: 100, wait: 1}[tone] }

// pillOf gives a record's state in words and tone.
func pillOf(r *status.Record, t words, now time.Time) pill {
	state, tone := r.State, wait // of a state that this version doesn't know, too
	switch {
	case r.Stale(now):
		state, tone = "silent", bad
	case r.NeedsPerson || state == "gap" || state == "fenced" || state == "failed":
		tone = bad
	case state == "stopped" || state == "waiting" || state == "paused":
		tone = quiet
	case (state == "streaming" || state == "applying") && len(r.Stopped) == 0 && r.Skipped == 0 && len(r.Warnings) == 0:
		tone = good
	}
	text, ok := t.States[state]
	if !ok {
		text = state
	}
	return pill{tone, text}
}

// lagOf places figures on a logarithmic scale from 1 ms to 100 s, 100 wide.
func lagOf(f *status.Figures, whole bool, t words) lagCell {
	if f == nil {
		return lagCell{None: true, Why: t.NoTraffic}
	}
	place := func(seconds float64) float64 { return min(100, max(0, 20*math.Log10(max(seconds, 1e-9)*1000))) }
	c := lagCell{P50: seconds(f.P50), P99: seconds(f.P99), X: place(f.P50)}
	c.Width = max(3, place(f.P99)-c.X)
	c.X = min(c.X, 100-c.Width)
	if whole {
		c.WholeNotes = t.WholeSecond
	}
	return c
}

// seconds prints a time so that columns of them can be compared.
func seconds(s float64) string {
	switch {
	case s < 0.001:
		return "<0.001"
	case s < 10:
		return fmt.Sprintf("%.3f", s)
	case s < 100:
		return fmt.Sprintf("%.1f", s)
	}
	return fmt.Sprintf("%.0f", s)
}

// grouped prints a number with its thousands apart, by a narrow no-break space.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// ago says how long ago something was.
func ago(at, now time.Time, t words) moment {
	if at.IsZero() {
		return moment{}
	}
	d := max(0, now.Sub(at))
	text := ""
	switch {
	case d < 2*time.Minute:
		text = fmt.Sprintf(t.SecondsAgo, int(d.Seconds()))
	case d < 2*time.Hour:
		text = fmt.Sprintf(t.MinutesAgo, int(d.Minutes()))
	case d < 48*time.Hour:
		text = fmt.Sprintf(t.HoursAgo, int(d.Hours()))
	default:
		text = fmt.Sprintf(t.DaysAgo, int(d.Hours()/24))
	}
	m := clock(at)
	m.Text = text
	return m
}

// clock gives a time of day to the millisecond, in the time's own zone.
func clock(at time.Time) moment {
	return moment{Text: at.Format("15:04:05.000"), Full: at.Format("2006-01-02 15:04:05.000 -07:00"), Machine: at.UTC().Format(time.RFC3339Nano)}
}
