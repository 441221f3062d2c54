package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/log"
)

const bookkeeping = `
CREATE SCHEMA IF NOT EXISTS tributary;
CREATE TABLE IF NOT EXISTS tributary.source (source text COLLATE "C" PRIMARY KEY, state text NOT NULL, since timestamptz NOT NULL DEFAULT now(),
  org text, engine text, agent text, first_seen timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS tributary.progress (source text COLLATE "C" PRIMARY KEY, partition text NOT NULL,
  applied text COLLATE "C" NOT NULL, commit_offset bigint NOT NULL, producer_id bigint NOT NULL, producer_epoch int NOT NULL,
  open_offset bigint NOT NULL, read_from bigint NOT NULL, txn_id text NOT NULL, file text NOT NULL,
  committed_at timestamptz NOT NULL, applied_at timestamptz NOT NULL, batch bigint NOT NULL);
CREATE TABLE IF NOT EXISTS tributary.claim (partition text PRIMARY KEY, fence bigint NOT NULL, worker text NOT NULL,
  backend text NOT NULL, since timestamptz NOT NULL DEFAULT now());
CREATE SEQUENCE IF NOT EXISTS tributary.batch_id;
CREATE TABLE IF NOT EXISTS tributary.batch (id bigint PRIMARY KEY DEFAULT nextval('tributary.batch_id'), partition text NOT NULL, worker text NOT NULL, fence bigint NOT NULL,
  first_offset bigint NOT NULL, last_offset bigint NOT NULL, transactions int NOT NULL, rows int NOT NULL, skipped int NOT NULL, partial boolean NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp(), quarantined int NOT NULL DEFAULT 0, previous bigint, digest bytea);
CREATE TABLE IF NOT EXISTS tributary.batch_source (batch bigint NOT NULL REFERENCES tributary.batch, source text COLLATE "C" NOT NULL,
  from_position text COLLATE "C" NOT NULL, to_position text COLLATE "C" NOT NULL, txn_id text NOT NULL,
  versions text[], policies text[], hops text[], ends text[] COLLATE "C", end_ids text[], end_offsets bigint[], end_rows int[], PRIMARY KEY (batch, source));
CREATE TABLE IF NOT EXISTS tributary.gap (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, source text COLLATE "C" NOT NULL, last_position text COLLATE "C" NOT NULL,
  code text NOT NULL, reason text NOT NULL, log_offset bigint NOT NULL, found_at timestamptz NOT NULL, closed_at timestamptz);
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'tributary.gap'::regclass AND attname = 'closed_batch') THEN
    ALTER TABLE tributary.gap ADD last_committed_at timestamptz, ADD to_place text COLLATE "C", ADD repaired_from text COLLATE "C",
      ADD repair_began_at timestamptz, ADD closed_position text COLLATE "C", ADD closed_batch bigint;
  END IF;
END $$;
CREATE TABLE IF NOT EXISTS tributary.table_state (source text COLLATE "C" NOT NULL, "table" text COLLATE "C" NOT NULL, state text NOT NULL,
  since_position text COLLATE "C" NOT NULL, error text NOT NULL, batch bigint NOT NULL, since timestamptz NOT NULL DEFAULT now(), sweep boolean NOT NULL DEFAULT false, PRIMARY KEY (source, "table"));
CREATE TABLE IF NOT EXISTS tributary.anomaly (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, batch bigint NOT NULL, source text COLLATE "C" NOT NULL,
  dataset text NOT NULL, code text NOT NULL, rows bigint NOT NULL, first_position text COLLATE "C" NOT NULL, detail text NOT NULL, found_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS tributary.store (id text NOT NULL);
INSERT INTO tributary.store SELECT md5(random()::text || clock_timestamp()::text) WHERE NOT EXISTS (SELECT FROM tributary.store);
CREATE TABLE IF NOT EXISTS tributary.quarantine (source text COLLATE "C" NOT NULL, "table" text COLLATE "C" NOT NULL, key_bytes bytea NOT NULL,
  dataset text NOT NULL, key text NOT NULL, position text COLLATE "C" NOT NULL, op text NOT NULL, "row" json, code text NOT NULL, error text NOT NULL,
  since timestamptz NOT NULL DEFAULT now(), batch bigint NOT NULL, followers bigint NOT NULL, last_position text COLLATE "C" NOT NULL,
  last_op text, last_row json, last_batch bigint, PRIMARY KEY (source, "table", key_bytes));
CREATE TABLE IF NOT EXISTS tributary.target (source text COLLATE "C" NOT NULL, "table" text COLLATE "C" NOT NULL, target text NOT NULL, key text NOT NULL,
  schema text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL, since timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (source, "table"), UNIQUE (source, schema, name));
CREATE TABLE IF NOT EXISTS tributary.head (partition text PRIMARY KEY, batch bigint NOT NULL, previous bigint, digest bytea NOT NULL) WITH (fillfactor = 50);
`

// Prepare implements worker.Store. It is one message, which the server carries out to
// its end even if this process is stopped meanwhile.
func (s *Store) Prepare(ctx context.Context) error {
	err := s.briefly(ctx, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('tributary'));`+bookkeeping+heldTables+versionTable+verificationTables+completeTables+`CREATE SCHEMA IF NOT EXISTS `+ident(s.o.Schema))
		return err
	})
	if err != nil {
		return fmt.Errorf("prepare the store: %w", classify(err, false))
	}
	return nil
}

// Identity is the name that the store gave itself when it was made. Prepare comes first.
func (s *Store) Identity(ctx context.Context) (id string, err error) {
	err = s.briefly(ctx, func(c *pgx.Conn) error { return c.QueryRow(ctx, `SELECT id FROM tributary.store`).Scan(&id) })
	if err != nil {
		return "", fmt.Errorf("ask the store's identity: %w", classify(err, false))
	}
	return id, nil
}

// briefly lends a connection that belongs to no partition.
func (s *Store) briefly(ctx context.Context, f func(*pgx.Conn) error) error {
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }() // its end can't matter
	return f(c)
}

const self = `(SELECT pid::text || ' ' || backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid())`

// holds tells whether a backend is one that a claim names: the partition's, or that
// of a large transaction beside it.
const holds = `a.pid::text || ' ' || a.backend_start::text = ANY(string_to_array(c.backend, ','))`

// gone is true for a claim whose holder has no connection any more.
const gone = `NOT EXISTS (SELECT FROM pg_stat_activity a WHERE ` + holds + `)`

// Claim implements worker.Claims.
func (s *Store) Claim(ctx context.Context, p log.Partition, name string) (worker.Claim, []worker.Progress, error) {
	return s.acquire(ctx, p, name, func(c *pgx.Conn, fence *int64) error {
		// A holder that was stopped in the middle of a transaction keeps its locks for
		// ever, so it is ended before the row is touched.
		if _, err := c.Exec(ctx, end, p.String(), int64(-1)); err != nil {
			return err
		}
		return c.QueryRow(ctx, `INSERT INTO tributary.claim AS c (partition, fence, worker, backend) VALUES ($1, 1, $2, `+self+`)
			ON CONFLICT (partition) DO UPDATE SET fence = c.fence + 1, worker = excluded.worker, backend = excluded.backend, since = now() RETURNING fence`,
			p.String(), name).Scan(fence)
	})
}

// Reclaim implements worker.Claims.
func (s *Store) Reclaim(ctx context.Context, held worker.Claim) (worker.Claim, []worker.Progress, error) {
	return s.acquire(ctx, held.Partition, held.Worker, func(c *pgx.Conn, fence *int64) error {
		// The backend may be our own former one, whose end the server hasn't noticed.
		if _, err := c.Exec(ctx, end, held.Partition.String(), held.Fence); err != nil {
			return err
		}
		err := c.QueryRow(ctx, `UPDATE tributary.claim c SET fence = c.fence + 1, worker = $2, backend = `+self+`, since = now()
			WHERE c.partition = $1 AND (c.fence = $3 OR c.worker = $2 AND `+gone+`) RETURNING fence`, held.Partition.String(), held.Worker, held.Fence).Scan(fence)
		if errors.Is(err, pgx.ErrNoRows) {
			err = fmt.Errorf("fence %d isn't held any more: %w", held.Fence, worker.ErrClaimLost)
		}
		return err
	})
}

// end ends the holder's backend, of whatever fence with -1.
const end = `SELECT pg_terminate_backend(a.pid) FROM tributary.claim c JOIN pg_stat_activity a ON ` + holds + `
	WHERE c.partition = $1 AND (c.fence = $2 OR $2 = -1) AND a.pid <> pg_backend_pid()`

// Left implements worker.Claims.
func (s *Store) Left(ctx context.Context, name string) (left []worker.Claim, err error) {
	err = s.briefly(ctx, func(c *pgx.Conn) error {
		rows, err := c.Query(ctx, `SELECT c.partition, c.fence, c.worker FROM tributary.claim c WHERE c.worker = $1 AND `+gone, name)
		if err != nil {
			return err
		}
		left, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (worker.Claim, error) {
			var held worker.Claim
			var partition string
			err := row.Scan(&partition, &held.Fence, &held.Worker)
			if err == nil {
				held.Partition, err = log.ParsePartition(partition)
			}
			return held, err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ask for the claims that %s left: %w", name, classify(err, false))
	}
	return left, nil
}

// acquire gives a partition a new connection, on which take gets the claim.
func (s *Store) acquire(ctx context.Context, p log.Partition, name string, take func(*pgx.Conn, *int64) error) (worker.Claim, []worker.Progress, error) {
	s.mu.Lock()
	if old := s.lanes[p]; old != nil {
		_ = old.conn.Close(ctx) // it may be broken; the new fence makes it harmless
		delete(s.lanes, p)
	}
	s.mu.Unlock()
	c, err := s.connect(ctx)
	if err != nil {
		return worker.Claim{}, nil, err
	}
	claim, l := worker.Claim{Partition: p, Worker: name}, &lane{conn: c, plans: map[*schema.Table]*plan{}}
	var known []worker.Progress
	// A large transaction that has come to the claim just now is met at the next attempt.
	if _, err = c.Exec(ctx, "SET lock_timeout = '5s'"); err == nil {
		err = take(c, &claim.Fence)
	}
	if err == nil {
		_, err = c.Exec(ctx, "RESET lock_timeout")
	}
	if err == nil {
		known, err = progress(ctx, c, p.String())
	}
	if err == nil {
		err = c.QueryRow(ctx, nextBatch).Scan(&l.batch)
	}
	if err != nil {
		_ = c.Close(ctx)
		return worker.Claim{}, nil, fmt.Errorf("claim %s: %w", p, classify(err, false))
	}
	s.mu.Lock()
	s.lanes[p] = l
	s.mu.Unlock()
	return claim, known, nil
}

// share locks the claim for this transaction; its fence must be the holder's.
const share = `SELECT fence FROM tributary.claim WHERE partition = $1 FOR SHARE`

const nextBatch = `SELECT nextval('tributary.batch_id')`

func checkClaim(ctx context.Context, tx pgx.Tx, claim worker.Claim) error {
	return lookAt(tx.QueryRow(ctx, share, claim.Partition.String()), claim)
}

func lookAt(row pgx.Row, claim worker.Claim) error {
	var fence int64
	err := row.Scan(&fence)
	if err == nil && fence != claim.Fence {
		err = fmt.Errorf("fence %d is %d now: %w", claim.Fence, fence, worker.ErrClaimLost)
	}
	return err
}
