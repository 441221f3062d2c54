package event

import (
	"cmp"

	"github.com/tributary-cdc/tributary/schema"
)

// KeyRange is a part of a table, by its key in the order of the source's server. Both
// ends belong to it. An end may have values for the first of the columns only: then all
// keys that begin with them belong to it. An end without values is open.
type KeyRange struct {
	Columns  []KeyColumn `json:"columns"` // of the key, as many as the longer end has values
	From, To []Value
	// Keep says that rows which don't exist at the source any more stay in the store.
	Keep bool `json:"keep,omitempty"`
}

// KeyColumn is a column of the key with the order of its values.
type KeyColumn struct {
	Name  string      `json:"name"`
	Kind  schema.Kind `json:"kind"`
	Order KeyOrder    `json:"order,omitempty"`
}

// KeyOrder is how the source's server orders the values of a key column.
type KeyOrder uint8

// The orders.
const (
	OrderValue   KeyOrder = iota // as everybody orders values of the kind: numbers, times, bytes
	OrderPoints                  // text by its code points
	OrderPadded                  // text by its code points, the shorter one filled up with spaces
	OrderForeign                 // as only the source's server can tell, e.g. text by a language's rules
)

// Tellable reports whether a store can tell which keys lie in the range.
func (r *KeyRange) Tellable() bool {
	for _, c := range r.Columns {
		if c.Order >= OrderForeign {
			return false
		}
	}
	return true
}

// Backwards reports whether the range begins behind its end, as far as integers tell.
func (r *KeyRange) Backwards() bool {
	for i := range min(len(r.From), len(r.To)) {
		order := 0
		switch r.Columns[i].Kind {
		case schema.Int8, schema.Int16, schema.Int32, schema.Int64:
			order = cmp.Compare(r.From[i].Int(), r.To[i].Int())
		case schema.Uint8, schema.Uint16, schema.Uint32, schema.Uint64:
			order = cmp.Compare(r.From[i].N, r.To[i].N)
		default:
			return false
		}
		if order != 0 {
			return order > 0
		}
	}
	return false
}
