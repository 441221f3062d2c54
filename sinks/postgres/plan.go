package postgres

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// stamps are the lineage columns behind _source, in the order of each statement.
var stamps = []string{"_position", "_op", "_committed_at", "_applied_at", "_batch"}

// placed is the lineage column that tables in append mode have besides, behind the
// others: a change's place in its transaction.
const placed = "_order"

// appendKey are the columns of the primary key of a table in append mode.
var appendKey = []string{"_source", "_position", placed, "_op"}

// plan is what one table version needs for its statements, built once per connection.
type plan struct {
	schema *schema.Table
	home   home
	table  string   // quoted, with its schema
	names  []string // quoted columns
	key    []string // quoted key columns
	where  string   // one row by $1 source, $2… key
	upsert string   // one row
	touch  string   // the same, but for one that another source owns
	direct bool     // every value has a binary form, so COPY may go into the table itself
	exact  bool     // and the table's columns have just these types, see fit
	have   string   // their names, as an array's text
	want   string   // and their types, without precision
	staging
	inUse  bool   // it may hold rows
	copy   string // COPY into the table
	texts  []int  // columns whose values are characters
	bounds []int  // columns whose infinities the server doesn't know
}

// staging is the statements around a staging table.
type staging struct {
	stage        string // its name
	openStage    string
	copyStage    string
	deleteStage  string
	upsertStage  string
	replaceStage string
	updateStage  string // of all columns
}

// newPlan makes a plan for a server of a release, e.g. 15.
func newPlan(h home, t *schema.Table, number, release int) *plan {
	p := &plan{schema: t, home: h, table: h.ident(), where: "_source = $1", direct: true, staging: staging{stage: "tributary_stage_" + strconv.Itoa(number)}}
	var have, want []string
	for i, col := range t.Columns {
		p.names = append(p.names, ident(col.Name))
		typ, _, _ := strings.Cut(columnType(col.Type), "(")
		have, want = append(have, col.Name), append(want, typ)
		p.direct = p.direct && binaryForm(col.Type)
		switch col.Type.Kind {
		case schema.String, schema.Enum, schema.Set, schema.JSON, schema.Array, schema.Text:
			p.texts = append(p.texts, i)
		}
		if release < infinite(&col.Type) {
			p.bounds = append(p.bounds, i)
		}
	}
	p.have, p.want = arrayText(have), arrayText(want)
	for n, i := range t.Key { // none in append mode, where nothing is looked up
		p.key = append(p.key, p.names[i])
		p.where += fmt.Sprintf(" AND %s = $%d::%s", p.names[i], n+2, columnType(t.Columns[i].Type))
	}
	p.copy = "COPY " + p.table + " (" + strings.Join(p.columns(), ", ") + ") FROM STDIN BINARY"
	p.openStage, p.copyStage = p.createStage(), "COPY "+p.stage+" FROM STDIN BINARY"
	p.upsertStage, p.replaceStage = p.upsertStaged(), p.replaceStaged()
	if !t.Append {
		p.deleteStage, p.updateStage = p.deleteStaged(), p.updateStaged(nil)
	}
	p.upsert, p.touch = p.upsertSQL(false), p.upsertSQL(true)
	return p
}

// arrayText is a text[] in its text form (PostgreSQL 15 manual, 8.15.6).
func arrayText(all []string) string {
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	for i, s := range all {
		all[i] = `"` + quote.Replace(s) + `"`
	}
	return "{" + strings.Join(all, ",") + "}"
}

// columns are all columns of the store's table.
func (p *plan) columns() []string {
	out := append(append([]string{"_source"}, p.names...), stamps...)
	if p.schema.Append {
		out = append(out, placed)
	}
	return out
}

// shared says that rows of several sources share the keys.
func (p *plan) shared() bool { return p.home.Key == KeyContract && !p.schema.Append }

// conflict ends the insert of rows that may be there. With own it leaves alone those that
// another source owns: only an insert at the source takes a row from another.
func (p *plan) conflict(own bool) string {
	sets, key := []string{"_source = excluded._source"}, p.home.primary(p.schema)
	for i, name := range p.names {
		if !p.schema.IsKey(i) {
			sets = append(sets, name+" = excluded."+name)
		}
	}
	for _, name := range stamps {
		sets = append(sets, name+" = excluded."+name)
	}
	for i := range key {
		key[i] = ident(key[i])
	}
	if !p.shared() { // the source stays
		sets = sets[1:]
	}
	sql := " ON CONFLICT (" + strings.Join(key, ", ") + ") DO UPDATE SET " + strings.Join(sets, ", ")
	if own && p.shared() {
		sql += " WHERE t._source = excluded._source"
	}
	return sql
}

// upsertSQL takes the columns, then source, position, op, commit time and batch, and in
// append mode the order. It answers whether the row is new, or with own nothing if
// another source owns it.
func (p *plan) upsertSQL(own bool) string {
	var values []string
	for i, col := range p.schema.Columns {
		values = append(values, "$"+strconv.Itoa(i+1)+"::"+columnType(col.Type))
	}
	n := len(values)
	arg := func(i int) string { return "$" + strconv.Itoa(n+i) }
	all := append([]string{arg(1)}, values...)
	all = append(all, arg(2), arg(3), arg(4), "clock_timestamp()", arg(5))
	if p.schema.Append {
		all = append(all, arg(6))
	}
	return "INSERT INTO " + p.table + " AS t (" + strings.Join(p.columns(), ", ") + ") VALUES (" + strings.Join(all, ", ") + ")" + p.conflict(own) + " RETURNING xmax = 0"
}

// The groups of staged rows. From 0 on: rows that keep their key, by the columns
// that they carry.
const (
	groupFresh  = -3 // copied into the table itself
	groupDelete = -2
	groupUpsert = -1
)

// createStage makes the staging table; what has no binary form stands there as text.
func (p *plan) createStage() string {
	cols := []string{"_g smallint"}
	for i, col := range p.schema.Columns {
		typ := columnType(col.Type)
		if !binaryForm(col.Type) {
			typ = "text"
		}
		if typ == "text" {
			typ += ` COLLATE "C"` // as the key columns of the table
		}
		cols = append(cols, "c"+strconv.Itoa(i)+" "+typ)
	}
	cols = append(cols, "_position text", "_op text", "_committed_at timestamptz", "_applied_at timestamptz")
	if p.schema.Append {
		cols = append(cols, placed+" bigint")
	}
	return "CREATE TEMP TABLE IF NOT EXISTS " + p.stage + " (" + strings.Join(cols, ", ") + ") ON COMMIT DELETE ROWS"
}

// staged is a column's value as the table wants it.
func (p *plan) staged(i int) string {
	s := "s.c" + strconv.Itoa(i)
	if t := p.schema.Columns[i].Type; !binaryForm(t) {
		s += "::" + columnType(t)
	}
	return s
}

// place finds the row of a staged key. A subquery, and not a join: without
// statistics the planner may turn a join round and look through all staged rows for
// each of the table's.
func (p *plan) place() string {
	out := "(SELECT u.ctid FROM " + p.table + " u WHERE u._source = $1"
	for n, i := range p.schema.Key {
		out += " AND u." + p.key[n] + " = " + p.staged(i)
	}
	return out + ")"
}

func (p *plan) deleteStaged() string {
	return "DELETE FROM " + p.table + " WHERE ctid = ANY(ARRAY(SELECT " + p.place() + " FROM " + p.stage + " s WHERE s._g = $2))"
}

func (p *plan) update(g *group) string {
	if g.all {
		return p.updateStage
	}
	return p.updateStaged(g.carries)
}

// updateStaged sets the columns that a group's rows carry, all of them for nil. The
// source stands among the staged columns, so that no condition on the table alone lets
// the planner believe in a single row of it and turn the join round.
func (p *plan) updateStaged(carries []bool) string {
	var sets []string
	for i, name := range p.names {
		if (carries == nil || carries[i]) && !p.schema.IsKey(i) {
			sets = append(sets, name+" = "+p.staged(i))
		}
	}
	for _, name := range stamps[:4] {
		sets = append(sets, name+" = s."+name)
	}
	sql := "UPDATE " + p.table + " t SET " + strings.Join(append(sets, "_batch = $3"), ", ") +
		" FROM (SELECT s.*, $1::text AS _source FROM " + p.stage + " s WHERE s._g = $2 OFFSET 0) s WHERE t._source = s._source"
	for n, i := range p.schema.Key {
		sql += " AND t." + p.key[n] + " = " + p.staged(i)
	}
	return sql
}

// insertStaged inserts a group's rows: $1 source, $2 group, $3 batch.
func (p *plan) insertStaged() string {
	values := []string{"$1"}
	for i := range p.names {
		values = append(values, p.staged(i))
	}
	for _, name := range stamps[:4] {
		values = append(values, "s."+name)
	}
	values = append(values, "$3")
	if p.schema.Append {
		values = append(values, "s."+placed)
	}
	return "INSERT INTO " + p.table + " AS t (" + strings.Join(p.columns(), ", ") + ") SELECT " + strings.Join(values, ", ") +
		" FROM " + p.stage + " s WHERE s._g = $2"
}

func (p *plan) upsertStaged() string { return p.insertStaged() + p.conflict(false) }

// replaceStaged upserts a group of whole rows that should be there. It tells how many it
// has written, how many of these were not there, and their first position.
func (p *plan) replaceStaged() string {
	return "WITH i AS (" + p.insertStaged() + p.conflict(true) + " RETURNING xmax = 0 AS fresh, t._position) SELECT count(*), count(*) FILTER (WHERE fresh), coalesce(min(_position) FILTER (WHERE fresh), '') FROM i"
}

// carried tells which columns a row has, and whether that is all of them.
func carried(values []event.Value, into []bool) (all bool) {
	all = true
	for i := range values {
		into[i] = values[i].State != event.Absent
		all = all && into[i]
	}
	return all
}
