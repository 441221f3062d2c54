package postgres

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/stream/event"
)

// The stream says nothing of DDL, only how the columns of a table stand when its next row
// comes. What has become of rows that stand already shows in the catalogue alone, so the
// reader remembers the shape of each table, and looks whether it is another one. The
// catalogue may be ahead of the stream; a load that begins then is ahead of it as well.
// PostgreSQL 10 leaves TRUNCATE out of the stream, too; there a table with another file
// has changed.
// Source: PostgreSQL 15 manual, 53.7 (pg_attribute), 53.11 (pg_class); 10, 31.7 (restrictions).

// shape is what tells whether a table is as it was.
type shape struct {
	OID  uint32 `json:"o"`
	File uint32 `json:"f,omitempty"` // it gets another one when it is rewritten, or truncated
	Last int    `json:"n"`           // the highest number of a column
	// Columns is made of the columns' numbers, names and types, Changes of which changes
	// of the catalogue they come from.
	Columns uint32 `json:"c"`
	Changes uint32 `json:"x"`
	// Worn says that the store may have columns that the table hasn't, and whose names new
	// ones may take: those of another table that had the name, of a column that was
	// renamed, or that was lost in a gap.
	Worn bool `json:"w,omitempty"`
}

// found is a table as the catalogue has it now.
type found struct {
	shape
	numbers []int32
	parts   [2][]string // of Columns and of Changes
	// plain says of each column that rows of before have NULL in it if it is new.
	plain   []bool
	dropped bool // it has lost a column at some time
}

// shapesOf reads the shapes of the tables that the rest of the statement names as t: oid,
// schema and name. OFFSET has the server find them before it looks at their columns, else it
// looks at those of all tables that it has.
const shapesOf = `SELECT t.oid, t.schema, t.name, c.relfilenode, a.* FROM (%s OFFSET 0) t JOIN pg_class c ON c.oid = t.oid
	CROSS JOIN LATERAL (SELECT array_agg(attnum::int ORDER BY attnum) FILTER (WHERE NOT attisdropped), array_agg(attname || ' ' || atttypid ORDER BY attnum) FILTER (WHERE NOT attisdropped),
		array_agg(a.xmin::text ORDER BY attnum) FILTER (WHERE NOT attisdropped),
		array_agg(NOT attnotnull AND NOT atthasdef AND attidentity = '' AND coalesce(to_jsonb(a)->>'attgenerated', '') = '' AND coalesce(to_jsonb(a)->>'atthasmissing', 'false') = 'false' ORDER BY attnum)
			FILTER (WHERE NOT attisdropped), bool_or(attisdropped) FROM pg_attribute a WHERE a.attrelid = t.oid AND attnum > 0) a`

// All tables of the publication, or one of them. To ask for what is published takes time
// for all that is, so one that the publication names itself is looked for there first.
const (
	published = `SELECT c.oid, p.schemaname::text AS schema, p.tablename::text AS name FROM pg_publication_tables p
		JOIN pg_namespace n ON n.nspname = p.schemaname JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename WHERE p.pubname = $1`
	publishedBy = `SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.oid = $2 AND EXISTS (SELECT FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE p.pubname = $1 AND r.prrelid = c.oid)`
)

var (
	shapesOfAll  = fmt.Sprintf(shapesOf, published)
	shapeOfNamed = fmt.Sprintf(shapesOf, publishedBy)
	shapeOfOne   = fmt.Sprintf(shapesOf, published+" AND c.oid = $2")
)

// blind asks whether the server leaves TRUNCATE out.
func (r *Reader) blind(ctx context.Context) (blind bool, err error) {
	err = r.sql.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'pg_publication'::regclass AND attname = 'pubtruncate')`).Scan(&blind)
	if err != nil {
		return false, connection("look for TRUNCATE in publications", err)
	}
	return blind, nil
}

// shapes reads the shapes of captured tables, by the table's id; of one, or of all with 0.
func (r *Reader) shapes(ctx context.Context, oid uint32) (map[string]*found, error) {
	if oid == 0 {
		return r.shapesBy(ctx, shapesOfAll, r.o.Publication)
	}
	out, err := r.shapesBy(ctx, shapeOfNamed, r.o.Publication, oid)
	if err == nil && len(out) == 0 {
		out, err = r.shapesBy(ctx, shapeOfOne, r.o.Publication, oid)
	}
	return out, err
}

func (r *Reader) shapesBy(ctx context.Context, statement string, of ...any) (map[string]*found, error) {
	rows, err := r.sql.Query(ctx, statement, of...)
	if err != nil {
		return nil, connection("read the tables' shapes", err)
	}
	out := map[string]*found{}
	var schema, name string
	var f found
	if _, err := pgx.ForEachRow(rows, []any{&f.OID, &schema, &name, &f.File, &f.numbers, &f.parts[0], &f.parts[1], &f.plain, &f.dropped}, func() error {
		if name = schema + "." + name; r.wanted(name) && len(f.numbers) > 0 {
			now := f
			now.Last = int(now.numbers[len(now.numbers)-1])
			now.Columns, now.Changes = now.upTo(now.Last)
			out[r.o.Database+"."+name] = &now
		}
		f = found{}
		return nil
	}); err != nil {
		return nil, connection("read the tables' shapes", err)
	}
	return out, nil
}

// upTo gives Columns and Changes of the columns up to a number.
func (f *found) upTo(last int) (columns, changes uint32) {
	var sums [2]uint32
	for i := range sums {
		h := fnv.New32a()
		for n, number := range f.numbers {
			if int(number) <= last {
				_, _ = fmt.Fprintf(h, "%d %s\n", number, f.parts[i][n]) // a hash takes everything
			}
		}
		sums[i] = h.Sum32()
	}
	return sums[0], sums[1]
}

// worn gives the shape to remember.
func (f *found) worn(yes bool) shape {
	s := f.shape
	s.Worn = yes
	return s
}

// lacks reports whether a table may have lost columns that it has had in the log. What the
// log never had no store has; of a table that it doesn't know nothing can be told.
func (f *found) lacks(had []string) bool {
	return len(had) == 0 || slices.ContainsFunc(had, func(c string) bool {
		return !slices.ContainsFunc(f.parts[0], func(part string) bool { return part[:strings.LastIndexByte(part, ' ')] == c })
	})
}

// replaces reports whether the store may have columns of what a table was, and it hasn't.
func (f *found) replaces(was shape) bool {
	columns, _ := f.upTo(was.Last)
	return was.Worn || f.OID != was.OID || columns != was.Columns
}

// differs says how a table differs from what it was, empty if it doesn't, and whether
// rows of before may have other values, or be gone. With blind a TRUNCATE shows by the
// table's file only.
func (f *found) differs(was shape, blind bool) (how string, reread bool) {
	columns, changes := f.upTo(was.Last)
	quiet := true
	for i, number := range f.numbers {
		quiet = quiet && (int(number) <= was.Last || f.plain[i] && !f.dropped && !was.Worn)
	}
	switch {
	case f.OID != was.OID:
		return "another table has its name", true
	case columns != was.Columns:
		return "columns were dropped, renamed or got another type", true
	case !quiet:
		return "columns were added", true
	case f.File != was.File && (blind || changes != was.Changes):
		return "it has another file than before", true
	case f.Last > was.Last:
		return "columns were added", false
	case changes != was.Changes:
		return "columns were altered", false
	}
	return "", false
}

// lookEvery is the least time between two looks at the catalogue on servers that tell of
// TRUNCATE. A look that takes long, with thousands of tables, is taken less often: the
// server isn't ours.
const (
	lookEvery = 5 * time.Second
	lookShare = 50 // of the time, one part of so many at most
)

// look finds tables that aren't what they were: all of them, or one. It reports whether
// there was any.
func (r *Reader) look(ctx context.Context, oid uint32) (changed bool, err error) {
	began := time.Now()
	now, err := r.shapes(ctx, oid)
	if err != nil {
		return false, err
	}
	if oid == 0 {
		r.lookAt = time.Now().Add(max(lookEvery, lookShare*time.Since(began)))
		if err := r.missing(ctx, now); err != nil {
			return false, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		was, known := r.state.Shapes[name]
		how, reread := now[name].differs(was, r.truncateUnseen)
		if !known {
			how, reread = "the publication has got it", true
		}
		// Rows may be gone.
		if known && (now[name].OID != was.OID || r.truncateUnseen && now[name].File != was.File) {
			changed = true
			if passed, err := r.passed(ctx, name, now[name].shape); err != nil {
				return changed, err
			} else if !passed {
				continue
			}
		}
		delete(r.pending, name)
		r.state.Shapes[name] = now[name].worn(!known || now[name].replaces(was))
		if how == "" {
			continue
		}
		changed = true
		if err := r.alter(ctx, event.Alteration{Table: name, Reason: how, Reread: reread}); err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// sighting is a shape that a table has got, with a place in the log behind all that was
// written before.
type sighting struct {
	shape shape
	end   uint64
}

// passed reports whether the stream is behind all that was written to a table before it
// got a shape. A load that began earlier would keep rows that the stream brings after its
// beginning, and that a TRUNCATE or another table of the name has removed since.
func (r *Reader) passed(ctx context.Context, name string, now shape) (bool, error) {
	seen, known := r.pending[name]
	if !known || seen.shape != now {
		end, err := r.logEnd(ctx)
		if err != nil {
			return false, err
		}
		seen = sighting{now, end}
		r.pending[name] = seen
	}
	return r.end.Offset >= seen.end, nil
}

// due reports whether the stream has passed what a table waits for.
func (r *Reader) due() bool {
	for _, s := range r.pending {
		if r.end.Offset >= s.end {
			return true
		}
	}
	return false
}

// missing stops tables that the publication hasn't got any more, once the stream is behind
// all that was written to them. Of those that had stopped it sees whether they are there.
func (r *Reader) missing(ctx context.Context, now map[string]*found) error {
	var away []string
	for i := range r.state.Stopped {
		if s := &r.state.Stopped[i]; left(s) && r.Captures(s.Table) {
			away = append(away, s.Table)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.state.Shapes)) {
		if now[name] != nil {
			delete(r.leaving, name)
			continue
		}
		delete(r.pending, name)
		if r.leaving[name] == 0 {
			end, err := r.logEnd(ctx)
			if err != nil {
				return err
			}
			r.leaving[name] = end
		}
		if r.end.Offset < r.leaving[name] {
			continue
		}
		delete(r.leaving, name)
		delete(r.state.Shapes, name)
		if r.state.stopOf(name) == nil && r.Captures(name) {
			away = append(away, name)
		}
	}
	return r.stopAway(ctx, away)
}

// unpublished is the code of a table that is there, and whose changes don't come.
const unpublished = "TABLE_UNPUBLISHED"

// left reports whether a table has stopped because the publication hasn't got it.
func left(stop *event.TableStop) bool {
	return stop.Code == event.CodeDropped || stop.Code == unpublished
}

// stopAway stops tables that the publication hasn't got, by whether they are there.
func (r *Reader) stopAway(ctx context.Context, tables []string) error {
	if len(tables) == 0 {
		return nil
	}
	names := make([]string, len(tables)) // schema.table: where the one ends and the other begins, their dots don't tell
	for i, table := range tables {
		names[i] = strings.TrimPrefix(table, r.o.Database+".")
	}
	rows, err := r.sql.Query(ctx, `SELECT t.name FROM unnest($1::text[]) t(name) JOIN (pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace)
		ON n.nspname || '.' || c.relname = t.name WHERE c.relkind IN ('r', 'p')`, names)
	if err != nil {
		return connection("look for tables that aren't published", err)
	}
	there, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return connection("look for tables that aren't published", err)
	}
	for i, table := range tables {
		stop := &event.TableStop{Table: table, Code: event.CodeDropped, Reason: "the table was dropped or renamed"}
		if slices.Contains(there, names[i]) {
			stop.Code, stop.Reason = unpublished, "the table isn't in the publication "+r.o.Publication
		}
		if was := r.state.stopOf(table); was == nil || was.Code != stop.Code {
			r.unstop(table)
			r.halt(stop)
		}
	}
	return nil
}

// unstop forgets why a table has stopped.
func (r *Reader) unstop(table string) {
	r.state.Stopped = slices.DeleteFunc(r.state.Stopped, func(s event.TableStop) bool { return s.Table == table })
}

// alter says that a table isn't what it was.
func (r *Reader) alter(ctx context.Context, a event.Alteration) error {
	if stop := r.state.stopOf(a.Table); stop != nil {
		if !left(stop) { // only a person lets it go on
			return nil
		}
		a.Resumed = true
		if err := r.deliver(ctx, a.Table); err != nil {
			return err
		}
	}
	r.stateAt = time.Time{} // the next segment carries the state
	seg := event.Segment{Kind: event.TableAltered, Altered: &a}
	if r.seg != nil {
		seg.Txn = r.seg.Txn
	}
	r.queue.PushSegment(seg)
	return nil
}

// deliver forgets that a table has stopped.
func (r *Reader) deliver(ctx context.Context, table string) error {
	r.unstop(table)
	for id, rel := range r.relations {
		if rel.stop == nil || rel.stop.Table != table {
			continue
		}
		if err := r.describeAgain(ctx, id, rel); err != nil {
			return err
		}
	}
	return nil
}

// describeAgain takes a Relation message anew, since what is wanted of its table is another
// thing now. The server doesn't repeat it.
func (r *Reader) describeAgain(ctx context.Context, id uint32, old *relation) error {
	delete(r.relations, id)
	rel, err := r.announce(ctx, &old.said)
	if err != nil {
		return err
	}
	r.relations[id] = rel
	if rel.stop != nil && r.state.stopOf(rel.stop.Table) == nil {
		r.halt(rel.stop)
	}
	return nil
}

// Restart implements snapshot.Restarter.
func (r *Reader) Restart(table string) {
	r.orders.Lock()
	defer r.orders.Unlock()
	r.restarts = append(r.restarts, table)
}

// restart delivers the tables again that a person has ordered, between two transactions.
func (r *Reader) restart(ctx context.Context) error {
	r.orders.Lock()
	defer r.orders.Unlock()
	for _, name := range r.restarts {
		if r.state.stopOf(name) == nil {
			continue
		}
		if there, err := r.published(ctx, name); err != nil {
			return err
		} else if !there { // it stays stopped, for nothing of it would arrive
			continue
		}
		if err := r.deliver(ctx, name); err != nil {
			return err
		}
		if r.state.stopOf(name) == nil {
			r.stateAt = time.Time{}
			r.queue.PushSegment(event.Segment{Kind: event.TableAltered, Altered: &event.Alteration{Table: name, Reason: "a person has ordered it", Reread: true, Resumed: true}})
		}
	}
	r.restarts = nil
	return nil
}

// halt records that a table has stopped and says so.
func (r *Reader) halt(stop *event.TableStop) {
	r.state.Stopped = append(r.state.Stopped, *stop)
	r.stateAt = time.Time{} // the next segment carries the state
	for id, rel := range r.relations {
		if rel.table != nil && rel.table.ID() == stop.Table {
			r.relations[id] = &relation{said: rel.said, stop: stop}
		}
	}
	seg := event.Segment{Kind: event.TableStopped, Stop: stop}
	if r.seg != nil {
		seg.Txn = r.seg.Txn
	}
	r.queue.PushSegment(seg)
}
