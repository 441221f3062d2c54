package log

import (
	"errors"
	"testing"
)

func TestParsePartition(t *testing.T) {
	for _, p := range []Partition{{Topic: "tributary.330106.changes"}, {Topic: "a/b", Index: 7}, {Topic: "t", Index: 1<<31 - 1}} {
		if got, err := ParsePartition(p.String()); err != nil || got != p {
			t.Errorf("ParsePartition(%q) = %v, %v", p.String(), got, err)
		}
	}
	for _, bad := range []string{"", "t", "/1", "t/", "t/-1", "t/01", "t/+1", "t/2147483648", "t/1 "} {
		if got, err := ParsePartition(bad); !errors.Is(err, ErrBadPartition) {
			t.Errorf("ParsePartition(%q) = %v, %v; want ErrBadPartition", bad, got, err)
		}
	}
}
