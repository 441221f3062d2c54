package postgres_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/servers"
)

func remove(id int64) event.Row {
	return event.Row{Op: event.Delete, Before: []event.Value{event.Signed(id), {}, {}}}
}

func move(from, to int64, name string) event.Row {
	return event.Row{Op: event.Update, Before: []event.Value{event.Signed(from), {}, {}}, After: []event.Value{event.Signed(to), event.Raw([]byte(name)), {}}}
}

func sql(t *testing.T, c *pgx.Conn, query string) {
	t.Helper()
	if _, err := c.Exec(t.Context(), query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// TestQuarantine: rows that the store refuses, because a person has put a constraint
// on its table or because of a value that it can't hold, are kept apart by their key
// with everything that follows; the rest of their transactions is applied, whatever
// the way of writing, and other sources with the same keys are.
func TestQuarantine(t *testing.T) {
	bench := &bench{db: servers.Postgres(t, nil)}
	for _, way := range []struct {
		name    string
		filler  int // good rows around the bad ones
		options worker.Options
	}{{"statements", 3, worker.Options{}}, {"copy", 400, worker.Options{}}, {"pieces", 400, worker.Options{BatchRows: 100, SpoolBytes: 64 << 10}}} {
		t.Run(way.name, func(t *testing.T) { h, c := bench.fresh(t); quarantined(t, h.Open, c, way.filler, way.options) })
	}
}

func quarantined(t *testing.T, open func(*testing.T) worker.Store, c *pgx.Conn, filler int, o worker.Options) {
	l := newWritten()
	o.SpoolDir = t.TempDir()
	a, b := l.source(1, 1, named("330106-a")), l.source(2, 2, named("330108-b"))
	w := apply(t, l, open(t), o)
	w.await(t, a.table.Source, a.apply(insert(1, "one", ""), insert(2, "two", "")))
	sql(t, c, "ALTER TABLE ods.student ADD CONSTRAINT person CHECK (_source <> '330106-a' OR name <> 'bad')")
	rows := []event.Row{insert(10, "ten", "")}
	for n := range filler {
		rows = append(rows, insert(int64(1000+n), "filler", ""))
	}
	rows = append(rows, insert(11, "bad", "<检>"), insert(12, "twelve", "\xff"), event.Row{Op: event.Update, Before: []event.Value{event.Signed(2), {}, {}},
		After: []event.Value{event.Signed(2), event.Raw([]byte("bad")), {}}}, move(1, 5, "bad"), remove(10))
	st := w.await(t, a.table.Source, a.apply(rows...))
	if st.Keys != 4 || st.Quarantined != 4 {
		t.Errorf("status %+v, want 4 rows of 4 keys", st)
	}
	w.await(t, b.table.Source, b.apply(insert(11, "bad", "")))
	want := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	const stored = "SELECT concat_ws('|', _source, id, name, note) FROM ods.student WHERE name <> 'filler' ORDER BY 1"
	want("stored", texts(t, c, stored), "330106-a|2|two|", "330108-b|11|bad|")
	if n := count(t, c, a.table.Source); n != filler+1 {
		t.Errorf("%d rows of A, want %d", n, filler+1)
	}
	const held = `SELECT concat_ws(' ', source, "table", key, position = last_position, op, "row", code, followers, last_op, last_row) FROM tributary.quarantine ORDER BY key`
	const table = "330106-a xueji.student "
	check := `new row for relation "student" violates check constraint "person"`
	want("held", texts(t, c, held), table+`[11] t c {"id":11,"name":"bad","note":"<检>"} 23514 0`, table+`[12] t c {"id":12,"name":"twelve","note":"\ufffd"} 22021 0`,
		table+`[2] t u {"id":2,"name":"bad"} 23514 0`, table+`[5] t u {"id":5,"name":"bad"} 23514 0`)
	want("errors", texts(t, c, "SELECT DISTINCT error FROM tributary.quarantine WHERE code = '23514'"), check)
	want("batches", texts(t, c, "SELECT concat_ws(' ', rows, quarantined, partial) FROM tributary.batch WHERE quarantined > 0"), fmt.Sprint(len(rows), " 4 t"))
	// A new claim knows the keys; what follows goes there even if it were accepted now.
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	sql(t, c, "ALTER TABLE ods.student DROP CONSTRAINT person")
	w = apply(t, l, open(t), o)
	st = w.await(t, a.table.Source, a.apply(update(11, "later"), move(5, 6, "good"), insert(5, "new five", ""), move(2, 3, "three"), insert(20, "twenty", ""), move(20, 12, "onto twelve"), remove(3)))
	if st.Keys != 6 || st.Quarantined != 6 {
		t.Errorf("status %+v, want 6 rows of 6 keys", st)
	}
	want("stored", texts(t, c, stored), "330106-a|2|two|", "330108-b|11|bad|")
	want("held", texts(t, c, `SELECT concat_ws(' ', key, code, followers, last_op, last_row, CASE WHEN last_batch > batch THEN 'later' END) FROM tributary.quarantine ORDER BY key`),
		`[11] 23514 1 u {"id":11,"note":"later"} later`, `[12] 22021 1 u {"id":12,"name":"onto twelve"} later`, `[2] 23514 1 d later`, `[3] KEY_MOVED 1`,
		`[5] 23514 2 c {"id":5,"name":"new five","note":""} later`, `[6] KEY_MOVED 0`)
	if got := texts(t, c, "SELECT state FROM tributary.table_state"); len(got) > 0 {
		t.Errorf("tables %q", got)
	}
}

// TestQuarantineInTheFirstPiece: what a large transaction has made for its first piece
// goes with it when a row is refused, and is made again.
func TestQuarantineInTheFirstPiece(t *testing.T) {
	bench := &bench{db: servers.Postgres(t, nil)}
	h, c := bench.fresh(t)
	l := newWritten()
	a := l.source(1, 1, named("330106-a"))
	w := apply(t, l, h.Open(t), worker.Options{SpoolDir: t.TempDir(), BatchRows: 100, SpoolBytes: 64 << 10})
	w.await(t, a.table.Source, a.apply(insert(1, "one", "")))
	sql(t, c, "ALTER TABLE ods.student ADD CHECK (name <> 'bad')")
	rows := []event.Row{insert(2, "bad", "")}
	for n := range int64(4000) {
		rows = append(rows, insert(1000+n, "filler", ""))
	}
	if st := w.await(t, a.table.Source, a.apply(rows...)); st.Keys != 1 || st.Quarantined != 1 {
		t.Errorf("status %+v, want one row of one key", st)
	}
	if n := count(t, c, a.table.Source); n != 4001 {
		t.Errorf("%d rows, want 4001", n)
	}
	if got := texts(t, c, "SELECT state FROM tributary.table_state"); len(got) > 0 {
		t.Errorf("tables %q", got)
	}
}

// TestManyRefusedRowsStopTheTable: when nearly nothing fits, it isn't the rows. Nor is
// it theirs when a person's column must not be null. What is in them isn't told.
func TestManyRefusedRowsStopTheTable(t *testing.T) {
	bench := &bench{db: servers.Postgres(t, nil)}
	for name, tt := range map[string]struct {
		sql, want string
		rows      int
	}{
		"all rows":          {"ADD CHECK (name <> 'of-a-person')", "more than 1000 rows", 1500},
		"a person's column": {"ADD extra int NOT NULL", "23502", 2},
		"another type":      {"ALTER name TYPE int USING 0", "ErrorCode", 2},
		"another value":     {"ADD COLUMN IF NOT EXISTS address inet", `type inet: "…"`, 2},
	} {
		t.Run(name, func(t *testing.T) {
			h, c := bench.fresh(t)
			s, table := h.Open(t), named("330106-a")
			claim := claimed(t, s)
			table.Columns = append(slices.Clone(table.Columns), schema.Column{Name: "address", Type: schema.Type{Kind: schema.Text, Native: "inet"}, Nullable: true})
			address := event.NullValue
			if name == "another value" {
				address = event.Raw([]byte("of-a-person"))
			}
			if _, err := s.EnsureTable(t.Context(), claim, table); err != nil {
				t.Fatal(err)
			}
			sql(t, c, "ALTER TABLE ods.student "+tt.sql)
			rows := make([]worker.NetRow, tt.rows)
			for i := range rows {
				rows[i] = worker.NetRow{New: true, Values: append(insert(int64(i), "of-a-person", "").After, address)}
			}
			err := s.Apply(t.Context(), one(claim, table, 1, rows...))
			var te *worker.TableError
			var re *worker.RowsError
			if !errors.As(err, &te) || errors.As(err, &re) || tt.want != "ErrorCode" && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want the table's error with %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "of-a-person") { // it goes to logs and status records
				t.Errorf("%v has a value", err)
			}
		})
	}
}

// TestDeferredConstraint: a row may be refused as late as at the commit.
func TestDeferredConstraint(t *testing.T) {
	bench := &bench{db: servers.Postgres(t, nil)}
	h, c := bench.fresh(t)
	l := newWritten()
	a := l.source(1, 1, named("330106-a"))
	w := apply(t, l, h.Open(t), worker.Options{SpoolDir: t.TempDir(), BatchRows: 100})
	w.await(t, a.table.Source, a.apply(insert(1, "one", "")))
	sql(t, c, "CREATE TABLE ods.names (name text PRIMARY KEY); INSERT INTO ods.names VALUES ('one'), ('two')")
	sql(t, c, "ALTER TABLE ods.student ADD FOREIGN KEY (name) REFERENCES ods.names DEFERRABLE INITIALLY DEFERRED")
	w.await(t, a.table.Source, a.apply(insert(2, "two", ""), insert(3, "three", "")))
	a.rows(250, func(i int) event.Row {
		if i == 120 {
			return insert(4, "four", "")
		}
		return insert(int64(100+i), "two", "")
	})
	w.await(t, a.table.Source, a.commit(250))
	if got := texts(t, c, "SELECT concat_ws(' ', key, code) FROM tributary.quarantine ORDER BY key"); !slices.Equal(got, []string{"[3] 23503", "[4] 23503"}) {
		t.Errorf("held %q", got)
	}
	if n := count(t, c, a.table.Source); n != 251 {
		t.Errorf("%d rows, want 251", n)
	}
}
