package schema

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Column is one column of a table version.
type Column struct {
	Name     string `json:"name"`
	Type     Type   `json:"type"`
	Nullable bool   `json:"nullable,omitempty"`
}

// Table is one version of a source's table. It is immutable once it is shared:
// readers hand out the same pointer for the same version, so that plans can be
// kept per pointer.
type Table struct {
	// Source is the id of the source that owns the table.
	Source string `json:"source"`
	// Dataset names the store's table. It defaults to Name.
	Dataset string `json:"dataset"`
	// Database is MySQL's schema or PostgreSQL's database.
	Database string `json:"database"`
	// Schema is PostgreSQL's schema; empty for MySQL and MariaDB.
	Schema string `json:"schema,omitempty"`
	// Name is the table's name at the source.
	Name string `json:"name"`
	// Columns in the order of the source's row images.
	Columns []Column `json:"columns"`
	// Key holds the indexes into Columns of the key, in the key's order.
	Key []int `json:"key"`
	// Append says that rows have no key: a store keeps the table's changes, each as
	// rows of its own, and not what the table holds. Key is nil then.
	Append bool `json:"append,omitempty"`
}

// ID gives the table's full name at its source: "database.table" or
// "database.schema.table".
func (t *Table) ID() string {
	if t.Schema != "" {
		return t.Database + "." + t.Schema + "." + t.Name
	}
	return t.Database + "." + t.Name
}

// Column returns the index of the named column, or -1.
func (t *Table) Column(name string) int {
	return slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == name })
}

// Without gives the table without some of its columns, and which columns of it are kept, by
// index; names that it hasn't, and columns of its key, are passed over. It gives the table
// itself, and nil, if there is nothing to leave out.
func (t *Table) Without(names []string) (rest *Table, keep []int) {
	copied := *t
	copied.Columns, copied.Key = nil, nil
	for i, c := range t.Columns {
		if slices.Contains(names, c.Name) && !t.IsKey(i) {
			continue
		}
		keep, copied.Columns = append(keep, i), append(copied.Columns, c)
	}
	if len(keep) == len(t.Columns) {
		return t, nil
	}
	for _, k := range t.Key {
		copied.Key = append(copied.Key, slices.Index(keep, k))
	}
	return &copied, keep
}

// IsKey reports whether column i is part of the key.
func (t *Table) IsKey(i int) bool { return slices.Contains(t.Key, i) }

// Version identifies a table version: the first 16 bytes of the SHA-256 of the
// table's JSON, as 32 hexadecimal digits. Equal tables have equal versions.
type Version string

// Version computes the table's version.
func (t *Table) Version() Version {
	b, err := json.Marshal(t)
	if err != nil { // only strings and integers stand in a Table
		panic(fmt.Sprintf("schema: table %s can't be written as JSON: %v", t.ID(), err))
	}
	sum := sha256.Sum256(b)
	return Version(hex.EncodeToString(sum[:16]))
}

// Validate reports what is wrong with a table: no column, a name twice or empty,
// no key (ErrNoKey), a key column out of range or twice, a key in append mode.
func (t *Table) Validate() error {
	if t.Name == "" || t.Source == "" || t.Dataset == "" {
		return fmt.Errorf("table %q of source %q with dataset %q: a name is empty", t.Name, t.Source, t.Dataset)
	}
	if len(t.Columns) == 0 {
		return fmt.Errorf("table %s: no columns", t.ID())
	}
	seen := make(map[string]bool, len(t.Columns))
	for _, c := range t.Columns {
		if name := strings.ToLower(c.Name); name == "" || seen[name] {
			return fmt.Errorf("table %s: column name %q is empty or stands twice", t.ID(), c.Name)
		}
		if c.Type.Kind == Invalid || int(c.Type.Kind) >= len(kindNames) {
			return fmt.Errorf("table %s: column %q has no type", t.ID(), c.Name)
		}
		seen[strings.ToLower(c.Name)] = true
	}
	if t.Append {
		if t.Key != nil {
			return fmt.Errorf("table %s: a key in append mode", t.ID())
		}
		return nil
	}
	if len(t.Key) == 0 {
		return fmt.Errorf("table %s: %w", t.ID(), ErrNoKey)
	}
	for n, i := range t.Key {
		if i < 0 || i >= len(t.Columns) || slices.Contains(t.Key[:n], i) {
			return fmt.Errorf("table %s: key column %d out of range or twice", t.ID(), i)
		}
	}
	return nil
}
