// Package event is the vocabulary that captures, the log's writers and readers,
// and sinks share: positions, values, rows, transactions, stamps. It decides
// what they mean; it does no I/O and knows no wire format but its own text and
// binary form of a position.
package event

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
)

// Place is a point in a source's own log, without epoch: for MySQL and MariaDB
// the binlog file's number and a 64-bit offset counted from event sizes; for
// PostgreSQL File is 0 and Offset is an LSN.
type Place struct {
	File   uint32
	Offset uint64
}

// Compare orders places of one log.
func (p Place) Compare(q Place) int {
	return cmp.Or(cmp.Compare(p.File, q.File), cmp.Compare(p.Offset, q.Offset))
}

// IsZero reports whether the place is unset.
func (p Place) IsZero() bool { return p == Place{} }

// String gives "file.offset" in fixed width hexadecimal.
func (p Place) String() string { return fmt.Sprintf("%08x.%016x", p.File, p.Offset) }

// Position is a place in a source's log that is totally ordered over the
// source's whole life. Positions of a source strictly increase from commit to
// commit; those of different sources are never compared.
type Position struct {
	// Epoch rises whenever continuity isn't proved. It is max(last+1, Unix seconds).
	Epoch uint32
	// Place is where the transaction begins (MySQL, MariaDB: its first event) or
	// commits (PostgreSQL: the commit LSN).
	Place
	// Index tells apart what stands at one place: 0 for a transaction of the log,
	// counted on for snapshot chunks.
	Index uint32
}

// PositionSize is the length of a position's binary form.
const PositionSize = 20

// positionText is the length of a position's text form.
const positionText = 8 + 1 + 8 + 1 + 16 + 1 + 8

// ErrBadPosition reports a position that can't be parsed.
var ErrBadPosition = errors.New("bad position")

// Compare orders positions of one source.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Epoch, q.Epoch), p.Place.Compare(q.Place), cmp.Compare(p.Index, q.Index))
}

// IsZero reports whether the position is unset: before everything.
func (p Position) IsZero() bool { return p == Position{} }

// String gives "epoch/file.offset/index" in fixed width lower-case hexadecimal,
// so that the order of texts is the order of positions.
func (p Position) String() string {
	return string(p.AppendText(make([]byte, 0, positionText)))
}

// AppendText appends the text form to b without allocating.
func (p Position) AppendText(b []byte) []byte {
	b = appendHex(b, uint64(p.Epoch), 8)
	b = append(b, '/')
	b = appendHex(b, uint64(p.File), 8)
	b = append(b, '.')
	b = appendHex(b, p.Offset, 16)
	b = append(b, '/')
	return appendHex(b, uint64(p.Index), 8)
}

// MarshalText gives the text form.
func (p Position) MarshalText() ([]byte, error) { return p.AppendText(nil), nil }

// UnmarshalText reads the text form.
func (p *Position) UnmarshalText(b []byte) (err error) {
	*p, err = ParsePosition(string(b))
	return err
}

// AppendBinary appends the 20 bytes of the binary form: epoch, file, offset,
// index, each big endian, so that the order of bytes is the order of positions.
func (p Position) AppendBinary(b []byte) ([]byte, error) {
	b = binary.BigEndian.AppendUint32(b, p.Epoch)
	b = binary.BigEndian.AppendUint32(b, p.File)
	b = binary.BigEndian.AppendUint64(b, p.Offset)
	return binary.BigEndian.AppendUint32(b, p.Index), nil
}

// ParsePosition reads the text form. Upper-case digits, other widths and
// anything behind it are refused with ErrBadPosition.
func ParsePosition(s string) (Position, error) {
	if len(s) != positionText || s[8] != '/' || s[17] != '.' || s[34] != '/' {
		return Position{}, fmt.Errorf("position %q: %w", s, ErrBadPosition)
	}
	var n [4]uint64
	for i, part := range [4]string{s[:8], s[9:17], s[18:34], s[35:]} {
		for _, c := range []byte(part) {
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return Position{}, fmt.Errorf("position %q: %w", s, ErrBadPosition)
			}
		}
		v, err := strconv.ParseUint(part, 16, 64)
		if err != nil {
			return Position{}, fmt.Errorf("position %q: %w", s, ErrBadPosition)
		}
		n[i] = v
	}
	return Position{Epoch: uint32(n[0]), Place: Place{File: uint32(n[1]), Offset: n[2]}, Index: uint32(n[3])}, nil
}

// PositionFromBytes reads the binary form.
func PositionFromBytes(b []byte) (Position, error) {
	if len(b) != PositionSize {
		return Position{}, fmt.Errorf("position of %d bytes: %w", len(b), ErrBadPosition)
	}
	return Position{
		Epoch: binary.BigEndian.Uint32(b),
		Place: Place{File: binary.BigEndian.Uint32(b[4:]), Offset: binary.BigEndian.Uint64(b[8:])},
		Index: binary.BigEndian.Uint32(b[16:]),
	}, nil
}

func appendHex(b []byte, v uint64, width int) []byte {
	const digits = "0123456789abcdef"
	for shift := 4 * (width - 1); shift >= 0; shift -= 4 {
		b = append(b, digits[v>>shift&15])
	}
	return b
}
