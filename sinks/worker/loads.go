package worker

import "github.com/tributary-cdc/tributary/stream/event"

// Load is the beginning or the end of a table's load, as a batch brings it. Of one that
// Store.Recall gives, Range says only whether a part of the table is loaded.
type Load struct {
	Source string
	event.Load
}

// alone reports whether a transaction is a batch by itself: a load or a repair begins or
// ends with it, or it says something of a verification, which is true just there.
func (t *txn) alone() bool {
	return len(t.commit.Loads) > 0 || t.checks > 0 || t.commit.Repair != event.NoRepair
}

// loads takes what a transaction says of loads. It comes after the transaction's rows.
func (u *builder) loads(b *Batch, t *txn) {
	for n, l := range t.commit.Loads {
		k := tableKey{t.source, l.Table}
		goes, on := u.loading[k]
		switch {
		case l.Range != nil && on && goes.Range == nil: // all of it is missing something already
		case l.Phase == event.LoadEnded:
			if l.Range == nil || goes.Since == l.Since {
				delete(u.loading, k)
				if on {
					u.holdLoad(t, l, n)
				}
			}
		default:
			if u.loading[k] = l; l.Phase != event.LoadBegun {
				delete(u.loading, k)
			}
			if l.Range == nil { // what was missing because the table, or a key, had stopped comes again, or never
				if s := u.refused[k]; l.Phase != event.TableDropped || s != nil && s.reread { // a person may still accept what is held
					delete(u.refused, k)
					delete(u.recorded, k)
				}
				clear(u.keysOf(t.source).table(l.Table).ids)
			}
		}
		b.Loads = append(b.Loads, Load{Source: t.source, Load: l})
	}
}
