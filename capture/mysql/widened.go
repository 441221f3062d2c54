package mysql

import (
	"bytes"
	"hash/fnv"
	"maps"
	"slices"
)

// widened has the tables read that a changed configuration has got: the stream has passed
// over what happened to them before.
func (r *Reader) widened() error {
	before := r.state.Patterns
	if r.state.Patterns = sums(r.o.Tables); before == nil || bytes.Equal(before, r.state.Patterns) {
		return nil
	}
	there := map[string]bool{}
	for sum := range slices.Chunk(before, sumSize) {
		there[string(sum)] = true
	}
	kept := slices.DeleteFunc(slices.Clone(r.o.Tables), func(p string) bool { return !there[string(sums([]string{p}))] })
	for _, name := range slices.Sorted(maps.Keys(r.known)) {
		if !Wanted(kept, name, r.caseless) && !r.additions.Has(name) {
			if r.defs.of(name) == nil {
				if err := r.define(name); err != nil {
					return err
				}
			}
			r.arrives(name, "the configuration has got it")
		}
	}
	return nil
}

// sumSize is the size of a pattern's sum in bytes.
const sumSize = 4

// sums gives what a state keeps of patterns.
func sums(patterns []string) (out []byte) {
	for _, p := range patterns {
		h := fnv.New32a()
		_, _ = h.Write([]byte(p)) // it never fails
		out = h.Sum(out)
	}
	return out
}
