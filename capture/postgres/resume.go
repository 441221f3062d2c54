package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
)

// resume proves continuity, or makes slot and publication on a first start.
func (r *Reader) resume(ctx context.Context, res capture.Resume) error {
	id, err := pglogrepl.IdentifySystem(ctx, r.conn)
	if err != nil {
		return connection("identify the server", err)
	}
	r.again = nil
	if res.Repair {
		return r.repair(ctx, id, res)
	}
	if res.State == nil {
		if !res.Last.IsZero() { // an order for a first start may still stand in the configuration
			return &capture.GapError{Code: "NO_STATE", From: res.Last, Reason: "the log has transactions of this source, but not the reader's state that proves where they continue"}
		}
		if !res.FirstStart {
			return capture.ErrNoFirstStart
		}
		r.additions.Reset(nil)
		return r.first(ctx, id)
	}
	r.state = state{}
	if err := json.Unmarshal(res.State, &r.state); err != nil {
		return fmt.Errorf("read the reader's state: %w", err)
	}
	gap := func(code, format string, args ...any) error {
		return &capture.GapError{Code: code, Reason: fmt.Sprintf(format, args...), From: res.Last}
	}
	if id.SystemID != r.state.System {
		return gap("OTHER_SERVER", "system identifier is %s, was %s", id.SystemID, r.state.System)
	}
	last := &again{last: res.Last, id: r.state.LastID}
	if n := len(res.Since); n > 0 {
		last.id = res.Since[n-1]
		r.state.LastID = last.id // the next state may be written before the next transaction
	}
	if id.Timeline != r.state.Timeline {
		if err := r.promoted(ctx, id, &res, gap); err != nil {
			return err
		}
	}
	var flushed pgtypeLSN
	var plugin, database string
	var lost bool
	err = r.sql.QueryRow(ctx, `SELECT coalesce(confirmed_flush_lsn, '0/0')::text, plugin, database, restart_lsn IS NULL FROM pg_replication_slots WHERE slot_name = $1`, r.o.Slot).
		Scan(&flushed, &plugin, &database, &lost)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return gap("SLOT_LOST", "slot %s doesn't exist", r.o.Slot)
	case err != nil:
		return connection("look at the slot", err)
	case lost:
		return gap("SLOT_INVALIDATED", "slot %s has lost its WAL", r.o.Slot)
	case plugin != "pgoutput" || database != r.o.Database:
		return gap("SLOT_OTHER", "slot %s is of plugin %s and database %s", r.o.Slot, plugin, database)
	case uint64(flushed) > res.Restart.Offset:
		return gap("SLOT_AHEAD", "slot %s stands at %s, the log at %s", r.o.Slot, pglogrepl.LSN(flushed), pglogrepl.LSN(res.Restart.Offset))
	}
	if uint64(id.XLogPos) < res.Restart.Offset {
		return gap("LOG_RESET", "the server's log ends at %s, before %s", id.XLogPos, pglogrepl.LSN(res.Restart.Offset))
	}
	r.end = res.Restart
	if last.id != "" && uint64(flushed) <= last.last.Place.Offset {
		r.again = last
	}
	return nil
}

// pgtypeLSN scans an LSN's text.
type pgtypeLSN uint64

// Scan implements database/sql.Scanner, which pgx uses for text.
func (l *pgtypeLSN) Scan(src any) error {
	s, ok := src.(string)
	if !ok {
		return fmt.Errorf("LSN as %T", src)
	}
	v, err := pglogrepl.ParseLSN(s)
	*l = pgtypeLSN(v)
	return err
}

// logEnd asks for a place behind all that has been written so far.
const logEnd = "SELECT pg_current_wal_insert_lsn()::text"

// logEnd gives a place behind all that has been written so far, by anybody and whether
// committed or not.
func (r *Reader) logEnd(ctx context.Context) (uint64, error) {
	var end pgtypeLSN
	if err := r.sql.QueryRow(ctx, logEnd).Scan(&end); err != nil {
		return 0, connection("read the end of the log", err)
	}
	return uint64(end), nil
}

func (r *Reader) first(ctx context.Context, id pglogrepl.IdentifySystemResult) error {
	var there bool
	if err := r.sql.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_publication WHERE pubname = $1)`, r.o.Publication).Scan(&there); err != nil {
		return connection("look at the publication", err)
	}
	if !there {
		if err := r.publish(ctx); err != nil {
			return err
		}
	}
	// A slot that is left is that of a start which came to no record. It would give changes
	// of a time whose tables nobody has seen: rows that are gone, by what the stream doesn't tell.
	if err := r.dropSlot(ctx); err != nil {
		return err
	}
	before, err := r.shapes(ctx, 0) // what changes from here on, look finds
	if err != nil {
		return err
	}
	slot, err := r.createSlot(ctx)
	if err != nil {
		return &capture.Coded{Code: "PG_SLOT", Hint: "a slot of this name may be left from an earlier start: SELECT pg_drop_replication_slot('" + r.o.Slot + "')",
			Err: connection("create the slot "+r.o.Slot, err)}
	}
	lsn, err := pglogrepl.ParseLSN(slot.ConsistentPoint)
	if err != nil {
		return fmt.Errorf("slot's start %q: %w", slot.ConsistentPoint, err)
	}
	r.state = state{System: id.SystemID, Timeline: id.Timeline, Slot: r.o.Slot, Epoch: uint32(time.Now().Unix()), Shapes: map[string]shape{}}
	for name, f := range before {
		r.state.Shapes[name] = f.worn(r.repaired && f.lacks(r.had[name]))
	}
	r.end = event.Place{Offset: uint64(lsn)}
	return nil
}

// dropSlot drops the reader's own slot, if there is one. One of another plugin or database
// isn't its own, and stays in the way.
func (r *Reader) dropSlot(ctx context.Context) error {
	if _, err := r.sql.Exec(ctx, `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
		WHERE slot_name = $1 AND plugin = 'pgoutput' AND database = current_database()`, r.o.Slot); err != nil {
		return connection("drop the slot "+r.o.Slot, err)
	}
	return nil
}

// repair begins anew with a slot of its own, on whatever server. What was added stays so.
func (r *Reader) repair(ctx context.Context, id pglogrepl.IdentifySystemResult, res capture.Resume) error {
	var old state
	if res.State != nil {
		if err := json.Unmarshal(res.State, &old); err != nil {
			return fmt.Errorf("read the reader's state: %w", err)
		}
	}
	r.repaired, r.had = true, res.Had
	r.additions.Reset(old.Added)
	if err := r.first(ctx, id); err != nil {
		return err
	}
	r.state.Epoch, r.state.Added = capture.NextEpoch(old.Epoch, res.Last.Epoch), old.Added
	return nil
}
