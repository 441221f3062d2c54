package mysql_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/stream/event"
)

func testValues(t *testing.T, g *rig) {
	text := func(s string) event.Value { return event.Raw([]byte(s)) }
	micro := func(s string) event.Value {
		v, err := time.Parse("2006-01-02 15:04:05.999999", s)
		if err != nil {
			t.Fatal(err)
		}
		return event.Signed(v.UnixMicro())
	}
	values := []struct {
		typ, literal string
		want         event.Value
		anomaly      string
	}{
		{"tinyint", "-128", event.Signed(-128), ""},
		{"tinyint unsigned", "255", event.Number(255), ""},
		{"bool", "true", event.Signed(1), ""},
		{"smallint", "-32768", event.Signed(math.MinInt16), ""},
		{"mediumint", "-8388608", event.Signed(-8388608), ""},
		{"mediumint unsigned", "16777215", event.Number(16777215), ""},
		{"int", "-2147483648", event.Signed(math.MinInt32), ""},
		{"int unsigned", "4294967295", event.Number(math.MaxUint32), ""},
		{"bigint", "-9223372036854775808", event.Signed(math.MinInt64), ""},
		{"bigint unsigned", "18446744073709551615", event.Number(math.MaxUint64), ""},
		{"decimal(5,1)", "-9999.9", text("-9999.9"), ""},
		{"decimal(65,30)", "12345678901234567890123456789012345.012345678901234567890123456789", text("12345678901234567890123456789012345.012345678901234567890123456789"), ""},
		{"float", "1.5", event.Number(uint64(math.Float32bits(1.5))), ""},
		{"double", "-1e300", event.Number(math.Float64bits(-1e300)), ""},
		{"bit(12)", "b'101010101011'", text("101010101011"), ""},
		{"char(4)", "'杭州'", text("杭州"), ""},
		{"char(200)", "'西湖区𠮷'", text("西湖区𠮷"), ""},
		{"varchar(20)", "''", text(""), ""},
		{"varchar(300)", "'学籍'", text("学籍"), ""},
		{"varchar(20) CHARACTER SET gbk", "'镕喆'", text("镕喆"), ""},
		{"varchar(20) CHARACTER SET latin1", "'é€'", text("é€"), ""},
		{"varchar(20) CHARACTER SET ascii", "'abc'", text("abc"), ""},
		{"text CHARACTER SET utf8mb3", "'数学'", text("数学"), ""},
		{"mediumtext", "REPEAT('语', 30000)", text(strings.Repeat("语", 30000)), ""},
		{"binary(4)", "X'0100'", event.Raw([]byte{1, 0, 0, 0}), ""},
		{"varbinary(9)", "X'00ff00'", event.Raw([]byte{0, 255, 0}), ""},
		{"blob", "X'00'", event.Raw([]byte{0}), ""},
		{"date", "'2026-09-01'", event.Signed(time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC).Unix() / 86400), ""},
		{"date", "'0000-00-00'", event.NullValue, "0000-00-00"},
		{"date", "'2010-02-00'", event.NullValue, "2010-02-00"},
		{"time", "'-838:59:59'", event.Signed(-(838*3600 + 59*60 + 59) * 1e6), ""},
		{"time(6)", "'-00:00:00.000001'", event.Signed(-1), ""},
		{"time(3)", "'12:34:56.789'", event.Signed((12*3600+34*60+56)*1e6 + 789000), ""},
		{"datetime", "'9999-12-31 23:59:59'", micro("9999-12-31 23:59:59"), ""},
		{"datetime(6)", "'2026-09-01 08:05:59.000001'", micro("2026-09-01 08:05:59.000001"), ""},
		{"datetime(3)", "'0000-00-00'", event.NullValue, "0000-00-00 00:00:00.000"},
		{"timestamp(6) NULL", "'2026-09-01 00:00:00.123456'", micro("2026-09-01 00:00:00.123456"), ""},
		{"timestamp NULL", "'0000-00-00 00:00:00'", event.NullValue, "0000-00-00 00:00:00"},
		{"year", "2155", event.Number(2155), ""},
		{"enum('男','女')", "'女'", text("女"), ""},
		{"enum('初','高') CHARACTER SET gbk", "'高'", text("高"), ""},
		{"set('语','数','外')", "'语,外'", text("语,外"), ""},
		{"json", `'{"a": 1.0}'`, text(`{"a": 1.0}`), ""},
	}
	defs, literals := []string{"id int PRIMARY KEY"}, []string{"1"}
	for i, v := range values {
		typ := v.typ
		if !strings.HasSuffix(typ, "NULL") {
			typ += " NULL"
		}
		defs, literals = append(defs, fmt.Sprintf("c%d %s", i, typ)), append(literals, v.literal)
	}
	g.run("SET SESSION sql_mode = ''")
	g.run("SET SESSION time_zone = '+00:00'")
	g.run("CREATE TABLE v (" + strings.Join(defs, ", ") + ")")
	g.first()
	g.run("INSERT INTO v VALUES (" + strings.Join(literals, ", ") + ")")
	g.run("INSERT INTO v (id) VALUES (2)")
	row := g.busy().Rows[0]
	anomalies := map[int]string{}
	for _, a := range row.Anomalies {
		anomalies[a.Column] = a.Raw
	}
	compare := func(way string, row event.Row, anomalies map[int]string) {
		for i, v := range values {
			got := row.After[i+1]
			if got.State != v.want.State || got.N != v.want.N || string(got.B) != string(v.want.B) || anomalies[i+1] != v.anomaly {
				t.Errorf("%s: %s %.60s = state %d, %d, %.60q, anomaly %q; want %d %.60q", way, v.typ, v.literal, got.State, int64(got.N), got.B, anomalies[i+1], int64(v.want.N), v.want.B)
			}
		}
	}
	compare("stream", row, anomalies)
	streamed := row.Table
	row = g.busy().Rows[0]
	for i, v := range values {
		if row.After[i+1].State != event.Null || len(row.Anomalies) != 0 {
			t.Errorf("%s: %+v, want NULL", v.typ, row.After[i+1])
		}
	}
	chunk := g.loaded("v")
	if len(chunk.Rows) != 2 || !chunk.End {
		t.Fatalf("%d rows by load, want 2", len(chunk.Rows))
	}
	anomalies = map[int]string{}
	for _, a := range chunk.Rows[0].Anomalies {
		anomalies[a.Column] = a.Raw
	}
	compare("load", chunk.Rows[0], anomalies)
	for i, v := range values {
		if chunk.Rows[1].After[i+1].State != event.Null {
			t.Errorf("load: %s: %+v, want NULL", v.typ, chunk.Rows[1].After[i+1])
		}
	}
	if got := chunk.Rows[0].Table; got.Version() != streamed.Version() {
		t.Errorf("load and stream have different versions of the table:\n%+v\n%+v", got, streamed)
	}
}
