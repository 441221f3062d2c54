package desk

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/cmd/hub/authority"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/test/servers"
)

// testLetters: a letter counts as what its agent has signed, once, whoever brings it, and its
// request waits as any other; whatever else is in one is refused and changes nothing.
func testLetters(t *testing.T, db servers.DB) {
	w := newWorld(t, db)
	op := w.person("bringer", account.Grant{Role: account.Operator, Org: "330106"})
	ap := w.person("judge", account.Grant{Role: account.Approver, Org: "330106"})
	a, cert := w.join("330106")
	b, certB := w.join("330203")
	p := state.Proposal{Name: "fresh", Engine: "mysql", Standing: catalog.Authoritative, Tables: []state.ProposedTable{{Table: "a.<script>😀'\"", Dataset: "b"}}}
	good := w.letter(cert, Told{Agent: a.ID, Made: w.clock().Add(-20 * 24 * time.Hour), Proposal: &p})
	forged := func(f func(*Letter)) string {
		t.Helper()
		var l Letter
		if err := json.Unmarshal([]byte(good), &l); err != nil {
			t.Fatal(err)
		}
		f(&l)
		text, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	other, err := authority.Open(authority.Options{Dir: t.TempDir(), Keep: func(der []byte) ([]byte, error) { return der, nil }})
	if err != nil {
		t.Fatal(err)
	}
	strange, err := other.Agent([]byte(w.request()), a.ID, a.Org)
	if err != nil {
		t.Fatal(err)
	}
	before := w.print(db)
	for name, tt := range map[string]struct {
		letter, code string
		status       int
	}{
		"nothing":             {"", "LETTER_INVALID", http.StatusBadRequest},
		"another file":        {"{}", "LETTER_INVALID", http.StatusBadRequest},
		"changed":             {forged(func(l *Letter) { l.Payload = []byte(strings.Replace(string(l.Payload), "fresh", "renshi", 1)) }), "LETTER_FORGED", http.StatusForbidden},
		"no signature":        {forged(func(l *Letter) { l.Signature = nil }), "LETTER_FORGED", http.StatusForbidden},
		"no certificate":      {forged(func(l *Letter) { l.Certificate = "x" }), "LETTER_INVALID", http.StatusBadRequest},
		"another authority":   {forged(func(l *Letter) { l.Certificate = string(strange.PEM) }), "LETTER_FORGED", http.StatusForbidden},
		"speaks for another":  {w.letter(cert, Told{Agent: b.ID, Made: w.clock(), Proposal: &p}), "LETTER_FORGED", http.StatusForbidden},
		"beyond the bringer":  {w.letter(certB, Told{Agent: b.ID, Made: w.clock(), Proposal: &p}), "AGENT_UNKNOWN", http.StatusNotFound},
		"a clock ahead":       {w.letter(cert, Told{Agent: a.ID, Made: w.clock().Add(time.Hour), Proposal: &p}), "CLOCK_WRONG", http.StatusBadRequest},
		"a field more":        {w.letter(cert, map[string]any{"agent": a.ID, "made": w.clock(), "proposal": p, "org": "330203"}), "LETTER_INVALID", http.StatusBadRequest},
		"nothing told":        {w.letter(cert, Told{Agent: a.ID, Made: w.clock()}), "LETTER_INVALID", http.StatusBadRequest},
		"what nobody can ask": {w.letter(cert, Told{Agent: a.ID, Made: w.clock(), Proposal: &state.Proposal{}}), "REQUEST_INVALID", http.StatusBadRequest},
		"a renewal":           {w.letter(cert, Told{Agent: a.ID, Made: w.clock(), Key: w.request()}), "LETTER_ELSEWHERE", http.StatusBadRequest},
		"not retired":         {w.letter(cert, Told{Agent: a.ID, Made: w.clock(), Released: &Released{Source: "330106-fresh"}}), "SOURCE_NOT_GRANTED", http.StatusNotFound},
	} {
		if body := op.want(tt.status, tt.code, http.MethodPost, "/api/requests", map[string]any{"letter": tt.letter}); w.print(db) != before {
			t.Errorf("%s changes something: %s", name, body)
		}
	}
	asked := data[state.Request](t, op.want(http.StatusOK, "", http.MethodPost, "/api/requests", map[string]any{"letter": good}))
	if asked.Source != "330106-fresh" || asked.Agent != a.ID || asked.Sponsor != sponsor || asked.State != state.Pending {
		t.Errorf("%+v", asked)
	}
	op.want(http.StatusConflict, "REQUEST_PENDING", http.MethodPost, "/api/requests", map[string]any{"letter": good})
	if _, body, _ := op.do(http.MethodGet, "/api/agents/"+a.ID+"/assignments", nil); w.carried(body).Sources == nil || len(w.carried(body).Sources) != 0 {
		t.Errorf("%s", body)
	}
	shows := func(to *client, path, want string) {
		t.Helper()
		w.look()
		if status, page, _ := to.do(http.MethodGet, path, nil); status != http.StatusOK || !strings.Contains(page, want) {
			t.Errorf("%s: %d %s", path, status, page)
		}
	}
	shows(w.person("beside", account.Grant{Role: account.Operator, Org: "330108"}), "/tree?lang=en", "Nothing is registered yet")
	ap.want(http.StatusOK, "", http.MethodPost, fmt.Sprintf("/api/requests/%d/approve", asked.ID), map[string]any{"tables": []string{p.Tables[0].Table}})
	shows(op, "/sources/330106-fresh?lang=en", "never heard of since its approval, ")
	shows(op, "/sources/330106-fresh?lang=zh-CN", "从未上报（批准于 ")
	op.want(http.StatusConflict, "LETTER_USED", http.MethodPost, "/api/requests", map[string]any{"letter": good})
	_, body, _ := op.do(http.MethodGet, "/api/agents/"+a.ID+"/assignments", nil)
	if g := w.carried(body); g.Agent != a.ID || len(g.Sources) != 1 || g.Sources[0].Tables[p.Tables[0].Table] != "b" {
		t.Errorf("%+v", g)
	}
	answered := func(status int, code, letter string) string {
		t.Helper()
		return op.want(status, code, http.MethodPost, "/api/invitations/answer", map[string]any{"request": letter})
	}
	renewal := w.letter(cert, Told{Agent: a.ID, Made: w.clock().Add(-20 * 24 * time.Hour), Key: w.request()})
	answered(http.StatusNotFound, "AGENT_UNKNOWN", w.letter(certB, Told{Agent: b.ID, Made: w.clock(), Key: w.request()}))
	answered(http.StatusForbidden, "LETTER_FORGED", w.letter(cert, Told{Agent: b.ID, Made: w.clock(), Key: w.request()}))
	answered(http.StatusBadRequest, "CERTIFICATE_REQUEST", w.letter(cert, Told{Agent: a.ID, Made: w.clock(), Key: "x"}))
	answered(http.StatusBadRequest, "LETTER_ELSEWHERE", good)
	for range 2 { // the answer may be lost
		answer := data[JoinAnswer](t, answered(http.StatusOK, "", renewal))
		if answer.Agent != a.ID || answer.Org != a.Org {
			t.Errorf("%+v", answer)
		}
		w.machine(w.pair(t, answer.Certificate)).want(http.StatusOK, "", http.MethodGet, "/agent/requests", nil)
	}
	released := func(made time.Time) map[string]any {
		return map[string]any{"letter": w.letter(cert, Told{Agent: a.ID, Made: made, Released: &Released{Source: asked.Source, Remains: "DROP PUBLICATION x;"}})}
	}
	op.want(http.StatusNotFound, "SOURCE_NOT_GRANTED", http.MethodPost, "/api/requests", released(w.clock()))
	early := released(w.clock().Add(-ClockTolerance - time.Second)) // of an end before this one
	ap.want(http.StatusOK, "", http.MethodPost, "/api/sources/"+asked.Source+"/retire", map[string]any{"reason": "停用"})
	op.want(http.StatusNotFound, "SOURCE_NOT_GRANTED", http.MethodPost, "/api/requests", early)
	for range 2 {
		op.want(http.StatusOK, "", http.MethodPost, "/api/requests", released(w.clock()))
	}
	if s, err := w.state.Registration(t.Context(), []string{""}, asked.Source); err != nil || s.LetGo == nil || s.Remains != "DROP PUBLICATION x;" {
		t.Errorf("%+v, %v", s, err)
	}
	if lines, err := w.state.Audit(t.Context(), []string{""}, state.Search{Text: "source.release"}); err != nil || len(lines) != 1 || lines[0].Actor != "bringer" {
		t.Errorf("%+v, %v", lines, err)
	}
	if err := w.state.Revoke(t.Context(), state.By{Name: sponsor}, []string{""}, a.ID, "stolen"); err != nil {
		t.Fatal(err)
	}
	op.want(http.StatusForbidden, "CERTIFICATE_REVOKED", http.MethodPost, "/api/requests", map[string]any{"letter": w.letter(cert, Told{Agent: a.ID, Made: w.clock(), Proposal: &p})})
	answered(http.StatusForbidden, "CERTIFICATE_REVOKED", renewal)
	op.want(http.StatusConflict, "CERTIFICATE_REVOKED", http.MethodGet, "/api/agents/"+a.ID+"/assignments", nil)
	w.pass(authority.AgentHolds + time.Hour)
	back := w.login("bringer")
	back.want(http.StatusForbidden, "CERTIFICATE_ENDED", http.MethodPost, "/api/requests", map[string]any{"letter": good})
}

// carried gives what a file of assignments says, as its agent takes it.
func (w *world) carried(body string) (g Grants) {
	w.t.Helper()
	var signed Granted
	if err := json.Unmarshal([]byte(body), &signed); err != nil || !authority.Verify(w.auth.Certificate(), signed.Payload, signed.Signature) {
		w.t.Fatalf("%s: %v", body, err)
	}
	if err := json.Unmarshal(signed.Payload, &g); err != nil {
		w.t.Fatal(err)
	}
	return g
}
