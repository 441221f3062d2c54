package capture

import "path"

// Matches reports whether a table's name, e.g. "database.table", fits one of the
// patterns, in which * and ? stand as in file names.
func Matches(patterns []string, name string) bool {
	for _, p := range patterns {
		if ok, err := path.Match(p, name); err == nil && ok {
			return true
		}
	}
	return false
}
