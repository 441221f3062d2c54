package rowimage

import (
	"bytes"
	"fmt"
	"math"
	"strconv"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// TextPlan decodes rows of one table version as the server prints them, into the same
// slots that Plan makes of row images. The session must have character_set_results
// NULL, so that text keeps the column's character set, and time_zone '+00:00'.
type TextPlan struct {
	table   *schema.Table
	columns []Column
	types   []schema.Type
	sets    []charset // of the columns, to look each up once
}

// CompileText makes a plan for a table whose columns stand in the log as cols.
func CompileText(t *schema.Table, cols []Column) (*TextPlan, error) {
	p := &TextPlan{table: t, columns: cols}
	if len(cols) != len(t.Columns) {
		return nil, fmt.Errorf("table %s has %d columns, the log %d: %w", t.ID(), len(t.Columns), len(cols), ErrMalformed)
	}
	for i, c := range cols {
		typ, err := TypeOf(c)
		if err != nil {
			return nil, fmt.Errorf("column %q of table %s: %w", t.Columns[i].Name, t.ID(), err)
		}
		p.types, p.sets = append(p.types, typ), append(p.sets, charsets[c.Charset])
	}
	return p, nil
}

// Value decodes what the server printed for column i. Values that their kind can't hold
// are NULL with an anomaly. The bytes are copied into the arena.
func (p *TextPlan) Value(i int, text []byte, a *event.Arena) (v event.Value, anomaly string, err error) {
	v, anomaly, err = p.value(i, text, a)
	if err != nil {
		err = fmt.Errorf("column %q of table %s: %w", p.table.Columns[i].Name, p.table.ID(), err)
	}
	return v, anomaly, err
}

func (p *TextPlan) value(i int, b []byte, a *event.Arena) (event.Value, string, error) {
	c, typ := &p.columns[i], &p.types[i]
	switch typ.Kind {
	case schema.Int8, schema.Int16, schema.Int32, schema.Int64:
		n, err := strconv.ParseInt(string(b), 10, 64)
		return event.Signed(n), "", err
	case schema.Uint8, schema.Uint16, schema.Uint32, schema.Uint64, schema.Year:
		n, err := strconv.ParseUint(string(b), 10, 64)
		return event.Number(n), "", err
	case schema.Float32:
		f, err := strconv.ParseFloat(string(b), 64)
		return event.Number(uint64(math.Float32bits(float32(f)))), "", err
	case schema.Float64:
		f, err := strconv.ParseFloat(string(b), 64)
		return event.Number(math.Float64bits(f)), "", err
	case schema.Decimal:
		return event.Raw(a.Copy(canonicalDecimal(b))), "", nil
	case schema.Bit:
		n, out := bigEndian(b), a.Take(typ.Length)
		for i := range out {
			out[i] = '0' + byte(n>>(len(out)-1-i)&1)
		}
		return event.Raw(out), "", nil
	case schema.Date, schema.DateTime, schema.Timestamp:
		return p.stamp(b, typ)
	case schema.Time:
		n, err := span(b)
		return event.Signed(n), "", err
	case schema.String, schema.Enum, schema.Set:
		out, ok := b, true
		if c.Charset != "binary" {
			out, ok = p.sets[i].text(b)
		}
		if !ok {
			return event.NullValue, fmt.Sprintf("%s \\x%x", c.Charset, b), nil
		}
		return event.Raw(a.Copy(out)), "", nil
	case schema.Text:
		out, err := addressText(b, a)
		return event.Raw(out), "", err
	case schema.Array:
		v, err := vector(b, &state{arena: a})
		return v, "", err
	}
	return event.Raw(a.Copy(b)), "", nil
}

// canonicalDecimal drops the zeros of ZEROFILL.
func canonicalDecimal(b []byte) []byte {
	for len(b) > 1 && b[0] == '0' && b[1] != '.' {
		b = b[1:]
	}
	return b
}

// stamp reads YYYY-MM-DD, with hh:mm:ss and a fraction where the type has them.
func (p *TextPlan) stamp(b []byte, typ *schema.Type) (event.Value, string, error) {
	timed := len(b) > 11 && b[10] == ' '
	if timed == (typ.Kind == schema.Date) || !timed && len(b) != 10 || b[4] != '-' || b[7] != '-' {
		return event.Value{}, "", fmt.Errorf("date %q: %w", b, ErrMalformed)
	}
	var s stamp
	var ok [3]bool
	s.year, ok[0] = number(b[:4])
	s.month, ok[1] = number(b[5:7])
	s.day, ok[2] = number(b[8:10])
	if ok != [3]bool{true, true, true} {
		return event.Value{}, "", fmt.Errorf("date %q: %w", b, ErrMalformed)
	}
	if timed {
		us, err := span(b[11:])
		if err != nil {
			return event.Value{}, "", err
		}
		s.hour, s.minute, s.second, s.micro = int(us/3_600_000_000), int(us/60_000_000%60), int(us/1_000_000%60), us%1_000_000
	}
	var d state
	v := civil(&d, s, typ.Kind == schema.Date, typ.Precision)
	return v, d.anomaly, nil
}

// span reads [-]hh:mm:ss[.ffffff], with hours up to 838.
func span(b []byte) (int64, error) {
	rest, negative := bytes.CutPrefix(b, []byte("-"))
	hours := bytes.IndexByte(rest, ':')
	if hours < 1 || hours > 3 || len(rest) < hours+6 || rest[hours+3] != ':' {
		return 0, fmt.Errorf("time %q: %w", b, ErrMalformed)
	}
	var ok [4]bool
	var hour, minute, second, micro int
	hour, ok[0] = number(rest[:hours])
	minute, ok[1] = number(rest[hours+1 : hours+3])
	second, ok[2] = number(rest[hours+4 : hours+6])
	ok[3] = true
	if fraction := rest[hours+6:]; len(fraction) > 0 {
		micro, ok[3] = number(fraction[1:])
		ok[3] = ok[3] && fraction[0] == '.' && len(fraction) <= 7
		for n := len(fraction); n < 7; n++ {
			micro *= 10
		}
	}
	if ok != [4]bool{true, true, true, true} {
		return 0, fmt.Errorf("time %q: %w", b, ErrMalformed)
	}
	us := (int64(hour)*3600+int64(minute)*60+int64(second))*1_000_000 + int64(micro)
	if negative {
		us = -us
	}
	return us, nil
}

// number reads up to nine digits, and nothing else.
func number(b []byte) (n int, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, len(b) > 0 && len(b) < 10
}
