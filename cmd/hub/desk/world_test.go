package desk

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/cmd/hub/alarm"
	"github.com/tributary-cdc/tributary/cmd/hub/authority"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/test/servers"
)

// world makes what attempts are about.
type world struct {
	*rig
	n   int
	key *ecdsa.PrivateKey
}

// sponsor is an operator who takes part in nothing else, decider an approver.
const (
	sponsor = "sponsor"
	decider = "decider"
)

func newWorld(t *testing.T, db servers.DB) *world {
	t.Helper()
	w := &world{rig: newRig(t, db)}
	var err error
	if w.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	w.rig.person(sponsor, account.Grant{Role: account.Operator})
	w.rig.person(decider, account.Grant{Role: account.Approver})
	return w
}

func (w *world) account(org string) string {
	w.t.Helper()
	w.n++
	name := fmt.Sprint("person", w.n)
	_, err := w.state.CreateAccount(w.t.Context(), state.By{Name: "root"}, []string{""}, account.Account{Name: name, Title: name, Grants: []account.Grant{{Role: account.Viewer, Org: org}}})
	if err != nil {
		w.t.Fatal(err)
	}
	return name
}

func (w *world) invite(org string) (state.Invitation, string) {
	w.t.Helper()
	secret := account.Secret()
	i, err := w.state.Invite(w.t.Context(), state.By{Name: sponsor}, []string{""}, org, secret)
	if err != nil {
		w.t.Fatal(err)
	}
	return i, invitationCode(secret, w.auth.Certificate())
}

// request asks for a certificate of the world's key.
func (w *world) request() string {
	w.t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, w.key)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// join makes an agent with its certificate.
func (w *world) join(org string) (*state.Agent, *tls.Certificate) {
	w.t.Helper()
	_, code := w.invite(org)
	secret, _, _ := SplitInvitation(code)
	var issued authority.Issued
	a, _, err := w.state.Join(w.t.Context(), state.By{}, []string{""}, secret, "host", func(agent, org string) (_ authority.Issued, err error) {
		issued, err = w.auth.Agent([]byte(w.request()), agent, org)
		return issued, err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	block, _ := pem.Decode(issued.PEM)
	return &a, &tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: w.key}
}

// letter gives what an agent has signed with the world's key.
func (w *world) letter(cert *tls.Certificate, told any) string {
	w.t.Helper()
	payload, err := json.Marshal(told)
	if err != nil {
		w.t.Fatal(err)
	}
	signature, err := authority.SignLetter(w.key, payload)
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := json.Marshal(Letter{Payload: payload, Signature: signature, Certificate: string(authority.PEM(cert.Certificate[0]))})
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

func (w *world) agent(org string) *state.Agent {
	a, _ := w.join(org)
	return a
}

// propose gives the id of a request that waits.
func (w *world) proposal(org string) int64 {
	w.t.Helper()
	w.n++
	a := w.agent(org)
	r, err := w.state.Propose(w.t.Context(), state.By{Name: a.ID}, a, state.Proposal{Name: fmt.Sprint("s", w.n), Engine: "mysql", Standing: catalog.Check, Tables: []state.ProposedTable{{Table: "a.b", Dataset: "b"}}})
	if err != nil {
		w.t.Fatal(err)
	}
	return r.ID
}

// registered gives a source that is approved, and its agent's certificate.
func (w *world) registered(org string) (string, *tls.Certificate) {
	w.t.Helper()
	w.n++
	a, cert := w.join(org)
	r, err := w.state.Propose(w.t.Context(), state.By{Name: a.ID}, a, state.Proposal{Name: fmt.Sprint("s", w.n), Engine: "mysql", Standing: catalog.Check, Tables: []state.ProposedTable{{Table: "a.b", Dataset: "b"}}})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.state.Decide(w.t.Context(), state.By{Name: decider}, []string{""}, r.ID, state.Decision{Tables: []string{"a.b"}}, w.topics.Changes); err != nil {
		w.t.Fatal(err)
	}
	return r.Source, cert
}

// alarm gives the id of an open alarm of an org.
func (w *world) alarm(org string) int64 {
	w.t.Helper()
	w.n++
	object := fmt.Sprintf("source %s-s%d", org, w.n)
	a := alarm.Alarm{Kind: alarm.Gap, Object: object, Org: org, Path: w.look().Org([]string{""}, org).Path, Detail: "gap of " + org}
	if err := w.state.KeepAlarms(w.t.Context(), []alarm.Alarm{a}); err != nil {
		w.t.Fatal(err)
	}
	all, err := w.state.Alarms(w.t.Context(), []string{""})
	if err != nil {
		w.t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(a state.Alarm) bool { return a.Object == object })
	return all[i].ID
}

// maintenance gives the id of a window of an org.
func (w *world) maintenance(org string) int64 {
	w.t.Helper()
	m, _, err := w.state.PlanMaintenance(w.t.Context(), state.By{Name: "root"}, []string{""}, state.Maintenance{Org: org, Starts: w.clock(), Ends: w.clock().Add(time.Hour), Reason: "割接"})
	if err != nil {
		w.t.Fatal(err)
	}
	return m.ID
}

// holiday gives the id of days without school of an org.
func (w *world) holiday(org string) int64 {
	w.t.Helper()
	w.n++
	h := alarm.Holiday{From: w.clock().Format(time.DateOnly), Until: w.clock().AddDate(0, 0, 3).Format(time.DateOnly), Name: fmt.Sprint("假期", w.n), Org: org, Kinds: alarm.HolidayKinds}
	if _, err := w.state.AddHolidays(w.t.Context(), state.By{Name: "root"}, []string{""}, []alarm.Holiday{h}); err != nil {
		w.t.Fatal(err)
	}
	all, err := w.state.Holidays(w.t.Context(), []string{""})
	if err != nil {
		w.t.Fatal(err)
	}
	return all[slices.IndexFunc(all, func(x state.Holiday) bool { return x.Name == h.Name })].ID
}

// hours notes an org's school hours.
func (w *world) hours(org string) {
	w.t.Helper()
	h, err := alarm.NewHours(org, "07:00", "18:00", "")
	if err == nil {
		err = w.state.SetHours(w.t.Context(), state.By{Name: "root"}, []string{""}, h)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// print is what a refused call may not change.
func (w *world) print(db servers.DB) string {
	w.t.Helper()
	var all []string
	for _, f := range []func() (any, error){
		func() (any, error) { return w.state.Accounts(w.t.Context(), []string{""}) },
		func() (any, error) { return w.state.Orgs(w.t.Context(), []string{""}) },
		func() (any, error) { return w.state.Invitations(w.t.Context(), []string{""}) },
		func() (any, error) { return w.state.Agents(w.t.Context(), []string{""}) },
		func() (any, error) { return w.state.Requests(w.t.Context(), []string{""}) },
		func() (any, error) { return w.state.Alarms(w.t.Context(), []string{""}) },
		func() (any, error) { return w.state.Maintenances(w.t.Context(), []string{""}) },
		func() (any, error) { return w.state.Holidays(w.t.Context(), []string{""}) },
		func() (any, error) { return w.state.Sources(w.t.Context(), []string{""}) },
	} {
		v, err := f()
		if err != nil {
			w.t.Fatal(err)
		}
		b, err := json.Marshal(v)
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, string(b))
	}
	return strings.Join(all, "\n")
}
