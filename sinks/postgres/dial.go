package postgres

import (
	"context"
	"crypto/tls"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/stream/peer"
)

func (s *Store) connect(ctx context.Context) (*pgx.Conn, error) {
	return s.dial(ctx, s.config)
}

// dial opens a connection as config says, encrypted as the options want it.
func (s *Store) dial(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	c, err := peer.Connect(s.o.TLS, s.o.Host, func(encrypted *tls.Config) (*pgx.Conn, error) {
		own := config.Copy()
		own.TLSConfig = encrypted
		return pgx.ConnectConfig(ctx, own)
	})
	if err != nil {
		return nil, fmt.Errorf("connect to store %s:%d/%s: %w", s.o.Host, s.o.Port, s.o.Database, classify(err, false))
	}
	return c, nil
}
