package state

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/cmd/hub/authority"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/test/servers"
)

// rig is a hub's state in a database of its own, with a clock that a test sets.
type rig struct {
	*State
	t      *testing.T
	config *pgx.ConnConfig

	mu  sync.Mutex
	now time.Time
}

var databases int

func newRig(t *testing.T, db servers.DB) *rig {
	t.Helper()
	databases++
	name := fmt.Sprintf("hub%d", databases)
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
	r := &rig{t: t, config: config, now: time.Now().Truncate(time.Millisecond)}
	r.State = r.open()
	return r
}

func (r *rig) open() *State {
	r.t.Helper()
	s, err := Open(r.t.Context(), Options{Config: r.config, Now: r.clock})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(s.Close)
	return s
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

const tree = `code,parent,name,kind
33,,浙江省,province
3301,33,杭州市,city
330106,3301,西湖区,district
330108,3301,"滨江'""<script>😀",district
3302,33,宁波市,city
330203,3302,海曙区,district
`

var (
	root  = By{Name: "root", Address: "127.0.0.1"}
	whole = []string{""}
)

// settled is a rig with the tree, an operator and two approvers of it.
func settled(t *testing.T, db servers.DB) *rig {
	t.Helper()
	r := newRig(t, db)
	if _, err := r.Import(t.Context(), root, entries(t, tree)); err != nil {
		t.Fatal(err)
	}
	for name, role := range map[string]account.Role{"op": account.Operator, "ap": account.Approver, "ap2": account.Approver} {
		r.person(name, account.Grant{Role: role, Org: "33"})
	}
	return r
}

func entries(t *testing.T, text string) []catalog.Entry {
	t.Helper()
	found, problems := catalog.ParseFile([]byte(text), false)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return found
}

// person makes an account and gives its link.
func (r *rig) person(name string, grants ...account.Grant) string {
	r.t.Helper()
	link, err := r.CreateAccount(r.t.Context(), root, whole, account.Account{Name: name, Title: name + " <b>'😀", Grants: grants})
	if err != nil {
		r.t.Fatal(err)
	}
	return link
}

// issue makes certificates that only have numbers.
func (r *rig) issue(agent, _ string) (authority.Issued, error) {
	return authority.Issued{Serial: agent + "/" + account.Secret(), Begins: r.clock(), Ends: r.clock().Add(90 * 24 * time.Hour)}, nil
}

// agent joins one of an org.
func (r *rig) agent(org string) *Agent {
	r.t.Helper()
	secret := account.Secret()
	if _, err := r.Invite(r.t.Context(), By{Name: "op"}, whole, org, secret); err != nil {
		r.t.Fatal(err)
	}
	a, _, err := r.Join(r.t.Context(), By{}, whole, secret, "host 😀 '\"<script>", r.issue)
	if err != nil {
		r.t.Fatal(err)
	}
	return &a
}

// propose asks for a source with tables that go into datasets of their names.
func (r *rig) propose(a *Agent, name string, standing catalog.Standing, tables ...string) (Request, error) {
	p := Proposal{Name: name, Engine: "mysql", Server: "MariaDB 10.11", Standing: standing}
	for _, t := range tables {
		p.Tables = append(p.Tables, ProposedTable{Table: "xueji." + t, Dataset: t, Rows: 1})
	}
	return r.Propose(r.t.Context(), By{Name: a.ID}, a, p)
}

func (r *rig) decide(by string, id int64, reason string, tables ...string) (*Request, error) {
	for i := range tables {
		tables[i] = "xueji." + tables[i]
	}
	return r.Decide(r.t.Context(), By{Name: by}, whole, id, Decision{Tables: tables, Reason: reason, Partitions: 2}, func(org string) string { return "tributary." + org + ".changes" })
}

// refused fails unless err is the refusal of a code.
func refused(t *testing.T, err error, code string) {
	t.Helper()
	if r, ok := errors.AsType[*refusal.Refusal](err); !ok || r.Code != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestState runs everything on one server.
func TestState(t *testing.T) {
	db := servers.Postgres(t, nil)
	for name, f := range map[string]func(*testing.T, servers.DB){
		"migrations": testMigrations, "orgs": testOrgs, "audit": testAudit, "links": testLinks, "logins": testLogins, "sessions": testSessions,
		"grants": testGrants, "invitations": testInvitations, "agents": testAgents, "requests": testRequests, "alarms": testAlarms, "leases": testLeases, "history": testHistory, "events": testEvents, "versions": testVersions, "report": testReport, "calendar": testCalendar, "hours": testHours, "many requests": testManyRequests, "two at once": testTwoAtOnce, "one source": testOneSource, "partitions": testPartitions,
	} {
		t.Run(name, func(t *testing.T) { f(t, db) })
	}
}

func exec(t *testing.T, r *rig, sql string, args ...any) error {
	t.Helper()
	_, err := r.pool.Exec(context.WithoutCancel(t.Context()), sql, args...)
	return err
}

func testMigrations(t *testing.T, db servers.DB) {
	r := newRig(t, db)
	var all sync.WaitGroup
	for range 4 { // hubs that start together
		all.Go(func() {
			s, err := Open(t.Context(), Options{Config: r.config})
			if err != nil {
				t.Error(err)
				return
			}
			s.Close()
		})
	}
	all.Wait()
	little(t, db)
	ok(t, exec(t, r, `INSERT INTO tributary.hub_migration (version) VALUES (99)`))
	_, err := Open(t.Context(), Options{Config: r.config})
	refused(t, err, "HUB_STATE_NEWER")
	if _, err := Open(t.Context(), Options{}); err == nil {
		t.Error("options without a database are taken")
	}
}

// little: a role that may use the worker's schema and make tables there is enough, and one
// that may not is told.
func little(t *testing.T, db servers.DB) {
	t.Helper()
	r := newRig(t, db)
	ok(t, exec(t, r, `DROP SCHEMA tributary CASCADE; CREATE SCHEMA tributary; CREATE ROLE hub_of_little LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA tributary TO hub_of_little`))
	o := Options{Config: r.config.Copy()}
	o.Config.User, o.Config.Password = "hub_of_little", "x"
	_, err := Open(t.Context(), o)
	refused(t, err, "HUB_STATE_ACCESS")
	ok(t, exec(t, r, `GRANT CREATE ON SCHEMA tributary TO hub_of_little`))
	s, err := Open(t.Context(), o)
	ok(t, err)
	if link, err := s.FirstLink(t.Context()); err != nil || link == "" {
		t.Error(err)
	}
	s.Close()
	o.Config.Password = "y"
	_, err = Open(t.Context(), o)
	refused(t, err, "HUB_STATE_ACCESS")
}

func testOrgs(t *testing.T, db servers.DB) {
	r := settled(t, db)
	done, err := r.Import(t.Context(), root, entries(t, tree))
	if err != nil || done.Added != 0 || done.Changed != 0 || done.Same != 6 {
		t.Errorf("the same file again: %+v, %v", done, err)
	}
	_, err = r.Import(t.Context(), root, entries(t, "code,parent,name,kind\n3303,33,温州市,city\n3301,3301,杭州市,city\n"))
	refused(t, err, "ORG_FILE_INVALID")
	orgs, err := r.Orgs(t.Context(), []string{"33/3301/"})
	if err != nil || len(orgs) != 3 || orgs[2].Name != `滨江'"<script>😀` {
		t.Errorf("%+v, %v", orgs, err)
	}
	if all, err := r.Orgs(t.Context(), whole); err != nil || len(all) != 6 {
		t.Errorf("a refused file changed the tree: %+v, %v", all, err)
	}
	done, err = r.Import(t.Context(), root, entries(t, "code,parent,name,kind\n,3301,钱塘新区,zone\n330106,3302,西湖区,district\n"))
	if err != nil || done.Added != 1 || done.Changed != 1 || len(done.Made) != 1 || !strings.HasPrefix(done.Made[0].Code, "3301-z") {
		t.Errorf("%+v, %v", done, err)
	}
	if none, err := r.Orgs(t.Context(), nil); err != nil || len(none) != 0 {
		t.Errorf("without a scope: %v, %v", none, err)
	}
}

func testAudit(t *testing.T, db servers.DB) {
	r := settled(t, db)
	for _, sql := range []string{`DELETE FROM tributary.hub_audit`, `UPDATE tributary.hub_audit SET actor = 'nobody'`, `TRUNCATE tributary.hub_audit`} {
		if err := exec(t, r, sql); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	r.agent("330106")
	r.agent("330203")
	all, err := r.Audit(t.Context(), whole, Search{})
	ok(t, err)
	if len(all) < 8 || all[0].Action != "agent.join" || all[len(all)-1].Action != "org.import" {
		t.Errorf("%+v", all)
	}
	city, err := r.Audit(t.Context(), []string{"33/3301/"}, Search{Text: "JOIN"})
	if err != nil || len(city) != 1 || city[0].Org != "330106" {
		t.Errorf("%+v, %v", city, err)
	}
	if none, err := r.Audit(t.Context(), whole, Search{From: time.Now().Add(time.Hour)}); err != nil || len(none) != 0 {
		t.Errorf("%v, %v", none, err)
	}
	older, err := r.Audit(t.Context(), whole, Search{Before: all[0].ID, Most: 1, Until: time.Now().Add(time.Hour)})
	if err != nil || len(older) != 1 || older[0].ID != all[1].ID {
		t.Errorf("%v, %v", older, err)
	}
}
