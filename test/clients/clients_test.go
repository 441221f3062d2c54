// Package clients reads our topics with clients of other hands: what they see must
// be what was written.
package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/embedded"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/schemas"
	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

const org = "330106"

var source = event.Source{ID: org + "-xueji", Org: org, Engine: event.MariaDB, Agent: "a1"}

// cell is one column with an ordinary value and one at a limit, and what a reader
// of each codec must see.
type cell struct {
	name   string
	kind   schema.Kind
	values [2]event.Value
	avro   [2]any // nil: as in JSON
	json   [2]any
}

func number(s string) json.Number { return json.Number(s) }

var day = time.Date(2026, 9, 1, 8, 0, 0, 123456000, time.UTC)

var cells = []cell{
	{"xh", schema.Int64, [2]event.Value{event.Signed(4711), event.Signed(math.MinInt64)}, [2]any{}, [2]any{number("4711"), number("-9223372036854775808")}},
	{"姓名", schema.String, [2]event.Value{event.Raw([]byte("镕喆\n\"改\"")), event.Raw([]byte(""))}, [2]any{}, [2]any{"镕喆\n\"改\"", ""}},
	{"card", schema.Uint64, [2]event.Value{event.Number(7), event.Number(math.MaxUint64)}, [2]any{"7", "18446744073709551615"}, [2]any{number("7"), number("18446744073709551615")}},
	{"active", schema.Bool, [2]event.Value{event.Number(1), event.Number(0)}, [2]any{}, [2]any{true, false}},
	{"score", schema.Decimal, [2]event.Value{event.Raw([]byte("-12.30")), event.Raw([]byte("NaN"))}, [2]any{}, [2]any{"-12.30", "NaN"}},
	{"weight", schema.Float64, [2]event.Value{event.Number(math.Float64bits(0.1)), event.Number(math.Float64bits(math.Inf(-1)))}, [2]any{nil, "-inf"}, [2]any{number("0.1"), "-Infinity"}},
	{"height", schema.Float32, [2]event.Value{event.Number(uint64(math.Float32bits(1.5))), event.NullValue}, [2]any{}, [2]any{number("1.5"), nil}},
	{"photo", schema.Bytes, [2]event.Value{event.Raw([]byte{0, 255}), event.Raw(nil)}, [2]any{"00ff", ""}, [2]any{"AP8=", ""}},
	{"born", schema.Date, [2]event.Value{event.Signed(15_000), event.Signed(event.PosInfinity)}, [2]any{nil, number("9223372036854775807")}, [2]any{number("15000"), "infinity"}},
	{"begins", schema.Time, [2]event.Value{event.Signed(28_800_000_000), event.Signed(-3_020_399_000_000)}, [2]any{}, [2]any{number("28800000000"), number("-3020399000000")}},
	{"changed", schema.DateTime, [2]event.Value{event.Signed(day.UnixMicro()), event.Signed(event.NegInfinity)}, [2]any{nil, number("-9223372036854775808")}, [2]any{number(fmt.Sprint(day.UnixMicro())), "-infinity"}},
	{"seen", schema.Timestamp, [2]event.Value{event.Signed(day.UnixMicro()), event.Signed(event.PosInfinity)},
		[2]any{number(fmt.Sprint(day.UnixMicro())), number("9223372036854775807")}, [2]any{"2026-09-01T08:00:00.123456Z", "infinity"}},
	{"marks", schema.JSON, [2]event.Value{event.Raw([]byte(`{"a": 1.0}`)), event.NullValue}, [2]any{}, [2]any{`{"a": 1.0}`, nil}},
}

// student is a table with all cells or, as an older version, without the last one.
func student(all bool) *schema.Table {
	t := &schema.Table{Source: source.ID, Dataset: "student", Database: "xueji", Name: "student", Key: []int{0}}
	for i, c := range cells {
		if all || i < len(cells)-1 {
			t.Columns = append(t.Columns, schema.Column{Name: c.name, Type: schema.Type{Kind: c.kind}, Nullable: i > 0})
		}
	}
	return t
}

// image gives the ordinary or the limit values of a table's columns.
func image(t *schema.Table, limit int) []event.Value {
	out := make([]event.Value, len(t.Columns))
	for i := range out {
		out[i] = cells[i].values[limit]
	}
	return out
}

// seen gives what a reader must see of an image; nil of none.
func seen(t *schema.Table, limit int, codec envelope.Codec, absent ...string) map[string]any {
	out := map[string]any{}
	for i := range t.Columns {
		c := &cells[i]
		v, name := c.json[limit], c.name
		if codec == envelope.Avro {
			if c.avro[limit] != nil {
				v = c.avro[limit]
			}
			name = strings.ReplaceAll(name, "姓名", "_u59d3_u540d") // Avro's names are ASCII
		}
		out[name] = v
	}
	for _, a := range absent {
		if codec == envelope.Avro {
			out[a] = nil // its bit in the member absent is set
		} else {
			delete(out, a)
		}
	}
	return out
}

// row is one line of the client.
type row struct {
	Codec string
	Row   struct {
		Before, After map[string]any
		Op            string
		Absent        string // of Avro: bits
		Anomalies     []map[string]any
		Source        struct {
			Name, Org, Table, Position string
		}
		Transaction struct {
			ID    string
			Order int `json:"total_order"`
		}
	}
	Skipped int
}

// TestIndependentClient: Confluent's consumer, registry client and deserialiser
// read a topic that holds both codecs, and see what was written.
func TestIndependentClient(t *testing.T) {
	interpreter, bin := python(t), program.Build(t)
	for name, start := range map[string]func(*testing.T) string{
		"embedded": func(t *testing.T) string {
			s, err := embedded.Start(embedded.Options{Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			return s.Addr()
		},
		"apache": func(t *testing.T) string { return servers.Kafka(t, nil).Addr },
	} {
		t.Run(name, func(t *testing.T) {
			broker := start(t)
			want := write(t, broker)
			dir, port := t.TempDir(), program.Port(t)
			file := program.Write(t, filepath.Join(dir, "registry.yml"), "orgs: [%q]\nhttp: 127.0.0.1:%d\nlog: {brokers: [%q]}\n", org, port, broker)
			p := &program.Process{Name: "registry", Args: []string{"registry", "--config", file}}
			p.Start(t, bin, dir, "no secret in this test")
			base := fmt.Sprintf("http://127.0.0.1:%d", port)
			ready(t, base+"/-/ready")
			compare(t, consume(t, interpreter, broker, base+"/"+org), want)
			t.Run("example", func(t *testing.T) { compare(t, example(t, bin, file, len(want)-1), inGo(want)) })
		})
	}
}

// ready waits until the address answers.
func ready(t *testing.T, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		res, err := http.Get(url) //nolint:noctx // on loopback, and the loop ends
		if err == nil {
			_ = res.Body.Close()
			tick.Stop()
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
}

// write publishes two versions and writes a transaction per codec, among control
// records. It returns what a reader must see.
func write(t *testing.T, broker string) (want []row) {
	t.Helper()
	ctx := t.Context()
	client, err := kafka.New(kafka.Options{Brokers: []string{broker}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if err := client.CreateTopics(ctx, org, kafka.TopicOptions{}); err != nil {
		t.Fatal(err)
	}
	tables := [2]*schema.Table{student(false), student(true)}
	p := client.Producer(kafka.ProducerOptions{Partition: log.Partition{Topic: kafka.Changes(org)}, TransactionalID: source.ID, Compression: kafka.LZ4})
	if _, err := p.Open(ctx); err != nil {
		t.Fatal(err)
	}
	var r log.Records
	envelope.AddOpen(&r, source.ID, envelope.Open{Agent: "a1/x", At: day, Version: "test"})
	publisher := schemas.New(client).Publisher(kafka.Schemas(org))
	var prev event.Position
	for n, codec := range []envelope.Codec{envelope.Avro, envelope.JSON} {
		e := envelope.NewEncoder(source, "p1", codec)
		for _, tab := range tables {
			id, err := publisher.ID(ctx, tab)
			if err != nil {
				t.Fatal(err)
			}
			e.BindTable(tab, id)
		}
		txn := event.Txn{Position: event.Position{Epoch: 1, Place: event.Place{File: 2, Offset: uint64(100 + n)}}, ID: fmt.Sprintf("0-1-%d", n), Committed: day, Captured: day, File: "bin.000002"}
		rows, lines := changes(tables, codec)
		for i := range rows {
			add(t, &r, e, &txn, &rows[i], i)
			lines[i].Codec = codec.String()
			lines[i].Row.Source.Name, lines[i].Row.Source.Org, lines[i].Row.Source.Table, lines[i].Row.Source.Position = source.ID, org, "student", txn.Position.String()
			lines[i].Row.Transaction.ID, lines[i].Row.Transaction.Order = txn.ID, i
		}
		want = append(want, lines...)
		envelope.AddCommit(&r, source.ID, &envelope.Commit{Txn: txn, Prev: prev, Rows: len(rows)})
		prev = txn.Position
	}
	envelope.AddHeartbeat(&r, source.ID, envelope.Heartbeat{Last: prev, At: day})
	if _, err := p.Append(ctx, &r); err != nil {
		t.Fatal(err)
	}
	return append(want, row{Skipped: 4})
}

// changes gives one of each operation, and what a reader must see of them.
func changes(tables [2]*schema.Table, codec envelope.Codec) ([]event.Row, []row) {
	older, newer := tables[0], tables[1]
	after := image(newer, 0)
	after[newer.Column("marks")] = event.Value{}
	rows := []event.Row{
		{Op: event.Create, Table: older, After: image(older, 0)},
		{Op: event.Read, Table: newer, After: image(newer, 1)},
		{Op: event.Update, Table: newer, Before: image(newer, 1), After: after, Anomalies: []event.Anomaly{{Column: 8, Raw: "0000-00-00", Before: true}}},
		{Op: event.Delete, Table: newer, Before: image(newer, 1)},
	}
	lines := make([]row, len(rows))
	for i := range rows {
		lines[i].Row.Op = string(rows[i].Op)
		if codec == envelope.Avro {
			lines[i].Row.Anomalies = []map[string]any{}
		}
	}
	lines[0].Row.After = seen(older, 0, codec)
	lines[1].Row.After = seen(newer, 1, codec)
	lines[2].Row.Before, lines[2].Row.After = seen(newer, 1, codec), seen(newer, 0, codec, "marks")
	lines[3].Row.Before = seen(newer, 1, codec)
	anomaly := map[string]any{"column": "born", "raw": "0000-00-00", "before": true}
	if codec == envelope.Avro {
		anomaly["column"] = number("8")
		lines[2].Row.Absent = "00000010" // the last of 13 columns of after
	}
	lines[2].Row.Anomalies = []map[string]any{anomaly}
	return rows, lines
}

func add(t *testing.T, r *log.Records, e *envelope.Encoder, txn *event.Txn, change *event.Row, order int) {
	t.Helper()
	key, err := e.AppendKey(nil, change)
	if err != nil {
		t.Fatal(err)
	}
	value, err := e.AppendValue(nil, txn, change, order)
	if err != nil {
		t.Fatal(err)
	}
	position, err := txn.Position.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Add(key, value, e.Headers(change.Table, position)...)
}

// consume runs the client and gives its lines.
func consume(t *testing.T, interpreter, broker, registry string) (lines []row) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var errs bytes.Buffer
	cmd := exec.CommandContext(ctx, interpreter, "consume.py", broker, registry, kafka.Changes(org))
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("client: %v\n%s%s", err, out, errs.Bytes())
	}
	d := json.NewDecoder(bytes.NewReader(out))
	d.UseNumber()
	for d.More() {
		var l row
		if err := d.Decode(&l); err != nil {
			t.Fatalf("client: %v\n%s", err, out)
		}
		lines = append(lines, l)
	}
	return lines
}

func compare(t *testing.T, got, want []row) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d lines, want %d: %+v", len(got), len(want), got)
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("line %d\n got %+v\nwant %+v", i, got[i], want[i])
		}
	}
}
