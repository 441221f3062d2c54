package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pglogrepl"

	"github.com/tributary-cdc/tributary/capture"
)

// failoverSlots is the first release, as server_version_num has it, whose standbys can
// keep a logical slot of their primary (manual, "Replication Slot Synchronization").
const failoverSlots = 170000

// CreateSlot is the statement by which a DBA makes the slot that the reader would make.
func CreateSlot(version int, quotedName string) string {
	if version < failoverSlots {
		return "SELECT pg_create_logical_replication_slot(" + quotedName + ", 'pgoutput')"
	}
	return "SELECT pg_create_logical_replication_slot(" + quotedName + ", 'pgoutput', failover => true)"
}

// promoted goes on at a server of a later timeline: a standby that was promoted. It has
// all that was read if the old timeline's part of its history goes beyond that, and to the
// end of what loads have shown, which the stream may have passed over: rows of a table that
// was captured later, and its place in the publication. What the old server has written
// after that part is none of its history. Its log's places go on
// from there, but the same place may have been another thing, so a new epoch begins.
func (r *Reader) promoted(ctx context.Context, id pglogrepl.IdentifySystemResult, res *capture.Resume, gap func(code, format string, args ...any) error) error {
	old := r.state.Timeline
	if id.Timeline < old {
		return gap("OTHER_TIMELINE", "timeline is %d, was %d", id.Timeline, old)
	}
	history, err := pglogrepl.TimelineHistory(ctx, r.conn, id.Timeline)
	if err != nil {
		return connection("read the history of timelines", err)
	}
	end, found, err := timelineEnd(string(history.Content), old)
	switch {
	case err != nil:
		return err
	case !found:
		return gap("OTHER_TIMELINE", "timeline is %d, was %d, which isn't in its history", id.Timeline, old)
	case res.Last.Place.Offset >= end:
		return gap("OTHER_TIMELINE", "timeline is %d, was %d, which ends at %s in its history, and a transaction at %s was read", id.Timeline, old, pglogrepl.LSN(end), pglogrepl.LSN(res.Last.Place.Offset))
	case res.Shown.Offset > end:
		return gap("OTHER_TIMELINE", "timeline is %d, was %d, which ends at %s in its history, and tables were read as they were at %s", id.Timeline, old, pglogrepl.LSN(end), pglogrepl.LSN(res.Shown.Offset))
	}
	var slot bool
	if err := r.sql.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1)", r.o.Slot).Scan(&slot); err != nil {
		return connection("look at the slot", err)
	}
	if !slot {
		return gap("OTHER_TIMELINE", "timeline is %d, was %d, and slot %s wasn't kept by the server that was promoted", id.Timeline, old, r.o.Slot)
	}
	// What was silence on the old server may be transactions on this one.
	res.Restart.Offset = min(res.Restart.Offset, end)
	r.state.Timeline, r.state.Epoch, r.state.LastID = id.Timeline, capture.NextEpoch(r.state.Epoch, res.Last.Epoch), ""
	return nil
}

// timelineEnd finds in a timeline's history where an older timeline ends (manual,
// "Timelines"; a line has its number, the place where the next begins, and a reason).
func timelineEnd(history string, timeline int32) (end uint64, found bool, err error) {
	for line := range strings.Lines(history) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		n, err := strconv.ParseUint(fields[0], 10, 31)
		if err != nil || len(fields) < 2 {
			return 0, false, fmt.Errorf("history of timelines: line %q has no number and place", strings.TrimSpace(line))
		}
		lsn, err := pglogrepl.ParseLSN(fields[1])
		if err != nil {
			return 0, false, fmt.Errorf("history of timelines: line %q: %w", strings.TrimSpace(line), err)
		}
		if int32(n) == timeline {
			return uint64(lsn), true, nil
		}
	}
	return 0, false, nil
}
