package desk

import (
	"fmt"
	"testing"

	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/schema/personal"
)

// TestSuspectsAreBounded: a table of 2,000 columns that all may hold personal data is shown by
// its first ones, and the page says how many more there are.
func TestSuspectsAreBounded(t *testing.T) {
	wide := state.ProposedTable{Table: "xueji.wide", Sampled: 100}
	for i := range 2000 {
		wide.Personal = append(wide.Personal, personal.Hint{Column: fmt.Sprint("lxdh", i), Kind: personal.Phone, Reasons: []personal.Reason{personal.ByName}})
	}
	got := suspected(&state.Proposal{Tables: []state.ProposedTable{wide, {Table: "xueji.b", Personal: wide.Personal[:1]}}})
	if len(got.Columns) != maxSuspects || got.Hidden != 2001-maxSuspects || len(got.Kinds["xueji.wide"]) != 1 || len(got.Kinds["xueji.b"]) != 1 || got.Sampled != 100 {
		t.Errorf("%d columns, %d hidden, %v", len(got.Columns), got.Hidden, got.Kinds)
	}
}
