package state

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/schema/catalog"
)

const orgColumns = `o.code, coalesce(o.parent, ''), o.name, o.kind, o.path`

// Orgs gives the orgs in the scopes, by path.
func (s *State) Orgs(ctx context.Context, scopes []string) ([]catalog.Org, error) {
	return list[catalog.Org](ctx, s, `SELECT `+orgColumns+` FROM tributary.hub_org o WHERE `+inScope(1)+` ORDER BY o.path`, scopes)
}

// Imported is what an import did.
type Imported struct {
	Added   int `json:"added"`
	Changed int `json:"changed"`
	Same    int `json:"same"`
	// Made are orgs that got a code of the hub's making.
	Made []catalog.Org `json:"made"`
}

// Import puts a file over the tree, all of it or nothing. The same file again changes
// nothing.
func (s *State) Import(ctx context.Context, by By, file []catalog.Entry) (done Imported, err error) {
	err = s.within(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `LOCK TABLE tributary.hub_org IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT `+orgColumns+` FROM tributary.hub_org o`)
		if err != nil {
			return err
		}
		known, err := pgx.CollectRows(rows, pgx.RowToStructByPos[catalog.Org])
		if err != nil {
			return err
		}
		orgs, problems := catalog.Plan(known, file)
		if len(problems) > 0 {
			return &refusal.Refusal{Kind: refusal.Invalid, Code: "ORG_FILE_INVALID", Problems: problems}
		}
		if done, err = write(ctx, tx, known, orgs, file); err != nil {
			return err
		}
		if err := stillOne(ctx, tx); err != nil {
			return err
		}
		return note(ctx, tx, by, Entry{Action: "org.import", Detail: fmt.Sprintf("added %d, changed %d, same %d", done.Added, done.Changed, done.Same)})
	})
	return done, err
}

// write brings the table to the new tree.
func write(ctx context.Context, tx pgx.Tx, known, orgs []catalog.Org, file []catalog.Entry) (done Imported, err error) {
	before := map[string]catalog.Org{}
	for _, o := range known {
		before[o.Code] = o
	}
	bare := map[string]bool{}
	for _, e := range file {
		bare[e.Name] = bare[e.Name] || e.Code == ""
	}
	batch := &pgx.Batch{}
	for _, o := range orgs {
		old, was := before[o.Code]
		switch {
		case !was:
			done.Added++
			if o.Kind == catalog.Zone && bare[o.Name] {
				done.Made = append(done.Made, o)
			}
		case old != o:
			done.Changed++
		default:
			done.Same++
			continue
		}
		batch.Queue(`INSERT INTO tributary.hub_org AS o (code, parent, name, kind, path) VALUES ($1, nullif($2, ''), $3, $4, $5)
			ON CONFLICT (code) DO UPDATE SET parent = excluded.parent, name = excluded.name, kind = excluded.kind, path = excluded.path`, o.Code, o.Parent, o.Name, string(o.Kind), o.Path)
	}
	return done, tx.SendBatch(ctx, batch).Close()
}

// stillOne holds the one-source rule against a tree in which orgs have moved.
func stillOne(ctx context.Context, tx pgx.Tx) error {
	feeds, err := feeds(ctx, tx, nil)
	if err != nil {
		return err
	}
	by := map[string][]catalog.Feed{}
	for _, f := range feeds {
		if rival := catalog.Rival(by[f.Dataset], f); rival != nil {
			return taken(f, rival)
		}
		by[f.Dataset] = append(by[f.Dataset], f)
	}
	return nil
}

// feeds gives those of some datasets, or of all for nil, of sources that aren't retired.
func feeds(ctx context.Context, tx pgx.Tx, datasets []string) ([]catalog.Feed, error) {
	rows, err := tx.Query(ctx, `SELECT f.dataset, f.source, f."table", s.standing, o.path FROM tributary.hub_feed f JOIN tributary.hub_source s ON s.id = f.source
		JOIN tributary.hub_org o ON o.code = s.org WHERE s.retired IS NULL AND ($1::text[] IS NULL OR f.dataset = ANY($1)) ORDER BY s.since, f.source, f."table"`, datasets)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[catalog.Feed])
}

func taken(f catalog.Feed, rival *catalog.Feed) error {
	return refusal.New(refusal.Conflict, "DATASET_TAKEN", "%s: %s (%s)", f.Dataset, rival.Source, rival.Table)
}

// asker is a transaction or the pool.
type asker interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// org gives the org of a code if it lies in the scopes.
func org(ctx context.Context, from asker, code string, scopes []string) (o catalog.Org, err error) {
	err = from.QueryRow(ctx, `SELECT `+orgColumns+` FROM tributary.hub_org o WHERE o.code = $1 AND `+inScope(2), code, scopes).Scan(&o.Code, &o.Parent, &o.Name, &o.Kind, &o.Path)
	if errors.Is(err, pgx.ErrNoRows) {
		return o, refusal.New(refusal.Unknown, "ORG_UNKNOWN", "%.80q", code)
	}
	return o, err
}
