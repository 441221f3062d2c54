package mysql

import (
	"slices"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/stream/event"
)

// MariaDB's sequences stand in its log as tables with one row and no key. They are counters,
// not data: they are left out, and known by name, as the catalogue had them at a first start
// and statements have made them since.

// listSequences reads which names of the patterns are sequences.
func (r *Reader) listSequences() error {
	r.state.Sequences = []string{}
	if !r.mariadb {
		return nil
	}
	rows, err := r.query("list sequences", "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'SEQUENCE'")
	for _, row := range rows {
		r.addSequence(row[0] + "." + row[1])
	}
	return err
}

// addSequence takes a name for a sequence's.
func (r *Reader) addSequence(name string) {
	if !r.wanted(name) {
		return
	}
	r.o.Logger.Info("sequence is left out", "sequence", name)
	r.state.Sequences = append(r.state.Sequences, name)
	delete(r.known, name)
	r.state.Stopped = slices.DeleteFunc(r.state.Stopped, func(s event.TableStop) bool { return s.Table == name })
	r.undescribe(name)
}

// dropSequence takes names for tables' again, as far as they are sequences'.
func (r *Reader) dropSequence(names ...string) {
	for _, name := range names {
		if i := slices.Index(r.state.Sequences, r.fold(name)); i >= 0 {
			r.undescribe(r.state.Sequences[i])
			r.state.Sequences = slices.Delete(r.state.Sequences, i, i+1)
		}
	}
}

// undescribe forgets what the log's descriptions of a name meant.
func (r *Reader) undescribe(name string) {
	delete(r.relations, name)
	r.stateAt = time.Time{} // the next segment carries the state
}

// sequences follows which names are sequences', of those of a statement, and gives the others.
func (r *Reader) sequences(what effect, sql, database string, names []string) []string {
	if !r.mariadb || what != counts && len(r.state.Sequences) == 0 {
		return names
	}
	var moved []pair
	t := tokens(sql)
	switch what {
	case counts:
		r.addSequence(r.fold(names[0]))
	case uncounts:
		r.dropSequence(names...)
	case drops:
		for _, name := range slices.Clone(r.state.Sequences) {
			if strings.HasPrefix(name, r.fold(names[0])+".") {
				r.dropSequence(name)
			}
		}
	case creates, replaces:
		if rest := following(t, "table"); len(rest) == 0 || !rest[0].is("not") { // IF NOT EXISTS leaves a sequence as it is
			r.dropSequence(names...)
		}
	case changes:
		switch to := alter(altered(t, database), database).renamed; {
		case t[0].is("drop"):
			for _, name := range names {
				moved = append(moved, pair{from: name})
			}
		case t[0].is("rename"):
			moved = pairs(following(t, "table"), database)
		case to != "":
			moved = []pair{{names[0], to}}
		}
	}
	for _, p := range moved {
		if from := r.fold(p.from); slices.Contains(r.state.Sequences, from) {
			r.dropSequence(from)
			r.addSequence(r.fold(p.to))
			names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == p.from || n == p.to })
		}
	}
	return names
}
