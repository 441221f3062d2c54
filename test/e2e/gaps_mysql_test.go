package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/test/servers"
)

// TestGapsOfMariaDB loses continuity in every way that a MariaDB server can; GAPS=all runs
// those, too, that take their time.
func TestGapsOfMariaDB(t *testing.T) { gapsOfMySQL(t, "mariadb", servers.MariaDB) }

// TestGapsOfMySQL is the same with MySQL.
func TestGapsOfMySQL(t *testing.T) { gapsOfMySQL(t, "mysql", servers.MySQL) }

func gapsOfMySQL(t *testing.T, engine string, start servers.Starter) {
	x := newGapRig(t, engine, start(t, nil))
	purged := cause{name: "binlog purged", code: "BINLOG_PURGED", always: true, lose: func(x *gapRig) {
		x.change()
		x.run(x.source, "FLUSH BINARY LOGS")
		x.change()
		x.purge()
	}}
	reset := "RESET MASTER"
	if engine == "mysql" {
		reset = "RESET BINARY LOGS AND GTIDS"
	}
	x.causes(append([]cause{
		purged,
		{name: "lost events", code: "INCIDENT", lose: func(x *gapRig) {
			x.run(x.source, "SET GLOBAL binlog_stmt_cache_size = 4096", "SET GLOBAL max_binlog_stmt_cache_size = 4096")
			other := x.at(x.server, "xueji")
			x.run(other, "CREATE DATABASE other", "CREATE TABLE other.big (id int, v varchar(200)) ENGINE = MyISAM")
			if _, err := other.ExecContext(x.Context(), "INSERT INTO other.big SELECT a.n, REPEAT('x', 200) FROM ("+digits+") a CROSS JOIN ("+digits+") b"); err == nil {
				x.Error("a statement that the log can't hold succeeds")
			}
			x.run(other, "DROP DATABASE other", "SET GLOBAL max_binlog_stmt_cache_size = 1073741824", "SET GLOBAL binlog_stmt_cache_size = 32768")
			x.change()
		}},
		{name: "attack 22, log made anew", code: "LOG_RESET", lose: func(x *gapRig) {
			x.change()
			x.run(x.source, reset)
			for range 50 { // beyond the place where reading was
				x.change()
			}
		}},
		{name: "attack 22, backup restored and written on", code: "LOG_RESET", lose: restored(60)},
		{name: "another server", code: "GTID_UNKNOWN", lose: func(x *gapRig) {
			other := start(x.whole, map[string]string{"server-id": "77"})
			x.make(other)
			x.source = x.at(other, "xueji")
			x.send(other)
			x.change()
		}},
	}, ofTheLog...))
	x.killed(purged, 5)
}

// purge has the server forget all files of its log but the last. It doesn't while it
// thinks that somebody reads them.
func (x *gapRig) purge() {
	x.Helper()
	files := func() (names []string) {
		rows, err := x.source.QueryContext(x.Context(), "SHOW BINARY LOGS")
		if err != nil {
			x.Fatal(err)
		}
		defer func() { _ = rows.Close() }()
		columns, err := rows.Columns()
		if err != nil {
			x.Fatal(err)
		}
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new([]byte)
			}
			if err := rows.Scan(values...); err != nil {
				x.Fatal(err)
			}
			names = append(names, string(slices.Clone(*values[0].(*[]byte))))
		}
		if err := rows.Err(); err != nil {
			x.Fatal(err)
		}
		return names
	}
	await(x.T, "the purge", func() bool {
		all := files()
		x.run(x.source, fmt.Sprintf("PURGE BINARY LOGS TO '%s'", strings.ReplaceAll(all[len(all)-1], "'", "")))
		return len(files()) == 1
	})
}
