package state

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// rights are the users of the log that the hub has made for agents. The round is that of the
// password (authority.Password), so that a user who was taken away and comes back has another.
const rights = `
ALTER TABLE tributary.hub_agent ADD log_user text NOT NULL DEFAULT '';
ALTER TABLE tributary.hub_agent ADD log_round int NOT NULL DEFAULT 0;
`

// LogUser is what an agent is for the log.
type LogUser struct {
	// Name is empty while the hub hasn't made it one.
	Name string
	// Round is that of its password, or of the next one.
	Round int
}

// Alone does f while no hub of this database does anything else that gives rights in the log
// or takes them. It keeps one connection for as long.
func (s *State) Alone(ctx context.Context, f func() error) error {
	return s.within(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('tributary rights', 0))`); err != nil {
			return err
		}
		return f()
	})
}

// LogUserOf gives an agent's user of the log.
func (s *State) LogUserOf(ctx context.Context, agent string) (u LogUser, err error) {
	err = s.pool.QueryRow(ctx, `SELECT log_user, log_round FROM tributary.hub_agent WHERE id = $1`, agent).Scan(&u.Name, &u.Round)
	return u, failed(err)
}

// given notes in the transaction of an approval that an agent has its user.
func given(ctx context.Context, tx pgx.Tx, agent, user string) error {
	_, err := tx.Exec(ctx, `UPDATE tributary.hub_agent SET log_user = $2 WHERE id = $1`, agent, user)
	return err
}

// Taken notes that an agent's user is gone from the log.
func (s *State) Taken(ctx context.Context, by By, agent string) error {
	return s.within(ctx, func(tx pgx.Tx) error {
		var user, org, path string
		if err := tx.QueryRow(ctx, `SELECT a.log_user, o.code, o.path FROM tributary.hub_agent a JOIN tributary.hub_org o ON o.code = a.org WHERE a.id = $1 FOR UPDATE OF a`, agent).Scan(&user, &org, &path); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE tributary.hub_agent SET log_user = '', log_round = log_round + 1 WHERE id = $1`, agent); err != nil {
			return err
		}
		return note(ctx, tx, by, Entry{Action: "rights.take", Org: org, Path: path, Object: agent, Detail: fmt.Sprintf("user %s of the log", user)})
	})
}

// maxForged bounds the lines of the audit about one agent's forgeries in a minute.
const maxForged = 10

// Forged notes that an agent was refused for speaking in the name of another, and calls for a
// person (Certificates). Whoever does it on and on doesn't fill the audit.
func (s *State) Forged(ctx context.Context, by By, a *Agent, detail string) error {
	return s.within(ctx, func(tx pgx.Tx) error {
		n := 0
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM tributary.hub_audit WHERE at > clock_timestamp() - interval '1 minute' AND action = 'agent.forge' AND object = $1`, a.ID).Scan(&n); err != nil || n >= maxForged {
			return err
		}
		return note(ctx, tx, by, Entry{Action: "agent.forge", Org: a.Org, Path: a.Path, Object: a.ID, Outcome: Refused, Detail: detail})
	})
}
