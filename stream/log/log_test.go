package log

import "testing"

func TestPartitionText(t *testing.T) {
	for text, want := range map[string]Partition{
		"tributary.330106.changes/0": {Topic: "tributary.330106.changes"}, "a/b/12": {Topic: "a/b", Index: 12}, "t/2147483647": {Topic: "t", Index: 2147483647},
	} {
		var p Partition
		if err := p.UnmarshalText([]byte(text)); err != nil || p != want || p.String() != text {
			t.Errorf("%q is %+v, %v", text, p, err)
		}
	}
	for _, text := range []string{"", "/0", "t", "t/", "t/-1", "t/x", "t/2147483648"} {
		var p Partition
		if err := p.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is %+v", text, p)
		}
	}
}
