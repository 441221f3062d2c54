package postgres_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/servers"
)

// benchTable has the columns of a student as districts keep them.
func benchTable() *schema.Table {
	typ := func(k schema.Kind) schema.Type { return schema.Type{Kind: k} }
	t := &schema.Table{Source: "330106-bench", Dataset: "student", Database: "d", Name: "student", Key: []int{0}}
	for _, c := range []struct {
		name string
		typ  schema.Type
	}{{"id", typ(schema.Int64)}, {"xjh", typ(schema.String)}, {"xm", typ(schema.String)}, {"xbm", typ(schema.Int8)}, {"csrq", typ(schema.Date)},
		{"sfzjh", typ(schema.String)}, {"xxdm", typ(schema.String)}, {"nj", typ(schema.Int16)}, {"bj", typ(schema.String)}, {"gxsj", typ(schema.DateTime)},
		{"cj", schema.Type{Kind: schema.Decimal, Precision: 5, Scale: 2}}, {"bl", typ(schema.Float32)}, {"zx", typ(schema.Bool)}, {"bz", typ(schema.String)}, {"ts", typ(schema.Timestamp)}} {
		t.Columns = append(t.Columns, schema.Column{Name: c.name, Type: c.typ, Nullable: true})
	}
	return t
}

func benchRow(rng *rand.Rand, id int64) []event.Value {
	s := func(n int) event.Value {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte('0' + rng.IntN(43))
		}
		return event.Raw(b)
	}
	return []event.Value{event.Signed(id), s(19), s(8), event.Signed(1), event.Signed(15_000 + rng.Int64N(900)), s(18), s(10), event.Signed(3), s(8),
		event.Signed(1_790_000_000_000_000 + rng.Int64N(1e12)), event.Raw(fmt.Appendf(nil, "%d.%02d", rng.IntN(100), rng.IntN(100))),
		event.Number(0x3f800000), event.Number(1), s(40 + rng.IntN(60)), event.Signed(1_790_000_000_000_000 + rng.Int64N(1e12))}
}

// BenchmarkApply gives rows per second of inserts and updates in batches of 10,000,
// beside plain COPY into a table of the same shape.
func BenchmarkApply(b *testing.B) {
	const size = 10_000
	db := servers.PostgresPrograms(b, map[string]string{"max_wal_size": "8GB", "shared_buffers": "512MB"})
	s, err := postgres.New(postgres.Options{Host: db.Host, Port: db.Port, Database: "postgres", User: db.User, Password: db.Password})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	ctx, table, rng := b.Context(), benchTable(), rand.New(rand.NewPCG(1, 2))
	if err := s.Prepare(ctx); err != nil {
		b.Fatal(err)
	}
	claim, _, err := s.Claim(ctx, place, "w")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.EnsureTable(ctx, claim, table); err != nil {
		b.Fatal(err)
	}
	var at uint64
	apply := func(b *testing.B, rows []worker.NetRow) {
		pos := func(n uint64) event.Position {
			if n == 0 {
				return event.Position{}
			}
			return event.Position{Epoch: 1, Place: event.Place{Offset: n}}
		}
		for i := range rows {
			rows[i].Position, rows[i].Committed = pos(at+1), time.Unix(1, 0)
		}
		batch := &worker.Batch{Claim: claim, Steps: []worker.Step{{Source: event.Source{ID: table.Source}, From: pos(at), To: pos(at + 1), Committed: time.Unix(1, 0)}},
			Tables: []worker.TableChange{{Source: table.Source, Table: table, Upserts: rows}}}
		if err := s.Apply(ctx, batch); err != nil {
			b.Fatal(err)
		}
		at++
	}
	next := int64(0)
	for _, n := range []int{1, 100, 1000, size} {
		b.Run(fmt.Sprintf("insert/%d", n), func(b *testing.B) {
			rows := make([]worker.NetRow, n)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				for i := range rows {
					next++
					rows[i] = worker.NetRow{Op: event.Create, New: true, Values: benchRow(rng, next)}
				}
				b.StartTimer()
				apply(b, rows)
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
		b.Run(fmt.Sprintf("update/%d", n), func(b *testing.B) {
			rows := make([]worker.NetRow, n)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				first := rng.Int64N(max(next-int64(n), 1)) + 1
				for i := range rows {
					id := first + int64(i)
					rows[i] = worker.NetRow{Op: event.Update, Base: []event.Value{event.Signed(id)}, Values: benchRow(rng, id)}
				}
				b.StartTimer()
				apply(b, rows)
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
	b.Run("plain COPY", func(b *testing.B) { plainCopy(b, db, size) })
}

// plainCopy loads rows of the same table by COPY, the ceiling.
func plainCopy(b *testing.B, db servers.DB, size int) {
	ctx := b.Context()
	c, err := pgx.Connect(ctx, db.URL())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close(ctx) })
	if _, err := c.Exec(ctx, "CREATE TABLE plain (LIKE ods.student INCLUDING ALL)"); err != nil {
		b.Fatal(err)
	}
	conn := c.PgConn()
	first := 0
	for b.Loop() {
		b.StopTimer()
		if first >= 30*size { // as many rows as there are
			if _, err := c.Exec(ctx, "TRUNCATE plain"); err != nil {
				b.Fatal(err)
			}
			first = 0
		}
		var out bytes.Buffer
		if _, err := conn.CopyTo(ctx, &out, fmt.Sprintf("COPY (SELECT * FROM ods.student ORDER BY id OFFSET %d LIMIT %d) TO STDOUT BINARY", first, size)); err != nil {
			b.Fatal(err)
		}
		first += size
		b.StartTimer()
		if _, err := conn.CopyFrom(ctx, &out, "COPY plain FROM STDIN BINARY"); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(size)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
