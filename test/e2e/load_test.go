package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestFirstLoadKilledAnywhere loads two databases that are full before anybody comes,
// while they are written and agent, worker and log are killed, and compares every row.
func TestFirstLoadKilledAnywhere(t *testing.T) {
	number := seed(t)
	rng := rand.New(rand.NewPCG(number, 5))
	maria, db := servers.MariaDB(t, nil), servers.Postgres(t, nil)
	admin := connect(t, db, "postgres")
	for _, name := range []string{"renshi", "city"} {
		mustExec(t, admin, "CREATE DATABASE "+name)
	}
	source := connect(t, db, "renshi")
	mustExec(t, source, tables)
	mustExec(t, source, `INSERT INTO school SELECT '2133' || lpad(i::text, 6, '0'), '学校' || i, 0 FROM generate_series(0, $1 - 1) i`, schools)
	mustExec(t, source, `INSERT INTO student SELECT i, '2133' || lpad((i % $1)::text, 6, '0'), '学生' || i, '1', date '2012-09-01' + i % 900, 1, CASE WHEN i % 50 = 0 THEN repeat(md5(i::text), 100) END, i / 100.0, now(), '\x00ff'
		FROM generate_series(1, 8000) i`, schools)
	mustExec(t, source, `UPDATE school SET head_count = (SELECT count(*) FROM student s WHERE s.xxdm = school.xxdm)`)
	mustExec(t, source, `INSERT INTO score SELECT i, 'k' || i % 9, '2025-2026', i % 100 FROM generate_series(1, 8000) i`)
	w := &workload{c: source, rng: rand.New(rand.NewPCG(number, 6)), next: 8000}

	m := &enrolWorkload{c: maria.Connect(t, ""), rng: rand.New(rand.NewPCG(number, 7)), next: 12000}
	for _, sql := range append([]string{"CREATE DATABASE xueji CHARACTER SET utf8mb4", "USE xueji", "SET time_zone = '+00:00'"}, append(enrolments,
		fmt.Sprintf("INSERT INTO school SELECT CONCAT('2133', LPAD(seq, 6, '0')), CONCAT('学校', seq), 0 FROM seq_0_to_%d", schools-1),
		fmt.Sprintf(`INSERT INTO student SELECT 18446744073700000000 + seq, CONCAT('2133', LPAD(seq %% %d, 6, '0')), CONCAT('镕喆', seq), IF(seq %% 2, '男', '女'), '2012-09-01' + INTERVAL seq %% 900 DAY, 6.0,
			REPEAT('记', seq %% 40), NOW(6), UNHEX('00ff00') FROM seq_0_to_11999`, schools),
		"UPDATE school SET head_count = (SELECT count(*) FROM student s WHERE s.xxdm = school.xxdm)")...) {
		if _, err := m.run(sql); err != nil {
			t.Fatal(err)
		}
	}
	bin, dir := program.Build(t), t.TempDir()
	logPort, httpPort := program.Port(t), program.Port(t)
	secret := func(name, password string) string {
		return program.Write(t, filepath.Join(dir, name), "%s\n", password)
	}
	procs := []*program.Process{
		{Name: "log", Args: []string{"log", "--config", program.Write(t, filepath.Join(dir, "log.yml"), "data_dir: %s\nport: %d\n", filepath.Join(dir, "log"), logPort)}},
		{Name: "agent", Args: []string{"agent", "--config", program.Write(t, filepath.Join(dir, "agent.yml"), `
name: a1
org: "330108"
data_dir: %s
log: {brokers: ["127.0.0.1:%d"], embedded: true}
http: 127.0.0.1:%d
sources:
  - {name: renshi, engine: postgres, host: 127.0.0.1, port: %d, database: renshi, user: postgres, password_file: %s, tables: ["public.*"], first_start: load}
  - {name: xueji, engine: mariadb, host: 127.0.0.1, port: %d, user: root, password_file: %s, tables: ["xueji.*"], first_start: load,
     datasets: {xueji.school: m_school, xueji.student: m_student}}
`, filepath.Join(dir, "agent"), logPort, httpPort, db.Port, secret("pg", db.Password), maria.Port, secret("maria", maria.Password))}},
		{Name: "city", Args: []string{"worker", "--config", program.Write(t, filepath.Join(dir, "city.yml"), `
name: city
orgs: ["330108"]
log: {brokers: ["127.0.0.1:%d"], embedded: true}
store: {host: 127.0.0.1, port: %d, database: city, user: postgres, password_file: %s}
`, logPort, db.Port, secret("store", db.Password))}},
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var work sync.WaitGroup
	var failures [2]error
	pace := func() bool { // whole grades move up: without a pause the store would only catch up afterwards
		t := time.NewTimer(20 * time.Millisecond)
		defer t.Stop()
		select {
		case <-ctx.Done():
			return false
		case <-t.C:
			return true
		}
	}
	work.Go(func() {
		for pace() && failures[0] == nil {
			if failures[0] = w.step(context.Background()); errors.Is(failures[0], errAbandon) {
				failures[0] = nil
			}
		}
	})
	work.Go(func() {
		for pace() && failures[1] == nil {
			failures[1] = m.step()
		}
	})
	for _, p := range procs {
		p.Start(t, bin, dir, db.Password, maria.Password)
	}
	store := connect(t, db, "city")
	loading := func() (n int) {
		err := store.QueryRow(context.Background(), `SELECT count(*) FILTER (WHERE state = 'loading') FROM tributary.table_state`).Scan(&n)
		if err != nil {
			return -1
		}
		return n
	}
	await(t, "a load", func() bool { return loading() > 0 })
	for kills := range 8 {
		pause := time.NewTimer(time.Duration(200+rng.IntN(600)) * time.Millisecond)
		<-pause.C
		p := procs[rng.IntN(len(procs))]
		if !p.Signal(syscall.SIGKILL) {
			t.Fatalf("%s was dead before kill %d", p.Name, kills+1)
		}
		p.Again()
	}
	if !within(90*time.Second, func() bool { return loading() == 0 }) {
		t.Errorf("%d tables are still loading", loading())
	}
	stop()
	work.Wait()
	if err := errors.Join(failures[:]...); err != nil {
		t.Fatal("workload: ", err)
	}
	compare(t, source, store, "city")
	for table, expr := range canonical {
		want := texts(t, m, "SELECT "+expr[0]+" FROM "+table+" ORDER BY BINARY "+expr[0])
		var got []string
		if !within(40*time.Second, func() bool {
			got = column(t, store, "SELECT "+expr[1]+` x FROM ods.m_`+table+` ORDER BY `+expr[1]+` COLLATE "C"`)
			return equal(got, want)
		}) {
			t.Errorf("table m_%s: %d rows, want %d; first difference %s", table, len(got), len(want), difference(got, want))
		}
	}
	reread(t, bin, httpPort, source, store)
	for i := len(procs) - 1; i >= 0; i-- {
		if !procs[i].Signal(syscall.SIGTERM) || !procs[i].Clean() {
			t.Errorf("%s didn't stop cleanly", procs[i].Name)
		}
	}
}

// texts gives the first column of a query in MariaDB.
func texts(t *testing.T, w *enrolWorkload, sql string) []string {
	t.Helper()
	r, err := w.c.Execute(sql)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]string, r.RowNumber())
	for i := range out {
		s, err := r.GetString(i, 0)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = strings.Clone(s)
	}
	return out
}

// reread spoils a table of the store, a row missing, one too many, one different, and
// orders it to be read again.
func reread(t *testing.T, bin string, port int, source, store *pgx.Conn) {
	t.Helper()
	mustExec(t, store, `DELETE FROM ods.student WHERE xh = (SELECT min(xh) FROM ods.student)`)
	mustExec(t, store, `UPDATE ods.student SET xm = 'other' WHERE xh = (SELECT min(xh) FROM ods.student)`)
	mustExec(t, store, `INSERT INTO ods.student SELECT (jsonb_populate_record(s, '{"xh": 999999999}')).* FROM ods.student s LIMIT 1`)
	order := exec.CommandContext(t.Context(), bin, "table", "reread", "--agent", fmt.Sprintf("http://127.0.0.1:%d", port), "330108-renshi", "renshi.public.student")
	if out, err := order.CombinedOutput(); err != nil {
		t.Fatalf("reread: %v\n%s", err, out)
	}
	compare(t, source, store, "city, read again")
	var surplus int
	if err := store.QueryRow(context.Background(), `SELECT coalesce(sum(rows), 0) FROM tributary.anomaly WHERE code = 'ROW_SURPLUS'`).Scan(&surplus); err != nil || surplus != 1 {
		t.Errorf("%d surplus rows were noted, %v", surplus, err)
	}
	order = exec.CommandContext(t.Context(), bin, "table", "reread", "--agent", fmt.Sprintf("http://127.0.0.1:%d", port), "330108-nobody", "t")
	if out, err := order.CombinedOutput(); err == nil || !strings.Contains(string(out), "SOURCE_UNKNOWN") {
		t.Errorf("an order for an unknown source: %v\n%s", err, out)
	}
}
