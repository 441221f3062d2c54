package servers

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Fate is what a Wire does with one request.
type Fate uint8

// The fates.
const (
	Deliver     Fate = iota
	LoseRequest      // the connection breaks before the broker has it
	LoseAnswer       // the broker has answered; the connection breaks before we hear it
	Damage           // a byte of the answer's last quarter is flipped
)

// Wire connects a Kafka client to a broker and breaks connections on demand.
type Wire struct {
	mu     sync.Mutex
	decide func(key int16) Fate
	fate   Fate // of every request, once severed
	conns  map[*wireConn]bool
}

// NewWire makes a wire whose decide is asked about each request; nil delivers all.
func NewWire(decide func(key int16) Fate) *Wire {
	return &Wire{decide: decide, conns: map[*wireConn]bool{}}
}

// Dial connects to a broker.
func (w *Wire) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	cut := w.fate == LoseRequest
	w.mu.Unlock()
	if cut {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errCut}
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	wc := &wireConn{Conn: c, wire: w}
	w.mu.Lock()
	w.conns[wc] = true
	w.mu.Unlock()
	return wc, nil
}

// Sever breaks all connections and refuses new ones, as SIGKILL of the client would.
func (w *Wire) Sever() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fate = LoseRequest
	for c := range w.conns {
		_ = c.Conn.Close()
	}
}

func (w *Wire) ask(key int16) Fate {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fate != Deliver || w.decide == nil {
		return w.fate
	}
	return w.decide(key)
}

var errCut = errors.New("connection cut by the test")

// wireConn carries one request at a time, as the client's connections do.
type wireConn struct {
	net.Conn
	wire *Wire
	mu   sync.Mutex
	left int // bytes of the request that are still to be written
	fate Fate
}

func (c *wireConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if c.left <= 0 && len(p) >= 6 {
		c.left = 4 + int(binary.BigEndian.Uint32(p))
		c.fate = c.wire.ask(int16(binary.BigEndian.Uint16(p[4:])))
	}
	c.left -= len(p)
	fate := c.fate
	c.mu.Unlock()
	if fate == LoseRequest {
		return 0, errors.Join(&net.OpError{Op: "write", Net: "tcp", Err: errCut}, c.Conn.Close())
	}
	return c.Conn.Write(p)
}

func (c *wireConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	fate := c.fate
	c.mu.Unlock()
	switch {
	case err != nil || fate == Deliver:
	case fate == Damage && n > 64:
		p[n-n/8] ^= 0x20
	case fate == LoseAnswer:
		return 0, errors.Join(&net.OpError{Op: "read", Net: "tcp", Err: errCut}, c.Conn.Close())
	}
	return n, err
}

// Ask sends one request of the Kafka protocol that the project itself never
// sends, such as DeleteRecords, to a broker, and returns the answer.
func Ask[T kmsg.Response](t testing.TB, addr string, req kmsg.Request, res T) T {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, req, 1)); err != nil {
		t.Fatal(err)
	}
	var head [4]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := io.ReadFull(c, body); err != nil {
		t.Fatal(err)
	}
	res.SetVersion(req.GetVersion())
	skip := 4 // correlation id
	if req.IsFlexible() {
		skip++ // no tags
	}
	if err := res.ReadFrom(body[skip:]); err != nil {
		t.Fatal(err)
	}
	return res
}

// DeleteRecords removes a partition's records below an offset, as retention would.
func DeleteRecords(t testing.TB, addr, topic string, partition int32, below int64) {
	t.Helper()
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.SetVersion(1)
	req.TimeoutMillis = 10_000
	p := kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Partition, p.Offset = partition, below
	tp := kmsg.NewDeleteRecordsRequestTopic()
	tp.Topic, tp.Partitions = topic, append(tp.Partitions, p)
	req.Topics = append(req.Topics, tp)
	res := Ask(t, addr, req, kmsg.NewPtrDeleteRecordsResponse())
	if code := res.Topics[0].Partitions[0].ErrorCode; code != 0 {
		t.Fatalf("delete records of %s: error %d", topic, code)
	}
}

// DeleteTopic removes a topic, trying again while the broker is busy with it.
func DeleteTopic(t testing.TB, addr, topic string) {
	t.Helper()
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.SetVersion(3)
	req.TimeoutMillis, req.TopicNames = 10_000, []string{topic}
	res := Ask(t, addr, req, kmsg.NewPtrDeleteTopicsResponse())
	if code := res.Topics[0].ErrorCode; code != 0 {
		t.Fatalf("delete topic %s: error %d", topic, code)
	}
}

// CreateTopic makes a topic with these settings.
func CreateTopic(t testing.TB, addr, topic string, settings map[string]string) {
	t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.SetVersion(4)
	req.TimeoutMillis = 10_000
	tp := kmsg.NewCreateTopicsRequestTopic()
	tp.Topic, tp.NumPartitions, tp.ReplicationFactor = topic, 1, 1
	for k, v := range settings {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = k, &v
		tp.Configs = append(tp.Configs, c)
	}
	req.Topics = append(req.Topics, tp)
	res := Ask(t, addr, req, kmsg.NewPtrCreateTopicsResponse())
	if code := res.Topics[0].ErrorCode; code != 0 {
		t.Fatalf("create topic %s: error %d", topic, code)
	}
}
