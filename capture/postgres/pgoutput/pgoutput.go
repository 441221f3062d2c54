// Package pgoutput reads the messages of PostgreSQL's logical replication plugin
// pgoutput, protocol version 1 (PostgreSQL 15 manual, 55.9 "Logical Replication
// Message Formats"). It decides nothing about them; it has no sockets, and never
// reads beyond its input.
package pgoutput

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// ErrMalformed reports bytes that aren't a message of the protocol.
var ErrMalformed = errors.New("malformed pgoutput message")

// Kind is a message's first byte.
type Kind byte

// The kinds of protocol version 1.
const (
	Begin    Kind = 'B'
	Commit   Kind = 'C'
	Origin   Kind = 'O'
	Relation Kind = 'R'
	Type     Kind = 'Y'
	Insert   Kind = 'I'
	Update   Kind = 'U'
	Delete   Kind = 'D'
	Truncate Kind = 'T'
	Message  Kind = 'M'
)

// Column is a column as a Relation message tells it.
type Column struct {
	Name     string
	Key      bool // part of the replica identity
	TypeOID  uint32
	Modifier int32
}

// ValueKind says how a value of a tuple is sent.
type ValueKind byte

// The kinds of values.
const (
	NullValue      ValueKind = 'n'
	UnchangedToast ValueKind = 'u'
	TextValue      ValueKind = 't'
)

// Value is one value of a tuple; Data is a view into the message.
type Value struct {
	Kind ValueKind
	Data []byte
}

// Msg is one message. Which fields are set follows from Kind. It is reused from
// message to message; slices are valid until the next Parse.
type Msg struct {
	Kind Kind

	LSN    uint64    // Begin: of the commit record. Commit: of the commit record
	EndLSN uint64    // Commit: after the commit record
	Time   time.Time // Begin, Commit
	XID    uint32    // Begin

	RelationID uint32 // Relation, Insert, Update, Delete
	Namespace  string // Relation
	Name       string // Relation
	Identity   byte   // Relation: d, n, f or i
	Columns    []Column

	OldKind byte // Update, Delete: 'K' only the key, 'O' the whole row, 0 none
	Old     []Value
	New     []Value

	Relations []uint32 // Truncate
}

// epoch is PostgreSQL's, 2000-01-01, in microseconds since 1970.
const epoch = 946_684_800_000_000

type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.bad, c.b = true, nil
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

func (c *cursor) byte() byte {
	if v := c.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (c *cursor) uint16() int {
	if v := c.take(2); v != nil {
		return int(binary.BigEndian.Uint16(v))
	}
	return 0
}

func (c *cursor) uint32() uint32 {
	if v := c.take(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (c *cursor) uint64() uint64 {
	if v := c.take(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

func (c *cursor) text() string {
	i := bytes.IndexByte(c.b, 0)
	if i < 0 {
		c.bad, c.b = true, nil
		return ""
	}
	v := string(c.b[:i])
	c.b = c.b[i+1:]
	return v
}

func (c *cursor) tuple(dst []Value) []Value {
	dst = dst[:0]
	for n := c.uint16(); n > 0 && !c.bad; n-- {
		v := Value{Kind: ValueKind(c.byte())}
		switch v.Kind {
		case NullValue, UnchangedToast:
		case TextValue:
			v.Data = c.take(int(int32(c.uint32())))
		default:
			c.bad = true
		}
		dst = append(dst, v)
	}
	return dst
}

// Parse reads one message into m. An error wraps ErrMalformed and names the kind.
func Parse(b []byte, m *Msg) error {
	c := cursor{b: b}
	*m = Msg{Kind: Kind(c.byte()), Old: m.Old[:0], New: m.New[:0], Columns: m.Columns[:0], Relations: m.Relations[:0]}
	switch m.Kind {
	case Begin:
		m.LSN, m.Time, m.XID = c.uint64(), c.time(), c.uint32()
	case Commit:
		c.byte() // flags, unused
		m.LSN, m.EndLSN, m.Time = c.uint64(), c.uint64(), c.time()
	case Relation:
		c.relation(m)
	case Insert:
		m.RelationID = c.uint32()
		if c.byte() != 'N' {
			c.bad = true
		}
		m.New = c.tuple(m.New)
	case Update, Delete:
		m.RelationID = c.uint32()
		c.images(m)
	case Truncate:
		n := c.uint32()
		c.byte() // options: cascade, restart identity
		for ; n > 0 && !c.bad; n-- {
			m.Relations = append(m.Relations, c.uint32())
		}
	case Origin, Type, Message: // nothing of them is needed
		return nil
	default:
		return fmt.Errorf("kind %q: %w", byte(m.Kind), ErrMalformed)
	}
	if c.bad || len(c.b) != 0 {
		return fmt.Errorf("kind %q with %d bytes: %w", byte(m.Kind), len(b), ErrMalformed)
	}
	return nil
}

func (c *cursor) time() time.Time { return time.UnixMicro(int64(c.uint64()) + epoch).UTC() }

func (c *cursor) relation(m *Msg) {
	m.RelationID, m.Namespace, m.Name, m.Identity = c.uint32(), c.text(), c.text(), c.byte()
	if m.Namespace == "" { // pg_catalog is sent as an empty string
		m.Namespace = "pg_catalog"
	}
	for n := c.uint16(); n > 0 && !c.bad; n-- {
		key := c.byte()&1 == 1
		m.Columns = append(m.Columns, Column{Key: key, Name: c.text(), TypeOID: c.uint32(), Modifier: int32(c.uint32())})
	}
}

func (c *cursor) images(m *Msg) {
	tag := c.byte()
	if tag == 'K' || tag == 'O' {
		m.OldKind = tag
		m.Old = c.tuple(m.Old)
		if m.Kind == Delete {
			return
		}
		tag = c.byte()
	}
	if m.Kind == Delete || tag != 'N' {
		c.bad = true
		return
	}
	m.New = c.tuple(m.New)
}
