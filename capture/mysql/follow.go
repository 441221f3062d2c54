package mysql

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tributary-cdc/tributary/capture/mysql/definition"
	"github.com/tributary-cdc/tributary/capture/mysql/rowimage"
)

// follow applies a statement to the definitions of the tables that it names, captured or
// not: one that isn't may get a captured one's name. What isn't understood is lost.
func (r *Reader) follow(what effect, sql, database string, names []string, s definition.Session) error {
	if r.defs.tables == nil || r.at.Compare(r.defs.seen) <= 0 {
		return nil
	}
	t := tokens(sql)
	switch what {
	case changes:
		switch {
		case t[0].is("drop"):
			for _, name := range names {
				r.forget(name)
			}
		case t[0].is("rename"):
			for _, p := range pairs(following(t, "table"), database) {
				r.move(r.fold(p.from), r.fold(p.to))
			}
		default:
			r.reshape(sql, names, s)
			if to := alter(altered(t, database), database).renamed; to != "" {
				r.move(names[0], r.fold(to))
			}
		}
	case indexes:
		r.reshape(sql, names, s)
	case creates, replaces:
		if err := r.make(sql, database, names[0], s, following(t, "table")); err != nil {
			return err
		}
	case drops:
		for name := range r.defs.tables {
			if strings.HasPrefix(name, r.fold(names[0])+".") {
				r.forget(name)
			}
		}
	case encodes:
		r.encode(sql, r.fold(names[0]), s)
	}
	if r.owed {
		r.defs.seen, r.defs.packed = r.at, nil
	}
	return nil
}

// reshape applies a statement that changes the columns or keys of names[0].
func (r *Reader) reshape(sql string, names []string, s definition.Session) {
	e, ok := r.defs.tables[names[0]]
	if !ok || e.table == nil {
		return
	}
	if r.at.Compare(e.until) <= 0 {
		r.lose(names[0], "its columns were read from the catalogue while it was changed")
		return
	}
	database, _, _ := strings.Cut(names[0], ".")
	st, err := definition.Parse(sql, s)
	if err == nil {
		e.table, err = st.Alter(e.table, r.defs.databases[database])
	} else if e.table.Primary() && strings.EqualFold(sql[:min(len(sql), 6)], "create") { // an index beside it
		return
	}
	if err != nil {
		for _, name := range names {
			if _, ok := r.defs.tables[name]; ok {
				r.lose(name, err.Error())
			}
		}
		return
	}
	r.put(names[0], e)
}

// move gives a table another name.
func (r *Reader) move(from, to string) {
	e, ok := r.defs.tables[from]
	if ok && r.at.Compare(e.until) <= 0 {
		e.table, e.why = nil, "its columns were read from the catalogue while it was renamed"
	}
	e.awaited = nil
	r.forget(from)
	database, _, _ := strings.Cut(to, ".")
	switch {
	case ok && r.near(database):
		r.put(to, e)
	case !ok && r.wanted(to):
		r.put(to, defined{why: fmt.Sprintf("%s wasn't captured", from)})
	default:
		r.forget(to)
	}
}

// make follows CREATE TABLE. rest is what stands behind the keyword.
func (r *Reader) make(sql, database, name string, s definition.Session, rest []token) error {
	of, _, _ := strings.Cut(name, ".")
	full, err := r.described(name)
	if err != nil || full || !r.near(of) {
		return err
	}
	_, there := r.defs.tables[name]
	cautious := len(rest) > 0 && rest[0].is("not") // following has passed IF by
	if cautious && (there || r.defs.partial) {
		return nil
	}
	st, err := definition.Parse(sql, s)
	if err != nil {
		return r.unmade(name, sql, err)
	}
	var t *definition.Table
	if db, like, ok := st.Like(); ok {
		if db == "" {
			db = database
		}
		if e := r.defs.tables[r.fold(db+"."+like)]; r.at.Compare(e.until) > 0 {
			t = e.table
		}
		if t == nil {
			err = fmt.Errorf("%s isn't known", db+"."+like)
		}
	} else {
		t, err = st.Create(r.defs.databases[of])
	}
	if err != nil {
		return r.unmade(name, sql, err)
	}
	r.put(name, defined{table: t})
	return nil
}

// unmade has the catalogue asked for a new table whose statement isn't followed.
func (r *Reader) unmade(name, sql string, why error) error {
	r.lose(name, why.Error())
	if !r.wanted(name) {
		return r.define(name)
	}
	_, err := r.refused(name, sql)
	return err
}

// encode follows CREATE DATABASE and ALTER DATABASE: the default character set. database is
// empty for the session's own.
func (r *Reader) encode(sql, database string, s definition.Session) {
	if !r.near(database) {
		return
	}
	st, err := definition.Parse(sql, s)
	charset := ""
	if err == nil {
		_, charset, err = st.Database(s.Charset)
	}
	switch was := r.defs.databases[database]; {
	case err != nil: // columns that rely on it aren't known
		charset = ""
	case charset == "":
		charset = was
	}
	r.defs.databases[database] = charset
	r.touched()
}

// readable gives a statement in UTF-8, whatever its session's character set was; false if
// that can't be told.
func (r *Reader) readable(sql []byte, client uint16) (string, bool) {
	ascii := true
	for _, c := range sql {
		ascii = ascii && c < utf8.RuneSelf
	}
	if ascii {
		return string(sql), true
	}
	text, ok := rowimage.ToUTF8(r.collations[uint64(client)], sql)
	if !ok || !utf8.Valid(text) {
		return string(sql), false
	}
	return string(text), true
}
