package mysql

import (
	"fmt"
	"strings"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/mysql/definition"
	"github.com/tributary-cdc/tributary/stream/event"
)

// statement takes a QUERY event: the ends of transactions, and what people wrote.
func (r *Reader) statement(e *logEvent, start event.Place) error {
	database, text, err := r.queryOf(e)
	if err != nil {
		return err
	}
	if string(text) == "BEGIN" && r.txn.open { // before the rows of each transaction
		r.txn.begun = true
		return nil
	}
	status := statusOf(e)
	sql, readable := r.readable(text, status.client)
	sql = strings.TrimSpace(sql)
	word := strings.ToUpper(sql[:min(len(sql), 20)])
	switch {
	case word == "BEGIN":
		if !r.txn.open {
			if err := r.begin(e, start); err != nil {
				return err
			}
		}
		r.txn.begun = true
		return nil
	case word == "COMMIT":
		return r.commit()
	case word == "ROLLBACK" || strings.HasPrefix(word, "ROLLBACK TO"):
		if r.txn.rows > 0 {
			return fmt.Errorf("%s after rows of captured tables, which a table without transactions would keep: %w", word, capture.ErrUnsupported)
		}
		if word == "ROLLBACK" {
			return r.commit()
		}
		return nil
	case strings.HasPrefix(word, "SAVEPOINT"), strings.HasPrefix(word, "RELEASE SAVEPOINT"):
		return nil
	case strings.HasPrefix(word, "XA "):
		return r.prepared(start)
	}
	alone := !r.txn.begun
	if !r.txn.open {
		if err := r.begin(e, start); err != nil {
			return err
		}
	}
	if !r.txn.skip {
		s := definition.Session{MariaDB: r.mariadb, Version: r.version, Mode: status.mode, Charset: r.collations[uint64(status.server)], Unreadable: !readable}
		if err := r.execute(sql, string(database), s); err != nil {
			return err
		}
	}
	if alone { // a statement that commits by itself
		return r.commit()
	}
	return nil
}

// execute follows what a statement does to captured tables.
func (r *Reader) execute(sql, database string, s definition.Session) error {
	sql = unset(sql)
	what, tables := statement(sql, database)
	if what == hidden {
		return &capture.Coded{Code: "MYSQL_STATEMENT", Hint: "binlog_format must be ROW in every session",
			Err: fmt.Errorf("a statement in the log may have changed any table: %s: %w", shown(sql, false), capture.ErrUnsupported)}
	}
	if tables = r.sequences(what, sql, database, tables); what == changes && len(tables) == 0 {
		return nil
	}
	if what == changes || what == indexes {
		return r.alters(what, sql, database, tables, s)
	}
	for i := range tables {
		tables[i] = r.fold(tables[i])
	}
	if err := r.follow(what, sql, database, tables, s); err != nil {
		return err
	}
	for _, name := range tables {
		db, table, _ := strings.Cut(name, ".")
		switch what {
		case drops:
			for known := range r.known {
				if strings.HasPrefix(known, name+".") {
					r.gone(known, "its database was dropped")
				}
			}
		case replaces, creates: // the latter without effect where the table exists
			if err := r.created(name, what); err != nil {
				return err
			}
		case logged:
			if r.known[name] {
				r.halt(name, "STATEMENT_LOGGED", "rows were changed by a statement in the log: binlog_format must be ROW in every session")
				r.txn.skipped++
			}
		case truncates:
			if !r.wanted(name) {
				continue
			}
			if full, err := r.described(name); err != nil {
				return err
			} else if full && r.relations[name] == nil && r.txn.Position.Place.Compare(r.met) < 0 {
				// The catalogue may be newer than this: what was emptied goes with a load's end.
				r.alter(event.Alteration{Table: name, Reason: "it was emptied before it was described", Reread: true})
				continue
			}
			rel, err := r.lookup(name, db, table)
			if err != nil {
				return err
			}
			if rel.table == nil {
				r.txn.skipped++
				continue
			}
			r.seg.Rows = append(r.seg.Rows, event.Row{Op: event.Truncate, Table: rel.table})
			r.txn.rows++
		}
	}
	return nil
}

// halt stops a table because of a statement.
func (r *Reader) halt(name, code, reason string) {
	rel := r.relations[name]
	if rel == nil {
		rel = &relation{name: name}
		r.relations[name] = rel
	}
	if rel.stop == nil {
		r.stop(rel, code, reason)
	}
}
