package capture

import (
	"slices"
	"testing"
)

func TestAdditions(t *testing.T) {
	var a Additions
	if got := a.Take(); got != nil || a.Has("d.a") {
		t.Errorf("nobody asked, %v", got)
	}
	a.Reset([]string{"d.a"})
	a.Add("d.b")
	a.Add("d.a")
	a.Add("d.b")
	if a.Has("d.b") {
		t.Error("delivered before it was taken up")
	}
	if got := a.Take(); !slices.Equal(got, []string{"d.b"}) {
		t.Errorf("taken up %v, want d.b once", got)
	}
	if got := a.Take(); got != nil {
		t.Errorf("taken up again: %v", got)
	}
	if got := a.List(); !slices.Equal(got, []string{"d.a", "d.b"}) {
		t.Errorf("delivered %v", got)
	}
	a.Add("d.c")
	a.Reset(nil)
	if got := a.Take(); got != nil || a.Has("d.a") {
		t.Errorf("a start from another state delivers %v", got)
	}
}
