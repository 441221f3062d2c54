package postgres

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/capture/postgres/pgoutput"
	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// rowReader makes rows of what the server sends.
type rowReader struct {
	r       *snapshot.Request
	m       *snapshot.Memory
	columns []answered
	formats []int16 // of the columns, as the server wants to know them
}

// answered is how a column is read.
type answered struct {
	form form
	kind schema.Kind
}

func newRowReader(r *snapshot.Request) *rowReader {
	rd := &rowReader{r: r, m: r.Fresh()}
	for i := range r.Table.Columns {
		c := answered{kind: r.Table.Columns[i].Type.Kind}
		if c.form = formOf(c.kind); c.form == asBinary {
			rd.formats = append(rd.formats, pgx.BinaryFormatCode)
		} else {
			rd.formats = append(rd.formats, pgx.TextFormatCode)
		}
		rd.columns = append(rd.columns, c)
	}
	return rd
}

// size is what a row takes.
func (rd *rowReader) size(values [][]byte) (n int) {
	for _, v := range values {
		n += len(v) + snapshot.SlotBytes
	}
	return n
}

// row appends a row to the chunk. Values that their type can't hold are NULL with an
// anomaly.
func (rd *rowReader) row(values [][]byte, c *snapshot.Chunk) error {
	t := rd.r.Table
	if len(values) != len(rd.columns) {
		return fmt.Errorf("row of table %s with %d columns, want %d: %w", t.ID(), len(values), len(rd.columns), pgoutput.ErrMalformed)
	}
	size := rd.size(values)
	rd.m.Expect(size)
	after := rd.m.Image(len(values))
	var anomalies []event.Anomaly
	for i, b := range values {
		v, column := &after[i], &rd.columns[i]
		if b == nil {
			*v = event.NullValue
			continue
		}
		if column.form == copied {
			*v = event.Raw(rd.m.Arena.Copy(b))
			continue
		}
		var err error
		if column.form == asBinary {
			if err = parseBinary(column.kind, b, v); err == nil && v.B != nil {
				v.B = rd.m.Arena.Copy(b)
			}
		} else {
			*v, err = parse(&t.Columns[i].Type, b, &rd.m.Arena)
		}
		if errors.Is(err, errBeyond) && column.form == asBinary {
			*v, err = event.NullValue, nil
			anomalies = append(anomalies, event.Anomaly{Column: i, Raw: binaryText(column.kind, b)})
		}
		if err != nil {
			return fmt.Errorf("column %q of table %s: %w", t.Columns[i].Name, t.ID(), err)
		}
	}
	c.Rows = append(c.Rows, event.Row{Op: event.Read, Table: t, After: after, Anomalies: anomalies})
	c.Bytes += size
	return nil
}
