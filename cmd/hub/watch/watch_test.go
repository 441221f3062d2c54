package watch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/status"
)

// world is a tree, a board and one store with what a test says.
type world struct {
	now      time.Time
	orgs     []catalog.Org
	feeds    []catalog.Registered
	records  []status.Record
	complete []postgres.Complete
	troubles []postgres.Trouble
	away     error
	w        *Watch
}

func (w *world) Newest() (all []*status.Record) {
	for _, r := range w.records {
		all = append(all, &r)
	}
	return all
}
func (w *world) Readings() []status.Reading { return nil }
func (w *world) Orgs(context.Context, []string) ([]catalog.Org, error) {
	return w.orgs, w.away
}
func (w *world) Registered(context.Context) ([]catalog.Registered, error) { return w.feeds, w.away }
func (w *world) Complete(context.Context) ([]postgres.Complete, error)    { return w.complete, w.away }
func (w *world) Troubles(context.Context) ([]postgres.Trouble, error)     { return w.troubles, w.away }

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{now: time.Unix(1_800_000_000, 0), orgs: []catalog.Org{
		{Code: "33", Name: "浙江省", Kind: catalog.Province, Path: "33/"},
		{Code: "3301", Parent: "33", Name: "杭州市", Kind: catalog.City, Path: "33/3301/"},
		{Code: "330106", Parent: "3301", Name: "西湖区", Kind: catalog.District, Path: "33/3301/330106/"},
		{Code: "330108", Parent: "3301", Name: "滨江区", Kind: catalog.District, Path: "33/3301/330108/"},
		{Code: "3302", Parent: "33", Name: "宁波市", Kind: catalog.City, Path: "33/3302/"}}}
	var err error
	if w.w, err = New(Options{Board: w, Register: w, Stores: []Store{{Name: "city", Viewer: w}}, Now: func() time.Time { return w.now }}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) look(t *testing.T) *Snapshot {
	t.Helper()
	w.w.Ask(t.Context())
	w.w.Look()
	return w.w.Snapshot()
}

func (w *world) feed(org, name, dataset string, standing catalog.Standing) string {
	source := org + "-" + name
	i := slices.IndexFunc(w.orgs, func(o catalog.Org) bool { return o.Code == org })
	w.feeds = append(w.feeds, catalog.Registered{Source: source, Org: org, OrgName: w.orgs[i].Name, Path: w.orgs[i].Path, Standing: standing, Table: "a." + dataset, Dataset: dataset})
	return source
}

func (w *world) has(dataset, source string, ago time.Duration, held string) {
	until := w.now.Add(-ago)
	c := postgres.Complete{Dataset: dataset, Source: source, Until: &until}
	if held != "" {
		c.HeldBy = &held
	}
	if ago < 0 {
		c.Until = nil
	}
	w.complete = append(w.complete, c)
}

// TestComplete: a claim is the least of its approved authoritative sources, whoever holds it
// back is named with why, and nothing is claimed where one of them has never come.
func TestComplete(t *testing.T) {
	w := newWorld(t)
	a := w.feed("330106", "a", "student", catalog.Authoritative)
	b := w.feed("330108", "b", "student", catalog.Authoritative)
	c := w.feed("3302", "c", "student", catalog.Authoritative)
	w.has("student", w.feed("330108", "check", "student", catalog.Check), time.Hour, "gap")
	w.has("student", a, 5*time.Second, "")
	w.has("student", b, 10*time.Minute, "gap")
	w.has("student", "330108-retired", 24*time.Hour, "") // the store's, and not approved
	s := w.look(t)
	check := func(org string, ago time.Duration, behind string) {
		t.Helper()
		got := s.Complete(org)
		if len(got) != 1 || got[0].Dataset != "student" || got[0].Store != "city" {
			t.Fatalf("%s: %+v", org, got)
		}
		names := ""
		for _, l := range got[0].Behind {
			names += l.Source + " " + l.Why + ";"
		}
		if (got[0].Until == nil) != (ago < 0) || got[0].Until != nil && !got[0].Until.Equal(w.now.Add(-ago)) || names != behind {
			t.Errorf("%s: %v, behind %q; want %s ago, %q", org, got[0].Until, names, ago, behind)
		}
	}
	check("330106", 5*time.Second, "")
	check("3301", 10*time.Minute, "330108-b gap;")
	check("33", -1, "3302-c never;330108-b gap;")
	if got := s.Complete("99"); len(got) != 0 {
		t.Errorf("an org that isn't there: %+v", got)
	}
	w.has("student", c, 61*time.Second, "")
	s = w.look(t)
	check("33", 10*time.Minute, "330108-b gap;3302-c silent;")
	w.away = errors.New("away") // what was proved stays so, and falls behind
	w.now = w.now.Add(2 * time.Minute)
	s = w.look(t)
	check("330106", 2*time.Minute+5*time.Second, "330106-a silent;")
	if s.StoreErrors[0] == "" {
		t.Error("a store that is away isn't told")
	}
}

// TestCompleteIsTheLeast: over random trees and shares a claim is never beyond what any
// source has, and there whenever all have something.
func TestCompleteIsTheLeast(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		w := newWorld(t)
		least := map[string]time.Duration{}
		for i := range 1 + r.IntN(20) {
			o := w.orgs[r.IntN(len(w.orgs))]
			source := w.feed(o.Code, fmt.Sprint("s", i), "d", catalog.Authoritative)
			ago := time.Duration(r.IntN(300)) * time.Second
			if r.IntN(10) == 0 {
				ago = -1
			}
			if r.IntN(8) > 0 || ago < 0 {
				w.has("d", source, ago, "")
			} else {
				ago = -1 // the store has nothing of it
			}
			for _, up := range w.orgs {
				if catalog.Within(o.Path, up.Path) {
					if old, ok := least[up.Code]; !ok || old >= 0 && (ago < 0 || ago > old) {
						least[up.Code] = ago
					}
				}
			}
		}
		s := w.look(t)
		for org, ago := range least {
			got := s.Complete(org)
			if len(got) != 1 || (got[0].Until == nil) != (ago < 0) || got[0].Until != nil && !got[0].Until.Equal(w.now.Add(-ago)) {
				t.Fatalf("%s: %+v, want %s ago", org, got, ago)
			}
		}
	}
}

func (w *world) say(kind status.Kind, source, state string, offset uint64, rows int64) *status.Record {
	for i := range w.records {
		if r := &w.records[i]; r.Kind == kind && r.Source == source {
			r.State, r.Position.Offset, r.Rows, r.Written = state, offset, rows, w.now
			return r
		}
	}
	r := status.Record{Kind: kind, Org: source[:6], Source: source, Program: "p", State: state, Position: event.Position{Epoch: 1, Place: event.Place{Offset: offset}}, Rows: rows, Written: w.now, Within: 10}
	if kind == status.OfStore {
		r.Store = "city"
	}
	w.records = append(w.records, r)
	return &w.records[len(w.records)-1]
}

// TestFigures: rates, backlog and the time to catch up follow from what both ends count, and
// are unknown until both stood at the same place in one run of their programs.
func TestFigures(t *testing.T) {
	w := newWorld(t)
	const id = "330106-a"
	step := func(seconds int, log, store uint64, logRows, storeRows int64) *Flow {
		t.Helper()
		w.now = w.now.Add(time.Duration(seconds) * time.Second)
		w.say(status.OfSource, id, "streaming", log, logRows).Bytes = 20 * logRows
		w.say(status.OfStore, id, "applying", store, storeRows)
		return &w.look(t).Source([]string{""}, id).Flows[0]
	}
	if f := step(0, 20, 10, 1000, 5); f.Behind != -1 || f.BehindBytes != -1 || f.CatchUp != -1 {
		t.Errorf("a backlog that nobody can know: %+v", f)
	}
	if f := step(2, 30, 30, 2000, 905); f.Behind != 0 || f.BehindBytes != 0 || f.CatchUp != 0 || f.Rate != 450 {
		t.Errorf("at the same place: %+v", f)
	}
	if f := step(2, 40, 35, 3000, 1205); f.Behind != 700 || f.BehindBytes != 14_000 || f.CatchUp != -1 || f.Tone != Good {
		t.Errorf("falling behind: %+v", f)
	}
	if f := step(2, 41, 36, 3100, 1705); f.Behind != 300 || f.CatchUp != 1.5 {
		t.Errorf("catching up: %+v", f)
	}
	if f := step(100, 42, 36, 3200, 1705); f.Lag != 90 || f.Tone != Bad || f.State != Late {
		t.Errorf("stuck: %+v", f)
	}
	if f := step(2, 50, 37, 3300, 7); f.Behind != -1 || f.BehindBytes != -1 {
		t.Errorf("after a restart of the worker: %+v", f)
	}
	if x := w.w.Snapshot().Source([]string{""}, id); x.Rate != 50 {
		t.Errorf("%v rows per second into the log", x.Rate)
	}
	w.troubles = []postgres.Trouble{{Source: id, Held: 7}}
	if f := step(2, 51, 51, 3400, 100); f.Held != 7 || f.Tone != Wait || f.State != "halted" {
		t.Errorf("rows of a halted table wait: %+v", f)
	}
	w.troubles = nil
	left := 100.0
	w.say(status.OfSource, id, "streaming", 51, 3400).LogLeft = &left
	w.now = w.now.Add(time.Minute)
	if x := w.look(t).Source([]string{""}, id); x.Left != 40 {
		t.Errorf("its log is kept for %v s", x.Left)
	}
	if x := w.look(t).Source([]string{""}, id); x.Tone != Bad || x.State != Silent || x.Rate != 0 {
		t.Errorf("silent: %+v", x)
	}
}

// TestBusy: of a source that is written all the time both ends never stand at the same place. Its
// backlog is known within what came between two words of its agent, and better with each.
func TestBusy(t *testing.T) {
	w := newWorld(t)
	const id, ahead = "330106-a", 4321 // the agent had counted so many before the worker began
	for i, slack := range []int64{0, 500, 500, 250, 250, 250, 100} {
		w.now = w.now.Add(2 * time.Second)
		at := uint64(1000 * (i + 1)) // a row each
		lacks := []uint64{300, 600, 100, 300, 700, 800, 50}[i]
		w.say(status.OfSource, id, "streaming", at, int64(at)+ahead)
		w.say(status.OfStore, id, "applying", at-lacks, int64(at-lacks))
		f := &w.look(t).Source([]string{""}, id).Flows[0]
		if off := f.Behind - int64(lacks); i == 0 && f.Behind != -1 || i > 0 && max(off, -off) > slack {
			t.Errorf("%d: %d rows behind, which are %d", i, f.Behind, lacks)
		}
	}
}

// TestUnread: of a source that can't be read nobody knows how late it is, but since when; a hub
// that starts anew knows it from the stores.
func TestUnread(t *testing.T) {
	w := newWorld(t)
	id := w.feed("330106", "a", "student", catalog.Authoritative)
	look := func(after time.Duration, state string) *Source {
		t.Helper()
		w.now = w.now.Add(after)
		w.records = w.records[:0]
		w.say(status.OfSource, id, state, 5, 5)
		w.say(status.OfStore, id, "applying", 5, 5)
		return w.look(t).Source([]string{""}, id)
	}
	if x := look(0, "streaming"); x.Lag != 0 || x.Tone != Good {
		t.Errorf("it is read, and nothing is there: %+v", x)
	}
	if x := look(time.Hour, "retrying"); x.Lag != 0 || x.Tone != Wait {
		t.Errorf("just now: %+v", x)
	}
	if x := look(50*time.Second, "retrying"); x.Lag != 50 || x.Tone != Wait {
		t.Errorf("not for long: %+v", x)
	}
	if x := look(20*time.Second, "starting"); x.Lag != 70 || x.Tone != Bad || x.State != Late {
		t.Errorf("longer than is promised: %+v", x)
	}
	for _, state := range []string{"gap", "paused", "stopped", "failed"} {
		if x := look(time.Second, state); x.Lag != -1 || !x.Unread.IsZero() {
			t.Errorf("%s: %+v", state, x)
		}
	}
	w.has("student", id, 10*time.Minute, "")
	if x := look(0, "retrying"); x.Lag != 600 || x.State != Late {
		t.Errorf("a hub that has just started: %+v", x)
	}
	w.complete = nil
	w.has("student", id, 10*time.Minute, "halted")
	if x := look(time.Second, "retrying"); x.Lag != 1 || x.Tone != Wait {
		t.Errorf("a moment that is held back says nothing of the source: %+v", x)
	}
	if x := look(time.Hour, "streaming"); x.Lag != 0 || !x.Unread.IsZero() {
		t.Errorf("read again: %+v", x)
	}
}

// TestCameLate: what came late, and is there, isn't late any more, although the lag of the last
// minute is; what is still on its way is.
func TestCameLate(t *testing.T) {
	w := newWorld(t)
	id := w.feed("330106", "a", "student", catalog.Authoritative)
	look := func(log, store uint64, newest time.Duration, want string) {
		t.Helper()
		w.records = w.records[:0]
		w.say(status.OfSource, id, "streaming", log, 5)
		w.say(status.OfStore, id, "applying", store, 5)
		r := &w.records[1]
		r.Lag.SourceStore = &status.Figures{P99: 3 * 3600, Count: 9}
		r.Applied, r.Committed = w.now, w.now.Add(-newest)
		if x := w.look(t).Source([]string{""}, id); x.State != want || x.Lag < 3*3600 {
			t.Errorf("%d of %d, the newest %s old: %s, lag %.0f s; want %s", store, log, newest, x.State, x.Lag, want)
		}
	}
	look(9, 9, 3*time.Hour, Late) // more may wait at the source
	look(9, 5, time.Second, Late) // or in the log
	look(9, 9, time.Second, "streaming")
	w.has("student", id, 2*time.Hour, "")
	look(9, 9, 3*time.Hour, Late)
	w.complete = nil
	w.has("student", id, 10*time.Second, "gap") // which says nothing of this source's way
	look(9, 9, 3*time.Hour, Late)
	w.complete = nil
	w.has("student", id, 10*time.Second, "")
	look(9, 9, 3*time.Hour, "streaming")
	look(9, 5, 3*time.Hour, "streaming")
}

// TestTree: sums, order, filters, pages, and what a reader may see.
func TestTree(t *testing.T) {
	w := newWorld(t)
	states := []string{"streaming", "streaming", "retrying", "gap", "stopped"}
	for i := range 120 {
		org := []string{"330106", "330108"}[i%2]
		id := w.feed(org, fmt.Sprintf("s%03d", i), "student", catalog.Authoritative)
		w.say(status.OfSource, id, states[i%len(states)], 5, 5)
		w.say(status.OfStore, id, "applying", 5, 5)
	}
	w.feed("3302", "quiet", "student", catalog.Authoritative)
	w.say(status.OfSource, "999999-stray", "streaming", 1, 1)
	s := w.look(t)
	all := s.Tree(Query{Scopes: []string{""}})
	if all.Here == nil || all.Here.Code != "33" || all.Here.Sources != 121 || all.Found != 122 || all.Pages != 3 || len(all.Sources) != PageSize || all.Here.Tones[Bad] != 24 || all.Below[0].Code != "3301" || all.Tones[Bad] != 24 {
		t.Errorf("%+v", all)
	}
	if all.Sources[0].Tone != Bad || all.Sources[0].State != "gap" || all.Sources[24].Tone != Wait || all.Here.Worst() != Bad {
		t.Error("the worst isn't first")
	}
	city := s.Tree(Query{Scopes: []string{""}, Org: "3301", State: "gap", Page: 99})
	if city.Found != 24 || city.Page != 0 || len(city.Up) != 1 || city.Up[0].Code != "33" || len(city.Below) != 2 {
		t.Errorf("%+v", city)
	}
	if got := s.Tree(Query{Scopes: []string{""}, Text: "滨江", Tone: "quiet"}); got.Found != 12 {
		t.Errorf("%d found", got.Found)
	}
	if got := s.Tree(Query{Scopes: []string{""}, Text: "S003"}); got.Found != 1 || got.Sources[0].ID != "330108-s003" {
		t.Errorf("%+v", got)
	}
	district := []string{"33/3301/330106/"}
	own := s.Tree(Query{Scopes: district})
	if own.Here == nil || own.Here.Code != "330106" || own.Found != 60 || len(own.Up) != 0 || own.Tones != [4]int{24, 12, 12, 12} {
		t.Errorf("%+v", own)
	}
	if s.Tree(Query{Scopes: district, Org: "3301"}) != nil || s.Source(district, "330108-s001") != nil || s.Source(district, "999999-stray") != nil || s.Org(district, "33") != nil || s.Source(district, "330106-s000") == nil {
		t.Error("a district sees what it mustn't")
	}
	if none := s.Tree(Query{}); none.Found != 0 || none.Here != nil {
		t.Errorf("no scope at all: %+v", none)
	}
	two := s.Tree(Query{Scopes: []string{"33/3301/330106/", "33/3302/"}})
	if two.Here != nil || len(two.Below) != 2 || two.Found != 61 {
		t.Errorf("two parts: %+v", two)
	}
	if got := s.Source([]string{""}, "3302-quiet"); got.State != Unheard || got.Tone != Wait {
		t.Errorf("a source that nobody has heard of: %+v", got)
	}
}

// TestStoresOfCities: nothing is expected of a source in the store of another city: it isn't
// unheard of there, and holds nothing back; what such a store has nevertheless counts.
func TestStoresOfCities(t *testing.T) {
	w := newWorld(t)
	var err error
	var said bytes.Buffer
	if w.w, err = New(Options{Board: w, Register: w, Stores: []Store{{"city", w, []string{"3301"}}, {"ningbo", &world{}, []string{"3302", "gone"}}}, Now: func() time.Time { return w.now }, Logger: slog.New(slog.NewTextHandler(&said, nil))}); err != nil {
		t.Fatal(err)
	}
	a, b := w.feed("330106", "a", "student", catalog.Authoritative), w.feed("3302", "b", "student", catalog.Authoritative)
	w.has("student", a, 5*time.Second, "")
	for _, id := range []string{a, b} {
		w.say(status.OfSource, id, "streaming", 5, 5)
	}
	w.say(status.OfStore, a, "applying", 5, 5)
	s := w.look(t)
	x, y := s.Source([]string{""}, a), s.Source([]string{""}, b)
	if x.Tone != Good || x.Flows[0].Apart || !x.Flows[1].Apart || y.State != Unheard || !y.Flows[0].Apart || y.Flows[1].Apart {
		t.Errorf("%+v, %+v", x, y)
	}
	if got := s.Complete("33"); len(got) != 2 || got[0].Until == nil || got[0].Sources != 1 || got[1].Until != nil || len(got[1].Behind) != 1 || got[1].Behind[0].Source != b {
		t.Errorf("%+v", got)
	}
	if got := s.Complete("3301"); len(got) != 1 || got[0].Store != "city" {
		t.Errorf("a city's own: %+v", got)
	}
	w.say(status.OfStore, b, "applying", 5, 5) // by a worker of the other city
	w.has("student", b, time.Hour, "gap")
	s = w.look(t)
	if text := said.String(); strings.Count(text, "orgs=[gone]") != 1 || strings.Contains(text, "3302") {
		t.Errorf("a store's org that the tree doesn't have: %s", text)
	}
	if got := s.Complete("33"); s.Source([]string{""}, b).Flows[0].Apart || got[0].Sources != 2 || len(got[0].Behind) != 1 {
		t.Errorf("%+v", got)
	}
}

// TestPromised: a source is late by the strictest promise for its datasets.
func TestPromised(t *testing.T) {
	w := newWorld(t)
	w.w.o.Promised = map[string]time.Duration{"score": 10 * time.Second, "archive": time.Hour}
	for dataset, late := range map[string][2]bool{"score": {true, true}, "student": {false, true}, "archive": {false, false}} { // after 30 s, after 90 s
		id := w.feed("330106", dataset, dataset, catalog.Authoritative)
		for i, lag := range []float64{30, 90} {
			w.say(status.OfSource, id, "streaming", 5, 5)
			w.say(status.OfStore, id, "applying", 5, 5).Lag.SourceStore = &status.Figures{P99: lag, Count: 1}
			if x := w.look(t).Source([]string{""}, id); (x.State == Late) != late[i] {
				t.Errorf("%s after %v s: %s, promised %v", dataset, lag, x.State, x.Promised)
			}
		}
	}
	w.feeds = append(w.feeds, catalog.Registered{Source: "330106-archive", Org: "330106", Path: "33/3301/330106/", Standing: catalog.Authoritative, Table: "a.score", Dataset: "score"})
	if x := w.look(t).Source([]string{""}, "330106-archive"); x.State != Late || x.Promised != 10 {
		t.Errorf("with two datasets: %+v", x)
	}
}
