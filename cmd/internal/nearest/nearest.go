// Package nearest finds the known word that somebody probably meant. It decides what
// is near; it knows no words.
package nearest

import "strings"

// Of gives the known word with the least distance to the given one, the first of
// equals, words that begin with the given one before all others; empty without known
// ones. Capital letters don't count.
func Of(word string, known ...string) string {
	const others = 1 << 20
	word = strings.ToLower(word)
	best, least := "", 1<<30
	for _, k := range known {
		d := distance(word, strings.ToLower(k))
		if word == "" || !strings.HasPrefix(strings.ToLower(k), word) {
			d += others
		}
		if d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is Levenshtein's, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		prev := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cur := row[j+1]
			cost := prev
			if a[i] != b[j] {
				cost++
			}
			row[j+1] = min(cost, row[j]+1, cur+1)
			prev = cur
		}
	}
	return row[len(b)]
}
