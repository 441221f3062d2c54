package rowimage

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

var (
	decimalText = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
	addressy    = regexp.MustCompile(`^[0-9A-Fa-f.:-]+$`) // of a uuid or an address
)

// Written reads a value of column i as a person writes it: as the server prints it, bytes
// as \x and hexadecimal digits. The result is safe in Literals. The error wraps
// ErrMalformed or ErrUnsupported.
func (p *TextPlan) Written(i int, text string) (event.Value, error) {
	typ := &p.types[i]
	bad := fmt.Errorf("%q as %s: %w", text, typ, ErrMalformed)
	var a event.Arena
	switch typ.Kind {
	case schema.String:
		if !utf8.ValidString(text) {
			return event.Value{}, bad
		}
		return event.Raw([]byte(text)), nil
	case schema.Enum:
		if !slices.Contains(typ.Labels, text) {
			return event.Value{}, bad
		}
		return event.Raw([]byte(text)), nil
	case schema.Bytes:
		digits, ok := strings.CutPrefix(text, `\x`)
		b, err := hex.DecodeString(digits)
		if !ok || err != nil {
			return event.Value{}, bad
		}
		return event.Raw(b), nil
	case schema.Decimal:
		if !decimalText.MatchString(text) {
			return event.Value{}, bad
		}
	case schema.UUID, schema.Text:
		if !addressy.MatchString(text) {
			return event.Value{}, bad
		}
		return event.Raw(bytes.ToLower([]byte(text))), nil
	case schema.DateTime, schema.Timestamp:
		if !strings.Contains(text, " ") {
			text += " 00:00:00"
		}
	case schema.Bit, schema.Set, schema.JSON, schema.Array, schema.Interval:
		return event.Value{}, fmt.Errorf("bounds of %s: %w", typ, ErrUnsupported)
	}
	v, anomaly, err := p.value(i, []byte(text), &a)
	if err != nil || anomaly != "" || v.State != event.Present {
		return event.Value{}, bad
	}
	return v, nil
}
