package values

import (
	"fmt"
	"math"
	"strings"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Extensions are those whose types the values of PostgreSQL have.
var Extensions = []string{"hstore", "citext", "ltree", "cube", "isn"}

// prepare makes the types that the values use, by the release that has what they are
// made of.
var prepare = []struct{ on, sql string }{
	{"10", "CREATE TYPE xb AS ENUM ('男', '女')"},
	{"10", "CREATE DOMAIN fen AS numeric(5,1) CHECK (value >= 0)"},
	{"10", "CREATE DOMAIN manfen AS fen DEFAULT 100"},
	{"10", "CREATE TYPE place AS (name text, code int)"},
	{"10", "CREATE TYPE school AS (at place, opened date, tags text[], photo bytea)"},
	{"11", "CREATE DOMAIN area AS place CHECK ((value).code > 0)"},
	{"10", "CREATE DOMAIN ids AS int[]"},
	{"10", "CREATE DOMAIN span AS int4range"},
	{"10", "CREATE DOMAIN sex AS xb"},
	{"10", "CREATE TYPE floatrange AS RANGE (subtype = double precision)"},
}

// Prepare gives the statements that make the types of a server, by the text of its
// version, with the extensions that it has.
func Prepare(version string, extensions []string) (out []string) {
	for _, e := range extensions {
		out = append(out, "CREATE EXTENSION "+e)
	}
	for _, p := range prepare {
		if release(version) >= release(p.on) {
			out = append(out, p.sql)
		}
	}
	return out
}

// Postgres gives the groups for a PostgreSQL server by the text of its version and the
// extensions that it has.
func Postgres(version string, extensions []string) []Group {
	has := map[string]bool{"": true}
	for _, e := range extensions {
		has[e] = true
	}
	var out []Group
	for _, g := range postgres {
		kept := Group{Name: g.Name, External: g.External}
		for _, v := range g.Values {
			if has[v.Extension] && (v.On == "" || release(version) >= release(v.On)) {
				kept.Values = append(kept.Values, v)
			}
		}
		out = append(out, kept)
	}
	return out
}

// textual is a value that arrives as the server prints it.
func textual(typ, literal, want string) Value {
	return Value{Type: typ, Literal: literal, Family: "same", Kind: schema.Text, Want: text(want)}
}

// array is an array of a type that has a portable kind.
func array(typ, literal, want string) Value {
	return Value{Type: typ, Literal: literal, Family: "same", Kind: schema.Array, Want: text(want)}
}

func on(release string, v Value) Value { v.On = release; return v }

func extension(name string, v Value) Value { v.Extension = name; return v }

var postgres = []Group{
	{Name: "numbers", Values: []Value{
		{Type: "boolean", Literal: "true", Family: "same", Kind: schema.Bool, Want: event.Number(1)},
		{Type: "boolean", Literal: "false", Family: "same", Kind: schema.Bool, Want: event.Number(0)},
		{Type: "smallint", Literal: "'-32768'", Family: "same", Kind: schema.Int16, Want: event.Signed(math.MinInt16)},
		{Type: "integer", Literal: "2147483647", Family: "same", Kind: schema.Int32, Want: event.Signed(math.MaxInt32)},
		{Type: "bigint", Literal: "'-9223372036854775808'", Family: "same", Kind: schema.Int64, Want: event.Signed(math.MinInt64)},
		{Type: "numeric", Literal: "'NaN'", Family: "same", Kind: schema.Decimal, Want: text("NaN")},
		on("14", Value{Type: "numeric", Literal: "'Infinity'", Family: "same", Kind: schema.Decimal, Want: text("Infinity"), StoreFrom: "14"}),
		on("14", Value{Type: "numeric", Literal: "'-Infinity'", Family: "same", Kind: schema.Decimal, Want: text("-Infinity"), StoreFrom: "14"}),
		{Type: "numeric", Literal: "1e200", Family: "same", Kind: schema.Decimal, Want: text("1" + strings.Repeat("0", 200))},
		{Type: "numeric", Literal: "'-0.0000000000000000000000000000000001'", Family: "same", Kind: schema.Decimal, Want: text("-0.0000000000000000000000000000000001")},
		{Type: "numeric(30,10)", Literal: "12345678901234567890.0123456789", Family: "same", Kind: schema.Decimal, Want: text("12345678901234567890.0123456789")},
		{Type: "numeric(10,2)", Literal: "0", Family: "same", Kind: schema.Decimal, Want: text("0.00")},
		on("15", Value{Type: "numeric(5,-2)", Literal: "-1234567", Family: "same", Kind: schema.Decimal, Want: text("-1234600")}),
		on("15", Value{Type: "numeric(3,5)", Literal: "0.00123", Family: "same", Kind: schema.Decimal, Want: text("0.00123")}),
		{Type: "fen", Literal: "99.5", Family: "same", Kind: schema.Decimal, Want: text("99.5")},
		{Type: "manfen", Literal: "DEFAULT", Family: "same", Kind: schema.Decimal, Want: text("100.0"), Filled: true},
		{Type: "real", Literal: "0.1", Family: "float", Kind: schema.Float32, Want: single(0.1)},
		{Type: "real", Literal: "'-1.4e-45'", Family: "float", Kind: schema.Float32, Want: single(-math.SmallestNonzeroFloat32)},
		{Type: "double precision", Literal: "'-0'", Family: "double", Kind: schema.Float64, Want: float(math.Copysign(0, -1))},
		{Type: "double precision", Literal: "1.7976931348623157e308", Family: "double", Kind: schema.Float64, Want: float(math.MaxFloat64)},
		{Type: "double precision", Literal: "'-Infinity'", Family: "double", Kind: schema.Float64, Want: float(math.Inf(-1))},
		{Type: "double precision", Literal: "'NaN'", Family: "double", Kind: schema.Float64, Want: float(math.NaN())},
		textual("money", "'-1234.56'", "-$1,234.56"),
		textual("oid", "4294967295", "4294967295"),
		{Type: "bit(5)", Literal: "B'10110'", Family: "same", Kind: schema.Bit, Want: text("10110")},
		{Type: "bit varying", Literal: "B'101'", Family: "same", Kind: schema.Bit, Want: text("101")},
		{Type: "bit varying(9)", Literal: "B''", Family: "same", Kind: schema.Bit, Want: text("")},
		{Type: "bit(64)", Literal: "x'8000000000000001'", Family: "same", Kind: schema.Bit, Want: text("1" + strings.Repeat("0", 62) + "1")},
	}},
	{Name: "texts", Values: []Value{
		{Type: "text", Literal: "'杭州市西湖区𠮷野'", Family: "text", Kind: schema.String, Want: text("杭州市西湖区𠮷野")},
		{Type: "text", Literal: "''", Family: "text", Kind: schema.String, Want: text("")},
		{Type: "character(4)", Literal: "'ab'", Family: "padded text", Kind: schema.String, Want: text("ab  ")},
		{Type: "character varying(8)", Literal: `E'a\tb\n\\.'`, Family: "text", Kind: schema.String, Want: text("a\tb\n\\.")},
		{Type: "name", Literal: "'学籍'", Family: "text", Kind: schema.String, Want: text("学籍")},
		textual(`"char"`, "'a'", "a"),
		{Type: "bytea", Literal: `'\x00ff'`, Family: "bytes", Kind: schema.Bytes, Want: text("\x00\xff")},
		{Type: "bytea", Literal: `''`, Family: "bytes", Kind: schema.Bytes, Want: text("")},
		{Type: "uuid", Literal: "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", Family: "same", Kind: schema.UUID, Want: text("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")},
		{Type: "json", Literal: `'{"a" : 1.00, "a": null}'`, Family: "same", Kind: schema.JSON, Want: text(`{"a" : 1.00, "a": null}`)},
		{Type: "json", Literal: `'"\u0000"'`, Family: "same", Kind: schema.JSON, Want: text(`"\u0000"`)},
		{Type: "jsonb", Literal: `'{"b": "é\n", "a":1.00}'`, Family: "same", Kind: schema.JSON, Want: text(`{"a": 1.00, "b": "é\n"}`)},
		{Type: "jsonb", Literal: `'12345678901234567890.1234567890'`, Family: "same", Kind: schema.JSON, Want: text(`12345678901234567890.1234567890`)},
		on("12", textual("jsonpath", `'$.a[*] ? (@ > 1)'`, `$."a"[*]?(@ > 1)`)),
		{Type: "xb", Literal: "'女'", Family: "same", Kind: schema.Enum, Want: text("女")},
		{Type: "sex", Literal: "'男'", Family: "same", Kind: schema.Enum, Want: text("男")},
		textual("xml", "'<a b=\"1\">甲&amp;</a>'", "<a b=\"1\">甲&amp;</a>"),
		textual("tsvector", "'a:1A fat:2B,4C cat:5D'", "'a':1A 'cat':5 'fat':2B,4C"),
		textual("tsquery", "'fat & (rat | !cat)'", "'fat' & ( 'rat' | !'cat' )"),
		extension("citext", textual("citext", "'Student甲'", "Student甲")),
		extension("ltree", textual("ltree", "'Zhejiang.Hangzhou.Xihu'", "Zhejiang.Hangzhou.Xihu")),
		extension("ltree", textual("lquery", "'Zhejiang.*{1,2}.Xihu'", "Zhejiang.*{1,2}.Xihu")),
		extension("hstore", textual("hstore", `'b=>NULL, "姓\"名"=>"a\\b,c", a=>""'`, `"a"=>"", "b"=>NULL, "姓\"名"=>"a\\b,c"`)),
		extension("cube", textual("cube", "'(1,2),(3,4.5)'", "(1, 2),(3, 4.5)")),
		extension("isn", textual("isbn13", "'978-0-306-40615-7'", "978-0-306-40615-7")),
	}},
	{Name: "times", Values: []Value{
		{Type: "date", Literal: "'4714-11-24 BC'", Family: "same", Kind: schema.Date, Want: event.Signed(-2440588)},
		{Type: "date", Literal: "'0001-12-31 BC'", Family: "same", Kind: schema.Date, Want: event.Signed(-719163)},
		{Type: "date", Literal: "'20000-01-01'", Family: "same", Kind: schema.Date, Want: event.Signed(6585322)},
		{Type: "date", Literal: "'5874897-12-31'", Family: "same", Kind: schema.Date, Want: event.Signed(2145042905)},
		{Type: "date", Literal: "'infinity'", Family: "same", Kind: schema.Date, Want: event.Signed(event.PosInfinity)},
		{Type: "date", Literal: "'-infinity'", Family: "same", Kind: schema.Date, Want: event.Signed(event.NegInfinity)},
		{Type: "time", Literal: "'24:00:00'", Family: "same", Kind: schema.Time, Want: event.Signed(86_400_000_000)},
		{Type: "time(3)", Literal: "'23:59:59.999'", Family: "same", Kind: schema.Time, Want: event.Signed(86_399_999_000)},
		textual("time with time zone", "'23:59:59.999999+08'", "23:59:59.999999+08"),
		textual("time with time zone", "'24:00:00-15:59:59'", "24:00:00-15:59:59"),
		{Type: "timestamp", Literal: "'1969-12-31 23:59:59.999999'", Family: "same", Kind: schema.DateTime, Want: event.Signed(-1)},
		{Type: "timestamp", Literal: "'0044-03-15 12:00:00.5 BC'", Family: "same", Kind: schema.DateTime, Want: event.Signed(-63517780799500000)},
		{Type: "timestamp", Literal: "'20000-01-01 00:00:01'", Family: "same", Kind: schema.DateTime, Want: event.Signed(568971820801000000)},
		{Type: "timestamp", Literal: "'294247-01-10 04:00:54.775806'", Family: "same", Kind: schema.DateTime, Want: event.Signed(math.MaxInt64 - 1)},
		{Type: "timestamp", Literal: "'294276-12-31 23:59:59.999999'", Family: "same", Kind: schema.DateTime, Want: event.NullValue, Anomaly: "294276-12-31 23:59:59.999999"},
		{Type: "timestamp", Literal: "'-infinity'", Family: "same", Kind: schema.DateTime, Want: event.Signed(event.NegInfinity)},
		{Type: "timestamp(0)", Literal: "'2026-09-01 08:00:00.4'", Family: "same", Kind: schema.DateTime, Want: micro("2026-09-01 08:00:00")},
		{Type: "timestamptz", Literal: "'2026-09-01 08:00:00.000001+08'", Family: "same", Kind: schema.Timestamp, Want: micro("2026-09-01 00:00:00.000001")},
		{Type: "timestamptz", Literal: "'20000-01-01 00:00:01+00'", Family: "same", Kind: schema.Timestamp, Want: event.Signed(568971820801000000)},
		{Type: "timestamptz", Literal: "'4714-11-24 00:00:00+00 BC'", Family: "same", Kind: schema.Timestamp, Want: event.Signed(-210866803200000000)},
		{Type: "timestamptz", Literal: "'infinity'", Family: "same", Kind: schema.Timestamp, Want: event.Signed(event.PosInfinity)},
		{Type: "interval", Literal: "'-1 year 2 days 03:04:05.6'", Family: "same", Kind: schema.Interval, Want: text("P-1Y2DT3H4M5.6S")},
		{Type: "interval", Literal: "'0'", Family: "same", Kind: schema.Interval, Want: text("PT0S")},
		{Type: "interval", Literal: "'178000000 years -1 mon 2 days -00:00:00.000001'", Family: "same", Kind: schema.Interval, Want: text("P177999999Y11M2DT-0.000001S")},
		{Type: "interval year to month", Literal: "'3-4'", Family: "same", Kind: schema.Interval, Want: text("P3Y4M")},
		on("17", Value{Type: "interval", Literal: "'-infinity'", Family: "same", Kind: schema.Interval, Want: text("-infinity"), StoreFrom: "17"}),
	}},
	{Name: "arrays", Values: []Value{
		array("integer[]", "'{1,NULL,-3}'", "{1,NULL,-3}"),
		array("integer[]", "'{{1,2},{3,NULL}}'", "{{1,2},{3,NULL}}"),
		array("integer[]", "'{{{1},{2}},{{3},{4}}}'", "{{{1},{2}},{{3},{4}}}"),
		array("integer[]", "'[0:1]={7,8}'", "[0:1]={7,8}"),
		array("integer[]", "'{}'", "{}"),
		array("text[]", `ARRAY['a,b', NULL, '', 'NULL', '"', E'\\', '杭 州']`, `{"a,b",NULL,"","NULL","\"","\\","杭 州"}`),
		array("character varying(3)[]", "ARRAY['学籍']", "{学籍}"),
		array("numeric(6,2)[]", "'{1,NaN,-2.5}'", "{1.00,NaN,-2.50}"),
		on("14", Value{Type: "numeric[]", Literal: "'{Infinity,1}'", Family: "same", Kind: schema.Array, Want: text("{Infinity,1}"), StoreFrom: "14"}),
		array("double precision[]", "'{0.5,-Infinity,NaN}'", "{0.5,-Infinity,NaN}"),
		on("12", array("double precision[]", "'{0.1,1e300}'", "{0.1,1e+300}")), // before, all 17 digits are printed
		array("boolean[]", "'{t,f,NULL}'", "{t,f,NULL}"),
		array("bytea[]", `ARRAY['\x00ff'::bytea, '']`, `{"\\x00ff","\\x"}`),
		array("uuid[]", "ARRAY['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid]", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"),
		{Type: "jsonb[]", Literal: `ARRAY['{"a": [1, null]}'::jsonb]`, Family: "same", Kind: schema.Array, Want: text(`{"{\"a\": [1, null]}"}`)},
		array("date[]", "'{infinity,4713-01-01 BC,20000-01-01}'", `{infinity,"4713-01-01 BC",20000-01-01}`),
		array("timestamptz[]", "ARRAY[timestamptz '2026-09-01 08:00+08']", `{"2026-09-01 00:00:00+00"}`),
		array("interval[]", "ARRAY[interval '1 day -00:00:01']", "{P1DT-1S}"),
		array("time with time zone[]", "'{08:00:00+08}'", "{08:00:00+08}"),
		array("ids", "'{1,2}'", "{1,2}"),
		textual("xb[]", "ARRAY['男', NULL]::xb[]", "{男,NULL}"),
		on("11", textual("fen[]", "ARRAY[99.5]::fen[]", "{99.5}")),
		textual("bit(3)[]", "ARRAY[B'101']", "{101}"),
		textual("inet[]", "ARRAY[inet '10.0.0.1']", "{10.0.0.1}"),
		textual("int4range[]", "ARRAY[int4range(1, 3)]", `{"[1,3)"}`),
		textual("place[]", "ARRAY[ROW('a b', 1)::place]", `{"(\"a b\",1)"}`),
	}},
	{Name: "others", Values: []Value{
		textual("int4range", "'[1,5]'", "[1,6)"),
		textual("int8range", "'(,9223372036854775807)'", "(,9223372036854775807)"),
		textual("int4range", "'empty'", "empty"),
		textual("span", "'[2,3]'", "[2,4)"),
		textual("numrange", "'(0.10,1e3]'", "(0.10,1000]"),
		textual("daterange", "'[2026-09-01,infinity)'", "[2026-09-01,infinity)"),
		textual("tsrange", "'[2026-09-01 08:00,2026-09-01 09:00]'", `["2026-09-01 08:00:00","2026-09-01 09:00:00"]`),
		textual("tstzrange", "'[2026-09-01 00:00+08,)'", `["2026-08-31 16:00:00+00",)`),
		textual("floatrange", "'[1.5,2.5)'", "[1.5,2.5)"),
		on("14", textual("int4multirange", "'{[1,3),[5,7]}'", "{[1,3),[5,8)}")),
		on("14", textual("nummultirange", "'{}'", "{}")),
		on("14", textual("tstzmultirange", "'{[2026-09-01 00:00+08,)}'", `{["2026-08-31 16:00:00+00",)}`)),
		on("14", textual("datemultirange", "'{(,2026-09-01)}'", "{(,2026-09-01)}")),
		textual("place", "ROW('西湖区', 330106)", "(西湖区,330106)"),
		textual("place", "ROW(NULL, NULL)", "(,)"),
		textual("school", `ROW(ROW('甲, "乙"', 1), '2026-09-01', ARRAY['a', NULL], '\x00ff')`, `("(""甲, """"乙"""""",1)",2026-09-01,"{a,NULL}","\\x00ff")`),
		on("11", textual("area", "ROW('西湖区', 330106)", "(西湖区,330106)")),
		textual("inet", "'2001:db8::1/64'", "2001:db8::1/64"),
		textual("inet", "'10.0.0.1'", "10.0.0.1"),
		textual("cidr", "'10.0.0.0/8'", "10.0.0.0/8"),
		textual("macaddr", "'08:00:2b:01:02:03'", "08:00:2b:01:02:03"),
		textual("macaddr8", "'08:00:2b:01:02:03:04:05'", "08:00:2b:01:02:03:04:05"),
		textual("point", "'(1.5,-2)'", "(1.5,-2)"),
		textual("line", "'{1,-1,0}'", "{1,-1,0}"),
		textual("lseg", "'[(0,0),(1,1)]'", "[(0,0),(1,1)]"),
		textual("box", "'((0,0),(1,2))'", "(1,2),(0,0)"),
		textual("path", "'[(0,0),(1,1)]'", "[(0,0),(1,1)]"),
		textual("polygon", "'((0,0),(1,1),(1,0))'", "((0,0),(1,1),(1,0))"),
		textual("circle", "'<(0,0),2>'", "<(0,0),2>"),
		textual("pg_lsn", "'16/B374D848'", "16/B374D848"),
		textual("txid_snapshot", "'10:20:10,14'", "10:20:10,14"),
	}},
	{Name: "large", External: true, Values: []Value{
		{Type: "text", Literal: "repeat('语', 3000)", Family: "text", Kind: schema.String, Want: text(strings.Repeat("语", 3000))},
		{Type: "bytea", Literal: "decode(repeat('00ff', 4000), 'hex')", Family: "bytes", Kind: schema.Bytes, Want: text(strings.Repeat("\x00\xff", 4000))},
		{Type: "numeric", Literal: "('1' || repeat('23456789', 2000))::numeric", Family: "same", Kind: schema.Decimal, Want: text("1" + strings.Repeat("23456789", 2000))},
		{Type: "jsonb", Literal: `('["' || repeat('x', 9000) || '"]')::jsonb`, Family: "same", Kind: schema.JSON, Want: text(`["` + strings.Repeat("x", 9000) + `"]`)},
		{Type: "json", Literal: `('["' || repeat('y', 9000) || '"]')::json`, Family: "same", Kind: schema.JSON, Want: text(`["` + strings.Repeat("y", 9000) + `"]`)},
		{Type: "bit varying", Literal: "repeat('10', 30000)::bit varying", Family: "same", Kind: schema.Bit, Want: text(strings.Repeat("10", 30000))},
		array("text[]", "ARRAY[repeat('数', 3000), NULL]", "{"+strings.Repeat("数", 3000)+",NULL}"),
		array("integer[]", "array_fill(7, ARRAY[100, 30])", "{"+strings.TrimSuffix(strings.Repeat("{"+strings.TrimSuffix(strings.Repeat("7,", 30), ",")+"},", 100), ",")+"}"),
		textual("xml", "('<a>' || repeat('z', 9000) || '</a>')::xml", "<a>"+strings.Repeat("z", 9000)+"</a>"),
		textual("place", "ROW(repeat('w', 9000), 1)", "("+strings.Repeat("w", 9000)+",1)"),
		textual("tsvector", "array_to_tsvector(ARRAY(SELECT 'w' || lpad(i::text, 5, '0') FROM generate_series(1, 2000) i))", vector(2000)),
		extension("hstore", textual("hstore", "hstore('k', repeat('v', 9000))", `"k"=>"`+strings.Repeat("v", 9000)+`"`)),
		extension("citext", textual("citext", "repeat('C', 9000)::citext", strings.Repeat("C", 9000))),
		extension("ltree", textual("ltree", "(repeat('abc.', 900) || 'end')::ltree", strings.Repeat("abc.", 900)+"end")),
	}},
}

// vector is a tsvector of n words, as PostgreSQL prints it.
func vector(n int) string {
	words := make([]string, n)
	for i := range words {
		words[i] = fmt.Sprintf("'w%05d'", i+1)
	}
	return strings.Join(words, " ")
}
