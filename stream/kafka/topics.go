package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/tributary-cdc/tributary/stream/log"
)

// Prefix begins the name of every topic.
const Prefix = "tributary."

// The four topics of an org.
func Changes(org string) string     { return Prefix + org + ".changes" }
func Schemas(org string) string     { return Prefix + org + ".schemas" }     // one partition, never compacted, never expired
func Checkpoints(org string) string { return Prefix + org + ".checkpoints" } // compacted
func Status(org string) string      { return Prefix + org + ".status" }      // compacted

// OrgOf tells whose topic a name is; false for one that is no org's.
func OrgOf(topic string) (org string, ok bool) {
	rest, ok := strings.CutPrefix(topic, Prefix)
	org, kind, cut := strings.Cut(rest, ".")
	return org, ok && cut && org != "" && slices.Contains([]string{"changes", "schemas", "checkpoints", "status"}, kind)
}

// TopicOptions tunes the topics of an org.
type TopicOptions struct {
	// Partitions of .changes. Default 1.
	Partitions int
	// Replication is the number of replicas, at most that of the brokers. Default 1;
	// the log is durable with 3, of which 2 must have a record before it is acknowledged.
	Replication int
	// Retention of .changes. Default 168h; less than 24h is refused by CheckTopics.
	Retention time.Duration
}

// MinRetention is the least time that a .changes topic must keep its records.
const MinRetention = 24 * time.Hour

type topicSpec struct {
	name    string
	parts   int
	configs map[string]string
}

func specs(org string, o TopicOptions) []topicSpec {
	insync := "1"
	if o.Replication > 2 {
		insync = "2"
	}
	forever := map[string]string{"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
	compact := map[string]string{"cleanup.policy": "compact"}
	// Every source writes here every few seconds, and the active segment is never compacted.
	status := map[string]string{"cleanup.policy": "compact", "segment.ms": "600000", "segment.bytes": "4194304"}
	changes := map[string]string{
		"cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime",
		"retention.ms": strconv.FormatInt(o.Retention.Milliseconds(), 10), "max.message.bytes": "16777216",
	}
	all := []topicSpec{
		{Changes(org), o.Partitions, changes}, {Schemas(org), 1, forever},
		{Checkpoints(org), 1, compact}, {Status(org), 1, status},
	}
	for _, s := range all { // the broker's default may be more than there are replicas
		s.configs["min.insync.replicas"] = insync
	}
	return all
}

// CreateTopics makes the topics of an org that don't exist yet, and waits until
// they can be used. Those that exist are left as they are; see CheckTopics.
func (c *Client) CreateTopics(ctx context.Context, org string, o TopicOptions) error {
	setDefault(&o.Partitions, 1)
	setDefault(&o.Replication, 1)
	if o.Retention == 0 {
		o.Retention = 168 * time.Hour
	}
	req := &kafkago.CreateTopicsRequest{}
	for _, s := range specs(org, o) {
		t := kafkago.TopicConfig{Topic: s.name, NumPartitions: s.parts, ReplicationFactor: o.Replication}
		for k, v := range s.configs {
			t.ConfigEntries = append(t.ConfigEntries, kafkago.ConfigEntry{ConfigName: k, ConfigValue: v})
		}
		req.Topics = append(req.Topics, t)
	}
	rctx, cancel := c.bounded(ctx, 0)
	defer cancel()
	res, err := c.raw.CreateTopics(rctx, req)
	if err != nil {
		return fmt.Errorf("create topics of %s: %w", org, classify(err))
	}
	forbidden := map[string]error{} // only if it doesn't exist: who may use a topic may not make one
	for name, err := range res.Errors {
		if errors.Is(err, kafkago.TopicAuthorizationFailed) || errors.Is(err, kafkago.ClusterAuthorizationFailed) {
			forbidden[name] = classify(err)
			continue
		}
		if errors.Is(err, kafkago.InvalidReplicationFactor) {
			return fmt.Errorf("create topic %s: %d replicas, more than there are brokers: %w: %w", name, o.Replication, log.ErrNotDurable, err)
		}
		if err != nil && !errors.Is(err, kafkago.TopicAlreadyExists) {
			return fmt.Errorf("create topic %s: %w", name, classify(err))
		}
	}
	for _, s := range specs(org, o) {
		for i := range s.parts {
			if err := c.awaitLeader(rctx, log.Partition{Topic: s.name, Index: int32(i)}, forbidden[s.name] != nil); err != nil {
				return fmt.Errorf("await topic %s: %w", s.name, cmp.Or(forbidden[s.name], err))
			}
		}
	}
	return nil
}

// Partitions gives the number of partitions of a topic.
func (c *Client) Partitions(ctx context.Context, topic string) (int, error) {
	rctx, cancel := c.bounded(ctx, 0)
	defer cancel()
	res, err := c.raw.Metadata(rctx, &kafkago.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		return 0, fmt.Errorf("partitions of topic %s: %w", topic, classify(err))
	}
	for _, t := range res.Topics {
		if t.Name == topic && t.Error == nil && len(t.Partitions) > 0 {
			return len(t.Partitions), nil
		}
	}
	return 0, fmt.Errorf("partitions of topic %s: %w", topic, log.ErrUnknownTopic)
}

// awaitLeader blocks until a new partition answers. A topic that existed before
// may have fewer partitions, which is for CheckTopics and its users to say. forbidden says
// that it hasn't been made now, so that none will come.
func (c *Client) awaitLeader(ctx context.Context, p log.Partition, forbidden bool) error {
	f := c.Fetcher(p, 0)
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		_, _, err := f.Bounds(ctx)
		if p.Index > 0 && errors.Is(err, log.ErrUnknownTopic) {
			return nil
		}
		if forbidden && errors.Is(err, log.ErrUnknownTopic) {
			return err
		}
		if !errors.Is(err, log.ErrUnavailable) && !errors.Is(err, log.ErrUnknownTopic) {
			return err
		}
		if !sleep(ctx, jitter(pause)) {
			return err
		}
	}
}

func setDefault(v *int, d int) {
	if *v == 0 {
		*v = d
	}
}

// CheckTopics refuses settings under which a promise can't be kept. The error
// wraps log.ErrTopicConfig and names topic, setting, value, and what is wanted.
func (c *Client) CheckTopics(ctx context.Context, org string) error {
	return c.eachTopic(ctx, org, func(name string, have map[string]string) []error { return checkTopic(org, name, have) },
		"cleanup.policy", "message.timestamp.type", "retention.ms", "retention.bytes")
}

// CheckDurable refuses topics whose acknowledged records can be lost with one
// broker. The error wraps log.ErrNotDurable and names the topics.
func (c *Client) CheckDurable(ctx context.Context, org string) error {
	return c.eachTopic(ctx, org, func(name string, have map[string]string) []error {
		const key = "min.insync.replicas"
		if n, err := strconv.Atoi(have[key]); err == nil && n >= 2 {
			return nil
		}
		return []error{fmt.Errorf("topic %s: %s is %q, wanted at least 2: an acknowledged record could be lost with one broker: %w", name, key, have[key], log.ErrNotDurable)}
	}, "min.insync.replicas")
}

// CheckRetention tells of a topic of changes that is bounded by its size, whose oldest
// records may go before anybody has read them. The error wraps log.ErrSizeBound and names topic
// and value.
func (c *Client) CheckRetention(ctx context.Context, org string) error {
	const key = "retention.bytes"
	return c.eachTopic(ctx, org, func(name string, have map[string]string) []error {
		if size := have[key]; name != Changes(org) || size == "" || strings.HasPrefix(size, "-") {
			return nil
		}
		return []error{fmt.Errorf("topic %s: %s is %q, wanted -1: more than that at once, or while a worker is away, is deleted unread: %w", name, key, have[key], log.ErrSizeBound)}
	}, key)
}

// eachTopic holds the settings of an org's topics against a rule.
func (c *Client) eachTopic(ctx context.Context, org string, check func(name string, have map[string]string) []error, names ...string) error {
	req := &kafkago.DescribeConfigsRequest{}
	for _, s := range specs(org, TopicOptions{}) {
		req.Resources = append(req.Resources, kafkago.DescribeConfigRequestResource{
			ResourceType: kafkago.ResourceTypeTopic, ResourceName: s.name, ConfigNames: names,
		})
	}
	rctx, cancel := c.bounded(ctx, 0)
	defer cancel()
	res, err := c.raw.DescribeConfigs(rctx, req)
	if err != nil {
		return fmt.Errorf("check topics of %s: %w", org, classify(err))
	}
	var all []error
	for _, r := range res.Resources {
		if r.Error != nil {
			all = append(all, fmt.Errorf("topic %s: %w", r.ResourceName, classify(r.Error)))
			continue
		}
		have := map[string]string{}
		for _, e := range r.ConfigEntries {
			have[e.ConfigName] = e.ConfigValue
		}
		all = append(all, check(r.ResourceName, have)...)
	}
	return errors.Join(all...)
}

func checkTopic(org, name string, have map[string]string) (bad []error) {
	refuse := func(key, want, why string) {
		bad = append(bad, fmt.Errorf("topic %s: %s is %q, wanted %s: %s: %w", name, key, have[key], want, why, log.ErrTopicConfig))
	}
	policy := have["cleanup.policy"]
	switch name {
	case Changes(org):
		if have["message.timestamp.type"] != "LogAppendTime" {
			refuse("message.timestamp.type", "LogAppendTime", "with create time, old commits fall to the first retention pass")
		}
		if policy != "delete" {
			refuse("cleanup.policy", "delete", "compaction takes rows out of transactions")
		}
		if ms, err := strconv.ParseInt(have["retention.ms"], 10, 64); err != nil || ms >= 0 && ms < MinRetention.Milliseconds() {
			refuse("retention.ms", "-1 or at least "+strconv.FormatInt(MinRetention.Milliseconds(), 10), "a store that is away for a day would lose changes")
		}
	case Schemas(org):
		if policy != "delete" {
			refuse("cleanup.policy", "delete", "a schema id is an offset and must stay")
		}
		if !strings.HasPrefix(have["retention.ms"], "-") {
			refuse("retention.ms", "-1", "a schema must stay as long as a row that uses it")
		}
		if size := have["retention.bytes"]; size != "" && !strings.HasPrefix(size, "-") {
			refuse("retention.bytes", "-1", "a schema must stay as long as a row that uses it")
		}
	default:
		if policy != "compact" {
			refuse("cleanup.policy", "compact", "the newest value of a source must stay")
		}
	}
	return bad
}
