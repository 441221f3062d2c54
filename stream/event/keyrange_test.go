package event

import (
	"testing"

	"github.com/tributary-cdc/tributary/schema"
)

func TestBackwards(t *testing.T) {
	pair := func(kind schema.Kind, a, b Value) *KeyRange {
		return &KeyRange{Columns: []KeyColumn{{Kind: schema.Int32}, {Kind: kind}}, From: []Value{Signed(330106), a}, To: []Value{Signed(330106), b}}
	}
	for name, tt := range map[string]struct {
		r    *KeyRange
		want bool
	}{
		"behind":           {pair(schema.Int64, Signed(2), Signed(-3)), true},
		"before":           {pair(schema.Int64, Signed(-3), Signed(2)), false},
		"one row":          {pair(schema.Int64, Signed(2), Signed(2)), false},
		"unsigned":         {pair(schema.Uint64, Number(1<<63), Number(1)), true},
		"unsigned, before": {pair(schema.Uint64, Number(1), Number(1<<63)), false},
		"text":             {pair(schema.String, Raw([]byte("b")), Raw([]byte("a"))), false},
		"open":             {&KeyRange{Columns: []KeyColumn{{Kind: schema.Int32}}, From: []Value{Signed(9)}}, false},
	} {
		if got := tt.r.Backwards(); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
