package sample

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/capture/postgres"
)

// postgresServer is a session at a PostgreSQL server.
type postgresServer struct{ s *postgres.Session }

func (p *postgresServer) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	p.s.Close(ctx)
}

// askColumns describes columns: those of text, and of numbers and documents that may hold
// one. The place in the primary key is 0 for those outside of it.
const askColumns = `SELECT n.nspname, c.relname, a.attname, coalesce(col_description(c.oid, a.attnum), ''),
	t.typcategory = 'S' OR a.atttypid IN ('int8'::regtype, 'numeric'::regtype, 'json'::regtype, 'jsonb'::regtype),
	coalesce((SELECT array_position(i.indkey::int[], a.attnum::int) - array_lower(i.indkey::int[], 1) + 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary), 0)
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
	WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' ORDER BY 1, 2, a.attnum`

func (p *postgresServer) describe(ctx context.Context, wanted map[string]bool) (map[string]*described, error) {
	rows, err := p.s.Rows(ctx, "describe columns", askColumns)
	if err != nil {
		return nil, err
	}
	out := map[string]*described{}
	places := map[*described]map[string]string{}
	for _, row := range rows {
		id := row[0] + "." + row[1]
		if !wanted[id] {
			continue
		}
		d := out[id]
		if d == nil {
			d = &described{from: p.quote(row[0]) + "." + p.quote(row[1])}
			out[id], places[d] = d, map[string]string{}
		}
		d.columns = append(d.columns, column{row[2], row[3], row[4] == "t"})
		places[d][row[5]] = row[2]
	}
	for d, by := range places {
		delete(by, "0")
		for n := 1; by[fmt.Sprint(n)] != ""; n++ {
			d.key = append(d.key, by[fmt.Sprint(n)])
		}
	}
	return out, nil
}

func (p *postgresServer) names(ctx context.Context) (map[string]bool, error) {
	rows, err := p.s.Rows(ctx, "list tables", `SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')`)
	out := make(map[string]bool, len(rows))
	for _, row := range rows {
		out[row[0]+"."+row[1]] = true
	}
	return out, err
}

func (p *postgresServer) bound(ctx context.Context, limit time.Duration) error {
	_, err := p.s.Rows(ctx, "bound statements", fmt.Sprintf("SET statement_timeout = %d; SET lock_timeout = 1000; SET default_transaction_read_only = on", limit.Milliseconds()))
	return err
}

func (p *postgresServer) rows(ctx context.Context, sql string) ([][]string, error) {
	return p.s.Rows(ctx, "look at values", sql)
}

func (p *postgresServer) quote(name string) string { return pgx.Identifier{name}.Sanitize() }

func (p *postgresServer) text(quoted string) string {
	return fmt.Sprintf("left(%s::text, %d)", quoted, letters)
}
