package kafka

import (
	"bytes"
	"context"

	"github.com/tributary-cdc/tributary/stream/log"
)

// Latest keeps the newest value per key in a compacted topic of one partition.
type Latest struct {
	c *Client
	p log.Partition
}

// Latest gives access to a compacted topic.
func (c *Client) Latest(topic string) *Latest { return &Latest{c: c, p: log.Partition{Topic: topic}} }

// Load returns the newest value of a key, nil if there is none. It reads the
// whole topic, which compaction keeps short.
func (l *Latest) Load(ctx context.Context, key string) (value []byte, err error) {
	_, err = l.c.ReadAll(ctx, l.p, func(_ log.Offset, r *log.Record) error {
		if string(r.Key) == key {
			value = bytes.Clone(r.Value)
		}
		return nil
	})
	return value, err
}

// Save blocks until the value is durable.
func (l *Latest) Save(ctx context.Context, key string, value []byte) error {
	_, err := l.c.Put(ctx, l.p, []byte(key), value)
	return err
}
