package contract

import (
	"fmt"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/capture/pipeline"
	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/schemas"
)

// relayed writes the transaction n of one row, behind truncates of tables, as it comes through two relays, with seals
// wherever one may stand.
func (h *hand) relayed(n, id int, truncate ...uint32) {
	h.r.Helper()
	txn := event.Txn{Position: position(n), ID: fmt.Sprint(n), Committed: time.Now(), Captured: time.Now()}
	hops := []log.Header{{Key: envelope.HeaderHop, Value: []byte("3301")}, {Key: envelope.HeaderHop, Value: []byte("33")}}
	seal := func(rec *log.Records) {
		rec.Add(nil, nil, log.Header{Key: envelope.HeaderSource, Value: []byte(h.source)}, log.Header{Key: envelope.ControlPrefix + "seal", Value: []byte("\x01 a body of another version")})
	}
	// pass adds what a relay adds: its name behind the headers.
	pass := func(into *log.Records, fill func(*log.Records)) {
		var own log.Records
		fill(&own)
		b := log.Batch{Last: log.Offset(own.Count() - 1), Count: own.Count(), Data: own.Data()}
		h.must(b.Each(func(_ log.Offset, r *log.Record) error {
			headers := make([]log.Header, 0, len(r.Headers)+len(hops))
			for _, x := range r.Headers {
				headers = append(headers, log.Header{Key: string(x.Key), Value: x.Value})
			}
			into.Add(r.Key, r.Value, append(headers, hops...)...)
			return nil
		}))
	}
	h.must(h.append(func(rec *log.Records) {
		seal(rec)
		rows := 1
		for _, table := range truncate {
			rows++
			pass(rec, func(own *log.Records) {
				envelope.AddTruncate(own, h.source, envelope.TruncateTable{Position: txn.Position, SchemaID: table})
			})
			seal(rec)
		}
		pass(rec, func(own *log.Records) { h.row(own, &txn, 0, id) })
		seal(rec)
		pass(rec, func(own *log.Records) {
			envelope.AddCommit(own, h.source, &envelope.Commit{Txn: txn, Prev: h.last, Restart: event.Place{Offset: txn.Position.Offset + 5}, Rows: rows})
		})
		seal(rec)
	}))
	h.last = txn.Position
}

// TestRelayedAndSealed: the store says which relays a transaction has passed, and so does
// a row's trace. A seal is no row, no gap, and nothing that nobody knows.
func TestRelayedAndSealed(t *testing.T) {
	both(t, func(r *rig) {
		a := r.hand(r.org+"-a", 0)
		id, err := schemas.New(r.client).Publisher(kafka.Schemas(r.org)).ID(r.Context(), a.table)
		if err != nil {
			r.Fatal(err)
		}
		a.open("a/1")
		w := r.work(0)
		for n, write := range []func(n int){func(n int) { a.txn(n, n) }, func(n int) { a.relayed(n, n) }, func(n int) { a.relayed(n, n, id) }} {
			write(n + 1)
			r.await("the transaction", func() bool { return r.applied(a.source) == position(n+1).String() })
		}
		if got := fmt.Sprint(r.texts(`SELECT array_to_string(hops, ' ') FROM tributary.batch_source ORDER BY batch`)); got != "[ 3301 33 3301 33]" {
			r.Errorf("hops %s", got)
		}
		if got, gaps := r.rows(a.source), r.gaps(); got != "3" || gaps != "" {
			r.Errorf("rows %s, want 3; gaps %q", got, gaps)
		}
		if _, c := w.Status(); c.Unknown != 0 || c.Foreign != 0 {
			r.Errorf("counts %+v", c)
		}
		s, err := postgres.New(postgres.Options{Host: store.Host, Port: store.Port, Database: r.database, User: store.User, Password: store.Password})
		if err != nil {
			r.Fatal(err)
		}
		found, err := s.Trace(r.Context(), a.table.Dataset, []string{"3"})
		if err != nil || len(found) != 1 || fmt.Sprint(found[0].Batch.Hops) != "[3301 33]" {
			r.Errorf("trace %+v, %v", found, err)
		}
		// An agent that finds seals in its tail goes on behind the last commit.
		w.stop()
		o := &origin{table: pupils(a.source), more: make(chan struct{}), n: 4}
		next := r.agent("a/2", o, func(p *pipeline.Options) { p.Force = true })
		r.reaches(next, 4)
		r.work(0)
		r.await("the agent's transaction", func() bool { return r.rows(a.source) == "3 4" })
	})
}
