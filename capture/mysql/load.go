package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-mysql-org/go-mysql/client"
	gomysql "github.com/go-mysql-org/go-mysql/mysql"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/mysql/rowimage"
	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// loader implements snapshot.Source.
type loader struct {
	r     *Reader      // with a session of its own, for the catalogue
	data  *client.Conn // for the rows: text comes in the columns' character sets
	in    *answers     // of data
	plans map[*schema.Table]*rowimage.TextPlan
	// executed is the GTID set of what the stream had delivered before it began.
	executed string
	// owned are transactions of before a first start that couldn't be seen then.
	owned []string
	// settled says that owned has what could have been passed over, see Delivered.Unnamed.
	settled bool
}

// Source connects to the reader's server to load tables. It may be called at any time; a
// table can be read after Start.
func (r *Reader) Source(ctx context.Context) (snapshot.Source, error) {
	aux, err := New(r.o)
	if err != nil {
		return nil, err
	}
	aux.additions.Reset(r.additions.List())
	b := r.begun.Load()
	if b == nil { // not started yet
		b = &beginning{}
	}
	l := &loader{r: aux, plans: map[*schema.Table]*rowimage.TextPlan{}, executed: b.executed, owned: b.owned}
	if aux.sql, err = aux.connect(ctx); err == nil {
		defer interrupt(ctx, aux.sql)()
		if err = aux.probe(); err == nil {
			err = l.open(ctx)
		}
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// interrupt ends a query under way by closing its connection once ctx ends, until the
// returned function is called.
func interrupt(ctx context.Context, c *client.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = c.Close() }) // the query itself tells what happened
}

func (r *Reader) connect(ctx context.Context, options ...client.Option) (*client.Conn, error) {
	c, err := r.dial(ctx, options...)
	if err != nil {
		return nil, connection("connect to "+r.addr(), err)
	}
	return c, nil
}

// open makes the session that reads rows.
func (l *loader) open(ctx context.Context) (err error) {
	if l.data, err = l.r.connect(ctx, plainAnswers); err != nil {
		return err
	}
	l.in = newAnswers(l.data)
	for _, sql := range []string{"SET SESSION time_zone = '+00:00'", "SET NAMES utf8mb4", "SET SESSION character_set_results = NULL",
		"SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SET SESSION sql_mode = ''"} {
		if _, err := l.data.Execute(sql); err != nil {
			return connection("set the session", err)
		}
	}
	return nil
}

// Close implements snapshot.Source.
func (l *loader) Close() error {
	if l.data != nil {
		_ = l.data.Close() // only read from
		l.data = nil
	}
	return l.r.Close()
}

// Tables implements snapshot.Source.
func (l *loader) Tables(ctx context.Context) ([]snapshot.Table, error) {
	defer interrupt(ctx, l.r.sql)()
	if err := l.r.list(); err != nil {
		return nil, err
	}
	counts, err := l.r.query("estimate the tables' sizes", sizes)
	if err != nil {
		return nil, err
	}
	return l.tables(slices.DeleteFunc(counts, func(row []string) bool { return !l.r.known[row[0]+"."+row[1]] }))
}

const sizes = "SELECT TABLE_SCHEMA, TABLE_NAME, COALESCE(TABLE_ROWS, -1) FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE'"

// Table implements snapshot.Describer. The server finds a table quickly if both of its
// names are given; where they meet isn't told by the ID if a name has a dot.
func (l *loader) Table(ctx context.Context, id string) ([]snapshot.Table, error) {
	defer interrupt(ctx, l.r.sql)()
	if !l.r.wanted(id) {
		return nil, nil
	}
	var counts [][]string
	for at := range id {
		if id[at] != '.' {
			continue
		}
		rows, err := l.r.query("estimate the size of "+id, sizes+" AND TABLE_SCHEMA = ? AND TABLE_NAME = ?", id[:at], id[at+1:])
		if err != nil {
			return nil, err
		}
		counts = append(counts, rows...)
	}
	return l.tables(counts)
}

// tables describes tables by rows of sizes.
func (l *loader) tables(counts [][]string) (out []snapshot.Table, err error) {
	parents, err := l.parents()
	if err != nil {
		return nil, err
	}
	for _, row := range counts {
		name := row[0] + "." + row[1]
		t, cols, refused, err := l.describe(row[0], row[1])
		if err != nil {
			return nil, err
		}
		if refused != "" {
			out = append(out, snapshot.Table{ID: name, Refused: refused})
			continue
		}
		n, err := strconv.ParseInt(row[2], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("size of table %s: %w", name, err)
		}
		plan, err := rowimage.CompileText(t, cols)
		if err != nil {
			return nil, err
		}
		l.plans[t] = plan
		out = append(out, snapshot.Table{ID: name, Schema: t, Rows: n, Parents: parents[name]})
	}
	return out, nil
}

// describe gives a table as the catalogue has it, or says why it can't be captured.
func (l *loader) describe(database, name string) (t *schema.Table, cols []rowimage.Column, refused string, err error) {
	d, err := l.r.fromCatalogue(database, name, nil)
	if err != nil {
		return nil, nil, "", err
	}
	if t = l.r.table(database, name, &d); d.bad == "" {
		if verr := t.Validate(); verr != nil {
			d.bad = verr.Error()
		}
	}
	return t, d.columns, d.bad, nil
}

// parents gives for each table those whose deletes and key changes InnoDB hands on to
// it, over any number of steps (MySQL manual, "FOREIGN KEY Constraints": such changes
// aren't in the binary log).
func (l *loader) parents() (map[string][]string, error) {
	keys, err := l.r.cascades()
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for _, k := range keys {
		child := k.Database + "." + k.Table
		out[child] = append(out[child], k.ParentDatabase+"."+k.Parent)
	}
	for grown := true; grown; {
		grown = false
		for child, parents := range out {
			for _, p := range parents {
				for _, g := range out[p] {
					if !slices.Contains(out[child], g) {
						out[child], grown = append(out[child], g), true
					}
				}
			}
		}
	}
	return out, nil
}

// Read implements snapshot.Source.
func (l *loader) Read(ctx context.Context, r snapshot.Request) (*snapshot.Chunk, error) {
	if l.data == nil {
		if err := l.open(ctx); err != nil {
			return nil, err
		}
	}
	plan := l.plans[r.Table]
	if plan == nil {
		return nil, fmt.Errorf("table %s wasn't described on this connection: %w", r.Table.ID(), snapshot.ErrTable)
	}
	defer interrupt(ctx, l.data)()
	if err := l.settle(r.Delivered); err != nil {
		return nil, err
	}
	high, err := l.begin(r.Delivered)
	if err != nil {
		return nil, errors.Join(err, l.end())
	}
	c, free, err := l.rows(plan, &r)
	if err != nil || !free { // what is left of the answer would come first
		_ = l.data.Close() // only read from
		l.data = nil
	}
	if err != nil {
		return nil, l.refused(r.Table, err)
	}
	if err := l.end(); err != nil {
		return nil, err
	}
	if !l.r.mariadb { // everything that the view shows stands in the log by now
		if high, _, err = l.r.end(); err != nil {
			return nil, err
		}
	}
	c.High = high
	return c, nil
}

func (l *loader) refused(t *schema.Table, err error) error {
	var me *gomysql.MyError
	if errors.As(err, &me) && (me.Code == gomysql.ER_NO_SUCH_TABLE || me.Code == gomysql.ER_BAD_FIELD_ERROR) {
		return fmt.Errorf("read table %s: %w: %w: %w", t.ID(), snapshot.ErrTable, capture.ErrConnection, err)
	}
	if errors.Is(err, rowimage.ErrMalformed) && !errors.Is(err, snapshot.ErrTable) {
		return fmt.Errorf("read table %s: %w", t.ID(), err)
	}
	return connection("read table "+t.ID(), err)
}

func (l *loader) end() error {
	if l.data == nil {
		return nil
	}
	if _, err := l.data.Execute("ROLLBACK"); err != nil {
		return connection("end the view", err)
	}
	return nil
}

// begin opens a view that shows what was delivered, or fails with ErrView.
func (l *loader) begin(d snapshot.Delivered) (high event.Place, err error) {
	if !l.r.mariadb {
		if err := l.visible(d); err != nil {
			return high, err
		}
	}
	if _, err := l.data.Execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"); err != nil {
		return high, connection("open a view", err)
	}
	if !l.r.mariadb {
		return high, nil
	}
	// MariaDB says at which place of its log the view was taken (Knowledge Base,
	// "Enhancements for START TRANSACTION WITH CONSISTENT SNAPSHOT").
	res, err := l.data.Execute("SHOW STATUS LIKE 'binlog_snapshot_%'")
	if err != nil {
		return high, connection("read the view's place", err)
	}
	defer res.Close()
	for i := range res.RowNumber() {
		name, _ := res.GetString(i, 0)
		value, _ := res.GetString(i, 1)
		switch strings.ToLower(name) {
		case "binlog_snapshot_file":
			if _, high.File, err = parseFile(value); err != nil {
				return high, err
			}
		case "binlog_snapshot_position":
			if high.Offset, err = strconv.ParseUint(value, 10, 64); err != nil {
				return high, fmt.Errorf("the view's place %q: %w", value, err)
			}
		}
	}
	if high.File == 0 || high.Offset == 0 {
		return high, &capture.Coded{Code: "MYSQL_NO_VIEW_PLACE", Hint: "load the tables from a server that writes a binary log itself",
			Err: fmt.Errorf("the server doesn't say at which place of its log a view was taken: %w", capture.ErrSettings)}
	}
	if high.Compare(d.Place) < 0 {
		return high, fmt.Errorf("view at %s, delivered up to %s: %w", high, d.Place, snapshot.ErrView)
	}
	return high, nil
}

// visible compares what was delivered with what MySQL has committed: gtid_executed is
// read before the view is opened, and a transaction enters it after it can be seen.
func (l *loader) visible(d snapshot.Delivered) error {
	if l.executed == "" && len(d.Txns) == 0 {
		mode, _, err := l.r.variable("gtid_mode")
		if err != nil {
			return err
		}
		if !strings.EqualFold(mode, "ON") {
			return &capture.Coded{Code: "MYSQL_GTID_MODE", Hint: "switch it on online, step by step: SET GLOBAL enforce_gtid_consistency = WARN, then ON; SET GLOBAL gtid_mode = OFF_PERMISSIVE, then ON_PERMISSIVE, then ON",
				Err: fmt.Errorf("gtid_mode is %s: without GTIDs nothing tells which commits a view shows: %w", mode, capture.ErrSettings)}
		}
	}
	if len(l.owned) > 0 {
		now, err := l.r.ownedGTIDs()
		if err != nil {
			return err
		}
		for _, id := range l.owned {
			if slices.Contains(now, id) {
				return fmt.Errorf("transaction %s can't be seen: %w", id, snapshot.ErrView)
			}
		}
		l.owned = nil
	}
	want := strings.Join(append([]string{l.executed}, d.Txns...), ",")
	want = strings.TrimPrefix(want, ",")
	if want == "" {
		return nil
	}
	rows, err := l.r.query("compare GTIDs", "SELECT GTID_SUBSET(?, @@GLOBAL.gtid_executed)", want)
	if err != nil {
		return err
	}
	if rows[0][0] != "1" {
		return fmt.Errorf("gtid_executed lacks delivered transactions: %w", snapshot.ErrView)
	}
	return nil
}

// rows reads the chunk's rows in the view. It reports false if the connection can't be
// used any more, because the chunk was full long before its rows were all.
func (l *loader) rows(plan *rowimage.TextPlan, r *snapshot.Request) (c *snapshot.Chunk, free bool, err error) {
	sql, err := selectSQL(plan, r)
	if err != nil {
		return nil, false, err
	}
	types, err := l.in.ask(sql)
	if err != nil {
		return nil, false, err
	}
	decode, err := plan.Answer(types)
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w: %w", snapshot.ErrTable, capture.ErrConnection, err) // altered since it was described
	}
	m, n := r.Fresh(), len(r.Table.Columns)
	c = &snapshot.Chunk{Rows: m.Rows, Coded: m.Coded, Decode: func(b []byte, m *snapshot.Memory) (image []event.Value, anomalies []event.Anomaly, err error) {
		image = m.Image(n)
		anomalies, err = decode.Row(b, image, &m.Arena)
		return image, anomalies, err
	}}
	for {
		b, err := l.in.row()
		if err != nil {
			return nil, false, err
		}
		if b == nil {
			return c, true, c.Finish(r, false)
		}
		m.Expect(len(b))
		if err := c.Take(m.Arena.Copy(b), r, m); err != nil {
			return nil, false, err
		}
		if c.Bytes >= r.Bytes && c.Len() < r.Rows {
			if err := c.Finish(r, true); err != nil {
				return nil, false, err
			}
			free, err = l.in.leave()
			return c, free, err
		}
	}
}

// selectSQL reads a chunk in the order of the primary key.
func selectSQL(plan *rowimage.TextPlan, r *snapshot.Request) (string, error) {
	t := r.Table
	cols := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		cols[i] = quote(c.Name)
	}
	names := make([]string, len(t.Key))
	for k, i := range t.Key {
		names[k] = quote(t.Columns[i].Name)
	}
	sql := "SELECT " + strings.Join(cols, ", ") + " FROM " + quote(t.Database) + "." + quote(t.Name)
	conditions, err := within(plan, names, r.Range)
	if err != nil {
		return "", err
	}
	switch {
	case r.Keys != nil:
		var tuples []string
		for _, key := range r.Keys {
			text, err := plan.Literals(key)
			if err != nil {
				return "", err
			}
			tuples = append(tuples, "("+strings.Join(text, ", ")+")")
		}
		return sql + " WHERE (" + strings.Join(names, ", ") + ") IN (" + strings.Join(tuples, ", ") + ")", nil
	case r.After != nil:
		text, err := plan.Literals(r.After)
		if err != nil {
			return "", err
		}
		conditions = append(conditions, behind(names, text, ">"))
	}
	if len(conditions) > 0 {
		sql += " WHERE " + strings.Join(conditions, " AND ")
	}
	return fmt.Sprintf("%s ORDER BY %s LIMIT %d", sql, strings.Join(names, ", "), r.Rows), nil
}

func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
