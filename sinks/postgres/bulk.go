package postgres

import (
	"bytes"
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

// bulk is a table's change divided by the cheapest way that is safe for each row.
type bulk struct {
	p *plan
	c *worker.TableChange
	// fresh rows are new at the source: they are copied into the table, and staged
	// if the table has one of their keys already.
	fresh []worker.NetRow
	// upserts are staged whole rows, which may or may not be there.
	upserts []worker.NetRow
	// updates are staged rows that keep their key, by the columns that they carry.
	updates []group
	// single rows change their key, and lack columns, so that their bases must be read,
	// or may meet another source's row.
	single []worker.NetRow
}

type group struct {
	carries []bool
	all     bool
	rows    []worker.NetRow
}

func divide(p *plan, c *worker.TableChange) *bulk {
	b := &bulk{p: p, c: c}
	carries := make([]bool, len(c.Table.Columns))
	for i := range c.Upserts {
		u := &c.Upserts[i]
		all := carried(u.Values, carries)
		switch {
		case u.New && p.exact:
			b.fresh = append(b.fresh, *u)
		case u.Base != nil && sameKey(c.Table.Key, u):
			b.update(carries, all, u)
		case !all, p.shared() && u.Base != nil:
			b.single = append(b.single, *u)
		default:
			b.upserts = append(b.upserts, *u)
		}
	}
	return b
}

func sameKey(key []int, u *worker.NetRow) bool {
	for n, i := range key {
		if u.Base[n].N != u.Values[i].N || !bytes.Equal(u.Base[n].B, u.Values[i].B) {
			return false
		}
	}
	return true
}

func (b *bulk) update(carries []bool, all bool, u *worker.NetRow) {
next:
	for i := range b.updates {
		for n, has := range b.updates[i].carries {
			if has != carries[n] {
				continue next
			}
		}
		b.updates[i].rows = append(b.updates[i].rows, *u)
		return
	}
	b.updates = append(b.updates, group{carries: append([]bool(nil), carries...), all: all, rows: []worker.NetRow{*u}})
}

// stage copies what needs the staging table into it.
func (b *bulk) stage(ctx context.Context, a *applying) error {
	a.queue.Queue(b.p.createStage())
	b.p.inUse = true
	if a.staged[b.p] { // a version that has come back within the batch
		a.queue.Queue("TRUNCATE " + b.p.stage)
	}
	if a.staged == nil {
		a.staged = map[*plan]bool{}
	}
	a.staged[b.p] = true
	// The only join is by a row's place in the table. Without statistics the planner
	// might still read the whole table for it; what is switched off counts as very
	// dear, which would start the compiler.
	for _, setting := range []string{"enable_hashjoin", "enable_mergejoin", "enable_seqscan", "jit"} {
		a.queue.Queue("SET LOCAL " + setting + " = off")
	}
	if err := a.send(ctx); err != nil {
		return err
	}
	e := encoder{p: b.p, a: a}
	return e.copy(ctx, "COPY "+b.p.stage+" FROM STDIN BINARY", func(yield func(row) bool) {
		for _, k := range b.c.Deletes {
			if !yield(row{group: groupDelete, key: k}) {
				return
			}
		}
		if !staged(yield, groupUpsert, b.upserts) {
			return
		}
		for i, g := range b.updates {
			if !staged(yield, i, g.rows) {
				return
			}
		}
	})
}

func staged(yield func(row) bool, group int, rows []worker.NetRow) bool {
	for i := range rows {
		if !yield(row{group: group, net: &rows[i]}) {
			return false
		}
	}
	return true
}

// write brings the staged rows and the fresh ones into the table.
func (b *bulk) write(ctx context.Context, a *applying, d *drift) error {
	source := b.c.Source
	if len(b.c.Deletes) > 0 {
		a.queue.Queue(b.p.deleteStaged(), source, groupDelete)
	}
	for i, g := range b.updates {
		if g.all {
			a.queue.Queue(b.p.replaceStaged(), source, i, a.id).QueryRow(func(row pgx.Row) error { return d.count(row, g.rows) })
			continue
		}
		a.queue.Queue(b.p.updateStaged(g.carries), source, i, a.id).Exec(func(tag pgconn.CommandTag) error {
			missing := len(g.rows) - int(tag.RowsAffected())
			if missing > 0 && b.p.shared() {
				d.others.add(int64(missing), g.rows[0].Position)
			} else if missing > 0 && !b.c.Loading {
				return absentBase(b.c.Table, g.rows[0].Position.String())
			}
			return nil
		})
	}
	if len(b.upserts) > 0 {
		a.queue.Queue(b.p.upsertStaged(), source, groupUpsert, a.id)
	}
	if err := a.send(ctx); err != nil {
		return err
	}
	return b.insert(ctx, a)
}

// insert copies the fresh rows into the table. If one of them is there already,
// e.g. after a table was read again, all of them are upserted.
func (b *bulk) insert(ctx context.Context, a *applying) error {
	if len(b.fresh) == 0 {
		return nil
	}
	if _, err := a.conn.Exec(ctx, "SAVEPOINT fresh"); err != nil {
		return err
	}
	e := encoder{p: b.p, a: a, source: b.c.Source}
	err := e.copy(ctx, b.p.copy, func(yield func(row) bool) { staged(yield, groupFresh, b.fresh) })
	var pe *pgconn.PgError
	if !errors.As(err, &pe) || pe.Code != "23505" { // unique_violation
		return err
	}
	for _, sql := range []string{"ROLLBACK TO SAVEPOINT fresh", "DELETE FROM " + b.p.stage} {
		if _, err := a.conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	e = encoder{p: b.p, a: a}
	if err := e.copy(ctx, "COPY "+b.p.stage+" FROM STDIN BINARY", func(yield func(row) bool) { staged(yield, groupUpsert, b.fresh) }); err != nil {
		return err
	}
	_, err = a.conn.Exec(ctx, b.p.upsertStaged(), b.c.Source, groupUpsert, a.id)
	return err
}

// drift counts rows that were changed at the source and aren't its own in the store.
type drift struct {
	missing tally // somebody else has removed them, or they were never there
	others  tally // another source owns them now, or did
}

// tally counts rows, and keeps the first one's position.
type tally struct {
	rows  int64
	first event.Position
}

func (t *tally) add(n int64, at event.Position) {
	if n == 0 {
		return
	}
	if t.rows == 0 || at.Compare(t.first) < 0 {
		t.first = at
	}
	t.rows += n
}

// count takes the answer of replaceStaged.
func (d *drift) count(row pgx.Row, staged []worker.NetRow) error {
	var written, fresh int64
	var first string
	if err := row.Scan(&written, &fresh, &first); err != nil {
		return err
	}
	d.others.add(int64(len(staged))-written, staged[0].Position)
	if fresh == 0 {
		return nil
	}
	at, err := event.ParsePosition(first)
	d.missing.add(fresh, at)
	return err
}

// look takes the answer for a row that had a base.
func (d *drift) look(row pgx.Row, key []int, u *worker.NetRow) error {
	var inserted bool
	err := row.Scan(&inserted)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		d.others.add(1, u.Position)
		return nil
	case err == nil && inserted && sameKey(key, u):
		d.missing.add(1, u.Position)
	}
	return err
}
