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
