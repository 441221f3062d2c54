package worker

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/tributary-cdc/tributary/stream/log"
)

// Assignment is what this worker shall apply from now on.
type Assignment struct {
	Partitions []log.Partition
	// Lost is told when another worker took the claim of one of them. Needs room for
	// one, and gets no more than fits.
	Lost chan<- log.Partition
}

const (
	// lookAgain is the pause between two looks for partitions that the worker left. After a
	// look that failed it is twice as long as before, up to lookRarely: wrong passwords, tried
	// again and again, lock accounts.
	lookAgain  = 500 * time.Millisecond
	lookRarely = 30 * time.Second
	// handOver is how long a partition that was assigned to another worker is applied
	// on if nobody claims it: longer than a group takes to notice that the other is dead.
	handOver = 15 * time.Second
)

// crew is the loops of one Run, which alone uses it.
type crew struct {
	w     *Worker
	now   Assignment
	loops map[log.Partition]*loop
	ended chan *loop
}

// loop applies one partition.
type loop struct {
	p    log.Partition
	stop context.CancelFunc
	last *time.Timer // stops it, if it isn't assigned any more
	err  error
}

// Run applies partitions until ctx ends, one loop each. It begins at once with those
// that a worker of this name left on the given topics and nobody took since; then
// each assignment says which they are. A partition that stays assigned is applied
// without a break, and one that is assigned to another worker until that one claims
// it. One that can't be read is shown as Failed; ending wouldn't repair it, and would
// end the others.
func (w *Worker) Run(ctx context.Context, topics []string, given <-chan Assignment) {
	c := &crew{w: w, loops: map[log.Partition]*loop{}, ended: make(chan *loop)}
	defer c.stopAll()
	look := time.NewTimer(0)
	defer look.Stop()
	pause := lookAgain
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-given:
			look.Stop()
			c.assign(ctx, a)
		case <-look.C:
			if err := c.resume(ctx, topics); err == nil {
				pause = lookAgain
			} else if pause = min(2*pause, lookRarely); ctx.Err() == nil {
				w.o.Logger.Warn("can't see what this worker left, looking again", "code", CodeOf(err), "err", err, "pause", pause)
			}
			look.Reset(pause)
		case l := <-c.ended:
			c.end(ctx, l)
		}
	}
}

// resume takes up what the worker left. The claims decide, so it needs no word from
// whoever spreads partitions, and can't take anything from anybody.
func (c *crew) resume(ctx context.Context, topics []string) error {
	err := c.w.o.Store.Prepare(ctx)
	var left []Claim
	if err == nil {
		left, err = c.w.o.Store.Left(ctx, c.w.o.Name)
	}
	if err != nil {
		return err
	}
	for _, held := range left {
		if c.loops[held.Partition] == nil && slices.Contains(topics, held.Partition.Topic) {
			c.start(ctx, held)
		}
	}
	return nil
}

// assign starts the loops that are missing. Those that aren't wanted any more go on
// until the claim is taken from them, for a limited time.
func (c *crew) assign(ctx context.Context, a Assignment) {
	c.now = a
	for p, l := range c.loops {
		wanted := slices.Contains(a.Partitions, p)
		if wanted && l.last != nil {
			l.last.Stop() // if it is too late for that, end starts the loop again
			l.last = nil
		} else if !wanted && l.last == nil {
			l.last = time.AfterFunc(handOver, l.stop)
		}
	}
	for _, p := range a.Partitions {
		if c.loops[p] == nil {
			c.start(ctx, Claim{Partition: p, Worker: c.w.o.Name})
		}
	}
}

func (c *crew) start(ctx context.Context, held Claim) {
	ctx, stop := context.WithCancel(ctx)
	l := &loop{p: held.Partition, stop: stop}
	c.loops[l.p] = l
	go func() {
		l.err = c.w.RunPartition(ctx, held)
		c.ended <- l
	}()
}

// end notes that a loop has returned.
func (c *crew) end(ctx context.Context, l *loop) {
	l.stop()
	delete(c.loops, l.p)
	c.w.release(l.p)
	if l.last != nil {
		l.last.Stop()
	}
	assigned := slices.Contains(c.now.Partitions, l.p)
	switch {
	case ctx.Err() != nil:
	case l.err == nil:
		if assigned { // again, just as it stopped
			c.start(ctx, Claim{Partition: l.p, Worker: c.w.o.Name})
		}
	default: // the claim is lost
		c.w.o.Logger.Info("another worker has the partition", "partition", l.p.String(), "err", l.err)
		if assigned {
			select {
			case c.now.Lost <- l.p:
			default:
			}
		}
	}
}

func (c *crew) stopAll() {
	for _, l := range c.loops {
		l.stop()
	}
	for len(c.loops) > 0 {
		l := <-c.ended
		delete(c.loops, l.p)
		c.w.release(l.p)
	}
}

// hold notes that a partition is claimed.
func (w *Worker) hold(p log.Partition) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held[p] = -1
}

// reach notes that all records below next are dealt with.
func (w *Worker) reach(p log.Partition, next log.Offset) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held[p] = max(w.held[p], next) // a large transaction arrives late
}

func (w *Worker) release(p log.Partition) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.held, p)
}

// Held gives the partitions that this worker applies, in no order.
func (w *Worker) Held() []log.Partition {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Keys(w.held))
}

// Reached gives the offset after the last record that is dealt with, for each
// partition that has got so far under this worker's claim. It is for people and
// tools: where to read is known from the store.
func (w *Worker) Reached() map[log.Partition]log.Offset {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[log.Partition]log.Offset{}
	for p, next := range w.held {
		if next >= 0 {
			out[p] = next
		}
	}
	return out
}
