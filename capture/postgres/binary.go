package postgres

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// form is how a load has a column sent and read. What is dear to print or to parse comes in
// the server's binary form: fractions, times and bytes. Integers and booleans don't, since the server
// takes a kilobyte for each value that it sends in binary, and with more than seven in a row
// another block of memory for each row. All else comes as text, as in the stream.
type form uint8

const (
	asText    form = iota // left to parse
	copied                // text that is the value
	asInteger             // text that integer reads
	asBool                // t or f
	asBinary              // left to parseBinary
	asDate                // binary, as what follows
	asInstant
)

// binary reports whether it is the server's binary form.
func (f form) binary() bool { return f >= asBinary }

// formOf gives the form of a kind.
func formOf(k schema.Kind) form {
	switch k {
	case schema.Int16, schema.Int32, schema.Int64:
		return asInteger
	case schema.Bool:
		return asBool
	case schema.Date:
		return asDate
	case schema.DateTime, schema.Timestamp:
		return asInstant
	case schema.Float32, schema.Float64, schema.Time, schema.Bytes:
		return asBinary
	case schema.String, schema.Decimal, schema.JSON, schema.UUID:
		return copied
	}
	return asText
}

const (
	days2000  = 10_957                    // from 1970 to where the server's days begin
	micro2000 = days2000 * 86_400_000_000 // and its microseconds
)

// parseBinary is parse for values whose form is asBinary, into v. Bytes are b itself. The error
// wraps errValue.
//
// Source: PostgreSQL 15, the send functions of float.c and date.c.
func parseBinary(kind schema.Kind, b []byte, v *event.Value) error {
	switch size := len(b); {
	case kind == schema.Bytes:
		*v = event.Raw(b)
		return nil
	case kind == schema.Float32 && size == 4:
		f := math.Float32frombits(binary.BigEndian.Uint32(b))
		if f != f { // one NaN for all, as from its text
			f = float32(math.NaN())
		}
		*v = event.Number(uint64(math.Float32bits(f)))
		return nil
	case size != 8:
		return fmt.Errorf("%s in %d bytes: %w", kind, size, errValue)
	}
	n := binary.BigEndian.Uint64(b)
	switch kind {
	case schema.Float64:
		if f := math.Float64frombits(n); f != f {
			n = math.Float64bits(math.NaN())
		}
	case schema.Time:
		if n > 86_400_000_000 {
			return fmt.Errorf("time of %d microseconds: %w", n, errValue)
		}
	default:
		return fmt.Errorf("%s in %d bytes: %w", kind, len(b), errValue)
	}
	*v = event.Number(n)
	return nil
}

// dateBinary gives the days since 1970 (PostgreSQL 15, date_send).
func dateBinary(days int32) int64 {
	switch days {
	case math.MaxInt32:
		return event.PosInfinity
	case math.MinInt32:
		return event.NegInfinity
	}
	return int64(days) + days2000
}

// instantBinary gives the microseconds since 1970 (PostgreSQL 15, timestamp_send). It reports
// false for an instant that only a text can hold.
func instantBinary(us int64) (int64, bool) {
	switch {
	case us == event.PosInfinity || us == event.NegInfinity:
		return us, true
	case us >= event.PosInfinity-micro2000:
		return 0, false
	}
	return us + micro2000, true
}

// binaryText prints an instant that instantBinary finds beyond, as the server does.
func binaryText(kind schema.Kind, b []byte) string {
	us := int64(binary.BigEndian.Uint64(b))
	text := time.Unix(us/1_000_000+days2000*86_400, us%1_000_000*1000).UTC().Format("2006-01-02 15:04:05.999999")
	if kind == schema.Timestamp {
		text += "+00"
	}
	return text
}
