package snapshot

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata" // zones by name, whatever the machine has

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
)

func TestParseHours(t *testing.T) {
	for text, ok := range map[string]bool{"22:00-06:00": true, "00:00-24:00": true, "08:30-08:31": true,
		"": false, "22:00": false, "22:00-22:00": false, "24:00-06:00": false, "2:00-06:00": false, "22:60-06:00": false, "22:00-24:01": false, "+2:00-06:00": false, "22-6": false} {
		got, err := ParseHours(text, time.UTC)
		if ok != (err == nil) || err != nil && !errors.Is(err, ErrBadHours) {
			t.Errorf("%q: %v", text, err)
		}
		if ok && got.String() != text {
			t.Errorf("%q reads back as %q", text, got)
		}
	}
}

func TestHoursOpen(t *testing.T) {
	zone := func(name string) *time.Location {
		l, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	shanghai, berlin := zone("Asia/Shanghai"), zone("Europe/Berlin")
	for name, tt := range map[string]struct {
		hours string
		zone  *time.Location
		now   string
		open  bool
		until string
	}{
		"evening":            {"22:00-06:00", shanghai, "2026-03-02T13:59:59Z", false, "2026-03-02T14:00:00Z"},
		"night begins":       {"22:00-06:00", shanghai, "2026-03-02T14:00:00Z", true, "2026-03-02T22:00:00Z"},
		"behind midnight":    {"22:00-06:00", shanghai, "2026-03-02T20:00:00Z", true, "2026-03-02T22:00:00Z"},
		"morning":            {"22:00-06:00", shanghai, "2026-03-02T22:00:00Z", false, "2026-03-03T14:00:00Z"},
		"within a day":       {"01:00-05:00", shanghai, "2026-03-02T18:00:00Z", true, "2026-03-02T21:00:00Z"},
		"to midnight":        {"20:00-24:00", time.UTC, "2026-12-31T23:00:00Z", true, "2027-01-01T00:00:00Z"},
		"all day":            {"00:00-24:00", time.UTC, "2026-12-31T00:00:00Z", true, "2027-01-01T00:00:00Z"},
		"the clocks go on":   {"01:00-04:00", berlin, "2026-03-29T00:30:00Z", true, "2026-03-29T02:00:00Z"},
		"the clocks go back": {"22:00-06:00", berlin, "2026-10-24T21:00:00Z", true, "2026-10-25T05:00:00Z"},
	} {
		h, err := ParseHours(tt.hours, tt.zone)
		if err != nil {
			t.Fatal(err)
		}
		now, err := time.Parse(time.RFC3339, tt.now)
		if err != nil {
			t.Fatal(err)
		}
		if open, until := h.Open(now); open != tt.open || until.UTC().Format(time.RFC3339) != tt.until {
			t.Errorf("%s: open %t until %s, want %t until %s", name, open, until.UTC().Format(time.RFC3339), tt.open, tt.until)
		}
	}
	if open, _ := (Hours{}).Open(time.Now()); !open {
		t.Error("without hours nothing is read")
	}
}

// silent is a stream that says every second that there is nothing.
type silent struct{}

func (silent) Start(context.Context, capture.Resume) (uint32, error) { return 9, nil }
func (silent) Ack(event.Place)                                       {}
func (silent) Close() error                                          { return nil }
func (silent) Next(ctx context.Context) (*event.Segment, error) {
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return &event.Segment{Kind: event.Idle, Restart: event.Place{File: 1, Offset: 100}, State: []byte("s")}, nil
}

// TestQuietHours: a load begins at once, reads in its hours only, says until when it
// waits, and takes no more rows per second than it may.
func TestQuietHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hours, err := ParseHours("22:00-06:00", time.UTC) // the bubble begins at midnight
		if err != nil {
			t.Fatal(err)
		}
		midnight := time.Now()
		time.Sleep(6*time.Hour - 90*time.Second)
		src := &quiet{table: modelTable(), rows: 200}
		l, err := New(Options{Reader: silent{}, Open: func(context.Context) (Source, error) { return src, nil }, First: true, Hours: hours, Rate: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Start(t.Context(), capture.Resume{FirstStart: true}); err != nil {
			t.Fatal(err)
		}
		var begun, last, ended time.Time
		waited := Progress{}
		byDay := 0
		for ended.IsZero() {
			seg, err := l.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			now := time.Now()
			for _, x := range seg.Loads {
				if x.Phase == event.LoadBegun {
					begun = now
				} else {
					ended = now
				}
			}
			if len(seg.Rows) > 0 {
				if open, _ := hours.Open(now); !open && now.Sub(last) > time.Minute {
					byDay++
				}
				last = now
			}
			if p := l.Progress()[0]; p.Phase == Waiting {
				waited = p
			}
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if byDay > 0 {
			t.Errorf("%d chunks by day", byDay)
		}
		if begun.Sub(midnight) > 6*time.Hour {
			t.Errorf("the load has begun at %s", begun)
		}
		if waited.Rows < 80 || waited.Rows > 95 || !waited.Resumes.Equal(midnight.Add(22*time.Hour)) {
			t.Errorf("it waited with %d rows until %s, want about 90 until 22:00", waited.Rows, waited.Resumes)
		}
		if took := ended.Sub(midnight.Add(22 * time.Hour)); took < 100*time.Second || took > 125*time.Second {
			t.Errorf("the rest of 200 rows took %s at a row per second", took)
		}
	})
}

// TestSpeed: rows per second are those of the last half minute, and nothing once no more come.
func TestSpeed(t *testing.T) {
	var s speed
	at := time.Unix(0, 0)
	if got := s.rate(at); got != 0 {
		t.Errorf("%v before the first row", got)
	}
	for n := range 100 {
		at = at.Add(time.Second)
		rows := int64(n) * 10
		if n > 50 {
			rows = 500 + int64(n-50)*100
		}
		s.note(at, rows)
	}
	if got := s.rate(at); got < 99 || got > 101 {
		t.Errorf("%v rows per second, want 100", got)
	}
	if len(s.marks) > 40 {
		t.Errorf("%d marks are kept", len(s.marks))
	}
	if got := s.rate(at.Add(time.Minute)); got != 0 {
		t.Errorf("%v rows per second a minute later", got)
	}
}
