package envelope

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/hamba/avro/v2"
	"pgregory.net/rapid"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

var source = event.Source{ID: "330106-xueji", Org: "330106", Engine: event.MariaDB, Agent: "a"}

var txn = event.Txn{Position: event.Position{Epoch: 1, Place: event.Place{File: 2, Offset: 3}}, ID: "0-1-2",
	Committed: time.UnixMicro(1_700_000_000_123_456).UTC(), Captured: time.UnixMicro(1_700_000_000_200_000).UTC(), ServerID: 9, File: "bin.000002"}

// table has one column of each kind; its key is the int64 and the string.
func table() *schema.Table {
	t := &schema.Table{Source: source.ID, Dataset: "student", Database: "xueji", Name: "学生"}
	for k := schema.Bool; k <= schema.Text; k++ {
		t.Columns = append(t.Columns, schema.Column{Name: "列" + k.String(), Type: schema.Type{Kind: k}, Nullable: true})
	}
	t.Key = []int{t.Column("列int64"), t.Column("列string")}
	return t
}

// edges are the infinities, what is next to them, and where years change their form.
var edges = []int64{event.PosInfinity, event.NegInfinity, event.PosInfinity - 1, event.NegInfinity + 1, 0, -1,
	time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC).UnixMicro(), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro(),
	time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro(), time.Date(-1, 12, 31, 0, 0, 0, 0, time.UTC).UnixMicro()}

func drawImage(r *rapid.T, t *schema.Table, label string) []event.Value {
	image := make([]event.Value, len(t.Columns))
	for i, c := range t.Columns {
		state := event.State(rapid.IntRange(0, 2).Draw(r, label+"state"))
		if t.IsKey(i) {
			state = event.Present
		}
		switch {
		case state != event.Present:
			image[i].State = state
		case c.Type.Kind == schema.Bool:
			image[i] = event.Number(rapid.Uint64Range(0, 1).Draw(r, label))
		case c.Type.Kind == schema.Float32:
			image[i] = event.Number(uint64(rapid.Uint32().Draw(r, label)))
		case c.Type.Kind == schema.Date || c.Type.Kind == schema.DateTime || c.Type.Kind == schema.Timestamp:
			image[i] = event.Signed(rapid.OneOf(rapid.Int64(), rapid.SampledFrom(edges)).Draw(r, label))
		case c.Type.Kind == schema.Float64:
			image[i] = event.Number(rapid.OneOf(rapid.Uint64(), rapid.Map(rapid.Float64(), math.Float64bits)).Draw(r, label))
		case c.Type.Kind.Numeric():
			image[i] = event.Number(rapid.Uint64().Draw(r, label))
		case c.Type.Kind == schema.Bytes:
			image[i] = event.Raw(rapid.SliceOf(rapid.Byte()).Draw(r, label))
		default:
			image[i] = event.Raw([]byte(rapid.String().Draw(r, label)))
		}
	}
	return image
}

func drawRow(r *rapid.T, t *schema.Table) *event.Row {
	row := &event.Row{Op: rapid.SampledFrom([]event.Op{event.Create, event.Update, event.Delete, event.Read}).Draw(r, "op"), Table: t}
	if row.Op == event.Update || row.Op == event.Delete {
		row.Before = drawImage(r, t, "before")
	}
	if row.Op != event.Delete {
		row.After = drawImage(r, t, "after")
	}
	for range rapid.IntRange(0, 2).Draw(r, "anomalies") {
		row.Anomalies = append(row.Anomalies, event.Anomaly{Column: 1, Raw: rapid.String().Draw(r, "raw"), Before: true})
	}
	return row
}

func encode(t testing.TB, row *event.Row, codec Codec) []byte {
	e := NewEncoder(source, "p1", codec)
	e.BindTable(row.Table, 77)
	b, err := e.AppendValue(nil, &txn, row, 4)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Both codecs carry the same: each gives back the row and its stamp.
func TestRowRoundTrip(t *testing.T) {
	tab := table()
	encoders := map[Codec]*Encoder{Avro: NewEncoder(source, "p1", Avro), JSON: NewEncoder(source, "p1", JSON)}
	for _, e := range encoders {
		e.BindTable(tab, 77)
	}
	var d Decoder
	rapid.Check(t, func(r *rapid.T) {
		row := drawRow(r, tab)
		for codec, e := range encoders {
			value, err := e.AppendValue(nil, &txn, row, 4)
			if err != nil {
				r.Fatal(err)
			}
			if codec == JSON && !json.Valid(value) {
				r.Fatalf("not JSON: %s", value)
			}
			var got event.Row
			var stamp Stamp
			if err := d.Decode(tab, value, &got, &stamp); err != nil {
				r.Fatalf("%s: %v\n%q", codec, err, value)
			}
			if len(got.Anomalies) == 0 {
				got.Anomalies = nil
			}
			if !reflect.DeepEqual(&got, row) {
				r.Fatalf("%s: got %+v\nwant %+v", codec, got, row)
			}
			if want := (Stamp{Source: source, Txn: txn, Order: 4, Policy: "p1"}); !reflect.DeepEqual(stamp, want) {
				r.Fatalf("%s: stamp %+v\nwant %+v", codec, stamp, want)
			}
		}
		d.Reset()
	})
}

func TestSchemaIDWithoutParsing(t *testing.T) {
	row := sampleRow()
	for _, codec := range []Codec{Avro, JSON} {
		e := NewEncoder(source, "p1", codec)
		e.BindTable(row.Table, 1<<24+77)
		value, err := e.AppendValue(nil, &txn, row, 4)
		if err != nil {
			t.Fatal(err)
		}
		var records log.Records
		records.Add([]byte("k"), value, e.Headers(row.Table, make([]byte, event.PositionSize))...)
		b := log.Batch{Count: 1, Data: records.Data()}
		err = b.Each(func(_ log.Offset, r *log.Record) error {
			if class, src := Classify(r); class != RowRecord || string(src) != source.ID {
				t.Errorf("%s: class %d of %q", codec, class, src)
			}
			if id, err := SchemaID(r); err != nil || id != 1<<24+77 {
				t.Errorf("%s: id %d, %v", codec, id, err)
			}
			r.Headers = r.Headers[:2]
			if _, err := SchemaID(r); codec == JSON && !errors.Is(err, ErrMalformed) {
				t.Errorf("%s without the header: %v", codec, err)
			}
			r.Value = []byte("<row/>")
			if _, err := SchemaID(r); !errors.Is(err, ErrMalformed) {
				t.Errorf("another form: %v", err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func sampleRow() *event.Row {
	tab := table()
	row := &event.Row{Op: event.Update, Table: tab, Anomalies: []event.Anomaly{{Column: 3, Raw: "0000-00-00"}}}
	for range tab.Columns {
		row.Before = append(row.Before, event.NullValue)
		row.After = append(row.After, event.Value{})
	}
	for _, image := range [][]event.Value{row.Before, row.After} {
		image[tab.Key[0]] = event.Signed(math.MinInt64)
		image[tab.Key[1]] = event.Raw([]byte("张三"))
	}
	row.After[tab.Column("列uint64")] = event.Number(math.MaxUint64)
	row.After[tab.Column("列decimal")] = event.Raw([]byte("-12.30"))
	return row
}

// The published schema must describe the bytes: an independent library reads them.
func TestAvroSchemaDescribesBytes(t *testing.T) {
	row := sampleRow()
	text, err := AvroSchema(row.Table)
	if err != nil {
		t.Fatal(err)
	}
	s, err := avro.Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := avro.Unmarshal(s, encode(t, row, Avro)[frame:], &got); err != nil {
		t.Fatal(err)
	}
	if got["op"] != "u" || got["source"].(map[string]any)["position"] != txn.Position.String() {
		t.Errorf("read %v", got)
	}
	again, err := avro.Marshal(s, got)
	if err != nil {
		t.Fatal(err)
	}
	var back event.Row
	if err := Decode(row.Table, append(encode(t, row, Avro)[:frame:frame], again...), &back, nil); err != nil {
		t.Errorf("bytes of the independent library: %v", err)
	}
}

func TestKeysDiffer(t *testing.T) {
	tab := table()
	rapid.Check(t, func(r *rapid.T) {
		a, b := drawImage(r, tab, "a"), drawImage(r, tab, "b")
		ka, erra := AppendKey(nil, tab, a)
		kb, errb := AppendKey(nil, tab, b)
		if erra != nil || errb != nil {
			r.Fatal(erra, errb)
		}
		same := a[tab.Key[0]].N == b[tab.Key[0]].N && string(a[tab.Key[1]].B) == string(b[tab.Key[1]].B)
		if same != (string(ka) == string(kb)) {
			r.Fatalf("keys %x and %x of %v and %v", ka, kb, a, b)
		}
	})
	if _, err := AppendKey(nil, tab, make([]event.Value, len(tab.Columns))); !errors.Is(err, ErrMalformed) {
		t.Errorf("a key that isn't there: %v", err)
	}
}

func controls() (*log.Records, []Control) {
	at := time.UnixMicro(1_700_000_000_000_001).UTC()
	want := []Control{
		{Open: &Open{Agent: "a/1", At: at, Version: "v"}},
		{Commit: &Commit{Txn: txn, Prev: event.Position{Epoch: 1}, Restart: event.Place{File: 2, Offset: 99}, Rows: 5, Skipped: 1}},
		{Heartbeat: &Heartbeat{Last: txn.Position, Restart: event.Place{Offset: math.MaxUint64}, At: at, State: []byte(`{"gtid":"0-1-2"}`)}},
		{Gap: &Gap{Last: txn.Position, To: event.Place{File: 4}, Code: "BINLOG_PURGED", Reason: "purged", At: at}},
		{Truncate: &TruncateTable{Position: txn.Position, SchemaID: math.MaxUint32}},
		{Halt: &Halt{Position: txn.Position, Stop: event.TableStop{Table: "a.b", Code: "TABLE_NO_KEY", Reason: "no key"}}},
	}
	var r log.Records
	AddOpen(&r, source.ID, *want[0].Open)
	AddCommit(&r, source.ID, want[1].Commit)
	AddHeartbeat(&r, source.ID, *want[2].Heartbeat)
	AddGap(&r, source.ID, *want[3].Gap)
	AddTruncate(&r, source.ID, *want[4].Truncate)
	AddHalt(&r, source.ID, *want[5].Halt)
	return &r, want
}

func TestControlRoundTrip(t *testing.T) {
	r, want := controls()
	b := log.Batch{Last: log.Offset(r.Count() - 1), Count: r.Count(), Data: r.Data()}
	n := 0
	err := b.Each(func(_ log.Offset, rec *log.Record) error {
		if class, src := Classify(rec); class != ControlRecord || string(src) != source.ID {
			t.Errorf("record %d: class %d of %q", n, class, src)
		}
		got, err := ParseControl(rec)
		if err != nil {
			t.Errorf("record %d: %v", n, err)
		}
		if !reflect.DeepEqual(got, want[n]) {
			t.Errorf("record %d: %+v, want %+v", n, got, want[n])
		}
		h := rec.Headers[1].Value
		for cut := range h {
			rec.Headers[1].Value = h[:cut]
			if _, err := ParseControl(rec); !errors.Is(err, ErrMalformed) {
				t.Errorf("record %d cut to %d bytes: %v, want ErrMalformed", n, cut, err)
			}
		}
		n++
		return nil
	})
	if err != nil || n != len(want) {
		t.Errorf("%d records, %v", n, err)
	}
}

func TestSchemaRoundTrip(t *testing.T) {
	tab := table()
	_, value, err := MarshalSchema(tab)
	if err != nil {
		t.Fatal(err)
	}
	got, err := UnmarshalSchema(value)
	if err != nil || !reflect.DeepEqual(got, tab) {
		t.Errorf("got %+v, %v", got, err)
	}
	bad := []byte(string(value))
	for i := range bad {
		if string(bad[i:min(i+5, len(bad))]) == "xueji" {
			bad[i] = 'X'
			break
		}
	}
	if _, err := UnmarshalSchema(bad); !errors.Is(err, ErrMalformed) {
		t.Errorf("another table under the same version: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	row := sampleRow()
	f.Add(encode(f, row, Avro))
	f.Fuzz(func(t *testing.T, value []byte) {
		var got event.Row
		if err := Decode(row.Table, value, &got, nil); err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("unexpected error %v", err)
		}
	})
}

func FuzzParseControl(f *testing.F) {
	r, _ := controls()
	b := log.Batch{Last: log.Offset(r.Count() - 1), Count: r.Count(), Data: r.Data()}
	if err := b.Each(func(_ log.Offset, rec *log.Record) error {
		f.Add(string(rec.Headers[1].Key), rec.Headers[1].Value)
		return nil
	}); err != nil {
		f.Fatal(err)
	}
	var checks log.Records
	for _, c := range goldenChecks(f, table()) {
		AddCheck(&checks, source.ID, &c)
	}
	b = log.Batch{Last: log.Offset(checks.Count() - 1), Count: checks.Count(), Data: checks.Data()}
	if err := b.Each(func(_ log.Offset, rec *log.Record) error {
		f.Add(string(rec.Headers[1].Key), rec.Headers[1].Value)
		return nil
	}); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name string, body []byte) {
		rec := log.Record{Headers: []log.HeaderView{{Key: []byte(name), Value: body}}}
		if _, err := ParseControl(&rec); err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("unexpected error %v", err)
		}
	})
}
