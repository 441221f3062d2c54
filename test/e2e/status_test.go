package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/status"
	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

// ask gives a program's answer, code 0 if there is none.
func ask(t *testing.T, port int, path string) (code int, body string) {
	t.Helper()
	res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = res.Body.Close() }() // read only
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// TestStatusIsTrue starts agent, worker and hub before the log, with one source whose
// password is wrong: ready says why not until all is so, the status records and the page
// tell what is going on, and the last record is the stop.
func TestStatusIsTrue(t *testing.T) {
	db := servers.Postgres(t, nil)
	admin := connect(t, db, "postgres")
	mustExec(t, admin, "CREATE DATABASE city")
	mustExec(t, admin, "CREATE DATABASE xueji")
	c := connect(t, db, "xueji")
	mustExec(t, c, "CREATE TABLE student (xh bigint PRIMARY KEY, xm text)")
	bin, dir := program.Build(t), t.TempDir()
	logPort, agentHTTP, workerHTTP, hubHTTP := program.Port(t), program.Port(t), program.Port(t), program.Port(t)
	right := program.Write(t, filepath.Join(dir, "right"), "%s\n", db.Password)
	wrong := program.Write(t, filepath.Join(dir, "wrong"), "hunter2-is-wrong\n")
	source := "  - {name: %s, engine: postgres, host: 127.0.0.1, port: %d, database: xueji, user: postgres, password_file: %s, tables: [\"public.*\"], first_start: now}\n"
	agentFile := program.Write(t, filepath.Join(dir, "agent.yml"), "name: a1\norg: \"330106\"\ndata_dir: %s\nhttp: 127.0.0.1:%d\nlog: {brokers: [\"127.0.0.1:%d\"], embedded: true}\nsources:\n"+source+source,
		filepath.Join(dir, "agent"), agentHTTP, logPort, "xueji", db.Port, right, "renshi", db.Port, wrong)
	store := fmt.Sprintf("{name: shi, host: 127.0.0.1, port: %d, database: city, user: postgres, password_file: %s}", db.Port, right)
	run := func(role, file string) *program.Process {
		p := &program.Process{Name: role, Args: []string{role, "--config", file}}
		p.Start(t, bin, dir, db.Password, "hunter2-is-wrong")
		return p
	}
	agent := run("agent", agentFile)
	worker := run("worker", program.Write(t, filepath.Join(dir, "worker.yml"), "name: w1\norgs: [\"330106\"]\nhttp: 127.0.0.1:%d\nlog: {brokers: [\"127.0.0.1:%d\"], embedded: true}\nstore: %s\n", workerHTTP, logPort, store))
	hub := run("hub", program.Write(t, filepath.Join(dir, "hub.yml"), "accounts: none\nhttp: 127.0.0.1:%d\norgs: [\"330106\"]\nlog: {brokers: [\"127.0.0.1:%d\"], embedded: true}\nstores: [%s]\n", hubHTTP, logPort, store))

	unready := map[int]string{agentHTTP: "log unavailable", workerHTTP: "not a member of the consumer group tributary.city", hubHTTP: "tributary.330106.status"}
	for port, reason := range unready {
		await(t, "the reason "+reason, func() bool {
			code, body := ask(t, port, "/-/ready")
			return code == http.StatusServiceUnavailable && strings.Contains(body, reason)
		})
		if code, _ := ask(t, port, "/-/healthy"); code != http.StatusOK {
			t.Errorf("healthy answers %d without a log", code)
		}
	}
	run("log", program.Write(t, filepath.Join(dir, "log.yml"), "data_dir: %s\nport: %d\n", filepath.Join(dir, "log"), logPort))
	for port := range unready {
		await(t, fmt.Sprintf("port %d ready", port), func() bool { code, _ := ask(t, port, "/-/ready"); return code == http.StatusOK })
	}

	client, err := kafka.New(kafka.Options{Brokers: []string{fmt.Sprintf("127.0.0.1:%d", logPort)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	topic := log.Partition{Topic: kafka.Status("330106")}
	board, err := status.NewBoard(status.BoardOptions{Topics: []log.Partition{topic}, Fetcher: func(p log.Partition) log.Fetcher { return client.Fetcher(p, 1<<20) }})
	if err != nil {
		t.Fatal(err)
	}
	following, end := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	reading.Go(func() { board.Run(following) })
	t.Cleanup(func() { end(); reading.Wait() })
	record := func(kind status.Kind, source string, so func(*status.Record) bool) func() bool {
		return func() bool {
			records := board.Records()
			i := slices.IndexFunc(records, func(r status.Record) bool { return r.Kind == kind && r.Source == source })
			return i >= 0 && records[i].Written.Unix() > 0 && so(&records[i])
		}
	}
	await(t, "the record of the source that streams", record(status.OfSource, "330106-xueji", func(r *status.Record) bool { return r.State == "streaming" && !r.NeedsPerson && r.Program == "a1" }))
	await(t, "the record of the source that waits for a person", record(status.OfSource, "330106-renshi", func(r *status.Record) bool {
		return r.State == "retrying" && r.NeedsPerson && r.Code == "PG_ACCESS" && r.Error != ""
	}))
	mustExec(t, c, "INSERT INTO student VALUES (1, '镕')")
	await(t, "the transaction in the agent's record", record(status.OfSource, "330106-xueji", func(r *status.Record) bool {
		return r.Txns == 1 && r.Rows == 1 && r.Lag.SourceLog != nil && r.Lag.SourceLog.Count == 1 && !r.Logged.Before(r.Committed)
	}))
	await(t, "the transaction in the worker's record", record(status.OfStore, "330106-xueji", func(r *status.Record) bool {
		return r.Store == "shi" && r.Program == "w1" && r.State == "applying" && r.Txns == 1 && r.Lag.LogStore != nil && r.Lag.SourceStore != nil && r.Lag.SourceStore.P50 >= r.Lag.LogStore.P50/2
	}))
	await(t, "the worker's own record", record(status.OfWorker, "", func(r *status.Record) bool { return r.State == "applying" && r.Store == "shi" }))
	await(t, "the page", func() bool {
		code, body := ask(t, hubHTTP, "/?lang=en&store=shi&table=student&key=1")
		return code == http.StatusOK && strings.Contains(body, "330106-xueji") && strings.Contains(body, "PG_ACCESS") && strings.Contains(body, "镕") && strings.Contains(body, "pg_waldump") && strings.Contains(body, "Log → shi")
	})

	text, err := os.ReadFile(agentFile)
	if err != nil {
		t.Fatal(err)
	}
	twin := program.Write(t, filepath.Join(dir, "twin.yml"), "%s", strings.Replace(string(text), "data_dir: ", "data_dir: "+dir+"/twin", 1))
	second := exec.CommandContext(t.Context(), bin, "agent", "--config", twin)
	if out, err := second.CombinedOutput(); err == nil || !strings.Contains(string(out), "is in use by another program") {
		t.Errorf("a port in use: %v\n%s", err, out)
	}

	// Whatever was committed before the moment that the store names is in it, and the moment
	// goes on beyond the last commit once the source is quiet.
	city, begun := connect(t, db, "city"), time.Now()
	var commits []time.Time
	await(t, "the quiet source complete beyond its last commit", func() bool {
		if time.Since(begun) < 3*time.Second {
			mustExec(t, c, "INSERT INTO student SELECT max(xh) + 1, 'x' FROM student")
			commits = append(commits, time.Now())
		}
		var until *time.Time
		var held *string
		rows, before := 0, 1
		err := city.QueryRow(t.Context(), `SELECT until, held_by, (SELECT count(*) FROM ods.student) FROM tributary.complete_until WHERE dataset = 'student' AND source = '330106-xueji'`).Scan(&until, &held, &rows)
		if err != nil || until == nil {
			return false
		}
		for _, at := range commits {
			if at.Before(*until) {
				before++
			}
		}
		if rows < before || held != nil {
			t.Fatalf("complete until %s with %d rows, %d were committed by then; held back by %v", until, rows, before, held)
		}
		return until.After(commits[len(commits)-1])
	})

	for _, p := range []*program.Process{worker, agent, hub} {
		if !p.Signal(syscall.SIGTERM) || !p.Clean() {
			t.Errorf("%s didn't end cleanly", p.Name)
		}
	}
	stopped := func(r *status.Record) bool { return r.State == "stopped" && r.Txns >= 0 }
	await(t, "the agent's last word", record(status.OfSource, "330106-xueji", stopped))
	await(t, "the worker's last word", record(status.OfStore, "330106-xueji", stopped))
	n := 0
	if _, err := client.ReadAll(t.Context(), topic, func(_ log.Offset, r *log.Record) error {
		n++
		if text := string(r.Value); strings.Contains(text, db.Password) || strings.Contains(text, "hunter2") {
			t.Errorf("a password stands in %s", text)
		}
		return nil
	}); err != nil || n < 5 {
		t.Errorf("%d records, %v", n, err)
	}
}
