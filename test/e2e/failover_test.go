package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

// pair is a primary and a replica of it.
type pair struct {
	*testing.T
	primary, replica servers.DB
	maria            bool
}

// sql runs statements on a server, each in a session of its own that sees global
// variables as they are.
func (p *pair) sql(db servers.DB, statements ...string) {
	p.Helper()
	c := db.Connect(p.T, "")
	for _, s := range statements {
		if _, err := c.Execute(s); err != nil {
			p.Fatalf("%.80s: %v", strings.ReplaceAll(s, db.Password, "…"), err)
		}
	}
}

// one gives the only value of a query.
func (p *pair) one(db servers.DB, query string) string {
	p.Helper()
	r, err := db.Connect(p.T, "").Execute(query)
	if err != nil {
		p.Fatal(err)
	}
	s, err := r.GetString(0, 0)
	if err != nil {
		p.Fatal(err)
	}
	return strings.Clone(s)
}

// replicate has the replica follow the primary by GTID, from here on.
func (p *pair) replicate() {
	p.Helper()
	if p.maria {
		p.sql(p.primary, "RESET MASTER")
		p.sql(p.replica, "RESET MASTER", "SET GLOBAL gtid_slave_pos = ''",
			fmt.Sprintf("CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = %d, MASTER_USER = '%s', MASTER_PASSWORD = '%s', MASTER_USE_GTID = slave_pos", p.primary.Port, p.primary.User, p.primary.Password),
			"START SLAVE")
		return
	}
	p.sql(p.primary, "RESET BINARY LOGS AND GTIDS")
	p.sql(p.replica, "RESET BINARY LOGS AND GTIDS",
		fmt.Sprintf("CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = %d, SOURCE_USER = '%s', SOURCE_PASSWORD = '%s', SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1", p.primary.Port, p.primary.User, p.primary.Password),
		"START REPLICA")
}

// part ends the replication.
func (p *pair) part() {
	p.Helper()
	if p.maria {
		p.sql(p.replica, "STOP SLAVE", "RESET SLAVE ALL")
	} else {
		p.sql(p.replica, "STOP REPLICA", "RESET REPLICA ALL")
	}
}

// TestAttack23FailoverLosesTransactions: the primary dies with transactions that its
// replica never got and the store has. The agent that is sent to the replica says so by a
// gap, also when it is started again; nothing that the replica writes is applied behind
// the transactions that never were.
func TestAttack23FailoverLosesTransactions(t *testing.T) {
	for name, tt := range map[string]struct {
		engine string
		start  func(testing.TB, map[string]string) servers.DB
		as     []string // what the replica is given of the primary, besides its rows
		code   string
	}{
		"MariaDB":                   {"mariadb", servers.MariaDB, nil, "GTID_UNKNOWN"},
		"MariaDB that keeps the id": {"mariadb", servers.MariaDB, []string{"SET GLOBAL server_id = 1"}, "LOG_RESET"},
		"MySQL":                     {"mysql", servers.MySQL, nil, "GTID_UNKNOWN"},
	} {
		t.Run(name, func(t *testing.T) {
			settings := func(id string) map[string]string {
				return map[string]string{"server-id": id, "log-slave-updates": "ON"}
			}
			if tt.engine == "mysql" {
				settings = func(id string) map[string]string {
					return map[string]string{"server-id": id, "log-replica-updates": "ON"}
				}
			}
			p := &pair{T: t, primary: tt.start(t, settings("1")), replica: tt.start(t, settings("2")), maria: tt.engine == "mariadb"}
			p.replicate()
			p.failover(tt.engine, tt.as, tt.code)
		})
	}
}

func (p *pair) failover(engine string, as []string, code string) {
	db := servers.Postgres(p.T, nil)
	mustExec(p.T, connect(p.T, db, "postgres"), "CREATE DATABASE city")
	mustExec(p.T, connect(p.T, db, "postgres"), "CREATE DATABASE renshi")
	other := connect(p.T, db, "renshi") // a source that goes on
	mustExec(p.T, other, "CREATE TABLE teacher (id int PRIMARY KEY)")
	p.sql(p.primary, "CREATE DATABASE xueji", "CREATE TABLE xueji.student (xh int PRIMARY KEY, xm varchar(40))", "INSERT INTO xueji.student VALUES (1, 'before')")
	bin, dir := program.Build(p.T), p.TempDir()
	logPort, agentHTTP, workerHTTP := program.Port(p.T), program.Port(p.T), program.Port(p.T)
	file := filepath.Join(dir, "agent.yml")
	at := func(server servers.DB) {
		secret := program.Write(p.T, filepath.Join(dir, "source.password"), "%s\n", server.Password)
		program.Write(p.T, file, "name: a1\norg: \"330106\"\ndata_dir: %s\nhttp: 127.0.0.1:%d\nlog: {brokers: [\"127.0.0.1:%d\"], embedded: true}\nsources:\n  - {name: xueji, engine: %s, host: 127.0.0.1, port: %d, user: root, password_file: %s, tables: [\"xueji.*\"], first_start: load}\n"+
			"  - {name: renshi, engine: postgres, host: 127.0.0.1, port: %d, database: renshi, user: postgres, password_env: %s, tables: [\"public.*\"], first_start: now}\n",
			filepath.Join(dir, "agent"), agentHTTP, logPort, engine, server.Port, secret, db.Port, program.PasswordVariable)
	}
	at(p.primary)
	agent := &program.Process{Name: "agent", Args: []string{"agent", "--config", file}, Expected: code}
	for _, process := range []*program.Process{
		{Name: "log", Args: []string{"log", "--config", program.Write(p.T, filepath.Join(dir, "log.yml"), "data_dir: %s\nport: %d\n", filepath.Join(dir, "log"), logPort)}},
		agent,
		{Name: "city", Expected: code, Args: []string{"worker", "--config", program.Write(p.T, filepath.Join(dir, "city.yml"), "name: city\norgs: [\"330106\"]\nhttp: 127.0.0.1:%d\nlog: {brokers: [\"127.0.0.1:%d\"], embedded: true}\nstore: {host: 127.0.0.1, port: %d, database: city, user: postgres, password_env: %s}\n",
			workerHTTP, logPort, db.Port, program.PasswordVariable)}},
	} {
		process.Start(p.T, bin, dir, db.Password, p.primary.Password, p.replica.Password)
	}
	store := connect(p.T, db, "city")
	has := func(want string) func() bool {
		return func() bool {
			rows, err := store.Query(p.Context(), "SELECT coalesce(string_agg(xh || ' ' || xm, ', ' ORDER BY xh), '') FROM ods.student")
			if err != nil { // not made yet
				return false
			}
			defer rows.Close()
			var got string
			return rows.Next() && rows.Scan(&got) == nil && got == want
		}
	}
	p.sql(p.primary, "INSERT INTO xueji.student VALUES (2, 'both')")
	await(p.T, "the rows that both servers have", has("1 before, 2 both"))
	await(p.T, "the replica's rows", func() bool {
		return p.one(p.replica, "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'xueji'") == "1" && p.one(p.replica, "SELECT COUNT(*) FROM xueji.student") == "2"
	})
	p.part()
	p.sql(p.primary, "INSERT INTO xueji.student VALUES (3, 'phantom')", "UPDATE xueji.student SET xm = 'phantom' WHERE xh = 1")
	await(p.T, "the phantoms", has("1 phantom, 2 both, 3 phantom"))
	if !agent.Signal(syscall.SIGTERM) || !agent.Clean() {
		p.Error("the agent didn't stop cleanly")
	}
	if err := p.primary.Server.Kill(); err != nil {
		p.Fatal(err)
	}
	p.sql(p.replica, append(as, "INSERT INTO xueji.student VALUES (4, 'after')")...)
	for range 10 { // the replica's log grows beyond the primary's
		p.sql(p.replica, "INSERT INTO xueji.student SELECT 100 + COUNT(*), REPEAT('x', 40) FROM xueji.student")
	}
	at(p.replica)
	for n := range 2 { // a restart doesn't change it
		agent.Again()
		await(p.T, "the gap", func() bool {
			_, body := ask(p.T, agentHTTP, "/api/status")
			return strings.Contains(body, `"state":"gap"`) && strings.Contains(body, code)
		})
		await(p.T, "the gap in the store", func() bool {
			got := column(p.T, store, "SELECT source || ' ' || state || ' ' || coalesce((SELECT string_agg(DISTINCT code, ' ') FROM tributary.gap), '') FROM tributary.source WHERE source = '330106-xueji'")
			return len(got) == 1 && got[0] == "330106-xueji gap "+code
		})
		mustExec(p.T, other, "INSERT INTO teacher VALUES ($1)", n)
		await(p.T, "the other source's row", func() bool {
			var rows int
			return store.QueryRow(p.Context(), "SELECT count(*) FROM ods.teacher").Scan(&rows) == nil && rows == n+1
		})
		p.sql(p.replica, "INSERT INTO xueji.student SELECT 1000 + COUNT(*), 'never' FROM xueji.student")
		for _, port := range []int{agentHTTP, workerHTTP} {
			out, err := exec.CommandContext(p.Context(), bin, "status", fmt.Sprintf("http://127.0.0.1:%d", port), "--lang", "en").CombinedOutput()
			if ee, ok := errors.AsType[*exec.ExitError](err); !ok || ee.ExitCode() != 1 || !strings.Contains(string(out), "["+code+"]") {
				p.Errorf("status: %v\n%s", err, out)
			}
		}
		if code, body := ask(p.T, workerHTTP, "/-/ready"); code != http.StatusOK { // the other sources of the partition flow
			p.Errorf("the worker isn't ready: %s", body)
		}
		if !agent.Signal(syscall.SIGTERM) || !agent.Clean() {
			p.Error("the agent in the gap wasn't alive, or didn't stop cleanly")
		}
	}
	if !has("1 phantom, 2 both, 3 phantom")() {
		p.Errorf("the store went on: %q", column(p.T, store, "SELECT xh || ' ' || xm FROM ods.student ORDER BY xh"))
	}
	agent.Again()
	await(p.T, "the order to repair", func() bool {
		return exec.CommandContext(p.Context(), bin, "gap", "repair", "330106-xueji", "--agent", fmt.Sprintf("http://127.0.0.1:%d", agentHTTP)).Run() == nil
	})
	want := p.one(p.replica, "SELECT GROUP_CONCAT(CONCAT(xh, ' ', xm) ORDER BY xh SEPARATOR ', ') FROM xueji.student")
	await(p.T, "the replica's rows, and none of the phantoms", has(want))
	await(p.T, "the gap closed", func() bool {
		return len(column(p.T, store, "SELECT code FROM tributary.gap WHERE closed_at IS NULL UNION ALL SELECT state FROM tributary.source WHERE state <> 'streaming'")) == 0
	})
	if got := column(p.T, store, "SELECT rows::text FROM tributary.anomaly WHERE code = 'ROW_SURPLUS' AND dataset = 'student'"); len(got) != 1 || got[0] != "1" {
		p.Errorf("rows that left the store: %q, want one, the phantom 3", got)
	}
}

// TestFailoverGoesOn: a replica that has all that was read is promoted. The agent that is
// sent to it goes on there, in a new epoch, with what had not been read yet, also if it is
// killed before the first transaction comes; nothing is lost or doubled, and nothing is a gap.
func TestFailoverGoesOn(t *testing.T) {
	for engine, start := range map[string]servers.Starter{"mariadb": servers.MariaDB, "mysql": servers.MySQL} {
		t.Run(engine, func(t *testing.T) {
			settings := func(id string) map[string]string {
				return map[string]string{"server-id": id, map[string]string{"mariadb": "log-slave-updates", "mysql": "log-replica-updates"}[engine]: "ON"}
			}
			p := &pair{T: t, primary: start(t, settings("1")), replica: start(t, settings("2")), maria: engine == "mariadb"}
			p.replicate()
			p.sql(p.primary, "FLUSH BINARY LOGS", "FLUSH BINARY LOGS", "FLUSH BINARY LOGS") // the servers' files have other numbers
			x := newGapRig(t, engine, p.primary)
			x.change()
			x.equal("before the failover")
			x.down(func() {
				x.change() // not read yet
				const sum = "SELECT CONCAT((SELECT COUNT(*) FROM xueji.visit), ' ', (SELECT SUM(xh) FROM xueji.student), ' ', (SELECT SUM(xh) FROM xueji.score))"
				want := p.one(p.primary, sum)
				await(t, "the replica", func() bool { return p.one(p.replica, sum) == want })
				p.part()
				if err := p.primary.Server.Kill(); err != nil {
					t.Fatal(err)
				}
				x.source = x.at(p.replica, "xueji")
				x.send(p.replica)
			})
			x.equal("what had not been read")
			for range 2 {
				if !x.agent.Signal(syscall.SIGKILL) {
					t.Error("the agent wasn't alive")
				}
				x.agent.Again()
			}
			x.change()
			x.equal("after the failover")
			if got := x.one("SELECT concat_ws(' ', (SELECT count(*) FROM tributary.gap), (SELECT count(*) FROM tributary.anomaly), (SELECT count(DISTINCT left(to_position, 8)) FROM tributary.batch_source))"); got != "0 0 2" {
				t.Errorf("gaps, anomalies and epochs: %s, want 0 0 2", got)
			}
			var visits int
			if err := x.source.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM visit").Scan(&visits); err != nil {
				t.Fatal(err)
			}
			if got := x.one("SELECT concat_ws(' ', count(*), count(DISTINCT xh)) FROM ods.visit"); got != fmt.Sprint(visits, visits) {
				t.Errorf("visits %s, want %d, each once", got, visits) // without a key, each delivery would be a row
			}
		})
	}
}
