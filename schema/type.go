// Package schema describes tables in portable terms: columns, types, key and the
// version that follows from them. It decides what is the same table version; it
// knows no database, no wire format and does no I/O.
package schema

import (
	"fmt"
	"strconv"
)

// Kind is a portable type without its parameters.
type Kind uint8

// The kinds. How a value of each stands in memory is documented at event.Value.
const (
	Invalid   Kind = iota
	Bool           // true or false
	Int8           // signed integers
	Int16          //
	Int32          //
	Int64          //
	Uint8          // unsigned integers
	Uint16         //
	Uint32         //
	Uint64         //
	Decimal        // exact decimal with Precision and Scale; both 0 if the source sets no bound
	Float32        // IEEE 754 single
	Float64        // IEEE 754 double
	String         // text in UTF-8; Length in characters, 0 if unbounded
	Bytes          // bytes; Length in bytes, 0 if unbounded
	Date           // civil date
	Time           // time of day; with Wide also negative or beyond a day (MySQL TIME)
	DateTime       // civil date and time, no zone
	Timestamp      // instant, in UTC
	Interval       // span of months, days and microseconds, in ISO 8601 text
	Year           // 1901 to 2155, or 0
	JSON           // JSON text
	UUID           // 36 characters, lower case
	Enum           // one of Labels
	Set            // any of Labels, joined by commas
	Bit            // bit string of Length bits, as the characters 0 and 1
	Array          // array of Elem, as PostgreSQL's array literal
	Text           // a type without a portable kind, as the source prints it; Native names it
)

var kindNames = [...]string{
	Invalid: "invalid", Bool: "bool", Int8: "int8", Int16: "int16", Int32: "int32", Int64: "int64",
	Uint8: "uint8", Uint16: "uint16", Uint32: "uint32", Uint64: "uint64", Decimal: "decimal",
	Float32: "float32", Float64: "float64", String: "string", Bytes: "bytes", Date: "date", Time: "time",
	DateTime: "datetime", Timestamp: "timestamp", Interval: "interval", Year: "year", JSON: "json",
	UUID: "uuid", Enum: "enum", Set: "set", Bit: "bit", Array: "array", Text: "text",
}

// String gives the name used in schema records.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// ParseKind is the inverse of Kind.String.
func ParseKind(s string) (Kind, error) {
	for k, name := range kindNames {
		if name == s && Kind(k) != Invalid {
			return Kind(k), nil
		}
	}
	return Invalid, fmt.Errorf("unknown kind %q", s)
}

// MarshalText writes the kind's name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a kind's name.
func (k *Kind) UnmarshalText(b []byte) (err error) {
	*k, err = ParseKind(string(b))
	return err
}

// Numeric reports whether the value lies in the number of a slot, not in its bytes.
func (k Kind) Numeric() bool {
	switch k {
	case Bool, Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64, Float32, Float64,
		Date, Time, DateTime, Timestamp, Year:
		return true
	}
	return false
}

// Type is a portable type with its parameters. Parameters that a kind doesn't
// use are zero.
type Type struct {
	Kind Kind `json:"kind"`
	// Precision is the number of digits of a decimal (1 to 1000, 0 unbounded), or the
	// digits of the second's fraction of a temporal type (0 to 6).
	Precision int `json:"precision,omitempty"`
	// Scale is the number of a decimal's digits behind the point.
	Scale int `json:"scale,omitempty"`
	// Length is the declared length: characters, bytes or bits. 0 if unbounded.
	Length int `json:"length,omitempty"`
	// Wide marks a Time that may be negative or beyond a day.
	Wide bool `json:"wide,omitempty"`
	// Labels of an Enum or Set, in the source's order.
	Labels []string `json:"labels,omitempty"`
	// Elem is the element type of an Array.
	Elem *Type `json:"elem,omitempty"`
	// Native is the type as the source names it, e.g. "bigint unsigned".
	Native string `json:"native,omitempty"`
}

// String gives kind and parameters for people, e.g. "decimal(10,2)".
func (t Type) String() string {
	switch {
	case t.Kind == Decimal && t.Precision > 0:
		return fmt.Sprintf("decimal(%d,%d)", t.Precision, t.Scale)
	case t.Kind == Array && t.Elem != nil:
		return t.Elem.String() + "[]"
	case t.Kind == Text:
		return "text(" + t.Native + ")"
	case t.Length > 0:
		return fmt.Sprintf("%s(%d)", t.Kind, t.Length)
	case t.Precision > 0:
		return fmt.Sprintf("%s(%d)", t.Kind, t.Precision)
	}
	return t.Kind.String()
}
