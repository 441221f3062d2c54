package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/peer"
)

// dialTimeout bounds a connection until it is ready for requests.
const dialTimeout = 3 * time.Second

// dialer makes a connection to a broker.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// encrypted gives the way to a broker, with TLS on it if the options want that. The files
// of the options are read anew for each connection.
func (o *Options) encrypted() (dialer, error) {
	dial := dialer(o.Dial)
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	var hosts []string
	for _, b := range o.Brokers {
		host, _, err := net.SplitHostPort(b)
		if err != nil {
			host = b // the dialer says what is wrong with it
		}
		hosts = append(hosts, host)
	}
	t := o.TLS.On(hosts...)
	err := t.Check()
	if err == nil && t.Mode == peer.Prefer {
		err = errNoPrefer
	}
	if err != nil {
		return nil, fmt.Errorf("kafka options: TLS mode %s: %w", t.Mode, err)
	}
	if t.Mode == peer.None {
		return dial, nil
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		return peer.Connect(t, host, func(c *tls.Config) (net.Conn, error) {
			raw, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			conn := tls.Client(raw, c)
			if err := conn.HandshakeContext(ctx); err != nil {
				return nil, errors.Join(err, raw.Close())
			}
			return conn, nil
		})
	}, nil
}

var errNoPrefer = errors.New("a broker's port speaks TLS or it doesn't")

// The mechanisms of a Login.
const (
	ScramSHA512 = "SCRAM-SHA-512"
	ScramSHA256 = "SCRAM-SHA-256"
	Plain       = "PLAIN" // sends the password itself
)

// Mechanisms are all mechanisms of a Login.
var Mechanisms = []string{ScramSHA512, ScramSHA256, Plain}

// Login says by SASL who this program is. All fields are required.
type Login struct {
	Mechanism string
	User      string
	// Password is asked anew for each connection.
	Password func() (string, error)
}

var _ sasl.Mechanism = (*Login)(nil)

func (l *Login) check() error {
	if !slices.Contains(Mechanisms, l.Mechanism) || l.User == "" || l.Password == nil {
		return fmt.Errorf("kafka options: SASL: mechanism %q, user %q: one of %v, a user and a password are needed", l.Mechanism, l.User, Mechanisms)
	}
	return nil
}

// Name implements sasl.Mechanism.
func (l *Login) Name() string { return l.Mechanism }

// Start implements sasl.Mechanism.
func (l *Login) Start(ctx context.Context) (sasl.StateMachine, []byte, error) {
	password, err := l.Password()
	if err != nil {
		return nil, nil, fmt.Errorf("password of the log's user %s: %w: %w", l.User, log.ErrLogin, err)
	}
	var m sasl.Mechanism = plain.Mechanism{Username: l.User, Password: password}
	switch l.Mechanism {
	case ScramSHA512:
		m, err = scram.Mechanism(scram.SHA512, l.User, password)
	case ScramSHA256:
		m, err = scram.Mechanism(scram.SHA256, l.User, password)
	}
	if err != nil { // the library's text has the password in it
		return nil, nil, fmt.Errorf("user %s or its password has characters that SASLprep (RFC 4013) forbids: %w", l.User, log.ErrLogin)
	}
	s, first, err := m.Start(ctx)
	if err != nil {
		return nil, nil, err
	}
	return exchange{s}, first, nil
}

// exchange gives a failure of the client's half its meaning: the broker doesn't know the
// password either.
type exchange struct{ sasl.StateMachine }

// Next implements sasl.StateMachine.
func (e exchange) Next(ctx context.Context, challenge []byte) (bool, []byte, error) {
	done, answer, err := e.StateMachine.Next(ctx, challenge)
	if err != nil {
		err = fmt.Errorf("%w: %w", log.ErrLogin, err)
	}
	return done, answer, err
}
