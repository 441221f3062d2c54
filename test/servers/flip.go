package servers

import (
	"bytes"
	"context"
	"net"
	"sync/atomic"
)

// Flip connects to a broker and changes one bit of a word wherever an answer has it,
// as a damaged disk does, until it is healed. The word must come whole in one read.
type Flip struct {
	word   []byte
	healed atomic.Bool
}

// NewFlip makes a way to a broker whose answers are damaged at the word.
func NewFlip(word string) *Flip { return &Flip{word: []byte(word)} }

// Heal ends the damage.
func (f *Flip) Heal() { f.healed.Store(true) }

// Dial connects to a broker.
func (f *Flip) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &flipped{Conn: c, flip: f}, nil
}

type flipped struct {
	net.Conn
	flip *Flip
}

// Read implements net.Conn.
func (c *flipped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if i := bytes.Index(p[:n], c.flip.word); i >= 0 && !c.flip.healed.Load() {
		p[i] ^= 0x20
	}
	return n, err
}
