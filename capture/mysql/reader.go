// Package mysql reads the binary log of MySQL (5.7 and newer) and MariaDB (10.2
// and newer). It decides how events become transactions, what proves that a
// server's log continues, and which tables must stop; capabilities are probed,
// never derived from a version. It knows no broker, and writes nothing at the source.
package mysql

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/peer"
)

// Options says which server to read. Source, Host, User and Tables are required.
type Options struct {
	Source   event.Source
	Host     string
	Port     uint16 // default 3306
	User     string
	Password string
	// TLS protects all connections. The zero value: verified beyond loopback.
	TLS peer.TLS
	// Tables are patterns "database.table", with * and ? as in file names.
	Tables []string
	// Datasets names the dataset of a table "database.table" where it isn't the table's name.
	Datasets map[string]string
	// Keyless says what is done with tables that have no primary key.
	Keyless capture.Keyless
	// Caps bound the values of single columns.
	Caps capture.Caps
	// ServerID is this reader's id among the server's replicas, 1 to 2^32-1. Two
	// readers with one id end each other's connections. Default: from Source.ID.
	ServerID uint32
	// Logger gets what is left out. Default none.
	Logger *slog.Logger
}

// Reader implements capture.Reader.
type Reader struct {
	o Options

	sql       *client.Conn
	stream    *dump
	parser    *replication.BinlogParser // of events that are rare
	checksums bool                      // events end with one
	annotate  bool                      // the server must send all events, see event

	mariadb    bool
	doubtful   bool              // rows may have NULL in place of a virtual column's value
	caseless   bool              // the server keeps names in lower case, whatever statements say
	collations map[uint64]string // character set of each collation id
	known      map[string]bool   // captured tables that exist, as "database.table"
	additions  capture.Additions
	defs       definitions // of tables that the log doesn't describe
	owed       bool        // the state must stand in the log as soon as the next rows
	version    int         // of the server, as definition.Session has it
	named      named
	state      state
	gtids      gomysql.GTIDSet // executed up to the end of the last transaction; nil without GTIDs
	last       event.Position
	met        event.Place // where the server's log ended when Start asked
	begun      atomic.Pointer[beginning]
	owned      []string       // transactions before a first start that couldn't be seen then
	pace       atomic.Int64   // milliseconds between two idle segments; 0 for a second
	torn       event.Position // a transaction without end, parts of which were handed out
	at         event.Place    // end of what was read
	reached    event.Place    // the same before Start; reading may begin again before it
	maps       map[uint64]*relation
	relations  map[string]*relation // by "database.table"
	idSize     int                  // bytes of a table id

	orders   sync.Mutex
	restarts []string // stopped tables that a person wants again; orders guards it

	queue   capture.Queue
	pending []logEvent      // read by Start, not handled yet
	seg     *capture.Buffer // being filled; nil between transactions
	txn     transaction
	idleAt  time.Time
	stateAt time.Time
}

// Server names the server that is read since Start, as guard.Room.Server does. It may be
// called while Next reads, but not while Start does.
func (r *Reader) Server() string { return fmt.Sprintf("%s/%d", r.state.UUID, r.state.ServerID) }

// beginning is what Start found, for whoever opens a Source meanwhile.
type beginning struct {
	executed string   // GTIDs up to where reading began
	owned    []string // as Reader.owned
}

// New checks the options. It doesn't connect.
func New(o Options) (*Reader, error) {
	if o.Source.ID == "" || o.Host == "" || o.User == "" || len(o.Tables) == 0 {
		return nil, errors.New("mysql reader options: Source.ID, Host, User and Tables must be set")
	}
	for _, p := range o.Tables {
		if !capture.IsPattern(p) {
			return nil, fmt.Errorf("mysql reader options: table pattern %q isn't database.table", p)
		}
	}
	if err := errors.Join(o.Keyless.Check(o.Tables), o.Caps.Check()); err != nil {
		return nil, fmt.Errorf("mysql reader options: %w", err)
	}
	if err := o.TLS.On(o.Host).Check(); err != nil {
		return nil, fmt.Errorf("mysql reader options: TLS: %w", err)
	}
	if o.Port == 0 {
		o.Port = 3306
	}
	if o.ServerID == 0 {
		o.ServerID = ReplicaID(o.Source.ID)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Reader{o: o}, nil
}

func (r *Reader) wanted(name string) bool {
	return (Wanted(r.o.Tables, name, r.caseless) || r.additions.Has(name)) && !slices.Contains(r.state.Sequences, name)
}

// Captures implements snapshot.Capturer.
func (r *Reader) Captures(table string) bool { return r.wanted(table) }

// fold gives a name that a person wrote the form that the server keeps.
func (r *Reader) fold(name string) string {
	if r.caseless {
		return strings.ToLower(name)
	}
	return name
}

// Start implements capture.Reader.
func (r *Reader) Start(ctx context.Context, res capture.Resume) (uint32, error) {
	if err := r.Close(); err != nil {
		return 0, err
	}
	var err error
	if r.sql, err = r.connect(ctx); err != nil {
		return 0, err
	}
	defer interrupt(ctx, r.sql)()
	added, err := addedIn(res.State)
	if err != nil {
		return 0, err
	}
	r.additions.Reset(added)
	r.reached = event.Place{}
	if err := r.probe(); err != nil {
		return 0, err
	}
	if err := r.list(); err != nil && !(res.State != nil && errors.Is(err, errNoTable)) { // they may have been dropped since
		return 0, err
	}
	switch {
	case res.Repair:
		err = r.repair(res)
	case res.State != nil:
		err = r.resume(res)
	case res.Last != event.Position{}: // an order for a first start may still stand in the configuration
		err = &capture.GapError{Code: "NO_STATE", From: res.Last, Reason: "the log has transactions of this source, but not the reader's state that proves where they continue"}
	case !res.FirstStart:
		err = capture.ErrNoFirstStart
	default:
		err = r.first()
	}
	if err != nil {
		return 0, err
	}
	b := &beginning{owned: r.owned}
	if r.gtids != nil {
		b.executed = r.gtids.String()
	}
	r.begun.Store(b)
	if err := r.dump(ctx, res); err != nil {
		return 0, err
	}
	if err := r.widened(); err != nil {
		return 0, err
	}
	if err := r.await(); err != nil {
		return 0, err
	}
	if err := r.idle(); err != nil {
		return 0, err
	}
	return r.state.Epoch, nil
}

// dump asks for the log and proves that it is the one that was read before: the
// file was made at the same moment, and the last transaction still stands there.
func (r *Reader) dump(ctx context.Context, res capture.Resume) error {
	from := dumpFrom{serverID: r.o.ServerID, mariadb: r.mariadb}
	joining := r.state.Joining && res.Last.Epoch != r.state.Epoch
	if joining {
		r.annotate, r.at, from.gtids = true, event.Place{}, r.gtids // nothing may be asked for again by a place before it is known
	}
	verify := res.State != nil && res.Last.Epoch == r.state.Epoch && r.at == res.Last.Place
	if r.at.Offset > 1<<32-1 { // the command's position has 32 bits; what comes before is skipped
		r.at.Offset, verify = 4, false
	}
	c, err := r.dial(ctx, func(c *client.Conn) error {
		c.SetAttributes(map[string]string{"_client_role": "binary_log_listener"})
		return nil
	})
	if err != nil {
		return r.streamError(err, res.Last)
	}
	from.annotate, from.file, from.offset = r.annotate, r.fileName(r.at.File), uint32(r.at.Offset)
	naming := res.State != nil && r.unnamed()
	if naming {
		from.offset = uint32(r.state.At.Offset)
	}
	if joining {
		from.file, from.offset = "", 4
	}
	r.stream, err = openDump(ctx, c, from)
	if err != nil {
		return errors.Join(ctx.Err(), r.streamError(err, res.Last), c.Close())
	}
	r.newParser()
	for described := false; ; {
		raw, err := r.stream.next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if me := (*gomysql.MyError)(nil); res.State != nil && errors.As(err, &me) && noEvent(me) {
				return &capture.GapError{Code: "LOG_RESET", From: res.Last, Reason: "no event begins where reading was to go on: " + me.Message}
			}
			return r.streamError(err, res.Last)
		}
		e, err := r.parse(bytes.Clone(raw))
		if described && (verify || naming) && errors.Is(err, errMalformed) { // a server may send what lies within an event
			return &capture.GapError{Code: "LOG_RESET", From: res.Last, Reason: "no event begins where the last transaction was: " + err.Error()}
		}
		if err != nil {
			return err
		}
		if naming && described && e.LogPos != 0 && uint64(e.LogPos) <= r.at.Offset && !heartbeat(e.EventType) {
			if err := r.name(&e); err != nil {
				return err
			}
			continue
		}
		r.pending = append(r.pending, e)
		if naming && described && !verify {
			return nil
		}
		switch e.EventType {
		case replication.ROTATE_EVENT:
			if joining {
				if err := r.rotate(e.body); err != nil {
					return err
				}
			}
		case replication.FORMAT_DESCRIPTION_EVENT:
			if err := r.describeFormat(&e); err != nil {
				return err
			}
			described = true
			if was := r.state.Created[r.at.File]; was != 0 && was != e.Timestamp {
				return &capture.GapError{Code: "LOG_RESET", From: res.Last, Reason: fmt.Sprintf("the file %s was made anew: RESET MASTER, or a restored server", r.fileName(r.at.File))}
			}
			r.state.Created = map[uint32]uint32{r.at.File: e.Timestamp}
			if !verify && !naming {
				return nil
			}
		case replication.GTID_EVENT, replication.ANONYMOUS_GTID_EVENT, replication.GTID_TAGGED_LOG_EVENT, replication.MARIADB_GTID_EVENT, replication.QUERY_EVENT:
			if !described || !verify {
				continue
			}
			if naming && e.LogPos-e.EventSize != uint32(r.at.Offset) { // the server was asked for an earlier place
				return &capture.GapError{Code: "LOG_RESET", From: res.Last, Reason: fmt.Sprintf("no event begins at %s, where the last transaction was", r.at)}
			}
			if id, _, err := r.gtidOf(&e); err != nil {
				return err
			} else if want := lastID(res, &r.state); want != "" && id.String() != want {
				return &capture.GapError{Code: "LOG_RESET", From: res.Last, Reason: fmt.Sprintf("the last transaction was %s, now %q stands in its place", want, id.String())}
			}
			return nil
		default:
			if described && verify && r.inLog(&e) {
				return &capture.GapError{Code: "LOG_RESET", From: res.Last, Reason: fmt.Sprintf("no transaction begins where the last one was: %s comes first", e.EventType)}
			}
		}
	}
}

// inLog reports an event of the log from the place on that was asked for. A server sends
// others besides, and keeps some of the log to itself.
func (r *Reader) inLog(e *logEvent) bool {
	if e.Flags&replication.LOG_EVENT_ARTIFICIAL_F != 0 || heartbeat(e.EventType) {
		return false
	}
	return e.LogPos == 0 || uint64(e.LogPos) > r.at.Offset
}

func (r *Reader) addr() string { return net.JoinHostPort(r.o.Host, strconv.Itoa(int(r.o.Port))) }

// noEvent reports whether the server refuses a position because no event begins there.
func noEvent(e *gomysql.MyError) bool {
	for _, text := range []string{"truncated in the middle", "bogus data", "corrupt", "exceeded max_allowed_packet"} {
		if e.Code == gomysql.ER_MASTER_FATAL_ERROR_READING_BINLOG && strings.Contains(e.Message, text) {
			return true
		}
	}
	return false
}

// lastID names the last transaction that is in the log.
func lastID(res capture.Resume, s *state) string {
	if n := len(res.Since); n > 0 {
		return res.Since[n-1]
	}
	return s.LastID
}

// Ack implements capture.Reader. The server keeps its log by its own rules.
func (r *Reader) Ack(event.Place) {}

// Pace implements snapshot.Pacer.
func (r *Reader) Pace(milliseconds int) { r.pace.Store(int64(milliseconds)) }

// Close implements capture.Reader.
func (r *Reader) Close() error {
	if r.stream != nil {
		r.stream.close()
		r.stream = nil
	}
	if r.sql != nil {
		_ = r.sql.Close() // the server notices either way
		r.sql = nil
	}
	r.queue.Reset()
	r.pending, r.seg, r.txn = nil, nil, transaction{}
	r.maps, r.relations = map[uint64]*relation{}, map[string]*relation{}
	r.defs, r.owed = definitions{}, false
	return nil
}

// Next implements capture.Reader.
func (r *Reader) Next(ctx context.Context) (*event.Segment, error) {
	r.queue.Release()
	for r.queue.Empty() {
		if r.stream == nil {
			return nil, fmt.Errorf("reader isn't started: %w", capture.ErrConnection)
		}
		if err := r.restart(); err != nil {
			return nil, err
		}
		if !r.queue.Empty() {
			break
		}
		if !r.txn.open {
			if err := r.addTables(); err != nil {
				return nil, err
			}
			if !r.queue.Empty() {
				break
			}
		}
		e, err := r.nextEvent(ctx)
		if err != nil {
			return nil, err
		}
		at := r.at
		err = r.event(&e)
		if errors.Is(err, errUncounted) {
			err = r.countAll(ctx)
		}
		if err != nil {
			return nil, fmt.Errorf("event %s at %s: %w", e.EventType, at, err)
		}
	}
	return r.queue.Next(), nil
}

// errUncounted reports an event that doesn't say where it ends, while the server may
// keep others to itself.
var errUncounted = errors.New("event without position")

// countAll begins the transaction under way anew, on a dump that keeps nothing back:
// from 11.4 on MariaDB's events within a transaction don't say where they end, so
// that all of them must be counted.
func (r *Reader) countAll(ctx context.Context) error {
	r.annotate = true
	if r.txn.open {
		if !r.seg.First {
			return fmt.Errorf("%w in the middle of a transaction, asking for all of them: %w", errUncounted, capture.ErrConnection)
		}
		r.at = r.txn.Position.Place
		r.queue.Drop(r.seg)
		r.txn, r.seg = transaction{}, nil
	}
	r.pending, r.maps = nil, map[uint64]*relation{}
	r.stream.close()
	return r.dump(ctx, capture.Resume{Last: r.last})
}

// nextEvent gives the next event, valid until the next call.
func (r *Reader) nextEvent(ctx context.Context) (logEvent, error) {
	if len(r.pending) > 0 {
		e := r.pending[0]
		r.pending = r.pending[1:]
		return e, nil
	}
	raw, err := r.stream.next(ctx)
	if err != nil && ctx.Err() == nil {
		err = r.streamError(err, r.last)
	}
	if err != nil {
		return logEvent{}, err
	}
	e, err := r.parse(raw)
	if err != nil {
		return e, fmt.Errorf("event %s at %s: %w", e.EventType, r.at, err)
	}
	return e, nil
}

// streamError gives an error of the dump its class.
func (r *Reader) streamError(err error, last event.Position) error {
	var me *gomysql.MyError
	if errors.As(err, &me) && me.Code == gomysql.ER_ACCESS_DENIED_ERROR { // user and password have just been good for a session
		return missingGrant("read the binary log", err)
	}
	if errors.As(err, &me) && me.Code == gomysql.ER_MASTER_FATAL_ERROR_READING_BINLOG {
		switch {
		case strings.Contains(me.Message, "Could not find first log") || strings.Contains(me.Message, "purged"):
			return &capture.GapError{Code: "BINLOG_PURGED", From: last, Reason: me.Message}
		case strings.Contains(me.Message, "not in the master's binlog"):
			return &capture.GapError{Code: "GTID_UNKNOWN", From: last, Reason: me.Message}
		case strings.Contains(me.Message, "impossible position"):
			return &capture.GapError{Code: "LOG_RESET", From: last, Reason: me.Message}
		}
		return fmt.Errorf("read the binary log: %w: %w", capture.ErrConnection, err)
	}
	return connection("read the binary log", err)
}
