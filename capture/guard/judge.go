package guard

import (
	"fmt"
	"time"
)

// Status is what is known of a source's room.
type Status struct {
	Looked time.Time `json:"looked_at,omitzero"` // zero before the first look
	// Behind, Held and Spare are as in Room.
	Behind int64 `json:"behind_bytes"`
	Held   int64 `json:"held_bytes"`
	Spare  int64 `json:"spare_bytes"`
	// PerHour is the log's growth in bytes, averaged.
	PerHour float64 `json:"bytes_per_hour"`
	// Waiting is how long the source hasn't moved although its log has, in seconds.
	Waiting float64 `json:"waiting_seconds"`
	// Left is after how many seconds something of what has not been read will be lost if
	// all goes on like this, LeftBy is by which bound; absent if no bound is known.
	Left   *float64 `json:"left_seconds,omitempty"`
	LeftBy string   `json:"left_by,omitempty"`
	// Safe is until when the source may go unread from the look on, by the same reckoning,
	// SafeBy by which bound; zero and empty if no bound is known. The fuse's time counts as
	// if the server wrote on at once.
	Safe     time.Time `json:"safe_until,omitzero"`
	SafeBy   string    `json:"safe_by,omitempty"`
	Warnings []Warning `json:"warnings,omitempty"`
}

// Warning is something that a person should look after before it becomes a gap.
type Warning struct {
	Code string `json:"code"` // stable
	Text string `json:"text"` // English, with figures
	Hint string `json:"hint,omitempty"`
}

// sample is a point of the log's growth.
type sample struct {
	at      time.Time
	written int64
}

// grow notes the log's length and gives its growth in bytes per second. A short time
// counts as a sixth of the window, so that a burst isn't taken for the usual.
func (g *Guard) grow(written int64, now time.Time) float64 {
	if n := len(g.samples); n > 0 && (written < g.samples[n-1].written || now.Before(g.samples[n-1].at)) {
		g.samples = g.samples[:0] // another server, or another log
	}
	g.samples = append(g.samples, sample{now, written})
	for len(g.samples) > 2 && now.Sub(g.samples[1].at) >= g.o.Window {
		g.samples = g.samples[1:]
	}
	took := max(now.Sub(g.samples[0].at), g.o.Window/6)
	return float64(written-g.samples[0].written) / took.Seconds()
}

// bound is one thing by which what has not been read is lost.
type bound struct {
	name, repair string
	left         time.Duration
	used         float64 // share of the limit, 0 to 1
	text         string
}

// judge says how things stand.
func (g *Guard) judge(r Room, now time.Time) Status {
	rate := g.grow(r.Written, now)
	s := Status{Looked: now, Behind: r.Behind, Held: r.Held, Spare: r.Spare, PerHour: rate * 3600}
	age := time.Duration(0)
	if r.Behind > 0 {
		s.Waiting = now.Sub(g.memory.Since).Seconds()
		if !g.memory.Met.IsZero() {
			age = max(0, now.Sub(g.memory.Met))
		}
	}
	if b := g.memory.Blown; b != nil {
		s.Warnings = append(s.Warnings, Warning{Code: gapFuse, Text: b.gap().Reason})
		return s
	}
	var first *bound
	for _, b := range g.bounds(r, age, time.Duration(s.Waiting*float64(time.Second)), rate) {
		if first == nil || b.left < first.left {
			first = &b
		}
		if b.left < g.o.WarnLeft && b.used >= soon && !byCode(s.Warnings)[warnShort] {
			s.Warnings = append(s.Warnings, Warning{Code: warnShort, Text: b.text, Hint: b.repair})
		}
	}
	if first != nil {
		left := first.left.Seconds()
		s.Left, s.LeftBy = &left, first.name
		s.Safe, s.SafeBy = now.Add(first.left), first.name
	}
	if f := g.o.Fuse.Age; f > 0 && r.Kept && r.Behind == 0 && (first == nil || f < first.left) {
		s.Safe, s.SafeBy = now.Add(f), "fuse.age"
	}
	if r.Urgent && !byCode(s.Warnings)[warnShort] {
		s.Warnings = append(s.Warnings, Warning{Code: warnShort, Text: fmt.Sprintf("wal_status = %s: the server may remove at any moment what has not been read; it holds %s for the slot", r.Status, Bytes(r.Held))})
	}
	if r.Held >= g.o.WarnHeld {
		text := fmt.Sprintf("the server holds %s for the slot (written at %s/h)", Bytes(r.Held), Bytes(int64(s.PerHour)))
		if r.Status != "" {
			text += ", wal_status = " + r.Status
		}
		s.Warnings = append(s.Warnings, Warning{Code: warnHeld, Text: text})
	}
	return s
}

// soon is the share of a bound that must be used before its end is warned of: a narrow
// bound of a source that keeps up is a finding of preflight, not a trouble of now.
const soon = 0.1

// The codes of warnings.
const (
	warnShort = "SOURCE_LOG_SHORT"
	warnHeld  = "SLOT_HOLDS_WAL"
)

// bounds gives everything by which what has not been read is lost, those of the server first.
func (g *Guard) bounds(r Room, age, waiting time.Duration, rate float64) (out []bound) {
	share := func(used, of float64) float64 { return min(1, max(0, used/max(1, of))) }
	for _, a := range r.Ages {
		left := max(0, a.Limit-age)
		out = append(out, bound{a.Name, a.Repair, left, share(age.Seconds(), a.Limit.Seconds()),
			fmt.Sprintf("in %s the server removes what has not been read: it was written %s ago at the earliest, %s keeps %s", hours(left), hours(age), a.Name, hours(a.Limit))})
	}
	sizes := r.Sizes
	if f := g.o.Fuse.Size; f > 0 && r.Kept {
		sizes = append(sizes[:len(sizes):len(sizes)], SizeBound{Name: "fuse.size", Limit: f, Left: f - r.Held})
	}
	for _, b := range sizes {
		if rate <= 0 && b.Left > 0 {
			continue
		}
		left := lasts(b.Left, rate)
		out = append(out, bound{b.Name, b.Repair, left, share(float64(b.Limit-b.Left), float64(b.Limit)),
			fmt.Sprintf("in %s what has not been read is lost: %s of %s are left (%s), written at %s/h", hours(left), Bytes(max(0, b.Left)), Bytes(b.Limit), b.Name, Bytes(int64(rate*3600)))})
	}
	if f := g.o.Fuse.Age; f > 0 && r.Kept && r.Behind > 0 {
		left := max(0, f-waiting)
		out = append(out, bound{"fuse.age", "", left, share(waiting.Seconds(), f.Seconds()),
			fmt.Sprintf("in %s the fuse blows: nothing was read for %s, fuse.age is %s", hours(left), hours(waiting), hours(f))})
	}
	return out
}

// lasts gives how long a number of bytes lasts at a rate per second.
func lasts(bytes int64, rate float64) time.Duration {
	const most = 100 * 365 * 24 * time.Hour
	if bytes <= 0 {
		return 0
	}
	seconds := float64(bytes) / rate
	if seconds >= most.Seconds() {
		return most
	}
	return time.Duration(seconds * float64(time.Second))
}

// blows says why the fuse must blow; empty while it holds.
func (g *Guard) blows(r Room, s Status) string {
	f := g.o.Fuse
	switch {
	case !r.Kept:
	case f.Size > 0 && r.Held >= f.Size:
		return fmt.Sprintf("the server holds %s for the slot, fuse.size is %s", Bytes(r.Held), Bytes(f.Size))
	case f.Age > 0 && s.Waiting >= f.Age.Seconds():
		return fmt.Sprintf("nothing was read for %s while the server wrote on, fuse.age is %s", hours(time.Duration(s.Waiting*float64(time.Second))), hours(f.Age))
	}
	return ""
}

// hours gives a time as people plan with it.
func hours(d time.Duration) string {
	if d < time.Hour {
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%.1f h", d.Hours())
}

// Bytes gives a size in the largest unit that leaves a whole number in front.
func Bytes(n int64) string {
	for _, u := range []struct {
		name string
		bits uint
	}{{"TB", 40}, {"GB", 30}, {"MB", 20}, {"kB", 10}} {
		if n >= 1<<u.bits {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(int64(1)<<u.bits), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
