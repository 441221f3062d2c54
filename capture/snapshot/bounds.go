package snapshot

import (
	"errors"
	"fmt"
	"strings"
)

// Bounds are the ends of a part of a table, as a person writes them: values of the key's
// first columns, as the source's server reads them. Both ends belong to the part; one
// without values is open.
type Bounds struct{ From, To []string }

// ErrBadBounds reports bounds that can't be read.
var ErrBadBounds = errors.New("not a part of the key: want FROM..TO, one of them may be left out; columns are parted by commas, a value in double quotes may hold anything")

// ParseBounds reads FROM..TO.
func ParseBounds(text string) (Bounds, error) {
	fail := func() (Bounds, error) { return Bounds{}, fmt.Errorf("%q: %w", text, ErrBadBounds) }
	from, rest, ok := parseBound(text)
	if !ok || !strings.HasPrefix(rest, "..") {
		return fail()
	}
	to, rest, ok := parseBound(rest[2:])
	if !ok || rest != "" || from == nil && to == nil {
		return fail()
	}
	return Bounds{from, to}, nil
}

// parseBound reads the values up to "..", or up to the end.
func parseBound(text string) (values []string, rest string, ok bool) {
	if text == "" || strings.HasPrefix(text, "..") {
		return nil, text, true
	}
	for {
		var v string
		if v, text, ok = parseValue(text); !ok {
			return nil, "", false
		}
		values = append(values, v)
		if !strings.HasPrefix(text, ",") {
			return values, text, true
		}
		text = text[1:]
	}
}

func parseValue(text string) (value, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		end := len(text)
		for _, stop := range []string{",", "..", `"`} {
			if i := strings.Index(text, stop); i >= 0 {
				end = min(end, i)
			}
		}
		return text[:end], text[end:], end > 0
	}
	for text = text[1:]; ; {
		i := strings.IndexByte(text, '"')
		if i < 0 {
			return "", "", false
		}
		value, text = value+text[:i], text[i+1:]
		if !strings.HasPrefix(text, `"`) {
			return value, text, true
		}
		value, text = value+`"`, text[1:]
	}
}

// String is the inverse of ParseBounds.
func (b Bounds) String() string {
	var s strings.Builder
	for n, values := range [][]string{b.From, b.To} {
		if n == 1 {
			s.WriteString("..")
		}
		for i, v := range values {
			if i > 0 {
				s.WriteByte(',')
			}
			if v == "" || strings.ContainsAny(v, `",`) || strings.Contains(v, "..") || strings.HasSuffix(v, ".") {
				v = `"` + strings.ReplaceAll(v, `"`, `""`) + `"`
			}
			s.WriteString(v)
		}
	}
	return s.String()
}
