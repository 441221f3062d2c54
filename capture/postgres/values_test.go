package postgres_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

func testValues(t *testing.T, g *rig) {
	type value struct {
		typ, literal string
		kind         schema.Kind
		want         event.Value
	}
	text := func(s string) event.Value { return event.Raw([]byte(s)) }
	run(t, g.sql, `CREATE TYPE xb AS ENUM ('男', '女'); CREATE DOMAIN fen AS numeric(5,1) CHECK (value >= 0);
		CREATE TYPE place AS (name text, code int)`)
	values := []value{
		{"boolean", "true", schema.Bool, event.Number(1)},
		{"smallint", "'-32768'", schema.Int16, event.Signed(math.MinInt16)},
		{"integer", "2147483647", schema.Int32, event.Signed(math.MaxInt32)},
		{"bigint", "'-9223372036854775808'", schema.Int64, event.Signed(math.MinInt64)},
		{"numeric", "'NaN'", schema.Decimal, text("NaN")},
		{"numeric(30,10)", "12345678901234567890.0123456789", schema.Decimal, text("12345678901234567890.0123456789")},
		{"fen", "99.5", schema.Decimal, text("99.5")},
		{"real", "0.1", schema.Float32, event.Number(uint64(math.Float32bits(0.1)))},
		{"double precision", "'-0'", schema.Float64, event.Number(math.Float64bits(math.Copysign(0, -1)))},
		{"double precision", "1.7976931348623157e308", schema.Float64, event.Number(math.Float64bits(math.MaxFloat64))},
		{"text", "'杭州市西湖区𠮷野'", schema.String, text("杭州市西湖区𠮷野")},
		{"text", "''", schema.String, text("")},
		{"character(4)", "'ab'", schema.String, text("ab  ")},
		{"character varying(8)", "E'a\\tb\\n'", schema.String, text("a\tb\n")},
		{"bytea", `'\x00ff'`, schema.Bytes, event.Raw([]byte{0, 255})},
		{"date", "'4713-01-01 BC'", schema.Date, event.Signed(-2440550)},
		{"date", "'infinity'", schema.Date, event.Signed(event.PosInfinity)},
		{"time", "'24:00:00'", schema.Time, event.Signed(86_400_000_000)},
		{"time with time zone", "'23:59:59.999999+08'", schema.Text, text("23:59:59.999999+08")},
		{"timestamp", "'1969-12-31 23:59:59.999999'", schema.DateTime, event.Signed(-1)},
		{"timestamp", "'-infinity'", schema.DateTime, event.Signed(event.NegInfinity)},
		{"timestamptz", "'2026-09-01 08:00:00.000001+08'", schema.Timestamp, event.Signed(time.Date(2026, 9, 1, 0, 0, 0, 1000, time.UTC).UnixMicro())},
		{"interval", "'-1 year 2 days 03:04:05.6'", schema.Interval, text("P-1Y2DT3H4M5.6S")},
		{"uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", schema.UUID, text("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")},
		{"json", `'{"a" : 1.00}'`, schema.JSON, text(`{"a" : 1.00}`)},
		{"jsonb", `'{"a":1.00}'`, schema.JSON, text(`{"a": 1.00}`)},
		{"xb", "'女'", schema.Enum, text("女")},
		{"integer[]", "'{1,NULL,-3}'", schema.Array, text("{1,NULL,-3}")},
		{"text[]", `ARRAY['a,b', NULL, '']`, schema.Array, text(`{"a,b",NULL,""}`)},
		{"integer[]", "'{{1,2},{3,NULL}}'", schema.Array, text("{{1,2},{3,NULL}}")},
		{"integer[]", "'[0:1]={7,8}'", schema.Array, text("[0:1]={7,8}")},
		{"bit(5)", "B'10110'", schema.Bit, text("10110")},
		{"bit varying", "B'101'", schema.Bit, text("101")},
		{"int4range", "'[1,5]'", schema.Text, text("[1,6)")},
		{"tstzrange", "'[2026-09-01 00:00+08,)'", schema.Text, text(`["2026-08-31 16:00:00+00",)`)},
		{"inet", "'2001:db8::1/64'", schema.Text, text("2001:db8::1/64")},
		{"cidr", "'10.0.0.0/8'", schema.Text, text("10.0.0.0/8")},
		{"macaddr", "'08:00:2b:01:02:03'", schema.Text, text("08:00:2b:01:02:03")},
		{"point", "'(1.5,-2)'", schema.Text, text("(1.5,-2)")},
		{"tsvector", "'a fat cat'", schema.Text, text("'a' 'cat' 'fat'")},
		{"xml", "'<a>1</a>'", schema.Text, text("<a>1</a>")},
		{"place", "ROW('西湖区', 330106)", schema.Text, text("(西湖区,330106)")},
		{"place[]", "ARRAY[ROW('a b', 1)::place]", schema.Text, text(`{"(\"a b\",1)"}`)},
		{"timestamptz[]", "ARRAY[timestamptz '2026-09-01 08:00+08']", schema.Array, text(`{"2026-09-01 00:00:00+00"}`)},
	}
	if g.can(`SELECT numeric '-Infinity'`) { // from PostgreSQL 14 on
		values = append(values, value{"numeric", "'-Infinity'", schema.Decimal, text("-Infinity")})
	}
	if g.can(`CREATE DOMAIN area AS place`) { // from PostgreSQL 11 on
		values = append(values, value{"area", "ROW('西湖区', 330106)", schema.Text, text("(西湖区,330106)")})
	}
	defs, literals := []string{"id int PRIMARY KEY"}, []string{"1"}
	for i, v := range values {
		defs, literals = append(defs, fmt.Sprintf("c%d %s", i, v.typ)), append(literals, v.literal)
	}
	run(t, g.sql, "CREATE TABLE v ("+strings.Join(defs, ", ")+")")
	g.first()
	run(t, g.sql, "INSERT INTO v VALUES ("+strings.Join(literals, ", ")+")")
	run(t, g.sql, "INSERT INTO v (id) VALUES (2)")
	seg := g.busy()
	for i, v := range values {
		column := fmt.Sprintf("c%d", i)
		got := slot(t, seg, column)
		kind := seg.Rows[0].Table.Columns[i+1].Type.Kind
		if got.State != event.Present || got.N != v.want.N || string(got.B) != string(v.want.B) || kind != v.kind {
			t.Errorf("%s %s = %s %d %q, want %s %d %q", v.typ, v.literal, kind, got.N, got.B, v.kind, v.want.N, v.want.B)
		}
	}
	streamed := seg.Rows[0].Table
	seg = g.busy()
	for i := range values {
		if got := slot(t, seg, fmt.Sprintf("c%d", i)); got.State != event.Null {
			t.Errorf("c%d is %v, want NULL", i, got)
		}
	}
	chunk := g.loaded("v", snapshot.Request{Rows: 10, Bytes: 1 << 20})
	if len(chunk.Rows) != 2 || !chunk.End {
		t.Fatalf("%d rows by load, want 2", len(chunk.Rows))
	}
	for i, v := range values {
		if got := chunk.Rows[0].After[i+1]; got.State != event.Present || got.N != v.want.N || string(got.B) != string(v.want.B) {
			t.Errorf("load: %s %s = %d %q, want %d %q", v.typ, v.literal, got.N, got.B, v.want.N, v.want.B)
		}
		if chunk.Rows[1].After[i+1].State != event.Null {
			t.Errorf("load: c%d is %v, want NULL", i, chunk.Rows[1].After[i+1])
		}
	}
	if got := chunk.Rows[0].Table; got.Version() != streamed.Version() {
		t.Errorf("load and stream have different versions of the table:\n%+v\n%+v", got, streamed)
	}
}
