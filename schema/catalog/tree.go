package catalog

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Fault is what can be wrong with an org of a file.
type Fault string

// The faults.
const (
	FaultCode      Fault = "code"      // not a code; Value is what stands there
	FaultName      Fault = "name"      // not a name
	FaultKind      Fault = "kind"      // not a kind
	FaultNoCode    Fault = "no code"   // only a zone may do without
	FaultTwice     Fault = "twice"     // the code stands in line Other, too
	FaultParent    Fault = "parent"    // no such org
	FaultAmbiguous Fault = "ambiguous" // several zones without code have this name
	FaultCycle     Fault = "cycle"     // the org is above itself, by way of Value
	FaultRank      Fault = "rank"      // an org of this kind can't stand below one of that kind
	FaultRoot      Fault = "root"      // a second root; Value is the first
	FaultColumns   Fault = "columns"   // the file's columns or keys aren't those wanted
	FaultSyntax    Fault = "syntax"    // neither CSV nor YAML
	FaultGBK       Fault = "gbk"       // the file is written in GBK
	FaultEncoding  Fault = "encoding"  // the file is not UTF-8
	FaultEmpty     Fault = "empty"     // there is no org
	FaultSize      Fault = "size"      // there are too many
)

// Problem is one of them at its line, counted from 1; 0 for the whole file.
type Problem struct {
	Line  int    `json:"line"`
	Fault Fault  `json:"fault"`
	Value string `json:"value,omitempty"`
	Other int    `json:"other,omitempty"` // another line; 0 if there is none
}

// Entry is an org of a file with the line that it stands in.
type Entry struct {
	Org
	Line int
}

// MaxOrgs bounds the orgs of one file.
const MaxOrgs = 100_000

// maxPath bounds the length of a path in bytes, so that it can be indexed.
const maxPath = 1024

// Plan puts the entries of a file over the orgs that are known already: an org whose code
// is known is changed, others are added, none goes. It gives all orgs of the tree with
// their paths, by path, or everything that is wrong with the file.
func Plan(known []Org, file []Entry) ([]Org, []Problem) {
	switch {
	case len(file) == 0:
		return nil, []Problem{{Fault: FaultEmpty}}
	case len(file) > MaxOrgs:
		return nil, []Problem{{Fault: FaultSize}}
	}
	file = slices.Clone(file)
	problems := check(file)
	problems = append(problems, fill(known, file)...)
	if len(problems) > 0 {
		return nil, problems
	}
	all, lines := map[string]Org{}, map[string]int{}
	for _, o := range known {
		all[o.Code] = o
	}
	for _, e := range file {
		if first, twice := lines[e.Code]; twice {
			problems = append(problems, Problem{Line: e.Line, Fault: FaultTwice, Value: e.Code, Other: first})
			continue
		}
		lines[e.Code], all[e.Code] = e.Line, e.Org
	}
	problems = append(problems, place(all, lines)...)
	if len(problems) > 0 {
		slices.SortStableFunc(problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
		return nil, problems
	}
	orgs := slices.Collect(maps.Values(all))
	slices.SortFunc(orgs, func(a, b Org) int { return strings.Compare(a.Path, b.Path) })
	return orgs, nil
}

// check looks at each entry by itself.
func check(file []Entry) (problems []Problem) {
	for i := range file {
		e := &file[i]
		if e.Code != "" && !IsCode(e.Code) {
			problems = append(problems, Problem{Line: e.Line, Fault: FaultCode, Value: e.Code})
		}
		if !IsName(e.Name) {
			problems = append(problems, Problem{Line: e.Line, Fault: FaultName, Value: e.Name})
		}
		if _, ok := rank[e.Kind]; !ok {
			problems = append(problems, Problem{Line: e.Line, Fault: FaultKind, Value: string(e.Kind)})
		}
		if e.Code == "" && e.Kind != Zone {
			problems = append(problems, Problem{Line: e.Line, Fault: FaultNoCode, Value: e.Name})
		}
	}
	return problems
}

// fill gives codes to zones without one, then finds parents that are named by such a
// zone's name.
func fill(known []Org, file []Entry) (problems []Problem) {
	codes, zones := map[string]bool{}, map[string][]string{}
	for _, o := range known {
		codes[o.Code] = true
		if o.Kind == Zone && o.Code == zoneCode(o.Parent, o.Name) {
			zones[o.Name] = append(zones[o.Name], o.Code)
		}
	}
	for i := range file {
		e := &file[i]
		if e.Code == "" && e.Kind == Zone && e.Parent != "" {
			e.Code = zoneCode(e.Parent, e.Name)
			if !slices.Contains(zones[e.Name], e.Code) {
				zones[e.Name] = append(zones[e.Name], e.Code)
			}
		} else if e.Code == "" && e.Kind == Zone {
			problems = append(problems, Problem{Line: e.Line, Fault: FaultNoCode, Value: e.Name})
		}
		codes[e.Code] = true
	}
	for i := range file {
		e := &file[i]
		if e.Parent == "" || codes[e.Parent] {
			continue
		}
		switch found := zones[e.Parent]; len(found) {
		case 0:
			problems = append(problems, Problem{Line: e.Line, Fault: FaultParent, Value: e.Parent})
		case 1:
			e.Parent = found[0]
		default:
			problems = append(problems, Problem{Line: e.Line, Fault: FaultAmbiguous, Value: e.Parent})
		}
	}
	return problems
}

// place gives every org its path, and reports what can't be a tree. An org that the file
// doesn't name is told at line 0.
func place(all map[string]Org, lines map[string]int) (problems []Problem) {
	root := ""
	for _, c := range slices.Sorted(maps.Keys(all)) {
		o := all[c]
		if o.Parent == "" {
			if root != "" { // the one that was there before stays
				second, first := c, root
				if lines[second] == 0 {
					second, first = first, second
				}
				problems = append(problems, Problem{Line: lines[second], Fault: FaultRoot, Value: first})
			} else {
				root = c
			}
		} else if p := all[o.Parent]; rank[p.Kind] >= rank[o.Kind] {
			problems = append(problems, Problem{Line: lines[c], Fault: FaultRank, Value: string(o.Kind) + " < " + string(p.Kind)})
		}
		path := ""
		for at, seen := o, map[string]bool{}; ; at = all[at.Parent] {
			path = at.Code + "/" + path
			if at.Parent == "" {
				break
			}
			if seen[at.Code] || len(path) > maxPath {
				problems = append(problems, Problem{Line: lines[c], Fault: FaultCycle, Value: at.Parent})
				break
			}
			seen[at.Code] = true
		}
		o.Path = path
		all[c] = o
	}
	return problems
}
