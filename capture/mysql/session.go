package mysql

import (
	"context"
	"hash/crc32"
	"strings"

	"github.com/tributary-cdc/tributary/capture"
)

// Setting is a server variable without whose value the log can't be read.
type Setting struct {
	Name, Value string
	Code, Hint  string // of the error, for operators
}

// Required are the settings that the reader refuses to go without.
var Required = []Setting{
	{"log_bin", "ON", "MYSQL_LOG_BIN", "set log_bin in the server's configuration and restart it"},
	{"binlog_format", "ROW", "MYSQL_BINLOG_FORMAT", "SET GLOBAL binlog_format = 'ROW'; and the same in the server's configuration; sessions that are open keep the old one"},
}

// CaseFixed is the value of lower_case_table_names with which statements of the log may
// name tables in another case than the catalogue; such a server is refused.
const CaseFixed = "2"

// ReplicaID gives the number that a source's reader has among the server's replicas: in
// the upper half, away from what people choose.
func ReplicaID(source string) uint32 { return crc32.ChecksumIEEE([]byte(source)) | 1<<31 }

// VirtualDoubtful reports whether a release of MariaDB may write NULL in place of the value
// of a column that isn't stored. Measured: 10.2 writes NULL, 10.11 and 11.4 write the
// value. Nothing but a write at the server would tell, so releases between count as the
// old one.
func VirtualDoubtful(major, minor int) bool { return major < 10 || major == 10 && minor < 11 }

// Session asks a reader's server for settings and catalogue. It is for one goroutine.
type Session struct{ r *Reader }

// Open connects as the reader does, whatever the server's settings are. It reads no
// log. An error has the class that the reader would give it; ctx bounds the session.
func Open(ctx context.Context, o Options) (*Session, error) {
	r, err := New(o)
	if err != nil {
		return nil, err
	}
	if r.sql, err = r.connect(ctx); err != nil {
		return nil, err
	}
	s := &Session{r}
	for _, sql := range []string{"SET SESSION time_zone = '+00:00'", "SET NAMES utf8mb4"} {
		if _, err := s.Rows("set the session", sql); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// Rows gives a statement's rows as text; NULL is empty. what names the question in an
// error. It can't be interrupted but by Close.
func (s *Session) Rows(what, sql string) ([][]string, error) { return s.r.query(what, sql) }

// Close ends the connection. It may be called from another goroutine, once.
func (s *Session) Close() { _ = s.r.sql.Close() } // only read from

// Wanted reports whether a table "database.table" fits the patterns of a source.
// caseless says that the server keeps names in lower case.
func Wanted(patterns []string, name string, caseless bool) bool {
	if caseless {
		return capture.MatchesAs(patterns, name, strings.ToLower)
	}
	return capture.Matches(patterns, name)
}
