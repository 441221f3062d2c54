package mysql

import (
	"encoding/binary"
	"fmt"
	"io"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"
)

const (
	// readBuffer holds what one read of the socket brings; most packets fit in many times.
	readBuffer = 128 << 10
	// fullFrame is the length of a frame that another one of the same packet follows
	// (MySQL client/server protocol, "MySQL Packets").
	fullFrame = 1<<24 - 1
)

// frames reads the packets that a server sends. They lie in its own buffer until the next
// one is asked for, so that reading allocates nothing.
type frames struct {
	from     io.Reader
	buf      []byte
	r, w     int // what is read and not consumed
	sequence byte
}

// newFrames reads the answer to a command. Nothing of it may have been read before.
func newFrames(from io.Reader) frames {
	return frames{from: from, buf: make([]byte, readBuffer), sequence: 1}
}

// packet returns the next packet, which may come in several frames. It is valid until the
// next call.
func (f *frames) packet() ([]byte, error) {
	p, size, err := f.frame()
	if err != nil || size < fullFrame {
		return p, err
	}
	whole := append([]byte(nil), p...)
	for size == fullFrame {
		if p, size, err = f.frame(); err != nil {
			return nil, err
		}
		whole = append(whole, p...)
	}
	return whole, nil
}

// frame returns the payload of the next frame and its size.
func (f *frames) frame() ([]byte, int, error) {
	if err := f.fill(4); err != nil {
		return nil, 0, err
	}
	head := binary.LittleEndian.Uint32(f.buf[f.r:])
	size, sequence := int(head&fullFrame), byte(head>>24)
	if sequence != f.sequence {
		return nil, 0, fmt.Errorf("packet %d, want %d: %w", sequence, f.sequence, errMalformed)
	}
	f.sequence++
	if err := f.fill(4 + size); err != nil {
		return nil, 0, err
	}
	p := f.buf[f.r+4 : f.r+4+size : f.r+4+size]
	f.r += 4 + size
	return p, size, nil
}

// fill reads until n bytes wait in the buffer.
func (f *frames) fill(n int) error {
	if f.w-f.r >= n {
		return nil
	}
	if f.r == f.w {
		f.r, f.w = 0, 0
		if len(f.buf) > 8*readBuffer && n <= readBuffer { // one huge packet must not be kept for ever
			f.buf = make([]byte, readBuffer)
		}
	}
	if f.r+n > len(f.buf) {
		to := f.buf
		if n > len(to) {
			to = make([]byte, max(n, min(2*len(to), 4+fullFrame)))
		}
		f.w = copy(to, f.buf[f.r:f.w])
		f.r, f.buf = 0, to
	}
	for f.w-f.r < n {
		m, err := f.from.Read(f.buf[f.w:])
		f.w += m
		if err != nil && f.w-f.r < n {
			return err
		}
	}
	return nil
}

// serverError gives an error packet as a *MyError (MySQL client/server protocol,
// "ERR_Packet").
func serverError(p []byte) error {
	if len(p) < 3 || p[0] != gomysql.ERR_HEADER {
		return fmt.Errorf("error in %d bytes: %w", len(p), errMalformed)
	}
	e, text := &gomysql.MyError{Code: binary.LittleEndian.Uint16(p[1:])}, p[3:]
	if len(text) >= 6 && text[0] == '#' {
		e.State, text = string(text[1:6]), text[6:]
	}
	e.Message = string(text)
	return e
}
