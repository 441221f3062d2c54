package worker

import (
	"context"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// kept is a log of a few batches whose first answers are without records, as a broker's are
// to who has read more than its quota.
type kept struct {
	batches []log.Batch
	empty   int
	asked   int
}

func (k *kept) Fetch(_ context.Context, from log.Offset, _ time.Duration) ([]log.Batch, error) {
	if k.asked++; k.asked <= k.empty {
		return nil, nil
	}
	for i := range k.batches {
		if k.batches[i].Last >= from {
			return k.batches[i:], nil
		}
	}
	return nil, log.ErrOffsetOutOfRange
}

func (k *kept) Bounds(context.Context) (first, end log.Offset, err error) {
	return k.batches[0].Base, k.batches[len(k.batches)-1].Last + 1, nil
}

func (k *kept) add(epoch int16, fill func(*log.Records)) {
	var r log.Records
	fill(&r)
	b := log.Batch{Count: r.Count(), Data: r.Data(), Producer: log.Producer{ID: 1, Epoch: epoch}}
	if n := len(k.batches); n > 0 {
		b.Base = k.batches[n-1].Last + 1
	}
	b.Last = b.Base + log.Offset(r.Count()) - 1
	k.batches = append(k.batches, b)
}

// TestProof: a log of which nothing comes for now isn't another one; one that has another
// record in the commit's place is.
func TestProof(t *testing.T) {
	for want, pos := range map[bool]uint64{true: 5, false: 6} {
		k := &kept{empty: 2}
		k.add(1, open)
		k.add(1, commit(pos, 0, 0))
		s := newSession(&Worker{}, Claim{}, nil)
		s.fetch, s.asm = k, newAssembler([]Progress{{Source: src, Applied: at(5), Commit: 1, Open: 0, Producer: log.Producer{ID: 1, Epoch: 1}}}, spool{})
		s.asm.flows[src].doubted = true
		if err := s.prove(t.Context()); (err == nil) != want || k.asked != 3 {
			t.Errorf("commit %d in the place of 5: %v after %d answers, want it proved: %t", pos, err, k.asked, want)
		}
	}
}

// TestRepairNeedsNoProof: a source of a topic that was made anew isn't held against what was
// applied of the old one once its repair has begun, though records come that don't count.
func TestRepairNeedsNoProof(t *testing.T) {
	k := &kept{}
	k.add(2, open)
	k.add(2, func(r *log.Records) {
		envelope.AddCommit(r, src, &envelope.Commit{Txn: event.Txn{Position: at(30)}, Repair: event.RepairBegun})
	})
	k.add(1, rows(1)) // of an agent that has lost the source
	s := newSession(&Worker{}, Claim{}, nil)
	s.fetch, s.asm = k, newAssembler([]Progress{{Source: src, Applied: at(5), Commit: 1, Producer: log.NoProducer, Open: -1, Gap: true}}, spool{limit: 1 << 20})
	if _, _, err := s.take(k.batches, 0); err != nil {
		t.Fatal(err)
	}
	if f := s.asm.flows[src]; f.gap || !f.doubted || len(s.asm.done) != 1 {
		t.Fatalf("in a gap %t, doubted %t, %d transactions", f.gap, f.doubted, len(s.asm.done))
	}
	if err := s.prove(t.Context()); err != nil || k.asked != 0 {
		t.Errorf("%v after %d answers", err, k.asked)
	}
}

// TestSmallOnesFirst: what has waited behind a large transaction, and is small, isn't taken
// for the next one.
func TestSmallOnesFirst(t *testing.T) {
	s := newSession(&Worker{o: Options{BatchRows: 10, SpoolBytes: 1 << 20}}, Claim{}, nil)
	small, next := &flow{queue: []*txn{{rows: 3}, {rows: 11}}}, &flow{queue: []*txn{{rows: 11}}}
	s.blocked = []*flow{small}
	if i := s.nextLarge(); i >= 0 {
		t.Error("a small one begins as a large one")
	}
	s.blocked = append(s.blocked, next)
	if i := s.nextLarge(); i != 1 {
		t.Errorf("the next large one is of flow %d, want 1", i)
	}
}
