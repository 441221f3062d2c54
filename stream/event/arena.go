package event

// Arena holds the bytes of values. It grows by chunks, so that what was handed
// out never moves.
type Arena struct {
	// Keep is how many chunks of 64 KiB are held for use again after Reset. With 0,
	// only the newest one is known to the arena: what it handed out lives as long as
	// somebody points to it.
	Keep int

	chunk []byte   // being filled
	full  [][]byte // at most Keep of them
	spare [][]byte
}

const arenaChunk = 64 << 10

// Take returns n bytes of any content. They are valid until Reset.
func (a *Arena) Take(n int) []byte {
	if a.chunk == nil || cap(a.chunk)-len(a.chunk) < n { // an empty value is a value, never nil
		a.next(n)
	}
	at := len(a.chunk)
	a.chunk = a.chunk[:at+n]
	return a.chunk[at : at+n : at+n]
}

func (a *Arena) next(n int) {
	if len(a.full)+len(a.spare) < a.Keep && cap(a.chunk) == arenaChunk {
		a.full = append(a.full, a.chunk)
	}
	if k := len(a.spare); k > 0 && n <= arenaChunk {
		a.chunk, a.spare = a.spare[k-1], a.spare[:k-1]
		return
	}
	a.chunk = make([]byte, 0, max(n, arenaChunk))
}

// Copy returns a copy of b that is valid until Reset.
func (a *Arena) Copy(b []byte) []byte {
	out := a.Take(len(b))
	copy(out, b)
	return out
}

// Reset makes the newest chunk and the kept ones free again and forgets the others.
// Nothing that was handed out may be used any more.
func (a *Arena) Reset() {
	if cap(a.chunk) > 16*arenaChunk { // one huge value must not be kept for ever
		a.chunk = nil
	}
	a.chunk = a.chunk[:0]
	for _, c := range a.full {
		a.spare = append(a.spare, c[:0])
	}
	a.full = a.full[:0]
}
