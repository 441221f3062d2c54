package schema

import (
	"fmt"
	"slices"
	"strings"
)

// Holds reports whether a column of type t has room for each value of type u, as the same
// value: the table of widenings. CHANGES.md shows it.
func (t Type) Holds(u Type) bool {
	switch {
	case t.Kind == Decimal && (u.Kind == Decimal || integers[u.Kind].digits > 0):
		return t.holdsDecimal(u)
	case t.Kind == u.Kind:
		return t.holdsSame(u)
	case integers[t.Kind].digits > 0 && integers[u.Kind].digits > 0:
		a, b := integers[t.Kind], integers[u.Kind]
		return a.bits > b.bits && (a.signed || !b.signed)
	case t.Kind == Float64:
		return u.Kind == Float32
	case t.Kind == String && (u.Kind == Enum || u.Kind == Set):
		n := 0
		for _, l := range u.Labels {
			if u.Kind == Enum {
				n = max(n, len([]rune(l)))
			} else {
				n += len([]rune(l)) + 1
			}
		}
		return t.Length == 0 || t.Length >= n
	}
	return false
}

// integers are the integer kinds: bits, and digits of the largest value.
var integers = map[Kind]struct {
	bits, digits int
	signed       bool
}{
	Int8: {8, 3, true}, Int16: {16, 5, true}, Int32: {32, 10, true}, Int64: {64, 19, true},
	Uint8: {8, 3, false}, Uint16: {16, 5, false}, Uint32: {32, 10, false}, Uint64: {64, 20, false},
}

func (t Type) holdsDecimal(u Type) bool {
	if t.Precision == 0 {
		return true
	}
	whole, scale := integers[u.Kind].digits, 0
	if u.Kind == Decimal {
		whole, scale = u.Precision-u.Scale, u.Scale
		if u.Precision == 0 {
			return false
		}
	}
	return t.Precision-t.Scale >= whole && t.Scale >= scale
}

// holdsSame compares the parameters of two types of one kind.
func (t Type) holdsSame(u Type) bool {
	switch t.Kind {
	case String, Bytes:
		return t.Length == 0 || u.Length > 0 && t.Length >= u.Length
	case Bit:
		return t.Length == 0 || t.Length >= u.Length
	case Time, DateTime, Timestamp, Interval:
		return t.Precision >= u.Precision && (t.Wide || !u.Wide)
	case Enum, Set:
		return !slices.ContainsFunc(u.Labels, func(l string) bool { return !slices.Contains(t.Labels, l) })
	case Array:
		return t.Elem != nil && u.Elem != nil && t.Elem.Holds(*u.Elem)
	case Text:
		return t.Native == u.Native
	}
	return true
}

// Lossy says what of a change from one version of a table to a later one can't be
// followed without losing something: a column that has less room or another type, another
// key. Each is a text for people, e.g. `column "n": int64 → int32`. A column that is
// gone, new, or moved loses nothing: what the store has of it stays.
func Lossy(from, to *Table) (out []string) {
	for _, c := range to.Columns {
		i := from.Column(c.Name)
		if i < 0 {
			continue
		}
		if was := from.Columns[i].Type; !c.Type.Holds(was) {
			out = append(out, fmt.Sprintf("column %q: %s → %s", c.Name, was.described(), c.Type.described()))
		}
	}
	return append(out, rekeyed(from, to)...)
}

// Reshaped says how the columns and the key of a version differ from those of an earlier one,
// each as a text for people, e.g. `new column "n": int64`. The order of the columns and
// whether they may be NULL don't count: a store's table is the same with either.
func Reshaped(from, to *Table) (out []string) {
	for _, c := range to.Columns {
		i := from.Column(c.Name)
		if i < 0 {
			out = append(out, fmt.Sprintf("new column %q: %s", c.Name, c.Type.described()))
		} else if was, now := from.Columns[i].Type.described(), c.Type.described(); was != now {
			out = append(out, fmt.Sprintf("column %q: %s → %s", c.Name, was, now))
		}
	}
	for _, c := range from.Columns {
		if to.Column(c.Name) < 0 {
			out = append(out, fmt.Sprintf("column %q is gone: %s", c.Name, c.Type.described()))
		}
	}
	return append(out, rekeyed(from, to)...)
}

// Differences says how the columns and the key of a version differ from those of an earlier one,
// in signs that need no language, e.g. `+ "n" int64`, `- "n" int64`, `"n" int32 → int64`,
// `"n" NULL → NOT NULL` and `key (a) → (a, b)`. The order of the columns doesn't count.
func Differences(from, to *Table) (out []string) {
	null := map[bool]string{true: "NULL", false: "NOT NULL"}
	for _, c := range to.Columns {
		i := from.Column(c.Name)
		if i < 0 {
			out = append(out, fmt.Sprintf("+ %q %s", c.Name, c.Type.described()))
			continue
		}
		was := from.Columns[i]
		a, b := was.Type.described(), c.Type.described()
		if a == b { // only the source tells them apart, e.g. text and mediumtext
			a, b = was.Type.Native, c.Type.Native
		}
		if a != b {
			out = append(out, fmt.Sprintf("%q %s → %s", c.Name, a, b))
		}
		if was.Nullable != c.Nullable {
			out = append(out, fmt.Sprintf("%q %s → %s", c.Name, null[was.Nullable], null[c.Nullable]))
		}
	}
	for _, c := range from.Columns {
		if to.Column(c.Name) < 0 {
			out = append(out, fmt.Sprintf("- %q %s", c.Name, c.Type.described()))
		}
	}
	if was, now := from.keyNames(), to.keyNames(); !slices.Equal(was, now) {
		out = append(out, fmt.Sprintf("key (%s) → (%s)", strings.Join(was, ", "), strings.Join(now, ", ")))
	}
	return out
}

func rekeyed(from, to *Table) []string {
	if was, now := from.keyNames(), to.keyNames(); !slices.Equal(was, now) {
		return []string{fmt.Sprintf("key: (%s) → (%s)", strings.Join(was, ", "), strings.Join(now, ", "))}
	}
	return nil
}

// described is String with what else tells two types apart.
func (t Type) described() string {
	if t.Kind == Enum || t.Kind == Set {
		return fmt.Sprintf("%s(%s)", t.Kind, strings.Join(t.Labels, ","))
	}
	return t.String()
}

func (t *Table) keyNames() []string {
	out := make([]string, len(t.Key))
	for n, i := range t.Key {
		out[n] = t.Columns[i].Name
	}
	return out
}
