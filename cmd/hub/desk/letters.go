package desk

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/cmd/hub/authority"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
)

// Letter is what an agent without connection tells its hub by a file that a person brings.
// It counts as what the agent has signed, whoever brings it.
type Letter struct {
	// Payload is a Told in JSON, as it was signed.
	Payload   []byte `json:"payload"`
	Signature []byte `json:"signature"`
	// Certificate is the agent's, in PEM.
	Certificate string `json:"certificate"`
}

// Told is what stands in a letter: one of a source that the agent proposes, a certificate that it
// wants to have renewed, and a retired source that it has let go of.
type Told struct {
	Agent    string          `json:"agent"`
	Made     time.Time       `json:"made"`
	Proposal *state.Proposal `json:"proposal,omitempty"`
	Key      string          `json:"certificate_request,omitempty"` // PKCS #10 in PEM
	Released *Released       `json:"released,omitempty"`
}

// Released is the last word of an agent on a source that was retired.
type Released struct {
	Source string `json:"source"`
	// Remains is the SQL that takes away what the agent may not.
	Remains string `json:"remains"`
}

const (
	requestsPath = "/api/requests"
	// maxLetter bounds a letter, in bytes: a proposal in base64, and quoted.
	maxLetter = 2 * maxProposal
)

// opened gives what stands in a letter, and the number of the certificate of who has signed it.
func (d *Desk) opened(b []byte) (told *Told, serial string, payload []byte, err error) {
	var l Letter
	if err := json.Unmarshal(b, &l); err != nil {
		return nil, "", nil, refusal.New(refusal.Invalid, "LETTER_INVALID", "%.200s", err.Error())
	}
	block, _ := pem.Decode([]byte(l.Certificate))
	if block == nil {
		return nil, "", nil, refusal.New(refusal.Invalid, "LETTER_INVALID", "certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, "", nil, refusal.New(refusal.Invalid, "LETTER_INVALID", "%.200s", err.Error())
	}
	_, err = cert.Verify(x509.VerifyOptions{Roots: d.o.Authority.Pool(), CurrentTime: d.o.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return nil, "", nil, refusal.New(refusal.Denied, "CERTIFICATE_ENDED", "%s", cert.NotAfter.UTC().Format(time.RFC3339))
	}
	if err != nil || !authority.VerifyLetter(cert, l.Payload, l.Signature) {
		return nil, "", nil, refusal.New(refusal.Denied, "LETTER_FORGED", "")
	}
	told = &Told{}
	dec := json.NewDecoder(bytes.NewReader(l.Payload))
	dec.DisallowUnknownFields() // a newer agent must not believe that they count
	if err := dec.Decode(told); err != nil {
		return nil, "", nil, refusal.New(refusal.Invalid, "LETTER_INVALID", "%.200s", err.Error())
	}
	return told, authority.Serial(cert), l.Payload, nil
}

// letter gives what a file of an agent says and whose it is. Who brings it must look after that agent.
func (c *call) letter(b []byte) (told *Told, a *state.Agent, payload []byte, err error) {
	told, serial, payload, err := c.d.opened(b)
	if err != nil {
		return nil, nil, nil, err
	}
	if a, err = c.d.o.State.Certified(c.ctx(), serial); err != nil {
		return nil, nil, nil, err
	}
	switch {
	case !c.session.May(account.Invite, a.Path): // its existence isn't told
		err = refusal.New(refusal.Unknown, "AGENT_UNKNOWN", "")
	case told.Agent != a.ID:
		err = refusal.New(refusal.Denied, "LETTER_FORGED", "%.80q", told.Agent)
	case told.Made.Sub(c.d.o.Now()) > ClockTolerance: // a file's clock stands still on its way
		err = c.d.clock(told.Made)
	}
	return told, a, payload, err
}

// bring puts the proposal of a letter into the inbox, where it waits like any other, or notes that
// a retired source is let go of.
func bring(c *call) (any, error) {
	told, a, payload, err := c.letter([]byte(first(c.in["letter"])))
	switch {
	case err != nil:
		return nil, err
	case told.Released != nil && told.Proposal == nil && told.Key == "":
		if err := c.d.o.State.LetGo(c.ctx(), c.by, a, told.Released.Source, told.Released.Remains, told.Made.Add(ClockTolerance)); err != nil {
			return nil, err
		}
		c.d.idle(c.ctx(), c.by, a.ID)
		return told.Released, nil
	case told.Key != "":
		return nil, refusal.New(refusal.Invalid, "LETTER_ELSEWHERE", "certificate_request")
	case told.Proposal == nil:
		return nil, refusal.New(refusal.Invalid, "LETTER_INVALID", "proposal")
	}
	return c.d.o.State.ProposeByLetter(c.ctx(), c.by, a, *told.Proposal, payload)
}

// renewByLetter renews the certificate of an agent without connection. Its older one counts to its
// end, so the same letter may come again.
func (c *call) renewByLetter(b []byte) (any, error) {
	told, a, _, err := c.letter(b)
	if err != nil {
		return nil, err
	}
	if told.Key == "" || told.Proposal != nil || told.Released != nil {
		return nil, refusal.New(refusal.Invalid, "LETTER_ELSEWHERE", "")
	}
	return c.d.renew(c.ctx(), c.by, a, told.Key)
}

// carry gives an agent's signed assignments as a file that a person brings to it.
func carry(c *call) (any, error) {
	a, der, err := c.d.o.State.AgentWithKey(c.ctx(), c.scopes, c.r.PathValue("agent"))
	if err != nil {
		return nil, err
	}
	var key any
	if a.LogUser != "" {
		if key, err = x509.ParsePKIXPublicKey(der); err != nil {
			return nil, refusal.New(refusal.Conflict, "AGENT_KEY_UNKNOWN", "%s", a.ID)
		}
	}
	signed, err := c.d.grants(c.ctx(), a, key)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(signed)
	if err != nil {
		return nil, err
	}
	if err := c.d.o.State.Note(c.ctx(), c.by, state.Entry{Action: "assignments.carry", Org: a.Org, Path: a.Path, Object: a.ID}); err != nil {
		return nil, err
	}
	return written(func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Disposition", `attachment; filename="assignments-`+a.ID+`.json"`) // an id has letters, digits, dots, - and _
		_, _ = w.Write(b)                                                                         // the reader may have gone
	}), nil
}
