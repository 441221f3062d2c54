package mysql

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/capture/mysql/definition"
	"github.com/tributary-cdc/tributary/stream/event"
)

// What the log says of tables' definitions. Where each TABLE_MAP describes its table
// (binlog_row_metadata = FULL), rows go on with the version that it describes, and a
// statement only tells what may have become of rows that stand already. Elsewhere the
// statement makes the version, see definitions; a table stops whose statement isn't understood.

// dropped is the code of a table that doesn't exist any more.
const dropped = event.CodeDropped

// described reports whether the log describes a table; if nothing of it was read yet,
// whether the server's setting says so.
func (r *Reader) described(name string) (bool, error) {
	if rel := r.relations[name]; rel != nil && rel.source != nil && rel.source.raw != nil {
		return rel.source.names != nil, nil
	}
	value, _, err := r.variable("binlog_row_metadata")
	return strings.EqualFold(value, "FULL"), err
}

// traced reports whether a table's next version is known: the log describes it, or its
// statements were followed.
func (r *Reader) traced(name string) (bool, error) {
	if r.defs.of(name) != nil {
		return true, nil
	}
	return r.described(name)
}

// alters follows a statement that changes the definition of tables.
func (r *Reader) alters(what effect, sql, database string, names []string, s definition.Session) error {
	before := map[string]*definition.Table{}
	for i := range names {
		names[i] = r.fold(names[i])
		before[names[i]] = r.defs.of(names[i])
	}
	if err := r.follow(what, sql, database, names, s); err != nil {
		return err
	}
	text := changed(sql)
	if what == indexes {
		return r.indexed(names[0], sql, text, before[names[0]])
	}
	t := tokens(sql)
	away := t[0].is("drop", "rename") || alter(altered(t, database), database).renamed != ""
	var known []string
	for _, name := range names {
		e, there := r.defs.tables[name]
		if !r.wanted(name) {
			if there && e.table == nil { // it may get a captured one's name
				if err := r.define(name); err != nil {
					return err
				}
			}
			continue
		}
		ok, err := r.traced(name)
		if err == nil && !ok && (there && !t[0].is("drop") || !there && !away && before[name] == nil) {
			ok, err = r.refused(name, sql)
		} else {
			ok = true
		}
		if err != nil {
			return err
		}
		if ok {
			known = append(known, name)
		}
	}
	switch {
	case t[0].is("drop"):
		for _, name := range known {
			r.gone(name, "the table was dropped")
		}
	case t[0].is("rename"):
		gone, taken := renames(following(t, "table"), database)
		r.renamed(gone, taken, known, text)
	default:
		return r.reshaped(sql, database, names, known)
	}
	return nil
}

// changed says for people what has altered a table.
func changed(sql string) string { return "a statement changed it: " + shown(sql, true) }

func (r *Reader) renamed(gone map[string]string, taken, known []string, text string) {
	for _, name := range slices.Sorted(maps.Keys(gone)) {
		if to := gone[name]; slices.Contains(known, r.fold(name)) {
			r.gone(r.fold(name), "the table was renamed to "+to)
		}
	}
	for _, name := range taken {
		if name = r.fold(name); slices.Contains(known, name) {
			r.arrives(name, text)
		}
	}
}

// reshaped follows an ALTER TABLE of names, of which those that are known are captured.
func (r *Reader) reshaped(sql, database string, names, known []string) error {
	a, text := alter(altered(tokens(sql), database), database), changed(sql)
	if a.renamed != "" {
		to := r.fold(a.renamed)
		if slices.Contains(known, names[0]) {
			r.gone(names[0], "the table was renamed to "+to)
		}
		if !r.wanted(to) {
			return nil
		}
		ok, err := r.traced(to)
		if err == nil && !ok {
			ok, err = r.refused(to, sql)
		}
		if err == nil && ok {
			r.arrives(to, text)
		}
		return err
	}
	for _, name := range known {
		// A column that comes back is NULL in all rows; the store still has what it held.
		r.lost(name, a.gone...)
		again := slices.ContainsFunc(a.added, func(c string) bool {
			return slices.Contains(r.state.Gone[name], c) || slices.Contains(r.state.Gone[name], anyColumn) || r.state.Gone[anyTable] != nil
		})
		// Rows of before may have got a default that this statement has made.
		early := r.txn.Position.Place.Compare(r.state.Filled[name]) < 0
		r.alter(event.Alteration{Table: name, Reason: text, Reread: !a.quiet || again || early || len(names) > 1})
	}
	return nil
}

// What stands in the state for columns that nobody knows: those of a table that had the
// name before, and of all tables those that they lost in a gap, if the log doesn't tell.
const (
	anyColumn = "*"
	anyTable  = "*"
)

// lost notes columns that the store may have, and the table hasn't.
func (r *Reader) lost(name string, columns ...string) {
	for _, c := range columns {
		if r.state.Gone == nil {
			r.state.Gone = map[string][]string{}
		}
		if !slices.Contains(r.state.Gone[name], c) {
			r.state.Gone[name] = append(r.state.Gone[name], c)
		}
	}
}

// indexed follows a change of a table's indexes, which may give its rows another key.
func (r *Reader) indexed(name, sql, text string, before *definition.Table) error {
	if before == nil || !r.wanted(name) {
		return nil
	}
	if r.defs.of(name) == nil {
		if known, err := r.refused(name, sql); err != nil || !known {
			return err
		}
	}
	if !slices.Equal(before.Key(), r.defs.of(name).Key()) {
		r.alter(event.Alteration{Table: name, Reason: text, Reread: true})
	}
	return nil
}

// gone stops a table that doesn't exist any more. What the store has of it stays.
func (r *Reader) gone(name, reason string) {
	delete(r.known, name)
	if stop := r.state.stopOf(name); stop != nil && stop.Code == "TABLE_CHANGED" { // what it was has no meaning any more
		r.free(name)
	}
	r.halt(name, dropped, reason)
}

// free forgets that a table was stopped.
func (r *Reader) free(name string) {
	r.state.Stopped = slices.DeleteFunc(r.state.Stopped, func(s event.TableStop) bool { return s.Table == name })
	delete(r.relations, name)
}

// created takes a new table, whose rows all come by the log.
func (r *Reader) created(name string, what effect) error {
	if !r.wanted(name) {
		return nil
	}
	there := r.known[name]
	r.known[name] = true
	stop := r.state.stopOf(name)
	switch {
	case stop != nil && (stop.Code == dropped || stop.Code == "TABLE_CHANGED" && what == replaces):
		ok, err := r.traced(name)
		if err == nil && ok { // what the store has of the former one goes with the load's end
			r.deliver(name, "the table was created again")
		}
		return err
	case what == replaces && there:
		r.lost(name, anyColumn)
		ok, err := r.traced(name)
		if err == nil && ok {
			r.alter(event.Alteration{Table: name, Reason: "the table was created anew", Reread: true})
		} else if err == nil {
			r.halt(name, "TABLE_CHANGED", "the table was created anew")
		}
		return err
	}
	return nil
}

// arrives has a name's table read that stood elsewhere before.
func (r *Reader) arrives(name, reason string) {
	r.known[name] = true
	if stop := r.state.stopOf(name); stop != nil && (stop.Code == dropped || stop.Code == "TABLE_CHANGED") { // another table had the name
		r.deliver(name, reason)
		return
	}
	r.lost(name, anyColumn)
	r.alter(event.Alteration{Table: name, Reason: reason, Reread: true})
}

// deliver delivers a stopped table again, and has it read. Nobody has followed meanwhile
// what columns it lost.
func (r *Reader) deliver(name, reason string) {
	r.lost(name, anyColumn)
	r.free(name)
	r.alter(event.Alteration{Table: name, Reason: reason, Reread: true, Resumed: true})
}

// alter says that a table isn't what it was, and has the next TABLE_MAP describe it anew.
func (r *Reader) alter(a event.Alteration) {
	if r.state.stopOf(a.Table) != nil { // only a person lets it go on
		return
	}
	if rel := r.relations[a.Table]; rel != nil {
		rel.altered = true
	}
	r.stateAt = time.Time{} // the next segment carries the state
	r.queue.PushSegment(event.Segment{Kind: event.TableAltered, Txn: r.txn.Txn, Altered: &a})
}

// Restart implements snapshot.Restarter.
func (r *Reader) Restart(table string) {
	r.orders.Lock()
	defer r.orders.Unlock()
	r.restarts = append(r.restarts, table)
}

// restart delivers the tables again that a person has ordered, between two transactions.
func (r *Reader) restart() error {
	if r.txn.open {
		return nil
	}
	r.settle()
	r.orders.Lock()
	defer r.orders.Unlock()
	for _, name := range r.restarts {
		if r.state.stopOf(name) == nil {
			continue
		}
		if r.defs.of(name) == nil { // it goes on as it is now
			if err := r.define(name); err != nil {
				return err
			}
		}
		r.deliver(name, "a person has ordered it")
	}
	r.restarts = nil
	return nil
}
