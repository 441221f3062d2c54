// Package postgres is a store on PostgreSQL 12 and newer. It decides how net
// effects become SQL within one transaction per batch, and who may write; it
// knows no broker and no source database.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/peer"
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
	// Target of all datasets that Datasets doesn't name, or names without anything.
	// Default TargetDataset.
	Target Target
	// Datasets are the layouts of single ones, by name.
	Datasets map[string]Layout
	// Evolution is the rule for datasets that Evolutions doesn't name. Default EvolutionFollow.
	Evolution  Evolution
	Evolutions map[string]Evolution
	// TLS protects all connections. The zero value: verified beyond loopback.
	TLS peer.TLS
}

// Store implements worker.Store. Each claimed partition has one connection.
type Store struct {
	o      Options
	config *pgx.ConnConfig

	mu    sync.Mutex
	lanes map[log.Partition]*lane
}

// lane is one partition's connection and what is known on it. It belongs to the
// partition's goroutine.
type lane struct {
	conn  *pgx.Conn
	batch int64 // the id of the next batch
	// stale says that a large transaction has got a later id and has committed: what
	// follows it must have one that is later still.
	stale atomic.Bool
	plans map[*schema.Table]*plan
	buf   []byte // of COPY
	parts bulk   // of the change that is being written
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
	if len(o.Schema) > maxName || Reserved(o.Schema) {
		return nil, fmt.Errorf("postgres store options: Schema %q: a name of at most %d bytes that has no other purpose", o.Schema, maxName)
	}
	if err := (Layout{Target: o.Target}).Check(); err != nil {
		return nil, fmt.Errorf("postgres store options: %w", err)
	}
	for name, l := range o.Datasets {
		if err := l.Check(); err != nil {
			return nil, fmt.Errorf("postgres store options: dataset %s: %w", name, err)
		}
	}
	for _, e := range append(slices.Collect(maps.Values(o.Evolutions)), o.Evolution) {
		if err := e.Check(); err != nil {
			return nil, fmt.Errorf("postgres store options: %w", err)
		}
	}
	cfg, err := Connection(o)
	if err != nil {
		return nil, err
	}
	cfg.RuntimeParams["application_name"] = "tributary-worker"
	cfg.RuntimeParams["timezone"] = "UTC"
	cfg.RuntimeParams["datestyle"] = "ISO, YMD"
	return &Store{o: o, config: cfg, lanes: map[log.Partition]*lane{}}, nil
}

// Connection gives what pgx needs to reach the database of the options, but for TLS, which
// peer.Connect gives for each connection. It doesn't connect.
func Connection(o Options) (*pgx.ConnConfig, error) {
	if o.Port == 0 {
		o.Port = 5432
	}
	if err := o.TLS.On(o.Host).Check(); err != nil {
		return nil, fmt.Errorf("postgres store options: TLS: %w", err)
	}
	// The environment's PGSSL variables don't count.
	cfg, err := pgx.ParseConfig("sslmode=disable connect_timeout=5")
	if err != nil {
		return nil, fmt.Errorf("postgres store options: %w", err)
	}
	cfg.Host, cfg.Port, cfg.Database, cfg.User, cfg.Password = o.Host, o.Port, o.Database, o.User, o.Password
	cfg.Fallbacks = nil
	return cfg, nil
}

// Close implements worker.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	var all []error
	for p, l := range s.lanes {
		all = append(all, l.conn.Close(ctx))
		delete(s.lanes, p)
	}
	return errors.Join(all...)
}

func ident(names ...string) string { return pgx.Identifier(names).Sanitize() }

func (s *Store) lane(p log.Partition) (*lane, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.lanes[p]; l != nil && !l.conn.IsClosed() {
		return l, nil
	}
	return nil, fmt.Errorf("partition %s has no connection: %w", p, worker.ErrStoreAway)
}

// stale has the partition's connection take a new batch id. Somebody else may be using the
// connection, so nothing of it is looked at; a new one begins with a new id anyway.
func (s *Store) stale(p log.Partition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.lanes[p]; l != nil {
		l.stale.Store(true)
	}
}

func (s *Store) conn(p log.Partition) (*pgx.Conn, error) {
	l, err := s.lane(p)
	if err != nil {
		return nil, err
	}
	return l.conn, nil
}

// rowTooLarge is the code of a row that fits into no page of a table, or whose key fits into
// none of an index (program_limit_exceeded).
const rowTooLarge = "54000"

// classify gives an error its meaning for the worker.
func classify(err error, committing bool) error {
	if e, ok := errors.AsType[*peer.Error](err); ok {
		return fmt.Errorf("%w: %w", worker.ErrStoreAccess, e)
	}
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		switch pe.Code {
		case "40001", "40P01", "55P03":
			return fmt.Errorf("%w: %w", worker.ErrRetry, err)
		case "28000", "28P01", "3D000", "42501": // who, with which password, where, with which privilege
			return fmt.Errorf("%w: %w", worker.ErrStoreAccess, err)
		case "57P01", "57P02", "57P03", "53300", "08006":
			return fmt.Errorf("%w: %w", worker.ErrStoreAway, err)
		}
		return err
	}
	var rows *worker.RowsError
	if errors.As(err, &rows) {
		return err
	}
	for _, known := range []error{worker.ErrClaimLost, worker.ErrProgressMoved, worker.ErrTableRefused, worker.ErrStoreAccess, context.Canceled} {
		if errors.Is(err, known) {
			return err
		}
	}
	if committing {
		return fmt.Errorf("%w: %w", worker.ErrOutcomeUnknown, err)
	}
	return fmt.Errorf("%w: %w", worker.ErrStoreAway, err)
}

// refusesData tells errors that lie in the table or its rows (classes 22, 23 and 42, a row
// or key that is too large for a page, and too many columns). A missing privilege (42501)
// lies in neither.
func refusesData(code string) bool {
	switch code {
	case "42501":
		return false
	case rowTooLarge, "54011":
		return true
	}
	return strings.HasPrefix(code, "22") || strings.HasPrefix(code, "23") || strings.HasPrefix(code, "42")
}
