package schema

import (
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// samples are types with room for more and less.
var samples = map[string]Type{
	"bool": {Kind: Bool}, "int8": {Kind: Int8}, "int16": {Kind: Int16}, "int32": {Kind: Int32}, "int64": {Kind: Int64},
	"uint8": {Kind: Uint8}, "uint16": {Kind: Uint16}, "uint32": {Kind: Uint32}, "uint64": {Kind: Uint64},
	"dec(5,2)": {Kind: Decimal, Precision: 5, Scale: 2}, "dec(9,2)": {Kind: Decimal, Precision: 9, Scale: 2},
	"dec(9,4)": {Kind: Decimal, Precision: 9, Scale: 4}, "dec(20,0)": {Kind: Decimal, Precision: 20}, "dec": {Kind: Decimal},
	"float32": {Kind: Float32}, "float64": {Kind: Float64},
	"string(10)": {Kind: String, Length: 10}, "string(20)": {Kind: String, Length: 20}, "string": {Kind: String},
	"bytes(10)": {Kind: Bytes, Length: 10}, "bytes": {Kind: Bytes},
	"date": {Kind: Date}, "datetime": {Kind: DateTime}, "datetime(6)": {Kind: DateTime, Precision: 6}, "timestamp": {Kind: Timestamp},
	"time": {Kind: Time}, "time wide": {Kind: Time, Wide: true}, "year": {Kind: Year}, "json": {Kind: JSON}, "uuid": {Kind: UUID},
	"enum a": {Kind: Enum, Labels: []string{"a"}}, "enum ba": {Kind: Enum, Labels: []string{"b", "a"}}, "set a": {Kind: Set, Labels: []string{"a"}},
	"bit(4)": {Kind: Bit, Length: 4}, "bit(8)": {Kind: Bit, Length: 8},
	"int32[]": {Kind: Array, Elem: &Type{Kind: Int32}}, "int64[]": {Kind: Array, Elem: &Type{Kind: Int64}},
	"inet": {Kind: Text, Native: "inet"}, "cidr": {Kind: Text, Native: "cidr"},
}

// TestHolds is the table of widenings: each type holds itself and what is named beside
// it, and nothing else of the table.
func TestHolds(t *testing.T) {
	small, more := []string{"int8", "uint8"}, []string{"int8", "uint8", "int16", "uint16"}
	holds := map[string][]string{
		"int16": small, "int32": more, "int64": append(slices.Clone(more), "int32", "uint32"),
		"uint16": {"uint8"}, "uint32": {"uint8", "uint16"}, "uint64": {"uint8", "uint16", "uint32"},
		"dec(5,2)": small, "dec(9,2)": append([]string{"dec(5,2)"}, more...), "dec(9,4)": append([]string{"dec(5,2)"}, more...),
		"dec(20,0)": append(slices.Clone(more), "int32", "uint32", "int64", "uint64"),
		"dec":       append(slices.Clone(more), "int32", "uint32", "int64", "uint64", "dec(5,2)", "dec(9,2)", "dec(9,4)", "dec(20,0)"),
		"float64":   {"float32"}, "string(10)": {"enum a", "enum ba", "set a"}, "string(20)": {"string(10)", "enum a", "enum ba", "set a"},
		"string": {"string(10)", "string(20)", "enum a", "enum ba", "set a"}, "bytes": {"bytes(10)"}, "datetime(6)": {"datetime"},
		"time wide": {"time"}, "enum ba": {"enum a"}, "bit(8)": {"bit(4)"}, "int64[]": {"int32[]"},
	}
	// Decimals of 5 digits hold three whole ones, of (9,4) five.
	for a, ta := range samples {
		for b, tb := range samples {
			if got, want := ta.Holds(tb), a == b || slices.Contains(holds[a], b); got != want {
				t.Errorf("%s holds %s: %v, want %v", a, b, got, want)
			}
		}
	}
	if (Type{Kind: String, Length: 2}).Holds(Type{Kind: Enum, Labels: []string{"初中生"}}) {
		t.Error("a label of three characters fits into two")
	}
}

func TestLossy(t *testing.T) {
	base := func() *Table {
		return &Table{Source: "s", Dataset: "d", Database: "x", Name: "d", Key: []int{0}, Columns: []Column{
			{Name: "id", Type: Type{Kind: Int64}}, {Name: "n", Type: Type{Kind: Int32}, Nullable: true}, {Name: "e", Type: Type{Kind: Enum, Labels: []string{"a", "b"}}}}}
	}
	for name, tt := range map[string]struct {
		change func(*Table)
		want   []string
	}{
		"same":        {func(*Table) {}, nil},
		"added":       {func(t *Table) { t.Columns = append(t.Columns, Column{Name: "z", Type: Type{Kind: JSON}}) }, nil},
		"dropped":     {func(t *Table) { t.Columns = t.Columns[:2] }, nil},
		"reordered":   {func(t *Table) { t.Columns[1], t.Columns[2] = t.Columns[2], t.Columns[1] }, nil},
		"not null":    {func(t *Table) { t.Columns[1].Nullable = false }, nil},
		"widened":     {func(t *Table) { t.Columns[1].Type.Kind = Int64 }, nil},
		"narrowed":    {func(t *Table) { t.Columns[1].Type.Kind = Int16 }, []string{`column "n": int32 → int16`}},
		"sign":        {func(t *Table) { t.Columns[1].Type.Kind = Uint32 }, []string{`column "n": int32 → uint32`}},
		"label gone":  {func(t *Table) { t.Columns[2].Type.Labels = []string{"b", "c"} }, []string{`column "e": enum(a,b) → enum(b,c)`}},
		"another key": {func(t *Table) { t.Key = []int{0, 1} }, []string{"key: (id) → (id, n)"}},
		"key renamed": {func(t *Table) { t.Columns[0].Name = "nr" }, []string{"key: (id) → (nr)"}},
	} {
		to := base()
		tt.change(to)
		if got := Lossy(base(), to); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestDifferences(t *testing.T) {
	base := func() *Table {
		return &Table{Columns: []Column{{Name: "id", Type: Type{Kind: Int64}}, {Name: "姓名", Type: Type{Kind: String, Length: 20, Native: "varchar(20)"}, Nullable: true}, {Name: "memo", Type: Type{Kind: String, Native: "text"}}}, Key: []int{0}}
	}
	for name, tt := range map[string]struct {
		change func(*Table)
		want   []string
	}{
		"same":        {func(*Table) {}, nil},
		"reordered":   {func(t *Table) { t.Columns[1], t.Columns[2] = t.Columns[2], t.Columns[1] }, nil},
		"added":       {func(t *Table) { t.Columns = append(t.Columns, Column{Name: "z", Type: Type{Kind: JSON}}) }, []string{`+ "z" json`}},
		"dropped":     {func(t *Table) { t.Columns = t.Columns[:2] }, []string{`- "memo" string`}},
		"renamed":     {func(t *Table) { t.Columns[2].Name = "note" }, []string{`+ "note" string`, `- "memo" string`}},
		"type":        {func(t *Table) { t.Columns[1].Type.Length = 50 }, []string{`"姓名" string(20) → string(50)`}},
		"native type": {func(t *Table) { t.Columns[2].Type.Native = "mediumtext" }, []string{`"memo" text → mediumtext`}},
		"null":        {func(t *Table) { t.Columns[1].Nullable, t.Columns[2].Nullable = false, true }, []string{`"姓名" NULL → NOT NULL`, `"memo" NOT NULL → NULL`}},
		"key":         {func(t *Table) { t.Key = []int{0, 1} }, []string{"key (id) → (id, 姓名)"}},
	} {
		to := base()
		tt.change(to)
		if got := Differences(base(), to); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

var update = flag.Bool("update", false, "write CHANGES.md anew")

// TestPage holds CHANGES.md, whose table of widenings is made of Holds, against it.
func TestPage(t *testing.T) {
	const page, mark = "CHANGES.md", "| a column of | has room for |\n|---|---|\n"
	old, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text, _, ok := strings.Cut(string(old), mark)
	if !ok {
		t.Fatalf("%s has no table of widenings", page)
	}
	text += mark
	for _, a := range slices.Sorted(maps.Keys(samples)) {
		var held []string
		for _, b := range slices.Sorted(maps.Keys(samples)) {
			if a != b && samples[a].Holds(samples[b]) {
				held = append(held, b)
			}
		}
		if len(held) > 0 {
			text += "| " + a + " | " + strings.Join(held, ", ") + " |\n"
		}
	}
	if *update {
		if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if text != string(old) {
		t.Errorf("%s isn't as the code has it: go test ./schema -run TestPage -update", page)
	}
}
