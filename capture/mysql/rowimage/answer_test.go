package rowimage

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// answerOf compiles a plan for an answer of these columns.
func answerOf(t testing.TB, types []byte, cols ...Column) (*AnswerPlan, error) {
	t.Helper()
	text, err := CompileText(plan(t, cols...).table, cols)
	if err != nil {
		t.Fatal(err)
	}
	return text.Answer(types)
}

type answerCase struct {
	col     Column
	typ     byte
	hex     string // of the value
	want    event.Value
	anomaly string
}

func answerCases() map[string]answerCase {
	text := func(s string) event.Value { return event.Raw([]byte(s)) }
	micro := func(y, m, d, h, i, s, us int) event.Value {
		return event.Signed(time.Date(y, time.Month(m), d, h, i, s, us*1000, time.UTC).UnixMicro())
	}
	varchar := func(charset string) Column { return Column{Type: typeVarchar, Meta: 60, Charset: charset} }
	stamps := Column{Type: typeDatetime2, Meta: 6}
	return map[string]answerCase{
		"tinyint":                 {Column{Type: typeTiny}, typeTiny, "ff", event.Signed(-1), ""},
		"tinyint unsigned":        {Column{Type: typeTiny, Unsigned: true}, typeTiny, "ff", event.Number(255), ""},
		"smallint":                {Column{Type: typeShort}, typeShort, "0080", event.Signed(-32768), ""},
		"mediumint":               {Column{Type: typeInt24}, typeInt24, "000080ff", event.Signed(-8388608), ""},
		"int unsigned":            {Column{Type: typeLong, Unsigned: true}, typeLong, "ffffffff", event.Number(1<<32 - 1), ""},
		"bigint":                  {Column{Type: typeLongLong}, typeLongLong, "feffffffffffffff", event.Signed(-2), ""},
		"bigint unsigned":         {Column{Type: typeLongLong, Unsigned: true}, typeLongLong, "ffffffffffffffff", event.Number(1<<64 - 1), ""},
		"year":                    {Column{Type: typeYear}, typeYear, "ea07", event.Number(2026), ""},
		"float":                   {Column{Type: typeFloat, Meta: 4}, typeFloat, "0000c03f", event.Number(0x3fc00000), ""},
		"double":                  {Column{Type: typeDouble, Meta: 8}, typeDouble, "000000000000f83f", event.Number(0x3ff8000000000000), ""},
		"decimal":                 {Column{Type: typeNewDecimal, Meta: 9<<8 | 2}, typeNewDecimal, "062d31322e3330", text("-12.30"), ""},
		"decimal, zerofill":       {Column{Type: typeNewDecimal, Meta: 9<<8 | 2}, typeNewDecimal, "06303030312e35", text("1.5"), ""},
		"date":                    {Column{Type: typeDate}, typeDate, "04ea070118", event.Signed(20477), ""},
		"date, zero":              {Column{Type: typeDate}, typeDate, "00", event.NullValue, "0000-00-00"},
		"date, partly zero":       {Column{Type: typeDate}, typeDate, "04ea070000", event.NullValue, "2026-00-00"},
		"datetime":                {stamps, typeDatetime, "0bea070118 080005 01000000", micro(2026, 1, 24, 8, 0, 5, 1), ""},
		"datetime, seconds":       {stamps, typeDatetime, "07ea070118 173b3b", micro(2026, 1, 24, 23, 59, 59, 0), ""},
		"datetime, midnight":      {stamps, typeDatetime, "04ea070118", micro(2026, 1, 24, 0, 0, 0, 0), ""},
		"datetime, zero":          {stamps, typeDatetime, "00", event.NullValue, "0000-00-00 00:00:00.000000"},
		"datetime, no day":        {stamps, typeDatetime, "07ea07021e 010203", event.NullValue, "2026-02-30 01:02:03.000000"},
		"timestamp":               {Column{Type: typeTimestamp2, Meta: 3}, typeTimestamp, "0bb207010100000040420000", micro(1970, 1, 1, 0, 0, 0, 16960), ""},
		"time":                    {Column{Type: typeTime2, Meta: 6}, typeTime, "0c01 22000000 163b3b 3f420f00", event.Signed(-(838*3600+59*60+59)*1_000_000 - 999_999), ""},
		"time, seconds":           {Column{Type: typeTime2}, typeTime, "0800 00000000 010203", event.Signed(3723_000_000), ""},
		"time, zero":              {Column{Type: typeTime2}, typeTime, "00", event.Signed(0), ""},
		"utf8mb4":                 {varchar("utf8mb4"), typeVarString, "06e7898be69687", text("牋文"), ""},
		"utf8mb4, empty":          {varchar("utf8mb4"), typeVarString, "00", text(""), ""},
		"utf8mb4, no text":        {varchar("utf8mb4"), typeVarString, "02c328", event.NullValue, `utf8mb4 \xc328`},
		"utf8mb4, long":           {varchar("utf8mb4"), typeVarString, "fc0200 6162", text("ab"), ""},
		"utf8mb4, long, bad":      {varchar("utf8mb4"), typeVarString, "fc0200 c328", event.NullValue, `utf8mb4 \xc328`},
		"gbk":                     {varchar("gbk"), typeVarString, "02d6d0", text("中"), ""},
		"gbk, no text":            {varchar("gbk"), typeVarString, "01ff", event.NullValue, `gbk \xff`},
		"varbinary":               {varchar("binary"), typeVarString, "02c328", event.Raw([]byte{0xc3, 0x28}), ""},
		"blob of 3 bytes' length": {Column{Type: typeBlob, Meta: 4, Charset: "binary"}, typeBlob, "fd010000 00", event.Raw([]byte{0}), ""},
		"blob of 8 bytes' length": {Column{Type: typeBlob, Meta: 4, Charset: "binary"}, typeBlob, "fe0100000000000000 00", event.Raw([]byte{0}), ""},
		"json":                    {Column{Type: typeJSON, Meta: 4}, typeJSON, "027b7d", text("{}"), ""},
		"enum":                    {Column{Type: typeEnum, Meta: 1, Labels: []string{"a"}, Charset: "utf8mb4"}, typeString, "0161", text("a"), ""},
		"bit":                     {Column{Type: typeBit, Meta: 5}, typeBit, "0109", text("01001"), ""},
		"inet6":                   {Column{Type: typeString, Meta: 0xfe10, Charset: "binary", Native: "inet6"}, typeString, "053a3a303a31", text("::1"), ""},
	}
}

// TestAnswers decodes each value by itself, behind others, and cut anywhere.
func TestAnswers(t *testing.T) {
	var all []answerCase
	for name, tt := range answerCases() {
		all = append(all, tt)
		p, err := answerOf(t, []byte{tt.typ}, tt.col)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		row := append([]byte{0, 0}, unhex(t, tt.hex)...)
		var v [1]event.Value
		anomalies, err := p.Row(row, v[:], &event.Arena{})
		if err != nil || !tt.is(v[0], anomalies, 0) {
			t.Errorf("%s: %+v %q, %v, %v; want %+v %q %q", name, v[0], v[0].B, anomalies, err, tt.want, tt.want.B, tt.anomaly)
		}
		for n := range row {
			if _, err := p.Row(row[:n:n], v[:], &event.Arena{}); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s, the first %d of %d bytes: %v", name, n, len(row), err)
			}
		}
		if _, err := p.Row(append(row, 0), v[:], &event.Arena{}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s and a byte more: %v", name, err)
		}
	}
	var cols []Column
	var types []byte
	for _, tt := range all {
		cols, types = append(cols, tt.col), append(types, tt.typ)
	}
	p, err := answerOf(t, types, cols...)
	if err != nil {
		t.Fatal(err)
	}
	for null := -1; null < len(all); null++ {
		row := make([]byte, 1+(len(all)+9)/8)
		for i, tt := range all {
			if i == null {
				row[1+(i+2)/8] |= 1 << ((i + 2) % 8)
			} else {
				row = append(row, unhex(t, tt.hex)...)
			}
		}
		values := make([]event.Value, len(all))
		anomalies, err := p.Row(row, values, &event.Arena{})
		if err != nil {
			t.Fatal(err)
		}
		for i, tt := range all {
			if i == null {
				tt = answerCase{want: event.NullValue}
			}
			if !tt.is(values[i], anomalies, i) {
				t.Errorf("NULL in column %d, column %d: %+v, %v; want %+v %q", null, i, values[i], anomalies, tt.want, tt.anomaly)
			}
		}
	}
}

func (tt answerCase) is(v event.Value, anomalies []event.Anomaly, i int) bool {
	raw := ""
	for _, a := range anomalies {
		if a.Column == i {
			raw = a.Raw
		}
	}
	return v.State == tt.want.State && v.N == tt.want.N && string(v.B) == string(tt.want.B) && (v.B == nil) == (tt.want.B == nil) && raw == tt.anomaly
}

// TestAnswersRefused: what can't be a value, and columns of other types than the table's.
func TestAnswersRefused(t *testing.T) {
	stamps, text := Column{Type: typeDatetime2}, Column{Type: typeVarchar, Meta: 60, Charset: "utf8mb4"}
	for name, tt := range map[string]struct {
		col Column
		typ byte
		hex string
	}{
		"time of three bytes":   {Column{Type: typeTime2}, typeTime, "03000000"},
		"time of 36 days":       {Column{Type: typeTime2}, typeTime, "080024000000000000"},
		"time of the 25th hour": {Column{Type: typeTime2}, typeTime, "080000000000180000"},
		"time of a third sign":  {Column{Type: typeTime2}, typeTime, "080200000000000000"},
		"datetime of five":      {stamps, typeDatetime, "05ea07011800"},
		"length NULL":           {text, typeVarString, "fb"},
		"length 255":            {text, typeVarString, "ff"},
		"length beyond":         {text, typeVarString, "feffffffffffffffff"},
	} {
		p, err := answerOf(t, []byte{tt.typ}, tt.col)
		if err != nil {
			t.Fatal(err)
		}
		var v [1]event.Value
		if _, err := p.Row(append([]byte{0, 0}, unhex(t, tt.hex)...), v[:], &event.Arena{}); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), `column "a"`) {
			t.Errorf("%s: %+v, %v", name, v[0], err)
		}
	}
	for _, typ := range []byte{typeLong, typeFloat, typeDate, typeVarString} {
		for _, c := range []Column{{Type: typeLong}, {Type: typeFloat, Meta: 4}, {Type: typeDate}, {Type: typeVarchar, Meta: 60, Charset: "gbk"}} {
			fits := typ == c.Type || typ == typeVarString && c.Type == typeVarchar
			if _, err := answerOf(t, []byte{typ}, c); fits != (err == nil) || !fits && !errors.Is(err, ErrMalformed) {
				t.Errorf("type %d for a column of type %d: %v", typ, c.Type, err)
			}
		}
	}
	if _, err := answerOf(t, []byte{typeLong, typeLong}, Column{Type: typeLong}); !errors.Is(err, ErrMalformed) {
		t.Errorf("two columns for one: %v", err)
	}
}

// FuzzAnswer: no row makes the decoder panic, and what it takes are whole values.
func FuzzAnswer(f *testing.F) {
	for _, tt := range answerCases() {
		f.Add(tt.col.Type, tt.col.Meta, tt.col.Charset, tt.typ, append([]byte{0, 0}, unhex(f, tt.hex)...))
	}
	f.Fuzz(func(t *testing.T, typ byte, meta uint16, charset string, answered byte, row []byte) {
		c := Column{Type: typ, Meta: meta, Charset: charset, Labels: []string{"a", "b"}}
		portable, err := TypeOf(c)
		if err != nil {
			return
		}
		text, err := CompileText(&schema.Table{Columns: []schema.Column{{Name: "a", Type: portable}}}, []Column{c})
		if err != nil {
			t.Fatal(err)
		}
		p, err := text.Answer([]byte{answered})
		if err != nil {
			return
		}
		var v [1]event.Value
		if _, err := p.Row(row, v[:], &event.Arena{}); err == nil && v[0].State == event.Present && portable.Kind.Numeric() && v[0].B != nil {
			t.Errorf("%s as %+v", portable, v[0])
		}
	})
}
