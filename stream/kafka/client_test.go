package kafka

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/stream/log"
)

// A broker that is down must never look like a topic that was deleted: the first is
// tried again at once, the second waits for a person.
func TestBrokerDownIsNotUnknownTopic(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	c, err := New(Options{Brokers: []string{l.Addr().String()}, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	p := log.Partition{Topic: "tributary.330106.changes"}
	for range 3 {
		_, err := c.Fetcher(p, 0).Fetch(t.Context(), 0, time.Millisecond)
		if !errors.Is(err, log.ErrUnavailable) || errors.Is(err, log.ErrUnknownTopic) {
			t.Errorf("fetch: %v, want ErrUnavailable", err)
		}
		if _, err := c.Put(t.Context(), p, []byte("k"), []byte("v")); !errors.Is(err, log.ErrUnavailable) || errors.Is(err, log.ErrUnknownTopic) {
			t.Errorf("put: %v, want ErrUnavailable", err)
		}
	}
}
