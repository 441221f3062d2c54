package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/test/servers"
)

// registered is a hub with an agent whose only source is approved.
type registered struct {
	db     servers.DB
	client *kafka.Client
	op, ap *caller
	dir    string
	agent  string // its file
}

// runs is an agent as `tributary agent` runs it.
func runs(t *testing.T, file string) (ended chan error, stop context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended = make(chan error, 1)
	go func() { ended <- runAgent(ctx, file, io.Discard, slog.New(slog.DiscardHandler)) }()
	return ended, cancel
}

// ends waits for an agent to end by itself.
func ends(t *testing.T, what string, ended chan error) error {
	t.Helper()
	select {
	case err := <-ended:
		return err
	case <-time.After(time.Minute):
		t.Fatalf("%s: the agent doesn't end", what)
		return nil
	}
}

// logged waits until a text is in the log, and gives how often each of the texts is.
func (r *registered) logged(t *testing.T, until string, texts ...string) (n []int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		all := ""
		_, err := r.client.ReadAll(t.Context(), log.Partition{Topic: kafka.Changes("330106")}, func(_ log.Offset, rec *log.Record) error {
			all += string(rec.Value)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(all, until) {
			for _, text := range texts {
				n = append(n, strings.Count(all, text))
			}
			return n
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s doesn't come", until)
		}
		<-time.After(50 * time.Millisecond) // the log has no way to be waited for a text
	}
}

// changesHands: a source is handed over while its agent reads it, which another one of the
// org fences and goes on from without a gap; then it is retired, whose agent ends, and leaves
// nothing at the server but what it may not take away.
func changesHands(t *testing.T, r *registered) {
	t.Helper()
	first, stop := runs(t, r.agent)
	defer stop()
	sql(t, r.db, "INSERT INTO xueji.student VALUES (2, '第一个 agent 读取')")
	r.logged(t, "第一个 agent 读取")

	invited := r.op.post("/api/invitations", map[string]any{"org": "330106"})
	at := filepath.Join(r.dir, "second")
	well(t, append(strings.Fields(invited["command"].(string))[1:], "--dir", at, "--name", "next")...)
	text, err := os.ReadFile(r.agent)
	if err != nil {
		t.Fatal(err)
	}
	file := file(t, "second.yml", strings.NewReplacer(filepath.Join(r.dir, "joined"), at, filepath.Join(r.dir, "agent"), filepath.Join(r.dir, "agent2"), "name: a1", "name: a2").Replace(string(text)))
	agents := []struct{ ID, Name string }{}
	r.op.ask("GET", "/api/agents", "", nil, &struct{ Data any }{&agents})
	next := ""
	for _, a := range agents {
		if a.Name == "next" {
			next = a.ID
		}
	}
	r.ap.post("/api/sources/330106-xueji/handover", map[string]any{"agent": next, "reason": "更换采集机"})
	well(t, "source", "fetch", "--dir", at)
	second, stopSecond := runs(t, file)
	defer stopSecond()
	if err := ends(t, "the first one", first); err != nil && !errors.Is(err, log.ErrFenced) {
		t.Errorf("the first agent: %v", err)
	}
	sql(t, r.db, "INSERT INTO xueji.student VALUES (3, '第二个 agent 接续')")
	if n := r.logged(t, "第二个 agent 接续", "王小明的名字不离开", "第一个 agent 读取", "第二个 agent 接续"); n[0] != 1 || n[1] != 1 || n[2] != 1 {
		t.Errorf("rows in the log: %v", n)
	}
	moved(t, filepath.Join(r.dir, "joined"), at)
	well(t, "source", "fetch", "--dir", filepath.Join(r.dir, "joined"))
	fails(t, "SOURCE_NOT_GRANTED", "agent", "--config", r.agent)

	r.ap.post("/api/sources/330106-xueji/retire", map[string]any{"reason": "系统下线"})
	well(t, "source", "fetch", "--dir", at)
	if err := ends(t, "the retired source's", second); err != nil {
		t.Error(err)
	}
	c, err := pgx.Connect(t.Context(), r.db.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(context.Background()) }() // read only
	left := 0
	if err := c.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM pg_replication_slots) + (SELECT count(*) FROM pg_publication)").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d slots and publications are left, %v", left, err)
	}
	var answer struct {
		Data []struct {
			Source  string
			Retired *time.Time
			LetGo   *time.Time `json:"let_go"`
			Remains string
		}
	}
	r.op.ask("GET", "/api/sources", "", nil, &answer)
	if len(answer.Data) != 1 || answer.Data[0].Retired == nil || answer.Data[0].LetGo == nil || answer.Data[0].Remains != "" {
		t.Errorf("%+v", answer.Data)
	}
	well(t, "source", "fetch", "--dir", at)
	fails(t, "SOURCE_RETIRED", "agent", "--config", file)
}

// moved tells an agent where its hub is since it was started again: where another has joined
// it.
func moved(t *testing.T, dir, other string) {
	t.Helper()
	read := func(dir string) (m map[string]any) {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, "joined.json"))
		if err == nil {
			err = json.Unmarshal(b, &m)
		}
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := read(dir)
	m["url"] = read(other)["url"]
	b, err := json.Marshal(m)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "joined.json"), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
