package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
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

// ordered is an agent with a source on PostgreSQL and one on MariaDB, whose patterns leave
// out the tables that grow, and a store.
type ordered struct {
	t           *testing.T
	bin, config string
	port        int
	source      *pgx.Conn
	maria       *client.Conn
	store       *pgx.Conn
	agent       *program.Process
	procs       []*program.Process
	rng         *rand.Rand
	rows        int // that each growing table had
	stop        context.CancelFunc
	work        sync.WaitGroup
	failed      [2]error
}

// growing are the tables that are added, by source: the source's name for it, and the
// store's.
var growing = [][3]string{{"330108-renshi", "renshi.other.exam", "ods.exam"}, {"330108-xueji", "xueji.score", "ods.m_score"}}

func newOrdered(t *testing.T) *ordered {
	x := &ordered{t: t, bin: program.Build(t), port: program.Port(t), rng: rand.New(rand.NewPCG(seed(t), 8)), rows: 6000}
	maria, db := servers.MariaDB(t, nil), servers.Postgres(t, nil)
	admin := connect(t, db, "postgres")
	for _, name := range []string{"renshi", "city"} {
		mustExec(t, admin, "CREATE DATABASE "+name)
	}
	x.source, x.store = connect(t, db, "renshi"), connect(t, db, "city")
	mustExec(t, x.source, `CREATE TABLE person (id int PRIMARY KEY, v text)`)
	mustExec(t, x.source, `CREATE SCHEMA other`)
	mustExec(t, x.source, `CREATE TABLE other.exam (xh bigint, kmh varchar(9) COLLATE "C", v text, PRIMARY KEY (xh, kmh))`)
	mustExec(t, x.source, `INSERT INTO other.exam SELECT i / 3, 'k' || i % 3, 'v' || i FROM generate_series(0, $1 - 1) i`, x.rows)
	mustExec(t, x.source, "ANALYZE other.exam")
	x.maria = maria.Connect(t, "")
	for _, sql := range []string{"CREATE DATABASE xueji CHARACTER SET utf8mb4", "USE xueji", "SET GLOBAL expire_logs_days = 10", "CREATE TABLE person (id int PRIMARY KEY, v varchar(20))",
		"CREATE TABLE score (xh bigint, kmh varchar(9) COLLATE utf8mb4_bin, v varchar(20), PRIMARY KEY (xh, kmh))",
		fmt.Sprintf("INSERT INTO score SELECT seq DIV 3, CONCAT('k', seq %% 3), CONCAT('v', seq) FROM seq_0_to_%d", x.rows-1)} {
		if _, err := x.maria.Execute(sql); err != nil {
			t.Fatal(err)
		}
	}
	dir, logPort := t.TempDir(), program.Port(t)
	secret := func(name, password string) string {
		return program.Write(t, filepath.Join(dir, name), "%s\n", password)
	}
	x.config = program.Write(t, filepath.Join(dir, "agent.yml"), `
name: a1
org: "330108"
data_dir: %s
log: {brokers: ["127.0.0.1:%d"], embedded: true}
http: 127.0.0.1:%d
sources:
  - {name: renshi, engine: postgres, host: 127.0.0.1, port: %d, database: renshi, user: postgres, password_file: %s, tables: ["public.*"], first_start: load, fuse: {age: 12h}, load: {rows_per_second: 3000}}
  - {name: xueji, engine: mariadb, host: 127.0.0.1, port: %d, user: root, password_file: %s, tables: ["xueji.person"], first_start: load, load: {rows_per_second: 3000},
     datasets: {xueji.person: m_person, xueji.score: m_score}}
`, filepath.Join(dir, "agent"), logPort, x.port, db.Port, secret("pg", db.Password), maria.Port, secret("maria", maria.Password))
	x.agent = &program.Process{Name: "agent", Args: []string{"agent", "--config", x.config}, Expected: "table"}
	x.procs = []*program.Process{
		{Name: "log", Args: []string{"log", "--config", program.Write(t, filepath.Join(dir, "log.yml"), "data_dir: %s\nport: %d\n", filepath.Join(dir, "log"), logPort)}},
		x.agent,
		{Name: "city", Args: []string{"worker", "--config", program.Write(t, filepath.Join(dir, "city.yml"), `
name: city
orgs: ["330108"]
log: {brokers: ["127.0.0.1:%d"], embedded: true}
store: {host: 127.0.0.1, port: %d, database: city, user: postgres, password_file: %s}
`, logPort, db.Port, secret("store", db.Password))}},
	}
	for _, p := range x.procs {
		p.Start(t, x.bin, dir, db.Password, maria.Password)
	}
	x.write(connect(t, db, "renshi"), maria.Connect(t, "xueji"))
	return x
}

// write changes the growing tables until the test has what it wants.
func (x *ordered) write(pg *pgx.Conn, maria *client.Conn) {
	ctx, stop := context.WithCancel(context.Background())
	x.stop = stop
	x.t.Cleanup(x.rest)
	for n, run := range []func(sql string) error{
		func(sql string) error {
			_, err := pg.Exec(context.Background(), strings.ReplaceAll(sql, "score", "other.exam"))
			return err
		},
		func(sql string) error { _, err := maria.Execute(sql); return err },
	} {
		rng := rand.New(rand.NewPCG(uint64(n), 9))
		x.work.Go(func() {
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for id := 0; x.failed[n] == nil; id++ {
				sql := fmt.Sprintf("UPDATE score SET v = 'w%d' WHERE xh = %d", id, rng.IntN(x.rows/3))
				switch rng.IntN(4) {
				case 0:
					sql = fmt.Sprintf("DELETE FROM score WHERE xh = %d AND kmh = 'k%d'", rng.IntN(x.rows/3), rng.IntN(3))
				case 1:
					sql = fmt.Sprintf("INSERT INTO score VALUES (%d, 'n%d', 'new')", rng.IntN(x.rows/3), id)
				}
				x.failed[n] = run(sql)
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
}

// rest ends the writing.
func (x *ordered) rest() {
	x.stop()
	x.work.Wait()
	for _, err := range x.failed {
		if err != nil {
			x.t.Error("workload: ", err)
		}
	}
}

// order gives one once the agent answers, and wants it to outlive the agent.
func (x *ordered) order(args ...string) {
	x.t.Helper()
	x.answers()
	out, err := exec.CommandContext(x.t.Context(), x.bin, append([]string{"table"}, append(args, "--lang=en", "--agent", fmt.Sprintf("http://127.0.0.1:%d", x.port))...)...).CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "ordered; ") {
		x.t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

// answers waits for the agent's address.
func (x *ordered) answers() {
	x.t.Helper()
	await(x.t, "the agent's address", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", x.port))
		if err == nil {
			_ = c.Close() // it was for the address only
		}
		return err == nil
	})
}

// kill ends the agent at once and starts it again.
func (x *ordered) kill() {
	x.t.Helper()
	if !x.agent.Signal(syscall.SIGKILL) {
		x.t.Fatal("the agent was dead before it was killed")
	}
	x.agent.Again()
}

// whole waits until no table of the store is incomplete, or read again.
func (x *ordered) whole() {
	x.t.Helper()
	n := -1
	if !within(90*time.Second, func() bool {
		return x.store.QueryRow(context.Background(), `SELECT count(*) FROM tributary.table_state`).Scan(&n) == nil && n == 0
	}) {
		x.t.Fatalf("%d tables are loading, or have stopped", n)
	}
}

// tables gives a growing table's rows at the source and in the store.
func (x *ordered) tables(n int) (source, store []string) {
	x.t.Helper()
	if n == 0 {
		source = column(x.t, x.source, `SELECT concat_ws('|', xh, kmh, v) AS r FROM other.exam ORDER BY concat_ws('|', xh, kmh, v) COLLATE "C"`)
	} else {
		r, err := x.maria.Execute("SELECT CONCAT_WS('|', xh, kmh, v) AS r FROM xueji.score ORDER BY BINARY r")
		if err != nil {
			x.t.Fatal(err)
		}
		for i := range r.RowNumber() {
			s, err := r.GetString(i, 0)
			if err != nil {
				x.t.Fatal(err)
			}
			source = append(source, strings.Clone(s))
		}
	}
	return source, column(x.t, x.store, `SELECT concat_ws('|', xh, kmh, v) AS r FROM `+growing[n][2]+` ORDER BY concat_ws('|', xh, kmh, v) COLLATE "C"`)
}

type agentLoad struct {
	Table    string  `json:"table"`
	Phase    string  `json:"phase"`
	Rows     int64   `json:"rows"`
	Estimate int64   `json:"estimate"`
	Speed    float64 `json:"rows_per_second"`
	Left     float64 `json:"seconds_left"`
	Part     string  `json:"part"`
}

// agentStatus is what the agent says of itself.
type agentStatus struct {
	Loads   map[string][]agentLoad `json:"loads"`
	Added   map[string][]string    `json:"added_tables"`
	Sources []struct {
		Source string `json:"source"`
		State  string `json:"state"`
		Code   string `json:"code"`
	} `json:"sources"`
}

func (x *ordered) status() (s agentStatus) {
	x.t.Helper()
	x.answers()
	out, err := exec.CommandContext(x.t.Context(), x.bin, "status", "--output=json", fmt.Sprintf("http://127.0.0.1:%d", x.port)).Output()
	var all struct{ Data []agentStatus }
	if jerr := json.Unmarshal(out, &all); jerr != nil || len(all.Data) != 1 {
		x.t.Fatalf("status: %v, %v\n%s", err, jerr, out)
	}
	return all.Data[0]
}

// TestOrdersOutliveKills adds tables that the patterns leave out, lets loads rest and end,
// leaves tables and adds them again, lets the sources
// rest, and reads parts of spoilt tables again, while they are written and the agent is killed: an order that was
// answered is carried out, and a table that was added stays captured. In the end both go while they are read.
func TestOrdersOutliveKills(t *testing.T) {
	x := newOrdered(t)
	await(t, "the first load", func() bool {
		var n int
		return x.store.QueryRow(context.Background(), `SELECT count(*) FROM tributary.table_state`).Scan(&n) == nil && len(x.status().Loads) == 2
	})
	x.whole()
	for _, g := range growing {
		x.order("add", g[0], g[1])
		x.kill() // at once: the answer says that the log has it
	}
	seen := map[string]bool{}
	await(t, "the speed of loads", func() bool {
		for source, loads := range x.status().Loads {
			for _, l := range loads {
				if l.Phase == "loading" && l.Speed > 0 && l.Left > 0 && l.Estimate > 0 {
					seen[source] = true
				}
			}
		}
		return len(seen) == 2
	})
	for range 3 {
		pause := time.NewTimer(time.Duration(100+x.rng.IntN(500)) * time.Millisecond)
		<-pause.C
		x.kill()
	}
	x.whole()
	x.decisions()
	x.removals()
	x.rests()
	x.answers() // a program that has just begun doesn't hear SIGTERM yet
	if !x.agent.Signal(syscall.SIGTERM) || !x.agent.Clean() {
		t.Error("the agent didn't stop cleanly")
	}
	x.agent.Again()
	for _, g := range growing {
		await(t, g[1]+" among the added tables", func() bool { return slices.Equal(x.status().Added[g[0]], []string{g[1]}) })
	}
	if out, err := exec.CommandContext(t.Context(), x.bin, "config", "check", "agent", x.config).CombinedOutput(); err != nil {
		t.Errorf("config check: %v\n%s", err, out)
	}

	x.parts()

	x.rest()
	for n, g := range growing {
		var source, store []string
		if !within(60*time.Second, func() bool { source, store = x.tables(n); return equal(source, store) }) {
			t.Errorf("%s: %d rows in the store, %d at the source; first difference %s", g[1], len(store), len(source), difference(store, source))
		}
	}
	refused, err := exec.CommandContext(t.Context(), x.bin, "table", "add", "--lang=en", "--agent", fmt.Sprintf("http://127.0.0.1:%d", x.port), growing[0][0], growing[0][1]).CombinedOutput()
	if err == nil || !strings.Contains(string(refused), "[LOAD_REFUSED]") {
		t.Errorf("added again: %v\n%s", err, refused)
	}
	x.dropped()
	for i := len(x.procs) - 1; i >= 0; i-- {
		if !x.procs[i].Signal(syscall.SIGTERM) || !x.procs[i].Clean() {
			t.Errorf("%s didn't stop cleanly", x.procs[i].Name)
		}
	}
}

// parts spoils rows of the store's tables within and outside a part, and has the part read
// again: a row missing, one too many, one different in each.
func (x *ordered) parts() {
	x.t.Helper()
	const lost = 1_000_001 // a key that nobody writes
	for n, g := range growing {
		for _, id := range []int{500, lost} { // in the part, and behind it
			spoil := []string{fmt.Sprintf(`INSERT INTO %s SELECT (jsonb_populate_record(s, '{"xh": %d, "kmh": "z", "v": "surplus"}')).* FROM %s s LIMIT 1`, g[2], id, g[2])}
			if id == 500 {
				spoil = append(spoil, fmt.Sprintf(`DELETE FROM %s WHERE xh = 501`, g[2]), fmt.Sprintf(`UPDATE %s SET v = 'other' WHERE xh = 502`, g[2]))
			}
			for _, sql := range spoil {
				mustExec(x.t, x.store, sql)
			}
		}
		bounds := "400,k1..900,zz"
		x.order("reread", g[0], g[1], "--where-key", bounds)
		x.kill()
		x.whole()
		if !within(60*time.Second, func() bool {
			for _, l := range x.status().Loads[g[0]] {
				if l.Table == g[1] && l.Part == bounds && l.Phase == "loaded" {
					return true
				}
			}
			return false
		}) {
			x.t.Fatalf("%s: loads %+v", g[1], x.status().Loads[g[0]])
		}
		left := -1
		if !within(60*time.Second, func() bool { // the store comes to it later
			err := x.store.QueryRow(context.Background(), `SELECT count(*) FROM `+g[2]+` WHERE xh = 500 AND kmh = 'z' OR xh BETWEEN 501 AND 502 AND v = 'other'`).Scan(&left)
			return err == nil && left == 0
		}) {
			x.t.Errorf("%s: %d spoilt rows are left in the part", g[1], left)
		}
		x.whole()
		if _, store := x.tables(n); !slices.Contains(store, fmt.Sprintf("%d|z|surplus", lost)) {
			x.t.Errorf("%s: a row outside the part was taken away", g[1])
		}
		mustExec(x.t, x.store, fmt.Sprintf(`DELETE FROM %s WHERE xh = %d`, g[2], lost))
	}
	for text, code := range map[string]string{"1": "--where-key", "one..2": "[RANGE_INVALID]"} {
		out, err := exec.CommandContext(x.t.Context(), x.bin, "table", "reread", "--lang=en", "--agent", fmt.Sprintf("http://127.0.0.1:%d", x.port), growing[0][0], growing[0][1], "--where-key", text).CombinedOutput()
		if err == nil || !strings.Contains(string(out), code) {
			x.t.Errorf("--where-key %s: %v\n%s", text, err, out)
		}
	}
}
