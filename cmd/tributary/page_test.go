package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/test/servers"
)

// byPage adds a source by the agent's own page, as `tributary source add --page` serves it: what
// is chosen stands in the file, what would leave has no value of a row, and the password is
// nowhere but sealed.
func byPage(t *testing.T, db servers.DB, dir string) {
	t.Helper()
	agent := file(t, "page.yml", fmt.Sprintf("# kept\nname: p\norg: \"330106\"\ndata_dir: %s/page\nlog: {brokers: [\"127.0.0.1:1\"], embedded: true}\nsources: []\n", dir))
	fails(t, "USAGE_FLAG", "source", "add", agent, "--page", "--name", "xueji")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		c := command(english)
		c.SetArgs([]string{"source", "add", agent, "--page", "--dir", filepath.Join(dir, "joined")})
		c.SetOut(in)
		c.SetErr(io.Discard)
		err := c.ExecuteContext(ctx)
		ended <- errors.Join(err, in.Close())
	}()
	lines := bufio.NewScanner(out)
	for range 2 {
		if !lines.Scan() {
			t.Fatal(lines.Err(), <-ended)
		}
	}
	link, err := url.Parse(lines.Text())
	if err != nil || link.Hostname() != "127.0.0.1" {
		t.Fatalf("%q: %v", lines.Text(), err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	read := func(res *http.Response, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		if err = errors.Join(err, res.Body.Close()); err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	get := func(path string) string {
		t.Helper()
		return read(browser.Get(link.Scheme + "://" + link.Host + path))
	}
	form := regexp.MustCompile(`name="form" value="([A-Z0-9]+)"`).FindStringSubmatch(get(link.RequestURI()))
	if form == nil {
		t.Fatal("no form")
	}
	post := func(path string, values map[string]string) string {
		t.Helper()
		in := url.Values{"form": {form[1]}}
		for k, v := range values {
			in.Set(k, v)
		}
		return read(browser.PostForm(link.Scheme+"://"+link.Host+path, in))
	}
	server := map[string]string{"name": "yemian", "engine": "postgres", "host": db.Host, "port": fmt.Sprint(db.Port), "database": db.Database, "user": db.User, "password": db.Password}
	with := func(key, value string) map[string]string {
		changed := map[string]string{}
		for k, v := range server {
			changed[k] = v
		}
		changed[key] = value
		return changed
	}
	for key, bad := range map[string]string{"name": "x y", "engine": "oracle", "host": "", "port": "99999", "database": "", "user": ""} {
		if page := post("/server", with(key, bad)); !strings.Contains(page, "USAGE_VALUE") || strings.Contains(page, db.Password) {
			t.Errorf("%s %q: %s", key, bad, page)
		}
	}
	if page := post("/server", with("port", "1")); !strings.Contains(page, "SOURCE_UNREACHABLE") {
		t.Errorf("%s", page)
	}
	if page := post("/server", with("password", "wrong")); !strings.Contains(page, `role="alert"`) || strings.Contains(page, "xueji.student") {
		t.Errorf("a wrong password: %s", page)
	}
	page := post("/server", server)
	for _, want := range []string{"xueji.student", "sfzjh", "xueji.score", "SOURCE_TLS", "Repair script"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing in %s", want, page)
		}
	}
	staysHere(t, page, db.Password)
	at := regexp.MustCompile(`name="table" value="(\d+)"> <code>xueji\.student<`).FindStringSubmatch(page)
	if at == nil {
		t.Fatalf("%s", page)
	}
	if page := post("/tables", nil); !strings.Contains(page, "REQUEST_TABLES") {
		t.Errorf("no table: %s", page)
	}
	if page := post("/tables", map[string]string{"table": at[1], "dataset-" + at[1]: "a\tb"}); !strings.Contains(page, "DATASET_NAME") {
		t.Errorf("a dataset that can't be: %s", page)
	}
	shown := regexp.MustCompile(`name="leaves" value="([0-9a-f]{64})"`).FindStringSubmatch(post("/tables", map[string]string{"table": at[1], "dataset-" + at[1]: "pupil", "first": "load"}))
	if shown == nil {
		t.Fatal("no digest of what would leave")
	}
	leaves := get("/leaves.json")
	if !strings.Contains(leaves, `"dataset":"pupil"`) || !strings.Contains(leaves, "id_number") || strings.Contains(leaves, "xueji.score") {
		t.Errorf("%s", leaves)
	}
	staysHere(t, leaves, db.Password)
	if b, err := os.ReadFile(agent); err != nil || strings.Contains(string(b), "xueji") {
		t.Errorf("written too early: %s, %v", b, err)
	}
	if page := post("/add", map[string]string{"leaves": shown[1]}); !strings.Contains(page, "tributary source propose "+agent+" yemian --dir ") {
		t.Errorf("%s", page)
	}
	if page := post("/propose", map[string]string{"leaves": shown[1]}); !regexp.MustCompile(`request \d+ waits for an approver`).MatchString(page) {
		t.Errorf("%s", page)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	var c config.Agent
	if err := config.Load(agent, &c); err != nil {
		t.Fatal(err)
	}
	s := c.Sources[0]
	if password, err := s.Password(); err != nil || password != db.Password || len(s.Tables) != 1 || s.Tables[0] != "xueji.student" || s.Datasets["xueji.student"] != "pupil" || s.FirstStart != "load" || s.Sealed == "" {
		t.Errorf("%+v, %v", s, err)
	}
	sealed, err := os.ReadFile(s.Sealed)
	if err != nil {
		t.Fatal(err)
	}
	if code, out, errs := call("source", "password", agent, "yemian", "--password-file", file(t, "wrong", "wrong\n")); code == 0 || out != "" {
		t.Errorf("a password that doesn't log in is taken: %s%s", out, errs)
	}
	if again, err := os.ReadFile(s.Sealed); err != nil || string(again) != string(sealed) {
		t.Errorf("it has replaced the one before: %v", err)
	}
	well(t, "source", "password", agent, "yemian", "--password-file", file(t, "right", db.Password+"\n"))
	if password, err := s.Password(); err != nil || password != db.Password {
		t.Errorf("after the change: %v", err)
	}
	if err := os.Remove(c.PasswordKey); err != nil {
		t.Fatal(err)
	}
	if out := well(t, "source", "password", agent, "yemian", "--password-file", file(t, "right", db.Password+"\n"), "--new-key", "--lang", "en"); !strings.Contains(out, "a new key lies in "+c.PasswordKey) {
		t.Errorf("%s", out)
	}
	if password, err := s.Password(); err != nil || password != db.Password {
		t.Errorf("after the key was made anew: %v", err)
	}
	b, err := os.ReadFile(agent)
	if err != nil || !strings.HasPrefix(string(b), "# kept\n") || strings.Contains(string(b), db.Password) {
		t.Errorf("%s, %v", b, err)
	}
}
