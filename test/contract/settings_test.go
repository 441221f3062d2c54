package contract

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestWorkerTellsOfTheLog: a worker applies what a log has whose settings would break a
// promise, since waiting would only bring the loss nearer, and says so with the agent's
// codes; settings that are well get no word.
func TestWorkerTellsOfTheLog(t *testing.T) {
	bin := program.Build(t)
	for name, tt := range map[string]struct {
		durability string
		settings   map[string]string // of the topic of changes
		want       []string
	}{
		"one broker, not declared": {"", nil, []string{"[LOG_NOT_DURABLE]", `min.insync.replicas is "1"`}},
		"too little retention":     {", durability: single", map[string]string{"message.timestamp.type": "LogAppendTime", "retention.ms": "3600000"}, []string{"[TOPIC_SETTINGS]", `retention.ms is "3600000"`}},
		"create time":              {", durability: single", map[string]string{"message.timestamp.type": "CreateTime"}, []string{"[TOPIC_SETTINGS]", "message.timestamp.type", "LogAppendTime"}},
		"bounded by its size":      {", durability: single", map[string]string{"message.timestamp.type": "LogAppendTime", "retention.bytes": "1073741824"}, []string{"[TOPIC_SIZE_BOUND]", `retention.bytes is "1073741824"`}},
		"both":                     {"", map[string]string{"message.timestamp.type": "CreateTime"}, []string{"[LOG_NOT_DURABLE]", "message.timestamp.type", "min.insync.replicas"}},
		"well":                     {", durability: single", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, false, 1)
			if tt.settings != nil {
				r.org += "9" // an org whose topic of changes somebody else has made
				servers.CreateTopic(t, r.addr, kafka.Changes(r.org), tt.settings)
				if err := r.client.CreateTopics(t.Context(), r.org, kafka.TopicOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			dir, port := t.TempDir(), program.Port(t)
			p := &program.Process{Name: "worker", Args: []string{"worker", "--config", program.Write(t, filepath.Join(dir, "worker.yml"),
				"name: city\norgs: [%q]\nhttp: 127.0.0.1:%d\nlog: {brokers: [%q]%s}\nstore: {host: 127.0.0.1, port: %d, database: %s, user: %s, password_env: %s}\n",
				r.org, port, r.addr, tt.durability, store.Port, r.database, store.User, program.PasswordVariable)}}
			p.Start(t, bin, dir, store.Password)
			a := r.hand(r.org+"-a", 0)
			a.open("a/1")
			a.txn(1, 1)
			r.await("the row", func() bool { return r.rows(a.source) == "1" })
			address := fmt.Sprintf("http://127.0.0.1:%d", port)
			var out string
			status := func() error {
				b, err := exec.CommandContext(t.Context(), bin, "status", address, "--lang", "en").CombinedOutput()
				out = string(b)
				return err
			}
			if len(tt.want) == 0 {
				r.await("a status without a warning", func() bool { return status() == nil && strings.Contains(out, "applying") })
				return
			}
			r.await("the warning", func() bool {
				ee, ok := errors.AsType[*exec.ExitError](status())
				return ok && ee.ExitCode() == 1 && strings.Contains(out, "warning")
			})
			for _, want := range tt.want {
				if !strings.Contains(out, want) {
					t.Errorf("lacks %q:\n%s", want, out)
				}
			}
			get(t, address+"/-/ready") // or the test fails: the work is done
		})
	}
}

// TestWorkerStaysWithADamagedLog: all partitions of a worker hold a record that can't be
// read. The program stays, and says so where people and probes look, instead of ending and
// being started again for ever; it ends well when it is told to.
func TestWorkerStaysWithADamagedLog(t *testing.T) {
	bin := program.Build(t)
	both(t, func(r *rig) {
		dir, port := t.TempDir(), program.Port(t)
		p := &program.Process{Name: "worker", Args: []string{"worker", "--config", program.Write(t, filepath.Join(dir, "worker.yml"),
			"name: city\norgs: [%q]\nhttp: 127.0.0.1:%d\nlog: {brokers: [%q], embedded: %t, durability: single}\nstore: {host: 127.0.0.1, port: %d, database: %s, user: %s, password_env: %s}\n",
			r.org, port, r.addr, r.embedded, store.Port, r.database, store.User, program.PasswordVariable)}}
		p.Start(r.T, bin, dir, store.Password)
		a := r.hand(r.org+"-a", 0)
		a.open("a/1")
		a.txn(1, 1)
		a.must(a.append(func(rec *log.Records) {
			rec.Add(nil, nil, log.Header{Key: envelope.HeaderSource, Value: []byte(a.source)}, log.Header{Key: envelope.ControlPrefix + "commit", Value: []byte("half")})
		}))
		address := fmt.Sprintf("http://127.0.0.1:%d", port)
		r.await("the failure", func() bool {
			out, err := exec.CommandContext(r.Context(), bin, "status", address, "--lang", "en").CombinedOutput()
			ee, ok := errors.AsType[*exec.ExitError](err)
			return ok && ee.ExitCode() == 1 && strings.Contains(string(out), "failed") && strings.Contains(string(out), "[LOG_MALFORMED]")
		})
		for path, code := range map[string]int{"/-/ready": http.StatusServiceUnavailable, "/-/healthy": http.StatusOK} {
			res, err := http.Get(address + path)
			if err != nil {
				r.Fatal(err)
			}
			b, err := io.ReadAll(res.Body)
			if err = errors.Join(err, res.Body.Close()); err != nil || res.StatusCode != code || code != http.StatusOK && !strings.Contains(string(b), r.part(0).String()+" is failed") {
				r.Errorf("%s: %s %s, %v", path, res.Status, b, err)
			}
		}
		if got := r.rows(a.source); got != "1" {
			r.Errorf("rows %q, want the one before the damage", got)
		}
		if !p.Signal(syscall.SIGTERM) || !p.Clean() {
			r.Error("the worker had ended, or doesn't end well")
		}
	})
}
