package worker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// one resolves every id to the same version.
type one struct{ t *schema.Table }

func (o one) Table(context.Context, string, uint32) (*schema.Table, error) { return o.t, nil }

// sink takes batches and keeps nothing, so that only the worker's own work is measured.
type sink struct{ Store }

func (sink) EnsureTable(context.Context, Claim, *schema.Table) ([]int, error) { return nil, nil }
func (sink) Apply(context.Context, *Batch) error                              { return nil }
func (sink) Reach(context.Context, Claim, []Reached) error                    { return nil }

// BenchmarkGroup takes ten transactions of 1,000 rows from records to a merged batch.
func BenchmarkGroup(b *testing.B) {
	const txns, size = 10, 1000
	for _, op := range []event.Op{event.Create, event.Update} {
		b.Run(string(rune(op)), func(b *testing.B) {
			group := groups(b, op, txns, size)
			b.ReportAllocs()
			for b.Loop() {
				group()
			}
			n := float64(b.N) * txns * size
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n, "ns/row")
		})
	}
}

// groups gives a function that takes transactions from records to a merged batch.
func groups(t testing.TB, op event.Op, txns, size int) func() {
	table := studentTable()
	batches := recorded(t, table, op, txns, size)
	w, err := New(Options{Store: sink{}, Fetcher: func(log.Partition) log.Fetcher { return nil }, Schemas: one{table}, Name: "w"})
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(w, Claim{}, map[tableKey]*stop{})
	s.asm = newAssembler(nil, spool{limit: 16 << 20})
	return func() {
		lists := s.asm.lists
		s.asm = newAssembler(nil, spool{limit: 16 << 20})
		s.asm.lists = lists
		next, _, err := s.take(batches, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.asm.done) != txns {
			t.Fatalf("%d transactions", len(s.asm.done))
		}
		if err := s.flush(t.Context(), next, false); err != nil {
			t.Fatal(err)
		}
		if err := s.settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// Garbage per row would cost more than the rows' decoding.
func TestRowsLeaveNoGarbage(t *testing.T) {
	for _, op := range []event.Op{event.Create, event.Update} {
		group := groups(t, op, 10, 1000)
		if n := testing.AllocsPerRun(5, group) / 10_000; n > 0.03 {
			t.Errorf("op %c: %.4f allocations a row", op, n)
		}
	}
}

// studentTable has 15 columns of the types that districts use most.
func studentTable() *schema.Table {
	typ := func(k schema.Kind) schema.Type { return schema.Type{Kind: k} }
	t := &schema.Table{Source: src, Dataset: "student", Database: "xueji", Name: "student", Key: []int{0}}
	for i, k := range []schema.Type{typ(schema.Int64), typ(schema.String), typ(schema.String), typ(schema.Int8), typ(schema.Date), typ(schema.String), typ(schema.String),
		typ(schema.Int16), typ(schema.String), typ(schema.DateTime), {Kind: schema.Decimal, Precision: 5, Scale: 2}, typ(schema.Float32), typ(schema.Bool), typ(schema.String), typ(schema.Timestamp)} {
		t.Columns = append(t.Columns, schema.Column{Name: fmt.Sprintf("c%d", i), Type: k, Nullable: i > 0})
	}
	return t
}

// recorded gives the batches that a pipeline writes for such transactions.
func recorded(b testing.TB, t *schema.Table, op event.Op, txns, size int) []log.Batch {
	rng := rand.New(rand.NewPCG(1, 2))
	text := func(n int) event.Value {
		v := make([]byte, n)
		for i := range v {
			v[i] = byte('0' + rng.IntN(43))
		}
		return event.Raw(v)
	}
	row := func(id int64) []event.Value {
		return []event.Value{event.Signed(id), text(19), text(8), event.Signed(1), event.Signed(15_000 + rng.Int64N(900)), text(18), text(10), event.Signed(3), text(8),
			event.Signed(1_790_000_000_000_000 + rng.Int64N(1e12)), event.Raw(fmt.Appendf(nil, "%d.%02d", rng.IntN(100), rng.IntN(100))),
			event.Number(0x3f800000), event.Number(1), text(40 + rng.IntN(60)), event.Signed(1_790_000_000_000_000 + rng.Int64N(1e12))}
	}
	e := envelope.NewEncoder(event.Source{ID: src, Org: "330106", Engine: event.MariaDB, Agent: "a"}, "", envelope.Avro)
	e.BindTable(t, 1)
	var out []log.Batch
	next, id := log.Offset(0), int64(0)
	for n := range txns {
		txn := event.Txn{Position: at(uint64(n + 1)), Committed: time.Unix(1_790_000_000, 0), Captured: time.Unix(1_790_000_001, 0), ID: fmt.Sprintf("0-1-%d", n), File: "binlog.000001"}
		position, err := txn.Position.AppendBinary(nil)
		if err != nil {
			b.Fatal(err)
		}
		var r log.Records
		for i := range size {
			id++
			change := event.Row{Op: op, Table: t, After: row(id)}
			if op == event.Update {
				change.Before = row(id)
			}
			key, err := e.AppendKey(nil, &change)
			if err != nil {
				b.Fatal(err)
			}
			value, err := e.AppendValue(nil, &txn, &change, i)
			if err != nil {
				b.Fatal(err)
			}
			r.Add(key, value, log.Header{Key: envelope.HeaderSource, Value: []byte(src)}, log.Header{Key: envelope.HeaderPosition, Value: position})
		}
		envelope.AddCommit(&r, src, &envelope.Commit{Txn: txn, Prev: at(uint64(n)), Rows: size})
		out = append(out, log.Batch{Base: next, Last: next + log.Offset(r.Count()) - 1, Count: r.Count(), Data: r.Data(), Producer: log.Producer{ID: 1}})
		next = out[len(out)-1].Last + 1
	}
	return out
}
