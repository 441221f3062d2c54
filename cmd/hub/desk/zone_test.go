package desk

import (
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/alarm"
)

// TestMoments: what a form's field says is meant in the zone in which the pages show times,
// whatever the machine's is.
func TestMoments(t *testing.T) {
	for _, zone := range []string{"Asia/Shanghai", "America/St_Johns"} {
		shifts, err := alarm.NewShifts(nil, zone)
		if err != nil {
			t.Fatal(err)
		}
		c := &call{d: &Desk{o: Options{Shifts: shifts}}, in: map[string][]string{"typed": {"2026-11-30T22:00"}, "sent": {"2026-11-30T22:00:00Z"}, "wrong": {"tomorrow"}}}
		if at, err := c.moment("typed"); err != nil || !at.Equal(time.Date(2026, 11, 30, 22, 0, 0, 0, shifts.Zone)) {
			t.Errorf("%s: %v, %v", zone, at, err)
		}
		if at, err := c.moment("sent"); err != nil || !at.Equal(time.Date(2026, 11, 30, 22, 0, 0, 0, time.UTC)) {
			t.Errorf("%s, with a zone of its own: %v, %v", zone, at, err)
		}
		for _, bad := range []string{"wrong", "none"} {
			if at, err := c.moment(bad); err == nil {
				t.Errorf("%s: %v", bad, at)
			}
		}
	}
}
