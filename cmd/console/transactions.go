package console

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tributary-cdc/tributary/sinks/postgres"
)

const (
	shownTxns    = 20
	readBatches  = 60 // more than are shown, so that a store a little behind matches too
	storePatient = 2 * time.Second
)

// transaction is one commit of a source, and when each store had it.
type transaction struct {
	Source string
	ID     string
	Place  string
	Rows   string
	Stores []arrival // one per store
}

// arrival is a transaction in one store. Without it, None says so.
type arrival struct {
	None    bool
	At      moment
	Batch   string
	Partial bool
}

// recentCache keeps what the stores said last, so that many pages cost one question.
type recentCache struct {
	mu     sync.Mutex
	at     time.Time
	stores [][]postgres.Recent
	errs   []error
}

// read asks all stores at once, unless somebody did a moment ago.
func (c *Console) read(ctx context.Context) ([][]postgres.Recent, []error) {
	part := partOf(ctx)
	k := &c.recent
	if part != nil {
		kept, _ := c.parts.LoadOrStore(part.key(), &recentCache{})
		k = kept.(*recentCache)
		c.forget(k)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Since(k.at) < c.o.Every*8/10 {
		return k.stores, k.errs
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storePatient) // for whoever comes next, too
	defer cancel()
	found, errs := make([][]postgres.Recent, len(c.o.Stores)), make([]error, len(c.o.Stores))
	var all sync.WaitGroup
	for i, s := range c.o.Stores {
		all.Go(func() { found[i], errs[i] = s.Viewer.Recent(ctx, readBatches, part.topics()) })
	}
	all.Wait()
	for _, recent := range found {
		for i := range recent {
			recent[i].Applied = recent[i].Applied.In(c.o.Zone)
		}
	}
	k.at, k.stores, k.errs = time.Now(), found, errs
	return found, errs
}

// forget drops what was kept for parts at which nobody has looked for a minute.
func (c *Console) forget(but *recentCache) {
	c.parts.Range(func(key, value any) bool {
		k := value.(*recentCache)
		if k != but && k.mu.TryLock() {
			if !k.at.IsZero() && time.Since(k.at) > time.Minute {
				c.parts.Delete(key)
			}
			k.mu.Unlock()
		}
		return true
	})
}

// transactions gives the newest transactions of all sources, and the stores that
// can't be read.
func (c *Console) transactions(ctx context.Context, t words) ([]transaction, []problem) {
	stores, errs := c.read(ctx)
	var failed []problem
	type commit struct {
		postgres.Recent
		newest time.Time
	}
	seen := map[[2]string]int{}
	var commits []commit
	for i, found := range stores {
		if errs[i] != nil {
			p := problem{Tone: bad, Where: c.o.Stores[i].Name, What: t.Generic["store"][0], Do: t.Generic["store"][1]}
			if partOf(ctx) == nil { // where the store is concerns those who have it
				p.Error = errs[i].Error()
			}
			failed = append(failed, p)
			continue
		}
		for _, r := range found {
			name := [2]string{r.Source, r.Position}
			k, ok := seen[name]
			if !ok {
				k = len(commits)
				seen[name] = k
				commits = append(commits, commit{Recent: r})
			}
			if r.Applied.After(commits[k].newest) {
				commits[k].newest = r.Applied
			}
		}
	}
	slices.SortStableFunc(commits, func(a, b commit) int {
		return cmp.Or(b.newest.Compare(a.newest), cmp.Compare(b.Offset, a.Offset))
	})
	var out []transaction
	for _, r := range commits[:min(len(commits), shownTxns)] {
		x := transaction{Source: r.Source, ID: cmp.Or(r.TxnID, r.Position), Place: fmt.Sprintf("%s %d", r.Partition, r.Offset), Rows: grouped(int64(r.Rows))}
		for i := range stores {
			x.Stores = append(x.Stores, arrived(r.Recent, stores[i]))
		}
		out = append(out, x)
	}
	return out, failed
}

// arrived finds the batch of a store that moved the source over a transaction.
func arrived(r postgres.Recent, found []postgres.Recent) arrival {
	for _, b := range found {
		if b.Source == r.Source && b.From < r.Position && r.Position <= b.To {
			return arrival{At: clock(b.Applied), Batch: fmt.Sprint(b.Batch), Partial: b.Partial}
		}
	}
	return arrival{None: true}
}
