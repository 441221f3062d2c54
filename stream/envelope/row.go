package envelope

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// frame is the length of Confluent's framing: a zero byte and the schema id.
const frame = 5

// Encoder writes the rows of one source. It isn't safe for concurrent use.
type Encoder struct {
	src    event.Source
	policy string
	codec  Codec
	tables map[*schema.Table]*bound
	last   *bound // of the table asked for last

	// The stamp block of the last transaction and table, copied while both stay.
	block    []byte
	blockPos event.Position
	blockTab *schema.Table

	headers []log.Header
}

// bound is a table version with its id.
type bound struct {
	of   *schema.Table
	id   uint32
	puts []put        // of Avro, by column
	head [idSize]byte // the id, as the header of a JSON record
	plan *plan        // of JSON
}

// NewEncoder makes an encoder; policy is the version of the column policy.
func NewEncoder(src event.Source, policy string, codec Codec) *Encoder {
	return &Encoder{src: src, policy: policy, codec: codec, tables: map[*schema.Table]*bound{},
		headers: []log.Header{{Key: HeaderSource, Value: []byte(src.ID)}, {Key: HeaderPosition}, {Key: HeaderSchema}}}
}

// BindTable tells the schema id of a table version, before its first row.
func (e *Encoder) BindTable(t *schema.Table, id uint32) {
	b := &bound{of: t, id: id, puts: putsOf(t)}
	binary.BigEndian.PutUint32(b.head[:], id)
	if e.codec == JSON {
		b.plan = newPlan(t)
	}
	e.tables[t], e.last = b, nil
}

// bound finds a table version; nil if it hasn't been told.
func (e *Encoder) bound(t *schema.Table) *bound {
	if e.last == nil || e.last.of != t {
		e.last = e.tables[t]
	}
	return e.last
}

// Bound returns the schema id of a table version, if it has been told.
func (e *Encoder) Bound(t *schema.Table) (uint32, bool) {
	if b := e.bound(t); b != nil {
		return b.id, true
	}
	return 0, false
}

// Headers gives the headers of a row's record; position is the binary form of its
// transaction's. They are valid until the next call.
func (e *Encoder) Headers(t *schema.Table, position []byte) []log.Header {
	e.headers[1].Value = position
	if b := e.bound(t); e.codec == JSON && b != nil {
		e.headers[2].Value = b.head[:]
		return e.headers
	}
	return e.headers[:2]
}

// AppendKey appends the record key of a row: its table and primary key. For a
// row whose key changes it is the key before the change. In append mode it is the
// table alone.
func (e *Encoder) AppendKey(dst []byte, row *event.Row) ([]byte, error) {
	image := row.Before
	if image == nil {
		image = row.After
	}
	return AppendKey(dst, row.Table, image)
}

// AppendKey appends the canonical key of an image: the table's id, then each key
// column as a tag and its value. Equal keys have equal bytes and no others have.
func AppendKey(dst []byte, t *schema.Table, image []event.Value) ([]byte, error) {
	return AppendKeyColumns(putTableID(dst, t), t, image)
}

// putTableID appends the table's ID as a string, without making it.
func putTableID(dst []byte, t *schema.Table) []byte {
	n := len(t.Database) + 1 + len(t.Name)
	if t.Schema != "" {
		n += len(t.Schema) + 1
	}
	dst = append(putLong(dst, int64(n)), t.Database...)
	if t.Schema != "" {
		dst = append(append(dst, '.'), t.Schema...)
	}
	return append(append(dst, '.'), t.Name...)
}

// AppendKeyColumns appends the canonical key without the table's id, for those who
// look at one table only.
func AppendKeyColumns(dst []byte, t *schema.Table, image []event.Value) ([]byte, error) {
	for _, i := range t.Key {
		if i >= len(image) || image[i].State == event.Absent {
			return dst, fmt.Errorf("key column %q of table %s isn't in the image: %w", t.Columns[i].Name, t.ID(), ErrMalformed)
		}
		dst = AppendKeyValue(dst, t.Columns[i].Type.Kind, image[i])
	}
	return dst, nil
}

// AppendKeyValue appends one column of a canonical key.
func AppendKeyValue(dst []byte, k schema.Kind, v event.Value) []byte {
	switch {
	case v.State != event.Present:
		return append(dst, 0)
	case k.Numeric():
		return binary.BigEndian.AppendUint64(append(dst, 1), v.N)
	}
	return putBytes(append(dst, 2), v.B)
}

// AppendValue appends the value of a row's record. The table must have been
// bound. Images must have as many slots as the table has columns.
func (e *Encoder) AppendValue(dst []byte, txn *event.Txn, row *event.Row, order int) ([]byte, error) {
	t := row.Table
	b := e.bound(t)
	if b == nil {
		return dst, fmt.Errorf("table %s has no schema id", t.ID())
	}
	for _, image := range [2][]event.Value{row.Before, row.After} {
		if image != nil && len(image) != len(t.Columns) {
			return dst, fmt.Errorf("image of %d slots for table %s with %d columns", len(image), t.ID(), len(t.Columns))
		}
	}
	if e.codec == JSON {
		return e.appendJSON(dst, b.plan, txn, row, order)
	}
	dst = binary.BigEndian.AppendUint32(append(dst, 0), b.id)
	dst, some := putImage(dst, b.puts, row.Before)
	dst, more := putImage(dst, b.puts, row.After)
	if dst = append(dst, 0); some || more {
		dst = putAbsent(dst[:len(dst)-1], row)
	}
	if n := len(row.Anomalies); n > 0 {
		dst = putLong(dst, int64(n))
		for _, a := range row.Anomalies {
			dst = putLong(dst, int64(a.Column))
			dst = putBytes(dst, a.Raw)
			dst = append(dst, bit(a.Before))
		}
	}
	dst = append(dst, 0)
	dst = append(dst, e.source(txn, t)...)
	dst = append(dst, 2, byte(row.Op))
	dst = putLong(dst, txn.Captured.UnixMilli())
	dst = putBytes(dst, txn.ID)
	return putLong(dst, int64(order)), nil
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func (e *Encoder) source(txn *event.Txn, t *schema.Table) []byte {
	if e.blockTab == t && e.blockPos == txn.Position {
		return e.block
	}
	b := e.block[:0]
	b = putBytes(b, string(e.src.Engine))
	b = putBytes(b, e.src.ID)
	b = putLong(b, txn.Committed.UnixMilli())
	b = putBytes(b, t.Database)
	b = putBytes(b, t.Schema)
	b = putBytes(b, t.Name)
	b = putLong(b, int64(txn.ServerID))
	b = putBytes(b, txn.File)
	b = putLong(b, int64(txn.Position.Offset))
	b = putBytes(b, e.src.Org)
	b = putBytes(b, e.src.Agent)
	var text [48]byte
	b = putBytes(b, txn.Position.AppendText(text[:0]))
	b = putBytes(b, e.policy)
	b = putLong(b, txn.Committed.UnixMicro())
	b = putLong(b, txn.Captured.UnixMicro())
	b = putLong(b, int64(txn.Precision))
	e.block, e.blockPos, e.blockTab = b, txn.Position, t
	return b
}

// avro reads a framed Avro record of the row's table. The slots view value.
func (d *Decoder) avro(value []byte, row *event.Row, stamp *Stamp) error {
	t := row.Table
	if len(value) < frame || value[0] != 0 {
		return fmt.Errorf("frame: %w", ErrMalformed)
	}
	s := scan{b: value[frame:]}
	row.Before = s.image(t, row.Before)
	row.After = s.image(t, row.After)
	s.absent(row)
	row.Anomalies = row.Anomalies[:0]
	for n := s.long(); n != 0 && s.err == nil; n = s.long() {
		if n < 0 { // a block that tells its size as well
			n = -n
			s.long()
		}
		if n < 0 || n > int64(len(s.b)) {
			s.fail("anomalies")
			break
		}
		for range n {
			a := event.Anomaly{Column: int(s.long()), Raw: s.text()}
			a.Before = s.fixed(1)[0] == 1
			if a.Column < 0 || a.Column >= len(t.Columns) {
				s.fail("anomaly's column")
			}
			row.Anomalies = append(row.Anomalies, a)
		}
	}
	if stamp == nil {
		d.skipSource(&s)
	} else {
		s.source(stamp)
	}
	op := s.bytes()
	if len(op) != 1 {
		s.fail("op")
	} else {
		row.Op = event.Op(op[0])
	}
	s.long() // ts_ms
	id := s.bytes()
	order := s.long()
	if s.err == nil && len(s.b) != 0 {
		s.fail("bytes after the record")
	}
	if s.err != nil {
		return s.err
	}
	if stamp != nil {
		stamp.Txn.ID, stamp.Order = string(id), int(order)
	}
	return nil
}

// skipSource skips the source block. The rows of a transaction and table have the same.
func (d *Decoder) skipSource(s *scan) {
	if len(d.skip) > 0 && bytes.HasPrefix(s.b, d.skip) {
		s.b = s.b[len(d.skip):]
		return
	}
	all := s.b
	s.bytes()
	s.bytes()
	s.long()
	s.bytes()
	s.bytes()
	s.bytes()
	s.long()
	s.bytes()
	s.long()
	s.bytes()
	s.bytes()
	s.bytes()
	s.bytes()
	s.long()
	s.long()
	s.long()
	if s.err == nil {
		d.skip = append(d.skip[:0], all[:len(all)-len(s.b)]...)
	}
}

// source reads the source block.
func (s *scan) source(stamp *Stamp) {
	stamp.Source.Engine = event.Engine(s.text())
	stamp.Source.ID = s.text()
	s.long() // ts_ms
	s.bytes()
	s.bytes()
	s.bytes()
	stamp.Txn.ServerID = uint32(s.long())
	stamp.Txn.File = s.text()
	s.long() // pos, part of the position
	stamp.Source.Org = s.text()
	stamp.Source.Agent = s.text()
	pos, err := event.ParsePosition(string(s.bytes()))
	if err != nil {
		s.fail("position")
	}
	stamp.Txn.Position = pos
	stamp.Policy = s.text()
	stamp.Txn.Committed = time.UnixMicro(s.long()).UTC()
	stamp.Txn.Captured = time.UnixMicro(s.long()).UTC()
	stamp.Txn.Precision = event.Precision(s.long())
}
