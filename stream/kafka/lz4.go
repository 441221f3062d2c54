package kafka

import (
	"encoding/binary"
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

// Limits of a block (LZ4 block format, "End of block restrictions").
const (
	lz4MinMatch   = 4
	lz4LastStart  = 12 // no match begins this close to the end
	lz4LastBytes  = 5  // these are literals
	lz4Slack      = 80 // beyond the longest a block may become
	lz4TableBits  = 13 // 16 KiB, a part of the innermost cache
	lz4LongMatch  = 32 // from here on the first lz4Stride places of a match are noted
	lz4Stride     = 4  // the search's, from a dozen bytes without a match on
	lz4SkipTrials = 5  // and later it goes faster by one byte every 32
)

// lz4Encoder compresses with one aim: to take little of an agent's time. It holds
// where sequences of bytes were seen last in the block. Of what is within matches it notes
// only where long ones begin: that is what all rows of a table have in common. So it is
// found again although the search, after a few bytes without a match, looks at every fourth
// place only.
type lz4Encoder struct{ table [1 << lz4TableBits]uint16 }

// appendFrame appends data as one frame.
func (e *lz4Encoder) appendFrame(dst, data []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, lz4Magic)
	dst = append(dst, lz4Flags, lz4BlockCode, lz4HeadSum)
	for len(data) > 0 {
		block := data[:min(len(data), lz4BlockBytes)]
		data = data[len(block):]
		at := len(dst)
		dst = e.appendBlock(append(dst, 0, 0, 0, 0), block)
		size := uint32(len(dst) - at - 4)
		if int(size) >= len(block) {
			dst = append(dst[:at+4], block...)
			size = uint32(len(block)) | lz4Plain
		}
		binary.LittleEndian.PutUint32(dst[at:], size)
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

// appendBlock appends one compressed block: it takes the first earlier place that it finds
// where the same bytes stand, and looks ever less often where there are none.
func (e *lz4Encoder) appendBlock(dst, src []byte) []byte {
	dst = slices.Grow(dst, len(src)+len(src)/255+lz4Slack)
	out := dst[len(dst):cap(dst)] // room for the worst case and for what is copied too far
	n := 0
	clear(e.table[:])
	from := 0 // of the literals that aren't written yet
	last, end := len(src)-lz4LastStart, len(src)-lz4LastBytes
	p := unsafe.Pointer(unsafe.SliceData(src))
	for at := 1; at < last; { // so eight bytes stand there, and t is before it
		v := load8(p, at)
		h := lz4Hash(v)
		t := int(e.table[h])
		e.table[h] = uint16(at)
		if load4(p, t) != uint32(v) {
			step := 1 + (at-from)>>2
			if step > lz4Stride {
				step = max(lz4Stride, (at-from)>>lz4SkipTrials)
			}
			at += step
			continue
		}
		for at > from && t > 0 && src[at-1] == src[t-1] {
			at, t = at-1, t-1
		}
		match := same(p, t+lz4MinMatch, at+lz4MinMatch, end)
		n += putLiterals(out[n:], src[from:], at-from, byte(min(match, 15)))
		binary.LittleEndian.PutUint16(out[n:], uint16(at-t))
		n += 2
		if match >= 15 {
			n += putLength(out[n:], match-15)
		}
		if match >= lz4LongMatch-lz4MinMatch && at+lz4Stride <= last {
			for i := at; i < at+lz4Stride; i++ {
				e.table[lz4Hash(load8(p, i))] = uint16(i)
			}
		}
		at += lz4MinMatch + match
		from = at
	}
	n += putLiterals(out[n:], src[from:], len(src)-from, 0)
	return dst[:len(dst)+n]
}

// same counts the bytes from at to end that stand from t on, too. t is before at.
func same(p unsafe.Pointer, t, at, end int) int {
	n := 0
	for at+n+8 <= end {
		if x := load8(p, t+n) ^ load8(p, at+n); x != 0 {
			return n + bits.TrailingZeros64(x)/8
		}
		n += 8
	}
	for at+n < end && *(*byte)(unsafe.Add(p, t+n)) == *(*byte)(unsafe.Add(p, at+n)) {
		n++
	}
	return n
}

// putLiterals writes the token, whose lower half is the match's, and the first n
// bytes of src. Few literals are copied 16 or 64 at a time, whatever stands behind them.
func putLiterals(out, src []byte, n int, match byte) int {
	if n < 15 && len(src) >= 16 {
		out[0] = byte(n)<<4 | match
		*(*[16]byte)(out[1:]) = [16]byte(src)
		return 1 + n
	}
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
