package state

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
)

// How many wrong passwords are taken within the time window: for an account from one
// address, from one address, and for an account from anywhere.
const (
	window         = 15 * time.Minute
	perBoth        = 5
	perAddress     = 50
	perAccount     = 100
	attemptsKept   = time.Hour
	usedIsNotedBy  = time.Minute
	endedAreSwept  = 24 * time.Hour
	longestAccount = 64
)

// Session is somebody who is logged in.
type Session struct {
	account.Account
	// Form is what a form of this session must carry.
	Form string
}

// Use says who asks by a session: a person, or an open page that keeps itself up to date.
type Use int

// The uses.
const (
	ByPerson Use = iota
	ByPage
)

// Login gives the secret of a new session.
func (s *State) Login(ctx context.Context, by By, password string) (secret string, err error) {
	if err := s.verify(ctx, by, by.Name, password); err != nil {
		return "", err
	}
	secret = account.Secret()
	now := s.o.Now()
	err = s.within(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM tributary.hub_session WHERE begun < $1`, now.Add(-s.o.Longest-endedAreSwept)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO tributary.hub_session VALUES ($1, $2, $3, $4, $4, $5)`, account.Digest(secret), by.Name, account.Secret(), now, by.Address); err != nil {
			return err
		}
		return note(ctx, tx, by, Entry{Action: "login"})
	})
	return secret, err
}

// verify compares a password, unless too many were wrong. An attempt is noted before it is
// judged, so that many at once count, too.
func (s *State) verify(ctx context.Context, by By, name, password string) error {
	if len(name) > longestAccount {
		name = name[:longestAccount]
	}
	now := s.o.Now()
	var id int64
	if err := s.pool.QueryRow(ctx, `INSERT INTO tributary.hub_attempt (account, address, at) VALUES ($1, $2, $3) RETURNING id`, name, by.Address, now).Scan(&id); err != nil {
		return failed(err)
	}
	var both, address, everywhere int
	if err := s.pool.QueryRow(ctx, `SELECT count(*) FILTER (WHERE account = $1 AND address = $2), count(*) FILTER (WHERE address = $2), count(*) FILTER (WHERE account = $1)
		FROM tributary.hub_attempt WHERE at > $3 AND id <= $4`, name, by.Address, now.Add(-window), id).Scan(&both, &address, &everywhere); err != nil {
		return failed(err)
	}
	forget := func() error {
		_, err := s.pool.Exec(ctx, `DELETE FROM tributary.hub_attempt WHERE id = $1 OR at < $2`, id, now.Add(-attemptsKept))
		if err != nil {
			return failed(err)
		}
		return nil
	}
	if both > perBoth || address > perAddress || everywhere > perAccount {
		return errors.Join(refusal.New(refusal.Later, "LOGIN_TOO_OFTEN", "%d min", int(window.Minutes())), forget())
	}
	var kept string
	if err := s.pool.QueryRow(ctx, `SELECT password FROM tributary.hub_account WHERE name = $1 AND active`, name).Scan(&kept); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return failed(err)
	}
	if !account.Matches(kept, password) {
		return errors.Join(refusal.New(refusal.Login, "LOGIN_FAILED", ""), s.Note(ctx, By{name, by.Address}, Entry{Action: "login", Outcome: Refused}))
	}
	return forget()
}

// Session gives the session of a secret. One that has been idle or has lasted for too long
// is none. That it was used is noted unless it was looked at by a page alone.
func (s *State) Session(ctx context.Context, secret string, by Use) (*Session, error) {
	none := refusal.New(refusal.Login, "LOGIN_NEEDED", "")
	if secret == "" {
		return nil, none
	}
	now := s.o.Now()
	var found Session
	var used time.Time
	err := s.pool.QueryRow(ctx, `SELECT s.account, s.form, s.used FROM tributary.hub_session s JOIN tributary.hub_account a ON a.name = s.account
		WHERE s.digest = $1 AND s.begun > $2 AND s.used > $3 AND a.active`, account.Digest(secret), now.Add(-s.o.Longest), now.Add(-s.o.Idle)).Scan(&found.Name, &found.Form, &used)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, none
	} else if err != nil {
		return nil, failed(err)
	}
	a, err := s.Account(ctx, found.Name, []string{""})
	if err != nil {
		return nil, err
	}
	found.Account = *a
	if by == ByPerson && now.Sub(used) > min(usedIsNotedBy, s.o.Idle/4) {
		if _, err := s.pool.Exec(ctx, `UPDATE tributary.hub_session SET used = $2 WHERE digest = $1`, account.Digest(secret), now); err != nil {
			return nil, failed(err)
		}
	}
	return &found, nil
}

// Logout ends a session.
func (s *State) Logout(ctx context.Context, by By, secret string) error {
	return s.within(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM tributary.hub_session WHERE digest = $1`, account.Digest(secret)); err != nil {
			return err
		}
		return note(ctx, tx, by, Entry{Action: "logout"})
	})
}
