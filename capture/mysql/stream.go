package mysql

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
)

// transaction is what is under way.
type transaction struct {
	event.Txn
	gtid    gtid
	open    bool // begun, by a GTID or a BEGIN
	begun   bool // BEGIN was seen, or rows
	skip    bool // the log has it already
	rows    int
	skipped int
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
func (r *Reader) event(e *logEvent) error {
	switch e.EventType {
	case replication.ROTATE_EVENT:
		return r.rotate(e.body)
	case replication.FORMAT_DESCRIPTION_EVENT:
		return r.format(e)
	}
	if heartbeat(e.EventType) {
		return r.idleNow()
	}
	if e.Flags&replication.LOG_EVENT_ARTIFICIAL_F != 0 {
		return r.idleNow()
	}
	if e.LogPos == 0 && r.mariadb && !r.annotate {
		return errUncounted
	}
	return r.body(e, r.advance(&e.EventHeader))
}

// rotate takes the name of the file that goes on.
func (r *Reader) rotate(b []byte) error {
	r.maps = map[uint64]*relation{}
	if len(b) < 8 {
		return fmt.Errorf("name of the next file in %d bytes: %w", len(b), errMalformed)
	}
	name := string(b[8:])
	base, n, err := parseFile(name)
	if err != nil {
		return err
	}
	if base != r.state.Base {
		return fmt.Errorf("the log goes on in %s, was %s: %w", name, r.fileName(r.at.File), errMalformed)
	}
	if n == r.at.File {
		return nil
	}
	r.at = event.Place{File: n, Offset: binary.LittleEndian.Uint64(b)}
	return r.tear()
}

// format takes the description of a file's events.
func (r *Reader) format(e *logEvent) error {
	r.maps = map[uint64]*relation{} // table ids begin anew after a restart of the server
	if err := r.describeFormat(e); err != nil {
		return err
	}
	if r.state.Created[r.at.File] == 0 { // which alone may tell a server that was set back, and wrote the same again
		r.state.Created, r.owed = map[uint32]uint32{r.at.File: e.Timestamp}, true
	}
	if r.at.Offset == 4 {
		r.at.Offset += uint64(e.EventSize)
	}
	return nil
}

// describeFormat learns how the events that follow are written.
func (r *Reader) describeFormat(e *logEvent) error {
	own := *e
	own.raw = bytes.Clone(e.raw) // the parser keeps it
	ev, err := r.decode(&own)
	if err != nil {
		return err
	}
	f, ok := ev.(*replication.FormatDescriptionEvent)
	if !ok {
		return fmt.Errorf("description of the file: %w", errMalformed)
	}
	r.checksums = f.ChecksumAlgorithm == replication.BINLOG_CHECKSUM_ALG_CRC32
	r.idSize = 6
	if i := int(replication.TABLE_MAP_EVENT) - 1; i < len(f.EventTypeHeaderLengths) && f.EventTypeHeaderLengths[i] == 6 {
		r.idSize = 4
	}
	return nil
}

// body takes an event that stands in the log, or in a compressed transaction.
func (r *Reader) body(e *logEvent, start event.Place) error {
	switch e.EventType {
	case replication.GTID_EVENT, replication.ANONYMOUS_GTID_EVENT, replication.GTID_TAGGED_LOG_EVENT:
		return r.begin(e, start)
	case replication.MARIADB_GTID_EVENT:
		if err := r.begin(e, start); err != nil {
			return err
		}
		r.txn.begun = e.body[12]&replication.BINLOG_MARIADB_FL_STANDALONE == 0
		return nil
	case replication.QUERY_EVENT, replication.MARIADB_QUERY_COMPRESSED_EVENT:
		return r.statement(e, start)
	case replication.XID_EVENT:
		return r.commit()
	case replication.TABLE_MAP_EVENT:
		return r.tableMap(e)
	case replication.WRITE_ROWS_EVENTv0, replication.WRITE_ROWS_EVENTv1, replication.WRITE_ROWS_EVENTv2,
		replication.UPDATE_ROWS_EVENTv0, replication.UPDATE_ROWS_EVENTv1, replication.UPDATE_ROWS_EVENTv2,
		replication.DELETE_ROWS_EVENTv0, replication.DELETE_ROWS_EVENTv1, replication.DELETE_ROWS_EVENTv2,
		replication.MARIADB_WRITE_ROWS_COMPRESSED_EVENT_V1, replication.MARIADB_UPDATE_ROWS_COMPRESSED_EVENT_V1,
		replication.MARIADB_DELETE_ROWS_COMPRESSED_EVENT_V1, replication.PARTIAL_UPDATE_ROWS_EVENT:
		return r.rows(e.EventType, e.body)
	case replication.TRANSACTION_PAYLOAD_EVENT:
		return r.payload(e, start)
	}
	return r.other(e, start)
}

// payload takes the events of a compressed transaction. They have no checksums.
func (r *Reader) payload(e *logEvent, start event.Place) error {
	ev, err := r.decode(e)
	if err != nil {
		return err
	}
	p, ok := ev.(*replication.TransactionPayloadEvent)
	if !ok {
		return fmt.Errorf("compressed transaction: %w", errMalformed)
	}
	for _, inner := range p.Events {
		own, err := headed(inner.RawData)
		if err != nil {
			return err
		}
		own.known = inner.Event
		if err := r.body(&own, start); err != nil {
			return err
		}
	}
	return nil
}

// other takes the events that change no row.
func (r *Reader) other(h *logEvent, start event.Place) error {
	switch h.EventType {
	case replication.STOP_EVENT, replication.INTVAR_EVENT, replication.RAND_EVENT, replication.USER_VAR_EVENT, replication.IGNORABLE_EVENT,
		replication.ROWS_QUERY_EVENT, replication.PREVIOUS_GTIDS_EVENT, replication.TRANSACTION_CONTEXT_EVENT, replication.VIEW_CHANGE_EVENT,
		replication.MARIADB_ANNOTATE_ROWS_EVENT, replication.MARIADB_BINLOG_CHECKPOINT_EVENT, replication.MARIADB_GTID_LIST_EVENT,
		replication.MARIADB_START_ENCRYPTION_EVENT:
		return nil
	case replication.INCIDENT_EVENT:
		return &capture.GapError{Code: "INCIDENT", From: r.last, To: start, Reason: "the server wrote an incident event: its log may lack changes"}
	case replication.XA_PREPARE_LOG_EVENT:
		return r.prepared(start)
	}
	if h.Flags&replication.LOG_EVENT_IGNORABLE_F != 0 {
		return nil
	}
	return fmt.Errorf("event of type %d: %w", h.EventType, capture.ErrUnsupported)
}

// prepared stops at an event of an XA transaction. Rows of one stand at its PREPARE, before
// other commits, and whether they count is told later: from here on the log alone doesn't
// say what the tables hold. A reading that begins behind the PREPARE meets the end of the
// XA transaction, and stops there as well.
func (r *Reader) prepared(start event.Place) error {
	return &capture.GapError{Code: "MYSQL_XA", From: r.last, To: start, Reason: "an XA transaction was prepared or ended; its rows stand before other commits"}
}

// begin opens a transaction at its first event.
func (r *Reader) begin(e *logEvent, start event.Place) error {
	if r.txn.open {
		return fmt.Errorf("a transaction begins within another: %w", errMalformed)
	}
	id, micros, err := r.gtidOf(e)
	if err != nil {
		return err
	}
	r.txn = transaction{open: true, gtid: id, Txn: event.Txn{Position: event.Position{Epoch: r.state.Epoch, Place: start}, ID: id.String(), Captured: time.Now(),
		ServerID: e.ServerID, File: r.fileName(start.File), Precision: event.Seconds, Committed: time.Unix(int64(e.Timestamp), 0).UTC()}}
	if micros != 0 {
		r.txn.Precision, r.txn.Committed = event.Microseconds, time.UnixMicro(int64(micros)).UTC()
	}
	r.txn.skip = r.txn.Position.Compare(r.last) <= 0 || r.txn.Position == r.torn
	r.seg = r.queue.Begin(r.txn.Txn, true)
	return nil
}

// tear drops a transaction that doesn't end in its file: the server died while
// it wrote, and never committed. Where parts were handed out already the caller
// must void them, so reading begins anew and passes the transaction by.
func (r *Reader) tear() error {
	if !r.txn.open {
		return nil
	}
	t, whole := r.txn, r.seg.First
	r.queue.Drop(r.seg)
	r.txn, r.seg = transaction{}, nil
	if whole || t.skip {
		return nil
	}
	r.torn = t.Position
	return fmt.Errorf("the server died while it wrote the transaction at %s: %w", t.Position, capture.ErrConnection)
}

// commit ends the transaction under way and hands out its last part.
func (r *Reader) commit() error {
	if !r.txn.open {
		return fmt.Errorf("commit without begin: %w", errMalformed)
	}
	t, b := r.txn, r.seg
	r.txn, r.seg = transaction{}, nil
	r.addGTID(&t.gtid)
	r.state.Joining = false // the place behind it is one of this server's log
	if t.skip || t.rows == 0 && t.skipped == 0 {
		r.queue.Drop(b)
		if t.skip {
			return nil
		}
		return r.idleNow()
	}
	b.Last, b.Skipped, b.Restart = true, t.skipped, r.at
	r.last, r.state.LastID = t.Position, t.ID
	if r.owed || t.Captured.Sub(r.stateAt) > time.Second {
		state, err := r.encodeState()
		if err != nil {
			return err
		}
		b.State, b.Durable, r.owed = state, r.owed, false
	}
	r.queue.Push(b)
	return nil
}

func (r *Reader) encodeState() ([]byte, error) {
	r.state.GTIDs, r.state.At, r.state.Added = "", r.at, r.additions.List()
	if r.gtids != nil {
		r.state.GTIDs = r.gtids.String()
	}
	maps.DeleteFunc(r.state.Filled, func(_ string, until event.Place) bool { return until.Compare(r.at) <= 0 })
	var err error
	if r.state.Defined, err = r.defs.pack(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(r.state)
	if err != nil {
		return nil, fmt.Errorf("write the reader's state: %w", err)
	}
	r.stateAt = time.Now()
	return b, nil
}

// idleNow hands out an idle segment, at the reader's pace at most and between transactions only.
func (r *Reader) idleNow() error {
	every := time.Second
	if ms := r.pace.Load(); ms > 0 {
		every = time.Duration(ms) * time.Millisecond
	}
	if r.txn.open || !r.queue.Empty() || time.Since(r.idleAt) < every {
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
	at := r.at
	if at.Compare(r.reached) < 0 { // what was read before may still be invisible to a view
		at = r.reached
	}
	r.queue.PushSegment(event.Segment{Kind: event.Idle, Restart: at, State: state})
	return nil
}
