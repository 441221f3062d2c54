// Package postgres is a store on PostgreSQL 12 and newer. It decides how net
// effects become SQL within one transaction per batch, and who may write; it
// knows no broker and no source database.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// Options says where the store is. Host, Database and User are required.
type Options struct {
	Host     string
	Port     uint16 // default 5432
	Database string
	User     string
	Password string
	// Schema holds the dataset tables. Default "ods".
	Schema string
	// SSLMode as libpq names it. Default "prefer".
	SSLMode string
}

// Store implements worker.Store. Each claimed partition has one connection.
type Store struct {
	o      Options
	config *pgx.ConnConfig

	mu    sync.Mutex
	conns map[log.Partition]*pgx.Conn
}

// New checks the options. It doesn't connect.
func New(o Options) (*Store, error) {
	if o.Host == "" || o.Database == "" || o.User == "" {
		return nil, errors.New("postgres store options: Host, Database and User must be set")
	}
	if o.Port == 0 {
		o.Port = 5432
	}
	if o.Schema == "" {
		o.Schema = "ods"
	}
	if o.SSLMode == "" {
		o.SSLMode = "prefer"
	}
	cfg, err := pgx.ParseConfig(fmt.Sprintf("sslmode=%s application_name=tributary-worker connect_timeout=5", o.SSLMode))
	if err != nil {
		return nil, fmt.Errorf("postgres store options: SSLMode %q: %w", o.SSLMode, err)
	}
	cfg.Host, cfg.Port, cfg.Database, cfg.User, cfg.Password = o.Host, o.Port, o.Database, o.User, o.Password
	cfg.Fallbacks = nil
	if o.SSLMode == "prefer" { // a loopback server without TLS
		cfg.TLSConfig = nil
	}
	cfg.RuntimeParams["timezone"] = "UTC"
	cfg.RuntimeParams["datestyle"] = "ISO, YMD"
	return &Store{o: o, config: cfg, conns: map[log.Partition]*pgx.Conn{}}, nil
}

// Close implements worker.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	var all []error
	for p, c := range s.conns {
		all = append(all, c.Close(ctx))
		delete(s.conns, p)
	}
	return errors.Join(all...)
}

func (s *Store) connect(ctx context.Context) (*pgx.Conn, error) {
	c, err := pgx.ConnectConfig(ctx, s.config.Copy())
	if err != nil {
		return nil, fmt.Errorf("connect to store %s:%d/%s: %w", s.o.Host, s.o.Port, s.o.Database, classify(err, false))
	}
	return c, nil
}

const bookkeeping = `
CREATE SCHEMA IF NOT EXISTS tributary;
CREATE TABLE IF NOT EXISTS tributary.source (source text COLLATE "C" PRIMARY KEY, state text NOT NULL, since timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS tributary.progress (source text COLLATE "C" PRIMARY KEY, partition text NOT NULL,
  applied text COLLATE "C" NOT NULL, commit_offset bigint NOT NULL, producer_id bigint NOT NULL, producer_epoch int NOT NULL,
  open_offset bigint NOT NULL, read_from bigint NOT NULL, txn_id text NOT NULL, file text NOT NULL,
  committed_at timestamptz NOT NULL, applied_at timestamptz NOT NULL, batch bigint NOT NULL);
CREATE TABLE IF NOT EXISTS tributary.claim (partition text PRIMARY KEY, fence bigint NOT NULL, worker text NOT NULL,
  backend text NOT NULL, since timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS tributary.batch (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, partition text NOT NULL, worker text NOT NULL, fence bigint NOT NULL,
  first_offset bigint NOT NULL, last_offset bigint NOT NULL, transactions int NOT NULL, rows int NOT NULL, skipped int NOT NULL, partial boolean NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE IF NOT EXISTS tributary.batch_source (batch bigint NOT NULL REFERENCES tributary.batch, source text COLLATE "C" NOT NULL,
  from_position text COLLATE "C" NOT NULL, to_position text COLLATE "C" NOT NULL, txn_id text NOT NULL, PRIMARY KEY (batch, source));
CREATE TABLE IF NOT EXISTS tributary.gap (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, source text COLLATE "C" NOT NULL, last_position text COLLATE "C" NOT NULL,
  code text NOT NULL, reason text NOT NULL, log_offset bigint NOT NULL, found_at timestamptz NOT NULL, closed_at timestamptz);
CREATE TABLE IF NOT EXISTS tributary.table_state (source text COLLATE "C" NOT NULL, "table" text COLLATE "C" NOT NULL, state text NOT NULL,
  since_position text COLLATE "C" NOT NULL, error text NOT NULL, batch bigint NOT NULL, since timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (source, "table"));
CREATE TABLE IF NOT EXISTS tributary.anomaly (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, batch bigint NOT NULL, source text COLLATE "C" NOT NULL,
  dataset text NOT NULL, code text NOT NULL, rows bigint NOT NULL, first_position text COLLATE "C" NOT NULL, found_at timestamptz NOT NULL DEFAULT now());
`

// Prepare implements worker.Store.
func (s *Store) Prepare(ctx context.Context) error {
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }() // a short connection; its end can't matter
	err = pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('tributary'))`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, bookkeeping); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `CREATE SCHEMA IF NOT EXISTS `+ident(s.o.Schema))
		return err
	})
	if err != nil {
		return fmt.Errorf("prepare the store: %w", classify(err, false))
	}
	return nil
}

func ident(names ...string) string { return pgx.Identifier(names).Sanitize() }

const self = `(SELECT pid::text || ' ' || backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid())`

// Claim implements worker.Store.
func (s *Store) Claim(ctx context.Context, p log.Partition, name string) (worker.Claim, []worker.Progress, error) {
	s.mu.Lock()
	if old := s.conns[p]; old != nil {
		_ = old.Close(ctx) // it may be broken; the new fence makes it harmless
		delete(s.conns, p)
	}
	s.mu.Unlock()
	c, err := s.connect(ctx)
	if err != nil {
		return worker.Claim{}, nil, err
	}
	claim := worker.Claim{Partition: p, Worker: name}
	known, err := s.take(ctx, c, &claim)
	if err != nil {
		_ = c.Close(ctx)
		return worker.Claim{}, nil, fmt.Errorf("claim %s: %w", p, classify(err, false))
	}
	s.mu.Lock()
	s.conns[p] = c
	s.mu.Unlock()
	return claim, known, nil
}

func (s *Store) take(ctx context.Context, c *pgx.Conn, claim *worker.Claim) ([]worker.Progress, error) {
	// A holder that was stopped in the middle of a transaction keeps its locks for
	// ever, so it is ended before the row is touched.
	if _, err := c.Exec(ctx, `SELECT pg_terminate_backend(a.pid) FROM tributary.claim c JOIN pg_stat_activity a
		ON c.backend = a.pid::text || ' ' || a.backend_start::text WHERE c.partition = $1 AND a.pid <> pg_backend_pid()`, claim.Partition.String()); err != nil {
		return nil, err
	}
	err := c.QueryRow(ctx, `INSERT INTO tributary.claim AS c (partition, fence, worker, backend) VALUES ($1, 1, $2, `+self+`)
		ON CONFLICT (partition) DO UPDATE SET fence = c.fence + 1, worker = excluded.worker, backend = excluded.backend, since = now() RETURNING fence`,
		claim.Partition.String(), claim.Worker).Scan(&claim.Fence)
	if err != nil {
		return nil, err
	}
	rows, err := c.Query(ctx, `SELECT p.source, p.applied, p.commit_offset, p.producer_id, p.producer_epoch, p.open_offset, p.read_from, coalesce(s.state = 'gap', false)
		FROM tributary.progress p LEFT JOIN tributary.source s USING (source) WHERE p.partition = $1
		UNION ALL SELECT s.source, '', -1, -1, -1, -1, 0, true FROM tributary.source s WHERE s.state = 'gap' AND NOT EXISTS (SELECT 1 FROM tributary.progress p WHERE p.source = s.source)`,
		claim.Partition.String())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (worker.Progress, error) {
		var p worker.Progress
		var applied string
		err := row.Scan(&p.Source, &applied, &p.Commit, &p.Producer.ID, &p.Producer.Epoch, &p.Open, &p.ReadFrom, &p.Gap)
		if err == nil && applied != "" {
			p.Applied, err = event.ParsePosition(applied)
		}
		return p, err
	})
}

func (s *Store) conn(p log.Partition) (*pgx.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.conns[p]; c != nil && !c.IsClosed() {
		return c, nil
	}
	return nil, fmt.Errorf("partition %s has no connection: %w", p, worker.ErrStoreAway)
}

// classify gives an error its meaning for the worker.
func classify(err error, committing bool) error {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		switch pe.Code {
		case "40001", "40P01", "55P03":
			return fmt.Errorf("%w: %w", worker.ErrRetry, err)
		case "57P01", "57P02", "57P03", "53300", "08006":
			return fmt.Errorf("%w: %w", worker.ErrStoreAway, err)
		}
		return err
	}
	for _, known := range []error{worker.ErrClaimLost, worker.ErrProgressMoved, worker.ErrTableRefused, context.Canceled} {
		if errors.Is(err, known) {
			return err
		}
	}
	if committing {
		return fmt.Errorf("%w: %w", worker.ErrOutcomeUnknown, err)
	}
	return fmt.Errorf("%w: %w", worker.ErrStoreAway, err)
}

// RecordGap implements worker.Store.
func (s *Store) RecordGap(ctx context.Context, claim worker.Claim, g worker.Gap) error {
	c, err := s.conn(claim.Partition)
	if err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		if err := checkClaim(ctx, tx, claim); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `INSERT INTO tributary.source AS s (source, state) VALUES ($1, 'gap')
			ON CONFLICT (source) DO UPDATE SET state = 'gap', since = now() WHERE s.state <> 'gap'`, g.Source)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO tributary.gap (source, last_position, code, reason, log_offset, found_at) VALUES ($1, $2, $3, $4, $5, $6)`,
			g.Source, g.Last.String(), g.Code, g.Reason, int64(g.Offset), g.At)
		return err
	})
	if err != nil {
		return fmt.Errorf("record gap of %s: %w", g.Source, classify(err, false))
	}
	return nil
}

func checkClaim(ctx context.Context, tx pgx.Tx, claim worker.Claim) error {
	var fence int64
	err := tx.QueryRow(ctx, `SELECT fence FROM tributary.claim WHERE partition = $1 FOR SHARE`, claim.Partition.String()).Scan(&fence)
	if err == nil && fence != claim.Fence {
		err = fmt.Errorf("fence %d is %d now: %w", claim.Fence, fence, worker.ErrClaimLost)
	}
	return err
}

// Apply implements worker.Store.
func (s *Store) Apply(ctx context.Context, b *worker.Batch) error {
	c, err := s.conn(b.Claim.Partition)
	if err != nil {
		return err
	}
	tx, err := c.Begin(ctx)
	if err != nil {
		return fmt.Errorf("apply to %s: %w", b.Claim.Partition, classify(err, false))
	}
	if err := s.write(ctx, tx, b); err != nil {
		err = classify(err, false)
		if rerr := tx.Rollback(context.WithoutCancel(ctx)); rerr != nil {
			err = errors.Join(err, rerr)
		}
		return fmt.Errorf("apply to %s: %w", b.Claim.Partition, err)
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit to %s: %w", b.Claim.Partition, classify(err, true))
	}
	return nil
}

func (s *Store) write(ctx context.Context, tx pgx.Tx, b *worker.Batch) error {
	if err := checkClaim(ctx, tx, b.Claim); err != nil {
		return err
	}
	txns, rows, skipped := 0, 0, 0
	for _, st := range b.Steps {
		txns, rows, skipped = txns+st.Txns, rows+st.Rows, skipped+st.Skipped
	}
	var id int64
	err := tx.QueryRow(ctx, `INSERT INTO tributary.batch (partition, worker, fence, first_offset, last_offset, transactions, rows, skipped, partial)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8 > 0) RETURNING id`,
		b.Claim.Partition.String(), b.Claim.Worker, b.Claim.Fence, int64(b.First), int64(b.Last), txns, rows, skipped).Scan(&id)
	if err != nil {
		return err
	}
	for i := range b.Steps {
		if err := step(ctx, tx, b, &b.Steps[i], id); err != nil {
			return err
		}
	}
	if err := recordHalts(ctx, tx, b.Halts, id); err != nil {
		return err
	}
	for i := range b.Tables {
		if err := s.change(ctx, tx, &b.Tables[i], id); err != nil {
			var pe *pgconn.PgError
			if errors.As(err, &pe) && refusesData(pe.Code) {
				err = &worker.TableError{Table: b.Tables[i].Table, Err: fmt.Errorf("%w: %w", worker.ErrTableRefused, err)}
			}
			return err
		}
	}
	return nil
}

// refusesData tells errors that lie in the table or its rows (classes 22, 23 and 42).
func refusesData(code string) bool {
	return strings.HasPrefix(code, "22") || strings.HasPrefix(code, "23") || strings.HasPrefix(code, "42")
}

// step is the compare-and-set of one source's position.
func step(ctx context.Context, tx pgx.Tx, b *worker.Batch, st *worker.Step, batch int64) error {
	args := []any{st.Source.ID, b.Claim.Partition.String(), st.To.String(), int64(st.Commit), st.Producer.ID, int32(st.Producer.Epoch),
		int64(st.Open), int64(st.ReadFrom), st.TxnID, st.File, st.Committed, batch}
	query := `INSERT INTO tributary.progress (source, partition, applied, commit_offset, producer_id, producer_epoch, open_offset, read_from, txn_id, file, committed_at, applied_at, batch)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, clock_timestamp(), $12) ON CONFLICT (source) DO NOTHING`
	if !st.From.IsZero() {
		query = `UPDATE tributary.progress SET partition = $2, applied = $3, commit_offset = $4, producer_id = $5, producer_epoch = $6, open_offset = $7,
			read_from = $8, txn_id = $9, file = $10, committed_at = $11, applied_at = clock_timestamp(), batch = $12 WHERE source = $1 AND applied = $13`
		args = append(args, st.From.String())
	}
	tag, err := tx.Exec(ctx, query, args...)
	if err != nil {
		return err
	}
	if tag.RowsAffected() != 1 {
		return fmt.Errorf("source %s isn't at %s: %w", st.Source.ID, st.From, worker.ErrProgressMoved)
	}
	if _, err = tx.Exec(ctx, `INSERT INTO tributary.batch_source VALUES ($1, $2, $3, $4, $5)`, batch, st.Source.ID, st.From.String(), st.To.String(), st.TxnID); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO tributary.source (source, state) VALUES ($1, 'streaming') ON CONFLICT DO NOTHING`, st.Source.ID)
	return err
}

// change writes the net effect on one table: base rows are read before anything
// is removed, then truncate, deletes, upserts.
func (s *Store) change(ctx context.Context, tx pgx.Tx, c *worker.TableChange, batch int64) error {
	table := ident(s.o.Schema, c.Table.Dataset)
	where, key := "_source = $1", make([]string, 0, len(c.Table.Key))
	for n, i := range c.Table.Key {
		col := c.Table.Columns[i]
		key = append(key, ident(col.Name))
		where += fmt.Sprintf(" AND %s = $%d::%s", ident(col.Name), n+2, columnType(col.Type))
	}
	keyArgs := func(values []event.Value) []any {
		args := []any{c.Source}
		for n, i := range c.Table.Key {
			args = append(args, argument(c.Table.Columns[i].Type.Kind, values[n]))
		}
		return args
	}
	rows := make([][]any, len(c.Upserts))
	for i := range c.Upserts {
		var err error
		if rows[i], err = s.row(ctx, tx, c, &c.Upserts[i], table, where, keyArgs); err != nil {
			return err
		}
	}
	var out pgx.Batch
	if c.Truncate {
		out.Queue("DELETE FROM "+table+" WHERE _source = $1", c.Source)
	}
	for _, k := range c.Deletes {
		out.Queue("DELETE FROM "+table+" WHERE "+where, keyArgs(k)...)
	}
	upsert := upsertSQL(table, c.Table, key)
	var d drift
	for i := range c.Upserts {
		u := &c.Upserts[i]
		q := out.Queue(upsert, append(rows[i], c.Source, u.Position.String(), string(rune(u.Op)), u.Committed, batch)...)
		if u.Base != nil && d.inPlace(c.Table, u) {
			q.QueryRow(func(row pgx.Row) error { return d.look(row, u) })
		}
	}
	if err := tx.SendBatch(ctx, &out).Close(); err != nil {
		return err
	}
	return d.record(ctx, tx, c, batch)
}

func upsertSQL(table string, t *schema.Table, key []string) string {
	var names, values, sets []string
	for i, col := range t.Columns {
		names = append(names, ident(col.Name))
		values = append(values, "$"+strconv.Itoa(i+1)+"::"+columnType(col.Type))
		if !t.IsKey(i) {
			sets = append(sets, ident(col.Name)+" = excluded."+ident(col.Name))
		}
	}
	n := len(t.Columns)
	for i, name := range []string{"_source", "_position", "_op", "_committed_at", "_batch"} {
		names = append(names, name)
		values = append(values, "$"+strconv.Itoa(n+i+1))
		if name != "_source" {
			sets = append(sets, name+" = excluded."+name)
		}
	}
	names, values = append(names, "_applied_at"), append(values, "clock_timestamp()")
	sets = append(sets, "_applied_at = excluded._applied_at")
	return "INSERT INTO " + table + " (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(values, ", ") +
		") ON CONFLICT (_source, " + strings.Join(key, ", ") + ") DO UPDATE SET " + strings.Join(sets, ", ") + " RETURNING xmax = 0"
}

// row renders a row's columns; absent ones come from the row under its base key.
func (s *Store) row(ctx context.Context, tx pgx.Tx, c *worker.TableChange, u *worker.NetRow, table, where string, keyArgs func([]event.Value) []any) ([]any, error) {
	args := make([]any, len(c.Table.Columns), len(c.Table.Columns)+5)
	var absent []int
	var names []string
	for i, col := range c.Table.Columns {
		if u.Values[i].State == event.Absent {
			absent = append(absent, i)
			names = append(names, ident(col.Name)+"::text")
			continue
		}
		args[i] = argument(col.Type.Kind, u.Values[i])
	}
	if len(absent) == 0 {
		return args, nil
	}
	if u.Base == nil {
		return nil, &worker.TableError{Table: c.Table, Err: fmt.Errorf("row at %s lacks columns and has no base: %w", u.Position, worker.ErrTableRefused)}
	}
	found := make([]any, len(absent))
	texts := make([]*string, len(absent))
	for i := range texts {
		found[i] = &texts[i]
	}
	err := tx.QueryRow(ctx, "SELECT "+strings.Join(names, ", ")+" FROM "+table+" WHERE "+where, keyArgs(u.Base)...).Scan(found...)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, &worker.TableError{Table: c.Table, Err: fmt.Errorf("the row that %s changes isn't in the store: %w", u.Position, worker.ErrTableRefused)}
	}
	if err != nil {
		return nil, err
	}
	for n, i := range absent {
		if texts[n] != nil {
			args[i] = *texts[n]
		}
	}
	return args, nil
}
