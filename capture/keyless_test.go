package capture

import (
	"strings"
	"testing"
)

func TestKeyless(t *testing.T) {
	k := Keyless{Keys: map[string][]string{"Xueji.Kaoqin": {"xh", "rq"}}, Append: []string{"xueji.*_rizhi"}}
	if err := k.Check([]string{"xueji.*"}); err != nil {
		t.Error(err)
	}
	same := func(s string) string { return s }
	if got := k.Key("xueji.kaoqin", same); got != nil {
		t.Errorf("another table has the key %v", got)
	}
	if got := k.Key("xueji.kaoqin", strings.ToLower); len(got) != 2 {
		t.Errorf("the key is %v", got)
	}
	if !k.Appends("xueji.denglu_rizhi", same) || k.Appends("xueji.student", same) {
		t.Error("append takes other tables")
	}
	dotted := Keyless{Keys: map[string][]string{`xueji.v1\.2\*[`: {"id"}}}
	if err := dotted.Check([]string{"xueji.*"}); err == nil {
		t.Error("an open bracket is taken")
	}
	dotted = Keyless{Keys: map[string][]string{`Xueji.v1\.2\*\[`: {"id"}}}
	if err := dotted.Check([]string{"xueji.*"}); err != nil {
		t.Error(err)
	}
	if got := dotted.Key("xueji.v1.2*[", strings.ToLower); len(got) != 1 {
		t.Errorf("a table with a dot in its name has the key %v", got)
	}
	for want, bad := range map[string]Keyless{
		`keys "a.b.c" isn't the name of one table`: {Keys: map[string][]string{"a.b.c": {"x"}}},
		`keys "a.*" isn't the name of one table`:   {Keys: map[string][]string{"a.*": {"x"}}},
		`keys "b.t" is taken by no pattern`:        {Keys: map[string][]string{"b.t": {"x"}}},
		`keys "a.t" has no columns`:                {Keys: map[string][]string{"a.t": nil}},
		`keys "a.t" has a column that is empty`:    {Keys: map[string][]string{"a.t": {""}}},
		`keys "a.u" has a column that is empty or`: {Keys: map[string][]string{"a.u": {"x", "x"}}},
		`append "t" is no pattern of two parts`:    {Append: []string{"t"}},
		`append "a.[" is no pattern of two parts`:  {Append: []string{"a.["}},
	} {
		if err := bad.Check([]string{"a.*"}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
