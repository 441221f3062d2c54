package rowimage

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// differ gives one difference; value is binary JSON, none for a removal.
func differ(op byte, path, value string) string {
	out := string([]byte{op, byte(len(path))}) + path
	if op != diffRemove {
		out += string([]byte{byte(len(value))}) + value
	}
	return out
}

const (
	seven  = "\x05\x07\x00"
	letter = "\x0c\x01x"
)

func TestDifferences(t *testing.T) {
	for name, tt := range map[string]struct {
		doc, diff, want string
		err             error
	}{
		"replace":                   {doc: `{"a": 1, "b": [1, 2]}`, diff: differ(diffReplace, "$.b[1]", letter), want: `{"a": 1, "b": [1, "x"]}`},
		"replace everything":        {doc: `[1]`, diff: differ(diffReplace, "$", seven), want: `7`},
		"several":                   {doc: `[1]`, diff: differ(diffInsert, "$[1]", seven) + differ(diffReplace, "$[0]", letter) + differ(diffRemove, "$[1]", ""), want: `["x"]`},
		"remove the first":          {doc: `{"a": 1, "b": 2}`, diff: differ(diffRemove, "$.a", ""), want: `{"b": 2}`},
		"remove the last":           {doc: `{"a": 1, "b": 2}`, diff: differ(diffRemove, "$.b", ""), want: `{"a": 1}`},
		"remove the only one":       {doc: `{"a": {"b": [1]}}`, diff: differ(diffRemove, "$.a.b[0]", ""), want: `{"a": {"b": []}}`},
		"remove the middle":         {doc: `[1, ",]", {"}": "\""}]`, diff: differ(diffRemove, "$[1]", ""), want: `[1, {"}": "\""}]`},
		"insert into nothing":       {doc: `{"a": {}}`, diff: differ(diffInsert, "$.a.b", seven), want: `{"a": {"b": 7}}`},
		"insert by length":          {doc: `{"b": 1, "aa": 2}`, diff: differ(diffInsert, "$.a", seven) + differ(diffInsert, "$.c", seven) + differ(diffInsert, "$.ab", seven), want: `{"a": 7, "b": 1, "c": 7, "aa": 2, "ab": 7}`},
		"insert by unescaped names": {doc: `{"aa": 1, "\"\"\"": 2}`, diff: differ(diffInsert, `$."\"\""`, seven), want: `{"\"\"": 7, "aa": 1, "\"\"\"": 2}`},
		"insert before":             {doc: `[1, 2]`, diff: differ(diffInsert, "$[0]", seven), want: `[7, 1, 2]`},
		"insert beyond the end":     {doc: `[1, 2]`, diff: differ(diffInsert, "$[9]", seven), want: `[1, 2, 7]`},
		"insert into no element":    {doc: `[]`, diff: differ(diffInsert, "$[0]", seven), want: `[7]`},
		"quoted names":              {doc: `{"a b": {"k\"q": 1, "\u0007": 2}}`, diff: differ(diffReplace, `$."a b"."k\"q"`, seven) + differ(diffRemove, `$."a b"."\u0007"`, ""), want: `{"a b": {"k\"q": 7}}`},
		"a name like an element":    {doc: `{"[0]": 1}`, diff: differ(diffReplace, `$."[0]"`, seven), want: `{"[0]": 7}`},

		"nothing to replace":       {doc: `{"a": 1}`, diff: differ(diffReplace, "$.b", seven), err: ErrDifference},
		"nothing to remove":        {doc: `[1]`, diff: differ(diffRemove, "$[1]", ""), err: ErrDifference},
		"remove everything":        {doc: `[1]`, diff: differ(diffRemove, "$", ""), err: ErrDifference},
		"insert what is there":     {doc: `{"a": 1}`, diff: differ(diffInsert, "$.a", seven), err: ErrDifference},
		"insert into a scalar":     {doc: `{"a": 1}`, diff: differ(diffInsert, "$.a[0]", seven), err: ErrDifference},
		"insert behind nothing":    {doc: `{"a": 1}`, diff: differ(diffInsert, "$.b.c", seven), err: ErrDifference},
		"member of an array":       {doc: `[1]`, diff: differ(diffReplace, "$.a", seven), err: ErrDifference},
		"unknown operation":        {doc: `[1]`, diff: differ(3, "$[0]", seven), err: ErrDifference},
		"no path":                  {doc: `[1]`, diff: differ(diffReplace, "", seven), err: ErrMalformed},
		"path without its end":     {doc: `[1]`, diff: differ(diffReplace, "$[", seven), err: ErrMalformed},
		"path with a wildcard":     {doc: `[1]`, diff: differ(diffReplace, "$[*]", seven), err: ErrMalformed},
		"empty name":               {doc: `{"a": 1}`, diff: differ(diffReplace, "$.", seven), err: ErrMalformed},
		"name without its end":     {doc: `{"a": 1}`, diff: differ(diffReplace, `$."a`, seven), err: ErrMalformed},
		"other bytes than text":    {doc: `{"a": 1}`, diff: differ(diffReplace, "$.\xff", seven), err: ErrMalformed},
		"value of no bytes":        {doc: `[1]`, diff: differ(diffReplace, "$", ""), err: ErrMalformed},
		"value cut short":          {doc: `[1]`, diff: differ(diffReplace, "$", "\x05\x07"), err: ErrMalformed},
		"value that isn't text":    {doc: `[1]`, diff: differ(diffReplace, "$", "\x0c\x01\xff"), err: ErrMalformed},
		"length beyond the end":    {doc: `[1]`, diff: "\x00\x09$", err: ErrMalformed},
		"length without its bytes": {doc: `[1]`, diff: "\x00\xfc\x01", err: ErrMalformed},
		"long lengths":             {doc: `[1]`, diff: "\x00\xfc\x01\x00$\xfd\x03\x00\x00" + seven, want: `7`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := applyDifferences([]byte(tt.doc), []byte(tt.diff))
			if !errors.Is(err, tt.err) || string(got) != tt.want {
				t.Errorf("%s, %v; want %s, %v", got, err, tt.want, tt.err)
			}
			if tt.err != nil {
				return
			}
			for n := range tt.diff { // part of a list of differences may be one itself
				if got, err := applyDifferences([]byte(tt.doc), []byte(tt.diff[:n])); err == nil && !json.Valid(got) {
					t.Errorf("the first %d bytes give %s", n, got)
				}
			}
		})
	}
}

// partialPlan is of a table with two documents around a number.
func partialPlan(t *testing.T) *Plan {
	t.Helper()
	doc := schema.Type{Kind: schema.JSON, Native: "json"}
	p, err := Compile(&schema.Table{Source: "s", Dataset: "t", Database: "d", Name: "t", Key: []int{1}, Columns: []schema.Column{
		{Name: "a", Type: doc}, {Name: "n", Type: schema.Type{Kind: schema.Int8}}, {Name: "b", Type: doc}}}, []Column{{Type: typeJSON, Meta: 4}, {Type: typeTiny}, {Type: typeJSON, Meta: 4}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDecodePartial(t *testing.T) {
	p := partialPlan(t)
	diff := differ(diffReplace, "$[0]", seven)
	sized := func(s string) string { return string([]byte{byte(len(s)), 0, 0, 0}) + s }
	doc := event.Raw([]byte("[1]"))
	whole := []event.Value{doc, event.Signed(1), doc}
	for name, tt := range map[string]struct {
		data    string
		present byte
		before  []event.Value
		want    string
		err     error
	}{
		"differences in the second":     {"\x01\x02" + "\x00" + sized(seven) + "\x05" + sized(diff), 7, whole, "7 5 [7]", nil},
		"of a column that isn't there":  {"\x01\x01" + "\x00" + "\x05" + sized(seven), 6, whole, "- 5 7", nil},
		"no options":                    {"\x00" + "\x00" + sized(seven) + "\x05" + sized(seven), 7, whole, "7 5 7", nil},
		"no differences":                {"\x01\x03" + "\x00" + sized("") + "\x05" + sized(""), 7, whole, "[1] 5 [1]", nil},
		"no differences, no row before": {"\x01\x03" + "\x00" + sized("") + "\x05" + sized(""), 7, []event.Value{{}, {}, {}}, "- 5 -", nil},
		"no document before":            {"\x01\x03" + "\x00" + sized(diff) + "\x05" + sized(""), 7, []event.Value{{}, {}, doc}, "", ErrDifference},
		"NULL before":                   {"\x01\x01" + "\x00" + sized(diff) + "\x05" + sized(seven), 7, []event.Value{event.NullValue, {}, doc}, "", ErrDifference},
		"unknown options":               {"\x03\x01", 7, whole, "", ErrDifference},
		"no bytes":                      {"", 7, whole, "", ErrDifference},
		"no bits":                       {"\x01", 7, whole, "", ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			for n := len(tt.data); n >= 0; n-- {
				dst := make([]event.Value, 3)
				rest, _, err := p.DecodePartial([]byte(tt.data[:n]), []byte{tt.present}, tt.before, dst, &event.Arena{}, nil)
				if n < len(tt.data) {
					if tt.err == nil && err == nil {
						t.Errorf("the first %d bytes are enough", n)
					}
					continue
				}
				var got []string
				for i, v := range dst {
					switch {
					case v.State == event.Absent:
						got = append(got, "-")
					case i == 1:
						got = append(got, string(rune('0'+v.N)))
					default:
						got = append(got, string(v.B))
					}
				}
				if !errors.Is(err, tt.err) || err == nil && (strings.Join(got, " ") != tt.want || len(rest) != 0) {
					t.Errorf("%q, %d bytes left, %v; want %q, %v", got, len(rest), err, tt.want, tt.err)
				}
			}
		})
	}
}

// FuzzDifferences: whatever the differences say, a document stays one.
func FuzzDifferences(f *testing.F) {
	doc := []byte(`{"a": [1, {"b": "x\"]"}, []], "aa": {}, "键": null, "k\"q": -1.5}`)
	f.Add([]byte(differ(diffInsert, "$.a[1].c", seven) + differ(diffRemove, `$."k\"q"`, "")))
	f.Fuzz(func(t *testing.T, diff []byte) {
		if got, err := applyDifferences(doc, diff); err == nil && !json.Valid(got) {
			t.Errorf("%q", got)
		} else if err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrDifference) {
			t.Errorf("%v is neither malformed nor a difference", err)
		}
	})
}
