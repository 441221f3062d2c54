package postgres

import (
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/capture/postgres/pgoutput"
	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// rowPlan makes rows of what the server sends. It doesn't change, so that several goroutines
// may use it.
type rowPlan struct {
	table   *schema.Table
	columns []answered
	formats []int16 // of the columns, as the server wants to know them
}

// answered is how a column is read.
type answered struct {
	form form
	kind schema.Kind
}

func planRows(t *schema.Table) *rowPlan {
	p := &rowPlan{table: t}
	for i := range t.Columns {
		c := answered{kind: t.Columns[i].Type.Kind}
		if c.form = formOf(c.kind); c.form.binary() {
			p.formats = append(p.formats, pgx.BinaryFormatCode)
		} else {
			p.formats = append(p.formats, pgx.TextFormatCode)
		}
		p.columns = append(p.columns, c)
	}
	return p
}

// row decodes the body of a DataRow (PostgreSQL manual, "Message Formats") into an image in m,
// whose values may point into it. Values that their type can't hold are NULL with an anomaly.
func (p *rowPlan) row(b []byte, m *snapshot.Memory) (image []event.Value, anomalies []event.Anomaly, err error) {
	t := p.table
	if len(b) < 2 || int(binary.BigEndian.Uint16(b)) != len(p.columns) {
		return nil, nil, fmt.Errorf("row of table %s that begins with %x, want %d columns: %w", t.ID(), b[:min(len(b), 2)], len(p.columns), pgoutput.ErrMalformed)
	}
	image = m.Image(len(p.columns))
	at := 2 // b isn't cut: the next value would have to wait for that
	for i := range p.columns {
		if at+4 > len(b) {
			return nil, nil, p.short(i)
		}
		size := int(int32(binary.BigEndian.Uint32(b[at:])))
		at += 4
		if size == -1 {
			image[i] = event.NullValue
			continue
		}
		end := at + size
		if size < 0 || end > len(b) {
			return nil, nil, p.short(i)
		}
		value := b[at:end:end]
		at = end
		switch p.columns[i].form {
		case copied:
			image[i] = event.Raw(value)
			continue
		case asInteger:
			if n, ok := integer(value); ok {
				image[i] = event.Signed(n)
				continue
			}
		case asBool:
			if size == 1 && (value[0] == 't' || value[0] == 'f') {
				image[i] = event.Number(uint64(bit(value[0] == 't')))
				continue
			}
		case asDate:
			if size == 4 {
				image[i] = event.Signed(dateBinary(int32(binary.BigEndian.Uint32(value))))
				continue
			}
		case asInstant:
			if size == 8 {
				us, ok := instantBinary(int64(binary.BigEndian.Uint64(value)))
				if image[i] = event.Signed(us); !ok {
					image[i], anomalies = event.NullValue, append(anomalies, event.Anomaly{Column: i, Raw: binaryText(p.columns[i].kind, value)})
				}
				continue
			}
		}
		if err := p.value(i, value, m, &image[i]); err != nil {
			return nil, nil, fmt.Errorf("column %q of table %s: %w", t.Columns[i].Name, t.ID(), err)
		}
	}
	if at != len(b) {
		return nil, nil, fmt.Errorf("%d bytes behind a row of table %s: %w", len(b)-at, t.ID(), pgoutput.ErrMalformed)
	}
	return image, anomalies, nil
}

// value reads what isn't its own text, and what can't be read.
func (p *rowPlan) value(i int, b []byte, m *snapshot.Memory, v *event.Value) (err error) {
	if p.columns[i].form.binary() {
		return parseBinary(p.columns[i].kind, b, v)
	}
	*v, err = parse(&p.table.Columns[i].Type, b, &m.Arena)
	return err
}

func (p *rowPlan) short(i int) error {
	return fmt.Errorf("row of table %s ends within column %q: %w", p.table.ID(), p.table.Columns[i].Name, pgoutput.ErrMalformed)
}
