package worker

import (
	"context"
	"errors"
	"time"

	"github.com/tributary-cdc/tributary/stream/log"
)

// session is one claim on a partition.
type session struct {
	w        *Worker
	p        log.Partition
	claim    Claim
	fetch    log.Fetcher
	asm      *assembler
	build    *builder
	flight   *flight // the batch that is under way
	spare    *memory // of the batch before
	changed  int     // how often keys came to quarantine by a batch
	versions versions
	ready    []*txn  // complete, to be applied now
	blocked  []*flow // with a queue, or busy
	beside   *beside // the large transaction that is under way
	applied  int
	told     time.Time  // when the store was told what it has of its sources
	damaged  log.Offset // nothing is well before what lies here has been read; -1 for none
	counted  Counts     // what the worker knows of asm's counts
	proved   time.Time  // when the log was last held against what the store has of it

	looked    time.Time // when what a person may have accepted was asked for
	stopped   bool      // some table was stopped then
	accepting *Halt     // the table whose held changes are being applied
}

func newSession(w *Worker, held Claim, refused map[tableKey]*stop) *session {
	p := held.Partition
	s := &session{w: w, p: p, claim: held, versions: newVersions(), damaged: -1}
	s.build = newBuilder(w, p.Topic, refused)
	s.build.ensure = s.ensure
	return s
}

// run applies until reading ends or something breaks. It reads nothing more then,
// and finishes what is under way while ctx allows it.
func (s *session) run(reading, ctx context.Context) (err error) {
	if err := s.w.o.Store.Prepare(reading); err != nil {
		return err
	}
	known, err := s.acquire(reading)
	if err != nil {
		return err
	}
	s.fetch, s.asm = s.w.o.Fetcher(s.p), newAssembler(known, spool{dir: s.w.o.SpoolDir, limit: int64(s.w.o.SpoolBytes)})
	if err := s.restore(reading); err != nil {
		return err
	}
	from, err := s.begin(reading, known)
	if err != nil {
		return s.at(from, err)
	}
	s.claimed(known)
	s.w.o.Logger.Info("applying", "partition", s.p.String(), "from", from, "fence", s.claim.Fence)
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		if reading.Err() == nil { // something broke
			cancel()
		}
		err = errors.Join(err, s.end(ctx))
		cancel()
	}()
	return s.loop(reading, ctx, from)
}

// loop fetches and applies.
func (s *session) loop(reading, ctx context.Context, from log.Offset) error {
	reading, stop := context.WithCancel(reading)
	spare := s.w.o.Fetcher(s.p)
	var ahead chan fetched
	defer func() {
		stop()
		if ahead != nil {
			<-ahead
		}
	}()
	for {
		if err := s.accept(ctx); err != nil {
			return err
		}
		wait := s.w.o.Wait
		if s.accepting != nil {
			wait = 0
		}
		var got fetched
		if ahead == nil && s.beside != nil {
			ahead = s.fetchAhead(reading, spare, from, wait)
		}
		if ahead != nil {
			select {
			case got = <-ahead:
				ahead = nil
				s.fetch, spare = spare, s.fetch
			case err := <-s.finished():
				if err := s.resume(ctx, err, from); err != nil {
					return s.at(from-1, err)
				}
				continue
			}
		} else {
			got.batches, got.err = s.fetch.Fetch(reading, from, wait)
		}
		if got.err != nil {
			return s.until(ctx, from, got.err)
		}
		next, size, err := s.take(got.batches, from)
		if err != nil {
			return s.until(ctx, next, err)
		}
		from = next
		if err := s.prove(reading); err != nil {
			return err
		}
		// With a backlog the next records come, and are merged, while these are written.
		// Without one they are waited for afterwards, so that a group holds all there is by then.
		backlog := size >= prefetchFrom
		if backlog {
			ahead = s.fetchAhead(reading, spare, from, 0) // what is left over may wait for it
		}
		if err := s.flush(ctx, from, backlog); err != nil {
			return s.at(from-1, err)
		}
		if err := s.tell(ctx, backlog); err != nil {
			return err
		}
		if !backlog {
			if err := s.settle(ctx); err != nil {
				return err
			}
			if s.spare != nil {
				s.spare.reset()
			}
			if s.damaged >= 0 && from > s.damaged {
				s.damaged = -1
				s.w.partition(s.p, Applying, nil)
			}
			if s.beside == nil && len(s.blocked) == 0 {
				s.w.reach(s.p, from)
			}
		}
		s.w.at(s.p, from)
	}
}

// acquire claims the partition: the first time from whoever has it, then only as long
// as nobody else has claimed it.
func (s *session) acquire(ctx context.Context) (known []Progress, err error) {
	claim := s.claim
	if claim.Fence > 0 {
		claim, known, err = s.w.o.Store.Reclaim(ctx, claim)
	} else {
		claim, known, err = s.w.o.Store.Claim(ctx, s.p, s.w.o.Name)
	}
	if err != nil {
		return nil, err
	}
	s.claim = claim
	s.w.hold(s.p)
	return known, nil
}

// resume takes the outcome of the large transaction, and applies what waited for it.
func (s *session) resume(ctx context.Context, outcome error, next log.Offset) error {
	if err := s.finish(outcome); err != nil {
		return err
	}
	if err := s.flush(ctx, next, false); err != nil {
		return err
	}
	return s.settle(ctx)
}

func (s *session) fetchAhead(ctx context.Context, f log.Fetcher, from log.Offset, wait time.Duration) chan fetched {
	out := make(chan fetched, 1)
	go func() {
		var g fetched
		g.batches, g.err = f.Fetch(ctx, from, wait)
		out <- g
	}()
	return out
}

// end waits for what is under way, and drops what is held.
func (s *session) end(ctx context.Context) error {
	err := s.settle(ctx)
	if s.beside != nil {
		err = errors.Join(err, s.finish(<-s.beside.done))
	}
	for _, t := range s.ready {
		err = errors.Join(err, t.drop())
	}
	return errors.Join(err, s.asm.close())
}

// until applies what is complete before the batch at next, which can't be read, and
// waits until the store has it.
func (s *session) until(ctx context.Context, next log.Offset, err error) error {
	s.w.at(s.p, next)
	err = s.at(next, err)
	if ferr := s.flush(ctx, next, false); ferr != nil {
		return errors.Join(err, ferr)
	}
	return errors.Join(err, s.settle(ctx))
}

// at notes where an error was met, if it is damage.
func (s *session) at(o log.Offset, err error) error {
	if isDamage(err) {
		s.damaged = max(s.damaged, o, 0)
	}
	return err
}

// prefetchFrom is the size of a fetch, in bytes on the wire, that tells a backlog.
const prefetchFrom = 256 << 10

// fetched is the answer of a fetch.
type fetched struct {
	batches []log.Batch
	err     error
}

// take hands the records to the assembler, which copies what it keeps.
func (s *session) take(batches []log.Batch, from log.Offset) (next log.Offset, size int, err error) {
	for i := range batches {
		b := &batches[i]
		size += b.Size
		if !b.Control {
			err := b.Each(func(o log.Offset, r *log.Record) error {
				if o < from {
					return nil
				}
				return s.asm.record(b, o, r)
			})
			if err != nil {
				return from, size, err
			}
		}
		from = b.Last + 1
	}
	return from, size, nil
}

// flushGaps records the gaps of sources of which everything before is in the store.
func (s *session) flushGaps(ctx context.Context) error {
	if len(s.asm.gaps) == 0 {
		return nil
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	later := s.asm.gaps[:0]
	for _, g := range s.asm.gaps {
		if f := s.asm.flows[g.Source]; f.busy || len(f.queue) > 0 {
			later = append(later, g)
			continue
		}
		s.w.o.Logger.Error("source in GAP", "source", g.Source, "pos", g.Last, "code", g.Code, "err", g.Reason)
		if err := s.w.o.Store.RecordGap(ctx, s.claim, g); err != nil {
			return err
		}
		if f := s.asm.flows[g.Source]; !g.Replaced {
			f.kept = max(f.kept, g.Open)
		}
		s.update(g.Source, func(st *SourceStatus) { st.lost(&g) })
		s.w.o.OnChange()
	}
	s.asm.gaps = later
	return nil
}
