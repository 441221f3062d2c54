package kafka_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/test/servers"
)

// Keys of the Kafka protocol.
const (
	keyProduce        = 0
	keyFetch          = 1
	keyInitProducerID = 22
)

func TestAppendAndFetch(t *testing.T) {
	contract(t, func(t *testing.T, b backend) {
		c := b.ready(t)
		var wanted []string
		for _, compression := range []kafka.Compression{kafka.Uncompressed, kafka.LZ4, kafka.Zstd} {
			p := c.Producer(kafka.ProducerOptions{Partition: b.changes, TransactionalID: "a", Compression: compression, KeepsState: b.keeps})
			id := open(t, p)
			for i := range 3 {
				values := []string{fmt.Sprint(compression, i, "a"), fmt.Sprint(compression, i, "b")}
				if o := appendAll(t, p, values...); int(o) != len(wanted) {
					t.Errorf("appended at %d, want %d", o, len(wanted))
				}
				wanted = append(wanted, values...)
			}
			// It is one clock here; the broker's has whole milliseconds.
			if ahead, known := p.Ahead(); known != b.keeps || ahead < 0 || ahead > time.Minute {
				t.Errorf("ahead of the broker's clock by %s, known %t", ahead, known)
			}
			got, err := c.Fetcher(b.changes, 0).Fetch(t.Context(), log.Offset(len(wanted)-2), time.Second)
			if err != nil || len(got) != 1 || got[0].Producer != id || got[0].LogAppend != b.keeps || got[0].Control || time.Since(got[0].Appended).Abs() > time.Minute {
				t.Errorf("fetched %+v, %v; want one batch of %s, appended now", got, err, id)
			}
		}
		want(t, all(t, c, b.changes), wanted...)
	})
}

func TestFetchGoesOnWithinABatch(t *testing.T) {
	contract(t, func(t *testing.T, b backend) {
		c := b.ready(t)
		p := b.producer(c)
		open(t, p)
		appendAll(t, p, "0", "1", "2", "3")
		appendAll(t, p, "4", "5")
		var got []string
		end, err := c.ReadFrom(t.Context(), b.changes, 2, func(_ log.Offset, r *log.Record) error { got = append(got, string(r.Value)); return nil })
		if err != nil || end != 6 {
			t.Errorf("read up to %d, %v", end, err)
		}
		want(t, got, "2", "3", "4", "5")
		batches, err := c.Fetcher(b.changes, 0).Fetch(t.Context(), 2, time.Second)
		if err != nil || len(batches) == 0 || batches[0].Base != 0 || batches[0].Last != 3 {
			t.Errorf("fetched %+v, %v; want the whole batch", batches, err)
		}
	})
}

func TestFetchWaits(t *testing.T) {
	contract(t, func(t *testing.T, b backend) {
		c := b.ready(t)
		f := c.Fetcher(b.changes, 0)
		if got, err := f.Fetch(t.Context(), 0, 10*time.Millisecond); err != nil || len(got) != 0 {
			t.Errorf("an empty partition gave %v, %v", got, err)
		}
		p := b.producer(c)
		open(t, p)
		done := make(chan error, 1)
		go func() {
			_, err := p.Append(t.Context(), records("late"))
			done <- err
		}()
		got, err := f.Fetch(t.Context(), 0, 20*time.Second)
		if err != nil || len(got) != 1 {
			t.Errorf("waiting gave %d batches, %v", len(got), err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestFencing(t *testing.T) {
	contract(t, func(t *testing.T, b backend) {
		c := b.ready(t)
		older, newer := b.producer(c), b.producer(c)
		first := open(t, older)
		appendAll(t, older, "older")
		second := open(t, newer)
		if second.ID != first.ID || second.Epoch <= first.Epoch {
			t.Errorf("opened %s after %s", second, first)
		}
		appendAll(t, newer, "newer")
		_, err := older.Append(t.Context(), records("late"))
		if !errors.Is(err, log.ErrFenced) || !strings.Contains(err.Error(), "newer producer") {
			t.Errorf("the older producer got %v, want ErrFenced in words", err)
		}
		if _, err := older.Open(t.Context()); !errors.Is(err, log.ErrFenced) {
			t.Errorf("the older producer opens again: %v, want ErrFenced", err)
		}
		appendAll(t, newer, "on")
		want(t, all(t, c, b.changes), "older", "newer", "on")
	})
}

func TestOpenAgainKeepsTheSource(t *testing.T) {
	contract(t, func(t *testing.T, b backend) {
		c := b.ready(t)
		p := b.producer(c)
		var last log.Producer
		for i := range 3 {
			id := open(t, p)
			if i > 0 && (id.ID != last.ID || id.Epoch != last.Epoch+1) {
				t.Errorf("opened %s after %s", id, last)
			}
			last = id
			appendAll(t, p, fmt.Sprint(i))
		}
		want(t, all(t, c, b.changes), "0", "1", "2")
	})
}

// once breaks the n-th produce request, counted from 1, in one way.
func once(n int32, fate servers.Fate) *servers.Wire {
	var seen atomic.Int32
	return servers.NewWire(func(key int16) servers.Fate {
		if key == keyProduce && seen.Add(1) == n {
			return fate
		}
		return servers.Deliver
	})
}

func TestAttack9LostConnectionLeavesOneCopy(t *testing.T) {
	for name, fate := range map[string]servers.Fate{"before the broker has it": servers.LoseRequest, "before the answer": servers.LoseAnswer} {
		t.Run(name, func(t *testing.T) {
			contract(t, func(t *testing.T, b backend) {
				plain := b.ready(t)
				p := b.producer(b.client(t, once(2, fate)))
				open(t, p)
				appendAll(t, p, "a")
				_, err := p.Append(t.Context(), records("b1", "b2"))
				if b.keeps && err != nil {
					t.Fatalf("the same bytes again: %v", err)
				}
				if !b.keeps {
					if !errors.Is(err, log.ErrUnknownOutcome) {
						t.Fatalf("got %v, want ErrUnknownOutcome", err)
					}
					open(t, p) // what the owner does: open, read the tail, write what isn't there
					if len(all(t, plain, b.changes)) == 1 {
						appendAll(t, p, "b1", "b2")
					}
				}
				appendAll(t, p, "c")
				want(t, all(t, plain, b.changes), "a", "b1", "b2", "c")
			})
		})
	}
}

func TestAttack10SequenceNumbersWrap(t *testing.T) {
	contract(t, func(t *testing.T, b backend) {
		c := b.ready(t)
		p := b.producer(c)
		open(t, p)
		p.SetSequence(1<<31 - 3)
		var wanted []string
		for i := range 4 { // the second batch crosses the end of the range
			values := []string{fmt.Sprint(i, "a"), fmt.Sprint(i, "b")}
			_, err := p.Append(t.Context(), records(values...))
			if errors.Is(err, log.ErrUnknownOutcome) {
				open(t, p)
				_, err = p.Append(t.Context(), records(values...))
			}
			if err != nil {
				t.Fatal(err)
			}
			wanted = append(wanted, values...)
		}
		want(t, all(t, c, b.changes), wanted...)
	})
}

func TestAttack17TopicRecreated(t *testing.T) {
	contract(t, func(t *testing.T, b backend) {
		c := b.ready(t)
		p := b.producer(c)
		open(t, p)
		appendAll(t, p, "a", "b", "c")
		servers.DeleteTopic(t, b.addr, b.changes.Topic)
		f := c.Fetcher(b.changes, 0)
		err := eventually(t, func() error {
			_, err := f.Fetch(t.Context(), 3, 100*time.Millisecond)
			return err
		}, log.ErrUnknownTopic)
		if err != nil {
			t.Error(err)
		}
		servers.CreateTopic(t, b.addr, b.changes.Topic, map[string]string{"message.timestamp.type": "LogAppendTime"})
		err = eventually(t, func() error {
			_, err := f.Fetch(t.Context(), 3, 100*time.Millisecond)
			return err
		}, log.ErrOffsetOutOfRange)
		if err != nil {
			t.Error(err)
		}
	})
}

// TestTopicMadeAfterItWasMissed: a client that has just learned that a topic doesn't exist
// uses it as soon as somebody else has made it.
func TestTopicMadeAfterItWasMissed(t *testing.T) {
	contract(t, func(t *testing.T, b backend) {
		c := b.ready(t)
		p := b.producer(c)
		open(t, p)
		servers.DeleteTopic(t, b.addr, b.changes.Topic)
		err := eventually(t, func() error {
			_, err := p.Append(t.Context(), records("a"))
			if errors.Is(err, log.ErrUnknownTopic) && !errors.Is(err, kafkago.UnknownTopicOrPartition) {
				return nil // the client says so by itself
			}
			return fmt.Errorf("append to a deleted topic: %w", err)
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Fetcher(b.changes, 0).Bounds(t.Context()); !errors.Is(err, log.ErrUnknownTopic) {
			t.Errorf("bounds of a deleted topic: %v", err)
		}
		servers.CreateTopic(t, b.addr, b.changes.Topic, map[string]string{"message.timestamp.type": "LogAppendTime"})
		appendAll(t, p, "b")
	})
}

// eventually calls f until its error wraps target.
func eventually(t *testing.T, f func() error, target error) error {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(20 * time.Second)
	for {
		err := f()
		if errors.Is(err, target) {
			return nil
		}
		select {
		case <-tick.C:
		case <-limit:
			return fmt.Errorf("the last error is %v, want %w", err, target)
		}
	}
}

func TestAttack18RetentionOvertakesTheReader(t *testing.T) {
	contract(t, func(t *testing.T, b backend) {
		c := b.ready(t)
		p := b.producer(c)
		open(t, p)
		appendAll(t, p, "a", "b")
		appendAll(t, p, "c", "d")
		servers.DeleteRecords(t, b.addr, b.changes.Topic, 0, 2)
		f := c.Fetcher(b.changes, 0)
		if first, end, err := f.Bounds(t.Context()); err != nil || first != 2 || end != 4 {
			t.Errorf("bounds %d, %d, %v", first, end, err)
		}
		if _, err := f.Fetch(t.Context(), 1, 100*time.Millisecond); !errors.Is(err, log.ErrOffsetOutOfRange) {
			t.Errorf("reading what is gone: %v, want ErrOffsetOutOfRange", err)
		}
		want(t, all(t, c, b.changes), "c", "d")
		if _, err := f.Fetch(t.Context(), 10, 100*time.Millisecond); !errors.Is(err, log.ErrOffsetOutOfRange) {
			t.Errorf("reading beyond the end: %v, want ErrOffsetOutOfRange", err)
		}
		if _, err := c.Fetcher(log.Partition{Topic: "absent"}, 0).Fetch(t.Context(), 0, time.Millisecond); !errors.Is(err, log.ErrUnknownTopic) {
			t.Errorf("an absent topic: %v, want ErrUnknownTopic", err)
		}
	})
}

func TestAttack21TopicSettings(t *testing.T) {
	good := map[string]string{"message.timestamp.type": "LogAppendTime", "cleanup.policy": "delete"}
	for name, tt := range map[string]struct {
		settings map[string]string
		want     string // part of the error
	}{
		"create time":     {map[string]string{"message.timestamp.type": "CreateTime", "cleanup.policy": "delete"}, "message.timestamp.type"},
		"compacted":       {map[string]string{"message.timestamp.type": "LogAppendTime", "cleanup.policy": "compact"}, "cleanup.policy"},
		"short retention": {map[string]string{"message.timestamp.type": "LogAppendTime", "cleanup.policy": "delete", "retention.ms": "3600000"}, "retention.ms"},
		"good":            {settings: good},
	} {
		t.Run(name, func(t *testing.T) {
			contract(t, func(t *testing.T, b backend) {
				servers.CreateTopic(t, b.addr, b.changes.Topic, tt.settings)
				c := b.ready(t) // makes the other three
				err := c.CheckTopics(t.Context(), b.org)
				if tt.want == "" && err != nil {
					t.Error(err)
				}
				if tt.want != "" && (!errors.Is(err, log.ErrTopicConfig) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), b.changes.Topic)) {
					t.Errorf("got %v, want ErrTopicConfig that names %s and %s", err, b.changes.Topic, tt.want)
				}
			})
		})
	}
}

// TestBoundedBySize: it is told, and is no reason to refuse the topic.
func TestBoundedBySize(t *testing.T) {
	contract(t, func(t *testing.T, b backend) {
		servers.CreateTopic(t, b.addr, b.changes.Topic, map[string]string{"message.timestamp.type": "LogAppendTime", "retention.bytes": "1073741824"})
		c := b.ready(t) // makes the other three
		if err := c.CheckTopics(t.Context(), b.org); err != nil {
			t.Errorf("refused: %v", err)
		}
		err := c.CheckRetention(t.Context(), b.org)
		if !errors.Is(err, log.ErrSizeBound) || log.CodeOf(err) != "TOPIC_SIZE_BOUND" || !strings.Contains(err.Error(), b.changes.Topic) || strings.Contains(err.Error(), kafka.Schemas(b.org)) {
			t.Errorf("%v, want ErrSizeBound of the changes alone", err)
		}
	})
}

func TestDamagedBatchIsRefused(t *testing.T) {
	contract(t, func(t *testing.T, b backend) {
		c := b.ready(t)
		p := b.producer(c)
		open(t, p)
		appendAll(t, p, strings.Repeat("零基础", 100))
		var damage atomic.Bool
		damage.Store(true)
		f := b.client(t, servers.NewWire(func(key int16) servers.Fate {
			if key == keyFetch && damage.Load() {
				return servers.Damage
			}
			return servers.Deliver
		})).Fetcher(b.changes, 0)
		if _, err := f.Fetch(t.Context(), 0, time.Second); !errors.Is(err, log.ErrCorrupt) {
			t.Errorf("a flipped bit: %v, want ErrCorrupt", err)
		}
		damage.Store(false)
		if got, err := f.Fetch(t.Context(), 0, time.Second); err != nil || len(got) != 1 {
			t.Errorf("read again: %d batches, %v", len(got), err)
		}
	})
}

func TestLargeBatchIsRefusedByName(t *testing.T) {
	contract(t, func(t *testing.T, b backend) {
		c := b.ready(t)
		p := c.Producer(kafka.ProducerOptions{Partition: b.changes, TransactionalID: "a", KeepsState: b.keeps})
		open(t, p)
		if _, err := p.Append(t.Context(), records(strings.Repeat("x", 17<<20))); !errors.Is(err, log.ErrTooLarge) {
			t.Errorf("17 MiB: %v, want ErrTooLarge", err)
		}
	})
}

func TestOpenWaitsForACoordinator(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "changes"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	var asked atomic.Int32
	cluster.ControlKey(keyInitProducerID, func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if asked.Add(1) > 3 {
			return nil, nil, false
		}
		res := req.ResponseKind().(*kmsg.InitProducerIDResponse)
		res.ErrorCode = 14 // COORDINATOR_LOAD_IN_PROGRESS
		return res, nil, true
	})
	c := backend{addr: cluster.ListenAddrs()[0]}.client(t, nil)
	p := c.Producer(kafka.ProducerOptions{Partition: log.Partition{Topic: "changes"}, TransactionalID: "a"})
	if open(t, p); asked.Load() != 4 {
		t.Errorf("asked %d times, want 4", asked.Load())
	}
}
