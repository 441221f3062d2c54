package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

// heldTables keep the changes of stopped tables. What had stopped before there was such a
// table has lost its rows. The load columns of table_state are a load that went on when the
// table stopped.
const heldTables = `
CREATE TABLE IF NOT EXISTS tributary.held (source text COLLATE "C" NOT NULL, "table" text COLLATE "C" NOT NULL, position text COLLATE "C" NOT NULL, "index" int NOT NULL,
  op text NOT NULL, key text, topic text NOT NULL, schema_id bigint NOT NULL, record bytea, load json, loading boolean NOT NULL, sweep boolean NOT NULL,
  committed_at timestamptz NOT NULL, batch bigint NOT NULL, PRIMARY KEY (source, "table", position, "index"));
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'tributary.table_state'::regclass AND attname = 'remedy') THEN
    ALTER TABLE tributary.table_state ADD version text, ADD remedy text, ADD reread boolean NOT NULL DEFAULT false, ADD accepted_at timestamptz,
      ADD held_rows bigint NOT NULL DEFAULT 0, ADD held_bytes bigint NOT NULL DEFAULT 0, ADD load_since text COLLATE "C", ADD load_part boolean;
    UPDATE tributary.table_state SET reread = true, remedy = 'tributary table reread ' || source || ' ' || "table" WHERE state = 'halted';
  END IF;
END $$;
`

// Accept implements worker.Holding.
func (s *Store) Accept(ctx context.Context, source, table string) (h worker.Halt, err error) {
	err = s.briefly(ctx, func(c *pgx.Conn) error {
		rows, err := c.Query(ctx, `UPDATE tributary.table_state SET accepted_at = coalesce(accepted_at, now()) WHERE source = $1 AND "table" = $2 AND state = 'halted' RETURNING `+haltColumns, source, table)
		if err != nil {
			return err
		}
		h, err = pgx.CollectExactlyOneRow(rows, scanHalt)
		if errors.Is(err, pgx.ErrNoRows) {
			err = worker.ErrNotHalted
		}
		return err
	})
	if err != nil && !errors.Is(err, worker.ErrNotHalted) {
		err = classify(err, false)
	}
	if err != nil {
		return worker.Halt{}, fmt.Errorf("accept table %s of %s: %w", table, source, err)
	}
	return h, nil
}

// Halts implements worker.Holding.
func (s *Store) Halts(ctx context.Context, claim worker.Claim) ([]worker.Halt, error) {
	c, err := s.conn(claim.Partition)
	if err != nil {
		return nil, err
	}
	all, err := halts(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("read what is stopped: %w", classify(err, false))
	}
	return all, nil
}

// Held implements worker.Holding.
func (s *Store) Held(ctx context.Context, claim worker.Claim, source, table string, limit worker.HeldLimit) (changes []worker.HeldChange, more bool, err error) {
	c, err := s.conn(claim.Partition)
	if err != nil {
		return nil, false, err
	}
	// One row more than wanted tells whether there are more; no others are sent, whatever they hold.
	rows, err := c.Query(ctx, `SELECT position, "index", op, topic, schema_id, record, load, loading, sweep, committed_at, number = 1 OR number <= $3 AND bytes <= $4 FROM
		(SELECT *, row_number() OVER w AS number, coalesce(sum(length(record)) OVER w, 0) AS bytes
			FROM (SELECT * FROM tributary.held WHERE source = $1 AND "table" = $2 ORDER BY position, "index" LIMIT $3::bigint + 1) h WINDOW w AS (ORDER BY position, "index")) n
		WHERE number <= 2 OR bytes - coalesce(length(record), 0) <= $4 ORDER BY number`, source, table, limit.Rows, limit.Bytes)
	if err != nil {
		return nil, false, fmt.Errorf("read what is held of table %s of %s: %w", table, source, classify(err, false))
	}
	wanted := 0
	changes, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (worker.HeldChange, error) {
		h, in, err := scanHeld(row)
		if in {
			wanted++
		}
		return h, err
	})
	if err != nil {
		return nil, false, fmt.Errorf("read what is held of table %s of %s: %w", table, source, classify(err, false))
	}
	return changes[:wanted], wanted < len(changes), nil
}

func scanHeld(row pgx.CollectableRow) (c worker.HeldChange, wanted bool, err error) {
	var position, op string
	var id int64
	var load []byte
	err = row.Scan(&position, &c.Order, &op, &c.Topic, &id, &c.Record, &load, &c.Loading, &c.Sweep, &c.Committed, &wanted)
	if err == nil {
		c.Position, err = event.ParsePosition(position)
	}
	if err == nil && load != nil {
		err = json.Unmarshal(load, &c.Load)
	}
	c.SchemaID = uint32(id)
	if op != "" {
		c.Op = event.Op(op[0])
	}
	return c, wanted, err
}

// HaltAgain implements worker.Holding.
func (s *Store) HaltAgain(ctx context.Context, claim worker.Claim, h worker.Halt) error {
	c, err := s.conn(claim.Partition)
	if err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		if err := checkClaim(ctx, tx, claim); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE tributary.table_state SET error = $3, version = nullif($4, ''), accepted_at = NULL,
			since_position = coalesce((SELECT min(position) FROM tributary.held WHERE source = $1 AND "table" = $2), since_position)
			WHERE source = $1 AND "table" = $2 AND state = 'halted'`, h.Source, h.Table, h.Error, string(h.Version))
		return err
	})
	if err != nil {
		return fmt.Errorf("stop table %s of %s again: %w", h.Table, h.Source, classify(err, false))
	}
	return nil
}

// held keeps what a batch, or a piece, has of a stopped table.
func (a *applying) held(h *worker.Held) error {
	n := len(h.Changes)
	if n == 0 {
		return nil
	}
	positions, indexes, ops, keys, topics, ids := make([]string, n), make([]int32, n), make([]string, n), make([]*string, n), make([]string, n), make([]int64, n)
	records, loads, loading, sweep, committed := make([][]byte, n), make([]*string, n), make([]bool, n), make([]bool, n), make([]time.Time, n)
	for i := range h.Changes {
		c := &h.Changes[i]
		positions[i], indexes[i], topics[i], ids[i], records[i] = c.Position.String(), int32(c.Order), c.Topic, int64(c.SchemaID), c.Record
		loading[i], sweep[i], committed[i] = c.Loading, c.Sweep, c.Committed
		if c.Load != nil {
			text, err := json.Marshal(c.Load)
			if err != nil {
				return fmt.Errorf("hold the end of a load of table %s: %w", h.Table, err)
			}
			loads[i] = new(string)
			*loads[i] = string(text)
			continue
		}
		ops[i] = string(rune(c.Op))
		if len(c.Key) > 0 {
			key, err := keyText(c.Table, c.Key)
			if err != nil {
				return err
			}
			keys[i] = &key
		}
	}
	a.queue.Queue(`INSERT INTO tributary.held (source, "table", batch, position, "index", op, key, topic, schema_id, record, load, loading, sweep, committed_at)
		SELECT $1, $2, $3, p, i, o, k, t, s, r, l::json, g, w, c FROM unnest($4::text[], $5::int[], $6::text[], $7::text[], $8::text[], $9::bigint[], $10::bytea[], $11::text[], $12::bool[], $13::bool[], $14::timestamptz[])
			AS u(p, i, o, k, t, s, r, l, g, w, c)`, h.Source, h.Table, a.id, positions, indexes, ops, keys, topics, ids, records, loads, loading, sweep, committed)
	return nil
}

// limit counts what is held of a table, and drops all of it if that is too much.
func (a *applying) limit(h *worker.Held, limit worker.HeldLimit) {
	a.queue.Queue(`WITH counted AS (UPDATE tributary.table_state SET held_rows = CASE WHEN reread OR o THEN 0 ELSE held_rows + $3::bigint END, held_bytes = CASE WHEN reread OR o THEN 0 ELSE held_bytes + $4::bigint END,
			reread = reread OR o, remedy = CASE WHEN o THEN 'tributary table reread ' || source || ' ' || "table" ELSE remedy END
			FROM (SELECT $7::bool OR held_rows + $3::bigint > $5::bigint OR held_bytes + $4::bigint > $6::bigint AS o FROM tributary.table_state WHERE source = $1 AND "table" = $2) x
			WHERE source = $1 AND "table" = $2 AND state = 'halted' RETURNING reread)
		SELECT coalesce((SELECT reread FROM counted), false)`, h.Source, h.Table, h.Rows, h.Bytes, limit.Rows, limit.Bytes, h.Over).
		QueryRow(func(row pgx.Row) error { return row.Scan(&h.Dropped) })
	a.queue.Queue(`DELETE FROM tributary.held h USING tributary.table_state s WHERE h.source = $1 AND h."table" = $2 AND s.source = $1 AND s."table" = $2 AND s.reread`, h.Source, h.Table)
}

// through are the held changes that a batch applies.
const through = `tributary.held WHERE source = $1 AND "table" = $2 AND (position, "index") <= ($3, $4::int)`

// resume books a batch that applies held changes: its rows lead to the records of the
// batches that kept them.
func (a *applying) resume(b *worker.Batch) error {
	r := b.Resume
	a.queue.Queue(`INSERT INTO tributary.batch (id, partition, worker, fence, first_offset, last_offset, transactions, rows, skipped, partial)
		SELECT $5::bigint, $6, $7, $8::bigint, coalesce(min(b.first_offset), -1), coalesce(max(b.last_offset), -1), 0, (SELECT count(*) FROM `+through+` AND load IS NULL), 0, false
		FROM tributary.batch b WHERE b.id IN (SELECT batch FROM `+through+`)`,
		r.Source, r.Table, r.Last.Position.String(), r.Last.Order, a.id, b.Claim.Partition.String(), b.Claim.Worker, b.Claim.Fence)
	a.queue.Queue(`INSERT INTO tributary.batch_source (batch, source, from_position, to_position, txn_id, versions, policies, hops)
		SELECT $5::bigint, source, $6, $3, txn_id, ARRAY[$7::text], policies, hops FROM tributary.batch_source WHERE source = $1 AND batch = (SELECT max(batch) FROM `+through+`)`,
		r.Source, r.Table, r.Last.Position.String(), r.Last.Order, a.id, r.First.Position.String(), string(r.Version))
	for i := range b.Quarantine {
		if err := a.hold(&b.Quarantine[i]); err != nil {
			return err
		}
	}
	return nil
}

// resumed takes away what a batch has applied of the held changes, and lets the table go on
// once that was all.
func (a *applying) resumed(ctx context.Context, r *worker.Resume) error {
	if l := r.Load; l != nil && l.Sweep && (l.Range == nil || !l.Range.Keep) {
		if err := a.sweep(ctx, *l); err != nil {
			return err
		}
	}
	a.queue.Queue(`WITH gone AS (DELETE FROM `+through+` RETURNING record, load)
		UPDATE tributary.table_state SET held_rows = held_rows - (SELECT count(*) FROM gone WHERE load IS NULL), held_bytes = held_bytes - (SELECT coalesce(sum(length(record)), 0) FROM gone)
		WHERE source = $1 AND "table" = $2`, r.Source, r.Table, r.Last.Position.String(), r.Last.Order)
	if r.Done {
		a.queue.Queue(`UPDATE tributary.table_state SET state = CASE WHEN load_part THEN 'rereading' ELSE 'loading' END, since_position = load_since, since = now(), error = '', version = NULL,
			remedy = NULL, accepted_at = NULL, load_since = NULL, load_part = NULL WHERE source = $1 AND "table" = $2 AND state = 'halted' AND NOT reread AND load_since IS NOT NULL`, r.Source, r.Table)
		a.queue.Queue(`DELETE FROM tributary.table_state WHERE source = $1 AND "table" = $2 AND state = 'halted' AND NOT reread`, r.Source, r.Table)
		a.queue.Queue(unhalted, r.Source)
	}
	return a.send(ctx)
}
