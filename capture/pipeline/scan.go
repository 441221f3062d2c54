package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// checkpoint is the durable value of a source: where it stood, and at which
// record of the log. The log's records after it are the truth.
type checkpoint struct {
	Last     event.Position `json:"last"`
	Restart  event.Place    `json:"restart"`
	State    []byte         `json:"state"`
	Offset   log.Offset     `json:"offset"` // of the commit or heartbeat that State belongs to
	Producer log.Producer   `json:"producer"`
	Agent    string         `json:"agent"` // whose open record counts; it may lie before Offset
	At       time.Time      `json:"at"`
	// Reign rises with each open: the higher one is the newer agent's. It is
	// max(last + 1, Unix microseconds), so that a lost checkpoint doesn't set it back.
	Reign int64 `json:"reign"`
	// Partition is that of the offsets, empty if unknown.
	Partition string `json:"partition,omitempty"`
}

// NewerCheckpoint reports whether the second of two checkpoints of a source, which
// was saved later, also counts. It doesn't if an agent saved it that had lost the
// source already and hadn't noticed yet.
func NewerCheckpoint(old, new []byte) bool {
	var a, b checkpoint
	if json.Unmarshal(old, &a) != nil || json.Unmarshal(new, &b) != nil {
		return true // whoever loads it says what is wrong with it
	}
	return b.Reign >= a.Reign
}

// scanner follows a source through its partition: which producer counts, and
// what it has completed.
type scanner struct {
	source   string
	next     log.Offset   // where to read on
	producer log.Producer // of the latest open; NoProducer while none is known
	agent    string       // of the latest open
	opened   log.Offset   // of the latest open record behind the checkpoint
	reign    int64        // of the checkpoint
	seen     time.Time    // append time of the source's latest record
	known    bool         // a checkpoint, commit or heartbeat was found
	last     event.Position
	restart  event.Place
	state    []byte
	since    []string
	offset   log.Offset // of the record that last, restart come from
	gap      *envelope.Gap
}

// load starts a scanner from the checkpoint.
func (p *Pipeline) load(ctx context.Context) (*scanner, error) {
	s := &scanner{source: p.opts.Source.ID, producer: log.NoProducer}
	value, err := p.opts.Checkpoints.Load(ctx, s.source)
	if err != nil {
		return nil, fmt.Errorf("load checkpoint: %w", err)
	}
	first, end, err := p.opts.Tail.Bounds(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the log's tail: %w", err)
	}
	s.next = first
	if value == nil {
		return s, nil
	}
	var c checkpoint
	if err := json.Unmarshal(value, &c); err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	if want := p.opts.Partition; want != (log.Partition{}) && c.Partition != "" && c.Partition != want.String() {
		return nil, fmt.Errorf("the source's transactions up to %s lie in %s, not in %s: %w", c.Last, c.Partition, want, capture.ErrMoved)
	}
	s.producer, s.agent, s.reign, s.known = c.Producer, c.Agent, c.Reign, true
	s.last, s.restart, s.state, s.offset = c.Last, c.Restart, c.State, c.Offset
	if c.Offset >= end && p.repair.wanted() { // read the other topic from its beginning
		s.producer = log.NoProducer
		return s, nil
	}
	if c.Offset >= end {
		return nil, &capture.GapError{Code: "TOPIC_REPLACED", From: c.Last,
			Reason: fmt.Sprintf("the log ends at offset %d, before the record %d of the checkpoint", end, c.Offset)}
	}
	s.next = max(c.Offset, first) // retention may have passed; the checkpoint still holds
	return s, nil
}

// advance reads the partition up to, not including, end.
func (s *scanner) advance(ctx context.Context, tail log.Fetcher, end log.Offset) error {
	for s.next < end {
		batches, err := tail.Fetch(ctx, s.next, 500*time.Millisecond)
		if err != nil {
			return fmt.Errorf("read the log's tail: %w", err)
		}
		for i := range batches {
			b := &batches[i]
			if err := b.Each(func(o log.Offset, r *log.Record) error { return s.record(b, o, r, end) }); err != nil {
				return fmt.Errorf("read the log's tail: %w", err)
			}
			s.next = min(b.Last+1, end) // what has come since belongs to the next call
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

func (s *scanner) record(b *log.Batch, o log.Offset, r *log.Record, end log.Offset) error {
	if o < s.next || o >= end || b.Control {
		return nil
	}
	class, source := envelope.Classify(r)
	if class != envelope.ControlRecord || string(source) != s.source {
		return nil
	}
	c, err := envelope.ParseControl(r)
	if err != nil {
		return fmt.Errorf("offset %d: %w", o, err)
	}
	if c.Open != nil {
		s.producer, s.agent, s.opened, s.seen = b.Producer, c.Open.Agent, o, b.Appended
		return nil
	}
	if s.producer == log.NoProducer { // retention has taken the open record
		s.producer = b.Producer
	}
	if b.Producer != s.producer {
		return nil
	}
	s.seen = b.Appended
	switch {
	case c.Gap != nil:
		s.gap = c.Gap // until a repair has begun: nothing else is written behind it
	case c.Commit != nil:
		s.gap = nil
		s.last, s.restart, s.offset, s.known = c.Commit.Txn.Position, c.Commit.Restart, o, true
		if c.Commit.Txn.ID != "" {
			s.since = append(s.since, c.Commit.Txn.ID)
		}
	case c.Heartbeat != nil:
		s.gap = nil
		s.last, s.restart, s.offset, s.known = c.Heartbeat.Last, c.Heartbeat.Restart, o, true
		s.state, s.since = c.Heartbeat.State, nil
	}
	return nil
}

func (s *scanner) resume() capture.Resume {
	return capture.Resume{Last: s.last, Restart: s.restart, State: s.state, Since: s.since}
}

// openAndScan finds where to go on. It takes the source with a new producer
// unless this pipeline's producer is still good and has left nothing unfinished.
func (p *Pipeline) openAndScan(ctx context.Context) error {
	s, err := p.load(ctx)
	if err != nil {
		return err
	}
	_, end, err := p.opts.Tail.Bounds(ctx)
	if err != nil {
		return fmt.Errorf("read the log's tail: %w", err)
	}
	if err := s.advance(ctx, p.opts.Tail, end); err != nil {
		return err
	}
	if p.took && (s.reign > p.reign || s.opened > p.openAt && s.producer != p.identity) {
		return fmt.Errorf("agent %s has taken the source: %w", s.agent, log.ErrFenced)
	}
	p.reign = max(p.reign, s.reign)
	if other := s.agent != "" && s.agent != p.opts.Agent; other {
		switch {
		case p.took: // its open stands behind ours; an unfinished write must not take the source back
			return fmt.Errorf("agent %s has taken the source: %w", s.agent, capture.ErrOtherAgent)
		case !p.opts.Force && time.Since(s.seen) < p.opts.OtherAgentAge:
			return fmt.Errorf("agent %s wrote %s ago: %w", s.agent, time.Since(s.seen).Round(time.Second), capture.ErrOtherAgent)
		}
	}
	if g := s.gap; g != nil && !p.repair.wanted() {
		return &capture.GapError{Code: g.Code, Reason: g.Reason, From: g.Last, To: g.To, Found: g.At}
	}
	// A repair begins behind an open record of its own, so that readers needn't know which
	// one came last.
	fresh := p.opened.IsZero() || p.repair.wanted()
	if fresh || p.dirty {
		if err := p.open(ctx); err != nil {
			return err
		}
		// An older agent may have written until our open record stood in the log.
		if _, end, err = p.opts.Tail.Bounds(ctx); err != nil {
			return fmt.Errorf("read the log's tail: %w", err)
		}
		if err := s.advance(ctx, p.opts.Tail, end); err != nil {
			return err
		}
	}
	p.scan = s
	return nil
}

// open raises the producer's epoch and writes the open record, from which on the
// broker refuses older agents and readers drop what they left unfinished.
func (p *Pipeline) open(ctx context.Context) error {
	p.opened = time.Time{}
	identity, err := p.opts.Log.Open(ctx)
	if err != nil {
		return fmt.Errorf("take the source in the log: %w", err)
	}
	p.identity = identity // the open record may reach the log although its answer doesn't
	var r log.Records
	envelope.AddOpen(&r, p.opts.Source.ID, envelope.Open{Agent: p.opts.Agent, At: time.Now(), Version: p.opts.Version})
	if p.openAt, err = p.opts.Log.Append(ctx, &r); err != nil {
		return fmt.Errorf("write the open record: %w", err)
	}
	p.opened, p.records, p.dirty = time.Now(), 1, false
	p.reign = max(p.reign+1, p.opened.UnixMicro())
	p.took = true
	return nil
}

// writeGap records that continuity is lost.
func (p *Pipeline) writeGap(ctx context.Context, gap *capture.GapError) error {
	var r log.Records
	if gap.From.IsZero() { // the reader has read nothing itself
		gap.From = p.scan.last
	}
	gap.Found = time.Now()
	envelope.AddGap(&r, p.opts.Source.ID, envelope.Gap{Last: gap.From, To: gap.To, Code: gap.Code, Reason: gap.Reason, At: gap.Found})
	if _, err := p.opts.Log.Append(ctx, &r); err != nil {
		return fmt.Errorf("write the gap record: %w", err)
	}
	return nil
}

// untold is a gap that the log couldn't be told. What the log says decides what is done:
// the next start finds the gap again.
func untold(err error, gap *capture.GapError) error {
	return fmt.Errorf("%w; the log must be told: %v", err, gap) //nolint:errorlint // not a gap for the supervisor before the log has it
}
