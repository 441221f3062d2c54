package e2e

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestTwoSourcesOneDataset has a MariaDB and a PostgreSQL with tables of one dataset each.
// What goes together is the union, widened. Of what doesn't go together the later one
// halts, whichever that is, and names both; the first flows on. Accepted, the column has
// room for both, and nothing is lost.
func TestTwoSourcesOneDataset(t *testing.T) {
	maria, db := servers.MariaDB(t, nil), servers.Postgres(t, nil)
	admin := connect(t, db, "postgres")
	mustExec(t, admin, "CREATE DATABASE erzhong")
	mustExec(t, admin, "CREATE DATABASE city")
	first, second, store := maria.Connect(t, ""), connect(t, db, "erzhong"), connect(t, db, "city")
	run := func(sql string) {
		t.Helper()
		if _, err := first.Execute(sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	run("CREATE DATABASE yizhong CHARACTER SET utf8mb4")
	run("USE yizhong")
	run("CREATE TABLE both_have (id int PRIMARY KEY, name varchar(10), n smallint, born date)")
	run("CREATE TABLE number_first (id int PRIMARY KEY, v int)")
	run("CREATE TABLE number_later (id int PRIMARY KEY, v date)")
	mustExec(t, second, "CREATE TABLE both_have (id int PRIMARY KEY, name varchar(40), n bigint, note text); CREATE TABLE number_first (id int PRIMARY KEY, v date); CREATE TABLE number_later (id int PRIMARY KEY, v int)")
	write := func(id int) {
		t.Helper()
		run(fmt.Sprintf("INSERT INTO both_have VALUES (%d, '一中', %[1]d, '2014-09-01')", id))
		run(fmt.Sprintf("INSERT INTO number_first VALUES (%d, %[1]d)", id))
		run(fmt.Sprintf("INSERT INTO number_later VALUES (%d, '2026-09-01')", id))
	}
	wrote := func(id int) {
		t.Helper()
		mustExec(t, second, fmt.Sprintf("INSERT INTO both_have VALUES (%d, '二中', 5000000000, 'x'); INSERT INTO number_first VALUES (%[1]d, '2026-09-02'); INSERT INTO number_later VALUES (%[1]d, %[1]d)", id))
	}
	bin, dir := program.Build(t), t.TempDir()
	logPort, workerHTTP, agents := program.Port(t), program.Port(t), [2]int{program.Port(t), program.Port(t)}
	agent := func(n int, org, source string) *program.Process {
		name := fmt.Sprintf("a%d", n+1)
		return &program.Process{Name: name, Expected: "table", Args: []string{"agent", "--config", program.Write(t, filepath.Join(dir, name+".yml"),
			"name: %s\norg: \"%s\"\ndata_dir: %s\nhttp: 127.0.0.1:%d\nlog: {brokers: [\"127.0.0.1:%d\"], embedded: true}\nsources:\n  - {%s, first_start: load}\n", name, org, filepath.Join(dir, name), agents[n], logPort, source)}}
	}
	secret := program.Write(t, filepath.Join(dir, "maria"), "%s\n", maria.Password)
	procs := []*program.Process{
		{Name: "log", Args: []string{"log", "--config", program.Write(t, filepath.Join(dir, "log.yml"), "data_dir: %s\nport: %d\n", filepath.Join(dir, "log"), logPort)}},
		agent(0, "330106", fmt.Sprintf("name: yizhong, engine: mariadb, host: 127.0.0.1, port: %d, user: %s, password_file: %s, tables: [\"yizhong.*\"]", maria.Port, maria.User, secret)),
		{Name: "city", Expected: "table", Args: []string{"worker", "--config", program.Write(t, filepath.Join(dir, "city.yml"), "name: city\norgs: [\"330106\", \"330107\"]\nhttp: 127.0.0.1:%d\nlog: {brokers: [\"127.0.0.1:%d\"], embedded: true}\nstore: {host: 127.0.0.1, port: %d, database: city, user: postgres, password_env: %s}\n",
			workerHTTP, logPort, db.Port, program.PasswordVariable)}},
	}
	for _, p := range procs {
		p.Start(t, bin, dir, db.Password, maria.Password)
	}
	comes := func(what, sql string, want ...string) {
		t.Helper()
		var got []string
		if !within(time.Minute, func() bool {
			rows, err := store.Query(t.Context(), sql)
			if err != nil { // the table isn't there yet
				return false
			}
			got = nil
			for rows.Next() {
				var s string
				if err := rows.Scan(&s); err != nil {
					t.Fatal(err)
				}
				got = append(got, s)
			}
			return rows.Err() == nil && slices.Equal(got, want)
		}) {
			t.Fatalf("%s: %q, want %q", what, got, want)
		}
	}
	write(1)
	const rows = "SELECT concat_ws(' ', _source, id, v) FROM ods.%s ORDER BY _source, id"
	comes("the first source", fmt.Sprintf(rows, "number_later"), "330106-yizhong 1 2026-09-01")
	comes("the first source", fmt.Sprintf(rows, "number_first"), "330106-yizhong 1 1")

	wrote(1)
	later := agent(1, "330107", fmt.Sprintf("name: erzhong, engine: postgres, host: 127.0.0.1, port: %d, database: erzhong, user: postgres, password_env: %s, tables: [\"public.*\"]", db.Port, program.PasswordVariable))
	later.Start(t, bin, dir, db.Password, maria.Password)
	procs = append(procs, later)
	await(t, "the second agent", func() bool { code, _ := ask(t, agents[1], "/-/ready"); return code == http.StatusOK })
	comes("the tables that don't go together", `SELECT concat_ws(' ', source, "table", error) FROM tributary.table_state WHERE state = 'halted' ORDER BY "table"`,
		`330107-erzhong erzhong.public.number_first column "v" of the store's table "ods"."number_first" is integer for 330106-yizhong yizhong.number_first, wanted date: the table's change isn't followed: table refused by the store [SCHEMA_CHANGE_REFUSED]`,
		`330107-erzhong erzhong.public.number_later column "v" of the store's table "ods"."number_later" is date for 330106-yizhong yizhong.number_later, wanted integer: the table's change isn't followed: table refused by the store [SCHEMA_CHANGE_REFUSED]`)
	write(2)
	wrote(2)
	comes("the union", "SELECT concat_ws(' ', _source, id, name, n, coalesce(born::text, '~'), coalesce(note, '~')) FROM ods.both_have ORDER BY _source, id",
		"330106-yizhong 1 一中 1 2014-09-01 ~", "330106-yizhong 2 一中 2 2014-09-01 ~", "330107-erzhong 1 二中 5000000000 ~ x", "330107-erzhong 2 二中 5000000000 ~ x")
	const types = "SELECT column_name || ' ' || data_type FROM information_schema.columns WHERE table_schema = 'ods' AND table_name = '%s' AND column_name NOT LIKE '\\_%%' ORDER BY column_name"
	comes("the union's columns", fmt.Sprintf(types, "both_have"), "born date", "id integer", "n bigint", "name text", "note text")
	comes("the first source flows", fmt.Sprintf(rows, "number_first"), "330106-yizhong 1 1", "330106-yizhong 2 2")

	for _, name := range []string{"number_first", "number_later"} {
		out, err := exec.CommandContext(t.Context(), bin, "table", "accept", "330107-erzhong", "erzhong.public."+name, "--worker", fmt.Sprintf("http://127.0.0.1:%d", workerHTTP)).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "accepted") {
			t.Fatalf("accept: %v\n%s", err, out)
		}
		comes("the accepted column", fmt.Sprintf(types, name), "id integer", "v text")
	}
	write(3)
	wrote(3)
	comes("rows of both", fmt.Sprintf(rows, "number_first"), "330106-yizhong 1 1", "330106-yizhong 2 2", "330106-yizhong 3 3", "330107-erzhong 1 2026-09-02", "330107-erzhong 2 2026-09-02", "330107-erzhong 3 2026-09-02")
	comes("rows of both", fmt.Sprintf(rows, "number_later"), "330106-yizhong 1 2026-09-01", "330106-yizhong 2 2026-09-01", "330106-yizhong 3 2026-09-01", "330107-erzhong 1 1", "330107-erzhong 2 2", "330107-erzhong 3 3")
	comes("nothing is left over", "SELECT error x FROM tributary.table_state UNION ALL SELECT position FROM tributary.held UNION ALL SELECT code FROM tributary.gap")
	for _, p := range slices.Backward(procs) {
		if !p.Signal(syscall.SIGTERM) || !p.Clean() {
			t.Errorf("%s didn't stop cleanly", p.Name)
		}
	}
}
