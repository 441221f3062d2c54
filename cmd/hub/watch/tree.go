package watch

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tributary-cdc/tributary/schema/catalog"
)

// Query says what of the tree is wanted. Scopes are the paths that the reader may see; the
// other fields narrow it down.
type Query struct {
	Scopes []string
	Org    string // below it; empty for all
	Text   string // in the source's id, the org's code or name, or the agent, whatever its case
	Tone   string // only sources of this tone
	State  string // only sources in this state
	Page   int    // from 0
}

// PageSize is the number of sources on a page, maxChildren that of orgs.
const (
	PageSize    = 50
	maxChildren = 200
)

// Tree is an answer: an org with those right below it and the sources of all of it.
type Tree struct {
	Here *Org   // nil above the reader's parts
	Up   []*Org // from the top to the one above, as far as the reader may see
	// Below are the orgs right below, the worst first; More counts those that aren't listed.
	Below []*Org
	More  int
	// Sources are those of the page, Found counts all that fit, States counts them by state
	// before that filter.
	Sources []*Source
	Found   int
	Pages   int
	Page    int
	States  []Count
	Tones   [4]int // of all sources that the reader may see there
}

// Count is how many sources are in a state.
type Count struct {
	State string
	Tone  Tone
	N     int
}

// sees reports whether a path lies in one of the scopes; what isn't in the tree is only for
// those who see all.
func (q *Query) sees(path string) bool {
	return slices.ContainsFunc(q.Scopes, func(scope string) bool { return scope == "" || path != "" && catalog.Within(path, scope) })
}

// Org gives an org that may be seen.
func (s *Snapshot) Org(scopes []string, code string) *Org {
	o := s.orgs[code]
	q := Query{Scopes: scopes}
	if o == nil || !q.sees(o.Path) {
		return nil
	}
	return o
}

// Source gives a source that may be seen.
func (s *Snapshot) Source(scopes []string, id string) *Source {
	x := s.sources[id]
	q := Query{Scopes: scopes}
	if x == nil || !q.sees(x.Org.Path) {
		return nil
	}
	return x
}

// Tops are the orgs at the tops of the scopes, by path.
func (s *Snapshot) Tops(scopes []string) (tops []*Org) {
	for _, o := range s.orgs {
		for _, scope := range scopes {
			if scope == o.Path || scope == "" && o.Parent == "" {
				tops = append(tops, o)
				break
			}
		}
	}
	slices.SortFunc(tops, func(a, b *Org) int { return strings.Compare(a.Path, b.Path) })
	return tops
}

// Tree answers a query; nil if the org isn't there for the reader.
func (s *Snapshot) Tree(q Query) *Tree {
	t := &Tree{}
	if q.Org != "" {
		if t.Here = s.Org(q.Scopes, q.Org); t.Here == nil {
			return nil
		}
		for up := s.Org(q.Scopes, t.Here.Parent); up != nil; up = s.Org(q.Scopes, up.Parent) {
			t.Up = append([]*Org{up}, t.Up...)
		}
		t.Below = t.Here.children
	} else if t.Below = s.Tops(q.Scopes); len(t.Below) == 1 {
		t.Here, t.Below = t.Below[0], t.Below[0].children
	}
	if n := len(t.Below); n > maxChildren {
		t.Below, t.More = t.Below[:maxChildren], n-maxChildren
	}
	s.find(t, q)
	return t
}

// find fills in the sources.
func (s *Snapshot) find(t *Tree, q Query) {
	counts := map[string]*Count{}
	text := strings.ToLower(strings.TrimSpace(q.Text))
	var found []*Source
	for _, x := range s.Sources {
		if q.Org != "" && !catalog.Within(x.Org.Path, t.Here.Path) || !q.sees(x.Org.Path) {
			continue
		}
		t.Tones[x.Tone]++
		if text != "" && !strings.Contains(strings.ToLower(x.ID+"\n"+x.Org.Name+"\n"+x.Org.Code+"\n"+x.Agent), text) {
			continue
		}
		c := counts[x.State]
		if c == nil {
			c = &Count{State: x.State}
			counts[x.State] = c
		}
		c.N, c.Tone = c.N+1, max(c.Tone, x.Tone)
		if (q.State == "" || x.State == q.State) && (q.Tone == "" || x.Tone.String() == q.Tone) {
			found = append(found, x)
		}
	}
	for _, c := range counts {
		t.States = append(t.States, *c)
	}
	slices.SortFunc(t.States, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Tone, a.Tone), cmp.Compare(b.N, a.N), strings.Compare(a.State, b.State))
	})
	t.Found, t.Pages = len(found), max(1, (len(found)+PageSize-1)/PageSize)
	t.Page = min(max(0, q.Page), t.Pages-1)
	t.Sources = found[t.Page*PageSize : min(len(found), (t.Page+1)*PageSize)]
}
