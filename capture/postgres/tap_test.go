package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/tributary-cdc/tributary/capture/postgres/pgoutput"
	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

func message(kind byte, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4)), body...)
}

// TestTap: rows are taken out of an answer, in their order, all else is the driver's byte for
// byte, however the socket cuts it up.
func TestTap(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	var answer, rest []byte
	var rows [][]byte
	for i := range 2000 {
		size := rng.IntN(300)
		if i%500 == 7 {
			size = 3 * readBuffer
		}
		body := bytes.Repeat([]byte{byte(i)}, size)
		kind := byte(dataRow)
		if i == 0 || rng.IntN(50) == 0 {
			kind = 'N'
		}
		answer = append(answer, message(kind, body)...)
		if kind == dataRow {
			rows = append(rows, body)
		} else {
			rest = append(rest, message(kind, body)...)
		}
	}
	for name, from := range map[string]io.Reader{"whole": bytes.NewReader(answer), "byte by byte": iotest.OneByteReader(bytes.NewReader(answer)), "with the end": iotest.DataErrReader(bytes.NewReader(answer))} {
		tp, n := newTap(from), 0
		tp.take(func(b []byte) error {
			if n >= len(rows) || !bytes.Equal(b, rows[n]) {
				t.Fatalf("%s: row %d has %d bytes", name, n, len(b))
			}
			n++
			return nil
		})
		if got, err := io.ReadAll(tp); err != nil || !bytes.Equal(got, rest) || n != len(rows) {
			t.Errorf("%s: %d rows and %d other bytes, %v; want %d and %d", name, n, len(got), err, len(rows), len(rest))
		}
		if len(tp.buf) > 8*readBuffer {
			t.Errorf("%s: the buffer keeps %d bytes", name, len(tp.buf))
		}
	}
	if got, err := io.ReadAll(newTap(bytes.NewReader(answer))); err != nil || !bytes.Equal(got, answer) {
		t.Errorf("without a load the driver gets %d of %d bytes, %v", len(got), len(answer), err)
	}
}

// TestTapEnds: a reader of rows that has enough ends the reading, as does a length that can't be.
func TestTapEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		from []byte
		want error
	}{
		"enough":           {message(dataRow, []byte("x")), errFull},
		"length too short": {[]byte{dataRow, 0, 0, 0, 3}, pgoutput.ErrMalformed},
		"within a row":     {message(dataRow, []byte("x"))[:5], io.EOF},
	} {
		tp := newTap(bytes.NewReader(tt.from))
		tp.take(func([]byte) error { return errFull })
		if _, err := tp.Read(make([]byte, 10)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

// TestRowsThatAreNotWhole: a row of every form, and all that isn't one is malformed.
func TestRowsThatAreNotWhole(t *testing.T) {
	table := &schema.Table{Database: "d", Schema: "s", Name: "t"}
	var body []byte
	for i, c := range []struct {
		kind  schema.Kind
		value []byte
	}{{schema.Int32, []byte("-7")}, {schema.String, []byte("王")}, {schema.Timestamp, []byte{0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf0}}, {schema.Array, []byte("{1}")}, {schema.Bytes, []byte{}}} {
		table.Columns = append(table.Columns, schema.Column{Name: string(rune('a' + i)), Type: schema.Type{Kind: c.kind}})
		body = append(binary.BigEndian.AppendUint32(body, uint32(len(c.value))), c.value...)
	}
	table.Columns = append(table.Columns, schema.Column{Name: "null", Type: schema.Type{Kind: schema.Int64}})
	body = slices.Concat([]byte{0, 6}, body, []byte{0xff, 0xff, 0xff, 0xff})
	plan := planRows(table)
	image, anomalies, err := plan.row(body, &snapshot.Memory{})
	if err != nil || image[0].Int() != -7 || string(image[1].B) != "王" || image[2].State != event.Null || string(image[3].B) != "{1}" ||
		image[4].B == nil || len(image[4].B) != 0 || image[5].State != event.Null || len(anomalies) != 1 || anomalies[0].Column != 2 {
		t.Errorf("%+v, %+v, %v", image, anomalies, err)
	}
	for n := range len(body) {
		if _, _, err := plan.row(body[:n], &snapshot.Memory{}); !errors.Is(err, pgoutput.ErrMalformed) {
			t.Errorf("%d of %d bytes: %v", n, len(body), err)
		}
	}
	for name, b := range map[string][]byte{"behind": append(bytes.Clone(body), 0), "columns": append([]byte{0, 5}, body[2:]...), "length -2": append([]byte{0, 6, 0xff, 0xff, 0xff, 0xfe}, body[6:]...)} {
		if _, _, err := plan.row(b, &snapshot.Memory{}); !errors.Is(err, pgoutput.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
