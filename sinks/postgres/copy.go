package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

// part is some rows of a COPY: keys to be deleted, or net rows of a group.
type part struct {
	group int
	keys  [][]event.Value
	rows  []*worker.NetRow
}

// encoder writes COPY's binary rows while they are sent, so that the server works on
// the first ones meanwhile. It is the reader that CopyFrom takes them from. The first
// error stops it.
type encoder struct {
	p      *plan
	a      *applying
	source string // of fresh rows
	parts  []part // what is left

	// mu guards what follows: when a connection breaks, CopyFrom doesn't wait for the
	// goroutine in which it reads.
	mu     sync.Mutex
	closed bool
	buf    []byte
	sent   int // bytes of buf
	ended  bool
	err    error

	at       event.Position // of position
	position string
}

// copyChunk is the size in bytes from which encoded rows are sent.
const copyChunk = 64 << 10

// copy sends the rows, of which there is at least one. It takes them out of parts.
func (e *encoder) copy(ctx context.Context, sql string, parts []part) error {
	e.parts = append(e.parts, parts...)
	e.buf = append(e.a.buf[:0], copyHeader...)
	_, err := e.a.conn.PgConn().CopyFrom(ctx, e, sql)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed, e.a.buf = true, e.buf
	if e.err != nil { // the server's error only says that there was one
		return e.err
	}
	return err
}

// Read implements io.Reader.
func (e *encoder) Read(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return 0, io.ErrClosedPipe
	}
	if e.sent == len(e.buf) {
		e.buf, e.sent = e.buf[:0], 0
	}
	for len(e.buf) < copyChunk && !e.ended && e.err == nil {
		e.row()
	}
	if e.err != nil {
		return 0, e.err
	}
	if e.sent == len(e.buf) {
		return 0, io.EOF
	}
	n := copy(p, e.buf[e.sent:])
	e.sent += n
	return n, nil
}

// row encodes the next row, or the end.
func (e *encoder) row() {
	for len(e.parts) > 0 && len(e.parts[0].keys)+len(e.parts[0].rows) == 0 {
		e.parts = e.parts[1:]
	}
	if len(e.parts) == 0 {
		e.buf, e.ended = append(e.buf, 0xff, 0xff), true
		return
	}
	at := &e.parts[0]
	if len(at.keys) > 0 {
		e.begin(1 + len(e.p.names) + 4)
		e.buf = appendInt16(e.buf, int16(at.group))
		e.key(at.keys[0])
		at.keys = at.keys[1:]
	} else {
		e.net(at.group, at.rows[0])
		at.rows = at.rows[1:]
	}
}

func (e *encoder) net(group int, u *worker.NetRow) {
	placed := 0
	if e.p.schema.Append {
		placed = 1
	}
	if group == groupFresh {
		e.begin(1 + len(e.p.names) + len(stamps) + placed)
		e.buf = appendText(e.buf, e.source)
		e.values(u)
		e.buf = appendInt64(e.buf, e.a.id)
	} else {
		e.begin(1 + len(e.p.names) + 4 + placed)
		e.buf = appendInt16(e.buf, int16(group))
		e.values(u)
	}
	if placed > 0 {
		e.buf = appendInt64(e.buf, int64(u.Order))
	}
}

func (e *encoder) begin(fields int) { e.buf = binary.BigEndian.AppendUint16(e.buf, uint16(fields)) }

// field adds a column's value. One that isn't what its type says stops the table.
func (e *encoder) field(i int, v event.Value) bool {
	b, err := appendField(e.buf, &e.p.schema.Columns[i].Type, v)
	if err != nil {
		e.err = &worker.TableError{Table: e.p.schema, Err: fmt.Errorf("column %q: %w: %w", e.p.schema.Columns[i].Name, worker.ErrTableRefused, err)}
		return false
	}
	e.buf = b
	return true
}

func (e *encoder) values(u *worker.NetRow) {
	for i := range u.Values {
		if !e.field(i, u.Values[i]) {
			return
		}
	}
	if e.position == "" || u.Position != e.at {
		e.at, e.position = u.Position, u.Position.String()
	}
	e.buf = appendText(e.buf, e.position)
	e.buf = append(appendLen(e.buf, 1), byte(u.Op))
	e.buf = appendInstant(e.buf, u.Committed)
	e.buf = appendInstant(e.buf, e.a.now())
}

// key stages a key to be deleted.
func (e *encoder) key(values []event.Value) {
	for i := range e.p.names {
		v := event.NullValue
		for n, k := range e.p.schema.Key {
			if k == i {
				v = values[n]
			}
		}
		if !e.field(i, v) {
			return
		}
	}
	for range 4 {
		e.buf = appendLen(e.buf, -1)
	}
}
