package mysql

import (
	"fmt"
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
const dropped = "TABLE_DROPPED"

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
	text := fmt.Sprintf("a statement changed it: %.200s", sql)
	if what == indexes {
		r.indexed(names[0], text, before[names[0]])
		return nil
	}
	t := tokens(sql)
	var known []string
	for _, name := range names {
		if !r.wanted(name) {
			continue
		}
		ok, err := r.traced(name)
		if err != nil {
			return err
		}
		e, there := r.defs.tables[name]
		if ok || t[0].is("drop") || !there && before[name] != nil {
			known = append(known, name)
			continue
		}
		if e.why != "" {
			e.why = " (" + e.why + ")"
		}
		r.halt(name, "TABLE_CHANGED", text+e.why)
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
		return r.altered(t, database, names, known, text)
	}
	return nil
}

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

// altered follows an ALTER TABLE of names, of which those that are known are captured.
func (r *Reader) altered(t []token, database string, names, known []string, text string) error {
	_, rest := tableName(following(t, "table"), database)
	a := alter(rest, database)
	if a.renamed != "" {
		to := r.fold(a.renamed)
		if slices.Contains(known, names[0]) {
			r.gone(names[0], "the table was renamed to "+to)
		}
		if !r.wanted(to) {
			return nil
		}
		ok, err := r.traced(to)
		if err != nil {
			return err
		}
		if ok {
			r.arrives(to, text)
		} else {
			r.halt(to, "TABLE_CHANGED", text)
		}
		return nil
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
// name before, and of all tables those that they lost in a gap.
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
func (r *Reader) indexed(name, text string, before *definition.Table) {
	after := r.defs.of(name)
	switch {
	case before == nil || !r.wanted(name):
	case after == nil:
		r.halt(name, "TABLE_CHANGED", fmt.Sprintf("%s (%s)", text, r.defs.tables[name].why))
	case !slices.Equal(before.Key(), after.Key()):
		r.alter(event.Alteration{Table: name, Reason: text, Reread: true})
	}
}

// gone stops a table that doesn't exist any more. What the store has of it stays.
func (r *Reader) gone(name, reason string) {
	delete(r.known, name)
	r.halt(name, dropped, reason)
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
	case stop != nil && stop.Code == dropped:
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
	if stop := r.state.stopOf(name); stop != nil && stop.Code == dropped {
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
	r.state.Stopped = slices.DeleteFunc(r.state.Stopped, func(s event.TableStop) bool { return s.Table == name })
	delete(r.relations, name)
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
