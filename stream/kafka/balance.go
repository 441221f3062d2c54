package kafka

import (
	"maps"
	"slices"
	"strings"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/tributary-cdc/tributary/stream/log"
)

// spread is the way in which a group's leader divides partitions: over all topics
// together, because an org's topic often has one partition only, and each stays
// where it is as long as the shares differ by one at most.
type spread struct {
	scope   string
	holding func() []log.Partition
}

var _ kafkago.GroupBalancer = spread{}

// ProtocolName carries the scope: a broker refuses a member whose protocol no other
// member has, so two stores can't share one group by mistake.
func (s spread) ProtocolName() string { return "tributary-spread/" + s.scope }

// UserData tells the leader what this member holds, a partition a line.
func (s spread) UserData() ([]byte, error) {
	if s.holding == nil {
		return nil, nil
	}
	var b strings.Builder
	for _, p := range s.holding() {
		b.WriteString(p.String())
		b.WriteByte('\n')
	}
	return []byte(b.String()), nil
}

// AssignGroups implements kafkago.GroupBalancer.
func (spread) AssignGroups(members []kafkago.GroupMember, found []kafkago.Partition) kafkago.GroupMemberAssignments {
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b kafkago.GroupMember) int { return strings.Compare(a.ID, b.ID) })
	free := map[log.Partition]bool{}
	for _, p := range found {
		free[log.Partition{Topic: p.Topic, Index: int32(p.ID)}] = true
	}
	shares := make([][]log.Partition, len(members))
	give := func(to int, p log.Partition) {
		shares[to] = append(shares[to], p)
		delete(free, p)
	}
	least, more := 0, 0
	if len(members) > 0 {
		least, more = len(free)/len(members), len(free)%len(members)
	}
	for i, m := range members {
		for _, p := range parseHolding(m.UserData) {
			if !free[p] || !slices.Contains(m.Topics, p.Topic) {
				continue
			}
			if len(shares[i]) < least {
				give(i, p)
			} else if len(shares[i]) == least && more > 0 {
				more--
				give(i, p)
			}
		}
	}
	for _, p := range slices.SortedFunc(maps.Keys(free), comparePartitions) {
		to := -1
		for i, m := range members {
			if slices.Contains(m.Topics, p.Topic) && (to < 0 || len(shares[i]) < len(shares[to])) {
				to = i
			}
		}
		if to >= 0 {
			give(to, p)
		}
	}
	out := kafkago.GroupMemberAssignments{}
	for i, m := range members {
		out[m.ID] = map[string][]int{}
		for _, p := range shares[i] {
			out[m.ID][p.Topic] = append(out[m.ID][p.Topic], int(p.Index))
		}
	}
	return out
}

func comparePartitions(a, b log.Partition) int {
	if c := strings.Compare(a.Topic, b.Topic); c != 0 {
		return c
	}
	return int(a.Index) - int(b.Index)
}

// parseHolding leaves out what it doesn't understand: the list is only a wish.
func parseHolding(b []byte) (out []log.Partition) {
	for line := range strings.Lines(string(b)) {
		if p, err := log.ParsePartition(strings.TrimSuffix(line, "\n")); err == nil {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, comparePartitions)
	return out
}
