package snapshot

import (
	"context"
	"errors"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Errors of a Source.
var (
	// ErrView: the server's view doesn't show yet what its log has delivered, e.g.
	// because commits wait for a replica. The same request may be made again.
	ErrView = errors.New("the view lacks transactions that the log has delivered")
	// ErrOrder: a key, given back as a literal, isn't compared as keys are ordered. Reading
	// on would never end.
	ErrOrder = errors.New("keys aren't compared as they are ordered")
	// ErrTable: the table can't be read as it is described: dropped or altered.
	ErrTable = errors.New("the table isn't as it was described")
)

// Table is a captured table.
type Table struct {
	// ID is schema.Table.ID.
	ID     string
	Schema *schema.Table // nil if the table can't be loaded
	// Refused says why it can't be loaded; empty if it can.
	Refused string
	// Rows is the server's own estimate, -1 if it has none.
	Rows int64
	// Parents are the IDs of tables whose changes the server hands on to this one by a
	// foreign key without writing that to its log.
	Parents []string
}

// Delivered is what the stream has handed out.
type Delivered struct {
	// Place is the end of the last transaction or idle segment.
	Place event.Place
	// Txns are the names (event.Txn.ID) of transactions that no view has shown yet.
	Txns []string
	// Unnamed says that others may have changed the table before the source was opened,
	// which the stream passed over: all that had begun by then must be visible.
	Unnamed bool
}

// Request asks for one chunk of a table.
type Request struct {
	Table *schema.Table
	// After is the key (values in the order of Table.Key) behind which the chunk
	// begins; nil for the table's start.
	After []event.Value
	// Keys asks for the rows with these keys instead, in any order. A chunk that is full
	// before doesn't say End, and the others are asked for again.
	Keys [][]event.Value
	// Rows and Bytes bound the chunk: it ends with the row that reaches one of them.
	Rows, Bytes int
	// Range is the part of the table that is read; nil for all of it. It doesn't bound Keys.
	Range *event.KeyRange
	// Delivered must be visible in the view that is read, else ErrView.
	Delivered Delivered
	// Memory is what the chunk is to lie in, see Fresh; nil for memory of its own.
	Memory *Memory
	// Coded says that the rows may be left as the server sent them, see Chunk.Coded.
	Coded bool
}

// Chunk is what was read: rows in the order of the key, as one view shows them.
// It is the caller's, as long as the memory isn't used for another one.
type Chunk struct {
	Rows []event.Row // Op is event.Read, images are whole
	// Coded are the rows in the server's own form, if the source leaves them so; Rows is
	// empty then. They are decoded when they are about to be written: their images take
	// several times as much memory, and would have left the processor's caches by then.
	Coded [][]byte
	// Decode gives the image of one of them in m, whose values may point into what is coded,
	// and its anomalies. Any goroutine may call it, also while the source reads on.
	Decode func(coded []byte, m *Memory) ([]event.Value, []event.Anomaly, error)
	// Bytes is the size of the rows, by Request.RowBytes.
	Bytes int
	// Last is the key of the last row, beside the chunk's memory; nil if there is none.
	Last []event.Value
	// End says that nothing followed the last row.
	End bool
	// High is a place in the log at or behind everything that the view shows.
	High event.Place
}

// Source reads tables of one server. It is used by one goroutine at a time.
type Source interface {
	// Tables lists the captured tables that exist.
	Tables(ctx context.Context) ([]Table, error)
	// Include makes sure that the server publishes a table that isn't captured yet, and
	// that it can be captured and read. It gives ErrCaptured for one that is captured, ErrTable
	// for one that doesn't exist, and a capture.Coded with the statements for a person if it
	// isn't allowed to do what is needed.
	Include(ctx context.Context, table string) error
	// Range reads the bounds of a part of a table as the server would.
	Range(ctx context.Context, t *schema.Table, b Bounds) (*event.KeyRange, error)
	// Read reads one chunk in a view of its own, without locking anything.
	Read(ctx context.Context, r Request) (*Chunk, error)
	// Close ends the connection. It is safe to call twice.
	Close() error
}

// Adder is what a capture.Reader may be besides: one that takes further tables.
type Adder interface {
	// Add makes the reader deliver a table (schema.Table.ID) from a transaction's beginning
	// on. Before that transaction an Idle segment comes with a State whose list "added" has
	// the table; a reader that starts from such a state delivers it as well. It may be
	// called at any time, blocks for nothing, and is forgotten by a start from another state.
	Add(table string)
	// Remove makes the reader pass over a table that was added, in the same way: the Idle
	// segment's list "added" doesn't have it any more.
	Remove(table string)
	// Configured reports whether the reader's patterns have a table. It is called between
	// Start and Next.
	Configured(table string) bool
}

// Capturer is what a capture.Reader may be besides: one that tells which tables it delivers.
type Capturer interface {
	// Captures reports whether a table (schema.Table.ID) is delivered since Start, if it
	// exists. It is called between Start and Next.
	Captures(table string) bool
}

// Describer is what a Source may be besides: one that describes a table without looking
// at all others. Each load asks for that, so with many tables it counts.
type Describer interface {
	// Table gives the captured table with this ID; nothing if there is none.
	Table(ctx context.Context, id string) ([]Table, error)
}

// Pacer is what a capture.Reader may be besides: one that can say more often than
// once a second where it stands, so that chunks needn't wait for it.
type Pacer interface {
	// Pace makes the reader hand out an Idle segment once it has been silent for
	// about so many milliseconds; 0 goes back to its own pace. It may be called at any time.
	Pace(milliseconds int)
}

// Restarter is what a capture.Reader may be besides: one that can deliver a table again
// which it has stopped.
type Restarter interface {
	// Restart has the table delivered again, as it is then. A TableAltered segment with
	// Resumed and Reread comes first. It may be called at any time.
	Restart(table string)
}
