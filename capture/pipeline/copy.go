package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// reader is the reading half: it encodes segments into the mailbox.
type reader struct {
	p    *Pipeline
	box  *mailbox
	last event.Position // of the last commit put into the mailbox

	rows      int // of the transaction under way
	restart   event.Place
	heartbeat time.Time
	told      time.Time // the newest moment of an until record; at first when reading began
	key       []byte
	headers   []byte // of the table's records

	// newest is each table's version by its name, current holds the same ones.
	newest  map[string]*schema.Table
	current map[*schema.Table]bool
}

// run reads until ctx ends, which is no error, or the source fails.
func (r *reader) run(ctx context.Context) error {
	for {
		seg, err := r.p.opts.Reader.Next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("read after %s: %w", r.last, err)
		}
		if err := r.bind(ctx, seg); err != nil {
			return err
		}
		alive, err := r.put(seg)
		if err != nil || !alive {
			return err
		}
	}
}

// bind publishes the table versions that their tables didn't have a moment ago.
func (r *reader) bind(ctx context.Context, seg *event.Segment) error {
	for i := range seg.Checks {
		if t := seg.Checks[i].Schema; t != nil {
			if err := r.publish(ctx, t); err != nil {
				return err
			}
		}
	}
	var last *schema.Table
	for i := range seg.Rows {
		t := seg.Rows[i].Table
		if t == last {
			continue
		}
		last = t
		if err := r.publish(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// publish makes sure that the log has a table's version, as its newest one.
func (r *reader) publish(ctx context.Context, t *schema.Table) error {
	if r.current[t] {
		return nil
	}
	id, err := r.p.opts.Schemas.ID(ctx, t)
	if err != nil {
		return fmt.Errorf("publish schema of table %s: %w", t.ID(), err)
	}
	r.p.enc.BindTable(t, id)
	if r.current == nil {
		r.newest, r.current = map[string]*schema.Table{}, map[*schema.Table]bool{}
	}
	delete(r.current, r.newest[t.ID()])
	r.newest[t.ID()], r.current[t] = t, true
	return nil
}

func (r *reader) put(seg *event.Segment) (alive bool, err error) {
	switch seg.Kind {
	case event.Idle:
		return r.box.put(func(b *batch) error { r.idle(b, seg); return nil })
	case event.TableStopped:
		r.p.opts.Logger.Error("table stopped", "table", seg.Stop.Table, "code", seg.Stop.Code, "pos", seg.Txn.Position, "err", seg.Stop.Reason)
		r.p.status.set(func(s *Status) {
			s.Stopped = append(slices.DeleteFunc(slices.Clone(s.Stopped), func(stop event.TableStop) bool { return stop.Table == seg.Stop.Table }), *seg.Stop)
		})
		r.p.opts.OnChange()
		return r.box.put(func(b *batch) error {
			envelope.AddHalt(&b.records, r.p.opts.Source.ID, envelope.Halt{Position: seg.Txn.Position, Stop: *seg.Stop})
			return nil
		})
	}
	if seg.Kind == event.TableAltered {
		a := seg.Altered
		r.p.opts.Logger.Info("table altered", "table", a.Table, "reread", a.Reread, "resumed", a.Resumed, "reason", a.Reason)
		if a.Resumed {
			r.p.status.set(func(s *Status) {
				s.Stopped = slices.DeleteFunc(s.Stopped, func(stop event.TableStop) bool { return stop.Table == a.Table })
			})
			r.p.opts.OnChange()
		}
		return true, nil
	}
	if seg.First {
		r.rows = 0
		if seg.Txn.Position.Compare(r.last) <= 0 {
			return true, fmt.Errorf("transaction at %s after %s: positions must rise", seg.Txn.Position, r.last)
		}
	}
	if alive, err = r.checks(seg); err != nil || !alive {
		return alive, err
	}
	for rest := seg.Rows; ; {
		done := false
		alive, err = r.box.put(func(b *batch) error {
			var err error
			rest, err = r.rowsInto(b, seg, rest)
			if done = err == nil && len(rest) == 0; done && seg.Last {
				r.commit(b, seg)
			}
			return err
		})
		if err != nil || !alive || done {
			return alive, err
		}
	}
}

// rowsInto encodes rows until the batch is full and returns what is left.
func (r *reader) rowsInto(b *batch, seg *event.Segment, rows []event.Row) ([]event.Row, error) {
	source := r.p.opts.Source.ID
	var pos [event.PositionSize]byte
	position, err := seg.Txn.Position.AppendBinary(pos[:0])
	if err != nil {
		return nil, err
	}
	var last *schema.Table
	for i := range rows {
		if b.records.Size() >= r.box.limit {
			return rows[i:], nil
		}
		row := &rows[i]
		b.open = true
		r.rows++
		b.rows++
		if row.Op == event.Truncate {
			id, _ := r.p.enc.Bound(row.Table)
			b.sent.add(row.Table, 0)
			envelope.AddTruncate(&b.records, source, envelope.TruncateTable{Position: seg.Txn.Position, SchemaID: id})
			continue
		}
		if r.key, err = r.p.enc.AppendKey(r.key[:0], row); err != nil {
			return nil, fmt.Errorf("transaction at %s: %w", seg.Txn.Position, err)
		}
		if row.Table != last {
			last, r.headers = row.Table, log.AppendHeaders(r.headers[:0], r.p.enc.Headers(row.Table, position)...)
		}
		size, err := b.records.AddValue(r.key, r.headers, func(dst []byte) ([]byte, error) { return r.valueInto(dst, seg, row) })
		if err != nil {
			return nil, err
		}
		b.sent.add(row.Table, len(r.key)+size)
	}
	return nil, nil
}

// valueInto appends a row's value, unless it is too large.
func (r *reader) valueInto(dst []byte, seg *event.Segment, row *event.Row) ([]byte, error) {
	at := len(dst)
	dst, err := r.p.enc.AppendValue(dst, &seg.Txn, row, r.rows-1)
	if err != nil {
		return nil, fmt.Errorf("transaction at %s: %w", seg.Txn.Position, err)
	}
	if size := len(dst) - at; size > r.p.opts.MaxRecord {
		return nil, &capture.Coded{Code: "ROW_TOO_LARGE", Hint: fmt.Sprintf("bound the column %s by caps in the agent's file, or leave the table out of the source's tables", widest(row)),
			Err: fmt.Errorf("the row of %s in table %s with the key %s at %s takes %d bytes, more than %d", r.p.opts.Source.ID, row.Table.ID(), envelope.KeyText(row), seg.Txn.Position, size, r.p.opts.MaxRecord)}
	}
	return dst, nil
}

// widest names the column of a row's largest value.
func widest(row *event.Row) (name string) {
	most := -1
	for _, image := range [2][]event.Value{row.After, row.Before} {
		for i := range image {
			if n := len(image[i].B); n > most {
				name, most = row.Table.Columns[i].Name, n
			}
		}
	}
	return name
}

func (r *reader) commit(b *batch, seg *event.Segment) {
	envelope.AddCommit(&b.records, r.p.opts.Source.ID, &envelope.Commit{
		Txn: seg.Txn, Prev: r.last, Restart: seg.Restart, Rows: r.rows, Skipped: seg.Skipped, Loads: seg.Loads, Repair: seg.Repair})
	r.last, r.restart = seg.Txn.Position, seg.Restart
	r.heartbeat = time.Now()
	b.open, b.ended = false, true
	b.mended = b.mended || seg.Repair == event.RepairEnded
	b.txns++
	b.commits = append(b.commits, seg.Txn.Committed)
	b.mark = mark{set: true, last: r.last, restart: seg.Restart, state: b.mark.state, described: b.mark.described,
		committed: seg.Txn.Committed, precision: seg.Txn.Precision}
	if seg.State != nil {
		b.mark.state, b.mark.described = bytes.Clone(seg.State), b.records.Count()-1
		if seg.Durable { // in the same batch as the transaction
			envelope.AddHeartbeat(&b.records, r.p.opts.Source.ID, envelope.Heartbeat{Last: r.last, Restart: seg.Restart, At: r.heartbeat, State: seg.State})
			b.mark.described++
		}
	}
	r.until(b, seg.Restart)
}

// maxMissing bounds the tables that an until record names; with more it is about none.
const maxMissing = 500

// until tells the log up to which moment it has the source, once reading has come to a place
// where the server's log has ended. What was asked before reading began may be about another
// server.
func (r *reader) until(b *batch, at event.Place) {
	end, moment := r.p.opts.End()
	if !moment.After(r.told) || end.Compare(at) > 0 {
		return
	}
	r.told = moment
	if broker, ok := r.p.opts.Log.(log.Clocked); ok { // whoever reads it mustn't depend on this machine's clock
		if ahead, known := broker.Ahead(); known {
			moment = moment.Add(-ahead)
		}
	}
	tables, all := r.p.opts.Missing()
	if all || len(tables) > maxMissing {
		tables = []string{envelope.AllTables}
	}
	envelope.AddUntil(&b.records, r.p.opts.Source.ID, envelope.Until{Last: r.last, At: moment, Missing: tables})
}

// idle writes a heartbeat if the source has moved, or silence has lasted.
func (r *reader) idle(b *batch, seg *event.Segment) {
	defer r.until(b, seg.Restart)
	moved := seg.Restart.Compare(r.restart) > 0
	if !moved && time.Since(r.heartbeat) < r.p.opts.HeartbeatEvery {
		return
	}
	r.restart, r.heartbeat = seg.Restart, time.Now()
	envelope.AddHeartbeat(&b.records, r.p.opts.Source.ID, envelope.Heartbeat{Last: r.last, Restart: seg.Restart, At: r.heartbeat, State: seg.State})
	b.mark = mark{set: true, last: r.last, restart: seg.Restart, state: bytes.Clone(seg.State), described: b.records.Count() - 1,
		committed: b.mark.committed, precision: b.mark.precision}
}

// writer is the writing half: it appends what the mailbox holds, and lets the
// source forget only what the log has.
type writer struct {
	p       *Pipeline
	box     *mailbox
	batches int
	repair  bool // the log doesn't have the order to repair yet

	mu    sync.Mutex
	saved checkpoint // the newest complete place in the log
	fresh bool       // not saved yet
}

func (w *writer) run(ctx context.Context) error {
	w.mu.Lock()
	w.saved.State = w.p.scan.state
	w.mu.Unlock()
	packer, _ := w.p.opts.Log.(log.Packer)
	for b := (*batch)(nil); ; {
		if b == nil {
			var err error
			if b, err = w.box.take(ctx, w.p.opts.Linger); err != nil || b == nil {
				return err
			}
		}
		var next *batch
		var err error
		if packer == nil || b.records.Size() < w.box.limit {
			err = w.append(ctx, b)
		} else {
			next, err = w.appendAndPack(ctx, b, packer)
		}
		if err != nil {
			return err
		}
		w.box.give(b)
		b = next
	}
}

// appendAndPack appends a full batch, and compresses the next one while it is on its way if
// that gets full. One batch is in flight at most.
func (w *writer) appendAndPack(ctx context.Context, b *batch, packer log.Packer) (next *batch, err error) {
	var g errgroup.Group
	done := make(chan struct{})
	g.Go(func() error {
		defer close(done)
		return w.append(ctx, b)
	})
	if next = w.box.ahead(done); next != nil {
		err = packer.Pack(&next.records)
	}
	return next, errors.Join(g.Wait(), err)
}

func (w *writer) append(ctx context.Context, b *batch) error {
	p := w.p
	if age := time.Since(p.opened); !p.dirty && (age > p.opts.ReopenEvery || p.records > p.opts.ReopenRecords) {
		if err := p.stillOurs(ctx, p.reign); err != nil {
			return err
		}
		if err := p.open(ctx); err != nil {
			return err
		}
	} else if age > p.opts.ReopenLimit {
		return fmt.Errorf("the producer hasn't been opened for %s, half of what the broker remembers: %w", age.Round(time.Minute), log.ErrUnknownOutcome)
	}
	inside := p.dirty
	p.dirty = true // until the log has the batch, it may hold any part of it
	base, err := p.opts.Log.Append(ctx, &b.records)
	if err != nil {
		return fmt.Errorf("write to the log: %w", err)
	}
	p.dirty = b.open || inside && !b.ended // a table may stop within a transaction
	p.records += b.records.Count()
	w.batches++
	now := time.Now()
	p.status.set(func(s *Status) {
		s.Txns += int64(b.txns)
		s.Rows += int64(b.rows)
		s.Bytes += int64(b.records.Size())
		if b.mark.set {
			s.Position, s.restart = b.mark.last, b.mark.restart
			if b.txns > 0 {
				s.Committed, s.Logged, s.WholeSeconds = b.mark.committed, now, b.mark.precision == event.Seconds
			}
		}
	})
	if len(b.sent.list) > 0 {
		p.opts.OnSent(b.sent.list)
	}
	for _, committed := range b.commits {
		p.opts.OnLogged(committed, now)
	}
	if !b.mark.set {
		return nil
	}
	w.mu.Lock()
	w.saved.Last, w.saved.Restart, w.saved.At, w.saved.Reign = b.mark.last, b.mark.restart, now, p.reign
	if b.mark.state != nil { // transactions after a state are found again behind its offset
		w.saved.State, w.saved.Offset, w.fresh = b.mark.state, base+log.Offset(b.mark.described), true
	}
	w.mu.Unlock()
	p.opts.Reader.Ack(b.mark.restart)
	if w.repair { // the reader's state in the log has the order now
		w.repair = false
		p.repair.logged()
		p.opts.OnChange()
	}
	if b.mended {
		p.status.set(func(s *Status) { s.Gap = nil })
		p.state(Streaming, nil)
	}
	return nil
}

// checkpoints saves the newest place every CheckpointEvery, and once more when
// writing has ended. A failed save is tried again; the log's tail covers for it.
func (w *writer) checkpoints(ctx context.Context, done <-chan struct{}) error {
	t := time.NewTicker(w.p.opts.CheckpointEvery)
	defer t.Stop()
	for {
		select {
		case <-done:
			return w.save(ctx)
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if err := w.save(ctx); err != nil {
			if !errors.Is(err, log.ErrUnavailable) {
				return err
			}
			w.p.opts.Logger.Warn("checkpoint not saved, trying again", "err", err)
		}
	}
}

func (w *writer) save(ctx context.Context) error {
	w.mu.Lock()
	c, fresh := w.saved, w.fresh
	w.fresh = false
	w.mu.Unlock()
	if !fresh {
		return nil
	}
	c.Producer, c.Agent = log.NoProducer, w.p.opts.Agent // the tail's first record tells the producer
	if p := w.p.opts.Partition; p != (log.Partition{}) {
		c.Partition = p.String()
	}
	err := w.replace(ctx, &c)
	if err != nil {
		w.mu.Lock()
		w.fresh = true
		w.mu.Unlock()
	}
	return err
}

// replace saves a checkpoint, unless the source isn't ours any more.
func (w *writer) replace(ctx context.Context, c *checkpoint) error {
	if err := w.p.stillOurs(ctx, c.Reign); err != nil {
		return err
	}
	value, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if err := w.p.opts.Checkpoints.Save(ctx, w.p.opts.Source.ID, value); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	return nil
}

// stillOurs refuses to go on if a newer agent has saved a checkpoint: the broker
// forgets whom it should fence.
func (p *Pipeline) stillOurs(ctx context.Context, reign int64) error {
	there, err := p.opts.Checkpoints.Load(ctx, p.opts.Source.ID)
	if err != nil {
		return fmt.Errorf("look at the checkpoint: %w", err)
	}
	if there == nil {
		return nil
	}
	var c checkpoint
	if err := json.Unmarshal(there, &c); err != nil {
		return fmt.Errorf("read checkpoint: %w", err)
	}
	if c.Reign > reign {
		return fmt.Errorf("agent %s has taken the source: %w", c.Agent, log.ErrFenced)
	}
	return nil
}
