package log

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// golden are records as the protocol guide describes them ("Record", format v2):
// length, attributes, timestamp delta, offset delta, key, value, headers; lengths
// and deltas in zigzag, -1 for null.
var golden = []struct {
	name       string
	key, value []byte
	headers    []Header
	hex        string
}{
	{"key and value", []byte("k"), []byte("v"), nil, "1000000002 6b 02 76 00"},
	{"null value", []byte("k"), nil, nil, "0e00000202 6b 01 00"},
	{"null key, empty value", nil, []byte{}, nil, "0c000004 01 00 00"},
	{"control record", nil, nil, []Header{{"source", []byte("s")}}, "1e000006 01 01 02 0c 736f75726365 02 73"},
	{"header with a null", nil, nil, []Header{{"h", nil}}, "12000008 01 01 02 02 68 01"},
	{"empty header name and value", []byte{}, []byte{}, []Header{{"", []byte{}}}, "1000000a 00 00 02 00 00"},
	{"two headers of one name", nil, nil, []Header{{"a", []byte{1}}, {"a", []byte{2}}}, "1c00000c 01 01 04 02 61 02 01 02 61 02 02"},
	{"length of two bytes", nil, bytes.Repeat([]byte{7}, 64), nil, "8e0100000e 01 8001 " + strings.Repeat("07", 64) + " 00"},
}

func whole(t testing.TB) (r Records, text string) {
	t.Helper()
	for _, g := range golden {
		r.Add(g.key, g.value, g.headers...)
		text += strings.ReplaceAll(g.hex, " ", "")
	}
	return r, text
}

func TestRecordsAreTheGoldenBytes(t *testing.T) {
	r, text := whole(t)
	if got := hex.EncodeToString(r.Data()); got != text {
		t.Errorf("records are\n%s, want\n%s", got, text)
	}
	if r.Count() != len(golden) || r.Size() != len(text)/2 {
		t.Errorf("%d records of %d bytes, want %d of %d", r.Count(), r.Size(), len(golden), len(text)/2)
	}
	r.Reset()
	if r.Count() != 0 || r.Size() != 0 {
		t.Errorf("%d records of %d bytes after Reset", r.Count(), r.Size())
	}
	r.Add([]byte("k"), []byte("v"))
	if got, want := hex.EncodeToString(r.Data()), strings.ReplaceAll(golden[0].hex, " ", ""); got != want {
		t.Errorf("after Reset a record is %s, want %s", got, want)
	}
}

// TestValuesInTheirPlace: a value that is appended in its place gives the bytes of one that
// was made before, whatever number of bytes its lengths take, and one that can't be made none.
func TestValuesInTheirPlace(t *testing.T) {
	headers := []Header{{"source", []byte("s")}, {"h", nil}}
	encoded := AppendHeaders(nil, headers...)
	var want, got Records
	for _, n := range []int{0, 1, 40, 63, 64, 100, 8170, 8191, 8192, 1 << 20, 5} {
		for _, key := range [][]byte{nil, []byte("k"), make([]byte, 70)} {
			value := bytes.Repeat([]byte{byte(n)}, n)
			want.Add(key, value, headers...)
			if size, err := got.AddValue(key, encoded, func(dst []byte) ([]byte, error) { return append(dst, value...), nil }); err != nil || size != n {
				t.Errorf("a value of %d bytes is one of %d, %v", n, size, err)
			}
			if _, err := got.AddValue(key, encoded, func(dst []byte) ([]byte, error) { return append(dst, 1, 2, 3), ErrCorrupt }); !errors.Is(err, ErrCorrupt) {
				t.Errorf("a value that can't be made: %v", err)
			}
		}
	}
	if got.Count() != want.Count() || !bytes.Equal(got.Data(), want.Data()) {
		t.Errorf("%d records of %d bytes, want %d of %d", got.Count(), got.Size(), want.Count(), want.Size())
	}
}

// same tells null and empty apart.
func same(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }

func TestGoldenBytesReadBack(t *testing.T) {
	_, text := whole(t)
	data, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	b := Batch{Base: 100, Last: 100 + Offset(len(golden)) - 1, Count: len(golden), Data: data}
	err = b.Each(func(o Offset, r *Record) error {
		g := golden[n]
		if o != Offset(100+n) || !same(r.Key, g.key) || !same(r.Value, g.value) || len(r.Headers) != len(g.headers) {
			t.Errorf("%s: offset %d, key %q, value %q, %d headers", g.name, o, r.Key, r.Value, len(r.Headers))
		}
		for i, h := range r.Headers {
			if string(h.Key) != g.headers[i].Key || !same(h.Value, g.headers[i].Value) {
				t.Errorf("%s: header %q is %q", g.name, h.Key, h.Value)
			}
		}
		n++
		return nil
	})
	if err != nil || n != len(golden) {
		t.Errorf("%d records, %v", n, err)
	}
}

func TestHeaderIsTheFirstOfItsName(t *testing.T) {
	r := Record{Headers: []HeaderView{{[]byte("a"), nil}, {[]byte("a"), []byte{1}}, {[]byte("b"), []byte{2}}}}
	if v, ok := r.Header("a"); !ok || v != nil {
		t.Errorf("a is %q, %v; want a null", v, ok)
	}
	if v, ok := r.Header("b"); !ok || !bytes.Equal(v, []byte{2}) {
		t.Errorf("b is %q, %v", v, ok)
	}
	if _, ok := r.Header("c"); ok {
		t.Error("c is there")
	}
}

func TestEveryTruncationIsCorrupt(t *testing.T) {
	for _, g := range golden {
		var r Records
		r.Add(g.key, g.value, g.headers...)
		for n := range r.Size() {
			b := Batch{Count: 1, Data: r.Data()[:n]}
			if err := b.Each(func(Offset, *Record) error { return nil }); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s, %d of %d bytes: %v, want ErrCorrupt", g.name, n, r.Size(), err)
			}
		}
	}
}

func TestForgedRecordsAreCorrupt(t *testing.T) {
	for name, tt := range map[string]struct {
		hex   string
		count int
	}{
		"negative length":               {"01", 1},
		"length beyond the batch":       {"7e00000000", 1},
		"key beyond the record":         {"0c000000 7e 00 00", 1},
		"key of length -2":              {"0c000000 03 00 00", 1},
		"headers beyond the record":     {"0c000000 01 01 7e", 1},
		"negative number of headers":    {"0c000000 01 01 01", 1},
		"header without a name":         {"10000000 01 01 02 01 01", 1},
		"bytes after the headers":       {"0e000000 01 01 00 00", 1},
		"varint without an end":         {"ffffffffffffffffffffff", 1},
		"bytes after the last record":   {"0c000000 01 01 00 00", 1},
		"fewer records than the count":  {"0c000000 01 01 00", 2},
		"offset before the batch":       {"0c000001 01 01 00", 1},
		"offset behind the batch":       {"0c000006 01 01 00", 1},
		"offset of the record before":   {"0c000000 01 01 00 0c000000 01 01 00", 2},
		"offset lower than one before":  {"0c000002 01 01 00 0c000000 01 01 00", 2},
		"number of headers as memory":   {"14000000 01 01 feffffff0f", 1},
		"offset that overflows a batch": {"1e0000 feffffffffffffffff01 01 01 00", 1},
	} {
		data, err := hex.DecodeString(strings.ReplaceAll(tt.hex, " ", ""))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		b := Batch{Base: 5, Last: 6, Count: tt.count, Data: data}
		if err := b.Each(func(Offset, *Record) error { return nil }); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", name, err)
		}
	}
}

// TestCompactedBatch: compaction takes records out of a batch and keeps offsets.
func TestCompactedBatch(t *testing.T) {
	data, err := hex.DecodeString(strings.ReplaceAll("0c000002 01 01 00 0c000006 01 01 00", " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	var got []Offset
	b := Batch{Base: 10, Last: 14, Count: 2, Data: data}
	if err := b.Each(func(o Offset, _ *Record) error { got = append(got, o); return nil }); err != nil || fmt.Sprint(got) != "[11 13]" {
		t.Errorf("offsets %v, %v; want 11 and 13", got, err)
	}
}

func TestEachStopsAtAnError(t *testing.T) {
	r, _ := whole(t)
	b, stop, n := Batch{Last: 99, Count: r.Count(), Data: r.Data()}, errors.New("stop"), 0
	if err := b.Each(func(Offset, *Record) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Errorf("%d records, %v; want one, and the callback's error", n, err)
	}
}

func TestNamesOfThings(t *testing.T) {
	if got := fmt.Sprint(Partition{"tributary.330106.changes", 3}, Producer{7, 2}, NoProducer); got != "tributary.330106.changes/3 7/2 -1/-1" {
		t.Error(got)
	}
}

// copied writes a batch's records again.
func copied(b *Batch) (out Records, err error) {
	err = b.Each(func(_ Offset, r *Record) error {
		var hs []Header
		for _, h := range r.Headers {
			hs = append(hs, Header{string(h.Key), h.Value})
		}
		out.Add(r.Key, r.Value, hs...)
		return nil
	})
	return out, err
}

// FuzzRecords feeds a batch's body to the parser: it never panics, every error is
// ErrCorrupt, and what it reads means the same once it is written again.
func FuzzRecords(f *testing.F) {
	r, _ := whole(f)
	f.Add(r.Data(), r.Count())
	for _, g := range golden {
		var one Records
		one.Add(g.key, g.value, g.headers...)
		f.Add(bytes.Clone(one.Data()), 1)
	}
	f.Fuzz(func(t *testing.T, data []byte, count int) {
		first, err := copied(&Batch{Last: 1 << 40, Count: min(max(count, 0), 1000), Data: data})
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		second, err := copied(&Batch{Last: Offset(max(first.Count(), 1)) - 1, Count: first.Count(), Data: first.Data()})
		if err != nil || !bytes.Equal(second.Data(), first.Data()) {
			t.Errorf("written again: %v\n%x\n%x", err, first.Data(), second.Data())
		}
	})
}
