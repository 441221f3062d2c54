package embedded

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
)

// ErrStorage reports that the data folder could not be written (a full disk, an
// I/O error). The log has stopped; nothing that it acknowledged is missing.
var ErrStorage = errors.New("embedded log can't write its data folder")

// failStop keeps the broker from acknowledging what it couldn't write. The broker
// only logs such an error and goes on from memory, so the first one breaks every
// connection before the answer is sent, and no new one comes in.
type failStop struct {
	failed chan struct{}

	mu    sync.Mutex
	err   error
	conns map[net.Conn]struct{}
}

func newFailStop() *failStop {
	return &failStop{failed: make(chan struct{}), conns: map[net.Conn]struct{}{}}
}

// notWritten are the beginnings of the broker's messages about its files.
var notWritten = []string{"persist ", "rebuildSegments ", "endTx: failed to persist"}

// Logf implements kfake.Logger. It is called where the error occurred, before
// the request that caused it is answered.
func (f *failStop) Logf(level kfake.LogLevel, format string, args ...any) {
	if level > kfake.LogLevelWarn {
		return
	}
	for _, prefix := range notWritten {
		if strings.HasPrefix(format, prefix) {
			f.fail(fmt.Errorf("%w: %s", ErrStorage, fmt.Sprintf(format, args...)))
			return
		}
	}
}

func (f *failStop) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return
	}
	f.err = err
	for c := range f.conns {
		_ = c.Close()
	}
	close(f.failed)
}

// cause is the first error, nil while all is well.
func (f *failStop) cause() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// listen is the broker's way to its port.
func (f *failStop) listen(network, address string) (net.Listener, error) {
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	return &listener{Listener: l, stop: f}, nil
}

type listener struct {
	net.Listener
	stop *failStop
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.stop.mu.Lock()
	defer l.stop.mu.Unlock()
	if l.stop.err != nil {
		return c, c.Close() // the broker finds it closed
	}
	tracked := &conn{Conn: c, stop: l.stop}
	l.stop.conns[tracked] = struct{}{}
	return tracked, nil
}

type conn struct {
	net.Conn
	stop *failStop
}

// Read implements net.Conn and forgets the connection at its end.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.stop.mu.Lock()
		delete(c.stop.conns, c)
		c.stop.mu.Unlock()
	}
	return n, err
}
