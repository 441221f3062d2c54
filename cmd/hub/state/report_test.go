package state

import (
	"fmt"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/alarm"
	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/test/servers"
)

// testReport: a report has what was open in the shift, as it was at its end, and what people
// did, for the reader's part of the tree; it is sent once to each, also by several hubs, and
// again if it wasn't taken.
func testReport(t *testing.T, db servers.DB) {
	r := settled(t, db)
	r.pass(-time.Hour) // the audit has the database's clock, and all is before it
	a := func(org, name string) alarm.Alarm {
		path := map[string]string{"330106": "33/3301/330106/", "330203": "33/3302/330203/"}[org]
		return alarm.Alarm{Kind: alarm.Gap, Object: "source " + org + "-" + name, Org: org, Path: path, Code: "SLOT_LOST"}
	}
	keep := func(all ...alarm.Alarm) {
		t.Helper()
		ok(t, r.KeepAlarms(t.Context(), all))
		r.pass(2 * time.Minute)
	}
	keep(a("330106", "before")) // and over before the shift
	keep()
	keep(a("330106", "long"))
	from := r.clock()
	keep(a("330106", "long"), a("330106", "short"))
	keep(a("330106", "long"), a("330203", "other"))
	all, err := r.Alarms(t.Context(), []string{"33/3302/"})
	ok(t, err)
	ok(t, r.Acknowledge(t.Context(), By{Name: "op"}, whole, all[0].ID, "在处理"))
	until := time.Now()
	r.pass(until.Sub(r.clock()))
	keep(a("330106", "long"), a("330203", "other"), a("330106", "after"))
	keep(a("330106", "after"))
	_, err = r.propose(r.agent("330106"), "xueji", catalog.Check, "student")
	ok(t, err)
	told := func(scopes []string) string {
		t.Helper()
		got, err := r.Report(t.Context(), scopes, from, until)
		ok(t, err)
		out := fmt.Sprintf("%+v open", got.Kinds)
		for _, x := range got.Open {
			by := "nobody"
			if x.By != nil {
				by = *x.By + " " + x.Note
			}
			out += fmt.Sprintf(" %s (%s)", x.Object, by)
		}
		out += "; over"
		for _, x := range got.Over {
			out += " " + x.Object
		}
		out += "; did"
		for _, x := range got.Actions {
			out += " " + x.Action + " " + x.Actor
		}
		return out + fmt.Sprintf("; %d wait", got.Pending)
	}
	for _, tt := range []struct {
		scopes []string
		want   string
	}{
		{[]string{"33/3302/"}, "[{Kind:gap Came:1 Over:0 Open:1}] open source 330203-other (op 在处理); over; did alarm.acknowledge op; 0 wait"},
		{[]string{"33/3301/330106/"}, "[{Kind:gap Came:1 Over:1 Open:1}] open source 330106-long (nobody); over source 330106-short; did; 1 wait"},
		{nil, "[] open; over; did; 0 wait"},
	} {
		if got := told(tt.scopes); got != tt.want {
			t.Errorf("%v: %s\nwant %s", tt.scopes, got, tt.want)
		}
	}
	due := func(to string, want bool) {
		t.Helper()
		got, err := r.DueReport(t.Context(), to, from, until)
		if ok(t, err); (got != nil) != want || got != nil && got.Sum().Came != 2 {
			t.Errorf("%s: %+v", to, got)
		}
	}
	due("duty", true)
	due("duty", false)
	due("mail duty", true)
	ok(t, r.UnsentReport(t.Context(), "duty", until))
	due("duty", true)
}
