package rowimage

import (
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Literals gives a key's values (in the order of Table.Key, or its first ones) as SQL literals that compare
// in the order of the primary key. The error wraps ErrUnsupported.
func (p *TextPlan) Literals(key []event.Value) ([]string, error) {
	out := make([]string, len(key))
	for k, i := range p.table.Key[:len(key)] {
		var err error
		if out[k], err = literal(&p.types[i], key[k]); err != nil {
			return nil, fmt.Errorf("key column %q of table %s: %w", p.table.Columns[i].Name, p.table.ID(), err)
		}
	}
	return out, nil
}

func literal(t *schema.Type, v event.Value) (string, error) {
	if v.State != event.Present {
		return "", fmt.Errorf("a key that its type can't hold: %w", ErrUnsupported)
	}
	day := func(us int64) time.Time { return time.Unix(0, 0).UTC().Add(time.Duration(us) * time.Microsecond) }
	switch t.Kind {
	case schema.Int8, schema.Int16, schema.Int32, schema.Int64:
		return strconv.FormatInt(v.Int(), 10), nil
	case schema.Uint8, schema.Uint16, schema.Uint32, schema.Uint64, schema.Year:
		return strconv.FormatUint(v.N, 10), nil
	case schema.Float32:
		return strconv.FormatFloat(float64(math.Float32frombits(uint32(v.N))), 'e', -1, 64), nil
	case schema.Float64:
		return strconv.FormatFloat(math.Float64frombits(v.N), 'e', -1, 64), nil
	case schema.Decimal:
		return string(v.B), nil
	case schema.Date:
		return "DATE '" + time.Unix(v.Int()*86400, 0).UTC().Format("2006-01-02") + "'", nil
	case schema.DateTime, schema.Timestamp:
		s, us := v.Int()/1_000_000, v.Int()%1_000_000
		if us < 0 {
			s, us = s-1, us+1_000_000
		}
		return "TIMESTAMP '" + time.Unix(s, us*1000).UTC().Format("2006-01-02 15:04:05.000000") + "'", nil
	case schema.Time:
		us, sign := v.Int(), ""
		if us < 0 {
			us, sign = -us, "-"
		}
		return fmt.Sprintf("TIME '%s%02d:%s'", sign, us/3_600_000_000, day(us).Format("04:05.000000")), nil
	case schema.Bytes:
		return "X'" + hex.EncodeToString(v.B) + "'", nil
	case schema.Bit:
		return "b'" + string(v.B) + "'", nil
	case schema.UUID, schema.Text: // compared as their own type
		return "'" + string(v.B) + "'", nil
	case schema.String:
		return "_utf8mb4 X'" + hex.EncodeToString(v.B) + "'", nil
	case schema.Enum: // enums are ordered, and compared with numbers, by their place
		for n, label := range t.Labels {
			if label == string(v.B) {
				return strconv.Itoa(n + 1), nil
			}
		}
		if len(v.B) == 0 {
			return "0", nil
		}
	case schema.Set: // likewise by the sum of its labels' places, as bits
		return members(t, string(v.B))
	}
	return "", fmt.Errorf("%s in a key: %w", t, ErrUnsupported)
}

// members gives a set's number (MySQL manual, "The SET Type").
func members(t *schema.Type, text string) (string, error) {
	var n uint64
	for text != "" {
		var label string
		label, text, _ = strings.Cut(text, ",")
		at := slices.Index(t.Labels, label)
		if at < 0 {
			return "", fmt.Errorf("%q isn't among the labels of %s: %w", label, t, ErrUnsupported)
		}
		n |= 1 << at
	}
	return strconv.FormatUint(n, 10), nil
}
