package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// BenchmarkPut takes transactions from the reader's segments to full batches, as many
// rows of four columns in each as the name says. An operation is a transaction.
func BenchmarkPut(b *testing.B) {
	table := &schema.Table{Source: "330106-xueji", Dataset: "student", Database: "xueji", Name: "student", Key: []int{0}, Columns: []schema.Column{
		{Name: "id", Type: schema.Type{Kind: schema.Int64}}, {Name: "xm", Type: schema.Type{Kind: schema.String}}, {Name: "nj", Type: schema.Type{Kind: schema.Int16}}, {Name: "csrq", Type: schema.Type{Kind: schema.Date}}}}
	for _, size := range []int{1, 100} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			src := event.Source{ID: table.Source, Org: "330106", Engine: event.MariaDB, Agent: "a"}
			p := &Pipeline{opts: Options{Source: src, MaxRecord: 8 << 20, BatchBytes: 1 << 20, OnLogged: func(_, _ time.Time) {}, OnSent: func([]Sent) {}, Logger: slog.New(slog.DiscardHandler)}, enc: envelope.NewEncoder(src, "", envelope.Avro), dirty: true}
			p.enc.BindTable(table, 1)
			p.opts.Log = nowhere{}
			p.opts.Reader = silent{}
			p.opened = time.Now()
			p.opts.OnChange = func() {}
			p.opts.ReopenEvery, p.opts.ReopenLimit, p.opts.ReopenRecords = time.Hour, time.Hour, maxRecords
			box := newMailbox(1 << 20)
			r, w := &reader{p: p, box: box}, &writer{p: p, box: box}
			rows := make([]event.Row, size)
			for i := range rows {
				rows[i] = event.Row{Op: event.Create, Table: table, After: []event.Value{event.Signed(int64(i)), event.Raw([]byte("伟芳")), event.Signed(3), event.Signed(15_000)}}
			}
			seg := &event.Segment{Kind: event.Rows, First: true, Last: true, Rows: rows, Txn: event.Txn{Committed: time.Unix(1_790_000_000, 0), Captured: time.Unix(1_790_000_001, 0), ID: "0-1-77", File: "binlog.000001"}}
			b.ReportAllocs()
			for at := uint64(1); b.Loop(); at++ {
				seg.Txn.Position = event.Position{Epoch: 1, Place: event.Place{File: 1, Offset: at}}
				if alive, err := r.put(seg); err != nil || !alive {
					b.Fatal(alive, err)
				}
				if box.cur.records.Size() < 1<<20-64<<10 {
					continue
				}
				full, err := box.take(b.Context(), 0)
				if err != nil {
					b.Fatal(err)
				}
				if err := w.append(b.Context(), full); err != nil {
					b.Fatal(err)
				}
				box.give(full)
			}
		})
	}
}

// nowhere takes records and keeps none.
type nowhere struct{ log.Appender }

func (nowhere) Append(context.Context, *log.Records) (log.Offset, error) { return 0, nil }

// silent has nothing to read.
type silent struct{ capture.Reader }

func (silent) Ack(event.Place) {}
