package contract

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/stream/kafka"
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
			dir, http := t.TempDir(), program.Port(t)
			p := &program.Process{Name: "worker", Args: []string{"worker", "--config", program.Write(t, filepath.Join(dir, "worker.yml"),
				"name: city\norgs: [%q]\nhttp: 127.0.0.1:%d\nlog: {brokers: [%q]%s}\nstore: {host: 127.0.0.1, port: %d, database: %s, user: %s, password_env: %s}\n",
				r.org, http, r.addr, tt.durability, store.Port, r.database, store.User, program.PasswordVariable)}}
			p.Start(t, bin, dir, store.Password)
			a := r.hand(r.org+"-a", 0)
			a.open("a/1")
			a.txn(1, 1)
			r.await("the row", func() bool { return r.rows(a.source) == "1" })
			address := fmt.Sprintf("http://127.0.0.1:%d", http)
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
