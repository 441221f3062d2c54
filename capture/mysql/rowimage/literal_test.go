package rowimage

import (
	"errors"
	"testing"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// TestLiterals: enums and sets are ordered by number, so they are compared by number.
func TestLiterals(t *testing.T) {
	labels := []string{"z", "y", "x"}
	for name, tt := range map[string]struct {
		typ  schema.Type
		in   event.Value
		want string
	}{
		"enum":              {schema.Type{Kind: schema.Enum, Labels: labels}, event.Raw([]byte("x")), "3"},
		"enum of no label":  {schema.Type{Kind: schema.Enum, Labels: labels}, event.Raw(nil), "0"},
		"set":               {schema.Type{Kind: schema.Set, Labels: labels}, event.Raw([]byte("z,x")), "5"},
		"set of nothing":    {schema.Type{Kind: schema.Set, Labels: labels}, event.Raw(nil), "0"},
		"set, other member": {schema.Type{Kind: schema.Set, Labels: labels}, event.Raw([]byte("z,w")), ""},
		"enum, other label": {schema.Type{Kind: schema.Enum, Labels: labels}, event.Raw([]byte("w")), ""},
		"time":              {schema.Type{Kind: schema.Time}, event.Signed(-1), "TIME '-00:00:00.000001'"},
		"null":              {schema.Type{Kind: schema.Int64}, event.NullValue, ""},
	} {
		got, err := literal(&tt.typ, tt.in)
		if got != tt.want || (tt.want == "") != errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %q, %v; want %q", name, got, err, tt.want)
		}
	}
}
