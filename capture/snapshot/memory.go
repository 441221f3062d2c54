package snapshot

import (
	"github.com/tributary-cdc/tributary/stream/event"
)

const (
	// slabValues is the number of slots that are made at once, some 160 KiB.
	slabValues = 4096
	// fatRow is the size in bytes from which on a row may have values that the arena
	// doesn't use again.
	fatRow = 16 << 10
)

// Memory is what a chunk's rows lie in. Its loader uses it again, so that a load makes
// little garbage: images weigh more than what is in them. It is used by one goroutine at a
// time.
type Memory struct {
	// Arena has the bytes of values.
	Arena event.Arena
	// Rows and Coded are empty, to be appended to.
	Rows  []event.Row
	Coded [][]byte

	slabs [][]event.Value
	slab  int // the one that is being used, beyond the last one if there is none
	used  int // slots of it
	fat   bool
}

// Fresh gives the request's memory, or new one, for a chunk to be read into: nothing that
// lay there before may be used any more.
func (r *Request) Fresh() *Memory {
	m := r.Memory
	if m == nil {
		return &Memory{}
	}
	if m.fat { // what is left in the slots would keep large values alive
		for _, s := range m.slabs {
			clear(s)
		}
	}
	clear(m.Rows[:cap(m.Rows)])
	clear(m.Coded[:cap(m.Coded)])
	m.Rows, m.Coded = m.Rows[:0], m.Coded[:0]
	m.Arena.Reset()
	m.slab, m.used, m.fat = 0, 0, false
	return m
}

// Image gives n slots of any content.
func (m *Memory) Image(n int) []event.Value {
	if m.slab < len(m.slabs) && len(m.slabs[m.slab])-m.used < n {
		m.slab, m.used = m.slab+1, 0
	}
	if m.slab == len(m.slabs) {
		m.slabs = append(m.slabs, nil)
	}
	if len(m.slabs[m.slab]) < n {
		m.slabs[m.slab] = make([]event.Value, max(n, slabValues))
	}
	out := m.slabs[m.slab][m.used : m.used+n : m.used+n]
	m.used += n
	return out
}

// Expect says how many bytes the values of the next row have.
func (m *Memory) Expect(n int) { m.fat = m.fat || n > fatRow }

// What counts in a chunk's size beside the bytes of its values: an image's slot, and that of a
// row which is left as the server sent it. Such rows are decoded at once only where changes
// are laid over them, which is rare, and so are allowed to grow beyond the size.
const (
	slotBytesOfChunk = 40
	slotBytesOfCoded = 10
)

// Take appends a coded row, or what it is decoded to in m if that is asked for. The row counts
// in Bytes.
func (c *Chunk) Take(coded []byte, r *Request, m *Memory) error {
	c.Bytes += r.RowBytes(len(coded))
	if r.Coded {
		c.Coded = append(c.Coded, coded)
		return nil
	}
	after, anomalies, err := c.Decode(coded, m)
	if err == nil {
		c.Rows = append(c.Rows, event.Row{Op: event.Read, Table: r.Table, After: after, Anomalies: anomalies})
	}
	return err
}

// RowBytes is what a row of so many bytes as the server sends it counts in a chunk's size.
func (r *Request) RowBytes(coded int) int {
	if r.Coded {
		return coded + slotBytesOfCoded*len(r.Table.Columns)
	}
	return coded + slotBytesOfChunk*len(r.Table.Columns)
}

// Len is the number of the chunk's rows.
func (c *Chunk) Len() int { return len(c.Rows) + len(c.Coded) }

// Finish notes where the chunk ends. cut says that it is full, and there was more. The
// error is Decode's.
func (c *Chunk) Finish(r *Request, cut bool) error {
	if n := len(c.Rows); n > 0 {
		c.Last = keyValues(r.Table, c.Rows[n-1].After)
	} else if n = len(c.Coded); n > 0 {
		m := r.Memory
		if m == nil {
			m = &Memory{}
		}
		last, _, err := c.Decode(c.Coded[n-1], m)
		if err != nil {
			return err
		}
		c.Last = keyValues(r.Table, last)
	}
	c.End = !cut && (r.Keys != nil || c.Len() < r.Rows)
	return nil
}

// lend gives memory for a chunk that is about to be read.
func (l *Loader) lend() *Memory {
	if n := len(l.spare); n > 0 {
		m := l.spare[n-1]
		l.spare = l.spare[:n-1]
		return m
	}
	return &Memory{Arena: event.Arena{Keep: l.o.Bytes>>16 + 2}}
}

// back takes back what the chunk lay in that was handed out last. Its caller has asked for
// the next segment, so nobody looks at it any more.
func (l *Loader) back() {
	if l.lent == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.spare) <= l.o.Parallel*l.o.Ahead { // one more than are read: what is handed out
		l.spare = append(l.spare, l.lent)
	}
	l.lent, l.codedOf = nil, nil
}
