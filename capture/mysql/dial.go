package mysql

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/go-mysql-org/go-mysql/client"

	"github.com/tributary-cdc/tributary/stream/peer"
)

// dialTimeout bounds a connection until the server has taken the user.
const dialTimeout = 5 * time.Second

// dial logs in, as encrypted as the options want it. The error isn't classified.
func (r *Reader) dial(ctx context.Context, options ...client.Option) (*client.Conn, error) {
	return peer.Connect(r.o.TLS, r.o.Host, func(config *tls.Config) (*client.Conn, error) {
		var raw net.Conn
		dial := func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			raw = c
			return c, c.SetDeadline(time.Now().Add(dialTimeout)) // the library bounds no handshake
		}
		if config != nil {
			options = append(options[:len(options):len(options)], func(c *client.Conn) error { c.SetTLSConfig(config); return nil })
		}
		c, err := client.ConnectWithDialer(ctx, "", r.addr(), r.o.User, r.o.Password, "", dial, options...)
		if err != nil {
			return nil, err
		}
		if err := raw.SetDeadline(time.Time{}); err != nil {
			return nil, errors.Join(err, c.Close())
		}
		return c, nil
	})
}
