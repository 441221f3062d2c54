package postgres_test

import (
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

// shape is a version of a table of one source in the dataset "pupil": its columns behind
// the key, as "name kind".
func shape(source string, columns ...string) *schema.Table {
	t := &schema.Table{Source: source, Dataset: "pupil", Database: "xueji", Name: "pupil", Key: []int{0}, Columns: []schema.Column{{Name: "id", Type: schema.Type{Kind: schema.Int64}}}}
	for _, c := range columns {
		name, kind, _ := strings.Cut(c, " ")
		k, err := schema.ParseKind(kind)
		if err != nil {
			panic(err) // the test's own columns
		}
		t.Columns = append(t.Columns, schema.Column{Name: name, Type: schema.Type{Kind: k}, Nullable: true})
	}
	return t
}

// change is a row of numbers and texts, in the order of the columns.
func change(op event.Op, values ...any) event.Row {
	image := make([]event.Value, len(values))
	for i, v := range values {
		switch v := v.(type) {
		case int:
			image[i] = event.Signed(int64(v))
		case string:
			image[i] = event.Raw([]byte(v))
		case nil:
			image[i] = event.NullValue
		}
	}
	if op == event.Delete {
		return event.Row{Op: op, Before: image}
	}
	return event.Row{Op: op, After: image}
}

func many(n, from int, f func(i int) event.Row) []event.Row {
	out := make([]event.Row, n)
	for i := range out {
		out[i] = f(from + i)
	}
	return out
}

func pupils(t *testing.T, c *pgx.Conn, where string) []string {
	return texts(t, c, "SELECT to_jsonb(p) - '{_source,_position,_op,_committed_at,_applied_at,_batch}'::text[] || '{}' FROM ods.pupil p WHERE "+where+" ORDER BY id")
}

func typesOf(t *testing.T, c *pgx.Conn) string {
	return strings.Join(texts(t, c, "SELECT attname || ' ' || format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'ods.pupil'::regclass AND attnum > 0 AND attname !~ '^_' ORDER BY attname"), ", ")
}

// TestEvolve has a table change while its rows come, in few rows and many, in batches
// and in pieces of a large transaction.
func TestEvolve(t *testing.T) {
	b := &bench{db: servers.Postgres(t, nil)}
	for name, o := range map[string]worker.Options{"batches": {}, "pieces": {BatchRows: 7}} {
		for _, n := range []int{3, 150} {
			t.Run(fmt.Sprintf("%s of %d", name, n), func(t *testing.T) {
				h, c := b.fresh(t)
				evolves(t, h.Open(t), c, n, o)
			})
		}
	}
}

func evolves(t *testing.T, s worker.Store, c *pgx.Conn, n int, o worker.Options) {
	l := newWritten()
	o.SpoolDir = t.TempDir()
	v1, v2, v3 := shape("s1", "name string", "n int8"), shape("s1", "n int32", "name string", "more string"), shape("s1", "n int64", "more string")
	w := l.source(1, 1, v1)
	w.apply(many(n, 0, func(i int) event.Row { return change(event.Create, i, "a", i%100) })...)
	w.become(2, v2) // a column more, another wider, in another order
	w.apply(many(n, 0, func(i int) event.Row { return change(event.Update, i, 1000*i, "b", "m") })...)
	w.become(3, v3) // a column less
	// A change of the table within a transaction, and back: what comes last counts.
	w.rows(n, func(i int) event.Row { return change(event.Create, 1000+i, i<<40, "m") })
	w.become(4, shape("s1", "n int64", "more string", "t bool"))
	w.rows(n, func(i int) event.Row { return change(event.Update, 1000+i, i, "x", 1) })
	w.become(3, v3)
	w.rows(n, func(i int) event.Row { return change(event.Update, 1000+i, -i, "y") })
	at := w.commit(3 * n)
	a := apply(t, l, s, o)
	a.await(t, "s1", at)
	if got, want := typesOf(t, c), "id bigint, more text, n bigint, name text, t boolean"; got != want {
		t.Errorf("columns %s, want %s", got, want)
	}
	var want []string
	for i := range n {
		want = append(want, fmt.Sprintf(`{"n": %d, "t": null, "id": %d, "more": "m", "name": "b"}`, 1000*i, i))
	}
	for i := range n { // t is no longer filled, and stays
		want = append(want, fmt.Sprintf(`{"n": %d, "t": true, "id": %d, "more": "y", "name": null}`, -i, 1000+i))
	}
	if got := pupils(t, c, "true"); !slices.Equal(got, want) {
		t.Errorf("rows %q, want %q", got, want)
	}
	if got := texts(t, c, "SELECT count(*) || ' ' || count(*) FILTER (WHERE current) FROM tributary.schema_version"); got[0] != "4 1" {
		t.Errorf("versions, and present ones: %s", got)
	}
	if got := texts(t, c, "SELECT code FROM tributary.anomaly UNION ALL SELECT error FROM tributary.table_state"); len(got) > 0 {
		t.Errorf("trouble %q", got)
	}
}

// TestLossyChanges halts a table at the transaction that brings a change which loses
// something; a person's order to read it again accepts that.
func TestLossyChanges(t *testing.T) {
	b := &bench{db: servers.Postgres(t, nil)}
	for name, tt := range map[string]struct {
		columns []string
		text    string
		repair  string // of the store's table, where it must be altered
	}{
		"narrowed": {[]string{"n int16", "name string"}, `column "n": int32 → int16`, ""},
		"sign":     {[]string{"n uint32", "name string"}, `column "n": int32 → uint32`, ""},
		"type":     {[]string{"n int32", "name date"}, `column "name": string → date`, "ALTER TABLE ods.pupil ALTER name TYPE date USING NULL"},
	} {
		t.Run(name, func(t *testing.T) {
			h, c := b.fresh(t)
			l := newWritten()
			w, other := l.source(1, 1, shape("s1", "n int32", "name string")), l.source(1, 2, named("s2"))
			w.apply(change(event.Create, 1, 70000, "a"))
			w.apply(change(event.Create, 2, 2, "b"))
			w.become(3, shape("s1", tt.columns...))
			value := any("c")
			if name == "type" {
				value = 10
			}
			since := w.apply(change(event.Create, 3, 3, value))
			at, beside := w.apply(change(event.Delete, 1, 1, value)), other.apply(insert(1, "x", ""))
			a := apply(t, l, h.Open(t), worker.Options{SpoolDir: t.TempDir()})
			if st := a.await(t, "s1", at); st.Held != 2 || st.Skipped != 0 {
				t.Errorf("%d rows held and %d skipped, want 2 and 0", st.Held, st.Skipped)
			}
			a.await(t, "s2", beside)
			halt := texts(t, c, "SELECT since_position || ' ' || error FROM tributary.table_state WHERE state = 'halted'")
			if len(halt) != 1 || !strings.HasPrefix(halt[0], since.String()+" ") || !strings.Contains(halt[0], tt.text) || !strings.Contains(halt[0], "[SCHEMA_CHANGE_REFUSED]") {
				t.Errorf("halted: %q, want since %s with %s", halt, since, tt.text)
			}
			if got := texts(t, c, "SELECT id::text FROM ods.pupil ORDER BY id"); fmt.Sprint(got) != "[1 2]" {
				t.Errorf("rows before the change: %q", got)
			}
			w.loads(event.Load{Table: "xueji.pupil", Dataset: "pupil", Since: place1(w.at + 1), Sweep: true}) // not ordered: it stays refused
			if a.await(t, "s1", w.apply(change(event.Read, 2, 2, value))); len(texts(t, c, "SELECT error FROM tributary.table_state WHERE state = 'halted'")) != 1 {
				t.Error("a load that nobody ordered accepted the change")
			}
			if tt.repair != "" {
				sql(t, c, tt.repair)
			}
			begin := event.Load{Table: "xueji.pupil", Dataset: "pupil", Since: place1(w.at + 1), Sweep: true, Ordered: true}
			w.loads(begin)
			w.apply(change(event.Read, 2, 2, value), change(event.Read, 3, 3, value))
			end := begin
			end.Phase = event.LoadEnded
			a.await(t, "s1", w.loads(end))
			if got := texts(t, c, "SELECT id::text FROM ods.pupil ORDER BY id"); fmt.Sprint(got) != "[2 3]" {
				t.Errorf("rows after the load: %q", got)
			}
			if got := texts(t, c, "SELECT error FROM tributary.table_state"); len(got) > 0 {
				t.Errorf("after the load: %q", got)
			}
		})
	}
}

// TestOneDatasetOfTwoSources: the table holds what either has. What doesn't go together
// stops the later one, and names both.
func TestOneDatasetOfTwoSources(t *testing.T) {
	b := &bench{db: servers.Postgres(t, nil)}
	h, c := b.fresh(t)
	l := newWritten()
	w1 := l.source(1, 1, shape("s1", "n int64", "a string"))
	first := func(i int) event.Row { return change(event.Create, i, i, "a") }
	a := apply(t, l, h.Open(t), worker.Options{SpoolDir: t.TempDir()})
	a.await(t, "s1", w1.apply(many(150, 0, first)...))
	w2 := l.source(1, 2, shape("s2", "b string", "n decimal"))
	a.await(t, "s2", w2.apply(change(event.Create, 1, "b", "12345678901234567890.5")))
	// The first source's plan was made for bigint: its bytes must not be taken for a numeric.
	a.await(t, "s1", w1.apply(many(150, 1000, first)...))
	if got, want := typesOf(t, c), "a text, b text, id bigint, n numeric"; got != want {
		t.Errorf("columns %s, want %s", got, want)
	}
	if got := texts(t, c, "SELECT count(*) FILTER (WHERE n = id) || ' ' || count(*) FROM ods.pupil WHERE _source = 's1'"); got[0] != "300 300" {
		t.Errorf("rows of s1 that are as they were written, and all: %s", got)
	}
	if got := pupils(t, c, "_source = 's2'"); fmt.Sprint(got) != `[{"a": null, "b": "b", "n": 12345678901234567890.5, "id": 1}]` {
		t.Errorf("rows of s2: %q", got)
	}
	w3 := l.source(1, 3, shape("s3", "n json"))
	a.await(t, "s3", w3.apply(change(event.Create, 1, "[]")))
	halt := texts(t, c, "SELECT source || ' ' || error FROM tributary.table_state WHERE state = 'halted'")
	if len(halt) != 1 || !strings.HasPrefix(halt[0], "s3 ") || !strings.Contains(halt[0], "is numeric for s1 xueji.pupil, s2 xueji.pupil, wanted json") {
		t.Errorf("halted: %q", halt)
	}
}
