package capture

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Additions are tables (schema.Table.ID) that a reader delivers besides those of its
// patterns. Anybody may add some; the reader takes them up between two transactions.
type Additions struct {
	waits atomic.Bool
	mu    sync.Mutex
	taken []string // delivered, in order
	asked []asked
}

// asked is what somebody wants of a table.
type asked struct {
	table string
	leave bool
}

// Add asks for a table.
func (a *Additions) Add(table string) {
	a.ask(asked{table: table})
}

// Remove asks that a table be left, which was added.
func (a *Additions) Remove(table string) {
	a.ask(asked{table: table, leave: true})
}

func (a *Additions) ask(what asked) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, what)
	a.waits.Store(true)
}

// Reset forgets what was asked for and delivers what a durable state names.
func (a *Additions) Reset(taken []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.taken, a.asked = slices.Clone(taken), nil
	a.waits.Store(false)
}

// Take gives the tables that are delivered from here on and weren't before, and those that
// were and aren't. It costs next to nothing while nobody has asked.
func (a *Additions) Take() (fresh, left []string) {
	if !a.waits.Load() {
		return nil, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	before := slices.Clone(a.taken)
	for _, x := range a.asked {
		a.taken = slices.DeleteFunc(a.taken, func(t string) bool { return t == x.table })
		if !x.leave {
			a.taken = append(a.taken, x.table)
		}
	}
	a.asked = nil
	a.waits.Store(false)
	return without(a.taken, before), without(before, a.taken)
}

// without gives those of tables that aren't among others.
func without(tables, others []string) (out []string) {
	for _, t := range tables {
		if !slices.Contains(others, t) {
			out = append(out, t)
		}
	}
	return out
}

// Has reports whether a table is delivered.
func (a *Additions) Has(table string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Contains(a.taken, table)
}

// List gives the tables that are delivered.
func (a *Additions) List() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.taken)
}
