package postgres

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/capture"
)

// slotWatch is the time between two looks at what a slot that is being made waits for.
const slotWatch = time.Second

// waiting is what Start waits for; nil for nothing that is known.
type waiting struct{ why atomic.Pointer[capture.Coded] }

// Waiting implements capture.Waiter.
func (r *Reader) Waiting() error {
	if why := r.waits.why.Load(); why != nil {
		return why
	}
	return nil
}

// createSlot makes the slot. Where the server knows how, standbys may keep it. The server
// answers once every transaction has ended that was open when it began, in whichever of its
// databases; until then what it waits for is looked up over the session for SQL.
func (r *Reader) createSlot(ctx context.Context) (pglogrepl.CreateReplicationSlotResult, error) {
	done, watching := make(chan struct{}), sync.WaitGroup{}
	watching.Go(func() { r.watchSlot(ctx, done) })
	defer func() { close(done); watching.Wait() }()
	if r.version < failoverSlots {
		return pglogrepl.CreateReplicationSlot(ctx, r.conn, r.o.Slot, "pgoutput",
			pglogrepl.CreateReplicationSlotOptions{Mode: pglogrepl.LogicalReplication, SnapshotAction: "NOEXPORT_SNAPSHOT"})
	}
	return pglogrepl.ParseCreateReplicationSlot(r.conn.Exec(ctx, "CREATE_REPLICATION_SLOT "+pgx.Identifier{r.o.Slot}.Sanitize()+" LOGICAL pgoutput (SNAPSHOT 'nothing', FAILOVER)"))
}

// watchSlot keeps Waiting up to date until done is closed. What can't be looked up now is
// looked up the next time: the slot is what counts.
func (r *Reader) watchSlot(ctx context.Context, done <-chan struct{}) {
	defer r.waits.why.Store(nil)
	tick := time.NewTicker(slotWatch)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		why, err := r.slotWaits(ctx)
		if err != nil && r.sql.IsClosed() {
			return
		}
		if err == nil {
			r.waits.why.Store(why)
		}
	}
}

// blockers are the transactions for which the backend $1 waits. Of a session of another user
// whoever isn't a member of pg_read_all_stats sees the number alone. A prepared transaction has
// none, and is 0 there: all of those that are old enough are named.
const blockers = `
SELECT b.pid, coalesce(a.usename, ''), coalesce(a.datname, ''), coalesce(a.application_name, ''), coalesce(a.state, ''), coalesce(to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS UTC'), '')
FROM unnest(pg_blocking_pids($1)) b(pid) JOIN pg_stat_activity a USING (pid)
UNION ALL
SELECT 0, p.owner, p.database, p.gid, 'prepared', to_char(p.prepared AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS UTC') FROM pg_prepared_xacts p
WHERE 0 = ANY (pg_blocking_pids($1)) ORDER BY 1`

// slotWaits says what the slot waits for; nil if it waits for no transaction.
func (r *Reader) slotWaits(ctx context.Context) (*capture.Coded, error) {
	rows, err := r.sql.Query(ctx, blockers, int32(r.conn.PID()))
	if err != nil {
		return nil, err
	}
	var who, end []string
	var pid int32
	var user, database, name, state, since string
	_, err = pgx.ForEachRow(rows, []any{&pid, &user, &database, &name, &state, &since}, func() error {
		if since == "" {
			since = "a time that " + r.o.User + " may not see (pg_read_all_stats)"
		}
		if pid == 0 {
			gid := "'" + strings.ReplaceAll(name, "'", "''") + "'"
			who = append(who, fmt.Sprintf("the prepared transaction %s of %s in %s, prepared at %s", gid, user, database, since))
			end = append(end, fmt.Sprintf("COMMIT PREPARED %s or ROLLBACK PREPARED %[1]s in database %s", gid, database))
			return nil
		}
		if name != "" {
			user += ", " + name
		}
		if state != "" {
			state = ", " + state
		}
		who = append(who, fmt.Sprintf("the transaction of pid %d (%s, database %s%s) since %s", pid, user, database, state, since))
		end = append(end, fmt.Sprintf("SELECT pg_terminate_backend(%d)", pid))
		return nil
	})
	if err != nil || len(who) == 0 {
		return nil, err
	}
	return &capture.Coded{Code: "PG_SLOT_WAITS", Hint: "let it end, or end it: " + strings.Join(end, "; "),
		Err: fmt.Errorf("slot %s is made once %s has ended: %w", r.o.Slot, strings.Join(who, ", and "), capture.ErrConnection)}, nil
}
