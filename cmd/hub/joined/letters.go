package joined

import (
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
	if m.Left() <= 0 {
		return nil, "", refusal.New(refusal.Denied, "CERTIFICATE_ENDED", "%s", m.pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	if err := p.Check(); err != nil { // or it would be carried in vain
		return nil, "", err
	}
	key, err := keyOf(m.dir)
	if err != nil {
		return nil, "", fmt.Errorf("key of the agent: %w", err)
	}
	payload, err := json.Marshal(desk.Told{Agent: m.Agent, Made: m.now().UTC(), Proposal: p})
	if err != nil {
		return nil, "", err
	}
	signature, err := authority.SignLetter(key, payload)
	if err != nil {
		return nil, "", fmt.Errorf("sign: %w", err)
	}
	if b, err = json.Marshal(desk.Letter{Payload: payload, Signature: signature, Certificate: m.Certificate}); err != nil {
		return nil, "", err
	}
	kept, err = m.keepSent(p.Name, payload)
	return b, kept, err
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
