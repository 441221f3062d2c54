package event

import (
	"time"

	"github.com/tributary-cdc/tributary/schema"
)

// Check is one step of a verification: the comparison of a source's table with what stores
// have of it, while everything flows. It stands in a transaction, before its rows, and is
// true at exactly that place of the stream.
type Check struct {
	Phase CheckPhase
	// ID names the order; one order may mean several tables.
	ID      string
	Table   string // schema.Table.ID
	Dataset string // the store's table
	// Since is the position at which the verification began.
	Since Position
	// Repair says that stores mend what differs: the rows of a chunk follow its check, and
	// a store takes those that it lacks or has otherwise.
	Repair bool

	// By and At tell who has asked, and when. Of CheckBegun.
	By string
	At time.Time
	// Without are columns that the digests don't cover, since a store leaves them out. Of
	// CheckBegun and CheckRows.
	Without []string
	// Schema is the version that the rows follow, Rows are the rows of a part of a chunk.
	// Of CheckRows.
	Schema *schema.Table
	Rows   []CheckedRow
	// Total is the number of rows of all chunks. Of CheckEnded.
	Total int64
	// Reason is why it ends without a result, for people, English. Of CheckGivenUp.
	Reason string
}

// CheckPhase is what a check says.
type CheckPhase uint8

// The phases of a verification.
const (
	CheckBegun   CheckPhase = iota // rows of before Since that no chunk names don't exist at the source
	CheckRows                      // rows of one chunk
	CheckEnded                     // every row that exists at the source was named, or has changed since
	CheckGivenUp                   // it was cancelled, or can't go on
)

// CheckedRow is a row as a check names it.
type CheckedRow struct {
	Key    []byte // the canonical key without the table's ID
	Digest RowDigest
}

// RowDigest is the digest of a row's canonical values.
type RowDigest [16]byte
