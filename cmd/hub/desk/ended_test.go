package desk

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/cmd/hub/watch"
	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/test/servers"
)

// grants are what an agent is granted now.
func (m *machine) grants() (g Grants) {
	m.r.t.Helper()
	signed := data[Granted](m.r.t, m.want(http.StatusOK, "", http.MethodGet, "/agent/assignments", nil))
	if err := json.Unmarshal(signed.Payload, &g); err != nil {
		m.r.t.Fatal(err)
	}
	return g
}

// testEnded: a source is handed over to another agent of its org by nobody who invited it,
// and retired; its dataset is another's to have then, and nothing waits for it any more.
func testEnded(t *testing.T, db servers.DB) {
	w := newWorld(t, db)
	ap := w.person("ap", account.Grant{Role: account.Approver, Org: "3301"})
	op := w.person("op", account.Grant{Role: account.Operator, Org: "3301"}, account.Grant{Role: account.Approver, Org: "3301"})
	id, cert := w.registered("330106")
	if err := w.state.Retire(t.Context(), state.By{Name: decider}, []string{""}, id, "the standing of a check source is another's to test"); err != nil {
		t.Fatal(err)
	}
	m := w.machine(cert)
	p := state.Proposal{Name: "xueji", Engine: "postgres", Standing: catalog.Authoritative, Tables: []state.ProposedTable{{Table: "xueji.student", Dataset: "student"}}}
	r := data[state.Request](t, m.want(http.StatusOK, "", http.MethodPost, "/agent/requests", p))
	approval := map[string]any{"tables": []string{"xueji.student"}}
	ap.want(http.StatusOK, "", http.MethodPost, "/api/requests/2/approve", approval)
	source := "/api/sources/" + r.Source

	// Handed over.
	next, nextCert := w.join("330106")
	far := w.agent("330108")
	gone := w.agent("330106")
	if err := w.state.Revoke(t.Context(), state.By{Name: sponsor}, []string{""}, gone.ID, "gone"); err != nil {
		t.Fatal(err)
	}
	invited := data[struct{ Invitation string }](t, op.want(http.StatusOK, "", http.MethodPost, "/api/invitations", map[string]any{"org": "330106"}))
	own := data[JoinAnswer](t, w.machine(nil).want(http.StatusOK, "", http.MethodPost, "/agent/join", JoinRequest{Invitation: invited.Invitation, Name: "own", Key: w.request(), Clock: w.clock()}))
	for _, no := range []struct {
		by     *client
		status int
		code   string
		to     string
		reason string
	}{
		{ap, http.StatusNotFound, "AGENT_UNKNOWN", far.ID, "换机"},
		{ap, http.StatusNotFound, "AGENT_UNKNOWN", "nobody", "换机"},
		{ap, http.StatusConflict, "CERTIFICATE_REVOKED", gone.ID, "换机"},
		{ap, http.StatusConflict, "SOURCE_ITS_OWN", r.Agent, "换机"},
		{ap, http.StatusBadRequest, "REASON_MISSING", next.ID, ""},
		{op, http.StatusForbidden, "REQUEST_OWN", own.Agent, "换机"},
	} {
		no.by.want(no.status, no.code, http.MethodPost, source+"/handover", map[string]any{"agent": no.to, "reason": no.reason})
	}
	if g := m.grants(); len(g.Sources) != 2 || g.Sources[1].HandedOver != nil {
		t.Errorf("a refusal has changed something: %+v", g)
	}
	if _, page, _ := ap.do(http.MethodGet, "/sources/"+r.Source, nil); !strings.Contains(page, next.ID) || strings.Contains(page, gone.ID) || strings.Contains(page, far.ID) {
		t.Error("the page offers other agents than those of the org")
	}
	if status, page, header := ap.post(source+"/handover", url.Values{"agent": {next.ID}, "reason": {"换机"}}); status != http.StatusSeeOther || header.Get("Location") != "/sources/"+r.Source+"?done=saved" {
		t.Errorf("%d %s", status, page)
	}
	other := w.machine(nextCert)
	if g := m.grants(); len(g.Sources) != 1 || g.Sources[0].Source != id {
		t.Errorf("the agent before has %+v", g)
	}
	if g := other.grants(); len(g.Sources) != 1 || g.Sources[0].HandedOver == nil || g.Sources[0].Version != 2 || g.Sources[0].Tables["xueji.student"] != "student" {
		t.Errorf("the next agent has %+v", g)
	}

	// Paused, and resumed.
	ap.want(http.StatusConflict, "SOURCE_NOT_PAUSED", http.MethodPost, source+"/resume", map[string]any{"reason": "x"})
	ap.want(http.StatusBadRequest, "REASON_MISSING", http.MethodPost, source+"/pause", map[string]any{"reason": " "})
	if _, page, _ := ap.do(http.MethodGet, "/sources/"+r.Source, nil); !strings.Contains(page, source+"/pause") || strings.Contains(page, source+"/resume") {
		t.Error("the page doesn't offer to pause it")
	}
	if status, page, _ := ap.post(source+"/pause", url.Values{"reason": {"割接<b>"}}); status != http.StatusSeeOther {
		t.Errorf("%d %s", status, page)
	}
	ap.want(http.StatusConflict, "SOURCE_PAUSED_BY_HUB", http.MethodPost, source+"/pause", map[string]any{"reason": "again"})
	if g := other.grants(); len(g.Sources) != 1 || g.Sources[0].Paused == nil || g.Sources[0].PausedBy != "ap" || g.Sources[0].Version != 2 {
		t.Errorf("paused: %+v", g)
	}
	for _, text := range []string{"割接&lt;b&gt;", "尚未上报已暂停", source + "/resume"} {
		if _, page, _ := ap.do(http.MethodGet, "/sources/"+r.Source+"?lang=zh-CN", nil); !strings.Contains(page, text) || strings.Contains(page, source+"/pause") {
			t.Errorf("%s isn't on the page", text)
		}
	}
	ap.want(http.StatusOK, "", http.MethodPost, source+"/resume", map[string]any{"reason": "割接完成"})
	if g := other.grants(); len(g.Sources) != 1 || g.Sources[0].Paused != nil || g.Sources[0].PauseReason != "" {
		t.Errorf("resumed: %+v", g)
	}
	ap.want(http.StatusOK, "", http.MethodPost, source+"/pause", map[string]any{"reason": "下线之前"})

	// Retired.
	other.want(http.StatusNotFound, "SOURCE_NOT_GRANTED", http.MethodPost, "/agent/released", map[string]string{"source": r.Source})
	ap.want(http.StatusBadRequest, "REASON_MISSING", http.MethodPost, source+"/retire", map[string]any{"reason": " "})
	rival := p
	rival.Name = "rival"
	m.want(http.StatusConflict, "DATASET_TAKEN", http.MethodPost, "/agent/requests", rival)
	if claims := w.look().Complete("330106"); len(claims) != 1 {
		t.Errorf("%+v", claims)
	}
	ap.want(http.StatusOK, "", http.MethodPost, source+"/retire", map[string]any{"reason": "系统<script>下线"})
	ap.want(http.StatusConflict, "SOURCE_RETIRED", http.MethodPost, source+"/retire", map[string]any{"reason": "again"})
	ap.want(http.StatusConflict, "SOURCE_RETIRED", http.MethodPost, source+"/handover", map[string]any{"agent": r.Agent, "reason": "back"})
	m.want(http.StatusNotFound, "SOURCE_NOT_GRANTED", http.MethodPost, "/agent/released", map[string]string{"source": r.Source, "remains": "DROP"})
	if g := other.grants(); len(g.Sources) != 1 || g.Sources[0].Retired == nil || g.Sources[0].LetGo != nil || g.Sources[0].Paused != nil {
		t.Errorf("%+v", g)
	}
	s := w.look()
	if x := s.Source([]string{""}, r.Source); len(s.Complete("330106")) != 0 || x == nil || x.State != watch.Retired || x.Tone != watch.Quiet {
		t.Errorf("it is waited for: %+v", x)
	}
	m.want(http.StatusOK, "", http.MethodPost, "/agent/requests", rival)
	for _, text := range []string{"尚未释放", "系统&lt;script&gt;下线"} {
		if _, page, _ := ap.do(http.MethodGet, "/sources/"+r.Source+"?lang=zh-CN", nil); !strings.Contains(page, text) || strings.Contains(page, "/retire") {
			t.Errorf("%s isn't on the page", text)
		}
	}
	other.want(http.StatusOK, "", http.MethodPost, "/agent/released", map[string]string{"source": r.Source, "remains": "DROP PUBLICATION tributary;"})
	if _, page, _ := ap.do(http.MethodGet, "/sources/"+r.Source+"?lang=en", nil); !strings.Contains(page, "DROP PUBLICATION tributary;") || strings.Contains(page, "hasn&#39;t let go") {
		t.Error("what is left isn't on the page")
	}
	lines, err := w.state.Audit(t.Context(), []string{""}, state.Search{Text: r.Source})
	if err != nil {
		t.Fatal(err)
	}
	var done []string
	for _, e := range lines {
		done = append(done, e.Actor+" "+e.Action)
	}
	for _, want := range []string{"ap source.handover", "ap source.pause", "ap source.resume", "ap source.retire", next.ID + " source.release"} {
		if !strings.Contains(strings.Join(done, ", "), want) {
			t.Errorf("%s isn't in the audit: %v", want, done)
		}
	}
}
