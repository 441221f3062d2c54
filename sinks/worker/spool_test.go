package worker

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// of writes n rows of a source; their values tell source and number.
func of(source string, first, n int) func(*log.Records) {
	return func(r *log.Records) {
		for i := range n {
			value := fmt.Appendf([]byte{0, 0, 0, 0, byte(i % 3)}, "%s %d", source, first+i)
			r.Add([]byte("k"), value, log.Header{Key: envelope.HeaderSource, Value: []byte(source)},
				log.Header{Key: envelope.HeaderPosition, Value: make([]byte, event.PositionSize)})
		}
	}
}

func ends(source string, pos, prev uint64, n int) func(*log.Records) {
	return func(r *log.Records) {
		envelope.AddCommit(r, source, &envelope.Commit{Txn: event.Txn{Position: at(pos)}, Prev: at(prev), Rows: n})
	}
}

// wantRows reads a transaction's rows and compares them with of's.
func wantRows(t *testing.T, x *txn, source string, n int) {
	t.Helper()
	var values event.Arena
	r := x.read()
	for i := range n {
		c, ok, err := r.next(&values)
		if want := fmt.Sprintf("\x00\x00\x00\x00%c%s %d", byte(i%3), source, i); err != nil || !ok || string(c.value) != want || c.schemaID != uint32(i%3) {
			t.Fatalf("row %d of %s is %q (%t, %v), want %q", i, source, c.value, ok, err, want)
		}
	}
	if _, ok, err := r.next(&values); ok || err != nil {
		t.Errorf("more than %d rows of %s, %v", n, source, err)
	}
}

// Rows beyond the limit go to a file, the largest source's first; each transaction
// reads the same from there, and the file goes with the last of them.
func TestSpool(t *testing.T) {
	dir := t.TempDir()
	s := &script{t: t, a: newAssembler(nil, spool{dir: dir, limit: 64 << 10})}
	s.batch(1, of("big", 0, 900))
	s.batch(1, of("small", 0, 3))
	if s.a.flows["big"].part.disk != nil {
		t.Fatal("on disk below the limit")
	}
	for n := 900; n < 3000; n += 300 {
		s.batch(1, of("big", n, 300))
	}
	s.batch(1, of("small", 3, 3))
	big, small := s.a.flows["big"], s.a.flows["small"]
	if big.part.disk == nil || small.part.disk != nil || s.a.spool.held != small.held || big.held != 0 {
		t.Fatalf("held %d, of big %d, of small %d", s.a.spool.held, big.held, small.held)
	}
	s.batch(1, ends("small", 1, 0, 6))
	s.batch(1, ends("big", 1, 0, 3000))
	s.want(2, "", Counts{})
	if s.a.spool.held != 0 {
		t.Errorf("%d bytes held of nothing", s.a.spool.held)
	}
	wantRows(t, s.a.done[0], "small", 6)
	wantRows(t, s.a.done[1], "big", 3000)
	if ids := s.a.done[1].ids; len(ids) != 3 {
		t.Errorf("schema ids %v", ids)
	}
	file := s.a.done[1].disk.file
	if err := s.a.done[1].drop(); err != nil {
		t.Error(err)
	}
	if _, err := file.f.Stat(); err == nil {
		t.Error("the file is still open")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("the folder holds %v, %v", left, err)
	}
}

// A transaction that is void, known or lost leaves its file, too.
func TestSpoolForgets(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(*log.Records)
		want Counts
		gap  string
	}{
		"void":  {func(r *log.Records) { envelope.AddOpen(r, src, envelope.Open{}) }, Counts{Void: 1}, ""},
		"known": {ends(src, 5, 0, 2000), Counts{Known: 1}, ""},
		"lost":  {ends(src, 9, 7, 2000), Counts{}, "PREV_MISMATCH"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{t: t, a: newAssembler([]Progress{{Source: src, Applied: at(5), Producer: log.Producer{ID: 1, Epoch: 1}, Open: -1}}, spool{dir: t.TempDir(), limit: 64 << 10})}
			s.batch(1, of(src, 0, 2000))
			file := s.a.flows[src].part.disk.file
			s.batch(1, tt.end)
			s.want(0, tt.gap, tt.want)
			if _, err := file.f.Stat(); err == nil || s.a.spool.held != 0 || s.a.flows[src].part != nil {
				t.Errorf("still there: %v, %d bytes held", err, s.a.spool.held)
			}
		})
	}
}

// Transactions that wait share a file, which stays until the last of them is done.
func TestSpoolOfWaiting(t *testing.T) {
	s := &script{t: t, a: newAssembler(nil, spool{dir: t.TempDir(), limit: 64 << 10})}
	const each = 300
	for n := range uint64(3) {
		s.batch(1, of(src, 0, each))
		s.batch(1, ends(src, n+1, n, each))
		f := s.a.flows[src]
		s.a.queue(f, s.a.done[0])
		s.a.done = nil
	}
	s.batch(1, of(src, 0, 2000))
	s.batch(1, ends(src, 4, 3, 2000))
	f := s.a.flows[src]
	all := append(f.queue, s.a.done[0])
	file := all[0].disk.file
	for i, x := range all {
		if x.disk == nil || x.disk.file != file {
			t.Fatalf("transaction %d isn't in the file", i)
		}
		wantRows(t, x, src, x.rows)
	}
	if err := s.a.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := file.f.Stat(); err == nil || f.queue != nil {
		t.Error("the file is still open")
	}
}

func TestCleanSpool(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	if err := CleanSpool(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tributary-spool-7", "instance"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := CleanSpool(dir); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "instance" {
		t.Errorf("left %v, %v", left, err)
	}
}
