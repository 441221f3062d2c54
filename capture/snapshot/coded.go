package snapshot

import (
	"fmt"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
)

// part gives the next part of what is being handed out. It is cut, and decoded, when it is
// wanted, so that its rows are near when they are written.
func (l *Loader) part() (*event.Segment, error) {
	n, rows, size := 0, l.rest, 0
	if len(l.coded) > 0 {
		m := (&Request{Memory: &l.images}).Fresh()
		for len(l.coded) > 0 && size < capture.SegmentBytes {
			b := l.coded[0]
			m.Expect(len(b))
			after, anomalies, err := l.codedOf.res.Decode(b, m)
			if err != nil {
				return nil, l.undecoded(l.codedOf, err)
			}
			size += len(b) + slotBytes*len(after)
			m.Rows, l.coded = append(m.Rows, event.Row{Op: event.Read, Table: l.codedOf.req.Table, After: after, Anomalies: anomalies}), l.coded[1:]
		}
		rows, n = m.Rows, len(m.Rows)
	} else {
		for n < len(rows) && size < capture.SegmentBytes {
			size += rowSize(&rows[n])
			n++
		}
		l.rest = rows[n:]
	}
	l.seg = event.Segment{Txn: l.end.Txn}
	if !l.parts() {
		l.seg = l.end
	}
	l.seg.Rows = rows[:n]
	if err := l.caps.cut(l.seg.Rows, true); err != nil {
		return nil, fmt.Errorf("chunk at %s: %w", l.seg.Txn.Position, err)
	}
	return &l.seg, nil
}

// images gives memory for the rows of a part.
func images() Memory { return Memory{Arena: event.Arena{Keep: capture.SegmentBytes>>16 + 1}} }

// parts reports whether something of a chunk is left to be handed out.
func (l *Loader) parts() bool { return len(l.rest)+len(l.coded) > 0 }

// slotBytes is what a slot counts in a part's size beside the bytes of its value.
const slotBytes = 16

func rowSize(r *event.Row) (n int) {
	for i := range r.After {
		n += len(r.After[i].B) + slotBytes
	}
	return n
}

// decode has a chunk's rows decoded at once, for changes to be laid over them.
func (l *Loader) decode(c *chunk) error {
	for _, b := range c.res.Coded {
		after, anomalies, err := c.res.Decode(b, c.req.Memory)
		if err != nil {
			return l.undecoded(c, err)
		}
		c.res.Rows = append(c.res.Rows, event.Row{Op: event.Read, Table: c.req.Table, After: after, Anomalies: anomalies})
	}
	c.res.Coded = c.res.Coded[:0]
	return nil
}

// undecoded is about a row that can't be decoded. It stops its table, as it does where rows
// are decoded when they are read: that is how the chunk is read again once the reader has
// started anew.
func (l *Loader) undecoded(c *chunk, err error) error {
	l.decoded.Store(c.task.Table, true)
	return fmt.Errorf("chunk of table %s: %w: %w", c.task.Table, capture.ErrConnection, err)
}

// undecodable reports whether the table has a row that couldn't be decoded.
func (l *Loader) undecodable(table string) bool {
	_, ok := l.decoded.Load(table)
	return ok
}
