package oracle

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Column is a column with the family of its type (see Canonical).
type Column struct{ Name, Family string }

// Table is a table of a source and the store's table that should have its rows.
type Table struct {
	// Source and Store are the tables' names, quoted as their servers want it.
	Source, Store string
	// ID is the source's id, by which the store tells rows of several sources apart.
	ID string
	// Postgres is for a source in PostgreSQL; else it is MySQL or MariaDB.
	Postgres bool
	Columns  []Column // all of them
	Key      []string // names of the key's columns
}

// Difference is a row that one side lacks, or a value that differs.
type Difference struct {
	Table string
	Key   string // canonical, its columns separated by |
	// Column is empty if a side lacks the whole row.
	Column        string
	Source, Store string // canonical values, ~ for NULL
}

// String tells it to people.
func (d Difference) String() string {
	if d.Column == "" {
		return fmt.Sprintf("%s, key %s: %s", d.Table, d.Key, map[bool]string{true: "only in the store", false: "not in the store"}[d.Source == ""])
	}
	return fmt.Sprintf("%s, key %s, column %s: %.200s, want %.200s", d.Table, d.Key, d.Column, d.Store, d.Source)
}

// null stands for NULL; no canonical text has it.
const null = "~"

// sides are the expressions of all columns, and of the key, on both sides.
type sides struct {
	source, store       []string
	sourceKey, storeKey string
}

func (t *Table) sides() (s sides) {
	var sourceKey, storeKey []string
	for _, c := range t.Columns {
		a, b := Canonical(c.Family, c.Name)
		if slices.Contains(t.Key, c.Name) {
			sourceKey, storeKey = append(sourceKey, a), append(storeKey, b)
		}
		s.source, s.store = append(s.source, "COALESCE("+a+", '"+null+"')"), append(s.store, "COALESCE("+b+", '"+null+"')")
	}
	s.sourceKey, s.storeKey = "CONCAT_WS('|', "+strings.Join(sourceKey, ", ")+")", "CONCAT_WS('|', "+strings.Join(storeKey, ", ")+")"
	return s
}

// digest is what a side says of the rows of a bucket: how many there are, and the sum
// of 60 bits of each one's hash.
type digest struct {
	rows int64
	sum  string
}

// Compare compares all rows and columns of a table: by digests of buckets on both
// servers at once, then, where these differ, value by value. It gives the rows of the
// source and about as many differences as are wanted. Nobody may write meanwhile.
func (t *Table) Compare(ctx context.Context, source, store *sql.DB, most int) (rows int64, all []Difference, err error) {
	if err := source.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+t.Source).Scan(&rows); err != nil {
		return 0, nil, fmt.Errorf("count the rows of %s: %w", t.Source, err)
	}
	if rows == 0 { // a store has no table before its first row
		var there bool
		if err := store.QueryRowContext(ctx, "SELECT to_regclass($1) IS NOT NULL", t.Store).Scan(&there); err != nil || !there {
			return 0, nil, err
		}
	}
	digits := 0
	for n := rows; n > 1000 && digits < 4; n /= 16 {
		digits++
	}
	s := t.sides()
	var want, got map[string]digest
	g, both := errgroup.WithContext(ctx)
	const postgres = "SELECT left(k, %d) b, count(*), sum(('x' || left(h, 15))::bit(60)::bigint)::text FROM (SELECT %s k, %s h FROM %s) x GROUP BY b"
	g.Go(func() (err error) {
		if t.Postgres {
			want, err = digests(both, source, fmt.Sprintf(postgres, digits, t.hashed(s.sourceKey), t.hashed(joined(s.source)), t.Source))
			return err
		}
		want, err = digests(both, source, fmt.Sprintf("SELECT LEFT(k, %d) b, COUNT(*), CAST(SUM(CAST(CONV(LEFT(h, 15), 16, 10) AS UNSIGNED)) AS CHAR) FROM (SELECT SHA2(%s, 256) k, SHA2(CONCAT_WS('|', %s), 256) h FROM %s) x GROUP BY b",
			digits, s.sourceKey, strings.Join(s.source, ", "), t.Source))
		return err
	})
	g.Go(func() (err error) {
		got, err = digests(both, store, fmt.Sprintf(postgres, digits, t.hashed(s.storeKey), t.hashed(joined(s.store)), t.Store+" WHERE _source = '"+t.ID+"'"))
		return err
	})
	if err := g.Wait(); err != nil {
		return rows, nil, fmt.Errorf("compare %s: %w", t.Source, err)
	}
	for b := range got {
		if _, ok := want[b]; !ok {
			want[b] = digest{} // nothing is wanted there
		}
	}
	for b, d := range want {
		if got[b] == d {
			continue
		}
		more, err := t.bucket(ctx, source, store, &s, b)
		if all = append(all, more...); err != nil || len(all) >= most {
			return rows, all, err
		}
	}
	return rows, all, nil
}

// hashed gives PostgreSQL's hash of a text, in hexadecimal, that the source has as well:
// MySQL 9.7 has no MD5, PostgreSQL 10 nothing else.
func (t *Table) hashed(text string) string {
	if t.Postgres {
		return "md5(" + text + ")"
	}
	return "encode(sha256(convert_to(" + text + ", 'UTF8')), 'hex')"
}

// joined is CONCAT_WS for more columns than a function of PostgreSQL takes arguments.
func joined(parts []string) string { return strings.Join(parts, " || '|' || ") }

func digests(ctx context.Context, db *sql.DB, query string) (map[string]digest, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // read to the end, or failed already
	out := map[string]digest{}
	for rows.Next() {
		var bucket string
		var d digest
		if err := rows.Scan(&bucket, &d.rows, &d.sum); err != nil {
			return nil, err
		}
		out[bucket] = d
	}
	return out, rows.Err()
}

// bucket compares the rows of a bucket value by value. One whose digests differ and
// whose values don't is a fault of this package.
func (t *Table) bucket(ctx context.Context, source, store *sql.DB, s *sides, bucket string) (all []Difference, err error) {
	hashed := "SHA2(" + s.sourceKey + ", 256)"
	if t.Postgres {
		hashed = t.hashed(s.sourceKey)
	}
	want, err := images(ctx, source, fmt.Sprintf("SELECT %s, %s FROM %s WHERE LEFT(%s, %d) = '%s'", s.sourceKey, strings.Join(s.source, ", "), t.Source, hashed, len(bucket), bucket))
	if err != nil {
		return nil, fmt.Errorf("read rows of %s: %w", t.Source, err)
	}
	got, err := images(ctx, store, fmt.Sprintf("SELECT %s, %s FROM %s WHERE _source = '%s' AND left(%s, %d) = '%s'", s.storeKey, strings.Join(s.store, ", "), t.Store, t.ID, t.hashed(s.storeKey), len(bucket), bucket))
	if err != nil {
		return nil, fmt.Errorf("read rows of %s: %w", t.Store, err)
	}
	for key, w := range want {
		g, ok := got[key]
		if !ok {
			all = append(all, Difference{Table: t.Source, Key: key, Source: "a row"})
			continue
		}
		for i := range w {
			if w[i] != g[i] {
				all = append(all, Difference{Table: t.Source, Key: key, Column: t.Columns[i].Name, Source: w[i], Store: g[i]})
			}
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			all = append(all, Difference{Table: t.Source, Key: key, Store: "a row"})
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("table %s, bucket %q: digests differ, and no value does", t.Source, bucket)
	}
	return all, nil
}

// images gives the canonical values of rows by their keys.
func images(ctx context.Context, db *sql.DB, query string) (map[string][]string, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // read to the end, or failed already
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for rows.Next() {
		values, into := make([]string, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		if _, twice := out[values[0]]; twice {
			return nil, fmt.Errorf("key %q stands twice", values[0])
		}
		out[values[0]] = values[1:]
	}
	return out, rows.Err()
}

// Unheld counts the values of the source, column by column, that no store can hold: each
// must be NULL there and have left a trace.
func (t *Table) Unheld(ctx context.Context, source *sql.DB) (map[string]int64, error) {
	var names, counts []string
	for _, c := range t.Columns {
		if c.Family == "text" || c.Family == "date" || c.Family == "datetime" {
			a, _ := Canonical(c.Family, c.Name)
			names, counts = append(names, c.Name), append(counts, "COALESCE(SUM(`"+c.Name+"` IS NOT NULL AND "+a+" IS NULL), 0)")
		}
	}
	out := map[string]int64{}
	if len(names) == 0 {
		return out, nil
	}
	values, into := make([]int64, len(names)), make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	if err := source.QueryRowContext(ctx, "SELECT "+strings.Join(counts, ", ")+" FROM "+t.Source).Scan(into...); err != nil {
		return nil, fmt.Errorf("count what no store holds of %s: %w", t.Source, err)
	}
	for i, n := range values {
		if n > 0 {
			out[names[i]] = n
		}
	}
	return out, nil
}
