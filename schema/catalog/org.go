// Package catalog holds the rules of a tier's register: the tree of orgs, what a source
// and a dataset may be called, and which source is the authoritative one. It reads and
// writes no database and no file.
package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Kind is what an org is.
type Kind string

// The kinds, from the top of the tree to its leaves. A zone is a functional zone: it has
// a bureau of its own and often no administrative code.
const (
	Province Kind = "province"
	City     Kind = "city"
	District Kind = "district"
	Zone     Kind = "zone"
	School   Kind = "school"
)

// Kinds are all of them.
var Kinds = []Kind{Province, City, District, Zone, School}

// rank orders the kinds: an org stands below one of a smaller rank.
var rank = map[Kind]int{Province: 1, City: 2, District: 3, Zone: 3, School: 4}

// chinese are the words for the kinds in a file.
var chinese = map[string]Kind{"省": Province, "市": City, "区县": District, "区": District, "县": District, "功能区": Zone, "学校": School}

// ParseKind reads a kind in English or Chinese; false if it is none.
func ParseKind(s string) (Kind, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	if k, ok := chinese[s]; ok {
		return k, true
	}
	return Kind(s), slices.Contains(Kinds, Kind(s))
}

// Org is a node of the tree.
type Org struct {
	// Code names the org in topics and in the ids of sources: an administrative or a
	// school's code, or one that Fill made for a zone without any.
	Code string `json:"code"`
	// Parent is the code of the org above; empty for the root.
	Parent string `json:"parent,omitempty"`
	Name   string `json:"name"`
	Kind   Kind   `json:"kind"`
	// Path is the codes from the root to the org, each followed by a slash: an org lies
	// within another if its path begins with the other's.
	Path string `json:"path"`
}

// Depth is the number of orgs above this one.
func (o *Org) Depth() int { return max(0, strings.Count(o.Path, "/")-1) }

var (
	code    = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)
	word    = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)
	dataset = regexp.MustCompile(`^[^\x00-\x1f\x7f/\\"']{1,63}$`)
)

// IsCode reports whether s can be an org's code: 1 to 64 letters, digits, - and _.
func IsCode(s string) bool { return code.MatchString(s) }

// IsName reports whether s can be the name of an org or a person: 1 to 120 characters of
// valid UTF-8, none of which controls a terminal or the direction of writing.
func IsName(s string) bool {
	if s != strings.TrimSpace(s) || s == "" || !utf8.ValidString(s) || utf8.RuneCountInString(s) > 120 {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
	})
}

// zoneCode is the code of a zone without one: its parent's, and what follows from its
// name. The same file gives the same codes; another name is another org.
func zoneCode(parent, name string) string {
	sum := sha256.Sum256([]byte(name))
	return parent + "-z" + hex.EncodeToString(sum[:4])
}

// Within reports whether the org at path lies in the part of the tree at scope, or is
// its top. An empty scope is the whole tree.
func Within(path, scope string) bool { return strings.HasPrefix(path, scope) }
