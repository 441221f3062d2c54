package postgres

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/tributary-cdc/tributary/capture/postgres/pgoutput"
)

const (
	// readBuffer holds what one read of a session's socket brings; pgx itself asks for 8 KiB.
	readBuffer = 128 << 10
	// messageHead is a message's type and its length, which counts itself (PostgreSQL manual,
	// "Message Formats").
	messageHead = 5
	dataRow     = 'D'
)

// tap lies between a session's socket and the driver. While a load reads it takes the rows out
// of what the server sends, so that they are looked at once and by nobody else; all other
// messages, and with them the session's state, are the driver's.
type tap struct {
	from io.Reader
	buf  []byte
	r, w int // what is read and not consumed
	left int // bytes of the message under way that are the driver's
	// rows takes the body of a DataRow, valid until it returns. Its error ends the session.
	// nil leaves rows to the driver.
	rows func(body []byte) error
}

func newTap(from io.Reader) *tap { return &tap{from: from, buf: make([]byte, readBuffer)} }

// take has rows taken until it is called with nil.
func (t *tap) take(rows func(body []byte) error) { t.rows = rows }

// Read implements io.Reader for the driver.
func (t *tap) Read(p []byte) (int, error) {
	for t.left == 0 {
		if err := t.fill(messageHead); err != nil {
			return 0, err
		}
		size := int64(binary.BigEndian.Uint32(t.buf[t.r+1:])) + 1
		if size < messageHead {
			return 0, fmt.Errorf("message %q of length %d: %w", t.buf[t.r], size-1, pgoutput.ErrMalformed)
		}
		if t.rows == nil || t.buf[t.r] != dataRow {
			t.left = int(size)
			break
		}
		if err := t.fill(int(size)); err != nil {
			return 0, err
		}
		body := t.buf[t.r+messageHead : t.r+int(size)]
		t.r += int(size)
		if err := t.rows(body); err != nil {
			return 0, err
		}
	}
	if t.r == t.w {
		if err := t.fill(1); err != nil {
			return 0, err
		}
	}
	n := copy(p, t.buf[t.r:min(t.w, t.r+t.left)])
	t.r, t.left = t.r+n, t.left-n
	return n, nil
}

// fill reads until n bytes wait in the buffer.
func (t *tap) fill(n int) error {
	if t.w-t.r >= n {
		return nil
	}
	if t.r == t.w {
		t.r, t.w = 0, 0
		if len(t.buf) > 8*readBuffer && n <= readBuffer { // one huge row must not be kept for ever
			t.buf = make([]byte, readBuffer)
		}
	}
	if t.r+n > len(t.buf) {
		to := t.buf
		if n > len(to) { // by doubling: a length may be forged
			to = make([]byte, min(n, max(2*len(to), 16<<20)))
		}
		t.w = copy(to, t.buf[t.r:t.w])
		t.r, t.buf = 0, to
	}
	for t.w-t.r < n {
		if t.w == len(t.buf) {
			return t.fill(n)
		}
		m, err := t.from.Read(t.buf[t.w:])
		t.w += m
		if err != nil && t.w-t.r < n {
			return err
		}
	}
	return nil
}
