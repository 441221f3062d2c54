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

// known is what the register and the stores have said, put together once for many looks.
type known struct {
	sources  map[string][]catalog.Registered // by id
	datasets []dataset                       // by name
	byStore  []map[feedKey]*postgres.Complete
}

type feedKey struct{ dataset, source string }

// dataset is one with its authoritative sources.
type dataset struct {
	name   string
	shares []share
}

// share is a source's part of a dataset, with what each store has of it.
type share struct {
	feed   *catalog.Registered
	stores []*postgres.Complete // nil where a store has nothing
}

// arrange puts together what was asked.
func (w *Watch) arrange() *known {
	m := w.made
	k := &known{sources: map[string][]catalog.Registered{}}
	for i := range m.stores {
		shares := make(map[feedKey]*postgres.Complete, len(m.stores[i].complete))
		for n := range m.stores[i].complete {
			c := &m.stores[i].complete[n]
			shares[feedKey{c.Dataset, c.Source}] = c
		}
		k.byStore = append(k.byStore, shares)
	}
	sets, seen := map[string][]share{}, map[feedKey]bool{}
	for i := range m.feeds {
		f := &m.feeds[i]
		k.sources[f.Source] = append(k.sources[f.Source], *f)
		key := feedKey{f.Dataset, f.Source}
		if f.Standing != catalog.Authoritative || f.Retired || seen[key] {
			continue
		}
		seen[key] = true
		sh := share{feed: f}
		for _, shares := range k.byStore {
			sh.stores = append(sh.stores, shares[key])
		}
		sets[f.Dataset] = append(sets[f.Dataset], sh)
	}
	for name, shares := range sets {
		k.datasets = append(k.datasets, dataset{name, shares})
	}
	slices.SortFunc(k.datasets, func(a, b dataset) int { return strings.Compare(a.name, b.name) })
	return k
}

// Complete gives the claims for the datasets of a part of the tree, by dataset and store. An
// org that the tree doesn't have gives none. They are everybody's: nobody may change them.
func (s *Snapshot) Complete(org string) []Claim {
	if have, ok := s.claims.Load(org); ok {
		return have.([]Claim)
	}
	out := []Claim{}
	top := s.orgs[org]
	if top == nil {
		return out
	}
	for i := range s.known.datasets {
		d := &s.known.datasets[i]
		var within []share
		for _, sh := range d.shares {
			if catalog.Within(sh.feed.Path, top.Path) {
				within = append(within, sh)
			}
		}
		for k, store := range s.Stores {
			come := within
			if s.parts[k] != nil {
				come = nil
				for _, sh := range within {
					if sh.stores[k] != nil || s.comes(k, sh.feed.Path) {
						come = append(come, sh)
					}
				}
			}
			if len(come) > 0 {
				out = append(out, s.claim(Claim{Dataset: d.name, Org: org, Store: store, Sources: len(come)}, k, come))
			}
		}
	}
	s.claims.Store(org, out)
	return out
}

// claim fills in the least moment and who holds it back.
func (s *Snapshot) claim(c Claim, store int, shares []share) Claim {
	c.Behind = []Laggard{}
	never := false
	for _, sh := range shares {
		l := Laggard{Source: sh.feed.Source, Org: sh.feed.Org, OrgName: sh.feed.OrgName, Why: Never}
		if x := sh.stores[store]; x != nil {
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
	x := s.known.byStore[store][feedKey{dataset, source}]
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
