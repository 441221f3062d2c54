package rowimage

import (
	"encoding/binary"
	"unicode/utf8"
)

// validUTF8 is utf8.Valid for what columns have: short texts of ASCII, and of characters
// of three bytes such as 学. It takes a third of the time.
func validUTF8(b []byte) bool {
	if n := len(b); n >= 8 {
		all := binary.LittleEndian.Uint64(b[n-8:])
		for rest := b; len(rest) >= 8; rest = rest[8:] {
			all |= binary.LittleEndian.Uint64(rest)
		}
		if all&0x8080808080808080 == 0 {
			return true
		}
	}
	for len(b) > 0 {
		switch c := b[0]; {
		case c < utf8.RuneSelf:
			b = b[1:]
		case c > 0xe0 && c < 0xed && len(b) > 2 && b[1]&0xc0 == 0x80 && b[2]&0xc0 == 0x80: // nothing else is wrong with these
			b = b[3:]
		default:
			return utf8.Valid(b)
		}
	}
	return true
}
