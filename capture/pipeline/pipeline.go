// Package pipeline moves committed transactions from one source to the log. It
// decides order, continuity and acknowledgement: what is written before what,
// where reading goes on after anything broke, and when the source may forget. It
// knows no database and no broker.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// Checkpoints keeps one durable value per source. Losing the newest ones costs a
// longer read of the log's tail, never a row.
type Checkpoints interface {
	// Load returns the newest value of a source, nil if there is none.
	Load(ctx context.Context, source string) ([]byte, error)
	// Save blocks until the value is durable.
	Save(ctx context.Context, source string, value []byte) error
}

// Schemas publishes table versions.
type Schemas interface {
	// ID returns the id of a table version in the org's .schemas topic, and publishes
	// the version first if it isn't there yet. It blocks until the version is durable.
	ID(ctx context.Context, t *schema.Table) (uint32, error)
}

// Options tunes a Pipeline. Source, Agent, Reader, Log, Tail, Checkpoints and
// Schemas are required; the rest is fit for production as it is.
type Options struct {
	Source event.Source
	// Agent names the agent and this instance of it, e.g. "330106-a/5f2c". Another
	// name in the log's latest open record means another agent.
	Agent   string
	Version string // of the program, for the open record
	// Policy is the version of the column policy, stamped on each row.
	Policy string
	// Codec is the form of the rows in the log. JSON takes two to three times the
	// bytes of Avro before compression. Default Avro.
	Codec envelope.Codec

	Reader      capture.Reader
	Log         log.Appender
	Tail        log.Fetcher // reads the partition that Log appends to
	Checkpoints Checkpoints
	Schemas     Schemas
	// Partition names what Log and Tail belong to. A checkpoint of another partition
	// is refused. The zero value checks nothing.
	Partition log.Partition

	// Force takes the source although another agent wrote within OtherAgentAge.
	Force bool
	// FirstStart is the operator's order to begin at the source's present end if
	// nothing is known about it.
	FirstStart bool

	// BatchBytes bounds a batch before compression, 64 KiB to 16 MiB. Larger batches
	// raise throughput and memory (two are held). Default 1 MiB.
	BatchBytes int
	// MaxRecord bounds one record before compression. A larger row stops the source
	// with an error that names table and key. Default DefaultMaxRecord.
	MaxRecord int
	// Linger is how long a batch that isn't full waits for more, 0 to 1s. Default 2ms.
	Linger time.Duration
	// CheckpointEvery is the time between two checkpoints. Default 1s.
	CheckpointEvery time.Duration
	// HeartbeatEvery is the longest silence of an idle source in the log. Default 10s.
	HeartbeatEvery time.Duration
	// OtherAgentAge is how fresh another agent's last record must be to refuse a
	// start. Default 30s.
	OtherAgentAge time.Duration
	// ReopenEvery is the time after which the producer is opened again between two
	// transactions. The broker forgets transactional ids that weren't initialised for
	// transactional.id.expiration.ms (7 days by default). Default 24h.
	ReopenEvery time.Duration
	// ReopenLimit is the time after which nothing is written any more without a new
	// open: half the broker's expiry. Default 84h.
	ReopenLimit time.Duration
	// ReopenRecords is the number of records after which the producer is opened again
	// between two transactions, 1 to 2^30. Default 2^30, half of the sequence numbers.
	ReopenRecords int
	// StopTimeout bounds the drain after a stop is asked. Default 10s.
	StopTimeout time.Duration
	// MaxBackoff caps the pause between two attempts. Default 5s.
	MaxBackoff time.Duration
	// AskEvery is the pause while only a person can help: a wrong password, a missing
	// grant, a setting. Default 30s.
	AskEvery time.Duration

	// Explain gives a gap that the reader has found its reason where something of the
	// agent's own has made it, else as it is. It must not block. Default as it is.
	Explain func(*capture.GapError) *capture.GapError
	// OnChange is called after the state has changed or a table has stopped. It must
	// not block.
	OnChange func()
	// OnLogged is called for each transaction once the log has it, with its commit time
	// at the source. It must not block.
	OnLogged func(committed, logged time.Time)

	Logger *slog.Logger
}

// DefaultMaxRecord is the largest record in bytes before compression, where nothing else is
// said.
const DefaultMaxRecord = 8 << 20

// maxRecords is half of the range of sequence numbers (RecordBatch baseSequence, int32).
const maxRecords = 1 << 30

func (o *Options) fill() error {
	switch {
	case o.Source.ID == "" || o.Source.Org == "":
		return fmt.Errorf("pipeline options: Source.ID %q and Source.Org %q must be set", o.Source.ID, o.Source.Org)
	case o.Agent == "":
		return errors.New("pipeline options: Agent must be set")
	case o.Reader == nil || o.Log == nil || o.Tail == nil || o.Checkpoints == nil || o.Schemas == nil:
		return errors.New("pipeline options: Reader, Log, Tail, Checkpoints and Schemas must be set")
	}
	setInt(&o.BatchBytes, 1<<20)
	setInt(&o.MaxRecord, DefaultMaxRecord)
	setDuration(&o.Linger, 2*time.Millisecond)
	setDuration(&o.CheckpointEvery, time.Second)
	setDuration(&o.HeartbeatEvery, 10*time.Second)
	setDuration(&o.OtherAgentAge, 30*time.Second)
	setDuration(&o.ReopenEvery, 24*time.Hour)
	setDuration(&o.ReopenLimit, 84*time.Hour)
	setDuration(&o.StopTimeout, 10*time.Second)
	setDuration(&o.MaxBackoff, 5*time.Second)
	setDuration(&o.AskEvery, 30*time.Second)
	setInt(&o.ReopenRecords, maxRecords)
	if o.ReopenRecords < 1 || o.ReopenRecords > maxRecords {
		return fmt.Errorf("pipeline options: ReopenRecords %d is outside 1 to %d", o.ReopenRecords, maxRecords)
	}
	if o.BatchBytes < 64<<10 || o.BatchBytes > 16<<20 {
		return fmt.Errorf("pipeline options: BatchBytes %d is outside 65536 to 16777216", o.BatchBytes)
	}
	if o.Linger < 0 || o.Linger > time.Second {
		return fmt.Errorf("pipeline options: Linger %s is outside 0s to 1s", o.Linger)
	}
	if o.Explain == nil {
		o.Explain = func(gap *capture.GapError) *capture.GapError { return gap }
	}
	if o.OnChange == nil {
		o.OnChange = func() {}
	}
	if o.OnLogged == nil {
		o.OnLogged = func(time.Time, time.Time) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Logger = o.Logger.With("source", o.Source.ID)
	return nil
}

func setInt(v *int, d int) {
	if *v == 0 {
		*v = d
	}
}

func setDuration(v *time.Duration, d time.Duration) {
	if *v == 0 {
		*v = d
	}
}

// Pipeline is one source's way into the log.
type Pipeline struct {
	opts   Options
	enc    *envelope.Encoder
	status status

	// What follows belongs to Run's goroutine, and to the writer while a session runs.
	opened   time.Time    // of the last successful open; zero if there was none, or the next failed
	took     bool         // an open of ours has succeeded
	openAt   log.Offset   // of the open record
	identity log.Producer // that wrote it
	reign    int64        // of the checkpoints to come
	records  int          // appended since
	dirty    bool         // the log may hold an unfinished transaction of this producer
	scan     *scanner     // what the log says about the source
}

// New checks the options. It starts nothing and connects to nothing.
func New(opts Options) (*Pipeline, error) {
	if err := opts.fill(); err != nil {
		return nil, err
	}
	p := &Pipeline{opts: opts, enc: envelope.NewEncoder(opts.Source, opts.Policy, opts.Codec)}
	p.status.set(func(s *Status) { s.Source, s.State = opts.Source.ID, Starting })
	return p, nil
}

// Run copies transactions to the log until ctx ends, or until nothing but a
// person can help: it then returns the error (see capture.ActionOf). Lost
// connections to source and log are repaired with capped, jittered backoff. Once
// ctx ends it reads no more, writes and acknowledges what it holds, and returns nil.
func (p *Pipeline) Run(ctx context.Context) error {
	backoff := newBackoff(p.opts.MaxBackoff)
	for {
		progressed, err := p.session(ctx)
		if cerr := p.opts.Reader.Close(); cerr != nil && err == nil {
			err = fmt.Errorf("close reader: %w", cerr)
		}
		if ctx.Err() != nil {
			p.state(Stopped, err)
			return nil
		}
		if progressed {
			backoff.reset()
		}
		action := capture.ActionOf(err)
		switch action {
		case capture.Retry, capture.AskOperator:
			pause := backoff.next()
			if action == capture.AskOperator {
				pause = p.opts.AskEvery
			}
			p.state(Retrying, err)
			about := []any{"err", err, "pause", pause}
			if code, hint := capture.CodeOf(err); code != "" {
				about = append(about, "code", code, "hint", hint)
			}
			p.opts.Logger.Warn("source interrupted, trying again", about...)
			if !sleep(ctx, pause) {
				p.state(Stopped, nil)
				return nil
			}
		case capture.Gap:
			p.state(InGap, err)
			return err
		case capture.StayDown:
			p.state(Fenced, err)
			return err
		default:
			p.state(Failed, err)
			return err
		}
	}
}

// session opens the log if needed, finds out where to go on, starts the reader
// and copies until something fails. It reports whether anything was acknowledged.
func (p *Pipeline) session(ctx context.Context) (progressed bool, err error) {
	if err := p.openAndScan(ctx); err != nil {
		return false, err
	}
	resume := p.scan.resume()
	resume.FirstStart = p.opts.FirstStart
	epoch, err := p.opts.Reader.Start(ctx, resume)
	if gap := (*capture.GapError)(nil); errors.As(err, &gap) {
		gap = p.opts.Explain(gap)
		if werr := p.writeGap(ctx, gap); werr != nil {
			return false, untold(werr, gap)
		}
		return false, gap
	}
	if err != nil {
		return false, fmt.Errorf("start reading: %w", err)
	}
	p.opts.Logger.Info("reading", "pos", resume.Last, "restart", resume.Restart, "epoch", epoch)
	p.status.set(func(s *Status) { s.Epoch, s.restart = epoch, resume.Restart })
	p.state(Streaming, nil)
	progressed, err = p.copy(ctx, resume)
	if gap := (*capture.GapError)(nil); errors.As(err, &gap) { // found in the middle of the source's log
		if p.dirty {
			if oerr := p.open(ctx); oerr != nil {
				return progressed, untold(oerr, gap)
			}
		}
		if werr := p.writeGap(ctx, gap); werr != nil {
			return progressed, untold(werr, gap)
		}
	}
	return progressed, err
}

// copy runs the reading and the writing half. The writing half outlives the
// reading half by at most StopTimeout, so that what was read is written.
func (p *Pipeline) copy(ctx context.Context, resume capture.Resume) (progressed bool, err error) {
	box := newMailbox(p.opts.BatchBytes)
	grace, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stopTimer := context.AfterFunc(ctx, func() { time.AfterFunc(p.opts.StopTimeout, cancel) })
	defer stopTimer()

	g, writing := errgroup.WithContext(grace)
	reading, stopReading := context.WithCancel(writing)
	defer stopReading()
	defer context.AfterFunc(ctx, stopReading)()

	w := &writer{p: p, box: box}
	r := &reader{p: p, box: box, last: resume.Last}
	var readErr error
	g.Go(func() error {
		// A lost source must not keep what was read from being written.
		readErr = r.run(reading)
		box.close()
		return nil
	})
	saving := make(chan struct{})
	g.Go(func() error {
		defer close(saving)
		err := w.run(writing)
		if err != nil {
			stopReading()
			box.fail()
		}
		return err
	})
	g.Go(func() error { return w.checkpoints(writing, saving) })
	err = g.Wait()
	if err == nil {
		err = readErr
	}
	return w.batches > 0, err
}

// mailbox is the one buffer between the reading and the writing half: the reader
// fills one set of records while the writer has the other on its way. It is
// swapped whole, so no row costs a channel operation.
type mailbox struct {
	limit int

	mu     sync.Mutex
	space  sync.Cond // signalled when the writer took the buffer
	cur    *batch
	spare  *batch
	closed bool // no more will be read
	failed bool // nothing will be written any more

	filled chan struct{} // capacity 1: something is in cur
	full   chan struct{} // capacity 1: cur is at its limit
}

// batch is what one append carries.
type batch struct {
	records log.Records
	since   time.Time // of the first record
	mark    mark      // of the last transaction or heartbeat that ends in it
	open    bool      // ends within a transaction
	txns    int
	rows    int
	commits []time.Time // at the source, of the transactions that end in it
}

// mark is a place up to which everything is in the log once the batch is.
type mark struct {
	set       bool
	record    int // index of the record within its batch
	last      event.Position
	restart   event.Place
	state     []byte
	committed time.Time
	precision event.Precision // of committed
}

func newMailbox(limit int) *mailbox {
	m := &mailbox{limit: limit, cur: &batch{}, spare: &batch{}, filled: make(chan struct{}, 1), full: make(chan struct{}, 1)}
	m.space.L = &m.mu
	return m
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// put lets f add records to the current buffer, waiting first while that is
// full. It reports false once nothing will be written any more.
func (m *mailbox) put(f func(*batch) error) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.cur.records.Size() >= m.limit && !m.failed {
		signal(m.full)
		m.space.Wait()
	}
	if m.failed {
		return false, nil
	}
	if m.cur.records.Count() == 0 {
		m.cur.since = time.Now()
	}
	err := f(m.cur)
	if m.cur.records.Count() > 0 {
		signal(m.filled)
	}
	if m.cur.records.Size() >= m.limit {
		signal(m.full)
	}
	return true, err
}

// take waits for records, then until the buffer is full or linger has passed
// since its first one, and swaps it out. It returns nil after close, once all is taken.
func (m *mailbox) take(ctx context.Context, linger time.Duration) (*batch, error) {
	for {
		select {
		case <-m.filled:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		m.mu.Lock()
		wait := linger - time.Since(m.cur.since)
		ready := m.closed || m.cur.records.Size() >= m.limit || wait <= 0
		m.mu.Unlock()
		if !ready {
			t := time.NewTimer(wait)
			select {
			case <-m.full:
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
				return nil, ctx.Err()
			}
			t.Stop()
		}
		m.mu.Lock()
		b := m.cur
		if b.records.Count() == 0 {
			closed := m.closed
			m.mu.Unlock()
			if closed {
				return nil, nil
			}
			continue
		}
		m.cur, m.spare = m.spare, nil
		select { // what was full is gone
		case <-m.full:
		default:
		}
		m.mu.Unlock()
		return b, nil
	}
}

// give returns a buffer that take handed out.
func (m *mailbox) give(b *batch) {
	b.records.Reset()
	*b = batch{records: b.records, commits: b.commits[:0]}
	m.mu.Lock()
	m.spare = b
	m.space.Broadcast()
	if m.closed || m.cur.records.Count() > 0 {
		signal(m.filled)
	}
	m.mu.Unlock()
}

// close says that nothing more will be put.
func (m *mailbox) close() {
	m.mu.Lock()
	m.closed = true
	signal(m.filled)
	signal(m.full)
	m.mu.Unlock()
}

// fail says that nothing more will be taken.
func (m *mailbox) fail() {
	m.mu.Lock()
	m.failed = true
	m.space.Broadcast()
	m.mu.Unlock()
}
