package watch

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Point is how something was in one minute: the longest lag to a store in seconds, and the
// mean of the rows per second into the log. What nobody knew is nil.
type Point struct{ Lag, Rate *float32 }

// OrgMinute is one minute of an org: of all sources below it, and of each of its own.
type OrgMinute struct {
	Org     string
	All     Point
	Sources []string
	Points  []Point // by source
}

// Diary is where minutes are kept: a state.State.
type Diary interface {
	// KeepMinute notes a minute, which begins at the given time. One that is there already
	// stays: several hubs see the same.
	KeepMinute(ctx context.Context, at time.Time, orgs []OrgMinute) error
}

// HistorianOptions says what a Historian works with. Diary and Watch are required.
type HistorianOptions struct {
	Diary Diary
	Watch func() *Snapshot
	// Every is the pause between two looks, at most a minute. Default 10s.
	Every  time.Duration
	Logger *slog.Logger
}

// Historian has the diary keep each minute of each source and of each org. It keeps no more
// than the minute that goes on and those that the diary hasn't taken.
type Historian struct {
	o       HistorianOptions
	minute  time.Time
	looked  time.Time // the moment of the last snapshot
	sources map[string]*sum
	orgs    map[string]*sum
	of      map[string]string // the org of each source
	waiting []waiting
}

// waiting is a minute that is over and not kept yet.
type waiting struct {
	at   time.Time
	orgs []OrgMinute
}

// maxWaiting bounds the minutes that wait for a diary that is away.
const maxWaiting = 10

// sum gathers the looks of a minute.
type sum struct {
	lag     float64 // -1 if nobody knew
	rate    float64
	looks   int // at the rate
	current float64
	known   bool // in the present look
}

// NewHistorian checks the options. It starts nothing.
func NewHistorian(o HistorianOptions) (*Historian, error) {
	if o.Diary == nil || o.Watch == nil {
		return nil, errors.New("historian options: Diary and Watch must be set")
	}
	if o.Every == 0 {
		o.Every = 10 * time.Second
	}
	if o.Every < 0 || o.Every > time.Minute {
		return nil, errors.New("historian options: Every must be above 0 and at most 1m")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	h := &Historian{o: o}
	h.begin(time.Time{})
	return h, nil
}

func (h *Historian) begin(minute time.Time) {
	h.minute, h.sources, h.orgs, h.of = minute, map[string]*sum{}, map[string]*sum{}, map[string]string{}
}

// Run looks until ctx ends. The minute that goes on then is lost.
func (h *Historian) Run(ctx context.Context) {
	Repeat(ctx, h.o.Every, h.o.Logger, "history", h.Look)
}

// Look adds the newest snapshot to its minute, and has those that are over kept. While not
// all states have been read nothing is noted: the minute is a gap.
func (h *Historian) Look(ctx context.Context) error {
	s := h.o.Watch()
	if minute := s.At.UTC().Truncate(time.Minute); !s.At.IsZero() && minute != h.minute {
		if len(h.sources) > 0 {
			h.waiting = append(h.waiting, waiting{h.minute, h.over()})
			h.waiting = h.waiting[max(0, len(h.waiting)-maxWaiting):]
		}
		h.begin(minute)
	}
	if s.Ready && s.At != h.looked {
		h.looked = s.At
		h.add(s)
	}
	for len(h.waiting) > 0 {
		if err := h.o.Diary.KeepMinute(ctx, h.waiting[0].at, h.waiting[0].orgs); err != nil {
			return err
		}
		h.waiting = h.waiting[1:]
	}
	return nil
}

// add notes a look. What a silent agent said last is no figure of now.
func (h *Historian) add(s *Snapshot) {
	for _, x := range s.Sources {
		if x.Log == nil || x.Log.Stale(s.At) {
			continue
		}
		h.of[x.ID] = x.Org.Code
		sumOf(h.sources, x.ID).see(x.Lag, x.Rate)
		for o := s.orgs[x.Org.Code]; o != nil; o = s.orgs[o.Parent] {
			sumOf(h.orgs, o.Code).see(x.Lag, x.Rate)
		}
	}
	for _, sums := range []map[string]*sum{h.sources, h.orgs} {
		for _, m := range sums {
			m.end()
		}
	}
}

func sumOf(sums map[string]*sum, key string) *sum {
	m := sums[key]
	if m == nil {
		m = &sum{lag: -1}
		sums[key] = m
	}
	return m
}

func (m *sum) see(lag, rate float64) {
	m.lag, m.current, m.known = max(m.lag, lag), m.current+rate, true
}

// end ends a look.
func (m *sum) end() {
	if m.known {
		m.rate, m.looks = m.rate+m.current, m.looks+1
	}
	m.current, m.known = 0, false
}

func (m *sum) point() (p Point) {
	if m.lag >= 0 {
		lag := float32(m.lag)
		p.Lag = &lag
	}
	if m.looks > 0 {
		rate := float32(m.rate / float64(m.looks))
		p.Rate = &rate
	}
	return p
}

// over gives the minute by org, of orgs that the tree doesn't have as well.
func (h *Historian) over() []OrgMinute {
	all := map[string]*OrgMinute{}
	org := func(code string) *OrgMinute {
		m := all[code]
		if m == nil {
			m = &OrgMinute{Org: code}
			all[code] = m
		}
		return m
	}
	for code, m := range h.orgs {
		org(code).All = m.point()
	}
	for id, m := range h.sources {
		o := org(h.of[id])
		o.Sources, o.Points = append(o.Sources, id), append(o.Points, m.point())
	}
	out := make([]OrgMinute, 0, len(all))
	for _, m := range all {
		out = append(out, *m)
	}
	slices.SortFunc(out, func(a, b OrgMinute) int { return strings.Compare(a.Org, b.Org) })
	return out
}
