package log

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Header is one record header. A nil Value is a null; an empty one isn't.
type Header struct {
	Key   string
	Value []byte
}

// Record is one record's key, value and headers. A nil Key or Value is a null;
// an empty one isn't.
type Record struct {
	Key, Value []byte
	Headers    []HeaderView
}

// HeaderView is a header of a fetched record: views into the batch's bytes.
type HeaderView struct{ Key, Value []byte }

// Header returns the value of the first header of that name, and whether there is one.
func (r *Record) Header(name string) ([]byte, bool) {
	for i := range r.Headers {
		if string(r.Headers[i].Key) == name {
			return r.Headers[i].Value, true
		}
	}
	return nil, false
}

// Records collects records in the form in which a batch carries them (format v2
// of the Kafka protocol guide, "Record"), so that nothing is copied again before
// compression. The zero value is ready; Reset keeps the memory.
type Records struct {
	data    []byte
	count   int
	packed  []byte
	form    int8 // of packed
	current bool // packed has what data has
}

// Add appends one record. All timestamps of a batch are equal, because the
// topics use LogAppendTime.
func (r *Records) Add(key, value []byte, headers ...Header) {
	size := 1 + varintLen(0) + varintLen(int64(r.count)) + bytesLen(key) + bytesLen(value) + varintLen(int64(len(headers)))
	for _, h := range headers {
		size += varintLen(int64(len(h.Key))) + len(h.Key) + bytesLen(h.Value)
	}
	d := binary.AppendVarint(r.data, int64(size))
	d = append(d, 0)
	d = binary.AppendVarint(d, 0)
	d = binary.AppendVarint(d, int64(r.count))
	d = appendBytes(d, key)
	d = appendBytes(d, value)
	r.data = AppendHeaders(d, headers...)
	r.count++
	r.current = false
}

// AppendHeaders appends headers as a record carries them, for records that have the same.
func AppendHeaders(dst []byte, headers ...Header) []byte {
	dst = binary.AppendVarint(dst, int64(len(headers)))
	for _, h := range headers {
		dst = binary.AppendVarint(dst, int64(len(h.Key)))
		dst = append(dst, h.Key...)
		dst = appendBytes(dst, h.Value)
	}
	return dst
}

// AddValue is Add for a value that f appends in its place, so that it isn't copied, and for
// headers of AppendHeaders. It gives the value's size. With an error nothing is added.
func (r *Records) AddValue(key, headers []byte, f func(dst []byte) ([]byte, error)) (size int, err error) {
	start := len(r.data)
	// What lies behind a length decides how many bytes that takes: two, mostly.
	d := append(r.data, 0, 0, 0, 0)
	d = binary.AppendVarint(d, int64(r.count))
	d = appendBytes(d, key)
	d = append(d, 0, 0)
	at := len(d)
	if d, err = f(d); err != nil {
		return 0, err
	}
	size = len(d) - at
	d = putLengthBefore(d, at, size)
	d = append(d, headers...)
	r.data = putLengthBefore(d, start+2, len(d)-start-2)
	r.count++
	r.current = false
	return size, nil
}

// putLengthBefore puts a length into the two bytes before at, and moves what is behind if it
// takes another number of them.
func putLengthBefore(d []byte, at, length int) []byte {
	if length >= 1<<6 && length < 1<<13 {
		d[at-2], d[at-1] = byte(length<<1)|0x80, byte(length>>6)
		return d
	}
	var text [binary.MaxVarintLen64]byte
	return slices.Replace(d, at-2, at, text[:binary.PutVarint(text[:], int64(length))]...)
}

// Pack keeps what f appends for the records, until Add or Reset: an appender's own form,
// made ahead. form tells apart who can use it.
func (r *Records) Pack(form int8, f func(dst, data []byte) ([]byte, error)) error {
	packed, err := f(r.packed[:0], r.data)
	if err != nil {
		return err
	}
	r.packed, r.form, r.current = packed, form, true
	return nil
}

// Packed gives what Pack has kept in this form, and whether it has. Those whose form it is may
// write into it.
func (r *Records) Packed(form int8) ([]byte, bool) { return r.packed, r.current && r.form == form }

// Reset empties the buffer and keeps its memory.
func (r *Records) Reset() { r.data, r.count, r.current = r.data[:0], 0, false }

// Count is the number of records.
func (r *Records) Count() int { return r.count }

// Size is the number of bytes before compression.
func (r *Records) Size() int { return len(r.data) }

// Data is the encoded records. It is valid until the next Add or Reset.
func (r *Records) Data() []byte { return r.data }

func appendBytes(d, b []byte) []byte {
	if b == nil {
		return binary.AppendVarint(d, -1)
	}
	return append(binary.AppendVarint(d, int64(len(b))), b...)
}

func bytesLen(b []byte) int {
	if b == nil {
		return 1
	}
	return varintLen(int64(len(b))) + len(b)
}

func varintLen(v int64) int {
	u := uint64(v)<<1 ^ uint64(v>>63)
	n := 1
	for ; u >= 0x80; u >>= 7 {
		n++
	}
	return n
}

// parse reads one record from the front of b and returns its offset delta and length.
func (r *Record) parse(b []byte) (delta int64, n int, err error) {
	c := cursor{b: b}
	size := c.varint()
	if c.bad || size < 0 || size > int64(len(c.b)) {
		return 0, 0, fmt.Errorf("record length %d of %d bytes: %w", size, len(c.b), ErrCorrupt)
	}
	n = len(b) - len(c.b) + int(size)
	c.b = c.b[:size]
	c.byte()   // attributes, unused in format v2
	c.varint() // timestamp delta
	delta = c.varint()
	r.Key, r.Value = c.bytes(), c.bytes()
	count := c.varint()
	if c.bad || count < 0 || count > int64(len(c.b)) {
		return 0, 0, fmt.Errorf("header count: %w", ErrCorrupt)
	}
	r.Headers = r.Headers[:0]
	for range count {
		h := HeaderView{Key: c.bytes(), Value: c.bytes()}
		if h.Key == nil { // only a value may be null
			return 0, 0, fmt.Errorf("header without a name: %w", ErrCorrupt)
		}
		r.Headers = append(r.Headers, h)
	}
	if c.bad || len(c.b) != 0 {
		return 0, 0, fmt.Errorf("record body: %w", ErrCorrupt)
	}
	return delta, n, nil
}

// cursor reads the protocol's primitives; bad is set once bytes run out.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) byte() {
	if len(c.b) == 0 {
		c.bad = true
		return
	}
	c.b = c.b[1:]
}

func (c *cursor) varint() int64 {
	v, n := binary.Varint(c.b)
	if n <= 0 {
		c.bad = true
		return 0
	}
	c.b = c.b[n:]
	return v
}

// bytes reads a length and that many bytes; length -1 is null.
func (c *cursor) bytes() []byte {
	n := c.varint()
	if c.bad || n < -1 || n > int64(len(c.b)) {
		c.bad = true
		return nil
	}
	if n == -1 {
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}
