package capture

import (
	"slices"
	"testing"
)

func TestAdditions(t *testing.T) {
	var a Additions
	if got, left := a.Take(); got != nil || left != nil || a.Has("d.a") {
		t.Errorf("nobody asked, %v", got)
	}
	a.Reset([]string{"d.a"})
	a.Add("d.b")
	a.Add("d.a")
	a.Add("d.b")
	if a.Has("d.b") {
		t.Error("delivered before it was taken up")
	}
	if got, left := a.Take(); !slices.Equal(got, []string{"d.b"}) || left != nil {
		t.Errorf("taken up %v, want d.b once", got)
	}
	if got, left := a.Take(); got != nil || left != nil {
		t.Errorf("taken up again: %v", got)
	}
	if got := a.List(); !slices.Equal(got, []string{"d.a", "d.b"}) {
		t.Errorf("delivered %v", got)
	}
	a.Remove("d.a")
	a.Remove("d.none")
	a.Add("d.c")
	a.Remove("d.c")
	if !a.Has("d.a") {
		t.Error("left before that was taken up")
	}
	if got, left := a.Take(); got != nil || !slices.Equal(left, []string{"d.a"}) || a.Has("d.a") {
		t.Errorf("taken up %v, left %v; want d.a left", got, left)
	}
	a.Add("d.c")
	a.Reset(nil)
	if got, left := a.Take(); got != nil || left != nil || a.Has("d.a") {
		t.Errorf("a start from another state delivers %v", got)
	}
}
