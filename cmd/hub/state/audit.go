package state

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Entry is a line of the audit. Nothing changes or removes one: the database refuses it.
type Entry struct {
	ID      int64     `json:"id"`
	At      time.Time `json:"at"`
	Actor   string    `json:"actor"`
	Address string    `json:"address"`
	Action  string    `json:"action"`
	// Path and Org say which part of the tree it is about; both are empty for the whole.
	Path    string `json:"-"`
	Org     string `json:"org"`
	Object  string `json:"object"`
	Outcome string `json:"outcome"` // Done or Refused
	Detail  string `json:"detail"`
}

// The outcomes.
const (
	Done    = "done"
	Refused = "refused"
)

// executor is a transaction or the pool.
type executor interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// note writes an entry.
func note(ctx context.Context, to executor, by By, e Entry) error {
	if e.Outcome == "" {
		e.Outcome = Done
	}
	_, err := to.Exec(ctx, `INSERT INTO tributary.hub_audit (actor, address, action, path, org, object, outcome, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		by.Name, by.Address, e.Action, e.Path, e.Org, e.Object, e.Outcome, e.Detail)
	return err
}

// Note writes an entry about something that changed nothing here, e.g. a refused order.
func (s *State) Note(ctx context.Context, by By, e Entry) error {
	return s.within(ctx, func(tx pgx.Tx) error { return note(ctx, tx, by, e) })
}

// Search says which entries are wanted. Empty fields want all.
type Search struct {
	// Text is looked for in actor, action, org, object and detail, whatever its case.
	Text string
	// From and Until bound the time; Until itself is left out.
	From, Until time.Time
	// Before wants entries that are older than the one with this number.
	Before int64
	// Most bounds the entries. Default 100.
	Most int
}

// Audit gives entries about the parts of the tree at the scopes, the newest first.
func (s *State) Audit(ctx context.Context, scopes []string, q Search) ([]Entry, error) {
	if q.Most <= 0 {
		q.Most = 100
	}
	var from, until *time.Time
	if !q.From.IsZero() {
		from = &q.From
	}
	if !q.Until.IsZero() {
		until = &q.Until
	}
	return list[Entry](ctx, s, `SELECT id, at, actor, address, action, path, org, object, outcome, detail FROM tributary.hub_audit o WHERE `+inScope(1)+`
		AND ($2 = '' OR position(lower($2) IN lower(concat_ws(' ', actor, action, org, object, outcome, detail))) > 0)
		AND ($3::timestamptz IS NULL OR at >= $3) AND ($4::timestamptz IS NULL OR at < $4) AND ($5 = 0 OR id < $5) ORDER BY id DESC LIMIT $6`,
		scopes, q.Text, from, until, q.Before, q.Most)
}
