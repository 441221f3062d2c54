package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"

	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

// enrolments are the tables of a district's MariaDB or MySQL, with a gbk column and a key
// without sign as old databases have them.
var enrolments = []string{
	`CREATE TABLE school (xxdm char(10) PRIMARY KEY, xxmc varchar(60) NOT NULL, head_count int NOT NULL)`,
	`CREATE TABLE student (xh bigint unsigned PRIMARY KEY, xxdm char(10) NOT NULL, xm varchar(36) CHARACTER SET gbk NOT NULL, xbm enum('男','女') NOT NULL,
		csrq date NOT NULL, xz decimal(3,1) NOT NULL, remark text, seen datetime(6) NOT NULL, photo varbinary(20))`,
}

// numbers gives the rows seq = 0 to n-1, in SQL that both products know.
func numbers(n int) string {
	return fmt.Sprintf("WITH RECURSIVE numbers(seq) AS (SELECT 0 UNION ALL SELECT seq + 1 FROM numbers WHERE seq < %d)", n-1)
}

// enrolWorkload writes transactions whose head counts always agree.
type enrolWorkload struct {
	c    *client.Conn
	rng  *rand.Rand
	next uint64
	txns int
}

func (w *enrolWorkload) run(sql string, args ...any) (uint64, error) {
	r, err := w.c.Execute(sql, args...)
	if err != nil {
		return 0, fmt.Errorf("%.60s: %w", sql, err)
	}
	defer r.Close()
	return r.AffectedRows, nil
}

func (w *enrolWorkload) school() string { return fmt.Sprintf("2133%06d", w.rng.IntN(schools)) }

func (w *enrolWorkload) step() error {
	if _, err := w.run("BEGIN"); err != nil {
		return err
	}
	if err := w.change(); err != nil {
		return err
	}
	end := "COMMIT"
	if w.rng.IntN(20) == 0 {
		end = "ROLLBACK"
	} else {
		w.txns++
	}
	_, err := w.run(end)
	return err
}

func (w *enrolWorkload) change() error {
	a, b := w.school(), w.school()
	switch n := w.rng.IntN(100); {
	case n < 20: // a class is enrolled
		first := w.next
		w.next += 45
		if _, err := w.run(fmt.Sprintf(`INSERT INTO student %s SELECT 18446744073700000000 + %d + seq, '%s', CONCAT('镕喆', seq), IF(seq %% 2, '男', '女'), '2012-09-01' + INTERVAL seq DAY, 6.0,
			REPEAT('记', seq), NOW(6), UNHEX('00ff00') FROM numbers`, numbers(45), first, a)); err != nil {
			return err
		}
		_, err := w.run(`UPDATE school SET head_count = head_count + 45 WHERE xxdm = '` + a + `'`)
		return err
	case n < 60: // a transfer
		if a == b {
			return nil
		}
		moved, err := w.run(`UPDATE student SET xxdm = '` + b + `' WHERE xxdm = '` + a + `' ORDER BY xh LIMIT 3`)
		if err != nil {
			return err
		}
		if _, err := w.run(fmt.Sprintf(`UPDATE school SET head_count = head_count - %d WHERE xxdm = '%s'`, moved, a)); err != nil {
			return err
		}
		_, err = w.run(fmt.Sprintf(`UPDATE school SET head_count = head_count + %d WHERE xxdm = '%s'`, moved, b))
		return err
	case n < 80: // a correction
		_, err := w.run(`UPDATE student SET xm = CONCAT(LEFT(xm, 20), '改'), remark = NULL, seen = NOW(6) WHERE xxdm = '` + a + `' ORDER BY xh LIMIT 2`)
		return err
	case n < 85: // a temporary number becomes a final one
		number := w.next
		w.next++
		_, err := w.run(fmt.Sprintf(`UPDATE student SET xh = 18446744073700000000 + %d WHERE xxdm = '%s' ORDER BY xh LIMIT 1`, number, a))
		return err
	case n < 90: // a whole grade moves up
		_, err := w.run(`UPDATE student SET xz = IF(xz > 90, 0, xz + 0.5)`)
		return err
	default:
		gone, err := w.run(`DELETE FROM student WHERE xxdm = '` + a + `' ORDER BY xh DESC LIMIT 2`)
		if err != nil {
			return err
		}
		_, err = w.run(fmt.Sprintf(`UPDATE school SET head_count = head_count - %d WHERE xxdm = '%s'`, gone, a))
		return err
	}
}

// canonical gives one text per row, the same on both sides.
var canonical = map[string][2]string{
	"school": {"CONCAT_WS('|', xxdm, xxmc, head_count)", "concat_ws('|', xxdm, xxmc, head_count)"},
	"student": {"CONCAT_WS('|', xh, xxdm, xm, xbm, csrq, xz, COALESCE(remark, '∅'), seen, HEX(photo))",
		"concat_ws('|', xh, xxdm, xm, xbm, csrq, xz, coalesce(remark, '∅'), to_char(seen, 'YYYY-MM-DD HH24:MI:SS.US'), upper(encode(photo, 'hex')))"},
}

// TestMariaDBKilledAnywhere is the main job with a MariaDB source under SIGKILL.
func TestMariaDBKilledAnywhere(t *testing.T) { binlogKilledAnywhere(t, "mariadb", servers.MariaDB) }

// TestMySQLKilledAnywhere is the same with a MySQL source.
func TestMySQLKilledAnywhere(t *testing.T) { binlogKilledAnywhere(t, "mysql", servers.MySQL) }

func binlogKilledAnywhere(t *testing.T, engine string, start servers.Starter) {
	number := seed(t)
	rng := rand.New(rand.NewPCG(number, 3))
	source, db := start(t, nil), servers.Postgres(t, nil)
	mustExec(t, connect(t, db, "postgres"), "CREATE DATABASE city")
	c := source.Connect(t, "")
	w := &enrolWorkload{c: c, rng: rand.New(rand.NewPCG(number, 4))}
	for _, sql := range append([]string{"CREATE DATABASE xueji CHARACTER SET utf8mb4", "USE xueji", "SET time_zone = '+00:00'"}, enrolments...) {
		if _, err := w.run(sql); err != nil {
			t.Fatal(err)
		}
	}
	bin, dir := program.Build(t), t.TempDir()
	logPort := program.Port(t)
	storeSecret := program.Write(t, filepath.Join(dir, "store.password"), "%s\n", db.Password)
	procs := []*program.Process{
		{Name: "log", Args: []string{"log", "--config", program.Write(t, filepath.Join(dir, "log.yml"), "data_dir: %s\nport: %d\n", filepath.Join(dir, "log"), logPort)}},
		{Name: "agent", Args: []string{"agent", "--config", program.Write(t, filepath.Join(dir, "agent.yml"), `
name: a1
org: "330106"
data_dir: %s
log: {brokers: ["127.0.0.1:%d"], embedded: true}
sources:
  - {name: xueji, engine: %s, host: 127.0.0.1, port: %d, user: root, password_env: TRIBUTARY_TEST_PASSWORD, tables: ["xueji.*"], first_start: now}
`, filepath.Join(dir, "agent"), logPort, engine, source.Port)}},
		{Name: "city", Args: []string{"worker", "--config", program.Write(t, filepath.Join(dir, "city.yml"), `
name: city
orgs: ["330106"]
log: {brokers: ["127.0.0.1:%d"], embedded: true}
store: {host: 127.0.0.1, port: %d, database: city, user: postgres, password_file: %s}
`, logPort, db.Port, storeSecret)}},
	}
	for _, p := range procs {
		p.Start(t, bin, dir, source.Password, db.Password)
	}
	watcher := source.Connect(t, "")
	await(t, "the reader", func() bool {
		r, err := watcher.Execute("SELECT 1 FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'")
		return err == nil && r.RowNumber() == 1
	})
	if _, err := w.run("INSERT INTO school " + numbers(schools) + " SELECT CONCAT('2133', LPAD(seq, 6, '0')), CONCAT('学校', seq), 0 FROM numbers"); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	var failure error
	work.Go(func() {
		for ctx.Err() == nil && failure == nil {
			failure = w.step()
		}
	})
	var polls, half atomic.Int64
	pollConn := connect(t, db, "city")
	work.Go(func() { poll(ctx, t, pollConn, &polls, &half) })
	for kills := range 8 {
		pause := time.NewTimer(time.Duration(300+rng.IntN(900)) * time.Millisecond)
		<-pause.C
		p := procs[rng.IntN(len(procs))]
		if !p.Signal(syscall.SIGKILL) {
			t.Fatalf("%s was dead before kill %d", p.Name, kills+1)
		}
		p.Again()
	}
	stop()
	work.Wait()
	if failure != nil {
		t.Fatal("workload: ", failure)
	}
	store := connect(t, db, "city")
	for table, expr := range canonical {
		r, err := w.c.Execute("SELECT " + expr[0] + " FROM " + table + " ORDER BY BINARY " + expr[0])
		if err != nil {
			t.Fatal(err)
		}
		want := make([]string, r.RowNumber())
		for i := range want {
			s, err := r.GetString(i, 0)
			if err != nil {
				t.Fatal(err)
			}
			want[i] = strings.Clone(s)
		}
		var got []string
		if !within(40*time.Second, func() bool {
			got = column(t, store, "SELECT "+expr[1]+` x FROM ods.`+table+` ORDER BY `+expr[1]+` COLLATE "C"`)
			return equal(got, want)
		}) {
			t.Errorf("table %s: %d rows, want %d; first difference %s", table, len(got), len(want), difference(got, want))
		}
		if len(want) == 0 {
			t.Errorf("table %s is empty at the source", table)
		}
	}
	if gaps := column(t, store, "SELECT source FROM tributary.gap"); len(gaps) != 0 {
		t.Errorf("gaps: %v", gaps)
	}
	t.Logf("transactions %d, polls %d, half transactions %d", w.txns, polls.Load(), half.Load())
	if half.Load() != 0 || polls.Load() < 100 || w.txns < 200 {
		t.Errorf("half transactions %d of %d polls, %d transactions", half.Load(), polls.Load(), w.txns)
	}
}
