package kafka_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/peer"
	"github.com/tributary-cdc/tributary/test/servers"
)

// password gives a login's password, which may change.
func password(p *atomic.Pointer[string]) func() (string, error) {
	return func() (string, error) { return *p.Load(), nil }
}

// TestSecure: the log over TLS with certificates on both sides, for users of SCRAM who have
// the handbook's ACLs: it is written, fenced and read, shared by a group, and refused to
// whoever isn't who he should be, with a code for each reason.
func TestSecure(t *testing.T) {
	ca := servers.NewAuthority(t)
	k := servers.SecureKafka(t, ca, true)
	const org, word = "330106", "a word of the test"
	var now atomic.Pointer[string]
	first := word
	now.Store(&first)
	for _, user := range []string{"agent-330106", "worker-city", "agent-330108"} {
		if err := k.SetUser(t.Context(), user, word); err != nil {
			t.Fatal(err)
		}
	}
	servers.HandbookACLs(t, k)
	plain, err := kafka.New(kafka.Options{Brokers: []string{k.Addr}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(plain.Close)

	full := peer.TLS{Mode: peer.VerifyFull, CAFile: ca.File}
	full.CertFile, full.KeyFile = ca.Issue(t, "client", servers.Leaf{Name: "client"})
	as := func(user, mechanism string) kafka.Options {
		return kafka.Options{Brokers: []string{k.Secure}, TLS: full, SASL: &kafka.Login{Mechanism: mechanism, User: user, Password: password(&now)}}
	}
	client := func(o kafka.Options) *kafka.Client {
		t.Helper()
		c, err := kafka.New(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	agent, worker := client(as("agent-330106", kafka.ScramSHA512)), client(as("worker-city", kafka.ScramSHA256))

	// Without Create the agent finds topics and makes none.
	if err := agent.CreateTopics(t.Context(), org, kafka.TopicOptions{}); log.CodeOf(err) != "LOG_ACL" {
		t.Errorf("%v, want LOG_ACL", err)
	}
	for _, o := range []string{org, "330108"} {
		if err := plain.CreateTopics(t.Context(), o, kafka.TopicOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{agent.CreateTopics(t.Context(), org, kafka.TopicOptions{}), agent.CheckTopics(t.Context(), org), worker.CheckTopics(t.Context(), org)} {
		if err != nil {
			t.Error(err)
		}
	}

	part := log.Partition{Topic: kafka.Changes(org)}
	o := kafka.ProducerOptions{Partition: part, TransactionalID: kafka.Prefix + org + ".330106-xueji", KeepsState: true, Compression: kafka.LZ4}
	older, newer := agent.Producer(o), agent.Producer(o)
	open(t, older)
	appendAll(t, older, "a", "b")
	open(t, newer)
	appendAll(t, newer, "c")
	if _, err := older.Append(t.Context(), records("d")); !errors.Is(err, log.ErrFenced) {
		t.Errorf("the older one: %v, want ErrFenced", err)
	}
	want(t, all(t, worker, part), "a", "b", "c")

	given := make(chan []log.Partition, 10)
	group, err := worker.Group(kafka.GroupOptions{Name: "tributary.city", Topics: []string{part.Topic}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- group.Run(ctx, func(ctx context.Context, g *kafka.Generation) {
			if err := g.Commit(map[log.Partition]log.Offset{part: 3}); err != nil {
				t.Error(err)
			}
			given <- g.Partitions
			<-ctx.Done()
		})
	}()
	select {
	case got := <-given:
		if len(got) != 1 || got[0] != part {
			t.Errorf("the group gives %v", got)
		}
	case err := <-ended:
		t.Fatalf("the group has ended: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("the group gives nothing")
	}
	stop()
	<-ended

	// What is refused, and as what.
	bounds := func(o kafka.Options, p log.Partition) error {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		_, _, err := client(o).Fetcher(p, 0).Bounds(ctx)
		return err
	}
	with := func(f func(*kafka.Options)) kafka.Options {
		o := as("agent-330106", kafka.ScramSHA512)
		f(&o)
		return o
	}
	wrong := "another word"
	for name, tt := range map[string]struct {
		o    kafka.Options
		code string
	}{
		"another password":    {with(func(o *kafka.Options) { o.SASL.Password = func() (string, error) { return wrong, nil } }), "LOG_LOGIN"},
		"a forbidden letter":  {with(func(o *kafka.Options) { o.SASL.Password = func() (string, error) { return wrong + "\x07", nil } }), "LOG_LOGIN"},
		"nobody's user":       {as("nobody", kafka.ScramSHA512), "LOG_LOGIN"},
		"another mechanism":   {as("agent-330106", kafka.Plain), "LOG_LOGIN"},
		"another authority":   {with(func(o *kafka.Options) { o.TLS.CAFile = servers.NewAuthority(t).File }), peer.Untrusted},
		"another name":        {with(func(o *kafka.Options) { o.TLS.ServerName = "other.example" }), peer.WrongName},
		"no certificate":      {with(func(o *kafka.Options) { o.TLS.CertFile, o.TLS.KeyFile = "", "" }), peer.NoClient},
		"no file":             {with(func(o *kafka.Options) { o.TLS.CAFile = ca.File + ".missing" }), peer.BadFile},
		"TLS to a plain port": {with(func(o *kafka.Options) { o.Brokers = []string{k.Addr} }), "LOG_UNAVAILABLE"}, // it hangs up, as one that restarts
		"another org's topic": {as("agent-330108", kafka.ScramSHA512), "LOG_ACL"},
	} {
		err := bounds(tt.o, part)
		if code := log.CodeOf(err); code != tt.code {
			t.Errorf("%s: %v, code %q, want %s", name, err, code, tt.code)
		}
		if err != nil && (strings.Contains(err.Error(), word) || strings.Contains(err.Error(), wrong)) {
			t.Errorf("%s: the error holds a password: %v", name, err)
		}
	}
	hostile := agent.Producer(kafka.ProducerOptions{Partition: log.Partition{Topic: kafka.Changes("330108")}, TransactionalID: kafka.Prefix + "330108.a", KeepsState: true})
	if _, err := hostile.Open(t.Context()); log.CodeOf(err) != "LOG_ACL" {
		t.Errorf("another org's transactional id: %v, want LOG_ACL", err)
	}

	// A new password counts with the next connection.
	next := "the next word"
	if err := k.SetUser(t.Context(), "agent-330106", next); err != nil {
		t.Fatal(err)
	}
	now.Store(&next)
	agent.Close()
	want(t, all(t, agent, part), "a", "b", "c")
}
