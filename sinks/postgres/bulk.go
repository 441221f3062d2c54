package postgres

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

// bulk is a table's change divided by the cheapest way that is safe for each row. The
// rows stay where the batch has them.
type bulk struct {
	p *plan
	c *worker.TableChange
	// fresh rows are new at the source: they are copied into the table, and staged
	// if the table has one of their keys already.
	fresh []*worker.NetRow
	// upserts are staged whole rows, which may or may not be there.
	upserts []*worker.NetRow
	// updates are staged rows that keep their key, by the columns that they carry.
	updates []group
	// single rows change their key, and lack columns, so that their bases must be read,
	// or may meet another source's row.
	single []*worker.NetRow

	carries []bool
	parts   []part
}

type group struct {
	carries []bool
	all     bool
	rows    []*worker.NetRow
	short   bool // not all of its rows were there
}

// take begins a change; nothing of the one before is used any more.
func (b *bulk) take(p *plan, c *worker.TableChange) {
	*b = bulk{p: p, c: c, fresh: b.fresh[:0], upserts: b.upserts[:0], updates: b.updates[:0], single: b.single[:0], carries: b.carries[:0], parts: b.parts[:0]}
}

// each has every row go by itself.
func (b *bulk) each(p *plan, c *worker.TableChange) {
	b.take(p, c)
	for i := range c.Upserts {
		b.single = append(b.single, &c.Upserts[i])
	}
}

func (b *bulk) divide(p *plan, c *worker.TableChange) {
	b.take(p, c)
	b.carries = slices.Grow(b.carries, len(c.Table.Columns))[:len(c.Table.Columns)]
	for i := range c.Upserts {
		u := &c.Upserts[i]
		if u.New && p.exact {
			b.fresh = append(b.fresh, u)
			continue
		}
		all := carried(u.Values, b.carries)
		switch {
		case u.Base != nil && sameKey(c.Table.Key, u):
			b.update(all, u)
		case !all, p.shared() && u.Base != nil:
			b.single = append(b.single, u)
		default:
			b.upserts = append(b.upserts, u)
		}
	}
}

// forget lets go of the rows, and of memory that only a giant batch needed.
func (b *bulk) forget() {
	const rows, groups = 64 << 10, 16
	size := cap(b.fresh) + cap(b.upserts) + cap(b.single)
	for i := range b.updates {
		clear(b.updates[i].rows)
		size += cap(b.updates[i].rows)
	}
	if size > rows || cap(b.updates) > groups {
		*b = bulk{}
		return
	}
	clear(b.fresh)
	clear(b.upserts)
	clear(b.single)
	clear(b.parts)
	b.p, b.c = nil, nil
}

func sameKey(key []int, u *worker.NetRow) bool {
	for n, i := range key {
		if u.Base[n].N != u.Values[i].N || !bytes.Equal(u.Base[n].B, u.Values[i].B) {
			return false
		}
	}
	return true
}

func (b *bulk) update(all bool, u *worker.NetRow) {
	for i := range b.updates {
		if g := &b.updates[i]; slices.Equal(g.carries, b.carries) {
			g.rows = append(g.rows, u)
			return
		}
	}
	n := len(b.updates)
	b.updates = slices.Grow(b.updates, 1)[:n+1] // with the memory of a batch before
	g := &b.updates[n]
	*g = group{carries: append(g.carries[:0], b.carries...), all: all, rows: append(g.rows[:0], u)}
}

// byPlace has the planner look up each staged row in the table by its key. There are no
// statistics that could tell it so. What is switched off counts as very dear, which would
// start the compiler.
const byPlace = `SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true), set_config('enable_seqscan', 'off', true),
	set_config('enable_material', 'off', true), set_config('jit', 'off', true)`

// openStage makes the staging table, or empties it.
func (b *bulk) openStage(a *applying) {
	a.queue.Queue(b.p.openStage)
	b.p.inUse = true
	if a.staged[b.p] { // e.g. of a version that has come back within the batch
		a.queue.Queue("TRUNCATE " + b.p.stage)
	}
	if a.staged == nil {
		a.staged = map[*plan]bool{}
	}
	a.staged[b.p] = true
	a.queue.Queue(byPlace)
}

// stage copies what needs the staging table into it.
func (b *bulk) stage(ctx context.Context, a *applying) error {
	b.parts = append(b.parts, part{group: groupDelete, keys: b.c.Deletes}, part{group: groupUpsert, rows: b.upserts})
	for i := range b.updates {
		b.parts = append(b.parts, part{group: i, rows: b.updates[i].rows})
	}
	if len(b.c.Deletes)+len(b.upserts)+len(b.updates) == 0 {
		return nil
	}
	b.openStage(a)
	if err := a.send(ctx); err != nil {
		return err
	}
	e := encoder{p: b.p, a: a}
	return e.copy(ctx, b.p.copyStage, b.parts)
}

// write brings the staged rows and the fresh ones into the table.
func (b *bulk) write(ctx context.Context, a *applying, d *drift) error {
	source := b.c.Source
	if len(b.c.Deletes) > 0 {
		a.queue.Queue(b.p.deleteStage, source, groupDelete)
	}
	for i := range b.updates {
		g := &b.updates[i]
		if g.all && b.c.Loading { // many of them aren't there yet
			g.short = true
			continue
		}
		a.queue.Queue(b.p.update(g), source, i, a.id).Exec(func(tag pgconn.CommandTag) error {
			missing := len(g.rows) - int(tag.RowsAffected())
			switch {
			case missing == 0:
			case g.all:
				g.short = true
			case b.p.shared():
				d.others.add(int64(missing), g.rows[0].Position)
			case !b.c.Loading:
				return absentBase(b.c.Table, g.rows[0].Position.String())
			}
			return nil
		})
	}
	if len(b.upserts) > 0 {
		a.queue.Queue(b.p.upsertStage, source, groupUpsert, a.id)
	}
	if err := a.send(ctx); err != nil {
		return err
	}
	for i := range b.updates {
		if g := &b.updates[i]; g.short {
			a.queue.Queue(b.p.replaceStage, source, i, a.id).QueryRow(func(row pgx.Row) error { return d.count(row, g.rows) })
		}
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
	b.parts = append(b.parts[:0], part{group: groupFresh, rows: b.fresh})
	err := e.copy(ctx, b.p.copy, b.parts)
	var pe *pgconn.PgError
	if !errors.As(err, &pe) || pe.Code != "23505" { // unique_violation
		return err
	}
	if _, err := a.conn.Exec(ctx, "ROLLBACK TO SAVEPOINT fresh"); err != nil {
		return err
	}
	b.openStage(a)
	if err := a.send(ctx); err != nil {
		return err
	}
	e = encoder{p: b.p, a: a}
	b.parts[0].group = groupUpsert
	if err := e.copy(ctx, b.p.copyStage, b.parts); err != nil {
		return err
	}
	_, err = a.conn.Exec(ctx, b.p.upsertStage, b.c.Source, groupUpsert, a.id)
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
func (d *drift) count(row pgx.Row, staged []*worker.NetRow) error {
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
