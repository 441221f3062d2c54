package mysql

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
	"github.com/google/uuid"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
)

// transaction is what is under way.
type transaction struct {
	event.Txn
	open    bool // begun, by a GTID or a BEGIN
	begun   bool // BEGIN was seen, or rows
	skip    bool // the log has it already
	rows    int
	skipped int
}

// gtidOf names the transaction that an event begins; empty without GTIDs.
func gtidOf(e *replication.BinlogEvent) (string, error) {
	mysqlID := func(g *replication.GTIDEvent) (string, error) {
		if g.GNO == 0 { // anonymous
			return "", nil
		}
		u, err := uuid.FromBytes(g.SID)
		if err != nil {
			return "", fmt.Errorf("GTID %x: %w", g.SID, errMalformed)
		}
		if tag := g.Tag.String(); tag != "" {
			return fmt.Sprintf("%s:%s:%d", u, tag, g.GNO), nil
		}
		return fmt.Sprintf("%s:%d", u, g.GNO), nil
	}
	switch g := e.Event.(type) {
	case *replication.GTIDEvent:
		return mysqlID(g)
	case *replication.GtidTaggedLogEvent:
		return mysqlID(&g.GTIDEvent)
	case *replication.MariadbGTIDEvent:
		return g.GTID.String(), nil
	}
	return "", nil
}

// advance moves the place over an event and returns where the event began. The
// header's position has 32 bits only; it can't fall behind by a whole turn.
func (r *Reader) advance(h *replication.EventHeader) event.Place {
	start := r.at
	if h.LogPos == 0 {
		r.at.Offset += uint64(h.EventSize)
		return start
	}
	end := r.at.Offset&^(1<<32-1) | uint64(h.LogPos)
	if end < r.at.Offset {
		end += 1 << 32
	}
	r.at.Offset = end
	if size := uint64(h.EventSize); end > size { // events that the server keeps to itself may lie between
		start.Offset = max(start.Offset, end-size)
	}
	return start
}

// event takes one event of the stream.
func (r *Reader) event(e *replication.BinlogEvent) error {
	h := e.Header
	switch ev := e.Event.(type) {
	case *replication.RotateEvent:
		r.maps = map[uint64]*relation{}
		base, n, err := parseFile(string(ev.NextLogName))
		if err != nil {
			return err
		}
		if base != r.state.Base {
			return fmt.Errorf("the log goes on in %s, was %s: %w", ev.NextLogName, r.fileName(r.at.File), errMalformed)
		}
		if n != r.at.File {
			r.at = event.Place{File: n, Offset: ev.Position}
		}
		return nil
	case *replication.FormatDescriptionEvent:
		r.maps = map[uint64]*relation{} // table ids begin anew after a restart of the server
		r.idSize = 6
		if i := int(replication.TABLE_MAP_EVENT) - 1; i < len(ev.EventTypeHeaderLengths) && ev.EventTypeHeaderLengths[i] == 6 {
			r.idSize = 4
		}
		if r.state.Created[r.at.File] == 0 {
			r.state.Created = map[uint32]uint32{r.at.File: h.Timestamp}
		}
		if r.at.Offset == 4 {
			r.at.Offset += uint64(h.EventSize)
		}
		return nil
	case *replication.HeartbeatEvent:
		return r.idleNow()
	}
	if h.EventType == replication.HEARTBEAT_EVENT || h.Flags&replication.LOG_EVENT_ARTIFICIAL_F != 0 {
		return r.idleNow()
	}
	start := r.advance(h)
	return r.body(e, start)
}

// body takes an event that stands in the log, or in a compressed transaction.
func (r *Reader) body(e *replication.BinlogEvent, start event.Place) error {
	h := e.Header
	switch ev := e.Event.(type) {
	case *replication.GTIDEvent:
		return r.begin(e, start, ev.ImmediateCommitTimestamp)
	case *replication.GtidTaggedLogEvent:
		return r.begin(e, start, ev.ImmediateCommitTimestamp)
	case *replication.MariadbGTIDEvent:
		if err := r.begin(e, start, 0); err != nil {
			return err
		}
		r.txn.begun = !ev.IsStandalone()
		return nil
	case *replication.QueryEvent:
		return r.statement(e, ev, start)
	case *replication.XIDEvent:
		return r.commit()
	case *replication.TableMapEvent:
		rel, err := r.announce(ev)
		if err != nil {
			return err
		}
		r.maps[ev.TableID] = rel
		return nil
	case *replication.RowsEvent:
		if h.EventType == replication.PARTIAL_UPDATE_ROWS_EVENT {
			return r.partial(ev)
		}
		return r.rows(h.EventType, ev)
	case *replication.TransactionPayloadEvent:
		for _, inner := range ev.Events {
			if err := r.body(inner, start); err != nil {
				return err
			}
		}
		return nil
	}
	switch h.EventType {
	case replication.STOP_EVENT, replication.INTVAR_EVENT, replication.RAND_EVENT, replication.USER_VAR_EVENT, replication.IGNORABLE_EVENT,
		replication.ROWS_QUERY_EVENT, replication.PREVIOUS_GTIDS_EVENT, replication.TRANSACTION_CONTEXT_EVENT, replication.VIEW_CHANGE_EVENT,
		replication.MARIADB_ANNOTATE_ROWS_EVENT, replication.MARIADB_BINLOG_CHECKPOINT_EVENT, replication.MARIADB_GTID_LIST_EVENT,
		replication.MARIADB_START_ENCRYPTION_EVENT:
		return nil
	case replication.INCIDENT_EVENT:
		return &capture.GapError{Code: "INCIDENT", From: r.last, To: start, Reason: "the server wrote an incident event: its log may lack changes"}
	case replication.XA_PREPARE_LOG_EVENT:
		return xaError()
	}
	if h.Flags&replication.LOG_EVENT_IGNORABLE_F != 0 {
		return nil
	}
	return fmt.Errorf("event of type %d: %w", h.EventType, capture.ErrUnsupported)
}

func xaError() error {
	return &capture.Coded{Code: "MYSQL_XA", Hint: "end the XA transaction at the source (XA RECOVER lists them), then let the source begin anew",
		Err: fmt.Errorf("an XA transaction was prepared; its rows stand before other commits: %w", capture.ErrUnsupported)}
}

// begin opens a transaction at its first event. micros is the exact commit time, or 0.
func (r *Reader) begin(e *replication.BinlogEvent, start event.Place, micros uint64) error {
	if r.txn.open {
		return fmt.Errorf("a transaction begins within another: %w", errMalformed)
	}
	id, err := gtidOf(e)
	if err != nil {
		return err
	}
	r.txn = transaction{open: true, Txn: event.Txn{Position: event.Position{Epoch: r.state.Epoch, Place: start}, ID: id, Captured: time.Now(),
		ServerID: e.Header.ServerID, File: r.fileName(start.File), Precision: event.Seconds, Committed: time.Unix(int64(e.Header.Timestamp), 0).UTC()}}
	if micros != 0 {
		r.txn.Precision, r.txn.Committed = event.Microseconds, time.UnixMicro(int64(micros)).UTC()
	}
	r.txn.skip = r.txn.Position.Compare(r.last) <= 0
	r.seg = r.queue.Begin(r.txn.Txn, true)
	return nil
}

// commit ends the transaction under way and hands out its last part.
func (r *Reader) commit() error {
	if !r.txn.open {
		return fmt.Errorf("commit without begin: %w", errMalformed)
	}
	t, b := r.txn, r.seg
	r.txn, r.seg = transaction{}, nil
	if err := r.addGTID(t.ID); err != nil {
		return err
	}
	if t.skip || t.rows == 0 && t.skipped == 0 {
		r.queue.Drop(b)
		if t.skip {
			return nil
		}
		return r.idleNow()
	}
	b.Last, b.Skipped, b.Restart = true, t.skipped, r.at
	r.last, r.state.LastID = t.Position, t.ID
	if time.Since(r.stateAt) > time.Second {
		state, err := r.encodeState()
		if err != nil {
			return err
		}
		b.State = state
	}
	r.queue.Push(b)
	return nil
}

func (r *Reader) encodeState() ([]byte, error) {
	r.state.GTIDs = ""
	if r.gtids != nil {
		r.state.GTIDs = r.gtids.String()
	}
	b, err := json.Marshal(r.state)
	if err != nil {
		return nil, fmt.Errorf("write the reader's state: %w", err)
	}
	r.stateAt = time.Now()
	return b, nil
}

// idleNow hands out an idle segment, once a second at most and between transactions only.
func (r *Reader) idleNow() error {
	if r.txn.open || !r.queue.Empty() || time.Since(r.idleAt) < time.Second {
		return nil
	}
	return r.idle()
}

func (r *Reader) idle() error {
	state, err := r.encodeState()
	if err != nil {
		return err
	}
	r.idleAt = time.Now()
	r.queue.PushSegment(event.Segment{Kind: event.Idle, Restart: r.at, State: state})
	return nil
}

// statement takes a QUERY event: the ends of transactions, and what people wrote.
func (r *Reader) statement(e *replication.BinlogEvent, q *replication.QueryEvent, start event.Place) error {
	sql := strings.TrimSpace(string(q.Query))
	word := strings.ToUpper(sql[:min(len(sql), 20)])
	switch {
	case word == "BEGIN":
		if !r.txn.open {
			if err := r.begin(e, start, 0); err != nil {
				return err
			}
		}
		r.txn.begun = true
		return nil
	case word == "COMMIT":
		return r.commit()
	case word == "ROLLBACK" || strings.HasPrefix(word, "ROLLBACK TO"):
		if r.txn.rows > 0 {
			return fmt.Errorf("%s after rows of captured tables, which a table without transactions would keep: %w", word, capture.ErrUnsupported)
		}
		if word == "ROLLBACK" {
			return r.commit()
		}
		return nil
	case strings.HasPrefix(word, "SAVEPOINT"), strings.HasPrefix(word, "RELEASE SAVEPOINT"):
		return nil
	case strings.HasPrefix(word, "XA "):
		return xaError()
	}
	alone := !r.txn.begun
	if !r.txn.open {
		if err := r.begin(e, start, 0); err != nil {
			return err
		}
	}
	if !r.txn.skip {
		if err := r.execute(sql, string(q.Schema)); err != nil {
			return err
		}
	}
	if alone { // a statement that commits by itself
		return r.commit()
	}
	return nil
}

// execute follows what a statement does to captured tables.
func (r *Reader) execute(sql, database string) error {
	what, tables := statement(sql, database)
	for _, name := range tables {
		db, table, _ := strings.Cut(name, ".")
		switch what {
		case drops:
			for known := range r.known {
				if strings.HasPrefix(known, name+".") {
					r.halt(known, "TABLE_CHANGED", "its database was dropped")
				}
			}
		case creates:
			if r.known[name] && r.relations[name] != nil && r.relations[name].source != nil {
				r.halt(name, "TABLE_CHANGED", "the table was created anew")
			} else if r.wanted(name) {
				r.known[name] = true
			}
		case changes:
			if r.wanted(name) {
				r.halt(name, "TABLE_CHANGED", fmt.Sprintf("a statement changed it: %.200s", sql))
			}
		case logged:
			if r.known[name] {
				r.halt(name, "STATEMENT_LOGGED", "rows were changed by a statement in the log: binlog_format must be ROW in every session")
				r.txn.skipped++
			}
		case truncates:
			if !r.wanted(name) {
				continue
			}
			rel, err := r.lookup(name, db, table)
			if err != nil {
				return err
			}
			if rel.table == nil {
				r.txn.skipped++
				continue
			}
			r.seg.Rows = append(r.seg.Rows, event.Row{Op: event.Truncate, Table: rel.table})
			r.txn.rows++
		}
	}
	return nil
}

// halt stops a table because of a statement.
func (r *Reader) halt(name, code, reason string) {
	rel := r.relations[name]
	if rel == nil {
		rel = &relation{name: name}
		r.relations[name] = rel
	}
	if rel.stop == nil {
		r.stop(rel, code, reason)
	}
}

func (r *Reader) partial(ev *replication.RowsEvent) error {
	rel, err := r.target(ev)
	if err != nil || rel == nil {
		return err
	}
	if r.wanted(rel.name) && rel.stop == nil {
		r.stop(rel, "PARTIAL_JSON", "the log has JSON differences: SET GLOBAL binlog_row_value_options = ''")
	}
	r.txn.skipped++
	return nil
}

// target finds the table of a rows event; nil if the event only ends a statement.
func (r *Reader) target(ev *replication.RowsEvent) (*relation, error) {
	body, err := bodyOf(ev)
	if err != nil {
		return nil, err
	}
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

func bodyOf(ev *replication.RowsEvent) ([]byte, error) {
	if len(ev.Rows) == 1 && len(ev.Rows[0]) == 1 {
		if body, ok := ev.Rows[0][0].([]byte); ok {
			return body, nil
		}
	}
	return nil, fmt.Errorf("rows without their bytes: %w", errMalformed)
}

// image is what a rows event carries besides the rows.
type image struct {
	op            event.Op
	first, second []byte // which columns the images carry
	data          []byte
}

// parseRows cuts the head off a rows event's body (MySQL internals, "ROWS_EVENT").
func parseRows(typ replication.EventType, body []byte, idSize int) (image, error) {
	var im image
	bad := fmt.Errorf("rows event of %d bytes: %w", len(body), errMalformed)
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
		return im, bad
	}
	b = b[idSize+2:] // table id, flags
	if extra {
		if len(b) < 2 {
			return im, bad
		}
		n := int(binary.LittleEndian.Uint16(b))
		if n < 2 || n > len(b) {
			return im, bad
		}
		b = b[n:]
	}
	columns, n, ok := lengthEncoded(b)
	if !ok || columns > 4096 { // InnoDB and MyISAM hold fewer
		return im, bad
	}
	b = b[n:]
	size := (columns + 7) / 8
	if len(b) < size {
		return im, bad
	}
	im.first, b = b[:size], b[size:]
	if second {
		if len(b) < size {
			return im, bad
		}
		im.second, b = b[:size], b[size:]
	}
	im.data = b
	if packed {
		var err error
		if im.data, err = decompress(b); err != nil {
			return im, err
		}
	}
	return im, nil
}

// maxPacked is the largest event that a server writes (max_allowed_packet).
const maxPacked = 1 << 30

// decompress reads MariaDB's compressed rows: a byte with the algorithm and the
// number of the length's bytes, the length, then a zlib stream (MariaDB Knowledge
// Base, "Compressing Events to Reduce Size of the Binary Log").
func decompress(b []byte) ([]byte, error) {
	bad := fmt.Errorf("compressed rows of %d bytes: %w", len(b), errMalformed)
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
func (r *Reader) rows(typ replication.EventType, ev *replication.RowsEvent) error {
	if !r.txn.open {
		return fmt.Errorf("rows outside a transaction: %w", errMalformed)
	}
	rel, err := r.target(ev)
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
	body, err := bodyOf(ev)
	if err != nil {
		return err
	}
	im, err := parseRows(typ, body, r.idSize)
	if err != nil {
		return err
	}
	for len(im.data) > 0 {
		before := len(im.data)
		if err := r.row(rel, &im); err != nil {
			return err
		}
		if len(im.data) == before { // a row of no bytes would never end
			return fmt.Errorf("row of table %s without bytes: %w", rel.name, errMalformed)
		}
	}
	return nil
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
	if err != nil {
		return err
	}
	if im.op == event.Update { // a minimal image leaves out what didn't change, the key too
		for _, k := range rel.table.Key {
			if row.After[k].State == event.Absent {
				row.After[k] = row.Before[k]
			}
		}
	}
	r.seg.Rows = append(r.seg.Rows, row)
	r.txn.rows++
	r.seg.Size += size - len(im.data) + 16*n
	if r.seg.Size >= capture.SegmentBytes {
		full := r.seg
		r.queue.Push(full)
		r.seg = r.queue.Begin(full.Txn, false)
	}
	return nil
}
