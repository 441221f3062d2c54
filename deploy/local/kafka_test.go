package local_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/deploy/local"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/test/servers"
)

func TestKafkaRestartKeepsAddressAndData(t *testing.T) {
	k := servers.Kafka(t, nil)
	c, err := kafka.New(kafka.Options{Brokers: []string{k.Addr}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.CreateTopics(t.Context(), "330106", kafka.TopicOptions{}); err != nil {
		t.Fatal(err)
	}
	p := log.Partition{Topic: kafka.Schemas("330106")}
	if _, err := c.Put(t.Context(), p, []byte("k"), []byte("kept")); err != nil {
		t.Fatal(err)
	}
	first := k.PID()
	if err := k.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if k.PID() == first || k.PID() == 0 {
		t.Errorf("process %d after a restart of %d", k.PID(), first)
	}
	c.Close() // connections of the former process
	var kept string
	if _, err := c.ReadAll(t.Context(), p, func(_ log.Offset, r *log.Record) error { kept = string(r.Value); return nil }); err != nil || kept != "kept" {
		t.Errorf("after a restart: %q, %v", kept, err)
	}
	if err := k.Kill(); err != nil {
		t.Fatal(err)
	}
	if k.PID() != 0 {
		t.Error("a killed broker has a process")
	}
}

func TestKafkaBadSettingIsShown(t *testing.T) {
	_, err := local.StartKafka(t.Context(), local.KafkaOptions{Dir: filepath.Join(t.TempDir(), "kafka"), Settings: map[string]string{"num.partitions": "many"}})
	if err == nil || !strings.Contains(err.Error(), "num.partitions") {
		t.Errorf("%v doesn't show what the broker wrote", err)
	}
}
