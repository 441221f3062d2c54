package watch

import (
	"fmt"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/stream/status"
)

// BenchmarkLook is one look at 10,000 sources with a store and five datasets each, and what a
// page asks of it.
func BenchmarkLook(b *testing.B) {
	w := &world{now: time.Unix(1_800_000_000, 0), orgs: []catalog.Org{{Code: "33", Path: "33/"}}}
	var err error
	if w.w, err = New(Options{Board: w, Register: w, Stores: []Store{{Name: "city", Viewer: w}}, Now: func() time.Time { return w.now }}); err != nil {
		b.Fatal(err)
	}
	for i := range 100 {
		org := fmt.Sprintf("33%04d", i)
		w.orgs = append(w.orgs, catalog.Org{Code: org, Parent: "33", Path: "33/" + org + "/"})
		for k := range 100 {
			id := fmt.Sprintf("%s-s%d", org, k)
			for d := range 5 {
				w.feed(org, fmt.Sprint("s", k), fmt.Sprint("d", d), catalog.Authoritative)
				w.has(fmt.Sprint("d", d), id, 0, "")
			}
			for _, kind := range []status.Kind{status.OfSource, status.OfStore} {
				r := status.Record{Kind: kind, Org: org, Source: id, State: "streaming", Written: w.now, Within: 10}
				if kind == status.OfStore {
					r.Store, r.State = "city", "applying"
				}
				w.records = append(w.records, r)
			}
		}
	}
	newest := w.Newest()
	w.w.o.Board = still{w, newest}
	w.w.Ask(b.Context())
	b.Run("look", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			w.w.Look()
		}
	})
	b.Run("tree", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			w.w.Snapshot().Tree(Query{Scopes: []string{""}, Text: "s42"})
		}
	})
	b.Run("complete", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s := w.w.Snapshot()
			s.claims.Clear()
			s.Complete("33")
		}
	})
}

// still is a board that says the same each time.
type still struct {
	*world
	newest []*status.Record
}

func (s still) Newest() []*status.Record { return s.newest }
