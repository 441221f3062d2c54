package mysql

import (
	"strings"
	"unicode/utf8"
)

// shownBytes bounds what is shown of a statement.
const shownBytes = 200

// shown gives a statement for people, logs and the reasons of stops, without what may be
// data of persons: comments are gone, strings stand as '…', and, unless it defines a table,
// numbers as 0. The end of a long one is cut off.
func shown(sql string, defines bool) string {
	var b strings.Builder
	end := 0
	for _, t := range tokens(sql) {
		apart := t.end-len(t.text) > end
		if t.quote {
			apart = !strings.ContainsRune("`'\"", rune(sql[end]))
		}
		if apart && b.Len() > 0 {
			b.WriteByte(' ')
		}
		switch {
		case t.tick:
			b.WriteString("`" + strings.ReplaceAll(t.text, "`", "``") + "`")
		case t.quote:
			b.WriteString("'…'")
		case !defines && t.text[0] >= '0' && t.text[0] <= '9':
			b.WriteByte('0')
		default:
			b.WriteString(t.text)
		}
		if end = t.end; b.Len() > shownBytes {
			break
		}
	}
	s := b.String()
	if len(s) <= shownBytes {
		return s
	}
	cut := shownBytes
	for cut > shownBytes-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}
