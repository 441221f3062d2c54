package contract

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/pipeline"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestAttack12OpenTransactionOutlivesWorkers: A's transaction begins, B's commits go
// on, and the worker is restarted in between, once by a crash of its connection.
func TestAttack12OpenTransactionOutlivesWorkers(t *testing.T) {
	both(t, func(r *rig) {
		a, b := r.hand(r.org+"-a", 0), r.hand(r.org+"-b", 0)
		a.open("a/1")
		b.open("b/1")
		w := r.work(0)
		a.must(a.rows(1, 0, 1, 2))
		for n := 1; n <= 20; n++ {
			b.txn(n, n)
			if n%5 != 0 {
				continue
			}
			r.await(fmt.Sprint("B's transaction ", n), func() bool { return r.applied(b.source) == position(n).String() })
			if n == 10 { // the store ends the worker's sessions: it claims again
				if _, err := r.sql.Exec(r.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tributary-worker'`); err != nil {
					r.Fatal(err)
				}
				continue
			}
			w.stop()
			a.must(a.rows(1, n, 100+n))
			w = r.work(0)
		}
		if got := r.rows(a.source); got != "" {
			r.Errorf("rows %s of a transaction that isn't committed", got)
		}
		a.must(a.commit(1, 5))
		r.await("A's transaction", func() bool { return r.applied(a.source) == position(1).String() })
		if got := r.rows(a.source); got != "1 2 105 115 120" {
			r.Errorf("A has the rows %s", got)
		}
		r.whole(b.source, 20)
		w.stop()
		if txns := r.texts(`SELECT sum(transactions)::text FROM tributary.batch`); fmt.Sprint(txns) != "[21]" {
			r.Errorf("%v transactions in the batches, want 21", txns)
		}
	})
}

// TestAttack14AbandonedTransaction: A's agent dies in the middle of a transaction, B
// goes on, and retention passes A's first rows.
func TestAttack14AbandonedTransaction(t *testing.T) {
	for name, tt := range map[string]struct {
		then func(r *rig, a *hand) // what comes of A in the end
		rows string
		gaps string
	}{
		"and never returns":        {func(*rig, *hand) {}, "1", ""},
		"and wakes and commits it": {func(_ *rig, a *hand) { a.must(a.commit(2, 3)) }, "1", "%s ROW_COUNT"},
		"and another takes over": {func(r *rig, a *hand) {
			again := r.hand(a.source, 0)
			again.last = position(1)
			again.open("a/2")
			again.txn(2, 2, 3, 4)
		}, "1 2 3 4", ""},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(r *rig) {
				a, b := r.hand(r.org+"-a", 0), r.hand(r.org+"-b", 0)
				a.open("a/1")
				b.open("b/1")
				a.txn(1, 1)
				a.must(a.rows(2, 0, 2, 3))
				w := r.work(0)
				for n := 1; n <= 5; n++ {
					b.txn(n, n)
				}
				r.await("B's transactions", func() bool { return r.applied(b.source) == position(5).String() })
				w.stop()
				_, end, err := r.client.Fetcher(r.part(0), 0).Bounds(r.Context())
				if err != nil {
					r.Fatal(err)
				}
				servers.DeleteRecords(r, r.addr, r.part(0).Topic, 0, int64(end)-1)
				a.must(a.rows(2, 2, 4))
				r.work(0)
				tt.then(r, a)
				for n := 6; n <= 8; n++ {
					b.txn(n, n)
				}
				r.await("B's transactions", func() bool { return r.applied(b.source) == position(8).String() })
				if got := r.rows(b.source); got != numbers(8) {
					r.Errorf("B has the rows %s", got)
				}
				want := tt.gaps
				if want != "" {
					want = fmt.Sprintf(want, a.source)
				}
				r.await("A's end: gaps "+want+", rows "+tt.rows, func() bool { return r.gaps() == want && r.rows(a.source) == tt.rows })
			})
		})
	}
}

// TestAttack19SourceMoved: a source's transactions go on in another partition while
// the last ones in the old one haven't been read.
func TestAttack19SourceMoved(t *testing.T) {
	for name, first := range map[string]int32{"new partition first": 1, "old partition first": 0} {
		t.Run(name, func(t *testing.T) {
			for _, own := range []bool{true, false} {
				r := newRig(t, own, 2)
				old, other := r.hand(r.org+"-a", 0), r.hand(r.org+"-b", 1)
				old.open("a/1")
				other.open("b/1")
				old.txn(1, 1)
				w := r.work(0, 1)
				r.await("T1", func() bool { return r.applied(old.source) == position(1).String() })
				w.stop()
				old.txn(2, 2)
				moved := r.hand(old.source, 1)
				moved.last = position(2)
				moved.open("a/2")
				moved.txn(3, 3)
				other.txn(1, 1)
				w = r.work(first)
				r.await("the first partition", func() bool {
					p := w.Partitions()
					_, end, err := r.client.Fetcher(r.part(first), 0).Bounds(r.Context())
					return err == nil && len(p) == 1 && p[0].State == worker.Applying && p[0].Next >= end
				})
				w.stop()
				r.work(0, 1)
				r.await("the other source", func() bool { return r.applied(other.source) == position(1).String() })
				// The order is kept, or a gap says so: T2 is never skipped in silence.
				r.await("T3, or a gap", func() bool {
					return r.rows(old.source) == "1 2 3" || strings.Contains(r.gaps(), old.source+" PREV_MISMATCH")
				})
				if got := r.rows(old.source); !strings.HasPrefix("1 2 3", got) {
					r.Errorf("the moved source has the rows %s", got)
				}
				if got := r.gaps(); strings.Contains(got, other.source) {
					r.Errorf("gaps: %s", got)
				}
			}
		})
	}
}

// TestAttack19AgentRefusesToMove: the agent doesn't write into a partition that isn't
// its checkpoint's.
func TestAttack19AgentRefusesToMove(t *testing.T) {
	for _, own := range []bool{true, false} {
		r := newRig(t, own, 2)
		o := newOrigin(r.org + "-a")
		a := r.agent("a/1", o, nil)
		o.commit()
		r.reaches(a, 1)
		a.stop()
		moved := r.agent("a/1", o, func(o *pipeline.Options) {
			o.Partition, o.Log, o.Tail = r.part(1), r.producer(r.org+"-a", 1), r.client.Fetcher(r.part(1), 0)
		})
		r.await("the refusal", func() bool { return moved.Status().State == pipeline.Retrying })
		s := moved.Status()
		if s.Code != "PARTITION_CHANGED" || !strings.Contains(s.Error, r.part(0).String()) || !strings.Contains(s.Error, r.part(1).String()) {
			r.Errorf("status %+v, want PARTITION_CHANGED with both partitions", s)
		}
		if _, end, err := r.client.Fetcher(r.part(1), 0).Bounds(r.Context()); err != nil || end != 0 {
			r.Errorf("%d records in the new partition, %v", end, err)
		}
		if capture.ActionOf(capture.ErrMoved) != capture.AskOperator {
			r.Error("a moved source doesn't ask a person")
		}
	}
}
