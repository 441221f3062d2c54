package watch

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/sinks/postgres"
)

// Claim says up to which moment every approved authoritative source of a dataset in a part
// of the tree has been applied to a store.
type Claim struct {
	Dataset string `json:"dataset"`
	Org     string `json:"org"`
	Store   string `json:"store"`
	// Until is the moment; nil if a source has never come that far.
	Until   *time.Time `json:"complete_until"`
	Sources int        `json:"sources"`
	// Behind are those that hold it back, the furthest behind first, at most 50; More counts
	// the others.
	Behind []Laggard `json:"behind"`
	More   int       `json:"more_behind"`
}

// Laggard is a source that holds a claim back.
type Laggard struct {
	Source  string     `json:"source"`
	Org     string     `json:"org"`
	OrgName string     `json:"org_name"`
	Until   *time.Time `json:"complete_until"`
	// Why is what the store says (gap, repairing, halted, loading, rereading, quarantine,
	// missing), never (the store has nothing of it), or silent (nobody has told the store
	// anything for a minute).
	Why    string     `json:"why"`
	Since  *time.Time `json:"since,omitempty"`
	Tables []string   `json:"tables,omitempty"`
}

// Never is why a source holds back of which a store has nothing.
const Never = "never"

// fresh is how old a moment may be: agents look every 15 s, and two looks may fail.
const fresh = time.Minute

// maxBehind bounds the laggards that a claim names.
const maxBehind = 50

// Complete gives the claims for the datasets of a part of the tree, by dataset and store; for
// one dataset only if it is named. An org that the tree doesn't have gives none.
func (s *Snapshot) Complete(org, dataset string) []Claim {
	top := s.orgs[org]
	if top == nil {
		return []Claim{}
	}
	sets := map[string][]catalog.Registered{}
	seen := map[feedKey]bool{}
	for _, f := range s.feeds {
		key := feedKey{f.Dataset, f.Source}
		if f.Standing != catalog.Authoritative || dataset != "" && f.Dataset != dataset || !catalog.Within(f.Path, top.Path) || seen[key] {
			continue
		}
		seen[key] = true
		sets[f.Dataset] = append(sets[f.Dataset], f)
	}
	out := []Claim{}
	for name, sources := range sets {
		for i, store := range s.Stores {
			out = append(out, s.claim(Claim{Dataset: name, Org: org, Store: store}, i, sources))
		}
	}
	slices.SortFunc(out, func(a, b Claim) int {
		return cmp.Or(strings.Compare(a.Dataset, b.Dataset), strings.Compare(a.Store, b.Store))
	})
	return out
}

func (s *Snapshot) claim(c Claim, store int, sources []catalog.Registered) Claim {
	c.Sources, c.Behind = len(sources), []Laggard{}
	never := false
	for _, f := range sources {
		l := Laggard{Source: f.Source, Org: f.Org, OrgName: f.OrgName, Why: Never}
		if x := s.byStore[store][feedKey{f.Dataset, f.Source}]; x != nil {
			l.Until, l.Since, l.Tables, l.Why = x.Until, x.HeldSince, x.HeldTables, ""
			l.judge(x, s.At)
		}
		never = never || l.Until == nil
		if l.Until != nil && (c.Until == nil || l.Until.Before(*c.Until)) {
			c.Until = l.Until
		}
		if l.Why != "" {
			c.Behind = append(c.Behind, l)
		}
	}
	if never {
		c.Until = nil
	}
	slices.SortFunc(c.Behind, func(a, b Laggard) int {
		switch {
		case a.Until == nil && b.Until == nil:
		case a.Until == nil:
			return -1
		case b.Until == nil:
			return 1
		default:
			return cmp.Or(a.Until.Compare(*b.Until), strings.Compare(a.Source, b.Source))
		}
		return strings.Compare(a.Source, b.Source)
	})
	if n := len(c.Behind); n > maxBehind {
		c.Behind, c.More = c.Behind[:maxBehind], n-maxBehind
	}
	return c
}

// Share gives up to when a source's share of a dataset is in a store, and what holds it
// back; nil if the store has nothing of it.
func (s *Snapshot) Share(store int, dataset, source string) *Laggard {
	x := s.byStore[store][feedKey{dataset, source}]
	if x == nil {
		return nil
	}
	l := &Laggard{Source: source, Until: x.Until, Since: x.HeldSince, Tables: x.HeldTables}
	l.judge(x, s.At)
	return l
}

// judge says why a source holds a claim back; not at all if nothing does.
func (l *Laggard) judge(x *postgres.Complete, now time.Time) {
	switch {
	case x.HeldBy != nil:
		l.Why = *x.HeldBy
	case x.Until == nil:
		l.Why = Never
	case now.Sub(*x.Until) > fresh:
		l.Why = Silent
	}
}
