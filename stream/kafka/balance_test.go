package kafka

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/tributary-cdc/tributary/stream/log"
)

// divide has a leader assign, and gives each member's share.
func divide(t *testing.T, members []kafkago.GroupMember, all []log.Partition) map[string][]log.Partition {
	t.Helper()
	var found []kafkago.Partition
	for _, p := range all {
		found = append(found, kafkago.Partition{Topic: p.Topic, ID: int(p.Index)})
	}
	out := map[string][]log.Partition{}
	for id, topics := range (spread{}).AssignGroups(members, found) {
		out[id] = nil
		for topic, ids := range topics {
			for _, i := range ids {
				out[id] = append(out[id], log.Partition{Topic: topic, Index: int32(i)})
			}
		}
	}
	return out
}

func holds(t *testing.T, held ...log.Partition) []byte {
	t.Helper()
	b, err := spread{holding: func() []log.Partition { return held }}.UserData()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestSpread: every partition has one member, shares differ by one at most, and as
// little as possible moves, whoever comes or goes.
func TestSpread(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var all []log.Partition
		var topics []string
		for i := range 1 + rng.IntN(6) {
			topics = append(topics, fmt.Sprint("t", i))
			for n := range 1 + rng.IntN(3) {
				all = append(all, log.Partition{Topic: topics[i], Index: int32(n)})
			}
		}
		shares := map[string][]log.Partition{}
		for round := range 6 {
			var members []kafkago.GroupMember
			for i := range 1 + rng.IntN(5) {
				id := fmt.Sprint("m", i)
				members = append(members, kafkago.GroupMember{ID: id, Topics: topics, UserData: holds(t, shares[id]...)})
			}
			before, kept := shares, 0
			shares = divide(t, members, all)
			most, least, seen := 0, len(all), map[log.Partition]bool{}
			for id, share := range shares {
				most, least = max(most, len(share)), min(least, len(share))
				for _, p := range share {
					if seen[p] {
						t.Fatalf("%s has two members", p)
					}
					seen[p] = true
					if slices.Contains(before[id], p) {
						kept++
					}
				}
			}
			if len(seen) != len(all) || most-least > 1 {
				t.Fatalf("%d of %d partitions assigned, shares from %d to %d", len(seen), len(all), least, most)
			}
			could := 0
			for _, m := range members {
				could += min(len(before[m.ID]), len(all)/len(members))
			}
			if round > 0 && kept < could {
				t.Fatalf("%d partitions stayed of %d that could: %v, then %v", kept, could, before, shares)
			}
		}
	}
}

func TestSpreadBySubscription(t *testing.T) {
	a, b := log.Partition{Topic: "a"}, log.Partition{Topic: "b"}
	got := divide(t, []kafkago.GroupMember{
		{ID: "1", Topics: []string{"a"}, UserData: holds(t, a, b)},
		{ID: "2", Topics: []string{"a", "b"}, UserData: []byte("nonsense\n\xff/x\n")},
	}, []log.Partition{a, b, {Topic: "c"}})
	if !slices.Equal(got["1"], []log.Partition{a}) || !slices.Equal(got["2"], []log.Partition{b}) {
		t.Errorf("assigned %v", got)
	}
}
