package event

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func draw(r *rapid.T, label string) Position {
	return Position{Epoch: rapid.Uint32().Draw(r, label), Index: rapid.Uint32().Draw(r, label),
		Place: Place{File: rapid.Uint32().Draw(r, label), Offset: rapid.Uint64().Draw(r, label)}}
}

// The order of texts and of bytes is the order of positions, and each form reads back.
func TestPositionForms(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		a, b := draw(r, "a"), draw(r, "b")
		if got, err := ParsePosition(a.String()); err != nil || got != a {
			r.Fatalf("%s reads back as %v, %v", a, got, err)
		}
		ab, err := a.AppendBinary(nil)
		if err != nil {
			r.Fatal(err)
		}
		bb, err := b.AppendBinary(nil)
		if err != nil {
			r.Fatal(err)
		}
		if got, err := PositionFromBytes(ab); err != nil || got != a {
			r.Fatalf("%x reads back as %v, %v", ab, got, err)
		}
		if (a.String() < b.String()) != (a.Compare(b) < 0) || (string(ab) < string(bb)) != (a.Compare(b) < 0) {
			r.Fatalf("%s and %s: order of forms differs from order of positions", a, b)
		}
	})
}

func TestParsePositionRefuses(t *testing.T) {
	good := Position{Epoch: 0x6b053b03, Place: Place{File: 7, Offset: 1 << 40}, Index: 2}.String()
	if good != "6b053b03/00000007.0000010000000000/00000002" {
		t.Errorf("text is %s", good)
	}
	for _, bad := range []string{"", good + "0", good[1:], "6B053B03" + good[8:], "+b053b03" + good[8:], good[:8] + "." + good[9:]} {
		if got, err := ParsePosition(bad); !errors.Is(err, ErrBadPosition) {
			t.Errorf("ParsePosition(%q) = %v, %v; want ErrBadPosition", bad, got, err)
		}
	}
	if _, err := PositionFromBytes(make([]byte, 19)); !errors.Is(err, ErrBadPosition) {
		t.Errorf("19 bytes: %v", err)
	}
}
