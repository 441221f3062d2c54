package state

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/cmd/hub/authority"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/schema/personal"
	"github.com/tributary-cdc/tributary/test/servers"
)

func testInvitations(t *testing.T, db servers.DB) {
	r := settled(t, db)
	op := By{Name: "op"}
	invite := func() (Invitation, string) {
		t.Helper()
		secret := account.Secret()
		i, err := r.Invite(t.Context(), op, whole, "330106", secret)
		ok(t, err)
		return i, secret
	}
	join := func(secret string) error {
		_, _, err := r.Join(t.Context(), By{}, whole, secret, "host", r.issue)
		return err
	}
	again := func(secret string) (Invitation, error) { return r.Invite(t.Context(), op, whole, "330106", secret) }
	_, err := r.Invite(t.Context(), op, []string{"33/3302/"}, "330106", account.Secret())
	refused(t, err, "ORG_UNKNOWN")
	refused(t, join("nonsense"), "INVITATION_UNKNOWN")
	first, secret := invite()
	r.pass(time.Minute)
	var twice sync.WaitGroup
	for range 4 { // at once
		twice.Go(func() {
			if i, err := again(secret); err != nil || i.ID != first.ID || !i.Expires.Equal(first.Expires) {
				t.Errorf("the same again: %+v, %v", i, err)
			}
		})
	}
	twice.Wait()
	_, err = r.Invite(t.Context(), op, []string{"33/3302/"}, "330203", secret)
	refused(t, err, "INVITATION_UNKNOWN")
	_, _, err = r.Join(t.Context(), By{}, whole, secret, "a\nb", r.issue)
	refused(t, err, "AGENT_NAME")
	_, _, err = r.Join(t.Context(), By{}, whole, secret, "host", func(string, string) (authority.Issued, error) { return authority.Issued{}, errors.New("no key") })
	if err == nil {
		t.Error("a certificate that can't be made")
	}
	ok(t, join(secret)) // nothing was half done
	refused(t, join(secret), "INVITATION_USED")
	_, err = again(secret)
	refused(t, err, "INVITATION_USED")
	i, secret := invite()
	refused(t, r.Withdraw(t.Context(), op, []string{"33/3302/"}, i.ID), "INVITATION_UNKNOWN")
	ok(t, r.Withdraw(t.Context(), op, whole, i.ID))
	ok(t, r.Withdraw(t.Context(), op, whole, i.ID))
	refused(t, join(secret), "INVITATION_WITHDRAWN")
	_, err = again(secret)
	refused(t, err, "INVITATION_WITHDRAWN")
	_, secret = invite()
	r.pass(24*time.Hour + time.Second)
	refused(t, join(secret), "INVITATION_EXPIRED")
	i, secret = invite()
	var joined, used sync.Map
	var all sync.WaitGroup
	for n := range 4 { // at once
		all.Go(func() {
			if err := join(secret); err == nil {
				joined.Store(n, true)
			} else {
				refused(t, err, "INVITATION_USED")
				used.Store(n, true)
			}
		})
	}
	all.Wait()
	count := 0
	joined.Range(func(_, _ any) bool { count++; return true })
	if count != 1 {
		t.Errorf("%d agents by one invitation", count)
	}
	refused(t, r.Withdraw(t.Context(), op, whole, i.ID), "INVITATION_USED")
	seen, err := r.Invitations(t.Context(), whole)
	if err != nil || len(seen) != 4 || seen[0].Agent == "" || seen[0].Open(r.clock()) {
		t.Errorf("%+v, %v", seen, err)
	}
}

func testAgents(t *testing.T, db servers.DB) {
	r := settled(t, db)
	a := r.agent("330106")
	cert, err := r.Renew(t.Context(), By{Name: a.ID}, a, r.issue)
	ok(t, err)
	got, err := r.AgentOf(t.Context(), cert.Serial)
	if err != nil || got.ID != a.ID || got.Org != "330106" {
		t.Fatalf("%+v, %v", got, err)
	}
	_, err = r.AgentOf(t.Context(), "none")
	refused(t, err, "CERTIFICATE_UNKNOWN")
	refused(t, r.Revoke(t.Context(), By{Name: "op"}, []string{"33/3302/"}, a.ID, "stolen"), "AGENT_UNKNOWN")
	refused(t, r.Revoke(t.Context(), By{Name: "op"}, whole, a.ID, ""), "REASON_MISSING")
	request, err := r.propose(a, "xueji", catalog.Authoritative, "student")
	ok(t, err)
	ok(t, r.Revoke(t.Context(), By{Name: "op"}, whole, a.ID, "stolen"))
	_, err = r.AgentOf(t.Context(), cert.Serial)
	refused(t, err, "CERTIFICATE_REVOKED")
	_, err = r.decide("ap", request.ID, "", "student")
	refused(t, err, "CERTIFICATE_REVOKED")
	seen, err := r.Agents(t.Context(), whole)
	if err != nil || len(seen) != 1 || seen[0].Revoked == nil || seen[0].Reason != "stolen" {
		t.Errorf("%+v, %v", seen, err)
	}
}

func testRequests(t *testing.T, db servers.DB) {
	r := settled(t, db)
	a := r.agent("330108")
	for detail, p := range map[string]Proposal{
		"name":     {Name: "x/y", Engine: "mysql", Standing: catalog.Check},
		"engine":   {Name: "x", Engine: "oracle", Standing: catalog.Check},
		"standing": {Name: "x", Engine: "mysql", Standing: "main"},
		"tables":   {Name: "x", Engine: "mysql", Standing: catalog.Check},
		"table":    {Name: "x", Engine: "mysql", Standing: catalog.Check, Tables: []ProposedTable{{Table: "x", Dataset: "x"}}},
		"finding":  {Name: "x", Engine: "mysql", Standing: catalog.Check, Tables: []ProposedTable{{Table: "a.x", Dataset: "x"}}, Findings: []ProposedFinding{{Severity: "fatal"}}},
		"looked":   {Name: "x", Engine: "mysql", Standing: catalog.Check, Tables: []ProposedTable{{Table: "a.x", Dataset: "x"}}, Looked: "values"},
		"column":   {Name: "x", Engine: "mysql", Standing: catalog.Check, Tables: []ProposedTable{{Table: "a.x", Dataset: "x", Personal: []personal.Hint{{Column: "xm", Kind: "shoe size", Reasons: []personal.Reason{personal.ByName}}}}}},
		"columns":  {Name: "x", Engine: "mysql", Standing: catalog.Check, Tables: []ProposedTable{{Table: "a.x", Dataset: "x", Personal: make([]personal.Hint, maxHints+1)}}},
	} {
		_, err := r.Propose(t.Context(), By{}, a, p)
		if refused(t, err, "REQUEST_INVALID"); !strings.Contains(fmt.Sprint(err), detail) {
			t.Errorf("%s: %v", detail, err)
		}
	}
	_, err := r.Propose(t.Context(), By{}, a, Proposal{Name: "x", Engine: "mysql", Standing: catalog.Check, Tables: []ProposedTable{{Table: "a.x", Dataset: "a/b"}}})
	refused(t, err, "DATASET_NAME")
	request, err := r.propose(a, "xueji", catalog.Authoritative, "student", "<script>😀", "score")
	ok(t, err)
	_, err = r.propose(a, "xueji", catalog.Authoritative, "student")
	refused(t, err, "REQUEST_PENDING")
	other := r.agent("330108")
	_, err = r.decide("op", request.ID, "", "student")
	refused(t, err, "REQUEST_OWN")
	_, err = r.decide("ap", request.ID, "", "student")
	refused(t, err, "REASON_MISSING")
	_, err = r.decide("ap", request.ID, "")
	refused(t, err, "REASON_MISSING")
	_, err = r.decide("ap", request.ID, "", "teacher")
	refused(t, err, "REQUEST_TABLES")
	_, err = r.decide("ap", 999, "", "student")
	refused(t, err, "REQUEST_UNKNOWN")
	_, err = r.Request(t.Context(), []string{"33/3302/"}, request.ID)
	refused(t, err, "REQUEST_UNKNOWN")
	done, err := r.decide("ap", request.ID, "成绩不归集", "student")
	if err != nil || done.State != Partly {
		t.Fatalf("%+v, %v", done, err)
	}
	_, err = r.decide("ap2", request.ID, "", "student")
	if refused(t, err, "REQUEST_DECIDED"); !strings.Contains(fmt.Sprint(err), "ap,") {
		t.Error(err)
	}
	given, err := r.Assignments(t.Context(), a.ID)
	if err != nil || len(given) != 1 || given[0].Topic != "tributary.330108.changes" || len(given[0].Tables) != 1 || given[0].Tables["xueji.student"] != "student" || given[0].Version != 1 {
		t.Fatalf("%+v, %v", given, err)
	}
	_, err = r.propose(other, "xueji", catalog.Authoritative, "teacher")
	if refused(t, err, "SOURCE_REGISTERED"); !strings.Contains(fmt.Sprint(err), a.ID) {
		t.Error(err)
	}
	request, err = r.propose(a, "xueji", catalog.Authoritative, "student", "teacher")
	ok(t, err)
	_, err = r.decide("ap2", request.ID, "", "student", "teacher")
	ok(t, err)
	if given, err = r.Assignments(t.Context(), a.ID); err != nil || len(given) != 1 || given[0].Version != 2 || len(given[0].Tables) != 2 {
		t.Errorf("%+v, %v", given, err)
	}
	request, err = r.propose(other, "renshi", catalog.Authoritative, "staff")
	ok(t, err)
	if turned, err := r.decide("ap", request.ID, "不需要"); err != nil || turned.State != Turned {
		t.Errorf("%+v, %v", turned, err)
	}
	if none, err := r.Assignments(t.Context(), other.ID); err != nil || len(none) != 0 {
		t.Errorf("%+v, %v", none, err)
	}
}

// TestHints: what a hint of personal data may be.
func TestHints(t *testing.T) {
	good := personal.Hint{Column: "xm'\"<script>😀", Kind: personal.Name, Reasons: []personal.Reason{personal.ByName, personal.ByForm}, Share: 0.5}
	if !fits(good) {
		t.Errorf("%+v", good)
	}
	for name, spoil := range map[string]func(*personal.Hint){
		"no column": func(h *personal.Hint) { h.Column = "" }, "long column": func(h *personal.Hint) { h.Column = strings.Repeat("x", maxColumn+1) }, "control": func(h *personal.Hint) { h.Column = "a\nb" },
		"kind": func(h *personal.Hint) { h.Kind = "" }, "no reason": func(h *personal.Hint) { h.Reasons = nil }, "reason": func(h *personal.Hint) { h.Reasons = []personal.Reason{"13800138000"} },
		"share": func(h *personal.Hint) { h.Share = 1.01 }, "below": func(h *personal.Hint) { h.Share = -0.01 }, "reasons": func(h *personal.Hint) { h.Reasons = make([]personal.Reason, 4) },
	} {
		h := good
		spoil(&h)
		if fits(h) {
			t.Errorf("%s: %+v fits", name, h)
		}
	}
}

// testManyRequests: a list of requests is short whatever they hold, and an agent can't
// fill the inbox.
func testManyRequests(t *testing.T, db servers.DB) {
	r := settled(t, db)
	a := r.agent("330106")
	tables := make([]string, MaxTables)
	for i := range tables {
		tables[i] = fmt.Sprintf("t%d_%s", i, strings.Repeat("x", 40))
	}
	big, err := r.propose(a, "big", catalog.Check, tables...)
	ok(t, err)
	_, err = r.propose(a, "more", catalog.Check, append(tables, "one")...)
	refused(t, err, "REQUEST_INVALID")
	for i := 1; i < maxPending; i++ {
		_, err := r.propose(a, fmt.Sprint("s", i), catalog.Check, "student")
		ok(t, err)
	}
	_, err = r.propose(a, "last", catalog.Check, "student")
	refused(t, err, "REQUEST_PENDING")
	for _, list := range []func() ([]Request, error){func() ([]Request, error) { return r.Requests(t.Context(), whole) }, func() ([]Request, error) { return r.RequestsOf(t.Context(), a.ID) }} {
		all, err := list()
		if err != nil || len(all) != maxPending || all[maxPending-1].Tables != MaxTables || len(all[maxPending-1].Content.Tables) != 0 || all[0].Content.Engine != "mysql" {
			t.Errorf("%d, %v", len(all), err)
		}
	}
	if one, err := r.Request(t.Context(), whole, big.ID); err != nil || len(one.Content.Tables) != MaxTables || one.Tables != MaxTables {
		t.Errorf("%+v, %v", one.Tables, err)
	}
}

// testTwoAtOnce: of many approvers one decides, and the others are told who.
func testTwoAtOnce(t *testing.T, db servers.DB) {
	r := settled(t, db)
	request, err := r.propose(r.agent("330106"), "xueji", catalog.Authoritative, "student")
	ok(t, err)
	var mu sync.Mutex
	var all sync.WaitGroup
	decided := 0
	for i := range 6 {
		all.Go(func() {
			_, err := r.decide([]string{"ap", "ap2"}[i%2], request.ID, "", "student")
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				decided++
				return
			}
			refused(t, err, "REQUEST_DECIDED")
		})
	}
	all.Wait()
	if decided != 1 {
		t.Errorf("decided %d times", decided)
	}
}

// testOneSource: whoever is second for a dataset and a part of the tree is told who is
// first, even if both are approved at once; sources to compare may be any number.
func testOneSource(t *testing.T, db servers.DB) {
	r := settled(t, db)
	a := r.agent("330106")
	var ids []int64
	for i := range 4 {
		request, err := r.propose(a, fmt.Sprint("s", i), catalog.Authoritative, "student", "score")
		ok(t, err)
		ids = append(ids, request.ID)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	var won []int64
	for i, id := range ids {
		all.Go(func() {
			tables := []string{"student", "score"}
			if i%2 == 1 {
				tables = []string{"score", "student"}
			}
			_, err := r.decide("ap", id, "", tables...)
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				won = append(won, id)
				return
			}
			refused(t, err, "DATASET_TAKEN")
		})
	}
	all.Wait()
	if len(won) != 1 {
		t.Fatalf("%d authoritative sources of one dataset", len(won))
	}
	first, err := r.Request(t.Context(), whole, won[0])
	ok(t, err)
	_, err = r.propose(a, "late", catalog.Authoritative, "student")
	var no *refusal.Refusal
	if refused(t, err, "DATASET_TAKEN"); errors.As(err, &no) && !strings.Contains(no.Detail, first.Source) {
		t.Errorf("the refusal doesn't name %s: %v", first.Source, err)
	}
	compare, err := r.propose(a, "compare", catalog.Check, "student")
	ok(t, err)
	_, err = r.decide("ap", compare.ID, "", "student")
	ok(t, err)
	neighbour, err := r.propose(r.agent("330108"), "xueji", catalog.Authoritative, "student")
	ok(t, err)
	_, err = r.decide("ap", neighbour.ID, "", "student")
	ok(t, err)
	rivals, err := r.Rivals(t.Context(), &Request{Source: "330106-new", Content: Proposal{Tables: []ProposedTable{{Dataset: "student"}}}})
	if err != nil || len(rivals["student"]) != 2 {
		t.Errorf("%+v, %v", rivals, err)
	}
	_, err = r.Import(t.Context(), root, entries(t, "code,parent,name,kind\n330108,3301,滨江,district\n"))
	ok(t, err)
	seen, err := r.Datasets(t.Context(), whole)
	if err != nil || len(seen) != 4 {
		t.Errorf("%+v, %v", seen, err)
	}
}

// testPartitions: sources of an org spread over its partitions, and keep theirs.
func testPartitions(t *testing.T, db servers.DB) {
	r := settled(t, db)
	a := r.agent("330106")
	for i, want := range []int32{0, 1, 0} {
		name := fmt.Sprint("s", i)
		for version := range 2 {
			request, err := r.propose(a, name, catalog.Check, "student")
			ok(t, err)
			_, err = r.decide("ap", request.ID, "", "student")
			ok(t, err)
			given, err := r.Assignments(t.Context(), a.ID)
			if err != nil || given[i].Partition != want || given[i].Version != version+1 {
				t.Fatalf("%+v, %v", given, err)
			}
		}
	}
	sources, err := r.Sources(t.Context(), whole)
	if err != nil || len(sources) != 3 {
		t.Errorf("%+v, %v", sources, err)
	}
}
