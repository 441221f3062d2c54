package postgres

import (
	"math"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

func TestParse(t *testing.T) {
	for name, tt := range map[string]struct {
		kind schema.Kind
		text string
		want event.Value
		bad  bool
	}{
		"true":                  {kind: schema.Bool, text: "t", want: event.Number(1)},
		"bool of another form":  {kind: schema.Bool, text: "true", bad: true},
		"no digit":              {kind: schema.Int16, text: "-", bad: true},
		"empty integer":         {kind: schema.Int32, text: "", bad: true},
		"digits and more":       {kind: schema.Int32, text: "12a", bad: true},
		"integer":               {kind: schema.Int32, text: "-2147483648", want: event.Signed(math.MinInt32)},
		"18 digits":             {kind: schema.Int64, text: "-999999999999999999", want: event.Signed(-999999999999999999)},
		"largest bigint":        {kind: schema.Int64, text: "9223372036854775807", want: event.Signed(math.MaxInt64)},
		"smallest bigint":       {kind: schema.Int64, text: "-9223372036854775808", want: event.Signed(math.MinInt64)},
		"bigint too large":      {kind: schema.Int64, text: "9223372036854775808", bad: true},
		"real":                  {kind: schema.Float32, text: "1.5", want: event.Number(uint64(math.Float32bits(1.5)))},
		"double NaN":            {kind: schema.Float64, text: "NaN", want: event.Number(math.Float64bits(math.NaN()))},
		"double -Infinity":      {kind: schema.Float64, text: "-Infinity", want: event.Number(math.Float64bits(math.Inf(-1)))},
		"epoch":                 {kind: schema.Date, text: "1970-01-01", want: event.Signed(0)},
		"day before the epoch":  {kind: schema.Date, text: "1969-12-31", want: event.Signed(-1)},
		"leap day of 1 BC":      {kind: schema.Date, text: "0001-02-29 BC", want: event.Signed(-719469)},
		"date infinity":         {kind: schema.Date, text: "infinity", want: event.Signed(event.PosInfinity)},
		"date with a time":      {kind: schema.Date, text: "1970-01-01 00:00:00", bad: true},
		"date cut":              {kind: schema.Date, text: "1970-01", bad: true},
		"microsecond":           {kind: schema.DateTime, text: "1970-01-01 00:00:00.000001", want: event.Signed(1)},
		"tenth of a second":     {kind: schema.DateTime, text: "1970-01-01 00:00:00.1", want: event.Signed(100_000)},
		"before the epoch":      {kind: schema.DateTime, text: "1969-12-31 23:59:59.999999", want: event.Signed(-1)},
		"instant":               {kind: schema.Timestamp, text: "1970-01-02 00:00:00+00", want: event.Signed(86_400_000_000)},
		"instant -infinity":     {kind: schema.Timestamp, text: "-infinity", want: event.Signed(event.NegInfinity)},
		"instant of other zone": {kind: schema.Timestamp, text: "1970-01-02 00:00:00+08", bad: true},
		"end of the day":        {kind: schema.Time, text: "24:00:00", want: event.Signed(86_400_000_000)},
		"seven digits":          {kind: schema.Time, text: "00:00:00.1234567", bad: true},
		"bytes":                 {kind: schema.Bytes, text: `\x00ff`, want: event.Raw([]byte{0, 255})},
		"no bytes":              {kind: schema.Bytes, text: `\x`, want: event.Raw([]byte{})},
		"half a byte":           {kind: schema.Bytes, text: `\x0`, bad: true},
		"text":                  {kind: schema.String, text: "西湖区𠮷", want: event.Raw([]byte("西湖区𠮷"))},
		"numeric keeps zeros":   {kind: schema.Decimal, text: "0.10", want: event.Raw([]byte("0.10"))},
	} {
		t.Run(name, func(t *testing.T) {
			var arena event.Arena
			got, err := parse(&schema.Type{Kind: tt.kind}, []byte(tt.text), &arena)
			if (err != nil) != tt.bad {
				t.Fatalf("parse(%q) = %v, bad %v", tt.text, err, tt.bad)
			}
			if !tt.bad && (got.State != event.Present || got.N != tt.want.N || string(got.B) != string(tt.want.B)) {
				t.Errorf("parse(%q) = %d %q, want %d %q", tt.text, got.N, got.B, tt.want.N, tt.want.B)
			}
		})
	}
}

// FuzzParse shows that no text makes the parser panic.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"t", "-1", "1970-01-01 00:00:00.1+00", "0001-02-29 BC", `\xff`, "24:00:00", "", "infinity", strings.Repeat("9", 40) + "-01-01"} {
		for _, k := range []schema.Kind{schema.Bool, schema.Int64, schema.Date, schema.Timestamp, schema.Time, schema.Bytes, schema.String} {
			f.Add(uint8(k), []byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, text []byte) {
		var arena event.Arena
		v, err := parse(&schema.Type{Kind: schema.Kind(kind)}, text, &arena)
		if err == nil && v.State != event.Present {
			t.Errorf("parse(%q) as %s is no value", text, schema.Kind(kind))
		}
	})
}
