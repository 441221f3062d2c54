package event

// Arena holds the bytes of values. It grows by chunks, so that what was handed
// out never moves.
type Arena struct {
	chunk []byte
}

const arenaChunk = 64 << 10

// Take returns n bytes of any content. They are valid until Reset.
func (a *Arena) Take(n int) []byte {
	if cap(a.chunk)-len(a.chunk) < n {
		a.chunk = make([]byte, 0, max(n, arenaChunk))
	}
	at := len(a.chunk)
	a.chunk = a.chunk[:at+n]
	return a.chunk[at : at+n : at+n]
}

// Copy returns a copy of b that is valid until Reset.
func (a *Arena) Copy(b []byte) []byte {
	out := a.Take(len(b))
	copy(out, b)
	return out
}

// Reset makes the newest chunk free again and forgets the others. Nothing that
// was handed out may be used any more.
func (a *Arena) Reset() {
	if cap(a.chunk) > 16*arenaChunk { // one huge value must not be kept for ever
		a.chunk = nil
	}
	a.chunk = a.chunk[:0]
}
