package rowimage

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

func plan(t testing.TB, cols ...Column) *Plan {
	t.Helper()
	table := &schema.Table{Source: "s", Dataset: "d", Database: "db", Name: "t"}
	for i, c := range cols {
		typ, err := TypeOf(c)
		if err != nil {
			t.Fatal(err)
		}
		table.Columns = append(table.Columns, schema.Column{Name: string(rune('a' + i)), Type: typ})
	}
	p, err := Compile(table, cols)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// cases hold one value each: the column, its bytes in a row image, what it means.
func cases() map[string]struct {
	col     Column
	hex     string
	want    event.Value
	anomaly string
} {
	text := func(s string) event.Value { return event.Raw([]byte(s)) }
	micro := func(y, m, d, h, i, s, us int) event.Value {
		return event.Signed(time.Date(y, time.Month(m), d, h, i, s, us*1000, time.UTC).UnixMicro())
	}
	utf8, gbk := "utf8mb4", "gbk"
	return map[string]struct {
		col     Column
		hex     string
		want    event.Value
		anomaly string
	}{
		"tinyint -128":           {Column{Type: typeTiny}, "80", event.Signed(-128), ""},
		"tinyint unsigned 255":   {Column{Type: typeTiny, Unsigned: true}, "ff", event.Number(255), ""},
		"smallint -1":            {Column{Type: typeShort}, "ffff", event.Signed(-1), ""},
		"mediumint -8388608":     {Column{Type: typeInt24}, "000080", event.Signed(-8388608), ""},
		"mediumint unsigned max": {Column{Type: typeInt24, Unsigned: true}, "ffffff", event.Number(16777215), ""},
		"int min":                {Column{Type: typeLong}, "00000080", event.Signed(math.MinInt32), ""},
		"bigint unsigned max":    {Column{Type: typeLongLong, Unsigned: true}, "ffffffffffffffff", event.Number(math.MaxUint64), ""},
		"float":                  {Column{Type: typeFloat, Meta: 4}, "0000c03f", event.Number(uint64(math.Float32bits(1.5))), ""},
		"double":                 {Column{Type: typeDouble, Meta: 8}, "000000000000f8bf", event.Number(math.Float64bits(-1.5)), ""},
		"decimal of the manual":  {Column{Type: typeNewDecimal, Meta: 14<<8 | 4}, "81 0dfb38d2 04d2", text("1234567890.1234"), ""},
		"decimal negative":       {Column{Type: typeNewDecimal, Meta: 14<<8 | 4}, "7e f204c72d fb2d", text("-1234567890.1234"), ""},
		"decimal(5,2) zero":      {Column{Type: typeNewDecimal, Meta: 5<<8 | 2}, "8000 00", text("0.00"), ""},
		"decimal(2,2)":           {Column{Type: typeNewDecimal, Meta: 2<<8 | 2}, "8c", text("0.12"), ""},
		"decimal(3,0)":           {Column{Type: typeNewDecimal, Meta: 3 << 8}, "807b", text("123"), ""},
		"bit(10)":                {Column{Type: typeBit, Meta: 1<<8 | 2}, "0203", text("1000000011"), ""},
		"bit(64)":                {Column{Type: typeBit, Meta: 8 << 8}, "8000000000000001", text("1" + strings.Repeat("0", 62) + "1"), ""},
		"year":                   {Column{Type: typeYear}, "7e", event.Number(2026), ""},
		"year 0000":              {Column{Type: typeYear}, "00", event.Number(0), ""},
		"varchar":                {Column{Type: typeVarchar, Meta: 80, Charset: utf8}, "06 e69dade5b79e", text("杭州"), ""},
		"varchar long":           {Column{Type: typeVarchar, Meta: 400, Charset: utf8}, "0300 616263", text("abc"), ""},
		"varchar bad utf8":       {Column{Type: typeVarchar, Meta: 80, Charset: utf8}, "01 ff", event.NullValue, `utf8mb4 \xff`},
		"gbk 中文":                 {Column{Type: typeVarchar, Meta: 40, Charset: gbk}, "04 d6d0cec4", text("中文"), ""},
		"gbk half a character":   {Column{Type: typeVarchar, Meta: 40, Charset: gbk}, "01 d6", event.NullValue, `gbk \xd6`},
		"latin1 euro":            {Column{Type: typeVarchar, Meta: 40, Charset: "latin1"}, "01 80", text("€"), ""},
		"gb18030 rare":           {Column{Type: typeBlob, Meta: 2, Charset: "gb18030"}, "0400 95328236", text("𠀀"), ""},
		"char":                   {Column{Type: typeString, Meta: 0xfe50, Charset: utf8}, "02 6162", text("ab"), ""},
		"char(100) utf8mb4":      {Column{Type: typeString, Meta: 0xee90, Charset: utf8}, "0200 6162", text("ab"), ""},
		"binary(4) padded":       {Column{Type: typeString, Meta: 0xfe04, Charset: "binary"}, "02 0102", event.Raw([]byte{1, 2, 0, 0}), ""},
		"varbinary":              {Column{Type: typeVarchar, Meta: 8, Charset: "binary"}, "02 ff00", event.Raw([]byte{255, 0}), ""},
		"mediumblob":             {Column{Type: typeBlob, Meta: 3, Charset: "binary"}, "010000 07", event.Raw([]byte{7}), ""},
		"date":                   {Column{Type: typeDate}, "21d50f", event.Signed(time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC).Unix() / 86400), ""},
		"date zero":              {Column{Type: typeDate}, "000000", event.NullValue, "0000-00-00"},
		"date partly zero":       {Column{Type: typeDate}, "20d40f", event.NullValue, "2026-01-00"},
		"time2":                  {Column{Type: typeTime2}, "80c0c3", event.Signed((12*3600 + 3*60 + 3) * 1e6), ""},
		"time2 negative":         {Column{Type: typeTime2, Meta: 2}, "7ffffffe", event.Signed(-20_000), ""},
		"time2 838:59:59":        {Column{Type: typeTime2}, "b46efb", event.Signed((838*3600 + 59*60 + 59) * 1e6), ""},
		"time old negative":      {Column{Type: typeTime}, "f0d8ff", event.Signed(-3600 * 1e6), ""},
		"datetime2(6)":           {Column{Type: typeDatetime2, Meta: 6}, "99bac2817b 0f423f", micro(2026, 9, 1, 8, 5, 59, 999999), ""},
		"datetime2 zero":         {Column{Type: typeDatetime2}, "8000000000", event.NullValue, "0000-00-00 00:00:00"},
		"datetime old":           {Column{Type: typeDatetime}, "efcdcf5b6d120000", micro(2026, 9, 1, 8, 5, 59, 0), ""},
		"timestamp2(3)":          {Column{Type: typeTimestamp2, Meta: 3}, "00000001 04ce", event.Signed(1_123_000), ""},
		"timestamp zero":         {Column{Type: typeTimestamp2, Meta: 0}, "00000000", event.NullValue, "0000-00-00 00:00:00"},
		"timestamp old":          {Column{Type: typeTimestamp}, "01000000", event.Signed(1_000_000), ""},
		"enum":                   {Column{Type: typeString, Meta: typeEnum<<8 | 1, Labels: []string{"男", "女"}}, "02", text("女"), ""},
		"enum invalid insert":    {Column{Type: typeString, Meta: typeEnum<<8 | 1, Labels: []string{"男", "女"}}, "00", text(""), ""},
		"set":                    {Column{Type: typeString, Meta: typeSet<<8 | 1, Labels: []string{"语", "数", "外"}}, "05", text("语,外"), ""},
		"set empty":              {Column{Type: typeString, Meta: typeSet<<8 | 1, Labels: []string{"语"}}, "00", text(""), ""},
		"gbk of ASCII":           {Column{Type: typeVarchar, Meta: 40, Charset: gbk}, "02 6162", text("ab"), ""},
		"utf16":                  {Column{Type: typeVarchar, Meta: 40, Charset: "utf16"}, "04 676d0061", text("杭a"), ""},
		"utf16 half a pair":      {Column{Type: typeVarchar, Meta: 40, Charset: "utf16"}, "02 d800", event.NullValue, `utf16 \xd800`},
		"utf16le pair":           {Column{Type: typeVarchar, Meta: 40, Charset: "utf16le"}, "04 42d8b7df", text("𠮷"), ""},
		"utf32":                  {Column{Type: typeVarchar, Meta: 40, Charset: "utf32"}, "04 00020bb7", text("𠮷"), ""},
		"ucs2 has no pairs":      {Column{Type: typeVarchar, Meta: 40, Charset: "ucs2"}, "04 d842dfb7", event.NullValue, `ucs2 \xd842dfb7`},
		"gb2312 of the server":   {Column{Type: typeVarchar, Meta: 40, Charset: "gb2312"}, "04 a1a4a1aa", text("・―"), ""},
		"big5 of the server":     {Column{Type: typeVarchar, Meta: 40, Charset: "big5"}, "04 a145b3 5c", text("•許"), ""},
		"gb18030 made by a user": {Column{Type: typeVarchar, Meta: 40, Charset: "gb18030"}, "02 aaa1", text("\ue000"), ""},
		"gb18030 U+FFFD":         {Column{Type: typeVarchar, Meta: 40, Charset: "gb18030"}, "04 8431a437", text("\ufffd"), ""},
		"geometry":               {Column{Type: typeGeometry, Meta: 4}, "02000000 0102", event.Raw([]byte{1, 2}), ""},
		"vector":                 {Column{Type: typeVector, Meta: 4}, "08000000 0000803f 0000c0bf", text("{1,-1.5}"), ""},
		"uuid, version 4":        {Column{Type: typeString, Meta: 0xfe10, Charset: "binary", Native: "uuid"}, "10 426655440000 a456 42d3 e89b 123e4567", text("123e4567-e89b-42d3-a456-426655440000"), ""},
		"uuid, version 7":        {Column{Type: typeString, Meta: 0xfe10, Charset: "binary", Native: "uuid"}, "10 0192f0c1 2345 7abc 8def 0123456789ab", text("0192f0c1-2345-7abc-8def-0123456789ab"), ""},
		"uuid, version 8":        {Column{Type: typeString, Meta: 0xfe10, Charset: "binary", Native: "uuid"}, "10 a1a2a3a4 b1b2 80c2 80d2 e1e2e3e4e5e6", text("a1a2a3a4-b1b2-80c2-80d2-e1e2e3e4e5e6"), ""},
		"uuid of zeros":          {Column{Type: typeString, Meta: 0xfe10, Charset: "binary", Native: "uuid"}, "00", text("00000000-0000-0000-0000-000000000000"), ""},
		"inet6":                  {Column{Type: typeString, Meta: 0xfe10, Charset: "binary", Native: "inet6"}, "04 20010db8", text("2001:db8::"), ""},
		"inet4":                  {Column{Type: typeString, Meta: 0xfe04, Charset: "binary", Native: "inet4"}, "01 0a", text("10.0.0.0"), ""},
		"compressed, not worth":  {Column{Type: typePackedChar, Meta: 81, Charset: utf8}, "04 00 616263", text("abc"), ""},
		"compressed, empty":      {Column{Type: typePackedChar, Meta: 81, Charset: utf8}, "00", text(""), ""},
		"compressed":             {Column{Type: typePackedBlob, Meta: 1, Charset: utf8}, "07 89 06 4b4c040100", text("aaaaaa"), ""},
		"compressed in a frame":  {Column{Type: typePackedBlob, Meta: 1, Charset: utf8}, "0d 81 06 789c 4b4c040100 07fb0247", text("aaaaaa"), ""},
		"time old fraction":      {Column{Type: typeTime, Meta: 3}, "00b407a57f", event.Signed(-1000), ""},
		"json bad utf8":          {Column{Type: typeJSON, Meta: 1}, "03 0c 01 ff", event.NullValue, `json \x0c01ff`},
		"json empty":             {Column{Type: typeJSON, Meta: 4}, "00000000", text("null"), ""},
		"json string":            {Column{Type: typeJSON, Meta: 4}, "05000000 0c 03 61220a", text(`"a\"\n"`), ""},
		"json double":            {Column{Type: typeJSON, Meta: 4}, "09000000 0b 000000000000f03f", text("1.0"), ""},
		"json array":             {Column{Type: typeJSON, Meta: 4}, "0b000000 02 0200 0a00 05ffff 040100", text("[-1, true]"), ""},
		"json object":            {Column{Type: typeJSON, Meta: 4}, "0d000000 00 0100 0c00 0b00 0100 050700 61", text(`{"a": 7}`), ""},
	}
}

func TestDecode(t *testing.T) {
	for name, tt := range cases() {
		t.Run(name, func(t *testing.T) {
			p := plan(t, tt.col)
			data := append([]byte{0}, unhex(t, tt.hex)...)
			dst := make([]event.Value, 1)
			rest, anomalies, err := p.Decode(append(data, 0xaa), []byte{1}, dst, &event.Arena{}, nil, true)
			if err != nil || !bytes.Equal(rest, []byte{0xaa}) {
				t.Fatalf("rest %x, %v", rest, err)
			}
			agree(t, p, data[1:])
			if got := dst[0]; got.State != tt.want.State || got.N != tt.want.N || string(got.B) != string(tt.want.B) {
				t.Errorf("%d %d %q, want %d %d %q", got.State, int64(got.N), got.B, tt.want.State, int64(tt.want.N), tt.want.B)
			}
			if tt.anomaly == "" && len(anomalies) != 0 || tt.anomaly != "" && (len(anomalies) != 1 || anomalies[0].Raw != tt.anomaly || !anomalies[0].Before) {
				t.Errorf("anomalies %+v, want %q", anomalies, tt.anomaly)
			}
			for n := range data { // no cut image is taken for a whole one
				if _, _, err := p.Decode(data[:n], []byte{1}, dst, &event.Arena{}, nil, false); !errors.Is(err, ErrMalformed) {
					t.Errorf("cut to %d bytes: %v", n, err)
				}
			}
		})
	}
}

// agree compares the quick way of a plan of one column with its decoder.
func agree(t interface {
	Helper()
	Errorf(string, ...any)
}, p *Plan, data []byte) {
	t.Helper()
	var got event.Value
	n := p.columns[0].quick.read(data, &got, &event.Arena{})
	if n == 0 {
		return
	}
	want, rest, err := p.columns[0].decode(data, &state{arena: &event.Arena{}})
	if err != nil || n != len(data)-len(rest) || got.State != want.State || got.N != want.N || !bytes.Equal(got.B, want.B) {
		t.Errorf("% x quickly is %+v in %d bytes, else %+v in %d, %v", data, got, n, want, len(data)-len(rest), err)
	}
}

// Ordinary values must not be left to the decoders.
func TestQuickForms(t *testing.T) {
	for _, name := range []string{"tinyint unsigned 255", "mediumint -8388608", "bigint unsigned max", "float", "double", "decimal(5,2) zero", "decimal(3,0)", "varchar", "varchar long",
		"gbk of ASCII", "char", "varbinary", "gb18030 rare", "date", "datetime2(6)", "timestamp2(3)"} {
		tt, ok := cases()[name]
		if !ok {
			t.Fatal(name)
		}
		data := unhex(t, tt.hex)
		if n := plan(t, tt.col).columns[0].quick.read(data, new(event.Value), &event.Arena{}); n != len(data) && name != "gb18030 rare" {
			t.Errorf("%s: %d of %d bytes", name, n, len(data))
		}
	}
}

func TestDays(t *testing.T) {
	day := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	for ; day.Year() < 10000; day = day.AddDate(0, 0, 1) {
		if got, ok := daysOf(day.Year(), int(day.Month()), day.Day()); !ok || got != day.Unix()/86400 {
			t.Fatalf("%s is %d, %t", day, got, ok)
		}
		if next := day.AddDate(0, 0, 1); next.Day() == 1 {
			if _, ok := daysOf(day.Year(), int(day.Month()), day.Day()+1); ok {
				t.Fatalf("a day after %s in its month", day)
			}
		}
	}
	for _, bad := range [][3]int{{2026, 0, 1}, {2026, 13, 1}, {2026, 1, 0}, {2026, 1, 32}, {-1, 1, 1}} {
		if _, ok := daysOf(bad[0], bad[1], bad[2]); ok {
			t.Error(bad)
		}
	}
}

func TestPresentAndNull(t *testing.T) {
	cols := make([]Column, 10)
	for i := range cols {
		cols[i] = Column{Type: typeTiny}
	}
	p, dst := plan(t, cols...), make([]event.Value, 10)
	// Columns 0, 8 and 9 are there; of these the second is NULL.
	rest, _, err := p.Decode([]byte{0b010, 5, 6}, []byte{1, 3}, dst, &event.Arena{}, nil, false)
	if err != nil || len(rest) != 0 {
		t.Fatal(rest, err)
	}
	for i, v := range dst {
		want := map[int]event.Value{0: event.Signed(5), 8: event.NullValue, 9: event.Signed(6)}[i]
		if v.State != want.State || v.N != want.N {
			t.Errorf("column %d is %+v, want %+v", i, v, want)
		}
	}
}

// Bytes that no server writes are refused, and soon.
func TestMalformed(t *testing.T) {
	object := "0200 0a00" // two values in ten bytes
	for name, tt := range map[string]struct {
		col Column
		hex string
	}{
		"json that holds itself twice":     {Column{Type: typeJSON, Meta: 1}, "0b 02" + object + "020000 020000"},
		"json with one string for two":     {Column{Type: typeJSON, Meta: 1}, "18 02 0200 1700 0c0a00 0c0a00 0c 616263616263616263616263"},
		"json value outside":               {Column{Type: typeJSON, Meta: 1}, "08 02 0100 0700 0cff00"},
		"json of another type":             {Column{Type: typeJSON, Meta: 1}, "02 0d00"},
		"json number that isn't one":       {Column{Type: typeJSON, Meta: 1}, "09 0b 000000000000f87f"},
		"decimal group above nine digits":  {Column{Type: typeNewDecimal, Meta: 9 << 8}, "ffffffff"},
		"decimal odd digits out of range":  {Column{Type: typeNewDecimal, Meta: 2<<8 | 2}, "e4"},
		"enum without such a label":        {Column{Type: typeEnum, Meta: 1, Labels: []string{"a"}}, "02"},
		"set without such a label":         {Column{Type: typeSet, Meta: 1, Labels: []string{"a"}}, "02"},
		"varchar longer than what is left": {Column{Type: typeVarchar, Meta: 80, Charset: "gbk"}, "05 61"},
	} {
		p, data := plan(t, tt.col), append([]byte{0}, unhex(t, tt.hex)...)
		if _, _, err := p.Decode(data, []byte{1}, make([]event.Value, 1), &event.Arena{}, nil, false); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnsupported(t *testing.T) {
	for name, c := range map[string]Column{
		"geometry of no length": {Type: typeGeometry}, "unknown charset": {Type: typeVarchar, Meta: 10, Charset: "sjis"},
		"decimal too wide": {Type: typeNewDecimal, Meta: 66 << 8}, "enum without labels": {Type: typeString, Meta: typeEnum<<8 | 1},
		"unknown wire type": {Type: 200}, "seven digits": {Type: typeTime2, Meta: 7},
	} {
		if _, err := TypeOf(c); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// encodeDecimal is the inverse of decimal, written from the manual's words.
func encodeDecimal(n *big.Int, precision, scale int) []byte {
	digits := new(big.Int).Abs(n).String()
	digits = strings.Repeat("0", precision-min(precision, len(digits))) + digits
	var out []byte
	put := func(s string) {
		v, _ := new(big.Int).SetString("0"+s, 10)
		b := make([]byte, leftover[len(s)])
		out = append(out, v.FillBytes(b)...)
	}
	whole := precision - scale
	put(digits[:whole%9])
	for i := whole % 9; i < whole; i += 9 {
		put(digits[i : i+9])
	}
	i := whole
	for ; i+9 <= precision; i += 9 {
		put(digits[i : i+9])
	}
	put(digits[i:])
	if n.Sign() < 0 {
		for i := range out {
			out[i] ^= 0xff
		}
	}
	out[0] ^= 0x80
	return out
}

func TestDecimalLaw(t *testing.T) {
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		precision := rapid.IntRange(1, 65).Draw(t, "precision")
		scale := rapid.IntRange(0, min(precision, 38)).Draw(t, "scale")
		limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(precision)), nil)
		n := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 30).Draw(t, "n"))
		n.Mod(n, limit)
		if n.Sign() > 0 && rapid.Bool().Draw(t, "negative") {
			n.Neg(n)
		}
		data := encodeDecimal(n, precision, scale)
		agree(t, plan(outer, Column{Type: typeNewDecimal, Meta: uint16(precision<<8 | scale)}), data)
		v, rest, err := decimal(precision, scale)(data, &state{arena: &event.Arena{}})
		if err != nil || len(rest) != 0 {
			t.Fatal(rest, err)
		}
		want := new(big.Rat).SetFrac(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)).FloatString(scale)
		if string(v.B) != want {
			t.Fatalf("decimal(%d,%d) %q, want %q", precision, scale, v.B, want)
		}
	})
}

func TestInfo(t *testing.T) {
	for text, tt := range map[string]struct {
		info Info
		want string
	}{
		"unsigned":      {Info{"bigint", "bigint(20) unsigned", ""}, "uint64"},
		"decimal":       {Info{"decimal", "decimal(5,1)", ""}, "decimal(5,1)"},
		"char gbk":      {Info{"char", "char(19)", "gbk"}, "string(19)"},
		"char long":     {Info{"char", "char(200)", "utf8mb4"}, "string(200)"},
		"varchar":       {Info{"varchar", "varchar(64)", "utf8mb4"}, "string(64)"},
		"binary":        {Info{"binary", "binary(16)", ""}, "bytes(16)"},
		"text":          {Info{"mediumtext", "mediumtext", "utf8mb3"}, "string"},
		"bit":           {Info{"bit", "bit(12)", ""}, "bit(12)"},
		"timestamp":     {Info{"timestamp", "timestamp(3)", ""}, "timestamp(3)"},
		"enum":          {Info{"enum", "enum('a,b','it''s')", "utf8mb4"}, "enum"},
		"set":           {Info{"set", "set('a','b','c')", "utf8mb4"}, "set"},
		"year":          {Info{"year", "year(4)", ""}, "year"},
		"double":        {Info{"double", "double unsigned", ""}, "float64"},
		"point":         {Info{"point", "point", ""}, "bytes"},
		"vector":        {Info{"vector", "vector(3)", ""}, "float32[]"},
		"uuid":          {Info{"uuid", "uuid", ""}, "uuid"},
		"inet6":         {Info{"inet6", "inet6", ""}, "text(inet6)"},
		"compressed":    {Info{"varchar", "varchar(200) /*M!100301 COMPRESSED*/", "gbk"}, "string(200)"},
		"time of 5.3":   {Info{"time", "time(3) /* mariadb-5.3 */", ""}, "time(3)"},
		"longblob":      {Info{"longblob", "longblob", ""}, "bytes"},
		"json of MySQL": {Info{"json", "json", ""}, "json"},
	} {
		c, err := tt.info.Column()
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		typ, err := TypeOf(c)
		if err != nil || typ.String() != tt.want {
			t.Errorf("%s is %s, want %s, %v", text, typ, tt.want, err)
		}
	}
	if got := arguments("enum('a,b','it''s','')"); len(got) != 3 || got[0] != "a,b" || got[1] != "it's" || got[2] != "" {
		t.Errorf("arguments %q", got)
	}
	if _, err := (Info{DataType: "uuid", ColumnType: "uuid /* old */"}).Column(); !errors.Is(err, ErrUnsupported) {
		t.Errorf("uuid of another form: %v", err)
	}
}

func TestDefault(t *testing.T) {
	char := Column{Type: typeVarchar, Meta: 40, Charset: "gbk"}
	for name, tt := range map[string]struct {
		col     Column
		def     Default
		want    event.Value
		anomaly string
		unknown bool
	}{
		"NULL":                    {col: char, def: Default{None: true, Nullable: true}, want: event.NullValue},
		"NULL of MariaDB":         {col: char, def: Default{Text: "NULL", Literal: true, Nullable: true}, want: event.NullValue},
		"text":                    {col: char, def: Default{Text: "镕"}, want: event.Raw([]byte("镕"))},
		"text NULL of MySQL":      {col: char, def: Default{Text: "NULL"}, want: event.Raw([]byte("NULL"))},
		"text of MariaDB":         {col: char, def: Default{Text: `'a''\\b'`, Literal: true}, want: event.Raw([]byte(`a'\b`))},
		"function of MariaDB":     {col: char, def: Default{Text: "uuid()", Literal: true}, unknown: true},
		"computed":                {col: char, def: Default{Text: "uuid()", Computed: true}, unknown: true},
		"number":                  {col: Column{Type: typeLong}, def: Default{Text: "-7", Literal: true}, want: event.Signed(-7)},
		"clock":                   {col: Column{Type: typeDatetime2}, def: Default{Text: "current_timestamp()", Literal: true}, unknown: true},
		"clock of MySQL":          {col: Column{Type: typeDatetime2}, def: Default{Text: "CURRENT_TIMESTAMP"}, unknown: true},
		"decimal without zeros":   {col: Column{Type: typeNewDecimal, Meta: 5<<8 | 2}, def: Default{Text: "1", Literal: true}, want: event.Raw([]byte("1.00"))},
		"date":                    {col: Column{Type: typeDate}, def: Default{Text: "'1970-01-02'", Literal: true}, want: event.Signed(1)},
		"zero date":               {col: Column{Type: typeDate}, def: Default{Text: "0000-00-00"}, want: event.NullValue, anomaly: "0000-00-00"},
		"bits":                    {col: Column{Type: typeBit, Meta: 4}, def: Default{Text: "b'10'", Literal: true}, want: event.Raw([]byte("0010"))},
		"bytes":                   {col: Column{Type: typeString, Meta: 0xfe03, Charset: "binary"}, def: Default{Text: "0x6100"}, want: event.Raw([]byte("a\x00\x00"))},
		"none, a number":          {col: Column{Type: typeLongLong, Unsigned: true}, def: Default{None: true}, want: event.Number(0)},
		"none, a decimal":         {col: Column{Type: typeNewDecimal, Meta: 5<<8 | 2}, def: Default{None: true}, want: event.Raw([]byte("0.00"))},
		"none, a label":           {col: Column{Type: typeEnum, Meta: 1, Labels: []string{"男", "女"}}, def: Default{None: true}, want: event.Raw([]byte("男"))},
		"none, a time with parts": {col: Column{Type: typeTimestamp2, Meta: 3}, def: Default{None: true}, want: event.NullValue, anomaly: "0000-00-00 00:00:00.000"},
		"none, json":              {col: Column{Type: typeJSON, Meta: 4}, def: Default{None: true}, unknown: true},
	} {
		typ, err := TypeOf(tt.col)
		if err != nil {
			t.Fatal(err)
		}
		p, err := CompileText(&schema.Table{Columns: []schema.Column{{Name: "c", Type: typ}}}, []Column{tt.col})
		if err != nil {
			t.Fatal(err)
		}
		v, anomaly, ok := p.Default(0, tt.def, &event.Arena{})
		if ok == tt.unknown || ok && (v.State != tt.want.State || v.N != tt.want.N || string(v.B) != string(tt.want.B) || anomaly != tt.anomaly) {
			t.Errorf("%s: %+v %q, %q, %t; want %+v %q", name, v, v.B, anomaly, ok, tt.want, tt.anomaly)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, tt := range cases() {
		f.Add(tt.col.Type, tt.col.Meta, tt.col.Charset, append([]byte{0}, unhex(f, tt.hex)...))
	}
	f.Fuzz(func(t *testing.T, typ byte, meta uint16, charset string, data []byte) {
		c := Column{Type: typ, Meta: meta, Charset: charset, Labels: []string{"a", "b"}}
		portable, err := TypeOf(c)
		if err != nil {
			return
		}
		p, err := Compile(&schema.Table{Columns: []schema.Column{{Name: "a", Type: portable}}}, []Column{c})
		if err != nil {
			t.Fatal(err)
		}
		dst := make([]event.Value, 1)
		rest, _, err := p.Decode(data, []byte{1}, dst, &event.Arena{}, nil, false)
		if len(data) > 0 {
			agree(t, p, data[1:])
		}
		if err == nil && len(rest) > len(data) {
			t.Fatal("more is left than there was")
		}
	})
}

func TestDecodeAllocatesNothing(t *testing.T) {
	all := cases()
	utf8, number, dec := all["varchar"], all["int min"], all["decimal negative"]
	p, dst, arena := plan(t, utf8.col, number.col, dec.col), make([]event.Value, 3), &event.Arena{}
	row := append([]byte{0}, unhex(t, utf8.hex+number.hex+dec.hex)...)
	if n := testing.AllocsPerRun(10_000, func() {
		arena.Reset()
		if _, _, err := p.Decode(row, []byte{7}, dst, arena, nil, false); err != nil {
			t.Fatal(err)
		}
	}); n >= 1 {
		t.Errorf("%g allocations per row", n)
	}
}

func BenchmarkDecode(b *testing.B) {
	var cols []Column
	row := []byte{0, 0}
	all := cases()
	for _, name := range []string{"bigint unsigned max", "char", "varchar", "tinyint -128", "date", "char", "char", "smallint -1", "varchar", "datetime2 zero",
		"decimal(5,2) zero", "float", "tinyint -128", "varchar", "timestamp2(3)"} {
		cols = append(cols, all[name].col)
		if name == "datetime2 zero" {
			row = append(row, unhex(b, "99bac2817b")...)
			continue
		}
		row = append(row, unhex(b, all[name].hex)...)
	}
	p, dst, arena := plan(b, cols...), make([]event.Value, len(cols)), &event.Arena{}
	b.ReportAllocs()
	for b.Loop() {
		arena.Reset()
		if _, _, err := p.Decode(row, []byte{0xff, 0x7f}, dst, arena, nil, false); err != nil {
			b.Fatal(err)
		}
	}
}
