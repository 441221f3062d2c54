package watch

import (
	"math"
	"time"

	"github.com/tributary-cdc/tributary/stream/status"
)

// States beside those of the records.
const (
	Unheard = "unheard" // registered, and nobody has ever reported; bad once that is overdue
	Silent  = "silent"  // its program has said nothing for too long
	Late    = "late"    // the lag is longer than it may be
	Partial = "partial" // tables have stopped, rows are missing, or something warns
	Retired = "retired" // ended by a person
)

// judge says how a source is.
func (w *Watch) judge(x *Source, now time.Time) {
	rates := w.made.ratesOf(x.ID)
	x.LogTone, x.State = toneOf(x.Log, now)
	if x.Overdue = x.Log == nil && !x.Approved.IsZero() && !x.Retired && now.Sub(x.Approved) > w.o.Unheard; x.Overdue {
		x.LogTone = Bad
	}
	x.Tone = x.LogTone
	x.Promised = w.promised(x)
	log, restarted := &rates[0], false
	x.Left = -1
	if x.Log != nil {
		if left := x.Log.LogLeft; left != nil {
			x.Left = max(0, *left-max(0, now.Sub(x.Log.Written).Seconds()))
		}
		restarted = log.take(x.Log, now)
		if x.LogTone != Bad || x.State != Silent {
			x.Rate = log.value
		}
	}
	w.unread(x, log, now)
	for i := range x.Flows {
		f := &x.Flows[i]
		f.Behind, f.BehindBytes, f.CatchUp, f.Lag = -1, -1, -1, -1
		if f.Apart {
			f.Tone = Good
			continue
		}
		f.Tone, f.State = toneOf(f.Record, now)
		if f.Record != nil {
			r := &rates[1+i]
			again := r.take(f.Record, now)
			if restarted || again {
				r.based = false
			}
			if f.State != Silent {
				f.Rate = r.value
			}
			f.measure(x, log, r, now)
		}
		late := min(f.Lag, w.lacks(x, i, now))
		if !x.Unread.IsZero() { // what has been committed since, nobody knows
			unread := now.Sub(x.Unread).Seconds()
			f.Lag, late = max(f.Lag, unread), max(late, unread)
		}
		if late > x.Promised && f.Tone < Bad {
			f.Tone, f.State = Bad, Late
		}
		if f.Held > 0 && f.Tone < Wait {
			f.Tone, f.State = Wait, "halted"
		}
		if f.Keys > 0 && f.Tone < Wait {
			f.Tone, f.State = Wait, "quarantine"
		}
		if f.Record == nil && x.Log == nil {
			continue
		}
		x.Lag = max(x.Lag, f.Lag)
		if f.Tone > x.Tone {
			x.Tone, x.State = f.Tone, f.State
		}
	}
	if x.Retired {
		x.Tone, x.LogTone, x.State, x.Lag = Quiet, Quiet, Retired, -1
	}
}

// unread says since when a source can't be read by an agent that runs and tries to: since the
// last moment that a store knows of, so that a hub that starts anew knows it too, or since it
// was seen.
func (w *Watch) unread(x *Source, log *rate, now time.Time) {
	if x.Log == nil || x.Log.Stale(now) || x.Log.State != "retrying" && x.Log.State != "starting" {
		log.unread = time.Time{}
		return
	}
	if log.unread.IsZero() {
		log.unread = now
	}
	x.Unread = log.unread
	var read time.Time
	for _, shares := range w.made.known.byStore {
		for i := range x.Feeds {
			if c := shares[feedKey{x.Feeds[i].Dataset, x.ID}]; c != nil && c.Until != nil && c.HeldBy == nil && c.Until.After(read) {
				read = *c.Until
			}
		}
	}
	if !read.IsZero() && read.Before(x.Unread) {
		x.Unread = read
	}
}

// lacks bounds how old, in seconds, the oldest commit can be that a store doesn't have; infinite
// if nothing is known. What came late and is there is late no more, although it is the lag of the
// last minute: all up to a moment has been applied, or the log's newest has, and wasn't old.
func (w *Watch) lacks(x *Source, store int, now time.Time) float64 {
	bound := math.Inf(1)
	if known := w.made.known.byStore; store < len(known) {
		for i := range x.Feeds {
			if c := known[store][feedKey{x.Feeds[i].Dataset, x.ID}]; c != nil && c.Until != nil && c.HeldBy == nil {
				bound = min(bound, now.Sub(*c.Until).Seconds())
			}
		}
	}
	r := x.Flows[store].Record
	if r != nil && x.Log != nil && x.Log.State == "streaming" && !x.Log.Stale(now) && !r.Committed.IsZero() && !r.Applied.IsZero() && r.Position == x.Log.Position {
		bound = min(bound, r.Applied.Sub(r.Committed).Seconds())
	}
	return bound
}

// promised is the least lag that is promised for a dataset of a source, in seconds.
func (w *Watch) promised(x *Source) float64 {
	least, any := w.o.Late, false
	for i := range x.Feeds {
		p, ok := w.o.Promised[x.Feeds[i].Dataset]
		if !ok {
			p = w.o.Late
		}
		if !any || p < least {
			least, any = p, true
		}
	}
	return least.Seconds()
}

// measure says how far behind the log a store is with a source. The two programs count rows
// each from their own start, so that the difference means something only once it is known what
// both counted up to the same position: exactly when both stand there, else within what came
// between two records of the agent. A busy source's never meet.
func (f *Flow) measure(x *Source, log, r *rate, now time.Time) {
	if l := f.Record.Lag.SourceStore; l != nil {
		f.Lag = l.P99
	}
	if x.Log == nil || x.Log.Position.IsZero() {
		return
	}
	beyond := x.Log.Rows - f.Record.Rows
	switch where := f.Record.Position.Compare(x.Log.Position); {
	case where == 0:
		r.based = false
		r.bound(beyond, beyond, x.Log)
	case where > 0 && r.based: // the worker has spoken later
		r.bound(beyond, max(beyond, r.most), x.Log)
	case where > 0:
		r.bound(beyond, beyond, x.Log)
	case where < 0 && !log.before.IsZero() && f.Record.Position.Compare(log.before) >= 0:
		r.bound(log.had-f.Record.Rows, beyond, x.Log)
	}
	if f.Record.Position.Compare(x.Log.Position) >= 0 {
		f.Behind, f.BehindBytes, f.CatchUp = 0, 0, 0
		if x.Log.State == "streaming" && !x.Log.Stale(now) { // else there may be more at the source
			f.Lag = max(0, f.Lag)
		}
		return
	}
	// What waits has come after the store has last moved, or it would have moved on.
	f.Lag = max(f.Lag, 0) + max(0, now.Sub(r.moved).Seconds()-f.Record.Within)
	if r.based {
		f.Behind = max(0, beyond-r.least-(r.most-r.least)/2)
		if rows, bytes := x.Log.Rows-r.rows0, x.Log.Bytes-r.bytes0; rows > 0 && bytes > 0 { // as wide as those that have come since
			f.BehindBytes = int64(float64(f.Behind) * float64(bytes) / float64(rows))
		}
		if gain := r.value - log.value; gain > 0 {
			f.CatchUp = float64(f.Behind) / gain
		}
	}
}

// toneOf judges one record.
func toneOf(r *status.Record, now time.Time) (Tone, string) {
	switch {
	case r == nil:
		return Wait, Unheard
	case r.Stale(now):
		return Bad, Silent
	case r.State == "gap" || r.State == "fenced" || r.State == "failed" || r.NeedsPerson:
		return Bad, r.State
	case r.State == "stopped" || r.State == "waiting" || r.State == "paused":
		return Quiet, r.State
	case r.State != "streaming" && r.State != "applying":
		return Wait, r.State
	}
	bad := len(r.Stopped) > 0 || r.Skipped > 0 || len(r.Warnings) > 0
	for _, l := range r.Loads {
		bad = bad || l.Phase == "failed" || l.Phase == "canceled"
	}
	if bad {
		return Wait, Partial
	}
	return Good, r.State
}
