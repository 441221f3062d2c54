package mysql

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/tributary-cdc/tributary/capture/mysql/rowimage"
)

// tableMap is what a TABLE_MAP event says of a table (MySQL source documentation,
// Table_map_event). go-mysql's own form misses the metadata of MariaDB's compressed
// columns, and with it that of every column behind them.
type tableMap struct {
	id              uint64
	database, table string
	columns         []rowimage.Column // labels as the column's character set has them
	nullable        []bool
	// What follows is there with binlog_row_metadata = FULL only; names is nil without.
	names []string
	// signs says that numbers have their signs, collations that texts have theirs (MINIMAL has both).
	signs      bool
	collations []uint64 // 0 for a column that has none
	key        []int
	// strange is a wire type that isn't known: what the event says of columns behind it
	// can't be told then.
	strange byte
	// raw is the event without the table's id: equal bytes say the same.
	raw []byte
}

// maxColumns is more than any engine holds.
const maxColumns = 4096

// parseTableMap reads a TABLE_MAP event without header and checksum. mariadb tells whose
// rules its metadata follow. The result keeps no view of body.
func parseTableMap(body []byte, idSize int, mariadb bool) (*tableMap, error) {
	s := cursor{b: body}
	m := &tableMap{id: littleEndian(s.take(idSize))}
	s.take(2) // flags
	m.database = string(s.take(int(s.byte())))
	s.take(1)
	m.table = string(s.take(int(s.byte())))
	s.take(1)
	n := s.number()
	s.bad = s.bad || n > maxColumns
	bad := fmt.Errorf("table map of %d bytes: %w", len(body), errMalformed)
	if s.bad {
		return nil, bad
	}
	m.raw = bytes.Clone(body[idSize:])
	m.columns, m.nullable = make([]rowimage.Column, n), make([]bool, n)
	for i, t := range s.take(n) {
		m.columns[i].Type = t
	}
	meta := cursor{b: s.take(s.number())}
	for i := range m.columns {
		if c := &m.columns[i]; m.strange == 0 && !meta.column(c) {
			m.strange = c.Type
		}
	}
	nulls := s.take((n + 7) / 8)
	if s.bad || meta.bad {
		return nil, bad
	}
	for i := range m.nullable {
		m.nullable[i] = nulls[i/8]>>(i%8)&1 == 1
	}
	for len(s.b) > 0 && !s.bad && m.strange == 0 {
		kind := s.byte()
		field := cursor{b: s.take(s.number())}
		if m.optional(kind, &field, mariadb); field.bad {
			return nil, fmt.Errorf("metadata %d of a %w", kind, bad)
		}
	}
	if s.bad {
		return nil, bad
	}
	return m, nil
}

// column reads a column's metadata; false for a type whose metadata isn't known.
func (s *cursor) column(c *rowimage.Column) bool {
	size, known := rowimage.MetaSize(c.Type)
	b := s.take(size)
	switch {
	case !known:
		return false
	case size == 1 && !s.bad:
		c.Meta = uint16(b[0])
	case size == 2 && !s.bad && rowimage.MetaBigEndian(c.Type):
		c.Meta = binary.BigEndian.Uint16(b)
	case size == 2 && !s.bad:
		c.Meta = binary.LittleEndian.Uint16(b)
	}
	return true
}

// optional reads one field of the optional metadata. Fields of unknown kinds are passed
// over: a server may add some that don't change what the others mean.
func (m *tableMap) optional(kind byte, s *cursor, mariadb bool) {
	character := func(c *rowimage.Column) bool { return c.Character(mariadb) }
	labelled := func(c *rowimage.Column) bool { return c.Enum() || c.Set() }
	switch kind {
	case replication.TABLE_MAP_OPT_META_SIGNEDNESS:
		m.signs = true
		at := 0
		for i := range m.columns {
			if !m.columns[i].Numeric() {
				continue
			}
			if at/8 >= len(s.b) {
				s.bad = true
				return
			}
			m.columns[i].Unsigned = s.b[at/8]>>(7-at%8)&1 == 1
			at++
		}
	case replication.TABLE_MAP_OPT_META_DEFAULT_CHARSET:
		m.defaultCollation(s, character)
	case replication.TABLE_MAP_OPT_META_ENUM_AND_SET_DEFAULT_CHARSET:
		m.defaultCollation(s, labelled)
	case replication.TABLE_MAP_OPT_META_COLUMN_CHARSET:
		m.each(character, func(i int) { m.collate(i, uint64(s.number())) })
	case replication.TABLE_MAP_OPT_META_ENUM_AND_SET_COLUMN_CHARSET:
		m.each(labelled, func(i int) { m.collate(i, uint64(s.number())) })
	case replication.TABLE_MAP_OPT_META_COLUMN_NAME:
		for range m.columns {
			m.names = append(m.names, string(s.take(s.number())))
		}
	case replication.TABLE_MAP_OPT_META_ENUM_STR_VALUE:
		m.each((*rowimage.Column).Enum, func(i int) { m.columns[i].Labels = s.texts() })
	case replication.TABLE_MAP_OPT_META_SET_STR_VALUE:
		m.each((*rowimage.Column).Set, func(i int) { m.columns[i].Labels = s.texts() })
	case replication.TABLE_MAP_OPT_META_SIMPLE_PRIMARY_KEY, replication.TABLE_MAP_OPT_META_PRIMARY_KEY_WITH_PREFIX:
		for len(s.b) > 0 && !s.bad {
			k := s.number()
			if kind == replication.TABLE_MAP_OPT_META_PRIMARY_KEY_WITH_PREFIX {
				s.number()
			}
			if k >= len(m.columns) {
				s.bad = true
			}
			m.key = append(m.key, k)
		}
	}
}

func (m *tableMap) each(of func(*rowimage.Column) bool, do func(i int)) {
	for i := range m.columns {
		if of(&m.columns[i]) {
			do(i)
		}
	}
}

func (m *tableMap) collate(i int, id uint64) {
	if m.collations == nil {
		m.collations = make([]uint64, len(m.columns))
	}
	m.collations[i] = id
}

// defaultCollation reads the collation of most of the columns, then pairs: the place
// among those columns, and the collation there.
func (m *tableMap) defaultCollation(s *cursor, of func(*rowimage.Column) bool) {
	usual, others := uint64(s.number()), map[int]uint64{}
	for len(s.b) > 0 && !s.bad {
		at := s.number()
		others[at] = uint64(s.number())
	}
	at := 0
	m.each(of, func(i int) {
		id, ok := others[at]
		if !ok {
			id = usual
		}
		m.collate(i, id)
		at++
	})
}

// cursor reads from the front of b. bad is set at the first thing that isn't whole.
type cursor struct {
	b   []byte
	bad bool
}

func (s *cursor) take(n int) []byte {
	if n < 0 || n > len(s.b) || s.bad {
		s.bad = true
		return nil
	}
	v := s.b[:n]
	s.b = s.b[n:]
	return v
}

func (s *cursor) byte() byte {
	if b := s.take(1); b != nil {
		return b[0]
	}
	return 0
}

// number reads a length-encoded integer (MySQL client/server protocol, "Protocol::LengthEncodedInteger").
func (s *cursor) number() int {
	size := 0
	switch b := s.byte(); {
	case b < 0xfb:
		return int(b)
	case b == 0xfc:
		size = 2
	case b == 0xfd:
		size = 3
	case b == 0xfe:
		size = 8
	default:
		s.bad = true
	}
	v := littleEndian(s.take(size))
	if v > 1<<31 {
		s.bad = true
		return 0
	}
	return int(v)
}

// texts reads a number of texts and then each of them.
func (s *cursor) texts() (out []string) {
	for n := s.number(); n > 0 && !s.bad; n-- {
		out = append(out, string(s.take(s.number())))
	}
	return out
}

// littleEndian reads a number, least significant byte first.
func littleEndian(b []byte) (v uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return v
}
