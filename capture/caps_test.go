package capture

import (
	"slices"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/schema"
)

func TestCapsFaults(t *testing.T) {
	for name, c := range map[string]struct {
		caps Caps
		want []string
	}{
		"none":       {nil, nil},
		"one":        {Caps{"xueji.student": {"zp": {Bytes: 1}}}, nil},
		"no table":   {Caps{"student": {"zp": {Bytes: 1}}}, []string{`caps "student" isn't the name of one table, in two parts (a dot of a name has a backslash before it)`}},
		"a pattern":  {Caps{"xueji.*": {"zp": {Bytes: 1}}}, []string{`caps "xueji.*" isn't the name of one table, in two parts (a dot of a name has a backslash before it)`}},
		"a dot":      {Caps{`xueji.v1\.2`: {"zp": {Bytes: 1}}}, nil},
		"no columns": {Caps{"xueji.b": {}, "xueji.a": nil}, []string{`caps "xueji.a" has no columns`, `caps "xueji.b" has no columns`}},
		"no name":    {Caps{"xueji.a": {"": {Bytes: 1}}}, []string{`caps "xueji.a" has a column that is empty or stands twice`}},
	} {
		var got []string
		for _, f := range c.caps.Faults() {
			got = append(got, f.Error())
		}
		if !slices.Equal(got, c.want) || (c.caps.Check() != nil) != (c.want != nil) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestCapsColumns: names are compared as the server does.
func TestCapsColumns(t *testing.T) {
	table := &schema.Table{Columns: []schema.Column{{Name: "id"}, {Name: "ZP"}, {Name: "bz"}}}
	caps := Caps{"Xueji.Student": {"zp": {Bytes: 7}, "nowhere": {Bytes: 8}}}
	asIs, exact := func(s string) string { return s }, func(a, b string) bool { return a == b }
	for _, c := range []struct {
		name string
		fold func(string) string
		same func(a, b string) bool
		want int
	}{
		{"xueji.student", strings.ToLower, strings.EqualFold, 1}, {"xueji.student", asIs, strings.EqualFold, 0},
		{"Xueji.Student", asIs, strings.EqualFold, 1}, {"Xueji.Student", asIs, exact, 0},
	} {
		got := caps.Columns(table, c.name, c.fold, c.same)
		if len(got) != c.want || c.want > 0 && got[1].Bytes != 7 {
			t.Errorf("%s: %v, want %d", c.name, got, c.want)
		}
	}
}
