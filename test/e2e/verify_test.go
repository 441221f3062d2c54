package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

// planted is a table that nobody changes, in which defects are planted.
const planted = `CREATE TABLE planted (id int PRIMARY KEY, v varchar(40), n decimal(8,2), b %s)`

// verified is a source on PostgreSQL and one on MySQL or MariaDB that are written all the
// time, and a store that is compared with them.
type verified struct {
	t       *testing.T
	bin     string
	port    int    // of the agent's http
	worker  int    // of the worker's
	city    string // the worker's file
	source  *pgx.Conn
	binlog  *enrolWorkload
	album   *pgx.Conn // to the PostgreSQL source, beside the workload's
	cascade *client.Conn
	store   *pgx.Conn
	procs   []*program.Process
	rest    func()
}

func newVerified(t *testing.T, engine string, start servers.Starter) *verified {
	number := seed(t)
	x := &verified{t: t, bin: program.Build(t), port: program.Port(t), worker: program.Port(t)}
	binlog, db := start(t, nil), servers.Postgres(t, nil)
	admin := connect(t, db, "postgres")
	for _, name := range []string{"renshi", "city"} {
		mustExec(t, admin, "CREATE DATABASE "+name)
	}
	x.source, x.album, x.store = connect(t, db, "renshi"), connect(t, db, "renshi"), connect(t, db, "city")
	mustExec(t, x.source, tables+fmt.Sprintf(planted, "bytea"))
	mustExec(t, x.source, `INSERT INTO school SELECT '2133' || lpad(i::text, 6, '0'), '学校' || i, 0 FROM generate_series(0, $1 - 1) i`, schools)
	mustExec(t, x.source, `INSERT INTO student SELECT i, '2133' || lpad((i % $1)::text, 6, '0'), '学生' || i, '1', date '2012-09-01' + i % 900, 1, CASE WHEN i % 50 = 0 THEN repeat(md5(i::text), 100) END, i / 100.0, now(), '\x00ff'
		FROM generate_series(1, 3000) i`, schools)
	mustExec(t, x.source, `UPDATE school SET head_count = (SELECT count(*) FROM student s WHERE s.xxdm = school.xxdm)`)
	mustExec(t, x.source, `INSERT INTO score SELECT i, 'k' || i % 9, '2025-2026', i % 100 FROM generate_series(1, 3000) i`)
	mustExec(t, x.source, album["postgres"])
	mustExec(t, x.source, albumRows("convert_to(repeat('a', %d), 'UTF8')"))
	mustExec(t, x.source, `INSERT INTO planted SELECT i, CASE WHEN i % 10 = 0 THEN '' WHEN i % 10 <> 1 THEN '镕' || i END, i / 4.0, '\x00ff' FROM generate_series(1, 2000) i`)
	x.cascade = binlog.Connect(t, "")
	x.binlog = &enrolWorkload{c: binlog.Connect(t, ""), rng: rand.New(rand.NewPCG(number, 7)), next: 3000}
	for _, sql := range append([]string{"CREATE DATABASE xueji CHARACTER SET utf8mb4", "USE xueji", "SET time_zone = '+00:00'"}, append(enrolments,
		fmt.Sprintf(planted, "varbinary(20)"), album["binlog"], albumRows("REPEAT('a', %d)"),
		`CREATE TABLE class (bh varchar(20) PRIMARY KEY) DEFAULT COLLATE utf8mb4_general_ci`,
		`CREATE TABLE pupil (xh varchar(20) PRIMARY KEY, bh varchar(20) NOT NULL, FOREIGN KEY (bh) REFERENCES class (bh) ON DELETE CASCADE) DEFAULT COLLATE utf8mb4_general_ci`,
		"SET SESSION cte_max_recursion_depth = 100000",
		"INSERT INTO class "+numbers(30)+" SELECT CONCAT('班', seq) FROM numbers", "INSERT INTO pupil "+numbers(900)+" SELECT CONCAT('Xs', seq), CONCAT('班', seq % 30) FROM numbers",
		"INSERT INTO school "+numbers(schools)+" SELECT CONCAT('2133', LPAD(seq, 6, '0')), CONCAT('学校', seq), 0 FROM numbers",
		fmt.Sprintf("INSERT INTO student "+numbers(3000)+` SELECT 18446744073700000000 + seq, CONCAT('2133', LPAD(seq %% %d, 6, '0')), CONCAT('镕喆', seq), IF(seq %% 2, '男', '女'), '2012-09-01' + INTERVAL seq %% 900 DAY, 6.0,
			REPEAT('记', seq %% 40), NOW(6), UNHEX('00ff00') FROM numbers`, schools),
		"UPDATE school SET head_count = (SELECT count(*) FROM student s WHERE s.xxdm = school.xxdm)",
		"INSERT INTO planted "+numbers(2000)+" SELECT seq + 1, IF((seq + 1) % 10 = 0, '', IF((seq + 1) % 10 = 1, NULL, CONCAT('镕', seq + 1))), (seq + 1) / 4, UNHEX('00ff') FROM numbers")...) {
		if strings.Contains(sql, "cte_max") && engine == "mariadb" {
			sql = "SET SESSION max_recursive_iterations = 100000"
		}
		if _, err := x.binlog.run(sql); err != nil {
			t.Fatal(err)
		}
	}
	dir, logPort := t.TempDir(), program.Port(t)
	secret := func(name, password string) string {
		return program.Write(t, filepath.Join(dir, name), "%s\n", password)
	}
	x.city = program.Write(t, filepath.Join(dir, "city.yml"), `
name: city
orgs: ["330108"]
log: {brokers: ["127.0.0.1:%d"], embedded: true}
http: 127.0.0.1:%d
store: {host: 127.0.0.1, port: %d, database: city, user: postgres, password_file: %s, datasets: {m_student: {target: mirror}}}
`, logPort, x.worker, db.Port, secret("store", db.Password))
	x.procs = []*program.Process{
		{Name: "log", Args: []string{"log", "--config", program.Write(t, filepath.Join(dir, "log.yml"), "data_dir: %s\nport: %d\n", filepath.Join(dir, "log"), logPort)}},
		{Name: "agent", Args: []string{"agent", "--config", program.Write(t, filepath.Join(dir, "agent.yml"), `
name: a1
org: "330108"
data_dir: %[1]s
log: {brokers: ["127.0.0.1:%[2]d"], embedded: true}
http: 127.0.0.1:%[3]d
sources:
  - {name: renshi, engine: postgres, host: 127.0.0.1, port: %[4]d, database: renshi, user: postgres, password_file: %[5]s, tables: ["public.*"], first_start: load, caps: {public.album: %[9]s}}
  - {name: xueji, engine: %[6]s, host: 127.0.0.1, port: %[7]d, user: root, password_file: %[8]s, tables: ["xueji.*"], first_start: load,
     datasets: {xueji.school: m_school, xueji.student: m_student, xueji.planted: m_planted, xueji.album: m_album}, caps: {xueji.album: %[9]s}}
`, filepath.Join(dir, "agent"), logPort, x.port, db.Port, secret("pg", db.Password), engine, binlog.Port, secret("binlog", binlog.Password), albumCaps)}},
		{Name: "city", Args: []string{"worker", "--config", x.city}},
	}
	for _, p := range x.procs {
		p.Start(t, x.bin, dir, db.Password, binlog.Password)
	}
	if !within(90*time.Second, func() bool {
		var tables, states int
		err := x.store.QueryRow(context.Background(), `SELECT count(*), (SELECT count(*) FROM tributary.table_state) FROM tributary.target`).Scan(&tables, &states)
		return err == nil && tables == 11 && states == 0
	}) {
		t.Fatal("the tables weren't loaded within 90 s")
	}
	x.write(number)
	return x
}

// write changes all tables but those of defects until rest is called.
func (x *verified) write(number uint64) {
	w := &workload{c: x.source, rng: rand.New(rand.NewPCG(number, 6)), next: 3000}
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	var failures [2]error
	for n, step := range []func() error{func() error { return w.step(context.Background()) }, x.binlog.step} {
		work.Go(func() {
			tick := time.NewTicker(60 * time.Millisecond) // whole grades move up: the store must keep up on a busy machine
			defer tick.Stop()
			for failures[n] == nil {
				if failures[n] = step(); errors.Is(failures[n], errAbandon) {
					failures[n] = nil
				}
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
	x.rest = sync.OnceFunc(func() {
		stop()
		work.Wait()
		if err := errors.Join(failures[:]...); err != nil {
			x.t.Error("workload: ", err)
		}
	})
	x.t.Cleanup(x.rest)
}

// compared is what tributary verify says of a table.
type compared struct {
	Table     string
	State     string
	Error     string
	Rows      int64
	Missing   int64
	Surplus   int64
	Different int64
	Repaired  int64
	Named     []struct {
		Kind     string
		Key      string
		Repaired bool
	} `json:"differences"`
}

// named gives the rows that differ, in order.
func (c *compared) named() (out []string) {
	for _, d := range c.Named {
		out = append(out, d.Kind+" "+d.Key)
	}
	slices.Sort(out)
	return out
}

func (x *verified) verify(code int, args ...string) map[string]compared {
	x.t.Helper()
	return verify(x.t, x.bin, code, append(args, "--store", x.city, "--agent", fmt.Sprintf("http://127.0.0.1:%d", x.port))...)
}

// verify runs the command, and wants it to end with a code.
func verify(t *testing.T, bin string, code int, args ...string) map[string]compared {
	t.Helper()
	args = append(append([]string{"verify"}, args...), "--lang=en", "--output=json")
	ctx, cancel := context.WithTimeout(t.Context(), 120*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, bin, args...)
	var errs strings.Builder
	c.Stderr = &errs
	out, _ := c.Output() // the exit code tells
	if got := c.ProcessState.ExitCode(); got != code {
		t.Errorf("%v ended with %d, want %d: %s%s", args, got, code, out, errs.String())
	}
	var answer struct{ Data struct{ Tables []compared } }
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Errorf("%v: %v: %s", args, err, out)
	}
	found := map[string]compared{}
	for _, t := range answer.Data.Tables {
		found[t.Table] = t
	}
	return found
}

const renshi, xueji = "330108-renshi", "330108-xueji"

// TestVerify compares a store with sources that are written all the time: nothing differs
// but what is planted, each planted defect is found by its key, and mended.
func TestVerify(t *testing.T) {
	if os.Getenv("TRIBUTARY_VERIFY_ENGINE") == "mysql" { // the tables of all types are compared on MySQL as well
		verifyAll(t, "mysql", servers.MySQL)
		return
	}
	verifyAll(t, "mariadb", servers.MariaDB)
}

func verifyAll(t *testing.T, engine string, start servers.Starter) {
	x := newVerified(t, engine, start)
	for range servers.Number(t, "TRIBUTARY_VERIFY_ROUNDS", 2) {
		for source, want := range map[string]int{renshi: 5, xueji: 6} {
			found := x.verify(0, source)
			for name, c := range found {
				if c.State != "equal" || c.Rows == 0 && name != "renshi.public.score" || len(c.Named) != 0 { // that one is truncated now and then
					t.Errorf("%s: %+v", name, c)
				}
			}
			if len(found) != want {
				t.Errorf("%d tables, want %d: %v", len(found), want, found)
			}
		}
	}
	x.largeValues()
	for _, p := range []struct{ source, table, store string }{{renshi, "renshi.public.planted", "ods.planted"}, {xueji, "xueji.planted", "ods.m_planted"}} {
		for _, sql := range []string{"DELETE FROM %s WHERE id = 77", "INSERT INTO %[1]s SELECT _source, 999999, v, n, b, _position, _op, _committed_at, _applied_at, _batch FROM %[1]s WHERE id = 5",
			`UPDATE %s SET b = '\x00fe' WHERE id = 100`, "UPDATE %s SET v = NULL WHERE id = 200", "UPDATE %s SET v = '' WHERE id = 201", "UPDATE %s SET n = n + 0.01 WHERE id = 300"} {
			mustExec(t, x.store, fmt.Sprintf(sql, p.store))
		}
		want := []string{"different [100]", "different [200]", "different [201]", "different [300]", "missing [77]", "surplus [999999]"}
		for _, args := range [][]string{{p.source, p.table}, {p.source, "--last"}} {
			c := x.verify(1, args...)[p.table]
			if got := c.named(); c.State != "unequal" || c.Missing != 1 || c.Surplus != 1 || c.Different != 4 || c.Repaired != 0 || c.Rows != 2000 || !slices.Equal(got, want) {
				t.Errorf("%v: %+v, want %v", args, c, want)
			}
		}
		if got := x.unequal(p.source); !slices.Equal(got, []string{p.table}) {
			t.Errorf("the worker says that %q differ", got)
		}
		if c := x.verify(0, p.source, p.table, "--repair")[p.table]; c.State != "repaired" || c.Repaired != 6 || !slices.Equal(c.named(), want) {
			t.Errorf("repair: %+v", c)
		}
		if c := x.verify(0, p.source, p.table)[p.table]; c.State != "equal" || c.Rows != 2000 {
			t.Errorf("after the repair: %+v", c)
		}
		if got := column(t, x.store, "SELECT DISTINCT _op || ' ' || (b.id = t._batch) AS r FROM "+p.store+" t JOIN tributary.batch b ON b.id = t._batch WHERE t.id IN (77, 100, 200, 201, 300)"); !slices.Equal(got, []string{"r true"}) {
			t.Errorf("mended rows: %v", got)
		}
	}
	if got := append(x.unequal(renshi), x.unequal(xueji)...); len(got) > 0 {
		t.Errorf("after the repair the worker says that %q differ", got)
	}
	// MariaDB's InnoDB writes nothing of what it deletes by a foreign key. MySQL 9.7 does.
	gone := int64(60)
	if engine == "mysql" {
		gone = 0
	}
	if _, err := x.cascade.Execute("DELETE FROM xueji.class WHERE bh IN ('班7', '班8')"); err != nil {
		t.Fatal(err)
	}
	if c := x.verify(0, xueji, "xueji.pupil", "--repair")["xueji.pupil"]; c.Surplus != gone || c.Repaired != gone || c.Rows != 840 {
		t.Errorf("cascade: %+v", c)
	}
	x.killed()
}

// unequal are the tables of a source that differ, as the worker says.
func (x *verified) unequal(source string) []string {
	x.t.Helper()
	out, _ := exec.CommandContext(x.t.Context(), x.bin, "status", "--output=json", fmt.Sprintf("http://127.0.0.1:%d", x.worker)).Output() // it ends with 1 if any does
	var answer struct {
		Data []struct {
			Applied []struct {
				Source  string
				Unequal []string `json:"unequal_tables"`
			}
		}
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		x.t.Fatalf("%v: %s", err, out)
	}
	for _, s := range answer.Data[0].Applied {
		if s.Source == source {
			return s.Unequal
		}
	}
	x.t.Errorf("the worker says nothing of %s", source)
	return nil
}

// killed has a verification go on while programs are killed: it ends, and finds nothing.
func (x *verified) killed() {
	done := make(chan map[string]compared, 1)
	go func() { done <- x.verify(0, xueji) }()
	for _, p := range x.procs {
		var begun int
		await(x.t, "a verification", func() bool {
			return x.store.QueryRow(context.Background(), "SELECT count(*) FROM tributary.verification WHERE state = 'running'").Scan(&begun) == nil && begun > 0 || len(done) > 0
		})
		if !p.Signal(syscall.SIGKILL) {
			x.t.Fatalf("%s was dead before it was killed", p.Name)
		}
		p.Again()
	}
	for name, c := range <-done {
		if c.State != "equal" {
			x.t.Errorf("%s while programs were killed: %+v", name, c)
		}
	}
}
