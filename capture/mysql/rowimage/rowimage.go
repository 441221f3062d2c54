// Package rowimage decodes the row images of MySQL's and MariaDB's binary log
// into slots. A plan is compiled per table version, so that no type is looked at
// twice. It decides what a value means; it knows no server, no event and no
// transaction, and does no I/O.
//
// The forms follow the MySQL internals documentation (Rows_event, "Binary log
// event" and field metadata) and MariaDB's knowledge base (Rows_event_v1).
package rowimage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"sync"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Errors of this package.
var (
	// ErrMalformed: the bytes aren't what the table's plan says.
	ErrMalformed = errors.New("malformed row image")
	// ErrUnsupported: there is no rule for the column's type yet.
	ErrUnsupported = errors.New("column type not supported")
)

// Column is a column as the binary log's TABLE_MAP and its metadata describe it.
type Column struct {
	// Type and Meta are the wire type and its field metadata; for STRING the real
	// type lies in the metadata's upper byte.
	Type byte
	Meta uint16
	// Charset names the character set, "binary" for bytes, empty for other types.
	Charset  string
	Unsigned bool
	// Labels of an enum or set, in UTF-8.
	Labels []string
	// Native is "uuid", "inet4" or "inet6" for MariaDB's types that the log has as BINARY.
	Native string
}

// decoder reads one present value from the front of data.
type decoder func(data []byte, d *state) (v event.Value, rest []byte, err error)

// state is what a decoder needs besides its bytes.
type state struct {
	arena   *event.Arena
	anomaly string // set by a decoder that returns NULL in place of a value
}

// states keeps the states of finished values: decoders are called through
// pointers, so one on the stack would be an allocation per value.
var states = sync.Pool{New: func() any { return new(state) }}

// Plan decodes the images of one table version. It is immutable and safe for
// concurrent use.
type Plan struct {
	table   *schema.Table
	columns []column
	jsons   int // columns of MySQL's type JSON
}

// column is how one column is read: the quick way for the ordinary values of
// ordinary types, the decoder for everything else, errors and anomalies included.
type column struct {
	quick  quick
	decode decoder
	json   int // its place among the columns of MySQL's type JSON, -1 for others
	length int // bytes of a document's length
}

// Compile makes a plan for a table whose columns stand on the wire as cols. The
// error wraps ErrUnsupported or ErrMalformed and names the column.
func Compile(t *schema.Table, cols []Column) (*Plan, error) {
	if len(cols) != len(t.Columns) {
		return nil, fmt.Errorf("table %s has %d columns, the log %d: %w", t.ID(), len(t.Columns), len(cols), ErrMalformed)
	}
	p := &Plan{table: t, columns: make([]column, len(cols))}
	for i, c := range cols {
		typ, err := TypeOf(c)
		if err != nil {
			return nil, fmt.Errorf("column %q of table %s: %w", t.Columns[i].Name, t.ID(), err)
		}
		if typ.Kind != t.Columns[i].Type.Kind {
			return nil, fmt.Errorf("column %q of table %s is %s, the log has %s: %w", t.Columns[i].Name, t.ID(), t.Columns[i].Type, typ, ErrMalformed)
		}
		p.columns[i] = column{quick: quickly(c, typ), decode: compile(c, typ), json: -1}
		if real, _ := c.real(); real == typeJSON {
			p.columns[i].json, p.columns[i].length = p.jsons, int(c.Meta)
			p.jsons++
		}
	}
	return p, nil
}

// Decode reads one image from the front of data. The bits of present say which
// columns it carries; the others become Absent. dst needs one slot per column.
// Values point into data or into the arena. Values that their kind can't hold
// are NULL with an anomaly appended.
func (p *Plan) Decode(data, present []byte, dst []event.Value, a *event.Arena, anomalies []event.Anomaly, before bool) ([]byte, []event.Anomaly, error) {
	return p.decode(data, present, dst, a, anomalies, before, nil)
}

// DecodePartial is Decode for the image after an update that may have differences in
// place of JSON documents; before is the image before it. The error wraps ErrDifference
// if a document can't be told.
func (p *Plan) DecodePartial(data, present []byte, before, dst []event.Value, a *event.Arena, anomalies []event.Anomaly) ([]byte, []event.Anomaly, error) {
	d, data, err := p.differences(data, before)
	if err != nil {
		return nil, anomalies, fmt.Errorf("table %s: %w", p.table.ID(), err)
	}
	return p.decode(data, present, dst, a, anomalies, false, d)
}

func (p *Plan) decode(data, present []byte, dst []event.Value, a *event.Arena, anomalies []event.Anomaly, before bool, diff *differences) ([]byte, []event.Anomaly, error) {
	n := len(p.columns)
	if len(dst) != n || len(present) < (n+7)/8 {
		return nil, anomalies, fmt.Errorf("table %s: %d slots, bitmap of %d bytes for %d columns: %w", p.table.ID(), len(dst), len(present), n, ErrMalformed)
	}
	carried := 0
	for i := 0; i < n; i += 8 {
		b := present[i/8]
		if n-i < 8 {
			b &= 1<<(n-i) - 1
		}
		carried += bits.OnesCount8(b)
	}
	nulls, data, ok := take(data, (carried+7)/8)
	if !ok {
		return nil, anomalies, fmt.Errorf("table %s: %d bytes for the null bitmap: %w", p.table.ID(), len(data), ErrMalformed)
	}
	at := 0
	for i := range p.columns {
		v := &dst[i]
		if carried < n && present[i/8]>>(i%8)&1 == 0 {
			*v = event.Value{}
			continue
		}
		null := nulls[at/8]>>(at%8)&1 == 1
		at++
		if null {
			*v = event.NullValue
			continue
		}
		c := &p.columns[i]
		if size := c.quick.read(data, v, a); size > 0 {
			data = data[size:]
			continue
		}
		var anomaly string
		var err error
		if diff.of(c.json) {
			if *v, data, err = diff.value(data, i, c.length, a); err != nil {
				return nil, anomalies, fmt.Errorf("column %q of table %s: %w", p.table.Columns[i].Name, p.table.ID(), err)
			}
			continue
		}
		if *v, data, anomaly, err = c.slowly(data, a); err != nil {
			return nil, anomalies, fmt.Errorf("column %q of table %s: %w", p.table.Columns[i].Name, p.table.ID(), err)
		}
		if v.State == event.Null {
			anomalies = append(anomalies, event.Anomaly{Column: i, Raw: anomaly, Before: before})
		}
	}
	return data, anomalies, nil
}

func (c *column) slowly(data []byte, a *event.Arena) (event.Value, []byte, string, error) {
	st := states.Get().(*state)
	defer states.Put(st)
	st.arena, st.anomaly = a, ""
	v, data, err := c.decode(data, st)
	return v, data, st.anomaly, err
}

// take cuts n bytes off the front.
func take(data []byte, n int) (head, rest []byte, ok bool) {
	if n < 0 || n > len(data) {
		return nil, data, false
	}
	return data[:n:n], data[n:], true
}

func short(data []byte, want int) error {
	return fmt.Errorf("%d bytes, want %d: %w", len(data), want, ErrMalformed)
}

// littleEndian reads n bytes, least significant first.
func littleEndian(b []byte) (v uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return v
}

// bigEndian reads n bytes, most significant first.
func bigEndian(b []byte) (v uint64) {
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v
}

// fixed makes a decoder of values that take n bytes.
func fixed(n int, f func(b []byte, d *state) event.Value) decoder {
	return func(data []byte, d *state) (event.Value, []byte, error) {
		if len(data) < n {
			return event.Value{}, nil, short(data, n)
		}
		return f(data[:n:n], d), data[n:], nil
	}
}

// prefixed makes a decoder of values behind a length of n bytes.
func prefixed(n int, f func(b []byte, d *state) (event.Value, error)) decoder {
	return func(data []byte, d *state) (event.Value, []byte, error) {
		head, rest, ok := take(data, n)
		if !ok {
			return event.Value{}, nil, short(data, n)
		}
		length := littleEndian(head)
		if length > uint64(len(rest)) {
			return event.Value{}, nil, short(rest, int(min(length, 1<<32)))
		}
		v, err := f(rest[:length:length], d)
		return v, rest[length:], err
	}
}

func integer(n int, unsigned bool) decoder {
	shift := 64 - 8*n
	return fixed(n, func(b []byte, _ *state) event.Value {
		v := littleEndian(b)
		if !unsigned {
			return event.Signed(int64(v<<shift) >> shift)
		}
		return event.Number(v)
	})
}

// compile gives a column's decoder. TypeOf has accepted the column before.
func compile(c Column, typ schema.Type) decoder {
	real, length := c.real()
	switch real {
	case typeTiny:
		return integer(1, c.Unsigned)
	case typeShort:
		return integer(2, c.Unsigned)
	case typeInt24:
		return integer(3, c.Unsigned)
	case typeLong:
		return integer(4, c.Unsigned)
	case typeLongLong:
		return integer(8, c.Unsigned)
	case typeFloat:
		return fixed(4, func(b []byte, _ *state) event.Value { return event.Number(uint64(binary.LittleEndian.Uint32(b))) })
	case typeDouble:
		return fixed(8, func(b []byte, _ *state) event.Value { return event.Number(binary.LittleEndian.Uint64(b)) })
	case typeNewDecimal:
		return decimal(typ.Precision, typ.Scale)
	case typeBit:
		return bitString(typ.Length)
	case typeYear:
		return fixed(1, func(b []byte, _ *state) event.Value {
			if b[0] == 0 {
				return event.Number(0)
			}
			return event.Number(1900 + uint64(b[0]))
		})
	case typeEnum:
		return enum(int(c.Meta&0xff), typ.Labels)
	case typeSet:
		return set(int(c.Meta&0xff), typ.Labels)
	case typeVarchar, typeVarString, typeString, typePackedChar:
		n := 1
		if length > 255 {
			n = 2
		}
		switch {
		case c.Native != "":
			return prefixed(n, hidden(c.Native, length))
		case real == typePackedChar:
			return prefixed(n, unpacked(text(c.Charset)))
		}
		if real == typeString && c.Charset == "binary" {
			return prefixed(n, padded(length))
		}
		return prefixed(n, text(c.Charset))
	case typeBlob:
		return prefixed(int(c.Meta), text(c.Charset))
	case typePackedBlob:
		return prefixed(int(c.Meta), unpacked(text(c.Charset)))
	case typeGeometry:
		return prefixed(int(c.Meta), text("binary"))
	case typeVector:
		return prefixed(int(c.Meta), vector)
	case typeJSON:
		return prefixed(int(c.Meta), jsonText)
	}
	return temporal(real, typ.Precision)
}

// padded restores the zero bytes at the end of a BINARY column, which the log strips.
func padded(length int) func([]byte, *state) (event.Value, error) {
	return func(b []byte, d *state) (event.Value, error) {
		if len(b) >= length {
			return event.Raw(b), nil
		}
		out := d.arena.Take(length)
		clear(out[copy(out, b):])
		return event.Raw(out), nil
	}
}

func bitString(n int) decoder {
	return fixed((n+7)/8, func(b []byte, d *state) event.Value {
		v, out := bigEndian(b), d.arena.Take(n)
		for i := range out {
			out[i] = '0' + byte(v>>(n-1-i)&1)
		}
		return event.Raw(out)
	})
}

// enum gives the label of an index. Index 0 is the empty string of an invalid
// insert (MySQL 8.0 manual, 11.3.5).
func enum(n int, labels []string) decoder {
	names := make([][]byte, len(labels)+1)
	names[0] = []byte{}
	for i, l := range labels {
		names[i+1] = []byte(l)
	}
	return func(data []byte, _ *state) (event.Value, []byte, error) {
		head, rest, ok := take(data, n)
		if !ok {
			return event.Value{}, nil, short(data, n)
		}
		i := littleEndian(head)
		if i >= uint64(len(names)) {
			return event.Value{}, nil, fmt.Errorf("label %d of %d: %w", i, len(labels), ErrMalformed)
		}
		return event.Raw(names[i]), rest, nil
	}
}

func set(n int, labels []string) decoder {
	return func(data []byte, d *state) (event.Value, []byte, error) {
		head, rest, ok := take(data, n)
		if !ok {
			return event.Value{}, nil, short(data, n)
		}
		v, size := littleEndian(head), 0
		if v>>len(labels) != 0 {
			return event.Value{}, nil, fmt.Errorf("set %#x of %d labels: %w", v, len(labels), ErrMalformed)
		}
		for i, l := range labels {
			size += int(v>>i&1) * (len(l) + 1)
		}
		out := d.arena.Take(size)[:0]
		for i, l := range labels {
			if v>>i&1 == 1 {
				if len(out) > 0 {
					out = append(out, ',')
				}
				out = append(out, l...)
			}
		}
		return event.Raw(out), rest, nil
	}
}
