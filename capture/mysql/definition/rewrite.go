package definition

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// rewriter puts a statement into the form that the parser knows: what has no meaning to
// columns and keys is left out, and what only the servers have is put in other words. It
// goes by the servers' grammar, from clause to clause: a clause that it doesn't know is
// refused, or left to the parser to refuse.
type rewriter struct {
	in    []lexeme
	at    int
	types []string // of columns that the parser has no type for, see foreignType
	err   error

	periods  map[string]period // that the statement makes, by their quoted names in lower case
	required []string          // columns that they make NOT NULL, quoted
}

// foreignType and what is above are lengths of BINARY, which no server takes: the one at
// foreignType + i has the type i of the rewriter's.
const foreignType = 1 << 30

// uniqueKey is the comment of each key that is unique: the parser takes IF NOT EXISTS for
// others only. A statement's own comments are left out.
const uniqueKey = "unique"

// rewrite gives a statement's text to the parser, the types of which it has lengths, and the
// columns that are NOT NULL without its saying so.
func rewrite(in []lexeme) (text string, types, required []string, err error) {
	w := rewriter{in: in}
	w.findPeriods()
	text = w.statement()
	return text, w.types, w.required, w.err
}

// refuse has the statement refused. There is nothing left to read then.
func (w *rewriter) refuse(what string) string {
	if w.err == nil {
		w.err = fmt.Errorf("%w: %s", ErrRefused, what)
	}
	w.at = len(w.in)
	return ""
}

func (w *rewriter) peek(n int) lexeme {
	if w.at+n < len(w.in) {
		return w.in[w.at+n]
	}
	return lexeme{}
}

// isAt reports whether a lexeme further on is one of some words.
func (w *rewriter) isAt(n int, words ...string) bool {
	t := w.peek(n)
	return t.kind == 'w' && slices.ContainsFunc(words, func(word string) bool { return strings.EqualFold(t.text, word) })
}

func (w *rewriter) is(words ...string) bool { return w.isAt(0, words...) }

func (w *rewriter) sign(text string) bool { return w.peek(0).kind == 'p' && w.peek(0).text == text }

// accept passes words over that stand one behind another; if not all do, none.
func (w *rewriter) accept(words ...string) bool {
	for i, word := range words {
		if !w.isAt(i, word) {
			return false
		}
	}
	w.at += len(words)
	return true
}

// skip passes over any of some words.
func (w *rewriter) skip(words ...string) {
	for w.is(words...) {
		w.at++
	}
}

// over reports whether the statement, or a part of it between commas, is at its end.
func (w *rewriter) over() bool { return w.at >= len(w.in) || w.sign(",") || w.sign(")") }

// copy gives one lexeme, or all between parentheses, as it stands.
func (w *rewriter) copy() string {
	var b strings.Builder
	for depth := 0; w.at < len(w.in); {
		t := w.in[w.at]
		if b.Len() > 0 && !t.glue {
			b.WriteByte(' ')
		}
		b.WriteString(t.text)
		w.at++
		switch {
		case t.kind == 'p' && t.text == "(":
			depth++
		case t.kind == 'p' && t.text == ")":
			depth--
		}
		if depth <= 0 {
			return b.String()
		}
	}
	return w.refuse("parentheses without end")
}

// pass goes over the rest of a part between commas.
func (w *rewriter) pass() string {
	for !w.over() {
		w.copy()
	}
	return ""
}

// rest gives the rest of a part between commas.
func (w *rewriter) rest() string {
	var out []string
	for !w.over() {
		glue := w.peek(0).glue && len(out) > 0
		if text := w.copy(); glue {
			out[len(out)-1] += text
		} else {
			out = append(out, text)
		}
	}
	return strings.Join(out, " ")
}

// name takes a name and gives it quoted, so that it can't be a word of the parser's.
func (w *rewriter) name() string {
	t := w.peek(0)
	if n := w.named(); n != "" {
		return n
	}
	return w.refuse(fmt.Sprintf("%q where a name is expected", t.text))
}

// named is name, but what stands there may be none: then it is "".
func (w *rewriter) named() string {
	t := w.peek(0)
	w.at++
	switch t.kind {
	case 'w':
		return name(t.text)
	case '`':
		return t.text
	}
	return ""
}

// table takes a table's name.
func (w *rewriter) table() string {
	n := w.name()
	if w.sign(".") {
		w.at++
		n += "." + w.name()
	}
	return n
}

// wait passes WAIT n and NOWAIT over.
func (w *rewriter) wait() {
	if w.is("wait") && w.peek(1).kind == 'w' && w.peek(1).text[0] >= '0' && w.peek(1).text[0] <= '9' {
		w.at += 2
	}
	w.accept("nowait")
}

func (w *rewriter) statement() string {
	switch {
	case w.accept("create"):
		w.accept("or", "replace")
		w.skip("online", "offline")
		switch {
		case w.accept("table"):
			return "CREATE TABLE " + w.create()
		case w.is("database", "schema"):
			return "CREATE " + w.database()
		}
		return w.createIndex()
	case w.accept("alter"):
		w.skip("online", "offline", "ignore")
		switch {
		case w.accept("table"):
			return "ALTER TABLE " + w.alter()
		case w.is("database", "schema"):
			return "ALTER " + w.database()
		}
	case w.accept("drop"):
		w.skip("online", "offline")
		if w.accept("index") {
			exists := w.exists("exists")
			n := w.name()
			if w.accept("on") {
				return "DROP INDEX " + exists + n + " ON " + w.table()
			}
		}
	}
	return w.refuse("a statement of an unknown kind")
}

// exists passes IF EXISTS or IF NOT EXISTS over, and gives it.
func (w *rewriter) exists(words ...string) string {
	if w.accept(append([]string{"if"}, words...)...) {
		return "IF " + strings.ToUpper(strings.Join(words, " ")) + " "
	}
	return ""
}

// database leaves out what isn't a character set.
func (w *rewriter) database() string {
	var out []string
	for w.at < len(w.in) {
		if w.accept("comment") {
			if w.sign("=") {
				w.at++
			}
			w.at++
			continue
		}
		out = append(out, w.copy())
	}
	return strings.Join(out, " ")
}

// create takes what stands behind CREATE TABLE.
func (w *rewriter) create() string {
	out := w.exists("not", "exists") + w.table()
	if w.sign("(") && w.isAt(1, "like") {
		w.in = slices.Delete(slices.Clone(w.in), w.at, w.at+1)
	}
	switch {
	case w.accept("like"):
		return out + " LIKE " + w.table()
	case !w.sign("("):
		return w.refuse("its columns aren't named")
	}
	elements := w.elements()
	out += " (" + strings.Join(elements, ", ") + ") " + w.options(true)
	if w.at < len(w.in) {
		return w.refuse(fmt.Sprintf("%q behind a table", w.peek(0).text))
	}
	return out
}

// createIndex takes what stands behind CREATE.
func (w *rewriter) createIndex() string {
	kind := "CREATE INDEX "
	if w.accept("unique") {
		kind = "CREATE UNIQUE INDEX "
	}
	w.skip("fulltext", "spatial", "vector")
	if !w.accept("index") {
		return w.refuse("a statement of an unknown kind")
	}
	out := kind + w.exists("not", "exists") + w.name()
	w.using()
	if !w.accept("on") {
		return w.refuse("an index of no table")
	}
	out += " ON " + w.table()
	w.wait()
	return out + " " + w.parts()
}

// alter takes what stands behind ALTER TABLE.
func (w *rewriter) alter() string {
	w.accept("if", "exists")
	out := w.table()
	w.wait()
	var clauses []string
	for w.at < len(w.in) {
		if c := w.clause(); c != "" {
			clauses = append(clauses, c)
		}
		if !w.sign(",") && w.at < len(w.in) {
			return w.refuse(fmt.Sprintf("%q at the end of a part", w.peek(0).text))
		}
		w.at++
	}
	if len(clauses) == 0 {
		clauses = []string{"FORCE"}
	}
	return out + " " + strings.Join(clauses, ", ")
}

// clause takes a part of an ALTER TABLE; empty for one that leaves columns and keys alone.
func (w *rewriter) clause() string {
	switch {
	case w.accept("add"):
		return w.add()
	case w.accept("drop"):
		return w.drop()
	case w.accept("modify"):
		w.accept("column")
		return "MODIFY COLUMN " + w.exists("exists") + w.column()
	case w.accept("change"):
		w.accept("column")
		return "CHANGE COLUMN " + w.exists("exists") + w.name() + " " + w.column()
	case w.accept("rename"):
		return w.rename()
	case w.accept("convert", "to"):
		return "CONVERT TO " + w.rest()
	case w.is("alter", "convert", "partition", "remove", "coalesce", "reorganize", "rebuild", "check", "repair", "optimize", "analyze", "truncate", "exchange"):
		return w.pass()
	case w.accept("order", "by"):
		w.pass()
		for w.sign(",") && (w.peek(1).kind == 'w' || w.peek(1).kind == '`') && (w.peek(2).text == "," || w.at+2 >= len(w.in) || w.isAt(2, "asc", "desc")) {
			w.at++
			w.pass()
		}
		return ""
	}
	return w.options(false)
}

func (w *rewriter) add() string {
	switch {
	case w.is("partition"):
		return w.pass()
	case w.is("system") && w.isAt(1, "versioning"):
		return w.refuse("SYSTEM VERSIONING")
	case w.is("period") && w.isAt(1, "for"):
		return w.addPeriod()
	case w.constraint():
		if e := w.element(); e != "" {
			return "ADD " + e
		}
		return ""
	}
	w.accept("column")
	exists := w.exists("not", "exists")
	if !w.sign("(") {
		return "ADD COLUMN " + exists + w.column()
	}
	if elements := w.elements(); len(elements) > 0 {
		return "ADD COLUMN " + exists + "(" + strings.Join(elements, ", ") + ")"
	}
	return ""
}

func (w *rewriter) drop() string {
	out := ""
	switch {
	case w.accept("primary", "key"):
		out = "DROP PRIMARY KEY"
	case w.accept("index"), w.accept("key"):
		out = "DROP INDEX " + w.exists("exists") + w.name()
	case w.is("foreign", "check", "partition"):
		return w.pass()
	case w.accept("constraint"):
		w.exists("exists")
		out = "DROP CONSTRAINT " + w.name()
	case w.is("system") && w.isAt(1, "versioning"):
		return w.refuse("SYSTEM VERSIONING")
	case w.is("period") && w.isAt(1, "for"):
		return w.dropPeriod()
	default:
		w.accept("column")
		out = "DROP COLUMN " + w.exists("exists") + w.name()
		w.skip("restrict", "cascade")
	}
	w.partitioned()
	return out
}

func (w *rewriter) rename() string {
	out := ""
	switch {
	case w.accept("column"):
		if w.exists("exists") != "" {
			return w.refuse("RENAME COLUMN IF EXISTS")
		}
		out = "RENAME COLUMN " + w.name()
	case w.accept("index"), w.accept("key"):
		w.exists("exists")
		out = "RENAME INDEX " + w.name()
	default:
		return w.pass()
	}
	if !w.accept("to") {
		return w.refuse("RENAME without TO")
	}
	out += " TO " + w.name()
	w.partitioned()
	return out
}

// partitioned passes the partitions over that stand at an ALTER TABLE's end, behind no comma.
func (w *rewriter) partitioned() {
	if w.is("partition") && w.isAt(1, "by") || w.is("remove") && w.isAt(1, "partitioning") {
		w.pass()
	}
}

// foreign gives a column of a type that the parser doesn't have.
func (w *rewriter) foreign(typ string) string {
	w.types = append(w.types, typ)
	return "BINARY(" + strconv.Itoa(foreignType+len(w.types)-1) + ")"
}
