package postgres

import (
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// literals gives a key's values, in the order of Table.Key, or its first ones, as a row
// of SQL literals.
func literals(t *schema.Table, key []event.Value) (string, error) {
	out := make([]string, len(key))
	for n, i := range t.Key[:len(key)] {
		text, err := render(&t.Columns[i].Type, key[n])
		if err != nil {
			return "", fmt.Errorf("key column %q of table %s: %w", t.Columns[i].Name, t.ID(), err)
		}
		out[n] = "'" + strings.ReplaceAll(text, "'", "''") + "'" // standard_conforming_strings is the default since 9.1
		out[n] += cast(&t.Columns[i].Type)
	}
	return "(" + strings.Join(out, ", ") + ")", nil
}

// cast gives the literal of a type that type.
func cast(t *schema.Type) string {
	switch {
	case t.Native == "" || t.Kind == schema.Enum || t.Native == "bit": // which is bit(1) in a cast; the column tells
		return ""
	case t.Native == "character": // that is character(1) in a cast
		return "::bpchar"
	}
	return "::" + t.Native
}

// render is the inverse of parse: a value as the server would print it.
func render(t *schema.Type, v event.Value) (string, error) {
	if v.State != event.Present {
		return "", fmt.Errorf("a key without a value: %w", capture.ErrUnsupported)
	}
	switch t.Kind {
	case schema.Bool:
		return strconv.FormatBool(v.N == 1), nil
	case schema.Int16, schema.Int32, schema.Int64:
		return strconv.FormatInt(v.Int(), 10), nil
	case schema.Float32:
		return strconv.FormatFloat(float64(math.Float32frombits(uint32(v.N))), 'g', -1, 32), nil
	case schema.Float64:
		return strconv.FormatFloat(math.Float64frombits(v.N), 'g', -1, 64), nil
	case schema.Date:
		return renderInstant(v.Int(), 86_400_000_000, "2006-01-02"), nil
	case schema.DateTime:
		return renderInstant(v.Int(), 1, "2006-01-02 15:04:05.000000"), nil
	case schema.Timestamp:
		return renderInstant(v.Int(), 1, "2006-01-02 15:04:05.000000+00"), nil
	case schema.Time:
		us := v.Int()
		return fmt.Sprintf("%02d:%02d:%02d.%06d", us/3_600_000_000, us/60_000_000%60, us/1_000_000%60, us%1_000_000), nil
	case schema.Bytes:
		return `\x` + hex.EncodeToString(v.B), nil
	}
	return string(v.B), nil
}

// renderInstant renders n units of so many microseconds since 1970, infinities included.
func renderInstant(n, micros int64, layout string) string {
	switch n {
	case event.PosInfinity:
		return "infinity"
	case event.NegInfinity:
		return "-infinity"
	}
	perDay := 86_400_000_000 / micros
	days, rest := n/perDay, n%perDay
	if rest < 0 {
		days, rest = days-1, rest+perDay
	}
	t := time.Unix(days*86400, rest*micros*1000).UTC()
	if y := t.Year(); y <= 0 { // Go's year 0 is 1 BC
		text := t.Format(layout)
		return fmt.Sprintf("%04d%s BC", 1-y, text[strings.IndexByte(text[1:], '-')+1:])
	}
	return t.Format(layout)
}
