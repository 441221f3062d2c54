package capture

import (
	"github.com/tributary-cdc/tributary/stream/event"
)

// SegmentBytes is the size of rows at which a reader hands a transaction out in parts:
// small enough that the rows lie in the processor's cache until they are encoded.
const SegmentBytes = 256 << 10

// Buffer is a segment with the memory of its rows. It is filled again once the
// reader's caller has asked for the next segment.
type Buffer struct {
	event.Segment
	Arena event.Arena
	Size  int // of the rows, as the reader counts it
	slots []event.Value
}

// Image returns n slots, all Absent, that stay the buffer's.
func (b *Buffer) Image(n int) []event.Value {
	if cap(b.slots)-len(b.slots) < n {
		b.slots = make([]event.Value, 0, max(2*cap(b.slots), 64*n)) // images made before keep the old ones
	}
	at := len(b.slots)
	b.slots = b.slots[:at+n]
	out := b.slots[at : at+n : at+n]
	clear(out)
	return out
}

// keptChunks is the number of the arena's chunks that a full segment takes.
const keptChunks = SegmentBytes>>16 + 1

// Queue is the way of segments from a reader to its caller. It keeps a few
// buffers for use again. It isn't safe for concurrent use.
type Queue struct {
	waiting []*Buffer
	given   *Buffer // the caller's until it asks for the next one
	free    []*Buffer
}

// Begin returns an empty buffer for a part of a transaction.
func (q *Queue) Begin(txn event.Txn, first bool) *Buffer {
	b := &Buffer{Arena: event.Arena{Keep: keptChunks}}
	if n := len(q.free); n > 0 {
		b, q.free = q.free[n-1], q.free[:n-1]
	}
	b.Txn, b.First = txn, first
	return b
}

// Push puts a filled buffer into the queue.
func (q *Queue) Push(b *Buffer) { q.waiting = append(q.waiting, b) }

// PushSegment puts a segment without rows into the queue.
func (q *Queue) PushSegment(s event.Segment) { q.Push(&Buffer{Segment: s}) }

// Empty reports whether nothing waits.
func (q *Queue) Empty() bool { return len(q.waiting) == 0 }

// Next hands out the oldest segment. The one before it is taken back by Release.
func (q *Queue) Next() *event.Segment {
	q.given = q.waiting[0]
	q.waiting = q.waiting[:copy(q.waiting, q.waiting[1:])]
	return &q.given.Segment
}

// Release takes back the segment that Next handed out last.
func (q *Queue) Release() {
	if q.given != nil {
		q.Drop(q.given)
		q.given = nil
	}
}

// Drop takes back a buffer that isn't handed out.
func (q *Queue) Drop(b *Buffer) {
	if len(q.free) >= 4 || b.Arena.Keep == 0 { // or it never was for rows
		return
	}
	clear(b.Rows)
	b.Arena.Reset()
	*b = Buffer{Segment: event.Segment{Rows: b.Rows[:0]}, Arena: b.Arena, slots: b.slots[:0]}
	q.free = append(q.free, b)
}

// Reset forgets everything that waits.
func (q *Queue) Reset() { *q = Queue{} }
