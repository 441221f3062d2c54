package envelope

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math"
	"net/netip"
	"strconv"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Digester digests rows as FORMAT.md says, so that a source and a store that hold the same
// row get the same digest. The zero value is ready. It isn't safe for concurrent use.
type Digester struct {
	h   hash.Hash
	buf []byte
	sum [sha256.Size]byte
}

// Row digests the values of a row, in the order of the table's columns.
func (d *Digester) Row(t *schema.Table, values []event.Value) (out event.RowDigest) {
	if d.h == nil {
		d.h = sha256.New()
	}
	d.buf = d.buf[:0]
	for i := range t.Columns {
		d.buf = AppendCanonical(d.buf, &t.Columns[i].Type, values[i])
	}
	d.h.Reset()
	_, _ = d.h.Write(d.buf) // a hash never fails
	copy(out[:], d.h.Sum(d.sum[:0]))
	return out
}

// AppendCanonical appends the canonical form of a value: 0 for NULL, and for what not every
// store can hold; 1 and 8 bytes for kinds that are numbers; 2 and bytes for the others.
// Values that mean the same have the same form, however a server prints them.
func AppendCanonical(dst []byte, t *schema.Type, v event.Value) []byte {
	if v.State != event.Present {
		return append(dst, 0)
	}
	switch t.Kind {
	case schema.Float32:
		return appendDouble(dst, float64(math.Float32frombits(uint32(v.N))))
	case schema.Float64:
		return appendDouble(dst, math.Float64frombits(v.N))
	case schema.Decimal:
		if bytes.Contains(v.B, infinity) {
			return append(dst, 0)
		}
		return putBytes(append(dst, 2), plainDecimal(v.B))
	case schema.UUID:
		return putBytes(append(dst, 2), bytes.ToLower(bytes.ReplaceAll(v.B, []byte("-"), nil)))
	case schema.Bytes, schema.Bit:
		return putBytes(append(dst, 2), v.B)
	case schema.Interval:
		if bytes.Contains(v.B, infinity) {
			return append(dst, 0)
		}
	case schema.Array:
		if t.Elem != nil {
			return appendArray(dst, t.Elem, v.B)
		}
	case schema.Text:
		return appendForeign(dst, t.Native, v.B)
	}
	if t.Kind.Numeric() {
		return binary.BigEndian.AppendUint64(append(dst, 1), v.N)
	}
	return appendCharacters(dst, v.B)
}

// infinity is the end of what servers call an infinite decimal or interval. Not every
// store's release has it.
var infinity = []byte("nfinity")

// appendCharacters appends text. PostgreSQL's has no character U+0000.
func appendCharacters(dst, b []byte) []byte {
	if bytes.IndexByte(b, 0) >= 0 {
		return append(dst, 0)
	}
	return putBytes(append(dst, 2), b)
}

// appendDouble appends a number by its bits. All NaN are one.
func appendDouble(dst []byte, f float64) []byte {
	n := math.Float64bits(f)
	if f != f {
		n = 0x7ff8000000000001
	}
	return binary.BigEndian.AppendUint64(append(dst, 1), n)
}

// plainDecimal takes zeros away that don't change the number.
func plainDecimal(b []byte) []byte {
	sign := len(b) > 0 && b[0] == '-'
	if sign {
		b = b[1:]
	}
	if bytes.IndexByte(b, '.') >= 0 {
		b = bytes.TrimSuffix(bytes.TrimRight(b, "0"), []byte("."))
	}
	if b = bytes.TrimLeft(b, "0"); len(b) == 0 || b[0] == '.' {
		b = append([]byte("0"), b...)
	}
	if sign && string(b) != "0" {
		return append([]byte("-"), b...)
	}
	return b
}

// appendArray appends an array's literal, whose numbers servers may print in several ways.
func appendArray(dst []byte, elem *schema.Type, b []byte) []byte {
	for elem.Kind == schema.Array && elem.Elem != nil {
		elem = elem.Elem
	}
	switch elem.Kind {
	case schema.Decimal, schema.Interval:
		if bytes.Contains(b, infinity) {
			return append(dst, 0)
		}
	}
	switch elem.Kind {
	case schema.Decimal:
		return putBytes(append(dst, 2), eachWord(b, "{},", func(out, word []byte) []byte { return append(out, plainWord(word)...) }))
	case schema.Float32:
		return putBytes(append(dst, 2), eachWord(b, "{},[]", func(out, word []byte) []byte { return appendNumber(out, word, 32) }))
	case schema.Float64:
		return putBytes(append(dst, 2), eachWord(b, "{},[]", func(out, word []byte) []byte { return appendNumber(out, word, 64) }))
	}
	return appendCharacters(dst, b)
}

// appendForeign appends a value of a type without a portable kind.
func appendForeign(dst []byte, native string, b []byte) []byte {
	switch native {
	case "inet4", "inet6": // MariaDB's
		if a, err := netip.ParseAddr(string(b)); err == nil {
			return putBytes(append(dst, 2), a.String())
		}
	case "point", "line", "lseg", "box", "path", "polygon", "circle": // releases differ in how they print numbers
		return putBytes(append(dst, 2), eachWord(b, "()[]{}<>,", func(out, word []byte) []byte { return appendNumber(out, word, 64) }))
	}
	return appendCharacters(dst, b)
}

// eachWord copies b with each word between stops as f gives it.
func eachWord(b []byte, stops string, f func(out, word []byte) []byte) (out []byte) {
	for len(b) > 0 {
		n := bytes.IndexAny(b, stops)
		if n < 0 {
			return f(out, b)
		}
		if n > 0 {
			out = f(out, b[:n])
		}
		out, b = append(out, b[n]), b[n+1:]
	}
	return out
}

// appendNumber appends the shortest text of a floating-point number, and any other word as
// it is.
func appendNumber(out, word []byte, size int) []byte {
	f, err := strconv.ParseFloat(string(word), size)
	if err != nil {
		return append(out, word...)
	}
	return strconv.AppendFloat(out, f, 'g', -1, size)
}

func plainWord(word []byte) []byte {
	for _, c := range word {
		if (c < '0' || c > '9') && c != '.' && c != '-' {
			return word
		}
	}
	return plainDecimal(word)
}

// ParseKeyColumns is the inverse of AppendKeyColumns: it gives the key in the order of
// Table.Key. The values view b.
func ParseKeyColumns(t *schema.Table, b []byte) ([]event.Value, error) {
	s, out := scan{b: b}, make([]event.Value, len(t.Key))
	for n, i := range t.Key {
		switch tag := s.fixed(1)[0]; {
		case tag == 0:
			out[n] = event.NullValue
		case tag == 1 && t.Columns[i].Type.Kind.Numeric():
			out[n] = event.Number(binary.BigEndian.Uint64(s.fixed(8)))
		case tag == 2 && !t.Columns[i].Type.Kind.Numeric():
			out[n] = event.Raw(s.bytes())
		default:
			s.fail("key column")
		}
	}
	if s.err == nil && len(s.b) != 0 {
		s.fail("bytes after the key")
	}
	return out, s.err
}
