package alarm

import (
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/cmd/internal/language"
)

// TestHere: the times of programs, which are in UTC, are told in the zone of all others.
func TestHere(t *testing.T) {
	zone, err := time.LoadLocation(DefaultReportZone)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"2026-11-30 18:05:09 UTC":                   "2026-12-01 02:05:09",
		"3 / 6, 2026-11-30 18:05 UTC, agent 330106": "3 / 6, 2026-12-01 02:05, agent 330106",
		"paused at 2026-11-30 14:05 -04:00":         "paused at 2026-12-01 02:05",
		"2026-02-30 18:05 UTC; 2026-11-30 18:05":    "2026-02-30 18:05 UTC; 2026-11-30 18:05",
	} {
		if got := Here(text, zone); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	m := Message{Kind: Silence, Object: "agent a", Detail: "2026-11-30 18:05:09 UTC", At: time.Unix(1_800_000_000, 0).In(zone)}
	if text := m.Text(language.Chinese); !strings.Contains(text, "2026-12-01 02:05:09") {
		t.Error(text)
	}
}
