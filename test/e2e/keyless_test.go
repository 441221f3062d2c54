package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
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

// keylessSource is a database with two tables without a primary key: logins, in append
// mode, and attendance, whose key the configuration names.
type keylessSource struct {
	engine string
	port   uint16
	exec   func(sql string) error
	rows   func(sql string) ([]string, error) // the first column
	one    string                             // picks a single row of logins
	rng    *rand.Rand
	next   int
}

func overMySQL(engine string, db servers.DB, c *client.Conn) *keylessSource {
	return &keylessSource{engine: engine, port: db.Port, one: "%s LIMIT 1",
		exec: func(sql string) error { _, err := c.Execute(sql); return err },
		rows: func(sql string) ([]string, error) {
			r, err := c.Execute(sql)
			if err != nil {
				return nil, err
			}
			out := make([]string, r.RowNumber())
			for i := range out {
				s, err := r.GetString(i, 0)
				if err != nil {
					return nil, err
				}
				out[i] = strings.Clone(s)
			}
			return out, nil
		}}
}

func overPostgres(db servers.DB, c *pgx.Conn) *keylessSource {
	return &keylessSource{engine: "postgres", port: db.Port, one: "%[1]s AND ctid IN (SELECT ctid FROM logins WHERE %[2]s LIMIT 1)",
		exec: func(sql string) error { _, err := c.Exec(context.Background(), sql); return err },
		rows: func(sql string) ([]string, error) {
			r, err := c.Query(context.Background(), sql)
			if err != nil {
				return nil, err
			}
			return pgx.CollectRows(r, pgx.RowTo[string])
		}}
}

// single changes one of the rows that may be equal.
func (s *keylessSource) single(change, where string) string {
	if s.engine == "postgres" {
		return fmt.Sprintf(change+" WHERE "+s.one, where, where)
	}
	return fmt.Sprintf(change+" WHERE "+s.one, where)
}

// step writes one transaction.
func (s *keylessSource) step() error {
	begin := []string{"BEGIN"}
	for range 1 + s.rng.IntN(6) {
		where := fmt.Sprintf("xh = %d", s.rng.IntN(5))
		switch n := s.rng.IntN(20); {
		case n < 9:
			begin = append(begin, fmt.Sprintf("INSERT INTO logins VALUES (%d, 'ip%d'), (%[1]d, 'ip%d')", s.rng.IntN(5), s.rng.IntN(3), s.rng.IntN(3)))
		case n < 12:
			begin = append(begin, s.single(fmt.Sprintf("UPDATE logins SET ip = 'moved%d'", s.rng.IntN(3)), where))
		case n < 14:
			begin = append(begin, s.single("DELETE FROM logins", where))
		case n < 15:
			begin = append(begin, "UPDATE logins SET ip = 'all' WHERE "+where)
		case n < 18:
			s.next++
			begin = append(begin, fmt.Sprintf("INSERT INTO attendance VALUES (%d, %d, 'new')", s.next%1000, s.next/1000))
		default:
			begin = append(begin, fmt.Sprintf("UPDATE attendance SET note = 'n%d' WHERE xh = %d", s.rng.IntN(1000), s.rng.IntN(1000)))
		}
	}
	for _, sql := range append(begin, "COMMIT") {
		if err := s.exec(sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// TestTablesWithoutKeys keeps logs of tables without a key, and loads and follows tables
// by the configuration's key, from all engines, while agent, worker and log are killed.
func TestTablesWithoutKeys(t *testing.T) {
	number := seed(t)
	rng := rand.New(rand.NewPCG(number, 9))
	maria, mysql, db := servers.MariaDB(t, nil), servers.MySQL(t, nil), servers.Postgres(t, nil)
	admin := connect(t, db, "postgres")
	for _, name := range []string{"renshi", "city"} {
		mustExec(t, admin, "CREATE DATABASE "+name)
	}
	sources := map[string]*keylessSource{"maria": overMySQL("mariadb", maria, maria.Connect(t, "")), "oracle": overMySQL("mysql", mysql, mysql.Connect(t, "")), "pg": overPostgres(db, connect(t, db, "renshi"))}
	for name, s := range sources {
		s.rng, s.next = rand.New(rand.NewPCG(number, uint64(len(name)))), 3000
		setup := []string{"CREATE DATABASE d CHARACTER SET utf8mb4", "USE d"}
		if s.engine == "postgres" {
			setup = nil
		}
		setup = append(setup, "CREATE TABLE logins (xh int, ip varchar(40))", "CREATE TABLE attendance (xh int NOT NULL, rq int NOT NULL, note varchar(40))", "CREATE UNIQUE INDEX by_day ON attendance (rq, xh)")
		if s.engine == "postgres" {
			setup = append(setup, "ALTER TABLE logins REPLICA IDENTITY FULL", "ALTER TABLE attendance REPLICA IDENTITY USING INDEX by_day")
		}
		var rows []string
		for i := range 3000 {
			rows = append(rows, fmt.Sprintf("(%d, %d, 'loaded')", i%1000, i/1000))
		}
		for _, sql := range append(setup, "INSERT INTO attendance VALUES "+strings.Join(rows, ", ")) {
			if err := s.exec(sql); err != nil {
				t.Fatalf("%s: %s: %v", name, sql, err)
			}
		}
	}
	bin, dir := program.Build(t), t.TempDir()
	logPort := program.Port(t)
	secret := func(name, password string) string {
		return program.Write(t, filepath.Join(dir, name), "%s\n", password)
	}
	source := func(name, schema, password string) string {
		s, database := sources[name], ""
		if s.engine == "postgres" {
			database = "database: renshi, user: postgres"
		} else {
			database = "user: root"
		}
		return fmt.Sprintf(`  - {name: %[1]s, engine: %[2]s, host: 127.0.0.1, port: %[3]d, %[4]s, password_file: %[5]s, tables: ["%[6]s.*"], first_start: load,
     keys: {%[6]s.attendance: [xh, rq]}, append: ["*.logins"], datasets: {%[6]s.attendance: %[1]s_attendance, %[6]s.logins: %[1]s_logins}}
`, name, s.engine, s.port, database, secret(name, password), schema)
	}
	procs := []*program.Process{
		{Name: "log", Args: []string{"log", "--config", program.Write(t, filepath.Join(dir, "log.yml"), "data_dir: %s\nport: %d\n", filepath.Join(dir, "log"), logPort)}},
		{Name: "agent", Args: []string{"agent", "--config", program.Write(t, filepath.Join(dir, "agent.yml"), "name: a1\norg: \"330106\"\ndata_dir: %s\nlog: {brokers: [\"127.0.0.1:%d\"], embedded: true}\nsources:\n%s",
			filepath.Join(dir, "agent"), logPort, source("maria", "d", maria.Password)+source("oracle", "d", mysql.Password)+source("pg", "public", db.Password))}},
		{Name: "city", Args: []string{"worker", "--config", program.Write(t, filepath.Join(dir, "city.yml"), "name: city\norgs: [\"330106\"]\nlog: {brokers: [\"127.0.0.1:%d\"], embedded: true}\nstore: {host: 127.0.0.1, port: %d, database: city, user: postgres, password_file: %s}\n",
			logPort, db.Port, secret("store", db.Password))}},
	}
	for _, p := range procs {
		p.Start(t, bin, dir, maria.Password, mysql.Password, db.Password)
	}
	// The log of logins begins with the first change that the reader sees: nothing may be
	// written before it reads.
	store := connect(t, db, "city")
	await(t, "the loads of all sources", func() bool {
		var n int
		err := store.QueryRow(context.Background(), `SELECT count(*) FROM tributary.progress`).Scan(&n)
		return err == nil && n == len(sources)
	})
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var work sync.WaitGroup
	failures := make(chan error, len(sources))
	for _, s := range sources {
		work.Go(func() {
			pace := time.NewTicker(5 * time.Millisecond)
			defer pace.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-pace.C:
				}
				if err := s.step(); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	for kills := range 6 {
		pause := time.NewTimer(time.Duration(300+rng.IntN(900)) * time.Millisecond)
		<-pause.C
		p := procs[kills%len(procs)]
		if !p.Signal(syscall.SIGKILL) {
			t.Fatalf("%s was dead before kill %d", p.Name, kills+1)
		}
		p.Again()
	}
	stop()
	work.Wait()
	select {
	case err := <-failures:
		t.Fatal("workload: ", err)
	default:
	}
	for name, s := range sources {
		for table, sql := range map[string][2]string{
			"logins": {"SELECT CONCAT(xh, '|', ip, '|', count(*)) FROM logins GROUP BY xh, ip",
				`SELECT xh || '|' || ip || '|' || sum(CASE WHEN _op IN ('c', 'u') THEN 1 ELSE -1 END) AS x FROM ods.` + name + `_logins GROUP BY xh, ip HAVING sum(CASE WHEN _op IN ('c', 'u') THEN 1 ELSE -1 END) <> 0`},
			"attendance": {"SELECT CONCAT(xh, '|', rq, '|', note) FROM attendance", `SELECT xh || '|' || rq || '|' || note AS x FROM ods.` + name + "_attendance"},
		} {
			want, err := s.rows(sql[0])
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(want)
			var got []string
			if !within(60*time.Second, func() bool {
				got = column(t, store, sql[1])
				slices.Sort(got)
				return equal(got, want)
			}) {
				t.Errorf("%s %s: %d rows, want %d; first difference %s", name, table, len(got), len(want), difference(got, want))
			}
			if len(want) < 5 {
				t.Errorf("%s %s: only %d rows: the workload is wrong", name, table, len(want))
			}
		}
	}
	for i := len(procs) - 1; i >= 0; i-- {
		if !procs[i].Signal(syscall.SIGTERM) || !procs[i].Clean() {
			t.Errorf("%s didn't stop cleanly", procs[i].Name)
		}
	}
}
