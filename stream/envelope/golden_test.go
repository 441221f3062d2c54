package envelope

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

var update = flag.Bool("update", false, "write the golden files anew")

// examples is one value per kind, at a limit where there is one.
func examples() []event.Value {
	text := map[schema.Kind]string{schema.Decimal: "-12.30", schema.String: "镕喆", schema.Bytes: "\x00\xff", schema.Interval: "P1Y2DT3H", schema.JSON: `{"a": 1.0}`,
		schema.UUID: "00000000-0000-4000-8000-000000000001", schema.Enum: "男", schema.Set: "a,b", schema.Bit: "010", schema.Array: "{1,NULL}", schema.Text: "10:00:00+08"}
	number := map[schema.Kind]uint64{schema.Bool: 1, schema.Uint8: 255, schema.Uint16: math.MaxUint16, schema.Uint32: math.MaxUint32, schema.Uint64: math.MaxUint64,
		schema.Float32: uint64(math.Float32bits(1.5)), schema.Float64: math.Float64bits(math.Inf(-1)), schema.Year: 2155, schema.Date: 19_000}
	signed := map[schema.Kind]int64{schema.Int8: math.MinInt8, schema.Int16: math.MinInt16, schema.Int32: math.MinInt32, schema.Int64: math.MinInt64,
		schema.Time: -3_020_399_000_000, schema.DateTime: -1, schema.Timestamp: event.PosInfinity}
	var out []event.Value
	for k := schema.Bool; k <= schema.Text; k++ {
		switch {
		case text[k] != "":
			out = append(out, event.Raw([]byte(text[k])))
		case signed[k] != 0:
			out = append(out, event.Signed(signed[k]))
		default:
			out = append(out, event.Number(number[k]))
		}
	}
	return out
}

// goldenRow is a row of the golden files.
type goldenRow struct {
	name string
	row  *event.Row
}

func goldenRows(tab *schema.Table) []goldenRow {
	all, some := examples(), examples()
	some[tab.Column("列json")], some[tab.Column("列bytes")] = event.Value{}, event.NullValue
	rows := []goldenRow{
		{"insert", &event.Row{Op: event.Create, After: all}},
		{"update, a column absent, an anomaly", &event.Row{Op: event.Update, Before: all, After: some, Anomalies: []event.Anomaly{{Column: tab.Column("列bytes"), Raw: `\x80`}}}},
		{"delete", &event.Row{Op: event.Delete, Before: all}},
		{"read", &event.Row{Op: event.Read, After: all}},
	}
	for i := range rows {
		rows[i].row.Table = tab
	}
	return rows
}

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the bytes have changed; if that is meant, change FORMAT.md and run with -update\n%s", got)
	}
}

// goldenLoads are loads of all of a table, of a part, and of one whose missing rows stay.
func goldenLoads(since event.Position) []event.Load {
	part := &event.KeyRange{Columns: []event.KeyColumn{{Name: "学号", Kind: schema.Uint64}, {Name: "科目", Kind: schema.String, Order: event.OrderPadded}},
		From: []event.Value{event.Number(math.MaxUint64), event.Raw([]byte("语文"))}, To: []event.Value{event.Number(9)}}
	open := &event.KeyRange{Columns: []event.KeyColumn{{Name: "名", Kind: schema.String, Order: event.OrderForeign}}, From: []event.Value{event.Raw([]byte{})}, Keep: true}
	return []event.Load{{Table: "xueji.学生", Dataset: "student", Phase: event.LoadBegun, Since: since},
		{Table: "xueji.score", Dataset: "score", Phase: event.LoadEnded, Since: since, Sweep: true, Range: part},
		{Table: "xueji.name", Dataset: "name", Phase: event.LoadBegun, Since: since, Sweep: true, Range: open}}
}

// lastLoads are those of tables of which no more comes.
func lastLoads(since event.Position) []event.Load {
	return []event.Load{{Table: "xueji.old", Dataset: "old", Phase: event.TableRemoved, Since: since}, {Table: "xueji.gone", Phase: event.TableDropped, Since: since}}
}

// TestLoads has loads come back as they were, and refuses every truncation.
func TestLoads(t *testing.T) {
	since := event.Position{Epoch: 1, Place: event.Place{File: 2, Offset: 1}}
	want := append(goldenLoads(since), lastLoads(since)...)
	var records log.Records
	AddCommit(&records, source.ID, &Commit{Txn: txn, Loads: want})
	batch := log.Batch{Count: 1, Data: records.Data()}
	err := batch.Each(func(_ log.Offset, r *log.Record) error {
		c, err := ParseControl(r)
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(c.Commit.Loads, want) {
			t.Errorf("loads %+v, want %+v", c.Commit.Loads, want)
		}
		h := &r.Headers[1]
		for whole := h.Value; len(h.Value) > 0; {
			h.Value = whole[:len(h.Value)-1]
			if _, err := ParseControl(r); !errors.Is(err, ErrMalformed) {
				t.Errorf("the first %d of %d bytes: %v", len(h.Value), len(whole), err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestGolden holds every kind of record to the bytes that FORMAT.md describes.
func TestGolden(t *testing.T) {
	tab, at := table(), time.UnixMicro(1_700_000_000_000_001).UTC()
	e := NewEncoder(source, "p1", Avro)
	e.BindTable(tab, 77)
	var out bytes.Buffer
	row := func(name string, r *event.Row) {
		r.Table = tab
		key, err := e.AppendKey(nil, r)
		if err != nil {
			t.Fatal(err)
		}
		value, err := e.AppendValue(nil, &txn, r, 4)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s\n  key %x\n  value %x\n", name, key, value)
		var back event.Row
		if err := Decode(tab, value, &back, nil); err != nil || back.Op != r.Op {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, g := range goldenRows(tab) {
		row(g.name, g.row)
	}

	prev := event.Position{Epoch: 1, Place: event.Place{File: 2, Offset: 1}}
	var records log.Records
	AddOpen(&records, source.ID, Open{Agent: "a/1", At: at, Version: "v1"})
	AddCommit(&records, source.ID, &Commit{Txn: txn, Prev: prev, Restart: event.Place{File: 2, Offset: 4}, Rows: 3, Skipped: 1})
	AddCommit(&records, source.ID, &Commit{Txn: txn, Prev: prev, Restart: event.Place{File: 2, Offset: 4}, Loads: goldenLoads(prev)})
	AddCommit(&records, source.ID, &Commit{Txn: txn, Prev: prev, Repair: event.RepairBegun})
	AddHeartbeat(&records, source.ID, Heartbeat{Last: prev, Restart: event.Place{File: 3, Offset: 4}, At: at, State: []byte(`{"s":1}`)})
	AddUntil(&records, source.ID, Until{Last: prev, At: at, Missing: []string{"xueji.学生"}})
	AddGap(&records, source.ID, Gap{Last: prev, To: event.Place{File: 9}, Code: "BINLOG_PURGED", Reason: "gone", At: at})
	AddTruncate(&records, source.ID, TruncateTable{Position: txn.Position, SchemaID: 77})
	AddHalt(&records, source.ID, Halt{Position: txn.Position, Stop: event.TableStop{Table: "xueji.学生", Code: "TABLE_NO_KEY", Reason: "no key"}})
	for _, c := range goldenChecks(t, tab) {
		AddCheck(&records, source.ID, &c)
	}
	batch := log.Batch{Last: log.Offset(records.Count() - 1), Data: records.Data(), Count: records.Count()}
	err := batch.Each(func(o log.Offset, r *log.Record) error {
		fmt.Fprintf(&out, "control\n")
		for _, h := range r.Headers {
			fmt.Fprintf(&out, "  %s %x\n", h.Key, h.Value)
		}
		_, err := ParseControl(r)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_, value, err := MarshalSchema(tab)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&out, "schema\n  %s\n", value)

	keyless := &schema.Table{Source: source.ID, Dataset: "log", Database: "xueji", Name: "log", Append: true, Columns: []schema.Column{{Name: "text", Type: schema.Type{Kind: schema.String}, Nullable: true}}}
	key, err := AppendKey(nil, keyless, []event.Value{event.Raw([]byte("x"))})
	if err != nil {
		t.Fatal(err)
	}
	if _, value, err = MarshalSchema(keyless); err != nil {
		t.Fatal(err)
	}
	if back, err := UnmarshalSchema(value); err != nil || back.Version() != keyless.Version() {
		t.Errorf("schema of a table in append mode: %+v, %v", back, err)
	}
	fmt.Fprintf(&out, "append mode\n  key %x\n  schema %s\n", key, value)

	golden(t, "testdata/records.golden", out.Bytes())
}

func TestDecodeRefusesTruncation(t *testing.T) {
	tab := table()
	var d Decoder
	for _, codec := range []Codec{Avro, JSON} {
		for _, g := range goldenRows(tab) {
			value := encode(t, g.row, codec)
			for n := range value {
				var got event.Row
				if err := d.Decode(tab, value[:n:n], &got, nil); !errors.Is(err, ErrMalformed) {
					t.Fatalf("%s, %s: the first %d of %d bytes: %v, want ErrMalformed", codec, g.name, n, len(value), err)
				}
			}
			var got event.Row
			if err := d.Decode(tab, append(value, ' '), &got, nil); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s, %s: a byte too many: %v", codec, g.name, err)
			}
		}
	}
}
