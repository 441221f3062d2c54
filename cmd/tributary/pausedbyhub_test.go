package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shows waits until the hub shows what an agent says of its source.
func (r *registered) shows(t *testing.T, state, code, text string) {
	t.Helper()
	var answer struct {
		Data struct {
			Log struct{ State, Code, Error string }
		}
	}
	for deadline := time.Now().Add(time.Minute); ; {
		answer.Data.Log.State, answer.Data.Log.Code, answer.Data.Log.Error = "", "", ""
		status, body := r.op.answer(http.MethodGet, "/api/sources/330106-xueji", "", nil, &answer) // at first the hub hasn't seen it
		if l := answer.Data.Log; status == http.StatusOK && l.State == state && l.Code == code && strings.HasPrefix(l.Error, text) {
			return
		}
		if time.Now().After(deadline) || status != http.StatusOK && status != http.StatusNotFound {
			t.Fatalf("%d %s; want %s, %s, %q", status, body, state, code, text)
		}
		<-time.After(50 * time.Millisecond) // a snapshot has no way to be waited for
	}
}

// hubIs tells an agent where its hub is.
func hubIs(t *testing.T, dir, url string) {
	t.Helper()
	name, m := filepath.Join(dir, "joined.json"), map[string]any{}
	b, err := os.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err == nil {
		m["url"] = url
		b, err = json.Marshal(m)
	}
	if err == nil {
		err = os.WriteFile(name, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// restsByHub: a source that an approver has paused isn't read from the agent's next look on,
// also if the agent is started again while the hub is away, and if only one of the hub and
// the agent's machine resumes it; then it goes on without a gap.
func restsByHub(t *testing.T, r *registered) {
	t.Helper()
	const source = "330106-xueji"
	at := filepath.Join(r.dir, "joined")
	hub := strings.Fields(r.op.post("/api/invitations", map[string]any{"org": "330106"})["command"].(string))[2]
	hubIs(t, at, hub)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	text, err := os.ReadFile(r.agent)
	if err = errors.Join(err, ln.Close()); err != nil {
		t.Fatal(err)
	}
	file := file(t, "rests.yml", string(text)+"http: "+address+"\n")
	order := func(path, reason string) {
		t.Helper()
		r.ap.post("/api/sources/"+source+"/"+path, map[string]any{"reason": reason})
		well(t, "source", "fetch", "--dir", at)
	}
	here := func(order, want string) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; {
			code, out, errs := call("source", order, source, "--agent", "http://"+address, "--lang", "en")
			if code == 0 && strings.Contains(out, want) {
				return
			}
			if code == 0 || time.Now().After(deadline) {
				t.Fatalf("%s: exit %d, %s%s; want %s", order, code, out, errs, want)
			}
			<-time.After(50 * time.Millisecond) // the agent begins to listen
		}
	}

	agent, stop := runs(t, file)
	r.shows(t, "streaming", "", "")
	order("pause", "割接")
	r.shows(t, "paused", "SOURCE_PAUSED_BY_HUB", "paused by the hub at ")
	sql(t, r.db, "INSERT INTO xueji.student VALUES (10, '暂停期间写入')")
	stop()
	if err := ends(t, "one that is stopped", agent); err != nil {
		t.Error(err)
	}
	hubIs(t, at, "https://127.0.0.1:1")
	agent, stop = runs(t, file)
	defer stop()
	here("pause", "paused; ")
	both := func() { t.Helper(); r.shows(t, "paused", "SOURCE_PAUSED_BY_HUB", "paused at ") }
	both()
	hubIs(t, at, hub)
	order("resume", "割接完成")
	r.shows(t, "paused", "SOURCE_PAUSED", "paused at ")
	order("pause", "再次割接")
	both()
	here("resume", "the hub has paused it, too")
	r.shows(t, "paused", "SOURCE_PAUSED_BY_HUB", "paused by the hub at ")
	if n := r.logged(t, "王小明的名字不离开", "暂停期间写入"); n[0] != 0 {
		t.Errorf("a paused source was read: %d", n[0])
	}
	order("resume", "割接完成")
	r.shows(t, "streaming", "", "")
	if n := r.logged(t, "暂停期间写入", "王小明的名字不离开"); n[0] != 1 {
		t.Errorf("rows in the log: %v", n)
	}
	stop()
	if err := ends(t, "one that is stopped", agent); err != nil {
		t.Error(err)
	}
	var line struct{ Data any }
	r.op.ask(http.MethodGet, "/api/sources/"+source+"/timeline", "", nil, &line)
	if all := fmt.Sprint(line.Data); strings.Count(all, "source.pause") != 2 || strings.Count(all, "source.resume") != 2 {
		t.Errorf("the time line: %s", all)
	}
}
