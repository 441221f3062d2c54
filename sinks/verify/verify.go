// Package verify compares the rows of a source's table, as a verification names them, with
// what a store has of them. It decides what is a difference and what is one that is known;
// it knows no SQL and no log.
package verify

import (
	"fmt"
	"time"

	"github.com/tributary-cdc/tributary/stream/event"
)

// Kind is what is wrong with a row of the store.
type Kind string

// The kinds of differences.
const (
	Missing   Kind = "missing"   // the source has it, the store hasn't
	Surplus   Kind = "surplus"   // the store has it, the source hasn't
	Different Kind = "different" // both have it, with other values
)

// State is how a verification stands in a store.
type State string

// The states.
const (
	Running  State = "running"
	Equal    State = "equal"    // every row was compared, and none differs
	Unequal  State = "unequal"  // a difference stands
	Repaired State = "repaired" // differences were found, and none stands any more
	GivenUp  State = "given_up" // it must be asked again; Error says why
)

// Ended reports whether nothing more comes.
func (s State) Ended() bool { return s != Running && s != "" }

// Counts is what was found so far.
type Counts struct {
	Rows      int64 `json:"rows"` // of the source, compared
	Missing   int64 `json:"missing"`
	Surplus   int64 `json:"surplus"`
	Different int64 `json:"different"`
	// Repaired are those of the three that the store has mended.
	Repaired int64 `json:"repaired"`
	// Quarantined are rows that differ because their key is in quarantine, Owned those that
	// another source owns by the contract's key. Neither is a difference.
	Quarantined int64 `json:"quarantined"`
	Owned       int64 `json:"owned_by_others"`
}

// Differences is the number of rows that were found to differ.
func (c *Counts) Differences() int64 { return c.Missing + c.Surplus + c.Different }

// Outcome is the state of a verification that has come to its end.
func (c *Counts) Outcome() State {
	switch n := c.Differences(); {
	case n == 0:
		return Equal
	case c.Repaired >= n:
		return Repaired
	}
	return Unequal
}

// Report is one table's verification in one store.
type Report struct {
	ID      string `json:"id"`
	Source  string `json:"source"`
	Table   string `json:"table"`
	Dataset string `json:"dataset"`
	State   State  `json:"state"`
	Error   string `json:"error,omitempty"` // why it was given up
	By      string `json:"asked_by"`
	Repair  bool   `json:"repair"`
	Chunks  int64  `json:"chunks"`
	Counts
	Asked time.Time `json:"asked_at"`
	Begun time.Time `json:"begun_at"`
	Ended time.Time `json:"ended_at,omitzero"`
	// Named are rows that differ, by their keys: the first ones, as many as were asked for.
	Named []Difference `json:"differences"`
}

// Difference is one row.
type Difference struct {
	Kind     Kind   `json:"kind"`
	Key      string `json:"key"` // a JSON array in the order of the key's columns
	Repaired bool   `json:"repaired"`
}

// Stored is what a store has under one of the asked keys.
type Stored struct {
	Place  int // of the key among those that were asked, from 0
	Digest event.RowDigest
	// Odd says that a value isn't one that the source's column could have.
	Odd bool
	// Owned says that another source owns the row.
	Owned bool
}

// Chunk compares rows as a check names them with what a store has.
type Chunk struct {
	Rows []event.CheckedRow
	// Held tells of a canonical key whether it is in quarantine.
	Held   func(key []byte) bool
	Counts Counts
	found  []bool
	// Wrong are the rows that differ, by their place, in no order.
	Wrong []Wrong
}

// Wrong is a row that differs.
type Wrong struct {
	Place int
	Kind  Kind
}

// Take takes what the store has under one key.
func (c *Chunk) Take(s *Stored) error {
	if c.found == nil {
		c.found = make([]bool, len(c.Rows))
	}
	if s.Place < 0 || s.Place >= len(c.Rows) || c.found[s.Place] {
		return fmt.Errorf("row %d of %d comes twice, or wasn't asked for", s.Place, len(c.Rows))
	}
	c.found[s.Place] = true
	switch {
	case s.Owned:
		c.Counts.Owned++
	case s.Odd || s.Digest != c.Rows[s.Place].Digest:
		c.wrong(s.Place, Different)
	}
	return nil
}

// End says that the store has nothing more under the keys.
func (c *Chunk) End() {
	for i := range c.Rows {
		if c.found == nil || !c.found[i] {
			c.wrong(i, Missing)
		}
	}
	c.Counts.Rows = int64(len(c.Rows))
}

func (c *Chunk) wrong(i int, kind Kind) {
	switch {
	case c.Held(c.Rows[i].Key):
		c.Counts.Quarantined++
		return
	case kind == Missing:
		c.Counts.Missing++
	default:
		c.Counts.Different++
	}
	c.Wrong = append(c.Wrong, Wrong{i, kind})
}
