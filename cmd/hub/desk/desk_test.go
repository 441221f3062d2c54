package desk

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/cmd/hub/authority"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/test/servers"
)

// testWay goes from an invitation to the signed assignment, and what goes wrong on it.
func testWay(t *testing.T, db servers.DB) {
	w := newWorld(t, db)
	op := w.person("op", account.Grant{Role: account.Operator, Org: "3301"}, account.Grant{Role: account.Approver, Org: "3301"})
	ap := w.person("ap", account.Grant{Role: account.Approver, Org: "3301"})
	made := data[struct{ Invitation, Command string }](t, op.want(http.StatusOK, "", http.MethodPost, "/api/invitations", map[string]any{"org": "330106"}))
	if !strings.HasPrefix(made.Command, "tributary join https://127.0.0.1:") || !strings.HasSuffix(made.Command, " "+made.Invitation) {
		t.Errorf("%+v", made)
	}
	join := JoinRequest{Invitation: strings.ToLower(made.Invitation), Name: "host", Key: w.request(), Clock: w.clock()}
	wrong := join
	wrong.Key = "x"
	w.machine(nil).want(http.StatusBadRequest, "CERTIFICATE_REQUEST", http.MethodPost, "/agent/join", wrong)
	answer := data[JoinAnswer](t, w.machine(nil).want(http.StatusOK, "", http.MethodPost, "/agent/join", join))
	w.machine(nil).want(http.StatusConflict, "INVITATION_USED", http.MethodPost, "/agent/join", join)
	m := w.machine(w.pair(t, answer.Certificate))
	p := state.Proposal{Name: "xueji", Engine: "mariadb", Server: "MariaDB 10.11", Standing: catalog.Authoritative,
		Tables: []state.ProposedTable{{Table: "xueji.student", Dataset: "student", Rows: 1000, Bytes: 1 << 20}, {Table: "xueji.<script>'\"😀", Dataset: "script", Rows: -1}}}
	r := data[state.Request](t, m.want(http.StatusOK, "", http.MethodPost, "/agent/requests", p))
	approve := fmt.Sprintf("/api/requests/%d/approve", r.ID)
	in := map[string]any{"tables": []string{"xueji.student"}, "reason": "只要学生"}
	op.want(http.StatusForbidden, "REQUEST_OWN", http.MethodPost, approve, in)
	w.topics.fail(errors.New("no broker"))
	ap.want(http.StatusServiceUnavailable, "TOPICS_NOT_MADE", http.MethodPost, approve, in)
	w.topics.fail(nil)
	ap.want(http.StatusBadRequest, "REASON_MISSING", http.MethodPost, approve, map[string]any{"tables": []string{"xueji.student"}})
	ap.want(http.StatusOK, "", http.MethodPost, approve, in)
	ap.want(http.StatusConflict, "REQUEST_DECIDED", http.MethodPost, approve, in)
	if !w.topics.made["330106"] {
		t.Error("no topics")
	}
	signed := data[Granted](t, m.want(http.StatusOK, "", http.MethodGet, "/agent/assignments", nil))
	var g Grants
	if err := json.Unmarshal(signed.Payload, &g); err != nil || !authority.Verify(w.auth.Certificate(), signed.Payload, signed.Signature) {
		t.Fatalf("not signed: %v", err)
	}
	if len(g.Sources) != 1 || g.Sources[0].Topic != "tributary.330106.changes" || g.Sources[0].Tables["xueji.student"] != "student" || len(g.Sources[0].Tables) != 1 {
		t.Errorf("%+v", g)
	}
	renewed := data[JoinAnswer](t, m.want(http.StatusOK, "", http.MethodPost, "/agent/certificate", map[string]string{"certificate_request": w.request()}))
	w.machine(w.pair(t, renewed.Certificate)).want(http.StatusOK, "", http.MethodGet, "/agent/requests", nil)
	second := p
	second.Name = "other"
	if body := m.want(http.StatusConflict, "DATASET_TAKEN", http.MethodPost, "/agent/requests", second); !strings.Contains(body, "330106-xueji") {
		t.Errorf("the first source isn't named: %s", body)
	}
	second.Standing = catalog.Check
	m.want(http.StatusOK, "", http.MethodPost, "/agent/requests", second)
	quiet := *w.desk
	quiet.o.Agents = ""
	if _, err := invite(&call{d: &quiet}); err == nil || !strings.Contains(err.Error(), "AGENTS_NOT_SERVED") {
		t.Error(err)
	}
}

// testLogin: the way of a new hub's first administrator, and of a session's cookie.
func testLogin(t *testing.T, db servers.DB) {
	r := newRig(t, db)
	secret, err := r.state.FirstLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := r.nobody()
	status, page, header := c.do(http.MethodGet, "/setup?link="+secret, nil)
	if status != http.StatusOK || !strings.Contains(page, secret) || !strings.Contains(header.Get("Content-Security-Policy"), "default-src 'none'") || header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %s", status, page)
	}
	c.session()
	if status, page, _ := c.post("/api/setup", url.Values{"link": {secret}, "password": {password}, "again": {"another"}}); status != http.StatusBadRequest || !strings.Contains(page, "PASSWORD_DIFFERS") || !strings.Contains(page, secret) {
		t.Errorf("%d %s", status, page)
	}
	if status, _, header := c.post("/api/setup", url.Values{"link": {secret}, "password": {password}, "again": {password}}); status != http.StatusSeeOther || header.Get("Location") != "/login?done=password" {
		t.Errorf("%d %s", status, header)
	}
	if status, page, _ := c.do(http.MethodGet, "/setup?link="+secret, nil); status != http.StatusNotFound || !strings.Contains(page, "LINK_INVALID") {
		t.Errorf("%d %s", status, page)
	}
	if status, page, _ := c.post("/api/session", url.Values{"account": {"admin"}, "password": {"wrong"}}); status != http.StatusUnauthorized || !strings.Contains(page, "LOGIN_FAILED") || !strings.Contains(page, `id="password"`) {
		t.Errorf("%d %s", status, page)
	}
	status, _, header = c.post("/api/session", url.Values{"account": {"admin"}, "password": {password}})
	cookie := strings.Join(header.Values("Set-Cookie"), "\n")
	if status != http.StatusSeeOther || header.Get("Location") != "/" || !strings.Contains(cookie, "tributary-session=") || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") {
		t.Errorf("%d %v", status, header)
	}
	if who := c.session(); who != "admin" {
		t.Error(who)
	}
	if status, body, _ := c.do(http.MethodGet, "/", nil); status != http.StatusOK || body != "the rest" {
		t.Errorf("%d %s", status, body)
	}
	if status, body, _ := c.do(http.MethodGet, eventsPath, nil); status != http.StatusOK || body != "the rest" { // ends by itself
		t.Errorf("%d %s", status, body)
	}
	if status, _, header := c.post("/api/session/end", url.Values{}); status != http.StatusSeeOther || header.Get("Location") != "/login" {
		t.Errorf("%d", status)
	}
	for path, want := range map[string]int{"/": http.StatusSeeOther, "/requests": http.StatusSeeOther, "/api/status": http.StatusUnauthorized, "/assets/style.css": http.StatusOK, "/login": http.StatusOK} {
		if status, _, _ := c.do(http.MethodGet, path, nil); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	secure := *r.desk
	secure.o.Secure, secure.o.Hosts = true, []string{"hub.example.cn"}
	if secure.sessionCookie() != "__Host-tributary" || !secure.known("hub.example.cn:443") || secure.known("evil.example") || !secure.known("[::1]:80") {
		t.Error("names or cookies are wrong")
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.web.URL+"/login", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "evil.example"
	if status, _, _ := c.send(req); status != http.StatusMisdirectedRequest {
		t.Errorf("another name: %d", status)
	}
	c.session()
	for range 6 {
		status, _, _ = c.do(http.MethodPost, "/api/session", map[string]any{"account": "admin", "password": "wrong"})
	}
	if status != http.StatusTooManyRequests {
		t.Errorf("after many wrong passwords: %d", status)
	}
}

// testForms: files of orgs by the page's form, as they are, with what is wrong in them.
func testForms(t *testing.T, db servers.DB) {
	r := newRig(t, db)
	c := r.person("boss", account.Grant{Role: account.Administrator})
	upload := func(name string, content []byte) (int, string) {
		t.Helper()
		var b bytes.Buffer
		m := multipart.NewWriter(&b)
		if err := m.WriteField(formField, c.form); err != nil {
			t.Fatal(err)
		}
		part, err := m.CreateFormFile("file", name)
		if err == nil {
			_, err = part.Write(content)
		}
		if err = errors.Join(err, m.Close()); err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.web.URL+orgsPath, &b)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", m.FormDataContentType())
		status, body, _ := c.send(req)
		return status, body
	}
	gbk, err := simplifiedchinese.GBK.NewEncoder().Bytes([]byte(strings.Split(tree, "\n330108")[0]))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		file    string
		content []byte
		status  int
		want    string
	}{
		"BOM":       {"a.csv", []byte("\ufeffcode,parent,name,kind\n3303,33,温州市,city\n"), http.StatusOK, "新增 1，修改 0"},
		"zone":      {"a.csv", []byte("code,parent,name,kind\n,3301,钱塘<b>新</b>区,zone\n"), http.StatusOK, "钱塘&lt;b&gt;新&lt;/b&gt;区: <code>3301-z"},
		"YAML":      {"a.yml", []byte("- {code: \"3304\", parent: \"33\", name: 嘉兴市, kind: 市}\n"), http.StatusOK, "新增 1"},
		"GBK":       {"a.csv", gbk, http.StatusBadRequest, "文件为 GBK 编码"},
		"faults":    {"a.csv", []byte("code,parent,name,kind\n1,2,<script>alert(1)</script>,city\n"), http.StatusBadRequest, "第 2 行：没有机构 &#34;2&#34; 可作为上级"},
		"too large": {"a.csv", make([]byte, maxOrgFile+1), http.StatusBadRequest, "INPUT_TOO_LARGE"},
	} {
		if status, body := upload(tt.file, tt.content); status != tt.status || !strings.Contains(body, tt.want) || strings.Contains(body, "<script>alert") {
			t.Errorf("%s: %d, %s; want %d %s", name, status, body, tt.status, tt.want)
		}
	}
	status, page, _ := c.post("/api/accounts", url.Values{"account": {"li.si"}, "title": {"李四 <script>alert(1)</script>'\"😀"}, "role": {"viewer"}, "org": {"330106"}})
	if status != http.StatusOK || !strings.Contains(page, "/setup?link=") || strings.Contains(page, "<script>alert") {
		t.Errorf("%d %s", status, page)
	}
	if status, page, _ = c.post("/api/accounts", url.Values{"account": {"li.si"}, "title": {"李四"}, "role": {"viewer"}, "org": {"330106"}}); status != http.StatusConflict || !strings.Contains(page, "ACCOUNT_EXISTS") {
		t.Errorf("%d %s", status, page)
	}
	if status, _, header := c.post("/api/accounts/li.si/grants", url.Values{"role": {"approver"}, "org": {"*"}}); status != http.StatusSeeOther || header.Get("Location") != "/accounts?done=saved" {
		t.Errorf("%d", status)
	}
	if status, page, _ := c.post("/api/accounts/boss/disable", url.Values{}); status != http.StatusForbidden || !strings.Contains(page, "ACCOUNT_OWN") {
		t.Errorf("%d %s", status, page)
	}
	if status, page, _ := c.post("/api/accounts/li.si/enable", url.Values{formField: {"x"}}); status != http.StatusForbidden || !strings.Contains(page, "FORM_EXPIRED") {
		t.Errorf("%d %s", status, page)
	}
}

// testBodies: what can't be read is refused, whatever it is.
func testBodies(t *testing.T, db servers.DB) {
	r := newRig(t, db)
	c := r.person("op", account.Grant{Role: account.Operator})
	for name, tt := range map[string]struct {
		kind, body, code string
	}{
		"no JSON":       {"application/json", "{", "INPUT_INVALID"},
		"two objects":   {"application/json", "{} {}", "INPUT_INVALID"},
		"a list":        {"application/json", "[]", "INPUT_INVALID"},
		"nested":        {"application/json", `{"org": {"a": 1}}`, "INPUT_INVALID"},
		"unknown field": {"application/json", `{"org": "330106", "role": "x"}`, "INPUT_INVALID"},
		"other kind":    {"text/plain", "org=330106", "INPUT_INVALID"},
		"no kind":       {"", "org=330106", "INPUT_INVALID"},
		"too large":     {"application/json", `{"org": "` + strings.Repeat("x", maxBody) + `"}`, "INPUT_TOO_LARGE"},
		"unknown org":   {"application/json", `{"org": "999"}`, "ORG_UNKNOWN"},
		"number":        {"application/json", `{"org": 330106}`, ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.web.URL+"/api/invitations", strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", tt.kind)
		req.Header.Set(formHeader, c.form)
		if status, body, _ := c.send(req); tt.code != "" && (status < 400 || !strings.Contains(body, tt.code)) || tt.code == "" && status != http.StatusOK {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	for _, path := range []string{"/api/invitations/x/withdraw", "/api/invitations/99999999999999999999/withdraw"} {
		c.want(http.StatusNotFound, "INPUT_INVALID", http.MethodPost, path, nil)
	}
	c.want(http.StatusBadRequest, "INPUT_INVALID", http.MethodPost, "/api/invitations/answer", map[string]any{"request": "{"})
	c.want(http.StatusNotFound, "INVITATION_UNKNOWN", http.MethodPost, "/api/invitations/answer", map[string]any{"request": "{}"})
	a := r.person("auditor", account.Grant{Role: account.Auditor})
	a.want(http.StatusBadRequest, "INPUT_INVALID", http.MethodGet, "/api/audit?from=yesterday", nil)
	a.want(http.StatusBadRequest, "INPUT_INVALID", http.MethodGet, "/api/audit?before=x", nil)
	if err := r.state.Note(t.Context(), state.By{Name: "=cmd|' /C calc'!A0"}, state.Entry{Action: "login", Detail: "a,\"b\"\nc"}); err != nil {
		t.Fatal(err)
	}
	_, body, header := a.do(http.MethodGet, "/api/audit.csv?text=calc", nil)
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(body, "\ufeff"))).ReadAll()
	if err != nil || len(rows) != 2 || rows[1][2] != "'=cmd|' /C calc'!A0" || rows[1][8] != "a,\"b\"\nc" || !strings.HasPrefix(body, "\ufeff") || !strings.Contains(header.Get("Content-Disposition"), "audit.csv") {
		t.Errorf("%v, %v, %s", rows, err, body)
	}
	if entries := data[[]state.Entry](t, a.want(http.StatusOK, "", http.MethodGet, "/api/audit?text=audit.export", nil)); len(entries) != 1 {
		t.Errorf("the export isn't in the audit: %+v", entries)
	}
}
