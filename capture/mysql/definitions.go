package mysql

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/mysql/definition"
	"github.com/tributary-cdc/tributary/stream/event"
)

// definitions are those of tables that the log doesn't describe: read from the catalogue
// once, then followed from statement to statement, and kept in the reader's state. So a row
// is read as the table was when it was written, whatever the catalogue says by now.
type definitions struct {
	databases map[string]string  // their default character sets
	tables    map[string]defined // by "database.table"; nil where the log describes tables
	// seen is the end of the last statement that is in: what is read again isn't applied again.
	seen event.Place
	// partial says that some tables were left out when they were packed.
	partial bool
	packed  []byte // as in the state; nil after a change
	// awaiting are tables of which one is awaited, or was.
	awaiting []string
}

// defined is what is known of one table.
type defined struct {
	table *definition.Table // nil if it exists and isn't known
	why   string            // it isn't
	// until is where the log ended when the catalogue was asked: what stands before may be in it or not.
	until event.Place
	// awaited is the table as the catalogue had it behind a statement that isn't followed: it
	// holds once reading has come to until, if no other statement on the table stands before.
	awaited *definition.Table
	// text is the table as the state has it; nil until it was packed.
	text json.RawMessage
}

// maxDefinitions bounds the definitions in the state, which goes into the log once a second:
// bytes, compressed. Measured: 57 bytes for a table of 15 columns that is unlike others, 3
// for one that is like them.
const maxDefinitions = 256 << 10

// storedDefinitions is their form in the state. Tables that are alike share a version.
type storedDefinitions struct {
	Seen      event.Place            `json:"seen"`
	Partial   bool                   `json:"partial,omitempty"`
	Databases map[string]string      `json:"databases"`
	Versions  []json.RawMessage      `json:"versions"` // each a definition.Table
	Tables    map[string]storedTable `json:"tables"`
}

// storedTable names a version, counted from 1; 0 is a table that isn't known.
type storedTable struct {
	Version int          `json:"v"`
	Until   *event.Place `json:"u,omitempty"`
	Why     string       `json:"w,omitempty"`
	Awaited bool         `json:"a,omitempty"` // the version holds from Until on
}

// pack gives the definitions their form in the state; nil if there are none. Beyond the
// bound the last tables by name are left out: they are found in the catalogue again.
func (d *definitions) pack() ([]byte, error) {
	if d.tables == nil || d.packed != nil {
		return d.packed, nil
	}
	names := slices.Sorted(maps.Keys(d.tables))
	for {
		packed, err := d.packOf(names)
		if err != nil {
			return nil, fmt.Errorf("pack the tables' definitions: %w", err)
		}
		if len(packed) <= maxDefinitions {
			d.packed = packed
			return packed, nil
		}
		names, d.partial = names[:len(names)*maxDefinitions/len(packed)*19/20], true
	}
}

func (d *definitions) packOf(names []string) ([]byte, error) {
	out := storedDefinitions{Seen: d.seen, Partial: d.partial, Databases: d.databases, Tables: make(map[string]storedTable, len(names))}
	ids := map[string]int{}
	for _, name := range names {
		e := d.tables[name]
		s, t := storedTable{Why: e.why, Awaited: e.awaited != nil}, e.table
		if s.Awaited {
			t = e.awaited
		}
		if !e.until.IsZero() {
			s.Until = &e.until
		}
		if t != nil && e.text == nil {
			var err error
			if e.text, err = json.Marshal(t); err != nil {
				return nil, err
			}
			d.tables[name] = e
		}
		if t != nil {
			if s.Version = ids[string(e.text)]; s.Version == 0 {
				out.Versions = append(out.Versions, e.text)
				s.Version = len(out.Versions)
				ids[string(e.text)] = s.Version
			}
		}
		out.Tables[name] = s
	}
	var b bytes.Buffer
	z, err := flate.NewWriter(&b, flate.DefaultCompression)
	if err == nil {
		err = json.NewEncoder(z).Encode(out)
	}
	if err == nil {
		err = z.Close()
	}
	return b.Bytes(), err
}

// unpack reads what pack has written.
func unpack(packed []byte) (d definitions, err error) {
	if packed == nil {
		return d, nil
	}
	var in storedDefinitions
	text, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed)))
	if err == nil {
		err = json.Unmarshal(text, &in)
	}
	if err != nil {
		return d, fmt.Errorf("read the tables' definitions: %w: %w", errMalformed, err)
	}
	d = definitions{databases: in.Databases, tables: map[string]defined{}, seen: in.Seen, partial: in.Partial, packed: packed}
	if d.databases == nil {
		d.databases = map[string]string{}
	}
	versions := make([]*definition.Table, len(in.Versions))
	for i, text := range in.Versions {
		if err = json.Unmarshal(text, &versions[i]); err == nil && versions[i] != nil {
			err = versions[i].Check()
		}
		if err != nil || versions[i] == nil {
			return d, fmt.Errorf("read the version %d of the tables' definitions: %w", i+1, errors.Join(errMalformed, err))
		}
	}
	for name, s := range in.Tables {
		e := defined{why: s.Why}
		if s.Until != nil {
			e.until = *s.Until
		}
		if s.Version < 0 || s.Version > len(in.Versions) {
			return d, fmt.Errorf("read the tables' definitions: %s has version %d of %d: %w", name, s.Version, len(in.Versions), errMalformed)
		}
		if s.Version > 0 {
			e.table, e.text = versions[s.Version-1], in.Versions[s.Version-1]
		}
		if s.Awaited {
			e.table, e.awaited = nil, e.table
			d.awaiting = append(d.awaiting, name)
		}
		d.tables[name] = e
	}
	return d, nil
}

// elsewhere has the definitions go on at another server, whose log has other places: what
// the catalogue may have known beyond the last place that was read is known no more.
func (d *definitions) elsewhere(at event.Place) {
	for name, e := range d.tables {
		if e.until.Compare(at) > 0 {
			e.table, e.awaited, e.why = nil, nil, "the server was another one before the log had come so far"
		}
		e.until = event.Place{}
		d.tables[name] = e
	}
	d.seen, d.packed = event.Place{}, nil
}

// of gives a table's definition; nil if it isn't known.
func (d *definitions) of(name string) *definition.Table { return d.tables[name].table }

// put notes a definition, and that the state must have it as soon as rows that rely on it.
func (r *Reader) put(name string, e defined) {
	if e.text = nil; e.table != nil {
		e.why = ""
	}
	r.defs.tables[name] = e
	r.touched()
}

func (r *Reader) touched() { r.defs.packed, r.owed = nil, true }

// lose forgets a table's definition.
func (r *Reader) lose(name, why string) {
	if r.defs.tables != nil {
		r.put(name, defined{why: why})
	}
}

// forget has the catalogue asked for a table again.
func (r *Reader) forget(name string) {
	if _, ok := r.defs.tables[name]; ok {
		delete(r.defs.tables, name)
		r.touched()
	}
}

// defineAll reads the definitions of all captured tables from the catalogue, unless the
// server's log describes them.
func (r *Reader) defineAll() error {
	value, _, err := r.variable("binlog_row_metadata")
	if err != nil || strings.EqualFold(value, "FULL") {
		return err
	}
	r.defs = definitions{databases: map[string]string{}, tables: map[string]defined{}}
	rows, err := r.query("read the databases", "SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME FROM information_schema.SCHEMATA")
	if err != nil {
		return err
	}
	for _, row := range rows {
		if r.near(row[0]) {
			r.defs.databases[row[0]] = definition.Canonical(row[1])
		}
	}
	return r.define(slices.Sorted(maps.Keys(r.known))...)
}

// confirm reads the definitions again, after the log's end was read: those that are the same
// as before are those of that place. Of another one nobody knows on which side of the place
// it became so: it is as the catalogue has it once reading has come to where that was asked.
func (r *Reader) confirm() error {
	if r.defs.tables == nil {
		return nil
	}
	names := map[string]bool{}
	maps.Copy(names, r.known)
	for name := range r.defs.tables {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		t, err := r.definitionOf(name)
		if err != nil {
			return err
		}
		e := r.defs.tables[name]
		switch {
		case t == nil: // a name that comes back has the catalogue asked
			r.forget(name)
		case reflect.DeepEqual(t, e.table):
			e.until = event.Place{}
			r.put(name, e)
		default:
			if _, err := r.ask(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// near reports whether a database may have captured tables.
func (r *Reader) near(database string) bool {
	for _, p := range r.o.Tables {
		of, _, _ := strings.Cut(r.fold(p), ".")
		if capture.Matches([]string{of}, database) {
			return true
		}
	}
	return slices.ContainsFunc(r.additions.List(), func(name string) bool { return strings.HasPrefix(name, database+".") })
}

// define reads tables' definitions from the catalogue, as they are now.
func (r *Reader) define(names ...string) error {
	if len(names) == 0 || r.defs.tables == nil {
		return nil
	}
	read := map[string]*definition.Table{}
	for _, name := range names {
		t, err := r.definitionOf(name)
		if err != nil {
			return err
		}
		read[name] = t
	}
	until, _, err := r.end()
	if err != nil {
		return err
	}
	for name, t := range read {
		if t != nil {
			r.put(name, defined{table: t, until: until})
		}
	}
	return nil
}

// definitionOf reads one table's definition from the catalogue; nil if it isn't there.
func (r *Reader) definitionOf(name string) (*definition.Table, error) {
	database, table, _ := strings.Cut(name, ".")
	if err := r.settled(database, table); err != nil {
		return nil, err
	}
	infos, err := r.infos(database, table)
	if err != nil || len(infos) == 0 {
		return nil, err
	}
	var columns []definition.Column
	for _, in := range infos {
		c := definition.Column{Name: in.name, Type: in.ColumnType, Charset: definition.Canonical(in.Charset), Virtual: in.virtual}
		if c.Charset == "" {
			c.Charset = in.Charset
		}
		if !in.nullable {
			c.Nulls = definition.NotNull
		}
		columns = append(columns, c)
	}
	rows, err := r.query("read the character set of "+name, "SELECT COALESCE(TABLE_COLLATION, '') FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?", database, table)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	keys, err := r.keysOf(database, table)
	if err != nil {
		return nil, err
	}
	t, err := definition.New(definition.Charset(rows[0][0]), columns, keys)
	if err != nil { // it was altered between the questions
		return nil, nil //nolint:nilerr // the next TABLE_MAP asks again
	}
	return t, nil
}

// settled waits until the catalogue has what the log has of a table: MySQL writes a
// statement into the log first, under a lock for which whoever reads the table waits.
// MariaDB's catalogue waits for it by itself.
func (r *Reader) settled(database, table string) error {
	if r.mariadb {
		return nil
	}
	_, err := r.query("open table "+database+"."+table, "SELECT 1 FROM "+quote(database)+"."+quote(table)+" LIMIT 0")
	var me *gomysql.MyError
	if errors.As(err, &me) && slices.Contains([]uint16{gomysql.ER_NO_SUCH_TABLE, gomysql.ER_TABLEACCESS_DENIED_ERROR}, me.Code) { // the catalogue says so, too
		return nil
	}
	return err
}

// keysOf reads a table's indexes, in the server's order.
func (r *Reader) keysOf(database, table string) (keys []definition.Key, err error) {
	rows, err := r.query("read the keys of "+database+"."+table, "SHOW INDEX FROM "+quote(database)+"."+quote(table))
	const nonUnique, keyName, columnName, subPart = 1, 2, 4, 7
	for _, row := range rows {
		if len(keys) == 0 || keys[len(keys)-1].Name != row[keyName] {
			keys = append(keys, definition.Key{Name: row[keyName], Unique: row[nonUnique] == "0"})
		}
		k := &keys[len(keys)-1]
		if row[columnName] == "" {
			k.Expression = true
			continue
		}
		p := definition.Part{Column: row[columnName]}
		if row[subPart] != "" {
			if _, err := fmt.Sscan(row[subPart], &p.Length); err != nil {
				return nil, fmt.Errorf("key %s of %s.%s: prefix of %q: %w", k.Name, database, table, row[subPart], err)
			}
		}
		k.Parts = append(k.Parts, p)
	}
	return keys, err
}
