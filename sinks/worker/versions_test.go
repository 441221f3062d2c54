package worker

import (
	"context"
	"testing"

	"github.com/tributary-cdc/tributary/schema"
)

// published are table versions by id.
type published map[uint32]*schema.Table

func (p published) Table(_ context.Context, _ string, id uint32) (*schema.Table, error) {
	return p[id], nil
}

// TestFollow says which transactions must begin a group. Ids 1 and 3 are one version,
// published twice (attack 27), 2 is another one of the same table, 9 another table.
func TestFollow(t *testing.T) {
	a, b := &schema.Table{Source: "s", Database: "d", Name: "t"}, &schema.Table{Source: "s", Database: "d", Name: "t", Key: []int{0}}
	u := newBuilder(&Worker{o: Options{Schemas: published{1: a, 2: b, 3: a, 9: {Source: "s", Database: "d", Name: "other"}}}}, "topic", nil)
	v := newVersions()
	for i, step := range []struct {
		first   bool
		ids     []uint32
		changed bool
	}{
		{true, []uint32{1}, false},
		{false, []uint32{9, 1}, false},
		{false, []uint32{3}, false},
		{false, []uint32{9, 2}, true},
		{false, []uint32{1}, false}, // nothing was noted: what brings it begins a group first
		{true, []uint32{9, 2}, true},
		{false, []uint32{2, 9}, false},
		{false, []uint32{1}, true}, // it comes back
		{true, []uint32{3}, true},
		{true, []uint32{1, 2}, true}, // both in one transaction (attack 29)
		{false, []uint32{2}, false},
	} {
		changed, err := v.follow(t.Context(), u, &txn{source: "s", ids: step.ids}, step.first)
		if err != nil || changed != step.changed {
			t.Errorf("step %d: changed %v, %v", i, changed, err)
		}
	}
}

// TestIDsByLastUse: of two versions of a table that a transaction has, the later one counts.
func TestIDsByLastUse(t *testing.T) {
	x := &txn{}
	for _, id := range []uint32{5, 1, 2, 1, 5} {
		x.use(id)
	}
	if len(x.ids) != 3 || x.ids[0] != 2 || x.ids[1] != 1 || x.ids[2] != 5 {
		t.Errorf("ids %v", x.ids)
	}
}
