// Package sample looks at a few rows of a source's tables for the form of personal data.
// It decides what a look may cost the server. Values stay in memory until their form is
// known; what it gives are hints without any (schema/personal).
package sample

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/capture/mysql"
	"github.com/tributary-cdc/tributary/capture/postgres"
	"github.com/tributary-cdc/tributary/schema/personal"
)

const (
	// ends is how many rows are read at each end of a table's primary key.
	ends = 50
	// cells bounds the values of one question: wide tables show fewer rows.
	cells = 10_000
	// letters bounds how much of a value leaves the server.
	letters = 200
)

// Options says which source to look at. One of MySQL and Postgres is set.
type Options struct {
	MySQL    *mysql.Options
	Postgres *postgres.Options
	// NamesOnly reads no row: columns are judged by name and comment.
	NamesOnly bool
	// Statement bounds one question about rows at the server, 100 ms to 1 min. Default 3 s.
	Statement time.Duration
	// All bounds the questions about rows together; tables beyond are judged by names.
	// Default 1 min.
	All time.Duration
}

func (o *Options) fill() error {
	if o.Statement == 0 {
		o.Statement = 3 * time.Second
	}
	if o.All == 0 {
		o.All = time.Minute
	}
	if o.Statement < 100*time.Millisecond || o.Statement > time.Minute || o.All < 0 {
		return fmt.Errorf("sample options: Statement must be 100ms to 1m and All above 0, not %s and %s", o.Statement, o.All)
	}
	if (o.MySQL == nil) == (o.Postgres == nil) {
		return errors.New("sample options: one of MySQL and Postgres must be set")
	}
	return nil
}

// Table is what a look at one has shown.
type Table struct {
	// Rows is how many were looked at; 0 if the table has none, may not be read, or took too
	// long.
	Rows  int
	Hints []personal.Hint
}

// column is one of a table, in its order.
type column struct {
	name, comment string
	text          bool // its values can have a form
}

// described is a table as the catalogue has it.
type described struct {
	from    string // its quoted name
	columns []column
	key     []string
}

// server asks a database for names, and for texts of rows.
type server interface {
	// describe gives the wanted tables by id.
	describe(ctx context.Context, wanted map[string]bool) (map[string]*described, error)
	// names lists the tables that the user can see, by id. It opens none.
	names(ctx context.Context) (map[string]bool, error)
	// bound makes questions about rows end by themselves.
	bound(ctx context.Context, limit time.Duration) error
	// rows asks; NULL is empty. ctx may end it only by ending the session.
	rows(ctx context.Context, sql string) ([][]string, error)
	quote(name string) string
	// text gives the beginning of a column's value as a text.
	text(quoted string) string
	close()
}

// Look gives what is suspected of the wanted tables, by their ids as preflight has them. A
// table that can't be read is judged by the names of its columns. ctx bounds it all.
func Look(ctx context.Context, o Options, ids []string) (map[string]Table, error) {
	s, tables, err := describe(ctx, &o, ids)
	if err != nil {
		return nil, err
	}
	defer s.close()
	reads := !o.NamesOnly && s.bound(ctx, o.Statement) == nil // a server that can't be bound isn't asked
	until := time.Now().Add(o.All)
	out := make(map[string]Table, len(ids))
	for _, id := range ids {
		d := tables[id]
		if d == nil { // it has gone since
			continue
		}
		var rows [][]string
		if reads && time.Now().Before(until) {
			rows = values(ctx, s, d)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		out[id] = judge(d, rows)
	}
	return out, nil
}

// describe opens a session and gives the tables of ids that are there.
func describe(ctx context.Context, o *Options, ids []string) (server, map[string]*described, error) {
	s, err := open(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	wanted := make(map[string]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
	}
	tables, err := s.describe(ctx, wanted)
	if err != nil {
		s.close()
		return nil, nil, err
	}
	return s, tables, nil
}

// open fills in what o leaves to us, and connects. On MySQL the session is closed once ctx
// ends, which ends what it waits for.
func open(ctx context.Context, o *Options) (server, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	if o.Postgres != nil {
		s, err := postgres.Open(ctx, *o.Postgres)
		if err != nil {
			return nil, err
		}
		return &postgresServer{s}, nil
	}
	s, err := mysql.Open(ctx, *o.MySQL)
	if err != nil {
		return nil, err
	}
	return newMySQL(ctx, s), nil
}

// texts are the columns whose values can have a form.
func (d *described) texts() (out []column) {
	for _, c := range d.columns {
		if c.text {
			out = append(out, c)
		}
	}
	return out
}

// values reads rows at both ends of the table's key, by its index; of a table without one
// the first that the server finds. What the server refuses is no value.
func values(ctx context.Context, s server, d *described) [][]string {
	texts := d.texts()
	if len(texts) == 0 {
		return nil
	}
	limit := max(1, min(ends, cells/len(texts)))
	var fields, keys []string
	for _, c := range texts {
		fields = append(fields, s.text(s.quote(c.name)))
	}
	for _, k := range d.key {
		keys = append(keys, s.quote(k))
	}
	sql := "SELECT " + strings.Join(fields, ", ") + " FROM " + d.from
	if len(keys) == 0 {
		rows, _ := s.rows(ctx, fmt.Sprintf("%s LIMIT %d", sql, 2*limit)) // an error's text may hold a value
		return rows
	}
	first, err := s.rows(ctx, fmt.Sprintf("%s ORDER BY %s LIMIT %d", sql, strings.Join(keys, ", "), limit))
	if err != nil || len(first) < limit {
		return first
	}
	last, _ := s.rows(ctx, fmt.Sprintf("%s ORDER BY %s DESC LIMIT %d", sql, strings.Join(keys, " DESC, "), limit)) // the first are enough
	return append(first, last...)
}

func judge(d *described, rows [][]string) Table {
	t := Table{Rows: len(rows)}
	at := 0
	for _, c := range d.columns {
		p := personal.Column{Name: c.name, Comment: c.comment}
		if c.text {
			for _, row := range rows {
				p.Values = append(p.Values, row[at])
			}
			at++
		}
		t.Hints = append(t.Hints, personal.Guess(p)...)
	}
	return t
}
