package state

import (
	"context"
	"crypto/sha256"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
)

// letters are what people have brought from agents without connection, each once; the key of a
// certificate is for what is sealed for such an agent.
const letters = `
ALTER TABLE tributary.hub_certificate ADD key bytea;
CREATE TABLE tributary.hub_letter (digest bytea PRIMARY KEY, agent text COLLATE "C" NOT NULL REFERENCES tributary.hub_agent, request bigint NOT NULL REFERENCES tributary.hub_request,
  brought timestamptz NOT NULL, brought_by text COLLATE "C" NOT NULL REFERENCES tributary.hub_account);
`

// ProposeByLetter puts a proposal into the inbox that a person has brought in a letter of the
// agent. The same letter does so once.
func (s *State) ProposeByLetter(ctx context.Context, by By, a *Agent, p Proposal, letter []byte) (Request, error) {
	digest := sha256.Sum256(letter)
	return s.propose(ctx, by, a, p, "letter of "+a.ID+", ", func(tx pgx.Tx, r *Request) error {
		done, err := tx.Exec(ctx, `INSERT INTO tributary.hub_letter VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`, digest[:], a.ID, r.ID, r.Made, by.Name)
		if err == nil && done.RowsAffected() == 0 {
			return refusal.New(refusal.Conflict, "LETTER_USED", "%s", r.Source)
		}
		return err
	})
}

// AgentWithKey gives an agent of an org in the scopes with the key of its newest certificate
// (PKIX in DER); no key if the hub hasn't kept it. One that was shut out is refused.
func (s *State) AgentWithKey(ctx context.Context, scopes []string, id string) (*Agent, []byte, error) {
	found, err := list[Agent](ctx, s, `SELECT `+agentColumns+` FROM tributary.hub_agent a JOIN tributary.hub_org o ON o.code = a.org WHERE a.id = $2 AND `+inScope(1), scopes, id)
	switch {
	case err != nil:
		return nil, nil, err
	case len(found) == 0:
		return nil, nil, refusal.New(refusal.Unknown, "AGENT_UNKNOWN", "%.80q", id)
	case found[0].Revoked != nil:
		return nil, nil, refusal.New(refusal.Conflict, "CERTIFICATE_REVOKED", "%s", found[0].Reason)
	}
	keys, err := list[struct{ Key []byte }](ctx, s, `SELECT key FROM tributary.hub_certificate WHERE agent = $1 AND key IS NOT NULL ORDER BY ends DESC LIMIT 1`, id)
	if err != nil || len(keys) == 0 {
		return &found[0], nil, err
	}
	return &found[0], keys[0].Key, nil
}
