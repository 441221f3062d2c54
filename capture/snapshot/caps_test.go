package snapshot

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// bounded is a reader whose configuration has caps.
type bounded struct {
	stream
	caps map[int]capture.Cap
}

// Caps implements Capper.
func (b *bounded) Caps(*schema.Table) map[int]capture.Cap { return b.caps }

func TestCaps(t *testing.T) {
	table := &schema.Table{Database: "d", Name: "t", Key: []int{0}, Columns: []schema.Column{{Name: "id"}, {Name: "zp"}, {Name: "bz"}}}
	text := func(s string) event.Value { return event.Raw([]byte(s)) }
	limit := caps{of: &bounded{caps: map[int]capture.Cap{0: {Bytes: 1}, 1: {Bytes: 3}}}}
	said := []event.Anomaly{{Column: 2, Raw: "0000-00-00"}, {Column: 2, Raw: "next row's"}}
	rows := []event.Row{
		{Op: event.Update, Table: table, Before: []event.Value{text("key"), text("1234"), text("12345")}, After: []event.Value{text("key"), text("12345"), event.NullValue}, Anomalies: said[:1]},
		{Op: event.Update, Table: table, After: []event.Value{text("key"), {}, event.NullValue}, Anomalies: said[1:]},
		{Op: event.Create, Table: table, After: []event.Value{text("key"), text("123"), text("12345")}},
		{Op: event.Truncate, Table: table},
	}
	for range 2 { // what was cut is not cut again
		if err := limit.cut(rows, true); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []string{"key null 12345 > key null null [{2 0000-00-00 false} {1 TOO_LARGE: 5 > 3 false} {1 TOO_LARGE: 4 > 3 true}]", "> key absent null [{2 next row's false}]", "> key 123 12345 []", "> []"} {
		got := strings.TrimSpace(fmt.Sprintf("%s > %s %v", words(rows[i].Before), words(rows[i].After), rows[i].Anomalies))
		if strings.Join(strings.Fields(got), " ") != want {
			t.Errorf("row %d is %q, want %q", i, got, want)
		}
	}
}

func words(image []event.Value) string {
	var out []string
	for _, v := range image {
		switch v.State {
		case event.Present:
			out = append(out, string(v.B))
		case event.Null:
			out = append(out, "null")
		default:
			out = append(out, "absent")
		}
	}
	return strings.Join(out, " ")
}

// TestCapsStop: a value that is to stop the source does, with its table, column and key,
// whichever way it comes; a comparison goes on.
func TestCapsStop(t *testing.T) {
	table := &schema.Table{Database: "d", Name: "t", Key: []int{0}, Columns: []schema.Column{{Name: "id", Type: schema.Type{Kind: schema.String}}, {Name: "zp", Type: schema.Type{Kind: schema.Bytes}}}}
	rows := func() []event.Row {
		return []event.Row{{Op: event.Read, Table: table, After: []event.Value{event.Raw([]byte("七")), event.Raw([]byte("1234"))}}}
	}
	reader := &bounded{stream: stream{s: newServer(rand.New(rand.NewPCG(1, 1)), 1)}, caps: map[int]capture.Cap{1: {Bytes: 3, Stop: true}}}
	l, err := New(Options{Reader: reader, Open: func(context.Context) (Source, error) { return reader.s, nil }})
	if err != nil {
		t.Fatal(err)
	}
	stops := func(way string, err error) {
		t.Helper()
		if code, hint := capture.CodeOf(err); code != "COLUMN_TOO_LARGE" || hint == "" || capture.ActionOf(err) != capture.StopSource {
			t.Fatalf("%s: %v, want COLUMN_TOO_LARGE that stops the source", way, err)
		}
		for _, want := range []string{`"zp"`, "d.t", "七", "4 bytes", "cap of 3"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v doesn't say %q", way, err, want)
			}
		}
	}
	_, err = l.took(&event.Segment{Kind: event.Rows, Rows: rows(), Last: true})
	stops("stream", err)
	l.rest = rows()
	_, err = l.part()
	stops("chunk", err)
	compared := rows()
	if err := l.caps.cut(compared, false); err != nil || len(compared[0].Anomalies) > 0 || len(compared[0].After[1].B) != 4 {
		t.Errorf("compared: %+v, %v", compared, err)
	}
}
