package state

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/schema/catalog"
)

var accountName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,63}$`)

// FirstAdministrator is the account that a new hub has.
const FirstAdministrator = "admin"

// FirstLink gives the secret of a link that sets the first administrator's password; it
// is empty once some administrator of the whole tree has one. A new link ends the
// older one.
func (s *State) FirstLink(ctx context.Context) (secret string, err error) {
	err = s.within(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `LOCK TABLE tributary.hub_account IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return err
		}
		var there bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM tributary.hub_account a JOIN tributary.hub_grant g ON g.account = a.name
			WHERE a.active AND a.password <> '' AND g.role = $1 AND g.org = '')`, string(account.Administrator)).Scan(&there); err != nil || there {
			return err
		}
		by := By{Name: "hub"}
		if _, err := tx.Exec(ctx, `INSERT INTO tributary.hub_account (name, title, made_by) VALUES ($1, $1, $2) ON CONFLICT DO NOTHING`, FirstAdministrator, by.Name); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO tributary.hub_grant VALUES ($1, $2, '') ON CONFLICT DO NOTHING`, FirstAdministrator, string(account.Administrator)); err != nil {
			return err
		}
		secret, err = s.link(ctx, tx, FirstAdministrator)
		if err != nil {
			return err
		}
		return note(ctx, tx, by, Entry{Action: "account.link", Object: FirstAdministrator})
	})
	return secret, err
}

// link makes the one link of an account.
func (s *State) link(ctx context.Context, tx pgx.Tx, name string) (secret string, err error) {
	secret = account.Secret()
	if _, err := tx.Exec(ctx, `DELETE FROM tributary.hub_link WHERE account = $1`, name); err != nil {
		return "", err
	}
	_, err = tx.Exec(ctx, `INSERT INTO tributary.hub_link VALUES ($1, $2, $3)`, account.Digest(secret), name, s.o.Now().Add(s.o.Linked))
	return secret, err
}

// Linked gives the account whose password a link sets.
func (s *State) Linked(ctx context.Context, secret string) (name string, err error) {
	err = s.pool.QueryRow(ctx, `SELECT l.account FROM tributary.hub_link l JOIN tributary.hub_account a ON a.name = l.account WHERE l.digest = $1 AND l.expires > $2 AND a.active`,
		account.Digest(secret), s.o.Now()).Scan(&name)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", refusal.New(refusal.Unknown, "LINK_INVALID", "")
	}
	return name, err
}

// UseLink sets a password by a link, which counts once. All sessions of the account end.
func (s *State) UseLink(ctx context.Context, by By, secret, password string) error {
	name, err := s.Linked(ctx, secret)
	if err != nil {
		return err
	}
	if !account.GoodPassword(name, password) {
		return refusal.New(refusal.Invalid, "PASSWORD_WEAK", "")
	}
	hash := account.Hash(password)
	by.Name = name
	return s.within(ctx, func(tx pgx.Tx) error {
		used, err := tx.Exec(ctx, `DELETE FROM tributary.hub_link WHERE digest = $1 AND account = $2 AND expires > $3`, account.Digest(secret), name, s.o.Now())
		if err != nil {
			return err
		}
		if used.RowsAffected() == 0 { // by somebody else, meanwhile
			return refusal.New(refusal.Unknown, "LINK_INVALID", "")
		}
		return s.password(ctx, tx, by, name, hash)
	})
}

// ChangePassword sets a password in place of the old one. All sessions of the account end.
func (s *State) ChangePassword(ctx context.Context, by By, old, password string) error {
	if err := s.verify(ctx, by, by.Name, old); err != nil {
		return err
	}
	if !account.GoodPassword(by.Name, password) {
		return refusal.New(refusal.Invalid, "PASSWORD_WEAK", "")
	}
	hash := account.Hash(password)
	return s.within(ctx, func(tx pgx.Tx) error { return s.password(ctx, tx, by, by.Name, hash) })
}

func (s *State) password(ctx context.Context, tx pgx.Tx, by By, name, hash string) error {
	if _, err := tx.Exec(ctx, `UPDATE tributary.hub_account SET password = $2 WHERE name = $1`, name, hash); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM tributary.hub_session WHERE account = $1`, name); err != nil {
		return err
	}
	return note(ctx, tx, by, Entry{Action: "account.password", Object: name})
}

// Accounts gives the accounts all of whose grants lie in the scopes, by name.
func (s *State) Accounts(ctx context.Context, scopes []string) ([]account.Account, error) {
	return s.accounts(ctx, "", scopes)
}

func (s *State) accounts(ctx context.Context, name string, scopes []string) ([]account.Account, error) {
	rows, err := s.pool.Query(ctx, `SELECT a.name, a.title, a.active, a.password <> '', array_agg(g.role ORDER BY g.role, g.org), array_agg(g.org ORDER BY g.role, g.org), array_agg(coalesce(o.path, '') ORDER BY g.role, g.org)
		FROM tributary.hub_account a JOIN tributary.hub_grant g ON g.account = a.name LEFT JOIN tributary.hub_org o ON o.code = g.org
		WHERE $1 = '' OR a.name = $1 GROUP BY a.name, a.title, a.active, a.password ORDER BY a.name`, name)
	if err != nil {
		return nil, failed(err)
	}
	defer rows.Close()
	found := []account.Account{}
	for rows.Next() {
		var a account.Account
		var roles, orgs, paths []string
		if err := rows.Scan(&a.Name, &a.Title, &a.Active, &a.HasPassword, &roles, &orgs, &paths); err != nil {
			return nil, failed(err)
		}
		inside := true
		for i := range roles {
			a.Grants = append(a.Grants, account.Grant{Role: account.Role(roles[i]), Org: orgs[i], Path: paths[i]})
			inside = inside && slices.ContainsFunc(scopes, func(scope string) bool { return catalog.Within(paths[i], scope) })
		}
		if inside {
			found = append(found, a)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, failed(err)
	}
	return found, nil
}

// Account gives an account all of whose grants lie in the scopes.
func (s *State) Account(ctx context.Context, name string, scopes []string) (*account.Account, error) {
	if name == "" {
		return nil, refusal.New(refusal.Unknown, "ACCOUNT_UNKNOWN", "")
	}
	found, err := s.accounts(ctx, name, scopes)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, refusal.New(refusal.Unknown, "ACCOUNT_UNKNOWN", "%.80q", name)
	}
	return &found[0], nil
}

// placed checks grants and finds their paths. They lie in the scopes of whoever gives them.
func placed(ctx context.Context, tx pgx.Tx, grants []account.Grant, scopes []string) error {
	if len(grants) == 0 || !account.Fits(grants) {
		return refusal.New(refusal.Invalid, "ACCOUNT_GRANTS", "")
	}
	for _, g := range grants {
		if g.Org == "" {
			if !slices.Contains(scopes, "") {
				return refusal.New(refusal.Denied, "NOT_ALLOWED", "%s", g.Role)
			}
			continue
		}
		if _, err := org(ctx, tx, g.Org, scopes); err != nil {
			return err
		}
	}
	return nil
}

// CreateAccount makes an account, and gives the secret of the link that sets its password.
func (s *State) CreateAccount(ctx context.Context, by By, scopes []string, a account.Account) (secret string, err error) {
	if !accountName.MatchString(a.Name) || !catalog.IsName(a.Title) {
		return "", refusal.New(refusal.Invalid, "ACCOUNT_NAME", "%.80q", a.Name)
	}
	err = s.within(ctx, func(tx pgx.Tx) error {
		if err := placed(ctx, tx, a.Grants, scopes); err != nil {
			return err
		}
		made, err := tx.Exec(ctx, `INSERT INTO tributary.hub_account (name, title, made_by) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, a.Name, a.Title, by.Name)
		if err != nil {
			return err
		}
		if made.RowsAffected() == 0 {
			return refusal.New(refusal.Conflict, "ACCOUNT_EXISTS", "%s", a.Name)
		}
		if err := grant(ctx, tx, a.Name, a.Grants); err != nil {
			return err
		}
		if secret, err = s.link(ctx, tx, a.Name); err != nil {
			return err
		}
		return note(ctx, tx, by, about(&a, "account.create", told(a.Grants)))
	})
	return secret, err
}

func grant(ctx context.Context, tx pgx.Tx, name string, grants []account.Grant) error {
	for _, g := range grants {
		if _, err := tx.Exec(ctx, `INSERT INTO tributary.hub_grant VALUES ($1, $2, $3)`, name, string(g.Role), g.Org); err != nil {
			return err
		}
	}
	return nil
}

// told says grants in an audit.
func told(grants []account.Grant) string {
	var all []string
	for _, g := range grants {
		org := g.Org
		if org == "" {
			org = "*"
		}
		all = append(all, string(g.Role)+"@"+org)
	}
	return strings.Join(all, " ")
}

// about is an entry about an account, at the org of its first grant.
func about(a *account.Account, action, detail string) Entry {
	e := Entry{Action: action, Object: a.Name, Detail: detail}
	if len(a.Grants) > 0 {
		e.Org, e.Path = a.Grants[0].Org, a.Grants[0].Path
	}
	return e
}

// other gives an account that by may change: any in the scopes but their own, so that
// nobody widens their own rights or locks everybody out.
func (s *State) other(ctx context.Context, by By, name string, scopes []string) (*account.Account, error) {
	a, err := s.Account(ctx, name, scopes)
	if err == nil && name == by.Name {
		err = refusal.New(refusal.Denied, "ACCOUNT_OWN", "%s", name)
	}
	return a, err
}

// SetGrants replaces what an account may do. All its sessions end.
func (s *State) SetGrants(ctx context.Context, by By, scopes []string, name string, grants []account.Grant) error {
	a, err := s.other(ctx, by, name, scopes)
	if err != nil {
		return err
	}
	return s.within(ctx, func(tx pgx.Tx) error {
		if err := placed(ctx, tx, grants, scopes); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM tributary.hub_grant WHERE account = $1`, name); err != nil {
			return err
		}
		if err := grant(ctx, tx, name, grants); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM tributary.hub_session WHERE account = $1`, name); err != nil {
			return err
		}
		return note(ctx, tx, by, about(a, "account.grants", told(a.Grants)+" → "+told(grants)))
	})
}

// SetActive switches an account on or off. Switched off, its sessions and its link end.
func (s *State) SetActive(ctx context.Context, by By, scopes []string, name string, active bool) error {
	a, err := s.other(ctx, by, name, scopes)
	if err != nil {
		return err
	}
	return s.within(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE tributary.hub_account SET active = $2 WHERE name = $1`, name, active); err != nil {
			return err
		}
		action := "account.enable"
		if !active {
			action = "account.disable"
			for _, table := range []string{"hub_session", "hub_link"} {
				if _, err := tx.Exec(ctx, `DELETE FROM tributary.`+table+` WHERE account = $1`, name); err != nil {
					return err
				}
			}
		}
		return note(ctx, tx, by, about(a, action, ""))
	})
}

// Relink gives the secret of a new link that sets an account's password. The old password
// ends at once.
func (s *State) Relink(ctx context.Context, by By, scopes []string, name string) (secret string, err error) {
	a, err := s.other(ctx, by, name, scopes)
	if err != nil {
		return "", err
	}
	err = s.within(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE tributary.hub_account SET password = '' WHERE name = $1`, name); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM tributary.hub_session WHERE account = $1`, name); err != nil {
			return err
		}
		if secret, err = s.link(ctx, tx, name); err != nil {
			return err
		}
		return note(ctx, tx, by, about(a, "account.link", ""))
	})
	return secret, err
}
