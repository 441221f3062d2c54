package capture

import "path"

// Matches reports whether a table's name, e.g. "database.table", fits one of the
// patterns, in which * and ? stand as in file names.
func Matches(patterns []string, name string) bool {
	return MatchesAs(patterns, name, func(s string) string { return s })
}

// MatchesAs is Matches once fold has given name and patterns the form that the server keeps.
func MatchesAs(patterns []string, name string, fold func(string) string) bool {
	name = fold(name)
	for _, p := range patterns {
		if ok, err := path.Match(fold(p), name); err == nil && ok {
			return true
		}
	}
	return false
}
