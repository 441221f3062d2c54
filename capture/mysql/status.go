package mysql

import (
	"encoding/binary"

	"github.com/go-mysql-org/go-mysql/replication"
)

// queryStatus is what a QUERY event says of its session.
type queryStatus struct {
	mode           uint64
	client, server uint16 // collations of what the client sent, and of the server; 0 if unknown
}

// The kinds of a QUERY event's status variables that stand before those that matter, and
// these (MySQL source documentation, Query_event; they come in this order).
const (
	statusFlags     = 0
	statusMode      = 1
	statusCatalog   = 2
	statusIncrement = 3
	statusCharset   = 4
	statusZone      = 5
	statusCatalogNZ = 6
)

// statusOf reads the status variables of a QUERY event, as far as they are known: what
// comes behind an unknown one isn't read.
func statusOf(e *logEvent) (q queryStatus) {
	if e.EventType != replication.QUERY_EVENT && e.EventType != replication.MARIADB_QUERY_COMPRESSED_EVENT || len(e.body) < 13 {
		return q
	}
	s := cursor{b: e.body[13:]}
	s.b = s.take(int(binary.LittleEndian.Uint16(e.body[11:])))
	for len(s.b) > 0 && !s.bad {
		switch s.byte() {
		case statusFlags, statusIncrement:
			s.take(4)
		case statusMode:
			q.mode = littleEndian(s.take(8))
		case statusCatalog:
			s.take(int(s.byte()) + 1)
		case statusCharset:
			if b := s.take(6); b != nil {
				q.client, q.server = binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[4:])
			}
		case statusZone, statusCatalogNZ:
			s.take(int(s.byte()))
		default:
			return q
		}
	}
	return q
}
