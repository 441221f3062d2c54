package alarm

import (
	"fmt"
	"testing"
)

// TestHours: times and days as forms and programs send them.
func TestHours(t *testing.T) {
	for name, tt := range map[string]struct{ opens, closes, days, want string }{
		"usual":         {"07:00", "18:30", "", "07:00 18:30 [1 2 3 4 5]"},
		"around":        {"00:00", "24:00", "7 1 2 3 4 5 6 1", "00:00 24:00 [1 2 3 4 5 6 7]"},
		"backwards":     {"18:00", "07:00", "", "! 18:00 … 07:00"},
		"empty":         {"07:00", "07:00", "", "! 07:00 … 07:00"},
		"beyond":        {"07:00", "24:01", "", "! 24:01"},
		"no minutes":    {"7", "18:00", "", "! 7"},
		"one digit":     {"7:5", "18:00", "", "! 7:5"},
		"no day":        {"07:00", "18:00", "0", "! 0"},
		"a day by name": {"07:00", "18:00", "1 Mon", "! Mon"},
	} {
		h, err := NewHours("33", tt.opens, tt.closes, tt.days)
		got := fmt.Sprintf("%s %s %v", h.From(), h.Until(), h.Days)
		if err != nil {
			got = "! " + err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}
