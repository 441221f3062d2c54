package joined

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/authority"
	"github.com/tributary-cdc/tributary/cmd/hub/desk"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
)

// Letter gives a proposal as a file that a person brings to the hub, signed by the agent's
// key. kept is a file with just what leaves the house by it.
func (m *Member) Letter(p state.Proposal) (b []byte, kept string, err error) {
	if err := p.Check(); err != nil { // or it would be carried in vain
		return nil, "", err
	}
	b, payload, err := m.letter(desk.Told{Proposal: &p})
	if err != nil {
		return nil, "", err
	}
	kept, err = m.keepSent(p.Name, payload)
	return b, kept, err
}

// RenewalLetter asks in the same way for another certificate for the same key.
func (m *Member) RenewalLetter() ([]byte, error) {
	key, err := keyOf(m.dir)
	if err != nil {
		return nil, fmt.Errorf("key of the agent: %w", err)
	}
	asked, err := ask(key)
	if err != nil {
		return nil, err
	}
	b, _, err := m.letter(desk.Told{Key: asked})
	return b, err
}

// ReleaseLetter says in the same way what Released says.
func (m *Member) ReleaseLetter(source, remains string) ([]byte, error) {
	b, _, err := m.letter(desk.Told{Released: &desk.Released{Source: source, Remains: remains}})
	return b, err
}

// letter signs what is told.
func (m *Member) letter(told desk.Told) (b, payload []byte, err error) {
	if m.Left() <= 0 {
		return nil, nil, refusal.New(refusal.Denied, "CERTIFICATE_ENDED", "%s", m.pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	key, err := keyOf(m.dir)
	if err != nil {
		return nil, nil, fmt.Errorf("key of the agent: %w", err)
	}
	told.Agent, told.Made = m.Agent, m.now().UTC()
	if payload, err = json.Marshal(told); err != nil {
		return nil, nil, err
	}
	signature, err := authority.SignLetter(key, payload)
	if err != nil {
		return nil, nil, fmt.Errorf("sign: %w", err)
	}
	b, err = json.Marshal(desk.Letter{Payload: payload, Signature: signature, Certificate: m.Certificate})
	return b, payload, err
}

// Renewed keeps the certificate that a person has brought from the hub, which must be newer than
// the present one.
func (m *Member) Renewed(b []byte) error {
	var answer desk.JoinAnswer
	if err := json.Unmarshal(b, &answer); err != nil {
		return refusal.New(refusal.Invalid, "ANSWER_INVALID", "%.200s", err.Error())
	}
	if answer.Agent != m.Agent {
		return refusal.New(refusal.Invalid, "ANSWER_INVALID", "%.80q", answer.Agent)
	}
	return m.replaced(answer)
}

// replaced keeps a newer certificate for the same key, of the same hub.
func (m *Member) replaced(answer desk.JoinAnswer) error {
	next := &Member{JoinAnswer: answer, URL: m.URL, dir: m.dir, now: m.now}
	if err := next.load(); err != nil {
		return refusal.New(refusal.Invalid, "ANSWER_INVALID", "%.200s", err.Error())
	}
	_, err := next.pair.Leaf.Verify(x509.VerifyOptions{Roots: m.roots, CurrentTime: m.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	switch {
	case !bytes.Equal(next.hub.Raw, m.hub.Raw) || next.Agent != m.Agent:
		return refusal.New(refusal.Denied, "HUB_UNKNOWN", "")
	case err != nil:
		return timely(err, next.pair.Leaf, m.now())
	case next.pair.Leaf.NotAfter.Before(m.pair.Leaf.NotAfter):
		return refusal.New(refusal.Conflict, "CERTIFICATE_OLDER", "%s < %s", next.pair.Leaf.NotAfter.UTC().Format(time.RFC3339), m.pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	if err := next.save(); err != nil {
		return err
	}
	*m = *next
	return nil
}

// Refresh takes up what a command has put in place of the files of an agent that runs.
func (m *Member) Refresh() error {
	now, err := Open(m.dir)
	if err == nil {
		now.now = m.now
		*m = *now
	}
	return err
}

// Assign keeps the assignments that a person has brought from the hub. They count as what the
// hub has signed for this agent, and never after newer ones.
func (m *Member) Assign(b []byte) (*desk.Grants, error) {
	var signed desk.Granted
	if err := json.Unmarshal(b, &signed); err != nil {
		return nil, refusal.New(refusal.Invalid, "ANSWER_INVALID", "%.200s", err.Error())
	}
	g, err := m.verify(&signed)
	if err != nil {
		return nil, err
	}
	if have, err := m.Granted(); err == nil && g.Issued.Before(have.Issued) { // what is damaged is replaced
		return nil, refusal.New(refusal.Conflict, "GRANT_OLDER", "%s < %s", g.Issued.UTC().Format(time.RFC3339), have.Issued.UTC().Format(time.RFC3339))
	}
	kept, err := json.Marshal(signed)
	if err != nil {
		return nil, err
	}
	return g, replace(filepath.Join(m.dir, grantsFile), kept)
}
