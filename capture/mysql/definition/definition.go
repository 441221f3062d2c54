// Package definition follows the definitions of MySQL's and MariaDB's tables from statement
// to statement, as a server's log has them. It decides which columns and keys a table has
// after a statement, and refuses a statement that it doesn't understand or that doesn't fit
// the table. It knows no server, no log and no rows.
package definition

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tributary-cdc/tributary/capture/mysql/rowimage"
)

// ErrRefused reports a statement whose effect isn't known for sure.
var ErrRefused = errors.New("statement not followed")

// Nulls says whether a column may be NULL.
type Nulls uint8

// The kinds of columns.
const (
	Nullable Nulls = iota
	NotNull
	// Either is a TIMESTAMP that was declared with neither: explicit_defaults_for_timestamp
	// decides, which the log has not.
	Either
)

// Column is a column of a table. Type is its COLUMN_TYPE in information_schema, as far as
// it has a meaning to the log: no display widths.
type Column struct {
	Name    string `json:"n"`
	Type    string `json:"t"`
	Charset string `json:"c,omitempty"`
	Nulls   Nulls  `json:"z,omitempty"`
	// Virtual says that the column is computed when it is read.
	Virtual bool `json:"v,omitempty"`
}

// Info gives the column as the catalogue would.
func (c *Column) Info() rowimage.Info {
	return rowimage.Info{DataType: c.kind(), ColumnType: c.Type, Charset: c.Charset}
}

// kind is the type's first word.
func (c *Column) kind() string {
	if end := strings.IndexAny(c.Type, "( "); end >= 0 {
		return c.Type[:end]
	}
	return c.Type
}

// Part is a column of a key. Length is that of a prefix, in characters or bytes; 0 is all
// of the column.
type Part struct {
	Column string `json:"c"`
	Length int    `json:"l,omitempty"`
}

// Key is an index. An index on an expression has no column for it.
type Key struct {
	Name   string `json:"n"`
	Unique bool   `json:"u,omitempty"`
	Parts  []Part `json:"p"`
	// Expression says that a part is an expression.
	Expression bool `json:"e,omitempty"`
}

// primary is the name of each primary key.
const primary = "PRIMARY"

// Table is a table's definition. Whoever holds one doesn't change it.
type Table struct {
	Charset string   `json:"d,omitempty"` // of columns that don't name one
	Columns []Column `json:"c"`
	Keys    []Key    `json:"k,omitempty"`
}

// New gives the definition of a table that exists. It refuses one whose keys name columns
// that it doesn't have.
func New(charset string, columns []Column, keys []Key) (*Table, error) {
	t := &Table{Charset: charset, Columns: columns, Keys: keys}
	return t, t.Check()
}

// Check refuses a definition that no table has.
func (t *Table) Check() error {
	if len(t.Columns) == 0 {
		return fmt.Errorf("%w: a table without columns", ErrRefused)
	}
	for i := range t.Keys {
		for _, p := range t.Keys[i].Parts {
			if t.column(p.Column) < 0 {
				return fmt.Errorf("%w: a key of column %q, which isn't there", ErrRefused, p.Column)
			}
		}
	}
	return nil
}

func (t *Table) clone() *Table {
	out := &Table{Charset: t.Charset, Columns: slices.Clone(t.Columns), Keys: slices.Clone(t.Keys)}
	for i := range out.Keys {
		out.Keys[i].Parts = slices.Clone(out.Keys[i].Parts)
	}
	return out
}

// column finds a column; -1 if there is none.
func (t *Table) column(name string) int { return find(t.Columns, name) }

func find(columns []Column, name string) int {
	return slices.IndexFunc(columns, func(c Column) bool { return strings.EqualFold(c.Name, name) })
}

// Primary reports whether the table has a primary key.
func (t *Table) Primary() bool {
	return slices.ContainsFunc(t.Keys, func(k Key) bool { return k.Name == primary })
}

// Key gives the places of the columns by which the server itself knows a table's rows: the
// primary key, else the first unique one of whole columns that are NOT NULL; nil if there
// is none.
func (t *Table) Key() (columns []int) {
	for i := range t.Keys {
		if k := &t.Keys[i]; k.Name == primary || t.usable(k) {
			for _, p := range k.Parts {
				columns = append(columns, t.column(p.Column))
			}
			return columns
		}
	}
	return nil
}

func (t *Table) usable(k *Key) bool {
	return k.Unique && !k.Expression && !slices.ContainsFunc(k.Parts, func(p Part) bool {
		return p.Length != 0 || t.Columns[t.column(p.Column)].Nulls != NotNull
	})
}

// settle brings the table into the form that the server gives it at a statement's end.
func (t *Table) settle() {
	for i := range t.Keys {
		for n := range t.Keys[i].Parts {
			p := &t.Keys[i].Parts[n]
			c := &t.Columns[t.column(p.Column)]
			p.Column = c.Name
			if t.Keys[i].Name == primary {
				c.Nulls = NotNull
			}
			if kind := c.kind(); c.length() > 0 && p.Length >= c.length() || c.length() == 0 && !strings.HasSuffix(kind, "text") && !strings.HasSuffix(kind, "blob") {
				p.Length = 0
			}
		}
	}
	// The server keeps primary key, unique keys without NULL, whole ones first (MySQL,
	// sql_table.cc, sort_keys), and makes the next table's from these.
	slices.SortStableFunc(t.Keys, func(a, b Key) int { return cmp.Compare(t.rank(&a), t.rank(&b)) })
}

func (t *Table) rank(k *Key) int {
	rank := 0
	switch {
	case k.Name == primary:
		return 0
	case !k.Unique:
		return 9
	}
	for _, p := range k.Parts {
		c := &t.Columns[t.column(p.Column)]
		if kind := c.kind(); p.Length != 0 || strings.HasSuffix(kind, "text") || strings.HasSuffix(kind, "blob") { // MariaDB hashes these as a whole
			rank |= 1
		}
		if c.Nulls != NotNull {
			rank |= 2
		}
	}
	return 1 + rank
}

// length is the declared length of a string; 0 for other types.
func (c *Column) length() int {
	switch c.kind() {
	case "char", "varchar", "binary", "varbinary":
		n, _ := argument(c.Type) // 0 without one
		return n
	}
	return 0
}

// argument reads the number in a type's parentheses.
func argument(typ string) (n int, ok bool) {
	_, rest, _ := strings.Cut(typ, "(")
	for _, c := range []byte(rest) {
		if c < '0' || c > '9' {
			break
		}
		n, ok = n*10+int(c-'0'), true
	}
	return n, ok
}

// Charset gives the character set of a collation, by the names that both servers give them;
// empty for one that is only named within its character set.
func Charset(collation string) string {
	name, _, _ := strings.Cut(strings.ToLower(collation), "_")
	return Canonical(name)
}

// Canonical gives a character set one name, or nothing if it isn't one.
func Canonical(charset string) string {
	charset = strings.ToLower(charset)
	if charset == "utf8" {
		return "utf8mb3"
	}
	if charset == "utf8mb3" || slices.Contains(charsets, charset) {
		return charset
	}
	return ""
}

// charsets are those of both servers beside utf8.
var charsets = []string{"utf8mb4", "ascii", "latin1", "binary", "gbk", "gb18030", "gb2312", "big5", "ucs2", "utf16", "utf16le", "utf32",
	"armscii8", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866", "cp932", "dec8", "eucjpms", "euckr", "geostd8", "greek", "hebrew", "hp8", "keybcs2",
	"koi8r", "koi8u", "latin2", "latin5", "latin7", "macce", "macroman", "sjis", "swe7", "tis620", "ujis"}
