package state

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/alarm"
	"github.com/tributary-cdc/tributary/test/servers"
)

// testAlarms: an alarm opens once, keeps what people did about it while its cause comes and
// goes, and ends a minute after; each webhook hears of its coming and its end once, and not
// while somebody has said so.
func testAlarms(t *testing.T, db servers.DB) {
	r := settled(t, db)
	op, district := By{Name: "op"}, []string{"33/3301/330106/"}
	gap := alarm.Alarm{Kind: alarm.Gap, Object: "source 330106-a", Org: "330106", Path: "33/3301/330106/", Code: "SLOT_LOST", Detail: "gone\x00\xff"}
	dead := alarm.Alarm{Kind: alarm.Silence, Object: "store city", Sources: []string{"330106-a", "330203-b"}, More: 3}
	keep := func(all ...alarm.Alarm) {
		t.Helper()
		ok(t, r.KeepAlarms(t.Context(), all))
	}
	open := func(scopes []string) (n int) {
		t.Helper()
		all, err := r.Alarms(t.Context(), scopes)
		ok(t, err)
		for _, a := range all {
			if a.Closed == nil {
				n++
			}
		}
		return n
	}
	told := func(hook, want string) {
		t.Helper()
		got := ""
		for {
			m, err := r.TakeMessage(t.Context(), hook)
			ok(t, err)
			if m == nil {
				break
			}
			ok(t, r.Told(t.Context(), hook, m))
			got += fmt.Sprintf("%s %s %v %d;", m.Kind, m.Object, m.Over, m.Sources)
		}
		if got != want {
			t.Errorf("%s is told %q, want %q", hook, got, want)
		}
	}
	keep(gap, dead, gap)
	if open(whole) != 2 || open(district) != 1 || open([]string{"33/3302/"}) != 0 {
		t.Errorf("%d, %d and %d open", open(whole), open(district), open([]string{"33/3302/"}))
	}
	all, err := r.Alarms(t.Context(), district)
	ok(t, err)
	id := all[0].ID
	if a := all[0]; a.Kind != alarm.Gap || a.Code != "SLOT_LOST" || a.Maintenance {
		t.Errorf("%+v", a)
	}
	m, err := r.TakeMessage(t.Context(), "duty")
	ok(t, err)
	ok(t, r.Untold(t.Context(), "duty", m)) // it wasn't taken
	told("duty", "gap source 330106-a false 0;silence store city false 5;")
	told("duty", "")

	refused(t, r.Acknowledge(t.Context(), op, []string{"33/3302/"}, id, ""), "ALARM_UNKNOWN")
	refused(t, r.Acknowledge(t.Context(), op, district, id, "a\nb"), "REASON_MISSING")
	ok(t, r.Acknowledge(t.Context(), op, district, id, "我来处理"))
	refused(t, r.Silence(t.Context(), op, district, id, 0, "x"), "INPUT_INVALID")
	refused(t, r.Silence(t.Context(), op, district, id, MaxSilence+1, "x"), "INPUT_INVALID")
	refused(t, r.Silence(t.Context(), op, district, id, time.Hour, ""), "REASON_MISSING")
	ok(t, r.Silence(t.Context(), op, district, id, time.Hour, "割接"))
	told("night", "silence store city false 5;") // the gap is silenced

	r.pass(50 * time.Second)
	keep(dead)
	r.pass(20 * time.Second) // the gap wasn't seen for 70 s
	keep(dead, gap)
	if a, err := r.Alarm(t.Context(), district, id); err != nil || a.Closed != nil || a.AcknowledgedBy == nil || *a.AcknowledgedBy != "op" || a.Note != "割接" {
		t.Errorf("one that was away for less than it takes to end: %+v, %v", a, err)
	}
	r.pass(61 * time.Second)
	keep(dead)
	a, err := r.Alarm(t.Context(), district, id)
	if ok(t, err); a.Closed == nil {
		t.Error("a gap that is gone is open")
	}
	refused(t, r.Acknowledge(t.Context(), op, district, id, ""), "ALARM_OVER")
	told("duty", "gap source 330106-a true 0;")
	told("night", "") // it never heard of it

	m1 := Maintenance{Org: "330106", Starts: r.clock(), Ends: r.clock().Add(time.Hour), Reason: "割接"}
	for _, bad := range []Maintenance{{Org: "330106", Starts: m1.Ends, Ends: m1.Starts, Reason: "x"}, {Org: "330106", Starts: m1.Starts, Ends: m1.Starts.Add(MaxMaintenance + 1), Reason: "x"}, {Org: "330106", Starts: m1.Starts.Add(-2 * time.Hour), Ends: m1.Starts, Reason: "x"}} {
		_, _, err := r.PlanMaintenance(t.Context(), op, whole, bad)
		refused(t, err, "MAINTENANCE_TIME")
	}
	_, _, err = r.PlanMaintenance(t.Context(), op, []string{"33/3302/"}, m1)
	refused(t, err, "ORG_UNKNOWN")
	asked := m1
	m1, again, err := r.PlanMaintenance(t.Context(), op, district, m1)
	if ok(t, err); again {
		t.Errorf("%+v", m1)
	}
	var twice sync.WaitGroup
	for range 4 { // at once
		twice.Go(func() {
			if m, again, err := r.PlanMaintenance(t.Context(), op, district, asked); err != nil || !again || m.ID != m1.ID {
				t.Errorf("the same again: %+v, %v, %v", m, again, err)
			}
		})
	}
	twice.Wait()
	keep(dead, gap)
	told("duty", "")
	all, err = r.Alarms(t.Context(), district)
	if ok(t, err); !all[0].Maintenance || all[0].ID == id {
		t.Errorf("%+v", all[0])
	}
	refused(t, r.EndMaintenance(t.Context(), op, []string{"33/3302/"}, m1.ID), "MAINTENANCE_UNKNOWN")
	ok(t, r.EndMaintenance(t.Context(), op, district, m1.ID))
	refused(t, r.EndMaintenance(t.Context(), op, district, m1.ID), "MAINTENANCE_UNKNOWN")
	told("duty", "gap source 330106-a false 0;")
	m2, _, err := r.PlanMaintenance(t.Context(), op, whole, Maintenance{Org: "33", Starts: r.clock(), Ends: r.clock().Add(time.Hour), Reason: "全省割接"})
	ok(t, err)
	told("third", "") // the root's window covers what concerns the whole tree
	windows, err := r.Maintenances(t.Context(), whole)
	if ok(t, err); len(windows) != 2 || windows[0].ID != m2.ID || !windows[1].Over(r.clock()) {
		t.Errorf("%+v", windows)
	}
	actions := map[string]int{}
	lines, err := r.Audit(t.Context(), whole, Search{})
	ok(t, err)
	for _, e := range lines {
		actions[e.Action]++
	}
	if actions["alarm.acknowledge"] != 1 || actions["alarm.silence"] != 1 || actions["maintenance.plan"] != 2 || actions["maintenance.end"] != 1 {
		t.Errorf("the audit has %v", actions)
	}
}

// testCalendar: on days without school alarms of the chosen kinds and part of the tree are
// shown and told to nobody; those days begin and end at midnight in the hub's zone; a message
// that was held back comes afterwards if the alarm is still open.
func testCalendar(t *testing.T, db servers.DB) {
	r := settled(t, db)
	op, district := By{Name: "op"}, []string{"33/3301/330106/"}
	r.now = time.Date(2026, 6, 30, 15, 59, 0, 0, time.UTC) // a minute before midnight in Shanghai
	holiday := func(org, from, until string, kinds ...alarm.Kind) alarm.Holiday {
		return alarm.Holiday{From: from, Until: until, Name: "暑假", Org: org, Kinds: kinds}
	}
	add := func(scopes []string, all ...alarm.Holiday) error {
		_, err := r.AddHolidays(t.Context(), op, scopes, all)
		return err
	}
	summer := holiday("330106", "2026-07-01", "2026-07-02", alarm.Lag, alarm.Silence)
	refused(t, add([]string{"33/3302/"}, summer), "ORG_UNKNOWN")
	refused(t, add(whole, summer, holiday("99", "2026-07-01", "2026-07-02", alarm.Lag)), "ORG_UNKNOWN")
	refused(t, add(whole, holiday("33", "2026-07-02", "2026-07-01", alarm.Lag)), "CALENDAR_INVALID")
	refused(t, add(whole), "CALENDAR_INVALID")
	ok(t, add(district, summer))
	ok(t, add(district, summer, summer))
	same := summer
	same.Kinds = []alarm.Kind{alarm.Silence, alarm.Lag}
	ok(t, add(whole, same))
	all, err := r.Holidays(t.Context(), whole)
	if ok(t, err); len(all) != 1 || !all[0].Ends.Equal(time.Date(2026, 7, 2, 16, 0, 0, 0, time.UTC)) || all[0].MadeBy != "op" {
		t.Fatalf("%+v", all)
	}
	late := func(kind alarm.Kind, org, path string) alarm.Alarm {
		return alarm.Alarm{Kind: kind, Object: "source " + org + "-a", Org: org, Path: path}
	}
	found := []alarm.Alarm{late(alarm.Lag, "330106", district[0]), late(alarm.Gap, "330106", district[0]), late(alarm.Lag, "330108", "33/3301/330108/")}
	told := func(hook, want string) {
		t.Helper()
		ok(t, r.KeepAlarms(t.Context(), found))
		got := ""
		for {
			m, err := r.TakeMessage(t.Context(), hook)
			if ok(t, err); m == nil {
				break
			}
			ok(t, r.Told(t.Context(), hook, m))
			got += fmt.Sprintf("%s %s;", m.Kind, m.Object)
		}
		if got != want {
			t.Errorf("%s at %s is told %q, want %q", hook, r.clock(), got, want)
		}
	}
	told("before", "lag source 330106-a;gap source 330106-a;lag source 330108-a;")
	r.pass(61 * time.Second)
	told("within", "gap source 330106-a;lag source 330108-a;")
	now, err := r.Alarms(t.Context(), whole)
	ok(t, err)
	for _, a := range now {
		if a.Holiday != (a.Kind == alarm.Lag && a.Org == "330106") || a.Maintenance {
			t.Errorf("%+v", a)
		}
	}
	ok(t, exec(t, r, `UPDATE tributary.hub_alarm SET seen = '2026-07-02 15:59:30+00'`)) // somebody has looked all along
	r.now = time.Date(2026, 7, 2, 15, 59, 30, 0, time.UTC)
	told("within", "")
	r.pass(31 * time.Second)
	told("within", "lag source 330106-a;")
	refused(t, r.RemoveHoliday(t.Context(), op, []string{"33/3302/"}, all[0].ID), "HOLIDAY_UNKNOWN")
	ok(t, r.RemoveHoliday(t.Context(), op, district, all[0].ID))
	refused(t, r.RemoveHoliday(t.Context(), op, district, all[0].ID), "HOLIDAY_UNKNOWN")
	lines, err := r.Audit(t.Context(), whole, Search{Text: "calendar"})
	if ok(t, err); len(lines) != 2 || lines[0].Action != "calendar.remove" {
		t.Errorf("%+v", lines)
	}
}
