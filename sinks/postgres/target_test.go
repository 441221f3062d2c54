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
	"github.com/tributary-cdc/tributary/test/servers"
)

// contract gives the suite's dataset the key of its contract.
var contract = map[string]postgres.Layout{"student": {Key: postgres.KeyContract}}

func TestTargets(t *testing.T) {
	b := &bench{db: servers.Postgres(t, nil)}
	t.Run("two sources, one table, same keys", func(t *testing.T) { apart(t, b) })
	t.Run("what a mirror can't be", func(t *testing.T) { noMirror(t, b) })
	t.Run("another target needs another load", func(t *testing.T) { moved(t, b) })
	t.Run("a load that doesn't name its place", func(t *testing.T) { nameless(t, b) })
	t.Run("two tables of a source for one", func(t *testing.T) { h, _ := b.fresh(t); twoForOne(t, h.Open(t)) })
	t.Run("quarantine in a mirror", func(t *testing.T) { mirroredQuarantine(t, b) })
	t.Run("shared keys, the order of the log", func(t *testing.T) { h, c := b.laid(t, "", contract); takeTurns(t, h, c) })
	for _, n := range []int{1, 150} {
		t.Run(fmt.Sprintf("attack 30, %d pupils move", n), func(t *testing.T) { h, c := b.laid(t, "", contract); pupilsMove(t, h.Open(t), c, int64(n)) })
	}
}

// sources write batches of sources to one store.
type sources struct {
	*testing.T
	s     worker.Store
	claim worker.Claim
	at    map[string]uint64
}

func newSources(t *testing.T, s worker.Store, tables ...*schema.Table) *sources {
	t.Helper()
	w := &sources{T: t, s: s, claim: claimed(t, s), at: map[string]uint64{}}
	for _, table := range tables {
		if _, err := s.EnsureTable(t.Context(), w.claim, table); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// apply writes one batch, whose changes follow each other.
func (w *sources) apply(changes ...worker.TableChange) {
	w.Helper()
	b := &worker.Batch{Claim: w.claim}
	for _, c := range changes {
		c.Source = c.Table.Source
		from := event.Position{}
		if n := w.at[c.Source]; n > 0 {
			from = event.Position{Epoch: 1, Place: event.Place{Offset: n}}
		}
		w.at[c.Source]++
		to := event.Position{Epoch: 1, Place: event.Place{Offset: w.at[c.Source]}}
		for i := range c.Upserts {
			c.Upserts[i].Position, c.Upserts[i].Committed = to, time.Unix(1, 0)
		}
		b.Tables = append(b.Tables, c)
		if i := slices.IndexFunc(b.Steps, func(s worker.Step) bool { return s.Source.ID == c.Source }); i >= 0 {
			b.Steps[i].To = to
		} else {
			b.Steps = append(b.Steps, worker.Step{Source: event.Source{ID: c.Source}, From: from, To: to, Committed: time.Unix(1, 0)})
		}
	}
	if err := w.s.Apply(w.Context(), b); err != nil {
		w.Fatal(err)
	}
}

// inserted, updated and deleted are changes of n rows with the keys from 1 on.
func inserted(t *schema.Table, n int64, name string) worker.TableChange {
	c := worker.TableChange{Table: t}
	for i := range n {
		c.Upserts = append(c.Upserts, worker.NetRow{Op: event.Create, New: true, Values: []event.Value{event.Signed(i + 1), event.Raw([]byte(name)), event.Raw([]byte("note"))}})
	}
	return c
}

func updated(t *schema.Table, n int64, name string, note event.Value) worker.TableChange {
	c := inserted(t, n, name)
	for i := range c.Upserts {
		u := &c.Upserts[i]
		u.Op, u.New, u.Base, u.Values[2] = event.Update, false, []event.Value{u.Values[0]}, note
	}
	return c
}

func deleted(t *schema.Table, n int64) worker.TableChange {
	c := worker.TableChange{Table: t}
	for i := range n {
		c.Deletes = append(c.Deletes, []event.Value{event.Signed(i + 1)})
	}
	return c
}

// apart: two sources have the same table and the same keys. By default and as mirrors
// neither sees the other's rows; a truncate and the end of a load touch only their own.
func apart(t *testing.T, b *bench) {
	for target, from := range map[postgres.Target]func(source string) string{
		postgres.TargetDataset: func(source string) string { return "ods.student WHERE _source = '" + source + "'" },
		postgres.TargetMirror:  func(source string) string { return `"` + source + `".student` },
	} {
		for _, n := range []int64{3, 150} {
			h, c := b.laid(t, target, nil)
			one, two := named("330106-a"), named("330106-b")
			w := newSources(t, h.Open(t), one, two)
			w.apply(inserted(one, n, "one"), inserted(two, n, "two"))
			w.apply(updated(one, n, "ONE", event.Value{}), deleted(two, 2))
			w.apply(worker.TableChange{Table: two, Truncate: true})
			w.apply(inserted(two, 1, "again"))
			for table, want := range map[*schema.Table]string{one: fmt.Sprint(n, " ONE 330106-a"), two: "1 again 330106-b"} {
				got := texts(t, c, "SELECT concat_ws(' ', count(*), name, _source) FROM "+from(table.Source)+" GROUP BY name, _source")
				if !slices.Equal(got, []string{want}) {
					t.Errorf("%s, %s: %q, want %q", target, table.Source, got, want)
				}
			}
			s := w.s.(*postgres.Store)
			found, err := s.Trace(t.Context(), "student", []string{"1"})
			if err != nil || len(found) != 2 || found[0].Source != one.Source || found[1].Source != two.Source {
				t.Errorf("%s: traced %+v, %v", target, found, err)
			}
			v := s.Viewer()
			sets, err := v.Datasets(t.Context(), nil)
			if err != nil || len(sets) != 1 || sets[0].Name != "student" || !slices.Equal(sets[0].Key, []string{"id"}) {
				t.Errorf("%s: datasets %+v, %v", target, sets, err)
			}
			if err := v.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if key := texts(t, c, `SELECT string_agg(a.attname, ' ' ORDER BY o) FROM pg_index i, unnest(i.indkey) WITH ORDINALITY k(n, o), pg_attribute a WHERE i.indisprimary
				AND i.indrelid = '`+strings.Fields(from(one.Source))[0]+`'::regclass AND a.attrelid = i.indrelid AND a.attnum = k.n`); target == postgres.TargetMirror && key[0] != "id" || target == postgres.TargetDataset && key[0] != "_source id" {
				t.Errorf("%s: the key is %q", target, key)
			}
		}
	}
}

// noMirror: names that are too long, have another purpose, or are somebody else's.
func noMirror(t *testing.T, b *bench) {
	h, c := b.laid(t, postgres.TargetMirror, map[string]postgres.Layout{"rest": {Target: postgres.TargetDataset}})
	w := newSources(t, h.Open(t))
	if _, err := c.Exec(t.Context(), `CREATE SCHEMA "330106-full"; CREATE TABLE "330106-full".diary (); CREATE SCHEMA "330106-empty"`); err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]string{
		"330106-" + strings.Repeat("x", 56): "",
		"330106-" + strings.Repeat("x", 57): "64 bytes",
		"ods":                               "another purpose", "tributary": "another purpose", "pg_school-a": "another purpose", "information_schema": "another purpose",
		"330106-full": "no mirror's", "330106-empty": "",
	} {
		_, err := w.s.EnsureTable(t.Context(), w.claim, named(source))
		var te *worker.TableError
		if want == "" && err != nil || want != "" && (!errors.Is(err, worker.ErrTableRefused) || !errors.As(err, &te) || !strings.Contains(err.Error(), want)) {
			t.Errorf("source %s: %v, want %q", source, err, want)
		}
	}
	// What is no mirror minds none of that.
	rest := named("330106-" + strings.Repeat("x", 57))
	rest.Dataset, rest.Name = "rest", "rest"
	if _, err := w.s.EnsureTable(t.Context(), w.claim, rest); err != nil {
		t.Error(err)
	}
	if got := texts(t, c, "SELECT concat_ws(' ', target, schema, name) FROM tributary.target WHERE name = 'rest'"); !slices.Equal(got, []string{"dataset ods rest"}) {
		t.Errorf("noted %q", got)
	}
}

// moved: where a table's rows stand is known, so that another target in the file can't
// begin an empty table in silence. Reading the table again moves it.
func moved(t *testing.T, b *bench) {
	h, c := b.fresh(t)
	table := named("330106-a")
	w := newSources(t, h.Open(t), table)
	w.apply(inserted(table, 2, "one"))
	s, err := postgres.New(postgres.Options{Host: b.db.Host, Port: b.db.Port, Database: c.Config().Database, User: b.db.User, Password: b.db.Password, Target: postgres.TargetMirror})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // only the test's end waits for it
	w.s, w.claim = s, claimed(t, s)
	if _, err := s.EnsureTable(t.Context(), w.claim, table); !errors.Is(err, worker.ErrTableRefused) || !strings.Contains(err.Error(), "ods.student") {
		t.Fatalf("%v, want where the rows stand", err)
	}
	load := worker.Load{Source: table.Source, Load: event.Load{Table: table.ID(), Dataset: table.Dataset, Phase: event.LoadBegun, Since: event.Position{Epoch: 1, Place: event.Place{Offset: 9}}}}
	step := worker.Step{Source: event.Source{ID: table.Source}, From: event.Position{Epoch: 1, Place: event.Place{Offset: 1}}, To: event.Position{Epoch: 1, Place: event.Place{Offset: 2}}}
	if err := s.Apply(t.Context(), &worker.Batch{Claim: w.claim, Steps: []worker.Step{step}, Loads: []worker.Load{load}}); err != nil {
		t.Fatal(err)
	}
	w.at[table.Source] = 2
	if _, err := s.EnsureTable(t.Context(), w.claim, table); err != nil {
		t.Fatal(err)
	}
	w.apply(inserted(table, 2, "again"))
	if got := texts(t, c, `SELECT name FROM "330106-a".student ORDER BY id`); !slices.Equal(got, []string{"again", "again"}) {
		t.Errorf("the mirror has %q", got)
	}
}

// nameless: older agents ordered a table to be read again without the store's name for it.
// It stands where it stood, also for the next worker.
func nameless(t *testing.T, b *bench) {
	h, c := b.laid(t, postgres.TargetMirror, nil)
	table := named("330106-a")
	w := newSources(t, h.Open(t), table)
	w.apply(inserted(table, 2, "one"))
	load := worker.Load{Source: table.Source, Load: event.Load{Table: table.ID(), Phase: event.LoadBegun, Sweep: true, Since: event.Position{Epoch: 1, Place: event.Place{Offset: 1}, Index: 1}}}
	step := worker.Step{Source: event.Source{ID: table.Source}, From: event.Position{Epoch: 1, Place: event.Place{Offset: 1}}, To: event.Position{Epoch: 1, Place: event.Place{Offset: 2}}}
	if err := w.s.Apply(t.Context(), &worker.Batch{Claim: w.claim, Steps: []worker.Step{step}, Loads: []worker.Load{load}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.s.EnsureTable(t.Context(), w.claim, table); err != nil {
		t.Error(err)
	}
	if got := texts(t, c, `SELECT concat_ws(' ', target, schema, name) FROM tributary.target`); !slices.Equal(got, []string{"mirror 330106-a student"}) {
		t.Errorf("it stands in %q", got)
	}
}

// twoForOne: a truncate or a load of the one would take the other's rows.
func twoForOne(t *testing.T, s worker.Store) {
	w, other := newSources(t, s, named("330106-a")), named("330106-a")
	other.Database = "old"
	if _, err := s.EnsureTable(t.Context(), w.claim, other); !errors.Is(err, worker.ErrTableRefused) || !strings.Contains(err.Error(), "xueji.student") {
		t.Errorf("%v, want the table that has it", err)
	}
}

// pupilsMove: school B has enrolled pupils; what school A still says of them, which it
// removes later, doesn't touch B's rows. A that enrols one again has it again.
func pupilsMove(t *testing.T, s worker.Store, c *pgx.Conn, n int64) {
	a, b := named("330106-a"), named("330106-b")
	w := newSources(t, s, a, b)
	want := func(when, rows string) {
		t.Helper()
		if got := strings.Join(texts(t, c, "SELECT concat_ws(' ', _source, name, count(*)) FROM ods.student GROUP BY _source, name ORDER BY 1"), ", "); got != rows {
			t.Errorf("%s: %s, want %s", when, got, rows)
		}
	}
	w.apply(inserted(a, n, "at A"))
	w.apply(inserted(b, n, "at B"))
	want("B has enrolled", fmt.Sprint("330106-b at B ", n))
	w.apply(updated(a, n, "left", event.Raw([]byte("whole"))))
	w.apply(updated(a, n, "left", event.Value{}))
	moved := updated(a, n, "left", event.Raw([]byte("x")))
	for i := range moved.Upserts { // onto a key that B has
		moved.Upserts[i].Base = []event.Value{event.Signed(int64(i) + 1000)}
	}
	w.apply(moved)
	want("A changes what isn't its own any more", fmt.Sprint("330106-b at B ", n))
	w.apply(deleted(a, n))
	want("A has deleted", fmt.Sprint("330106-b at B ", n))
	w.apply(worker.TableChange{Table: a, Truncate: true})
	want("A has truncated", fmt.Sprint("330106-b at B ", n))
	again := inserted(a, n, "read again")
	again.Loading = true
	for i := range again.Upserts {
		again.Upserts[i].Op, again.Upserts[i].New = event.Read, false
	}
	w.apply(again)
	want("A is read again", fmt.Sprint("330106-b at B ", n))
	w.apply(updated(b, n, "still at B", event.Value{}))
	want("B goes on", fmt.Sprint("330106-b still at B ", n))
	got := texts(t, c, "SELECT concat_ws(' ', source, code, rows) FROM tributary.anomaly ORDER BY id")
	if lost := fmt.Sprint("330106-a ROW_OF_ANOTHER ", n); !slices.Equal(got, []string{lost, lost, lost, lost}) {
		t.Errorf("anomalies %q, want four times %q", got, lost)
	}
	w.apply(inserted(a, n, "back at A"))
	want("A has enrolled them again", fmt.Sprint("330106-a back at A ", n))
	w.apply(deleted(b, n))
	want("B has deleted", fmt.Sprint("330106-a back at A ", n))
	w.apply(deleted(a, n))
	want("nobody has them", "")
}

// takeTurns: transactions of two sources on the same keys are written as the log has
// them, also within one batch.
func takeTurns(t *testing.T, h sinktest.Harness, c *pgx.Conn) {
	l := newWritten()
	a, b := l.source(1, 1, named("330106-a")), l.source(2, 2, named("330106-b"))
	b.apply(insert(1, "b", ""), insert(2, "b", ""))
	a.apply(insert(1, "a", ""), insert(2, "a", ""), insert(3, "a", ""))
	b.apply(remove(1), insert(1, "b again", ""))
	a.apply(move(2, 2, "a later"), move(1, 1, "not a's"))
	last := b.apply(move(2, 2, "not b's"))
	w := apply(t, l, h.Open(t), worker.Options{SpoolDir: t.TempDir(), BatchRows: 100, Shared: func(dataset string) bool { return dataset == "student" }})
	w.await(t, b.table.Source, last)
	const stored = "SELECT concat_ws(' ', id, _source, name) FROM ods.student WHERE id < 100 ORDER BY id"
	if got, want := texts(t, c, stored), []string{"1 330106-b b again", "2 330106-a a later", "3 330106-a a"}; !slices.Equal(got, want) {
		t.Errorf("stored %q, want %q", got, want)
	}
	if got := texts(t, c, "SELECT count(*)::text FROM tributary.batch"); got[0] != "1" {
		t.Errorf("%s batches: the order within one isn't tested", got[0])
	}
	// A large one and a small one on its keys: none of them has to be rolled back, because
	// they would wait for each other.
	const backends = "SELECT backend FROM tributary.claim"
	for n := range 3 {
		at, before := int64(10_000*(n+1)), texts(t, c, backends)
		a.rows(5000, func(i int) event.Row { return insert(at+int64(i), "large", "") })
		first := a.commit(5000)
		for slices.Equal(texts(t, c, backends), before) { // until the large one has begun
		}
		last := b.apply(insert(at, "small", ""), insert(at+4999, "small", ""))
		w.await(t, a.table.Source, first)
		w.await(t, b.table.Source, last)
	}
	if got := texts(t, c, "SELECT count(*)::text FROM ods.student WHERE id > 100"); got[0] != "15000" {
		t.Errorf("%s rows, want 15000", got[0])
	}
	if got := texts(t, c, "SELECT fence::text FROM tributary.claim"); got[0] != "1" {
		t.Errorf("the partition was claimed %s times: something was rolled back", got[0])
	}
}

// mirroredQuarantine: rows that a mirror refuses are kept apart by their key, by each way
// of writing; the other source's row of the same key is applied. A table that a person has
// altered stops alone.
func mirroredQuarantine(t *testing.T, bench *bench) {
	for _, n := range []int{3, 400} {
		h, c := bench.laid(t, postgres.TargetMirror, nil)
		l := newWritten()
		a, b := l.source(1, 1, named("330106-a")), l.source(2, 2, named("330106-b"))
		o := worker.Options{SpoolDir: t.TempDir(), BatchRows: 300}
		w := apply(t, l, h.Open(t), o)
		w.await(t, a.table.Source, a.apply(insert(1, "one", "")))
		sql(t, c, `ALTER TABLE "330106-a".student ADD CHECK (name <> 'bad')`)
		var rows []event.Row
		for i := range n {
			rows = append(rows, insert(int64(1000+i), "good", ""))
		}
		st := w.await(t, a.table.Source, a.apply(append(rows, insert(2, "bad", ""), move(1, 1, "bad"))...))
		w.await(t, b.table.Source, b.apply(insert(1, "bad", ""), insert(2, "bad", "")))
		if st.Keys != 2 || st.Quarantined != 2 {
			t.Errorf("%d rows: status %+v, want two keys", n, st)
		}
		if got := texts(t, c, `SELECT concat_ws(' ', source, "table", key) FROM tributary.quarantine ORDER BY 1`); !slices.Equal(got, []string{"330106-a xueji.student [1]", "330106-a xueji.student [2]"}) {
			t.Errorf("%d rows: held %q", n, got)
		}
		const stored = `SELECT concat_ws(' ', _source, name, count(*)) FROM (TABLE "330106-a".student UNION ALL TABLE "330106-b".student) s GROUP BY _source, name ORDER BY 1`
		if got, want := texts(t, c, stored), []string{fmt.Sprint("330106-a good ", n), "330106-a one 1", "330106-b bad 2"}; !slices.Equal(got, want) {
			t.Errorf("%d rows: stored %q, want %q", n, got, want)
		}
		sql(t, c, `ALTER TABLE "330106-a".student RENAME name TO xm`)
		w.await(t, a.table.Source, a.apply(insert(5, "five", "")))
		w.await(t, b.table.Source, b.apply(insert(5, "five", "")))
		if got := texts(t, c, `SELECT concat_ws(' ', source, "table", state) FROM tributary.table_state`); !slices.Equal(got, []string{"330106-a xueji.student halted"}) {
			t.Errorf("%d rows: tables %q", n, got)
		}
	}
}
