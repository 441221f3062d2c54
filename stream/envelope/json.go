package envelope

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// The JSON form is canonical: no white space, members in one order, one way to
// write each value. So a decoder compares where others parse, and what decodes
// encodes to the same bytes again.

// plan is what the JSON codec keeps of a table version.
type plan struct {
	names   [][]byte // per column the member's name with quotes and colon
	version schema.Version
	err     error // why no row of it can be written
}

func newPlan(t *schema.Table) *plan {
	p := &plan{version: t.Version(), names: make([][]byte, len(t.Columns))}
	for i := range t.Columns {
		var err error
		if p.names[i], err = putName(nil, t.Columns[i].Name); err != nil {
			p.err = fmt.Errorf("name of column %d: %w", i, err)
		}
		p.names[i] = append(p.names[i], ':')
	}
	return p
}

func (e *Encoder) appendJSON(dst []byte, p *plan, txn *event.Txn, row *event.Row, order int) ([]byte, error) {
	err := p.err
	if err == nil {
		dst, err = putJSONImage(append(dst, `{"before":`...), p, row.Table, row.Before)
	}
	if err == nil {
		dst, err = putJSONImage(append(dst, `,"after":`...), p, row.Table, row.After)
	}
	if err == nil {
		dst, err = putJSONAnomalies(dst, p, row.Anomalies)
	}
	if err == nil && (e.blockTab != row.Table || e.blockPos != txn.Position) {
		e.blockTab = nil
		if e.block, err = putJSONStamp(e.block[:0], &Stamp{Source: e.src, Txn: *txn, Policy: e.policy}, row.Table, p); err == nil {
			e.blockTab, e.blockPos = row.Table, txn.Position
		}
	}
	if err != nil {
		return dst, fmt.Errorf("row of table %s as JSON: %w", row.Table.ID(), err)
	}
	dst = append(dst, `,"op":"`...)
	dst = append(dst, byte(row.Op), '"')
	dst = append(dst, e.block...)
	dst = strconv.AppendInt(dst, int64(order), 10)
	return append(dst, "}}"...), nil
}

// putJSONImage appends null or an object with the columns that the image carries.
func putJSONImage(b []byte, p *plan, t *schema.Table, image []event.Value) (_ []byte, err error) {
	if image == nil {
		return append(b, "null"...), nil
	}
	b = append(b, '{')
	first := true
	for i := range image {
		if image[i].State == event.Absent {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, p.names[i]...)
		if b, err = putJSONValue(b, t.Columns[i].Type.Kind, &image[i]); err != nil {
			return b, fmt.Errorf("column %q: %w", t.Columns[i].Name, err)
		}
	}
	return append(b, '}'), nil
}

func putJSONAnomalies(b []byte, p *plan, anomalies []event.Anomaly) (_ []byte, err error) {
	for i := range anomalies {
		a := &anomalies[i]
		if a.Column < 0 || a.Column >= len(p.names) {
			return b, fmt.Errorf("anomaly of column %d: %w", a.Column, ErrMalformed)
		}
		if i == 0 {
			b = append(b, `,"anomalies":[`...)
		} else {
			b = append(b, ',')
		}
		b = append(b, `{"column":`...)
		b = append(b, p.names[a.Column][:len(p.names[a.Column])-1]...)
		if b, err = putName(append(b, `,"raw":`...), a.Raw); err != nil {
			return b, fmt.Errorf("anomaly: %w", err)
		}
		b = append(b, `,"before":`...)
		b = append(strconv.AppendBool(b, a.Before), '}')
	}
	if len(anomalies) > 0 {
		b = append(b, ']')
	}
	return b, nil
}

// putJSONStamp appends what all rows of a table in one transaction share: the
// members source and ts_ms, and transaction up to the value of total_order.
func putJSONStamp(b []byte, s *Stamp, t *schema.Table, p *plan) ([]byte, error) {
	var err error
	text := func(name, v string) {
		b = append(b, name...)
		if err == nil {
			b, err = putName(b, v)
		}
	}
	number := func(name string, v int64) { b = strconv.AppendInt(append(b, name...), v, 10) }
	txn := &s.Txn
	text(`,"source":{"connector":`, string(s.Source.Engine))
	text(`,"name":`, s.Source.ID)
	number(`,"ts_ms":`, txn.Committed.UnixMilli())
	text(`,"db":`, t.Database)
	text(`,"schema":`, t.Schema)
	text(`,"table":`, t.Name)
	number(`,"server_id":`, int64(txn.ServerID))
	text(`,"file":`, txn.File)
	b = strconv.AppendUint(append(b, `,"pos":`...), txn.Position.Offset, 10)
	text(`,"org":`, s.Source.Org)
	text(`,"agent":`, s.Source.Agent)
	b = append(txn.Position.AppendText(append(b, `,"position":"`...)), '"')
	text(`,"schema_version":`, string(p.version))
	text(`,"policy_version":`, s.Policy)
	number(`,"ts_us":`, txn.Committed.UnixMicro())
	number(`,"captured_us":`, txn.Captured.UnixMicro())
	number(`,"precision":`, int64(txn.Precision))
	number(`},"ts_ms":`, txn.Captured.UnixMilli())
	text(`,"transaction":{"id":`, txn.ID)
	b = append(b, `,"total_order":`...)
	if err != nil {
		return b, fmt.Errorf("stamp: %w", err)
	}
	return b, nil
}

// putJSONValue appends a column's value in the form that FORMAT.md gives for its kind.
func putJSONValue(b []byte, k schema.Kind, v *event.Value) ([]byte, error) {
	if v.State != event.Present {
		return append(b, "null"...), nil
	}
	switch k {
	case schema.Bool:
		return strconv.AppendBool(b, v.N&1 == 1), nil
	case schema.Uint64:
		return strconv.AppendUint(b, v.N, 10), nil
	case schema.Float32:
		return putFloat(b, float64(math.Float32frombits(uint32(v.N))), 32, v.N, nan32), nil
	case schema.Float64:
		return putFloat(b, math.Float64frombits(v.N), 64, v.N, nan64), nil
	case schema.Date, schema.DateTime, schema.Timestamp:
		switch v.Int() {
		case event.PosInfinity:
			return append(b, `"infinity"`...), nil
		case event.NegInfinity:
			return append(b, `"-infinity"`...), nil
		}
		if k == schema.Timestamp {
			return putInstant(b, v.Int()), nil
		}
	case schema.Bytes:
		b = base64.StdEncoding.AppendEncode(append(b, '"'), v.B)
		return append(b, '"'), nil
	}
	if k.Numeric() {
		return strconv.AppendInt(b, v.Int(), 10), nil
	}
	if !utf8.Valid(v.B) {
		return b, errNotText
	}
	return putQuoted(b, v.B), nil
}

// The bits of the NaN that readers make of the text "NaN". Others name theirs.
const (
	nan32 = 0x7fc00000
	nan64 = 0x7ff8000000000001
)

// KeyText gives a row's key for people: the values of AppendKey's image as a JSON array, cut
// short beyond 200 bytes. It is empty in append mode, whose rows have no key.
func KeyText(row *event.Row) string {
	image := row.Before
	if image == nil {
		image = row.After
	}
	var b []byte
	for n, i := range row.Table.Key {
		b = append(b, ","[:min(n, 1)]...) // between two
		var err error
		if b, err = putJSONValue(b, row.Table.Columns[i].Type.Kind, &image[i]); err != nil {
			b = append(b, '?')
		}
	}
	if len(b) == 0 {
		return ""
	}
	if len(b) > 200 {
		b = append(b[:200], "…"...)
	}
	return "[" + strings.ToValidUTF8(string(b), "") + "]"
}

// putFloat appends the shortest digits that give the same number again, with an
// exponent where that is much shorter (as ECMAScript does); what JSON has no
// number for is a string.
func putFloat(b []byte, f float64, size int, bits, nan uint64) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(b, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(b, `"-Infinity"`...)
	case !math.IsNaN(f):
		if abs := math.Abs(f); abs == 0 || abs >= 1e-6 && abs < 1e21 {
			return strconv.AppendFloat(b, f, 'f', -1, size)
		}
		return strconv.AppendFloat(b, f, 'e', -1, size)
	case bits == nan:
		return append(b, `"NaN"`...)
	}
	return append(strconv.AppendUint(append(b, `"NaN:`...), bits, 16), '"')
}

// putInstant appends an instant of microseconds as ISO 8601 in UTC, with six
// digits of the second; years beyond 9999 have a sign, and the year before 1 is 0.
func putInstant(b []byte, us int64) []byte {
	at := time.UnixMicro(us).UTC()
	year, month, day := at.Date()
	hour, minute, second := at.Clock()
	b = append(b, '"')
	switch {
	case year < 0:
		b, year = append(b, '-'), -year
	case year > 9999:
		b = append(b, '+')
	}
	if year > 9999 {
		b = strconv.AppendInt(b, int64(year), 10)
	} else {
		b = putDigits(b, year, 4)
	}
	b = putDigits(append(b, '-'), int(month), 2)
	b = putDigits(append(b, '-'), day, 2)
	b = putDigits(append(b, 'T'), hour, 2)
	b = putDigits(append(b, ':'), minute, 2)
	b = putDigits(append(b, ':'), second, 2)
	b = putDigits(append(b, '.'), at.Nanosecond()/1000, 6)
	return append(b, `Z"`...)
}

func putDigits(b []byte, n, width int) []byte {
	for range width {
		b = append(b, '0')
	}
	for i := len(b) - 1; n > 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}
