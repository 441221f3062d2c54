package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestTraceProvesARow follows rows of both engines from the store back to the source's
// own log, with the command that trace prints, and asks agent and worker how they are.
func TestTraceProvesARow(t *testing.T) {
	maria, db := servers.MariaDB(t, nil), servers.PostgresPrograms(t, nil)
	admin := connect(t, db, "postgres")
	mustExec(t, admin, "CREATE DATABASE city")
	mustExec(t, admin, "CREATE DATABASE chengji")
	scores := connect(t, db, "chengji")
	mustExec(t, scores, "CREATE TABLE score (xh bigint, kch text, kccj numeric(5,1), PRIMARY KEY (xh, kch))")
	c := maria.Connect(t, "")
	for _, sql := range []string{"CREATE DATABASE xueji CHARACTER SET utf8mb4", "SET sql_mode = ''",
		"CREATE TABLE xueji.student (xh bigint PRIMARY KEY, xm varchar(36) NOT NULL, csrq date NULL)"} {
		if _, err := c.Execute(sql); err != nil {
			t.Fatal(err)
		}
	}
	bin, dir := program.Build(t), t.TempDir()
	logPort, agentHTTP, workerHTTP := program.Port(t), program.Port(t), program.Port(t)
	password := func(name, value string) string {
		return program.Write(t, filepath.Join(dir, name+".password"), "%s\n", value)
	}
	store := program.Write(t, filepath.Join(dir, "city.yml"), `
name: city
orgs: ["330106"]
http: 127.0.0.1:%d
log: {brokers: ["127.0.0.1:%d"], embedded: true}
store: {host: 127.0.0.1, port: %d, database: city, user: postgres, password_file: %s}
`, workerHTTP, logPort, db.Port, password("store", db.Password))
	procs := []*program.Process{
		{Name: "log", Args: []string{"log", "--config", program.Write(t, filepath.Join(dir, "log.yml"), "data_dir: %s\nport: %d\n", filepath.Join(dir, "log"), logPort)}},
		{Name: "agent", Args: []string{"agent", "--config", program.Write(t, filepath.Join(dir, "agent.yml"), `
name: a1
org: "330106"
data_dir: %s
http: 127.0.0.1:%d
log: {brokers: ["127.0.0.1:%d"], embedded: true}
sources:
  - {name: xueji, engine: mariadb, host: 127.0.0.1, port: %d, user: root, password_file: %s, tables: ["xueji.*"], first_start: now}
  - {name: chengji, engine: postgres, host: 127.0.0.1, port: %d, database: chengji, user: postgres, password_file: %s, tables: ["public.*"], first_start: now}
`, filepath.Join(dir, "agent"), agentHTTP, logPort, maria.Port, password("maria", maria.Password), db.Port, password("pg", db.Password))}},
		{Name: "worker", Args: []string{"worker", "--config", store}},
	}
	for _, p := range procs {
		p.Start(t, bin, dir, maria.Password, db.Password)
	}
	call := func(args ...string) (string, int) {
		out, err := exec.CommandContext(t.Context(), bin, args...).CombinedOutput()
		code := 0
		if err != nil {
			code = err.(*exec.ExitError).ExitCode()
		}
		return string(out), code
	}
	agent, worker := fmt.Sprintf("http://127.0.0.1:%d", agentHTTP), fmt.Sprintf("http://127.0.0.1:%d", workerHTTP)
	await(t, "both sources streaming", func() bool {
		out, code := call("status", agent, "--lang", "en")
		return code == 0 && strings.Count(out, "streaming") == 2
	})
	if _, err := c.Execute("INSERT INTO xueji.student VALUES (4711, '镕基', '0000-00-00')"); err != nil {
		t.Fatal(err)
	}
	mustExec(t, scores, "INSERT INTO score VALUES (4711, 'K01', 99.5)")
	trace := func(args ...string) (found struct {
		Data []struct {
			Source string `json:"source"`
			Op     string `json:"op"`
			Batch  struct {
				Partition string `json:"partition"`
				Last      int64  `json:"last_offset"`
			} `json:"batch"`
			Row map[string]any `json:"row"`
		} `json:"data"`
	}) {
		await(t, strings.Join(args, " "), func() bool {
			_, code := call(append([]string{"trace", store}, args...)...)
			return code == 0
		})
		out, _ := call(append([]string{"trace", store, "--output", "json"}, args...)...)
		if err := json.Unmarshal([]byte(out), &found); err != nil || len(found.Data) != 1 {
			t.Fatalf("%v\n%s", err, out)
		}
		return found
	}
	student := trace("student", "4711").Data[0]
	if student.Source != "330106-xueji" || student.Op != "c" || student.Batch.Partition != "tributary.330106.changes/0" || student.Batch.Last <= 0 || student.Row["xm"] != "镕基" || student.Row["csrq"] != nil {
		t.Errorf("trace: %+v", student)
	}
	// The zero date is NULL, and not in silence.
	city := connect(t, db, "city")
	if got := column(t, city, "SELECT concat_ws(' ', source, dataset, code, rows, detail) FROM tributary.anomaly"); len(got) != 1 || got[0] != "330106-xueji student VALUE_NULLED 1 csrq: 0000-00-00" {
		t.Errorf("anomalies %q", got)
	}
	score := trace("score", "4711", "K01").Data[0]
	if score.Source != "330106-chengji" || score.Row["kccj"] != 99.5 {
		t.Errorf("trace: %+v", score)
	}

	out, _ := call("trace", store, "student", "4711", "--lang", "zh-CN")
	_, command, ok := strings.Cut(out, "mariadb-binlog")
	if !ok || !strings.Contains(out, "源端查看") {
		t.Fatalf("no command in\n%s", out)
	}
	command, _, _ = strings.Cut(command, "\n")
	command = strings.NewReplacer("HOST", "127.0.0.1", "PORT", strconv.Itoa(int(maria.Port)), "USER", maria.User, "--password", "").Replace(command)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", maria.Server.Program("mariadb-binlog")+" --no-defaults "+command)
	cmd.Env = append(cmd.Environ(), "MYSQL_PWD="+maria.Password)
	proof, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(proof), "@1=4711") || !strings.Contains(string(proof), "镕基") || strings.Count(string(proof), "### INSERT INTO") != 1 {
		t.Errorf("%s: %v\n%s", command, err, proof)
	}
	out, _ = call("trace", store, "score", "4711", "K01")
	_, command, ok = strings.Cut(out, "pg_waldump ")
	if !ok {
		t.Fatalf("no command in\n%s", out)
	}
	command, _, _ = strings.Cut(command, "\n")
	cmd = exec.CommandContext(t.Context(), "sh", "-c", db.Server.Program("pg_waldump")+" "+command)
	cmd.Env = append(cmd.Environ(), "PGDATA="+filepath.Join(db.Server.Dir, "data"))
	proof, err = cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(proof), "COMMIT") {
		t.Errorf("pg_waldump %s: %v\n%s", command, err, proof)
	}

	if out, code := call("trace", store, "student", "1"); code != 1 || !strings.Contains(out, "[ROW_NOT_FOUND]") {
		t.Errorf("a row that isn't there: exit %d, %s", code, out)
	}
	if out, code := call("trace", store, "score", "1"); code != 2 || !strings.Contains(out, "(xh, kch), 1 values") || !strings.Contains(out, "[USAGE_VALUE]") {
		t.Errorf("too few key values: exit %d, %s", code, out)
	}
	if out, code := call("status", agent, worker); code != 0 || !strings.Contains(out, "applying") {
		t.Errorf("status: exit %d\n%s", code, out)
	}
	if !procs[1].Signal(syscall.SIGTERM) {
		t.Fatal("the agent was dead")
	}
	if out, code := call("status", agent, worker, "--output", "json"); code != 3 || !strings.Contains(out, "connection refused") || !strings.Contains(out, `"330106-xueji"`) {
		t.Errorf("status without the agent: exit %d\n%s", code, out)
	}
}
