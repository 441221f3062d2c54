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

	"github.com/tributary-cdc/tributary/deploy/local"
	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

// unseen are the queries whose condition this test doesn't make, with what it would take.
var unseen = map[string]string{
	`bottomk(10, tributary_source_log_left_seconds)`:                          "a source whose log grows beyond a bound",
	`tributary_hub_source_log_left_seconds{source="$source"}`:                 "the same",
	`time() - tributary_hub_complete_until_timestamp_seconds`:                 "an approved request",
	`time() - tributary_hub_complete_until_timestamp_seconds{store="$store"}`: "the same",
	`tributary_source_load_rows_per_second{source="$source"}`:                 "a load that goes on",
	`tributary_source_load_left_seconds{source="$source"}`:                    "the same",
	`tributary_hub_alarms > 0`:                                                "an alarm, which has to hold for 15 s",
}

// TestPanels: the query of each panel of the dashboards, put to Debian's Prometheus that
// scrapes a running agent, worker and hub, gives data.
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
	mustExec(t, source, "CREATE TABLE student (xh bigint PRIMARY KEY, xm text); CREATE TABLE keyless (a int)")
	bin, dir := program.Build(t), t.TempDir()
	ports := map[string]int{"log": program.Port(t), "agent": program.Port(t), "worker": program.Port(t), "hub": program.Port(t)}
	broker := fmt.Sprintf("{brokers: [\"127.0.0.1:%d\"], embedded: true}", ports["log"])
	base := fmt.Sprintf("host: 127.0.0.1, port: %d, user: postgres, password_env: %s", db.Port, program.PasswordVariable)
	for role, text := range map[string]string{
		"log": fmt.Sprintf("data_dir: %s\nport: %d\n", filepath.Join(dir, "log"), ports["log"]),
		"agent": fmt.Sprintf("name: a1\norg: \"330106\"\ndata_dir: %s\nhttp: 127.0.0.1:%d\nlog: %s\nsources:\n  - {name: xueji, engine: postgres, database: xueji, %s, tables: [\"public.*\"], first_start: now}\n",
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
	at := prom(t, prometheus, dir, ports)
	rows := 0
	await(t, "a row in the store", func() bool {
		rows++
		mustExec(t, source, fmt.Sprintf("INSERT INTO student VALUES (%d, 'x')", rows))
		code, body := ask(t, ports["worker"], "/metrics")
		return code == http.StatusOK && strings.Contains(body, "tributary_store_rows_total{")
	})
	left := panelQueries(t)
	for expr := range unseen {
		if !slices.Contains(left, expr) {
			t.Errorf("no panel asks %s", expr)
		}
	}
	left = slices.DeleteFunc(left, func(expr string) bool { return unseen[expr] != "" })
	if !within(time.Minute, func() bool { // nothing is written, so that both ends come to the same place
		left = slices.DeleteFunc(left, func(expr string) bool { return hasData(t, at, expr) })
		return len(left) == 0
	}) {
		t.Errorf("no data for\n%s", strings.Join(left, "\n"))
	}
	for expr := range unseen { // is understood all the same
		hasData(t, at, expr)
	}
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
