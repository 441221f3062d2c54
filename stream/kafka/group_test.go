package kafka_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
)

// member is one process of a group, as the tests see it.
type member struct {
	t      *testing.T
	stop   context.CancelFunc
	ended  chan error
	given  chan []log.Partition // each generation's
	gens   chan *kafka.Generation
	rejoin chan struct{}
	inside atomic.Int32

	mu      sync.Mutex
	holds   []log.Partition
	severed bool
	conns   []net.Conn
}

// dial is a line that can be severed, as if the process had died.
func (m *member) dial(ctx context.Context, network, address string) (net.Conn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.severed {
		return nil, net.ErrClosed
	}
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err == nil {
		m.conns = append(m.conns, c)
	}
	return c, err
}

func (m *member) sever() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.severed = true
	for _, c := range m.conns {
		_ = c.Close()
	}
}

func (m *member) holding() []log.Partition {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.holds
}

// join starts a member of the org's group.
func join(t *testing.T, b backend, scope string, topics ...string) *member {
	t.Helper()
	m := &member{t: t, ended: make(chan error, 1), given: make(chan []log.Partition, 100), gens: make(chan *kafka.Generation, 100), rejoin: make(chan struct{}, 1)}
	c, err := kafka.New(kafka.Options{Brokers: []string{b.addr}, Dial: m.dial})
	if err != nil {
		t.Fatal(err)
	}
	g, err := c.Group(kafka.GroupOptions{Name: "tributary." + b.org, Scope: scope, Topics: topics, Watch: 300 * time.Millisecond, Holding: m.holding})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	go func() { m.ended <- g.Run(ctx, m.generation) }()
	t.Cleanup(func() {
		stop()
		<-m.ended
		c.Close()
	})
	return m
}

func (m *member) generation(ctx context.Context, g *kafka.Generation) {
	if m.inside.Add(1) != 1 {
		m.t.Error("a generation began before the last one's function had returned")
	}
	defer m.inside.Add(-1)
	m.mu.Lock()
	m.holds = g.Partitions
	m.mu.Unlock()
	m.given <- g.Partitions
	m.gens <- g
	select {
	case <-ctx.Done():
	case <-m.rejoin:
	}
}

// over reads a member's end, once the test has asked for it.
func (m *member) over(limit time.Duration) error {
	m.t.Helper()
	select {
	case err := <-m.ended:
		m.ended <- err
		return err
	case <-time.After(limit):
		m.t.Fatalf("the member hasn't ended within %s", limit)
		return nil
	}
}

// settle waits until the members' latest shares are all of the partitions, once each,
// and differ by one at most.
func settle(t *testing.T, limit time.Duration, total int, members ...*member) [][]log.Partition {
	t.Helper()
	deadline, tick := time.After(limit), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	shares := make([][]log.Partition, len(members))
	for i, m := range members {
		shares[i] = m.holding()
	}
	for {
		seen := map[log.Partition]bool{}
		sum, most, least := 0, 0, total
		for i, m := range members {
			for len(m.given) > 0 {
				shares[i] = <-m.given
			}
			for _, p := range shares[i] {
				seen[p] = true
			}
			sum, most, least = sum+len(shares[i]), max(most, len(shares[i])), min(least, len(shares[i]))
		}
		if len(seen) == total && sum == total && most-least < 2 {
			return shares
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("the shares are %v after %s, want %d partitions once each", shares, limit, total)
		}
	}
}

// districts makes changes topics with so many partitions.
func (b backend) districts(t *testing.T, partitions ...int) (topics []string) {
	t.Helper()
	c := b.client(t, nil)
	for i, n := range partitions {
		org := b.org + string(rune('a'+i))
		if err := c.CreateTopics(t.Context(), org, kafka.TopicOptions{Partitions: n}); err != nil {
			t.Fatal(err)
		}
		topics = append(topics, kafka.Changes(org))
	}
	return topics
}

func TestGroupSharesAndHandsOver(t *testing.T) {
	contract(t, func(t *testing.T, b backend) {
		topics := b.districts(t, 1, 1, 2)
		one := join(t, b, "s", topics...)
		settle(t, 15*time.Second, 4, one)
		two := join(t, b, "s", topics...)
		settle(t, 15*time.Second, 4, one, two)
		one.stop()
		if err := one.over(5 * time.Second); err != nil {
			t.Errorf("the member that left: %v", err)
		}
		settle(t, 3*time.Second, 4, two) // it said so: nobody waits for its session
	})
}

func TestGroupTakesOverFromTheDead(t *testing.T) {
	contract(t, func(t *testing.T, b backend) {
		topics := b.districts(t, 1, 1)
		one := join(t, b, "s", topics...)
		settle(t, 15*time.Second, 2, one)
		two := join(t, b, "s", topics...)
		settle(t, 15*time.Second, 2, one, two)
		one.sever()
		settle(t, 12*time.Second, 2, two)
		one.stop()
		if err := one.over(5 * time.Second); err != nil { // nobody answers it, and it ends all the same
			t.Errorf("the severed member: %v", err)
		}
	})
}

// lastWord is a connection that ends behind its first JoinGroup request.
type lastWord struct {
	net.Conn
	said func()
}

func (c lastWord) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if len(b) > 6 && b[4] == 0 && b[5] == 11 { // the size, then the API key
		c.said()
	}
	return n, err
}

// TestGroupForgetsWhoDiedWhileJoining: a member that was killed between its request to
// join and the answer gets partitions, and loses them a session later.
func TestGroupForgetsWhoDiedWhileJoining(t *testing.T) {
	contract(t, func(t *testing.T, b backend) {
		topics := b.districts(t, 1, 1)
		one := join(t, b, "s", topics...)
		settle(t, 15*time.Second, 2, one)
		dead := &member{t: t}
		c, err := kafka.New(kafka.Options{Brokers: []string{b.addr}, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dead.dial(ctx, network, address)
			return lastWord{conn, dead.sever}, err
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		g, err := c.Group(kafka.GroupOptions{Name: "tributary." + b.org, Scope: "s", Topics: topics})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- g.Run(ctx, func(context.Context, *kafka.Generation) { t.Error("the dead member has a generation") })
		}()
		select {
		case given := <-one.given:
			if len(given) != 1 {
				t.Errorf("the living member was given %v beside the dead one", given)
			}
		case <-time.After(15 * time.Second):
			t.Error("nobody has joined")
		}
		settle(t, 15*time.Second, 2, one)
		stop()
		<-ended
	})
}

func TestGroupKeepsWhatAMemberHolds(t *testing.T) {
	contract(t, func(t *testing.T, b backend) {
		topics := b.districts(t, 1, 1, 1)
		one := join(t, b, "s", topics...)
		settle(t, 15*time.Second, 3, one)
		two := join(t, b, "s", topics...)
		before := settle(t, 15*time.Second, 3, one, two)
		third := join(t, b, "s", topics...)
		after := settle(t, 15*time.Second, 3, one, two, third)
		for i := range before {
			if len(after[i]) != 1 || !slices.Contains(before[i], after[i][0]) {
				t.Errorf("member %d had %v and got %v", i, before[i], after[i])
			}
		}
	})
}

func TestGroupNoticesTopicsAndPartitions(t *testing.T) {
	contract(t, func(t *testing.T, b backend) {
		all := []string{kafka.Changes(b.org + "a"), kafka.Changes(b.org + "b")}
		one, two := join(t, b, "s", all...), join(t, b, "s", all...)
		b.districts(t, 1)
		settle(t, 15*time.Second, 1, one, two)
		b.districts(t, 1, 1)
		settle(t, 15*time.Second, 2, one, two)
		raw := &kafkago.Client{Addr: kafkago.TCP(b.addr)}
		res, err := raw.CreatePartitions(t.Context(), &kafkago.CreatePartitionsRequest{Topics: []kafkago.TopicPartitionsConfig{{Name: all[1], Count: 3}}})
		if err != nil || res.Errors[all[1]] != nil {
			t.Fatal(err, res)
		}
		settle(t, 15*time.Second, 4, one, two)
	})
}

func TestGroupRefusesAnotherStore(t *testing.T) {
	contract(t, func(t *testing.T, b backend) {
		topics := b.districts(t, 1)
		one := join(t, b, "city", topics...)
		settle(t, 15*time.Second, 1, one)
		other := join(t, b, "province", topics...)
		refused, ok := errors.AsType[*kafka.GroupError](other.over(15 * time.Second))
		if !ok || refused.Code != kafka.GroupOtherStore {
			t.Errorf("a member for another store: %v, want %s", refused, kafka.GroupOtherStore)
		}
		settle(t, time.Second, 1, one)
	})
}

func TestGroupJoinsAgainWhenAsked(t *testing.T) {
	contract(t, func(t *testing.T, b backend) {
		topics := b.districts(t, 1)
		one := join(t, b, "s", topics...)
		settle(t, 15*time.Second, 1, one)
		first := <-one.gens
		one.rejoin <- struct{}{}
		select {
		case again := <-one.gens:
			if again.ID <= first.ID || !slices.Equal(again.Partitions, first.Partitions) {
				t.Errorf("generation %d with %v after %d with %v", again.ID, again.Partitions, first.ID, first.Partitions)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no further generation")
		}
	})
}

func TestGroupCommitsForTools(t *testing.T) {
	contract(t, func(t *testing.T, b backend) {
		topics := b.districts(t, 1)
		one := join(t, b, "s", topics...)
		settle(t, 15*time.Second, 1, one)
		gen := <-one.gens
		mine, other := log.Partition{Topic: topics[0]}, log.Partition{Topic: "tributary.other.changes"}
		if err := gen.Commit(map[log.Partition]log.Offset{mine: 42, other: 7}); err != nil {
			t.Fatal(err)
		}
		raw := &kafkago.Client{Addr: kafkago.TCP(b.addr)}
		res, err := raw.OffsetFetch(t.Context(), &kafkago.OffsetFetchRequest{GroupID: "tributary." + b.org, Topics: map[string][]int{topics[0]: {0}}})
		if err != nil || res.Error != nil || len(res.Topics[topics[0]]) != 1 || res.Topics[topics[0]][0].CommittedOffset != 42 {
			t.Errorf("committed %+v, %v; want 42", res, err)
		}
		one.stop()
		if err := one.over(5 * time.Second); err != nil {
			t.Fatal(err)
		}
		if err := gen.Commit(map[log.Partition]log.Offset{mine: 50}); err == nil {
			t.Error("a generation that has ended commits")
		}
	})
}

func TestGroupOptions(t *testing.T) {
	c, err := kafka.New(kafka.Options{Brokers: []string{"127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]kafka.GroupOptions{
		"no name": {Topics: []string{"t"}}, "no topic": {Name: "g"}, "negative": {Name: "g", Topics: []string{"t"}, Watch: -1},
		"slow heartbeat": {Name: "g", Topics: []string{"t"}, Heartbeat: 3 * time.Second},
	} {
		if _, err := c.Group(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
