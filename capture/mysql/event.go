package mysql

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"strconv"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
	"github.com/google/uuid"
)

// logEvent is one event of the log. Its bytes are valid until the next one is read.
type logEvent struct {
	replication.EventHeader
	raw  []byte // with header and checksum
	body []byte // without
	// known is what go-mysql made of it, for events out of a compressed transaction.
	known replication.Event
}

// headed reads an event's header.
func headed(raw []byte) (logEvent, error) {
	e := logEvent{raw: raw}
	if err := e.Decode(raw); err != nil {
		return e, fmt.Errorf("%w: %w", errMalformed, err)
	}
	if int(e.EventSize) != len(raw) {
		return e, fmt.Errorf("event of %d bytes says that it has %d: %w", len(raw), e.EventSize, errMalformed)
	}
	e.body = raw[replication.EventHeaderSize:]
	return e, nil
}

// parse reads an event's header and verifies its checksum, if it has one.
func (r *Reader) parse(raw []byte) (logEvent, error) {
	e, err := headed(raw)
	if err != nil || !r.checksums || e.EventType == replication.FORMAT_DESCRIPTION_EVENT { // go-mysql verifies that one
		return e, err
	}
	n := len(e.body) - replication.BinlogChecksumLength
	if n < 0 {
		return e, fmt.Errorf("event of %d bytes without its checksum: %w", len(raw), errMalformed)
	}
	want := binary.LittleEndian.Uint32(e.body[n:])
	if got := crc32.ChecksumIEEE(raw[:len(raw)-replication.BinlogChecksumLength]); got != want {
		return e, fmt.Errorf("checksum %08x, want %08x: %w", got, want, errMalformed)
	}
	e.body = e.body[:n]
	return e, nil
}

// decode has go-mysql read an event. It keeps views into raw, and is for events that are rare.
func (r *Reader) decode(e *logEvent) (ev replication.Event, err error) {
	if e.known != nil {
		return e.known, nil
	}
	defer func() { // its decoders don't look at lengths
		if p := recover(); p != nil {
			ev, err = nil, fmt.Errorf("%v: %w", p, errMalformed)
		}
	}()
	be, err := r.parser.Parse(e.raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	return be.Event, nil
}

// newParser makes go-mysql's parser for a new dump. Rows are left to our own plans.
func (r *Reader) newParser() {
	r.parser, r.checksums = replication.NewBinlogParser(), false
	r.parser.SetFlavor(r.flavor())
	r.parser.SetVerifyChecksum(true)
	r.parser.SetPayloadDecoderConcurrency(1)
	r.parser.SetRowsEventDecodeFunc(func(*replication.RowsEvent, []byte) error { return nil })
}

// gtid is a transaction's name at the source. The zero value is none.
type gtid struct {
	maria gomysql.MariadbGTID
	sid   uuid.UUID
	tag   gomysql.Tag
	gno   int64
}

// String gives the text by which the server knows it; empty without GTIDs.
func (g *gtid) String() string {
	var text [96]byte
	b := text[:0]
	switch {
	case g.maria != gomysql.MariadbGTID{}:
		b = strconv.AppendUint(b, uint64(g.maria.DomainID), 10)
		b = strconv.AppendUint(append(b, '-'), uint64(g.maria.ServerID), 10)
		b = strconv.AppendUint(append(b, '-'), g.maria.SequenceNumber, 10)
	case g.gno != 0:
		at := 0
		for _, n := range [...]int{4, 2, 2, 2, 6} { // the groups of a UUID, in bytes
			if at > 0 {
				b = append(b, '-')
			}
			b = hex.AppendEncode(b, g.sid[at:at+n])
			at += n
		}
		if tag := g.tag.String(); tag != "" {
			b = append(append(b, ':'), tag...)
		}
		b = strconv.AppendInt(append(b, ':'), g.gno, 10)
	}
	return string(b)
}

// gtidOf names the transaction that an event begins, with its exact commit time in
// microseconds where the server has one; none for other events.
func (r *Reader) gtidOf(e *logEvent) (g gtid, micros uint64, err error) {
	b := e.body
	switch e.EventType {
	case replication.MARIADB_GTID_EVENT:
		if len(b) < 13 {
			return g, 0, fmt.Errorf("GTID in %d bytes: %w", len(b), errMalformed)
		}
		g.maria = gomysql.MariadbGTID{SequenceNumber: binary.LittleEndian.Uint64(b), DomainID: binary.LittleEndian.Uint32(b[8:]), ServerID: e.ServerID}
	case replication.GTID_EVENT, replication.ANONYMOUS_GTID_EVENT:
		// Flags, server, number, then from 5.7 on two logical clocks behind their type,
		// and from 8.0.1 on the commit time in 7 bytes, whose highest bit says that another
		// one follows (MySQL source documentation, Gtid_event).
		if len(b) < 25 {
			return g, 0, fmt.Errorf("GTID in %d bytes: %w", len(b), errMalformed)
		}
		copy(g.sid[:], b[1:17])
		g.gno = int64(binary.LittleEndian.Uint64(b[17:]))
		if len(b) >= 49 && b[25] == replication.LogicalTimestampTypeCode {
			micros = gomysql.FixedLengthInt(b[42:49]) &^ (1 << 55)
		}
	case replication.GTID_TAGGED_LOG_EVENT:
		ev, err := r.decode(e)
		if err != nil {
			return g, 0, err
		}
		t, ok := ev.(*replication.GtidTaggedLogEvent)
		if !ok || len(t.SID) != len(g.sid) {
			return g, 0, fmt.Errorf("GTID with a tag: %w", errMalformed)
		}
		copy(g.sid[:], t.SID)
		g.gno, g.tag, micros = t.GNO, t.Tag, t.ImmediateCommitTimestamp
	}
	return g, micros, nil
}

// addGTID notes that a transaction is complete.
func (r *Reader) addGTID(g *gtid) {
	switch set := r.gtids.(type) {
	case *gomysql.MariadbGTIDSet:
		if g.maria == (gomysql.MariadbGTID{}) {
			return
		}
		last := set.Sets[g.maria.DomainID]
		switch {
		case last == nil:
			set.Sets[g.maria.DomainID] = g.maria.Clone()
		case last.SequenceNumber < g.maria.SequenceNumber: // else it is read again after a restart
			*last = g.maria
		}
	case *gomysql.MysqlGTIDSet:
		if g.gno != 0 {
			set.AddGTIDWithTag(g.sid, g.tag, g.gno)
		}
	}
}

// queryOf cuts a QUERY event, plain or MariaDB's compressed one, into the session's
// database and the statement (MySQL internals, "QUERY_EVENT"; MariaDB Knowledge Base,
// "Compressing Events to Reduce Size of the Binary Log").
func (r *Reader) queryOf(e *logEvent) (database, sql []byte, err error) {
	packed := e.EventType == replication.MARIADB_QUERY_COMPRESSED_EVENT
	if !packed && e.EventType != replication.QUERY_EVENT {
		return nil, nil, fmt.Errorf("statement in an event of type %d: %w", e.EventType, errMalformed)
	}
	b := e.body
	if len(b) < 13 {
		return nil, nil, fmt.Errorf("statement in %d bytes: %w", len(b), errMalformed)
	}
	names, status := int(b[8]), int(binary.LittleEndian.Uint16(b[11:]))
	if len(b) < 13+status+names+1 {
		return nil, nil, fmt.Errorf("statement in %d bytes: %w", len(b), errMalformed)
	}
	b = b[13+status:]
	database, sql = b[:names], b[names+1:]
	if packed {
		sql, err = decompress(sql)
	}
	return database, sql, err
}
