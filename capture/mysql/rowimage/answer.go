package rowimage

import (
	"encoding/binary"
	"fmt"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// AnswerPlan decodes rows of a prepared statement's answer into the same slots that Plan
// makes of row images. Numbers and times are binary there, so neither side prints or
// parses them.
type AnswerPlan struct {
	text    *TextPlan
	columns []answered
}

// answered is how a column's values stand in an answer.
type answered struct {
	form form
	size int // of a number, in bytes
}

// Answer makes a plan for an answer whose columns have these wire types. The error wraps
// ErrMalformed if one of them isn't what the table's column is read as.
func (p *TextPlan) Answer(types []byte) (*AnswerPlan, error) {
	if len(types) != len(p.types) {
		return nil, fmt.Errorf("an answer of %d columns for %d of table %s: %w", len(types), len(p.types), p.table.ID(), ErrMalformed)
	}
	out := &AnswerPlan{text: p, columns: make([]answered, len(types))}
	for i, typ := range types {
		var ok bool
		if out.columns[i], ok = p.answered(i, typ); !ok {
			return nil, fmt.Errorf("column %q of table %s comes as type %d: %w", p.table.Columns[i].Name, p.table.ID(), typ, ErrMalformed)
		}
	}
	return out, nil
}

// numberSizes are those of numbers in an answer (MySQL client/server protocol, "Binary
// Protocol Value").
var numberSizes = map[byte]int{typeTiny: 1, typeShort: 2, typeYear: 2, typeInt24: 4, typeLong: 4, typeLongLong: 8}

// answered tells how values of column i stand in an answer where the server says that they
// have this type. It reports false where that isn't the column's.
func (p *TextPlan) answered(i int, typ byte) (answered, bool) {
	size, integer := numberSizes[typ]
	timed := false
	switch typ {
	case typeDate, typeNewDate, typeDatetime, typeDatetime2, typeTimestamp, typeTimestamp2, typeTime, typeTime2:
		timed = true
	}
	var a answered
	switch kind := p.types[i].Kind; kind {
	case schema.Int8, schema.Int16, schema.Int32, schema.Int64:
		return answered{signed, size}, integer
	case schema.Uint8, schema.Uint16, schema.Uint32, schema.Uint64, schema.Year:
		return answered{unsigned, size}, integer
	case schema.Float32:
		return answered{float32Bits, 4}, typ == typeFloat
	case schema.Float64:
		return answered{float64Bits, 8}, typ == typeDouble
	case schema.Date:
		return answered{form: date}, timed
	case schema.DateTime, schema.Timestamp:
		return answered{form: datetime}, timed
	case schema.Time:
		return answered{form: timeSpan}, timed
	case schema.Decimal:
		a.form = decimalDigits
	case schema.Bytes, schema.JSON, schema.UUID:
		a.form = plainBytes
	case schema.String, schema.Enum, schema.Set:
		switch {
		case p.columns[i].Charset == "binary":
			a.form = plainBytes
		case p.sets[i].enc == nil:
			a.form = plainText
		}
	}
	return a, !integer && !timed && typ != typeFloat && typ != typeDouble
}

// Row decodes a row into out, which has a slot for each column. The slots point into b, and
// where a value had to be made anew into the arena. Values that their kind can't hold are
// NULL with an anomaly. The error wraps ErrMalformed.
func (p *AnswerPlan) Row(b []byte, out []event.Value, a *event.Arena) (anomalies []event.Anomaly, err error) {
	head := 1 + (len(p.columns)+9)/8
	if len(b) < head || b[0] != 0 {
		return nil, fmt.Errorf("row of table %s in %d bytes: %w", p.text.table.ID(), len(b), ErrMalformed)
	}
	nulls, b := b[1:head], b[head:]
	for i := range p.columns {
		if at := i + 2; nulls[at/8]>>(at%8)&1 != 0 { // the first two bits mean nothing
			out[i] = event.NullValue
			continue
		}
		n, ok := p.quick(i, b, &out[i])
		if !ok {
			var anomaly string
			if n, anomaly, err = p.slow(i, b, &out[i], a); err != nil {
				return nil, fmt.Errorf("column %q of table %s: %w", p.text.table.Columns[i].Name, p.text.table.ID(), err)
			}
			if anomaly != "" {
				anomalies = append(anomalies, event.Anomaly{Column: i, Raw: anomaly})
			}
		}
		b = b[n:]
	}
	if len(b) != 0 {
		return nil, fmt.Errorf("%d bytes behind a row of table %s: %w", len(b), p.text.table.ID(), ErrMalformed)
	}
	return anomalies, nil
}

// quick reads what nearly all values are from the front of b, and gives its length.
func (p *AnswerPlan) quick(i int, b []byte, v *event.Value) (n int, ok bool) {
	c := &p.columns[i]
	switch c.form {
	case signed, unsigned:
		n = quickInteger(b, c.size, v, c.form == signed)
		return n, n > 0
	case float32Bits:
		if len(b) >= 4 {
			*v = event.Number(uint64(binary.LittleEndian.Uint32(b)))
			return 4, true
		}
		return 0, false
	case float64Bits:
		if len(b) >= 8 {
			*v = event.Number(binary.LittleEndian.Uint64(b))
			return 8, true
		}
		return 0, false
	}
	if len(b) == 0 || int(b[0]) >= len(b) || b[0] > 250 {
		return 0, false
	}
	n = 1 + int(b[0])
	value := b[1:n:n]
	switch c.form {
	case plainBytes:
		*v = event.Raw(value)
		return n, true
	case plainText:
		*v = event.Raw(value)
		return n, validUTF8(value)
	case decimalDigits:
		*v = event.Raw(canonicalDecimal(value))
		return n, true
	case date, datetime:
		if len(value) != 4 && (c.form == date || len(value) != 7 && len(value) != 11) {
			return 0, false
		}
		days, ok := daysOf(int(binary.LittleEndian.Uint16(value)), int(value[2]), int(value[3]))
		if !ok || c.form == date {
			*v = event.Signed(days)
			return n, ok
		}
		us, ok := clock(value[4:])
		*v = event.Signed(days*86_400_000_000 + us)
		return n, ok
	}
	return 0, false
}

// clock reads hour, minute, second and, if it is there, a fraction, all of one day.
func clock(b []byte) (us int64, ok bool) {
	if len(b) == 0 {
		return 0, true
	}
	if len(b) == 7 {
		us = int64(binary.LittleEndian.Uint32(b[3:]))
	}
	ok = b[0] < 24 && b[1] < 60 && b[2] < 60 && us < 1_000_000
	return (int64(b[0])*3600+int64(b[1])*60+int64(b[2]))*1_000_000 + us, ok
}

// slow reads what quick leaves.
func (p *AnswerPlan) slow(i int, b []byte, v *event.Value, a *event.Arena) (n int, anomaly string, err error) {
	c := &p.columns[i]
	length, head, ok := lengthOf(b)
	if !ok || c.form == signed || c.form == unsigned || c.form == float32Bits || c.form == float64Bits {
		return 0, "", fmt.Errorf("value in %d bytes: %w", len(b), ErrMalformed)
	}
	n = head + length
	value := b[head:n:n]
	switch c.form {
	case plainBytes:
		*v = event.Raw(value)
	case decimalDigits:
		*v = event.Raw(canonicalDecimal(value))
	case date, datetime:
		s, ok := parts(value)
		if !ok {
			return 0, "", fmt.Errorf("date %x: %w", value, ErrMalformed)
		}
		d, typ := state{arena: a}, &p.text.types[i]
		*v = civil(&d, s, c.form == date, typ.Precision)
		anomaly = d.anomaly
	case timeSpan:
		us, ok := spanOf(value)
		if !ok {
			return 0, "", fmt.Errorf("time %x: %w", value, ErrMalformed)
		}
		*v = event.Signed(us)
	case plainText:
		if *v = event.Raw(value); !validUTF8(value) {
			*v, anomaly, err = p.text.value(i, value, a)
		}
	default:
		*v, anomaly, err = p.text.value(i, value, a)
	}
	return n, anomaly, err
}

// parts reads a date, with time where it has one. Zeros at the end aren't sent.
func parts(b []byte) (s stamp, ok bool) {
	switch len(b) {
	case 11:
		s.micro = int64(binary.LittleEndian.Uint32(b[7:]))
		fallthrough
	case 7:
		s.hour, s.minute, s.second = int(b[4]), int(b[5]), int(b[6])
		fallthrough
	case 4:
		s.year, s.month, s.day = int(binary.LittleEndian.Uint16(b)), int(b[2]), int(b[3])
		fallthrough
	case 0:
		return s, true
	}
	return s, false
}

// spanOf reads a time of up to 838 hours, of either sign.
func spanOf(b []byte) (us int64, ok bool) {
	if len(b) == 0 {
		return 0, true
	}
	if len(b) != 8 && len(b) != 12 || b[0] > 1 {
		return 0, false
	}
	days := int64(binary.LittleEndian.Uint32(b[1:]))
	us, ok = clock(b[5:])
	if us += days * 86_400_000_000; b[0] == 1 {
		us = -us
	}
	return us, ok && days < 36
}

// lengthOf reads the length of the value behind it, and tells how many bytes it takes
// itself (MySQL client/server protocol, "Length-Encoded Integer"). It reports false if the
// value isn't whole.
func lengthOf(b []byte) (length, head int, ok bool) {
	if len(b) == 0 {
		return 0, 0, false
	}
	head = 1
	switch b[0] {
	case 252:
		head = 3
	case 253:
		head = 4
	case 254:
		head = 9
	case 251, 255:
		return 0, 0, false
	}
	n := uint64(b[0])
	if len(b) < head {
		return 0, 0, false
	}
	if head > 1 {
		n = littleEndian(b[1:head])
	}
	return int(n), head, n <= uint64(len(b)-head)
}
