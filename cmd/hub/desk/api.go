package desk

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/cmd/internal/language"
	"github.com/tributary-cdc/tributary/schema/catalog"
)

const orgsPath = "/api/orgs"

// api are the routes, in the order of the OpenAPI file.
func (d *Desk) api() []route {
	const get, post = http.MethodGet, http.MethodPost
	return []route{
		{Method: get, Path: "/api/session", Who: anybody, do: whoAmI},
		{Method: post, Path: "/api/session", Who: anybody, Fields: []string{"account", "password"}, do: login, page: "/", from: "login"},
		{Method: post, Path: "/api/session/end", Who: person, do: logout, page: "/login"},
		{Method: post, Path: "/api/setup", Who: anybody, Fields: []string{"link", "password", "again"}, do: setup, page: "/login?done=password", from: "setup"},
		{Method: post, Path: "/api/password", Who: person, Fields: []string{"old", "password", "again"}, do: changePassword, page: "/login?done=password", from: "me"},
		{Method: get, Path: "/api/accounts", Who: acting, Act: account.Administer, do: func(c *call) (any, error) { return c.d.o.State.Accounts(c.ctx(), c.scopes) }},
		{Method: post, Path: "/api/accounts", Who: acting, Act: account.Administer, Fields: []string{"account", "title", "grants", "role", "org"}, do: createAccount, from: "accounts"},
		{Method: post, Path: "/api/accounts/{account}/grants", Who: acting, Act: account.Administer, Fields: []string{"grants", "role", "org"}, do: setGrants, page: "/accounts", from: "accounts"},
		{Method: post, Path: "/api/accounts/{account}/enable", Who: acting, Act: account.Administer, do: func(c *call) (any, error) { return c.setActive(true) }, page: "/accounts", from: "accounts"},
		{Method: post, Path: "/api/accounts/{account}/disable", Who: acting, Act: account.Administer, do: func(c *call) (any, error) { return c.setActive(false) }, page: "/accounts", from: "accounts"},
		{Method: post, Path: "/api/accounts/{account}/link", Who: acting, Act: account.Administer, do: relink, from: "accounts"},
		{Method: get, Path: orgsPath, Who: acting, Act: account.See, do: func(c *call) (any, error) { return c.d.o.State.Orgs(c.ctx(), c.scopes) }},
		{Method: post, Path: orgsPath, Who: acting, Act: account.Administer, Fields: []string{"file", "filename"}, do: importOrgs, from: "orgs"},
		{Method: get, Path: "/api/invitations", Who: acting, Act: account.Invite, do: func(c *call) (any, error) { return c.d.o.State.Invitations(c.ctx(), c.scopes) }},
		{Method: post, Path: "/api/invitations", Who: acting, Act: account.Invite, Fields: []string{"org", onceField}, do: invite, from: "invitations"},
		{Method: post, Path: "/api/invitations/{id}/withdraw", Who: acting, Act: account.Invite, do: withdraw, page: "/invitations", from: "invitations"},
		{Method: post, Path: "/api/invitations/answer", Who: acting, Act: account.Invite, Fields: []string{"request", "filename"}, do: answerOffline, from: "invitations"},
		{Method: get, Path: "/api/agents", Who: acting, Act: account.See, do: func(c *call) (any, error) { return c.d.o.State.Agents(c.ctx(), c.scopes) }},
		{Method: get, Path: "/api/agents/{agent}/assignments", Who: acting, Act: account.Invite, do: carry},
		{Method: post, Path: "/api/agents/{agent}/revoke", Who: acting, Act: account.Invite, Fields: []string{"reason"}, do: revoke, page: "/invitations", from: "invitations"},
		{Method: get, Path: requestsPath, Who: acting, Act: account.See, do: func(c *call) (any, error) { return c.d.o.State.Requests(c.ctx(), c.scopes) }},
		{Method: post, Path: requestsPath, Who: acting, Act: account.Invite, Fields: []string{"letter", "filename"}, do: bring, page: "/requests", from: "requests"},
		{Method: get, Path: "/api/requests/{id}", Who: acting, Act: account.See, do: func(c *call) (any, error) { return c.request() }},
		{Method: post, Path: "/api/requests/{id}/approve", Who: acting, Act: account.Decide, Fields: []string{"tables", "reason"}, do: approve, page: "/requests", from: "request"},
		{Method: post, Path: "/api/requests/{id}/refuse", Who: acting, Act: account.Decide, Fields: []string{"reason"}, do: refuse, page: "/requests", from: "request"},
		{Method: get, Path: "/api/sources", Who: acting, Act: account.See, do: func(c *call) (any, error) { return c.d.o.State.Sources(c.ctx(), c.scopes) }},
		{Method: get, Path: "/api/sources/{source}", Who: acting, Act: account.See, do: apiSource},
		{Method: get, Path: "/api/sources/{source}/history", Who: acting, Act: account.See, do: apiSourceHistory},
		{Method: get, Path: "/api/sources/{source}/timeline", Who: acting, Act: account.See, do: apiTimeline},
		{Method: get, Path: "/api/orgs/{org}/history", Who: acting, Act: account.See, do: apiOrgHistory},
		{Method: post, Path: "/api/sources/{source}/pause", Who: acting, Act: account.Decide, Fields: []string{"reason"}, do: setPaused(true), page: "/sources/{source}", from: "source"},
		{Method: post, Path: "/api/sources/{source}/resume", Who: acting, Act: account.Decide, Fields: []string{"reason"}, do: setPaused(false), page: "/sources/{source}", from: "source"},
		{Method: post, Path: "/api/sources/{source}/retire", Who: acting, Act: account.Decide, Fields: []string{"reason"}, do: retire, page: "/sources/{source}", from: "source"},
		{Method: post, Path: "/api/sources/{source}/handover", Who: acting, Act: account.Decide, Fields: []string{"agent", "reason"}, do: handOver, page: "/sources/{source}", from: "source"},
		{Method: get, Path: "/api/alarms", Who: acting, Act: account.See, do: func(c *call) (any, error) { return c.d.o.State.Alarms(c.ctx(), c.scopes) }},
		{Method: get, Path: "/api/alarms/{id}", Who: acting, Act: account.See, do: func(c *call) (any, error) { return c.alarm() }},
		{Method: post, Path: "/api/alarms/{id}/acknowledge", Who: acting, Act: account.Tend, Fields: []string{"note"}, do: acknowledge, page: "/alarms", from: "alarm"},
		{Method: post, Path: "/api/alarms/{id}/silence", Who: acting, Act: account.Tend, Fields: []string{"hours", "reason"}, do: silence, page: "/alarms", from: "alarm"},
		{Method: get, Path: "/api/maintenance", Who: acting, Act: account.See, do: func(c *call) (any, error) { return c.d.o.State.Maintenances(c.ctx(), c.scopes) }},
		{Method: post, Path: "/api/maintenance", Who: acting, Act: account.Tend, Fields: []string{"org", "starts", "ends", "reason"}, do: planMaintenance, page: "/alarms", from: "alarms"},
		{Method: post, Path: "/api/maintenance/{id}/end", Who: acting, Act: account.Tend, do: endMaintenance, page: "/alarms", from: "alarms"},
		{Method: get, Path: "/api/calendar", Who: acting, Act: account.See, do: func(c *call) (any, error) { return c.d.o.State.Holidays(c.ctx(), c.scopes) }},
		{Method: post, Path: "/api/calendar", Who: acting, Act: account.Tend, Fields: []string{"org", "from", "until", "name", "kinds"}, do: addHoliday, page: "/calendar", from: "calendar"},
		{Method: post, Path: "/api/calendar/import", Who: acting, Act: account.Tend, Fields: []string{"org", "file", "filename"}, do: importCalendar, page: "/calendar", from: "calendar"},
		{Method: post, Path: "/api/calendar/{id}/remove", Who: acting, Act: account.Tend, do: removeHoliday, page: "/calendar", from: "calendar"},
		{Method: get, Path: "/api/school-hours", Who: acting, Act: account.See, do: func(c *call) (any, error) { return c.d.o.State.Hours(c.ctx(), c.scopes) }},
		{Method: post, Path: "/api/school-hours", Who: acting, Act: account.Tend, Fields: []string{"org", "opens", "closes", "days"}, do: setHours, page: "/calendar", from: "calendar"},
		{Method: post, Path: "/api/school-hours/{org}/remove", Who: acting, Act: account.Tend, do: removeHours, page: "/calendar", from: "calendar"},
		{Method: get, Path: "/api/report", Who: acting, Act: account.See, do: apiReport},
		{Method: get, Path: "/api/tree", Who: acting, Act: account.See, do: apiTree},
		{Method: get, Path: "/api/complete", Who: acting, Act: account.See, do: apiComplete},
		{Method: get, Path: "/api/datasets", Who: acting, Act: account.See, do: func(c *call) (any, error) { return c.d.o.State.Datasets(c.ctx(), c.scopes) }},
		{Method: get, Path: "/api/audit", Who: acting, Act: account.Audit, do: func(c *call) (any, error) { return c.audit(pageOfAudit) }},
		{Method: get, Path: "/api/audit.csv", Who: acting, Act: account.Audit, do: auditCSV},
		{Method: get, Path: "/api/openapi.yml", Who: person, do: openAPI},
	}
}

// nothing is the answer of what has none.
var nothing = struct{}{}

func whoAmI(c *call) (any, error) {
	answer := struct {
		Account *account.Account `json:"account"`
		Form    string           `json:"form"`
	}{Form: c.formSecret()}
	if c.session != nil {
		answer.Account = &c.session.Account
	}
	return answer, nil
}

func login(c *call) (any, error) {
	c.by.Name = c.text("account")
	secret, err := c.d.o.State.Login(c.ctx(), c.by, first(c.in["password"]))
	if err != nil {
		return nil, err
	}
	c.secret = secret
	c.d.setCookie(c.w, c.d.sessionCookie(), secret, 0)
	return nothing, nil
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func logout(c *call) (any, error) {
	c.d.setCookie(c.w, c.d.sessionCookie(), "", -1)
	return nothing, c.d.o.State.Logout(c.ctx(), c.by, c.secret)
}

// twice gives a password that forms ask for twice.
func (c *call) twice() (string, error) {
	p := first(c.in["password"])
	if again, ok := c.in["again"]; ok && first(again) != p {
		return "", refusal.New(refusal.Invalid, "PASSWORD_DIFFERS", "")
	}
	return p, nil
}

func setup(c *call) (any, error) {
	p, err := c.twice()
	if err != nil {
		return nil, err
	}
	return nothing, c.d.o.State.UseLink(c.ctx(), c.by, c.text("link"), p)
}

func changePassword(c *call) (any, error) {
	p, err := c.twice()
	if err != nil {
		return nil, err
	}
	return nothing, c.d.o.State.ChangePassword(c.ctx(), c.by, first(c.in["old"]), p)
}

// grants reads roles with their orgs, e.g. operator@330106, or approver@* for the whole
// tree. A form gives one role and one org.
func (c *call) grants() ([]account.Grant, error) {
	texts := c.in["grants"]
	if role := c.text("role"); role != "" {
		org := c.text("org")
		if org == "" {
			org = "*"
		}
		texts = append(slices.Clone(texts), role+"@"+org)
	}
	var out []account.Grant
	for _, text := range texts {
		for text := range strings.FieldsSeq(text) {
			role, org, ok := strings.Cut(text, "@")
			if !ok || org == "" {
				return nil, refusal.New(refusal.Invalid, "ACCOUNT_GRANTS", "%.80q", text)
			}
			if org == "*" {
				org = ""
			}
			out = append(out, account.Grant{Role: account.Role(role), Org: org})
		}
	}
	return out, nil
}

// linked is a link that sets a password. It is shown once.
type linked struct {
	Account string    `json:"account"`
	Link    string    `json:"link"`
	Expires time.Time `json:"expires"`
}

func (c *call) link(name, secret string) linked {
	scheme := "http"
	if c.d.o.Secure {
		scheme = "https"
	}
	return linked{name, scheme + "://" + c.r.Host + "/setup?link=" + secret, c.d.o.Now().Add(24 * time.Hour)}
}

func createAccount(c *call) (any, error) {
	grants, err := c.grants()
	if err != nil {
		return nil, err
	}
	a := account.Account{Name: c.text("account"), Title: c.text("title"), Grants: grants}
	secret, err := c.d.o.State.CreateAccount(c.ctx(), c.by, c.scopes, a)
	if err != nil {
		return nil, err
	}
	return c.link(a.Name, secret), nil
}

func setGrants(c *call) (any, error) {
	grants, err := c.grants()
	if err != nil {
		return nil, err
	}
	return nothing, c.d.o.State.SetGrants(c.ctx(), c.by, c.scopes, c.r.PathValue("account"), grants)
}

func (c *call) setActive(active bool) (any, error) {
	return nothing, c.d.o.State.SetActive(c.ctx(), c.by, c.scopes, c.r.PathValue("account"), active)
}

func relink(c *call) (any, error) {
	secret, err := c.d.o.State.Relink(c.ctx(), c.by, c.scopes, c.r.PathValue("account"))
	if err != nil {
		return nil, err
	}
	return c.link(c.r.PathValue("account"), secret), nil
}

// importOrgs is for administrators of the whole tree: a file can move any org.
func importOrgs(c *call) (any, error) {
	if !slices.Contains(c.scopes, "") {
		return nil, refusal.New(refusal.Denied, "NOT_ALLOWED", "%s *", account.Administer)
	}
	yml := slices.Contains([]string{".yml", ".yaml"}, strings.ToLower(path.Ext(c.text("filename"))))
	entries, problems := catalog.ParseFile([]byte(first(c.in["file"])), yml)
	if len(problems) > 0 {
		return nil, &refusal.Refusal{Kind: refusal.Invalid, Code: "ORG_FILE_INVALID", Problems: problems}
	}
	return c.d.o.State.Import(c.ctx(), c.by, entries)
}

func (c *call) request() (*state.Request, error) {
	id, err := c.number("id")
	if err != nil {
		return nil, err
	}
	return c.d.o.State.Request(c.ctx(), c.scopes, id)
}

// approve makes the topics first, and the agent's rights in the log: whatever goes wrong
// later leaves nothing but empty topics of an org that has asked for them.
func approve(c *call) (any, error) {
	id, err := c.number("id")
	if err != nil {
		return nil, err
	}
	r, err := c.d.o.State.May(c.ctx(), c.by, c.scopes, id)
	if err != nil {
		return nil, err
	}
	tables := c.in["tables"]
	if len(tables) == 0 {
		return nil, refusal.New(refusal.Invalid, "REQUEST_TABLES", "0")
	}
	n, err := c.d.o.Topics.Make(c.ctx(), r.Org)
	if err != nil {
		return nil, &refusal.Refusal{Kind: refusal.Later, Code: "TOPICS_NOT_MADE", Detail: c.d.o.Topics.Changes(r.Org), Err: err}
	}
	err = c.d.granted(c.ctx(), r.Agent, r.Org, func(user string) error {
		r, err = c.d.o.State.Decide(c.ctx(), c.by, c.scopes, id, state.Decision{Tables: tables, Reason: c.text("reason"), Partitions: n, LogUser: user}, c.d.o.Topics.Changes)
		return err
	})
	return r, err
}

func refuse(c *call) (any, error) {
	id, err := c.number("id")
	if err != nil {
		return nil, err
	}
	return c.d.o.State.Decide(c.ctx(), c.by, c.scopes, id, state.Decision{Tables: []string{}, Reason: c.text("reason")}, c.d.o.Topics.Changes)
}

// pageOfAudit and allOfAudit bound the entries of one answer.
const (
	pageOfAudit = 100
	allOfAudit  = 100_000
)

// audit searches by the query's text, from, until (days) and before (a number).
func (c *call) audit(most int) ([]state.Entry, error) {
	q := c.r.URL.Query()
	s := state.Search{Text: strings.TrimSpace(q.Get("text")), Most: most}
	for name, at := range map[string]*time.Time{"from": &s.From, "until": &s.Until} {
		if text := q.Get(name); text != "" {
			day, err := time.ParseInLocation(time.DateOnly, text, c.d.o.Shifts.Zone)
			if err != nil {
				return nil, refusal.New(refusal.Invalid, "INPUT_INVALID", "%s %.80q", name, text)
			}
			*at = day
		}
	}
	if !s.Until.IsZero() {
		s.Until = s.Until.AddDate(0, 0, 1) // the day is part of it
	}
	if text := q.Get("before"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, refusal.New(refusal.Invalid, "INPUT_INVALID", "before %.80q", text)
		}
		s.Before = n
	}
	return c.d.o.State.Audit(c.ctx(), c.scopes, s)
}

// auditCSV exports what was searched for. It begins with a byte order mark, without which
// Excel takes UTF-8 for GBK, and no cell can be a formula.
func auditCSV(c *call) (any, error) {
	entries, err := c.audit(allOfAudit)
	if err != nil {
		return nil, err
	}
	if err := c.d.o.State.Note(c.ctx(), c.by, state.Entry{Action: "audit.export", Detail: language.Sprintf("%d {line|lines}", len(entries))}); err != nil {
		return nil, err
	}
	return written(func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		w.Header().Set("Content-Disposition", `attachment; filename="audit.csv"`)
		_, _ = w.Write([]byte("\ufeff")) // the reader may have gone
		out := csv.NewWriter(w)
		_ = out.Write([]string{"id", "at", "actor", "address", "action", "org", "object", "outcome", "detail"}) // Flush ends it
		for _, e := range entries {
			row := []string{strconv.FormatInt(e.ID, 10), e.At.Format(time.RFC3339Nano), e.Actor, e.Address, e.Action, e.Org, e.Object, e.Outcome, e.Detail}
			for i, cell := range row {
				if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
					row[i] = "'" + cell
				}
			}
			_ = out.Write(row) // the reader may have gone
		}
		out.Flush()
	}), nil
}

func openAPI(*call) (any, error) {
	b, err := assets.ReadFile("assets/openapi.yml")
	if err != nil {
		return nil, err
	}
	return written(func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write(b) // the reader may have gone
	}), nil
}

// invited is an invitation with what the DBA types. It is shown once.
type invited struct {
	state.Invitation
	Code    string `json:"invitation"`
	Command string `json:"command"`
}

// onceField tells one order from another: the same one, sent twice, counts once. maxOnce bounds
// it, in bytes.
const (
	onceField = "once"
	maxOnce   = 100
)

func invite(c *call) (any, error) {
	if c.d.o.Agents == "" {
		return nil, refusal.New(refusal.Conflict, "AGENTS_NOT_SERVED", "")
	}
	org, secret := c.text("org"), account.Secret()
	if once := c.text(onceField); len(once) > maxOnce {
		return nil, refusal.New(refusal.Invalid, "INPUT_INVALID", "%s: %d > %d", onceField, len(once), maxOnce)
	} else if once != "" {
		var err error
		if secret, err = c.d.o.Authority.Token(fmt.Sprintf("invitation %q %q %q", c.by.Name, org, once)); err != nil {
			return nil, err
		}
	}
	i, err := c.d.o.State.Invite(c.ctx(), c.by, c.scopes, org, secret)
	if err != nil {
		return nil, err
	}
	code := invitationCode(secret, c.d.o.Authority.Certificate())
	return invited{i, code, "tributary join " + c.d.o.Agents + " " + code}, nil
}

func withdraw(c *call) (any, error) {
	id, err := c.number("id")
	if err != nil {
		return nil, err
	}
	return nothing, c.d.o.State.Withdraw(c.ctx(), c.by, c.scopes, id)
}

// revoke shuts an agent out, and then takes its rights in the log away. If the log doesn't
// answer the agent is shut out nevertheless, and the same again takes them.
func revoke(c *call) (any, error) {
	agent := c.r.PathValue("agent")
	if err := c.d.o.State.Revoke(c.ctx(), c.by, c.scopes, agent, c.text("reason")); err != nil {
		return nil, err
	}
	return nothing, c.d.taken(c.ctx(), c.by, agent, true)
}

// answerOffline joins an agent by a file that a person has brought, or renews the certificate of
// one that has joined.
func answerOffline(c *call) (any, error) {
	var signed struct {
		Payload []byte `json:"payload"`
	}
	if json.Unmarshal([]byte(first(c.in["request"])), &signed) == nil && len(signed.Payload) > 0 {
		return c.renewByLetter([]byte(first(c.in["request"])))
	}
	var q JoinRequest
	if err := json.Unmarshal([]byte(first(c.in["request"])), &q); err != nil {
		return nil, refusal.New(refusal.Invalid, "INPUT_INVALID", "%.200s", err.Error())
	}
	return c.d.join(c.ctx(), c.by, c.scopes, &q)
}
