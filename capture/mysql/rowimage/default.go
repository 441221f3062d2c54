package rowimage

import (
	"bytes"
	"encoding/hex"
	"strings"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Default is what information_schema.COLUMNS says of a column that an INSERT doesn't name.
// Minimal images leave such columns out.
type Default struct {
	// Text is COLUMN_DEFAULT; None says that it is NULL.
	Text string
	None bool
	// Literal tells that Text is SQL, as on MariaDB, and not the value itself.
	Literal bool
	// Computed tells that the value is made anew for each row.
	Computed bool
	Nullable bool
}

// Default gives the value of column i by its default, and the value's text where the kind
// can't hold it. ok is false for a default that isn't a constant.
func (p *TextPlan) Default(i int, d Default, a *event.Arena) (v event.Value, anomaly string, ok bool) {
	typ := &p.types[i]
	switch {
	case d.Computed:
		return v, "", false
	case d.None && d.Nullable, d.Literal && strings.EqualFold(d.Text, "NULL"):
		return event.NullValue, "", true
	case d.None:
		return p.implicit(i, a)
	}
	text, quoted := d.Text, true
	if d.Literal {
		if text, quoted = unquote(d.Text); !quoted && strings.Trim(d.Text, "+-.0123456789abcdefABCDEFxX'") != "" {
			return v, "", false // a function
		}
	}
	switch typ.Kind {
	case schema.String, schema.Enum, schema.Set, schema.JSON:
		return event.Raw(a.Copy([]byte(text))), "", quoted
	case schema.Bytes:
		if digits, isHex := strings.CutPrefix(text, "0x"); isHex {
			b, err := hex.DecodeString(digits)
			return event.Raw(p.pad(i, b)), "", err == nil
		}
		return event.Raw(p.pad(i, []byte(text))), "", isASCII([]byte(text)) && typ.Native != "geometry"
	case schema.Bit:
		digits, isBits := strings.CutPrefix(text, "b'")
		digits = strings.TrimSuffix(digits, "'")
		return event.Raw([]byte(strings.Repeat("0", max(0, typ.Length-len(digits))) + digits)), "", isBits && len(digits) <= typ.Length
	case schema.Decimal:
		return event.Raw(scaled(canonicalDecimal([]byte(text)), typ.Scale)), "", true
	}
	v, anomaly, err := p.value(i, []byte(text), a)
	return v, anomaly, err == nil
}

// implicit gives what a NOT NULL column without a default becomes where the SQL mode isn't
// strict (MySQL 8.0 manual, "Data Type Default Values").
func (p *TextPlan) implicit(i int, a *event.Arena) (v event.Value, anomaly string, ok bool) {
	switch typ := &p.types[i]; typ.Kind {
	case schema.Decimal:
		return event.Raw(scaled([]byte("0"), typ.Scale)), "", true
	case schema.String, schema.Set:
		return event.Raw([]byte{}), "", true
	case schema.Bytes:
		return event.Raw(p.pad(i, nil)), "", typ.Native != "geometry"
	case schema.Enum:
		return event.Raw([]byte(typ.Labels[0])), "", true
	case schema.Bit:
		return event.Raw(bytes.Repeat([]byte{'0'}, typ.Length)), "", true
	case schema.Date, schema.DateTime, schema.Timestamp:
		zero := "0000-00-00 00:00:00.000000"
		if n := typ.Precision; typ.Kind == schema.Date {
			zero = zero[:len("0000-00-00")]
		} else if zero = zero[:len("0000-00-00 00:00:00.")+n]; n == 0 {
			zero = zero[:len(zero)-1]
		}
		return event.NullValue, zero, true
	default:
		return event.Number(0), "", typ.Kind.Numeric()
	}
}

// pad fills a BINARY column up.
func (p *TextPlan) pad(i int, b []byte) []byte {
	if p.types[i].Native == "binary" && len(b) < p.types[i].Length {
		b = append(b, make([]byte, p.types[i].Length-len(b))...)
	}
	return b
}

// scaled gives a decimal all digits of its scale.
func scaled(b []byte, scale int) []byte {
	whole, fraction, _ := bytes.Cut(b, []byte("."))
	if scale == 0 {
		return whole
	}
	out := append(append([]byte(nil), whole...), '.')
	out = append(out, fraction...)
	for range scale - len(fraction) {
		out = append(out, '0')
	}
	return out
}

// unquote undoes a string literal of SQL as the catalogue prints it.
func unquote(s string) (string, bool) {
	if len(s) < 2 || s[0] != '\'' || s[len(s)-1] != '\'' {
		return s, false
	}
	return strings.NewReplacer("''", "'", `\\`, `\`, `\'`, "'", `\n`, "\n", `\r`, "\r", `\0`, "\x00").Replace(s[1 : len(s)-1]), true
}
