package rowimage

import (
	"math/rand/v2"
	"slices"
	"testing"
	"unicode/utf8"
)

// TestValidUTF8 compares with the standard library: all sequences of two bytes, with a third
// one at the edges of what may follow, at any place of longer texts.
func TestValidUTF8(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for n := range 1 << 16 {
		for _, third := range []byte{0, 'a', 0x7f, 0x80, 0xbf, 0xc0, 0xff} {
			b := []byte{byte(n >> 8), byte(n), third}
			before, behind := []byte("学籍 0123456789")[:rng.IntN(8)*2], []byte("喆 abcdefghijkl")[:rng.IntN(9)]
			for _, text := range [][]byte{b, b[:2], b[1:], slices.Concat(before, b, behind)} {
				if got, want := validUTF8(text), utf8.Valid(text); got != want {
					t.Fatalf("%x: %t, want %t", text, got, want)
				}
			}
		}
	}
}
