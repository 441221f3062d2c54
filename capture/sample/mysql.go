package sample

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/capture/mysql"
)

// mysqlServer is a session at a MySQL or MariaDB server.
type mysqlServer struct {
	s *mysql.Session
	// stop says that the session is closed here, not by the end of its context.
	stop func() bool
}

func newMySQL(ctx context.Context, s *mysql.Session) *mysqlServer {
	return &mysqlServer{s, context.AfterFunc(ctx, s.Close)}
}

func (m *mysqlServer) close() {
	if m.stop() {
		m.s.Close()
	}
}

// mysqlTexts are the types whose values can have a form. Numbers of phones and cards stand
// in integers, too.
var mysqlTexts = []string{"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "json", "bigint", "decimal"}

const userTables = "TABLE_SCHEMA NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')"

func (m *mysqlServer) describe(_ context.Context, wanted map[string]bool) (map[string]*described, error) {
	rows, err := m.s.Rows("describe columns", "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_COMMENT, DATA_TYPE FROM information_schema.COLUMNS WHERE "+userTables+" ORDER BY 1, 2, ORDINAL_POSITION")
	if err != nil {
		return nil, err
	}
	out := map[string]*described{}
	for _, row := range rows {
		id := row[0] + "." + row[1]
		if !wanted[id] {
			continue
		}
		d := out[id]
		if d == nil {
			d = &described{from: m.quote(row[0]) + "." + m.quote(row[1])}
			out[id] = d
		}
		d.columns = append(d.columns, column{row[2], row[3], slices.Contains(mysqlTexts, strings.ToLower(row[4]))})
	}
	rows, err = m.s.Rows("read the keys", "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME FROM information_schema.STATISTICS WHERE INDEX_NAME = 'PRIMARY' AND "+userTables+" ORDER BY 1, 2, SEQ_IN_INDEX")
	for _, row := range rows {
		if d := out[row[0]+"."+row[1]]; d != nil {
			d.key = append(d.key, row[2])
		}
	}
	return out, err
}

func (m *mysqlServer) names(context.Context) (map[string]bool, error) {
	rows, err := m.s.Rows("list tables", "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE "+userTables) // names alone open no table
	out := make(map[string]bool, len(rows))
	for _, row := range rows {
		out[row[0]+"."+row[1]] = true
	}
	return out, err
}

// bound sets how long a question may take and wait for a lock: MariaDB and MySQL name it
// differently, and a server has to know one of the names.
func (m *mysqlServer) bound(_ context.Context, limit time.Duration) error {
	_, err := m.s.Rows("bound statements", fmt.Sprintf("SET SESSION max_statement_time = %g", limit.Seconds()))
	if err != nil {
		if _, other := m.s.Rows("bound statements", fmt.Sprintf("SET SESSION max_execution_time = %d", limit.Milliseconds())); other != nil {
			return errors.Join(err, other)
		}
	}
	_, err = m.s.Rows("bound locks", "SET SESSION lock_wait_timeout = 1")
	return err
}

func (m *mysqlServer) rows(_ context.Context, sql string) ([][]string, error) {
	return m.s.Rows("look at values", sql)
}

func (m *mysqlServer) quote(name string) string {
	return "`" + strings.ReplaceAll(name, "`", "``") + "`"
}

func (m *mysqlServer) text(quoted string) string { return fmt.Sprintf("LEFT(%s, %d)", quoted, letters) }
