package postgres

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/tributary-cdc/tributary/stream/peer"
)

// formats are the settings of all sessions: values have one form whatever the server's are.
var formats = map[string]string{"DateStyle": "ISO, YMD", "TimeZone": "UTC", "IntervalStyle": "iso_8601", "bytea_output": "hex", "extra_float_digits": "3"}

// config is what a session is opened with. The environment's PGSSL variables don't count.
func (r *Reader) config(encrypted *tls.Config) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig("sslmode=disable application_name=tributary connect_timeout=5")
	if err != nil {
		return nil, fmt.Errorf("postgres reader options: %w", err)
	}
	cfg.Host, cfg.Port, cfg.Database, cfg.User, cfg.Password = r.o.Host, r.o.Port, r.o.Database, r.o.User, r.o.Password
	cfg.Fallbacks, cfg.TLSConfig = nil, encrypted
	for k, v := range formats {
		cfg.RuntimeParams[k] = v
	}
	return cfg, nil
}

// tapped names a session's tap among what is kept with it.
const tapped = "tap"

// connect opens a session for SQL. The error isn't classified.
func (r *Reader) connect(ctx context.Context) (*pgx.Conn, error) {
	return peer.Connect(r.o.TLS, r.o.Host, func(encrypted *tls.Config) (*pgx.Conn, error) {
		cfg, err := r.config(encrypted)
		if err != nil {
			return nil, err
		}
		var t *tap
		cfg.BuildFrontend = func(from io.Reader, to io.Writer) *pgproto3.Frontend {
			t = newTap(from)
			return pgproto3.NewFrontend(t, to)
		}
		c, err := pgx.ConnectConfig(ctx, cfg)
		if err == nil {
			c.PgConn().CustomData()[tapped] = t
		}
		return c, err
	})
}

// replicate opens a session for the stream. The error isn't classified.
func (r *Reader) replicate(ctx context.Context) (*pgconn.PgConn, error) {
	return peer.Connect(r.o.TLS, r.o.Host, func(encrypted *tls.Config) (*pgconn.PgConn, error) {
		cfg, err := r.config(encrypted)
		if err != nil {
			return nil, err
		}
		cfg.RuntimeParams["replication"] = "database"
		return pgconn.ConnectConfig(ctx, &cfg.Config)
	})
}
