package state

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/alarm"
	"github.com/tributary-cdc/tributary/cmd/hub/watch"
	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/test/servers"
)

// testEvents: what changes is an event once, whoever tells it; audit and alarms stand among
// them as far as the reader may see them; pages go on where the last one ended; nothing is
// changed, and nothing removed before its time.
func testEvents(t *testing.T, db servers.DB) {
	r := settled(t, db)
	const id = "330106-xueji"
	district := []string{"33/3301/330106/"}
	base := watch.Face{Source: id, Org: "330106", Path: district[0], State: "streaming", Epoch: 7, Program: "agent", Version: "1.0"}
	keep := func(change func(f *watch.Face)) {
		t.Helper()
		f := base
		f.Stopped = map[string]string{}
		change(&f)
		ok(t, r.KeepFaces(t.Context(), []watch.Face{f}))
		ok(t, r.KeepFaces(t.Context(), []watch.Face{f})) // another hub
		r.pass(time.Second)
	}
	told := func(scopes []string) (out string) {
		t.Helper()
		all, err := r.Timeline(t.Context(), scopes, id, "", 100)
		ok(t, err)
		for _, e := range all {
			out = fmt.Sprintf("%s %s %s>%s;", e.Kind, e.By, e.Was, e.Word) + out
		}
		return out
	}
	keep(func(*watch.Face) {})
	keep(func(f *watch.Face) { f.State, f.Code, f.Detail = "gap", "SLOT_LOST", "gone\x00" })
	keep(func(f *watch.Face) {
		f.Epoch, f.Version, f.Restarted = 8, "1.1", true
		f.Stopped["x.y"] = "TABLE_NO_KEY"
	})
	base.Epoch, base.Version = 8, "1.1"
	keep(func(*watch.Face) {})
	want := "seen  >streaming;state  streaming>gap;restart  >agent 1.1;agent  agent 1.0>agent 1.1;epoch  7>8;stopped  >x.y;state  gap>streaming;resumed  >x.y;"
	if got := told(whole); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	a := r.agent("330106")
	q, err := r.propose(a, "xueji", catalog.Check, "student")
	ok(t, err)
	_, err = r.decide("ap", q.ID, "", "student")
	ok(t, err)
	store := alarm.Alarm{Kind: alarm.Silence, Object: "store city", Sources: []string{id}}
	own := alarm.Alarm{Kind: alarm.Gap, Object: "source " + id, Org: "330106", Path: district[0], Code: "SLOT_LOST"}
	ok(t, r.KeepAlarms(t.Context(), []alarm.Alarm{store, own}))
	alarms, err := r.Alarms(t.Context(), district)
	ok(t, err)
	ok(t, r.Acknowledge(t.Context(), By{Name: "op"}, whole, alarms[0].ID, "我来处理"))
	r.pass(2 * time.Minute)
	ok(t, r.KeepAlarms(t.Context(), nil))
	for kind, seen := range map[string][2]bool{"audit ap >request.approved;": {true, true}, "audit op >alarm.acknowledge;": {true, true}, "alarm  >silence;": {true, false}, "over  >gap;": {true, true}, "over  >silence;": {true, false}} {
		if got := told(whole); strings.Contains(got, kind) != seen[0] {
			t.Errorf("%s of the whole tree: %s", kind, got)
		}
		if got := told(district); strings.Contains(got, kind) != seen[1] {
			t.Errorf("%s of the district: %s", kind, got)
		}
	}
	all, err := r.Timeline(t.Context(), whole, id, "", 100)
	ok(t, err)
	var pages []Event
	for place := ""; ; place = pages[len(pages)-1].Place {
		some, err := r.Timeline(t.Context(), whole, id, place, 3)
		ok(t, err)
		if pages = append(pages, some...); len(some) < 3 {
			break
		}
	}
	if fmt.Sprint(pages) != fmt.Sprint(all) {
		t.Errorf("by pages %v\nwant %v", pages, all)
	}
	for _, bad := range []string{"x", "1", "y-1"} {
		_, err := r.Timeline(t.Context(), whole, id, bad, 3)
		refused(t, err, "INPUT_INVALID")
	}
	for i := range eventsPerDay + 10 {
		f := base
		f.State = fmt.Sprint("s", i)
		ok(t, r.KeepFaces(t.Context(), []watch.Face{f}))
	}
	n := 0
	ok(t, r.pool.QueryRow(t.Context(), `SELECT count(*) FROM tributary.hub_event`).Scan(&n))
	if n != eventsPerDay {
		t.Errorf("%d events in a day", n)
	}
	for _, sql := range []string{`DELETE FROM tributary.hub_event`, `UPDATE tributary.hub_event SET word = 'x'`, `TRUNCATE tributary.hub_event`} {
		if err := exec(t, r, sql); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	ok(t, exec(t, r, `INSERT INTO tributary.hub_event (at, source, kind, word, was, detail) VALUES (now() - interval '91 days', 'old', 'seen', '', '', '')`))
	ok(t, r.KeepFaces(t.Context(), nil))
	ok(t, r.pool.QueryRow(t.Context(), `SELECT count(*) FROM tributary.hub_event WHERE source = 'old'`).Scan(&n))
	if n != 0 {
		t.Error("an event is kept for ever")
	}
}
