package mysql

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/capture/mysql/definition"
	"github.com/tributary-cdc/tributary/capture/mysql/rowimage"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

var errMalformed = errors.New("malformed event")

// relation is what the reader knows of a table that the log has announced.
type relation struct {
	name   string // database.table
	source *tableMap
	table  *schema.Table // nil if nobody asked for the table, or it is stopped
	plan   *rowimage.Plan
	cols   []rowimage.Column
	stop   *event.TableStop
	// altered says that a statement has changed the table since it was described.
	altered bool
	// What images leave out; filled is nil until one does.
	filled  []event.Value // what columns become that an insert doesn't name; Absent if that isn't known
	raw     []string      // of filled, where the column can't hold it
	virtual []int         // columns of MariaDB that aren't stored
	// defined says that virtual is known without the catalogue.
	defined bool
}

// tableMap takes a TABLE_MAP event. Nearly all of them repeat what is known.
func (r *Reader) tableMap(e *logEvent) error {
	if len(e.body) < r.idSize {
		return fmt.Errorf("table map of %d bytes: %w", len(e.body), errMalformed)
	}
	id, raw := littleEndian(e.body[:r.idSize]), e.body[r.idSize:]
	if rel := r.maps[id]; rel != nil && bytes.Equal(rel.source.raw, raw) && r.relations[rel.name] == rel && !rel.altered {
		return nil
	}
	m, err := parseTableMap(e.body, r.idSize, r.mariadb)
	if err != nil {
		return err
	}
	if r.txn.skip && m.names == nil { // read again: the definitions have gone on since
		r.maps[m.id] = &relation{name: m.database + "." + m.table, source: m}
		return nil
	}
	rel, err := r.announce(m)
	if err != nil {
		return err
	}
	rel.source = m // of a table that isn't read it may say something new
	r.maps[m.id] = rel
	return nil
}

// announce takes what a TABLE_MAP event says and returns what the table is from here on.
func (r *Reader) announce(m *tableMap) (*relation, error) {
	name := m.database + "." + m.table
	old := r.relations[name]
	if old != nil && (old.stop != nil || old.table == nil || bytes.Equal(old.source.raw, m.raw) && !old.altered) {
		return old, nil
	}
	rel := &relation{name: name, source: m}
	if !r.wanted(name) {
		r.relations[name] = rel
		return rel, nil
	}
	r.known[name] = true
	if rel.stop = r.state.stopOf(name); rel.stop == nil {
		if err := r.describe(rel, old); err != nil {
			return nil, err
		}
	}
	r.relations[name] = rel
	return rel, nil
}

// describe finds out columns and key, and compiles the plan, or stops the table.
func (r *Reader) describe(rel, old *relation) error {
	m := rel.source
	var d description
	var err error
	switch {
	case m.strange != 0:
		d.code, d.bad = "TYPE_UNSUPPORTED", fmt.Sprintf("a column of the unknown wire type %d", m.strange)
	case m.names != nil:
		r.forget(rel.name)
		d, err = r.fromLog(m)
	default:
		d, err = r.fromDefinition(rel.name, m)
	}
	if err != nil {
		return err
	}
	t := r.table(m.database, m.table, &d)
	switch {
	case d.bad != "":
		if d.code == "TABLE_CHANGED" {
			r.lose(rel.name, d.bad)
		}
		r.stop(rel, d.code, d.bad)
		return nil
	case m.names == nil && old != nil && old.table != nil && !old.altered && old.table.Version() != t.Version():
		r.stop(rel, "TABLE_CHANGED", fmt.Sprintf("the log has the columns %v, they were %v", names(t), names(old.table)))
		return nil
	}
	if err := t.Validate(); err != nil {
		r.stop(rel, "TABLE_REFUSED", err.Error())
		return nil
	}
	if old != nil && old.table != nil && old.table.Version() == t.Version() {
		t = old.table // equal; plans are kept per pointer
	}
	if rel.plan, err = rowimage.Compile(t, d.columns); err != nil {
		r.stop(rel, "TYPE_UNSUPPORTED", err.Error())
		return nil
	}
	rel.table, rel.cols, rel.virtual, rel.defined = t, d.columns, d.virtual, d.defined
	return nil
}

func (r *Reader) table(database, name string, d *description) *schema.Table {
	t := &schema.Table{Source: r.o.Source.ID, Dataset: name, Database: database, Name: name, Key: d.key}
	for table, dataset := range r.o.Datasets {
		if r.fold(table) == database+"."+name && dataset != "" {
			t.Dataset = dataset
		}
	}
	for i, c := range d.columns {
		typ, err := rowimage.TypeOf(c)
		if err != nil && d.bad == "" {
			d.code, d.bad = "TYPE_UNSUPPORTED", fmt.Sprintf("column %q: %v", d.names[i], err)
		}
		t.Columns = append(t.Columns, schema.Column{Name: d.names[i], Type: typ, Nullable: d.nullable[i]})
	}
	r.identify(t, d)
	return t
}

func names(t *schema.Table) (out []string) {
	for _, c := range t.Columns {
		out = append(out, c.Name+" "+c.Type.String())
	}
	return out
}

// stop stops a table and hands that out.
func (r *Reader) stop(rel *relation, code, reason string) {
	rel.stop = &event.TableStop{Table: rel.name, Code: code, Reason: reason}
	rel.table, rel.plan = nil, nil
	if r.state.stopOf(rel.name) == nil {
		r.state.Stopped = append(r.state.Stopped, *rel.stop)
		r.stateAt = time.Time{} // the next segment carries the state
		t := r.txn.Txn
		if !r.txn.open {
			t.Position = event.Position{Epoch: r.state.Epoch, Place: r.at}
		}
		r.queue.PushSegment(event.Segment{Kind: event.TableStopped, Txn: t, Stop: rel.stop})
	}
}

// description is a table as the log or the catalogue has it. bad says why it
// can't be captured.
type description struct {
	names     []string
	columns   []rowimage.Column
	nullable  []bool
	key       []int
	virtual   []int // columns of MariaDB that aren't stored, if defined
	defined   bool  // it is what statements have made
	code, bad string
}

// fromLog reads what binlog_row_metadata=FULL puts beside each table, and asks the
// catalogue for what the log doesn't say even then.
func (r *Reader) fromLog(m *tableMap) (description, error) {
	d := description{names: m.names, columns: m.columns, nullable: m.nullable, key: m.key}
	hidden := false
	for i := range d.columns {
		c := &d.columns[i]
		if m.collations != nil && m.collations[i] != 0 {
			id := m.collations[i]
			if c.Charset = r.collations[id]; c.Charset == "" {
				c.Charset = fmt.Sprintf("collation %d", id)
			}
		}
		for n, label := range c.Labels {
			text, ok := rowimage.ToUTF8(c.Charset, []byte(label))
			if !ok {
				d.code, d.bad = "TYPE_UNSUPPORTED", fmt.Sprintf("column %q: label %q isn't text in %s", d.names[i], label, c.Charset)
			}
			c.Labels[n] = string(text)
		}
		hidden = hidden || r.mariadb && c.Hidden()
	}
	if !hidden || d.bad != "" {
		return d, nil
	}
	infos, err := r.infos(m.database, m.table)
	if err != nil {
		return d, err
	}
	for i := range d.columns {
		if !d.columns[i].Hidden() {
			continue
		}
		at := slices.IndexFunc(infos, func(in info) bool { return in.name == d.names[i] })
		if at < 0 {
			d.code, d.bad = "TABLE_CHANGED", fmt.Sprintf("column %q isn't in the catalogue any more, which alone knows its type", d.names[i])
			return d, nil
		}
		d.declare(i, infos[at])
	}
	return d, nil
}

// declare gives a column of the log what only the catalogue knows of it.
func (d *description) declare(i int, in info) {
	c, err := d.columns[i].Declared(in.Info)
	switch {
	case errors.Is(err, rowimage.ErrUnsupported):
		d.code, d.bad = "TYPE_UNSUPPORTED", fmt.Sprintf("column %q: %v", in.name, err)
	case err != nil:
		d.code, d.bad = "TABLE_CHANGED", fmt.Sprintf("column %q: %v: set binlog_row_metadata = FULL", in.name, err)
	}
	d.columns[i] = c
}

// info is a column as the catalogue has it.
type info struct {
	rowimage.Info
	name     string
	nullable bool
	virtual  bool
}

// infos reads today's columns of a table, invisible and generated ones as well.
func (r *Reader) infos(database, table string) ([]info, error) {
	rows, err := r.query("describe table "+database+"."+table, `SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, COALESCE(CHARACTER_SET_NAME, ''), IS_NULLABLE, EXTRA
		FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION`, database, table)
	out := make([]info, len(rows))
	for i, row := range rows {
		out[i] = info{Info: rowimage.Info{DataType: row[1], ColumnType: row[2], Charset: row[3]}, name: row[0], nullable: row[4] == "YES", virtual: strings.Contains(strings.ToLower(row[5]), "virtual")}
	}
	return out, err
}

// fromCatalogue reads today's description and holds it against the log's types;
// m is nil for a table that the log hasn't announced.
func (r *Reader) fromCatalogue(database, table string, m *tableMap) (description, error) {
	var d description
	infos, err := r.infos(database, table)
	if err != nil {
		return d, err
	}
	if len(infos) == 0 || m != nil && len(infos) != len(m.columns) {
		d.code, d.bad = "TABLE_CHANGED", fmt.Sprintf("the log and the catalogue have different columns (%d there): set binlog_row_metadata = FULL", len(infos))
		return d, nil
	}
	for i, in := range infos {
		c, err := in.Column()
		d.names, d.columns, d.nullable = append(d.names, in.name), append(d.columns, c), append(d.nullable, in.nullable)
		switch {
		case err != nil:
			d.code, d.bad = "TYPE_UNSUPPORTED", fmt.Sprintf("column %q: %v", in.name, err)
		case m != nil:
			d.columns[i].Type, d.columns[i].Meta = m.columns[i].Type, m.columns[i].Meta
			d.declare(i, in)
		}
	}
	key, err := r.keyOf(database, table)
	for _, name := range key {
		d.key = append(d.key, slices.Index(d.names, name))
	}
	return d, err
}

// fromDefinition gives a table as the log's statements have made it, held against what the
// log says of it. One that isn't known yet is read from the catalogue.
func (r *Reader) fromDefinition(name string, m *tableMap) (description, error) {
	var d description
	if r.defs.tables == nil {
		if err := r.defineAll(); err != nil {
			return d, err
		}
	}
	if r.defs.of(name) == nil {
		if err := r.define(name); err != nil {
			return d, err
		}
	}
	t := r.defs.of(name)
	if t == nil {
		return r.fromCatalogue(m.database, m.table, m)
	}
	d.take(t, m, r.collations)
	for i := range t.Columns {
		if t.Columns[i].Virtual && r.mariadb {
			d.virtual = append(d.virtual, i)
		}
	}
	d.defined = true
	return d, nil
}

// take describes a table by its definition; m is what the log says of it, nil for a table
// that it hasn't announced.
func (d *description) take(t *definition.Table, m *tableMap, collations map[uint64]string) {
	if m != nil && len(t.Columns) != len(m.columns) {
		d.code, d.bad = "TABLE_CHANGED", fmt.Sprintf("the log has %d columns, the statements so far make %d: set binlog_row_metadata = FULL", len(m.columns), len(t.Columns))
		return
	}
	differs := func(name, what string) {
		d.code, d.bad = "TABLE_CHANGED", fmt.Sprintf("column %q has another %s in the log than by the statements so far: set binlog_row_metadata = FULL", name, what)
	}
	for i := range t.Columns {
		def := &t.Columns[i]
		in := info{Info: def.Info(), name: def.Name, nullable: def.Nulls != definition.NotNull}
		c, err := in.Column()
		d.names, d.columns, d.nullable = append(d.names, in.name), append(d.columns, c), append(d.nullable, in.nullable)
		switch {
		case err != nil:
			d.code, d.bad = "TYPE_UNSUPPORTED", fmt.Sprintf("column %q: %v", in.name, err)
			continue
		case m == nil:
			continue
		}
		said := m.columns[i]
		d.columns[i].Type, d.columns[i].Meta, d.nullable[i] = said.Type, said.Meta, m.nullable[i]
		d.declare(i, in)
		switch {
		case def.Nulls == definition.Nullable && !m.nullable[i], def.Nulls == definition.NotNull && m.nullable[i]:
			differs(in.name, "rule for NULL")
		case m.signs && said.Numeric() && said.Unsigned != c.Unsigned && def.Type != "year":
			differs(in.name, "sign")
		case m.collations != nil && m.collations[i] != 0 && c.Charset != "" && definition.Canonical(collations[m.collations[i]]) != definition.Canonical(c.Charset):
			differs(in.name, "character set")
		case (c.Enum() || c.Set()) && c.Meta != said.Meta:
			differs(in.name, "number of labels")
		}
	}
	d.key = t.Key()
}

// lookup gives a table that a statement names, before any of its rows was seen.
func (r *Reader) lookup(name, database, table string) (*relation, error) {
	if rel := r.relations[name]; rel != nil {
		return rel, nil
	}
	rel := &relation{name: name, source: &tableMap{database: database, table: table}}
	if rel.stop = r.state.stopOf(name); rel.stop != nil {
		return rel, nil
	}
	var d description
	if t := r.defs.of(name); t != nil {
		d.take(t, nil, nil)
	} else {
		var err error
		if d, err = r.fromCatalogue(database, table, nil); err != nil {
			return nil, err
		}
	}
	t := r.table(database, table, &d)
	if d.bad == "" {
		if err := t.Validate(); err != nil {
			d.code, d.bad = "TABLE_REFUSED", err.Error()
		}
	}
	if d.bad != "" {
		r.stop(rel, d.code, d.bad)
		return rel, nil
	}
	rel.table = t
	return rel, nil
}
