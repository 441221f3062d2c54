package envelope

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// TestGoldenJSON holds the JSON form to what FORMAT.md says: the golden rows, then
// the values of each kind that differ from the ordinary.
func TestGoldenJSON(t *testing.T) {
	tab := table()
	var out bytes.Buffer
	for _, g := range goldenRows(tab) {
		fmt.Fprintf(&out, "%s\n%s\n", g.name, encode(t, g.row, JSON))
	}
	for _, k := range []schema.Kind{schema.Bool, schema.Int64, schema.Uint64, schema.Float32, schema.Float64, schema.String, schema.Date, schema.Time, schema.DateTime, schema.Timestamp} {
		for _, v := range special(k) {
			b, err := putJSONValue(nil, k, &v)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&out, "%s\n%s\n", k, b)
			var d Decoder
			s := jsonScan{b: b, arena: &d.arena}
			if got := s.value(k); s.err != nil || len(s.b) != 0 || got.N != v.N || !bytes.Equal(got.B, v.B) {
				t.Errorf("%s %s reads back as %v, %v", k, b, got, s.err)
			}
		}
	}
	golden(t, "testdata/json.golden", out.Bytes())
}

func special(k schema.Kind) (out []event.Value) {
	numbers := map[schema.Kind][]uint64{
		schema.Bool: {0}, schema.Int64: {math.MaxInt64}, schema.Uint64: {0},
		schema.Float32: {nan32, 0x7fc00001, 0x80000000, uint64(math.Float32bits(math.MaxFloat32)), uint64(math.Float32bits(float32(math.Inf(1))))},
		schema.Float64: {nan64, 0xfff8000000000000, 1, math.Float64bits(0.1), math.Float64bits(1e21), math.Float64bits(123456789.5), math.Float64bits(1e-7), math.Float64bits(math.Inf(1))},
		schema.Time:    {86_400_000_000},
	}
	for _, n := range numbers[k] {
		out = append(out, event.Number(n))
	}
	switch k {
	case schema.String:
		out = append(out, event.Raw([]byte("")), event.Raw([]byte("\"\\/\b\f\n\r\t\x00\x1f\x7f\u2028𠮷")))
	case schema.Date, schema.DateTime, schema.Timestamp:
		for _, n := range edges {
			out = append(out, event.Signed(n))
		}
	}
	return out
}

// A JSON library of another hand reads the same values.
func TestJSONReadsElsewhere(t *testing.T) {
	row := sampleRow()
	var got struct {
		Before, After map[string]any
		Anomalies     []struct {
			Column, Raw string
			Before      bool
		}
		Source struct {
			Connector, Name, Org, Agent, Position, Table string
			Schema                                       string `json:"schema_version"`
			Policy                                       string `json:"policy_version"`
			Ts                                           int64  `json:"ts_ms"`
		}
		Op          string
		Transaction struct {
			ID    string
			Order int `json:"total_order"`
		}
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(encode(t, row, JSON), &all); err != nil || len(all) != 7 {
		t.Errorf("%d members, %v", len(all), err)
	}
	if err := json.Unmarshal(encode(t, row, JSON), &got); err != nil {
		t.Fatal(err)
	}
	if v, there := got.Before["列text"]; len(got.Before) != len(row.Table.Columns) || !there || v != nil {
		t.Errorf("null columns: %v", got.Before)
	}
	if _, there := got.After["列text"]; len(got.After) != 4 || there || got.After["列decimal"] != "-12.30" || got.After["列string"] != "张三" {
		t.Errorf("absent columns: %v", got.After)
	}
	if a := got.Anomalies; len(a) != 1 || a[0].Column != row.Table.Columns[3].Name || a[0].Raw != "0000-00-00" || a[0].Before {
		t.Errorf("anomalies: %v", a)
	}
	if s := got.Source; s.Connector != "mariadb" || s.Name != source.ID || s.Org != source.Org || s.Agent != source.Agent || s.Position != txn.Position.String() ||
		s.Table != row.Table.Name || s.Schema != string(row.Table.Version()) || s.Policy != "p1" || s.Ts != txn.Committed.UnixMilli() {
		t.Errorf("source: %+v", s)
	}
	if got.Op != "u" || got.Transaction.ID != txn.ID || got.Transaction.Order != 4 {
		t.Errorf("op %q, transaction %+v", got.Op, got.Transaction)
	}
}

// What another writer would write, or what means something else, is refused.
func TestJSONIsCanonical(t *testing.T) {
	row := sampleRow()
	value := string(encode(t, row, JSON))
	for name, edit := range map[string][2]string{
		"white space":           {`,"after"`, `, "after"`},
		"another order":         {`{"列int64":-9223372036854775808,"列uint64":18446744073709551615`, `{"列uint64":18446744073709551615,"列int64":-9223372036854775808`},
		"a column twice":        {`"列decimal":"-12.30"`, `"列decimal":"-12.30","列decimal":"-12.30"`},
		"an unknown column":     {`"列decimal":"-12.30"`, `"列decimal":"-12.30","more":1`},
		"a number as text":      {`:18446744073709551615`, `:"18446744073709551615"`},
		"beyond 64 bits":        {`:18446744073709551615`, `:18446744073709551616`},
		"leading zero":          {`:18446744073709551615`, `:01`},
		"negative zero":         {`"列int64":-9223372036854775808`, `"列int64":-0`},
		"another escape":        {`"张三"`, `"\u5f20三"`},
		"a needless escape":     {`"张三"`, `"\/"`},
		"upper-case escape":     {`"张三"`, `"\u001F"`},
		"escaped line feed":     {`"张三"`, `"\u000a"`},
		"control character":     {`"张三"`, "\"\n\""},
		"invalid UTF-8":         {`"张三"`, "\"\xff\""},
		"half an escape":        {`"张三"`, `"\`},
		"unknown op":            {`"op":"u"`, `"op":"t"`},
		"another table":         {`"table":"学生"`, `"table":"教师"`},
		"another version":       {`"schema_version":"`, `"schema_version":"0`},
		"times that disagree":   {`"ts_us":17`, `"ts_us":18`},
		"no anomaly":            {`{"column":"列int32","raw":"0000-00-00","before":false}`, ``},
		"anomaly of no column":  {`"column":"列int32"`, `"column":"列int99"`},
		"order beyond int":      {`"total_order":4`, `"total_order":-4`},
		"a position of no form": {`"position":"0000`, `"position":"000x`},
	} {
		changed := strings.Replace(value, edit[0], edit[1], 1)
		if changed == value {
			t.Errorf("%s: nothing was changed in %s", name, value)
		}
		var got event.Row
		if err := Decode(row.Table, []byte(changed), &got, nil); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
}

// Each value has one form.
func TestJSONValuesAreCanonical(t *testing.T) {
	for k, forms := range map[schema.Kind][]string{
		schema.Bool:      {`1`, `"true"`, `tru`, `TRUE`},
		schema.Int64:     {``, `-`, `+1`, `01`, `-01`, `1.0`, `1e3`, `9223372036854775808`, `-9223372036854775809`, `"1"`},
		schema.Uint64:    {`-1`, `18446744073709551620`, `00`},
		schema.Float32:   {`1.50`, `1e5`, `0.1000000001`, `"NaN:7fc00000"`, `"NaN:3f800000"`, `"NaN:1ffc00001"`, `1e39`},
		schema.Float64:   {``, `1.50`, `0.10`, `1E21`, `1e+5`, `.5`, `"1"`, `"inf"`, `"+Infinity"`, `NaN`, `"nan"`, `"NaN:7ff8000000000001"`, `"NaN:xyz"`, `"NaN:FFF8000000000000"`, `0x1p-2`, `1e400`, `"\u004eaN"`, `0.00000000000000000000000000000000000000000000001`},
		schema.Date:      {`9223372036854775807`, `-9223372036854775808`, `"Infinity"`, `"2026-09-01"`},
		schema.DateTime:  {`9223372036854775807`, `"infinity`, `1.5`},
		schema.Timestamp: {`0`, `"2026-09-01"`, `"2026-09-01T08:00:00Z"`, `"2026-09-01T08:00:00.123Z"`, `"2026-09-01 08:00:00.123456Z"`, `"2026-09-01T08:00:00.123456+00:00"`, `"2026-13-01T08:00:00.123456Z"`, `"2026-02-30T08:00:00.123456Z"`, `"2026-09-01T24:00:00.000000Z"`, `"26-09-01T08:00:00.123456Z"`, `"+2026-09-01T08:00:00.123456Z"`, `"-0000-09-01T08:00:00.123456Z"`, `"999999-09-01T08:00:00.123456Z"`, `"9999999-09-01T08:00:00.123456Z"`, `"2026-0x-01T08:00:00.123456Z"`, `"+294247-01-10T04:00:54.775807Z"`, `""`},
		schema.Bytes:     {`"AP8"`, `"AP9="`, `"AP8=="`, `"AP8=\n"`, `"A-8="`, `AP8=`, `"AP8`},
		schema.String:    {``, `x`, `"`, `"\`, `"\"`, `"\x"`, `"\u00"`, `"\u0041"`, `"\u0020"`, `"\u001G"`, `"\u0008"`, `"\ud83d\ude00"`, "\"\x1f\"", "\"\xc3\""},
	} {
		for _, form := range forms {
			var d Decoder
			s := jsonScan{b: []byte(form), arena: &d.arena}
			if v := s.value(k); s.err == nil && len(s.b) == 0 {
				t.Errorf("%s %s was read as %+v", k, form, v)
			} else if s.err != nil && !errors.Is(s.err, ErrMalformed) {
				t.Errorf("%s %s: %v", k, form, s.err)
			}
		}
	}
}

func TestParseCodec(t *testing.T) {
	for _, c := range []Codec{Avro, JSON} {
		if got, err := ParseCodec(c.String()); err != nil || got != c {
			t.Errorf("%s reads back as %s, %v", c, got, err)
		}
	}
	for _, s := range []string{"", "Avro", "codec(2)"} {
		if _, err := ParseCodec(s); err == nil {
			t.Errorf("%q is a codec", s)
		}
	}
}

func TestJSONRefusesWhatIsNoText(t *testing.T) {
	row := sampleRow()
	row.After[row.Table.Key[1]] = event.Raw([]byte("\xe5\xbc"))
	e := NewEncoder(source, "p1", JSON)
	e.BindTable(row.Table, 77)
	if _, err := e.AppendValue(nil, &txn, row, 0); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "列string") {
		t.Errorf("got %v, want ErrMalformed and the column", err)
	}
	row = sampleRow()
	row.Anomalies[0].Column = len(row.Table.Columns)
	if _, err := e.AppendValue(nil, &txn, row, 0); err == nil {
		t.Error("a row of an unbound table was written")
	}
	e.BindTable(row.Table, 78)
	if _, err := e.AppendValue(nil, &txn, row, 0); !errors.Is(err, ErrMalformed) {
		t.Errorf("anomaly of a column that isn't there: %v", err)
	}
}

func FuzzDecodeJSON(f *testing.F) {
	tab := table()
	for _, g := range goldenRows(tab) {
		f.Add(encode(f, g.row, JSON))
	}
	sample := sampleRow()
	sample.Table = tab
	sample.Before[tab.Column("列text")] = special(schema.String)[1]
	sample.Before[tab.Column("列timestamp")] = event.Signed(edges[7])
	f.Add(encode(f, sample, JSON))
	f.Fuzz(func(t *testing.T, value []byte) {
		if len(value) == 0 || value[0] != '{' {
			return
		}
		var got event.Row
		var stamp Stamp
		if err := Decode(tab, value, &got, &stamp); err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("unexpected error %v", err)
			}
			return
		}
		e := NewEncoder(stamp.Source, stamp.Policy, JSON)
		e.BindTable(tab, 1)
		if again, err := e.AppendValue(nil, &stamp.Txn, &got, stamp.Order); err != nil || !bytes.Equal(again, value) {
			t.Errorf("%v\nread  %q\nwrote %q", err, value, again)
		}
	})
}

// TestKeyText: people are shown the key that a row had, and no flood.
func TestKeyText(t *testing.T) {
	table := &schema.Table{Database: "d", Name: "t", Key: []int{2, 0}, Columns: []schema.Column{
		{Name: "id", Type: schema.Type{Kind: schema.Uint64}}, {Name: "note", Type: schema.Type{Kind: schema.String}}, {Name: "name", Type: schema.Type{Kind: schema.String}}}}
	image := func(id uint64, name string) []event.Value {
		return []event.Value{event.Number(id), event.NullValue, event.Raw([]byte(name))}
	}
	long := strings.Repeat("学", 100)
	for want, row := range map[string]*event.Row{
		`["甲\"",18446744073709551615]`:        {After: image(math.MaxUint64, `甲"`)},
		`["旧",1]`:                             {Before: image(1, "旧"), After: image(2, "新")},
		`["` + strings.Repeat("学", 66) + `…]`: {After: image(1, long)},
	} {
		row.Table = table
		if got := KeyText(row); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := KeyText(&event.Row{Table: &schema.Table{Database: "d", Name: "t"}}); got != "" {
		t.Errorf("without a key %q", got)
	}
}
