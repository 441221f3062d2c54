package rowimage

import (
	"errors"
	"testing"

	"github.com/tributary-cdc/tributary/schema"
)

// TestTimesAsText: what a server prints for times, all of its beginnings, and what it
// never prints. None of it costs an allocation but errors do.
func TestTimesAsText(t *testing.T) {
	for text, want := range map[string]int64{
		"00:00:00": 0, "-00:00:00.000001": -1, "838:59:59": 3020399_000_000, "-838:59:59.9": -3020399_900_000, "12:34:56.789": 45296_789_000,
		"": -2, "1:2:3": -2, "12:34:5": -2, "12:34:56.": -2, "12:34:56.1234567": -2, "12:34:56,1": -2, "1234:00:00": -2, "12-34-56": -2, "--1:00:00": -2, "ab:00:00": -2,
	} {
		got, err := span([]byte(text))
		if bad := want == -2; bad != errors.Is(err, ErrMalformed) || !bad && got != want {
			t.Errorf("span(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	var p TextPlan
	whole := "2026-09-01 08:05:59.000001"
	for n := range len(whole) + 1 {
		for _, typ := range []schema.Type{{Kind: schema.Date}, {Kind: schema.DateTime}} {
			_, anomaly, err := p.stamp([]byte(whole[:n]), &typ)
			good := n == 10 && typ.Kind == schema.Date || typ.Kind == schema.DateTime && (n == 19 || n > 20)
			if anomaly != "" || good != (err == nil) || !good && !errors.Is(err, ErrMalformed) {
				t.Errorf("%q as %s: %q, %v", whole[:n], typ.Kind, anomaly, err)
			}
		}
	}
	typ, b := schema.Type{Kind: schema.DateTime, Precision: 6}, []byte(whole)
	if n := testing.AllocsPerRun(100, func() {
		if _, _, err := p.stamp(b, &typ); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%.0f allocations per time", n)
	}
}
