package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/fetch"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/saslauthenticate"
	"github.com/segmentio/kafka-go/protocol/saslhandshake"

	"github.com/tributary-cdc/tributary/cmd/hub/desk"
	"github.com/tributary-cdc/tributary/cmd/hub/joined"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/peer"
	"github.com/tributary-cdc/tributary/stream/status"
)

// eventually waits until something is so that nobody tells of.
func (d *districts) eventually(what string, so func() bool) {
	d.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); !so(); {
		if time.Now().After(end) {
			d.t.Fatalf("%s: not within 30 s", what)
		}
		<-tick.C
	}
}

// hostile is a district, by its own certificate and user, that reaches for another's: Kafka
// refuses to let it read, write or speak in the other's topics and by the other's
// transactional ids, and to give itself rights; the hub refuses what it says of the other,
// wherever it says it, with a line of the audit and an alarm.
func (d *districts) hostile(own, other string) {
	t := d.t
	t.Helper()
	c := d.as(own)
	for _, topic := range []string{kafka.Changes(other), kafka.Schemas(other), kafka.Checkpoints(other), kafka.Status(other)} {
		p := log.Partition{Topic: topic}
		_, before, err := d.admin.Fetcher(p, 0).Bounds(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Fetcher(p, 0).Bounds(t.Context()); log.CodeOf(err) != "LOG_ACL" {
			t.Errorf("%s: its bounds: %v, want LOG_ACL", topic, err)
		}
		if _, err := c.Put(t.Context(), p, []byte("k"), []byte("v")); log.CodeOf(err) != "TOPIC_MISSING" { // to this client it isn't even there
			t.Errorf("%s: %v, want TOPIC_MISSING", topic, err)
		}
		d.asksAtOnce(own, topic)
		if _, after, err := d.admin.Fetcher(p, 0).Bounds(t.Context()); err != nil || after != before {
			t.Errorf("%s goes to %d from %d, %v", topic, after, before, err)
		}
	}
	theirs := c.Producer(kafka.ProducerOptions{Partition: log.Partition{Topic: kafka.Changes(own)}, TransactionalID: kafka.Prefix + other + "." + other + "-xueji", KeepsState: true})
	if _, err := theirs.Open(t.Context()); log.CodeOf(err) != "LOG_ACL" {
		t.Errorf("the other's transactional id: %v, want LOG_ACL", err)
	}
	if _, err := c.Grant(t.Context(), other, "agent-"+own+".1", d.passwords[own]); log.CodeOf(err) != "LOG_ACL" {
		t.Errorf("rights for itself: %v, want LOG_ACL", err)
	}
	if err := c.CreateTopics(t.Context(), own+"-more", kafka.TopicOptions{}); log.CodeOf(err) != "LOG_ACL" {
		t.Errorf("a topic of nobody: %v, want LOG_ACL", err)
	}
	if _, known := c.Partitions(t.Context(), kafka.Changes(other)); known == nil {
		t.Error("it is told of the other's partitions")
	}

	forged := status.Record{Kind: status.OfSource, Org: other, Source: other + "-xueji", State: "failed", Error: "forged", Program: "a1", Written: time.Now().UTC(), Within: 60}
	value, err := json.Marshal(&forged)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Put(t.Context(), log.Partition{Topic: kafka.Status(own)}, forged.Key(), value); err != nil { // its own topic
		t.Fatal(err)
	}
	d.forges(own, value)
	for _, object := range []string{"agent " + own + ".1", "log " + own} {
		d.eventually("the alarm about "+object, func() bool {
			var answer struct {
				Data []struct{ Kind, Object, Org string }
			}
			d.op.ask(http.MethodGet, "/api/alarms", "", nil, &answer)
			return slices.ContainsFunc(answer.Data, func(a struct{ Kind, Object, Org string }) bool {
				return a.Kind == "forgery" && a.Object == object && a.Org == own
			})
		})
	}
	d.eventually("the other's source is shown", func() bool { return strings.Contains(d.get("/api/tree"), other+"-xueji") })
	if page := d.get("/api/sources/" + other + "-xueji"); strings.Contains(page, "forged") {
		t.Errorf("the forged state is shown: %s", page)
	}
}

// asksAtOnce writes and reads without asking what there is, as no client of ours does: it is
// the broker that refuses.
func (d *districts) asksAtOnce(own, topic string) {
	t := d.t
	t.Helper()
	secure, err := (&peer.TLS{Mode: peer.VerifyFull, CAFile: d.ca.File}).Config("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	wire, err := (&tls.Dialer{Config: secure}).DialContext(t.Context(), "tcp", d.kafka.Secure)
	if err != nil {
		t.Fatal(err)
	}
	c := protocol.NewConn(wire, "hostile")
	defer func() { _ = c.Close() }() // nothing waits in it
	c.SetVersions(map[protocol.ApiKey]int16{protocol.SaslHandshake: 1, protocol.SaslAuthenticate: 0, protocol.Produce: 7, protocol.Fetch: 11})
	ask := func(m protocol.Message) protocol.Message {
		t.Helper()
		answer, err := c.RoundTrip(m)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	ask(&saslhandshake.Request{Mechanism: kafka.ScramSHA512})
	exchange, first, err := d.login(own).Start(t.Context())
	for done, next := false, first; err == nil && !done; {
		done, next, err = exchange.Next(t.Context(), ask(&saslauthenticate.Request{AuthBytes: next}).(*saslauthenticate.Response).AuthBytes)
	}
	if err != nil {
		t.Fatal(err)
	}
	batch := protocol.RecordSet{Version: 2, Records: protocol.NewRecordReader(protocol.Record{Value: protocol.NewBytes([]byte("v"))})}
	wrote := ask(&produce.Request{Acks: -1, Timeout: 1000, Topics: []produce.RequestTopic{{Topic: topic, Partitions: []produce.RequestPartition{{RecordSet: batch}}}}}).(*produce.Response)
	read := ask(&fetch.Request{ReplicaID: -1, MaxWaitTime: 1, MaxBytes: 1 << 20, SessionEpoch: -1, Topics: []fetch.RequestTopic{{Topic: topic, Partitions: []fetch.RequestPartition{{CurrentLeaderEpoch: -1, PartitionMaxBytes: 1 << 20}}}}}).(*fetch.Response)
	if code := kafkago.Error(wrote.Topics[0].Partitions[0].ErrorCode); code != kafkago.TopicAuthorizationFailed {
		t.Errorf("%s: write: %v", topic, code)
	}
	if code := kafkago.Error(read.Topics[0].Partitions[0].ErrorCode); code != kafkago.TopicAuthorizationFailed {
		t.Errorf("%s: read: %v", topic, code)
	}
}

// forges tells the hub of another org's source, by the certificate of its own agent.
func (d *districts) forges(own string, value []byte) {
	t := d.t
	t.Helper()
	m, err := joined.Open(d.joined(own))
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(d.joined(own), "agent.key"))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair([]byte(m.Certificate), key)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true}} // it is the hub that has to know who comes
	defer transport.CloseIdleConnections()
	for _, path := range []string{"/agent/status", "/agent/requests", "/agent/checkpoints"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, m.URL+path, bytes.NewReader(value))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(desk.ClockHeader, time.Now().UTC().Format(time.RFC3339Nano))
		res, err := (&http.Client{Transport: transport}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		if err = errors.Join(err, res.Body.Close()); err != nil || res.StatusCode != http.StatusForbidden || !strings.Contains(string(b), `"SPEAKS_FOR_ANOTHER"`) {
			t.Errorf("%s: %s %s, %v", path, res.Status, b, err)
		}
	}
	var audit struct {
		Data []struct{ Actor, Action, Outcome, Detail string }
	}
	d.auditor.ask(http.MethodGet, "/api/audit?text=agent.forge", "", nil, &audit)
	if len(audit.Data) != 3 || audit.Data[0].Actor != own+".1" || audit.Data[0].Outcome != "refused" || !strings.Contains(audit.Data[0].Detail, "330108") {
		t.Errorf("audit: %+v", audit.Data)
	}
}
