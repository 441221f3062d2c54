package mysql

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/tributary-cdc/tributary/capture"
)

// wire writes an event as it stands in the log, without checksum.
func wire(typ replication.EventType, end uint32, body []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 1_790_000_000)
	b = append(b, byte(typ))
	b = binary.LittleEndian.AppendUint32(b, 11) // server
	b = binary.LittleEndian.AppendUint32(b, uint32(replication.EventHeaderSize+len(body)))
	b = binary.LittleEndian.AppendUint32(b, end)
	return append(append(b, 0, 0), body...)
}

func mysqlGTID(gno int64, micros uint64) []byte {
	b := append([]byte{1}, 0x3e, 0x11, 0xfa, 0x47, 0x71, 0xca, 0x11, 0xe1, 0x9e, 0x33, 0xc8, 0x0a, 0xa9, 0x42, 0x95, 0x62)
	b = binary.LittleEndian.AppendUint64(b, uint64(gno))
	b = append(b, replication.LogicalTimestampTypeCode)
	b = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, 4), 5)
	return append(b, binary.LittleEndian.AppendUint64(nil, micros)[:7]...)
}

func TestGTIDs(t *testing.T) {
	maria := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint64(nil, 1234567890123), 7)
	for name, tt := range map[string]struct {
		typ    replication.EventType
		body   []byte
		want   string
		micros uint64
		err    error
	}{
		"MariaDB":            {typ: replication.MARIADB_GTID_EVENT, body: append(maria, 0), want: "7-11-1234567890123"},
		"MariaDB, cut":       {typ: replication.MARIADB_GTID_EVENT, body: maria, err: errMalformed},
		"MySQL 8":            {typ: replication.GTID_EVENT, body: mysqlGTID(23, 1_790_000_000_123_456), want: "3e11fa47-71ca-11e1-9e33-c80aa9429562:23", micros: 1_790_000_000_123_456},
		"MySQL 8, replica":   {typ: replication.GTID_EVENT, body: mysqlGTID(23, 1_790_000_000_123_456|1<<55), want: "3e11fa47-71ca-11e1-9e33-c80aa9429562:23", micros: 1_790_000_000_123_456},
		"MySQL 5.7":          {typ: replication.GTID_EVENT, body: mysqlGTID(1<<40, 0)[:42], want: "3e11fa47-71ca-11e1-9e33-c80aa9429562:1099511627776"},
		"MySQL 5.6":          {typ: replication.GTID_EVENT, body: mysqlGTID(9, 0)[:25], want: "3e11fa47-71ca-11e1-9e33-c80aa9429562:9"},
		"MySQL, anonymous":   {typ: replication.ANONYMOUS_GTID_EVENT, body: mysqlGTID(0, 77), micros: 77},
		"MySQL, cut":         {typ: replication.GTID_EVENT, body: mysqlGTID(9, 0)[:24], err: errMalformed},
		"MySQL, tagged, cut": {typ: replication.GTID_TAGGED_LOG_EVENT, body: []byte{2, 1}, err: errMalformed},
		"another event":      {typ: replication.XID_EVENT, body: make([]byte, 8)},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Reader{}
			r.newParser()
			e, err := headed(wire(tt.typ, 0, tt.body))
			if err != nil {
				t.Fatal(err)
			}
			g, micros, err := r.gtidOf(&e)
			if !errors.Is(err, tt.err) || err == nil && (g.String() != tt.want || micros != tt.micros) {
				t.Errorf("%q, %d, %v; want %q, %d, %v", g.String(), micros, err, tt.want, tt.micros, tt.err)
			}
		})
	}
}

// A reader's set after each transaction is what go-mysql makes of the same text.
func TestGTIDSets(t *testing.T) {
	sid := [16]byte{15: 1}
	for flavor, ids := range map[string][]gtid{
		gomysql.MariaDBFlavor: {{maria: gomysql.MariadbGTID{ServerID: 1, SequenceNumber: 6}}, {maria: gomysql.MariadbGTID{DomainID: 3, ServerID: 1, SequenceNumber: 1}},
			{maria: gomysql.MariadbGTID{ServerID: 2, SequenceNumber: 7}}},
		gomysql.MySQLFlavor: {{sid: sid, gno: 6}, {sid: sid, gno: 8}, {sid: sid, gno: 7}, {sid: [16]byte{1}, gno: 1}, {sid: sid, tag: gomysql.NewTag("exam"), gno: 1}},
	} {
		start := map[string]string{gomysql.MariaDBFlavor: "0-1-5", gomysql.MySQLFlavor: "00000000-0000-0000-0000-000000000001:1-5"}[flavor]
		r := &Reader{mariadb: flavor == gomysql.MariaDBFlavor}
		if err := r.parseGTIDs(start); err != nil {
			t.Fatal(err)
		}
		want, err := gomysql.ParseGTIDSet(flavor, start)
		if err != nil {
			t.Fatal(err)
		}
		for i := range ids {
			r.addGTID(&ids[i])
			r.addGTID(&gtid{})
			if err := want.Update(ids[i].String()); err != nil {
				t.Fatal(err)
			}
			if r.gtids.String() != want.String() {
				t.Errorf("%s after %s: %s, want %s", flavor, &ids[i], r.gtids, want)
			}
		}
		before := r.gtids.String()
		if r.addGTID(&ids[0]); r.gtids.String() != before { // read again after a restart
			t.Errorf("%s went back to %s from %s", flavor, r.gtids, before)
		}
	}
}

func TestChecksums(t *testing.T) {
	raw := wire(replication.XID_EVENT, 100, append(make([]byte, 8), 0, 0, 0, 0))
	n := len(raw) - replication.BinlogChecksumLength
	binary.LittleEndian.PutUint32(raw[n:], crc32.ChecksumIEEE(raw[:n]))
	r := &Reader{checksums: true}
	if e, err := r.parse(raw); err != nil || len(e.body) != 8 {
		t.Errorf("%+v, %v", e, err)
	}
	for i := range raw {
		bad := bytes.Clone(raw)
		bad[i] ^= 4
		if e, err := r.parse(bad); err == nil && e.EventType != replication.FORMAT_DESCRIPTION_EVENT {
			t.Errorf("byte %d may change", i)
		}
	}
	for i := range raw {
		if _, err := r.parse(raw[:i]); !errors.Is(err, errMalformed) {
			t.Errorf("%d bytes: %v", i, err)
		}
	}
}

func TestQueryOf(t *testing.T) {
	body := append([]byte{1, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 3, 0, 's', 't', 'a'}, "xueji\x00DROP TABLE t"...)
	r := &Reader{}
	for i := range len(body) {
		e, err := headed(wire(replication.QUERY_EVENT, 0, body[:i]))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.queryOf(&e); (err != nil) != (i < 22) {
			t.Errorf("%d bytes: %v", i, err)
		}
		if q := statusOf(&e); q != (queryStatus{}) { // an unknown variable comes first
			t.Errorf("%d bytes: %+v", i, q)
		}
	}
	e, err := headed(wire(replication.QUERY_EVENT, 0, body))
	if err != nil {
		t.Fatal(err)
	}
	if db, sql, err := r.queryOf(&e); err != nil || string(db) != "xueji" || string(sql) != "DROP TABLE t" {
		t.Errorf("%q, %q, %v", db, sql, err)
	}
}

func TestStatusOf(t *testing.T) {
	vars := append([]byte{0, 1, 2, 3, 4, 1, 4, 0, 16, 0, 0, 0, 0, 0, 6, 3}, "std"...)
	vars = append(vars, 3, 1, 0, 1, 0, 4, 28, 0, 45, 0, 87, 0, 99, 1)
	body := append([]byte{1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, byte(len(vars)), 0}, vars...)
	for i := range len(body) + 1 {
		e, err := headed(wire(replication.QUERY_EVENT, 0, body[:i]))
		if err != nil {
			t.Fatal(err)
		}
		if q := statusOf(&e); i == len(body) && q != (queryStatus{mode: 1<<20 | 4, client: 28, server: 87}) || i < len(body) && q != (queryStatus{}) {
			t.Errorf("%d of %d bytes: %+v", i, len(body), q)
		}
	}
}

// Where events don't say where they end, the server must send all of them.
func TestEventsWithoutPosition(t *testing.T) {
	r := &Reader{mariadb: true, maps: map[uint64]*relation{}, relations: map[string]*relation{}}
	e, err := headed(wire(replication.MARIADB_GTID_EVENT, 0, make([]byte, 19)))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.event(&e); !errors.Is(err, errUncounted) || r.txn.open {
		t.Fatalf("%v, open %t", err, r.txn.open)
	}
	r.txn.open, r.seg = true, &capture.Buffer{} // parts of it were handed out
	if err := r.countAll(t.Context()); !errors.Is(err, capture.ErrConnection) || !r.annotate {
		t.Fatalf("%v, annotate %t", err, r.annotate)
	}
	r.txn, r.seg = transaction{}, nil
	if err := r.event(&e); err != nil || r.at.Offset != uint64(e.EventSize) {
		t.Errorf("%v, at %s", err, r.at)
	}
}

// TestTableIDsBeginAnew: a server that was started again gives its table ids out again, so
// none of before counts in a new file.
func TestTableIDsBeginAnew(t *testing.T) {
	for name, raw := range map[string][]byte{
		"another file":              wire(replication.ROTATE_EVENT, 0, []byte("\x04\x00\x00\x00\x00\x00\x00\x00b.000002")),
		"description of the events": wire(replication.FORMAT_DESCRIPTION_EVENT, 0, make([]byte, 80)),
	} {
		r := &Reader{idSize: 6, state: state{Base: "b"}, maps: map[uint64]*relation{1: {}}, relations: map[string]*relation{}}
		r.newParser()
		e, err := headed(raw)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.event(&e) // the description is too short to be one
		if len(r.maps) != 0 {
			t.Errorf("%s: the tables of before are still known by their ids", name)
		}
	}
}

// TestUnknownEvents: an event that isn't known may hold rows. It stops the source, unless the
// server says itself that nobody needs it.
func TestUnknownEvents(t *testing.T) {
	for flags, want := range map[uint16]error{0: capture.ErrUnsupported, replication.LOG_EVENT_IGNORABLE_F: nil} {
		r := &Reader{maps: map[uint64]*relation{}, relations: map[string]*relation{}}
		e, err := headed(wire(200, 100, make([]byte, 9)))
		if err != nil {
			t.Fatal(err)
		}
		e.Flags = flags
		if err := r.event(&e); !errors.Is(err, want) {
			t.Errorf("flags %d: %v, want %v", flags, err, want)
		}
		if want != nil && capture.ActionOf(want) != capture.StopSource {
			t.Error("it doesn't stop the source")
		}
	}
}

// FuzzEvent shows that no event makes the reader panic.
func FuzzEvent(f *testing.F) {
	query := append([]byte{1, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0}, "db\x00BEGIN"...)
	f.Add(byte(replication.MARIADB_GTID_EVENT), make([]byte, 19), byte(replication.QUERY_EVENT), query)
	f.Add(byte(replication.GTID_EVENT), mysqlGTID(3, 9), byte(replication.XID_EVENT), make([]byte, 8))
	f.Add(byte(replication.GTID_TAGGED_LOG_EVENT), []byte{2, 118, 0, 0}, byte(replication.MARIADB_QUERY_COMPRESSED_EVENT), query)
	f.Add(byte(replication.TABLE_MAP_EVENT), []byte{1, 0, 0, 0, 0, 0, 1, 0, 2, 'd', 'b', 0, 1, 't', 0, 1, 3, 0, 0}, byte(replication.WRITE_ROWS_EVENTv1), []byte{1, 0, 0, 0, 0, 0, 1, 0, 1, 1, 0, 7, 0, 0, 0})
	f.Add(byte(replication.TRANSACTION_PAYLOAD_EVENT), []byte{2, 1, 0, 3, 1, 9, 1, 1, 9, 0, 0x28, 0xb5, 0x2f, 0xfd}, byte(replication.ROTATE_EVENT), []byte("\x04\x00\x00\x00\x00\x00\x00\x00b.000002"))
	f.Add(byte(replication.FORMAT_DESCRIPTION_EVENT), make([]byte, 80), byte(replication.INCIDENT_EVENT), []byte{1, 0})
	f.Fuzz(func(t *testing.T, t1 byte, b1 []byte, t2 byte, b2 []byte) {
		r := &Reader{idSize: 6, state: state{Base: "b"}, maps: map[uint64]*relation{}, relations: map[string]*relation{}}
		r.newParser()
		end := uint32(0)
		for i, b := range [][]byte{b1, b2} {
			raw := wire(replication.EventType([]byte{t1, t2}[i]), end+100, b)
			end += uint32(len(raw))
			e, err := r.parse(raw)
			if err != nil {
				return
			}
			if err := r.event(&e); err != nil {
				return
			}
		}
	})
}
