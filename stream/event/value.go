package event

import (
	"math"
)

// State tells whether a slot holds a value.
type State uint8

// A slot's states.
const (
	Absent  State = iota // the row's image doesn't carry the column (unchanged TOAST, partial image)
	Null                 // SQL NULL
	Present              // N or B holds the value
)

// Value is one column's slot of a row image. Which field holds the value, and in
// what form, follows from the column's schema.Kind:
//
//	Bool                     N: 0 or 1
//	Int8 … Int64             N: the two's complement, uint64(int64(v))
//	Uint8 … Uint64           N
//	Float32                  N: math.Float32bits
//	Float64                  N: math.Float64bits
//	Date                     N: days since 1970-01-01, two's complement, proleptic Gregorian
//	Time                     N: microseconds since midnight, two's complement; 24:00:00 is 86400000000
//	DateTime                 N: microseconds since 1970-01-01T00:00:00 without zone, two's complement
//	Timestamp                N: microseconds since the Unix epoch, two's complement
//	Year                     N
//	Decimal                  B: ASCII like -12.30, with exactly Scale digits behind the point where
//	                         the type has a scale; NaN, Infinity, -Infinity where the source has them
//	String, Enum, Set, JSON  B: valid UTF-8
//	Bytes                    B
//	Interval                 B: ISO 8601 duration as PostgreSQL prints it
//	UUID                     B: 36 characters
//	Bit                      B: the characters 0 and 1, Length of them
//	Array, Text              B: the source's text, valid UTF-8
//
// Date, DateTime and Timestamp use PosInfinity and NegInfinity for PostgreSQL's
// infinities. Values that a kind can't hold (zero dates, invalid bytes) are Null
// with an Anomaly beside them.
//
// B is borrowed: it is valid as long as whoever handed out the row says.
type Value struct {
	State State
	N     uint64
	B     []byte
}

// The infinities of Date, DateTime and Timestamp, as PostgreSQL stores them.
const (
	PosInfinity int64 = math.MaxInt64
	NegInfinity int64 = math.MinInt64
)

// Int returns N as a signed number.
func (v Value) Int() int64 { return int64(v.N) }

// Number is a present value that lies in N.
func Number(n uint64) Value { return Value{State: Present, N: n} }

// Signed is a present value that lies in N as two's complement.
func Signed(n int64) Value { return Value{State: Present, N: uint64(n)} }

// Raw is a present value that lies in B.
func Raw(b []byte) Value { return Value{State: Present, B: b} }

// NullValue is SQL NULL.
var NullValue = Value{State: Null}

// Anomaly is a value that the column's kind can't hold. The row carries NULL in
// its place; nothing is dropped without this trace.
type Anomaly struct {
	// Column is the index into the table's columns.
	Column int
	// Raw is the value as the source has it: printable text, or bytes as \xHH. Of one that was
	// left out because of its size it is that: TOO_LARGE: 20971520 > 1048576, in bytes.
	Raw string
	// Before tells that it stands in the image before the change.
	Before bool
}
