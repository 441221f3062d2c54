package embedded

import (
	"context"
	"net"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ghosts takes members out of consumer groups that the broker would keep for ever. A
// member that dies while it waits to join has no session yet: the broker begins one with
// the answer, and drops that when the connection is gone, but gives the member its share
// of partitions. Here whoever is silent for its session in a stable group leaves it, as
// Apache Kafka has it.
type ghosts struct {
	cluster *kfake.Cluster
	client  *kafkago.Client
	stop    context.CancelFunc
	done    chan struct{}

	mu     sync.Mutex
	groups map[string]*watched
}

// watched is a group that somebody has asked about.
type watched struct {
	session time.Duration // the longest of its members
	heard   map[string]time.Time
}

func watchGroups(c *kfake.Cluster, addr net.Addr) *ghosts {
	ctx, stop := context.WithCancel(context.Background())
	g := &ghosts{cluster: c, stop: stop, done: make(chan struct{}), groups: map[string]*watched{},
		client: &kafkago.Client{Addr: addr, Timeout: 5 * time.Second, Transport: &kafkago.Transport{ClientID: "tributary-log"}}}
	for _, key := range []kmsg.Key{kmsg.JoinGroup, kmsg.SyncGroup, kmsg.Heartbeat} {
		c.ControlKey(key.Int16(), g.observe)
	}
	go g.run(ctx)
	return g
}

// observe is called with each request before the broker answers it.
func (g *ghosts) observe(r kmsg.Request) (kmsg.Response, error, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch r := r.(type) {
	case *kmsg.JoinGroupRequest:
		w := g.heard(r.Group, r.MemberID)
		w.session = max(w.session, time.Duration(r.SessionTimeoutMillis)*time.Millisecond)
	case *kmsg.SyncGroupRequest:
		g.heard(r.Group, r.MemberID)
	case *kmsg.HeartbeatRequest:
		g.heard(r.Group, r.MemberID)
	}
	return nil, nil, false
}

func (g *ghosts) heard(group, member string) *watched {
	w := g.groups[group]
	if w == nil {
		w = &watched{heard: map[string]time.Time{}}
		g.groups[group] = w
	}
	w.heard[member] = time.Now()
	return w
}

func (g *ghosts) run(ctx context.Context) {
	defer close(g.done)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		g.mu.Lock()
		names := make([]string, 0, len(g.groups))
		for name := range g.groups {
			names = append(names, name)
		}
		g.mu.Unlock()
		for _, name := range names {
			if members := g.silent(name, g.cluster.GroupInfo(name)); len(members) > 0 {
				// Who can't be taken out now is found again at the next look.
				_, _ = g.client.LeaveGroup(ctx, &kafkago.LeaveGroupRequest{GroupID: name, Members: members})
			}
		}
	}
}

// silent gives the members that haven't been heard of for the group's session. Time counts
// while the group is stable only: otherwise a member may wait for others.
func (g *ghosts) silent(name string, info *kfake.GroupInfo) (out []kafkago.LeaveGroupRequestMember) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w := g.groups[name]
	if info == nil || len(info.Members) == 0 {
		delete(g.groups, name)
		return nil
	}
	heard := make(map[string]time.Time, len(info.Members))
	for i := range info.Members {
		id := info.Members[i].MemberID
		last, ok := w.heard[id]
		if !ok || info.State != "Stable" {
			last = time.Now()
		}
		heard[id] = last
		if w.session > 0 && time.Since(last) > w.session {
			out = append(out, kafkago.LeaveGroupRequestMember{ID: id})
		}
	}
	w.heard = heard
	return out
}

func (g *ghosts) close() {
	g.stop()
	<-g.done
	g.client.Transport.(*kafkago.Transport).CloseIdleConnections()
}
