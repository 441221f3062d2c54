package mysql

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/tributary-cdc/tributary/capture/mysql/rowimage"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

var errMalformed = errors.New("malformed event")

// relation is what the reader knows of a table that the log has announced.
type relation struct {
	name   string // database.table
	source *replication.TableMapEvent
	table  *schema.Table // nil if nobody asked for the table, or it is stopped
	plan   *rowimage.Plan
	stop   *event.TableStop
	// raw is the announcement without its table id: the same bytes say the same.
	raw []byte
}

// sameShape reports whether two announcements of a table say the same.
func sameShape(a, b *replication.TableMapEvent) bool {
	deep := func(x, y [][][]byte) bool {
		return slices.EqualFunc(x, y, func(p, q [][]byte) bool { return slices.EqualFunc(p, q, bytes.Equal) })
	}
	return bytes.Equal(a.ColumnType, b.ColumnType) && slices.Equal(a.ColumnMeta, b.ColumnMeta) && bytes.Equal(a.NullBitmap, b.NullBitmap) &&
		bytes.Equal(a.SignednessBitmap, b.SignednessBitmap) && slices.EqualFunc(a.ColumnName, b.ColumnName, bytes.Equal) &&
		slices.Equal(a.DefaultCharset, b.DefaultCharset) && slices.Equal(a.ColumnCharset, b.ColumnCharset) &&
		slices.Equal(a.EnumSetDefaultCharset, b.EnumSetDefaultCharset) && slices.Equal(a.EnumSetColumnCharset, b.EnumSetColumnCharset) &&
		slices.Equal(a.PrimaryKey, b.PrimaryKey) && slices.Equal(a.PrimaryKeyPrefix, b.PrimaryKeyPrefix) &&
		deep(a.EnumStrValue, b.EnumStrValue) && deep(a.SetStrValue, b.SetStrValue)
}

// tableMap takes a TABLE_MAP event. Nearly all of them repeat what is known.
func (r *Reader) tableMap(e *logEvent) error {
	if len(e.body) < r.idSize {
		return fmt.Errorf("table map of %d bytes: %w", len(e.body), errMalformed)
	}
	id, raw := gomysql.FixedLengthInt(e.body[:r.idSize]), e.body[r.idSize:]
	if rel := r.maps[id]; rel != nil && rel.raw != nil && bytes.Equal(rel.raw, raw) && r.relations[rel.name] == rel {
		return nil
	}
	own := *e
	own.raw = bytes.Clone(e.raw) // what is made of it points there
	ev, err := r.decode(&own)
	if err != nil {
		return err
	}
	m, ok := ev.(*replication.TableMapEvent)
	if !ok {
		return fmt.Errorf("table map: %w", errMalformed)
	}
	rel, err := r.announce(m)
	if err != nil {
		return err
	}
	if !bytes.Equal(rel.raw, raw) {
		rel.raw = bytes.Clone(raw)
	}
	r.maps[id] = rel
	return nil
}

// announce takes a TABLE_MAP event and returns what the table is from here on.
func (r *Reader) announce(m *replication.TableMapEvent) (*relation, error) {
	name := string(m.Schema) + "." + string(m.Table)
	old := r.relations[name]
	if old != nil && (old.stop != nil || old.table == nil || sameShape(old.source, m)) {
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
	if len(m.ColumnName) == int(m.ColumnCount) && m.ColumnCount > 0 {
		d, err = r.fromLog(m)
	} else {
		d, err = r.fromCatalogue(string(m.Schema), string(m.Table), m)
	}
	if err != nil {
		return err
	}
	t := r.table(string(m.Schema), string(m.Table), &d)
	switch {
	case d.bad != "":
		r.stop(rel, d.code, d.bad)
		return nil
	case old != nil && old.table != nil && old.table.Version() != t.Version():
		r.stop(rel, "TABLE_CHANGED", fmt.Sprintf("the log has the columns %v, they were %v", names(t), names(old.table)))
		return nil
	}
	if err := t.Validate(); errors.Is(err, schema.ErrNoKey) {
		r.stop(rel, "TABLE_NO_KEY", fmt.Sprintf("no key: ALTER TABLE `%s`.`%s` ADD PRIMARY KEY (...)", m.Schema, m.Table))
		return nil
	} else if err != nil {
		r.stop(rel, "TABLE_REFUSED", err.Error())
		return nil
	}
	if old != nil && old.table != nil {
		t = old.table // equal; plans are kept per pointer
	}
	if rel.plan, err = rowimage.Compile(t, d.columns); err != nil {
		r.stop(rel, "TYPE_UNSUPPORTED", err.Error())
		return nil
	}
	rel.table = t
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
		r.queue.PushSegment(event.Segment{Kind: event.TableStopped, Txn: r.txn.Txn, Stop: rel.stop})
	}
}

// description is a table as the log or the catalogue has it. bad says why it
// can't be captured.
type description struct {
	names     []string
	columns   []rowimage.Column
	nullable  []bool
	key       []int
	code, bad string
}

// fromLog reads what binlog_row_metadata=FULL puts beside each table.
func (r *Reader) fromLog(m *replication.TableMapEvent) (description, error) {
	var d description
	unsigned, texts, labelled := m.UnsignedMap(), m.CollationMap(), m.EnumSetCollationMap()
	enums, sets := m.EnumStrValueMap(), m.SetStrValueMap()
	for i := range m.ColumnType {
		c := rowimage.Column{Type: m.ColumnType[i], Meta: m.ColumnMeta[i], Unsigned: unsigned[i]}
		id, isText := texts[i]
		if !isText {
			id = labelled[i]
		}
		c.Charset = r.collations[id]
		if isText && c.Charset == "" {
			c.Charset = fmt.Sprintf("collation %d", id)
		}
		for _, label := range append(enums[i], sets[i]...) {
			text, ok := rowimage.ToUTF8(c.Charset, []byte(label))
			if !ok {
				d.code, d.bad = "TYPE_UNSUPPORTED", fmt.Sprintf("column %q: label %q isn't text in %s", m.ColumnName[i], label, c.Charset)
			}
			c.Labels = append(c.Labels, string(text))
		}
		_, nullable := m.Nullable(i)
		d.names, d.columns, d.nullable = append(d.names, string(m.ColumnName[i])), append(d.columns, c), append(d.nullable, nullable)
	}
	for _, k := range m.PrimaryKey {
		d.key = append(d.key, int(k))
	}
	return d, nil
}

// fromCatalogue reads today's description and holds it against the log's types;
// m is nil for a table that the log hasn't announced.
func (r *Reader) fromCatalogue(database, table string, m *replication.TableMapEvent) (description, error) {
	var d description
	rows, err := r.query("describe table "+database+"."+table, `SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, COALESCE(CHARACTER_SET_NAME, ''), IS_NULLABLE
		FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION`, database, table)
	if err != nil {
		return d, err
	}
	if len(rows) == 0 || m != nil && len(rows) != len(m.ColumnType) {
		d.code, d.bad = "TABLE_CHANGED", fmt.Sprintf("the log and the catalogue have different columns (%d there): set binlog_row_metadata = FULL", len(rows))
		return d, nil
	}
	for i, row := range rows {
		c, err := rowimage.Info{DataType: row[1], ColumnType: row[2], Charset: row[3]}.Column()
		if err == nil && m != nil {
			want, terr := rowimage.TypeOf(c)
			c.Type, c.Meta = m.ColumnType[i], m.ColumnMeta[i]
			if got, gerr := rowimage.TypeOf(c); gerr != nil || terr != nil || got.String() != want.String() {
				d.code, d.bad = "TABLE_CHANGED", fmt.Sprintf("column %q is %s in the log, %s in the catalogue: set binlog_row_metadata = FULL", row[0], got, want)
			}
		}
		if err != nil {
			d.code, d.bad = "TYPE_UNSUPPORTED", fmt.Sprintf("column %q: %v", row[0], err)
		}
		d.names, d.columns, d.nullable = append(d.names, row[0]), append(d.columns, c), append(d.nullable, row[4] == "YES")
	}
	keys, err := r.query("read the key of "+database+"."+table, `SELECT COLUMN_NAME FROM information_schema.STATISTICS
		WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND INDEX_NAME = 'PRIMARY' ORDER BY SEQ_IN_INDEX`, database, table)
	for _, k := range keys {
		d.key = append(d.key, slices.Index(d.names, k[0]))
	}
	return d, err
}

// lookup gives a table that a statement names, before any of its rows was seen.
func (r *Reader) lookup(name, database, table string) (*relation, error) {
	if rel := r.relations[name]; rel != nil {
		return rel, nil
	}
	rel := &relation{name: name, source: &replication.TableMapEvent{Schema: []byte(database), Table: []byte(table)}}
	if rel.stop = r.state.stopOf(name); rel.stop != nil {
		return rel, nil
	}
	d, err := r.fromCatalogue(database, table, nil)
	if err != nil {
		return nil, err
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
