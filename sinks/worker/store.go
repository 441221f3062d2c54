// Package worker applies one log's partitions to one store: it assembles whole
// transactions, merges them by key, and commits them in groups together with
// each source's position. It decides order, grouping and what is void; it knows
// no broker and no SQL.
package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// Claims decide who applies a partition. Whatever spreads partitions over workers is
// a hint only; no batch is committed without the claim.
type Claims interface {
	// Claim takes a partition from whoever holds it: it raises the fence, ends the
	// backends of the former holder, and returns the progress of every source of the
	// partition. After it returns, no Apply of the former holder can commit.
	Claim(ctx context.Context, p log.Partition, worker string) (Claim, []Progress, error)
	// Reclaim is Claim for a worker that had the claim, for a new connection. It takes
	// from nobody: ErrClaimLost, unless the fence is still held's, or the claim names
	// held's worker and its backend is gone.
	Reclaim(ctx context.Context, held Claim) (Claim, []Progress, error)
	// Left returns the claims that name a worker whose backend is gone: what it held
	// when it ended, and nobody has taken since.
	Left(ctx context.Context, worker string) ([]Claim, error)
}

// Store is an aggregation database as the worker needs it. One Store serves many
// partitions; calls for one partition come from one goroutine at a time, but for Begin's.
type Store interface {
	Claims
	Holding
	// Prepare creates or checks the bookkeeping tables. It is safe to call from
	// several workers at once, and one that is stopped within it blocks no other.
	Prepare(ctx context.Context) error
	// Recall returns what batches have recorded as stopped.
	Recall(ctx context.Context, c Claim) (Recalled, error)
	// EnsureTable creates the dataset's table, or evolves it to hold this version
	// besides what it holds. It is called between two batches, before the first rows of
	// the version and after all rows of the table's version before it. ErrTableRefused
	// means that this table must stop, ErrLossyChange that the version before holds more,
	// or other things, than this one; the text says why. Columns of left have no place in the
	// store's table: the caller leaves their values out.
	EnsureTable(ctx context.Context, c Claim, t *schema.Table) (left []int, err error)
	// Apply commits one batch in one store transaction: it checks the claim, compares
	// and sets each source's position, writes the rows and the batch row. On
	// ErrOutcomeUnknown the caller claims again and looks. A RowsError names all rows
	// that the store refuses because of their values; the caller leaves them out and
	// calls again.
	Apply(ctx context.Context, b *Batch) error
	// Begin opens the store transaction of one large source transaction, beside
	// Apply: it may be used by another goroutine, and is the only one of its claim.
	Begin(ctx context.Context, c Claim) (Large, error)
	// RecordGap notes that a source's continuity is lost and sets its state. It
	// returns after the store has it, and changes nothing if it is noted already. The
	// source goes on with a Step that begins a repair; one that ends it closes the gap.
	RecordGap(ctx context.Context, c Claim, g Gap) error
	// Reach notes moments up to which the store has sources of the claim's partition. A moment
	// counts for each dataset of the source of which nothing is held back: by a gap, a halt, a
	// load, a key in quarantine, or a table that the log doesn't have. It never goes back.
	Reach(ctx context.Context, c Claim, all []Reached) error
	// Close releases connections. Claims stay until somebody else raises the fence.
	Close() error
}

// Holding keeps the rows of stopped tables until a person has decided.
type Holding interface {
	// Accept notes a person's order to take a stopped table's change and to go on, and says
	// what has stopped it; ErrNotHalted if nothing has. It needs no claim: whoever has the
	// table's partition finds it. From then on EnsureTable takes the version that the table
	// stopped with, also where something is lost. Of a table that needs to be read again, that
	// is all that becomes of it.
	Accept(ctx context.Context, source, table string) (Halt, error)
	// Halts returns the stopped tables.
	Halts(ctx context.Context, c Claim) ([]Halt, error)
	// Held returns the first changes that are held of a table, in order, up to limit but at
	// least one, and whether there are more.
	Held(ctx context.Context, c Claim, source, table string, limit HeldLimit) (changes []HeldChange, more bool, err error)
	// HaltAgain takes back that a table is accepted: its held changes can't be applied, for
	// h's Error and Version.
	HaltAgain(ctx context.Context, c Claim, h Halt) error
}

// Large is a store transaction that takes a source transaction in pieces. It is used
// by one goroutine.
type Large interface {
	// Write applies the net effect of the next piece upon that of the pieces before.
	// After a RowsError the transaction is as it was before the call.
	Write(ctx context.Context, tables []TableChange, q []Quarantined, held []Held) error
	// Commit does what Apply does for a batch, whose Tables and Quarantine are written. Its
	// Held count what the pieces have.
	Commit(ctx context.Context, b *Batch) error
	// Close rolls back what isn't committed, and must be called.
	Close() error
}

// Errors of a Store.
var (
	// ErrClaimLost: another worker holds the partition. The caller stops applying.
	ErrClaimLost = errors.New("claim on the partition lost")
	// ErrProgressMoved: a source's position in the store isn't the batch's From.
	ErrProgressMoved = errors.New("position in the store has moved")
	// ErrOutcomeUnknown: the connection broke while the commit was under way.
	ErrOutcomeUnknown = errors.New("outcome of the store's commit is unknown")
	// ErrStoreAway: the store can't be reached. Trying again is safe.
	ErrStoreAway = errors.New("store unavailable")
	// ErrStoreAccess: the store refuses the user, the password or a privilege. Only a
	// person can help.
	ErrStoreAccess = errors.New("access to the store refused")
	// ErrRetry: the store rolled back for a passing reason (deadlock, serialisation).
	ErrRetry = errors.New("store transaction rolled back, try again")
	// ErrTableRefused: the store's table can't take this version or these rows (altered
	// by a person, secondary unique key, incompatible type).
	ErrTableRefused = errors.New("table refused by the store")
	// ErrLossyChange: a table has changed at its source in a way that loses something, or
	// that doesn't go together with what the store has. It is an ErrTableRefused.
	ErrLossyChange = fmt.Errorf("the table's change isn't followed: %w", ErrTableRefused)
)

// TableError pins an ErrTableRefused (or a refused row) on one table.
type TableError struct {
	Table *schema.Table
	Err   error
}

// Error names the table.
func (e *TableError) Error() string { return "table " + e.Table.ID() + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *TableError) Unwrap() error { return e.Err }

// Claim is the right to apply one partition.
type Claim struct {
	Partition log.Partition
	Fence     int64
	Worker    string
}

// Progress is what the store knows of one source.
type Progress struct {
	Source  string
	Applied event.Position // of the last applied commit
	Commit  log.Offset     // of its commit record; -1 if none
	// Producer and Open are the source's latest open record as of Commit: only its
	// batches count from there on.
	Producer log.Producer
	Open     log.Offset
	// ReadFrom is a hint: nothing of the source below it is needed any more.
	ReadFrom log.Offset
	Gap      bool // the source is in the state GAP
	// Lost is the newest gap that isn't closed.
	Lost Gap
	// Repairing says that the gap is being repaired.
	Repairing bool
}

// Step moves one source forward within a batch.
type Step struct {
	Source   event.Source
	From, To event.Position // compare-and-set; From is zero for a source without progress
	Commit   log.Offset     // offset of the commit record of To
	Producer log.Producer
	Open     log.Offset
	ReadFrom log.Offset
	Txns     int // source transactions in the batch
	Rows     int // row records in the batch, before merging
	Skipped  int // rows missed for stopped tables; above 0 the batch is partial
	Held     int // rows of stopped tables that the store keeps; the batch is partial, too
	// Quarantined are rows missed because their key is in quarantine; the batch is
	// partial then, too.
	Quarantined int
	// Keys in quarantine that the source has as of this batch.
	Keys      int
	Committed time.Time // the source's commit time of To
	TxnID     string    // the source's own name of To (GTID, xid)
	File      string    // binlog file name of To
	// Ends are the last transactions of the batch that the source has in it, at most
	// MaxEnds, in their order: the last one is To.
	Ends []End
	// Versions are those of the tables that the rows follow, Policies those of the
	// column policy, Hops the relays that the rows have passed. Each stands once.
	Versions []schema.Version
	Policies []string
	Hops     []string
	// Repair says that To begins or ends the repair of a gap. LostBefore is a gap that the
	// store wasn't told of before it.
	Repair     event.RepairPhase
	LostBefore *Gap
	// Introduces says that Source was learnt, or may have changed, with this batch.
	// Only the id of Source is known before the first row of a source.
	Introduces bool
}

// MaxEnds bounds the transactions that a batch names of a source.
const MaxEnds = 20

// End is a source transaction at whose end a store has it.
type End struct {
	Position event.Position
	TxnID    string     // the source's own name (GTID, xid)
	Commit   log.Offset // offset of its commit record
	Rows     int        // row records, before merging
}

// Batch is one store transaction. The worker owns it and may reuse its memory
// after Apply returned.
type Batch struct {
	Claim       Claim
	First, Last log.Offset // the range of records that it covers
	Steps       []Step
	Tables      []TableChange // one per source table, in the order of first appearance
	Topics      string        // the topic of the records
	// Halts are tables whose rows this batch leaves out for the first time. A halt
	// that the store has already stays as it is.
	Halts []Halt
	// Held is what stopped tables have in this batch, HeldLimit the most that may be held of
	// each.
	Held      []Held
	HeldLimit HeldLimit
	// Resume says that the batch applies held changes, and has no steps; nil otherwise.
	Resume *Resume
	// Quarantine is what keys in quarantine have in this batch.
	Quarantine []Quarantined
	// Content is the digest of the batch's records (stream/envelope/FORMAT.md). The
	// store chains it to that of the partition's batch before.
	Content envelope.Digest
	// Loads are loads that begin or end with this batch, in order. A halt of a table ends
	// with the beginning of its load. A load that ends is swept: see event.Load.
	Loads []Load
	// Checks are what a verification says in this batch, in order. The rows of the batch
	// are then those of the verified chunk, if it repairs: the store writes only those that
	// it lacks or has otherwise, and none for a verification that isn't running there.
	Checks []Check

	// loading is what was loading before this batch.
	loading map[tableKey]event.Load
}

// Recalled is what a store knows of trouble before this claim, of all its sources.
type Recalled struct {
	Halts []Halt
	Keys  []QuarantinedKey
	// Loads have begun and not ended.
	Loads []Load
	// LeftOut are the columns without a place in the store, by source and table.
	LeftOut map[string]map[string][]string
	// Unequal are the tables of each source of which the last verification has found a
	// difference that stands.
	Unequal map[string][]string
}

// Halt is a stopped table. Its rows from Since on are not in the store's table.
type Halt struct {
	Source string         `json:"-"`
	Table  string         `json:"table"`          // schema.Table.ID
	Since  event.Position `json:"since_position"` // of the first transaction that misses rows
	Error  string         `json:"error"`
	// Version is that of the table with which it stopped.
	Version schema.Version `json:"version,omitempty"`
	// The rest is the store's: when the table stopped, what is held of it, whether it is
	// accepted, and whether it must be read again since not all of it is held.
	At       time.Time `json:"since"`
	Rows     int64     `json:"held_rows"`
	Bytes    int64     `json:"held_bytes"`
	Accepted bool      `json:"accepted,omitempty"`
	Reread   bool      `json:"reread_needed,omitempty"`
}

// Remedy is the command by which a person lets the table go on.
func (h *Halt) Remedy() string {
	if h.Reread {
		return "tributary table reread " + h.Source + " " + h.Table
	}
	return "tributary table accept " + h.Source + " " + h.Table
}

// TableChange is the net effect of a batch on one source table of one version. Of a
// table in append mode it is each change: Upserts has their rows in order, whole, New
// and without Base, and nothing else is set but Nulled.
type TableChange struct {
	Source string
	Table  *schema.Table
	// Loading says that rows may be missing in the store which the load is still to bring:
	// a change of columns of a missing row has no effect, and no missing row is an anomaly.
	Loading bool
	// Late says that the rows come later than the log had them: they take no key that
	// another source has meanwhile, and no missing row is an anomaly.
	Late bool
	// Truncate removes all rows of the source from the dataset's table first. Fetch
	// of base rows (NetRow.Base) happens before it.
	Truncate bool
	// Deletes are keys (values in the order of Table.Key) that exist no more at the
	// end of the batch. They may not exist in the store.
	Deletes [][]event.Value
	// Upserts are rows that exist at the end of the batch, at most one per key.
	Upserts []NetRow
	// Nulled are the values of the batch that their columns' types can't hold, e.g.
	// zero dates. The rows have NULL in their place; the store keeps this trace.
	Nulled Nulled
}

// Nulled counts values that became NULL on their way, and shows the first one.
type Nulled struct {
	Values int64
	First  event.Position
	// Detail is the first one's column and its text at the source.
	Detail string
}

// NetRow is a row's final image.
type NetRow struct {
	Op        event.Op
	Position  event.Position
	Committed time.Time
	// Values has one slot per column. Absent ones are taken from the row that stood
	// under Base before the batch.
	Values []event.Value
	// Base is the key that the row had at the start of the batch: nil if it was made
	// within the batch (then no slot is Absent), else the key in the order of Table.Key.
	Base []event.Value
	// New says the row's key is not expected in the store: it was inserted at the
	// source in this batch and not deleted in it before.
	New bool
	// Order is the change's place in its transaction, from 0. It is set for tables in
	// append mode, where it is the row's key, with Position and Op.
	Order int
}

// Gap is a source's loss of continuity as the store records it.
type Gap struct {
	Source string
	Last   event.Position
	To     event.Place // the oldest place that the source's server still has, if known
	Code   string      // stable, e.g. "PREV_MISMATCH", "ROW_COUNT", "TOPIC_REPLACED"
	Reason string
	At     time.Time
	Offset log.Offset // of the record by which it was found
	// Producer and Open are the source's latest open record as of Offset: nothing before
	// it is read again.
	Producer log.Producer
	Open     log.Offset
	// Replaced says that the log isn't the one that was read: what is known of offsets in
	// it means nothing.
	Replaced bool
}
