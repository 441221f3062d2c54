package pipeline

import (
	"testing"
	"testing/synctest"
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
