package servers

import (
	"context"
	"os"
	"testing"

	"github.com/tributary-cdc/tributary/deploy/local"
)

// Kafka starts Apache Kafka, stopped with the test. Without Java on the machine
// the test fails. It takes about 5 s and 350 MB: share one where tests allow.
func Kafka(t testing.TB, settings map[string]string) *local.Kafka {
	t.Helper()
	dir := folder(t, "kafka")
	k, err := local.StartKafka(t.Context(), local.KafkaOptions{Dir: dir, Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Kill(); err != nil {
			t.Error(err)
		}
	})
	t.Logf("Apache Kafka %s on %s", k.Version, k.Addr)
	return k
}

// SharedKafka starts a broker for all tests of a package, from TestMain. The
// caller calls stop at the end.
func SharedKafka(ctx context.Context, settings map[string]string) (k *local.Kafka, stop func(), err error) {
	dir, err := os.MkdirTemp("", "tributary-kafka-")
	if err != nil {
		return nil, nil, err
	}
	if k, err = local.StartKafka(ctx, local.KafkaOptions{Dir: dir, Settings: settings}); err != nil {
		_ = os.RemoveAll(dir)
		return nil, nil, err
	}
	return k, func() { _ = k.Kill(); _ = os.RemoveAll(dir) }, nil
}
