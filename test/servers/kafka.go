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
	return startKafka(t, local.KafkaOptions{Settings: settings})
}

func startKafka(t testing.TB, o local.KafkaOptions) *local.Kafka {
	t.Helper()
	o.Dir = folder(t, "kafka")
	k, err := local.StartKafka(t.Context(), o)
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

// SecureKafka starts Apache Kafka with a second listener for users of SCRAM over TLS, who may
// do what ACLs allow. Its certificate is for 127.0.0.1, from the authority.
func SecureKafka(t testing.TB, ca *Authority, clientCertificates bool) *local.Kafka {
	t.Helper()
	s := &local.KafkaSecure{CAFile: ca.File, ClientCertificates: clientCertificates}
	s.CertFile, s.KeyFile = ca.Issue(t, "kafka", Leaf{Name: "kafka.example", Hosts: []string{"127.0.0.1"}})
	return startKafka(t, local.KafkaOptions{Secure: s})
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
