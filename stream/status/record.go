// Package status says how each source and each store's share of it is doing, in
// records of an org's compacted topic. It decides what such a record holds, when it
// is written, and which one is the newest; it knows no broker, no database and no page.
package status

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tributary-cdc/tributary/stream/event"
)

// Kind is who speaks of a source.
type Kind string

// The kinds of records.
const (
	OfSource Kind = "source" // an agent, about a source on its way into the log
	OfStore  Kind = "store"  // a worker, about a source on its way into a store
	OfWorker Kind = "worker" // a worker, about itself and one org
)

// Bounds of a record. What is longer is cut, so that no source can fill the topic.
const (
	maxText   = 2 << 10
	maxTables = 100
)

// Record is the newest word from an agent or a worker on one source, or from a worker
// on itself. Its JSON form stands in FORMAT.md. Times are UTC; counts are since the program's start.
type Record struct {
	Kind   Kind   `json:"kind"`
	Org    string `json:"org"`
	Source string `json:"source,omitempty"` // not of OfWorker
	Store  string `json:"store,omitempty"`  // not of OfSource
	// Server is where the source's database is for its agent, HOST:PORT; not of the others.
	Server  string `json:"server,omitempty"`
	Program string `json:"program"` // the agent's or worker's name
	Version string `json:"version"` // of the program
	// State is the pipeline's (starting, streaming, retrying, paused, gap, fenced, failed,
	// stopped) or the worker's (starting, applying, retrying, gap, failed, waiting,
	// stopped).
	State string `json:"state"`
	Code  string `json:"code,omitempty"`
	Error string `json:"error,omitempty"`
	Hint  string `json:"hint,omitempty"`
	// NeedsPerson says that it doesn't get well by itself.
	NeedsPerson bool `json:"needs_person,omitempty"`
	// Position is of the last commit in the log, or in the store.
	Position  event.Position `json:"position"`
	Committed time.Time      `json:"committed_at,omitzero"` // at the source
	Logged    time.Time      `json:"logged_at,omitzero"`    // when the log had it
	Applied   time.Time      `json:"applied_at,omitzero"`   // when the store had it
	Txns      int64          `json:"transactions"`
	Rows      int64          `json:"rows"`
	Bytes     int64          `json:"bytes,omitempty"`   // of OfSource, before compression
	Skipped   int64          `json:"skipped,omitempty"` // rows missed for stopped tables
	Stopped   []Table        `json:"stopped_tables,omitempty"`
	// MoreStopped counts stopped tables beyond those that are named.
	MoreStopped int `json:"more_stopped_tables,omitempty"`
	// Loads are the source's loads of tables that haven't ended well, MoreLoads counts
	// those beyond the named ones.
	Loads     []Load `json:"loads,omitempty"`
	MoreLoads int    `json:"more_loads,omitempty"`
	// Added are tables that the source has beside those of its patterns, at most as many.
	Added []string `json:"added_tables,omitempty"`
	// LogLeft is after how many seconds something of the source's own log that has not
	// been read will be lost, LogLeftBy by which bound; absent if no bound is known. LogHeld
	// are the bytes that a PostgreSQL server keeps for the slot.
	LogLeft   *float64  `json:"log_left_seconds,omitempty"`
	LogLeftBy string    `json:"log_left_by,omitempty"`
	LogHeld   int64     `json:"log_held_bytes,omitempty"`
	Warnings  []Warning `json:"warnings,omitempty"` // about that
	Lag       Lag       `json:"lag"`
	// WholeSeconds says that the source gives commit times in whole seconds, so that a
	// lag that begins at the source may be up to a second too high.
	WholeSeconds bool      `json:"whole_seconds,omitempty"`
	Written      time.Time `json:"written_at"`
	// Within is the longest time to the next record, in seconds. After three times
	// that the program is to be taken for dead.
	Within float64 `json:"within_seconds"`
}

// Table is a stopped table.
type Table struct {
	Table  string `json:"table"`
	Code   string `json:"code,omitempty"`
	Reason string `json:"reason"`
}

// Warning is something that becomes a gap unless a person looks after it.
type Warning struct {
	Code string `json:"code"`
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"`
}

// Load is a load of a table that goes on, rests or has failed.
type Load struct {
	Table string `json:"table"`
	Part  string `json:"part,omitempty"` // of the table, as it was ordered; empty for all of it
	// Phase is queued, loading, waiting (for the quiet hours), paused, failed or canceled.
	Phase    string  `json:"phase"`
	Rows     int64   `json:"rows"`                      // handed out
	Estimate int64   `json:"estimate"`                  // of the server, -1 if it has none
	Speed    float64 `json:"rows_per_second,omitempty"` // in the last half minute
	Left     float64 `json:"seconds_left,omitempty"`    // at that speed
	// Resumes is when reading is allowed again.
	Resumes time.Time `json:"resumes_at,omitzero"`
	Error   string    `json:"error,omitempty"`
}

// Lag is the time that the last minute's transactions took, per stage. A stage that
// had none is absent.
type Lag struct {
	SourceLog   *Figures `json:"source_log,omitempty"`   // commit at the source to place in the log
	LogStore    *Figures `json:"log_store,omitempty"`    // place in the log to commit in the store
	SourceStore *Figures `json:"source_store,omitempty"` // the whole way
}

// Stale reports whether the record's program has been silent for so long that it
// must be taken for dead. A program that said it stops isn't stale.
func (r *Record) Stale(now time.Time) bool {
	return r.State != "stopped" && now.Sub(r.Written) > time.Duration(3*r.Within*float64(time.Second))
}

// Key is the record's key in the topic, with a zero byte between its parts: kind and
// source; kind, source and store; or kind, store and program.
func (r *Record) Key() []byte {
	switch r.Kind {
	case OfStore:
		return []byte(string(r.Kind) + "\x00" + r.Source + "\x00" + r.Store)
	case OfWorker:
		return []byte(string(r.Kind) + "\x00" + r.Store + "\x00" + r.Program)
	}
	return []byte(string(r.Kind) + "\x00" + r.Source)
}

// ErrMalformed reports a record that isn't one of this package's.
var ErrMalformed = errors.New("not a status record")

// Parse reads a record's value and checks it against its key.
func Parse(key, value []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(value, &r); err != nil {
		return Record{}, fmt.Errorf("status record: %w: %w", ErrMalformed, err)
	}
	known := r.Kind == OfSource || r.Kind == OfStore || r.Kind == OfWorker
	if !known || (r.Source == "") != (r.Kind == OfWorker) || !bytes.Equal(key, r.Key()) {
		return Record{}, fmt.Errorf("status record under the key %q: %w", key, ErrMalformed)
	}
	return r, nil
}

// value gives the JSON form of the record within its bounds.
func (r Record) value() ([]byte, error) {
	r.Error, r.Hint = cut(r.Error), cut(r.Hint)
	if n := len(r.Stopped); n > maxTables {
		r.Stopped, r.MoreStopped = r.Stopped[:maxTables], n-maxTables
	}
	short := make([]Table, len(r.Stopped)) // the caller's are left as they are
	for i, t := range r.Stopped {
		t.Reason = cut(t.Reason)
		short[i] = t
	}
	if r.Stopped = short; len(short) == 0 {
		r.Stopped = nil
	}
	if n := len(r.Loads); n > maxTables {
		r.Loads, r.MoreLoads = r.Loads[:maxTables], n-maxTables
	}
	loads := make([]Load, len(r.Loads))
	for i, l := range r.Loads {
		l.Error, l.Part, l.Resumes = cut(l.Error), cut(l.Part), l.Resumes.UTC()
		loads[i] = l
	}
	if r.Loads = loads; len(loads) == 0 {
		r.Loads = nil
	}
	r.Added = r.Added[:min(len(r.Added), maxTables)]
	for _, t := range []*time.Time{&r.Committed, &r.Logged, &r.Applied, &r.Written} {
		*t = t.UTC()
	}
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("status of %s: %w", r.Source, err)
	}
	return b, nil
}

// cut keeps the beginning of a text, whole characters only.
func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	end := maxText
	for end > 0 && s[end]&0xc0 == 0x80 {
		end--
	}
	return s[:end] + "…"
}
