package catalog

import (
	"slices"
	"strings"
	"time"
)

// Standing is what a source is for a dataset.
type Standing string

// The standings. An authoritative source's rows are the dataset's; those of a check
// source are compared with them and never applied over them.
const (
	Authoritative Standing = "authoritative"
	Check         Standing = "check"
)

// IsStanding reports whether s is one.
func IsStanding(s Standing) bool { return s == Authoritative || s == Check }

// Engines are the kinds of database that a source can be.
var Engines = []string{"mysql", "mariadb", "postgres"}

// IsEngine reports whether s is one.
func IsEngine(s string) bool { return slices.Contains(Engines, s) }

// SourceID is the id of an org's source; false if name isn't 1 to 64 letters, digits, -
// and _.
func SourceID(org, name string) (string, bool) { return org + "-" + name, word.MatchString(name) }

// IsDataset reports whether s can be a dataset's name: 1 to 63 bytes without control
// characters, slashes and quotes.
func IsDataset(s string) bool {
	return len(s) <= 63 && dataset.MatchString(s) && s == strings.TrimSpace(s) && IsName(s)
}

// IsTable reports whether s can be the name of a source's table, its database and schema
// included: at most 400 bytes without control characters, in two parts or more.
func IsTable(s string) bool {
	if len(s) > 400 || !strings.Contains(s, ".") || strings.HasPrefix(s, ".") || strings.HasSuffix(s, ".") {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' })
}

// Feed is a source's claim on a dataset for a part of the tree.
type Feed struct {
	Dataset  string   `json:"dataset"`
	Source   string   `json:"source"`
	Table    string   `json:"table"`
	Standing Standing `json:"standing"`
	// Scope is the path of the org whose rows the source has.
	Scope string `json:"scope"`
}

// Rival gives the first of the feeds that stands against another one by the one-source
// rule (一数一源): for each org and dataset there is one authoritative source at most, so
// that two of them mustn't have scopes one of which lies in the other. A source doesn't
// stand against itself. It is nil if nothing stands against the feed.
func Rival(feeds []Feed, wanted Feed) *Feed {
	if wanted.Standing != Authoritative {
		return nil
	}
	for i := range feeds {
		f := &feeds[i]
		if f.Standing == Authoritative && f.Dataset == wanted.Dataset && f.Source != wanted.Source &&
			(Within(f.Scope, wanted.Scope) || Within(wanted.Scope, f.Scope)) {
			return f
		}
	}
	return nil
}

// Registered is a table that an approved source sends.
type Registered struct {
	Source   string
	Org      string
	OrgName  string
	Path     string
	Engine   string
	Agent    string
	Standing Standing
	Table    string
	Dataset  string
	Retired  bool // the source sends it no more
	// Approved is when the source was last approved, or given to its agent.
	Approved time.Time
}
