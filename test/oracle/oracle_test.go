package oracle

import "testing"

func TestDiff(t *testing.T) {
	for name, tt := range map[string]struct {
		want, got     []string
		lost, doubled int
	}{
		"equal":   {[]string{"a", "b"}, []string{"b", "a"}, 0, 0},
		"lost":    {[]string{"a", "b"}, []string{"a"}, 1, 0},
		"doubled": {[]string{"a"}, []string{"a", "a"}, 0, 1},
		"changed": {[]string{"a|1"}, []string{"a|2"}, 1, 1},
		"back":    {nil, []string{"deleted"}, 0, 1},
	} {
		if lost, doubled := Diff(tt.want, tt.got); lost != tt.lost || doubled != tt.doubled {
			t.Errorf("%s: lost %d, doubled %d", name, lost, doubled)
		}
	}
}
