package rowimage

import (
	"fmt"
	"strconv"
	"strings"
)

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
		"vector": {Type: typeVector, Meta: 4}, "bit": {Type: typeBit, Meta: uint16(number(0)/8<<8 | number(0)%8)},
	}
	for _, geometry := range geometries {
		simple[geometry] = Column{Type: typeGeometry, Meta: 4}
	}
	if s, ok := simple[i.DataType]; ok {
		c.Type, c.Meta = s.Type, s.Meta
		if strings.HasSuffix(i.DataType, "blob") || strings.HasSuffix(i.DataType, "binary") {
			c.Charset = "binary"
		}
		return c, nil
	}
	if n := hiddenLengths[i.ColumnType]; n > 0 {
		c = fixedString(n)
		c.Charset, c.Native = "binary", i.DataType
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

var geometries = []string{"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection", "geomcollection"}

// hiddenLengths are MariaDB's types that the log has as BINARY of a length.
var hiddenLengths = map[string]int{"uuid": 16, "inet6": 16, "inet4": 4}

// Hidden reports whether the log of a MariaDB may keep the column's true type to itself:
// a BINARY may be a uuid or an address, and a temporal value in the form of before 5.6
// may have a fraction.
func (c *Column) Hidden() bool {
	switch t, length := c.real(); t {
	case typeString:
		return c.Charset == "binary" && (length == 16 || length == 4)
	case typeTime, typeDatetime, typeTimestamp:
		return true
	}
	return false
}

// Declared gives a column of the log what the catalogue alone knows of it. An error that
// wraps ErrMalformed says that the two contradict each other.
func (c Column) Declared(i Info) (Column, error) {
	is, err := i.Column()
	if err != nil {
		return c, err
	}
	want, err := TypeOf(is)
	if err != nil {
		return c, err
	}
	if c.Native = is.Native; c.Native != "" {
		if c.Type != is.Type || c.Meta != is.Meta {
			return c, fmt.Errorf("%s in the catalogue is another type in the log: %w", i.ColumnType, ErrMalformed)
		}
		return c, nil
	}
	if c.Type == typeTime || c.Type == typeDatetime || c.Type == typeTimestamp {
		c.Meta = is.Meta
	}
	got, err := TypeOf(c)
	if err != nil || got.String() != want.String() {
		return c, fmt.Errorf("%s in the log, %s in the catalogue: %w", got, want, ErrMalformed)
	}
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

// Labels gives those of an enum or set, by its COLUMN_TYPE.
func Labels(columnType string) []string { return arguments(columnType) }
