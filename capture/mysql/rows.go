package mysql

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/mysql/rowimage"
	"github.com/tributary-cdc/tributary/stream/event"
)

// target finds the table of a rows event; nil if the event only ends a statement.
func (r *Reader) target(body []byte) (*relation, error) {
	if len(body) < r.idSize {
		return nil, fmt.Errorf("rows in %d bytes: %w", len(body), errMalformed)
	}
	id := gomysql.FixedLengthInt(body[:r.idSize])
	if rel := r.maps[id]; rel != nil {
		return rel, nil
	}
	if id == 0xffffff { // a dummy that only ends a statement
		return nil, nil
	}
	return nil, fmt.Errorf("rows of table id %d without a table map: %w", id, errMalformed)
}

// image is what a rows event carries besides the rows.
type image struct {
	op            event.Op
	first, second []byte // which columns the images carry
	data          []byte
	// partial says that an update may have differences in place of JSON documents.
	partial bool
	// kept says that data is the collector's, not the buffer of the connection.
	kept bool
}

// parseRows cuts the head off a rows event's body (MySQL internals, "ROWS_EVENT").
func parseRows(typ replication.EventType, body []byte, idSize int) (image, error) {
	var im image
	second, extra, packed := false, false, false
	switch typ {
	case replication.WRITE_ROWS_EVENTv0, replication.WRITE_ROWS_EVENTv1:
		im.op = event.Create
	case replication.WRITE_ROWS_EVENTv2:
		im.op, extra = event.Create, true
	case replication.MARIADB_WRITE_ROWS_COMPRESSED_EVENT_V1:
		im.op, packed = event.Create, true
	case replication.UPDATE_ROWS_EVENTv0, replication.UPDATE_ROWS_EVENTv1:
		im.op, second = event.Update, true
	case replication.UPDATE_ROWS_EVENTv2:
		im.op, second, extra = event.Update, true, true
	case replication.PARTIAL_UPDATE_ROWS_EVENT:
		im.op, second, extra, im.partial = event.Update, true, true, true
	case replication.MARIADB_UPDATE_ROWS_COMPRESSED_EVENT_V1:
		im.op, second, packed = event.Update, true, true
	case replication.DELETE_ROWS_EVENTv0, replication.DELETE_ROWS_EVENTv1:
		im.op = event.Delete
	case replication.DELETE_ROWS_EVENTv2:
		im.op, extra = event.Delete, true
	case replication.MARIADB_DELETE_ROWS_COMPRESSED_EVENT_V1:
		im.op, packed = event.Delete, true
	default:
		return im, fmt.Errorf("rows event of type %d: %w", typ, capture.ErrUnsupported)
	}
	b := body
	if len(b) < idSize+2 {
		return im, shortRows(body)
	}
	b = b[idSize+2:] // table id, flags
	if extra {
		if len(b) < 2 {
			return im, shortRows(body)
		}
		n := int(binary.LittleEndian.Uint16(b))
		if n < 2 || n > len(b) {
			return im, shortRows(body)
		}
		b = b[n:]
	}
	columns, n, ok := lengthEncoded(b)
	if !ok || columns == 0 || columns > 4096 { // InnoDB and MyISAM hold fewer
		return im, shortRows(body)
	}
	b = b[n:]
	size := (columns + 7) / 8
	if len(b) < size {
		return im, shortRows(body)
	}
	im.first, b = b[:size], b[size:]
	if second {
		if len(b) < size {
			return im, shortRows(body)
		}
		im.second, b = b[:size], b[size:]
	}
	im.data = b
	if packed {
		im.kept = true
		var err error
		if im.data, err = decompress(b); err != nil {
			return im, err
		}
	}
	return im, nil
}

func shortRows(body []byte) error {
	return fmt.Errorf("rows event of %d bytes: %w", len(body), errMalformed)
}

// maxPacked is the largest event that a server writes (max_allowed_packet).
const maxPacked = 1 << 30

// decompress reads the compressed rows or statement of MariaDB: a byte with the algorithm and the
// number of the length's bytes, the length, then a zlib stream (MariaDB Knowledge
// Base, "Compressing Events to Reduce Size of the Binary Log").
func decompress(b []byte) ([]byte, error) {
	bad := fmt.Errorf("compressed data of %d bytes: %w", len(b), errMalformed)
	if len(b) == 0 || b[0]&0x70 != 0 || len(b) < 1+int(b[0]&7) {
		return nil, bad
	}
	var size uint64
	n := int(b[0] & 7)
	for _, c := range b[1 : 1+n] {
		size = size<<8 | uint64(c)
	}
	if size > maxPacked {
		return nil, bad
	}
	z, err := zlib.NewReader(bytes.NewReader(b[1+n:]))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", bad, err)
	}
	out, err := io.ReadAll(io.LimitReader(z, int64(size)+1)) // grows with what is there, not with what is said
	if err != nil || uint64(len(out)) != size {
		return nil, errors.Join(bad, err)
	}
	return out, nil
}

// lengthEncoded reads a length-encoded integer of at most two bytes' value.
func lengthEncoded(b []byte) (v, n int, ok bool) {
	switch {
	case len(b) > 0 && b[0] < 0xfb:
		return int(b[0]), 1, true
	case len(b) > 2 && b[0] == 0xfc:
		return int(binary.LittleEndian.Uint16(b[1:])), 3, true
	}
	return 0, 0, false
}

// rows takes a rows event.
func (r *Reader) rows(typ replication.EventType, body []byte) error {
	if !r.txn.open {
		return fmt.Errorf("rows outside a transaction: %w", errMalformed)
	}
	rel, err := r.target(body)
	if err != nil || rel == nil || r.txn.skip {
		return err
	}
	r.txn.begun = true
	if rel.stop != nil { // how many rows there are can't be told without the table's plan
		r.txn.skipped++
		return nil
	}
	if rel.table == nil {
		return nil
	}
	im, err := parseRows(typ, body, r.idSize)
	if err != nil {
		return err
	}
	if err := r.complete(rel, &im); err != nil {
		return err
	}
	r.keep(&im)
	for len(im.data) > 0 && rel.stop == nil {
		before := len(im.data)
		if err := r.row(rel, &im); err != nil {
			return err
		}
		if len(im.data) == before { // a row of no bytes would never end
			return fmt.Errorf("row of table %s without bytes: %w", rel.name, errMalformed)
		}
	}
	if rel.stop != nil {
		r.txn.skipped++
	}
	return nil
}

// largeImage is the size of rows that aren't worth a second copy, see keep.
const largeImage = 256 << 10

// keep copies the rows out of the connection's buffer, because values point into
// them: to the segment's arena. What is large is the collector's instead, so that
// the rest needn't be copied again each time a segment is full.
func (r *Reader) keep(im *image) {
	if im.kept {
		return
	}
	if len(im.data) > largeImage {
		im.data, im.kept = bytes.Clone(im.data), true
		return
	}
	im.data = r.seg.Arena.Copy(im.data)
}

func (r *Reader) row(rel *relation, im *image) error {
	row := event.Row{Op: im.op, Table: rel.table}
	n, size := len(rel.table.Columns), len(im.data)
	var err error
	read := func(present []byte, before bool) []event.Value {
		if err != nil {
			return nil
		}
		dst := r.seg.Image(n)
		if im.partial && !before {
			im.data, row.Anomalies, err = rel.plan.DecodePartial(im.data, present, row.Before, dst, &r.seg.Arena, row.Anomalies)
			return dst
		}
		im.data, row.Anomalies, err = rel.plan.Decode(im.data, present, dst, &r.seg.Arena, row.Anomalies, before)
		return dst
	}
	if im.op != event.Create {
		row.Before = read(im.first, true)
	}
	switch im.op {
	case event.Create:
		row.After = read(im.first, false)
	case event.Update:
		row.After = read(im.second, false)
	}
	if errors.Is(err, rowimage.ErrDifference) {
		r.stop(rel, "PARTIAL_JSON", err.Error()+": SET GLOBAL binlog_row_image = 'FULL', or binlog_row_value_options = ''")
		return nil
	}
	if err != nil {
		return err
	}
	if im.op != event.Create && !r.identified(rel, &row) {
		return nil
	}
	if im.op == event.Create {
		if name := rel.fill(&row); name != "" {
			r.stop(rel, "IMAGE_INCOMPLETE", fmt.Sprintf("an inserted row lacks column %q, whose default isn't a constant: SET GLOBAL binlog_row_image = 'FULL'", name))
			return nil
		}
	}
	if r.doubt(rel, &row) {
		return nil
	}
	r.seg.Rows = append(r.seg.Rows, row)
	r.txn.rows++
	r.seg.Size += size - len(im.data) + 16*n
	if r.seg.Size >= capture.SegmentBytes {
		full := r.seg
		r.queue.Push(full)
		r.seg = r.queue.Begin(full.Txn, false)
		r.keep(im) // the full one's arena goes with it
	}
	return nil
}
