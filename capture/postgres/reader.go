// Package postgres reads a PostgreSQL database's changes through logical
// replication, version 10 and newer. It decides how the server's messages become
// transactions, and what it owns there: one slot and one publication. It knows no
// broker.
package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/postgres/pgoutput"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Options says which database to read. Source, Host, Database, User and Tables
// are required.
type Options struct {
	Source   event.Source
	Host     string
	Port     uint16 // default 5432
	Database string
	User     string
	Password string
	SSLMode  string // as libpq names it; default "prefer"
	// Tables are patterns "schema.table", with * and ? as in file names.
	Tables []string
	// Datasets names the dataset of a table "schema.table" where it isn't the table's name.
	Datasets map[string]string
	// Slot and Publication default to tributary_<source>, other characters as underscores.
	Slot        string
	Publication string
}

// segmentBytes is the size at which a transaction is handed out in parts.
const segmentBytes = 1 << 20

// state is the reader's durable state.
type state struct {
	System   string            `json:"system"`
	Timeline int32             `json:"timeline"`
	Slot     string            `json:"slot"`
	Epoch    uint32            `json:"epoch"`
	Stopped  []event.TableStop `json:"stopped,omitempty"`
}

func (s *state) stopOf(table string) *event.TableStop {
	for i := range s.Stopped {
		if s.Stopped[i].Table == table {
			return &s.Stopped[i]
		}
	}
	return nil
}

// Reader implements capture.Reader.
type Reader struct {
	o   Options
	ack atomic.Uint64

	conn      *pgconn.PgConn // replication; only Start and Next use it
	sql       *pgx.Conn
	state     state
	last      event.Position
	relations map[uint32]*relation
	msg       pgoutput.Msg

	queue    []*event.Segment // to hand out before reading on
	seg      *event.Segment   // being filled; nil between transactions
	arena    []byte
	size     int
	skipped  int
	skip     bool // the transaction is known already
	end      event.Place
	idleAt   time.Time
	statusAt time.Time
	stateAt  time.Time
}

// New checks the options. It doesn't connect.
func New(o Options) (*Reader, error) {
	if o.Source.ID == "" || o.Host == "" || o.Database == "" || o.User == "" || len(o.Tables) == 0 {
		return nil, errors.New("postgres reader options: Source.ID, Host, Database, User and Tables must be set")
	}
	for _, p := range o.Tables {
		if _, err := path.Match(p, ""); err != nil || strings.Count(p, ".") != 1 {
			return nil, fmt.Errorf("postgres reader options: table pattern %q isn't schema.table", p)
		}
	}
	if o.Port == 0 {
		o.Port = 5432
	}
	if o.SSLMode == "" {
		o.SSLMode = "prefer"
	}
	name := "tributary_" + strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return '_'
	}, strings.ToLower(o.Source.ID))
	if o.Slot == "" {
		o.Slot = name
	}
	if o.Publication == "" {
		o.Publication = name
	}
	return &Reader{o: o, relations: map[uint32]*relation{}}, nil
}

func (r *Reader) wanted(name string) bool {
	for _, p := range r.o.Tables {
		if ok, err := path.Match(p, name); err == nil && ok {
			return true
		}
	}
	return false
}

// connection gives an error of the server or the network its class.
func connection(what string, err error) error {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		switch {
		case strings.HasPrefix(pe.Code, "28"), pe.Code == "42501":
			return &capture.Coded{Code: "PG_ACCESS", Hint: "GRANT what the message names to the capture user; it needs REPLICATION and SELECT on the tables",
				Err: fmt.Errorf("%s: %w: %w", what, capture.ErrAccess, err)}
		case strings.HasPrefix(pe.Code, "57"), strings.HasPrefix(pe.Code, "08"), strings.HasPrefix(pe.Code, "53"), pe.Code == "55006":
			return fmt.Errorf("%s: %w: %w", what, capture.ErrConnection, err)
		}
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: %w: %w", what, capture.ErrConnection, err)
}

func (r *Reader) config(replication bool) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig("sslmode=" + r.o.SSLMode + " application_name=tributary connect_timeout=5")
	if err != nil {
		return nil, fmt.Errorf("postgres reader options: SSLMode %q: %w", r.o.SSLMode, err)
	}
	cfg.Host, cfg.Port, cfg.Database, cfg.User, cfg.Password = r.o.Host, r.o.Port, r.o.Database, r.o.User, r.o.Password
	cfg.Fallbacks = nil
	if r.o.SSLMode == "prefer" {
		cfg.TLSConfig = nil
	}
	if replication {
		cfg.RuntimeParams["replication"] = "database"
	}
	for k, v := range map[string]string{"DateStyle": "ISO, YMD", "TimeZone": "UTC", "IntervalStyle": "iso_8601", "bytea_output": "hex", "extra_float_digits": "3"} {
		cfg.RuntimeParams[k] = v
	}
	return cfg, nil
}

// Start implements capture.Reader.
func (r *Reader) Start(ctx context.Context, res capture.Resume) (uint32, error) {
	if err := r.Close(); err != nil {
		return 0, err
	}
	plain, err := r.config(false)
	if err != nil {
		return 0, err
	}
	repl, err := r.config(true)
	if err != nil {
		return 0, err
	}
	what := fmt.Sprintf("connect to %s:%d/%s", r.o.Host, r.o.Port, r.o.Database)
	if r.sql, err = pgx.ConnectConfig(ctx, plain); err != nil {
		return 0, connection(what, err)
	}
	if r.conn, err = pgconn.ConnectConfig(ctx, &repl.Config); err != nil {
		return 0, connection(what, err)
	}
	if err := r.probe(ctx); err != nil {
		return 0, err
	}
	if err := r.resume(ctx, res); err != nil {
		return 0, err
	}
	r.last = res.Last
	r.relations = map[uint32]*relation{}
	r.ack.Store(r.end.Offset)
	err = pglogrepl.StartReplication(ctx, r.conn, r.o.Slot, pglogrepl.LSN(r.end.Offset), pglogrepl.StartReplicationOptions{
		PluginArgs: []string{"proto_version '1'", "publication_names '" + strings.ReplaceAll(r.o.Publication, "'", "''") + "'"}})
	if err != nil {
		return 0, connection("start replication", err)
	}
	if err := r.idle(); err != nil {
		return 0, err
	}
	return r.state.Epoch, nil
}

func (r *Reader) probe(ctx context.Context) error {
	var version int
	var level string
	err := r.sql.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('wal_level')`).Scan(&version, &level)
	if err != nil {
		return connection("read settings", err)
	}
	if version < 100000 {
		return &capture.Coded{Code: "PG_VERSION", Hint: "upgrade to PostgreSQL 10 or newer",
			Err: fmt.Errorf("server version %d has no logical replication by publication: %w", version, capture.ErrSettings)}
	}
	if level != "logical" {
		return &capture.Coded{Code: "PG_WAL_LEVEL", Hint: "ALTER SYSTEM SET wal_level = 'logical'; then restart the server",
			Err: fmt.Errorf("wal_level is %s: %w", level, capture.ErrSettings)}
	}
	return nil
}

// resume proves continuity, or makes slot and publication on a first start.
func (r *Reader) resume(ctx context.Context, res capture.Resume) error {
	id, err := pglogrepl.IdentifySystem(ctx, r.conn)
	if err != nil {
		return connection("identify the server", err)
	}
	if res.State == nil {
		if !res.FirstStart {
			return capture.ErrNoFirstStart
		}
		return r.first(ctx, id)
	}
	r.state = state{}
	if err := json.Unmarshal(res.State, &r.state); err != nil {
		return fmt.Errorf("read the reader's state: %w", err)
	}
	gap := func(code, format string, args ...any) error {
		return &capture.GapError{Code: code, Reason: fmt.Sprintf(format, args...), From: res.Last}
	}
	if id.SystemID != r.state.System {
		return gap("OTHER_SERVER", "system identifier is %s, was %s", id.SystemID, r.state.System)
	}
	if id.Timeline != r.state.Timeline {
		return gap("OTHER_TIMELINE", "timeline is %d, was %d", id.Timeline, r.state.Timeline)
	}
	var flushed pgtypeLSN
	var plugin, database string
	var lost bool
	err = r.sql.QueryRow(ctx, `SELECT coalesce(confirmed_flush_lsn, '0/0')::text, plugin, database, restart_lsn IS NULL FROM pg_replication_slots WHERE slot_name = $1`, r.o.Slot).
		Scan(&flushed, &plugin, &database, &lost)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return gap("SLOT_LOST", "slot %s doesn't exist", r.o.Slot)
	case err != nil:
		return connection("look at the slot", err)
	case lost:
		return gap("SLOT_INVALIDATED", "slot %s has lost its WAL", r.o.Slot)
	case plugin != "pgoutput" || database != r.o.Database:
		return gap("SLOT_OTHER", "slot %s is of plugin %s and database %s", r.o.Slot, plugin, database)
	case uint64(flushed) > res.Restart.Offset:
		return gap("SLOT_AHEAD", "slot %s stands at %s, the log at %s", r.o.Slot, pglogrepl.LSN(flushed), pglogrepl.LSN(res.Restart.Offset))
	}
	if uint64(id.XLogPos) < res.Restart.Offset {
		return gap("LOG_RESET", "the server's log ends at %s, before %s", id.XLogPos, pglogrepl.LSN(res.Restart.Offset))
	}
	r.end = res.Restart
	return nil
}

// pgtypeLSN scans an LSN's text.
type pgtypeLSN uint64

// Scan implements database/sql.Scanner, which pgx uses for text.
func (l *pgtypeLSN) Scan(src any) error {
	s, ok := src.(string)
	if !ok {
		return fmt.Errorf("LSN as %T", src)
	}
	v, err := pglogrepl.ParseLSN(s)
	*l = pgtypeLSN(v)
	return err
}

func (r *Reader) first(ctx context.Context, id pglogrepl.IdentifySystemResult) error {
	var there bool
	if err := r.sql.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_publication WHERE pubname = $1)`, r.o.Publication).Scan(&there); err != nil {
		return connection("look at the publication", err)
	}
	if !there {
		rows, err := r.sql.Query(ctx, `SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' ORDER BY 1, 2`)
		if err != nil {
			return connection("list tables", err)
		}
		var list []string
		var ns, name string
		if _, err := pgx.ForEachRow(rows, []any{&ns, &name}, func() error {
			if r.wanted(ns + "." + name) {
				list = append(list, pgx.Identifier{ns, name}.Sanitize())
			}
			return nil
		}); err != nil {
			return connection("list tables", err)
		}
		if len(list) == 0 {
			return &capture.Coded{Code: "PG_NO_TABLE", Hint: "check the table patterns of the source", Err: fmt.Errorf("no table matches %v: %w", r.o.Tables, capture.ErrSettings)}
		}
		create := "CREATE PUBLICATION " + pgx.Identifier{r.o.Publication}.Sanitize() + " FOR TABLE " + strings.Join(list, ", ")
		if _, err := r.sql.Exec(ctx, create); err != nil {
			return &capture.Coded{Code: "PG_PUBLICATION", Hint: create, Err: connection("create the publication", err)}
		}
	}
	// An agent that died between making its slot and its first record finds the slot
	// again: nothing after the slot's place can have been acknowledged.
	var left pgtypeLSN
	err := r.sql.QueryRow(ctx, `SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = $1 AND plugin = 'pgoutput'
		AND database = current_database() AND confirmed_flush_lsn IS NOT NULL`, r.o.Slot).Scan(&left)
	if err == nil {
		return r.begin(id, uint64(left))
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return connection("look at the slot", err)
	}
	slot, err := pglogrepl.CreateReplicationSlot(ctx, r.conn, r.o.Slot, "pgoutput",
		pglogrepl.CreateReplicationSlotOptions{Mode: pglogrepl.LogicalReplication, SnapshotAction: "NOEXPORT_SNAPSHOT"})
	if err != nil {
		return &capture.Coded{Code: "PG_SLOT", Hint: "a slot of this name may be left from an earlier start: SELECT pg_drop_replication_slot('" + r.o.Slot + "')",
			Err: connection("create the slot "+r.o.Slot, err)}
	}
	lsn, err := pglogrepl.ParseLSN(slot.ConsistentPoint)
	if err != nil {
		return fmt.Errorf("slot's start %q: %w", slot.ConsistentPoint, err)
	}
	return r.begin(id, uint64(lsn))
}

// begin starts a new epoch at a place of the slot.
func (r *Reader) begin(id pglogrepl.IdentifySystemResult, lsn uint64) error {
	r.state = state{System: id.SystemID, Timeline: id.Timeline, Slot: r.o.Slot, Epoch: uint32(time.Now().Unix())}
	r.end = event.Place{Offset: lsn}
	return nil
}

// Ack implements capture.Reader.
func (r *Reader) Ack(p event.Place) { r.ack.Store(p.Offset) }

// Close implements capture.Reader.
func (r *Reader) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if r.conn != nil {
		_ = r.conn.Close(ctx) // the server notices either way
		r.conn = nil
	}
	if r.sql != nil {
		_ = r.sql.Close(ctx)
		r.sql = nil
	}
	r.queue, r.seg, r.skip = nil, nil, false
	return nil
}

// Next implements capture.Reader.
func (r *Reader) Next(ctx context.Context) (*event.Segment, error) {
	for len(r.queue) == 0 {
		if err := r.receive(ctx); err != nil {
			return nil, err
		}
	}
	s := r.queue[0]
	r.queue = r.queue[1:]
	return s, nil
}

// receive handles one message of the server, or a second of silence.
func (r *Reader) receive(ctx context.Context) error {
	if r.conn == nil {
		return fmt.Errorf("reader isn't started: %w", capture.ErrConnection)
	}
	if time.Since(r.statusAt) > time.Second {
		if err := r.status(ctx); err != nil {
			return err
		}
	}
	rctx, cancel := context.WithDeadline(ctx, r.statusAt.Add(time.Second))
	raw, err := r.conn.ReceiveMessage(rctx)
	cancel()
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if pgconn.Timeout(err) {
			return nil
		}
		return connection("receive", err)
	}
	switch m := raw.(type) {
	case *pgproto3.ErrorResponse:
		return connection("replication", pgconn.ErrorResponseToPgError(m))
	case *pgproto3.CopyData:
		return r.copyData(ctx, m.Data)
	case *pgproto3.CopyDone:
		return fmt.Errorf("the server ended replication: %w", capture.ErrConnection)
	}
	return nil
}

func (r *Reader) status(ctx context.Context) error {
	ack := pglogrepl.LSN(r.ack.Load())
	err := pglogrepl.SendStandbyStatusUpdate(ctx, r.conn, pglogrepl.StandbyStatusUpdate{
		WALWritePosition: max(ack, pglogrepl.LSN(r.end.Offset)), WALFlushPosition: ack, WALApplyPosition: ack, ClientTime: time.Now(), ReplyRequested: true})
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return connection("send status", err)
	}
	r.statusAt = time.Now()
	return nil
}

func (r *Reader) copyData(ctx context.Context, b []byte) error {
	if len(b) == 0 {
		return fmt.Errorf("empty message: %w", pgoutput.ErrMalformed)
	}
	switch b[0] {
	case pglogrepl.PrimaryKeepaliveMessageByteID:
		k, err := pglogrepl.ParsePrimaryKeepaliveMessage(b[1:])
		if err != nil {
			return fmt.Errorf("keepalive: %w", err)
		}
		if r.seg != nil || r.skip || len(r.queue) > 0 {
			return nil
		}
		if end := uint64(k.ServerWALEnd); end > r.end.Offset {
			r.end.Offset = end
		}
		if time.Since(r.idleAt) >= time.Second {
			return r.idle()
		}
		return nil
	case pglogrepl.XLogDataByteID:
		x, err := pglogrepl.ParseXLogData(b[1:])
		if err != nil {
			return fmt.Errorf("log data: %w", err)
		}
		if err := pgoutput.Parse(x.WALData, &r.msg); err != nil {
			return fmt.Errorf("at %s: %w", x.WALStart, err)
		}
		if err := r.message(ctx); err != nil {
			return fmt.Errorf("at %s: %w", x.WALStart, err)
		}
		return nil
	}
	return fmt.Errorf("message %q: %w", b[0], pgoutput.ErrMalformed)
}

func (r *Reader) idle() error {
	b, err := json.Marshal(r.state)
	if err != nil {
		return fmt.Errorf("write the reader's state: %w", err)
	}
	r.idleAt = time.Now()
	r.queue = append(r.queue, &event.Segment{Kind: event.Idle, Restart: r.end, State: b})
	return nil
}

// message takes one message of the plugin.
func (r *Reader) message(ctx context.Context) error {
	m := &r.msg
	switch m.Kind {
	case pgoutput.Begin:
		pos := event.Position{Epoch: r.state.Epoch, Place: event.Place{Offset: m.LSN}}
		r.skip, r.skipped = pos.Compare(r.last) <= 0, 0
		r.seg = r.segment(event.Txn{Position: pos, ID: strconv.FormatUint(uint64(m.XID), 10), Committed: m.Time, Captured: time.Now()}, true)
	case pgoutput.Commit:
		return r.commit(m)
	case pgoutput.Relation:
		rel, err := r.announce(ctx, m)
		if err != nil {
			return err
		}
		r.relations[m.RelationID] = rel
		if rel.stop != nil && r.state.stopOf(rel.stop.Table) == nil {
			r.state.Stopped = append(r.state.Stopped, *rel.stop)
			r.stateAt = time.Time{}
			seg := &event.Segment{Kind: event.TableStopped, Stop: rel.stop}
			if r.seg != nil {
				seg.Txn = r.seg.Txn
			}
			r.queue = append(r.queue, seg)
		}
	case pgoutput.Insert, pgoutput.Update, pgoutput.Delete:
		return r.row(m)
	case pgoutput.Truncate:
		for _, id := range m.Relations {
			rel := r.relations[id]
			if rel == nil {
				return fmt.Errorf("truncate of relation %d before its description: %w", id, pgoutput.ErrMalformed)
			}
			if err := r.add(rel, event.Row{Op: event.Truncate, Table: rel.table}, 0); err != nil {
				return err
			}
		}
	case pgoutput.Origin, pgoutput.Type, pgoutput.Message:
	}
	return nil
}

func (r *Reader) segment(txn event.Txn, first bool) *event.Segment {
	r.arena, r.size = nil, 0
	return &event.Segment{Txn: txn, First: first}
}

func (r *Reader) commit(m *pgoutput.Msg) error {
	seg := r.seg
	r.seg = nil
	if seg == nil {
		return fmt.Errorf("commit without begin: %w", pgoutput.ErrMalformed)
	}
	r.end = event.Place{Offset: m.EndLSN}
	if r.skip || seg.First && len(seg.Rows) == 0 && r.skipped == 0 {
		r.skip = false
		return nil
	}
	seg.Last, seg.Skipped, seg.Restart = true, r.skipped, r.end
	if time.Since(r.stateAt) > time.Second {
		b, err := json.Marshal(r.state)
		if err != nil {
			return fmt.Errorf("write the reader's state: %w", err)
		}
		seg.State, r.stateAt = b, time.Now()
	}
	r.last = seg.Txn.Position
	r.queue = append(r.queue, seg)
	return nil
}

func (r *Reader) row(m *pgoutput.Msg) error {
	rel := r.relations[m.RelationID]
	if rel == nil {
		return fmt.Errorf("row of relation %d before its description: %w", m.RelationID, pgoutput.ErrMalformed)
	}
	row := event.Row{Table: rel.table}
	if rel.table == nil || r.skip {
		return r.add(rel, row, 0)
	}
	size := 0
	image := func(vs []pgoutput.Value, keyOnly bool) ([]event.Value, error) {
		if len(vs) != len(rel.table.Columns) {
			return nil, fmt.Errorf("image of %d values for table %s: %w", len(vs), rel.table.ID(), pgoutput.ErrMalformed)
		}
		out := make([]event.Value, len(vs))
		for i, v := range vs {
			size += len(v.Data) + 8
			switch {
			case keyOnly && !rel.columns[i].Key, v.Kind == pgoutput.UnchangedToast:
			case v.Kind == pgoutput.NullValue:
				out[i] = event.NullValue
			default:
				var err error
				if out[i], err = parse(&rel.table.Columns[i].Type, v.Data, &r.arena); err != nil {
					return nil, fmt.Errorf("column %q of table %s: %w", rel.table.Columns[i].Name, rel.table.ID(), err)
				}
			}
		}
		return out, nil
	}
	var err error
	if m.OldKind != 0 {
		if row.Before, err = image(m.Old, m.OldKind == 'K'); err != nil {
			return err
		}
	}
	if m.Kind != pgoutput.Delete {
		if row.After, err = image(m.New, false); err != nil {
			return err
		}
	}
	switch m.Kind {
	case pgoutput.Insert:
		row.Op = event.Create
	case pgoutput.Update:
		row.Op = event.Update
	case pgoutput.Delete:
		row.Op = event.Delete
	}
	return r.add(rel, row, size)
}

// add puts a row into the transaction under way, and hands out a part that is full.
func (r *Reader) add(rel *relation, row event.Row, size int) error {
	switch {
	case r.seg == nil:
		return fmt.Errorf("row outside a transaction: %w", pgoutput.ErrMalformed)
	case r.skip:
		return nil
	case rel.stop != nil:
		r.skipped++
		return nil
	case rel.table == nil: // not asked for
		return nil
	}
	r.seg.Rows = append(r.seg.Rows, row)
	if r.size += size; r.size >= segmentBytes {
		r.queue = append(r.queue, r.seg)
		r.seg = r.segment(r.seg.Txn, false)
	}
	return nil
}
