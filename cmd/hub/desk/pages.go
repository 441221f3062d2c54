package desk

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tributary-cdc/tributary/cmd/console"
	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/cmd/hub/watch"
	"github.com/tributary-cdc/tributary/cmd/internal/language"
	"github.com/tributary-cdc/tributary/schema/catalog"
)

// pageNames are the templates of pages, each in a file of its name.
var pageNames = []string{"login", "setup", "me", "accounts", "orgs", "invitations", "requests", "request", "audit", "tree", "source", "complete", "alarms", "alarm", "history", "timeline", "report", "calendar", "missing"}

// page is a page for those who are logged in.
type page struct {
	name, path string
	who        access
	act        account.Act
	// load gathers what the page shows.
	load func(*call) (any, error)
	menu bool // it stands in the menu
	live bool // it has a part that is kept up to date
}

func (d *Desk) pagesByPath() map[string]*page {
	out := map[string]*page{}
	for i := range pages {
		out[pages[i].path] = &pages[i]
	}
	return out
}

// pages are in the order of the menu.
var pages = []page{
	{"alarms", "/alarms", acting, account.See, loadAlarms, true, true},
	{"alarm", "/alarms/{id}", acting, account.See, loadAlarm, false, false},
	{"calendar", "/calendar", acting, account.See, loadCalendar, false, false},
	{"report", "/report", acting, account.See, loadReport, true, false},
	{"tree", "/tree", acting, account.See, loadTree, true, true},
	{"source", "/sources/{source}", acting, account.See, loadSource, false, true},
	{"history", "/orgs/{org}/history", acting, account.See, loadHistory, false, true},
	{"timeline", "/sources/{source}/timeline", acting, account.See, loadTimeline, false, false},
	{"complete", "/complete", acting, account.See, loadComplete, true, true},
	{"requests", "/requests", acting, account.See, loadRequests, true, false},
	{"request", "/requests/{id}", acting, account.See, loadRequest, false, false},
	{"invitations", "/invitations", acting, account.See, loadInvitations, true, false},
	{"orgs", "/orgs", acting, account.See, loadOrgs, true, false},
	{"accounts", "/accounts", acting, account.Administer, loadAccounts, true, false},
	{"audit", "/audit", acting, account.Audit, loadAudit, true, false},
	{"me", "/me", person, "", func(*call) (any, error) { return nil, nil }, false, false},
}

func (c *call) view(name string) *view {
	other := language.Chinese
	if c.lang == language.Chinese {
		other = language.English
	}
	v := &view{Lang: c.lang.Tag(), OtherLang: other.Tag(), Page: name, Me: c.session, Form: c.formSecret(), Query: c.r.URL.Query(), lang: c.lang, now: c.d.o.Now(), zone: c.d.o.Shifts.Zone}
	if c.session != nil {
		seen, s := c.session.Scopes(account.See), c.watched()
		v.orgs = func(code string) *watch.Org { return s.Org(seen, code) }
	}
	q := c.r.URL.Query()
	q.Set("lang", v.OtherLang)
	path := c.r.URL.EscapedPath()
	if c.r.Method != http.MethodGet { // a form's answer: back to its page
		path, q = "/"+name, url.Values{"lang": {v.OtherLang}}
		switch name {
		case "request", "alarm":
			path = "/" + name + "s/" + c.r.PathValue("id")
		case "source":
			path = "/sources/" + url.PathEscape(c.r.PathValue("source"))
		}
	}
	v.OtherURL = path + "?" + q.Encode()
	if done := v.Query.Get("done"); done != "" && known("done."+done) {
		v.Done = "done." + done
	}
	v.Menu = c.menu(name)
	return v
}

// statusPage is the page of states, which is the console's.
const statusPage = "status"

// menu are the pages that the reader may see.
func (c *call) menu(name string) (menu []item) {
	if c.session == nil {
		return nil
	}
	if len(c.session.Scopes(account.See)) > 0 {
		menu = append(menu, item{"/", text("menu.status", c.lang), name == statusPage})
	}
	for _, p := range pages {
		if p.menu && len(c.session.Scopes(p.act)) > 0 {
			title := text("menu."+p.name, c.lang)
			if p.name == "requests" {
				title += c.waiting()
			}
			menu = append(menu, item{p.path, title, p.name == name || p.name == "requests" && name == "request" || p.name == "tree" && (name == "source" || name == "history" || name == "timeline") || p.name == "alarms" && (name == "alarm" || name == "calendar")})
		}
	}
	return menu
}

// waiting says how many requests wait for the reader's decision, behind the name of their page.
// A number that can't be asked isn't shown.
func (c *call) waiting() string {
	scopes := c.session.Scopes(account.Decide)
	if len(scopes) == 0 {
		return ""
	}
	n, err := c.d.o.State.Waiting(c.ctx(), scopes, c.session.Name)
	if err != nil {
		c.d.o.Logger.Warn("requests that wait", "err", err)
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d)", n)
}

func (d *Desk) show(c *call, status int, v *view) {
	var b bytes.Buffer
	if err := d.pages[v.Page].ExecuteTemplate(&b, "frame", v); err != nil {
		d.o.Logger.Error("page", "page", v.Page, "err", err)
		http.Error(c.w, "the page can't be shown", http.StatusInternalServerError)
		return
	}
	c.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	c.w.Header().Set("Content-Language", v.Lang)
	c.w.WriteHeader(status)
	_, _ = c.w.Write(b.Bytes()) // the reader may have gone
}

// page answers a page, or leads to the login.
func (d *Desk) page(w http.ResponseWriter, r *http.Request, p *page) {
	c, err := d.open(w, r)
	if err == nil {
		err = c.allow(p.who, p.act)
	}
	var data any
	if err == nil {
		data, err = p.load(c)
	}
	if c.session == nil && kindOf(err) == refusal.Login {
		http.Redirect(w, r, "/login", http.StatusSeeOther)
		return
	}
	status := http.StatusOK
	v := c.view(p.name)
	if err != nil {
		var t trouble
		status, t = d.told(c, err)
		v.Error, v.Page = &t, "me"
	}
	v.Data = data
	d.show(c, status, v)
}

func kindOf(err error) refusal.Kind {
	if no, ok := errors.AsType[*refusal.Refusal](err); ok {
		return no.Kind
	}
	return -1
}

// turn answers a form: it goes on to a page, or shows the form's own with what is wrong or
// what it gave.
func (c *call) turn(rt *route, answer any, err error) {
	if err == nil && rt.page != "" {
		to := strings.Replace(rt.page, "{source}", url.PathEscape(c.r.PathValue("source")), 1)
		if rt.page == "/" {
			to = c.d.home(c)
		} else if !strings.Contains(to, "?") && rt.page != "/login" {
			to += "?done=" + doneBy(answer)
		}
		http.Redirect(c.w, c.r, to, http.StatusSeeOther)
		return
	}
	if kindOf(err) == refusal.Login && rt.Who != anybody && c.session == nil || rt.from == "" {
		http.Redirect(c.w, c.r, "/login", http.StatusSeeOther)
		return
	}
	status := http.StatusOK
	v := c.view(rt.from)
	if err != nil {
		var t trouble
		status, t = c.d.told(c, err)
		v.Error = &t
	} else {
		v.Result = shown(answer)
	}
	if p := pageOf(rt.from); p != nil {
		if problem := c.allow(p.who, p.act); problem == nil {
			if v.Data, problem = p.load(c); problem != nil {
				_, t := c.d.told(c, problem)
				v.Page, v.Error = "me", cmp.Or(v.Error, &t)
			}
		} else {
			v.Page = "me"
		}
	} else {
		v.Data = c.text("link") // of the setup
	}
	c.d.show(c, status, v)
}

// doneBy is what a page says that an answer leads to: that it is done, or was before.
func doneBy(answer any) string {
	if a, ok := answer.(interface{ again() bool }); ok && a.again() {
		return "again"
	}
	return "saved"
}

// shown gives an answer as templates take it.
func shown(answer any) any {
	type result struct {
		Invited *invited
		Answer  *struct{ Agent, JSON string }
	}
	switch a := answer.(type) {
	case invited:
		return result{Invited: &a}
	case *JoinAnswer:
		b, _ := json.MarshalIndent(a, "", "  ") // texts and a time
		return result{Answer: &struct{ Agent, JSON string }{a.Agent, string(b)}}
	}
	return answer
}

func pageOf(name string) *page {
	for i := range pages {
		if pages[i].name == name {
			return &pages[i]
		}
	}
	return nil
}

// home is the first page for whoever has just logged in.
func (d *Desk) home(c *call) string {
	s, err := d.o.State.Session(c.ctx(), c.secret, state.ByPerson)
	switch {
	case err != nil:
		return "/me"
	case len(s.Scopes(account.See)) > 0 && !slices.ContainsFunc(s.Grants, func(g account.Grant) bool { return g.Role == account.Auditor }):
		return "/"
	case len(s.Scopes(account.Audit)) > 0:
		return "/audit"
	}
	return "/requests"
}

func (d *Desk) loginPage(w http.ResponseWriter, r *http.Request) {
	c, err := d.open(w, r)
	if err == nil && c.session != nil {
		http.Redirect(w, r, "/me", http.StatusSeeOther)
		return
	}
	status, v := http.StatusOK, c.view("login")
	if err != nil {
		var t trouble
		status, t = d.told(c, err)
		v.Error = &t
	}
	d.show(c, status, v)
}

// setupPage asks for a password. Looking at it uses nothing.
func (d *Desk) setupPage(w http.ResponseWriter, r *http.Request) {
	c, err := d.open(w, r)
	if err == nil && c.session != nil { // the form would be another person's
		c.session = nil
		d.setCookie(w, d.sessionCookie(), "", -1)
	}
	link := r.URL.Query().Get("link")
	if err == nil {
		_, err = d.o.State.Linked(r.Context(), link)
	}
	status, v := http.StatusOK, c.view("setup")
	v.Data = link
	if err != nil {
		var t trouble
		status, t = d.told(c, err)
		v.Error, v.Data = &t, ""
	}
	d.show(c, status, v)
}

// under gives a context in which the page of states has the menu of the others.
func (c *call) under(ctx context.Context) context.Context {
	m := &console.Menu{Name: c.session.Title, Label: text("menu", c.lang)}
	for _, i := range c.menu(statusPage) {
		m.Items = append(m.Items, console.MenuItem(i))
	}
	return console.Under(ctx, m)
}

// seen gives a context in which the page of states shows the person's part of the tree.
func (c *call) seen(ctx context.Context) (context.Context, error) {
	if slices.Contains(c.scopes, "") {
		return ctx, nil
	}
	orgs, err := c.d.o.State.Orgs(ctx, c.scopes)
	if err != nil {
		return ctx, err
	}
	part := console.Part{}
	for _, o := range orgs {
		part[o.Code] = true
	}
	return console.Within(ctx, part), nil
}

func loadRequests(c *call) (any, error) { return c.d.o.State.Requests(c.ctx(), c.scopes) }

// requestView is a request with who else has its datasets.
type requestView struct {
	*state.Request
	Rivals map[string][]catalog.Feed
	// Mine says that the reader may decide on it.
	Mine bool
	Own  bool // the reader invited the agent
	Rows int64
	Size int64
	suspects
}

func loadRequest(c *call) (any, error) {
	r, err := c.request()
	if err != nil {
		return nil, err
	}
	v := requestView{Request: r, Own: r.Sponsor == c.session.Name}
	v.Mine = r.State == state.Pending && !v.Own && c.session.May(account.Decide, r.Path)
	for _, t := range r.Content.Tables {
		v.Rows, v.Size = v.Rows+max(0, t.Rows), v.Size+t.Bytes
	}
	v.suspects = suspected(&r.Content)
	v.Rivals, err = c.d.o.State.Rivals(c.ctx(), r)
	return v, err
}

// invitationsView is what has been invited and what has joined.
type invitationsView struct {
	Invitations []state.Invitation
	Agents      []state.Agent
	Orgs        []catalog.Org // for which the reader may invite
}

func loadInvitations(c *call) (any, error) {
	var v invitationsView
	var err error
	if v.Agents, err = c.d.o.State.Agents(c.ctx(), c.session.Scopes(account.See)); err != nil {
		return nil, err
	}
	if scopes := c.session.Scopes(account.Invite); len(scopes) > 0 {
		if v.Invitations, err = c.d.o.State.Invitations(c.ctx(), scopes); err == nil {
			v.Orgs, err = c.d.o.State.Orgs(c.ctx(), scopes)
		}
	}
	return v, err
}

func loadOrgs(c *call) (any, error) {
	return c.d.o.State.Orgs(c.ctx(), c.session.Scopes(account.See))
}

// accountsView is the accounts with what may be granted.
type accountsView struct {
	Accounts []account.Account
	Roles    []account.Role
	Orgs     []catalog.Org
}

func loadAccounts(c *call) (any, error) {
	v := accountsView{Roles: account.Roles}
	scopes := c.session.Scopes(account.Administer)
	var err error
	if v.Accounts, err = c.d.o.State.Accounts(c.ctx(), scopes); err == nil {
		v.Orgs, err = c.d.o.State.Orgs(c.ctx(), scopes)
	}
	return v, err
}

// auditView is a page of the audit.
type auditView struct {
	Entries []state.Entry
	Export  string
	Older   string
}

func loadAudit(c *call) (any, error) {
	entries, err := c.audit(pageOfAudit)
	if err != nil {
		return nil, err
	}
	q := c.r.URL.Query()
	q.Del("lang")
	q.Del("before")
	v := auditView{Entries: entries, Export: "/api/audit.csv?" + q.Encode()}
	if len(entries) == pageOfAudit {
		q.Set("before", fmt.Sprint(entries[len(entries)-1].ID))
		v.Older = "/audit?" + q.Encode()
	}
	return v, nil
}
