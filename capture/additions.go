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
	fresh []string // asked for
}

// Add asks for a table.
func (a *Additions) Add(table string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fresh = append(a.fresh, table)
	a.waits.Store(true)
}

// Reset forgets what was asked for and delivers what a durable state names.
func (a *Additions) Reset(taken []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.taken, a.fresh = slices.Clone(taken), nil
	a.waits.Store(false)
}

// Take gives the tables that are delivered from here on and weren't before. It costs
// next to nothing while nobody has asked.
func (a *Additions) Take() (fresh []string) {
	if !a.waits.Load() {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range a.fresh {
		if !slices.Contains(a.taken, t) {
			a.taken, fresh = append(a.taken, t), append(fresh, t)
		}
	}
	a.fresh = nil
	a.waits.Store(false)
	return fresh
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
