package envelope

import (
	"bytes"
	"fmt"
	"time"

	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// Names of the control headers.
const (
	openHeader      = ControlPrefix + "open"
	commitHeader    = ControlPrefix + "commit"
	heartbeatHeader = ControlPrefix + "heartbeat"
	untilHeader     = ControlPrefix + "until"
	gapHeader       = ControlPrefix + "gap"
	truncateHeader  = ControlPrefix + "truncate"
	haltHeader      = ControlPrefix + "halt"
	checkHeader     = ControlPrefix + "check"
	sealHeader      = ControlPrefix + "seal"
)

func add(r *log.Records, source, name string, body []byte) {
	r.Add(nil, nil, log.Header{Key: HeaderSource, Value: []byte(source)}, log.Header{Key: name, Value: body})
}

func putPosition(b []byte, p event.Position) []byte { b, _ = p.AppendBinary(b); return b }

func putPlace(b []byte, p event.Place) []byte {
	return putLong(putLong(b, int64(p.File)), int64(p.Offset))
}

// AddOpen appends an open record.
func AddOpen(r *log.Records, source string, o Open) {
	b := putBytes(nil, o.Agent)
	b = putLong(b, o.At.UnixMicro())
	add(r, source, openHeader, putBytes(b, o.Version))
}

// AddCommit appends a commit record.
func AddCommit(r *log.Records, source string, c *Commit) {
	b := putPosition(make([]byte, 0, 160), c.Txn.Position)
	b = putPosition(b, c.Prev)
	b = putPlace(b, c.Restart)
	b = putLong(b, int64(c.Rows))
	b = putLong(b, int64(c.Skipped))
	b = putBytes(b, c.Txn.ID)
	b = putLong(b, c.Txn.Committed.UnixMicro())
	b = putLong(b, c.Txn.Captured.UnixMicro())
	b = putLong(b, int64(c.Txn.Precision))
	b = putLong(b, int64(c.Txn.ServerID))
	b = putBytes(b, c.Txn.File)
	b = putLong(b, int64(len(c.Loads)))
	for _, l := range c.Loads {
		b = putBytes(putBytes(b, l.Table), l.Dataset)
		b = append(b, byte(l.Phase), bit(l.Sweep)|bit(l.Ordered)<<1)
		b = putRange(putPosition(b, l.Since), l.Range)
	}
	if c.Repair != event.NoRepair {
		b = append(b, byte(c.Repair))
	}
	add(r, source, commitHeader, b)
}

// AddHeartbeat appends a heartbeat record.
func AddHeartbeat(r *log.Records, source string, h Heartbeat) {
	b := putPosition(nil, h.Last)
	b = putPlace(b, h.Restart)
	b = putLong(b, h.At.UnixMicro())
	add(r, source, heartbeatHeader, putBytes(b, h.State))
}

// AddUntil appends an until record.
func AddUntil(r *log.Records, source string, u Until) {
	b := putLong(putPosition(nil, u.Last), u.At.UnixMicro())
	b = putLong(b, int64(len(u.Missing)))
	for _, table := range u.Missing {
		b = putBytes(b, table)
	}
	add(r, source, untilHeader, b)
}

// AddGap appends a gap record.
func AddGap(r *log.Records, source string, g Gap) {
	b := putPosition(nil, g.Last)
	b = putPlace(b, g.To)
	b = putBytes(b, g.Code)
	b = putBytes(b, g.Reason)
	add(r, source, gapHeader, putLong(b, g.At.UnixMicro()))
}

// AddTruncate appends a truncate record.
func AddTruncate(r *log.Records, source string, t TruncateTable) {
	add(r, source, truncateHeader, putLong(putPosition(nil, t.Position), int64(t.SchemaID)))
}

// AddHalt appends a halt record.
func AddHalt(r *log.Records, source string, h Halt) {
	b := putPosition(nil, h.Position)
	b = putBytes(b, h.Stop.Table)
	b = putBytes(b, h.Stop.Code)
	add(r, source, haltHeader, putBytes(b, h.Stop.Reason))
}

func (s *scan) position() event.Position {
	p, err := event.PositionFromBytes(s.fixed(event.PositionSize))
	if err != nil {
		s.fail("position")
	}
	return p
}

func (s *scan) place() event.Place {
	file := s.long()
	return event.Place{File: uint32(file), Offset: uint64(s.long())}
}

func (s *scan) time() time.Time { return time.UnixMicro(s.long()).UTC() }

func (s *scan) texts() (out []string) {
	for range s.count("tables") {
		out = append(out, s.text())
	}
	return out
}

// Classes of records of a .changes topic.
type Class uint8

// The classes.
const (
	Foreign Class = iota // not written by an agent: set aside
	RowRecord
	ControlRecord
)

// Classify tells what a record is, and whose.
func Classify(r *log.Record) (Class, []byte) {
	source, ok := r.Header(HeaderSource)
	if !ok || len(source) == 0 {
		return Foreign, nil
	}
	if r.Key == nil && r.Value == nil {
		for i := range r.Headers {
			if bytes.HasPrefix(r.Headers[i].Key, []byte(ControlPrefix)) {
				return ControlRecord, source
			}
		}
		return Foreign, nil
	}
	if p, ok := r.Header(HeaderPosition); !ok || len(p) != event.PositionSize || len(r.Value) < frame {
		return Foreign, nil
	}
	return RowRecord, source
}

// ParseControl reads a control record. A kind that this version doesn't know
// comes back empty, without an error: readers count and skip it.
func ParseControl(r *log.Record) (c Control, err error) {
	for i := range r.Headers {
		h := &r.Headers[i]
		if !bytes.HasPrefix(h.Key, []byte(ControlPrefix)) {
			continue
		}
		s := scan{b: h.Value}
		known := s.control(string(h.Key), &c)
		if known && s.err == nil && len(s.b) != 0 {
			s.fail("bytes after the body")
		}
		if s.err != nil {
			return Control{}, fmt.Errorf("control record %q: %w", h.Key, s.err)
		}
		return c, nil
	}
	return Control{}, fmt.Errorf("record without a control header: %w", ErrMalformed)
}

func (s *scan) control(name string, c *Control) bool {
	switch name {
	case openHeader:
		c.Open = &Open{Agent: s.text(), At: s.time(), Version: s.text()}
	case commitHeader:
		k := &Commit{}
		k.Txn.Position, k.Prev, k.Restart = s.position(), s.position(), s.place()
		k.Rows, k.Skipped = int(s.long()), int(s.long())
		k.Txn.ID, k.Txn.Committed, k.Txn.Captured = s.text(), s.time(), s.time()
		k.Txn.Precision, k.Txn.ServerID, k.Txn.File = event.Precision(s.long()), uint32(s.long()), s.text()
		k.Loads = s.loads()
		if len(s.b) > 0 {
			if k.Repair = event.RepairPhase(s.fixed(1)[0]); k.Repair == event.NoRepair || k.Repair > event.RepairEnded {
				s.fail("repair")
			}
		}
		c.Commit = k
	case heartbeatHeader:
		c.Heartbeat = &Heartbeat{Last: s.position(), Restart: s.place(), At: s.time(), State: bytes.Clone(s.bytes())}
	case untilHeader:
		c.Until = &Until{Last: s.position(), At: s.time(), Missing: s.texts()}
	case gapHeader:
		c.Gap = &Gap{Last: s.position(), To: s.place(), Code: s.text(), Reason: s.text(), At: s.time()}
	case truncateHeader:
		c.Truncate = &TruncateTable{Position: s.position(), SchemaID: uint32(s.long())}
	case haltHeader:
		c.Halt = &Halt{Position: s.position(), Stop: event.TableStop{Table: s.text(), Code: s.text(), Reason: s.text()}}
	case checkHeader:
		c.Body = s.b
		c.Check = s.check()
	case sealHeader:
		c.Seal, s.b = true, nil // its body isn't fixed yet
	default:
		return false
	}
	return true
}
