package sinktest

import (
	"errors"
	"slices"
	"time"

	"github.com/tributary-cdc/tributary/sinks/worker"
)

// reclaims: a worker may renew its claim, and may not take one back.
func reclaims(x *fixture) {
	again, _, err := x.store.Reclaim(x.Context(), x.claim)
	if err != nil || again.Fence <= x.claim.Fence || again.Partition != x.claim.Partition || again.Worker != x.claim.Worker {
		x.Fatalf("reclaimed %+v, %v, after %+v", again, err, x.claim)
	}
	x.claim = again
	x.apply(worker.TableChange{Upserts: []worker.NetRow{made(1, "a", "b")}})
	other := x.h.Open(x.T)
	taken, _, err := other.Claim(x.Context(), partition, "other")
	if err != nil {
		x.Fatal(err)
	}
	if _, _, err := x.store.Reclaim(x.Context(), x.claim); !errors.Is(err, worker.ErrClaimLost) {
		x.Errorf("reclaimed from another worker: %v, want ErrClaimLost", err)
	}
	x.claim, x.store = taken, other
	x.apply(worker.TableChange{Upserts: []worker.NetRow{made(2, "c", "d")}})
	x.want("1|a|b", "2|c|d")
}

// left: what a worker held when it ended is its own, whatever the fence, as long as
// nobody has taken it. While its backend lives, it isn't.
func left(x *fixture) {
	list := func() []worker.Claim {
		claims, err := x.h.Open(x.T).Left(x.Context(), "w")
		if err != nil {
			x.Fatal(err)
		}
		return claims
	}
	if got := list(); len(got) != 0 {
		x.Errorf("a live worker left %+v", got)
	}
	double := x.h.Open(x.T)
	if _, _, err := double.Reclaim(x.Context(), worker.Claim{Partition: partition, Worker: "w"}); !errors.Is(err, worker.ErrClaimLost) {
		x.Errorf("a second worker of the same name reclaims: %v, want ErrClaimLost", err)
	}
	if err := x.store.Close(); err != nil {
		x.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for !slices.Equal(list(), []worker.Claim{x.claim}) {
		if time.Now().After(deadline) {
			x.Fatalf("the worker that ended left %+v, want %+v", list(), x.claim)
		}
	}
	var err error
	if x.claim, _, err = double.Reclaim(x.Context(), worker.Claim{Partition: partition, Worker: "w"}); err != nil {
		x.Fatal(err)
	}
	x.store = double
	x.apply(worker.TableChange{Upserts: []worker.NetRow{made(1, "a", "b")}})
	if got := list(); len(got) != 0 {
		x.Errorf("left after it was reclaimed: %+v", got)
	}
}
