package desk

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/cmd/hub/authority"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/test/servers"
)

// mayDo says which roles may do what, apart from the code's own table.
var mayDo = map[string][]account.Role{
	"see":        {account.Viewer, account.Operator, account.Approver, account.Administrator, account.Auditor},
	"invite":     {account.Operator},
	"tend":       {account.Operator},
	"decide":     {account.Approver},
	"administer": {account.Administrator},
	"audit":      {account.Auditor},
}

// attempt is how a route is called about an org: its path's values and its body.
type attempt struct {
	path string
	in   map[string]any
}

// attempts make what each route with a place in the tree is about, anew for each call.
var attempts = map[string]func(w *world, org string) attempt{
	"POST /api/accounts": func(w *world, org string) attempt {
		w.n++
		return attempt{"/api/accounts", map[string]any{"account": fmt.Sprint("new", w.n), "title": "新", "grants": []string{"viewer@" + org}}}
	},
	"POST /api/accounts/{account}/grants": func(w *world, org string) attempt {
		return attempt{"/api/accounts/" + w.account(org) + "/grants", map[string]any{"grants": []string{"operator@" + org}}}
	},
	"POST /api/accounts/{account}/enable": func(w *world, org string) attempt { return attempt{"/api/accounts/" + w.account(org) + "/enable", nil} },
	"POST /api/accounts/{account}/disable": func(w *world, org string) attempt {
		return attempt{"/api/accounts/" + w.account(org) + "/disable", nil}
	},
	"POST /api/accounts/{account}/link": func(w *world, org string) attempt { return attempt{"/api/accounts/" + w.account(org) + "/link", nil} },
	"GET /api/alarms/{id}":              func(w *world, org string) attempt { return attempt{fmt.Sprintf("/api/alarms/%d", w.alarm(org)), nil} },
	"POST /api/alarms/{id}/acknowledge": func(w *world, org string) attempt {
		return attempt{fmt.Sprintf("/api/alarms/%d/acknowledge", w.alarm(org)), map[string]any{"note": "我来处理"}}
	},
	"POST /api/alarms/{id}/silence": func(w *world, org string) attempt {
		return attempt{fmt.Sprintf("/api/alarms/%d/silence", w.alarm(org)), map[string]any{"hours": 2, "reason": "割接"}}
	},
	"POST /api/school-hours": func(_ *world, org string) attempt {
		return attempt{"/api/school-hours", map[string]any{"org": org, "opens": "07:00", "closes": "18:00", "days": []string{"1", "5"}}}
	},
	"POST /api/school-hours/{org}/remove": func(w *world, org string) attempt {
		w.hours(org)
		return attempt{"/api/school-hours/" + org + "/remove", nil}
	},
	"POST /api/calendar": func(_ *world, org string) attempt {
		return attempt{"/api/calendar", map[string]any{"org": org, "from": "2026-07-01", "until": "2026-08-31", "name": "暑假"}}
	},
	"POST /api/calendar/import": func(_ *world, org string) attempt {
		return attempt{"/api/calendar/import", map[string]any{"file": "from,name,org\n2026-05-01,劳动节," + org + "\n"}}
	},
	"POST /api/calendar/{id}/remove": func(w *world, org string) attempt {
		return attempt{fmt.Sprintf("/api/calendar/%d/remove", w.holiday(org)), nil}
	},
	"POST /api/maintenance": func(w *world, org string) attempt {
		return attempt{"/api/maintenance", map[string]any{"org": org, "starts": w.clock().Format(time.RFC3339), "ends": w.clock().Add(time.Hour).Format(time.RFC3339), "reason": "割接"}}
	},
	"POST /api/maintenance/{id}/end": func(w *world, org string) attempt {
		return attempt{fmt.Sprintf("/api/maintenance/%d/end", w.maintenance(org)), nil}
	},
	"GET /api/sources/{source}": func(_ *world, org string) attempt { return attempt{"/api/sources/" + org + "-xueji", nil} },
	"GET /api/sources/{source}/history": func(_ *world, org string) attempt {
		return attempt{"/api/sources/" + org + "-xueji/history", nil}
	},
	"GET /api/sources/{source}/timeline": func(_ *world, org string) attempt {
		return attempt{"/api/sources/" + org + "-xueji/timeline", nil}
	},
	"GET /api/orgs/{org}/history": func(_ *world, org string) attempt { return attempt{"/api/orgs/" + org + "/history?span=30d", nil} },
	"POST /api/invitations":       func(_ *world, org string) attempt { return attempt{"/api/invitations", map[string]any{"org": org}} },
	"POST /api/invitations/{id}/withdraw": func(w *world, org string) attempt {
		i, _ := w.invite(org)
		return attempt{fmt.Sprintf("/api/invitations/%d/withdraw", i.ID), nil}
	},
	"POST /api/invitations/answer": func(w *world, org string) attempt {
		_, code := w.invite(org)
		file := fmt.Sprintf(`{"invitation":%q,"name":"host","certificate_request":%q,"clock":%q}`, code, w.request(), w.clock().Format(time.RFC3339))
		return attempt{"/api/invitations/answer", map[string]any{"request": file}}
	},
	"POST /api/agents/{agent}/revoke": func(w *world, org string) attempt {
		return attempt{"/api/agents/" + w.agent(org).ID + "/revoke", map[string]any{"reason": "gone"}}
	},
	"POST /api/sources/{source}/pause": func(w *world, org string) attempt {
		id, _ := w.registered(org)
		return attempt{"/api/sources/" + id + "/pause", map[string]any{"reason": "割接"}}
	},
	"POST /api/sources/{source}/resume": func(w *world, org string) attempt {
		id, _ := w.registered(org)
		if err := w.state.SetPaused(w.t.Context(), state.By{Name: decider}, []string{""}, id, "割接", true); err != nil {
			w.t.Fatal(err)
		}
		return attempt{"/api/sources/" + id + "/resume", map[string]any{"reason": "割接完成"}}
	},
	"POST /api/sources/{source}/retire": func(w *world, org string) attempt {
		id, _ := w.registered(org)
		return attempt{"/api/sources/" + id + "/retire", map[string]any{"reason": "停用"}}
	},
	"POST /api/sources/{source}/handover": func(w *world, org string) attempt {
		id, _ := w.registered(org)
		return attempt{"/api/sources/" + id + "/handover", map[string]any{"agent": w.agent(org).ID, "reason": "换机"}}
	},
	"GET /api/requests/{id}": func(w *world, org string) attempt {
		return attempt{fmt.Sprintf("/api/requests/%d", w.proposal(org)), nil}
	},
	"POST /api/requests": func(w *world, org string) attempt {
		w.n++
		a, cert := w.join(org)
		return attempt{"/api/requests", map[string]any{"letter": w.letter(cert, Told{Agent: a.ID, Made: w.clock(), Proposal: &state.Proposal{Name: fmt.Sprint("s", w.n), Engine: "mysql", Standing: catalog.Check, Tables: []state.ProposedTable{{Table: "a.b", Dataset: "b"}}}})}}
	},
	"GET /api/agents/{agent}/assignments": func(w *world, org string) attempt {
		return attempt{"/api/agents/" + w.agent(org).ID + "/assignments", nil}
	},
	"POST /api/requests/{id}/approve": func(w *world, org string) attempt {
		return attempt{fmt.Sprintf("/api/requests/%d/approve", w.proposal(org)), map[string]any{"tables": []string{"a.b"}}}
	},
	"POST /api/requests/{id}/refuse": func(w *world, org string) attempt {
		return attempt{fmt.Sprintf("/api/requests/%d/refuse", w.proposal(org)), map[string]any{"reason": "no"}}
	},
}

// wide are the calls that go over the whole tree or nothing of it.
var wide = map[string]map[string]any{
	"GET /api/accounts": nil, "GET /api/orgs": nil, "GET /api/invitations": nil, "GET /api/agents": nil, "GET /api/requests": nil, "GET /api/sources": nil,
	"GET /api/datasets": nil, "GET /api/tree": nil, "GET /api/complete": nil, "GET /api/report": nil, "GET /api/calendar": nil, "GET /api/school-hours": nil, "GET /api/alarms": nil, "GET /api/maintenance": nil, "GET /api/audit": nil, "GET /api/audit.csv": nil, "GET /api/openapi.yml": nil, "GET /api/session": nil,
	"POST /api/orgs": {"file": "code,parent,name,kind\n3309,33,x,city\n"},
}

// own are those that concern only whoever calls.
var own = []string{"POST /api/session", "POST /api/session/end", "POST /api/setup", "POST /api/password"}

// TestDesk runs what needs a database on one server.
func TestDesk(t *testing.T) {
	db := servers.Postgres(t, nil)
	for name, f := range map[string]func(*testing.T, servers.DB){
		"security": testSecurity, "live": testLive, "states": testStates, "scale": testScale, "sessions": testSessions, "forms": testForms, "agents": testAgents, "way": testWay, "twice": testTwice, "pages": testPages, "login": testLogin, "bodies": testBodies, "letters": testLetters, "ended": testEnded, "browser": testBrowser,
	} {
		t.Run(name, func(t *testing.T) { f(t, db) })
	}
}

// testSecurity goes over every route of the API with every role of a city, about an org
// of that city and about one of another: what a role doesn't allow is refused, what lies
// outside isn't there, and neither changes anything.
func testSecurity(t *testing.T, db servers.DB) {
	w := newWorld(t, db)
	people := map[account.Role]*client{}
	for _, role := range account.Roles {
		people[role] = w.person("city-"+string(role), account.Grant{Role: role, Org: "3301"})
	}
	w.agent("330203") // something to be found
	w.proposal("330203")
	w.account("330203")
	w.alarm("330203")
	w.maintenance("330203")
	w.holiday("330203")
	for _, rt := range w.desk.routes {
		name := rt.Method + " " + rt.Path
		make, placed := attempts[name]
		in, isWide := wide[name]
		if isOwn := slices.Contains(own, name); !placed && !isWide && !isOwn {
			t.Errorf("%s isn't tried", name)
		} else if isOwn {
			continue // below
		}
		try := func(c *client, org string) (int, string, bool) {
			t.Helper()
			a := attempt{rt.Path, in}
			if placed {
				a = make(w, org)
			}
			before := w.print(db)
			var body any
			if a.in != nil {
				body = a.in
			}
			status, text, _ := c.do(rt.Method, a.path, body)
			return status, text, w.print(db) != before
		}
		if status, body, changed := try(w.nobody(), "330106"); rt.Who != anybody && (status != http.StatusUnauthorized || changed) {
			t.Errorf("%s by nobody: %d %s, changed: %v", name, status, body, changed)
		}
		for _, role := range account.Roles {
			allowed := rt.Who != acting || slices.Contains(mayDo[string(rt.Act)], role)
			for _, org := range []string{"330106", "330203"} {
				status, body, changed := try(people[role], org)
				inside := org == "330106"
				switch {
				case name == "POST /api/orgs":
					if status != http.StatusForbidden || changed {
						t.Errorf("%s by a city's %s: %d %s", name, role, status, body)
					}
				case !allowed:
					if status != http.StatusForbidden || !strings.Contains(body, "NOT_ALLOWED") || changed {
						t.Errorf("%s by %s: %d %s, changed: %v", name, role, status, body, changed)
					}
				case placed && !inside:
					if status != http.StatusNotFound || changed {
						t.Errorf("%s by %s outside: %d %s, changed: %v", name, role, status, body, changed)
					}
				case status != http.StatusOK:
					t.Errorf("%s by %s: %d %s", name, role, status, body)
				}
				if isWide && strings.Contains(body, "330203") && name != "POST /api/orgs" {
					t.Errorf("%s shows %s what lies outside: %s", name, role, body)
				}
			}
		}
	}
}

// testSessions: without a session that still counts, and without what its forms carry,
// no route does anything; nor if another site sends it.
func testSessions(t *testing.T, db servers.DB) {
	w := newWorld(t, db)
	c := w.person("boss", account.Grant{Role: account.Administrator}, account.Grant{Role: account.Operator}, account.Grant{Role: account.Approver})
	auditor := w.person("auditor", account.Grant{Role: account.Auditor})
	each := func(f func(name string, rt route, a attempt)) {
		t.Helper()
		for _, rt := range w.desk.routes {
			name := rt.Method + " " + rt.Path
			a := attempt{rt.Path, wide[name]}
			if make, ok := attempts[name]; ok {
				a = make(w, "330106")
			}
			f(name, rt, a)
		}
	}
	each(func(name string, rt route, a attempt) {
		if rt.Method == http.MethodGet {
			return
		}
		before := w.print(db)
		for _, form := range []string{"", "x", auditor.form, c.form + "x"} {
			thief := *c
			if thief.form = form; form == auditor.form && form == "" {
				t.Fatal("no form")
			}
			if status, body, _ := thief.do(rt.Method, a.path, a.in); status != http.StatusForbidden || !strings.Contains(body, "FORM_EXPIRED") {
				t.Errorf("%s with the form %q: %d %s", name, form, status, body)
			}
		}
		req, err := http.NewRequestWithContext(t.Context(), rt.Method, w.web.URL+a.path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set(formHeader, c.form)
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		if status, body, _ := c.send(req); status != http.StatusForbidden {
			t.Errorf("%s from another site: %d %s", name, status, body)
		}
		if w.print(db) != before {
			t.Errorf("%s changed something", name)
		}
	})
	w.pass(31 * time.Minute)
	each(func(name string, rt route, a attempt) {
		if rt.Who == anybody {
			return
		}
		if status, body, _ := c.do(rt.Method, a.path, a.in); status != http.StatusUnauthorized {
			t.Errorf("%s after the session: %d %s", name, status, body)
		}
	})
	back := w.login("boss")
	if err := w.state.SetActive(t.Context(), state.By{Name: "root"}, []string{""}, "boss", false); err != nil {
		t.Fatal(err)
	}
	back.want(http.StatusUnauthorized, "LOGIN_NEEDED", http.MethodGet, "/api/orgs", nil)
}

// testAgents: no route of agents does anything without a certificate of this hub that
// counts, and an agent reaches its own org only.
func testAgents(t *testing.T, db servers.DB) {
	w := newWorld(t, db)
	a, certA := w.join("330106")
	b, certB := w.join("330203")
	other, err := authority.Open(authority.Options{Dir: t.TempDir(), Keep: func(der []byte) ([]byte, error) { return der, nil }})
	if err != nil {
		t.Fatal(err)
	}
	forged, err := other.Agent([]byte(w.request()), a.ID, a.Org)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(forged.PEM)
	unknown, err := w.auth.Agent([]byte(w.request()), a.ID, a.Org) // signed, and never given
	if err != nil {
		t.Fatal(err)
	}
	stray, _ := pem.Decode(unknown.PEM)
	p := state.Proposal{Name: "xueji", Engine: "mysql", Standing: catalog.Authoritative, Tables: []state.ProposedTable{{Table: "a.b", Dataset: "b"}}}
	inputs := map[string]any{"POST /agent/released": map[string]string{"source": a.Org + "-xueji"}, "POST /agent/certificate": map[string]string{"certificate_request": w.request()}, "POST /agent/requests": p, "POST /agent/join": JoinRequest{Invitation: "x"}}
	for _, rt := range agentRoutes {
		in := inputs[rt.Method+" "+rt.Path]
		if !rt.Joined {
			w.machine(nil).want(http.StatusNotFound, "INVITATION_UNKNOWN", rt.Method, rt.Path, in)
			continue
		}
		w.machine(nil).want(http.StatusUnauthorized, "CERTIFICATE_UNKNOWN", rt.Method, rt.Path, in)
		w.machine(&tls.Certificate{Certificate: [][]byte{stray.Bytes}, PrivateKey: w.key}).want(http.StatusForbidden, "CERTIFICATE_UNKNOWN", rt.Method, rt.Path, in)
		m := w.machine(&tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: w.key})
		if res, err := m.http.Get(w.agents.URL + "/agent/requests"); err == nil {
			_ = res.Body.Close()
			if res.StatusCode != http.StatusUnauthorized { // a client may leave out what the server's authorities haven't signed
				t.Errorf("a certificate of another authority: %s", res.Status)
			}
		}
	}
	ma, mb := w.machine(certA), w.machine(certB)
	got := data[state.Request](t, ma.want(http.StatusOK, "", http.MethodPost, "/agent/requests", p))
	if got.Org != "330106" || got.Source != "330106-xueji" || got.Agent != a.ID {
		t.Errorf("%+v", got)
	}
	if seen := mb.want(http.StatusOK, "", http.MethodGet, "/agent/requests", nil); strings.Contains(seen, "330106") {
		t.Errorf("B sees A's request: %s", seen)
	}
	if theirs := data[state.Request](t, mb.want(http.StatusOK, "", http.MethodPost, "/agent/requests", p)); theirs.Source != "330203-xueji" || theirs.Agent != b.ID {
		t.Errorf("%+v", theirs)
	}
	forgedField := map[string]any{"name": "x", "engine": "mysql", "standing": "check", "org": "330106", "tables": []any{}}
	before := w.print(db)
	mb.want(http.StatusForbidden, "SPEAKS_FOR_ANOTHER", http.MethodPost, "/agent/requests", forgedField)
	mb.want(http.StatusForbidden, "SPEAKS_FOR_ANOTHER", http.MethodPost, "/agent/status", []any{map[string]any{"org": "330203"}, map[string]any{"source": "330106-xueji", "state": "failed"}})
	mb.want(http.StatusForbidden, "SPEAKS_FOR_ANOTHER", http.MethodGet, "/agent/requests?agent="+a.ID, nil)
	mb.want(http.StatusNotFound, "CALL_UNKNOWN", http.MethodPost, "/agent/status", map[string]any{"source": "330203-xueji"})
	w.machine(nil).want(http.StatusUnauthorized, "CERTIFICATE_UNKNOWN", http.MethodPost, "/agent/status", forgedField)
	forgedField["org"] = "330203"
	mb.want(http.StatusBadRequest, "INPUT_INVALID", http.MethodPost, "/agent/requests", forgedField)
	if w.print(db) != before {
		t.Error("a forgery changes something")
	}
	w.forgeries(b.ID)
	ma.want(http.StatusConflict, "REQUEST_PENDING", http.MethodPost, "/agent/requests", p)
	late := w.machine(certA)
	late.at = func() time.Time { return w.clock().Add(-6 * time.Minute) }
	late.want(http.StatusBadRequest, "CLOCK_WRONG", http.MethodPost, "/agent/requests", p)
	if err := w.state.Revoke(t.Context(), state.By{Name: sponsor}, []string{""}, a.ID, "stolen"); err != nil {
		t.Fatal(err)
	}
	for _, rt := range agentRoutes {
		if rt.Joined {
			ma.want(http.StatusForbidden, "CERTIFICATE_REVOKED", rt.Method, rt.Path, inputs[rt.Method+" "+rt.Path])
		}
	}
}

// forgeries looks for those of an agent in the audit and among the alarms. Whoever goes on
// doesn't fill the audit.
func (w *world) forgeries(agent string) {
	w.t.Helper()
	tried := func() (n int) {
		w.t.Helper()
		lines, err := w.state.Audit(w.t.Context(), []string{""}, state.Search{Text: "agent.forge"})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, e := range lines {
			if e.Actor != agent || e.Object != agent || e.Outcome != state.Refused || !strings.Contains(e.Detail, "330106") {
				w.t.Errorf("%+v", e)
			}
		}
		return len(lines)
	}
	if n := tried(); n != 3 {
		w.t.Errorf("%d forgeries in the audit", n)
	}
	for range 20 {
		if err := w.state.Forged(w.t.Context(), state.By{Name: agent}, &state.Agent{ID: agent, Org: "330203"}, "source 330106-xueji"); err != nil {
			w.t.Fatal(err)
		}
	}
	if n := tried(); n != 10 {
		w.t.Errorf("%d lines in a minute", n)
	}
	known, err := w.state.Certificates(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, k := range known {
		if (k.Forged != "") != (k.ID == agent) {
			w.t.Errorf("%+v", k)
		}
	}
}
