package console

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/sinks/postgres"
)

// tracing is the form and what it found.
type tracing struct {
	Stores            []string
	Store, Table, Key string
	Tables            []postgres.Dataset
	Asked             bool
	Found             []found
	Error             string
}

// found is the way of one row.
type found struct {
	Source, Row, Position, Op string
	Committed, Applied        moment
	Took                      string
	Batch                     postgres.TracedBatch
	TxnID, Command            string
}

// trace answers the form, if it was sent.
func (c *Console) trace(ctx context.Context, q url.Values, t words) tracing {
	f := tracing{Store: q.Get("store"), Table: strings.TrimSpace(q.Get("table")), Key: q.Get("key")}
	var viewer store
	for _, s := range c.o.Stores {
		f.Stores = append(f.Stores, s.Name)
		if s.Name == f.Store {
			viewer = s.Viewer
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if viewer == nil && len(c.o.Stores) > 0 && f.Store == "" {
		last := c.o.Stores[len(c.o.Stores)-1] // the furthest
		f.Store, viewer = last.Name, last.Viewer
	}
	if viewer == nil {
		return f
	}
	part := partOf(ctx)
	if tables, err := viewer.Datasets(ctx, part.topics()); err == nil { // only what the form offers
		f.Tables = tables
	}
	if f.Table == "" || strings.TrimSpace(f.Key) == "" {
		return f
	}
	f.Asked = true
	key, err := keyOf(f.Key)
	if err != nil {
		f.Error = err.Error()
		return f
	}
	if part != nil && !named(f.Tables, f.Table) { // whether others have it isn't told
		return f
	}
	rows, err := viewer.Trace(ctx, f.Table, key)
	if err != nil {
		f.Error = err.Error()
	}
	rows = part.cut(rows)
	for i := range rows {
		rows[i].Committed, rows[i].Applied = rows[i].Committed.In(c.o.Zone), rows[i].Applied.In(c.o.Zone)
		f.Found = append(f.Found, foundOf(&rows[i], t))
	}
	return f
}

func foundOf(r *postgres.Trace, t words) found {
	x := found{Source: r.Source, Row: string(r.Row), Position: r.Position.String(), Op: r.Op, Committed: clock(r.Committed), Applied: clock(r.Applied),
		Took: seconds(max(0, r.Applied.Sub(r.Committed).Seconds())) + " s", Batch: r.Batch, TxnID: r.TxnID, Command: r.Command()}
	var b bytes.Buffer
	if json.Indent(&b, r.Row, "", "  ") == nil {
		x.Row = b.String()
	}
	if name, ok := t.Ops[r.Op]; ok {
		x.Op = fmt.Sprintf("%s (%s)", name, r.Op)
	}
	return x
}

// keyOf splits a key's values as a line of CSV (RFC 4180), so that a value may hold a
// comma within quotes.
func keyOf(text string) ([]string, error) {
	r := csv.NewReader(strings.NewReader(strings.TrimSpace(text)))
	r.TrimLeadingSpace = true
	return r.Read()
}
