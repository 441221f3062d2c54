package contract

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/test/servers"
)

// status is the worker's view of one partition.
func status(w *applying, p log.Partition) worker.PartitionStatus {
	for _, st := range w.Partitions() {
		if st.Partition == p {
			return st
		}
	}
	return worker.PartitionStatus{}
}

// TestDamagedBatchStopsItsPartition: what lies before it is applied, with and without
// a backlog; the partition is shown as failed with the offset, however often the worker
// looks again, other partitions flow, and it goes on by itself once the batch can be read.
func TestDamagedBatchStopsItsPartition(t *testing.T) {
	for name, before := range map[string]int{"one by one": 1, "behind a backlog": 3000} {
		for _, own := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, embedded %t", name, own), func(t *testing.T) { damaged(newRig(t, own, 2), before) })
		}
	}
}

func damaged(r *rig, before int) {
	a, b := r.hand(r.org+"-a", 0), r.hand(r.org+"-b", 1)
	a.open("a/1")
	b.open("b/1")
	ids := make([]int, before)
	for i := range ids {
		ids[i] = i + 1
	}
	a.txn(1, ids...)
	_, bad, err := r.client.Fetcher(r.part(0), 0).Bounds(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	a.must(a.append(func(rec *log.Records) { rec.Add([]byte("k"), []byte("a damaged record")) }))
	a.txn(2, before+1)
	flip := servers.NewFlip("a damaged record")
	flipped := r.connect(flip.Dial)
	w := r.workWith(func(p log.Partition) log.Fetcher { return flipped.Fetcher(p, 0) }, 0, 1)
	r.await("the stop", func() bool { return status(w, r.part(0)).State == worker.Failed })
	st := status(w, r.part(0))
	if st.Next != bad || st.Code != "LOG_CORRUPT" || !strings.Contains(st.Error, fmt.Sprintf("batch at offset %d: checksum", bad)) {
		r.Errorf("status %+v, want LOG_CORRUPT at offset %d", st, bad)
	}
	if got := r.rows(a.source); got != numbers(before) {
		r.Errorf("A has the rows %.100s, want the %d before the damage", got, before)
	}
	for n := 1; n <= 3; n++ {
		b.txn(n, n)
	}
	r.await("B's transactions", func() bool { return r.applied(b.source) == position(3).String() })
	if st := status(w, r.part(1)); st.State != worker.Applying || st.Error != "" {
		r.Errorf("the other partition is %+v", st)
	}
	r.await("the worker's third look", func() bool {
		return r.texts(`SELECT fence::text FROM tributary.claim WHERE partition = $1`, r.part(0).String())[0] >= "4"
	})
	if got, want := w.seen(), []worker.State{worker.Starting, worker.Applying, worker.Failed}; !slices.Equal(got, want) {
		r.Errorf("states %v, want %v and nothing else meanwhile", got, want)
	}
	flip.Heal()
	r.await("A's second transaction", func() bool { return r.applied(a.source) == position(2).String() })
	if got := r.rows(a.source); got != numbers(before+1) || r.gaps() != "" {
		r.Errorf("A has the rows %.100s, gaps %s", got, r.gaps())
	}
	r.await("the partition's recovery", func() bool { return status(w, r.part(0)).State == worker.Applying })
	if st := status(w, r.part(0)); st.Error != "" || st.Foreign != 1 || st.LastForeign != bad {
		r.Errorf("after the repair the partition is %+v", st)
	}
}

// TestForeignRecordsAreShown: somebody else's records are set aside with their
// offset; they hurt nobody.
func TestForeignRecordsAreShown(t *testing.T) {
	both(t, func(r *rig) {
		a := r.hand(r.org+"-a", 0)
		a.open("a/1")
		a.txn(1, 1)
		var last log.Offset
		for _, value := range []string{`{"hello":1}`, "", "second"} {
			var err error
			if last, err = r.client.Put(r.Context(), r.part(0), []byte("somebody"), []byte(value)); err != nil {
				r.Fatal(err)
			}
		}
		a.txn(2, 2)
		w := r.work(0)
		r.whole(a.source, 2)
		r.await("the count", func() bool { return status(w, r.part(0)).Foreign == 3 })
		if st := status(w, r.part(0)); st.LastForeign != last || st.State != worker.Applying {
			r.Errorf("status %+v, want the offset %d", st, last)
		}
		if _, c := w.Status(); c.Foreign != 3 {
			r.Errorf("counts %+v", c)
		}
		if want := fmt.Sprintf("offset=%d number=3", last); !strings.Contains(r.log.String(), want) {
			r.Errorf("the log doesn't say %s:%s", want, r.log.String())
		}
	})
}
