package rowimage

import (
	"encoding/hex"
	"fmt"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"github.com/tributary-cdc/tributary/stream/event"
)

// charset is how a character set's bytes become UTF-8: as they are if enc is nil.
type charset struct {
	width int // bytes of the longest character
	enc   encoding.Encoding
	wide  bool // its ASCII characters take more than their one byte
}

// charsets are the character sets with a rule. MySQL's latin1 is Windows-1252
// (MySQL 8.0 manual, 10.10.2).
var charsets = map[string]charset{
	"binary": {width: 1}, "utf8mb4": {width: 4}, "utf8mb3": {width: 3}, "utf8": {width: 3}, "ascii": {width: 1},
	"latin1": {1, charmap.Windows1252, false}, "gbk": {2, simplifiedchinese.GBK, false}, "gb2312": {2, simplifiedchinese.GBK, false},
	"gb18030": {4, simplifiedchinese.GB18030, false},
	"utf16":   {4, unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), true}, "ucs2": {2, unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), true},
}

// ToUTF8 converts text of a character set. It reports false for bytes that are
// no text in it, and for a set without a rule.
func ToUTF8(name string, b []byte) ([]byte, bool) {
	cs, ok := charsets[name]
	if !ok {
		return nil, false
	}
	if cs.enc == nil {
		return b, name == "binary" || utf8.Valid(b)
	}
	if !cs.wide && isASCII(b) {
		return b, true
	}
	out, err := cs.enc.NewDecoder().Bytes(b)
	if err != nil {
		return nil, false
	}
	for rest := out; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if r == utf8.RuneError { // the decoders put it in place of what they can't read
			return nil, false
		}
		rest = rest[n:]
	}
	return out, true
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
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
