package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/postgres/pgoutput"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Next implements capture.Reader.
func (r *Reader) Next(ctx context.Context) (*event.Segment, error) {
	r.queue.Release()
	for r.queue.Empty() {
		if r.seg == nil && !r.skip {
			if err := r.addTables(ctx); err != nil {
				return nil, err
			}
			if !r.queue.Empty() {
				break
			}
		}
		if err := r.receive(ctx); err != nil {
			return nil, err
		}
	}
	return r.queue.Next(), nil
}

// watch lets the end of ctx interrupt a read that is under way. It costs nothing
// while the same context comes again.
func (r *Reader) watch(ctx context.Context) {
	if r.done == ctx.Done() && r.unwatch != nil {
		return
	}
	if r.unwatch != nil {
		r.unwatch()
	}
	conn := r.conn.Conn()
	r.done = ctx.Done()
	r.unwatch = context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) }) // a closed connection ends the read, too
}

// receive handles one message of the server, or a second of silence.
func (r *Reader) receive(ctx context.Context) error {
	if r.conn == nil {
		return fmt.Errorf("reader isn't started: %w", capture.ErrConnection)
	}
	r.watch(ctx)
	every := r.every()
	if time.Since(r.statusAt) > every {
		if err := r.status(ctx); err != nil {
			return err
		}
		if r.seg == nil {
			if err := r.restart(ctx); err != nil {
				return err
			}
			if r.truncateUnseen || time.Now().After(r.lookAt) || r.due() {
				if _, err := r.look(ctx, 0); err != nil {
					return err
				}
			}
			if err := r.watchPartitions(ctx); err != nil {
				return err
			}
			if !r.queue.Empty() {
				return nil
			}
		}
		// One deadline per second, none per message: a context per message costs more
		// than the message.
		if err := r.conn.Conn().SetReadDeadline(r.statusAt.Add(every)); err != nil {
			return connection("receive", err)
		}
	}
	if ctx.Err() != nil { // it may have ended before the deadline above was set
		return ctx.Err()
	}
	raw, err := r.conn.ReceiveMessage(context.Background()) // bounded by the deadline
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if pgconn.Timeout(err) {
			r.statusAt = time.Time{}
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
	if r.again != nil { // what isn't proven mustn't be let go
		ack = min(ack, pglogrepl.LSN(r.again.last.Place.Offset))
	}
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
		if r.seg != nil || r.skip || !r.queue.Empty() {
			return nil
		}
		end := uint64(k.ServerWALEnd)
		if r.again != nil && end > r.again.last.Place.Offset {
			return r.again.gap("nothing there")
		}
		r.end.Offset = max(r.end.Offset, end)
		if time.Since(r.idleAt) >= r.stateEvery() {
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

// encode gives the state, which every idle segment has.
func (r *Reader) encode() ([]byte, error) {
	b, err := json.Marshal(r.state)
	if err != nil {
		return nil, fmt.Errorf("write the reader's state: %w", err)
	}
	r.stateSize = len(b)
	return b, nil
}

// stateEvery is the time between two states: with thousands of tables one takes a megabyte,
// and the log shouldn't fill with it. A load waits for places of the stream.
func (r *Reader) stateEvery() time.Duration {
	const perByte = 5 * time.Microsecond // 200 kB/s
	extra := time.Duration(r.stateSize) * perByte
	if r.pace.Load() > 0 {
		extra /= 25
	}
	return r.every() + extra
}

func (r *Reader) idle() error {
	b, err := r.encode()
	if err != nil {
		return err
	}
	r.idleAt = time.Now()
	r.queue.PushSegment(event.Segment{Kind: event.Idle, Restart: r.end, State: b})
	return nil
}

// message takes one message of the plugin.
func (r *Reader) message(ctx context.Context) error {
	m := &r.msg
	switch m.Kind {
	case pgoutput.Begin:
		pos := event.Position{Epoch: r.state.Epoch, Place: event.Place{Offset: m.LSN}}
		r.skip, r.skipped = r.again != nil || pos.Compare(r.last) <= 0, 0
		if r.again != nil {
			if err := r.meets(m); err != nil {
				return err
			}
		}
		r.seg = r.queue.Begin(event.Txn{Position: pos, ID: strconv.FormatUint(uint64(m.XID), 10), Committed: m.Time, Captured: time.Now()}, true)
	case pgoutput.Commit:
		return r.commit(m)
	case pgoutput.Relation:
		rel, err := r.announce(ctx, m)
		if err != nil {
			return err
		}
		r.relations[m.RelationID] = rel
		if rel.stop != nil && r.state.stopOf(rel.stop.Table) == nil {
			r.halt(rel.stop)
		}
	case pgoutput.Insert, pgoutput.Update, pgoutput.Delete:
		return r.row(ctx, m)
	case pgoutput.Truncate:
		for _, id := range m.Relations {
			rel := r.relations[id]
			if rel == nil {
				return fmt.Errorf("truncate of relation %d before its description: %w", id, pgoutput.ErrMalformed)
			}
			if err := r.add(rel, event.Row{Op: event.Truncate, Table: rel.table}); err != nil {
				return err
			}
			if rel.table != nil {
				r.truncated[rel.table.ID()] = true
			}
		}
	case pgoutput.Origin, pgoutput.Type, pgoutput.Message:
	}
	return nil
}
