package event

import (
	"bytes"
	"testing"
)

func TestArenaNeverMoves(t *testing.T) {
	var a Arena
	var kept [][]byte
	for i := range 3000 {
		kept = append(kept, a.Copy(bytes.Repeat([]byte{byte(i)}, 1+i%200)))
	}
	kept = append(kept, a.Copy(bytes.Repeat([]byte{184}, 3*arenaChunk)))
	for i, b := range kept {
		for _, c := range b {
			if c != byte(i) {
				t.Fatalf("value %d holds %d", i, c)
			}
		}
	}
	one := a.Take(2)
	if more := append(one, 7); &more[0] == &one[0] {
		t.Error("appending to a value writes into the next one")
	}
	a.Reset()
	if got := a.Take(1); len(got) != 1 {
		t.Error("nothing after Reset")
	}
}

// Kept chunks are handed out again after Reset, and only then.
func TestArenaKeeps(t *testing.T) {
	a := Arena{Keep: 3}
	fill := func() (chunks map[*byte]bool) {
		chunks = map[*byte]bool{}
		for range 6 {
			b := a.Take(arenaChunk)
			if chunks[&b[0]] {
				t.Fatal("one chunk handed out twice")
			}
			chunks[&b[0]] = true
		}
		return chunks
	}
	first := fill()
	a.Take(2 * arenaChunk) // not of the size that is kept
	a.Reset()
	again := 0
	for p := range fill() {
		if first[p] {
			again++
		}
	}
	if again != 3 {
		t.Errorf("%d chunks were used again, want 3", again)
	}
	if n := testing.AllocsPerRun(20, func() {
		a.Reset()
		for range 4 {
			a.Take(arenaChunk)
		}
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

// TestArenaEmpty: a copy of nothing isn't nil, also before the arena has any memory.
func TestArenaEmpty(t *testing.T) {
	var a Arena
	if a.Copy([]byte{}) == nil || a.Take(0) == nil {
		t.Error("an empty value became none")
	}
}
