// Package postgres reads a PostgreSQL database's changes through logical
// replication, version 10 and newer. It decides how the server's messages become
// transactions, and what it owns there: one slot and one publication. It knows no
// broker.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/postgres/pgoutput"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/peer"
)

// Options says which database to read. Source, Host, Database, User and Tables
// are required.
type Options struct {
	Source   event.Source
	Host     string
	Port     uint16 // default 5432
	Database string
	User     string
	Password string
	// TLS protects all connections. The zero value: verified beyond loopback.
	TLS peer.TLS
	// Tables are patterns "schema.table", with * and ? as in file names.
	Tables []string
	// Datasets names the dataset of a table "schema.table" where it isn't the table's name.
	Datasets map[string]string
	// Keyless says what is done with tables that have no primary key.
	Keyless capture.Keyless
	// Caps bound the values of single columns.
	Caps capture.Caps
	// Slot and Publication default to tributary_<source>, other characters as underscores.
	Slot        string
	Publication string
}

// state is the reader's durable state.
type state struct {
	System   string            `json:"system"`
	Timeline int32             `json:"timeline"`
	Slot     string            `json:"slot"`
	Epoch    uint32            `json:"epoch"`
	Stopped  []event.TableStop `json:"stopped,omitempty"`
	Shapes   map[string]shape  `json:"shapes,omitempty"`  // of the tables
	Parts    map[string]uint32 `json:"parts,omitempty"`   // files of the tables' partitions
	Added    []string          `json:"added,omitempty"`   // tables beside those of the patterns
	LastID   string            `json:"last_id,omitempty"` // of the last transaction of the epoch
}

func (s *state) stopOf(table string) *event.TableStop {
	for i := range s.Stopped {
		if s.Stopped[i].Table == table {
			return &s.Stopped[i]
		}
	}
	return nil
}

// Reader implements capture.Reader.
type Reader struct {
	o   Options
	ack atomic.Uint64

	conn      *pgconn.PgConn // replication; only Start and Next use it
	sql       *pgx.Conn
	version   int // of the server, e.g. 180001
	state     state
	last      event.Position
	again     *again // what must come first; nil once it has
	relations map[uint32]*relation
	additions capture.Additions
	// truncateUnseen says that the server leaves TRUNCATE out of the stream.
	truncateUnseen bool
	repaired       bool                 // this is the start of a repair, and nobody has seen what tables lost before
	had            map[string][]string  // then: the columns that tables have had in the log
	watchedAt      time.Time            // when partitions were looked at
	suspects       map[string]suspicion // tables whose partitions have changed
	truncated      map[string]bool      // tables that the stream has truncated since partitions were looked at
	lookAt         time.Time            // when the catalogue is looked at again
	// leaving are tables that the catalogue hasn't got any more, with a place in the log
	// behind all that was written to them.
	leaving  map[string]uint64
	pending  map[string]sighting // tables that are to be read again
	orders   sync.Mutex
	restarts []string // stopped tables that a person wants again; orders guards it
	msg      pgoutput.Msg

	queue    capture.Queue   // to hand out before reading on
	seg      *capture.Buffer // being filled; nil between transactions
	skipped  int
	skip     bool // the transaction is known already
	end      event.Place
	idleAt   time.Time
	statusAt time.Time
	stateAt  time.Time
	// stateSize is that of the last state, in bytes.
	stateSize int
	pace      atomic.Int64 // milliseconds between two idle segments; 0 for a second
	waits     waiting
	done      <-chan struct{} // of the context whose end interrupts reading
	unwatch   func() bool
}

// New checks the options. It doesn't connect.
func New(o Options) (*Reader, error) {
	if o.Source.ID == "" || o.Host == "" || o.Database == "" || o.User == "" || len(o.Tables) == 0 {
		return nil, errors.New("postgres reader options: Source.ID, Host, Database, User and Tables must be set")
	}
	for _, p := range o.Tables {
		if !capture.IsPattern(p) {
			return nil, fmt.Errorf("postgres reader options: table pattern %q isn't schema.table", p)
		}
	}
	if err := errors.Join(o.Keyless.Check(o.Tables), o.Caps.Check()); err != nil {
		return nil, fmt.Errorf("postgres reader options: %w", err)
	}
	if o.Port == 0 {
		o.Port = 5432
	}
	if err := o.TLS.On(o.Host).Check(); err != nil {
		return nil, fmt.Errorf("postgres reader options: TLS: %w", err)
	}
	name := "tributary_" + strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return '_'
	}, strings.ToLower(o.Source.ID))
	if o.Slot == "" {
		o.Slot = name
	}
	if o.Publication == "" {
		o.Publication = name
	}
	return &Reader{o: o, relations: map[uint32]*relation{}}, nil
}

// accessHints say what to do where the server lets somebody not in, by SQLSTATE (manual,
// appendix A).
var accessHints = map[string]string{
	"28P01": "correct user and password of the source; the server tells neither from the other, nor a user without a password or whose time is over (VALID UNTIL)",
	"28000": "the message names what is missing: a line for user, database and address in pg_hba.conf (for the stream as well; a hostssl line wants tls in the agent's file), or LOGIN: ALTER ROLE ... LOGIN",
	"42501": "GRANT what the message names to the capture user; it needs REPLICATION and SELECT on the tables",
}

// droppedMeanwhile begins what the server says, in English always, when a table is dropped
// while it looks through a publication's tables (PostgreSQL source, relation_open,
// pg_get_publication_tables). The next look doesn't find the table any more.
const droppedMeanwhile = "could not open relation with OID"

// connection gives an error of the server or the network its class.
func connection(what string, err error) error {
	if e, ok := errors.AsType[*peer.Error](err); ok {
		return fmt.Errorf("%s: %w: %w", what, capture.ErrAccess, e)
	}
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		if hint := accessHints[pe.Code]; hint != "" {
			return &capture.Coded{Code: "PG_ACCESS", Hint: hint, Err: fmt.Errorf("%s: %w: %w", what, capture.ErrAccess, err)}
		}
		switch {
		case strings.HasPrefix(pe.Code, "57"), strings.HasPrefix(pe.Code, "08"), strings.HasPrefix(pe.Code, "53"), pe.Code == "55006",
			pe.Code == "XX000" && strings.HasPrefix(pe.Message, droppedMeanwhile):
			return fmt.Errorf("%s: %w: %w", what, capture.ErrConnection, err)
		}
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: %w: %w", what, capture.ErrConnection, err)
}

// Start implements capture.Reader.
func (r *Reader) Start(ctx context.Context, res capture.Resume) (uint32, error) {
	if err := r.Close(); err != nil {
		return 0, err
	}
	var err error
	what := r.where()
	if r.sql, err = r.connect(ctx); err != nil {
		return 0, connection(what, err)
	}
	if err := r.probe(ctx); err != nil { // first: a server that is too old refuses the other connection for reasons of its own
		return 0, err
	}
	if r.conn, err = r.replicate(ctx); err != nil {
		return 0, connection(what, err)
	}
	if err := r.resume(ctx, res); err != nil {
		return 0, err
	}
	r.additions.Reset(r.state.Added)
	r.last = res.Last
	r.relations, r.suspects, r.truncated, r.watchedAt = map[uint32]*relation{}, map[string]suspicion{}, map[string]bool{}, time.Time{}
	r.ack.Store(r.end.Offset)
	from := r.end.Offset
	if r.again != nil {
		from = r.again.last.Place.Offset
	}
	err = pglogrepl.StartReplication(ctx, r.conn, r.o.Slot, pglogrepl.LSN(from), pglogrepl.StartReplicationOptions{
		PluginArgs: []string{"proto_version '1'", "publication_names '" + strings.ReplaceAll(r.o.Publication, "'", "''") + "'"}})
	if err != nil {
		return 0, connection("start replication", err)
	}
	r.leaving, r.pending = map[string]uint64{}, map[string]sighting{}
	if _, err := r.look(ctx, 0); err != nil {
		return 0, err
	}
	if err := r.watchPartitions(ctx); err != nil {
		return 0, err
	}
	if res.State == nil || res.Repair {
		if err := r.stopUnpublished(ctx); err != nil {
			return 0, err
		}
	}
	if err := r.idle(); err != nil {
		return 0, err
	}
	return r.state.Epoch, nil
}

func (r *Reader) probe(ctx context.Context) error {
	var name, level string
	err := r.sql.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('server_version'), current_setting('wal_level')`).Scan(&r.version, &name, &level)
	if err != nil {
		return connection("read settings", err)
	}
	if r.version < Oldest {
		return &capture.Coded{Code: "PG_VERSION", Hint: "upgrade to PostgreSQL 10 or newer",
			Err: fmt.Errorf("the server is PostgreSQL %s, which has no logical replication by publication: %w", name, capture.ErrSettings)}
	}
	if level != WALLevel {
		return &capture.Coded{Code: "PG_WAL_LEVEL", Hint: "ALTER SYSTEM SET wal_level = 'logical'; then restart the server",
			Err: fmt.Errorf("wal_level is %s: %w", level, capture.ErrSettings)}
	}
	r.truncateUnseen, err = r.blind(ctx)
	return err
}

// Pace implements snapshot.Pacer.
func (r *Reader) Pace(milliseconds int) { r.pace.Store(int64(milliseconds)) }

// every is the time between two idle segments.
func (r *Reader) every() time.Duration {
	if ms := r.pace.Load(); ms > 0 {
		return time.Duration(ms) * time.Millisecond
	}
	return time.Second
}

// Ack implements capture.Reader.
func (r *Reader) Ack(p event.Place) { r.ack.Store(p.Offset) }

// Close implements capture.Reader.
func (r *Reader) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if r.unwatch != nil {
		r.unwatch()
		r.done, r.unwatch = nil, nil
	}
	if r.conn != nil {
		_ = r.conn.Close(ctx) // the server notices either way
		r.conn = nil
	}
	if r.sql != nil {
		_ = r.sql.Close(ctx)
		r.sql = nil
	}
	r.queue.Reset()
	r.seg, r.skip = nil, false
	return nil
}
