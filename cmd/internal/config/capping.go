package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tributary-cdc/tributary/capture"
)

// Cap bounds the values of one column.
type Cap struct {
	// Size is the largest value that is carried, 1kB to 7MB.
	Size Size `yaml:"size"`
	// Action is what becomes of a larger one: "omit" (NULL in its place, and an anomaly) or
	// "stop" (its source stops).
	Action string `yaml:"action"`
}

// The actions of caps.
const (
	omitLarge = "omit"
	stopLarge = "stop"
)

// A row with a value of mostCap still fits into a record.
const (
	leastCap Size = 1 << 10
	mostCap  Size = 7 << 20
)

// ColumnCaps gives the caps as readers take them.
func (s *Source) ColumnCaps() capture.Caps {
	out := capture.Caps{}
	for table, columns := range s.Caps {
		out[table] = map[string]capture.Cap{}
		for name, c := range columns {
			out[table][name] = capture.Cap{Bytes: int(c.Size), Stop: c.Action == stopLarge}
		}
	}
	return out
}

func (s *Source) checkCaps(where string) error {
	var all []error
	for _, f := range s.ColumnCaps().Faults() {
		all = append(all, wrong(where+"."+f.Place, faults[f.Fault]))
	}
	for _, table := range slices.Sorted(maps.Keys(s.Caps)) {
		for _, name := range slices.Sorted(maps.Keys(s.Caps[table])) {
			c, place := s.Caps[table][name], fmt.Sprintf("%s.caps %q.%q", where, table, name)
			if c.Size < leastCap || c.Size > mostCap {
				all = append(all, wrong(fmt.Sprintf("%s.size %d", place, c.Size), outside, leastCap, mostCap))
			}
			if c.Action != omitLarge && c.Action != stopLarge {
				all = append(all, wrong(fmt.Sprintf("%s.action %q", place, c.Action), oneOf, "omit, stop"))
			}
		}
	}
	return errors.Join(all...)
}
