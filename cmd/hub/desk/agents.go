package desk

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/authority"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/cmd/internal/language"
)

// invitationCode is what an operator gives to a DBA: a secret, and by which certificate
// the hub is known.
func invitationCode(secret string, hub *x509.Certificate) string {
	return secret + "." + authority.Pin(hub)
}

// SplitInvitation gives the parts of an invitation; false if it is none.
func SplitInvitation(code string) (secret, pin string, ok bool) {
	secret, pin, ok = strings.Cut(strings.ToUpper(strings.TrimSpace(code)), ".")
	return secret, pin, ok && len(secret) == 26 && len(pin) == 26
}

// JoinRequest is how an agent asks to join, over the network or in a file. The key that
// it has made stays with it.
type JoinRequest struct {
	Invitation string    `json:"invitation"`
	Name       string    `json:"name"`
	Key        string    `json:"certificate_request"` // PKCS #10 in PEM
	Clock      time.Time `json:"clock"`
}

// JoinAnswer is what it gets.
type JoinAnswer struct {
	Agent       string    `json:"agent"`
	Org         string    `json:"org"`
	OrgName     string    `json:"org_name"`
	Hub         string    `json:"hub"`         // address for agents
	Authority   string    `json:"authority"`   // certificate in PEM
	Certificate string    `json:"certificate"` // in PEM
	Expires     time.Time `json:"expires"`
}

// Granted is the signed list of an agent's assignments.
type Granted struct {
	// Payload is a Grants in JSON, as it was signed.
	Payload   []byte `json:"payload"`
	Signature []byte `json:"signature"`
}

// Grants are the assignments of an agent at a time.
type Grants struct {
	Agent   string             `json:"agent"`
	Org     string             `json:"org"`
	Issued  time.Time          `json:"issued"`
	Sources []state.Assignment `json:"sources"`
	// Log is who the agent is for the log; nil if the hub has made it no user.
	Log *LogLogin `json:"log,omitempty"`
}

// ClockTolerance is by how much an agent's clock may differ from the hub's: certificates
// and lag figures are wrong with more.
const ClockTolerance = 5 * time.Minute

// ClockHeader carries an agent's clock (RFC 3339).
const ClockHeader = "X-Tributary-Clock"

func (d *Desk) clock(agent time.Time) error {
	hub := d.o.Now()
	if agent.Sub(hub).Abs() > ClockTolerance {
		return refusal.New(refusal.Invalid, "CLOCK_WRONG", "agent %s, hub %s", agent.UTC().Format(time.RFC3339), hub.UTC().Format(time.RFC3339))
	}
	return nil
}

// join makes an agent by its request. In a file its clock has stood still on the way,
// which is no fault of it: only one that is ahead is told.
func (d *Desk) join(ctx context.Context, by state.By, scopes []string, q *JoinRequest) (*JoinAnswer, error) {
	secret, _, ok := SplitInvitation(q.Invitation)
	if !ok {
		return nil, refusal.New(refusal.Unknown, "INVITATION_UNKNOWN", "")
	}
	a, cert, err := d.o.State.Join(ctx, by, scopes, secret, q.Name, func(agent, org string) (authority.Issued, error) {
		if ahead := q.Clock.Sub(d.o.Now()); ahead > ClockTolerance {
			return authority.Issued{}, d.clock(q.Clock)
		}
		return d.o.Authority.Agent([]byte(q.Key), agent, org)
	})
	if err != nil {
		return nil, err
	}
	return &JoinAnswer{Agent: a.ID, Org: a.Org, OrgName: a.OrgName, Hub: d.o.Agents, Authority: string(authority.PEM(d.o.Authority.Certificate().Raw)), Certificate: string(cert.PEM), Expires: cert.Ends}, nil
}

// AgentTLS is how the hub listens for agents: with a certificate of its authority, and
// asking for theirs, which only joining does without.
func (d *Desk) AgentTLS(served *authority.Served) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: served.Get, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: d.o.Authority.Pool(), Time: d.o.Now}
}

// agentRoute is a call of the API for agents.
type agentRoute struct {
	Method, Path string
	// Joined says that only an agent that has joined may call it.
	Joined bool
	do     func(d *Desk, r *http.Request, by state.By, a *state.Agent) (any, error)
}

var agentRoutes = []agentRoute{
	{http.MethodPost, "/agent/join", false, agentJoin},
	{http.MethodPost, "/agent/certificate", true, agentRenew},
	{http.MethodPost, "/agent/requests", true, agentPropose},
	{http.MethodGet, "/agent/requests", true, func(d *Desk, r *http.Request, _ state.By, a *state.Agent) (any, error) {
		return d.o.State.RequestsOf(r.Context(), a.ID)
	}},
	{http.MethodGet, "/agent/assignments", true, agentAssignments},
	{http.MethodPost, "/agent/released", true, agentLetsGo},
}

// stray is whatever else somebody asks for: there is nothing, and who asks is looked at all
// the same.
var stray = agentRoute{Path: "/agent/", Joined: true, do: func(_ *Desk, r *http.Request, _ state.By, _ *state.Agent) (any, error) {
	return nil, refusal.New(refusal.Unknown, "CALL_UNKNOWN", "%s %.80s", r.Method, r.URL.Path)
}}

// maxProposal bounds what an agent sends, in bytes.
const maxProposal = 8 << 20

// AgentHandler answers agents, behind AgentTLS.
func (d *Desk) AgentHandler() http.Handler {
	mux := http.NewServeMux()
	for _, rt := range append(slices.Clone(agentRoutes), stray) {
		mux.HandleFunc(strings.TrimSpace(rt.Method+" "+rt.Path), func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(maxSending)) // a test's recorder has none
			r.Body = http.MaxBytesReader(w, r.Body, maxProposal)
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			c := &call{d: d, w: w, r: r, lang: language.Accepted(r.Header.Get("Accept-Language"), language.Chinese)}
			answer, err := d.agent(r, &rt)
			if err != nil {
				d.fail(c, err)
				return
			}
			d.json(w, http.StatusOK, map[string]any{"data": answer})
		})
	}
	return mux
}

func (d *Desk) agent(r *http.Request, rt *agentRoute) (any, error) {
	var by state.By
	by.Address, _, _ = net.SplitHostPort(r.RemoteAddr) // a listener's always has a port
	var a *state.Agent
	if rt.Joined {
		if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
			return nil, refusal.New(refusal.Login, "CERTIFICATE_UNKNOWN", "")
		}
		var err error
		if a, err = d.o.State.AgentOf(r.Context(), authority.Serial(r.TLS.PeerCertificates[0])); err != nil {
			return nil, err
		}
		by.Name = a.ID
		if err := d.genuine(r, by, a); err != nil {
			return nil, err
		}
	}
	if r.Method == http.MethodPost {
		at, err := time.Parse(time.RFC3339Nano, r.Header.Get(ClockHeader))
		if err != nil {
			return nil, refusal.New(refusal.Invalid, "INPUT_INVALID", ClockHeader)
		}
		if err := d.clock(at); err != nil {
			return nil, err
		}
	}
	return rt.do(d, r, by, a)
}

// body reads what an agent sends. Unknown fields are refused: a newer agent must not
// believe that they count.
func body(r *http.Request, into any) error {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return tooLarge(err)
	}
	return nil
}

func agentJoin(d *Desk, r *http.Request, by state.By, _ *state.Agent) (any, error) {
	var q JoinRequest
	if err := body(r, &q); err != nil {
		return nil, err
	}
	return d.join(r.Context(), by, []string{""}, &q)
}

func agentRenew(d *Desk, r *http.Request, by state.By, a *state.Agent) (any, error) {
	var q struct {
		Key string `json:"certificate_request"`
	}
	if err := body(r, &q); err != nil {
		return nil, err
	}
	return d.renew(r.Context(), by, a, q.Key)
}

// renew gives an agent another certificate.
func (d *Desk) renew(ctx context.Context, by state.By, a *state.Agent, key string) (*JoinAnswer, error) {
	cert, err := d.o.State.Renew(ctx, by, a, func(agent, org string) (authority.Issued, error) {
		return d.o.Authority.Agent([]byte(key), agent, org)
	})
	if err != nil {
		return nil, err
	}
	return &JoinAnswer{Agent: a.ID, Org: a.Org, OrgName: a.OrgName, Hub: d.o.Agents, Authority: string(authority.PEM(d.o.Authority.Certificate().Raw)), Certificate: string(cert.PEM), Expires: cert.Ends}, nil
}

func agentPropose(d *Desk, r *http.Request, by state.By, a *state.Agent) (any, error) {
	var p state.Proposal
	if err := body(r, &p); err != nil {
		return nil, err
	}
	return d.o.State.Propose(r.Context(), by, a, p)
}

func agentAssignments(d *Desk, r *http.Request, by state.By, a *state.Agent) (any, error) {
	sources, err := d.o.State.Assignments(r.Context(), a.ID)
	if err != nil {
		return nil, err
	}
	if a.LogUser != "" && !slices.ContainsFunc(sources, func(s state.Assignment) bool { return s.LetGo == nil }) {
		d.idle(r.Context(), by, a.ID)
	}
	return d.signed(a, sources, r.TLS.PeerCertificates[0].PublicKey)
}

// grants gives the assignments of an agent whose key is known, signed.
func (d *Desk) grants(ctx context.Context, a *state.Agent, key any) (*Granted, error) {
	sources, err := d.o.State.Assignments(ctx, a.ID)
	if err != nil {
		return nil, err
	}
	return d.signed(a, sources, key)
}

func (d *Desk) signed(a *state.Agent, sources []state.Assignment, key any) (*Granted, error) {
	login, err := d.logLogin(a, key)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(Grants{Agent: a.ID, Org: a.Org, Issued: d.o.Now().UTC(), Sources: sources, Log: login})
	if err != nil {
		return nil, err
	}
	signature, err := d.o.Authority.Sign(b)
	if err != nil {
		return nil, errors.Join(errors.New("sign assignments"), err)
	}
	return &Granted{Payload: b, Signature: signature}, nil
}
