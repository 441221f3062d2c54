package pipeline

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-cdc/tributary/stream/log"
)

// TestFilledMeanwhile: while a full batch is on its way the next one is filled, and no
// third one begun.
func TestFilledMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box, puts := newMailbox(100), 0
		defer box.fail()
		go func() {
			for alive := true; alive; {
				alive, _ = box.put(func(b *batch) error { b.records.Add(nil, make([]byte, 60)); puts++; return nil }) // it never fails
			}
		}()
		synctest.Wait()
		for want := 2; want < 20; want += 2 { // two fill a batch
			if puts != want {
				t.Fatalf("%d records were put, want %d", puts, want)
			}
			b, err := box.take(t.Context(), 0)
			if err != nil || b.records.Count() != 2 {
				t.Fatalf("a batch of %d records, %v", b.records.Count(), err)
			}
			synctest.Wait()
			if puts != want+2 {
				t.Fatalf("%d records were put while a batch is on its way, want %d", puts, want+2)
			}
			box.give(b)
			synctest.Wait()
		}
	})
}

// slow is a log whose broker takes a second for each batch.
type slow struct {
	log.Appender
	mu    sync.Mutex
	did   []string // appends by their ends
	fails bool
}

func (s *slow) note(what string, r *log.Records) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.did = append(s.did, what+string(r.Data()[r.Size()-2]))
}

func (s *slow) Pack(r *log.Records) error {
	s.note("pack ", r)
	if s.fails {
		return errors.New("no packing")
	}
	return r.Pack(1, func(dst, data []byte) ([]byte, error) { return append(dst, data...), nil })
}

func (s *slow) Append(_ context.Context, r *log.Records) (log.Offset, error) {
	time.Sleep(time.Second) // of the bubble's clock
	what := "append "
	if _, packed := r.Packed(1); packed {
		what = "append packed "
	}
	s.note(what, r)
	return 0, nil
}

// TestPackedMeanwhile: while a full batch is on its way the next full one is packed, one
// batch is in flight at a time, and what isn't full isn't taken early.
func TestPackedMeanwhile(t *testing.T) {
	for _, fails := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			to := &slow{fails: fails}
			p := &Pipeline{opts: Options{Log: to, OnLogged: func(_, _ time.Time) {}, OnSent: func([]Sent) {}, ReopenEvery: time.Hour, ReopenLimit: time.Hour, ReopenRecords: maxRecords}, scan: &scanner{}, opened: time.Now()}
			box := newMailbox(100)
			defer box.fail()
			go func() {
				for _, c := range []byte("aabbccd") { // the last one is half of a batch
					_, _ = box.put(func(b *batch) error { b.records.Add(nil, slices.Repeat([]byte{c}, 60)); return nil }) // it never fails
				}
				box.close()
			}()
			synctest.Wait()
			w := &writer{p: p, box: box}
			err := w.run(t.Context())
			want := []string{"pack b", "append a", "pack c", "append packed b", "append packed c", "append d"}
			if fails {
				want = want[:2]
			}
			if (err != nil) != fails || !slices.Equal(to.did, want) {
				t.Errorf("%q, %v; want %q", to.did, err, want)
			}
		})
	}
}
