package envelope

import (
	"fmt"
	"unicode/utf8"
)

// errNotText reports bytes that no JSON string can hold.
var errNotText = fmt.Errorf("text isn't valid UTF-8: %w", ErrMalformed)

// plain marks the bytes that stand in a JSON string as they are.
var plain = func() (p [256]bool) {
	for c := range p {
		p[c] = c >= ' ' && c != '"' && c != '\\'
	}
	return p
}()

// escapes are the characters with a short escape; others below space are \u00xx.
var escapes = [256]byte{'"': '"', '\\': '\\', '\b': 'b', '\f': 'f', '\n': 'n', '\r': 'r', '\t': 't'}

// unescapes is the inverse of escapes.
var unescapes = func() (u [256]byte) {
	for c, e := range escapes {
		if e != 0 {
			u[e] = byte(c)
		}
	}
	return u
}()

const hexDigits = "0123456789abcdef"

// putName appends a text that comes as a string.
func putName(b []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return b, errNotText
	}
	return putQuoted(b, s), nil
}

// putQuoted appends a JSON string of valid UTF-8.
func putQuoted[T string | []byte](b []byte, s T) []byte {
	b = append(b, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if plain[c] {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		if e := escapes[c]; e != 0 {
			b = append(b, '\\', e)
		} else {
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(b, s[from:]...), '"')
}

// raw reads a JSON string and gives what stands between the quotes, and whether
// any of it is escaped. Control characters and invalid UTF-8 are refused.
func (s *jsonScan) raw() (in []byte, escaped bool) {
	if len(s.b) == 0 || s.b[0] != '"' {
		s.fail("text")
		return nil, false
	}
	for i := 1; i < len(s.b); i++ {
		c := s.b[i]
		if plain[c] {
			continue
		}
		if c == '"' {
			in = s.b[1:i:i]
			s.b = s.b[i+1:]
			if !utf8.Valid(in) {
				s.fail("text")
			}
			return in, escaped
		}
		if c != '\\' {
			break
		}
		escaped = true
		i++ // whatever follows doesn't end the string
	}
	s.fail("text")
	return nil, false
}

// bytes reads a JSON string: a view into the input, or a copy without escapes.
func (s *jsonScan) bytes() []byte {
	in, escaped := s.raw()
	if !escaped {
		return in
	}
	out := s.arena.Take(len(in))[:0]
	for i := 0; i < len(in); i++ {
		if in[i] != '\\' {
			out = append(out, in[i])
			continue
		}
		i++
		if in[i] != 'u' {
			c := unescapes[in[i]]
			if c == 0 {
				s.fail("escape")
				return nil
			}
			out = append(out, c)
			continue
		}
		c, ok := control(in[i+1:])
		if !ok {
			s.fail("escape")
			return nil
		}
		out = append(out, c)
		i += 4
	}
	return out[:len(out):len(out)]
}

// control reads the digits of an escaped control character that has no short escape.
func control(in []byte) (byte, bool) {
	if len(in) < 4 || in[0] != '0' || in[1] != '0' || in[2] > '1' {
		return 0, false
	}
	for low := range len(hexDigits) {
		if in[3] == hexDigits[low] && (in[2] == '0' || in[2] == '1') {
			c := (in[2]-'0')<<4 | byte(low)
			return c, escapes[c] == 0
		}
	}
	return 0, false
}

func (s *jsonScan) text() string { return string(s.bytes()) }
