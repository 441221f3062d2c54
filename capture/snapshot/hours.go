package snapshot

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Hours are the hours of each day in which tables are read: those in which the source's
// people leave its server quiet. The end may lie behind midnight.
type Hours struct {
	from, to int // minutes of the day
	zone     *time.Location
}

// ErrBadHours reports hours that can't be read.
var ErrBadHours = errors.New("want hours of the day such as 22:00-06:00, 00:00 to 24:00, the ends apart")

// ParseHours reads hours such as 22:00-06:00, by the clocks of a zone.
func ParseHours(text string, zone *time.Location) (Hours, error) {
	fail := func() (Hours, error) { return Hours{}, fmt.Errorf("hours %q: %w", text, ErrBadHours) }
	from, to, ok := strings.Cut(text, "-")
	a, fine := parseMinute(from)
	b, good := parseMinute(to)
	if !ok || !fine || !good || a == b || a == 24*60 {
		return fail()
	}
	return Hours{from: a, to: b, zone: zone}, nil
}

func parseMinute(s string) (int, bool) {
	h, m, ok := strings.Cut(s, ":")
	if !ok || len(h) != 2 || len(m) != 2 || strings.ContainsAny(s, "+-") {
		return 0, false
	}
	hour, herr := strconv.Atoi(h)
	minute, merr := strconv.Atoi(m)
	at := hour*60 + minute
	return at, herr == nil && merr == nil && minute < 60 && at <= 24*60
}

// String is the inverse of ParseHours, without the zone.
func (h Hours) String() string {
	return fmt.Sprintf("%02d:%02d-%02d:%02d", h.from/60, h.from%60, h.to/60, h.to%60)
}

// IsZero reports hours that weren't set: all of the day.
func (h Hours) IsZero() bool { return h.zone == nil }

// Open reports whether now lies within the hours, and when that changes next. An hour that
// a change of the clocks leaves out, or has twice, is taken as the zone's clocks show it.
func (h Hours) Open(now time.Time) (open bool, until time.Time) {
	if h.IsZero() {
		return true, time.Time{}
	}
	local := now.In(h.zone)
	at := local.Hour()*60 + local.Minute()
	if h.from < h.to {
		open = at >= h.from && at < h.to
	} else {
		open = at >= h.from || at < h.to
	}
	end := h.from
	if open {
		end = h.to
	}
	y, m, d := local.Date()
	for until = time.Date(y, m, d, 0, end, 0, 0, h.zone); !until.After(now); d++ {
		until = time.Date(y, m, d+1, 0, end, 0, 0, h.zone)
	}
	return open, until
}
