package mysql

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tributary-cdc/tributary/capture/mysql/rowimage"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// complete prepares a table for images that lack columns, or stops it: with
// binlog_row_image = MINIMAL an insert leaves out what it doesn't name; MariaDB leaves out
// virtual columns even where they change, with NOBLOB too if the table has a blob.
func (r *Reader) complete(rel *relation, im *image) error {
	present := im.first
	if im.op == event.Update {
		present = im.second
	}
	partial := !whole(present, len(rel.table.Columns))
	if im.op == event.Delete && !rel.table.Append || !partial && !r.doubtful || im.op == event.Update && !r.mariadb {
		return nil
	}
	if rel.filled == nil && (partial || !rel.defined) {
		if err := r.defaults(rel); err != nil || rel.stop != nil {
			return err
		}
	}
	for _, i := range rel.virtual {
		if present[i/8]>>(i%8)&1 == 0 {
			r.stop(rel, "IMAGE_INCOMPLETE", fmt.Sprintf("rows lack the virtual column %q: SET GLOBAL binlog_row_image = 'FULL'", rel.table.Columns[i].Name))
			return nil
		}
	}
	return nil
}

// doubt stops a table whose row has NULL in a virtual column, on servers that write it
// there whatever the value is.
func (r *Reader) doubt(rel *relation, row *event.Row) bool {
	null := func(image []event.Value, i int) bool { return image != nil && image[i].State == event.Null }
	for _, i := range rel.virtual {
		if r.doubtful && (null(row.After, i) || rel.table.Append && null(row.Before, i)) {
			r.stop(rel, "IMAGE_INCOMPLETE", fmt.Sprintf("NULL in the virtual column %q, as this release of the server writes it for any value: make the column STORED", rel.table.Columns[i].Name))
			return true
		}
	}
	return false
}

// defaults asks the catalogue what columns become that an image leaves out, and which ones
// MariaDB computes when they are read. It may stop the table. The catalogue may be newer
// than the row: until reading has come to where the log ended then, a statement that alters
// the table has it read again (see altered).
func (r *Reader) defaults(rel *relation) error {
	rows, err := r.query("read the defaults of "+rel.name, `SELECT COLUMN_NAME, COALESCE(COLUMN_DEFAULT, ''), COLUMN_DEFAULT IS NULL, IS_NULLABLE, EXTRA
		FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION`, rel.table.Database, rel.table.Name)
	if err != nil {
		return err
	}
	if !slices.EqualFunc(rows, rel.table.Columns, func(row []string, c schema.Column) bool { return row[0] == c.Name }) {
		r.stop(rel, "TABLE_CHANGED", fmt.Sprintf("rows lack columns, and the catalogue has other ones than the log: %v", names(rel.table)))
		return nil
	}
	text, err := rowimage.CompileText(rel.table, rel.cols)
	if err != nil {
		return err
	}
	rel.virtual = nil
	rel.filled, rel.raw = make([]event.Value, len(rows)), make([]string, len(rows))
	for i, row := range rows {
		extra := strings.ToLower(row[4])
		if r.mariadb && strings.Contains(extra, "virtual") {
			rel.virtual = append(rel.virtual, i)
		}
		d := rowimage.Default{Text: row[1], None: row[2] == "1", Literal: r.mariadb, Nullable: row[3] == "YES",
			Computed: strings.Contains(extra, "generated") || strings.Contains(extra, "auto_increment")}
		if v, anomaly, ok := text.Default(i, d, &event.Arena{}); ok {
			rel.filled[i], rel.raw[i] = v, anomaly
		}
	}
	until, _, err := r.end()
	if err != nil {
		return err
	}
	if r.state.Filled == nil {
		r.state.Filled = map[string]event.Place{}
	}
	r.state.Filled[rel.name], r.owed = until, true
	return nil
}

// whole reports whether a bitmap has all of n columns.
func whole(present []byte, n int) bool {
	if len(present) < (n+7)/8 {
		return false
	}
	for i := range n {
		if present[i/8]>>(i%8)&1 == 0 {
			return false
		}
	}
	return true
}

// fill gives an inserted row the defaults of the columns that it lacks. It reports the
// column whose default isn't known.
func (rel *relation) fill(row *event.Row) (unknown string) {
	for i := range row.After {
		if row.After[i].State != event.Absent {
			continue
		}
		if rel.filled == nil || rel.filled[i].State == event.Absent {
			return rel.table.Columns[i].Name
		}
		if row.After[i] = rel.filled[i]; rel.raw[i] != "" {
			row.Anomalies = append(row.Anomalies, event.Anomaly{Column: i, Raw: rel.raw[i]})
		}
	}
	return ""
}
