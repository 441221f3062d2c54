package pipeline

import (
	"context"
	"slices"
	"testing"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
)

// publisher notes the widths of what it is asked to publish.
type publisher struct{ asked []int }

func (p *publisher) ID(_ context.Context, t *schema.Table) (uint32, error) {
	p.asked = append(p.asked, len(t.Columns))
	return uint32(len(p.asked)), nil
}

func (p *publisher) Columns(context.Context, string) (map[string][]string, error) { return nil, nil }

// TestSchemaReturns: a version that comes back is published once more, so that the topic says
// which ones a table has had; one that stays isn't asked for again, nor because of another
// table.
func TestSchemaReturns(t *testing.T) {
	said := &publisher{}
	r := &reader{p: &Pipeline{opts: Options{Schemas: said}, enc: envelope.NewEncoder(event.Source{ID: "s", Org: "1"}, "", envelope.JSON)}}
	table := func(name string, width int) *schema.Table {
		t := &schema.Table{Source: "s", Dataset: name, Database: "d", Name: name, Key: []int{0}}
		for i := range width {
			t.Columns = append(t.Columns, schema.Column{Name: string(rune('a' + i)), Type: schema.Type{Kind: schema.Int64}})
		}
		return t
	}
	old, wide, other := table("x", 1), table("x", 2), table("y", 3)
	for _, rows := range [][]*schema.Table{{old, old, other}, {old, other}, {wide}, {other, wide}, {old}, {old, other}} {
		seg := &event.Segment{}
		for _, t := range rows {
			seg.Rows = append(seg.Rows, event.Row{Table: t})
		}
		if err := r.bind(t.Context(), seg); err != nil {
			t.Fatal(err)
		}
	}
	if want := []int{1, 3, 2, 1}; !slices.Equal(said.asked, want) {
		t.Errorf("published were tables of %v columns, want %v", said.asked, want)
	}
	if id, ok := r.p.enc.Bound(old); !ok || id != 4 {
		t.Errorf("rows of the version that came back have the id %d", id)
	}
}
