package state

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/alarm"
	"github.com/tributary-cdc/tributary/test/servers"
)

// testHours: outside of the school hours of the nearest org, lag and silence wait until school
// opens, and no other kind ever does, whatever the calendar in the database says; what concerns
// the whole tree doesn't either.
func testHours(t *testing.T, db servers.DB) {
	r := settled(t, db)
	op, district := By{Name: "op"}, []string{"33/3301/330106/"}
	set := func(scopes []string, org, opens, closes, days string) error {
		h, err := alarm.NewHours(org, opens, closes, days)
		ok(t, err)
		return r.SetHours(t.Context(), op, scopes, h)
	}
	refused(t, set([]string{"33/3302/"}, "330106", "07:00", "18:00", ""), "ORG_UNKNOWN")
	ok(t, set(whole, "330106", "09:00", "10:00", "7"))
	ok(t, set(district, "330106", "07:00", "18:00", "")) // in its place
	ok(t, set(whole, "33", "08:00", "12:00", ""))
	ok(t, set(whole, "330203", "00:00", "24:00", "1 2 3 4 5 6 7"))
	if all, err := r.Hours(t.Context(), district); err != nil || len(all) != 1 || fmt.Sprint(all[0]) != "{330106 420 1080 [1 2 3 4 5] op}" {
		t.Errorf("%v, %v", all, err)
	}
	ok(t, exec(t, r, `INSERT INTO tributary.hub_holiday (org, path, name, kinds, starts, ends, made, made_by) VALUES ('33', '33/', 'x', '{gap,halt,fuse,disk,certificate}', '2026-01-01', '2027-01-01', now(), 'x')`))
	var found []alarm.Alarm
	for _, k := range alarm.Kinds {
		found = append(found, alarm.Alarm{Kind: k, Object: "source 330106-a", Org: "330106", Path: district[0]})
	}
	for org, path := range map[string]string{"3302": "33/3302/", "330203": "33/3302/330203/", "": ""} {
		found = append(found, alarm.Alarm{Kind: alarm.Lag, Object: "agent " + org, Org: org, Path: path})
	}
	zone := time.FixedZone("", 8*3600)
	for at, want := range map[time.Time]string{
		time.Date(2026, 6, 30, 7, 0, 0, 0, zone):   "lag agent 3302",                                             // Tuesday
		time.Date(2026, 6, 30, 6, 59, 59, 0, zone): "lag agent 3302;lag source 330106-a;silence source 330106-a", // too early
		time.Date(2026, 6, 30, 11, 59, 0, 0, zone): "",                                                           // all have school
		time.Date(2026, 6, 30, 17, 59, 0, 0, zone): "lag agent 3302",                                             // only the district
		time.Date(2026, 6, 30, 18, 0, 0, 0, zone):  "lag agent 3302;lag source 330106-a;silence source 330106-a", // over
		time.Date(2026, 7, 4, 10, 0, 0, 0, zone):   "lag agent 3302;lag source 330106-a;silence source 330106-a", // Saturday
	} {
		r.now = at
		ok(t, exec(t, r, `TRUNCATE tributary.hub_alarm CASCADE`))
		ok(t, r.KeepAlarms(t.Context(), found))
		all, err := r.Alarms(t.Context(), whole)
		ok(t, err)
		waits, told := []string{}, map[string]bool{}
		for {
			m, err := r.TakeMessage(t.Context(), "hook")
			if ok(t, err); m == nil {
				break
			}
			told[string(m.Kind)+" "+m.Object] = true
		}
		for i, a := range all {
			name := string(a.Kind) + " " + a.Object
			if a.Holiday {
				waits = append(waits, name)
			} else if i > 0 && all[i-1].Holiday {
				t.Errorf("%s: %s stands after one that waits", at, name)
			}
			if a.Holiday == told[name] {
				t.Errorf("%s: %s waits: %v, is told: %v", at, name, a.Holiday, told[name])
			}
		}
		slices.Sort(waits)
		if got := strings.Join(waits, ";"); got != want {
			t.Errorf("at %s wait %q, want %q", at, got, want)
		}
	}
	refused(t, r.RemoveHours(t.Context(), op, []string{"33/3302/"}, "330106"), "HOLIDAY_UNKNOWN")
	ok(t, r.RemoveHours(t.Context(), op, district, "330106"))
	refused(t, r.RemoveHours(t.Context(), op, district, "330106"), "HOLIDAY_UNKNOWN")
}
