package rowimage

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"strconv"

	"github.com/tributary-cdc/tributary/stream/event"
)

// maxPacked is the longest value that a column holds (LONGBLOB).
const maxPacked = 1<<32 - 1

// unpacked undoes a COMPRESSED column: a byte with the method in its upper half, behind
// it the value itself (method 0), or the value's length in as many bytes as the byte's
// lowest three bits say and then a stream of zlib, without its frame if the fourth bit
// is set (MariaDB, field_comp and "Storage-Engine Independent Column Compression").
func unpacked(read func([]byte, *state) (event.Value, error)) func([]byte, *state) (event.Value, error) {
	return func(b []byte, d *state) (event.Value, error) {
		if len(b) == 0 {
			return read(b, d)
		}
		head, b := b[0], b[1:]
		switch head >> 4 {
		case 0:
			return read(b, d)
		case 8:
			out, err := inflate(head, b)
			if err != nil {
				return event.Value{}, err
			}
			return read(out, d)
		}
		return event.Value{}, fmt.Errorf("value compressed by method %d: %w", head>>4, ErrUnsupported)
	}
}

func inflate(head byte, b []byte) ([]byte, error) {
	n := int(head & 7)
	size, b, ok := take(b, n)
	if !ok || n == 0 || n > 4 {
		return nil, fmt.Errorf("compressed value: %w", short(b, n))
	}
	r := flate.NewReader(bytes.NewReader(b))
	if head&8 == 0 {
		var err error
		if r, err = zlib.NewReader(bytes.NewReader(b)); err != nil {
			return nil, fmt.Errorf("compressed value: %w: %w", ErrMalformed, err)
		}
	}
	want := bigEndian(size)
	out, err := io.ReadAll(io.LimitReader(r, int64(min(want, maxPacked))+1)) // grows with what is there, not with what is said
	if err != nil || uint64(len(out)) != want {
		return nil, fmt.Errorf("compressed value of %d bytes, should have %d: %w", len(out), want, errors.Join(ErrMalformed, err))
	}
	return out, nil
}

// hidden reads a type that the log has as BINARY, zeros at the end cut off.
func hidden(native string, length int) func([]byte, *state) (event.Value, error) {
	pad := padded(length)
	return func(b []byte, d *state) (event.Value, error) {
		if len(b) > length {
			return event.Value{}, fmt.Errorf("%s in %d bytes: %w", native, len(b), ErrMalformed)
		}
		v, err := pad(b, d)
		if err != nil {
			return v, err
		}
		if native == "uuid" {
			return event.Raw(uuidText(v.B, d.arena)), nil
		}
		addr, _ := netip.AddrFromSlice(v.B) // 4 or 16 bytes, by Declared
		return event.Raw(addr.AppendTo(d.arena.Take(len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255"))[:0])), nil
	}
}

// uuidText gives a UUID's text from the bytes of a row. Those of the versions 1 to 5 stand
// there with their groups in reverse order, so that near times are near each other; in
// that order the variant's bit is the top of byte 6, and byte 8 begins with the version
// (MariaDB from 10.10.6, 10.11.5 and 11.0.3 on).
func uuidText(b []byte, a *event.Arena) []byte {
	groups := [5][]byte{b[:4], b[4:6], b[6:8], b[8:10], b[10:]}
	if b[6]&0x80 != 0 && b[8] > 0 && b[8] < 0x80 {
		groups = [5][]byte{b[12:], b[10:12], b[8:10], b[6:8], b[:6]}
	}
	out := a.Take(36)[:0]
	for i, g := range groups {
		if i > 0 {
			out = append(out, '-')
		}
		out = hex.AppendEncode(out, g)
	}
	return out
}

// addressText gives an address that the server printed the form that hidden gives it.
func addressText(b []byte, a *event.Arena) ([]byte, error) {
	addr, err := netip.ParseAddr(string(b))
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", b, ErrMalformed)
	}
	return addr.AppendTo(a.Take(len(b) + 16)[:0]), nil
}

// vector gives an array's text from its elements, single-precision floats with their
// lowest byte first.
func vector(b []byte, d *state) (event.Value, error) {
	if len(b)%4 != 0 {
		return event.Value{}, fmt.Errorf("vector of %d bytes: %w", len(b), ErrMalformed)
	}
	out := append(d.arena.Take(4 * len(b))[:0], '{')
	for i := 0; i < len(b); i += 4 {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendFloat(out, float64(math.Float32frombits(binary.LittleEndian.Uint32(b[i:]))), 'g', -1, 32)
	}
	return event.Raw(append(out, '}')), nil
}
