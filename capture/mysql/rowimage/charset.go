package rowimage

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"

	"github.com/tributary-cdc/tributary/stream/event"
)

// charset is how a character set's bytes become UTF-8: as they are if enc is nil.
type charset struct {
	width int // bytes of the longest character
	// enc appends the text of b, and reports false for bytes that are none.
	enc  func(out, b []byte) ([]byte, bool)
	wide bool // its ASCII characters take more than their one byte
}

// charsets are the character sets with a rule. MySQL's latin1 is Windows-1252
// (MySQL 8.0 manual, 10.10.2).
var charsets = map[string]charset{
	"binary": {width: 1}, "utf8mb4": {width: 4}, "utf8mb3": {width: 3}, "utf8": {width: 3}, "ascii": {width: 1},
	"latin1": {1, latin1, false}, "gbk": {2, gbk.append, false}, "gb2312": {2, gb2312.append, false}, "big5": {2, big5.append, false},
	"gb18030": {4, gb18030.append, false}, "utf16": {4, utf16Text(binary.BigEndian), true}, "ucs2": {2, ucs2, true},
	"utf16le": {4, utf16Text(binary.LittleEndian), true}, "utf32": {4, utf32, true},
}

// ToUTF8 converts text of a character set. It reports false for bytes that are
// no text in it, and for a set without a rule.
func ToUTF8(name string, b []byte) ([]byte, bool) {
	cs, ok := charsets[name]
	if !ok {
		return nil, false
	}
	if name == "binary" {
		return b, true
	}
	return cs.text(b)
}

// text converts text of the set. The result may be b itself.
func (cs *charset) text(b []byte) ([]byte, bool) {
	if cs.enc == nil {
		return b, validUTF8(b)
	}
	if !cs.wide && isASCII(b) {
		return b, true
	}
	return cs.enc(make([]byte, 0, 2*len(b)), b)
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// latin1 is total: what Windows-1252 leaves out are control characters, as at the server.
func latin1(out, b []byte) ([]byte, bool) {
	for _, c := range b {
		r := charmap.Windows1252.DecodeByte(c)
		if r == utf8.RuneError {
			r = rune(c)
		}
		out = utf8.AppendRune(out, r)
	}
	return out, true
}

func utf16Text(order binary.ByteOrder) func(out, b []byte) ([]byte, bool) {
	return func(out, b []byte) ([]byte, bool) {
		for len(b) > 0 {
			if len(b) < 2 {
				return nil, false
			}
			r := rune(order.Uint16(b))
			b = b[2:]
			if utf16.IsSurrogate(r) {
				if len(b) < 2 {
					return nil, false
				}
				if r = utf16.DecodeRune(r, rune(order.Uint16(b))); r == utf8.RuneError {
					return nil, false
				}
				b = b[2:]
			}
			out = utf8.AppendRune(out, r)
		}
		return out, true
	}
}

// ucs2 has no characters of two units: a half of one has no text at the server either.
func ucs2(out, b []byte) ([]byte, bool) {
	if len(b)%2 != 0 {
		return nil, false
	}
	for ; len(b) > 0; b = b[2:] {
		r := rune(binary.BigEndian.Uint16(b))
		if utf16.IsSurrogate(r) {
			return nil, false
		}
		out = utf8.AppendRune(out, r)
	}
	return out, true
}

func utf32(out, b []byte) ([]byte, bool) {
	for len(b) > 0 {
		if len(b) < 4 {
			return nil, false
		}
		n := binary.BigEndian.Uint32(b)
		if n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
			return nil, false
		}
		out, b = utf8.AppendRune(out, rune(n)), b[4:]
	}
	return out, true
}

// text makes the reader of a string column.
func text(name string) func([]byte, *state) (event.Value, error) {
	if name == "binary" {
		return func(b []byte, _ *state) (event.Value, error) { return event.Raw(b), nil }
	}
	return func(b []byte, d *state) (event.Value, error) {
		out, ok := ToUTF8(name, b)
		if !ok {
			d.anomaly = fmt.Sprintf("%s \\x%s", name, hex.EncodeToString(b))
			return event.NullValue, nil
		}
		return event.Raw(out), nil
	}
}

// Width gives the bytes of a character set's longest character; 0 for a set without a rule.
func Width(name string) int { return charsets[name].width }

// encoders are the character sets whose text can be written, beside those of UTF-8.
var encoders = map[string]encoding.Encoding{"gbk": simplifiedchinese.GBK, "gb2312": simplifiedchinese.GBK, "gb18030": simplifiedchinese.GB18030, "big5": traditionalchinese.Big5, "latin1": charmap.Windows1252}

// Holds reports whether a character set is known to have all characters of a text. What it
// isn't sure of it denies.
func Holds(name, text string) bool {
	if isASCII([]byte(text)) {
		return true
	}
	switch name {
	case "utf8mb4":
		return utf8.ValidString(text)
	case "utf8", "utf8mb3":
		return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return r > 0xffff })
	}
	enc, ok := encoders[name]
	if !ok {
		return false
	}
	b, err := enc.NewEncoder().Bytes([]byte(text))
	if err != nil {
		return false
	}
	back, ok := ToUTF8(name, b)
	return ok && string(back) == text
}
