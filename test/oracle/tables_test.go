package oracle

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib" // database/sql's driver "pgx"

	"github.com/tributary-cdc/tributary/test/servers"
)

// compared is a table with a column of each family that can be told apart here.
var compared = Table{Source: "d.t", Store: "t", ID: "s", Key: []string{"k", "b"}, Columns: []Column{
	{"k", "text"}, {"b", "bytes"}, {"n", "number"}, {"d", "number"}, {"r", "float"}, {"f", "double"}, {"v", "bit"}, {"s", "text"},
	{"day", "date"}, {"at", "datetime"}, {"span", "time"}, {"u", "uuid"}, {"a", "inet6"}}}

// TestTablesTellDifferences spoils one value at a time in the store, by as little as its
// type allows, and wants to hear of it, and of nothing else.
func TestTablesTellDifferences(t *testing.T) {
	source, store := databases(t)
	ctx := t.Context()
	run(t, source, "CREATE DATABASE d CHARACTER SET utf8mb4", `CREATE TABLE d.t (k varchar(20) CHARACTER SET gbk, b varbinary(9), n bigint unsigned, d decimal(20,3), r float, f double, v bit(12), s varchar(99),
		day date, at datetime(6), span time(6), u uuid, a inet6, PRIMARY KEY (k, b))`,
		`INSERT INTO d.t SELECT CONCAT('镕', seq), CAST(seq AS CHAR), 18446744073709551615 - seq, seq / 8, seq * 0.1, seq * 0.1, seq % 4096, CONCAT('赵 ', seq), '2026-09-01' + INTERVAL seq % 99 DAY,
		'2026-09-01' + INTERVAL seq MICROSECOND, SEC_TO_TIME(seq * -0.000001), INSERT('00000000-0000-4000-a000-000000000000', 1, 8, LPAD(HEX(seq), 8, '0')), '::1' FROM d_seq`)
	run(t, store, `CREATE TABLE t (_source text, k text, b bytea, n numeric(20), d numeric, r real, f double precision, v bit varying, s text, day date, at timestamp, span interval, u uuid, a inet)`,
		`INSERT INTO t SELECT 's', '镕' || i, convert_to(i::text, 'UTF8'), 18446744073709551615 - i, (i / 8.0)::numeric(20,3), (i * 0.1)::real, (i * 0.1)::float8, (i % 4096)::bit(12), '赵 ' || i, date '2026-09-01' + i % 99,
		timestamp '2026-09-01' + i * interval '1 microsecond', -i * interval '1 microsecond', overlay('00000000-0000-4000-a000-000000000000' placing lpad(upper(to_hex(i)), 8, '0') from 1)::uuid, '::1' FROM generate_series(1, 5000) i`,
		// What only the source's side says of these rows: NULL and nothing, zero, the highest bit.
		`INSERT INTO t VALUES ('s', 'x', '\x00', NULL, 0.000, 0, 0, B'000000000000', '', NULL, NULL, NULL, NULL, NULL), ('another', 'y', '', 1, 1, 1, 1, B'1', '', NULL, NULL, NULL, NULL, NULL)`)
	run(t, source, `INSERT INTO d.t VALUES ('x', X'00', NULL, 0, 0, 0, 0, '', '2026-00-01', '0000-00-00', NULL, NULL, NULL)`)
	rows, diffs, err := compared.Compare(ctx, source, store, 20)
	if err != nil || rows != 5001 || len(diffs) != 0 {
		t.Fatalf("%d rows, %v, %v", rows, diffs, err)
	}
	const where = " WHERE n = 18446744073709551615 - 77"
	for name, tt := range map[string]struct{ spoil, want string }{
		"a row is missing":       {"DELETE FROM t" + where, "not in the store"},
		"a row too many":         {"INSERT INTO t SELECT _source, k, '\\x01' FROM t" + where, "only in the store"},
		"a row's key":            {"UPDATE t SET k = k || ' '" + where, "store"},
		"a float's last bit":     {"UPDATE t SET r = 7.6999993" + where, "column r"},
		"a double's last bit":    {"UPDATE t SET f = 7.700000000000001" + where, "column f"},
		"minus zero":             {"UPDATE t SET f = '-0' WHERE k = 'x'", "column f"},
		"a trailing blank":       {"UPDATE t SET s = s || ' '" + where, "column s"},
		"NULL for an empty text": {"UPDATE t SET s = NULL WHERE k = 'x'", "column s"},
		"an empty text for NULL": {"UPDATE t SET u = '00000000-0000-0000-0000-000000000000' WHERE k = 'x'", "column u"},
		"a letter that looks so": {"UPDATE t SET s = replace(s, ' ', U&'\\3000')" + where, "column s"},
		"a number's last digit":  {"UPDATE t SET n = n - 5000" + where, "column n"},
		"a decimal's scale":      {"UPDATE t SET d = d::numeric(20,2) WHERE k = 'x'", "column d"},
		"a bit":                  {"UPDATE t SET v = B'000001001100'" + where, "column v"},
		"a microsecond":          {"UPDATE t SET at = at + interval '1 microsecond'" + where, "column at"},
		"a sign":                 {"UPDATE t SET span = -span" + where, "column span"},
		"a date that is none":    {"UPDATE t SET day = '2026-01-01' WHERE k = 'x'", "column day"},
		"an address":             {"UPDATE t SET a = '::2'" + where, "column a"},
	} {
		t.Run(name, func(t *testing.T) {
			saved := "CREATE TABLE saved AS SELECT * FROM t"
			run(t, store, saved, tt.spoil)
			_, diffs, err := compared.Compare(ctx, source, store, 20)
			want := 1
			if name == "a row's key" {
				want = 2
			}
			if err != nil || len(diffs) != want || !strings.Contains(fmt.Sprint(diffs), tt.want) {
				t.Errorf("%v, %v; want %q", diffs, err, tt.want)
			}
			run(t, store, "TRUNCATE t", "INSERT INTO t SELECT * FROM saved", "DROP TABLE saved")
		})
	}
	run(t, source, "CREATE TABLE d.empty LIKE d.t")
	none := compared
	none.Source, none.Store = "d.empty", "nowhere"
	if rows, diffs, err := none.Compare(ctx, source, store, 20); err != nil || rows != 0 || len(diffs) != 0 {
		t.Errorf("an empty table that the store hasn't: %d rows, %v, %v", rows, diffs, err)
	}
	none.Store = "t"
	if _, diffs, err := none.Compare(ctx, source, store, 20); err != nil || len(diffs) < 20 {
		t.Errorf("an empty table whose rows the store has: %v, %v", diffs, err)
	}
	if unheld, err := compared.Unheld(ctx, source); err != nil || len(unheld) != 2 || unheld["day"] != 1 || unheld["at"] != 1 {
		t.Errorf("values that no store holds: %v, %v", unheld, err)
	}
}

// databases starts a MariaDB, with the numbers 1 to 5,000 in d_seq, and a PostgreSQL.
func databases(t *testing.T) (source, store *sql.DB) {
	t.Helper()
	maria, pg := servers.MariaDB(t, nil), servers.Postgres(t, nil)
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr = maria.User, maria.Password, "tcp", fmt.Sprintf("%s:%d", maria.Host, maria.Port)
	cfg.Params = map[string]string{"time_zone": "'+00:00'", "sql_mode": "''", "charset": "utf8mb4"}
	for db, address := range map[**sql.DB][2]string{&source: {"mysql", cfg.FormatDSN()}, &store: {"pgx", pg.URL()}} {
		var err error
		if *db, err = sql.Open(address[0], address[1]); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = (*db).Close() })
	}
	return source, store
}

func run(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.ExecContext(context.Background(), strings.ReplaceAll(s, "d_seq", "d.seq_1_to_5000")); err != nil {
			t.Fatalf("%.100s: %v", s, err)
		}
	}
}
