package state

import (
	"fmt"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/watch"
	"github.com/tributary-cdc/tributary/test/servers"
)

func known(v float32) *float32 { return &v }

// testHistory: minutes are read back per source and org, gaps stay gaps, half hours have the
// median, the longest and the mean, each minute counts once whoever notes it, and what is too
// old is removed.
func testHistory(t *testing.T, db servers.DB) {
	r := settled(t, db)
	r.now = r.now.UTC().Truncate(slot)
	begin := r.clock()
	for i := range 45 {
		if i >= 10 && i < 15 { // nobody looked
			continue
		}
		at := begin.Add(time.Duration(i) * time.Minute)
		r.now = at.Add(time.Minute)
		m := []watch.OrgMinute{{Org: "33", All: watch.Point{Lag: known(float32(i)), Rate: known(10)}},
			{Org: "330106", All: watch.Point{Lag: known(float32(i)), Rate: known(10)}, Sources: []string{"330106-a", "330106-b"},
				Points: []watch.Point{{Lag: known(float32(i)), Rate: known(4)}, {Rate: known(6)}}}}
		ok(t, r.KeepMinute(t.Context(), at, m))
		m[1].Points[0].Lag = known(1000) // another hub, later
		ok(t, r.KeepMinute(t.Context(), at, m))
	}
	told := func(all []Past, err error) (out string) {
		t.Helper()
		ok(t, err)
		for _, p := range all {
			f := func(v *float32) string {
				if v == nil {
					return "-"
				}
				return fmt.Sprint(*v)
			}
			out += fmt.Sprintf("%.0f:%s %s %s;", p.At.Sub(begin).Minutes(), f(p.Lag), f(p.Top), f(p.Rate))
		}
		return out
	}
	day, err := r.SourceHistory(t.Context(), "330106", "330106-a", Day)
	ok(t, err)
	if len(day) != 40 || *day[10].Lag != 15 || day[10].At.Sub(begin) != 15*time.Minute {
		t.Errorf("%d minutes: %s", len(day), told(day, nil))
	}
	for what, want := range map[string]string{
		told(r.SourceHistory(t.Context(), "330106", "330106-a", Month)): "0:17 29 4;",
		told(r.SourceHistory(t.Context(), "330106", "330106-b", Month)): "0:- - 6;",
		told(r.SourceHistory(t.Context(), "330203", "330106-a", Month)): "",
		told(r.SourceHistory(t.Context(), "330106", "nobody", Day)):     "",
		told(r.OrgHistory(t.Context(), "33", Month)):                    "0:17 29 10;",
	} {
		if what != want {
			t.Errorf("%q, want %q", what, want)
		}
	}
	if all, err := r.OrgHistory(t.Context(), "330106", Day); err != nil || len(all) != 40 {
		t.Errorf("%d minutes of the org, %v", len(all), err)
	}
	r.pass(26 * time.Hour)
	ok(t, r.KeepMinute(t.Context(), begin, []watch.OrgMinute{{Org: "33"}})) // too old to be noted
	late := r.clock().Truncate(time.Minute)
	ok(t, r.KeepMinute(t.Context(), late, []watch.OrgMinute{{Org: "33"}}))
	r.pass(45 * time.Minute)
	ok(t, r.KeepMinute(t.Context(), late.Add(45*time.Minute), nil))
	count := func(table string) (n int) {
		t.Helper()
		ok(t, r.pool.QueryRow(t.Context(), "SELECT count(*) FROM tributary."+table).Scan(&n))
		return n
	}
	if n := count("hub_minute"); n != 1 {
		t.Errorf("%d minutes are kept after a day", n)
	}
	if n := count("hub_half_hour"); n < 4 || count("hub_series") != 2 {
		t.Errorf("%d half hours, %d series", n, count("hub_series"))
	}
	r.pass(33 * 24 * time.Hour)
	late = r.clock().Truncate(time.Minute)
	ok(t, r.KeepMinute(t.Context(), late, []watch.OrgMinute{{Org: "33"}}))
	r.pass(45 * time.Minute)
	ok(t, r.KeepMinute(t.Context(), late.Add(45*time.Minute), nil))
	if n := count("hub_half_hour"); n > 2 || count("hub_series") != 0 {
		t.Errorf("after a month: %d half hours, %d series", n, count("hub_series"))
	}
}
