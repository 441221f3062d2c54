package mysql

import (
	"maps"
	"slices"
	"strings"
)

// alteration is what an ALTER TABLE does to rows that stand already.
type alteration struct {
	// quiet says that they keep their values, but for columns that are gone, and that
	// they have NULL in columns that are new.
	quiet bool
	// added are columns that are new by a quiet alteration, gone those that are no more,
	// in lower case.
	added, gone []string
	// renamed is the table's new name, "database.table"; empty if it keeps its own.
	renamed string
}

// alter reads what stands behind ALTER TABLE name. It is conservative: what it doesn't
// know isn't quiet.
func alter(t []token, database string) alteration {
	a := alteration{quiet: true}
	for len(t) > 0 {
		n, depth := 0, 0
		for n < len(t) && (depth > 0 || t[n].word || t[n].text != ",") {
			switch {
			case t[n].word:
			case t[n].text == "(":
				depth++
			case t[n].text == ")":
				depth--
			}
			n++
		}
		a.quiet = a.clause(t[:n], database) && a.quiet
		t = t[min(n+1, len(t)):]
	}
	return a
}

// clause takes one part of an ALTER TABLE and reports whether it is quiet.
func (a *alteration) clause(t []token, database string) bool {
	if len(t) == 0 {
		return true
	}
	first, rest := t[0], t[1:]
	skip := func(words ...string) {
		for len(rest) > 0 && rest[0].is(words...) {
			rest = rest[1:]
		}
	}
	column := func() string {
		skip("column", "if", "not", "exists")
		if len(rest) == 0 || !rest[0].word {
			return ""
		}
		name := strings.ToLower(rest[0].text)
		rest = rest[1:]
		return name
	}
	structure := len(rest) > 0 && rest[0].is("index", "key", "foreign", "check", "fulltext", "spatial", "unique", "partition", "constraint")
	switch {
	case first.is("add") && structure:
		return !mentions(rest, "primary")
	case first.is("add"):
		name := column()
		if name == "" || mentions(rest, "not", "default", "primary", "unique", "key", "auto_increment", "as", "generated", "timestamp", "serial", "versioning", "period") || mentions(t[:2], "primary", "period", "system") {
			return false
		}
		a.added = append(a.added, name)
		return true
	case first.is("drop") && structure:
		return !rest[0].is("partition")
	case first.is("drop"):
		if mentions(rest, "primary", "period", "system", "versioning") {
			return false
		}
		a.gone = append(a.gone, column())
		return true
	case first.is("rename"):
		if structure {
			return true
		}
		if len(rest) > 0 && rest[0].is("column") {
			a.gone = append(a.gone, column())
			return false
		}
		skip("to", "as")
		a.renamed, _ = tableName(rest, database)
		return false
	case first.is("change"):
		a.gone = append(a.gone, column())
		return false
	}
	return first.is("alter", "comment", "engine", "auto_increment", "algorithm", "lock", "row_format", "force", "order", "enable", "disable", "key_block_size",
		"stats_persistent", "stats_auto_recalc", "stats_sample_pages", "max_rows", "min_rows", "reorganize", "rebuild", "analyze", "optimize", "coalesce")
}

// mentions reports whether one of some keywords stands among words.
func mentions(t []token, words ...string) bool {
	for i := range t {
		if t[i].is(words...) {
			return true
		}
	}
	return false
}

// tableName reads a name, "database.table", and gives what follows it.
func tableName(t []token, database string) (string, []token) {
	switch {
	case len(t) == 0 || !t[0].word:
		return "", t
	case len(t) > 2 && t[1].text == "." && t[2].word:
		return t[0].text + "." + t[2].text, t[3:]
	}
	return database + "." + t[0].text, t[1:]
}

// following gives what stands behind a keyword, and behind IF EXISTS.
func following(t []token, last string) []token {
	for i := range t {
		if t[i].is(last, last+"s") {
			t = t[i+1:]
			for len(t) > 0 && t[0].is("if", "exists") {
				t = t[1:]
			}
			return t
		}
	}
	return nil
}

// altered gives what stands behind ALTER TABLE, its name and WAIT.
func altered(t []token, database string) []token {
	_, rest := tableName(following(t, "table"), database)
	switch {
	case len(rest) > 1 && rest[0].is("wait") && rest[1].word && !rest[1].quote && rest[1].text[0] >= '0' && rest[1].text[0] <= '9':
		return rest[2:]
	case len(rest) > 0 && rest[0].is("nowait"):
		return rest[1:]
	}
	return rest
}

// renames reads the pairs of a RENAME TABLE, as they are carried out one after another.
// It gives the names that no table has afterwards, each with its table's new name, and
// those that have another table than before, or that are new.
func renames(t []token, database string) (gone map[string]string, taken []string) {
	gone = map[string]string{}
	other, before := map[string]bool{}, map[string]bool{}
	for _, p := range pairs(t, database) {
		from, to := p.from, p.to
		before[from] = before[from] || !other[from]
		delete(gone, to)
		delete(other, from)
		if other[to] = true; before[from] { // else it was a name for a moment
			gone[from] = to
		}
	}
	return gone, slices.Sorted(maps.Keys(other))
}

// pair is a table's name and its new one.
type pair struct{ from, to string }

// pairs reads what stands behind RENAME TABLE.
func pairs(t []token, database string) (out []pair) {
	for len(t) > 0 {
		var p pair
		p.from, t = tableName(t, database)
		for len(t) > 0 && !t[0].is("to") { // WAIT n, NOWAIT
			t = t[1:]
		}
		if len(t) == 0 {
			break
		}
		p.to, t = tableName(t[1:], database)
		for len(t) > 0 && t[0].text != "," {
			t = t[1:]
		}
		if len(t) > 0 {
			t = t[1:]
		}
		if p.to == "" {
			break
		}
		out = append(out, p)
	}
	return out
}
