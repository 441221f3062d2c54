package mysql

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tributary-cdc/tributary/stream/event"
)

// What the catalogue says behind a statement that isn't followed is the table at the end
// that the log has then, and at the statement's own place only if that is there. So the
// table is taken as it is where reading has come that far; where it hasn't, the table stops
// until it has. A statement on the table before that end has the catalogue asked anew.

// ask asks for a table whose statement isn't followed. It reports whether what was found
// holds already, and takes it then; else it is awaited, if the table is there at all.
func (r *Reader) ask(name string) (bool, error) {
	e := r.defs.tables[name]
	t, err := r.definitionOf(name)
	if err != nil || t == nil { // a later statement tells what has become of it
		return false, err
	}
	until, _, err := r.end()
	if err != nil {
		return false, err
	}
	if r.at.Compare(until) >= 0 {
		r.put(name, defined{table: t})
		return true, nil
	}
	r.put(name, defined{awaited: t, until: until, why: e.why})
	r.defs.awaiting = append(r.defs.awaiting, name)
	return false, nil
}

// refused asks for a table behind a statement that isn't followed, and stops it if it is
// captured and what it has become isn't known yet. It reports whether that is known.
func (r *Reader) refused(name, sql string) (bool, error) {
	if r.defs.tables == nil {
		r.halt(name, "TABLE_CHANGED", r.unfollowed(name, sql))
		return false, nil
	}
	waited := r.defs.tables[name].awaited != nil
	known, err := r.ask(name)
	switch {
	case err != nil:
		return false, err
	case !known:
		r.halt(name, "TABLE_CHANGED", r.unfollowed(name, sql))
	case waited: // it stands still for that only
		r.goOn(name)
	}
	return known, nil
}

// goOn delivers a table again that stood still because its columns weren't known. One that
// stands still for another reason waits for a person.
func (r *Reader) goOn(name string) {
	if stop := r.state.stopOf(name); stop != nil && (stop.Code == "TABLE_CHANGED" || stop.Code == dropped) {
		r.deliver(name, "the catalogue's columns hold from here on")
	}
}

// await stops the tables that were changed while a first start has read their columns, and
// asks anew for those that were awaited at another server.
func (r *Reader) await() error {
	for _, name := range slices.Clone(r.defs.awaiting) {
		e, ok := r.defs.tables[name]
		if !ok || e.table != nil || !r.wanted(name) {
			continue
		}
		if e.awaited == nil {
			known, err := r.ask(name)
			if err != nil {
				return err
			}
			if known {
				r.goOn(name)
			}
			continue
		}
		if r.state.stopOf(name) == nil {
			r.halt(name, "TABLE_CHANGED", "it was changed while its columns were read; the table is read, and goes on by itself, once reading has come to "+r.place(e.until))
		}
	}
	return nil
}

// settle delivers the tables again that the catalogue has told, between two transactions.
func (r *Reader) settle() {
	r.defs.awaiting = slices.DeleteFunc(r.defs.awaiting, func(name string) bool {
		e := r.defs.tables[name]
		if e.awaited == nil {
			return true
		}
		if r.at.Compare(e.until) < 0 {
			return false
		}
		r.put(name, defined{table: e.awaited})
		r.goOn(name)
		return true
	})
}

// unfollowed says for people which statement isn't followed, where, why, and what comes then.
func (r *Reader) unfollowed(name, sql string) string {
	e := r.defs.tables[name]
	var kind []string
	for _, t := range tokens(sql[:min(len(sql), 200)]) {
		if !t.word || t.quote {
			break
		}
		if kind = append(kind, strings.ToUpper(t.text)); t.is("table", "tables", "index") {
			break
		}
	}
	why := e.why
	if why != "" {
		why = " (" + why + ")"
	}
	then := "the catalogue doesn't have it any more, and a later statement tells what has become of it"
	switch {
	case e.awaited != nil:
		then = "the table is read again, and goes on by itself, once reading has come to " + r.place(e.until)
	case r.defs.tables == nil:
		then = fmt.Sprintf("it goes on as it is once a person says so: tributary table reread %s %s", r.o.Source.ID, name)
	}
	return fmt.Sprintf("the %s at %s isn't followed%s; %s; the statement is %s", strings.Join(kind, " "), r.place(r.txn.Position.Place), why, then, shown(sql, true))
}

// place names one for people, as the server's own tools do.
func (r *Reader) place(p event.Place) string {
	return fmt.Sprintf("%s:%d", r.fileName(p.File), p.Offset)
}
