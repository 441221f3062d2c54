package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// silence is the longest time without a line while something is awaited.
const silence = 1500 * time.Millisecond

// teller prints a line per step, and says what is awaited before two seconds of
// silence have passed.
type teller struct {
	out  io.Writer
	stop chan struct{}
	done chan struct{}

	mu      sync.Mutex
	last    time.Time
	pending []wait
}

// wait is something that is awaited.
type wait struct {
	what  string
	since time.Time
}

func newTeller(out io.Writer) *teller {
	t := &teller{out: out, stop: make(chan struct{}), done: make(chan struct{}), last: time.Now()}
	go func() {
		defer close(t.done)
		tick := time.NewTicker(silence / 10)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				t.remind(time.Now())
			case <-t.stop:
				return
			}
		}
	}()
	return t
}

// close ends the reminders.
func (t *teller) close() {
	close(t.stop)
	<-t.done
}

// step prints a line with the time of day.
func (t *teller) step(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line(time.Now(), fmt.Sprintf(format, args...))
}

func (t *teller) line(now time.Time, text string) {
	_, _ = fmt.Fprintln(t.out, now.Format("15:04:05.0"), text) // nobody may be left to read it
	t.last = now
}

// await says that something is awaited, until the returned function is called.
func (t *teller) await(what string) (done func()) {
	w := wait{what, time.Now()}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pending = append(t.pending, w)
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if i := slices.Index(t.pending, w); i >= 0 {
			t.pending = slices.Delete(t.pending, i, i+1)
		}
	}
}

// remind prints what is awaited if the last line is old.
func (t *teller) remind(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.pending) == 0 || now.Sub(t.last) < silence {
		return
	}
	names := make([]string, len(t.pending))
	for i, w := range t.pending {
		names[i] = fmt.Sprintf("%s %.0f s", w.what, now.Sub(w.since).Seconds())
	}
	t.line(now, "… 还在等待 / still waiting: "+strings.Join(names, ", "))
}
