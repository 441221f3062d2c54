package mysql

import (
	"strings"
)

// token is a word of a statement. Quoted identifiers keep no quotes; strings and
// numbers come as one token without a name.
type token struct {
	text  string
	word  bool // an identifier or keyword
	quote bool // it was quoted, so it is no keyword
	tick  bool // by backticks, so it is a name in every mode of SQL
	end   int  // where it ends in the statement
}

func (t token) is(words ...string) bool {
	for _, w := range words {
		if t.word && !t.quote && strings.EqualFold(t.text, w) {
			return true
		}
	}
	return false
}

// tokens cuts a statement into words. Comments vanish, but for those that the
// server executes (/*! and /*M!), whose content counts.
func tokens(sql string) (out []token) {
	for s := sql; s != ""; {
		c, n := s[0], len(out)
		switch {
		case strings.HasPrefix(s, "/*!") || strings.HasPrefix(s, "/*M!"):
			s = strings.TrimLeft(s[strings.IndexByte(s, '!')+1:], "0123456789")
		case strings.HasPrefix(s, "*/"):
			s = s[2:]
		case strings.HasPrefix(s, "/*"):
			_, s, _ = strings.Cut(s, "*/")
		case c == '#' || strings.HasPrefix(s, "-- ") || strings.HasPrefix(s, "--\n"):
			_, s, _ = strings.Cut(s, "\n")
		case c == '`' || c == '\'' || c == '"':
			var text string
			text, s = quoted(s)
			out = append(out, token{text: text, word: c != '\'', quote: true, tick: c == '`'})
		case wordByte(c):
			size := 1
			for size < len(s) && wordByte(s[size]) {
				size++
			}
			out = append(out, token{text: s[:size], word: true})
			s = s[size:]
		case c == ' ' || c == '\n' || c == '\t' || c == '\r':
			s = s[1:]
		default:
			out = append(out, token{text: s[:1]})
			s = s[1:]
		}
		if len(out) > n {
			out[n].end = len(sql) - len(s)
		}
	}
	return out
}

// unset gives a statement without the variables that MariaDB sets for it alone (SET
// STATEMENT ... FOR).
func unset(sql string) string {
	if word := strings.TrimLeft(sql, " \t\r\n"); len(word) < 3 || word[0] != '/' && word[0] != '-' && word[0] != '#' && !strings.EqualFold(word[:3], "set") {
		return sql
	}
	t := tokens(sql)
	if len(t) < 2 || !t[0].is("set") || !t[1].is("statement") {
		return sql
	}
	depth := 0
	for i := range t {
		switch {
		case t[i].is("for") && depth == 0:
			return sql[t[i].end:]
		case t[i].text == "(" && !t[i].word:
			depth++
		case t[i].text == ")" && !t[i].word:
			depth--
		}
	}
	return sql
}

func wordByte(c byte) bool {
	return c == '_' || c == '$' || c == '@' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// quoted reads a quoted text, in which a doubled quote stands for one, and in
// strings a backslash takes the next character with it.
func quoted(s string) (text, rest string) {
	q := s[0]
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == q && i+1 < len(s) && s[i+1] == q:
			i++
			b.WriteByte(q)
		case s[i] == q:
			return b.String(), s[i+1:]
		case s[i] == '\\' && q != '`' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), ""
}

// effect is what a statement in the log means for tables.
type effect uint8

const (
	harmless  effect = iota
	changes          // the named tables change
	truncates        // the named table loses all its rows
	creates          // the named table is new, or was there and stays as it is
	replaces         // the named table is new, in the place of one that may have been there
	drops            // all tables of the named database go
	indexes          // the named table gets an index, or loses one
	encodes          // the named database is new, or has another default character set
	counts           // the named sequence is new
	uncounts         // the named sequences go
	logged           // rows were changed by statement, in a way that can't be followed
	hidden           // a function or procedure was called, which may change any table
)

// statement says what a statement does to which tables ("database.table"; for
// drops the database). It is conservative: where a name could be meant, it is named.
func statement(sql, database string) (effect, []string) {
	t := tokens(sql)
	i := 0
	at := func() token {
		if i < len(t) {
			return t[i]
		}
		return token{}
	}
	skip := func(words ...string) {
		for at().is(words...) {
			i++
		}
	}
	name := func() string {
		if !at().word {
			return ""
		}
		n := database + "." + at().text
		if i+2 < len(t) && t[i+1].text == "." && t[i+2].word {
			n = at().text + "." + t[i+2].text
			i += 2
		}
		i++
		return n
	}
	list := func() (out []string) {
		for n := name(); n != ""; n = name() {
			out = append(out, n)
			for i < len(t) && at().text != "," && !at().is("to") { // WAIT n, RESTRICT
				i++
			}
			i++
		}
		return out
	}
	// on gives the table of an index.
	on := func() (effect, []string) {
		for i++; i < len(t); i++ {
			if at().is("on") {
				i++
				return indexes, []string{name()}
			}
		}
		return harmless, nil
	}
	first := at()
	i++
	switch {
	case first.is("truncate"):
		skip("table")
		return truncates, []string{name()}
	case first.is("rename") && at().is("table", "tables"):
		i++
		skip("if", "exists")
		return changes, list()
	case first.is("alter"):
		skip("online", "ignore", "offline")
		if at().is("database", "schema") {
			i++
			if at().is("character", "charset", "collate", "default", "comment", "encryption", "read", "upgrade") {
				return encodes, []string{database}
			}
			return encodes, []string{at().text}
		}
		if !at().is("table") {
			return harmless, nil
		}
		i++
		skip("if", "exists")
		out := []string{name()}
		for ; i < len(t); i++ { // EXCHANGE PARTITION p WITH TABLE t, CONVERT TABLE t TO PARTITION p, CONVERT PARTITION p TO TABLE t
			if at().is("table") && t[i-1].is("with", "convert", "to") {
				i++
				out = append(out, name())
				break
			}
		}
		return changes, out
	case first.is("drop"):
		if at().is("temporary") {
			return harmless, nil
		}
		if at().is("database", "schema") {
			i++
			skip("if", "exists")
			return drops, []string{at().text}
		}
		if at().is("index") {
			return on()
		}
		what := changes
		if at().is("sequence") {
			what = uncounts
		} else if !at().is("table", "tables") {
			return harmless, nil
		}
		i++
		skip("if", "exists")
		return what, list()
	case first.is("create"):
		what := creates
		if at().is("or") {
			what = replaces
		}
		skip("or", "replace", "online", "offline", "unique", "fulltext", "spatial")
		switch {
		case at().is("index"):
			return on()
		case at().is("database", "schema"):
			i++
			skip("if", "not", "exists")
			return encodes, []string{at().text}
		case at().is("sequence"):
			what = counts
		case !at().is("table"):
			return harmless, nil
		}
		i++
		skip("if", "not", "exists")
		return what, []string{name()}
	case first.is("insert", "update", "delete", "replace", "load", "merge", "with"):
		return logged, mentioned(t, database)
	case first.is("select", "call", "do"):
		return hidden, nil
	}
	return harmless, nil
}

// mentioned gives every name that could be a table's.
func mentioned(t []token, database string) (out []string) {
	for i := range t {
		if !t[i].word {
			continue
		}
		out = append(out, database+"."+t[i].text)
		if i+2 < len(t) && t[i+1].text == "." && t[i+2].word {
			out = append(out, t[i].text+"."+t[i+2].text)
		}
	}
	return out
}
