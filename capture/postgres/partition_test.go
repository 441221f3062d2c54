package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

func (g *rig) version() int {
	g.t.Helper()
	var n int
	if _, err := fmt.Sscan(g.texts("SHOW server_version_num")[0], &n); err != nil {
		g.t.Fatal(err)
	}
	return n / 10000
}

// partitioned makes a partitioned table with the partitions NAME_1 and NAME_2.
func (g *rig) partitioned(name string) {
	g.t.Helper()
	key := "PRIMARY KEY (id, term)"
	if g.version() < 11 { // where each partition has a key of its own
		key = "CHECK (id > 0)"
	}
	run(g.t, g.sql, fmt.Sprintf("CREATE TABLE %s (id int, term int, note text, %s) PARTITION BY LIST (term)", name, key))
	for term := range 2 {
		run(g.t, g.sql, fmt.Sprintf("CREATE TABLE %[1]s_%[2]d PARTITION OF %[1]s FOR VALUES IN (%[2]d)", name, term+1))
		if g.version() < 11 {
			run(g.t, g.sql, fmt.Sprintf("ALTER TABLE %s_%d ADD PRIMARY KEY (id, term)", name, term+1))
		}
	}
}

// testPartitioned: a partitioned table is one table where the server publishes it as
// one, and else each partition is one; load and stream agree.
func testPartitioned(t *testing.T, g *rig) {
	g.partitioned("score")
	run(t, g.sql, "INSERT INTO score VALUES (1, 1, 'a')")
	g.first()
	wants := func(op event.Op, table string, note string) {
		t.Helper()
		seg := g.busy()
		if len(seg.Rows) != 1 || seg.Rows[0].Op != op || seg.Rows[0].Table.Name != table || note != "" && string(seg.Rows[0].After[2].B) != note {
			t.Fatalf("segment %+v, %+v; want op %d of %s with %q", seg, seg.Stop, op, table, note)
		}
	}
	root := "score"
	if g.version() < 13 {
		root = "score_2"
	}
	run(t, g.sql, "INSERT INTO score VALUES (2, 2, 'b')")
	wants(event.Create, root, "b")
	if chunk := g.loaded(root, snapshot.Request{Rows: 9, Bytes: 1 << 20}); len(chunk.Rows) != map[bool]int{true: 2, false: 1}[root == "score"] {
		t.Errorf("%d rows of %s by load", len(chunk.Rows), root)
	}
	if g.version() < 13 {
		return
	}
	run(t, g.sql, "CREATE TABLE score_3 PARTITION OF score FOR VALUES IN (3) PARTITION BY HASH (id)")
	run(t, g.sql, "CREATE TABLE score_3_0 PARTITION OF score_3 FOR VALUES WITH (MODULUS 1, REMAINDER 0)")
	run(t, g.sql, "INSERT INTO score VALUES (3, 3, 'c')")
	wants(event.Create, "score", "c")
	for n := range 2 { // the partitions are looked at between the two
		run(t, g.sql, "TRUNCATE score")
		wants(event.Truncate, "score", "")
		g.watched()
		run(t, g.sql, fmt.Sprintf("INSERT INTO score VALUES (%d, 1, 'd')", n))
		wants(event.Create, "score", "d")
	}
}

// watched reads on for some looks at the partitions: three idle segments, a second apart.
func (g *rig) watched() {
	g.t.Helper()
	for range 3 {
		if seg := g.next(); seg.Kind != event.Idle {
			g.t.Fatalf("segment %+v, %+v, want an idle one", seg, seg.Stop)
		}
	}
}

// testPartitionsUnseen changes partitions in each way that the stream doesn't tell: each
// time the table is read again, once.
func testPartitionsUnseen(t *testing.T, g *rig) {
	if g.version() < 13 { // where partitions are tables of their own
		return
	}
	changes := map[int]string{
		0: "TRUNCATE p0_1",
		1: "DROP TABLE p1_2",
		2: "ALTER TABLE p2 DETACH PARTITION p2_1",
		3: "CREATE TABLE p3_3 (id int, term int, note text, PRIMARY KEY (id, term)); INSERT INTO p3_3 VALUES (9, 3, 'before'); ALTER TABLE p3 ATTACH PARTITION p3_3 FOR VALUES IN (3)",
		4: "DROP TABLE p4_1, p4_2",
		5: "CREATE TABLE p5_3 (id int, term int, note text, PRIMARY KEY (id, term)); INSERT INTO p5_3 VALUES (9, 3, 'before'); ALTER TABLE p5 ATTACH PARTITION p5_3 FOR VALUES IN (3)",
	}
	for n := range changes {
		g.partitioned(fmt.Sprintf("p%d", n))
	}
	run(t, g.sql, "DROP TABLE p5_1, p5_2")
	run(t, g.sql, "CREATE TABLE good (id int PRIMARY KEY); INSERT INTO p0 VALUES (1, 1, 'x')")
	res := g.first()
	if err := g.r.Close(); err != nil { // so that the partitions are looked at before any row comes
		t.Fatal(err)
	}
	g.inactive()
	// Rows that go with their partition, and that the stream brings all the same.
	gone := map[int]string{0: "(8, 1, 'gone')", 1: "(8, 2, 'gone')", 2: "(8, 1, 'gone')", 4: "(8, 2, 'gone')"}
	for n, sql := range changes {
		if row, there := gone[n]; there {
			run(t, g.sql, fmt.Sprintf("INSERT INTO p%d VALUES %s", n, row))
		}
		run(t, g.sql, sql)
		run(t, g.sql, fmt.Sprintf("INSERT INTO good VALUES (%d)", n))
	}
	if err := g.start(res); err != nil {
		t.Fatal(err)
	}
	flowed, deadline := 0, time.Now().Add(30*time.Second)
	for len(changes) > 0 || flowed < 6 {
		seg := g.next()
		switch {
		case seg.Kind == event.Idle && time.Now().After(deadline):
			t.Fatalf("%d good rows; not read again: %v", flowed, changes)
		case seg.Kind == event.Idle:
		case seg.Kind == event.TableAltered && seg.Altered.Reread:
			var n int
			if _, err := fmt.Sscanf(seg.Altered.Table, g.o.Database+".public.p%d", &n); err != nil || changes[n] == "" {
				t.Fatalf("%s is read again: %v", seg.Altered.Table, err)
			}
			if row, there := gone[n]; there {
				t.Errorf("p%d is read again before its row %s has come", n, row)
			}
			delete(changes, n)
		case len(seg.Rows) == 1 && seg.Rows[0].Table.Name == "good":
			flowed++
		case len(seg.Rows) == 1 && string(slot(t, seg, "note").B) == "gone":
			var n int
			if _, err := fmt.Sscanf(seg.Rows[0].Table.Name, "p%d", &n); err != nil || gone[n] == "" {
				t.Fatalf("a row of %s, %v", seg.Rows[0].Table.Name, err)
			}
			delete(gone, n)
		default:
			t.Fatalf("segment %+v, %+v", seg, seg.Stop)
		}
	}
}

// testLeftOut has columns that the stream doesn't have: those that the server computes,
// and those that a publication's list leaves out.
func testLeftOut(t *testing.T, g *rig) {
	if g.version() < 12 { // which computes no column
		return
	}
	run(t, g.sql, "CREATE TABLE computed (a int, id int PRIMARY KEY, b int GENERATED ALWAYS AS (a + 41) STORED, c text)")
	run(t, g.sql, "CREATE TABLE half (a int, b int, PRIMARY KEY (a, b))")
	run(t, g.sql, "CREATE TABLE listed (secret text, id int PRIMARY KEY, note text)")
	want := map[string][]string{"computed": {"a", "id", "c"}, "listed": {"secret", "id", "note"}}
	if g.version() >= 18 {
		want["computed"] = []string{"a", "id", "b", "c"}
	}
	if g.version() >= 15 {
		g.o.Publication = "dba"
		with := ""
		if g.version() >= 18 {
			with = " WITH (publish_generated_columns = stored)"
		}
		run(t, g.sql, "CREATE PUBLICATION dba FOR TABLE computed, listed (id, note), half (a)"+with)
		want["listed"] = []string{"id", "note"}
	}
	g.first()
	for _, name := range []string{"computed", "listed"} {
		run(t, g.sql, "INSERT INTO "+name+" (id) VALUES (1)")
		var streamed *schema.Table
		if seg := g.busy(); len(seg.Rows) == 1 {
			streamed = seg.Rows[0].Table
		} else {
			t.Fatalf("%s: segment %+v, %+v", name, seg, seg.Stop)
		}
		var got []string
		for _, c := range streamed.Columns {
			got = append(got, c.Name)
		}
		if !slices.Equal(got, want[name]) || streamed.Columns[streamed.Key[0]].Name != "id" {
			t.Errorf("%s has the columns %v, want %v", name, got, want[name])
		}
		if loaded := g.loaded(name, snapshot.Request{Rows: 9, Bytes: 1 << 20}).Rows[0].Table; loaded.Version() != streamed.Version() {
			t.Errorf("%s: load and stream have different versions:\n%+v\n%+v", name, loaded, streamed)
		}
	}
	run(t, g.sql, "INSERT INTO half VALUES (1, 2)")
	seg := g.busy()
	if g.version() < 15 {
		if len(seg.Rows) != 1 || len(seg.Rows[0].Table.Key) != 2 {
			t.Errorf("segment %+v, %+v of a table with its whole key", seg, seg.Stop)
		}
	} else if seg.Kind != event.TableStopped || seg.Stop.Code != "TABLE_NO_KEY" || !strings.Contains(seg.Stop.Reason, "leaves out a column of the key") {
		t.Errorf("segment %+v, %+v, want the table with half a key stopped", seg, seg.Stop)
	}
}

// testEnumGrows: a label that comes while the stream goes on gives the table another
// version, as the catalogue has it.
func testEnumGrows(t *testing.T, g *rig) {
	run(t, g.sql, "CREATE TYPE mark AS ENUM ('b'); CREATE DOMAIN marked AS mark; CREATE TABLE s (id int PRIMARY KEY, m mark, d marked)")
	g.first()
	expect := func(label string, labels ...string) *schema.Table {
		t.Helper()
		seg := g.busy()
		if len(seg.Rows) != 1 || string(slot(t, seg, "m").B) != label {
			t.Fatalf("segment %+v, %+v, want %q", seg, seg.Stop, label)
		}
		for _, c := range seg.Rows[0].Table.Columns[1:] {
			if !slices.Equal(c.Type.Labels, labels) {
				t.Errorf("column %s with %q has the labels %q, want %q", c.Name, label, c.Type.Labels, labels)
			}
		}
		return seg.Rows[0].Table
	}
	run(t, g.sql, "INSERT INTO s VALUES (1, 'b', 'b')")
	first := expect("b", "b")
	run(t, g.sql, "ALTER TYPE mark ADD VALUE 'a' BEFORE 'b'")
	run(t, g.sql, "INSERT INTO s VALUES (2, 'b', 'b')")
	if expect("b", "b") != first {
		t.Error("a new version without a new label")
	}
	run(t, g.sql, "UPDATE s SET m = 'a' WHERE id = 1")
	second := expect("a", "a", "b")
	run(t, g.sql, "DELETE FROM s WHERE id = 1")
	if seg := g.busy(); len(seg.Rows) != 1 || seg.Rows[0].Table != second || second.Version() == first.Version() {
		t.Errorf("segment %+v", seg)
	}
}

// testPartitionIdentity: the server names a changed row by the identity of its partition,
// which needn't be that of the whole table. A table whose partitions don't carry what is
// needed stops alone.
func testPartitionIdentity(t *testing.T, g *rig) {
	if g.version() < 13 { // where partitions are tables of their own
		return
	}
	g.o.Keyless.Append = []string{"public.logs", "public.fine"}
	run(t, g.sql, "CREATE TABLE good (id int PRIMARY KEY)")
	g.partitioned("p")
	g.partitioned("later")
	run(t, g.sql, `ALTER TABLE p_1 ALTER note SET NOT NULL; CREATE UNIQUE INDEX p_1_note ON p_1 (note); ALTER TABLE p_1 REPLICA IDENTITY USING INDEX p_1_note;
		INSERT INTO p VALUES (1, 1, 'a');
		CREATE TABLE logs (id int, term int, note text) PARTITION BY LIST (term); CREATE TABLE logs_1 PARTITION OF logs FOR VALUES IN (1); ALTER TABLE logs_1 ADD PRIMARY KEY (id);
		CREATE TABLE fine (id int, term int) PARTITION BY LIST (term); CREATE TABLE fine_1 PARTITION OF fine FOR VALUES IN (1);
		ALTER TABLE fine REPLICA IDENTITY FULL; ALTER TABLE fine_1 REPLICA IDENTITY FULL;
		ALTER TABLE logs REPLICA IDENTITY FULL; INSERT INTO logs VALUES (1, 1, 'a')`)
	g.first()
	for table, sql := range map[string]string{"p": "DELETE FROM p WHERE id = 1", "logs": "UPDATE logs SET note = 'b'"} {
		run(t, g.sql, "BEGIN; "+sql+"; INSERT INTO good SELECT count(*) FROM good; COMMIT")
		g.stops("TABLE_NO_KEY", "changes of the partition "+table+"_1 ")
	}
	// A partition is no table of its own, whose key somebody would have to name.
	run(t, g.sql, "INSERT INTO fine VALUES (1, 1)")
	if seg := g.busy(); len(seg.Rows) != 1 || !seg.Rows[0].Table.Append || seg.Rows[0].Table.Name != "fine" {
		t.Errorf("%+v, %+v, want a row of the whole table", seg, seg.Stop)
	}
	// Only its changes tell of one that got another identity later.
	run(t, g.sql, `INSERT INTO later VALUES (1, 1, 'a')`)
	if seg := g.busy(); len(seg.Rows) != 1 {
		t.Fatalf("%+v, %+v, want a row", seg, seg.Stop)
	}
	run(t, g.sql, `ALTER TABLE later_1 ALTER note SET NOT NULL; CREATE UNIQUE INDEX later_1_note ON later_1 (note); ALTER TABLE later_1 REPLICA IDENTITY USING INDEX later_1_note`)
	run(t, g.sql, "BEGIN; DELETE FROM later; INSERT INTO good SELECT count(*) FROM good; COMMIT")
	g.stops("TABLE_NO_KEY", "doesn't carry")
}

// testDroppedMeanwhile: a table that is dropped while the server looks through a
// publication's tables is no reason to stop the source.
func testDroppedMeanwhile(t *testing.T, g *rig) {
	run(t, g.sql, "CREATE TABLE stays (id int PRIMARY KEY)")
	run(t, g.sql, "CREATE TABLE gone (id int PRIMARY KEY)")
	res := g.first()
	if err := g.r.Close(); err != nil {
		t.Fatal(err)
	}
	startOverDrop(t, g, res, "gone")
}

// testDroppedAtFirst: nor one that is dropped between the list of tables and the
// publication that is made of it.
func testDroppedAtFirst(t *testing.T, g *rig) {
	run(t, g.sql, "CREATE TABLE stays (id int PRIMARY KEY)")
	run(t, g.sql, "CREATE TABLE gone (id int PRIMARY KEY)")
	startOverDrop(t, g, capture.Resume{FirstStart: true}, "gone")
}

// startOverDrop starts the reader while a table is dropped, of which it learns once it waits
// for the table; the first or the second start succeeds.
func startOverDrop(t *testing.T, g *rig, res capture.Resume, table string) {
	t.Helper()
	run(t, g.sql, "BEGIN")
	run(t, g.sql, "DROP TABLE "+table)
	ended := make(chan error, 1)
	go func() { ended <- g.start(res) }()
	var err error
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for looking := true; looking; { // before PostgreSQL 15 a second start opens no table to look
		select {
		case err = <-ended:
			looking = false
		case <-tick.C:
			if g.texts("SELECT count(*)::text FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")[0] != "0" {
				run(t, g.sql, "COMMIT")
				err, looking = <-ended, false
			}
		}
	}
	if err != nil && capture.ActionOf(err) != capture.Retry {
		t.Errorf("%v, want another try", err)
	}
	run(t, g.sql, "COMMIT") // which is done already where it waited
	if err != nil {
		err = g.start(res)
	}
	if err != nil {
		t.Error(err)
	}
}
