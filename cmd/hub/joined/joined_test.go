package joined

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/cmd/hub/authority"
	"github.com/tributary-cdc/tributary/cmd/hub/desk"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/test/servers"
)

// hub is a real one, without pages, whose clock and agents' clocks a test sets.
type hub struct {
	t     *testing.T
	state *state.State
	auth  *authority.Authority
	desk  *desk.Desk
	url   string

	mu   sync.Mutex
	hub  time.Duration // off the true time
	here time.Duration
}

func (h *hub) clock() time.Time { h.mu.Lock(); defer h.mu.Unlock(); return time.Now().Add(h.hub) }
func (h *hub) now() time.Time   { h.mu.Lock(); defer h.mu.Unlock(); return time.Now().Add(h.here) }
func (h *hub) set(hub, here time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hub, h.here = hub, here
}

// noTopics makes none.
type noTopics struct{}

// Make implements desk.Topics.
func (noTopics) Make(context.Context, string) (int, error) { return 1, nil }

// Changes implements desk.Topics.
func (noTopics) Changes(org string) string { return org }

func newHub(t *testing.T) *hub {
	t.Helper()
	h := &hub{t: t}
	config, err := pgx.ParseConfig(servers.Postgres(t, nil).URL())
	if err == nil {
		h.state, err = state.Open(t.Context(), state.Options{Config: config, Now: h.clock})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.state.Close)
	h.auth, err = authority.Open(authority.Options{Dir: t.TempDir(), Now: h.clock, Keep: func(der []byte) ([]byte, error) { return h.state.SetAuthority(t.Context(), der) }})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(nil)
	h.url = "https://" + srv.Listener.Addr().String()
	if h.desk, err = desk.New(desk.Options{State: h.state, Authority: h.auth, Topics: noTopics{}, Agents: h.url, Now: h.clock}); err != nil {
		t.Fatal(err)
	}
	served, err := h.auth.Served(nil)
	if err != nil {
		t.Fatal(err)
	}
	srv.TLS, srv.Config.Handler, srv.Config.ErrorLog = h.desk.AgentTLS(served), h.desk.AgentHandler(), log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	entries, _ := catalog.ParseFile([]byte("code,parent,name,kind\n33,,浙江省,province\n330106,33,西湖区,district\n"), false)
	if _, err := h.state.Import(t.Context(), state.By{}, entries); err != nil {
		t.Fatal(err)
	}
	for name, role := range map[string]account.Role{"op": account.Operator, "ap": account.Approver} {
		if _, err := h.state.CreateAccount(t.Context(), state.By{}, []string{""}, account.Account{Name: name, Title: name, Grants: []account.Grant{{Role: role}}}); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func (h *hub) options() Options {
	h.t.Helper()
	secret := account.Secret()
	if _, err := h.state.Invite(h.t.Context(), state.By{Name: "op"}, []string{""}, "330106", secret); err != nil {
		h.t.Fatal(err)
	}
	return Options{Dir: filepath.Join(h.t.TempDir(), "agent"), URL: h.url, Invitation: secret + "." + authority.Pin(h.auth.Certificate()), Name: "host", Now: h.now}
}

func refused(t *testing.T, err error, code string) {
	t.Helper()
	if r, ok := errors.AsType[*refusal.Refusal](err); !ok || r.Code != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

// TestJoined goes the whole way of an agent with its hub, and what goes wrong on it.
func TestJoined(t *testing.T) {
	h := newHub(t)
	t.Run("way", h.way)
	t.Run("clocks", h.clocks)
	t.Run("strangers", h.strangers)
	t.Run("offline", h.offline)
	t.Run("forged", h.forged)
}

func (h *hub) way(t *testing.T) {
	o := h.options()
	m, err := Join(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{keyFile, joinedFile} {
		info, err := os.Stat(filepath.Join(o.Dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	key, err := os.ReadFile(filepath.Join(o.Dir, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Join(t.Context(), o)
	refused(t, err, "ALREADY_JOINED")
	again := o
	again.Dir = filepath.Join(t.TempDir(), "other")
	_, err = Join(t.Context(), again)
	refused(t, err, "INVITATION_USED")
	_, err = m.Granted()
	refused(t, err, "SOURCE_NOT_GRANTED")
	r, kept, err := m.Propose(t.Context(), state.Proposal{Name: "xueji", Engine: "mysql", Standing: catalog.Authoritative, Tables: []state.ProposedTable{{Table: "a.学生", Dataset: "student"}}})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(kept); err != nil || !strings.Contains(string(b), `"a.学生"`) {
		t.Errorf("%s, %v", b, err)
	}
	if _, err := h.state.Decide(t.Context(), state.By{Name: "ap"}, []string{""}, r.ID, state.Decision{Tables: []string{"a.学生"}}, noTopics{}.Changes); err != nil {
		t.Fatal(err)
	}
	all, err := m.Requests(t.Context())
	if err != nil || len(all) != 1 || all[0].State != state.Approved {
		t.Errorf("%+v, %v", all, err)
	}
	g, err := m.Fetch(t.Context())
	if err != nil || len(g.Sources) != 1 || g.Sources[0].Tables["a.学生"] != "student" {
		t.Fatalf("%+v, %v", g, err)
	}
	serial := authority.Serial(m.pair.Leaf)
	if err := m.Renew(t.Context()); err != nil || authority.Serial(m.pair.Leaf) == serial {
		t.Errorf("not renewed: %v", err)
	}
	if after, err := os.ReadFile(filepath.Join(o.Dir, keyFile)); err != nil || string(after) != string(key) {
		t.Error("the key isn't the same")
	}
	back, err := Open(o.Dir)
	if err != nil || back.Agent != m.Agent || back.Due() {
		t.Fatalf("%+v, %v", back, err)
	}
	if kept, err := back.Granted(); err != nil || len(kept.Sources) != 1 { // needs no hub
		t.Errorf("%+v, %v", kept, err)
	}
	if err := h.state.Revoke(t.Context(), state.By{Name: "op"}, []string{""}, m.Agent, "stolen"); err != nil {
		t.Fatal(err)
	}
	_, err = back.Fetch(t.Context())
	refused(t, err, "CERTIFICATE_REVOKED")
	refused(t, back.Renew(t.Context()), "CERTIFICATE_REVOKED")
	_, err = Open(t.TempDir())
	refused(t, err, "NOT_JOINED")
}

// clocks: a wrong clock on either side is told as such, and nothing is half done.
func (h *hub) clocks(t *testing.T) {
	defer h.set(0, 0)
	o := h.options()
	for _, off := range []time.Duration{-24 * time.Hour, -10 * time.Minute, 10 * time.Minute, 2 * 365 * 24 * time.Hour} {
		h.set(0, off)
		_, err := Join(t.Context(), o)
		refused(t, err, "CLOCK_WRONG")
	}
	h.set(0, 0)
	m, err := Join(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	h.set(0, authority.AgentHolds*3/4)
	if !m.Due() {
		t.Error("not due")
	}
	h.set(0, authority.AgentHolds+time.Hour)
	_, err = m.Fetch(t.Context())
	refused(t, err, "CERTIFICATE_ENDED")
}

// strangers: whoever answers without the invitation's certificate isn't the hub.
func (h *hub) strangers(t *testing.T) {
	o := h.options()
	other := o
	other.Invitation = strings.Split(o.Invitation, ".")[0] + "." + strings.Repeat("A", 26)
	_, err := Join(t.Context(), other)
	refused(t, err, "HUB_UNKNOWN")
	web := httptest.NewTLSServer(nil)
	defer web.Close()
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	other = o
	other.URL = web.URL
	_, err = Join(t.Context(), other)
	refused(t, err, "HUB_UNKNOWN")
	for _, u := range []string{"http://127.0.0.1:1", "127.0.0.1:1", "https://"} {
		other.URL = u
		_, err = Join(t.Context(), other)
		refused(t, err, "INPUT_INVALID")
	}
	other.URL = "https://127.0.0.1:1"
	_, err = Join(t.Context(), other)
	refused(t, err, "HUB_UNREACHABLE")
	other.Invitation = "x"
	_, err = Join(t.Context(), other)
	refused(t, err, "INVITATION_UNKNOWN")
	if _, err := Join(t.Context(), o); err != nil { // none of it has used the invitation
		t.Error(err)
	}
}

// offline: request and answer travel as files.
func (h *hub) offline(t *testing.T) {
	o := h.options()
	b, err := Prepare(o)
	if err != nil {
		t.Fatal(err)
	}
	if key, err := os.ReadFile(filepath.Join(o.Dir, keyFile)); err != nil || strings.Contains(string(b), "PRIVATE KEY") || len(key) == 0 {
		t.Error("the key is in the request, or isn't there")
	}
	var q desk.JoinRequest
	if err := json.Unmarshal(b, &q); err != nil {
		t.Fatal(err)
	}
	secret, _, _ := desk.SplitInvitation(q.Invitation)
	var cert authority.Issued
	a, _, err := h.state.Join(t.Context(), state.By{Name: "op"}, []string{""}, secret, q.Name, func(agent, org string) (_ authority.Issued, err error) {
		cert, err = h.auth.Agent([]byte(q.Key), agent, org)
		return cert, err
	})
	if err != nil {
		t.Fatal(err)
	}
	answer := desk.JoinAnswer{Agent: a.ID, Org: a.Org, OrgName: a.OrgName, Hub: h.url, Authority: string(authority.PEM(h.auth.Certificate().Raw)), Certificate: string(cert.PEM), Expires: cert.Ends}
	encode := func(a desk.JoinAnswer) []byte {
		b, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	_, err = Accept(o, []byte("{"))
	refused(t, err, "ANSWER_INVALID")
	foreign := h.options()
	if _, err := Prepare(foreign); err != nil {
		t.Fatal(err)
	}
	_, err = Accept(foreign, encode(answer)) // for another key
	refused(t, err, "ANSWER_INVALID")
	unpinned := o
	unpinned.Invitation = strings.Split(o.Invitation, ".")[0] + "." + strings.Repeat("B", 26)
	_, err = Accept(unpinned, encode(answer))
	refused(t, err, "HUB_UNKNOWN")
	m, err := Accept(o, encode(answer))
	if err != nil || m.Agent != a.ID {
		t.Fatalf("%+v, %v", m, err)
	}
	if _, err := m.Requests(t.Context()); err != nil {
		t.Error(err)
	}

	running, err := Open(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	running.now = o.Now
	old := answer
	if b, err = m.RenewalLetter(); err != nil {
		t.Fatal(err)
	}
	var l desk.Letter
	var told desk.Told
	if err := json.Unmarshal(b, &l); err != nil || json.Unmarshal(l.Payload, &told) != nil || !authority.VerifyLetter(m.pair.Leaf, l.Payload, l.Signature) || strings.Contains(string(l.Payload), "PRIVATE KEY") {
		t.Fatalf("%s, %v", l.Payload, err)
	}
	h.set(time.Hour, time.Hour) // on the way
	defer h.set(0, 0)
	if cert, err = h.auth.Agent([]byte(told.Key), a.ID, a.Org); err != nil {
		t.Fatal(err)
	}
	answer.Certificate, answer.Expires = string(cert.PEM), cert.Ends
	other := answer
	other.Agent = "330106.99"
	refused(t, m.Renewed(encode(other)), "ANSWER_INVALID")
	refused(t, m.Renewed([]byte("{")), "ANSWER_INVALID")
	if err := m.Renewed(encode(answer)); err != nil || m.Certificate != answer.Certificate {
		t.Fatal(err)
	}
	refused(t, m.Renewed(encode(old)), "CERTIFICATE_OLDER")
	if err := running.Refresh(); err != nil || running.Certificate != answer.Certificate {
		t.Errorf("one that runs doesn't take it up: %v", err)
	}
}

// forged: grants count only as the hub has signed them, for this agent.
func (h *hub) forged(t *testing.T) {
	first, err := Join(t.Context(), h.options())
	if err != nil {
		t.Fatal(err)
	}
	second, err := Join(t.Context(), h.options())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*Member{first, second} {
		if _, err := m.Fetch(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	theirs, err := os.ReadFile(filepath.Join(second.dir, grantsFile))
	if err != nil {
		t.Fatal(err)
	}
	mine, err := os.ReadFile(filepath.Join(first.dir, grantsFile))
	if err != nil {
		t.Fatal(err)
	}
	var signed desk.Granted
	if err := json.Unmarshal(mine, &signed); err != nil {
		t.Fatal(err)
	}
	signed.Payload = []byte(strings.Replace(string(signed.Payload), `"sources":[]`, `"sources":[{"source":"x"}]`, 1))
	changed, err := json.Marshal(signed)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"another agent's": theirs, "changed": changed, "not JSON": []byte("{")} {
		if err := os.WriteFile(filepath.Join(first.dir, grantsFile), b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := first.Granted(); err == nil {
			t.Errorf("%s grants count", name)
		} else {
			refused(t, err, "GRANT_FORGED")
		}
	}
}
