package schema

import (
	"errors"
	"strings"
	"testing"
)

func valid() *Table {
	return &Table{Source: "330106-xueji", Dataset: "student", Database: "xueji", Name: "student", Key: []int{0},
		Columns: []Column{{Name: "xh", Type: Type{Kind: Int64}}, {Name: "姓名", Type: Type{Kind: String, Length: 36}, Nullable: true}}}
}

func TestKindNames(t *testing.T) {
	for k := Bool; k <= Text; k++ {
		if got, err := ParseKind(k.String()); err != nil || got != k {
			t.Errorf("%s reads back as %v, %v", k, got, err)
		}
	}
	if _, err := ParseKind("invalid"); err == nil {
		t.Error("the name of no kind was accepted")
	}
}

// A version is part of the log's format: it must not change by accident.
func TestVersionIsStable(t *testing.T) {
	const want = "c031c1c7c693fc074c3abe0795d94233"
	if got := valid().Version(); got != want {
		t.Errorf("version %s, want %s", got, want)
	}
	other := valid()
	other.Columns[1].Nullable = false
	if other.Version() == want {
		t.Error("another table has the same version")
	}
}

func TestValidate(t *testing.T) {
	if err := valid().Validate(); err != nil {
		t.Error(err)
	}
	keyless := valid()
	if keyless.Key, keyless.Append = nil, true; keyless.Validate() != nil {
		t.Error(keyless.Validate())
	}
	for name, tt := range map[string]struct {
		change func(*Table)
		want   string
	}{
		"no columns":       {func(t *Table) { t.Columns = nil }, "no columns"},
		"same name":        {func(t *Table) { t.Columns[1].Name = "XH" }, "stands twice"},
		"no type":          {func(t *Table) { t.Columns[1].Type.Kind = Invalid }, "no type"},
		"no key":           {func(t *Table) { t.Key = nil }, "no key"},
		"key out of range": {func(t *Table) { t.Key = []int{2} }, "out of range"},
		"key twice":        {func(t *Table) { t.Key = []int{0, 0} }, "twice"},
		"key in append":    {func(t *Table) { t.Append = true }, "a key in append mode"},
		"no dataset":       {func(t *Table) { t.Dataset = "" }, "name is empty"},
	} {
		tab := valid()
		tt.change(tab)
		if err := tab.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
		if name == "no key" && !errors.Is(tab.Validate(), ErrNoKey) {
			t.Errorf("%s: not ErrNoKey", name)
		}
	}
}
