package contract

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tributary-cdc/tributary/capture/pipeline"
	"github.com/tributary-cdc/tributary/stream/kafka"
)

// counter is a proxy to a broker that counts produce requests on their way, per producer,
// and breaks every so many of them before its answer is heard.
type counter struct {
	breakEach int

	mu       sync.Mutex
	sent     int
	under    map[int64]int // by producer id
	one, all int           // the most of one producer, and of all together
	broken   int
}

func (c *counter) begin(producer int64) (lose bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent++
	c.under[producer]++
	total := 0
	for _, n := range c.under {
		total += n
	}
	c.one, c.all = max(c.one, c.under[producer]), max(c.all, total)
	if lose = c.sent%c.breakEach == 0; lose {
		c.broken++
	}
	return lose
}

func (c *counter) end(producer int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.under[producer]--
}

// Dial connects to a broker.
func (c *counter) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &countedConn{Conn: conn, c: c, pending: map[uint32]produce{}}, nil
}

// produce is a request on its way.
type produce struct {
	producer int64
	lose     bool
}

// countedConn follows the frames of one connection.
type countedConn struct {
	net.Conn
	c *counter

	mu      sync.Mutex
	out, in []byte // what belongs to no whole frame yet
	pending map[uint32]produce
}

// frame takes a whole frame, without its length, from what has come.
func frame(b *[]byte) []byte {
	if len(*b) < 4 {
		return nil
	}
	n := 4 + int(binary.BigEndian.Uint32(*b))
	if len(*b) < n {
		return nil
	}
	f := (*b)[4:n]
	*b = (*b)[n:]
	return f
}

// Write implements net.Conn.
func (c *countedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.out = append(c.out, p...)
	for f := frame(&c.out); f != nil; f = frame(&c.out) {
		if binary.BigEndian.Uint16(f) == uint16(kmsg.Produce) {
			id := producerOf(f)
			c.pending[binary.BigEndian.Uint32(f[4:])] = produce{id, c.c.begin(id)}
		}
	}
	c.mu.Unlock()
	return c.Conn.Write(p)
}

// producerOf reads the producer's id out of the first batch of a produce request
// (RecordBatch, producerId).
func producerOf(f []byte) int64 {
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(int16(binary.BigEndian.Uint16(f[2:])))
	body := f[8:]
	if n := int16(binary.BigEndian.Uint16(body)); n > 0 { // the client's name
		body = body[n:]
	}
	body = body[2:]
	if req.IsFlexible() {
		body = body[1:]
	}
	if err := req.ReadFrom(body); err != nil {
		panic(fmt.Sprintf("a produce request that can't be read: %v", err)) // the project's own
	}
	return int64(binary.BigEndian.Uint64(req.Topics[0].Partitions[0].Records[43:]))
}

// Read implements net.Conn. Answers take some milliseconds.
func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.in = append(c.in, p[:n]...)
	for f := frame(&c.in); f != nil; f = frame(&c.in) {
		id := binary.BigEndian.Uint32(f)
		r, ok := c.pending[id]
		if !ok {
			continue
		}
		<-time.After(3 * time.Millisecond)
		delete(c.pending, id)
		c.c.end(r.producer)
		if r.lose {
			_ = c.Conn.Close()
			return 0, net.ErrClosed
		}
	}
	return n, err
}

// Close implements net.Conn. What was on its way isn't waited for any more.
func (c *countedConn) Close() error {
	err := c.Conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, r := range c.pending {
		delete(c.pending, id)
		c.c.end(r.producer)
	}
	return err
}

// TestAttack34OneRequestInFlight: two agents share a pool of connections and a partition.
// Each has never more than one request on its way, so that no pool can put two of them
// in another order, also when answers are lost and batches are sent again.
func TestAttack34OneRequestInFlight(t *testing.T) {
	both(t, func(r *rig) {
		const txns = 150
		c := &counter{breakEach: 40, under: map[int64]int{}}
		client := r.connect(c.Dial)
		origins := []*origin{newOrigin(r.org + "-a"), newOrigin(r.org + "-b")}
		var agents []*agent
		for _, o := range origins {
			source := o.table.Source
			agents = append(agents, r.agent("agent/"+source, o, func(p *pipeline.Options) {
				p.Log = client.Producer(kafka.ProducerOptions{Partition: r.part(0), TransactionalID: kafka.Prefix + r.org + "." + source, KeepsState: !r.embedded})
			}))
		}
		for n := 1; n <= txns; n++ {
			for i, o := range origins {
				o.commit()
				if n%3 == 0 { // else several are ready at once
					r.reaches(agents[i], n)
				}
			}
		}
		for i := range agents {
			r.reaches(agents[i], txns)
			agents[i].stop()
		}
		c.mu.Lock()
		if c.one != 1 || c.all != 2 || c.broken < 3 {
			r.Errorf("at most %d requests of one producer were on their way, %d of both, %d answers lost; want 1, 2 and some", c.one, c.all, c.broken)
		}
		c.mu.Unlock()
		r.work(0)
		for _, o := range origins {
			r.whole(o.table.Source, txns)
		}
	})
}
