package preflight_test

import (
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/postgres"
	"github.com/tributary-cdc/tributary/capture/preflight"
	"github.com/tributary-cdc/tributary/test/values"
)

// none fails if the table has a finding of the code.
func none(t *testing.T, o preflight.Options, code, part string) {
	t.Helper()
	if f := found(look(t, o), code, part); f != nil {
		t.Errorf("%+v", f)
	}
}

// keysMaria: keys of the agent's file, unique indexes and logs of changes are judged as
// the reader judges them.
func keysMaria(t *testing.T, m *maria) {
	o := m.source(t, "unkeyed")
	for _, sql := range []string{"CREATE TABLE unkeyed.half (a int NOT NULL, b int, UNIQUE (a, b))", "CREATE TABLE unkeyed.whole (a int NOT NULL, c int NOT NULL, UNIQUE (c, a))",
		"CREATE TABLE unkeyed.counted (a int AUTO_INCREMENT, KEY (a))", "CREATE TABLE unkeyed.named (k varchar(9) CHARACTER SET gbk DEFAULT NULL COMMENT ' NULL of k', `when` timestamp NULL, v int)",
		"CREATE TABLE unkeyed.other (u int NOT NULL UNIQUE, k int NOT NULL)"} {
		m.run(t, sql)
	}
	none(t, o, "TABLE_NO_KEY", "whole")
	for table, agent := range map[string]string{"half": `append: ["unkeyed.half"]`, "counted": "keys: {unkeyed.counted: [a]}"} {
		f := wants(t, o, preflight.Refuses, "TABLE_NO_KEY", table)
		if last := f.Repairs[len(f.Repairs)-1]; last.Agent != agent || !last.Instead {
			t.Errorf("%s: %+v, want %s", table, f.Repairs, agent)
		}
	}
	with := func(k capture.Keyless) preflight.Options {
		c := *o.MySQL
		c.Keyless = k
		return preflight.Options{MySQL: &c}
	}
	logs := with(capture.Keyless{Append: []string{"unkeyed.*"}})
	wants(t, logs, preflight.Advice, "TABLE_APPEND", "half")
	gone(t, o, "TABLE_APPEND", "") // without that configuration
	none(t, logs, "TABLE_NO_KEY", "")
	for _, table := range []string{"whole", "student"} {
		none(t, logs, "TABLE_APPEND", table)
	}

	missing := with(capture.Keyless{Keys: map[string][]string{"unkeyed.named": {"k", "nowhere"}}})
	wants(t, missing, preflight.Refuses, "TABLE_KEY_REFUSED", `no column "nowhere"`)
	named := with(capture.Keyless{Keys: map[string][]string{"unkeyed.named": {"K", "when"}}})
	repairs(t, named, finding{code: "TABLE_KEY_REFUSED", severity: preflight.Refuses, part: `"k" NULL; keys: "when" NULL`}, m.run)
	none(t, named, "TABLE_NO_KEY", "named")

	outside := with(capture.Keyless{Keys: map[string][]string{"unkeyed.other": {"k"}}})
	none(t, outside, "IMAGE_INCOMPLETE", "other")
	m.run(t, "SET GLOBAL binlog_row_image = 'MINIMAL'")
	repairs(t, outside, finding{code: "IMAGE_INCOMPLETE", severity: preflight.Refuses, part: "keys: [k]"}, m.run)
	m.run(t, "SET GLOBAL binlog_row_image = 'FULL'")
}

// typesMaria: no type that the whole way carries is a finding.
func typesMaria(t *testing.T, m *maria) {
	o := m.source(t, "typed")
	for _, g := range values.For(m.admin.GetServerVersion()) {
		g.Name = "typed." + g.Name
		m.run(t, g.Create())
	}
	for _, f := range look(t, o).Findings {
		if !strings.HasPrefix(f.Code, "SOURCE_") && f.Code != "ROW_TOO_LARGE" {
			t.Errorf("%+v", f)
		}
	}
}

func varied(o preflight.Options, f func(*postgres.Options)) preflight.Options {
	c := *o.Postgres
	f(&c)
	return preflight.Options{Postgres: &c}
}

// keysPostgres: the same there, where changes must carry the key.
func keysPostgres(t *testing.T, e *elephant) {
	o := e.source(t, "unkeyed")
	for _, sql := range []string{"CREATE TABLE unkeyed.bare (a int)", "CREATE TABLE unkeyed.log (a int)", "CREATE TABLE unkeyed.named (k int, v int)",
		"CREATE TABLE unkeyed.indexed (k int, v int)", `CREATE UNIQUE INDEX "Index K" ON unkeyed.indexed (k)`} {
		e.run(t, sql)
	}
	f := wants(t, o, preflight.Refuses, "TABLE_NO_KEY", "bare")
	if n := len(f.Repairs); n != 4 || f.Repairs[1].SQL != `ALTER TABLE "unkeyed"."bare" REPLICA IDENTITY FULL` || f.Repairs[2].Agent != `append: ["unkeyed.bare"]` || !f.Repairs[1].Instead || !f.Repairs[2].Instead ||
		f.Repairs[3].SQL != `ALTER PUBLICATION "tributary_330106_unkeyed" ADD TABLE "unkeyed"."bare"` {
		t.Errorf("%+v", f.Repairs)
	}
	none(t, o, "PG_PUBLISHED", "bare") // before it has a key it must not be there
	with := func(k capture.Keyless) preflight.Options {
		return varied(o, func(c *postgres.Options) { c.Keyless = k })
	}
	logs := with(capture.Keyless{Append: []string{"unkeyed.log"}})
	wants(t, logs, preflight.Advice, "TABLE_APPEND", "log")
	gone(t, o, "TABLE_APPEND", "") // without that configuration
	repairs(t, logs, finding{code: "TABLE_NO_KEY", severity: preflight.Refuses, part: "unkeyed.log REPLICA IDENTITY DEFAULT"}, e.run)

	wants(t, with(capture.Keyless{Keys: map[string][]string{"unkeyed.named": {"k", "nowhere"}}}), preflight.Refuses, "TABLE_KEY_REFUSED", `no column "nowhere"`)
	for table, want := range map[string]string{"named": "FULL", "indexed": `USING INDEX "Index K"`} {
		named := with(capture.Keyless{Keys: map[string][]string{"unkeyed." + table: {"k"}}})
		f := wants(t, named, preflight.Refuses, "TABLE_KEY_REFUSED", table)
		if len(f.Repairs) < 2 || !strings.HasSuffix(f.Repairs[1].SQL, "REPLICA IDENTITY "+want) {
			t.Errorf("%+v", f.Repairs)
		}
		repairs(t, named, finding{code: "TABLE_KEY_REFUSED", severity: preflight.Refuses, part: table}, e.run)
		none(t, named, "TABLE_NO_KEY", table)
	}
	for _, sql := range []string{"DROP PUBLICATION tributary_330106_unkeyed", "DROP SCHEMA unkeyed CASCADE"} {
		e.run(t, sql)
	}
}

// partitionsPostgres: where the server publishes a partitioned table as one it is one,
// and its partitions must let updates pass; before, they are tables of their own.
func partitionsPostgres(t *testing.T, e *elephant) {
	o := e.source(t, "parted")
	e.run(t, "CREATE TABLE parted.mark (id int NOT NULL, year int NOT NULL) PARTITION BY RANGE (year)")
	e.run(t, "CREATE TABLE parted.mark_2026 PARTITION OF parted.mark FOR VALUES FROM (2026) TO (2027)")
	e.run(t, "CREATE TABLE parted.mark_2027 PARTITION OF parted.mark FOR VALUES FROM (2027) TO (2028)")
	if e.version < 130000 {
		if f := wants(t, o, preflight.Advice, "PG_PARTITION", "mark_2026"); len(f.Repairs) > 0 {
			t.Errorf("%+v", f.Repairs)
		}
		one := varied(o, func(c *postgres.Options) {
			c.Datasets = map[string]string{"parted.mark_2026": "mark", "parted.mark_2027": "mark"}
		})
		wants(t, one, preflight.Harms, "DATASET_SHARED", "parted.mark_2026, parted.mark_2027") // TRUNCATE of one would empty the other
		return
	}
	e.run(t, "ALTER TABLE parted.mark ADD PRIMARY KEY (id, year)")
	repairs(t, o, finding{code: "PG_PUBLISHED", severity: preflight.Refuses, part: "parted.mark"}, e.run)
	e.run(t, "ALTER PUBLICATION tributary_330106_parted ADD TABLE parted.mark")
	repairs(t, o, finding{code: "PG_PARTITION", severity: preflight.Harms, part: "parted.mark"}, e.run)
	wants(t, varied(o, func(c *postgres.Options) { c.Tables = []string{"parted.mark"} }), preflight.Refuses, "PG_PARTITION", "parted.mark")
	e.run(t, "ALTER PUBLICATION tributary_330106_parted SET (publish_via_partition_root = true)")
	e.run(t, "INSERT INTO parted.mark SELECT i, 2026 + i % 2 FROM generate_series(1, 100) i")
	e.run(t, "ANALYZE parted.mark_2026, parted.mark_2027")
	r := look(t, o)
	for _, code := range []string{"PG_PARTITION", "TABLE_NO_KEY", "PG_PUBLISHED"} {
		if f := found(r, code, ""); f != nil {
			t.Errorf("%+v", f)
		}
	}
	if len(r.Tables) != 2 || r.Tables[0].ID != "parted.mark" || r.Tables[0].Rows != 100 {
		t.Errorf("tables %+v", r.Tables)
	}
	e.run(t, "ALTER TABLE parted.mark_2027 REPLICA IDENTITY NOTHING")
	repairs(t, o, finding{code: "TABLE_NO_KEY", severity: preflight.Refuses, part: "_2027 REPLICA IDENTITY NOTHING"}, e.run)
	e.run(t, "ALTER TABLE parted.mark_2027 REPLICA IDENTITY DEFAULT")
}

// madePostgres: what the agent will make by itself is what its reader makes, and a
// generated column is a finding where its publication leaves it out.
func madePostgres(t *testing.T, e *elephant) {
	o := e.source(t, "made")
	for _, sql := range []string{"DROP PUBLICATION tributary_330106_made", "CREATE TABLE made.bare (a int)", "ALTER TABLE made.student OWNER TO capture", "GRANT CREATE ON DATABASE postgres TO capture"} {
		e.run(t, sql)
	}
	if e.version >= 120000 {
		e.run(t, "ALTER TABLE made.student ADD label text GENERATED ALWAYS AS (name || '!') STORED")
	}
	if e.version >= 180000 {
		e.run(t, "ALTER TABLE made.student ADD twice int GENERATED ALWAYS AS (id * 2) VIRTUAL")
	}
	r := look(t, o)
	create := r.Makes[len(r.Makes)-1].SQL
	if want := postgres.CreatePublication(e.version, "tributary_330106_made", []string{`"made"."student"`}); create != want {
		t.Errorf("makes %s, want %s", create, want)
	}
	f := found(r, "PG_GENERATED", "student")
	switch {
	case e.version < 120000 && f != nil, e.version >= 120000 && f == nil:
		t.Errorf("%+v", f)
	case f != nil && f.Found != map[bool]string{true: "twice VIRTUAL", false: "label"}[e.version >= 180000]:
		t.Errorf("%+v", f)
	}
	e.run(t, create)
	none(t, o, "PG_PUBLISHED", "")
	e.run(t, "REVOKE CREATE ON DATABASE postgres FROM capture")
	e.run(t, "DROP PUBLICATION tributary_330106_made")
	e.run(t, "DROP SCHEMA made CASCADE")
}
