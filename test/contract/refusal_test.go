package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/deploy/local"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

// agentFile writes an agent's configuration with one source.
func agentFile(r *rig, dir, durability string, port int, secret string) string {
	r.Helper()
	if durability != "" {
		durability = ", durability: " + durability
	}
	return program.Write(r, filepath.Join(dir, "agent.yml"), `
name: a1
org: %q
data_dir: %q
log: {brokers: [%q]%s}
sources:
  - {name: renshi, engine: postgres, host: 127.0.0.1, port: %d, database: postgres, user: postgres, password_file: %q, tables: ["public.*"], first_start: now}
`, r.org, filepath.Join(dir, "agent"), r.addr, durability, port, secret)
}

// TestAgentRefusesTheLog: what a log must not be, with the words for it.
func TestAgentRefusesTheLog(t *testing.T) {
	bin := program.Build(t)
	for name, tt := range map[string]struct {
		durability string
		settings   map[string]string // of the topic of changes
		want       []string
	}{
		"one broker, not declared": {"", nil, []string{"[LOG_NOT_DURABLE]", "min.insync.replicas=2", "durability: single"}},
		"too little retention":     {"single", map[string]string{"message.timestamp.type": "LogAppendTime", "retention.ms": "3600000"}, []string{"[TOPIC_SETTINGS]", `retention.ms is "3600000"`, "86400000"}},
		"create time":              {"single", map[string]string{"message.timestamp.type": "CreateTime"}, []string{"[TOPIC_SETTINGS]", "message.timestamp.type", "LogAppendTime"}},
		"compacted":                {"single", map[string]string{"message.timestamp.type": "LogAppendTime", "cleanup.policy": "compact"}, []string{"[TOPIC_SETTINGS]", "cleanup.policy"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, false, 1)
			if tt.settings != nil {
				servers.DeleteTopic(t, r.addr, kafka.Changes(r.org))
				servers.CreateTopic(t, r.addr, kafka.Changes(r.org), tt.settings)
			}
			dir := t.TempDir()
			out, err := exec.CommandContext(t.Context(), bin, "agent", "--config", agentFile(r, dir, tt.durability, 1, program.Write(t, filepath.Join(dir, "secret"), "x\n")), "--lang", "en").CombinedOutput()
			if ee, ok := errors.AsType[*exec.ExitError](err); !ok || ee.ExitCode() != 1 {
				t.Errorf("the agent ended with %v, want 1", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("lacks %q:\n%s", want, out)
				}
			}
		})
	}
}

// TestAgentTellsOfTheLog: changes that are bounded by their size are told in the agent's log
// and status, and refuse nothing: the agent goes on to its source.
func TestAgentTellsOfTheLog(t *testing.T) {
	bin, r, dir := program.Build(t), newRig(t, false, 1), t.TempDir()
	servers.DeleteTopic(t, r.addr, kafka.Changes(r.org))
	servers.CreateTopic(t, r.addr, kafka.Changes(r.org), map[string]string{"message.timestamp.type": "LogAppendTime", "retention.bytes": "1073741824"})
	p := &local.Process{Name: "agent", Path: bin, Args: []string{"agent", "--config", agentFile(r, dir, "single", int(store.Port), program.Write(t, filepath.Join(dir, "secret"), "not the password\n"))}, Out: filepath.Join(dir, "out")}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() }) // it has ended if all is well
	said := func() string {
		b, err := os.ReadFile(p.Out)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	r.await("the warning, and the source", func() bool {
		return served.MatchString(said()) && strings.Contains(said(), "code=TOPIC_SIZE_BOUND") && strings.Contains(said(), "code=PG_ACCESS")
	})
	address := served.FindStringSubmatch(said())[1]
	for lang, want := range map[string]string{"en": "bounded by its size", "zh-CN": "变更主题按大小保留"} {
		out, err := exec.CommandContext(t.Context(), bin, "status", address, "--lang", lang).CombinedOutput()
		if ee, ok := errors.AsType[*exec.ExitError](err); !ok || ee.ExitCode() != 1 || !strings.Contains(string(out), "[TOPIC_SIZE_BOUND]") || !strings.Contains(string(out), want) {
			t.Errorf("status ended with %v:\n%s", err, out)
		}
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	select {
	case <-p.Done():
	case <-time.After(20 * time.Second):
		t.Error("the agent doesn't end")
	}
}

// awkward is a password that every kind of quoting would show in another form.
const awkward = `p@s's "w0:r/d?#%20&=+;\x`

// forms are the ways in which a password may slip into a text.
func forms(secret string) []string {
	quoted, err := json.Marshal(secret)
	if err != nil {
		panic(err)
	}
	return []string{secret, url.QueryEscape(secret), url.PathEscape(secret), strings.Trim(string(quoted), `"`), strings.Trim(fmt.Sprintf("%q", secret), `"`), "w0:r/d"}
}

// silent fails the test if a text holds the password.
func silent(t *testing.T, what, text string) {
	t.Helper()
	for _, f := range forms(awkward) {
		if strings.Contains(text, f) {
			t.Errorf("%s holds the password as %q:\n%s", what, f, text)
		}
	}
}

var served = regexp.MustCompile(`msg=serving url=(\S+)`)

// TestSecretsStaySecret: databases that refuse the connection, and one that refuses
// the password, are named in logs, status and metrics; the password never is.
func TestSecretsStaySecret(t *testing.T) {
	bin := program.Build(t)
	for name, tt := range map[string]struct {
		port   int // of source and store
		source string
		store  string
	}{
		"nobody there":   {1, "SOURCE_UNREACHABLE", "STORE_UNREACHABLE"},
		"wrong password": {int(store.Port), "PG_ACCESS", "STORE_ACCESS"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, false, 1)
			dir := t.TempDir()
			secret := program.Write(t, filepath.Join(dir, "secret"), "%s\n", awkward)
			worker := program.Write(t, filepath.Join(dir, "worker.yml"), "name: city\norgs: [%q]\nlog: {brokers: [%q], durability: single}\nstore: {host: 127.0.0.1, port: %d, database: %s, user: postgres, password_file: %q}\n",
				r.org, r.addr, tt.port, r.database, secret)
			for _, p := range []struct{ role, file, code string }{{"agent", agentFile(r, dir, "single", tt.port, secret), tt.source}, {"worker", worker, tt.store}} {
				process := &local.Process{Name: p.role, Path: bin, Args: []string{p.role, "--config", p.file}, Out: filepath.Join(dir, p.role+".out")}
				if err := process.Start(); err != nil {
					t.Fatal(err)
				}
				said := func() string {
					b, err := os.ReadFile(process.Out)
					if err != nil {
						t.Fatal(err)
					}
					return string(b)
				}
				r.await("the "+p.role+"'s "+p.code, func() bool { return served.MatchString(said()) && strings.Contains(said(), "code="+p.code) })
				address := served.FindStringSubmatch(said())[1]
				out, err := exec.CommandContext(t.Context(), bin, "status", address, "--lang", "en").CombinedOutput()
				if err == nil || !strings.Contains(string(out), "["+p.code+"]") {
					t.Errorf("status of the %s: %v\n%s", p.role, err, out)
				}
				silent(t, "tributary status", string(out))
				for _, path := range []string{"api/status", "metrics"} {
					silent(t, path, get(t, address+"/"+path))
				}
				if err := process.Signal(syscall.SIGTERM); err != nil {
					t.Error(err)
				}
				select {
				case <-process.Done():
				case <-time.After(20 * time.Second):
					t.Errorf("the %s doesn't end", p.role)
				}
				silent(t, "the log of the "+p.role, said())
			}
			out, err := exec.CommandContext(t.Context(), bin, "trace", worker, "student", "1", "--lang", "en").CombinedOutput()
			want := 1
			if tt.store == "STORE_UNREACHABLE" {
				want = 3
			}
			if ee, ok := errors.AsType[*exec.ExitError](err); !ok || ee.ExitCode() != want || !strings.Contains(string(out), "["+tt.store+"]") {
				t.Errorf("trace ended with %v, want %d and %s:\n%s", err, want, tt.store, out)
			}
			silent(t, "tributary trace", string(out))
		})
	}
}
