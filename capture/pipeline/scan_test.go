package pipeline

import (
	"testing"

	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// TestScanGoesOn: what an older agent appends between the look at the log's end and the
// fetch comes with the fetch, and counts in the next scan; the source would be read again
// from before it.
func TestScanGoesOn(t *testing.T) {
	m := &memory{points: map[string][]byte{}}
	a := &appender{memory: m}
	if _, err := a.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	add := func(f func(*log.Records)) {
		t.Helper()
		var r log.Records
		f(&r)
		if _, err := a.Append(t.Context(), &r); err != nil {
			t.Fatal(err)
		}
	}
	commit := func(n uint64) {
		add(func(r *log.Records) {
			at := func(n uint64) event.Place { return event.Place{Offset: n} }
			envelope.AddCommit(r, "s", &envelope.Commit{Txn: event.Txn{Position: event.Position{Epoch: 1, Place: at(n)}}, Prev: event.Position{Epoch: 1, Place: at(n - 1)}, Restart: at(n + 1)})
		})
	}
	add(func(r *log.Records) { envelope.AddOpen(r, "s", envelope.Open{Agent: "a"}) })
	s := &scanner{source: "s", producer: log.NoProducer}
	for n := uint64(1); n <= 3; n++ {
		commit(n)
		_, end, err := m.Bounds(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		commit(n + 100) // too late for this scan
		if err := s.advance(t.Context(), m, end); err != nil {
			t.Fatal(err)
		}
		if s.last.Offset != n || s.next != end {
			t.Errorf("scan %d: last %s, next %d, want %d", n, s.last, s.next, end)
		}
		if err := s.advance(t.Context(), m, end+1); err != nil {
			t.Fatal(err)
		}
		if s.last.Offset != n+100 {
			t.Errorf("the scan after %d: last %s", n, s.last)
		}
	}
}
