package kafka

import (
	"context"
	"net"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// leaveTimeout bounds how long a broker that doesn't answer can hold a stop.
const leaveTimeout = 2 * time.Second

// config is the library's view of a membership. Its connections end with life.
func (g *Group) config(life context.Context, topics []string) kafkago.ConsumerGroupConfig {
	t := g.c.transport
	dial := t.Dial
	return kafkago.ConsumerGroupConfig{
		ID: g.o.Name, Brokers: g.c.brokers, Topics: topics,
		GroupBalancers: []kafkago.GroupBalancer{spread{scope: g.o.Scope, holding: g.o.Holding}},
		Dialer: &kafkago.Dialer{ClientID: t.ClientID, Timeout: t.DialTimeout, SASLMechanism: t.SASL,
			DialFunc: func(ctx context.Context, network, address string) (net.Conn, error) {
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				defer context.AfterFunc(life, cancel)()
				c, err := dial(ctx, network, address)
				if err != nil {
					return nil, err
				}
				return &mortal{Conn: c, keep: context.AfterFunc(life, func() { _ = c.Close() })}, nil
			}},
		SessionTimeout: g.o.Session, HeartbeatInterval: g.o.Heartbeat,
		// A member that doesn't join again in this time is dropped from the group. All do
		// so within a heartbeat, whatever they are busy with.
		RebalanceTimeout: g.o.Session,
		JoinGroupBackoff: g.o.Heartbeat, Timeout: g.c.timeout / 2,
	}
}

// mortal is a connection that somebody else can close.
type mortal struct {
	net.Conn
	keep func() bool // takes the connection out of that
}

func (m *mortal) Close() error {
	m.keep()
	return m.Conn.Close()
}

// leave ends the membership and tells the broker, so that the others need not wait
// for the session to expire. cut breaks the connections if that takes too long: the
// library may be waiting for a join that others hold up.
func leave(group *kafkago.ConsumerGroup, cut context.CancelFunc) {
	limit := time.AfterFunc(leaveTimeout, cut)
	defer limit.Stop()
	_ = group.Close() // always nil: whether the broker heard it is the session timeout's business
}
