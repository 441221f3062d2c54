package preflight

import (
	"fmt"
	"strings"

	"github.com/tributary-cdc/tributary/capture/mysql"
)

// The questions to a MySQL or MariaDB server, but for those that name what is there.
const (
	askVersion = "SELECT VERSION(), CURRENT_USER(), UTC_TIMESTAMP(6), @@SESSION.max_user_connections"
	askEngines = "SELECT ENGINE FROM information_schema.ENGINES WHERE TRANSACTIONS = 'YES'"
	askTables  = "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, COALESCE(ENGINE, ''), COALESCE(TABLE_ROWS, -1), COALESCE(DATA_LENGTH, 0), COALESCE(AVG_ROW_LENGTH, 0) " +
		"FROM information_schema.TABLES WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND " + userTables + " ORDER BY 1, 2"
	askColumns = "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, COALESCE(CHARACTER_SET_NAME, ''), EXTRA, COALESCE(GENERATION_EXPRESSION, ''), IS_NULLABLE " +
		"FROM information_schema.COLUMNS WHERE " + userTables + " ORDER BY 1, 2, ORDINAL_POSITION"
	askKeys = "SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, COLUMN_NAME, NULLABLE, COALESCE(SUB_PART, 0), SEQ_IN_INDEX FROM information_schema.STATISTICS " +
		"WHERE NON_UNIQUE = 0 AND " + userTables + " ORDER BY 1, 2, 3, SEQ_IN_INDEX"
)

// The questions to a PostgreSQL server. listTables and listUniques are two more.
const (
	askRole = `SELECT current_setting('server_version_num'), current_setting('server_version'), current_user, current_database(),
		extract(epoch FROM clock_timestamp()), pg_is_in_recovery(), current_setting('server_encoding'), r.rolsuper, r.rolreplication,
		coalesce((SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl), ''), r.rolconnlimit FROM pg_roles r WHERE r.rolname = current_user`
	askSettings = "SELECT name, setting, coalesce(unit, ''), context, source FROM pg_settings"
	askSlots    = `SELECT slot_name, coalesce(plugin::text, ''), coalesce(database::text, ''), active,
		CASE WHEN restart_lsn IS NULL OR pg_is_in_recovery() THEN 0 ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) END FROM pg_replication_slots ORDER BY 1`
	askSenders    = "SELECT count(*) FROM pg_stat_replication"
	askCreate     = "SELECT has_database_privilege(current_database(), 'CREATE')"
	askPrepared   = "SELECT gid, database, prepared::text FROM pg_prepared_xacts ORDER BY prepared"
	askWAL        = "SELECT wal_bytes, extract(epoch FROM now() - stats_reset) FROM pg_stat_wal"
	askCheckpoint = `SELECT CASE WHEN pg_is_in_recovery() THEN 0 ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), redo_lsn) END, extract(epoch FROM now() - checkpoint_time) FROM pg_control_checkpoint()`
)

func askPublication(name string) string {
	return `SELECT puballtables, pubinsert, pubupdate, pubdelete, coalesce(to_jsonb(p)->>'pubtruncate', 'true') = 'true',
		coalesce(to_jsonb(p)->>'pubgencols', ''), coalesce(to_jsonb(p)->>'pubviaroot', 'false') = 'true' FROM pg_publication p WHERE pubname = ` + text(name)
}

func askMembers(name string) string {
	return "SELECT schemaname, tablename FROM pg_publication_tables WHERE pubname = " + text(name)
}

func askFilters(name string) string {
	return `SELECT n.nspname, c.relname, coalesce(pg_get_expr(pr.prqual, pr.prrelid), ''),
		coalesce((SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = pr.prrelid AND a.attnum = ANY (pr.prattrs)), '')
		FROM pg_publication_rel pr JOIN pg_publication p ON p.oid = pr.prpubid JOIN pg_class c ON c.oid = pr.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE p.pubname = ` + text(name) + ` AND (pr.prqual IS NOT NULL OR pr.prattrs IS NOT NULL) ORDER BY 1, 2`
}

func askLong(o *Options) string {
	return fmt.Sprintf("SELECT pid, coalesce(datname, ''), xact_start::text FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND xact_start < now() - interval '%d microseconds' ORDER BY 3", o.Long.Microseconds())
}

// shape is what an answer has at least.
type shape struct{ rows, columns int }

var shapes = map[string]shape{
	askVersion: {1, 4}, "SHOW GLOBAL VARIABLES": {1, 2}, "SHOW GLOBAL STATUS": {1, 2}, "SHOW GRANTS": {1, 1}, askPrivileges: {1, 1}, askMariaRole: {1, 1}, "SELECT CURRENT_ROLE()": {1, 1}, grantsOfRoles: {1, 1},
	"SHOW REPLICAS": {0, 3}, "SHOW SLAVE HOSTS": {0, 3}, "SHOW BINARY LOG STATUS": {0, 4}, "SHOW MASTER STATUS": {0, 4},
	"XA RECOVER": {0, 4}, "XA RECOVER FORMAT='SQL'": {0, 4}, "XA RECOVER CONVERT XID": {0, 4},
	askTables: {0, 7}, askColumns: {0, 9}, askKeys: {0, 7}, mysql.AskForeignKeys: {0, 2}, askForeignKeys: {0, 3},
	askRole: {1, 11}, askSettings: {1, 5}, askSlots: {0, 5}, askSenders: {1, 1}, askCreate: {1, 1}, askPrepared: {0, 3}, askWAL: {0, 2}, askCheckpoint: {0, 2},
	listTables: {0, 25}, listUniques: {0, 4},
}

// shapeOf gives the shape of a question's answer; those that aren't listed name what is
// there.
func shapeOf(sql string) shape {
	if s, ok := shapes[sql]; ok {
		return s
	}
	switch {
	case strings.HasPrefix(sql, "SHOW CREATE TABLE "):
		return shape{1, 2}
	case strings.Contains(sql, " FROM pg_publication p WHERE "):
		return shape{0, 7}
	case strings.Contains(sql, "pg_publication_rel"):
		return shape{0, 4}
	case strings.Contains(sql, "pg_publication_tables"):
		return shape{0, 2}
	case strings.Contains(sql, "pg_stat_activity"):
		return shape{0, 3}
	}
	return shape{0, 1}
}
