package desk

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/cmd/hub/authority"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/cmd/hub/watch"
	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/test/servers"
)

// topics are those that a test's hub makes. It stands for Kafka where it isn't what a
// test is about.
type topics struct {
	mu   sync.Mutex
	made map[string]bool
	err  error
}

// Make implements Topics.
func (ts *topics) Make(_ context.Context, org string) (int, error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.err == nil {
		ts.made[org] = true
	}
	return 2, ts.err
}

// Changes implements Topics.
func (ts *topics) Changes(org string) string { return "tributary." + org + ".changes" }

func (ts *topics) fail(err error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.err = err
}

// rig is a hub in a database of its own, with a clock that a test sets.
type rig struct {
	t      *testing.T
	state  *state.State
	desk   *Desk
	topics *topics
	web    *httptest.Server
	agents *httptest.Server
	auth   *authority.Authority
	watch  *watch.Watch
	said   board // what programs say of sources

	mu  sync.Mutex
	now time.Time
}

var databases int

const password = "correct horse battery"

const tree = `code,parent,name,kind
33,,浙江省,province
3301,33,杭州市,city
330106,3301,西湖区,district
330108,3301,"滨江'""<script>alert(1)</script>😀",district
3302,33,宁波市,city
330203,3302,海曙区,district
`

func newRig(t *testing.T, db servers.DB) *rig {
	t.Helper()
	databases++
	name := fmt.Sprintf("desk%d", databases)
	admin, err := pgx.Connect(t.Context(), db.URL())
	if err != nil {
		t.Fatal(err)
	}
	_, err = admin.Exec(t.Context(), "CREATE DATABASE "+name)
	if err = errors.Join(err, admin.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	config, err := pgx.ParseConfig(db.In(name))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, now: time.Now().Truncate(time.Millisecond), topics: &topics{made: map[string]bool{}}}
	r.state, err = state.Open(t.Context(), state.Options{Config: config, Now: r.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.state.Close)
	r.auth, err = authority.Open(authority.Options{Dir: t.TempDir(), Now: r.clock, Keep: func(der []byte) ([]byte, error) { return r.state.SetAuthority(t.Context(), der) }})
	if err != nil {
		t.Fatal(err)
	}
	r.agents = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { r.desk.AgentHandler().ServeHTTP(w, q) }))
	r.said = newBoard("330106", "330203", "990001")
	r.watch, err = watch.New(watch.Options{Board: &r.said, Register: r.state, Stores: []watch.Store{{Name: "city", Viewer: &r.said}}})
	if err != nil {
		t.Fatal(err)
	}
	r.desk, err = New(Options{State: r.state, Authority: r.auth, Topics: r.topics, Agents: "https://" + r.agents.Listener.Addr().String(), Now: r.clock, Events: 50 * time.Millisecond, Watch: r.look})
	if err != nil {
		t.Fatal(err)
	}
	served, err := r.auth.Served([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	r.agents.TLS = r.desk.AgentTLS(served)
	r.agents.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that fail are what tests are about
	r.agents.StartTLS()
	t.Cleanup(r.agents.Close)
	r.web = httptest.NewServer(r.desk.Handler(http.HandlerFunc(rest)))
	t.Cleanup(r.web.Close)
	entries, problems := catalog.ParseFile([]byte(tree), false)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if _, err := r.state.Import(t.Context(), state.By{Name: "root"}, entries); err != nil {
		t.Fatal(err)
	}
	return r
}

// rest stands for the page of states, with the files that pages load from it.
func rest(w http.ResponseWriter, r *http.Request) {
	if name, ok := strings.CutPrefix(r.URL.Path, "/assets/"); ok {
		http.ServeFile(w, r, filepath.Join("..", "..", "console", "assets", filepath.Base(name)))
		return
	}
	if r.URL.Path == eventsPath {
		<-r.Context().Done()
	}
	_, _ = io.WriteString(w, "the rest")
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// look is how all is at this moment.
func (r *rig) look() *watch.Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watch.Ask(r.t.Context())
	r.watch.Look()
	return r.watch.Snapshot()
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

// client is somebody's program or browser.
type client struct {
	r    *rig
	http *http.Client
	form string
}

func (r *rig) nobody() *client {
	r.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return &client{r: r, http: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// person makes an account and logs it in.
func (r *rig) person(name string, grants ...account.Grant) *client {
	r.t.Helper()
	secret, err := r.state.CreateAccount(r.t.Context(), state.By{Name: "root"}, []string{""}, account.Account{Name: name, Title: name + " '\"<script>😀", Grants: grants})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.state.UseLink(r.t.Context(), state.By{}, secret, password); err != nil {
		r.t.Fatal(err)
	}
	return r.login(name)
}

func (r *rig) login(name string) *client {
	r.t.Helper()
	c := r.nobody()
	c.session()
	c.want(http.StatusOK, "", http.MethodPost, "/api/session", map[string]any{"account": name, "password": password})
	c.session()
	return c
}

// session asks who is logged in, and keeps what forms must carry.
func (c *client) session() (who string) {
	c.r.t.Helper()
	b := c.want(http.StatusOK, "", http.MethodGet, "/api/session", nil)
	var answer struct {
		Data struct {
			Account *account.Account `json:"account"`
			Form    string           `json:"form"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(b), &answer); err != nil {
		c.r.t.Fatal(err)
	}
	c.form = answer.Data.Form
	if answer.Data.Account != nil {
		who = answer.Data.Account.Name
	}
	return who
}

// do calls the API.
func (c *client) do(method, path string, in any) (int, string, http.Header) {
	c.r.t.Helper()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			c.r.t.Fatal(err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(c.r.t.Context(), method, c.r.web.URL+path, body)
	if err != nil {
		c.r.t.Fatal(err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.form != "" {
		req.Header.Set(formHeader, c.form)
	}
	req.Header.Set("Accept-Language", "en")
	return c.send(req)
}

func (c *client) send(req *http.Request) (int, string, http.Header) {
	c.r.t.Helper()
	res, err := c.http.Do(req)
	if err != nil {
		c.r.t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		c.r.t.Fatal(err)
	}
	return res.StatusCode, string(b), res.Header
}

// want calls the API and fails unless it answers with a status and a code.
func (c *client) want(status int, code, method, path string, in any) string {
	c.r.t.Helper()
	got, body, _ := c.do(method, path, in)
	if got != status || code != "" && !strings.Contains(body, `"code":"`+code+`"`) {
		c.r.t.Errorf("%s %s: %d %s; want %d %s", method, path, got, body, status, code)
	}
	return body
}

// post sends a page's form.
func (c *client) post(path string, values url.Values) (int, string, http.Header) {
	c.r.t.Helper()
	if values.Get(formField) == "" {
		values.Set(formField, c.form)
	}
	req, err := http.NewRequestWithContext(c.r.t.Context(), http.MethodPost, c.r.web.URL+path, strings.NewReader(values.Encode()))
	if err != nil {
		c.r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return c.send(req)
}

// data gives a field of an answer's data.
func data[T any](t *testing.T, body string) T {
	t.Helper()
	var answer struct {
		Data T `json:"data"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return answer.Data
}

// machine is an agent's side of the wire.
type machine struct {
	r    *rig
	http *http.Client
	at   func() time.Time
}

// machine makes one with a certificate; without any if it is nil.
func (r *rig) machine(cert *tls.Certificate) *machine {
	config := &tls.Config{RootCAs: r.auth.Pool(), ServerName: authority.ServerName, MinVersion: tls.VersionTLS13, Time: r.clock}
	if cert != nil {
		config.Certificates = []tls.Certificate{*cert}
	}
	transport := &http.Transport{TLSClientConfig: config}
	r.t.Cleanup(transport.CloseIdleConnections)
	return &machine{r: r, http: &http.Client{Transport: transport}, at: r.clock}
}

func (m *machine) want(status int, code, method, path string, in any) string {
	m.r.t.Helper()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			m.r.t.Fatal(err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(m.r.t.Context(), method, m.r.agents.URL+path, body)
	if err != nil {
		m.r.t.Fatal(err)
	}
	req.Header.Set(ClockHeader, m.at().Format(time.RFC3339Nano))
	res, err := m.http.Do(req)
	if err != nil {
		m.r.t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		m.r.t.Fatal(err)
	}
	if res.StatusCode != status || code != "" && !strings.Contains(string(b), `"code":"`+code+`"`) {
		m.r.t.Errorf("%s %s: %d %s; want %d %s", method, path, res.StatusCode, b, status, code)
	}
	return string(b)
}

// pair is a certificate with the world's key.
func (w *world) pair(t *testing.T, cert string) *tls.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(cert))
	if block == nil {
		t.Fatal("no certificate")
	}
	return &tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: w.key}
}
