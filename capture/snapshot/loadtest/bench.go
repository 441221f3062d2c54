package loadtest

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Benchmark reads the source's one table chunk by chunk, each into the memory of the one
// before, as often as it takes. An operation is a row; cpu-ns is the time of this process,
// which counts nobody else's work.
func Benchmark(b *testing.B, open func(context.Context) (snapshot.Source, error)) {
	b.Helper()
	src, err := open(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = src.Close() }() // only read from
	tables, err := src.Tables(b.Context())
	if err != nil || len(tables) != 1 {
		b.Fatalf("tables %+v, %v", tables, err)
	}
	const size = 8 << 20
	req := snapshot.Request{Table: tables[0].Schema, Rows: 10_000, Bytes: size, Memory: &snapshot.Memory{Arena: event.Arena{Keep: size >> 16}}}
	b.ReportAllocs()
	b.ResetTimer()
	before := used(b)
	for rows := 0; rows < b.N; {
		c, err := src.Read(b.Context(), req)
		if err != nil {
			b.Fatal(err)
		}
		rows += len(c.Rows)
		if req.After, req.Memory.Rows = c.Last, c.Rows; c.End {
			req.After = nil
		}
	}
	b.ReportMetric(float64(used(b)-before)/float64(b.N), "cpu-ns/op")
}

func used(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
