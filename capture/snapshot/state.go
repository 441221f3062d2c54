package snapshot

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tributary-cdc/tributary/stream/event"
)

// Phase is how far a table's load has come.
type Phase string

// The phases.
const (
	Queued   Phase = "queued"
	Loading  Phase = "loading"
	Paused   Phase = "paused"
	Loaded   Phase = "loaded"
	Failed   Phase = "failed"
	Canceled Phase = "canceled"
	// Waiting is of a report only: the load waits for the hours in which tables are read.
	Waiting Phase = "waiting"
	// Verifying and Verified are of a report only: Loading and Loaded where the table is
	// compared with the stores. What they found is for them to say.
	Verifying Phase = "verifying"
	Verified  Phase = "verified"
	// Unloaded is a table in append mode, which can't be loaded: its log begins with the
	// first change that is delivered.
	Unloaded Phase = "unloaded"
	// Removed is a table that was added and that a person has left: its changes aren't
	// delivered from Since on.
	Removed Phase = "removed"
	// Dropped is a table that doesn't exist at the source any more, or has another name.
	Dropped Phase = "dropped"
)

// Progress is a table's load, for people.
type Progress struct {
	Table string `json:"table"` // schema.Table.ID
	Phase Phase  `json:"phase"`
	// Rows is the number of rows handed out, Estimate the server's own count at the
	// beginning, -1 if it has none.
	Rows     int64  `json:"rows"`
	Estimate int64  `json:"estimate"`
	Error    string `json:"error,omitempty"`
	// Part is the part of the table that is read again, as ordered; empty for all of it.
	Part string `json:"part,omitempty"`
	// Verify is the order's name if the table isn't loaded but compared with the stores.
	Verify string `json:"verify,omitempty"`
	// Since is the position of the load's beginning in the log, zero before that: once the
	// log has it the order outlives the program.
	Since event.Position `json:"since,omitzero"`
	// Begun and Ended are when the load began and ended; zero if it hasn't.
	Begun time.Time `json:"begun,omitzero"`
	Ended time.Time `json:"ended,omitzero"`
	// Speed is the number of rows per second in the last half minute, Left how many seconds
	// the rest takes at that speed, Resumes when reading is allowed again; 0 for unknown.
	// They are of a report only.
	Speed   float64   `json:"rows_per_second,omitempty"`
	Left    float64   `json:"seconds_left,omitempty"`
	Resumes time.Time `json:"resumes_at,omitzero"`
}

// Progress tells how far the loads have come.
func (l *Loader) Progress() []Progress {
	l.mu.Lock()
	defer l.mu.Unlock()
	out, now := make([]Progress, len(l.tasks)), time.Now()
	open, next := l.o.Hours.Open(now)
	for i, t := range l.tasks {
		p := t.Progress
		if t.active() {
			p.Speed = t.speed.rate(now)
			if left := p.Estimate - p.Rows; left > 0 && p.Speed > 0 {
				p.Left = float64(left) / p.Speed
			}
			if !open && len(t.flight) == 0 {
				p.Phase, p.Resumes = Waiting, next
			}
		}
		if t.Check != nil && p.Phase == Loading {
			p.Phase = Verifying
		} else if t.Check != nil && p.Phase == Loaded {
			p.Phase = Verified
		}
		out[i] = p
	}
	return out
}

// progress is what must be known to go on with a load.
type progress struct {
	Progress
	// After is the key up to which everything is handed out; nil for nothing.
	After []event.Value `json:"after,omitempty"`
	// By are the key's columns, by which After and Keys are meant; nil if nothing was read.
	By []string `json:"by,omitempty"`
	// Dataset is the store's table, once it is known.
	Dataset string `json:"dataset,omitempty"`
	// Read says that the table's end is handed out.
	Read bool `json:"read,omitempty"`
	// Keys are rows that must be read by themselves before the load can end.
	Keys [][]event.Value `json:"keys,omitempty"`
	// Sweep says that the store may have rows of before Since that don't exist any more.
	Sweep bool `json:"sweep,omitempty"`
	// Ordered says that a person has ordered the load.
	Ordered bool `json:"ordered,omitempty"`
	// Range is the part of the table that is read, nil for all of it.
	Range *event.KeyRange `json:"range,omitempty"`
	// Check is set if the table is compared with the stores instead of loaded.
	Check *verification `json:"check,omitempty"`
	// Out says that the stream has passed the table over since it was loaded: it was taken
	// out of the configuration, for a while perhaps.
	Out bool `json:"out,omitempty"`
	// Added says that the stream didn't deliver the table before this load was ordered.
	Added bool `json:"added,omitempty"`
	// Decisions counts what a person has decided of this load since it was ordered: to let it
	// rest, go on, or end.
	Decisions int `json:"decisions,omitempty"`
}

// state is the loader's durable state, with the reader's own within.
type state struct {
	Reader []byte `json:"reader"`
	// Origin is where the reader stood when nothing was known of the source.
	Origin event.Place `json:"origin"`
	// Since are the transactions handed out after Reader was taken.
	Since []string `json:"since,omitempty"`
	// Recent are transactions that no view has shown yet.
	Recent []string   `json:"recent,omitempty"`
	Tables []progress `json:"tables,omitempty"`
	// Shown is the highest mark of the chunks whose rows were handed out in this epoch.
	Shown event.Place `json:"shown,omitzero"`
	// Listed says that the tables of a first load, or of a repair, are known.
	Listed bool `json:"listed,omitempty"`
	// Repair is how far the repair of a gap has come.
	Repair repair `json:"repair,omitempty"`
}

func parseState(b []byte) (state, error) {
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("read the state of loads: %w", err)
	}
	return s, nil
}

// stops reads which tables a reader has stopped. Readers keep that under this name.
func stops(reader []byte) []event.TableStop { return ofReader(reader).Stopped }

// additions reads which tables a reader delivers besides those of its patterns. Readers
// keep that under this name.
func additions(reader []byte) []string { return ofReader(reader).Added }

// readerState is what readers keep under names of this package.
type readerState struct {
	Stopped []event.TableStop `json:"stopped"`
	Added   []string          `json:"added"`
}

func ofReader(b []byte) (s readerState) {
	if err := json.Unmarshal(b, &s); err != nil {
		return readerState{} // a reader without such a state
	}
	return s
}

// recentLimit bounds the transactions whose visibility isn't known. A server has at
// most as many in that state as it has connections.
const recentLimit = 4096

// quietLimit is how many of them are kept over a restart while nothing is loaded.
const quietLimit = 256

// trim keeps the newest.
func trim(ids []string) []string {
	if n := len(ids) - recentLimit; n > 0 {
		return slices.Delete(ids, 0, n)
	}
	return ids
}
