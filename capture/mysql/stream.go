package mysql

import (
	"encoding/json"
	"fmt"
	"time"

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
		if n == r.at.File {
			return nil
		}
		r.at = event.Place{File: n, Offset: ev.Position}
		return r.tear()
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
