package rowimage

import (
	"fmt"
	"strconv"
	"strings"

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
	typeJSON       = 245
	typeNewDecimal = 246
	typeEnum       = 247
	typeSet        = 248
	typeBlob       = 252
	typeVarString  = 253
	typeString     = 254
)

// real gives the type behind STRING, and the declared length in bytes of strings.
// A CHAR longer than 255 bytes keeps two bits of its length in the type's byte
// (MySQL bug 37426).
func (c Column) real() (typ byte, length int) {
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

// Character reports whether the wire type has a character set (BLOB and TEXT, CHAR
// and BINARY share theirs).
func (c Column) Character() bool {
	t, _ := c.real()
	return t == typeVarchar || t == typeVarString || t == typeString || t == typeBlob
}

// Numeric reports whether the column has a sign bit in the log's metadata.
func (c Column) Numeric() bool {
	switch c.Type {
	case typeTiny, typeShort, typeInt24, typeLong, typeLongLong, typeNewDecimal, typeFloat, typeDouble, typeYear:
		return true
	}
	return false
}

// Enum reports whether the column is an enum.
func (c Column) Enum() bool { t, _ := c.real(); return t == typeEnum }

// Set reports whether the column is a set.
func (c Column) Set() bool { t, _ := c.real(); return t == typeSet }

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
		if c.Meta < 1 || c.Meta > 4 {
			return schema.Type{}, fmt.Errorf("json with a length of %d bytes: %w", c.Meta, ErrUnsupported)
		}
		return schema.Type{Kind: schema.JSON, Native: "json"}, nil
	case typeVarchar, typeVarString, typeString, typeBlob:
		return stringType(c, real, length)
	}
	if fraction.Kind == schema.Invalid {
		return schema.Type{}, fmt.Errorf("wire type %d: %w", real, ErrUnsupported)
	}
	// The forms before 5.6 have no fraction; MariaDB's own ones with fraction aren't known here.
	if fraction.Precision > 6 || fraction.Precision > 0 && real <= typeDatetime {
		return schema.Type{}, fmt.Errorf("%s(%d): %w", fraction.Native, fraction.Precision, ErrUnsupported)
	}
	return fraction, nil
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
		if c.Meta < 1 || c.Meta > 4 {
			return schema.Type{}, fmt.Errorf("blob with a length of %d bytes: %w", c.Meta, ErrUnsupported)
		}
		length = 0
	}
	names := map[byte][2]string{typeBlob: {"blob", "text"}, typeVarchar: {"varbinary", "varchar"}, typeVarString: {"varbinary", "varchar"}, typeString: {"binary", "char"}}[real]
	if c.Charset == "binary" {
		return schema.Type{Kind: schema.Bytes, Length: length, Native: names[0]}, nil
	}
	return schema.Type{Kind: schema.String, Length: length / cs.width, Native: names[1]}, nil
}

// Info is a column as information_schema.COLUMNS prints it.
type Info struct {
	DataType   string // DATA_TYPE, e.g. "varchar"
	ColumnType string // COLUMN_TYPE, e.g. "varchar(20)" or "enum('a','b')"
	Charset    string // CHARACTER_SET_NAME, empty if NULL
}

// Column gives what the log has for such a column on a server that writes the
// present forms of temporal types. The error wraps ErrUnsupported.
func (i Info) Column() (Column, error) {
	args := arguments(i.ColumnType)
	number := func(n int) int {
		if n >= len(args) {
			return 0
		}
		v, err := strconv.Atoi(strings.TrimSpace(args[n]))
		if err != nil {
			return 0
		}
		return v
	}
	c := Column{Unsigned: strings.Contains(i.ColumnType, " unsigned"), Charset: i.Charset}
	for t, v := range integers {
		if v.name == i.DataType {
			c.Type = t
			return c, nil
		}
	}
	width := max(1, charsets[i.Charset].width)
	simple := map[string]Column{
		"float": {Type: typeFloat, Meta: 4}, "double": {Type: typeDouble, Meta: 8}, "year": {Type: typeYear}, "date": {Type: typeDate},
		"time": {Type: typeTime2, Meta: uint16(number(0))}, "datetime": {Type: typeDatetime2, Meta: uint16(number(0))},
		"timestamp": {Type: typeTimestamp2, Meta: uint16(number(0))}, "json": {Type: typeJSON, Meta: 4},
		"tinytext": {Type: typeBlob, Meta: 1}, "text": {Type: typeBlob, Meta: 2}, "mediumtext": {Type: typeBlob, Meta: 3}, "longtext": {Type: typeBlob, Meta: 4},
		"tinyblob": {Type: typeBlob, Meta: 1}, "blob": {Type: typeBlob, Meta: 2}, "mediumblob": {Type: typeBlob, Meta: 3}, "longblob": {Type: typeBlob, Meta: 4},
		"decimal": {Type: typeNewDecimal, Meta: uint16(number(0)<<8 | number(1))}, "varchar": {Type: typeVarchar, Meta: uint16(number(0) * width)},
		"varbinary": {Type: typeVarchar, Meta: uint16(number(0))}, "char": fixedString(number(0) * width), "binary": fixedString(number(0)),
		"bit": {Type: typeBit, Meta: uint16(number(0)/8<<8 | number(0)%8)},
	}
	if s, ok := simple[i.DataType]; ok {
		c.Type, c.Meta = s.Type, s.Meta
		if strings.HasSuffix(i.DataType, "blob") || strings.HasSuffix(i.DataType, "binary") {
			c.Charset = "binary"
		}
		return c, nil
	}
	if i.DataType != "enum" && i.DataType != "set" {
		return Column{}, fmt.Errorf("type %s: %w", i.ColumnType, ErrUnsupported)
	}
	c.Type, c.Labels = typeString, args
	if i.DataType == "enum" {
		c.Meta = typeEnum<<8 | 1
		if len(args) > 255 {
			c.Meta++
		}
		return c, nil
	}
	n := (len(args) + 7) / 8
	if n > 4 {
		n = 8
	}
	c.Meta = typeSet<<8 | uint16(n)
	return c, nil
}

func fixedString(n int) Column {
	return Column{Type: typeString, Meta: uint16(typeString^(n&0x300)>>4)<<8 | uint16(n&0xff)}
}

// arguments gives what stands between the parentheses of a column type, quotes
// undone.
func arguments(columnType string) (out []string) {
	open := strings.IndexByte(columnType, '(')
	if open < 0 {
		return nil
	}
	s := columnType[open+1:]
	for {
		var arg strings.Builder
		if strings.HasPrefix(s, "'") {
			for s = s[1:]; s != ""; s = s[1:] {
				if s[0] == '\'' {
					if !strings.HasPrefix(s, "''") {
						break
					}
					s = s[1:]
				}
				arg.WriteByte(s[0])
			}
			s = strings.TrimPrefix(s, "'")
		} else {
			end := strings.IndexAny(s, ",)")
			if end < 0 {
				return out
			}
			arg.WriteString(s[:end])
			s = s[end:]
		}
		out = append(out, arg.String())
		if !strings.HasPrefix(s, ",") {
			return out
		}
		s = s[1:]
	}
}
