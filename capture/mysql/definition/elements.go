package definition

import (
	"slices"
	"strings"
)

// foreignTypes are those of both servers that the parser doesn't have.
var foreignTypes = []string{"inet4", "inet6", "uuid", "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection", "geomcollection"}

// tableOptions are words of options of tables that leave columns and keys alone.
var tableOptions = strings.Fields(`algorithm auto_increment autoextend_size avg_row_length checksum comment compression connection data default delay_key_write
	directory disable discard enable encrypted encryption encryption_key_id engine engine_attribute force ietf_quotes import index insert_method key_block_size keys
	lock max_rows min_rows pack_keys page_checksum page_compressed page_compression_level password row_format secondary_engine secondary_engine_attribute
	secondary_load secondary_unload start stats_auto_recalc stats_persistent stats_sample_pages storage table_checksum tablespace transaction transactional union
	validation with without`)

// elements takes columns and keys between parentheses.
func (w *rewriter) elements() (out []string) {
	for w.at++; ; w.at++ {
		if e := w.element(); e != "" {
			out = append(out, e)
		}
		if !w.sign(",") {
			break
		}
	}
	if !w.sign(")") {
		w.refuse("parentheses without end")
	}
	w.at++
	return out
}

// constraint reports whether a part of a table follows that isn't a column.
func (w *rewriter) constraint() bool {
	return w.is("constraint", "primary", "unique", "key", "index", "fulltext", "spatial", "foreign", "check") || w.is("vector") && w.isAt(1, "index", "key")
}

// element takes a column or a key; empty for what is neither.
func (w *rewriter) element() string {
	if w.is("period") && w.isAt(1, "for") {
		return w.addPeriod()
	}
	if !w.constraint() {
		return w.column()
	}
	symbol := ""
	if w.accept("constraint") {
		w.exists("not", "exists")
		if !w.is("primary", "unique", "foreign", "check") {
			symbol = w.name()
		}
	}
	unique := w.accept("unique")
	switch {
	case w.accept("primary", "key"):
		if !w.sign("(") && !w.typing() {
			w.name() // without a meaning
		}
		w.using()
		out := "PRIMARY KEY " + w.parts()
		w.pass()
		return out
	case w.is("foreign", "check"):
		return w.pass()
	}
	w.skip("fulltext", "spatial", "vector", "key", "index")
	exists := w.exists("not", "exists")
	if !w.sign("(") && !w.typing() {
		symbol = w.name()
	}
	w.using()
	out := "KEY " + exists + symbol + " " + w.parts()
	if w.pass(); unique {
		out += " COMMENT '" + uniqueKey + "'"
	}
	return out
}

// typing reports whether a key's type follows, and not its name.
func (w *rewriter) typing() bool {
	return w.is("using") || w.is("type") && w.isAt(1, "btree", "hash", "rtree")
}

// using passes a key's type over.
func (w *rewriter) using() {
	if w.typing() {
		w.at += 2
	}
}

// parts takes those of a key. What an expression computes has no meaning here.
func (w *rewriter) parts() string {
	if !w.sign("(") {
		return w.refuse("a key without columns")
	}
	var out []string
	for w.at++; ; w.at++ {
		part := ""
		if w.sign("(") {
			w.copy()
			part = "((1))"
		} else if part = w.name(); w.sign("(") {
			part += w.copy()
		}
		w.skip("asc", "desc")
		out = append(out, part)
		if !w.sign(",") {
			break
		}
	}
	if w.is("without") {
		out = w.withoutOverlaps(out)
	}
	if !w.sign(")") {
		return w.refuse("a key's columns without end")
	}
	w.at++
	return "(" + strings.Join(out, ", ") + ")"
}

// column takes a column's name and definition, and its place.
func (w *rewriter) column() string {
	out := []string{w.name(), w.columnType()}
	for !w.over() {
		switch {
		case w.accept("first"):
			out = append(out, "FIRST")
		case w.accept("after"):
			out = append(out, "AFTER "+w.name())
		case w.is("partition") && w.isAt(1, "by"), w.is("remove") && w.isAt(1, "partitioning"):
			w.pass()
		default:
			out = append(out, w.columnOption())
		}
	}
	return strings.Join(out, " ")
}

// columnType takes the first word of a column's type, or all of one that the parser doesn't
// have or understand.
func (w *rewriter) columnType() string {
	national := w.accept("national")
	word := strings.ToLower(w.peek(0).text)
	switch {
	case w.peek(0).kind != 'w':
		return w.refuse("a column without a type")
	case national || word == "nchar" || word == "nvarchar":
		w.at++
		kind := "VARCHAR"
		if (word == "nchar" || word == "char" || word == "character") && !w.is("varying", "varchar") {
			kind = "CHAR"
		}
		w.skip("varying", "varchar")
		if w.sign("(") {
			kind += w.copy()
		}
		return kind + " CHARACTER SET utf8"
	case slices.Contains(foreignTypes, word):
		w.at++
		return w.foreign(word)
	}
	return w.copy()
}

// columnOption takes what may stand behind a column's type.
func (w *rewriter) columnOption() string {
	value := func(n int) string { // of an option, behind = or not
		if w.at += n; w.sign("=") {
			w.at++
		}
		w.at++
		return ""
	}
	switch {
	case w.accept("invisible"), w.accept("visible"):
		return ""
	case w.accept("compressed"):
		if w.sign("=") {
			w.at += 2
		}
		return ""
	case w.is("comment", "ref_system_id", "srid", "engine_attribute", "secondary_engine_attribute"):
		return value(1)
	case w.accept("ascii"):
		return "CHARACTER SET latin1"
	case w.accept("unicode"):
		return "CHARACTER SET ucs2"
	case w.accept("byte"):
		return "CHARACTER SET binary"
	case w.accept("serial", "default", "value"):
		return "SERIAL DEFAULT VALUE"
	case w.accept("default"):
		return w.value()
	case w.is("on") && w.isAt(1, "update") && w.isAt(2, "current_timestamp", "now", "localtime", "localtimestamp"):
		if w.at += 3; w.sign("(") {
			w.copy()
		}
		return ""
	case w.is("constraint") && w.isAt(2, "check"), w.is("constraint") && w.isAt(1, "check"), w.is("check"):
		for !w.accept("check") {
			w.at++
		}
		w.copy()
		if w.is("enforced") || w.is("not") && w.isAt(1, "enforced") {
			w.skip("not", "enforced")
		}
		return ""
	case w.is("generated") || w.is("as"):
		w.accept("generated", "always")
		if !w.accept("as") || !w.sign("(") { // ROW START and ROW END
			return w.refuse("SYSTEM VERSIONING")
		}
		w.copy()
		if w.accept("persistent") {
			return "AS (1) STORED"
		}
		return "AS (1)"
	case w.is("with", "without") && w.isAt(1, "system"):
		return w.refuse("SYSTEM VERSIONING")
	case w.accept("charset"), w.accept("character", "set"), w.accept("char", "set"):
		return "CHARACTER SET " + w.copy()
	}
	return w.copy()
}

// value passes a default over. Operators stand within parentheses only.
func (w *rewriter) value() string {
	for w.sign("-") || w.sign("+") {
		w.at++
	}
	if w.sign("(") {
		w.copy()
		return ""
	}
	if w.accept("next", "value", "for") {
		w.table()
		return ""
	}
	if w.is("case") {
		return w.refuse("DEFAULT CASE")
	}
	first := w.peek(0)
	if first.text == "." || first.kind == 'w' && digit(first.text) {
		w.number()
		return ""
	}
	w.at++
	for w.sign(".") { // between names
		w.at += 2
	}
	for w.peek(0).kind == '\'' { // behind a character set, or another piece of a text
		w.at++
	}
	if w.sign("(") {
		w.copy()
	}
	return ""
}

// number passes one over, of which nothing but a sign stands apart. Digits behind the point
// may be missing: what stands there then is another word.
func (w *rewriter) number() {
	point := w.sign(".")
	last := w.peek(0).text
	w.at++
	if next := w.peek(0); !point && w.sign(".") && next.glue {
		last, point = "", true
		w.at++
	}
	if next := w.peek(0); point && next.glue && next.kind == 'w' && (digit(next.text) || next.text[0]|0x20 == 'e' && (len(next.text) == 1 || digit(next.text[1:]))) {
		last = next.text
		w.at++
	}
	if last != "" && last[len(last)-1]|0x20 == 'e' && !strings.HasPrefix(last, "0x") && (w.sign("-") || w.sign("+")) {
		w.at += 2 // an exponent
	}
}

func digit(text string) bool { return text[0] >= '0' && text[0] <= '9' }

// options takes a table's options, and gives those that are character sets. What stands
// behind a new table may be separated by commas as well.
func (w *rewriter) options(table bool) string {
	var out []string
	named := false // an option's word was the last
	for w.at < len(w.in) && (table || !w.over()) {
		kind := ""
		switch t := w.peek(0); {
		case w.accept("charset"), w.accept("character", "set"), w.accept("char", "set"):
			kind = "DEFAULT CHARACTER SET = "
		case w.accept("collate"):
			kind = "COLLATE = "
		case w.is("with", "without") && w.isAt(1, "system"):
			w.refuse("SYSTEM VERSIONING")
		case w.is("partition") && w.isAt(1, "by"), w.is("remove") && w.isAt(1, "partitioning"):
			if table && slices.ContainsFunc(w.in[w.at:], func(t lexeme) bool { return t.kind == 'w' && strings.EqualFold(t.text, "select") }) {
				w.refuse("SELECT behind PARTITION BY")
			}
			w.pass()
		case t.kind == 'w' && slices.Contains(tableOptions, strings.ToLower(t.text)), t.kind == '`' && w.peek(1).text == "=":
			named = true
			w.at++
		case t.kind == '\'' || named && t.kind != 'p':
			named = false
			w.at++
		case w.sign("=") && named, w.sign(",") && table:
			w.at++
		case w.sign("(") && named:
			named = false
			w.copy()
		default:
			w.refuse("the word " + t.text)
		}
		if kind == "" {
			continue
		}
		if w.sign("=") {
			w.at++
		}
		if w.is("default") {
			w.refuse("the database's default character set")
		}
		out = append(out, kind+w.copy())
		named = false
	}
	return strings.Join(out, " ")
}
