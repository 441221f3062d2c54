package desk

import (
	"context"
	"errors"

	"github.com/tributary-cdc/tributary/cmd/hub/authority"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/stream/log"
)

// Rights are users of the log and what they may do there. Both calls may be repeated, and
// block until the log has answered.
type Rights interface {
	// Grant lets a user with a password do what an agent of an org needs, and nothing else;
	// false if the log lets everybody do everything. After an error, a user who had no rights
	// has none.
	Grant(ctx context.Context, org, user, password string) (bool, error)
	// Revoke takes the user away. One who isn't there is no error.
	Revoke(ctx context.Context, user string) error
}

// LogLogin is what an agent is for the log (SASL).
type LogLogin struct {
	Mechanism string `json:"mechanism"`
	User      string `json:"user"`
	// Sealed is the password, which only the agent's key opens (authority.Unseal): where an
	// assignment is kept, shown or carried, nobody can read it.
	Sealed []byte `json:"sealed"`
}

// logUser is what an agent is called in the log.
func logUser(agent string) string { return "agent-" + agent }

// granted gives an agent its rights in the log, and then does what counts on them, with the
// user's name, or an empty one where there are none to give. If that fails, an agent that had
// no rights has none.
func (d *Desk) granted(ctx context.Context, agent, org string, f func(user string) error) error {
	if d.o.Rights == nil {
		return f("")
	}
	d.rights.Lock()
	defer d.rights.Unlock()
	return d.o.State.Alone(ctx, func() error {
		have, err := d.o.State.LogUserOf(ctx, agent)
		if err != nil {
			return err
		}
		password, err := d.o.Authority.Password(agent, have.Round)
		if err != nil {
			return err
		}
		user := logUser(agent)
		made, err := d.o.Rights.Grant(ctx, org, user, password)
		switch {
		case errors.Is(err, log.ErrForbidden):
			return &refusal.Refusal{Kind: refusal.Later, Code: "RIGHTS_FORBIDDEN", Detail: user, Err: err}
		case err != nil:
			return &refusal.Refusal{Kind: refusal.Later, Code: "RIGHTS_NOT_MADE", Detail: user, Err: err}
		case !made:
			return f("")
		}
		if err = f(user); err != nil && have.Name == "" {
			err = errors.Join(err, d.o.Rights.Revoke(context.WithoutCancel(ctx), user))
		}
		return err
	})
}

// taken takes an agent's rights in the log away, if the hub has given any; those of an agent
// that still has sources only if that is meant.
func (d *Desk) taken(ctx context.Context, by state.By, agent string, busy bool) error {
	if d.o.Rights == nil {
		return nil
	}
	d.rights.Lock()
	defer d.rights.Unlock()
	return d.o.State.Alone(ctx, func() error {
		have, err := d.o.State.LogUserOf(ctx, agent)
		if err != nil || have.Name == "" {
			return err
		}
		if !busy {
			if has, err := d.o.State.Busy(ctx, agent); err != nil || has {
				return err
			}
		}
		if err := d.o.Rights.Revoke(ctx, have.Name); err != nil {
			return &refusal.Refusal{Kind: refusal.Later, Code: "RIGHTS_NOT_TAKEN", Detail: have.Name, Err: err}
		}
		return d.o.State.Taken(ctx, by, agent)
	})
}

// logLogin is what an agent's assignments say of the log; nil if the hub has made it no user.
func (d *Desk) logLogin(a *state.Agent, key any) (*LogLogin, error) {
	if a.LogUser == "" {
		return nil, nil
	}
	password, err := d.o.Authority.Password(a.ID, a.LogRound)
	if err != nil {
		return nil, err
	}
	sealed, err := authority.Seal(key, a.ID, password)
	if err != nil {
		return nil, err
	}
	return &LogLogin{Mechanism: "SCRAM-SHA-512", User: a.LogUser, Sealed: sealed}, nil
}
