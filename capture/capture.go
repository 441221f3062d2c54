// Package capture is what all readers of source databases share: the Reader
// interface, where to resume, and the errors that say what a supervisor may do.
// It decides nothing about order in the log; it knows no database and no broker.
package capture

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/peer"
)

// Resume says where a reader goes on.
type Resume struct {
	// Last is the position of the last transaction that is complete in the log,
	// zero on a first start.
	Last event.Position
	// Restart is where reading begins, from the last commit or heartbeat in the log.
	Restart event.Place
	// State is the reader's state as of the checkpoint, from event.Segment.State.
	State []byte
	// Since names the transactions (event.Txn.ID) that were committed to the log
	// after State was taken, so that a GTID set can be brought up to date.
	Since []string
	// Shown is the place up to which what was read from tables shows the source, which may lie
	// behind all that Last has; zero if no table was read in its epoch.
	Shown event.Place
	// FirstStart is the operator's explicit order to begin at the source's present
	// end although nothing is known. Without it and without Last a reader refuses.
	FirstStart bool
	// Repair is a person's order to begin anew at the source's present end, in a new epoch,
	// although nothing proves that it continues: all tables are read again.
	Repair bool
	// Had are, on a repair, the columns that tables have had in the log, by schema.Table.ID:
	// stores have no others. A table without any here is one of which that isn't known.
	Had map[string][]string
}

// NextEpoch gives the epoch that follows others of a source.
func NextEpoch(before ...uint32) uint32 {
	next := uint32(time.Now().Unix())
	for _, e := range before {
		next = max(next, e+1)
	}
	return next
}

// Reader reads one source's log. A constructor starts nothing and does not
// connect. Start, Next and Close are called from one goroutine; Ack may come from another.
type Reader interface {
	// Start connects, proves that the source continues where Resume ended, and
	// returns the epoch of all positions to come: Resume.Last.Epoch if continuity is
	// proved, a new one on a first start and on a repair. If continuity can't be proved it returns a
	// *GapError and reads nothing. It may be called again after Next failed or after
	// Close, with a newer Resume.
	Start(ctx context.Context, r Resume) (epoch uint32, err error)
	// The first segment after Start is Idle, with State, so that the place where reading
	// began is durable before any row is. A reader sets State at least once a second
	// while transactions flow, on a last segment, so that Resume.Since stays short.
	//
	// Next blocks for the next segment, at most about 1 MiB of rows. The segment and
	// all it points to are the caller's until the next call. It returns ctx.Err()
	// once ctx ends, and never an empty Rows segment with a nil error. After an error
	// the reader must be started again; a transaction that was under way begins anew.
	Next(ctx context.Context) (*event.Segment, error)
	// Ack says that everything up to this place is durable in the log. It doesn't
	// block on the network; places never go backwards.
	Ack(p event.Place)
	// Close ends the connection. It is safe to call twice.
	Close() error
}

// Waiter is what a Reader may be besides: one that tells what its Start waits for.
type Waiter interface {
	// Waiting gives what keeps Start from going on, with a code and what to do; nil while
	// nothing is known to. It may be called at any time, and blocks for nothing.
	Waiting() error
}

// Action is what a supervisor does about an error.
type Action uint8

// The actions.
const (
	StopSource  Action = iota // unknown errors: stop and show
	Retry                     // reconnect with backoff
	Gap                       // continuity lost: only a re-snapshot repairs it
	AskOperator               // configuration or grants: show what to do, try again slowly
	StayDown                  // another agent has taken the source: stop, never restart by oneself
)

// Errors that supervisors branch on.
var (
	// ErrOtherAgent: another agent wrote for this source less than 30 s ago.
	ErrOtherAgent = errors.New("another agent is writing for this source")
	// ErrConnection: the server is away or the connection broke.
	ErrConnection = errors.New("source connection")
	// ErrAccess: the server refuses the user, or a grant is missing.
	ErrAccess = errors.New("access to the source refused")
	// ErrSettings: the server's settings don't allow capture (binlog_format, wal_level, version).
	ErrSettings = errors.New("settings of the source")
	// ErrNoFirstStart: nothing is known about this source and nobody ordered a first start.
	ErrNoFirstStart = errors.New("no checkpoint and no order for a first start")
	// ErrMoved: the configuration names another partition than the one that has the
	// source's transactions.
	ErrMoved = errors.New("the source belongs to another partition")
	// ErrUnsupported: the log holds something that isn't understood and that can't be
	// pinned on one table (e.g. XA PREPARE). The source stops.
	ErrUnsupported = errors.New("not supported in the source's log")
)

// Coded is an error with a stable code for operators and a hint.
type Coded struct {
	Code string // stable, e.g. "MYSQL_BINLOG_FORMAT"
	Hint string // what to do, e.g. the SQL that repairs it; may be empty
	Err  error
}

// Error gives the wrapped error's text and the code.
func (e *Coded) Error() string { return fmt.Sprintf("%v [%s]", e.Err, e.Code) }

// Unwrap returns the wrapped error.
func (e *Coded) Unwrap() error { return e.Err }

// codes are the codes of this package's errors where nothing says it closer.
var codes = []struct {
	err  error
	code string
}{
	{ErrOtherAgent, "OTHER_AGENT"},
	{ErrNoFirstStart, "NO_FIRST_START"},
	{ErrMoved, "PARTITION_CHANGED"},
	{ErrConnection, "SOURCE_UNREACHABLE"},
}

// CodeOf gives an error's stable code, and what to do about it here; both are empty
// if it has none.
func CodeOf(err error) (code, hint string) {
	if e, ok := errors.AsType[*peer.Error](err); ok {
		return e.Code, ""
	}
	var c *Coded
	if errors.As(err, &c) {
		return c.Code, c.Hint
	}
	var g *GapError
	if errors.As(err, &g) {
		return g.Code, ""
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code, ""
		}
	}
	return log.CodeOf(err), ""
}

// GapError says that the source's log doesn't provably continue after From.
type GapError struct {
	Code   string // stable, e.g. "BINLOG_PURGED", "SLOT_LOST", "OTHER_SERVER", "LOG_RESET"
	Reason string // for people, English
	From   event.Position
	To     event.Place // the oldest place the server can still give, if known
	Found  time.Time   // when the log was told; zero if it wasn't
}

// Error gives code, reason and bounds.
func (e *GapError) Error() string {
	return fmt.Sprintf("gap after %s: %s [%s]", e.From, e.Reason, e.Code)
}

// isTLS reports whether encryption of a connection is what the error is about.
func isTLS(err error) bool {
	_, ok := errors.AsType[*peer.Error](err)
	return ok
}

// ActionOf says what to do about an error of a Reader or of the log. It is the
// only place where this is decided; unknown errors stop the source.
func ActionOf(err error) Action {
	var gap *GapError
	switch {
	case errors.As(err, &gap):
		return Gap
	case errors.Is(err, log.ErrFenced), errors.Is(err, ErrOtherAgent):
		return StayDown
	case isTLS(err):
		return AskOperator
	case errors.Is(err, ErrConnection), errors.Is(err, log.ErrUnavailable), errors.Is(err, log.ErrUnknownOutcome):
		return Retry
	case errors.Is(err, ErrAccess), errors.Is(err, ErrSettings), errors.Is(err, ErrNoFirstStart), errors.Is(err, ErrMoved),
		errors.Is(err, log.ErrTopicConfig), errors.Is(err, log.ErrNotDurable), errors.Is(err, log.ErrSizeBound), errors.Is(err, log.ErrUnknownTopic),
		errors.Is(err, log.ErrLogin), errors.Is(err, log.ErrForbidden):
		return AskOperator
	}
	return StopSource
}
