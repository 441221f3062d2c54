package guard_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/guard"
	"github.com/tributary-cdc/tributary/stream/event"
)

// server says what the test wants, and counts how often it gave up.
type server struct {
	room  guard.Room
	gave  int
	fails error
}

func (s *server) Room(context.Context, event.Place) (guard.Room, error) { return s.room, nil }

func (s *server) GiveUp(context.Context) error {
	if s.fails == nil {
		s.gave++
		s.room.Kept, s.room.Held = false, 0
	}
	return s.fails
}

// bench is a guard with a clock that the test moves.
type bench struct {
	t       *testing.T
	now     time.Time
	s       *server
	o       guard.Options
	g       *guard.Guard
	changes int
}

func newBench(t *testing.T, fuse guard.Fuse) *bench {
	b := &bench{t: t, now: time.Unix(1_800_000_000, 0), s: &server{room: guard.Room{Kept: true, Identity: "one", At: event.Place{Offset: 100}, Spare: -1}}}
	b.o = guard.Options{Source: "330106-xueji", Server: b.s, File: filepath.Join(t.TempDir(), "guard", "x.json"), Fuse: fuse,
		Now: func() time.Time { return b.now }, OnChange: func() { b.changes++ }}
	b.again()
	return b
}

// again starts as a new process does.
func (b *bench) again() {
	b.t.Helper()
	var err error
	if b.g, err = guard.New(b.o); err != nil {
		b.t.Fatal(err)
	}
}

// after moves the clock, lets the server write, and looks.
func (b *bench) after(d time.Duration, bytes int64) guard.Status {
	b.now = b.now.Add(d)
	b.s.room.Written += bytes
	b.s.room.Behind += bytes
	b.s.room.Held += bytes
	b.s.room.End.Offset += uint64(bytes)
	b.g.Look(b.t.Context())
	return b.g.Status()
}

func codes(s guard.Status) string {
	var out []string
	for _, w := range s.Warnings {
		out = append(out, w.Code)
	}
	return strings.Join(out, " ")
}

// TestFuseBySize: warned of before, blown at the limit and not below it; the gap has the
// server's end, and a new process knows it.
func TestFuseBySize(t *testing.T) {
	b := newBench(t, guard.Fuse{Size: 1000})
	b.after(0, 0)
	if s := b.after(time.Hour, 499); codes(s) != "SOURCE_LOG_SHORT" || s.LeftBy != "fuse.size" || s.Left == nil {
		t.Errorf("%+v", s)
	}
	if s := b.after(time.Second, 500); codes(s) != "SOURCE_LOG_SHORT SLOT_HOLDS_WAL" || b.s.gave > 0 || b.g.Blown() != nil {
		t.Errorf("%+v, gave up %d times", s, b.s.gave)
	}
	b.s.room.End = event.Place{Offset: 4711}
	if s := b.after(time.Second, 1); codes(s) != "FUSE_BLOWN" || b.s.gave != 1 || s.Held != 0 {
		t.Errorf("%+v, gave up %d times", s, b.s.gave)
	}
	last := event.Position{Epoch: 3}
	for range 2 {
		gap := b.g.Explain(&capture.GapError{Code: "SLOT_LOST", From: last})
		if gap.Code != "FUSE_BLOWN" || gap.From != last || gap.To.Offset != 4712 || !strings.Contains(gap.Reason, "fuse.size is 1000 B") {
			t.Errorf("%+v", gap)
		}
		if other := b.g.Explain(&capture.GapError{Code: "OTHER_SERVER"}); other.Code != "OTHER_SERVER" {
			t.Errorf("%+v", other)
		}
		b.again()
	}
	b.after(time.Hour, 1<<40)
	if b.s.gave != 1 || b.g.Blown() == nil || b.changes < 3 {
		t.Errorf("gave up %d times, %v, %d changes", b.s.gave, b.g.Blown(), b.changes)
	}
	b.s.room.Kept, b.s.room.Held, b.s.room.Behind = true, 0, 0 // somebody has repaired it
	if s := b.after(time.Second, 0); codes(s) != "" || b.g.Blown() != nil {
		t.Errorf("after the repair: %+v, %v", s, b.g.Blown())
	}
	if gap := b.g.Explain(&capture.GapError{Code: "SLOT_LOST"}); gap.Code != "SLOT_LOST" {
		t.Errorf("%+v", gap)
	}
}

// TestFuseByAge: only time counts in which the server wrote and nothing was read; also
// that in which no agent ran.
func TestFuseByAge(t *testing.T) {
	b := newBench(t, guard.Fuse{Age: 48 * time.Hour})
	if s := b.after(0, 0); s.Left != nil || s.SafeBy != "fuse.age" || !s.Safe.Equal(b.now.Add(48*time.Hour)) { // all is read, and reading may stop now
		t.Errorf("%+v", s)
	}
	b.after(1000*time.Hour, 0) // nothing was written
	b.s.room.At.Offset++
	b.after(47*time.Hour, 1)
	b.s.room.At.Offset++ // read again
	if s := b.after(47*time.Hour, 1); s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
	b.again()
	if s := b.after(47*time.Hour, 1); s.Waiting != 47*3600 || codes(s) != "SOURCE_LOG_SHORT" || b.s.gave > 0 {
		t.Errorf("%+v, gave up %d times", s, b.s.gave)
	}
	b.after(time.Hour, 0)
	if b.s.gave != 1 || b.g.Blown() == nil {
		t.Errorf("gave up %d times, %v", b.s.gave, b.g.Blown())
	}
}

// TestFuseKilled: the process dies after it has decided and before the server has given
// anything up; or the server gives up and its answer is lost.
func TestFuseKilled(t *testing.T) {
	b := newBench(t, guard.Fuse{Size: 1000})
	b.s.fails = errors.New("killed")
	b.after(0, 2000)
	if b.g.Blown() != nil {
		t.Error("told before it was done")
	}
	b.again()
	b.s.fails = nil
	b.after(time.Second, 0)
	if b.s.gave != 1 || b.g.Blown() == nil {
		t.Errorf("gave up %d times", b.s.gave)
	}

	b = newBench(t, guard.Fuse{Size: 1000})
	b.s.fails = errors.New("no answer")
	b.after(0, 2000)
	b.s.room.Kept, b.s.room.Held = false, 0
	b.again()
	if gap := b.g.Explain(&capture.GapError{Code: "SLOT_LOST"}); gap.Code != "FUSE_BLOWN" {
		t.Errorf("before the first look: %+v", gap)
	}
	b.after(time.Second, 0)
	if b.g.Blown() == nil || b.s.gave != 0 {
		t.Errorf("%v, gave up %d times", b.g.Blown(), b.s.gave)
	}

	b = newBench(t, guard.Fuse{Size: 1000})
	b.s.fails = errors.New("killed")
	b.after(0, 2000)
	b.again()
	b.s.room.Held, b.s.room.Behind = 0, 0 // read after all, before the first look
	if b.after(time.Second, 0); b.g.Blown() != nil || b.s.gave != 0 {
		t.Error("a slot below the limit was given up")
	}
}

// TestBounds: what ends first counts; a bound of which little is used is no trouble.
func TestBounds(t *testing.T) {
	b := newBench(t, guard.Fuse{})
	b.s.room.Kept = false
	b.s.room.Ages = []guard.AgeBound{{Name: "expire", Limit: 10 * 24 * time.Hour, Repair: "SET expire"}}
	b.after(0, 0)
	if s := b.after(time.Hour, 0); s.LeftBy != "expire" || *s.Left != 240*3600 || codes(s) != "" || s.SafeBy != "expire" || !s.Safe.Equal(b.now.Add(240*time.Hour)) {
		t.Errorf("%+v", s)
	}
	b.after(100*time.Hour, 1)
	if s := b.after(120*time.Hour, 1); *s.Left != 20*3600 || codes(s) != "SOURCE_LOG_SHORT" || s.Warnings[0].Hint != "SET expire" {
		t.Errorf("%+v", s)
	}
	b.s.room.Sizes = []guard.SizeBound{{Name: "most", Limit: 1 << 20, Left: 1 << 20}}
	if s := b.after(time.Hour, 1<<20); s.LeftBy != "most" || *s.Left > 3601 || codes(s) != "SOURCE_LOG_SHORT" || s.Warnings[0].Hint != "SET expire" {
		t.Errorf("%+v", s)
	}
	b.s.room.Behind, b.s.room.At = 0, event.Place{Offset: 1 << 30}
	if s := b.after(0, 0); codes(s) != "" {
		t.Errorf("read up, and %+v", s)
	}
	b.s.room.Urgent = true
	if s := b.after(0, 0); codes(s) != "SOURCE_LOG_SHORT" {
		t.Errorf("%+v", s)
	}
}

func TestOptions(t *testing.T) {
	good := guard.Options{Source: "a", Server: &server{}, File: filepath.Join(t.TempDir(), "x")}
	for name, f := range map[string]func(*guard.Options){
		"no source":       func(o *guard.Options) { o.Source = "" },
		"below 0":         func(o *guard.Options) { o.Fuse.Size = -1 },
		"nothing to keep": func(o *guard.Options) { o.Server, o.Fuse.Age = plain{}, time.Hour },
	} {
		o := good
		f(&o)
		if _, err := guard.New(o); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := guard.New(good); err != nil {
		t.Error(err)
	}
}

// plain keeps nothing for anybody.
type plain struct{}

func (plain) Room(context.Context, event.Place) (guard.Room, error) { return guard.Room{}, nil }

// TestEnd: the end of the server's log goes with a moment before it was asked, less what the
// server may not have written yet; a log that ends before what was read says nothing.
func TestEnd(t *testing.T) {
	b := newBench(t, guard.Fuse{})
	if e := b.g.End(); !e.Before.IsZero() {
		t.Errorf("before a look: %+v", e)
	}
	b.s.room.Server, b.s.room.Unwritten = "one/1", 600*time.Millisecond
	b.after(time.Second, 500)
	if e := b.g.End(); e.Server != "one/1" || e.Place != (event.Place{Offset: 500}) || !e.Before.Equal(b.now.Add(-600*time.Millisecond)) {
		t.Errorf("%+v at %s", e, b.now)
	}
	b.o.At = func() (event.Place, time.Time) { return event.Place{Offset: 501}, b.now }
	b.again()
	if b.after(time.Second, 0); !b.g.End().Before.IsZero() {
		t.Errorf("a log that was begun anew: %+v", b.g.End())
	}
}
