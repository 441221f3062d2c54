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
		p.types = append(p.types, typ)
	}
	return p, nil
}

// Select gives the expression that makes the server print column i as Decode wants it.
// name is quoted.
func (p *TextPlan) Select(i int, name string) string {
	if p.types[i].Kind == schema.Float32 { // printed with six digits only, but exact as a double
		return name + " + 0e0"
	}
	return name
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
		out, ok := ToUTF8(c.Charset, b)
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
	bad := fmt.Errorf("date %q: %w", b, ErrMalformed)
	date, clock, timed := bytes.Cut(b, []byte(" "))
	if len(date) != 10 || date[4] != '-' || date[7] != '-' || timed == (typ.Kind == schema.Date) {
		return event.Value{}, "", bad
	}
	var s stamp
	var err error
	for i, at := range [][2]int{{0, 4}, {5, 7}, {8, 10}} {
		n, nerr := strconv.Atoi(string(date[at[0]:at[1]]))
		if nerr != nil {
			return event.Value{}, "", bad
		}
		*[]*int{&s.year, &s.month, &s.day}[i] = n
	}
	if timed {
		var us int64
		if us, err = span(clock); err != nil {
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
	bad := fmt.Errorf("time %q: %w", b, ErrMalformed)
	rest, negative := bytes.CutPrefix(b, []byte("-"))
	whole, fraction, _ := bytes.Cut(rest, []byte("."))
	parts := bytes.Split(whole, []byte(":"))
	if len(parts) != 3 || len(fraction) > 6 {
		return 0, bad
	}
	var us int64
	for _, part := range parts {
		n, err := strconv.ParseUint(string(part), 10, 16)
		if err != nil {
			return 0, bad
		}
		us = us*60 + int64(n)
	}
	us *= 1_000_000
	if len(fraction) > 0 {
		n, err := strconv.ParseUint(string(fraction), 10, 32)
		if err != nil {
			return 0, bad
		}
		for range 6 - len(fraction) {
			n *= 10
		}
		us += int64(n)
	}
	if negative {
		us = -us
	}
	return us, nil
}
