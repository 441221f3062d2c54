package snapshot

import (
	"math"
	"slices"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// stride knows how much of an integer key's range the rows of a table take, so that the next
// chunk of it can be read before the one before has come to its end.
type stride struct {
	perRow float64 // of the key's range, in what was read last; 0 if nothing is known
	chunks int     // that were read
}

const (
	// strideAfter is the number of chunks after which a table is worth a second connection.
	strideAfter = 4
	// strideGrowth bounds what one chunk with few rows can make of the next one.
	strideGrowth = 4
)

// learn takes the range of a chunk, which had so many rows.
func (s *stride) learn(over float64, rows int) {
	s.chunks++
	if rows == 0 { // the table's end may be near: the next one is read until it is full
		s.perRow = 0
		return
	}
	now := over / float64(rows)
	if s.perRow > 0 {
		now = min(now, strideGrowth*s.perRow)
	}
	s.perRow = now
}

// strides reports whether chunks of the table can be read beside each other. One that was
// added can't: a source waits for what had begun before it was opened.
func (t *task) strides() bool {
	return !t.alone && !t.Added && !t.ended && t.Range == nil && t.table != nil && t.table.Schema != nil && t.stride.perRow > 0 && t.stride.chunks >= strideAfter && largestKey(t.table.Schema) != 0
}

// largest are the largest values of integers.
var largest = map[schema.Kind]uint64{
	schema.Int8: math.MaxInt8, schema.Int16: math.MaxInt16, schema.Int32: math.MaxInt32, schema.Int64: math.MaxInt64,
	schema.Uint8: math.MaxUint8, schema.Uint16: math.MaxUint16, schema.Uint32: math.MaxUint32, schema.Uint64: math.MaxUint64,
}

// largestKey is the largest value that the key of a table can have if it is one integer, else 0.
func largestKey(t *schema.Table) uint64 {
	if len(t.Key) != 1 {
		return 0
	}
	return largest[t.Columns[t.Key[0]].Type.Kind]
}

// bound gives the part of the table from after on that should hold so many rows; nil if the
// chunk must be read to find that out.
func (t *task) bound(table *schema.Table, after []event.Value, rows int) *event.KeyRange {
	most := largestKey(table)
	if most == 0 || len(after) != 1 || len(t.readers) < 2 || t.Range != nil || t.stride.perRow == 0 {
		return nil
	}
	width := math.Ceil(t.stride.perRow * float64(rows))
	if left := most - after[0].N; width < 1 || width >= float64(left) { // of a negative number it is right as well, by two's complement
		return nil
	}
	c := &table.Columns[table.Key[0]]
	return &event.KeyRange{Columns: []event.KeyColumn{{Name: c.Name, Kind: c.Type.Kind}}, To: []event.Value{event.Number(after[0].N + uint64(width))}}
}

// strided reports whether the chunk's end was planned.
func (c *chunk) strided() bool { return c.req.Keys == nil && c.task.Range == nil && c.req.Range != nil }

// next gives the chunk that is to be read next, nil if there is none now. Nothing new is
// begun unless open.
func (l *Loader) next(t *task, table *schema.Table, open bool) *chunk {
	if t.Since.IsZero() {
		return nil
	}
	if n := slices.IndexFunc(t.flight, func(c *chunk) bool { return !c.taken }); n >= 0 { // what one that got full has left
		c := t.flight[n]
		switch {
		case !open:
			t.cut(n)
			return nil
		case n > 0 && t.taken() >= l.o.Ahead: // the first one is waited for, whatever else is read
			return nil
		}
		c.taken, c.req.Table = true, table
		return c
	}
	if !open || len(t.flight) >= l.o.Ahead {
		return nil
	}
	rows := l.limit.most(t.pace.rows)
	c := &chunk{task: t, taken: true, begun: make(chan struct{}), req: Request{Table: table, Rows: rows, Bytes: l.o.Bytes, Range: t.Range}}
	switch left := t.Keys[min(t.keysUnder(), len(t.Keys)):]; {
	case t.open:
		return nil
	case !t.ended:
		c.req.After = t.readTo
		if r := t.bound(table, t.readTo, rows-rows/8); r != nil { // rows don't lie evenly
			c.req.Range, t.readTo = r, r.To
		} else {
			t.open = true
		}
	case len(left) > 0:
		c.req.Keys = slices.Clone(left[:min(len(left), mostKeys)])
	default:
		return nil
	}
	t.flight = append(t.flight, c)
	return c
}

// cut plans anew what stands in the flight from place n on.
func (t *task) cut(n int) {
	t.readTo, t.open, t.ended = t.flight[n].req.After, false, false
	t.flight = t.flight[:n:n]
	t.trim()
}

// taken is the number of chunks that are read, or are being read, and not handed out.
func (t *task) taken() (n int) {
	for _, c := range t.flight {
		if c.taken {
			n++
		}
	}
	return n
}

// planned takes where a chunk that was read has ended.
func (t *task) planned(c *chunk) {
	r := c.res
	switch {
	case c.req.Keys != nil:
		return
	case !c.strided():
		t.open, t.ended = false, r.End
		if r.Last != nil {
			if largestKey(c.req.Table) != 0 && len(c.req.After) == 1 {
				t.stride.learn(float64(r.Last[0].N-c.req.After[0].N), r.Len())
			}
			t.readTo = r.Last
		}
	case r.End:
		t.stride.learn(float64(c.req.Range.To[0].N-c.req.After[0].N), r.Len())
	default: // it got full: the rest comes before what is planned behind it
		t.stride.learn(float64(r.Last[0].N-c.req.After[0].N), r.Len())
		rest := &chunk{task: t, begun: make(chan struct{}), req: Request{Rows: c.req.Rows, Bytes: c.req.Bytes, After: r.Last, Range: c.req.Range}}
		t.flight = slices.Insert(t.flight, slices.Index(t.flight, c)+1, rest)
	}
	t.tell()
}
