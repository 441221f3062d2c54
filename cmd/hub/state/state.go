// Package state keeps what a hub knows in the store's database: orgs, accounts, sessions,
// invitations, agents, requests, sources and the audit. It decides what may become of
// what, in one transaction each, so that several hubs can run on one database. It knows
// no HTTP and no key.
package state

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tributary-cdc/tributary/cmd/hub/alarm"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/stream/peer"
)

// Options says where the state is and how long things last. Config is required.
type Options struct {
	Config *pgx.ConnConfig
	// TLS protects all connections. The zero value: verified beyond loopback.
	TLS peer.TLS
	// Connections bounds those to the database. Default 8.
	Connections int32
	// Idle and Longest bound a session: since it was used last, and since its begin.
	// Default 30 min and 12 h.
	Idle, Longest time.Duration
	// Invited is how long an invitation holds. Default 24 h.
	Invited time.Duration
	// Linked is how long a link to set a password holds. Default 24 h.
	Linked time.Duration
	// Lingers is how long an alarm stays open after it was seen last, so that what comes and
	// goes is one alarm. Default 1 min.
	Lingers time.Duration
	// Zone is that of the days of the calendar. Default Asia/Shanghai.
	Zone *time.Location
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// State is the state of a hub. It is safe for concurrent use.
type State struct {
	o    Options
	pool *pgxpool.Pool
}

// By is who does something, and from where.
type By struct {
	Name    string
	Address string
}

// Open connects, and brings the tables to this version. Several hubs may do so at once.
func Open(ctx context.Context, o Options) (*State, error) {
	if o.Config == nil {
		return nil, errors.New("hub state options: Config must be set")
	}
	if o.Connections == 0 {
		o.Connections = 8
	}
	for _, d := range []struct {
		value *time.Duration
		usual time.Duration
	}{{&o.Idle, 30 * time.Minute}, {&o.Longest, 12 * time.Hour}, {&o.Invited, 24 * time.Hour}, {&o.Linked, 24 * time.Hour}, {&o.Lingers, time.Minute}} {
		if *d.value == 0 {
			*d.value = d.usual
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Zone == nil {
		var err error
		if o.Zone, err = time.LoadLocation(alarm.DefaultReportZone); err != nil {
			return nil, err
		}
	}
	config, err := pgxpool.ParseConfig("")
	if err != nil {
		return nil, err
	}
	config.ConnConfig = o.Config.Copy()
	config.ConnConfig.RuntimeParams["application_name"] = "tributary-hub"
	config.ConnConfig.RuntimeParams["timezone"] = "UTC"
	config.MaxConns = o.Connections
	config.ConnConfig.ConnectTimeout = connecting
	config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) (err error) {
		if c.TLSConfig, err = o.TLS.Config(c.Host); o.TLS.Mode == peer.Prefer {
			c.Fallbacks = []*pgconn.FallbackConfig{{Host: c.Host, Port: c.Port}}
		}
		return err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, failed(err)
	}
	s := &State{o: o, pool: pool}
	if err := s.migrate(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return s, nil
}

// connecting bounds the time until a connection is made.
const connecting = 5 * time.Second

// failed gives an error of the database its meaning.
func failed(err error) error {
	if _, ours := errors.AsType[*refusal.Refusal](err); err == nil || ours || errors.Is(err, context.Canceled) {
		return err
	}
	if e, ok := errors.AsType[*peer.Error](peer.Diagnose("the hub's database", err)); ok {
		return &refusal.Refusal{Kind: refusal.Later, Code: e.Code, Err: e}
	}
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pe.Code {
		case "28000", "28P01", "3D000", "42501": // who, with which password, where, with which privilege
			return &refusal.Refusal{Kind: refusal.Later, Code: "HUB_STATE_ACCESS", Err: err}
		case "57P01", "57P02", "57P03", "53300":
			return &refusal.Refusal{Kind: refusal.Later, Code: "HUB_STATE_AWAY", Err: err}
		}
		return fmt.Errorf("hub state: %w", err)
	}
	var ne net.Error
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok || errors.As(err, &ne) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded) {
		return &refusal.Refusal{Kind: refusal.Later, Code: "HUB_STATE_AWAY", Err: err}
	}
	return fmt.Errorf("hub state: %w", err)
}

// Close ends all connections.
func (s *State) Close() { s.pool.Close() }

// Alive asks the database anything.
func (s *State) Alive(ctx context.Context) error {
	if err := s.pool.Ping(ctx); err != nil {
		return failed(err)
	}
	return nil
}

// within runs f in a transaction. What f returns undoes all of it.
func (s *State) within(ctx context.Context, f func(pgx.Tx) error) error {
	return failed(pgx.BeginFunc(ctx, s.pool, f))
}

// list gives all rows of a question, the columns in the order of T's fields.
func list[T any](ctx context.Context, s *State, sql string, args ...any) ([]T, error) {
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, failed(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[T])
	if err != nil {
		return nil, failed(err)
	}
	return found, nil
}

// inScope is the condition that the path of table o lies in one of the scopes of the
// parameter with this number.
func inScope(n int) string {
	return fmt.Sprintf("EXISTS (SELECT FROM unnest($%d::text[]) scope WHERE starts_with(o.path, scope))", n)
}
