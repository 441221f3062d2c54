package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/log"
)

// claims is a store of which only the claims count: who has a partition, by fence.
type claims struct {
	Store
	mu    sync.Mutex
	fence map[log.Partition]int64
	owner map[log.Partition]string
	calls []string
	left  []Claim
}

func (c *claims) Prepare(context.Context) error { return nil }

func (c *claims) Recall(context.Context, Claim) (Recalled, error) { return Recalled{}, nil }

func (c *claims) Left(context.Context, string) ([]Claim, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.left, nil
}

func (c *claims) leave(held Claim) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left, c.fence[held.Partition] = []Claim{held}, held.Fence
}

func (c *claims) Claim(_ context.Context, p log.Partition, worker string) (Claim, []Progress, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, "claim "+p.String())
	return c.raise(p, worker)
}

func (c *claims) Reclaim(_ context.Context, held Claim) (Claim, []Progress, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, "reclaim "+held.Partition.String())
	if c.fence[held.Partition] != held.Fence {
		return Claim{}, nil, ErrClaimLost
	}
	return c.raise(held.Partition, held.Worker)
}

func (c *claims) raise(p log.Partition, worker string) (Claim, []Progress, error) {
	c.fence[p]++
	c.owner[p] = worker
	return Claim{Partition: p, Fence: c.fence[p], Worker: worker}, nil, nil
}

// quiet is a partition without records, whose next fetch fails when told to.
type quiet struct{ fail chan error }

func (q quiet) Fetch(ctx context.Context, _ log.Offset, wait time.Duration) ([]log.Batch, error) {
	select {
	case err := <-q.fail:
		return nil, err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(wait):
		return nil, nil
	}
}

func (quiet) Bounds(context.Context) (first, end log.Offset, err error) { return 0, 7, nil }

type noSchemas struct{}

func (noSchemas) Table(context.Context, string, uint32) (*schema.Table, error) { return nil, nil }

// shift is a running Run over three partitions.
type shift struct {
	*testing.T
	*claims
	w     *Worker
	fail  map[log.Partition]chan error
	given chan Assignment
	lost  chan log.Partition
	ended chan struct{}
	stop  context.CancelFunc
}

var a0, a1, b0 = log.Partition{Topic: "a"}, log.Partition{Topic: "a", Index: 1}, log.Partition{Topic: "b"}

// work runs f on a Run that begins with what was left.
func work(t *testing.T, left []Claim, f func(*shift)) {
	synctest.Test(t, func(t *testing.T) {
		s := &shift{T: t, claims: &claims{fence: map[log.Partition]int64{}, owner: map[log.Partition]string{}, left: left}, fail: map[log.Partition]chan error{},
			given: make(chan Assignment), lost: make(chan log.Partition, 1), ended: make(chan struct{})}
		for _, p := range []log.Partition{a0, a1, b0} {
			s.fail[p] = make(chan error)
		}
		for _, c := range left {
			s.fence[c.Partition] = c.Fence
		}
		var err error
		if s.w, err = New(Options{Store: s.claims, Schemas: noSchemas{}, Name: "w", Fetcher: func(p log.Partition) log.Fetcher { return quiet{s.fail[p]} }}); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		s.stop = stop
		go func() { s.w.Run(ctx, []string{"a"}, s.given); close(s.ended) }()
		synctest.Wait()
		f(s)
		stop()
		synctest.Wait()
		if n := len(s.w.Held()); n != 0 {
			t.Errorf("%d partitions held after the end", n)
		}
	})
}

func (s *shift) assign(partitions ...log.Partition) {
	s.given <- Assignment{Partitions: partitions, Lost: s.lost}
	synctest.Wait()
}

// pass lets time go by.
func (s *shift) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (s *shift) wants(calls ...string) {
	s.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.Sort(s.calls)
	if fmt.Sprint(s.calls) != fmt.Sprint(calls) {
		s.Errorf("claims %q, want %q", s.calls, calls)
	}
	s.calls = nil
}

func (s *shift) holds(partitions ...log.Partition) {
	s.Helper()
	got := s.w.Held()
	slices.SortFunc(got, func(a, b log.Partition) int {
		return len(a.String()) - len(b.String()) + slices.Compare([]byte(a.String()), []byte(b.String()))
	})
	if !slices.Equal(got, partitions) {
		s.Errorf("holds %v, want %v", got, partitions)
	}
}

func TestAssignmentsKeepWhatStays(t *testing.T) {
	work(t, nil, func(s *shift) {
		s.assign(a0, a1)
		s.wants("claim a/0", "claim a/1")
		s.assign(a1, b0)
		s.wants("claim b/0")
		s.holds(a0, a1, b0) // nobody has claimed a/0 yet: it may have been given to a dead one
		s.pass(handOver)
		s.holds(a1, b0)
		s.assign()
		s.pass(handOver - 1)
		s.assign(b0) // and back, before anybody claimed it
		s.pass(2 * handOver)
		s.wants()
		s.holds(b0)
		s.stop()
		<-s.ended
	})
}

// TestAPartitionIsHandedOver: the worker ends with it as soon as another one claims it.
func TestAPartitionIsHandedOver(t *testing.T) {
	work(t, nil, func(s *shift) {
		s.assign(a0, a1)
		s.assign(a1)
		s.fail[a0] <- errors.New("a break while nobody else has it")
		s.pass(time.Second)
		s.holds(a0, a1)
		if _, _, err := s.claims.Claim(s.Context(), a0, "another"); err != nil {
			s.Fatal(err)
		}
		s.fail[a0] <- errors.New("the backend was ended")
		s.pass(time.Second)
		s.wants("claim a/0", "claim a/0", "claim a/1", "reclaim a/0", "reclaim a/0")
		s.holds(a1)
		if len(s.lost) != 0 {
			s.Error("a partition that isn't assigned was told as lost")
		}
	})
}

// TestAssignedAgainWhileItStops: the loop is told to stop at the very moment at which
// its partition is assigned again.
func TestAssignedAgainWhileItStops(t *testing.T) {
	work(t, nil, func(s *shift) {
		for range 20 {
			s.assign(a0)
			s.assign()
			time.Sleep(handOver)
			s.assign(a0) // before or after the loop's end
			s.pass(time.Second)
			s.holds(a0)
		}
	})
}

// TestAClaimIsNotTakenBack: after a break the worker renews its claim, unless another
// one has it now; then it says so and waits for the next assignment.
func TestAClaimIsNotTakenBack(t *testing.T) {
	work(t, nil, func(s *shift) {
		s.assign(a0, a1)
		s.wants("claim a/0", "claim a/1")
		s.fail[a0] <- errors.New("a break")
		s.pass(time.Second)
		s.wants("reclaim a/0")
		if _, _, err := s.claims.Claim(s.Context(), a0, "another"); err != nil {
			s.Fatal(err)
		}
		s.fail[a0] <- errors.New("another break")
		s.pass(time.Second)
		s.wants("claim a/0", "reclaim a/0")
		s.holds(a1)
		if s.owner[a0] != "another" || len(s.lost) != 1 || <-s.lost != a0 {
			s.Errorf("a/0 is %s's, and the loss wasn't told", s.owner[a0])
		}
		s.assign(a0, a1)
		s.wants("claim a/0")
		s.holds(a0, a1)
	})
}

func TestWhatWasLeftIsTakenUpAtOnce(t *testing.T) {
	work(t, []Claim{{a0, 5, "w"}, {b0, 2, "w"}}, func(s *shift) {
		s.wants("reclaim a/0") // b isn't a topic of this worker
		s.holds(a0)
		s.leave(Claim{a1, 3, "w"}) // its backend has ended only now
		s.pass(lookAgain)
		s.wants("reclaim a/1")
		s.assign(a0)
		s.leave(Claim{a1, 4, "w"})
		s.pass(handOver)
		s.wants() // the group knows better now
		s.holds(a0)
	})
}

// TestDamagedPartitions: partitions that can't be read stay visible, all of them if need
// be, while the worker goes on: it looks again now and then, and is well once it has read
// what was damaged.
func TestDamagedPartitions(t *testing.T) {
	work(t, nil, func(s *shift) {
		state := func(p log.Partition) State {
			for _, st := range s.w.Partitions() {
				if st.Partition == p {
					return st.State
				}
			}
			return ""
		}
		s.assign(a0, a1)
		for _, p := range []log.Partition{a0, a1} {
			s.fail[p] <- fmt.Errorf("at 7: %w", log.ErrCorrupt)
			synctest.Wait()
			if state(p) != Failed {
				s.Errorf("%s is %s", p, state(p))
			}
		}
		for range 3 {
			s.pass(s.w.o.AskEvery)
			for _, p := range []log.Partition{a0, a1} { // nothing new was read
				if state(p) != Failed {
					s.Errorf("%s is %s though nothing beyond the damage has been read", p, state(p))
				}
			}
		}
		s.holds(a0, a1)
	})
}

func TestReached(t *testing.T) {
	work(t, nil, func(s *shift) {
		s.assign(a0)
		s.pass(s.w.o.Wait)
		if got := s.w.Reached(); len(got) != 1 || got[a0] != 0 {
			s.Errorf("reached %v", got)
		}
	})
}
