package oracle

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// canonical are expressions that give a value one text on either side, by the family of
// its type: bytes in hexadecimal, times with all their digits. {c} is the column.
var canonical = map[string]struct{ source, store string }{
	"number":   {"CAST({c} AS CHAR)", "{c}::text"},
	"padded":   {"CAST({c} + 0 AS CHAR)", "{c}::text"}, // zerofill and year are shown with zeros before
	"float":    {"{c} + 0e0", "{c}::float8::text"},     // the server prints six digits of a float, but all of a double
	"double":   {"{c}", "{c}::text"},
	"bit":      {"BIN({c} + 0)", "ltrim({c}::text, '0')"},
	"text":     {"HEX(CONVERT({c} USING utf8mb4))", "upper(encode(convert_to({c}::text, 'UTF8'), 'hex'))"},
	"bytes":    {"HEX({c})", "upper(encode({c}, 'hex'))"},
	"date":     {"DATE_FORMAT({c}, '%Y-%m-%d')", "to_char({c}, 'YYYY-MM-DD')"},
	"datetime": {"DATE_FORMAT({c}, '%Y-%m-%d %H:%i:%s.%f')", "to_char({c}, 'YYYY-MM-DD HH24:MI:SS.US')"},
	"time": {"TIME_FORMAT({c}, '%H:%i:%s.%f')",
		"CASE WHEN {c} < interval '0' THEN '-' || to_char(-{c}, 'HH24:MI:SS.US') ELSE to_char({c}, 'HH24:MI:SS.US') END"},
	"uuid":  {"CAST({c} AS CHAR)", "{c}::text"},
	"inet4": {"HEX(CAST({c} AS BINARY(4)))", "substr(upper(encode(inet_send({c}), 'hex')), 9)"},
	"inet6": {"HEX(CAST({c} AS BINARY(16)))", "substr(upper(encode(inet_send({c}), 'hex')), 9)"},
	"vector": {"HEX({c})", `(SELECT upper(string_agg(substr(h, 7, 2) || substr(h, 5, 2) || substr(h, 3, 2) || substr(h, 1, 2), '' ORDER BY o))
		FROM (SELECT encode(float4send(x), 'hex') h, o FROM unnest({c}) WITH ORDINALITY u (x, o)) q)`},
}

// Canonical gives the expressions of a column for MySQL or MariaDB and for a store.
// The family must be known.
func Canonical(family, column string) (source, store string) {
	e, ok := canonical[family]
	if !ok {
		panic(fmt.Sprintf("oracle: no family %q", family)) // a slip of the pen in a test
	}
	return strings.ReplaceAll(e.source, "{c}", "`"+column+"`"), strings.ReplaceAll(e.store, "{c}", `"`+column+`"`)
}

// Same compares two canonical texts. Servers print the same double with more or fewer
// zeros, so there the bits count.
func Same(family, source, store string) bool {
	if family != "float" && family != "double" {
		return source == store
	}
	a, aerr := strconv.ParseFloat(source, 64)
	b, berr := strconv.ParseFloat(store, 64)
	return aerr == nil && berr == nil && math.Float64bits(a) == math.Float64bits(b)
}
