package oracle

import (
	"fmt"
	"strings"
)

// canonicalPostgres are expressions that give a value of PostgreSQL one text on either
// side, by the family of its type. A release prints numbers with more or fewer digits
// than another, so there the bits count, but for NaN, which is one in all its forms.
// character(n) loses its blanks when it is cast.
var canonicalPostgres = map[string]struct{ source, store string }{
	"same":        {"{c}::text", "{c}::text"},
	"float":       {bits4, bits4},
	"double":      {bits8, bits8},
	"text":        {"encode(convert_to({c}::text, 'UTF8'), 'hex')", "encode(convert_to({c}, 'UTF8'), 'hex')"},
	"padded text": {"encode(bpcharsend({c}), 'hex')", "encode(convert_to({c}, 'UTF8'), 'hex')"},
	"bytes":       {"encode({c}, 'hex')", "encode({c}, 'hex')"},
}

const (
	bits4 = "CASE WHEN {c} = 'NaN' THEN 'NaN' ELSE encode(float4send({c}), 'hex') END"
	bits8 = "CASE WHEN {c} = 'NaN' THEN 'NaN' ELSE encode(float8send({c}), 'hex') END"
)

// CanonicalPostgres gives the expressions of a column for PostgreSQL and for a store,
// under the same settings of both sessions. The family must be known.
func CanonicalPostgres(family, column string) (source, store string) {
	e, ok := canonicalPostgres[family]
	if !ok {
		panic(fmt.Sprintf("oracle: no family %q of PostgreSQL", family)) // a slip of the pen in a test
	}
	return strings.ReplaceAll(e.source, "{c}", `"`+column+`"`), strings.ReplaceAll(e.store, "{c}", `"`+column+`"`)
}
