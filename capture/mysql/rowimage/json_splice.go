package rowimage

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
)

// This file changes the text of a JSON document in one place. The text has the form that
// jsonText gives it: one space behind commas and colons, none elsewhere.

// entry is a member or an element of a container: where its text begins, with the
// member's name, where its value begins, and where both end.
type entry struct {
	from, value, end int
	member           []byte // with quotes; nil in an array
}

// splice carries out one difference. value is the text of the new value.
func splice(doc []byte, op byte, legs []leg, value []byte) ([]byte, error) {
	if len(legs) == 0 {
		if op != diffReplace {
			return nil, fmt.Errorf("of the whole document: %w", ErrDifference)
		}
		return value, nil
	}
	at := 0 // of the container
	for _, l := range legs[:len(legs)-1] {
		e, ok, err := find(doc, at, l)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fmt.Errorf("nothing stands there: %w", ErrDifference)
		}
		at = e.value
	}
	last := legs[len(legs)-1]
	if op == diffInsert {
		return insertEntry(doc, at, last, value)
	}
	e, ok, err := find(doc, at, last)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, fmt.Errorf("nothing stands there: %w", ErrDifference)
	case op == diffReplace:
		return exchange(doc, e.value, e.end, value), nil
	case op == diffRemove && doc[e.end] == ',':
		return exchange(doc, e.from, e.end+2, nil), nil
	case op == diffRemove && e.from > at+1: // the last one of several
		return exchange(doc, e.from-2, e.end, nil), nil
	case op == diffRemove:
		return exchange(doc, e.from, e.end, nil), nil
	}
	return nil, fmt.Errorf("unknown operation: %w", ErrDifference)
}

// exchange puts other text in place of doc[from:to].
func exchange(doc []byte, from, to int, parts ...[]byte) []byte {
	out := append(make([]byte, 0, len(doc)+64), doc[:from]...)
	for _, p := range parts {
		out = append(out, p...)
	}
	return append(out, doc[to:]...)
}

// insertEntry adds a member in the server's order of names, or an element before the one
// that has its place now.
func insertEntry(doc []byte, at int, l leg, value []byte) ([]byte, error) {
	if err := container(doc, at, l); err != nil {
		return nil, err
	}
	place, n := -1, 0
	end := at + 1
	err := each(doc, at, func(e entry) bool {
		switch {
		case l.member != nil && bytes.Equal(e.member, l.member):
			place, n = -2, -1
			return false
		case l.member != nil && less(l.member, e.member), l.member == nil && n == l.index:
			place = e.from
			return false
		}
		n++
		end = e.end
		return true
	})
	if err != nil {
		return nil, err
	}
	var name []byte
	if l.member != nil {
		name = append(bytes.Clone(l.member), ": "...)
	}
	switch {
	case place == -2:
		return nil, fmt.Errorf("the member is there already: %w", ErrDifference)
	case place >= 0:
		return exchange(doc, place, place, name, value, []byte(", ")), nil
	case n == 0:
		return exchange(doc, end, end, name, value), nil
	}
	return exchange(doc, end, end, []byte(", "), name, value), nil
}

// less compares the names of members as the server orders them: shorter ones first, then
// byte by byte (MySQL source documentation, Json_key_comparator).
func less(a, b []byte) bool {
	a, b = unquoted(a), unquoted(b)
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c < 0
	}
	return bytes.Compare(a, b) < 0
}

func unquoted(b []byte) []byte {
	if bytes.IndexByte(b, '\\') < 0 {
		return b[1 : len(b)-1]
	}
	var s string
	if json.Unmarshal(b, &s) != nil { // not a name of ours: it is compared as it is
		return b
	}
	return []byte(s)
}

// find looks for the entry of a container to which a leg leads.
func find(doc []byte, at int, l leg) (found entry, ok bool, err error) {
	if err := container(doc, at, l); err != nil {
		return found, false, err
	}
	n := 0
	err = each(doc, at, func(e entry) bool {
		if ok = l.member != nil && bytes.Equal(e.member, l.member) || l.member == nil && n == l.index; ok {
			found = e
		}
		n++
		return !ok
	})
	return found, ok, err
}

// container refuses what a leg doesn't lead into.
func container(doc []byte, at int, l leg) error {
	want := byte('[')
	if l.member != nil {
		want = '{'
	}
	if at >= len(doc) || doc[at] != want {
		return fmt.Errorf("no container of that kind: %w", ErrDifference)
	}
	return nil
}

// each calls f for the entries of the container at a place, until f returns false.
func each(doc []byte, at int, f func(entry) bool) error {
	bad := fmt.Errorf("document of %d bytes isn't as it was rendered: %w", len(doc), ErrMalformed)
	object, shut := doc[at] == '{', doc[at]+2
	i := at + 1
	if i < len(doc) && doc[i] == shut {
		return nil
	}
	for {
		e := entry{from: i, value: i}
		if object {
			end := skipString(doc, i)
			if end < 0 || !bytes.HasPrefix(doc[end:], []byte(": ")) {
				return bad
			}
			e.member, e.value = doc[i:end], end+2
		}
		if e.end = skipValue(doc, e.value); e.end < 0 || e.end >= len(doc) {
			return bad
		}
		if !f(e) {
			return nil
		}
		switch {
		case doc[e.end] == shut:
			return nil
		case !bytes.HasPrefix(doc[e.end:], []byte(", ")):
			return bad
		}
		i = e.end + 2
	}
}

// skipString gives the end of the string at a place, -1 if there is none.
func skipString(b []byte, i int) int {
	if i >= len(b) || b[i] != '"' {
		return -1
	}
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// skipValue gives the end of the value at a place, -1 if there is none.
func skipValue(b []byte, i int) int {
	if i < len(b) && b[i] == '"' {
		return skipString(b, i)
	}
	from, depth := i, 0
	for i < len(b) {
		switch b[i] {
		case '"':
			if i = skipString(b, i); i < 0 {
				return -1
			}
			continue
		case '{', '[':
			depth++
		case '}', ']', ',':
			if depth == 0 {
				if i == from {
					return -1
				}
				return i
			}
			if b[i] != ',' {
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
		i++
	}
	if depth > 0 || i == from {
		return -1
	}
	return i
}
