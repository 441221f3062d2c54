package state

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/cmd/hub/authority"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/schema/catalog"
)

// Invitation lets one agent of an org join, once.
type Invitation struct {
	ID        int64      `json:"id"`
	Org       string     `json:"org"`
	OrgName   string     `json:"org_name"`
	Made      time.Time  `json:"made"`
	MadeBy    string     `json:"made_by"`
	Expires   time.Time  `json:"expires"`
	Used      *time.Time `json:"used,omitempty"`
	Withdrawn *time.Time `json:"withdrawn,omitempty"`
	Agent     string     `json:"agent,omitempty"` // that used it
}

// Open reports whether it can still be used.
func (i *Invitation) Open(now time.Time) bool {
	return i.Used == nil && i.Withdrawn == nil && i.Expires.After(now)
}

// Invite makes an invitation for an org in the scopes. The same secret once more, whoever has
// asked for it, gives the same invitation as long as it can be used.
func (s *State) Invite(ctx context.Context, by By, scopes []string, code, secret string) (i Invitation, err error) {
	err = s.within(ctx, func(tx pgx.Tx) error {
		o, err := org(ctx, tx, code, scopes)
		if err != nil {
			return err
		}
		i = Invitation{Org: o.Code, OrgName: o.Name, Made: s.o.Now(), MadeBy: by.Name}
		i.Expires = i.Made.Add(s.o.Invited)
		err = tx.QueryRow(ctx, `INSERT INTO tributary.hub_invitation (digest, org, made, made_by, expires) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (digest) DO NOTHING RETURNING id`,
			account.Digest(secret), o.Code, i.Made, by.Name, i.Expires).Scan(&i.ID)
		if errors.Is(err, pgx.ErrNoRows) {
			i, _, err = s.invitation(ctx, tx, scopes, secret)
			return err
		} else if err != nil {
			return err
		}
		return note(ctx, tx, by, Entry{Action: "invitation.create", Org: o.Code, Path: o.Path, Object: fmt.Sprint(i.ID)})
	})
	return i, err
}

// invitation gives the one of a secret, locked, with the path of its org. One that can't be used
// any more is refused.
func (s *State) invitation(ctx context.Context, tx pgx.Tx, scopes []string, secret string) (i Invitation, path string, err error) {
	err = tx.QueryRow(ctx, `SELECT i.id, i.org, o.name, o.path, i.made, i.made_by, i.expires, i.used, i.withdrawn FROM tributary.hub_invitation i JOIN tributary.hub_org o ON o.code = i.org
		WHERE i.digest = $2 AND `+inScope(1)+` FOR UPDATE OF i`, scopes, account.Digest(secret)).Scan(&i.ID, &i.Org, &i.OrgName, &path, &i.Made, &i.MadeBy, &i.Expires, &i.Used, &i.Withdrawn)
	const when = "2006-01-02 15:04 UTC"
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		err = refusal.New(refusal.Unknown, "INVITATION_UNKNOWN", "")
	case err != nil:
	case i.Used != nil:
		err = refusal.New(refusal.Conflict, "INVITATION_USED", "%s", i.Used.UTC().Format(when))
	case i.Withdrawn != nil:
		err = refusal.New(refusal.Conflict, "INVITATION_WITHDRAWN", "%s", i.Withdrawn.UTC().Format(when))
	case !i.Expires.After(s.o.Now()):
		err = refusal.New(refusal.Conflict, "INVITATION_EXPIRED", "%s", i.Expires.UTC().Format(when))
	}
	return i, path, err
}

// Invitations gives the newest 200 of orgs in the scopes.
func (s *State) Invitations(ctx context.Context, scopes []string) ([]Invitation, error) {
	return list[Invitation](ctx, s, `SELECT i.id, i.org, o.name, i.made, i.made_by, i.expires, i.used, i.withdrawn, coalesce(a.id, '') FROM tributary.hub_invitation i JOIN tributary.hub_org o ON o.code = i.org
		LEFT JOIN tributary.hub_agent a ON a.invitation = i.id WHERE `+inScope(1)+` ORDER BY i.id DESC LIMIT 200`, scopes)
}

// Withdraw ends an invitation that nobody has used.
func (s *State) Withdraw(ctx context.Context, by By, scopes []string, id int64) error {
	return s.within(ctx, func(tx pgx.Tx) error {
		var code, path string
		var used, withdrawn *time.Time
		err := tx.QueryRow(ctx, `SELECT o.code, o.path, i.used, i.withdrawn FROM tributary.hub_invitation i JOIN tributary.hub_org o ON o.code = i.org WHERE i.id = $2 AND `+inScope(1)+` FOR UPDATE OF i`, scopes, id).Scan(&code, &path, &used, &withdrawn)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return refusal.New(refusal.Unknown, "INVITATION_UNKNOWN", "%d", id)
		case err != nil:
			return err
		case used != nil:
			return refusal.New(refusal.Conflict, "INVITATION_USED", "%d", id)
		case withdrawn != nil:
			return nil
		}
		if _, err := tx.Exec(ctx, `UPDATE tributary.hub_invitation SET withdrawn = $2 WHERE id = $1`, id, s.o.Now()); err != nil {
			return err
		}
		return note(ctx, tx, by, Entry{Action: "invitation.withdraw", Org: code, Path: path, Object: fmt.Sprint(id)})
	})
}

// Agent is a program at the sources that has joined.
type Agent struct {
	ID      string     `json:"id"`
	Org     string     `json:"org"`
	OrgName string     `json:"org_name"`
	Path    string     `json:"-"`
	Name    string     `json:"name"`
	Joined  time.Time  `json:"joined"`
	Sponsor string     `json:"sponsor"` // who invited it
	Revoked *time.Time `json:"revoked,omitempty"`
	Reason  string     `json:"reason,omitempty"`
	Expires time.Time  `json:"expires"` // its newest certificate
	Seen    *time.Time `json:"seen,omitempty"`
	// LogUser is what it is for the log, if the hub has made it a user; LogRound is the
	// round of its password.
	LogUser  string `json:"log_user,omitempty"`
	LogRound int    `json:"-"`
}

// Issue makes a certificate for an agent's key.
type Issue func(agent, org string) (authority.Issued, error)

// Join uses an invitation for an org in the scopes: it makes an agent of that org and its
// certificate, or nothing.
func (s *State) Join(ctx context.Context, by By, scopes []string, secret, name string, issue Issue) (a Agent, cert authority.Issued, err error) {
	if !catalog.IsName(name) {
		return a, cert, refusal.New(refusal.Invalid, "AGENT_NAME", "%.80q", name)
	}
	now := s.o.Now()
	err = s.within(ctx, func(tx pgx.Tx) error {
		i, path, err := s.invitation(ctx, tx, scopes, secret)
		if err != nil {
			return err
		}
		a.OrgName, a.Path = i.OrgName, path
		a.ID, a.Org, a.Name, a.Joined, a.Sponsor = fmt.Sprintf("%s.%d", i.Org, i.ID), i.Org, name, now, i.MadeBy
		if cert, err = issue(a.ID, a.Org); err != nil {
			return err
		}
		a.Expires = cert.Ends
		if _, err := tx.Exec(ctx, `UPDATE tributary.hub_invitation SET used = $2 WHERE id = $1`, i.ID, now); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO tributary.hub_agent (id, org, name, joined, invitation, sponsor) VALUES ($1, $2, $3, $4, $5, $6)`, a.ID, a.Org, a.Name, now, i.ID, i.MadeBy); err != nil {
			return err
		}
		return s.issued(ctx, tx, By{a.ID, by.Address}, &a, cert, "agent.join")
	})
	return a, cert, err
}

func (s *State) issued(ctx context.Context, tx pgx.Tx, by By, a *Agent, cert authority.Issued, action string) error {
	if _, err := tx.Exec(ctx, `INSERT INTO tributary.hub_certificate (serial, agent, begins, ends, key) VALUES ($1, $2, $3, $4, $5)`, cert.Serial, a.ID, cert.Begins, cert.Ends, cert.Key); err != nil {
		return err
	}
	return note(ctx, tx, by, Entry{Action: action, Org: a.Org, Path: a.Path, Object: a.ID, Detail: "certificate " + cert.Serial})
}

// Renew makes another certificate for an agent. The older one counts to its end, so that
// a lost answer locks nobody out.
func (s *State) Renew(ctx context.Context, by By, a *Agent, issue Issue) (cert authority.Issued, err error) {
	if cert, err = issue(a.ID, a.Org); err != nil {
		return cert, err
	}
	return cert, s.within(ctx, func(tx pgx.Tx) error { return s.issued(ctx, tx, by, a, cert, "agent.renew") })
}

const agentColumns = `a.id, a.org, o.name, o.path, a.name, a.joined, a.sponsor, a.revoked, a.reason, (SELECT max(c.ends) FROM tributary.hub_certificate c WHERE c.agent = a.id), a.seen, a.log_user, a.log_round`

// AgentOf gives the agent of a certificate, which is seen by that. A revoked one is refused.
func (s *State) AgentOf(ctx context.Context, serial string) (*Agent, error) {
	a, err := s.Certified(ctx, serial)
	if err != nil {
		return nil, err
	}
	if _, err := s.pool.Exec(ctx, `UPDATE tributary.hub_agent SET seen = $2 WHERE id = $1 AND (seen IS NULL OR seen < $3)`, a.ID, s.o.Now(), s.o.Now().Add(-usedIsNotedBy)); err != nil {
		return nil, failed(err)
	}
	return a, nil
}

// Certified gives the agent of a certificate, wherever it is. A revoked one is refused.
func (s *State) Certified(ctx context.Context, serial string) (*Agent, error) {
	found, err := list[Agent](ctx, s, `SELECT `+agentColumns+` FROM tributary.hub_certificate k JOIN tributary.hub_agent a ON a.id = k.agent JOIN tributary.hub_org o ON o.code = a.org WHERE k.serial = $1`, serial)
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, refusal.New(refusal.Denied, "CERTIFICATE_UNKNOWN", "%s", serial)
	case found[0].Revoked != nil:
		return nil, refusal.New(refusal.Denied, "CERTIFICATE_REVOKED", "%s", found[0].Reason)
	}
	return &found[0], nil
}

// Agents gives those of orgs in the scopes, the newest first.
func (s *State) Agents(ctx context.Context, scopes []string) ([]Agent, error) {
	return list[Agent](ctx, s, `SELECT `+agentColumns+` FROM tributary.hub_agent a JOIN tributary.hub_org o ON o.code = a.org WHERE `+inScope(1)+` ORDER BY a.joined DESC, a.id LIMIT 1000`, scopes)
}

// Revoke ends an agent's certificates for good.
func (s *State) Revoke(ctx context.Context, by By, scopes []string, id, reason string) error {
	if !catalog.IsName(reason) {
		return refusal.New(refusal.Invalid, "REASON_MISSING", "")
	}
	return s.within(ctx, func(tx pgx.Tx) error {
		var code, path string
		var revoked *time.Time
		err := tx.QueryRow(ctx, `SELECT o.code, o.path, a.revoked FROM tributary.hub_agent a JOIN tributary.hub_org o ON o.code = a.org WHERE a.id = $2 AND `+inScope(1)+` FOR UPDATE OF a`, scopes, id).Scan(&code, &path, &revoked)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return refusal.New(refusal.Unknown, "AGENT_UNKNOWN", "%.80q", id)
		case err != nil:
			return err
		case revoked != nil:
			return nil
		}
		if _, err := tx.Exec(ctx, `UPDATE tributary.hub_agent SET revoked = $2, revoked_by = $3, reason = $4 WHERE id = $1`, id, s.o.Now(), by.Name, reason); err != nil {
			return err
		}
		return note(ctx, tx, by, Entry{Action: "agent.revoke", Org: code, Path: path, Object: id, Detail: reason})
	})
}

// Authority gives the certificate of the hub's authority; nil before there is one.
func (s *State) Authority(ctx context.Context) (der []byte, err error) {
	err = s.pool.QueryRow(ctx, `SELECT certificate FROM tributary.hub_authority`).Scan(&der)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	} else if err != nil {
		return nil, failed(err)
	}
	return der, nil
}

// SetAuthority keeps the certificate of the authority unless there is one, and gives the
// one that counts.
func (s *State) SetAuthority(ctx context.Context, der []byte) ([]byte, error) {
	err := s.within(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO tributary.hub_authority (certificate) VALUES ($1) ON CONFLICT DO NOTHING`, der)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.Authority(ctx)
}
