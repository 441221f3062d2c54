package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tributary-cdc/tributary/capture/guard"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Room asks what a server keeps for a source's slot. It connects for each question, so
// that it works whatever the reader does. It implements guard.Server and guard.Keeper.
type Room struct{ o Options }

// NewRoom gives the room of the source that the options name.
func NewRoom(o Options) (*Room, error) {
	r, err := New(o)
	if err != nil {
		return nil, err
	}
	return &Room{r.o}, nil
}

// askRoom has one row with the log's end and, if our slot is there, what is kept for it. wal_status and
// safe_wal_size are from PostgreSQL 13 on; before that nothing bounds a slot.
const askRoom = `SELECT pg_current_wal_lsn()::text, (SELECT system_identifier::text FROM pg_control_system()), s.slot_name IS NOT NULL,
	coalesce(s.confirmed_flush_lsn::text, ''), coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn), 0)::bigint::text,
	coalesce(to_jsonb(s)->>'wal_status', ''), coalesce(to_jsonb(s)->>'safe_wal_size', ''), s.restart_lsn IS NULL,
	substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), (SELECT setting FROM pg_settings WHERE name = 'wal_writer_delay')
	FROM (SELECT 1) one LEFT JOIN pg_replication_slots s ON `

// serverName tells a server from its replicas, which go on in another timeline.
func serverName(system string, timeline int32) string { return fmt.Sprintf("%s/%d", system, timeline) }

// Server names the server that is read since Start, as guard.Room.Server does. It may be
// called while Next reads, but not while Start does.
func (r *Reader) Server() string { return serverName(r.state.System, r.state.Timeline) }

// ours is true of the source's slot, and of nobody else's that has its name.
func (r *Room) ours() string {
	return "slot_name = '" + strings.ReplaceAll(r.o.Slot, "'", "''") + "' AND plugin = 'pgoutput' AND database = current_database()"
}

// Room implements guard.Server. The slot itself says up to where it was read.
func (r *Room) Room(ctx context.Context, _ event.Place) (guard.Room, error) {
	s, err := Open(ctx, r.o)
	if err != nil {
		return guard.Room{}, err
	}
	defer s.Close(ctx)
	rows, err := s.Rows(ctx, "ask what is kept for the slot", askRoom+r.ours())
	if err != nil {
		return guard.Room{}, err
	}
	row := rows[0]
	var end, read pgtypeLSN
	if err := end.Scan(row[0]); err != nil {
		return guard.Room{}, fmt.Errorf("end of the WAL: %w", err)
	}
	out := guard.Room{Identity: row[1], End: event.Place{Offset: uint64(end)}, Written: int64(end), Spare: -1}
	timeline, err := strconv.ParseUint(row[8], 16, 32)
	if err != nil {
		return guard.Room{}, fmt.Errorf("timeline: %w", err)
	}
	out.Server = serverName(row[1], int32(timeline))
	delay, err := strconv.ParseInt(row[9], 10, 32)
	if err != nil {
		return guard.Room{}, fmt.Errorf("wal_writer_delay: %w", err)
	}
	// What is committed asynchronously is written within three times the delay (PostgreSQL
	// manual, "Asynchronous Commit").
	out.Unwritten = 3 * time.Duration(delay) * time.Millisecond
	if out.Kept = row[2] == "t" && row[7] != "t"; !out.Kept { // one that has lost its WAL keeps nothing
		return out, nil
	}
	if row[3] != "" {
		if err := read.Scan(row[3]); err != nil {
			return guard.Room{}, fmt.Errorf("place of the slot: %w", err)
		}
	}
	out.At = event.Place{Offset: uint64(read)}
	out.Behind = max(0, int64(end)-int64(read))
	if out.Held, err = strconv.ParseInt(row[4], 10, 64); err != nil {
		return guard.Room{}, fmt.Errorf("WAL that is kept for the slot: %w", err)
	}
	out.Status = row[5]
	out.Urgent = out.Status == "unreserved"
	if row[6] != "" {
		left, err := strconv.ParseInt(row[6], 10, 64)
		if err != nil {
			return guard.Room{}, fmt.Errorf("safe_wal_size: %w", err)
		}
		out.Sizes = []guard.SizeBound{{Name: "max_slot_wal_keep_size", Limit: max(0, left) + out.Held, Left: left, Repair: keepMore(max(0, left) + out.Held)}}
	}
	return out, nil
}

// keepMore lets the server keep twice as much for a slot.
func keepMore(bytes int64) string {
	return fmt.Sprintf("ALTER SYSTEM SET max_slot_wal_keep_size = '%dMB'; SELECT pg_reload_conf()", max(1, 2*bytes>>20))
}

// GiveUp implements guard.Keeper: it drops the slot, and ends the connection that reads there.
func (r *Room) GiveUp(ctx context.Context) error {
	s, err := Open(ctx, r.o)
	if err != nil {
		return err
	}
	defer s.Close(ctx)
	of := " FROM pg_replication_slots WHERE " + r.ours()
	for {
		if _, err := s.Rows(ctx, "end the slot's reader", "SELECT pg_terminate_backend(active_pid)"+of+" AND active_pid IS NOT NULL"); err != nil {
			return err
		}
		_, err := s.Rows(ctx, "drop the slot", "SELECT pg_drop_replication_slot(slot_name)"+of)
		var pe *pgconn.PgError
		if !errors.As(err, &pe) || pe.Code != "55006" { // a reader that isn't gone yet, or has come again
			return err
		}
		t := time.NewTimer(50 * time.Millisecond)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return errors.Join(ctx.Err(), err)
		}
	}
}
