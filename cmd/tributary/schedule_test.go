package main

import (
	"slices"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/stream/event"
)

func TestDue(t *testing.T) {
	now := time.Date(2026, 11, 24, 8, 30, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	compared := func(phase snapshot.Phase, begun time.Time) snapshot.Progress {
		return snapshot.Progress{Phase: phase, Verify: "v", Begun: begun}
	}
	for name, c := range map[string]struct {
		all  []snapshot.Progress
		want bool
	}{
		"never compared":            {[]snapshot.Progress{{Phase: snapshot.Loaded, Begun: ago(time.Minute)}}, true},
		"nothing known":             {nil, true},
		"being loaded":              {[]snapshot.Progress{{Phase: snapshot.Loading}}, false},
		"waits for its hours":       {[]snapshot.Progress{compared(snapshot.Waiting, time.Time{})}, false},
		"being compared":            {[]snapshot.Progress{compared(snapshot.Verified, ago(72*time.Hour)), compared(snapshot.Verifying, ago(25*time.Hour))}, false},
		"a table was, lately":       {[]snapshot.Progress{compared(snapshot.Verified, ago(72*time.Hour)), compared(snapshot.Verified, ago(23*time.Hour))}, false},
		"long ago":                  {[]snapshot.Progress{compared(snapshot.Verified, ago(25*time.Hour))}, true},
		"failed lately":             {[]snapshot.Progress{compared(snapshot.Failed, ago(time.Hour))}, false},
		"a pause of another's load": {[]snapshot.Progress{{Phase: snapshot.Paused}, compared(snapshot.Verified, ago(25*time.Hour))}, true},
	} {
		if got := due(c.all, 24*time.Hour, now); got != c.want {
			t.Errorf("%s: due %t, want %t", name, got, c.want)
		}
	}
}

// TestScheduledWithout: a schedule's order names what isn't compared by the tables' IDs.
func TestScheduledWithout(t *testing.T) {
	for id, s := range map[string]config.Source{
		"xueji.student":        {Engine: "mariadb", Verify: config.Verifying{Without: map[string][]string{"xueji.student": {"zp"}}}},
		"renshi.public.person": {Engine: "postgres", Database: "renshi", Verify: config.Verifying{Without: map[string][]string{"public.person": {"zp"}}, Repair: true}},
	} {
		v := scheduled(&s)
		if got := v.Without[id]; !slices.Equal(got, []string{"zp"}) || len(v.Without) != 1 || v.By != bySchedule || v.Repair != s.Verify.Repair {
			t.Errorf("%s: %+v", id, v)
		}
	}
}

func TestPatternName(t *testing.T) {
	for table, c := range map[string]struct {
		engine event.Engine
		want   string
	}{"renshi.public.person": {event.Postgres, "public.person"}, "xueji.student": {event.MariaDB, "xueji.student"}} {
		if got := patternName(c.engine, table); got != c.want {
			t.Errorf("%s: %q, want %q", table, got, c.want)
		}
	}
}
