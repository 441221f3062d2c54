package servers

import (
	"bytes"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
)

// Link is a TCP connection that can be broken in the ways networks break: reset,
// reset in the middle of a message, silence, a thin line, nobody there.
type Link struct {
	upstream string
	listener net.Listener

	mu     sync.Mutex
	change sync.Cond // of silent
	conns  map[net.Conn]bool
	silent bool
	down   bool
	rate   int           // bytes per second and direction, 0 is unlimited
	budget int64         // bytes from upstream until everything is reset, -1 is endless
	spent  chan struct{} // closed when the budget is

	word     []byte // of a request, at which the connection breaks
	before   bool   // before the request has passed, or before its answer has
	cut      chan struct{}
	answered bool // the request has passed, its answer is due

	requests int    // that have passed or wait
	at       int    // of these, the one before which do runs; 0 for none
	do       func() // nil once it has run
}

// NewLink listens on loopback and passes everything on to upstream until the test
// ends. An empty upstream is set by To.
func NewLink(t testing.TB, upstream string) *Link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &Link{upstream: upstream, listener: listener, conns: map[net.Conn]bool{}, budget: -1}
	l.change.L = &l.mu
	go l.accept()
	t.Cleanup(func() {
		_ = listener.Close()
		l.Heal()
		l.Reset()
	})
	return l
}

// To says where the link leads.
func (l *Link) To(upstream string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.upstream = upstream
}

// Port is the link's own.
func (l *Link) Port() int { return l.listener.Addr().(*net.TCPAddr).Port }

func (l *Link) accept() {
	for {
		c, err := l.listener.Accept()
		if err != nil {
			return // the test has ended
		}
		go l.serve(c)
	}
}

// linkBuffer is the size in bytes of each of a connection's buffers in a link.
const linkBuffer = 64 << 10

func (l *Link) serve(client net.Conn) {
	l.mu.Lock()
	down, upstream := l.down, l.upstream
	l.mu.Unlock()
	if down {
		reset(client)
		return
	}
	server, err := net.Dial("tcp", upstream)
	if err != nil {
		reset(client)
		return
	}
	// What a link holds is little and the same each time; kernels grow their buffers to
	// many megabytes.
	for _, c := range []net.Conn{client, server} {
		if tcp, ok := c.(*net.TCPConn); ok {
			_, _ = tcp.SetReadBuffer(linkBuffer), tcp.SetWriteBuffer(linkBuffer) // a wish
		}
	}
	l.mu.Lock()
	l.conns[client], l.conns[server] = true, true
	l.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { l.pump(server, client, false) })
	both.Go(func() { l.pump(client, server, true) })
	both.Wait()
	l.mu.Lock()
	delete(l.conns, client)
	delete(l.conns, server)
	l.mu.Unlock()
}

// pump copies one direction; its end is the end of both.
func (l *Link) pump(to, from net.Conn, answers bool) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if l.breaks(buf[:n], answers) {
				return
			}
			if !answers {
				l.meet()
			}
			allowed, rate := l.admit(n, answers)
			if rate > 0 {
				<-time.After(time.Duration(n) * time.Second / time.Duration(rate))
			}
			if _, werr := to.Write(buf[:allowed]); werr != nil {
				return
			}
			if allowed < n {
				l.Reset()
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// admit waits while the link is silent and says how many of n bytes may pass.
func (l *Link) admit(n int, answers bool) (allowed, rate int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.silent {
		l.change.Wait()
	}
	if !answers || l.budget < 0 {
		return n, l.rate
	}
	allowed = int(min(int64(n), l.budget))
	l.budget -= int64(allowed)
	if allowed < n {
		l.budget = -1
		close(l.spent)
	}
	return allowed, l.rate
}

// breaks tells whether a piece of data is the one at which ResetAt breaks.
func (l *Link) breaks(b []byte, answers bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case answers && l.answered: // the request has passed; its answer doesn't
		l.answered = false
	case !answers && l.word != nil && bytes.Contains(b, l.word):
		l.word, l.answered = nil, !l.before
		if l.answered {
			return false
		}
	default:
		return false
	}
	close(l.cut)
	return true
}

// ResetAt breaks the connection at the next request that has a word: before it has
// passed, or once the server has answered it, before the answer has. The channel is
// closed then. One request at a time may be under way.
func (l *Link) ResetAt(word string, before bool) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.word, l.before, l.cut = []byte(word), before, make(chan struct{})
	return l.cut
}

// Before runs do once, before the nth request from now on passes, counted from 1 over all
// connections. The request waits for it.
func (l *Link) Before(n int, do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at, l.do = l.requests+n, do
}

// Requests says how many there were.
func (l *Link) Requests() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.requests
}

// meet counts a request, and runs what is to run before it.
func (l *Link) meet() {
	l.mu.Lock()
	l.requests++
	do := l.do
	if l.requests != l.at {
		do = nil
	}
	l.mu.Unlock()
	if do != nil {
		do()
	}
}

func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // RST instead of FIN
	}
	_ = c.Close()
}

// Reset breaks all connections at once and says how many there were.
func (l *Link) Reset() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.conns) / 2
	for c := range l.conns {
		reset(c)
	}
	return n
}

// ResetAfter breaks all connections once n more bytes have come from upstream, in
// the middle of whatever they belong to. The channel is closed then.
func (l *Link) ResetAfter(n int64) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.budget, l.spent = n, make(chan struct{})
	return l.spent
}

// Connections says how many the link carries.
func (l *Link) Connections() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns) / 2
}

// Silence lets nothing pass and breaks nothing, until Heal. It says how many
// connections there are.
func (l *Link) Silence() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silent = true
	return len(l.conns) / 2
}

// Thin bounds each direction of each connection to bytes per second, until Heal.
func (l *Link) Thin(bytes int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rate = bytes
	return len(l.conns) / 2
}

// Down breaks all connections and lets nobody in, until Heal.
func (l *Link) Down() int {
	l.mu.Lock()
	l.down = true
	l.mu.Unlock()
	return l.Reset()
}

// Heal ends what Silence, Thin, Down and an unspent ResetAfter began.
func (l *Link) Heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silent, l.down, l.rate, l.budget, l.word, l.answered = false, false, 0, -1, nil, false
	l.change.Broadcast()
}

func (l *Link) String() string { return fmt.Sprintf("link to %s", l.upstream) }
