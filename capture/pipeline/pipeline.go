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
	// the version first if it isn't the newest of its table. It blocks until it is durable.
	ID(ctx context.Context, t *schema.Table) (uint32, error)
	// Columns gives the columns that versions of a source's tables have had there, by
	// schema.Table.ID.
	Columns(ctx context.Context, source string) (map[string][]string, error)
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
	// Paused has the source not be read before Resume is called: a person's order that
	// outlives the program.
	Paused bool

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
	// End gives a place of the source's log and a moment before which everything that the
	// source has committed stands below that place; zero values while none is known. The
	// log is told once reading has come there (envelope.Until). Default none.
	End func() (event.Place, time.Time)
	// Missing names the tables of which what was handed out doesn't hold everything, since
	// they have stopped or aren't loaded; all says that it may be any table. Both are called
	// by the goroutine that reads, between two calls of the Reader, and must not block.
	Missing func() (tables []string, all bool)
	// OnChange is called after the state has changed or a table has stopped. It must
	// not block.
	OnChange func()
	// OnLogged is called for each transaction once the log has it, with its commit time
	// at the source. It must not block.
	OnLogged func(committed, logged time.Time)
	// OnSent is called with the rows, by table, that the log has got with an append, whether
	// their transaction has ended or not. The list is the caller's again once it returns. It
	// must not block.
	OnSent func([]Sent)

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
	if o.End == nil {
		o.End = func() (event.Place, time.Time) { return event.Place{}, time.Time{} }
	}
	if o.Missing == nil {
		o.Missing = func() ([]string, bool) { return nil, false }
	}
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
	if o.OnSent == nil {
		o.OnSent = func([]Sent) {}
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
	repair repair

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
	p := &Pipeline{opts: opts, enc: envelope.NewEncoder(opts.Source, opts.Policy, opts.Codec), repair: repair{wake: make(chan struct{}, 1), paused: opts.Paused}}
	p.status.set(func(s *Status) {
		if s.Source, s.State = opts.Source.ID, Starting; opts.Paused {
			s.State = Paused
		}
	})
	return p, nil
}

// Run copies transactions to the log until ctx ends, or until nothing but a new start
// can help: it then returns the error (see capture.ActionOf). Lost connections to source
// and log are repaired with capped, jittered backoff; in a gap it waits for the order to
// repair it, and while a person wants the source to rest for the order to go on. Once ctx ends it reads no more, writes and acknowledges what it holds, and
// returns nil.
func (p *Pipeline) Run(ctx context.Context) error {
	backoff := newBackoff(p.opts.MaxBackoff)
	for {
		if !p.rest(ctx) {
			p.state(Stopped, nil)
			return nil
		}
		session, end := p.repair.session(ctx)
		progressed, err := p.session(session)
		interrupted := session.Err() != nil
		end()
		if cerr := p.opts.Reader.Close(); cerr != nil && err == nil {
			err = fmt.Errorf("close reader: %w", cerr)
		}
		if ctx.Err() != nil {
			p.state(Stopped, err)
			return nil
		}
		if interrupted && (err == nil || errors.Is(err, context.Canceled)) { // by an order
			continue
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
			if !p.wait(ctx, pause) {
				p.state(Stopped, nil)
				return nil
			}
		case capture.Gap:
			p.inGap(err)
			p.opts.Logger.Error("source in GAP, waiting for the order to repair it", "err", err)
			if !p.repair.await(ctx) {
				p.state(Stopped, err)
				return nil
			}
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
	resume.FirstStart, resume.Repair = p.opts.FirstStart, p.repair.wanted()
	if resume.Repair {
		if resume.Had, err = p.opts.Schemas.Columns(ctx, p.opts.Source.ID); err != nil {
			return false, fmt.Errorf("read the versions of the tables: %w", err)
		}
	}
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
	p.opts.Logger.Info("reading", "pos", resume.Last, "restart", resume.Restart, "epoch", epoch, "repair", resume.Repair)
	p.status.set(func(s *Status) {
		s.Epoch, s.restart, s.Stopped = epoch, resume.Restart, nil
		if r, ok := p.opts.Reader.(stopper); ok {
			s.Stopped = r.Stops()
		}
	})
	p.state(p.flowing(), nil)
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

	w := &writer{p: p, box: box, repair: resume.Repair}
	r := &reader{p: p, box: box, last: resume.Last, told: time.Now()}
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
