package envelope

import (
	"testing"

	"github.com/tributary-cdc/tributary/stream/event"
)

// benchRow is an insert of a row like a pupil's: no column absent, every kind there.
func benchRow() *event.Row {
	tab := table()
	return &event.Row{Op: event.Create, Table: tab, After: examples()}
}

// allocations refuses a codec that allocates per row.
func allocations(t testing.TB, what string, f func()) {
	t.Helper()
	f() // buffers grow with the first row
	if n := testing.AllocsPerRun(1000, f); n != 0 {
		t.Errorf("%s: %v allocations per row, want 0", what, n)
	}
}

func TestNoAllocationPerRow(t *testing.T) {
	row := benchRow()
	for _, codec := range []Codec{Avro, JSON} {
		e := NewEncoder(source, "p1", codec)
		e.BindTable(row.Table, 77)
		var buf []byte
		allocations(t, codec.String()+" encode", func() {
			var err error
			if buf, err = e.AppendValue(buf[:0], &txn, row, 1); err != nil {
				t.Fatal(err)
			}
			_ = e.Headers(row.Table, buf[:event.PositionSize])
		})
		var d Decoder
		var back event.Row
		images := [2][]event.Value{make([]event.Value, len(row.Table.Columns)), make([]event.Value, len(row.Table.Columns))}
		allocations(t, codec.String()+" decode", func() {
			back.Before, back.After = images[0][:0], images[1][:0]
			if err := d.Decode(row.Table, buf, &back, nil); err != nil {
				t.Fatal(err)
			}
			d.Reset()
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, codec := range []Codec{Avro, JSON} {
		b.Run(codec.String(), func(b *testing.B) {
			row := benchRow()
			e := NewEncoder(source, "p1", codec)
			e.BindTable(row.Table, 77)
			var buf []byte
			var err error
			b.ReportAllocs()
			for b.Loop() {
				if buf, err = e.AppendValue(buf[:0], &txn, row, 1); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, codec := range []Codec{Avro, JSON} {
		b.Run(codec.String(), func(b *testing.B) {
			row := benchRow()
			value := encode(b, row, codec)
			var d Decoder
			var back event.Row
			after := make([]event.Value, len(row.Table.Columns))
			b.ReportAllocs()
			for b.Loop() {
				back.After = after[:0]
				if err := d.Decode(row.Table, value, &back, nil); err != nil {
					b.Fatal(err)
				}
				d.Reset()
			}
			b.SetBytes(int64(len(value)))
		})
	}
}
