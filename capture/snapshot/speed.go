package snapshot

import (
	"context"
	"sync"
	"time"
)

// limiter spreads the rows that all tables' readers take over time.
type limiter struct {
	rate int // rows per second; 0 for no bound

	mu   sync.Mutex
	next time.Time // before which nothing more may be read
}

// took counts rows that were read, and waits until the next ones may be.
func (l *limiter) took(ctx context.Context, rows int) {
	if l.rate == 0 {
		return
	}
	now := time.Now()
	l.mu.Lock()
	if l.next.Before(now) {
		l.next = now
	}
	l.next = l.next.Add(time.Duration(rows) * time.Second / time.Duration(l.rate))
	until := l.next
	l.mu.Unlock()
	wait(ctx, until.Sub(now), nil)
}

// most is the number of rows that may be read at once: those of a second.
func (l *limiter) most(rows int) int {
	if l.rate == 0 {
		return rows
	}
	return min(rows, l.rate)
}

// speedOver is the time over which the speed of a load is taken.
const speedOver = 30 * time.Second

// speed knows how many rows a load has handed out lately.
type speed struct {
	marks []mark // oldest first, at least a second apart
}

type mark struct {
	at   time.Time
	rows int64 // handed out up to then
}

// note takes the number of rows handed out so far.
func (s *speed) note(now time.Time, rows int64) {
	if n := len(s.marks); n > 1 && s.marks[n-1].at.Sub(s.marks[n-2].at) < time.Second {
		s.marks[n-1] = mark{now, rows}
	} else {
		s.marks = append(s.marks, mark{now, rows})
	}
	for len(s.marks) > 2 && now.Sub(s.marks[1].at) >= speedOver {
		s.marks = s.marks[1:]
	}
}

// rate gives the rows per second lately; 0 if nothing is known, or nothing comes any more.
func (s *speed) rate(now time.Time) float64 {
	n := len(s.marks)
	if n < 2 || now.Sub(s.marks[n-1].at) > speedOver {
		return 0
	}
	took := max(now.Sub(s.marks[0].at), time.Millisecond)
	return float64(s.marks[n-1].rows-s.marks[0].rows) / took.Seconds()
}
