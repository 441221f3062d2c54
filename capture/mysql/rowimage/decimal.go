package rowimage

import (
	"fmt"

	"github.com/tributary-cdc/tributary/stream/event"
)

// leftover is the number of bytes of a group of fewer than nine digits
// (MySQL source documentation, decimal.c).
var leftover = [10]int{0, 1, 1, 2, 2, 3, 3, 4, 4, 4}

// powers of ten: a group of n digits is below powers[n].
var powers = [10]uint32{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

// decimal makes the decoder of decimal(precision, scale): groups of nine digits
// in four bytes each, the odd digits before and behind in fewer; the first bit is
// the sign, inverted; a negative number has all bits inverted.
func decimal(precision, scale int) decoder {
	whole := precision - scale
	size := leftover[whole%9] + whole/9*4 + scale/9*4 + leftover[scale%9]
	return func(data []byte, d *state) (event.Value, []byte, error) {
		b, rest, ok := take(data, size)
		if !ok {
			return event.Value{}, nil, short(data, size)
		}
		raw, sound := b, true
		out := d.arena.Take(precision + 3)[:0]
		flip := byte(0)
		if b[0]&0x80 == 0 {
			flip = 0xff
			out = append(out, '-')
		}
		first := true
		group := func(digits int) {
			n := leftover[digits]
			var v uint32
			for _, c := range b[:n] {
				c ^= flip
				if first {
					c, first = c^0x80, false
				}
				v = v<<8 | uint32(c)
			}
			b = b[n:]
			sound = sound && v < powers[digits]
			out = appendDigits(out, v, digits)
		}
		start := len(out)
		if whole%9 > 0 {
			group(whole % 9)
		}
		for range whole / 9 {
			group(9)
		}
		zeros := 0
		for start+zeros < len(out)-1 && out[start+zeros] == '0' {
			zeros++
		}
		out = append(out[:start], out[start+zeros:]...)
		if whole == 0 {
			out = append(out, '0')
		}
		if scale > 0 {
			out = append(out, '.')
			for range scale / 9 {
				group(9)
			}
			if scale%9 > 0 {
				group(scale % 9)
			}
		}
		if !sound {
			return event.Value{}, nil, fmt.Errorf("decimal(%d,%d) of the bytes %x: %w", precision, scale, raw, ErrMalformed)
		}
		return event.Raw(out), rest, nil
	}
}

// appendDigits appends exactly n digits of v.
func appendDigits(out []byte, v uint32, n int) []byte {
	at := len(out)
	for range n {
		out = append(out, '0')
	}
	for i := len(out) - 1; i >= at; i-- {
		out[i] = '0' + byte(v%10)
		v /= 10
	}
	return out
}
