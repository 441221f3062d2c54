package sinktest

import (
	"time"

	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// gapRepaired has a repair take the source out of its gap and close it at its end, once with
// a gap that the store knows and once with one that comes with the repair. What the store
// knows of the producer counts as of the gap, and nothing of another log's offsets.
func gapRepaired(x *fixture) {
	x.apply(worker.TableChange{Upserts: []worker.NetRow{made(1, "a", "one")}})
	g := worker.Gap{Source: x.table.Source, Last: x.at, To: event.Place{Offset: 77}, Code: "TOPIC_REPLACED", Reason: "r", At: time.Unix(1_700_000_000, 0).UTC(), Offset: 4,
		Producer: log.Producer{ID: 8, Epoch: 1}, Open: 3, Replaced: true}
	if err := x.store.RecordGap(x.Context(), x.claim, g); err != nil {
		x.Fatal(err)
	}
	x.state(func(p *worker.Progress) bool {
		return p.Gap && !p.Repairing && p.Producer == g.Producer && p.Open == 3 && p.Commit == -1 && p.ReadFrom == 0 && p.Lost.Code == g.Code && p.Lost.Reason == "r" && p.Lost.Last == g.Last && p.Lost.At.Equal(g.At)
	}, "in the gap")
	x.repair(event.RepairBegun, nil)
	x.state(func(p *worker.Progress) bool { return !p.Gap && p.Repairing && p.Lost.Code == g.Code }, "while it is repaired")
	x.repair(event.RepairEnded, nil)
	x.state(func(p *worker.Progress) bool { return !p.Gap && !p.Repairing && p.Lost == worker.Gap{} }, "repaired")

	x.repair(event.RepairBegun, &worker.Gap{Source: x.table.Source, Last: x.at, Code: "PREV_MISMATCH", Reason: "r", At: g.At, Offset: 9})
	x.state(func(p *worker.Progress) bool { return p.Repairing && p.Lost.Code == "PREV_MISMATCH" }, "a gap with its repair")
	again := g
	again.Code, again.Replaced = "SLOT_LOST", false
	if err := x.store.RecordGap(x.Context(), x.claim, again); err != nil {
		x.Fatal(err)
	}
	x.state(func(p *worker.Progress) bool {
		return p.Gap && !p.Repairing && p.Lost.Code == "SLOT_LOST" && p.Commit == 9
	}, "a gap in the repair")
	x.repair(event.RepairBegun, nil)
	x.repair(event.RepairEnded, nil)
	x.state(func(p *worker.Progress) bool { return !p.Gap && !p.Repairing }, "all repaired")
	if n := x.h.Gaps(x.T); n != 3 {
		x.Errorf("%d gaps are kept", n)
	}
}

func (x *fixture) repair(phase event.RepairPhase, lost *worker.Gap) {
	x.Helper()
	b := x.batch(worker.TableChange{})
	b.Steps[0].Repair, b.Steps[0].LostBefore = phase, lost
	if err := x.store.Apply(x.Context(), b); err != nil {
		x.Fatal(err)
	}
	x.at = b.Steps[0].To
}

func (x *fixture) state(want func(*worker.Progress) bool, when string) {
	x.Helper()
	claim, known, err := x.store.Claim(x.Context(), partition, "w")
	if x.claim = claim; err != nil || len(known) != 1 || known[0].Applied != x.at || !want(&known[0]) {
		x.Errorf("%s: %+v, %v", when, known, err)
	}
}
