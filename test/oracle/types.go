package oracle

import (
	"fmt"
	"strings"
)

// canonical are expressions that give a value one text on either side, by the family of
// its type: bytes in hexadecimal, floating-point numbers by their bits, times with all
// their digits. They are NULL where the value is, and where a store can't hold it: dates
// with a month or day 0, text that isn't valid or has the character U+0000. {c} is the
// column.
var canonical = map[string]struct{ source, store string }{
	"number": {"CAST({c} AS CHAR)", "{c}::text"},
	// A decimal whose column in the store has more digits behind the point.
	"scaled":    {"CAST(CAST({c} AS DECIMAL(65,20)) AS CHAR)", "{c}::numeric(65,20)::text"},
	"pg scaled": {"{c}::numeric(65,20)::text", "{c}::numeric(65,20)::text"},
	"padded":    {"CAST({c} + 0 AS CHAR)", "{c}::text"}, // zerofill and year are shown with zeros before
	// A point holds its coordinate as the server holds the number, lowest byte first.
	"double": {"SUBSTR(HEX(POINT({c}, 0)), 19, 16)", reversed("encode(float8send({c}::float8), 'hex')", 8)},
	"bit":    {"BIN({c} + 0)", "coalesce(nullif(ltrim({c}::text, '0'), ''), left({c}::text, 1))"},
	"text": {"IF(LOCATE(X'00', " + utf8 + ") > 0 OR LOCATE(X'3F', " + utf8 + ") > 0 AND LOCATE(X'3F', CAST({c} AS BINARY)) = 0, NULL, HEX(" + utf8 + "))",
		"upper(encode(convert_to({c}::text, 'UTF8'), 'hex'))"},
	"bytes":    {"HEX({c})", "upper(encode({c}, 'hex'))"},
	"date":     {"IF(" + partly + ", NULL, DATE_FORMAT({c}, '%Y-%m-%d'))", "to_char({c}, 'YYYY-MM-DD')"},
	"datetime": {"IF(" + partly + ", NULL, DATE_FORMAT({c}, '%Y-%m-%d %H:%i:%s.%f'))", "to_char({c}, 'YYYY-MM-DD HH24:MI:SS.US')"},
	"time": {"TIME_FORMAT({c}, '%H:%i:%s.%f')",
		"CASE WHEN {c} < interval '0' THEN '-' || to_char(-{c}, 'HH24:MI:SS.US') ELSE to_char({c}, 'HH24:MI:SS.US') END"},
	"uuid":  {"CAST({c} AS CHAR)", "{c}::text"},
	"inet4": {"HEX(CAST({c} AS BINARY(4)))", "substr(upper(encode(inet_send({c}), 'hex')), 9)"},
	"inet6": {"HEX(CAST({c} AS BINARY(16)))", "substr(upper(encode(inet_send({c}), 'hex')), 9)"},
	// PostgreSQL on both sides, where most types have one text.
	"pg":       {pgText("{c}::text"), pgText("{c}::text")},
	"pg float": {pgFloat, pgFloat},
	"pg char":  {"CASE WHEN {c} IS NOT NULL THEN " + pgText("format('%s', {c})") + " END", pgText("{c}::text")}, // a cast cuts off its blanks
	"vector":   {"HEX({c})", "(SELECT string_agg(" + reversed("h", 4) + ", '' ORDER BY o) FROM (SELECT encode(float4send(x), 'hex') h, o FROM unnest({c}) WITH ORDINALITY u (x, o)) q)"},
}

const (
	utf8   = "CAST(CONVERT({c} USING utf8mb4) AS BINARY)" // with ? for what isn't a character
	partly = "MONTH({c}) = 0 OR DAY({c}) = 0"
)

// reversed gives PostgreSQL's expression for n bytes in hexadecimal, last one first.
func reversed(hex string, n int) string {
	var parts []string
	for i := n; i > 0; i-- {
		parts = append(parts, fmt.Sprintf("substr(%s, %d, 2)", hex, 2*i-1))
	}
	return "upper(" + strings.Join(parts, " || ") + ")"
}

// pgFloat gives a number's bits. All NaN are one value to PostgreSQL (manual, 8.1.3).
const pgFloat = "CASE WHEN {c} = 'NaN' THEN 'NaN' ELSE encode(float8send({c}::float8), 'hex') END"

// pgText gives PostgreSQL's expression for the bytes of a text.
func pgText(text string) string { return "encode(convert_to(" + text + ", 'UTF8'), 'hex')" }

// Canonical gives the expressions of a column for its source and for a store. Families
// that begin with pg are those of a source in PostgreSQL. The family must be known.
func Canonical(family, column string) (source, store string) {
	if family == "float" { // which is exact as a double, on either side
		family = "double"
	}
	e, ok := canonical[family]
	if !ok {
		panic(fmt.Sprintf("oracle: no family %q", family)) // a slip of the pen in a test
	}
	quote := "`"
	if strings.HasPrefix(family, "pg") {
		quote = `"`
	}
	return strings.ReplaceAll(e.source, "{c}", quote+column+quote), strings.ReplaceAll(e.store, "{c}", `"`+column+`"`)
}
