package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// errReplaced: the topic isn't the one that was read. The next session records the gaps.
var errReplaced = errors.New("the topic was made anew")

// proveEvery bounds how often it is asked whether the log is still the one that was read.
const proveEvery = time.Second

// begin proves that the log still holds what was applied from it, and says where to read.
func (s *session) begin(ctx context.Context, known []Progress) (log.Offset, error) {
	first, end, err := s.fetch.Bounds(ctx)
	if err != nil {
		return 0, err
	}
	from := first
	for _, p := range known {
		f := s.asm.flows[p.Source]
		if p.ReadFrom > end { // of another log, which is told below, or was
			f.producer, f.open = log.NoProducer, -1
		} else {
			from = max(from, p.ReadFrom)
		}
		if p.Commit < first { // the open record may be gone as well
			f.producer = log.NoProducer
		}
		if p.Gap || p.Commit < first { // retention has passed it: the next commit's prev decides
			continue
		}
		if err := s.verify(ctx, p, f, end); err != nil {
			return 0, err
		}
	}
	return min(from, end), s.flushGaps(ctx)
}

// prove holds the log against what the store has of a source once records came that don't
// count for it. Of a topic that was made anew, and has grown beyond what was read, between
// two fetches no other ones would ever come, and nothing would say so.
func (s *session) prove(ctx context.Context) error {
	if time.Since(s.proved) < proveEvery {
		return nil
	}
	for _, f := range s.asm.flows {
		if !f.doubted {
			continue
		}
		s.proved = time.Now()
		first, end, err := s.fetch.Bounds(ctx)
		if err != nil {
			return err
		}
		f.doubted = false
		if f.gap || f.proof < first {
			continue
		}
		there, err := s.holds(ctx, f.source, f.proof, f.stored, end)
		if err != nil {
			return err
		}
		if !there {
			return fmt.Errorf("source %s: offset %d doesn't hold the commit %s any more: %w", f.source, f.proof, f.stored, errReplaced)
		}
	}
	return nil
}

// verify reads the source's last applied commit again. Another record in its
// place means that the topic isn't the one that was read.
func (s *session) verify(ctx context.Context, p Progress, f *flow, end log.Offset) error {
	there, err := s.holds(ctx, p.Source, p.Commit, p.Applied, end)
	if err != nil || there {
		return err
	}
	f.producer, f.open, f.kept = log.NoProducer, -1, -1
	err = s.asm.lost(f, p.Commit, "TOPIC_REPLACED", fmt.Sprintf("offset %d doesn't hold the commit %s any more", p.Commit, p.Applied))
	s.asm.gaps[len(s.asm.gaps)-1].Replaced = true
	return err
}

// holds reports whether the log, which ends at end, has a source's commit at an offset. An
// answer without records, as a broker gives to who has read more than its quota, says nothing.
func (s *session) holds(ctx context.Context, source string, at log.Offset, commit event.Position, end log.Offset) (found bool, err error) {
	if at >= end {
		return false, nil
	}
	var batches []log.Batch
	for len(batches) == 0 && err == nil {
		batches, err = s.fetch.Fetch(ctx, at, s.w.o.Wait)
	}
	if err != nil {
		return false, err
	}
	for i := range batches {
		err := batches[i].Each(func(o log.Offset, r *log.Record) error {
			if o != at {
				return nil
			}
			if class, name := envelope.Classify(r); class != envelope.ControlRecord || string(name) != source {
				return nil
			}
			c, err := envelope.ParseControl(r)
			found = err == nil && c.Commit != nil && c.Commit.Txn.Position == commit
			return err
		})
		if err != nil && !errors.Is(err, envelope.ErrMalformed) {
			return false, err
		}
	}
	return found, nil
}
