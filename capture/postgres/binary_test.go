package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// answer reads a row of one value as a load does.
func answer(kind schema.Kind, b []byte) (v event.Value, anomalies []event.Anomaly, err error) {
	plan := planRows(&schema.Table{Name: "t", Columns: []schema.Column{{Name: "c", Type: schema.Type{Kind: kind}}}})
	body := binary.BigEndian.AppendUint32([]byte{0, 1}, uint32(len(b)))
	image, anomalies, err := plan.row(append(body, b...), &snapshot.Memory{})
	if err == nil {
		v = image[0]
	}
	return v, anomalies, err
}

// TestBinary: a value's binary form means what its text does.
func TestBinary(t *testing.T) {
	for name, tt := range map[string]struct {
		kind   schema.Kind
		text   string
		binary any // as the server sends it
	}{
		"real":              {schema.Float32, "1.1", float32(1.1)},
		"real NaN":          {schema.Float32, "NaN", uint32(0xffc00001)},
		"double":            {schema.Float64, "-0", math.Copysign(0, -1)},
		"double NaN":        {schema.Float64, "NaN", uint64(0x7ff8 << 48)},
		"epoch":             {schema.Date, "1970-01-01", int32(-10957)},
		"BC":                {schema.Date, "4714-11-24 BC", int32(-2451545)},
		"date infinity":     {schema.Date, "infinity", int32(math.MaxInt32)},
		"date -infinity":    {schema.Date, "-infinity", int32(math.MinInt32)},
		"datetime":          {schema.DateTime, "1999-12-31 23:59:59.999999", int64(-1)},
		"datetime infinity": {schema.DateTime, "infinity", int64(math.MaxInt64)},
		"instant":           {schema.Timestamp, "2000-01-01 00:00:01+00", int64(1_000_000)},
		"instant -infinity": {schema.Timestamp, "-infinity", int64(math.MinInt64)},
		"the last instant":  {schema.Timestamp, "294247-01-10 04:00:54.775806+00", math.MaxInt64 - 1 - int64(micro2000)},
		"end of the day":    {schema.Time, "24:00:00", int64(86_400_000_000)},
		"bytes":             {schema.Bytes, `\x00ff`, []byte{0, 255}},
		"no bytes":          {schema.Bytes, `\x`, []byte{}},
	} {
		b, err := binary.Append(nil, binary.BigEndian, tt.binary)
		if err != nil {
			t.Fatal(err)
		}
		want, err := parse(&schema.Type{Kind: tt.kind}, []byte(tt.text), &event.Arena{})
		if err != nil {
			t.Fatal(err)
		}
		if got, anomalies, err := answer(tt.kind, b); err != nil || anomalies != nil || got.State != want.State || got.N != want.N || !bytes.Equal(got.B, want.B) {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, want)
		}
		if tt.kind == schema.Bytes {
			continue
		}
		for _, cut := range [][]byte{nil, b[1:], append(b, 0)} {
			if got, _, err := answer(tt.kind, cut); !errors.Is(err, errValue) {
				t.Errorf("%s in %d bytes: %+v, %v", name, len(cut), got, err)
			}
		}
	}
	for name, tt := range map[string]struct {
		kind schema.Kind
		b    []byte
	}{
		"bool":              {schema.Bool, []byte{1}},
		"bigint":            {schema.Int64, make([]byte, 8)},
		"time beyond a day": {schema.Time, binary.BigEndian.AppendUint64(nil, 86_400_000_001)},
		"time below zero":   {schema.Time, binary.BigEndian.AppendUint64(nil, math.MaxUint64)},
	} {
		if got, _, err := answer(tt.kind, tt.b); !errors.Is(err, errValue) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// TestBinaryBeyond: an instant beyond its type is told as the server prints it.
func TestBinaryBeyond(t *testing.T) {
	for _, text := range []string{"294247-01-10 04:00:54.775807", "294248-02-29 00:00:00", "294276-12-31 23:59:59.9"} {
		for kind, zone := range map[schema.Kind]string{schema.DateTime: "", schema.Timestamp: "+00"} {
			date, err := instant([]byte(text[:len("294247-01-10")]), true)
			if err != nil {
				t.Fatal(err)
			}
			clock, err := timeOfDay([]byte(text[len("294247-01-10 "):]))
			if err != nil {
				t.Fatal(err)
			}
			b := binary.BigEndian.AppendUint64(nil, uint64((date-days2000)*86_400_000_000+clock))
			if v, anomalies, err := answer(kind, b); err != nil || v.State != event.Null || len(anomalies) != 1 || anomalies[0].Raw != text+zone {
				t.Errorf("%s: %+v, %+v, %v", text+zone, v, anomalies, err)
			}
		}
	}
}
