package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/cmd/internal/language"
	"github.com/tributary-cdc/tributary/schema/catalog"
)

// Propose puts a proposal of an agent into the inbox. The source is one of the agent's own
// org, and no other agent's.
func (s *State) Propose(ctx context.Context, by By, a *Agent, p Proposal) (Request, error) {
	return s.propose(ctx, by, a, p, "", func(pgx.Tx, *Request) error { return nil })
}

// propose does it with whatever else belongs to the same transaction. how stands in the audit.
func (s *State) propose(ctx context.Context, by By, a *Agent, p Proposal, how string, and func(pgx.Tx, *Request) error) (r Request, err error) {
	if err := p.Check(); err != nil {
		return r, err
	}
	content, err := json.Marshal(p)
	if err != nil {
		return r, err
	}
	id, _ := catalog.SourceID(a.Org, p.Name) // checked
	r = Request{Source: id, Org: a.Org, OrgName: a.OrgName, Path: a.Path, Agent: a.ID, Sponsor: a.Sponsor, Content: p, Tables: len(p.Tables), Made: s.o.Now(), State: Pending}
	err = s.within(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT FROM tributary.hub_org WHERE code = $1 FOR UPDATE`, a.Org); err != nil { // one at a time
			return err
		}
		var owner string
		err := tx.QueryRow(ctx, `SELECT agent FROM tributary.hub_source WHERE id = $1`, id).Scan(&owner)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		} else if err == nil && owner != a.ID {
			return refusal.New(refusal.Conflict, "SOURCE_REGISTERED", "%s: %s", id, owner)
		}
		var pending int64
		var since time.Time
		err = tx.QueryRow(ctx, `SELECT id, made FROM tributary.hub_request WHERE source = $1 AND state = 'pending'`, id).Scan(&pending, &since)
		if err == nil {
			return refusal.New(refusal.Conflict, "REQUEST_PENDING", "%s: %d, %s", id, pending, since.UTC().Format("2006-01-02 15:04 UTC"))
		} else if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		waiting := 0
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM tributary.hub_request WHERE agent = $1 AND state = 'pending'`, a.ID).Scan(&waiting); err != nil {
			return err
		}
		if waiting >= maxPending {
			return refusal.New(refusal.Conflict, "REQUEST_PENDING", "%s: %d", a.ID, waiting)
		}
		if p.Standing == catalog.Authoritative { // told at once, and decided at the approval
			if err := unrivalled(ctx, tx, &r, tablesOf(p)); err != nil {
				return err
			}
		}
		if err := tx.QueryRow(ctx, `INSERT INTO tributary.hub_request (source, org, agent, sponsor, content, made, state) VALUES ($1, $2, $3, $4, $5, $6, 'pending') RETURNING id`,
			id, a.Org, a.ID, a.Sponsor, content, r.Made).Scan(&r.ID); err != nil {
			return err
		}
		if err := and(tx, &r); err != nil {
			return err
		}
		return note(ctx, tx, by, Entry{Action: "request.create", Org: a.Org, Path: a.Path, Object: id, Detail: language.Sprintf("%srequest %d, %s, %d {table|tables}", how, r.ID, p.Standing, len(p.Tables))})
	})
	return r, err
}

func tablesOf(p Proposal) (names []string) {
	for _, t := range p.Tables {
		names = append(names, t.Table)
	}
	return names
}

// unrivalled holds the one-source rule against the wanted tables of a request. Two
// approvals of a dataset take turns.
func unrivalled(ctx context.Context, tx pgx.Tx, r *Request, tables []string) error {
	wanted := map[string]string{}
	for _, t := range r.Content.Tables {
		if slices.Contains(tables, t.Table) {
			wanted[t.Dataset] = t.Table
		}
	}
	names := make([]string, 0, len(wanted))
	for name := range wanted {
		names = append(names, name)
	}
	slices.Sort(names) // in one order, so that nobody waits for ever
	for _, name := range names {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('tributary dataset ' || $1, 0))`, name); err != nil {
			return err
		}
		have, err := feeds(ctx, tx, []string{name})
		if err != nil {
			return err
		}
		f := catalog.Feed{Dataset: name, Source: r.Source, Table: wanted[name], Standing: r.Content.Standing, Scope: r.Path}
		if rival := catalog.Rival(have, f); rival != nil {
			return taken(f, rival)
		}
	}
	return nil
}

const (
	requestColumns = `r.id, r.source, r.org, o.name, o.path, r.agent, r.sponsor, r.content, jsonb_array_length(r.content->'tables'), r.made, r.state, r.decided, coalesce(r.decided_by, ''), r.reason, r.approved`
	// listedColumns leave out what may be long.
	listedColumns = `r.id, r.source, r.org, o.name, o.path, r.agent, r.sponsor, r.content - 'tables' - 'findings', jsonb_array_length(r.content->'tables'), r.made, r.state, r.decided, coalesce(r.decided_by, ''), r.reason, NULL::text[]`
)

// Waiting counts the pending requests of orgs in the scopes, without those of agents that the
// account has invited: somebody else decides on them.
func (s *State) Waiting(ctx context.Context, scopes []string, account string) (n int, err error) {
	err = s.pool.QueryRow(ctx, `SELECT count(*) FROM tributary.hub_request r JOIN tributary.hub_org o ON o.code = r.org WHERE r.state = 'pending' AND r.sponsor <> $2 AND `+inScope(1), scopes, account).Scan(&n)
	if err != nil {
		err = failed(err)
	}
	return n, err
}

// Requests gives those of orgs in the scopes, the pending ones first and then the newest.
func (s *State) Requests(ctx context.Context, scopes []string) ([]Request, error) {
	return list[Request](ctx, s, `SELECT `+listedColumns+` FROM tributary.hub_request r JOIN tributary.hub_org o ON o.code = r.org WHERE `+inScope(1)+`
		ORDER BY r.state <> 'pending', r.id DESC LIMIT 200`, scopes)
}

// RequestsOf gives those of an agent, the newest first.
func (s *State) RequestsOf(ctx context.Context, agent string) ([]Request, error) {
	return list[Request](ctx, s, `SELECT `+listedColumns+` FROM tributary.hub_request r JOIN tributary.hub_org o ON o.code = r.org WHERE r.agent = $1 ORDER BY r.id DESC LIMIT 200`, agent)
}

// Request gives one of an org in the scopes.
func (s *State) Request(ctx context.Context, scopes []string, id int64) (*Request, error) {
	found, err := list[Request](ctx, s, `SELECT `+requestColumns+` FROM tributary.hub_request r JOIN tributary.hub_org o ON o.code = r.org WHERE r.id = $2 AND `+inScope(1), scopes, id)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, refusal.New(refusal.Unknown, "REQUEST_UNKNOWN", "%d", id)
	}
	return &found[0], nil
}

// Rivals gives, by dataset, the authoritative feeds of datasets that a request names.
func (s *State) Rivals(ctx context.Context, r *Request) (map[string][]catalog.Feed, error) {
	names := []string{}
	for _, t := range r.Content.Tables {
		names = append(names, t.Dataset)
	}
	out := map[string][]catalog.Feed{}
	err := s.within(ctx, func(tx pgx.Tx) error {
		have, err := feeds(ctx, tx, names)
		for _, f := range have {
			if f.Standing == catalog.Authoritative && f.Source != r.Source {
				out[f.Dataset] = append(out[f.Dataset], f)
			}
		}
		return err
	})
	return out, err
}

// decidable gives a pending request that by may decide, locked. Nobody decides on what
// came by their own invitation.
func (s *State) decidable(ctx context.Context, tx pgx.Tx, by By, scopes []string, id int64) (*Request, error) {
	rows, err := tx.Query(ctx, `SELECT `+requestColumns+` FROM tributary.hub_request r JOIN tributary.hub_org o ON o.code = r.org WHERE r.id = $2 AND `+inScope(1)+` FOR UPDATE OF r`, scopes, id)
	if err != nil {
		return nil, err
	}
	r, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Request])
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, refusal.New(refusal.Unknown, "REQUEST_UNKNOWN", "%d", id)
	case err != nil:
		return nil, err
	case r.State != Pending:
		return nil, refusal.New(refusal.Conflict, "REQUEST_DECIDED", "%s, %s, %s", r.State, r.DecidedBy, r.Decided.UTC().Format("2006-01-02 15:04:05 UTC"))
	case r.Sponsor == by.Name:
		return nil, refusal.New(refusal.Denied, "REQUEST_OWN", "%s", by.Name)
	}
	return &r, nil
}

// Decision is what an approver says.
type Decision struct {
	// Tables are those that may leave: all, some, or none to refuse.
	Tables []string
	// Reason says why not, or why not all.
	Reason string
	// Partitions is the number of partitions of the topic of an approved source.
	Partitions int
	// LogUser is the user of the log that was made for the agent; empty for none.
	LogUser string
}

// May says whether by could decide on a request now, before anything is made for it.
func (s *State) May(ctx context.Context, by By, scopes []string, id int64) (r *Request, err error) {
	err = s.within(ctx, func(tx pgx.Tx) error { r, err = s.decidable(ctx, tx, by, scopes, id); return err })
	return r, err
}

// Decide approves or refuses. Of two at once the second is told who was first.
func (s *State) Decide(ctx context.Context, by By, scopes []string, id int64, d Decision, topic func(org string) string) (r *Request, err error) {
	err = s.within(ctx, func(tx pgx.Tx) error {
		if r, err = s.decidable(ctx, tx, by, scopes, id); err != nil {
			return err
		}
		if err := d.fill(r); err != nil {
			return err
		}
		now := s.o.Now()
		r.Decided, r.DecidedBy, r.Reason, r.Approved = &now, by.Name, d.Reason, d.Tables
		if _, err := tx.Exec(ctx, `UPDATE tributary.hub_request SET state = $2, decided = $3, decided_by = $4, reason = $5, approved = $6 WHERE id = $1`, id, r.State, now, by.Name, d.Reason, d.Tables); err != nil {
			return err
		}
		detail := language.Sprintf("request %d, %d of %d {table|tables}", id, len(d.Tables), len(r.Content.Tables))
		if r.State != Turned {
			partition, err := s.assign(ctx, tx, r, d, topic)
			if err != nil {
				return err
			}
			detail += fmt.Sprintf(", %s/%d", topic(r.Org), partition)
			if d.LogUser != "" {
				detail += ", " + d.LogUser
				if err := given(ctx, tx, r.Agent, d.LogUser); err != nil {
					return err
				}
			}
		}
		return note(ctx, tx, by, Entry{Action: "request." + r.State, Org: r.Org, Path: r.Path, Object: r.Source, Detail: strings.TrimSuffix(detail+"; "+d.Reason, "; ")})
	})
	return r, err
}

// fill gives the request its state, and refuses a decision without the reason it needs.
func (d *Decision) fill(r *Request) error {
	proposed := tablesOf(r.Content)
	slices.Sort(d.Tables)
	d.Tables = slices.Compact(d.Tables)
	for _, t := range d.Tables {
		if !slices.Contains(proposed, t) {
			return refusal.New(refusal.Invalid, "REQUEST_TABLES", "%.80q", t)
		}
	}
	switch len(d.Tables) {
	case 0:
		r.State = Turned
	case len(proposed):
		r.State = Approved
	default:
		r.State = Partly
	}
	if d.Reason = strings.TrimSpace(d.Reason); d.Reason == "" && r.State != Approved || d.Reason != "" && !catalog.IsName(d.Reason) {
		return refusal.New(refusal.Invalid, "REASON_MISSING", "")
	}
	return nil
}

// assign gives the source its place in the log: its old one, or the emptiest partition.
func (s *State) assign(ctx context.Context, tx pgx.Tx, r *Request, d Decision, topic func(org string) string) (partition int32, err error) {
	if _, err := tx.Exec(ctx, `SELECT FROM tributary.hub_org WHERE code = $1 FOR UPDATE`, r.Org); err != nil {
		return 0, err
	}
	var revoked *time.Time
	if err := tx.QueryRow(ctx, `SELECT revoked FROM tributary.hub_agent WHERE id = $1`, r.Agent).Scan(&revoked); err != nil {
		return 0, err
	} else if revoked != nil {
		return 0, refusal.New(refusal.Conflict, "CERTIFICATE_REVOKED", "%s", r.Agent)
	}
	if err := unrivalled(ctx, tx, r, d.Tables); err != nil {
		return 0, err
	}
	if err := tx.QueryRow(ctx, `SELECT p FROM generate_series(0, $2::int - 1) p LEFT JOIN tributary.hub_source s ON s.org = $1 AND s.partition = p AND s.id <> $3
		GROUP BY p ORDER BY count(s.id), p LIMIT 1`, r.Org, max(1, d.Partitions), r.Source).Scan(&partition); err != nil {
		return 0, err
	}
	var owner string
	err = tx.QueryRow(ctx, `INSERT INTO tributary.hub_source AS s (id, org, agent, engine, standing, topic, partition, version, request, since) VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $9)
		ON CONFLICT (id) DO UPDATE SET standing = excluded.standing, engine = excluded.engine, request = excluded.request, version = s.version + 1,
			retired = NULL, retired_by = '', reason = '', let_go = NULL, remains = '' RETURNING s.agent, s.partition`,
		r.Source, r.Org, r.Agent, r.Content.Engine, string(r.Content.Standing), topic(r.Org), partition, r.ID, s.o.Now()).Scan(&owner, &partition)
	if err != nil {
		return 0, err
	}
	if owner != r.Agent {
		return 0, refusal.New(refusal.Conflict, "SOURCE_REGISTERED", "%s: %s", r.Source, owner)
	}
	if _, err := tx.Exec(ctx, `DELETE FROM tributary.hub_feed WHERE source = $1`, r.Source); err != nil {
		return 0, err
	}
	for _, t := range r.Content.Tables {
		if slices.Contains(d.Tables, t.Table) {
			if _, err := tx.Exec(ctx, `INSERT INTO tributary.hub_feed VALUES ($1, $2, $3)`, r.Source, t.Table, t.Dataset); err != nil {
				return 0, err
			}
		}
	}
	return partition, nil
}

const assignmentColumns = `s.id, s.org, s.agent, s.engine, s.standing, s.topic, s.partition, s.version, s.since, (SELECT jsonb_object_agg(f."table", f.dataset) FROM tributary.hub_feed f WHERE f.source = s.id),
	s.retired, s.retired_by, s.reason, s.let_go, s.remains, s.handed_over, s.paused, s.paused_by, s.pause_reason`

// Assignments gives those of an agent's sources, by source.
func (s *State) Assignments(ctx context.Context, agent string) ([]Assignment, error) {
	return list[Assignment](ctx, s, `SELECT `+assignmentColumns+` FROM tributary.hub_source s WHERE s.agent = $1 ORDER BY s.id`, agent)
}

// Sources gives those of orgs in the scopes, by id.
func (s *State) Sources(ctx context.Context, scopes []string) ([]Assignment, error) {
	return list[Assignment](ctx, s, `SELECT `+assignmentColumns+` FROM tributary.hub_source s JOIN tributary.hub_org o ON o.code = s.org WHERE `+inScope(1)+` ORDER BY s.id LIMIT 10000`, scopes)
}

// DatasetFeed is a source of a dataset.
type DatasetFeed struct {
	Dataset  string           `json:"dataset"`
	Source   string           `json:"source"`
	Table    string           `json:"table"`
	Standing catalog.Standing `json:"standing"`
	Org      string           `json:"org"`
}

// Datasets gives the feeds of all datasets from orgs in the scopes, by dataset.
func (s *State) Datasets(ctx context.Context, scopes []string) ([]DatasetFeed, error) {
	return list[DatasetFeed](ctx, s, `SELECT f.dataset, f.source, f."table", s.standing, s.org FROM tributary.hub_feed f JOIN tributary.hub_source s ON s.id = f.source
		JOIN tributary.hub_org o ON o.code = s.org WHERE s.retired IS NULL AND `+inScope(1)+` ORDER BY f.dataset, s.standing, f.source, f."table" LIMIT 10000`, scopes)
}
