package kafka

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"unsafe"
)

// An LZ4 frame of independent blocks without checksums, which the batch has already
// (LZ4 frame format 1.6.4; Kafka reads independent blocks only). Within a block of this size
// every distance fits a match, and both sides work on what their inner caches hold.
const (
	lz4Magic      = 0x184d2204
	lz4Flags      = 0x60     // version 1, independent blocks
	lz4BlockBytes = 64 << 10 // of a block before compression
	lz4BlockCode  = 0x40
	lz4HeadSum    = 0x82 // second byte of XXH32 of the two bytes above
	lz4Plain      = 1 << 31
)

// Limits of a block (LZ4 block format, "End of block restrictions"), and how it is searched.
const (
	lz4MinMatch   = 4
	lz4LastStart  = 12      // no match begins this close to the end
	lz4LastBytes  = 5       // these are literals
	lz4Slack      = 80      // beyond the longest a block may become
	lz4TableBits  = 13      // 16 KiB, a part of the innermost cache
	lz4LongMatch  = 32      // from here on the first lz4Stride places of a match are noted
	lz4Stride     = 4       // the search's, from a dozen bytes without a match on
	lz4Trials     = 32      // at one stride from here on, then it becomes half as long again
	lz4Coarse     = 13      // the stride where a search saves little
	lz4Short      = 48      // bytes that aren't worth a coarse one
	lz4Learn      = 4096    // bytes that are searched before the next decision
	lz4Worth      = 3       // one byte in so many is to be saved, or the search becomes coarse
	lz4Cost       = 3       // bytes of a match: a token and a distance
	lz4LeastBytes = 6       // of a record, without its length
	lz4MostBytes  = 1 << 30 // of one, so that no place overflows
)

// lz4Encoder compresses with one aim: to take little of an agent's time. Most of what a record
// has in common with the one before it is found without a search, because both ends of a record
// are known: the first bytes stand at the distance of the starts, and the last ones at that of
// the ends. What is between, the row's own values, is searched by a table of where sequences
// of bytes were seen last in the block: finely, if that saves much (texts that repeat, a row's
// image before an update), coarsely if not.
//
// Of what is within matches of the search only the places where long ones begin are noted, so
// that they are found again although it looks, after a few bytes without a match, at every
// fourth place only.
type lz4Encoder struct {
	table [1 << lz4TableBits]uint16

	searched, saved int // bytes of rows' own values since the last decision
	coarse          bool
}

// appendFrame appends data as one frame. Any bytes will do, but the encoder is made for the
// records of a batch.
func (e *lz4Encoder) appendFrame(dst, data []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, lz4Magic)
	dst = append(dst, lz4Flags, lz4BlockCode, lz4HeadSum)
	e.searched, e.saved, e.coarse = 0, 0, false
	next := 0 // place in data where the next record starts
	for from := 0; from < len(data); from += lz4BlockBytes {
		size := min(len(data)-from, lz4BlockBytes)
		at := len(dst)
		dst, next = e.appendBlock(append(dst, 0, 0, 0, 0), data, from, size, next)
		written := uint32(len(dst) - at - 4)
		if int(written) >= size {
			dst = append(dst[:at+4], data[from:from+size]...)
			written = uint32(size) | lz4Plain
		}
		binary.LittleEndian.PutUint32(dst[at:], written)
	}
	return append(dst, 0, 0, 0, 0)
}

func lz4Hash(v uint64) uint64 {
	return v << 16 * 227718039650203 >> (64 - lz4TableBits) // of six bytes; the factor is a prime
}

// load4 and load8 read so many bytes at place i of p's array, which must have them. The
// checks of a slice took a quarter of the time that compression takes.
func load4(p unsafe.Pointer, i int) uint32 {
	return binary.LittleEndian.Uint32((*[4]byte)(unsafe.Add(p, i))[:])
}

func load8(p unsafe.Pointer, i int) uint64 {
	return binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(p, i))[:])
}

// lz4Block is a block on its way.
type lz4Block struct {
	src       []byte
	p         unsafe.Pointer // to src
	last, end int            // no match begins at or after last, or goes beyond end
	out       []byte         // room for the worst case and for what is copied too far
	n         int            // bytes of out that are written
	from      int            // of the literals that aren't written yet
	tail      int            // bytes up to a record's end that the record before it had, too
}

// appendBlock appends size bytes of data, from base on, as one compressed block. next is where
// in data a record starts, in the block or after it; it gives the first start after the block's
// last search. Places are the block's but for these two.
func (e *lz4Encoder) appendBlock(dst, data []byte, base, size, next int) ([]byte, int) {
	dst = slices.Grow(dst, size+size/255+lz4Slack)
	src := data[base : base+size]
	b := lz4Block{src: src, p: unsafe.Pointer(unsafe.SliceData(src)), last: size - lz4LastStart, end: size - lz4LastBytes, out: dst[len(dst):cap(dst)]}
	clear(e.table[:])
	next -= base
	// start is where the record that ends at next starts; before the block all are alike.
	start := -1
	for at := 1; at < b.last; { // from 1, because 0 is in the table where nothing was noted
		for next <= at {
			start, next = next, nextRecord(data, base+next)-base
		}
		dist := next - start
		if at < dist { // the record before isn't in the block, as far as it is needed
			saved := e.saved // what is found here tells nothing about values
			at = e.search(&b, at, min(next, b.last))
			e.saved = saved
			continue
		}
		stop := min(b.common(at, next, dist), b.last)
		e.learn(stop - at)
		at = b.repeat(e.search(&b, at, stop), dist)
		if at < next {
			at = b.repeat(e.search(&b, at, min(next, b.last)), dist)
		}
	}
	b.n += putLiterals(b.out[b.n:], src[b.from:], size-b.from, 0)
	return dst[:len(dst)+b.n], next + base
}

// nextRecord is where the record ends that starts at data[at], or far away if none does.
func nextRecord(data []byte, at int) int {
	size, n := binary.Varint(data[at:])
	if n <= 0 || size < lz4LeastBytes || size > lz4MostBytes {
		return math.MaxInt
	}
	return at + n + int(size)
}

// learn decides how a row's own values, n bytes, are searched.
func (e *lz4Encoder) learn(n int) {
	if e.searched >= lz4Learn {
		e.coarse = e.saved*lz4Worth < e.searched
		e.searched, e.saved = 0, 0
	}
	e.searched += n
}

// common finds where, from lo on, begins what the record that ends at next has in common with
// the one before, dist bytes before: mostly where it began in that one, too. Up to four bytes
// in a row may differ in it. dist is at most lo, so that all is read within the block.
func (b *lz4Block) common(lo, next, dist int) int {
	at := next - b.tail
	known := b.tail > 0 && at >= lo && at <= b.last && load8(b.p, at) == load8(b.p, at-dist)
	if !known {
		at = min(next, len(b.src))
	}
	was := at
	for at-8 >= lo {
		x := load8(b.p, at-8) ^ load8(b.p, at-8-dist)
		if x == 0 {
			at -= 8
			continue
		}
		at -= bits.LeadingZeros64(x) / 8
		if at-8 < lo {
			break
		}
		x = load8(b.p, at-8) ^ load8(b.p, at-8-dist)
		equal := bits.TrailingZeros64(x) / 8 // the first ones of eight
		if equal < lz4MinMatch {
			break
		}
		at -= 8 - equal
	}
	if !known || was-at >= lz4LongMatch {
		b.tail = next - at
	}
	return at
}

// repeat writes what stands dist bytes before at, too, and gives the first place after. Between
// two such pieces up to four bytes may differ, or five before a longer one; where more do, a
// search may find better. dist is at most at.
func (b *lz4Block) repeat(at, dist int) int {
	for at < b.last-8 { // so sixteen bytes stand there
		x := load8(b.p, at) ^ load8(b.p, at-dist)
		n := bits.LeadingZeros64(x) / 8 // the last ones of eight
		if n < lz4MinMatch && (n < lz4MinMatch-1 || load8(b.p, at+8) != load8(b.p, at+8-dist)) {
			break
		}
		at += 8 - n
		b.match(at, dist, n+same(b.p, at+n-dist, at+n, b.end))
		at = b.from
	}
	return at
}

// search writes what it finds from at to limit, and gives the first place after, which is
// limit or beyond. It looks ever less often where there is nothing, and takes the first earlier
// place that it finds where the same bytes stand. limit is at most the block's last.
func (e *lz4Encoder) search(b *lz4Block, at, limit int) int {
	p := b.p
	first, firsts := 1, 4
	if e.coarse && limit-at >= lz4Short {
		first, firsts = lz4Coarse, lz4Trials
	}
	step, trials := first, firsts
	for stop := at + step*trials; at < limit; at += step { // so eight bytes stand there, and t is before it
		v := load8(p, at)
		h := lz4Hash(v)
		t := int(e.table[h])
		e.table[h] = uint16(at)
		if load4(p, t) == uint32(v) {
			for at > b.from && t > 0 && b.src[at-1] == b.src[t-1] {
				at, t = at-1, t-1
			}
			n := lz4MinMatch + same(p, t+lz4MinMatch, at+lz4MinMatch, b.end)
			if n >= lz4LongMatch && at+lz4Stride <= b.last {
				for i := at; i < at+lz4Stride; i++ {
					e.table[lz4Hash(load8(p, i))] = uint16(i)
				}
			}
			b.match(at, at-t, n)
			e.saved += min(n, limit-at) - lz4Cost
			step, trials = first, firsts
			at = b.from - step
			stop = b.from + step*trials
		} else if at >= stop {
			if step < lz4Stride {
				step, trials = step+1, 2
				if step == lz4Stride {
					trials = lz4Trials
				}
			} else {
				step += step / 2
			}
			stop = at + step*trials
		}
	}
	return max(limit, b.from)
}

// match writes the literals before at, and a match of n bytes. Few literals are copied 16 at a
// time, whatever stands behind them.
func (b *lz4Block) match(at, dist, n int) {
	more, lits := n-lz4MinMatch, at-b.from
	var w int
	if out, src := b.out[b.n:], b.src[b.from:]; lits < 15 && len(src) >= 16 && len(out) >= 17 {
		*(*[16]byte)(out[1:]) = [16]byte(src)
		out[0] = byte(lits)<<4 | byte(min(more, 15))
		w = b.n + 1 + lits
	} else {
		w = b.n + putLiterals(out, src, lits, byte(min(more, 15)))
	}
	binary.LittleEndian.PutUint16(b.out[w:], uint16(dist))
	w += 2
	if more >= 15 {
		w += putLength(b.out[w:], more-15)
	}
	b.n, b.from = w, at+n
}

// same counts the bytes from at to end that stand from t on, too. t is before at, and end
// within the block, so nothing behind it is read.
func same(p unsafe.Pointer, t, at, end int) int {
	n := 0
	pt, pa := unsafe.Add(p, t), unsafe.Add(p, at)
	for m := end - at - 8; n <= m; n += 8 {
		if x := load8(pt, n) ^ load8(pa, n); x != 0 {
			return n + bits.TrailingZeros64(x)/8
		}
	}
	for at+n < end && *(*byte)(unsafe.Add(p, t+n)) == *(*byte)(unsafe.Add(p, at+n)) {
		n++
	}
	return n
}

// putLiterals writes the token, whose lower half is the match's, and the first n bytes of src:
// up to 64 at a time.
func putLiterals(out, src []byte, n int, match byte) int {
	out[0] = byte(min(n, 15))<<4 | match
	at := 1
	if n >= 15 {
		at += putLength(out[1:], n-15)
	}
	if n <= 64 && len(src) >= 64 {
		*(*[64]byte)(out[at:]) = [64]byte(src)
		return at + n
	}
	return at + copy(out[at:], src[:n])
}

// putLength writes what a length exceeds its half of the token by.
func putLength(out []byte, n int) int {
	at := 0
	for ; n >= 255; n -= 255 {
		out[at] = 255
		at++
	}
	out[at] = byte(n)
	return at + 1
}
