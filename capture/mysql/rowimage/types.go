package rowimage

import (
	"fmt"

	"github.com/tributary-cdc/tributary/schema"
)

// Wire types (MySQL 8.0 source documentation, field_types.h).
const (
	typeTiny       = 1
	typeShort      = 2
	typeLong       = 3
	typeFloat      = 4
	typeDouble     = 5
	typeTimestamp  = 7
	typeLongLong   = 8
	typeInt24      = 9
	typeDate       = 10
	typeTime       = 11
	typeDatetime   = 12
	typeYear       = 13
	typeNewDate    = 14
	typeVarchar    = 15
	typeBit        = 16
	typeTimestamp2 = 17
	typeDatetime2  = 18
	typeTime2      = 19
	typePackedBlob = 140 // MariaDB's COMPRESSED columns
	typePackedChar = 141
	typeVector     = 242
	typeJSON       = 245
	typeNewDecimal = 246
	typeEnum       = 247
	typeSet        = 248
	typeBlob       = 252
	typeVarString  = 253
	typeString     = 254
	typeGeometry   = 255
)

// metaSizes are the bytes that a TABLE_MAP event has for columns of a type, beside the
// type itself (MySQL source documentation, Table_map_event; MariaDB, rpl_utility.h).
var metaSizes = map[byte]int{
	typeTiny: 0, typeShort: 0, typeLong: 0, typeTimestamp: 0, typeLongLong: 0, typeInt24: 0, typeDate: 0, typeTime: 0, typeDatetime: 0, typeYear: 0, typeNewDate: 0,
	typeFloat: 1, typeDouble: 1, typeBlob: 1, typePackedBlob: 1, typeGeometry: 1, typeJSON: 1, typeVector: 1, typeTimestamp2: 1, typeDatetime2: 1, typeTime2: 1,
	typeVarchar: 2, typeVarString: 2, typePackedChar: 2, typeBit: 2, typeNewDecimal: 2, typeString: 2, typeEnum: 2, typeSet: 2,
}

// MetaSize gives the length in bytes of a wire type's metadata in a TABLE_MAP event, and
// whether the type is known.
func MetaSize(typ byte) (size int, known bool) {
	size, known = metaSizes[typ]
	return size, known
}

// MetaBigEndian reports whether the two bytes of a type's metadata stand with the upper
// one first.
func MetaBigEndian(typ byte) bool {
	return typ == typeString || typ == typeNewDecimal || typ == typeEnum || typ == typeSet
}

// real gives the type behind STRING, and the declared length in bytes of strings.
// A CHAR longer than 255 bytes keeps two bits of its length in the type's byte
// (MySQL bug 37426).
func (c *Column) real() (typ byte, length int) {
	if c.Type != typeString {
		return c.Type, int(c.Meta)
	}
	hi, lo := byte(c.Meta>>8), int(c.Meta&0xff)
	if c.Meta < 256 {
		return typeString, lo
	}
	if hi&0x30 != 0x30 {
		return hi | 0x30, lo | (int(hi&0x30)^0x30)<<4
	}
	return hi, lo
}

// Character reports whether the log's metadata has a character set for the column (BLOB
// and TEXT, CHAR and BINARY share their wire types).
func (c *Column) Character(mariadb bool) bool {
	switch t, _ := c.real(); t {
	case typeVarchar, typeVarString, typeString, typeBlob, typePackedBlob, typePackedChar, typeVector:
		return true
	case typeGeometry:
		return mariadb
	}
	return false
}

// Numeric reports whether the column has a sign bit in the log's metadata.
func (c *Column) Numeric() bool {
	switch c.Type {
	case typeTiny, typeShort, typeInt24, typeLong, typeLongLong, typeNewDecimal, typeFloat, typeDouble, typeYear:
		return true
	}
	return false
}

// Enum reports whether the column is an enum.
func (c *Column) Enum() bool { t, _ := c.real(); return t == typeEnum }

// Set reports whether the column is a set.
func (c *Column) Set() bool { t, _ := c.real(); return t == typeSet }

var integers = map[byte]struct {
	name             string
	signed, unsigned schema.Kind
}{
	typeTiny: {"tinyint", schema.Int8, schema.Uint8}, typeShort: {"smallint", schema.Int16, schema.Uint16},
	typeInt24: {"mediumint", schema.Int32, schema.Uint32}, typeLong: {"int", schema.Int32, schema.Uint32},
	typeLongLong: {"bigint", schema.Int64, schema.Uint64},
}

// TypeOf gives the portable type of a column. The error wraps ErrUnsupported.
func TypeOf(c Column) (schema.Type, error) {
	real, length := c.real()
	switch c.Native {
	case "":
	case "uuid":
		return schema.Type{Kind: schema.UUID, Native: c.Native}, nil
	default:
		return schema.Type{Kind: schema.Text, Native: c.Native}, nil
	}
	if i, ok := integers[real]; ok {
		if c.Unsigned {
			return schema.Type{Kind: i.unsigned, Native: i.name + " unsigned"}, nil
		}
		return schema.Type{Kind: i.signed, Native: i.name}, nil
	}
	fraction := schema.Type{Precision: int(c.Meta)}
	switch real {
	case typeFloat:
		return schema.Type{Kind: schema.Float32, Native: "float"}, nil
	case typeDouble:
		return schema.Type{Kind: schema.Float64, Native: "double"}, nil
	case typeNewDecimal:
		p, s := int(c.Meta>>8), int(c.Meta&0xff)
		if p == 0 || p > 65 || s > p || s > 38 {
			return schema.Type{}, fmt.Errorf("decimal(%d,%d): %w", p, s, ErrUnsupported)
		}
		return schema.Type{Kind: schema.Decimal, Precision: p, Scale: s, Native: "decimal"}, nil
	case typeBit:
		n := int(c.Meta>>8)*8 + int(c.Meta&0xff)
		if n < 1 || n > 64 {
			return schema.Type{}, fmt.Errorf("bit(%d): %w", n, ErrUnsupported)
		}
		return schema.Type{Kind: schema.Bit, Length: n, Native: "bit"}, nil
	case typeYear:
		return schema.Type{Kind: schema.Year, Native: "year"}, nil
	case typeDate, typeNewDate:
		return schema.Type{Kind: schema.Date, Native: "date"}, nil
	case typeTime, typeTime2:
		fraction.Kind, fraction.Wide, fraction.Native = schema.Time, true, "time"
	case typeDatetime, typeDatetime2:
		fraction.Kind, fraction.Native = schema.DateTime, "datetime"
	case typeTimestamp, typeTimestamp2:
		fraction.Kind, fraction.Native = schema.Timestamp, "timestamp"
	case typeEnum, typeSet:
		return labelled(c, real)
	case typeJSON:
		return schema.Type{Kind: schema.JSON, Native: "json"}, lengthBytes(c, "json")
	case typeGeometry:
		return schema.Type{Kind: schema.Bytes, Native: "geometry"}, lengthBytes(c, "geometry")
	case typeVector:
		return schema.Type{Kind: schema.Array, Elem: &schema.Type{Kind: schema.Float32}, Native: "vector"}, lengthBytes(c, "vector")
	case typePackedChar:
		return stringType(c, typeVarchar, length-1) // the byte before the value
	case typePackedBlob:
		return stringType(c, typeBlob, length)
	case typeVarchar, typeVarString, typeString, typeBlob:
		return stringType(c, real, length)
	}
	if fraction.Kind == schema.Invalid {
		return schema.Type{}, fmt.Errorf("wire type %d: %w", real, ErrUnsupported)
	}
	if fraction.Precision > 6 {
		return schema.Type{}, fmt.Errorf("%s(%d): %w", fraction.Native, fraction.Precision, ErrUnsupported)
	}
	return fraction, nil
}

// lengthBytes checks the metadata of a type whose values have their length before them.
func lengthBytes(c Column, what string) error {
	if c.Meta < 1 || c.Meta > 4 {
		return fmt.Errorf("%s with a length of %d bytes: %w", what, c.Meta, ErrUnsupported)
	}
	return nil
}

func labelled(c Column, real byte) (schema.Type, error) {
	t := schema.Type{Kind: schema.Enum, Labels: c.Labels, Native: "enum"}
	size, most := int(c.Meta&0xff), 65535
	if real == typeSet {
		t.Kind, t.Native, most = schema.Set, "set", 64
	}
	if len(c.Labels) == 0 || len(c.Labels) > most || size < 1 || size > 8 || real == typeEnum && size > 2 {
		return schema.Type{}, fmt.Errorf("%s of %d labels in %d bytes: %w", t.Native, len(c.Labels), size, ErrUnsupported)
	}
	return t, nil
}

func stringType(c Column, real byte, length int) (schema.Type, error) {
	cs, ok := charsets[c.Charset]
	if !ok {
		return schema.Type{}, fmt.Errorf("character set %q: %w", c.Charset, ErrUnsupported)
	}
	if real == typeBlob {
		if err := lengthBytes(c, "blob"); err != nil {
			return schema.Type{}, err
		}
		length = 0
	}
	names := map[byte][2]string{typeBlob: {"blob", "text"}, typeVarchar: {"varbinary", "varchar"}, typeVarString: {"varbinary", "varchar"}, typeString: {"binary", "char"}}[real]
	if c.Charset == "binary" {
		return schema.Type{Kind: schema.Bytes, Length: length, Native: names[0]}, nil
	}
	return schema.Type{Kind: schema.String, Length: length / cs.width, Native: names[1]}, nil
}
