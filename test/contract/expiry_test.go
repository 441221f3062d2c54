package contract

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/pipeline"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/test/servers"
)

// forgotten reports whether the broker has forgotten a source's transactional id.
func (r *rig) forgotten(source string) bool {
	r.Helper()
	req := kmsg.NewPtrDescribeTransactionsRequest()
	req.TransactionalIDs = []string{"tributary." + r.org + "." + source}
	res := servers.Ask(r, r.addr, req, kmsg.NewPtrDescribeTransactionsResponse())
	return res.TransactionStates[0].ErrorCode == 105 // TRANSACTIONAL_ID_NOT_FOUND
}

// stateless reports whether the broker has forgotten every producer of the partition.
func (r *rig) stateless() bool {
	r.Helper()
	req := kmsg.NewPtrDescribeProducersRequest()
	tp := kmsg.NewDescribeProducersRequestTopic()
	tp.Topic, tp.Partitions = r.part(0).Topic, []int32{0}
	req.Topics = append(req.Topics, tp)
	res := servers.Ask(r, r.addr, req, kmsg.NewPtrDescribeProducersResponse())
	p := res.Topics[0].Partitions[0]
	if p.ErrorCode != 0 {
		r.Fatalf("describe producers: error %d", p.ErrorCode)
	}
	return len(p.ActiveProducers) == 0
}

// goOn commits transactions at a steady pace until stop is called, which gives their number.
func (o *origin) goOn(pace time.Duration) (stop func() int) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(pace)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				o.commit()
			case <-quit:
				return
			}
		}
	}()
	return func() int { close(quit); <-done; n, _ := o.state(); return n }
}

func numbers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d ", i+1)
	}
	return strings.TrimSpace(b.String())
}

// whole expects every transaction of the source once in the store, and no gap.
func (r *rig) whole(source string, n int) {
	r.Helper()
	r.await(fmt.Sprintf("transaction %d of %s in the store", n, source), func() bool { return r.applied(source) == position(n).String() })
	if got := r.rows(source); got != numbers(n) {
		r.Errorf("%s has the rows %s, want 1 to %d", source, got, n)
	}
	if got := r.gaps(); got != "" {
		r.Errorf("gaps: %s", got)
	}
}

// TestAttack7ForgottenFence lets the broker forget the transactional id under which
// A writes. B opens with another producer id, so the broker goes on taking A's
// records; readers don't, and A stops.
func TestAttack7ForgottenFence(t *testing.T) {
	r := newRig(t, false, 1)
	o := newOrigin(r.org + "-xueji")
	w := r.work(0)
	a := r.agent("a/1", o, nil)
	stop := o.goOn(100 * time.Millisecond)
	r.reaches(a, 1)
	r.await("the end of A's transactional id", func() bool { return r.forgotten(o.table.Source) })
	if s := a.Status(); s.State != pipeline.Streaming || s.Txns < 10 {
		t.Fatalf("A is %s after %d transactions", s.State, s.Txns)
	}
	b := r.agent("b/1", o, func(o *pipeline.Options) { o.Force = true })
	var err error
	select {
	case err = <-a.ended:
	case <-time.After(20 * time.Second):
		t.Fatal("A goes on for 20 s although B has the source")
	}
	if !errors.Is(err, log.ErrFenced) || capture.ActionOf(err) != capture.StayDown || !strings.Contains(err.Error(), "b/1") || a.Status().State != pipeline.Fenced || a.Status().Code != "AGENT_FENCED" {
		t.Errorf("A stopped with %v as %+v; want AGENT_FENCED that names b/1", err, a.Status())
	}
	n := stop()
	r.reaches(b, n)
	r.whole(o.table.Source, n)
	if _, c := w.Status(); c.Fenced == 0 {
		t.Errorf("the broker has taken none of A's late records: %+v", c)
	}
	if s := b.Status(); s.State != pipeline.Streaming {
		t.Errorf("B is %s: %s", s.State, s.Error)
	}
}

// TestAttack7RestartAfterForgottenFence ends B at once, while A still writes and
// saves checkpoints, and starts it again: it goes on after what readers count.
func TestAttack7RestartAfterForgottenFence(t *testing.T) {
	r := newRig(t, false, 1)
	o := newOrigin(r.org + "-xueji")
	r.work(0)
	var points *stubborn
	a := r.agent("a/1", o, func(o *pipeline.Options) {
		points = &stubborn{Checkpoints: o.Checkpoints}
		o.Checkpoints = points
	})
	stop := o.goOn(100 * time.Millisecond)
	r.reaches(a, 1)
	r.await("the end of A's transactional id", func() bool { return r.forgotten(o.table.Source) })
	force := func(o *pipeline.Options) { o.Force = true }
	for range 3 {
		b := r.agent("b/1", o, force)
		n, _ := o.state()
		r.reaches(b, n+3)
		b.stop()
		saved := points.saved.Load()
		r.await("A's checkpoint over B's", func() bool { return points.saved.Load() > saved+1 })
	}
	b := r.agent("b/1", o, force)
	n := stop()
	r.reaches(b, n)
	r.whole(o.table.Source, n)
}

// stubborn never sees a newer agent's checkpoint and saves its own over it, as an
// agent may that looked just before.
type stubborn struct {
	pipeline.Checkpoints
	saved atomic.Int32
}

func (*stubborn) Load(context.Context, string) ([]byte, error) { return nil, nil }

func (s *stubborn) Save(ctx context.Context, source string, value []byte) error {
	defer s.saved.Add(1)
	return s.Checkpoints.Save(ctx, source, value)
}

// TestAttack8LateBatch lets the broker forget B's epoch too, after B has died: it
// takes A's late batch. Readers and the next agent don't.
func TestAttack8LateBatch(t *testing.T) {
	r := newRig(t, false, 1)
	source := r.org + "-xueji"
	w := r.work(0)
	a, b := r.hand(source, 0), r.hand(source, 0)
	first := a.open("a/1")
	a.txn(1, 1)
	second := b.open("b/1")
	if second.ID != first.ID || second.Epoch <= first.Epoch {
		t.Fatalf("B opened %s after %s: the broker had forgotten A already", second, first)
	}
	r.await("the end of the producers' state", r.stateless)
	a.must(a.rows(2, 0, 666)) // the broker takes it
	a.must(a.commit(2, 1))
	o := newOrigin(source)
	for range 4 {
		o.commit()
	}
	again := r.agent("b/2", o, func(o *pipeline.Options) { o.Force = true })
	r.reaches(again, 4)
	r.whole(source, 4)
	if _, c := w.Status(); c.Fenced != 2 {
		t.Errorf("set aside: %+v, want A's two late records", c)
	}
}

// TestTwoAgentsOnABrokerThatForgets: the older agent sleeps until the broker has
// forgotten everything about both, then goes on with what it had read.
func TestTwoAgentsOnABrokerThatForgets(t *testing.T) {
	r := newRig(t, false, 1)
	o := newOrigin(r.org + "-xueji")
	w := r.work(0)
	gate := &gated{Appender: r.producer(o.table.Source, 0)}
	// Nothing but the broker, and its own opening again, can tell A.
	a := r.agent("a/1", o, func(o *pipeline.Options) { o.Log, o.CheckpointEvery, o.ReopenEvery = gate, time.Hour, 3*time.Second })
	o.commit()
	r.reaches(a, 1)
	gate.close()
	o.commit()
	r.await("A at its gate", gate.waits)
	b := r.agent("b/1", o, func(o *pipeline.Options) { o.Force = true })
	r.reaches(b, 2)
	b.stop()
	r.await("the end of the producers' state", func() bool { return r.stateless() && r.forgotten(o.table.Source) })
	gate.open()
	select {
	case err := <-a.ended:
		if !errors.Is(err, log.ErrFenced) {
			t.Errorf("A stopped with %v, want ErrFenced", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("A goes on for 20 s although B has taken the source")
	}
	for range 3 {
		o.commit()
	}
	c := r.agent("b/1", o, nil)
	r.reaches(c, 5)
	r.whole(o.table.Source, 5)
	if _, n := w.Status(); n.Fenced == 0 {
		t.Errorf("A's late record wasn't taken by the broker: %+v", n)
	}
}
