package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestJSONCodec: an agent that writes JSON, and a worker that applies it as it
// applies Avro and serves the registry beside. The agent orders a verification of one
// table by itself, without a column in which the store differs.
func TestJSONCodec(t *testing.T) {
	db := servers.Postgres(t, nil)
	admin := connect(t, db, "postgres")
	mustExec(t, admin, "CREATE DATABASE renshi")
	mustExec(t, admin, "CREATE DATABASE city")
	source := connect(t, db, "renshi")
	mustExec(t, source, tables)
	mustExec(t, source, `CREATE TABLE kinds (id bigint PRIMARY KEY, t text, b bytea, n numeric, f float8, r real, ok bool, d date, z timestamptz, dt timestamp, tm time, u uuid, j jsonb, a int[], long text)`)
	bin, dir := program.Build(t), t.TempDir()
	logPort, registryPort := program.Port(t), program.Port(t)
	broker := fmt.Sprintf("127.0.0.1:%d", logPort)
	procs := []*program.Process{
		{Name: "log", Args: []string{"log", "--config", program.Write(t, filepath.Join(dir, "log.yml"), "data_dir: %s\nport: %d\n", filepath.Join(dir, "log"), logPort)}},
		{Name: "agent", Args: []string{"agent", "--config", program.Write(t, filepath.Join(dir, "agent.yml"), `
name: a1
org: "330108"
codec: json
data_dir: %s
log: {brokers: [%q], embedded: true}
sources:
  - {name: renshi, engine: postgres, host: 127.0.0.1, port: %d, database: renshi, user: postgres, password_env: TRIBUTARY_TEST_PASSWORD, tables: ["public.*"], first_start: now, verify: {every: 10s, tables: ["public.k*"], without: {public.kinds: [long]}}}
`, filepath.Join(dir, "agent"), broker, db.Port)}},
		{Name: "city", Args: []string{"worker", "--config", program.Write(t, filepath.Join(dir, "city.yml"), `
name: city
orgs: ["330108"]
registry: 127.0.0.1:%d
log: {brokers: [%q], embedded: true}
store: {host: 127.0.0.1, port: %d, database: city, user: postgres, password_env: TRIBUTARY_TEST_PASSWORD}
`, registryPort, broker, db.Port)}},
	}
	for _, p := range procs {
		p.Start(t, bin, dir, db.Password)
	}
	await(t, "the slot", func() bool {
		return slices.Equal(column(t, admin, `SELECT count(*)::text FROM pg_replication_slots WHERE active AND confirmed_flush_lsn IS NOT NULL`), []string{"1"})
	})
	mustExec(t, source, `INSERT INTO school SELECT '2133' || lpad(i::text, 6, '0'), '学校' || i, 0 FROM generate_series(0, $1 - 1) i`, schools)
	for _, sql := range []string{
		`INSERT INTO kinds VALUES
			(1, E'镕喆 "引" \\ / \t\r\n\b\f' || chr(1) || chr(31) || chr(127), '\x00ff0a', 'NaN', 'Infinity', '-0', true, 'infinity', '-infinity', '0044-03-15 12:00:00 BC', '24:00:00', gen_random_uuid(), '{"a": [1, null]}', '{1,NULL}', NULL),
			(9223372036854775807, '', '', 12345678901234567890.123456789, 'NaN', 3.4028235e38, false, '4713-01-01 BC', '12026-09-01 08:00:00.123456+08', 'infinity', '00:00:00.000001', NULL, '1', '{}', NULL),
			(-9223372036854775808, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`,
		`INSERT INTO kinds (id, t, long) SELECT i, 'x', string_agg(md5(i || ':' || n), '') FROM generate_series(10, 19) i, generate_series(1, 400) n GROUP BY i`,
		`UPDATE kinds SET t = 'y' WHERE id BETWEEN 10 AND 17`, // their long text isn't sent again
		`UPDATE kinds SET id = id + 100 WHERE id BETWEEN 10 AND 12`,
		`DELETE FROM kinds WHERE id = 13`,
	} {
		mustExec(t, source, sql)
	}
	w := &workload{c: source, rng: rand.New(rand.NewPCG(seed(t), 5))}
	for w.txns < 60 || column(t, source, "SELECT count(*)::text FROM score")[0] == "0" {
		if err := w.step(t.Context()); err == nil {
			w.txns++
		} else if !errors.Is(err, errAbandon) {
			t.Fatal(err)
		}
	}
	city := connect(t, db, "city")
	await(t, "the store's tables", func() bool {
		return slices.Equal(column(t, city, `SELECT count(*)::text FROM pg_tables WHERE schemaname = 'ods' AND tablename IN ('school', 'student', 'score', 'kinds')`), []string{"4"})
	})
	compare(t, source, city, "city")
	row := "SELECT ROW(id, t, b, n, f, r, ok, d, z, dt, tm, u, j, a, long)::text x FROM %s ORDER BY id"
	want := column(t, source, fmt.Sprintf(row, "kinds"))
	var got []string
	if !within(20*time.Second, func() bool { got = column(t, city, fmt.Sprintf(row, "ods.kinds")); return equal(got, want) }) || len(want) != 12 {
		t.Errorf("%d rows, want %d; first difference %s", len(got), len(want), difference(got, want))
	}
	mustExec(t, city, "UPDATE ods.kinds SET long = 'another' WHERE id = 1") // which the schedule leaves out
	asked := column(t, city, "SELECT clock_timestamp()::text")[0]
	await(t, "a verification that nobody asked for", func() bool {
		return slices.Equal(column(t, city, `SELECT coalesce(bool_and(asked_by = 'schedule' AND "table" = 'renshi.public.kinds' AND state = 'equal'), false)::text FROM tributary.verification WHERE state <> 'running' AND begun_at > '`+asked+`'`), []string{"true"})
	})
	onlyJSON(t, broker)
	if subjects := get(t, fmt.Sprintf("http://127.0.0.1:%d/330108/subjects", registryPort)); !slices.Contains(subjects, "tributary.330108.changes-tributary._330108_u002drenshi.renshi.public.kinds.Envelope") {
		t.Errorf("subjects %v", subjects)
	}
	for i := len(procs) - 1; i >= 0; i-- {
		if !procs[i].Signal(syscall.SIGTERM) || !procs[i].Clean() {
			t.Errorf("%s didn't stop cleanly", procs[i].Name)
		}
	}
}

// onlyJSON reads the topic: every row there must be JSON.
func onlyJSON(t *testing.T, broker string) {
	t.Helper()
	client, err := kafka.New(kafka.Options{Brokers: []string{broker}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	rows := 0
	_, err = client.ReadAll(t.Context(), log.Partition{Topic: kafka.Changes("330108")}, func(o log.Offset, r *log.Record) error {
		if class, _ := envelope.Classify(r); class == envelope.RowRecord {
			rows++
			if !json.Valid(r.Value) {
				t.Errorf("offset %d: %.80q", o, r.Value)
			}
		}
		return nil
	})
	if err != nil || rows < 60 {
		t.Errorf("%d rows in the log, %v", rows, err)
	}
}

// get asks for a list of names.
func get(t *testing.T, url string) (names []string) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }() // read only
	if err := json.NewDecoder(res.Body).Decode(&names); err != nil {
		t.Fatal(err)
	}
	return names
}
