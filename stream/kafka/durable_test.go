package kafka_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestDurability: one broker isn't durable, and says so by each topic's name.
func TestDurability(t *testing.T) {
	contract(t, func(t *testing.T, b backend) {
		c := b.client(t, nil)
		err := c.CreateTopics(t.Context(), b.org, kafka.TopicOptions{Replication: 3})
		if !errors.Is(err, log.ErrNotDurable) || !strings.Contains(err.Error(), "3 replicas, more than there are brokers") || log.CodeOf(err) != "LOG_NOT_DURABLE" {
			t.Errorf("three replicas on one broker: %v, want ErrNotDurable", err)
		}
		if err := c.CreateTopics(t.Context(), b.org, kafka.TopicOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := c.CheckTopics(t.Context(), b.org); err != nil {
			t.Errorf("settings of our own topics: %v", err)
		}
		topics := []string{kafka.Changes(b.org), kafka.Schemas(b.org), kafka.Checkpoints(b.org), kafka.Status(b.org)}
		err = c.CheckDurable(t.Context(), b.org)
		for _, topic := range topics {
			if !errors.Is(err, log.ErrNotDurable) || !strings.Contains(err.Error(), "topic "+topic+`: min.insync.replicas is "1", wanted at least 2`) {
				t.Errorf("%v, want ErrNotDurable that names %s", err, topic)
			}
			servers.DeleteTopic(t, b.addr, topic)
			servers.CreateTopic(t, b.addr, topic, map[string]string{"min.insync.replicas": "2"})
		}
		// A broker hears of topics that were made anew a little later.
		if err := eventually(t, func() error { return c.CheckDurable(t.Context(), b.org) }, nil); err != nil {
			t.Errorf("two in-sync replicas wanted by each topic: %v", err)
		}
	})
}
