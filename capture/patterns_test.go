package capture

import (
	"strings"
	"testing"
)

// TestMatches: a pattern's star stands for anything in a name, and a name as a pattern takes
// its table only.
func TestMatches(t *testing.T) {
	for pattern, tables := range map[string][2]string{ // one that it takes, one that it doesn't
		"a.*":    {"a.<b>x</b>", "b.a.x"},
		"a.b?c":  {"a.b/c", "a.bc"},
		"a/b.*":  {"a/b.t", "a.b.t"},
		"*.t":    {"a/b.t", "a.t/"},
		"A.T":    {"A.T", "a.t"},
		`a.b\.c`: {"a.b.c", `a.b\.c`},
	} {
		if !IsPattern(pattern) || !Matches([]string{pattern}, tables[0]) || Matches([]string{pattern}, tables[1]) {
			t.Errorf("%s: of two parts %t, takes %s %t, takes %s %t", pattern, IsPattern(pattern), tables[0], Matches([]string{pattern}, tables[0]), tables[1], Matches([]string{pattern}, tables[1]))
		}
	}
	for _, name := range []string{"a.b", "a.<b>x</b>", "a.b.c", "a.b..c", `a.b\.c`, "a.*", "a.?[x]", "a./", "数据.表😀", `a.'"`} {
		p := Literal(name)
		if !IsPattern(p) || !Matches([]string{p}, name) {
			t.Errorf("%s as a pattern, %s, doesn't take it", name, p)
		}
		for _, other := range []string{name + "x", strings.Replace(name, "b", "x", 1), "a.other"} {
			if other != name && Matches([]string{p}, other) {
				t.Errorf("%s as a pattern, %s, takes %s", name, p, other)
			}
		}
	}
	for _, bad := range []string{"a", "a.b.c", "a.[", `a\.b`, ""} {
		if IsPattern(bad) {
			t.Errorf("%q counts as a pattern of two parts", bad)
		}
	}
}
