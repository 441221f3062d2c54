package rowimage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/tributary-cdc/tributary/stream/event"
)

// ErrDifference: an image has the differences of a JSON document, and they don't lead to
// the new one: the document before isn't in the log, or they don't fit it.
var ErrDifference = errors.New("JSON differences without the document that they change")

// The operations of a difference (MySQL source documentation, json_diff.h,
// enum_json_diff_operation): they do what JSON_REPLACE does, JSON_INSERT for a member and
// JSON_ARRAY_INSERT for an element, and JSON_REMOVE. Unlike those, one that has no effect
// doesn't fit the document.
const (
	diffReplace = 0
	diffInsert  = 1
	diffRemove  = 2
)

// differences says which JSON columns of an image stand there as differences.
type differences struct {
	bits   []byte        // one per JSON column of the table
	before []event.Value // the row that they change
}

// differences reads what an image of a PARTIAL_UPDATE_ROWS event has before its null
// bitmap: options, and with the only one that is known a bit per JSON column of the
// table, carried or not (MySQL source documentation, Rows_event).
func (p *Plan) differences(data []byte, before []event.Value) (d *differences, rest []byte, err error) {
	options, n := jsonLength(data)
	if n == 0 || options&^1 != 0 {
		return nil, nil, fmt.Errorf("options %#x of a partial image: %w", options, ErrDifference)
	}
	data = data[n:]
	if options == 0 {
		return nil, data, nil
	}
	bits, data, ok := take(data, (p.jsons+7)/8)
	if !ok {
		return nil, nil, short(data, (p.jsons+7)/8)
	}
	return &differences{bits: bits, before: before}, data, nil
}

// of reports whether a column, the n-th of type JSON, has differences.
func (d *differences) of(n int) bool { return d != nil && n >= 0 && d.bits[n/8]>>(n%8)&1 == 1 }

// value reads column i's differences from the front of data and applies them.
func (d *differences) value(data []byte, i, lengthBytes int, a *event.Arena) (v event.Value, rest []byte, err error) {
	head, rest, ok := take(data, lengthBytes)
	if !ok {
		return v, nil, short(data, lengthBytes)
	}
	diff, rest, ok := take(rest, int(littleEndian(head)))
	if !ok {
		return v, nil, short(rest, int(littleEndian(head)))
	}
	if len(d.before) <= i {
		return v, nil, fmt.Errorf("no row before: %w", ErrDifference)
	}
	if len(diff) == 0 { // it is as it was
		return d.before[i], rest, nil
	}
	if d.before[i].State != event.Present {
		return v, nil, fmt.Errorf("the row before has no document: %w", ErrDifference)
	}
	out, err := applyDifferences(d.before[i].B, diff)
	if err != nil {
		return v, nil, err
	}
	return event.Raw(a.Copy(out)), rest, nil
}

// jsonLength reads a length-encoded integer of up to four bytes; n is 0 if there is none.
func jsonLength(b []byte) (v uint64, n int) {
	if len(b) == 0 {
		return 0, 0
	}
	switch size := map[byte]int{0xfc: 2, 0xfd: 3, 0xfe: 8}[b[0]]; {
	case b[0] < 0xfb:
		return uint64(b[0]), 1
	case size > 0 && len(b) > size:
		return littleEndian(b[1 : 1+size]), 1 + size
	}
	return 0, 0
}

// applyDifferences brings a document's text, as jsonText renders it, up to date. All that
// the differences don't touch stays as it is, letter by letter.
func applyDifferences(doc, diff []byte) ([]byte, error) {
	for at := 0; len(diff) > 0; at++ {
		op := diff[0]
		path, rest, err := jsonBytes(diff[1:])
		if err != nil {
			return nil, err
		}
		var value []byte
		if op != diffRemove {
			var binary []byte
			if binary, rest, err = jsonBytes(rest); err != nil {
				return nil, err
			}
			if len(binary) == 0 {
				return nil, fmt.Errorf("difference %d without a value: %w", at, ErrMalformed)
			}
			j := jsonReader{left: len(binary)}
			if value, err = j.append(nil, binary[0], binary[1:], jsonDepth); err != nil {
				return nil, err
			}
			if !utf8.Valid(value) {
				return nil, fmt.Errorf("difference %d with other bytes than text: %w", at, ErrMalformed)
			}
		}
		legs, err := jsonPath(path)
		if err == nil {
			doc, err = splice(doc, op, legs, value)
		}
		if err != nil {
			return nil, fmt.Errorf("difference %d, operation %d at %.200q: %w", at, op, path, err)
		}
		diff = rest
	}
	return doc, nil
}

func jsonBytes(b []byte) (v, rest []byte, err error) {
	n, size := jsonLength(b)
	if size == 0 || n > uint64(len(b)-size) {
		return nil, nil, fmt.Errorf("json difference in %d bytes: %w", len(b), ErrMalformed)
	}
	return b[size : size+int(n)], b[size+int(n):], nil
}

// leg is one step of a path: a member, whose name is written as documents have it, or an
// element.
type leg struct {
	member []byte // nil for an element
	index  int
}

// jsonPath reads a path as the server prints those of values (MySQL manual, "JSON Path
// Syntax"): without wildcards, ranges and "last".
func jsonPath(b []byte) (legs []leg, err error) {
	bad := fmt.Errorf("path %.200q: %w", b, ErrMalformed)
	if len(b) == 0 || b[0] != '$' || !utf8.Valid(b) {
		return nil, bad
	}
	for b = b[1:]; len(b) > 0; {
		switch {
		case b[0] == '[':
			end := bytes.IndexByte(b, ']')
			if end < 0 {
				return nil, bad
			}
			n, err := strconv.ParseUint(string(b[1:end]), 10, 32)
			if err != nil {
				return nil, bad
			}
			legs, b = append(legs, leg{index: int(n)}), b[end+1:]
		case b[0] == '.' && len(b) > 1 && b[1] == '"':
			end := skipString(b, 1)
			var name string
			if end < 0 || json.Unmarshal(b[1:end], &name) != nil {
				return nil, bad
			}
			legs, b = append(legs, leg{member: appendJSONString(nil, []byte(name))}), b[end:]
		case b[0] == '.':
			end := bytes.IndexAny(b[1:], ".[")
			if end < 0 {
				end = len(b) - 1
			}
			if end == 0 {
				return nil, bad
			}
			legs, b = append(legs, leg{member: appendJSONString(nil, b[1:1+end])}), b[1+end:]
		default:
			return nil, bad
		}
	}
	return legs, nil
}
