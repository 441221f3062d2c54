package postgres_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/sinks/sinktest"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/test/servers"
)

// bench is one server with many databases.
type bench struct {
	db   servers.DB
	next int
	rule postgres.Evolution // of all datasets
}

func (b *bench) fresh(t *testing.T) (sinktest.Harness, *pgx.Conn) {
	t.Helper()
	return b.laid(t, "", nil)
}

// laid is a fresh database whose store has a target, or layouts of single datasets.
func (b *bench) laid(t *testing.T, target postgres.Target, datasets map[string]postgres.Layout) (sinktest.Harness, *pgx.Conn) {
	t.Helper()
	b.next++
	name := fmt.Sprintf("store%d", b.next)
	admin := connect(t, b.db.URL())
	if _, err := admin.Exec(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	c := connect(t, b.db.In(name))
	return sinktest.Harness{
		Open: func(t *testing.T) worker.Store {
			s, err := postgres.New(postgres.Options{Host: b.db.Host, Port: b.db.Port, Database: name, User: b.db.User, Password: b.db.Password, Target: target, Datasets: datasets, Evolution: b.rule})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() }) // a fenced store's connection is broken already
			return s
		},
		Rows: func(t *testing.T, dataset string, columns ...string) []string {
			for i, col := range columns {
				columns[i] = `coalesce("` + col + `"::text, '~')`
			}
			schema := "ods"
			if target == postgres.TargetMirror {
				schema = sinktest.Table().Source
			}
			return texts(t, c, "SELECT concat_ws('|', "+strings.Join(columns, ", ")+`) COLLATE "C" FROM "`+schema+`".`+dataset+" ORDER BY 1")
		},
		Verified: func(t *testing.T) string {
			return texts(t, c, `SELECT concat_ws(' ', state, rows, missing, surplus, different, repaired, quarantined, owned, (SELECT string_agg(kind || ' ' || key, ' ' ORDER BY kind, key)
				FROM tributary.verification_row WHERE verification = number)) FROM tributary.verification ORDER BY number DESC LIMIT 1`)[0]
		},
		Until: func(t *testing.T) string {
			return strings.Join(texts(t, c, `SELECT concat_ws(' ', coalesce(extract(epoch FROM until)::bigint, 0), held_by) FROM tributary.complete_until ORDER BY dataset`), "; ")
		},
		Gaps: func(t *testing.T) int { return len(texts(t, c, "SELECT code FROM tributary.gap")) },
	}, c
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal("the test server's address can't be parsed")
	}
	cfg.RuntimeParams["timezone"] = "UTC"
	c, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(t.Context()) }) // the server ends with the test
	return c
}

func texts(t *testing.T, c *pgx.Conn, query string) []string {
	t.Helper()
	rows, err := c.Query(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestStore(t *testing.T) {
	b := &bench{db: servers.Postgres(t, nil)}
	sinktest.Run(t, func(t *testing.T) sinktest.Harness { h, _ := b.fresh(t); return h })
	t.Run("mirror", func(t *testing.T) {
		sinktest.Run(t, func(t *testing.T) sinktest.Harness {
			h, _ := b.laid(t, postgres.TargetMirror, nil)
			h.Brief = true
			return h
		})
	})
	t.Run("key of the contract", func(t *testing.T) {
		sinktest.Run(t, func(t *testing.T) sinktest.Harness {
			h, _ := b.laid(t, "", contract)
			h.Shared, h.Brief = true, true
			return h
		})
	})
	t.Run("every kind comes back", func(t *testing.T) { h, c := b.fresh(t); kinds(t, h.Open(t), c) })
	t.Run("altered tables are refused", func(t *testing.T) { h, c := b.fresh(t); altered(t, h.Open(t), c) })
	t.Run("a missing row is noticed", func(t *testing.T) { h, c := b.fresh(t); missing(t, h.Open(t), c) })
	t.Run("a source that statistics don't know", func(t *testing.T) { h, c := b.fresh(t); unknownToStatistics(t, h.Open(t), c) })
	for name, before := range map[string]bool{"before it": true, "after it": false} {
		t.Run("attack 16, connection cut at COMMIT, "+name, func(t *testing.T) { _, c := b.fresh(t); cutAtCommit(t, b, c, before) })
	}
	t.Run("a deadlock is tried again", func(t *testing.T) { h, c := b.fresh(t); deadlocked(t, h.Open(t), c) })
	t.Run("a look that is in a deadlock", func(t *testing.T) { h, c := b.fresh(t); seenDespite(t, h.Open(t), c) })
	t.Run("bookkeeping isn't a table's fault", func(t *testing.T) { h, c := b.fresh(t); bookkeeping(t, h.Open(t), c) })
	t.Run("a value that isn't one", func(t *testing.T) { h, _ := b.fresh(t); notAValue(t, h.Open(t)) })
	t.Run("identity stays", func(t *testing.T) { h, _ := b.fresh(t); identity(t, h) })
	t.Run("text without a form", func(t *testing.T) { h, c := b.fresh(t); noText(t, h.Open(t), c) })
	t.Run("names without a place", func(t *testing.T) { h, _ := b.fresh(t); badNames(t, h.Open(t)) })
	t.Run("wide tables", func(t *testing.T) { h, _ := b.fresh(t); wideTables(t, h.Open(t)) })
	t.Run("a stopped holder is ended", func(t *testing.T) { h, c := b.fresh(t); stopped(t, h, c) })
	t.Run("people look at it", func(t *testing.T) { h, c := b.fresh(t); viewed(t, h.Open(t), c) })
}

var place = log.Partition{Topic: "t", Index: 0}

func claimed(t *testing.T, s worker.Store) worker.Claim {
	t.Helper()
	if err := s.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, _, err := s.Claim(t.Context(), place, "w")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func one(claim worker.Claim, table *schema.Table, n uint64, rows ...worker.NetRow) *worker.Batch {
	pos := func(n uint64) event.Position {
		if n == 0 {
			return event.Position{}
		}
		return event.Position{Epoch: 1, Place: event.Place{Offset: n}}
	}
	for i := range rows {
		rows[i].Op, rows[i].Position, rows[i].Committed = event.Create, pos(n), time.Unix(1, 0)
	}
	return &worker.Batch{Claim: claim, Steps: []worker.Step{{Source: event.Source{ID: table.Source}, From: pos(n - 1), To: pos(n), Committed: time.Unix(1, 0), Rows: len(rows)}},
		Tables: []worker.TableChange{{Source: table.Source, Table: table, Upserts: rows}}}
}

func kinds(t *testing.T, s worker.Store, c *pgx.Conn) {
	claim := claimed(t, s)
	raw := func(v string) event.Value { return event.Raw([]byte(v)) }
	type k = schema.Type
	cases := []struct {
		typ  schema.Type
		in   event.Value
		want string
	}{
		{k{Kind: schema.Bool}, event.Number(1), "true"},
		{k{Kind: schema.Int8}, event.Signed(-128), "-128"},
		{k{Kind: schema.Int64}, event.Signed(-1 << 63), "-9223372036854775808"},
		{k{Kind: schema.Uint8}, event.Number(255), "255"},
		{k{Kind: schema.Uint32}, event.Number(1<<32 - 1), "4294967295"},
		{k{Kind: schema.Uint64}, event.Number(1<<64 - 1), "18446744073709551615"},
		{k{Kind: schema.Decimal}, raw("NaN"), "NaN"},
		{k{Kind: schema.Decimal, Precision: 10, Scale: 2}, raw("-12.30"), "-12.30"},
		{k{Kind: schema.Decimal}, raw("0.00"), "0.00"},
		{k{Kind: schema.Decimal}, raw("-0.00010"), "-0.00010"},
		{k{Kind: schema.Decimal}, raw("100000000"), "100000000"},
		{k{Kind: schema.Decimal}, raw("99999999999999999999999999999999999.000000000000000000000000000001"), "99999999999999999999999999999999999.000000000000000000000000000001"},
		{k{Kind: schema.Uint64}, event.Number(0), "0"},
		{k{Kind: schema.Date}, event.Signed(event.NegInfinity), "-infinity"},
		{k{Kind: schema.Bit, Length: 9}, raw("010000001"), "010000001"},
		{k{Kind: schema.Float32}, event.Number(0x3f800000), "1"},
		{k{Kind: schema.Float64}, event.Number(0x7ff8000000000001), "NaN"},
		{k{Kind: schema.Float64}, event.Number(0x7ff0000000000000), "Infinity"},
		{k{Kind: schema.String}, raw(""), ""},
		{k{Kind: schema.String}, raw(`张\N'"`), `张\N'"`},
		{k{Kind: schema.Bytes}, raw("\x00\xff"), `\x00ff`},
		{k{Kind: schema.Bytes}, raw(""), `\x`},
		{k{Kind: schema.Date}, event.Signed(event.PosInfinity), "infinity"},
		{k{Kind: schema.Date}, event.Signed(-719163), "0001-12-31 BC"},
		{k{Kind: schema.Date}, event.Signed(-719529), "0002-12-31 BC"},
		{k{Kind: schema.Time}, event.Signed(86_400_000_000), "24:00:00"},
		{k{Kind: schema.Time, Wide: true}, event.Signed(-3_020_399_000_000), "-838:59:59"},
		{k{Kind: schema.DateTime}, event.Signed(-1), "1969-12-31 23:59:59.999999"},
		{k{Kind: schema.Timestamp}, event.Signed(event.NegInfinity), "-infinity"},
		{k{Kind: schema.Timestamp}, event.Signed(1_700_000_000_000_001), "2023-11-14 22:13:20.000001+00"},
		{k{Kind: schema.Interval}, raw("P1Y2DT3H"), "1 year 2 days 03:00:00"},
		{k{Kind: schema.Year}, event.Number(2155), "2155"},
		{k{Kind: schema.JSON}, raw(`{"b":1, "a":1.0}`), `{"b":1, "a":1.0}`},
		{k{Kind: schema.UUID}, raw("00000000-0000-4000-8000-000000000001"), "00000000-0000-4000-8000-000000000001"},
		{k{Kind: schema.Bit, Length: 3}, raw("010"), "010"},
		{k{Kind: schema.Array, Elem: &schema.Type{Kind: schema.Int32}}, raw("{1,NULL,3}"), "{1,NULL,3}"},
		{k{Kind: schema.Text, Native: "time with time zone"}, raw("10:00:00+08"), "10:00:00+08"},
		{k{Kind: schema.Int64}, event.NullValue, "~"},
	}
	// One row goes by a statement, many by COPY into the table, or by the staging
	// table if a kind has no binary form.
	for _, way := range []struct {
		name   string
		rows   int
		staged bool
	}{{"statement", 1, true}, {"stage", 120, true}, {"copy", 120, false}} {
		table := &schema.Table{Source: "s" + way.name, Dataset: "kinds_" + way.name, Database: "d", Name: way.name, Key: []int{0}, Columns: []schema.Column{{Name: "id", Type: k{Kind: schema.Int32}}}}
		rows := make([]worker.NetRow, way.rows)
		for i := range rows {
			rows[i] = worker.NetRow{New: true, Values: []event.Value{event.Signed(int64(i))}}
		}
		want := map[string]int{}
		for i, tt := range cases {
			if kind := tt.typ.Kind; !way.staged && (kind == schema.Interval || kind == schema.Array || kind == schema.Text) {
				continue
			}
			name := fmt.Sprintf("c%d", i)
			want[name] = i
			table.Columns = append(table.Columns, schema.Column{Name: name, Type: tt.typ, Nullable: true})
			for n := range rows {
				rows[n].Values = append(rows[n].Values, tt.in)
			}
		}
		if _, err := s.EnsureTable(t.Context(), claim, table); err != nil {
			t.Fatal(err)
		}
		if err := s.Apply(t.Context(), one(claim, table, 1, rows...)); err != nil {
			t.Fatal(err)
		}
		for name, i := range want {
			got := texts(t, c, fmt.Sprintf("SELECT coalesce(%s::text, '~') || ' ' || count(*) FROM ods.%s GROUP BY %s::text", name, table.Dataset, name))
			if w := fmt.Sprint(cases[i].want, " ", way.rows); len(got) != 1 || got[0] != w {
				t.Errorf("%s: %s %v: %q, want %q", way.name, cases[i].typ, cases[i].in, got, w)
			}
		}
		stamp := texts(t, c, "SELECT concat_ws(' ', _source, _position, _op, _committed_at, _applied_at > now() - interval '1 minute' AND _applied_at <= clock_timestamp() + interval '1 second', b.id = _batch) FROM ods."+
			table.Dataset+" JOIN tributary.batch b ON b.id = _batch LIMIT 1")
		if w := "s" + way.name + " 00000001/00000000.0000000000000001/00000000 c 1970-01-01 00:00:01+00 t t"; len(stamp) != 1 || stamp[0] != w {
			t.Errorf("%s: stamp %q, want %q", way.name, stamp, w)
		}
	}
}

func altered(t *testing.T, s worker.Store, c *pgx.Conn) {
	claim := claimed(t, s)
	for i, tt := range []struct{ sql, want string }{
		{"CREATE UNIQUE INDEX u ON ods.%s (name)", "unique index"},
		{"ALTER TABLE ods.%s ALTER name TYPE varchar(3)", "wanted"},
		{"ALTER TABLE ods.%s DROP COLUMN _batch", "_batch"},
		{"ALTER TABLE ods.%s DROP COLUMN id", "key"},
		{"ALTER TABLE ods.%s DROP COLUMN name", `dropped column "name"`}, // its values are gone
		{"DROP TABLE ods.%s", "table reread"},                            // its rows are gone
	} {
		table := sinktest.Table()
		table.Dataset = fmt.Sprintf("t%d", i)
		table.Name = table.Dataset
		if _, err := s.EnsureTable(t.Context(), claim, table); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Exec(t.Context(), fmt.Sprintf(tt.sql, table.Dataset)); err != nil {
			t.Fatal(err)
		}
		_, err := s.EnsureTable(t.Context(), claim, table)
		if !errors.Is(err, worker.ErrTableRefused) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.sql, err)
		}
	}
}

// stopped holds a worker's batch in the middle by a lock, as one that was
// stopped there; another worker takes over.
func stopped(t *testing.T, h sinktest.Harness, c *pgx.Conn) {
	first, table := h.Open(t), sinktest.Table()
	claim := claimed(t, first)
	if _, err := first.EnsureTable(t.Context(), claim, table); err != nil {
		t.Fatal(err)
	}
	lock, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Exec(t.Context(), "LOCK TABLE ods.student"); err != nil {
		t.Fatal(err)
	}
	row := worker.NetRow{New: true, Values: []event.Value{event.Signed(1), event.NullValue, event.NullValue}}
	ended := make(chan error, 1)
	go func() { ended <- first.Apply(t.Context(), one(claim, table, 1, row)) }()
	for waiting := "0"; waiting == "0"; {
		if err := lock.QueryRow(t.Context(), "SELECT count(*)::text FROM pg_locks WHERE NOT granted").Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	begin, second := time.Now(), h.Open(t)
	claim = claimed(t, second)
	if err := <-ended; err == nil {
		t.Error("the former holder's batch went through")
	}
	if err := lock.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := second.Apply(t.Context(), one(claim, table, 1, row)); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(begin); d > 15*time.Second {
		t.Errorf("taken over after %s", d)
	}
	if got := h.Rows(t, "student", "id"); len(got) != 1 {
		t.Errorf("rows %q", got)
	}
}

func identity(t *testing.T, h sinktest.Harness) {
	var ids [2]string
	for i := range ids {
		s := h.Open(t)
		err := s.Prepare(t.Context())
		if err == nil {
			ids[i], err = s.(*postgres.Store).Identity(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if ids[0] != ids[1] || len(ids[0]) != 32 {
		t.Errorf("identities %q", ids)
	}
}

func missing(t *testing.T, s worker.Store, c *pgx.Conn) {
	claim := claimed(t, s)
	for _, n := range []int{2, 150} { // by statements, by COPY
		table := sinktest.Table()
		table.Source, table.Dataset = fmt.Sprint("s", n), fmt.Sprint("student", n)
		if _, err := s.EnsureTable(t.Context(), claim, table); err != nil {
			t.Fatal(err)
		}
		rows := make([]worker.NetRow, n)
		for i := range rows {
			rows[i] = worker.NetRow{Values: []event.Value{event.Signed(int64(i)), event.NullValue, event.NullValue}}
		}
		if err := s.Apply(t.Context(), one(claim, table, 1, rows...)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Exec(t.Context(), "DELETE FROM ods."+table.Dataset+" WHERE id = 1"); err != nil {
			t.Fatal(err)
		}
		for i := range rows {
			rows[i].Base = []event.Value{event.Signed(int64(i))}
		}
		b := one(claim, table, 2, rows...)
		b.Tables[0].Nulled = worker.Nulled{Values: 3, First: event.Position{Epoch: 1}, Detail: "csrq: 0000-00-00"}
		if err := s.Apply(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		got := texts(t, c, "SELECT concat_ws(' ', dataset, code, rows, first_position, detail) FROM tributary.anomaly WHERE source = '"+table.Source+"' ORDER BY id")
		want := []string{table.Dataset + " ROW_MISSING 1 00000001/00000000.0000000000000002/00000000 ",
			table.Dataset + " VALUE_NULLED 3 00000001/00000000.0000000000000000/00000000 csrq: 0000-00-00"}
		if !slices.Equal(got, want) {
			t.Errorf("anomalies %q, want %q", got, want)
		}
	}
}

// cutAtCommit breaks the connection when COMMIT is sent, or when it is answered. The
// caller can't know which; it claims again, looks, and goes on from there.
func cutAtCommit(t *testing.T, b *bench, c *pgx.Conn, before bool) {
	link := servers.NewLink(t, fmt.Sprintf("127.0.0.1:%d", b.db.Port))
	s, err := postgres.New(postgres.Options{Host: "127.0.0.1", Port: uint16(link.Port()), Database: c.Config().Database, User: b.db.User, Password: b.db.Password})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // its connection is broken
	claim, table := claimed(t, s), sinktest.Table()
	if _, err := s.EnsureTable(t.Context(), claim, table); err != nil {
		t.Fatal(err)
	}
	row := worker.NetRow{New: true, Values: []event.Value{event.Signed(1), event.NullValue, event.NullValue}}
	cut, ended := link.ResetAt("COMMIT", before), make(chan error, 1)
	go func() { ended <- s.Apply(t.Context(), one(claim, table, 1, row)) }()
	<-cut
	if err := <-ended; !errors.Is(err, worker.ErrOutcomeUnknown) {
		t.Errorf("%v, want ErrOutcomeUnknown", err)
	}
	link.Heal()
	claim, known, err := s.Claim(t.Context(), place, "w")
	if err != nil {
		t.Fatal(err)
	}
	if there := len(known) == 1; there == before {
		t.Fatalf("cut before the commit %t, and the store has it: %t", before, there)
	}
	err = s.Apply(t.Context(), one(claim, table, 1, row))
	if before && err != nil || !before && !errors.Is(err, worker.ErrProgressMoved) {
		t.Errorf("the same batch again: %v", err)
	}
	if got := texts(t, c, "SELECT id::text FROM ods.student"); len(got) != 1 {
		t.Errorf("rows %q", got)
	}
}

// bookkeeping has a person change the store's own tables: no table of a source must
// stop for that.
func bookkeeping(t *testing.T, s worker.Store, c *pgx.Conn) {
	claim, table := claimed(t, s), sinktest.Table()
	if _, err := s.EnsureTable(t.Context(), claim, table); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), "ALTER TABLE tributary.batch DROP COLUMN partial"); err != nil {
		t.Fatal(err)
	}
	row := worker.NetRow{New: true, Values: []event.Value{event.Signed(1), event.NullValue, event.NullValue}}
	err := s.Apply(t.Context(), one(claim, table, 1, row))
	var te *worker.TableError
	if err == nil || errors.As(err, &te) || !strings.Contains(err.Error(), "partial") {
		t.Errorf("%v, want the column's name and no table", err)
	}
}

// notAValue has rows whose bytes aren't what the column's type says, as a value and as
// the key of a row that is removed: the table stops, by every way of writing.
func notAValue(t *testing.T, s worker.Store) {
	claim := claimed(t, s)
	table := &schema.Table{Source: "s", Dataset: "ids", Database: "d", Name: "ids", Key: []int{0}, Columns: []schema.Column{{Name: "id", Type: schema.Type{Kind: schema.UUID}}}}
	if _, err := s.EnsureTable(t.Context(), claim, table); err != nil {
		t.Fatal(err)
	}
	bad := []event.Value{event.Raw([]byte("not-a-uuid"))}
	for _, n := range []int{1, 150} {
		rows, keys := make([]worker.NetRow, n), make([][]event.Value, n)
		for i := range rows {
			rows[i], keys[i] = worker.NetRow{New: true, Values: bad}, bad
		}
		removed := one(claim, table, 1)
		removed.Tables[0].Deletes = keys
		for name, b := range map[string]*worker.Batch{"written": one(claim, table, 1, rows...), "removed": removed} {
			var te *worker.TableError
			if err := s.Apply(t.Context(), b); !errors.Is(err, worker.ErrTableRefused) || !errors.As(err, &te) || te.Table != table {
				t.Errorf("%d rows %s: %v", n, name, err)
			}
		}
	}
}
