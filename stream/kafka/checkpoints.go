package kafka

import (
	"bytes"
	"context"
	"sync"

	"github.com/tributary-cdc/tributary/stream/log"
)

// Latest keeps the newest value per key in a compacted topic of one partition. It is
// safe for concurrent use, and holds all values in memory.
type Latest struct {
	c     *Client
	p     log.Partition
	newer func(old, new []byte) bool

	mu     sync.Mutex
	next   log.Offset // what is below has been read
	values map[string][]byte
}

// Latest gives access to a compacted topic, where the later value counts.
func (c *Client) Latest(topic string) *Latest {
	return c.LatestBy(topic, func(_, _ []byte) bool { return true })
}

// LatestBy is Latest where a later value counts only if newer says so.
func (c *Client) LatestBy(topic string, newer func(old, new []byte) bool) *Latest {
	return &Latest{c: c, p: log.Partition{Topic: topic}, newer: newer, values: map[string][]byte{}}
}

// Load returns the newest value of a key, nil if there is none. The first call reads
// the whole topic, which compaction keeps short; later ones read what is new.
func (l *Latest) Load(ctx context.Context, key string) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, end, err := l.c.Fetcher(l.p, 0).Bounds(ctx)
	if err != nil {
		return nil, err
	}
	if end < l.next { // another topic of this name
		l.next = 0
		clear(l.values)
	}
	_, err = l.c.ReadFrom(ctx, l.p, l.next, func(o log.Offset, r *log.Record) error {
		if old := l.values[string(r.Key)]; old == nil || l.newer(old, r.Value) {
			l.values[string(r.Key)] = bytes.Clone(r.Value)
		}
		l.next = o + 1
		return nil
	})
	return bytes.Clone(l.values[key]), err
}

// Save blocks until the value is durable.
func (l *Latest) Save(ctx context.Context, key string, value []byte) error {
	_, err := l.c.Put(ctx, l.p, []byte(key), value)
	return err
}
