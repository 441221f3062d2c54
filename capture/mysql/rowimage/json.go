package rowimage

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/tributary-cdc/tributary/stream/event"
)

// Types of MySQL's binary JSON (MySQL 8.0 source documentation, json_binary.h).
const (
	jsonSmallObject = 0
	jsonLargeObject = 1
	jsonSmallArray  = 2
	jsonLargeArray  = 3
	jsonLiteral     = 4
	jsonInt16       = 5
	jsonUint16      = 6
	jsonInt32       = 7
	jsonUint32      = 8
	jsonInt64       = 9
	jsonUint64      = 10
	jsonDouble      = 11
	jsonString      = 12
	jsonOpaque      = 15
)

// jsonDepth is the deepest nesting that MySQL stores (ER_JSON_DOCUMENT_TOO_DEEP).
const jsonDepth = 100

// jsonText renders a binary document as MySQL prints it. An empty document, which
// INSERT IGNORE leaves in a NOT NULL column, is JSON's null.
func jsonText(b []byte, d *state) (event.Value, error) {
	if len(b) == 0 {
		return event.Raw([]byte("null")), nil
	}
	j := jsonReader{left: len(b)}
	out, err := j.append(nil, b[0], b[1:], jsonDepth)
	if err != nil {
		return event.Value{}, err
	}
	if !utf8.Valid(out) {
		d.anomaly = fmt.Sprintf("json \\x%x", b)
		return event.NullValue, nil
	}
	return event.Raw(out), nil
}

// jsonReader bounds the work on one document. Offsets of a malformed one may point
// back or all at one value, so that few bytes would render into endless text; in
// a sound one no byte of a value, key or entry is read for two values.
type jsonReader struct {
	left int // bytes that may still be read
}

// spend reports whether n more bytes may be read.
func (j *jsonReader) spend(n int) bool {
	j.left -= n
	return j.left >= 0
}

func jsonShort(b []byte, what string) error {
	return fmt.Errorf("json %s in %d bytes: %w", what, len(b), ErrMalformed)
}

// numbers are the sizes of values of fixed size.
var jsonNumbers = map[byte]int{jsonInt16: 2, jsonUint16: 2, jsonInt32: 4, jsonUint32: 4, jsonInt64: 8, jsonUint64: 8, jsonDouble: 8}

func (j *jsonReader) append(out []byte, typ byte, b []byte, depth int) ([]byte, error) {
	if depth < 0 {
		return nil, jsonShort(b, "nested too deeply")
	}
	if !j.spend(1) {
		return nil, jsonShort(b, "of overlapping values")
	}
	if n, ok := jsonNumbers[typ]; ok {
		if len(b) < n {
			return nil, jsonShort(b, "number")
		}
		return appendJSONNumber(out, typ, b[:n])
	}
	switch typ {
	case jsonSmallObject, jsonLargeObject, jsonSmallArray, jsonLargeArray:
		return j.appendContainer(out, typ, b, depth)
	case jsonLiteral:
		if len(b) < 1 || b[0] > 2 {
			return nil, jsonShort(b, "literal")
		}
		return append(out, [...]string{"null", "true", "false"}[b[0]]...), nil
	case jsonString:
		s, ok := jsonVariable(b)
		if !ok || !j.spend(len(s)) {
			return nil, jsonShort(b, "string")
		}
		return appendJSONString(out, s), nil
	case jsonOpaque:
		if len(b) < 2 {
			return nil, jsonShort(b, "opaque value")
		}
		s, ok := jsonVariable(b[1:])
		if !ok || !j.spend(len(s)) {
			return nil, jsonShort(b, "opaque value")
		}
		return appendJSONOpaque(out, b[0], s)
	}
	return nil, fmt.Errorf("json type %d: %w", typ, ErrMalformed)
}

// jsonVariable reads bytes behind a length of seven bits per byte.
func jsonVariable(b []byte) ([]byte, bool) {
	length := 0
	for i := 0; i < len(b) && i < 5; i++ {
		length |= int(b[i]&0x7f) << (7 * i)
		if b[i]&0x80 == 0 {
			v, _, ok := take(b[i+1:], length)
			return v, ok
		}
	}
	return nil, false
}

func appendJSONNumber(out []byte, typ byte, b []byte) ([]byte, error) {
	v := littleEndian(b)
	switch typ {
	case jsonInt16:
		return strconv.AppendInt(out, int64(int16(v)), 10), nil
	case jsonInt32:
		return strconv.AppendInt(out, int64(int32(v)), 10), nil
	case jsonInt64:
		return strconv.AppendInt(out, int64(v), 10), nil
	case jsonDouble:
		f := math.Float64frombits(v)
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, jsonShort(b, "number without a value")
		}
		return appendJSONDouble(out, f), nil
	}
	return strconv.AppendUint(out, v, 10), nil
}

// appendJSONDouble keeps a number recognisable as a double, as the server does.
func appendJSONDouble(out []byte, f float64) []byte {
	if a := math.Abs(f); a != 0 && (a < 1e-5 || a >= 1e15) {
		at := len(out)
		out = strconv.AppendFloat(out, f, 'e', -1, 64)
		for i := at; i < len(out); i++ { // the server prints 1e20, 1e-7
			if out[i] != 'e' {
				continue
			}
			exp, err := strconv.Atoi(string(out[i+1:]))
			if err != nil {
				return out
			}
			return strconv.AppendInt(out[:i+1], int64(exp), 10)
		}
		return out
	}
	out = strconv.AppendFloat(out, f, 'f', -1, 64)
	if f == math.Trunc(f) {
		out = append(out, ".0"...)
	}
	return out
}

func (j *jsonReader) appendContainer(out []byte, typ byte, b []byte, depth int) ([]byte, error) {
	width, object := 2, typ == jsonSmallObject || typ == jsonLargeObject
	if typ == jsonLargeObject || typ == jsonLargeArray {
		width = 4
	}
	if len(b) < 2*width {
		return nil, jsonShort(b, "container")
	}
	count, size := int(littleEndian(b[:width])), int(littleEndian(b[width:2*width]))
	keys, values := 2*width, 2*width
	if object {
		values += count * (width + 2)
	}
	if size < 0 || count < 0 || size > len(b) || count > len(b) || values+count*(width+1) > size {
		return nil, jsonShort(b, "container")
	}
	b = b[:size]
	shut := byte(']')
	if object {
		shut = '}'
		out = append(out, '{')
	} else {
		out = append(out, '[')
	}
	for i := range count {
		if i > 0 {
			out = append(out, ", "...)
		}
		if object {
			entry := b[keys+i*(width+2):]
			at, n := int(littleEndian(entry[:width])), int(binary.LittleEndian.Uint16(entry[width:]))
			if at < 0 || at > size || n > size-at || !j.spend(n) {
				return nil, jsonShort(b, "key")
			}
			out = append(appendJSONString(out, b[at:at+n]), ": "...)
		}
		entry := b[values+i*(width+1):]
		value := entry[1 : 1+width]
		if !jsonInline(entry[0], width) {
			at := int(littleEndian(value))
			if at < 0 || at > size {
				return nil, jsonShort(b, "value")
			}
			value = b[at:]
		}
		var err error
		if out, err = j.append(out, entry[0], value, depth-1); err != nil {
			return nil, err
		}
	}
	return append(out, shut), nil
}

// jsonInline reports whether a value stands in its entry.
func jsonInline(typ byte, width int) bool {
	switch typ {
	case jsonLiteral, jsonInt16, jsonUint16:
		return true
	case jsonInt32, jsonUint32:
		return width == 4
	}
	return false
}

const hexDigits = "0123456789abcdef"

func appendJSONString(out, s []byte) []byte {
	out = append(out, '"')
	for _, c := range s {
		switch {
		case c == '"', c == '\\':
			out = append(out, '\\', c)
		case c == '\b':
			out = append(out, `\b`...)
		case c == '\f':
			out = append(out, `\f`...)
		case c == '\n':
			out = append(out, `\n`...)
		case c == '\r':
			out = append(out, `\r`...)
		case c == '\t':
			out = append(out, `\t`...)
		case c < 0x20:
			out = append(out, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			out = append(out, c)
		}
	}
	return append(out, '"')
}

// appendJSONOpaque renders a value of an SQL type within a document.
func appendJSONOpaque(out []byte, typ byte, b []byte) ([]byte, error) {
	switch typ {
	case typeNewDecimal:
		if len(b) < 2 || b[0] < 1 || b[0] > 65 || b[1] > b[0] {
			return nil, jsonShort(b, "decimal")
		}
		v, _, err := decimal(int(b[0]), int(b[1]))(b[2:], &state{arena: &event.Arena{}})
		return append(out, v.B...), err
	case typeDate, typeDatetime, typeTimestamp, typeTime:
		if len(b) < 8 {
			return nil, jsonShort(b, "time")
		}
		return append(appendJSONTime(append(out, '"'), typ, int64(littleEndian(b[:8]))), '"'), nil
	}
	out = append(out, `"base64:type`...)
	out = append(strconv.AppendUint(out, uint64(typ), 10), ':')
	return append(base64.StdEncoding.AppendEncode(out, b), '"'), nil
}

// appendJSONTime renders the packed form (MySQL source documentation, my_time.cc).
func appendJSONTime(out []byte, typ byte, packed int64) []byte {
	if packed < 0 {
		out, packed = append(out, '-'), -packed
	}
	whole, micro := packed>>24, packed&0xffffff
	clock := fmt.Sprintf("%02d:%02d:%02d.%06d", whole>>12&0x3ff, whole>>6&63, whole&63, micro)
	if typ == typeTime {
		return append(out, clock...)
	}
	ym := whole >> 22
	out = append(out, fmt.Sprintf("%04d-%02d-%02d", ym/13, ym%13, whole>>17&31)...)
	if typ == typeDate {
		return out
	}
	return append(out, fmt.Sprintf(" %02d:%02d:%02d.%06d", whole>>12&31, whole>>6&63, whole&63, micro)...)
}
