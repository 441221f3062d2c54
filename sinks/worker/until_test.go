package worker

import (
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/log"
)

func until(last uint64, second int64, missing ...string) func(*log.Records) {
	return func(r *log.Records) {
		envelope.AddUntil(r, src, envelope.Until{Last: at(last), At: time.Unix(second, 0), Missing: missing})
	}
}

// TestUntil: a moment counts once the store has the commit that it stands behind, and not
// before; a quiet source moves on by its moments alone; what isn't proved counts for nothing.
func TestUntil(t *testing.T) {
	s := newScript(t)
	f := func() *flow { return s.a.flows[src] }
	want := func(second int64, when string) {
		t.Helper()
		r := f().reached()
		switch {
		case second == 0 && r != nil:
			t.Errorf("%s: %+v, want none", when, r)
		case second > 0 && (r == nil || r.At.Unix() != second || r.Source != src):
			t.Errorf("%s: %+v, want %d", when, r, second)
		}
	}
	s.batch(1, open)
	s.batch(1, until(0, 10))
	want(10, "before the first commit")
	s.batch(1, rows(1))
	s.batch(1, commit(5, 0, 1))
	s.batch(1, until(5, 20))
	s.batch(1, rows(1))
	s.batch(1, commit(7, 5, 1))
	s.batch(1, until(7, 30, "a.b"))
	want(0, "nothing is stored")
	f().stored = at(5)
	want(20, "one of two commits is stored")
	want(0, "told once")
	f().stored = at(7)
	if r := f().reached(); r == nil || r.At.Unix() != 30 || len(r.Missing) != 1 {
		t.Errorf("%+v", r)
	}
	s.batch(1, until(7, 40))
	s.batch(1, until(7, 50))
	want(50, "a quiet source")
	s.batch(2, until(7, 60))
	want(0, "of a producer that has lost the source")
	for n := uint64(8); n < 8+2*maxUntils; n++ {
		s.batch(1, commit(n, n-1, 0))
		s.batch(1, until(n, int64(100+n)))
	}
	if n := len(f().untils); n != maxUntils {
		t.Errorf("%d moments wait, want %d", n, maxUntils)
	}
	f().stored = f().applied
	want(int64(100+7+2*maxUntils), "after a backlog")
	s.batch(1, until(9999, 1000))
	want(0, "in a gap")
	s.batch(1, until(f().applied.Place.Offset, 1001))
	want(0, "after the gap")
	if len(s.a.gaps) != 1 || s.a.gaps[0].Code != "PREV_MISMATCH" {
		t.Errorf("a moment behind a commit that isn't there: %+v", s.a.gaps)
	}
}
