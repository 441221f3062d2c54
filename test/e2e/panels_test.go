package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/cmd/hub/authority"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/deploy/local"
	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestPanels: the query of each panel of the dashboards, put to Debian's Prometheus that
// scrapes a running agent, worker and hub, gives data. The source has a load that goes on, a
// bound of its log, an approved table, and one that stops and is an alarm.
func TestPanels(t *testing.T) {
	prometheus, err := exec.LookPath("prometheus")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no prometheus on this machine: apt-get install prometheus")
		}
		t.Skip("no prometheus on this machine")
	}
	db := servers.Postgres(t, nil)
	admin := connect(t, db, "postgres")
	mustExec(t, admin, "CREATE DATABASE city")
	mustExec(t, admin, "CREATE DATABASE xueji")
	source := connect(t, db, "xueji")
	mustExec(t, source, "CREATE TABLE student (xh bigint PRIMARY KEY, xm text); CREATE TABLE keyless (a int); CREATE TABLE mass AS SELECT n AS id, 'x' AS what FROM generate_series(1, 50000) n; ALTER TABLE mass ADD PRIMARY KEY (id)")
	bin, dir := program.Build(t), t.TempDir()
	ports := map[string]int{"log": program.Port(t), "agent": program.Port(t), "worker": program.Port(t), "hub": program.Port(t)}
	broker := fmt.Sprintf("{brokers: [\"127.0.0.1:%d\"], embedded: true}", ports["log"])
	base := fmt.Sprintf("host: 127.0.0.1, port: %d, user: postgres, password_env: %s", db.Port, program.PasswordVariable)
	for role, text := range map[string]string{
		"log": fmt.Sprintf("data_dir: %s\nport: %d\n", filepath.Join(dir, "log"), ports["log"]),
		"agent": fmt.Sprintf("name: a1\norg: \"330106\"\ndata_dir: %s\nhttp: 127.0.0.1:%d\nlog: %s\nsources:\n  - {name: xueji, engine: postgres, database: xueji, %s, tables: [\"public.*\"], first_start: load, load: {rows_per_second: 20}, fuse: {size: 1GB}}\n",
			filepath.Join(dir, "agent"), ports["agent"], broker, base),
		"worker": fmt.Sprintf("name: w1\norgs: [\"330106\"]\nhttp: 127.0.0.1:%d\nlog: %s\nstore: {name: city, database: city, %s}\n", ports["worker"], broker, base),
		"hub": fmt.Sprintf("http: 127.0.0.1:%d\ndata_dir: %s\norgs: [\"330106\"]\nlog: %s\nstores: [{name: city, database: city, %s}]\nstate: {database: city, %s}\n",
			ports["hub"], filepath.Join(dir, "hub"), broker, base, base),
	} {
		p := &program.Process{Name: role, Args: []string{role, "--config", program.Write(t, filepath.Join(dir, role+".yml"), "%s", text)}}
		if role == "agent" {
			p.Expected = "TABLE_NO_KEY"
		}
		p.Start(t, bin, dir, db.Password)
	}
	approve(t, db, "city", "330106", "xueji", "xueji.public.student")
	at := prom(t, prometheus, dir, ports)
	rows := 0
	await(t, "a row in the store", func() bool {
		rows++
		mustExec(t, source, fmt.Sprintf("INSERT INTO student VALUES (%d, 'x')", rows))
		code, body := ask(t, ports["worker"], "/metrics")
		return code == http.StatusOK && strings.Contains(body, "tributary_store_rows_total{")
	})
	left := panelQueries(t)
	if !within(time.Minute, func() bool { // nothing is written, so that both ends come to the same place
		left = slices.DeleteFunc(left, func(expr string) bool { return hasData(t, at, expr) })
		return len(left) == 0
	}) {
		t.Errorf("no data for\n%s", strings.Join(left, "\n"))
	}
}

// approve registers a source with one table at the hub whose state is in a database, as an
// operator and an approver do.
func approve(t *testing.T, db servers.DB, database, code, name, table string) {
	t.Helper()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	config, err := pgx.ParseConfig(db.In(database))
	ok(err)
	hub, err := state.Open(t.Context(), state.Options{Config: config})
	ok(err)
	defer hub.Close()
	root, whole := state.By{Name: "root"}, []string{""}
	orgs, problems := catalog.ParseFile([]byte("code,parent,name,kind\n33,,浙江省,province\n"+code+",33,西湖区,district\n"), false)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	_, err = hub.Import(t.Context(), root, orgs)
	ok(err)
	for who, role := range map[string]account.Role{"op": account.Operator, "ap": account.Approver} {
		_, err := hub.CreateAccount(t.Context(), root, whole, account.Account{Name: who, Title: who, Grants: []account.Grant{{Role: role, Org: "33"}}})
		ok(err)
	}
	invitation := account.Secret()
	_, err = hub.Invite(t.Context(), state.By{Name: "op"}, whole, code, invitation)
	ok(err)
	agent, _, err := hub.Join(t.Context(), state.By{}, whole, invitation, "host", func(agent, _ string) (authority.Issued, error) {
		return authority.Issued{Serial: agent, Begins: time.Now(), Ends: time.Now().Add(90 * 24 * time.Hour)}, nil
	})
	ok(err)
	asked, err := hub.Propose(t.Context(), state.By{Name: agent.ID}, &agent, state.Proposal{Name: name, Engine: "postgres", Server: "PostgreSQL", Standing: catalog.Authoritative,
		Tables: []state.ProposedTable{{Table: table, Dataset: table[strings.LastIndex(table, ".")+1:], Rows: 1}}})
	ok(err)
	_, err = hub.Decide(t.Context(), state.By{Name: "ap"}, whole, asked.ID, state.Decision{Tables: []string{table}, Partitions: 1}, kafka.Changes)
	ok(err)
}

// prom runs Prometheus on the metrics of programs, and gives its port.
func prom(t *testing.T, path, dir string, ports map[string]int) int {
	t.Helper()
	text := "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n"
	for _, role := range []string{"agent", "worker", "hub"} {
		text += fmt.Sprintf("  - {job_name: tributary-%s, static_configs: [{targets: [\"127.0.0.1:%d\"]}]}\n", role, ports[role])
	}
	at := program.Port(t)
	p := &local.Process{Name: "prometheus", Path: path, Out: filepath.Join(dir, "prometheus.out"), Args: []string{"--config.file=" + program.Write(t, filepath.Join(dir, "prometheus.yml"), "%s", text),
		"--storage.tsdb.path=" + filepath.Join(dir, "tsdb"), fmt.Sprintf("--web.listen-address=127.0.0.1:%d", at)}}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.Signal(syscall.SIGTERM) == nil {
			<-p.Done()
		}
	})
	await(t, "Prometheus", func() bool { code, _ := ask(t, at, "/-/ready"); return code == http.StatusOK })
	return at
}

// panelQueries are those of all dashboards.
func panelQueries(t *testing.T) (all []string) {
	t.Helper()
	files, err := filepath.Glob("../../deploy/grafana/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var board struct {
			Panels []struct {
				Targets []struct {
					Expr string `json:"expr"`
				} `json:"targets"`
			} `json:"panels"`
		}
		if err := json.Unmarshal(b, &board); err != nil {
			t.Fatal(err)
		}
		for _, p := range board.Panels {
			for _, q := range p.Targets {
				all = append(all, q.Expr)
			}
		}
	}
	return all
}

// hasData puts a query, with the variables of the dashboards filled in.
func hasData(t *testing.T, port int, expr string) bool {
	t.Helper()
	query := strings.NewReplacer("$source", "330106-xueji", "$store", "city").Replace(expr)
	code, body := ask(t, port, "/api/v1/query?query="+url.QueryEscape(query))
	var answer struct {
		Data struct {
			Result []json.RawMessage `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || code != http.StatusOK {
		t.Fatalf("%s: %d %s", query, code, body)
	}
	return len(answer.Data.Result) > 0
}
