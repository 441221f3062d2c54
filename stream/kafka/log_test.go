package kafka_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/stream/embedded"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
)

// start runs an embedded log with the topics of org 330106.
func start(t *testing.T, dir string) *kafka.Client {
	t.Helper()
	s, err := embedded.Start(embedded.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the log: %v", err)
		}
	})
	c, err := kafka.New(kafka.Options{Brokers: []string{s.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.CreateTopics(t.Context(), "330106", kafka.TopicOptions{}); err != nil {
		t.Fatal(err)
	}
	return c
}

var changes = log.Partition{Topic: kafka.Changes("330106")}

func records(values ...string) *log.Records {
	var r log.Records
	for _, v := range values {
		r.Add([]byte("k"), []byte(v), log.Header{Key: "source", Value: []byte("s")})
	}
	return &r
}

// all reads every value of the partition.
func all(t *testing.T, c *kafka.Client, p log.Partition) (values []string) {
	t.Helper()
	_, err := c.ReadAll(t.Context(), p, func(o log.Offset, r *log.Record) error {
		if int(o) != len(values) {
			t.Errorf("offset %d, want %d", o, len(values))
		}
		values = append(values, string(r.Value))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func TestAppendAndFetch(t *testing.T) {
	c := start(t, t.TempDir())
	for _, compression := range []kafka.Compression{kafka.Uncompressed, kafka.LZ4, kafka.Zstd} {
		p := c.Producer(kafka.ProducerOptions{Partition: changes, TransactionalID: "tributary.330106.a", Compression: compression})
		if _, err := p.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if _, err := p.Append(t.Context(), records(fmt.Sprint(compression, i, "a"), fmt.Sprint(compression, i, "b"))); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := all(t, c, changes)
	if len(got) != 18 || got[0] != fmt.Sprint(kafka.Uncompressed, 0, "a") || got[17] != fmt.Sprint(kafka.Zstd, 2, "b") {
		t.Errorf("read %q", got)
	}
	if err := c.CheckTopics(t.Context(), "330106"); err != nil {
		t.Error(err)
	}
}

func TestFencing(t *testing.T) {
	c := start(t, t.TempDir())
	o := kafka.ProducerOptions{Partition: changes, TransactionalID: "tributary.330106.a"}
	older, newer := c.Producer(o), c.Producer(o)
	first, err := older.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := older.Append(t.Context(), records("older")); err != nil {
		t.Fatal(err)
	}
	second, err := newer.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if second.ID != first.ID || second.Epoch <= first.Epoch {
		t.Errorf("opened %s after %s", second, first)
	}
	if _, err := newer.Append(t.Context(), records("newer")); err != nil {
		t.Fatal(err)
	}
	if _, err := older.Append(t.Context(), records("late")); !errors.Is(err, log.ErrFenced) {
		t.Errorf("the older producer got %v, want ErrFenced", err)
	}
	if got := all(t, c, changes); len(got) != 2 {
		t.Errorf("read %q", got)
	}
}

func TestFetchOutOfRange(t *testing.T) {
	c := start(t, t.TempDir())
	if _, err := c.Fetcher(changes, 0).Fetch(t.Context(), 10, time.Millisecond); !errors.Is(err, log.ErrOffsetOutOfRange) {
		t.Errorf("got %v, want ErrOffsetOutOfRange", err)
	}
	if _, err := c.Fetcher(log.Partition{Topic: "absent"}, 0).Fetch(t.Context(), 0, time.Millisecond); !errors.Is(err, log.ErrUnknownTopic) {
		t.Errorf("got %v, want ErrUnknownTopic", err)
	}
}

func TestFetchWaits(t *testing.T) {
	c := start(t, t.TempDir())
	got, err := c.Fetcher(changes, 0).Fetch(t.Context(), log.Earliest, 10*time.Millisecond)
	if err != nil || len(got) != 0 {
		t.Errorf("an empty partition gave %v, %v", got, err)
	}
}

func TestLogSurvivesRestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	s, err := embedded.Start(embedded.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.Start(embedded.Options{Dir: dir}); !errors.Is(err, embedded.ErrInUse) {
		t.Errorf("a second log on one folder: %v, want ErrInUse", err)
	}
	c, err := kafka.New(kafka.Options{Brokers: []string{s.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CreateTopics(t.Context(), "330106", kafka.TopicOptions{}); err != nil {
		t.Fatal(err)
	}
	checkpoints := log.Partition{Topic: kafka.Checkpoints("330106")}
	if o, err := c.Put(t.Context(), checkpoints, []byte("k"), []byte("kept")); err != nil || o != 0 {
		t.Fatalf("put: offset %d, %v", o, err)
	}
	c.Close()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := all(t, start(t, dir), checkpoints); len(got) != 1 || got[0] != "kept" {
		t.Errorf("after a restart: %q", got)
	}
}
