// Package envelope turns events into record bytes and back: row records in Avro
// or JSON with the structure of Debezium, control records, schema records.
// FORMAT.md describes the bytes. It does no I/O.
package envelope

import (
	"time"

	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// Names of record headers. Every record of a .changes topic carries
// HeaderSource; row records carry HeaderPosition beside it; a control record
// carries exactly one header whose name begins with ControlPrefix, has no key
// and a null value.
const (
	HeaderSource   = "source"   // the source's id, UTF-8
	HeaderPosition = "position" // event.Position in its 20-byte binary form
	HeaderSchema   = "schema"   // of a row in JSON: its schema id, 4 bytes big endian
	ControlPrefix  = "tributary."
)

// Open says that an agent takes the source: from this record on only batches of
// its producer count, until the next Open.
type Open struct {
	Agent   string
	At      time.Time
	Version string // of the agent's program
}

// Commit ends a transaction. It follows the transaction's row records, with
// nothing of the same source between.
type Commit struct {
	Txn     event.Txn
	Prev    event.Position // of the source's previous commit; zero for the first
	Restart event.Place    // where capture must read again after this one
	Rows    int            // row and truncate records of this transaction
	Skipped int            // rows it had for stopped tables; above 0 it is partial
	Loads   []event.Load   // loads of tables that begin or end with it
	// Repair says that the repair of a gap begins or ends with it. One that begins a repair
	// needn't follow Prev.
	Repair event.RepairPhase
}

// Heartbeat says that the source is idle and its log has been read up to Restart.
type Heartbeat struct {
	Last    event.Position // of the source's last commit; zero if there was none
	Restart event.Place
	At      time.Time
	State   []byte // the reader's state, JSON
}

// AllTables stands in Until.Missing for any table.
const AllTables = "*"

// Until says that the log has everything that was committed at the source before At, of all
// tables but those that are missing. It stands behind the commit of Last.
type Until struct {
	Last event.Position // of the source's last commit; zero if there was none
	// At is by the broker's clock, or the agent's if the log doesn't tell it: a moment before
	// the source's server was asked where its log ends.
	At time.Time
	// Missing are the captured tables (schema.Table.ID) that have stopped or aren't loaded.
	Missing []string
}

// Gap says that continuity was lost after Last.
type Gap struct {
	Last   event.Position
	To     event.Place
	Code   string
	Reason string
	At     time.Time
}

// TruncateTable empties a table; it stands among the rows of its transaction and
// counts as one of them.
type TruncateTable struct {
	Position event.Position
	SchemaID uint32
}

// Halt says that a table's rows aren't delivered any more, from Position on.
type Halt struct {
	Position event.Position
	Stop     event.TableStop
}

// Check is a step of a verification. It belongs to the transaction of the commit that
// follows, and counts as none of its rows.
type Check struct {
	event.Check        // without Schema
	SchemaID    uint32 // of event.CheckRows
}

// Control is one parsed control record; the field of its kind is set.
type Control struct {
	Open      *Open
	Commit    *Commit
	Heartbeat *Heartbeat
	Until     *Until
	Gap       *Gap
	Truncate  *TruncateTable
	Halt      *Halt
	Check     *Check
	// Body is a check's own bytes, for those who keep it for later; see ParseCheck.
	Body []byte
	// Seal is a signature over what stands before it. It belongs to no transaction, and
	// readers may pass over it.
	Seal bool
}

// Stamp is the lineage that a row's envelope carries beside its images. The table
// version stands beside it: SchemaID.
type Stamp struct {
	Source event.Source
	Txn    event.Txn
	Order  int // the row's place in its transaction, from 0
	Policy string
}

// IsControl reports whether a record is a control record.
func IsControl(r *log.Record) bool { return r.Key == nil && r.Value == nil && len(r.Headers) > 0 }
