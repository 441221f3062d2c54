package worker

import (
	"testing"

	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

const src = "330106-xueji"

func at(n uint64) event.Position {
	if n == 0 {
		return event.Position{}
	}
	return event.Position{Epoch: 1, Place: event.Place{Offset: n}}
}

// script feeds an assembler batch by batch; each batch has one producer.
type script struct {
	t    *testing.T
	a    *assembler
	next log.Offset
}

func (s *script) batch(epoch int16, fill func(*log.Records)) {
	s.t.Helper()
	var r log.Records
	fill(&r)
	b := log.Batch{Base: s.next, Last: s.next + log.Offset(r.Count()) - 1, Count: r.Count(), Data: r.Data(), Producer: log.Producer{ID: 1, Epoch: epoch}}
	s.next = b.Last + 1
	if err := b.Each(func(o log.Offset, rec *log.Record) error { return s.a.record(&b, o, rec) }); err != nil {
		s.t.Fatal(err)
	}
}

func open(r *log.Records) { envelope.AddOpen(r, src, envelope.Open{Agent: "a"}) }

func rows(n int) func(*log.Records) {
	return func(r *log.Records) {
		for range n {
			r.Add([]byte("k"), []byte{0, 0, 0, 0, 9, 1}, log.Header{Key: envelope.HeaderSource, Value: []byte(src)},
				log.Header{Key: envelope.HeaderPosition, Value: make([]byte, event.PositionSize)})
		}
	}
}

func commit(pos, prev uint64, n int) func(*log.Records) {
	return func(r *log.Records) {
		envelope.AddCommit(r, src, &envelope.Commit{Txn: event.Txn{Position: at(pos)}, Prev: at(prev), Rows: n})
	}
}

func (s *script) want(txns int, gap string, c Counts) {
	s.t.Helper()
	got := ""
	if len(s.a.gaps) > 0 {
		got = s.a.gaps[0].Code
	}
	if len(s.a.done) != txns || got != gap || len(s.a.gaps) > 1 || s.a.counts != c {
		s.t.Errorf("%d transactions, gaps %v, %+v; want %d, %q, %+v", len(s.a.done), s.a.gaps, s.a.counts, txns, gap, c)
	}
}

func newScript(t *testing.T, known ...Progress) *script {
	return &script{t: t, a: newAssembler(known, spool{limit: 1 << 20})}
}

func TestWholeTransactions(t *testing.T) {
	s := newScript(t)
	s.batch(1, open)
	s.batch(1, rows(2))
	s.want(0, "", Counts{})
	s.batch(1, commit(5, 0, 2))
	s.batch(1, rows(1))
	s.want(1, "", Counts{})
	if from := s.a.readFrom(s.next, nil); from != 0 {
		t.Errorf("reading could begin at %d although the store doesn't know the producer", from)
	}
}

// Attack 11: rows r1 r2, the source's connection lost, open, r1 r2 r3 commit.
func TestAttack11HalfTransactionIsVoid(t *testing.T) {
	s := newScript(t)
	s.batch(1, open)
	s.batch(1, rows(2))
	s.batch(1, open)
	s.batch(1, rows(3))
	s.batch(1, commit(5, 0, 3))
	s.want(1, "", Counts{Void: 1})
	if n := s.a.done[0].rows; n != 3 {
		t.Errorf("%d rows, want 3", n)
	}
}

// Attacks 7 and 8: an older agent's late batch is dropped by readers.
func TestAttack7LateProducerIsDropped(t *testing.T) {
	s := newScript(t)
	s.batch(1, open)
	s.batch(2, open)
	s.batch(1, rows(1))
	s.batch(1, commit(5, 0, 1))
	s.want(0, "", Counts{Fenced: 2})
	s.batch(2, rows(1))
	s.batch(2, commit(5, 0, 1))
	s.want(1, "", Counts{Fenced: 2})
}

func TestReplayIsSkipped(t *testing.T) {
	s := newScript(t, Progress{Source: src, Applied: at(5), Producer: log.Producer{ID: 1, Epoch: 1}, Open: 0, Commit: 9})
	s.batch(1, open)
	s.batch(1, rows(1))
	s.batch(1, commit(5, 0, 1))
	s.batch(1, commit(7, 5, 0))
	s.want(1, "", Counts{Known: 1})
}

// Attacks 14, 17, 18: continuity that isn't shown is a gap, never a guess.
func TestGaps(t *testing.T) {
	for name, tt := range map[string]struct {
		known []Progress
		fill  func(*log.Records)
		code  string
	}{
		"commit missing":         {[]Progress{{Source: src, Applied: at(5), Producer: log.Producer{ID: 1, Epoch: 1}}}, commit(9, 7, 0), "PREV_MISMATCH"},
		"store begins too late":  {nil, commit(9, 7, 0), "PREV_MISMATCH"},
		"store knows, log anew":  {[]Progress{{Source: src, Applied: at(5), Producer: log.Producer{ID: 1, Epoch: 1}}}, commit(9, 0, 0), "PREV_MISMATCH"},
		"row missing":            {nil, commit(9, 0, 3), "ROW_COUNT"},
		"heartbeat beyond store": {nil, func(r *log.Records) { envelope.AddHeartbeat(r, src, envelope.Heartbeat{Last: at(3)}) }, "PREV_MISMATCH"},
		"agent says so":          {nil, func(r *log.Records) { envelope.AddGap(r, src, envelope.Gap{Code: "SLOT_LOST"}) }, "SLOT_LOST"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, tt.known...)
			s.batch(1, open)
			s.batch(1, rows(1))
			s.batch(1, tt.fill)
			s.batch(1, commit(20, 9, 0)) // nothing counts after a gap
			s.want(0, tt.code, s.a.counts)
		})
	}
}

func TestForeignRecordsAreSetAside(t *testing.T) {
	s := newScript(t)
	s.batch(1, open)
	s.batch(-1, func(r *log.Records) { r.Add([]byte("x"), []byte("hello")); r.Add(nil, nil) })
	s.batch(1, rows(1))
	s.batch(1, commit(5, 0, 1))
	s.want(1, "", Counts{Foreign: 2})
}

// A worker that dies between two groups of one fetch must come back to the
// producer of what it hadn't applied, though a newer one stood in the same fetch.
func TestProducerBelongsToTheTransaction(t *testing.T) {
	s := newScript(t)
	s.batch(1, open)            // 0
	s.batch(1, commit(5, 0, 0)) // 1
	s.batch(2, open)            // 2
	s.batch(2, commit(7, 5, 0)) // 3
	s.batch(3, open)            // 4
	s.batch(3, commit(9, 7, 0)) // 5
	s.want(3, "", Counts{})
	first := s.a.done[0]
	if first.producer.Epoch != 1 || first.open != 0 {
		t.Errorf("the first transaction is said to be of producer %s, opened at %d", first.producer, first.open)
	}
	s.a.flows[src].kept = first.offset
	if from := s.a.readFrom(s.next, s.a.done[1:]); from != 2 {
		t.Errorf("after the first transaction reading begins at %d, want 2: the open record of the second", from)
	}
	// Read again from there, with what the store knows.
	again := newScript(t, Progress{Source: src, Applied: at(5), Commit: 1, Producer: first.producer, Open: first.open})
	again.next = 2
	again.batch(2, open)
	again.batch(2, commit(7, 5, 0))
	again.batch(3, open)
	again.batch(3, commit(9, 7, 0))
	again.want(2, "", Counts{})
}
