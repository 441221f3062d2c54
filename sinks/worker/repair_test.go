package worker

import (
	"testing"

	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

func repair(pos, prev uint64) func(*log.Records) {
	return func(r *log.Records) {
		envelope.AddCommit(r, src, &envelope.Commit{Txn: event.Txn{Position: at(pos)}, Prev: at(prev), Repair: event.RepairBegun})
	}
}

// TestRepairTakesASourceOutOfItsGap: in a gap nothing counts but the beginning of a repair,
// by the producer that has the source by then; from there on all does.
func TestRepairTakesASourceOutOfItsGap(t *testing.T) {
	known := Progress{Source: src, Applied: at(5), Producer: log.Producer{ID: 1, Epoch: 1}, Gap: true, Commit: 9}
	s := newScript(t, known)
	s.batch(1, rows(1))
	s.batch(1, commit(9, 5, 1))
	s.batch(2, open)
	s.batch(1, repair(15, 9)) // of an agent that has lost the source
	s.batch(2, repair(5, 5))  // known
	s.batch(2, commit(20, 5, 0))
	s.want(0, "", Counts{Fenced: 1, Known: 1})
	s.batch(2, repair(30, 9))
	s.batch(2, rows(2))
	s.batch(2, commit(31, 30, 2))
	s.want(2, "", Counts{Fenced: 1, Known: 1})
	if b := s.a.done[0]; b.from != at(5) || b.lost != nil || b.producer.Epoch != 2 || b.open != 2 {
		t.Errorf("the repair begins at %s with %+v, by %s of %d", b.from, b.lost, b.producer, b.open)
	}
	s.batch(2, commit(40, 39, 0))
	s.want(2, "PREV_MISMATCH", Counts{Fenced: 1, Known: 1}) // a gap is a gap while another is repaired
}

// TestRepairBringsItsGap: a gap that the store hasn't been told of when the repair begins,
// because what is before it isn't applied yet or because only the repair shows it, comes to
// it with the repair.
func TestRepairBringsItsGap(t *testing.T) {
	for name, fill := range map[string]func(*script){
		"waiting": func(s *script) {
			s.batch(1, func(r *log.Records) { envelope.AddGap(r, src, envelope.Gap{Last: at(5), Code: "SLOT_LOST"}) })
			s.batch(1, repair(30, 5))
		},
		"shown by the repair": func(s *script) { s.batch(1, repair(30, 9)) },
	} {
		s := newScript(t, Progress{Source: src, Applied: at(5), Producer: log.Producer{ID: 1, Epoch: 1}, Commit: 9})
		fill(s)
		s.want(1, "", Counts{})
		if g := s.a.done[0].lost; g == nil || g.Last != at(5) {
			t.Errorf("%s: the repair has the gap %+v", name, g)
		}
	}
	s := newScript(t, Progress{Source: src, Applied: at(5), Producer: log.Producer{ID: 1, Epoch: 1}, Commit: 9})
	s.batch(1, repair(30, 5)) // another store's gap
	s.want(1, "", Counts{})
	if g := s.a.done[0].lost; g != nil {
		t.Errorf("a store that lacks nothing is told of %+v", g)
	}
}

// TestGapForgetsNoProducer: once the gap is in the store, reading needn't begin before a
// later open record.
func TestGapForgetsNoProducer(t *testing.T) {
	s := newScript(t)
	s.batch(1, open)                                                                              // 0
	s.batch(1, func(r *log.Records) { envelope.AddGap(r, src, envelope.Gap{Code: "SLOT_LOST"}) }) // 1
	if g := s.a.gaps[0]; g.Open != 0 || g.Producer.Epoch != 1 {
		t.Errorf("the gap names the producer %s of %d", g.Producer, g.Open)
	}
	s.a.flows[src].kept = s.a.gaps[0].Open // recorded
	if from := s.a.readFrom(s.next, nil); from != 2 {
		t.Errorf("reading begins at %d, want 2", from)
	}
	s.batch(2, open) // 2
	if from := s.a.readFrom(s.next, nil); from != 2 {
		t.Errorf("reading begins at %d, want 2: the open record of the repair to come", from)
	}
}
