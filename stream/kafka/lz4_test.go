package kafka

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/pierrec/lz4/v4"
)

// unframe reads a frame by another implementation.
func unframe(t testing.TB, frame []byte) []byte {
	t.Helper()
	out, err := io.ReadAll(lz4.NewReader(bytes.NewReader(frame)))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// samples are texts of every kind: alike, unlike, short, at the edges of blocks.
func samples() map[string][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 3*lz4BlockBytes)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	var rows bytes.Buffer
	for i := range 8000 {
		fmt.Fprintf(&rows, "330106-xueji|%06d|%x|学籍|%d", i, noise[i:i+rng.IntN(20)], rng.IntN(3))
	}
	out := map[string][]byte{"noise": noise, "rows": rows.Bytes(), "one block": noise[:lz4BlockBytes], "a block and a byte": rows.Bytes()[:lz4BlockBytes+1],
		"zeros": make([]byte, 700_000), "as far as can be": append(bytes.Clone(noise[:lz4BlockBytes-32]), noise[:32]...), "far": bytes.Repeat(noise[:lz4BlockBytes-1], 3)}
	for n := range 40 {
		out[fmt.Sprintf("%d equal", n)] = bytes.Repeat([]byte{'a'}, n)
		out[fmt.Sprintf("%d unlike", n)] = noise[:n]
		out[fmt.Sprintf("%d twice", n)] = bytes.Repeat(noise[:n], 2)
	}
	for _, n := range []int{15 + 4, 15 + 255 + 3, 15 + 255 + 4, 15 + 2*255 + 4} { // lengths at the edges of their bytes
		out[fmt.Sprintf("literals and match of %d", n)] = append(append(bytes.Clone(noise[:n]), noise[:n]...), noise[n:2*n]...)
	}
	for name, data := range batches() {
		out["batch: "+name] = data
		out["few records: "+name] = data[:1500+len(name)]
		out["in the middle: "+name] = data[100:] // where lengths are anything
		lies := bytes.Clone(data[:1<<17])
		for range 1000 {
			lies[rng.IntN(len(lies))] = byte(rng.Uint32())
		}
		out["lengths that lie: "+name] = lies
	}
	for _, size := range []int64{-1, 0, 5, 6, 7, 100, lz4BlockBytes, lz4MostBytes, lz4MostBytes + 1, 1 << 40, 1<<63 - 1} {
		out[fmt.Sprintf("records of %d bytes", size)] = bytes.Repeat(append(binary.AppendVarint(nil, size), "a few bytes"...), 10_000)
	}
	return out
}

func TestLZ4(t *testing.T) {
	var e lz4Encoder
	for name, data := range samples() {
		frame := e.appendFrame([]byte("before"), data)
		if !bytes.HasPrefix(frame, []byte("before")) {
			t.Fatalf("%s: what stood before is gone", name)
		}
		if got := unframe(t, frame[6:]); !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes come back as %d", name, len(data), len(got))
		}
		if limit := len(data) + 4*(len(data)/lz4BlockBytes+1) + 11; len(frame)-6 > limit {
			t.Errorf("%s: %d bytes become %d, more than %d", name, len(data), len(frame)-6, limit)
		}
	}
}

// TestLZ4Size compares with the reference implementation, which searches more.
func TestLZ4Size(t *testing.T) {
	data := batches()
	data["unlike records"] = samples()["rows"]
	for name, data := range data {
		var theirs bytes.Buffer
		w := lz4.NewWriter(&theirs)
		if err := w.Apply(lz4.BlockSizeOption(lz4.Block64Kb)); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		ours := len(new(lz4Encoder).appendFrame(nil, data))
		if ours > theirs.Len()*118/100 {
			t.Errorf("%s: %d bytes, the reference implementation needs %d", name, ours, theirs.Len())
		}
	}
}

// TestLZ4Learns looks at how what comes last is searched.
func TestLZ4Learns(t *testing.T) {
	data := batches()
	for name, coarse := range map[string]bool{"load": true, "load of notes": true, "load of images": true, "load of remarks": false, "load of notes, then of remarks": false, "updates": false, "JSON": false} {
		var e lz4Encoder
		if e.appendFrame(nil, data[name]); e.coarse != coarse {
			t.Errorf("%s: searched coarsely is %t, want %t", name, e.coarse, coarse)
		}
	}
}

func FuzzLZ4(f *testing.F) {
	for _, data := range samples() {
		if len(data) < 2000 {
			f.Add(data, uint16(3))
			f.Add(data, uint16(1<<16-1))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, times uint16) {
		data = bytes.Repeat(data, min(int(times), 1+3*lz4BlockBytes/(len(data)+1))) // of several blocks, too
		var e lz4Encoder
		if got := unframe(t, e.appendFrame(nil, data)); !bytes.Equal(got, data) {
			t.Errorf("%d bytes come back as %d", len(data), len(got))
		}
	})
}
