package event

import (
	"time"

	"github.com/tributary-cdc/tributary/schema"
)

// Op says what a change does, in Debezium's letters.
type Op byte

// The operations.
const (
	Create   Op = 'c'
	Update   Op = 'u'
	Delete   Op = 'd'
	Read     Op = 'r' // row of a snapshot
	Truncate Op = 't' // the whole table; Before and After are nil
)

// Row is one row change. Table is the version of the table that the images
// follow; slots and their bytes belong to whoever handed the row out.
type Row struct {
	Op    Op
	Table *schema.Table
	// Before is the image before the change, nil for Create and Read. It may carry
	// only the key (PostgreSQL's default identity); the rest is Absent. On an Update
	// it may be nil if the source sent no old image, which says the key is unchanged.
	Before []Value
	// After is the image after the change, nil for Delete. Columns that the source
	// didn't send are Absent.
	After     []Value
	Anomalies []Anomaly
}

// Engine is a source's kind of database.
type Engine string

// The engines.
const (
	MySQL    Engine = "mysql"
	MariaDB  Engine = "mariadb"
	Postgres Engine = "postgres"
)

// Source is what stays the same over a source's life with one agent.
type Source struct {
	ID     string // e.g. 330106-xueji
	Org    string // e.g. 330106
	Engine Engine
	Agent  string // the agent's own name
}

// Precision says how exact commit times are.
type Precision uint8

// The precisions of a commit time.
const (
	Microseconds Precision = iota
	Seconds                // MariaDB and MySQL before 8.0.1
)

// Txn describes one source transaction. It is the same in each of its segments.
type Txn struct {
	Position Position
	// ID is the source's own name for it: a GTID, or PostgreSQL's xid. Empty if there is none.
	ID string
	// Committed is the source's commit time, Precision its exactness.
	Committed time.Time
	Precision Precision
	// Captured is when the agent read its first byte.
	Captured time.Time
	// ServerID is the server that wrote it (MySQL, MariaDB), else 0.
	ServerID uint32
	// File is the binlog file's name; empty for PostgreSQL.
	File string
}

// SegmentKind tells what a segment is.
type SegmentKind uint8

// The kinds of segments.
const (
	// Rows is a part of a transaction.
	Rows SegmentKind = iota
	// Idle says the source's log has grown (or time has passed) without a change of
	// ours: Restart may be acknowledged once a heartbeat stands in the log. It comes
	// only between transactions, and carries no rows.
	Idle
	// TableStopped says that a table has been stopped at Txn.Position; Stop says why.
	// It comes before the first row that is missed, which may be within a transaction.
	TableStopped
	// TableAltered says that a table isn't what it was; Altered says what follows from it.
	// It comes before the first row of what the table is from there on.
	TableAltered
)

// Segment is the unit that a reader hands to its pipeline: a part of one
// transaction of at most about 1 MiB of row data.
type Segment struct {
	Kind SegmentKind
	Txn  Txn
	// First and Last mark the ends of the transaction; both may be set. A
	// transaction without any row of ours isn't handed out at all.
	First, Last bool
	Rows        []Row
	// Skipped counts, on the last segment, the rows that the transaction had for
	// stopped tables: it is then partial.
	Skipped int
	// Restart is, on the last segment and on Idle, the place where reading must
	// begin again after everything up to here is durable.
	Restart Place
	// State is the reader's own durable state as of Restart (identity of the server,
	// GTID set, stopped tables), as JSON. It is set on Idle, on the last segment of a
	// transaction at least once a second, and whenever a table stops; nil means unchanged
	// but for the GTIDs of the transactions since.
	State []byte
	// Durable says, on a last segment with State, that State must stand in the log as
	// soon as the transaction does, not with the next checkpoint only.
	Durable bool
	// Loads says, on a last segment, which loads of tables begin or end with it.
	Loads []Load
	// Checks are, on a first segment, what a verification says at this place. They count as
	// no rows.
	Checks []Check
	// Repair says, on a last segment, that the repair of a gap begins or ends with it.
	Repair  RepairPhase
	Stop    *TableStop
	Altered *Alteration
}

// RepairPhase is one of the ends of the repair of a gap.
type RepairPhase uint8

// The ends.
const (
	NoRepair RepairPhase = iota
	// RepairBegun: the transaction follows nothing that came before. All captured tables are
	// read again from here on; their loads begin with it.
	RepairBegun
	// RepairEnded: all that was to be read again is in the log.
	RepairEnded
)

// LoadPhase is one of the ends of a table's load.
type LoadPhase uint8

// The ends.
const (
	LoadBegun LoadPhase = iota // rows may be missing from here on, and changes come for missing ones
	LoadEnded                  // all of the table is in the log
	// TableRemoved: a person has left the table. No change of it comes from here on.
	TableRemoved
	// TableDropped: the table doesn't exist at its source any more, under this name. What a
	// store has of it stays as it last came.
	TableDropped
)

// Load says that a table's load begins or ends, or that no more of the table comes.
type Load struct {
	Table   string // schema.Table.ID
	Dataset string // the store's table
	Phase   LoadPhase
	// Since is the position at which the load began.
	Since Position
	// Sweep says that the table was loaded before: at the end, rows of before Since don't
	// exist any more.
	Sweep bool
	// Range is what is loaded, nil for all of the table. What is outside stays as it is.
	Range *KeyRange
	// Ordered says that a person has ordered it: a change of the table that a store has
	// refused is accepted with it.
	Ordered bool
}

// Alteration says that a table was altered at its source, made anew, or is delivered again.
type Alteration struct {
	Table  string // schema.Table.ID
	Reason string // for people, English
	// Reread says that rows which stand already may have got other values, or be gone,
	// which no log tells: the table must be read again.
	Reread bool
	// Resumed says that the table was stopped and is delivered again from here on.
	Resumed bool
}

// CodeDropped is the code of a table that stopped because it doesn't exist any more, or has
// another name. Nothing of it is missing in the log.
const CodeDropped = "TABLE_DROPPED"

// TableStop says why a table stopped. Its rows are not delivered any more until
// an operator has it read again.
type TableStop struct {
	Table  string // schema.Table.ID
	Code   string // stable, e.g. "TABLE_NO_KEY"
	Reason string // for people, English
}
