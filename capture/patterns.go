package capture

import (
	"path"
	"strings"
)

// unslashed keeps path.Match from stopping at a slash: a table may have one in its name, and
// no name has a NUL.
var unslashed = strings.NewReplacer("/", "\x00")

// IsPattern reports whether a text is a pattern of two parts, such as "database.*". A dot of a
// name, unlike the one between the parts, has a backslash before it.
func IsPattern(p string) bool {
	_, err := path.Match(p, "")
	return err == nil && strings.Count(strings.ReplaceAll(p, `\.`, ""), ".") == 1
}

var quoted = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`)

// Literal gives the pattern that takes the table of this name and nothing else.
func Literal(name string) string {
	first, second, _ := strings.Cut(quoted.Replace(name), ".")
	return first + "." + strings.ReplaceAll(second, ".", `\.`)
}

// Name gives the name of the one table that a pattern takes; false if it may take others, or is no
// pattern of two parts.
func Name(p string) (string, bool) {
	if !IsPattern(p) {
		return "", false
	}
	var name strings.Builder
	for i := 0; i < len(p); i++ {
		switch p[i] {
		case '*', '?', '[':
			return "", false
		case '\\':
			i++ // a pattern has something behind it
		}
		name.WriteByte(p[i])
	}
	return name.String(), true
}

// Matches reports whether a table's name, e.g. "database.table", fits one of the
// patterns, in which * and ? stand as in file names, also for a slash.
func Matches(patterns []string, name string) bool {
	return MatchesAs(patterns, name, func(s string) string { return s })
}

// MatchesAs is Matches once fold has given name and patterns the form that the server keeps.
func MatchesAs(patterns []string, name string, fold func(string) string) bool {
	name = unslashed.Replace(fold(name))
	for _, p := range patterns {
		if ok, err := path.Match(unslashed.Replace(fold(p)), name); err == nil && ok {
			return true
		}
	}
	return false
}
