package worker

import (
	"unsafe"

	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
)

// memory holds what the decoded rows of one batch need, in slabs: rows come by the
// thousand, and one allocation each would cost more than their decoding. Nothing it
// handed out may be used after reset.
type memory struct {
	slots slab[event.Value]
	nets  slab[net]
	rows  slab[NetRow]
	bytes event.Arena
	dec   envelope.Decoder // of the rows
	// result holds the rows that the store gets.
	result slab[NetRow]
	// indexes are maps that were used and are empty again; used are in use.
	indexes, used []map[string]*net
}

// index gives an empty map.
func (m *memory) index() map[string]*net {
	var i map[string]*net
	if n := len(m.indexes); n > 0 {
		i, m.indexes = m.indexes[n-1], m.indexes[:n-1]
	} else {
		i = map[string]*net{}
	}
	m.used = append(m.used, i)
	return i
}

// slab hands out pieces of large chunks, which are kept for the next batch.
type slab[T any] struct {
	chunks [][]T
	at     int // the chunk in use
}

const slabChunk = 4096

// What is kept of the maps: no giant ones, and not one for each of many tables.
const keptIndex, keptIndexes = 64 << 10, 16

// take gives n zero elements whose place doesn't move.
func (s *slab[T]) take(n int) []T {
	for ; s.at < len(s.chunks); s.at++ {
		c := s.chunks[s.at]
		if cap(c)-len(c) >= n {
			s.chunks[s.at] = c[:len(c)+n]
			return c[len(c) : len(c)+n : len(c)+n]
		}
	}
	c := make([]T, n, max(n, slabChunk))
	s.chunks = append(s.chunks, c)
	return c[:n:n]
}

// reset makes all chunks free again, up to keep of them.
func (s *slab[T]) reset(keep int) {
	if len(s.chunks) > keep {
		clear(s.chunks[keep:])
		s.chunks = s.chunks[:keep]
	}
	for i, c := range s.chunks {
		clear(c)
		s.chunks[i] = c[:0]
	}
	s.at = 0
}

// reset forgets a batch. What an ordinary batch needs is kept, what a giant one
// needed isn't.
func (m *memory) reset() {
	m.slots.reset(64)
	m.nets.reset(8)
	m.rows.reset(8)
	m.result.reset(8)
	m.bytes.Reset()
	m.dec.Reset()
	for _, i := range m.used {
		if len(i) <= keptIndex {
			clear(i)
			m.indexes = append(m.indexes, i)
		}
	}
	m.used = m.used[:0]
	if len(m.indexes) > keptIndexes {
		m.indexes = m.indexes[:keptIndexes]
	}
}

// key keeps a copy of a record key as a string until reset.
func (m *memory) key(b []byte) string {
	c := m.bytes.Copy(b)
	return unsafe.String(unsafe.SliceData(c), len(c)) // never written to again
}
