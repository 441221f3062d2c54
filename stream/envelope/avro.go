package envelope

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// ErrMalformed reports bytes that aren't what FORMAT.md says.
var ErrMalformed = errors.New("malformed record")

// Primitives of Avro's binary encoding (Avro 1.11 specification, "Binary encoding").

func putLong(b []byte, v int64) []byte { return binary.AppendVarint(b, v) }

func putBytes[T string | []byte](b []byte, v T) []byte {
	return append(binary.AppendVarint(b, int64(len(v))), v...)
}

// scan reads primitives; err is set at the first one that isn't whole.
type scan struct {
	b   []byte
	err error
}

func (s *scan) fail(what string) {
	if s.err == nil {
		s.err = fmt.Errorf("%s: %w", what, ErrMalformed)
	}
	s.b = nil
}

func (s *scan) long() int64 {
	v, n := binary.Varint(s.b)
	if n <= 0 {
		s.fail("long")
		return 0
	}
	s.b = s.b[n:]
	return v
}

// bytes gives a view into the input.
func (s *scan) bytes() []byte {
	n := s.long()
	if n < 0 || n > int64(len(s.b)) {
		s.fail("bytes")
		return nil
	}
	v := s.b[:n:n]
	s.b = s.b[n:]
	return v
}

func (s *scan) text() string { return string(s.bytes()) }

func (s *scan) fixed(n int) []byte {
	if n > len(s.b) {
		s.fail("fixed")
		return make([]byte, n)
	}
	v := s.b[:n]
	s.b = s.b[n:]
	return v
}

// put is how a present value of a column is written.
type put uint8

const (
	putAsBytes put = iota
	putAsLong
	putAsBool
	putAsFloat
	putAsDouble
	putAsDigits
)

// putsOf gives a table's, by column.
func putsOf(t *schema.Table) []put {
	out := make([]put, len(t.Columns))
	for i := range out {
		switch k := t.Columns[i].Type.Kind; {
		case k == schema.Bool:
			out[i] = putAsBool
		case k == schema.Float32:
			out[i] = putAsFloat
		case k == schema.Float64:
			out[i] = putAsDouble
		case k == schema.Uint64:
			out[i] = putAsDigits
		case k.Numeric():
			out[i] = putAsLong
		}
	}
	return out
}

// putUint64 writes the decimal digits as an Avro string, because Avro's long is signed.
func putUint64(b []byte, n uint64) []byte {
	var digits [20]byte
	i := len(digits)
	for {
		i--
		digits[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return putBytes(b, digits[i:])
		}
	}
}

// uint64 reads all that is left as decimal digits.
func (s *scan) uint64() (n uint64) {
	digits := s.b
	if len(digits) == 0 || len(digits) > 20 {
		s.fail("unsigned number")
		return 0
	}
	for _, c := range digits {
		if c < '0' || c > '9' || n > math.MaxUint64/10 || n == math.MaxUint64/10 && c > '5' {
			s.fail("unsigned number")
			return 0
		}
		n = n*10 + uint64(c-'0')
	}
	return n
}

// putImage appends the union of null and an image, whose columns are unions of null and
// their values. It reports whether any is absent.
func putImage(b []byte, puts []put, image []event.Value) (_ []byte, absent bool) {
	if image == nil {
		return append(b, 0), false
	}
	b = append(b, 2)
	for i := range puts {
		v := &image[i]
		if v.State != event.Present {
			absent = absent || v.State == event.Absent
			b = append(b, 0)
			continue
		}
		switch puts[i] {
		case putAsLong:
			if n := v.N<<1 ^ uint64(int64(v.N)>>63); n < 0x80 {
				b = append(b, 2, byte(n))
			} else {
				b = binary.AppendUvarint(append(b, 2), n)
			}
		case putAsBool:
			b = append(b, 2, byte(v.N&1))
		case putAsFloat:
			b = binary.LittleEndian.AppendUint32(append(b, 2), uint32(v.N))
		case putAsDouble:
			b = binary.LittleEndian.AppendUint64(append(b, 2), v.N)
		case putAsDigits:
			b = putUint64(append(b, 2), v.N)
		default:
			if n := len(v.B); n < 0x40 {
				b = append(append(b, 2, byte(n<<1)), v.B...)
			} else {
				b = putBytes(append(b, 2), v.B)
			}
		}
	}
	return b, absent
}

// image reads an image into dst, reusing its memory. It returns nil for null.
func (s *scan) image(t *schema.Table, dst []event.Value) []event.Value {
	switch s.long() {
	case 0:
		return nil
	case 1:
	default:
		s.fail("image")
		return nil
	}
	if cap(dst) < len(t.Columns) {
		dst = make([]event.Value, len(t.Columns))
	}
	dst = dst[:len(t.Columns)]
	b := s.b
	for i := range dst {
		v := &dst[i]
		if len(b) == 0 || b[0] > 2 || b[0] == 1 {
			s.fail("union")
			return nil
		}
		present := b[0] == 2
		b = b[1:]
		if !present {
			*v = event.NullValue
			continue
		}
		form := forms[t.Columns[i].Type.Kind]
		if form.fixed > 0 {
			if len(b) < int(form.fixed) {
				s.fail("fixed")
				return nil
			}
			*v = event.Number(form.number(b))
			b = b[form.fixed:]
			continue
		}
		n, size := int64(0), 1
		if len(b) > 0 && b[0] < 0x80 { // most lengths and many numbers
			n = int64(b[0]>>1) ^ -int64(b[0]&1)
		} else if n, size = binary.Varint(b); size <= 0 {
			s.fail("long")
			return nil
		}
		b = b[size:]
		if form.long {
			*v = event.Signed(n)
			continue
		}
		if n < 0 || n > int64(len(b)) {
			s.fail("bytes")
			return nil
		}
		*v = event.Raw(b[:n:n])
		b = b[n:]
		if form.digits {
			s.b = v.B
			*v = event.Number(s.uint64())
			if s.err != nil {
				return nil
			}
		}
	}
	s.b = b
	return dst
}

// form is how a present value of a kind stands in a record.
type form struct {
	fixed  uint8 // so many bytes; 0 for a long or bytes
	long   bool
	digits bool // decimal digits as bytes
}

// number reads a fixed form.
func (f form) number(b []byte) uint64 {
	switch f.fixed {
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	case 8:
		return binary.LittleEndian.Uint64(b)
	}
	return uint64(b[0] & 1)
}

// forms of each kind; those that aren't listed are bytes.
var forms = func() (f [256]form) {
	for k := range f {
		f[k].long = schema.Kind(k).Numeric()
	}
	f[schema.Bool] = form{fixed: 1}
	f[schema.Float32] = form{fixed: 4}
	f[schema.Float64] = form{fixed: 8}
	f[schema.Uint64] = form{digits: true}
	return f
}()

// putAbsent appends a bit per column: first those of before, then of after, each
// image beginning at a new byte, lowest bit first. Nothing absent would be no byte.
func putAbsent(b []byte, row *event.Row) []byte {
	n := (len(row.Before)+7)/8 + (len(row.After)+7)/8
	b = putLong(b, int64(n))
	at := len(b)
	b = append(b, make([]byte, n)...)
	for _, image := range [2][]event.Value{row.Before, row.After} {
		for i := range image {
			if image[i].State == event.Absent {
				b[at+i/8] |= 1 << (i % 8)
			}
		}
		at += (len(image) + 7) / 8
	}
	return b
}

func (s *scan) absent(row *event.Row) {
	bits := s.bytes()
	if len(bits) == 0 {
		return
	}
	if len(bits) != (len(row.Before)+7)/8+(len(row.After)+7)/8 {
		s.fail("absent columns")
		return
	}
	for _, image := range [2][]event.Value{row.Before, row.After} {
		for i := range image {
			if bits[i/8]>>(i%8)&1 == 0 {
				continue
			}
			if image[i].State != event.Null {
				s.fail("absent column with a value")
				return
			}
			image[i] = event.Value{}
		}
		bits = bits[(len(image)+7)/8:]
	}
}
