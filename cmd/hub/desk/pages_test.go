package desk

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/cmd/hub/alarm"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/cmd/hub/watch"
	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/schema/personal"
	"github.com/tributary-cdc/tributary/test/browser"
	"github.com/tributary-cdc/tributary/test/servers"
)

// filled is a world with something on each page: names that try to be code, an invitation
// of each state, agents, and requests of each kind.
func filled(t *testing.T, db servers.DB) (w *world, pending int64) {
	t.Helper()
	w = newWorld(t, db)
	a := w.agent("330108")
	propose := func(name string, standing catalog.Standing, tables ...string) int64 {
		t.Helper()
		p := state.Proposal{Name: name, Engine: "mariadb", Server: "10.11.14-MariaDB-log <b>", Standing: standing, Looked: state.LookedForms,
			Findings: []state.ProposedFinding{{Code: "MYSQL_BINLOG_FORMAT", Severity: "refuses"}, {Code: "DATASET_SHARED", Severity: "harms", Object: `a.b, <script>alert(1)</script>`}}}
		for i, table := range tables {
			p.Tables = append(p.Tables, state.ProposedTable{Table: "xueji." + table, Dataset: fmt.Sprint("d", i), Rows: int64(i)*1_234_567 - 1, Bytes: int64(i) * 123_456_789, Sampled: 100 * i,
				Personal: []personal.Hint{{Column: "SFZJH", Kind: personal.IDNumber, Reasons: []personal.Reason{personal.ByName, personal.ByComment, personal.ByForm}, Share: 0.98}, {Column: `<script>alert(1)</script>'"😀`, Kind: personal.Phone, Reasons: []personal.Reason{personal.ByForm}, Share: 0.1}}})
		}
		r, err := w.state.Propose(t.Context(), state.By{Name: a.ID}, a, p)
		if err != nil {
			t.Fatal(err)
		}
		return r.ID
	}
	decide := func(id int64, reason string, tables ...string) {
		t.Helper()
		if _, err := w.state.Decide(t.Context(), state.By{Name: "ap"}, []string{""}, id, state.Decision{Tables: tables, Reason: reason}, w.topics.Changes); err != nil {
			t.Fatal(err)
		}
	}
	w.person("ap", account.Grant{Role: account.Approver})
	decide(propose("xueji", catalog.Authoritative, "student"), "", "xueji.student")
	decide(propose("part", catalog.Check, "student", "score"), "成绩 <script>alert(1)</script>", "xueji.student")
	decide(propose("none", catalog.Check, "student"), "不归集")
	pending = propose("renshi", catalog.Check, "student", "a_table_with_a_very_long_name_that_nobody_would_have_thought_of_before_it_came", `<script>alert(1)</script>'"😀`)
	i, _ := w.invite("330106")
	if err := w.state.Withdraw(t.Context(), state.By{Name: sponsor}, []string{""}, i.ID); err != nil {
		t.Fatal(err)
	}
	w.invite("330203")
	revoked := w.agent("330106")
	if err := w.state.Revoke(t.Context(), state.By{Name: sponsor}, []string{""}, revoked.ID, "<b>被盗</b>"); err != nil {
		t.Fatal(err)
	}
	w.account("330106")
	w.alarm("330106")
	w.past("330106-xueji")
	return w, pending
}

// past gives a source hours with a gap, and something that happened.
func (w *world) past(id string) {
	w.t.Helper()
	org := w.look().Source([]string{""}, id).Org
	for i := range 150 {
		ago := 180 - i
		if i >= 120 {
			ago = 150 - i
		}
		lag, rate := float32(i%40)/10, float32(200+i%30*7)
		if i%25 == 7 {
			lag *= 20
		}
		p := watch.Point{Lag: &lag, Rate: &rate}
		m := []watch.OrgMinute{{Org: org.Code, All: p, Sources: []string{id}, Points: []watch.Point{p}}}
		if err := w.state.KeepMinute(w.t.Context(), w.clock().Truncate(time.Minute).Add(-time.Duration(ago)*time.Minute), m); err != nil {
			w.t.Fatal(err)
		}
	}
	f := watch.Face{Source: id, Org: org.Code, Path: org.Path, State: "streaming", Epoch: 1, Program: "agent", Version: "1.0"}
	for _, change := range []func(){func() {}, func() { f.Stopped = map[string]string{"xueji.<script>alert(1)</script>": "TABLE_NO_KEY"} }, func() { f.State, f.Code, f.Detail, f.Version = "gap", "SLOT_LOST", "gone <b>", "1.1" }} {
		change()
		if err := w.state.KeepFaces(w.t.Context(), []watch.Face{f}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// testPages: every page in both languages, as each role sees it, has its texts, shows
// names as they are, and leads nowhere that the reader may not go.
func testPages(t *testing.T, db servers.DB) {
	w, pending := filled(t, db)
	han := regexp.MustCompile(`>[^<]*\p{Han}[^<]*<`)
	for _, role := range account.Roles {
		c := w.person("all-"+string(role), account.Grant{Role: role})
		for _, lang := range []string{"zh-CN", "en"} {
			_, home, _ := c.do(http.MethodGet, "/me?lang="+lang, nil)
			if strings.Contains(home, "登记申请 (1)") != (role == account.Approver && lang == "zh-CN") {
				t.Errorf("%s isn't told right in %s what waits", role, lang)
			}
			links := regexp.MustCompile(`<li><a href="([^"]+)"`).FindAllStringSubmatch(home, -1)
			if len(links) < 4 {
				t.Errorf("%s has the menu %v", role, links)
			}
			paths := []string{"/me", fmt.Sprintf("/requests/%d", pending), fmt.Sprintf("/requests/%d", pending-1), fmt.Sprintf("/requests/%d", pending-2)}
			for _, l := range links[1:] {
				paths = append(paths, l[1])
			}
			for _, path := range paths {
				status, page, _ := c.do(http.MethodGet, path, nil)
				if status != http.StatusOK || !strings.Contains(page, `<html lang="`+lang+`">`) || strings.Contains(page, "alert(1)</script>") && strings.Contains(page, "<script>alert") {
					t.Errorf("%s %s %s: %d", role, lang, path, status)
				}
				if m := regexp.MustCompile(`>(title|note|role|menu|action|kind|standing|request|severity|done)\.[a-z.]+<`).FindString(page); m != "" {
					t.Errorf("%s %s: the text %s is missing", lang, path, m)
				}
				if lang == "en" && path == "/me" {
					if m := han.FindString(strings.ReplaceAll(page, ">中文<", "><")); m != "" {
						t.Errorf("Chinese in English: %s", m)
					}
				}
			}
		}
	}
	about := alarm.Alarm{Kind: alarm.Lag, Object: "source 330106-xueji", Org: "330106", Path: w.look().Org([]string{""}, "330106").Path}
	if err := w.state.KeepAlarms(t.Context(), []alarm.Alarm{about}); err != nil {
		t.Fatal(err)
	}
	all, err := w.state.Alarms(t.Context(), []string{""})
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(all, func(a state.Alarm) bool { return a.Object == about.Object })
	if _, page, _ := w.person("sees", account.Grant{Role: account.Viewer}).do(http.MethodGet, fmt.Sprintf("/alarms/%d", all[at].ID), nil); !strings.Contains(page, `href="/sources/330106-xueji"`) || !strings.Contains(page, "西湖区 330106") {
		t.Error("an alarm doesn't lead to its source, or doesn't name its org")
	}
	viewer := w.person("viewer", account.Grant{Role: account.Viewer, Org: "3302"})
	for path, want := range map[string]int{"/accounts": http.StatusForbidden, "/audit": http.StatusForbidden, fmt.Sprintf("/requests/%d", pending): http.StatusNotFound, "/requests": http.StatusOK, "/requests/x": http.StatusNotFound, "/": http.StatusOK, "/api/status": http.StatusOK} {
		if status, page, _ := viewer.do(http.MethodGet, path, nil); status != want || strings.Contains(page, "330108") {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	if _, page, _ := viewer.do(http.MethodGet, "/invitations", nil); strings.Contains(page, "/revoke") || strings.Contains(page, `action="/api/invitations"`) {
		t.Error("a viewer is offered what he may not do")
	}
}

// script runs in the page as it is at once: a node that was looked for before may be of a
// page that is gone.
func script(text string) chromedp.Action { return chromedp.Evaluate(text, nil) }

// press is a click on the first element of a selector.
func press(selector string) chromedp.Action {
	return script(fmt.Sprintf(`document.querySelector(%q).click()`, selector))
}

// testBrowser walks the pages in a real browser: the login by keyboard, each page on a
// desk and on a phone, by day and by night, an invitation, and an approval in part.
func testBrowser(t *testing.T, db servers.DB) {
	w, pending := filled(t, db)
	w.person("boss", account.Grant{Role: account.Administrator}, account.Grant{Role: account.Operator}, account.Grant{Role: account.Approver})
	w.person("auditor", account.Grant{Role: account.Auditor})
	open, err := w.state.Alarms(t.Context(), []string{""})
	if err != nil {
		t.Fatal(err)
	}
	opened := open[0].ID
	w.holiday("330106")
	w.hours("330106")
	w.pass(2 * time.Minute) // the shift that ends now has the alarm
	if w.desk.o.Shifts, err = alarm.NewShifts([]string{w.clock().In(w.desk.o.Shifts.Zone).Format("15:04")}, ""); err != nil {
		t.Fatal(err)
	}
	w.desk.o.Events, w.desk.o.Every = 10*time.Second, 200*time.Millisecond
	chromium := browser.Chromium(t)
	look := func(v *browser.Tab, name, lang, path, has string) {
		t.Helper()
		v.Run(chromedp.Navigate(w.web.URL+path), v.Is(fmt.Sprintf(`document.readyState === "complete" && document.documentElement.lang === %q && document.body.innerText.includes(%q)`, lang, has)))
		v.Audit(name)
	}
	login := func(v *browser.Tab, name, lang, who, then string) {
		t.Helper()
		v.Run(chromedp.Navigate(w.web.URL+"/login?lang="+lang), v.Is(`document.readyState === "complete" && document.getElementById("account") !== null`))
		v.Audit(name + " login")
		v.Run(script(`document.getElementById("account").focus()`), chromedp.KeyEvent(who+kb.Tab+password+kb.Enter), v.Is(fmt.Sprintf(`document.readyState === "complete" && location.pathname === %q`, then)))
	}
	logout := func(v *browser.Tab) {
		t.Helper()
		v.Run(press(`form[action="/api/session/end"] button`), v.Is(`document.readyState === "complete" && location.pathname === "/login"`))
	}
	for _, view := range []struct {
		name, lang    string
		width, height int64
		dark          bool
	}{{"zh desk day", "zh-CN", 1280, 800, false}, {"en phone night", "en", 390, 844, true}} {
		v := browser.Open(t, chromium, view.width, view.height, view.dark)
		login(v, view.name, view.lang, "boss", "/")
		for page, has := range map[string]string{"/requests": "330108-renshi", fmt.Sprintf("/requests/%d", pending): "a_table_with", fmt.Sprintf("/requests/%d", pending-2): "330108-part", "/invitations": "330106", "/orgs": "<script>alert(1)</script>", "/accounts": "西湖区 330106", "/me": "boss",
			"/tree": "330106-xueji", "/tree?org=330106": "330106-xueji", "/sources/330106-xueji": "SLOT_LOST", "/sources/330106-xueji/timeline": "SLOT_LOST", "/orgs/330106/history": "西湖区", "/report": "330106-s", "/calendar": "西湖区 330106", "/complete": "330108-xueji", "/alarms": "330106-s", fmt.Sprintf("/alarms/%d", opened): "gap of 330106"} {
			look(v, view.name+" "+page, view.lang, page, has)
		}
		logout(v)
	}
	v := browser.Open(t, chromium, 1280, 800, false)
	login(v, "zh desk", "zh-CN", "auditor", "/audit")
	look(v, "zh desk audit", "zh-CN", "/audit?text=agent", "停用 agent")
	logout(v)
	login(v, "zh desk", "zh-CN", "boss", "/")
	v.Run(chromedp.Navigate(w.web.URL+fmt.Sprintf("/alarms/%d", opened)), v.Is(`document.readyState === "complete" && document.getElementById("note") !== null`), script(`document.getElementById("note").value = "我来处理"`), press(`form[action$="/acknowledge"] button`), v.Is(`document.readyState === "complete" && location.pathname === "/alarms" && document.body.innerText.includes("已确认 boss")`))
	v.Run(script(`window.kept = true`))
	another := w.alarm("330203")
	v.Run(v.Is(fmt.Sprintf(`window.kept && document.querySelector("a[href='/alarms/%d']") !== null && document.getElementById("live-note").className === "live good"`, another))) // without a reload
	look(v, "zh desk acknowledged", "zh-CN", fmt.Sprintf("/alarms/%d", opened), "我来处理")
	v.Run(chromedp.Navigate(w.web.URL+"/invitations"), v.Is(`document.readyState === "complete" && document.getElementById("org") !== null`), script(`document.getElementById("org").value = "330106"`), press(`form[action="/api/invitations"] button`), v.Is(`document.readyState === "complete" && document.querySelector(".secret pre") !== null && document.querySelector(".secret pre").innerText.startsWith("tributary join https://")`))
	v.Audit("zh desk invited")
	v.Run(chromedp.Navigate(w.web.URL+fmt.Sprintf("/requests/%d", pending)), v.Is(`document.readyState === "complete" && document.getElementById("table-1") !== null`), press(`#table-1`), press(`form[action$="/approve"] button`), v.Is(`document.readyState === "complete" && document.querySelector("[role=alert]") !== null && document.querySelector("[role=alert]").innerText.includes("REASON_MISSING")`))
	v.Expect("/approve") // answered with 400
	v.Run(press(`#table-1`), script(`document.getElementById("reason").value = "只归集学生"`), press(`form[action$="/approve"] button`), v.Is(`document.readyState === "complete" && location.pathname === "/requests" && document.body.innerText.includes("部分批准")`))
	look(v, "zh desk decided", "zh-CN", fmt.Sprintf("/requests/%d", pending), "只归集学生")
}
