package servers

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"testing"

	"github.com/go-mysql-org/go-mysql/replication"
)

// event57 makes an event that ends at a position, with its checksum.
func event57(typ replication.EventType, end uint32, body []byte) []byte {
	e := make([]byte, replication.EventHeaderSize, 100)
	e[4] = byte(typ)
	binary.LittleEndian.PutUint32(e[9:], uint32(len(e)+len(body)+4))
	binary.LittleEndian.PutUint32(e[13:], end)
	e = append(e, body...)
	return binary.LittleEndian.AppendUint32(e, crc32.ChecksumIEEE(e))
}

// TestEventsOf57 cuts what 5.7 doesn't write, and nothing else.
func TestEventsOf57(t *testing.T) {
	table := slices.Concat([]byte{1, 0, 0, 0, 0, 0, 1, 0}, []byte("\x01d\x00\x01t\x00"), []byte{2, 3, 15, 2, 40, 0, 3})
	gtid := make([]byte, 42)
	p := &old57{begins: map[logPlace]uint32{}}
	d := dump57{p: p, file: "binlog.000001", checksums: true}
	for name, tt := range map[string]struct {
		typ        replication.EventType
		body, more []byte
	}{
		"TABLE_MAP":      {replication.TABLE_MAP_EVENT, table, []byte{1, 1, 0x80, 4, 4, 1, 'a', 1, 'b'}},
		"GTID":           {replication.GTID_EVENT, gtid, []byte{1, 2, 3, 4, 5, 6, 7, 0xfc, 1, 1, 1, 2, 3, 4}},
		"anonymous GTID": {replication.ANONYMOUS_GTID_EVENT, gtid, []byte{1, 2, 3, 4, 5, 6, 7}},
		"rows":           {replication.WRITE_ROWS_EVENTv2, []byte{1, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2, 3, 0, 1, 2, 3, 4}, nil},
		"bad TABLE_MAP":  {replication.TABLE_MAP_EVENT, table[:9], nil},
	} {
		e := event57(tt.typ, 5000, slices.Concat(tt.body, tt.more))
		want := event57(tt.typ, 5000, tt.body)
		if got := d.event(bytes.Clone(e)); !bytes.Equal(got, want) {
			t.Errorf("%s: % x, want % x", name, got, want)
		}
		clear(p.begins)
		d.event(bytes.Clone(e))
		if at, ok := p.begins[logPlace{d.file, 5000 - uint32(len(want))}]; ok != (tt.more != nil && tt.typ != replication.TABLE_MAP_EVENT) || ok && at != 5000-uint32(len(e)) {
			t.Errorf("%s: begins at %v", name, p.begins)
		}
	}
	d = dump57{p: p}
	rotate := event57(replication.ROTATE_EVENT, 0, []byte("\x04\x00\x00\x00\x00\x00\x00\x00binlog.000007"))
	if got := d.event(bytes.Clone(rotate)); len(got) != len(rotate)-4 || d.file != "binlog.000007" {
		t.Errorf("the first event, before checksums are known: % x, file %s", got, d.file)
	}
	format := event57(replication.FORMAT_DESCRIPTION_EVENT, 120, slices.Concat([]byte{4, 0}, bytes.Repeat([]byte{'9'}, 50), make([]byte, 40), []byte{1}))
	if got := d.event(format); !d.checksums || !bytes.Contains(got, []byte(version57+"\x00")) || crc32.ChecksumIEEE(got[:len(got)-4]) != binary.LittleEndian.Uint32(got[len(got)-4:]) {
		t.Errorf("description %q, checksums %v", got, d.checksums)
	}
}
