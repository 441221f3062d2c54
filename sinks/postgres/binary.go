package postgres

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// The binary forms are those of the types' recv functions; COPY's framing is in the
// PostgreSQL manual, "COPY", section "Binary Format".

// PostgreSQL counts from 2000-01-01.
const (
	pgEpochDays   = 10_957
	pgEpochMicros = pgEpochDays * 86_400_000_000
)

var copyHeader = []byte("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00")

// binaryForm reports whether values of a type can be sent in binary. The others are
// staged as text and cast by the server.
func binaryForm(t schema.Type) bool {
	switch t.Kind {
	case schema.Interval, schema.Array:
		return false
	case schema.Text:
		return columnType(t) == "text"
	}
	return true
}

func appendLen(b []byte, n int) []byte { return binary.BigEndian.AppendUint32(b, uint32(n)) }

func appendText(b []byte, s string) []byte { return append(appendLen(b, len(s)), s...) }

func appendInt64(b []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(appendLen(b, 8), uint64(n))
}

func appendInt32(b []byte, n int32) []byte {
	return binary.BigEndian.AppendUint32(appendLen(b, 4), uint32(n))
}

func appendInt16(b []byte, n int16) []byte {
	return binary.BigEndian.AppendUint16(appendLen(b, 2), uint16(n))
}

func appendMicros(b []byte, n int64) []byte {
	if n != event.PosInfinity && n != event.NegInfinity { // PostgreSQL's own infinities are the same numbers
		n -= pgEpochMicros
	}
	return appendInt64(b, n)
}

func appendInstant(b []byte, t time.Time) []byte { return appendMicros(b, t.UnixMicro()) }

// appendField adds length and bytes of a slot in the form of columnType's type.
func appendField(b []byte, t *schema.Type, v event.Value) ([]byte, error) {
	if v.State != event.Present {
		return appendLen(b, -1), nil
	}
	switch t.Kind {
	case schema.Bool:
		return append(appendLen(b, 1), byte(v.N)), nil
	case schema.Int8, schema.Int16, schema.Uint8, schema.Year:
		return appendInt16(b, int16(v.N)), nil
	case schema.Int32, schema.Uint16:
		return appendInt32(b, int32(v.N)), nil
	case schema.Int64, schema.Uint32:
		return appendInt64(b, v.Int()), nil
	case schema.Uint64:
		var digits [20]byte
		return appendNumeric(b, strconv.AppendUint(digits[:0], v.N, 10))
	case schema.Decimal:
		return appendNumeric(b, v.B)
	case schema.Float32:
		return appendInt32(b, int32(v.N)), nil
	case schema.Float64:
		return appendInt64(b, v.Int()), nil
	case schema.Date:
		switch n := v.Int(); {
		case n == event.PosInfinity:
			return appendInt32(b, math.MaxInt32), nil
		case n == event.NegInfinity:
			return appendInt32(b, math.MinInt32), nil
		default:
			return appendInt32(b, int32(n-pgEpochDays)), nil
		}
	case schema.Time:
		if t.Wide { // interval: microseconds, days, months
			b = binary.BigEndian.AppendUint64(appendLen(b, 16), v.N)
			return append(b, 0, 0, 0, 0, 0, 0, 0, 0), nil
		}
		return appendInt64(b, v.Int()), nil
	case schema.DateTime, schema.Timestamp:
		return appendMicros(b, v.Int()), nil
	case schema.UUID:
		return appendUUID(b, v.B)
	case schema.Bit:
		return appendBits(b, v.B)
	}
	return append(appendLen(b, len(v.B)), v.B...), nil
}

func appendUUID(b, text []byte) ([]byte, error) {
	var plain [32]byte
	n := 0
	for _, c := range text {
		if c == '-' {
			continue
		}
		if n == len(plain) {
			return nil, fmt.Errorf("uuid %.40q is too long", text)
		}
		plain[n] = c
		n++
	}
	var id [16]byte
	if _, err := hex.Decode(id[:], plain[:n]); err != nil || n != len(plain) {
		return nil, fmt.Errorf("uuid %.40q isn't one", text)
	}
	return append(appendLen(b, len(id)), id[:]...), nil
}

func appendBits(b, text []byte) ([]byte, error) {
	b = appendLen(b, 4+(len(text)+7)/8)
	b = appendLen(b, len(text))
	var octet byte
	for i, c := range text {
		if c != '0' && c != '1' {
			return nil, fmt.Errorf("bit string %.40q has other characters", text)
		}
		octet |= (c - '0') << (7 - i%8)
		if i%8 == 7 || i == len(text)-1 {
			b, octet = append(b, octet), 0
		}
	}
	return b, nil
}

// appendNumeric turns decimal text into numeric: int16 count, weight, sign, scale,
// then groups of four digits, the first counting 10000^weight.
func appendNumeric(b, text []byte) ([]byte, error) {
	special := func(sign uint16) []byte {
		b = append(appendLen(b, 8), 0, 0, 0, 0)
		return append(binary.BigEndian.AppendUint16(b, sign), 0, 0)
	}
	switch string(text) {
	case "NaN":
		return special(0xC000), nil
	case "Infinity":
		return special(0xD000), nil
	case "-Infinity":
		return special(0xF000), nil
	}
	rest, sign := text, uint16(0)
	if len(rest) > 0 && rest[0] == '-' {
		rest, sign = rest[1:], 0x4000
	}
	whole, fraction := rest, []byte(nil)
	for i, c := range rest {
		switch {
		case c == '.' && fraction == nil:
			whole, fraction = rest[:i], rest[i+1:]
		case c < '0' || c > '9':
			return nil, fmt.Errorf("decimal %.60q isn't one", text)
		}
	}
	if len(whole)+len(fraction) == 0 || len(whole) > 131_072 || len(fraction) > 16_383 {
		return nil, fmt.Errorf("decimal %.60q can't be stored", text)
	}
	start := len(b)
	b = append(b, make([]byte, 12)...)
	count, weight := 0, (len(whole)+3)/4-1
	digit := func(i int) uint16 { // the i-th from the start of the whole part
		switch {
		case i < 0:
			return 0
		case i < len(whole):
			return uint16(whole[i] - '0')
		case i-len(whole) < len(fraction):
			return uint16(fraction[i-len(whole)] - '0')
		}
		return 0
	}
	end := len(b)
	for i := len(whole) - 4*(weight+1); i < len(whole)+len(fraction); i += 4 {
		group := digit(i)*1000 + digit(i+1)*100 + digit(i+2)*10 + digit(i+3)
		if group == 0 && count == 0 { // leading
			weight--
			continue
		}
		b = binary.BigEndian.AppendUint16(b, group)
		count++
		if group != 0 {
			end = len(b)
		}
	}
	b = b[:end] // without trailing zeros
	count = (end - start - 12) / 2
	if count == 0 {
		weight, sign = 0, 0
	}
	binary.BigEndian.PutUint32(b[start:], uint32(8+2*count))
	binary.BigEndian.PutUint16(b[start+4:], uint16(count))
	binary.BigEndian.PutUint16(b[start+6:], uint16(int16(weight)))
	binary.BigEndian.PutUint16(b[start+8:], sign)
	binary.BigEndian.PutUint16(b[start+10:], uint16(len(fraction)))
	return b, nil
}
