package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/tributary-cdc/tributary/stream/log"
)

// GroupOptions tunes a Group. Name and Topics are required.
type GroupOptions struct {
	// Name is the group's id at the broker. All members that share the work have the same.
	Name string
	// Scope names what the members work for, e.g. a store's identity. While the group
	// has members of another scope, Run fails with GroupOtherStore. Default empty.
	Scope string
	// Topics whose partitions are shared. Those that don't exist yet are taken in when
	// they appear, and so are further partitions.
	Topics []string
	// Session is the time without a heartbeat after which a member counts as dead; it
	// bounds how long its partitions are left alone. Default 6s, which is the least
	// that brokers allow by default (group.min.session.timeout.ms).
	Session time.Duration
	// Heartbeat is the time between two heartbeats, and with it until a member hears
	// that the group changes. One small request each. Default 500ms.
	Heartbeat time.Duration
	// Watch is the time between two looks for new topics and partitions. Default 2s.
	Watch time.Duration
	// Holding tells what this member has now: it keeps that as far as the shares allow.
	// It is called at each join. Default nothing.
	Holding func() []log.Partition
	// Logger gets what is tried again. Default none.
	Logger *slog.Logger
}

// Codes of a GroupError.
const (
	GroupOtherStore = "GROUP_OTHER_STORE" // the group has members of another scope
	GroupRefused    = "GROUP_REFUSED"     // the broker doesn't allow the group or its session timeout
)

// GroupError is a refusal that only a person can resolve.
type GroupError struct {
	Group string
	Code  string
	Err   error // the broker's answer
}

// Error names the group and the code.
func (e *GroupError) Error() string {
	return fmt.Sprintf("join group %s: %v [%s]", e.Group, e.Err, e.Code)
}

// Unwrap returns the broker's answer.
func (e *GroupError) Unwrap() error { return e.Err }

// Group is this process's membership in a consumer group. It spreads partitions; it
// doesn't guard them: whoever was assigned one may still be at work when the next one
// begins, so what is done to a partition must be fenced elsewhere.
type Group struct {
	c *Client
	o GroupOptions
}

// Generation is what the group gave this member until the next change.
type Generation struct {
	ID         int32
	Partitions []log.Partition // in order
	raw        *kafkago.Generation
}

// Commit tells the broker where this member is, for tools that show lag. Nothing is
// read back from it: a failure is harmless.
func (g *Generation) Commit(next map[log.Partition]log.Offset) error {
	offsets := map[string]map[int]int64{}
	for p, o := range next {
		if !slices.Contains(g.Partitions, p) {
			continue
		}
		if offsets[p.Topic] == nil {
			offsets[p.Topic] = map[int]int64{}
		}
		offsets[p.Topic][int(p.Index)] = int64(o)
	}
	if err := g.raw.CommitOffsets(offsets); err != nil {
		return fmt.Errorf("commit offsets of group %s: %w", g.raw.GroupID, classify(err))
	}
	return nil
}

// Group checks the options. It joins with Run.
func (c *Client) Group(o GroupOptions) (*Group, error) {
	if o.Name == "" || len(o.Topics) == 0 {
		return nil, errors.New("kafka group options: Name and Topics must be set")
	}
	for _, d := range []struct {
		v         *time.Duration
		name      string
		otherwise time.Duration
	}{{&o.Session, "Session", 6 * time.Second}, {&o.Heartbeat, "Heartbeat", 500 * time.Millisecond}, {&o.Watch, "Watch", 2 * time.Second}} {
		if *d.v == 0 {
			*d.v = d.otherwise
		}
		if *d.v < 0 {
			return nil, fmt.Errorf("kafka group options: %s %s is negative", d.name, *d.v)
		}
	}
	if o.Heartbeat > o.Session/3 {
		return nil, fmt.Errorf("kafka group options: Heartbeat %s is more than a third of Session %s", o.Heartbeat, o.Session)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Group{c: c, o: o}, nil
}

// Run is a member of the group until ctx ends; then it leaves, and returns nil. For
// each generation it calls f, whose context ends with the generation or with ctx.
// The member joins the next generation, or leaves, after f has returned. If f returns
// before its context ends, the member joins again at once.
func (g *Group) Run(ctx context.Context, f func(context.Context, *Generation)) error {
	for ctx.Err() == nil {
		topics := g.awaitTopics(ctx)
		if len(topics) == 0 {
			return nil
		}
		if err := g.belong(ctx, topics, f); err != nil {
			return err
		}
	}
	return nil
}

// layout is the number of partitions of each topic that exists.
type layout map[string]int

// look asks for the layout of the group's topics. A missing answer is an error, not
// a missing topic.
func (g *Group) look(ctx context.Context) (layout, error) {
	rctx, cancel := g.c.bounded(ctx, 0)
	defer cancel()
	res, err := g.c.raw.Metadata(rctx, &kafkago.MetadataRequest{Topics: g.o.Topics})
	if err == nil && len(res.Brokers) == 0 {
		err = log.ErrUnavailable
	}
	if err != nil {
		return nil, fmt.Errorf("look for the topics of group %s: %w", g.o.Name, classify(err))
	}
	found := layout{}
	for _, t := range res.Topics {
		if t.Error == nil && len(t.Partitions) > 0 {
			found[t.Name] = len(t.Partitions)
		}
	}
	return found, nil
}

// awaitTopics blocks until at least one of the topics exists. The library's group
// would make missing ones itself, with the broker's defaults, and assign nothing at
// all until they are there. It returns none once ctx ends.
func (g *Group) awaitTopics(ctx context.Context) layout {
	for {
		found, err := g.look(ctx)
		if len(found) > 0 {
			return found
		}
		switch {
		case ctx.Err() != nil:
		case err != nil:
			g.o.Logger.Warn("the group's topics can't be seen, looking again", "group", g.o.Name, "err", err)
		default:
			g.o.Logger.Info("no topic of the group is there yet", "group", g.o.Name)
		}
		if !sleep(ctx, jitter(g.o.Watch)) {
			return nil
		}
	}
}

// watch blocks until the layout isn't known's any more (true) or ctx ends (false).
func (g *Group) watch(ctx context.Context, known layout) bool {
	for sleep(ctx, g.o.Watch) {
		if found, err := g.look(ctx); err == nil && !maps.Equal(found, known) {
			g.o.Logger.Info("topics have changed, joining again", "group", g.o.Name)
			return true
		}
	}
	return false
}

// belong is one membership, as long as the topics stay as they are.
func (g *Group) belong(ctx context.Context, known layout, f func(context.Context, *Generation)) error {
	life, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	group, err := kafkago.NewConsumerGroup(g.config(life, slices.Sorted(maps.Keys(known))))
	if err != nil {
		return fmt.Errorf("join group %s: %w", g.o.Name, err)
	}
	defer leave(group, cut)
	current, changed := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		if g.watch(current, known) {
			changed()
		}
	})
	defer watching.Wait()
	defer changed()
	for attempts := 1; ; attempts++ {
		raw, err := group.Next(current)
		switch {
		case current.Err() != nil:
			return nil
		case err == nil:
			attempts = 0
			g.generation(current, raw, f)
		case errors.Is(err, kafkago.RebalanceInProgress):
		default:
			if err := g.refusal(err); err != nil {
				return err
			}
			if attempts&(attempts-1) == 0 { // the 1st, 2nd, 4th, 8th: a broker may be away for long
				g.o.Logger.Warn("group interrupted, joining again", "group", g.o.Name, "attempts", attempts, "err", err)
			}
		}
	}
}

// generation calls f, and ends the generation if f ends it.
func (g *Group) generation(ctx context.Context, raw *kafkago.Generation, f func(context.Context, *Generation)) {
	gen := &Generation{ID: raw.ID, raw: raw}
	for topic, parts := range raw.Assignments {
		for _, p := range parts {
			gen.Partitions = append(gen.Partitions, log.Partition{Topic: topic, Index: int32(p.ID)})
		}
	}
	slices.SortFunc(gen.Partitions, comparePartitions)
	g.o.Logger.Info("group assigned", "group", g.o.Name, "generation", gen.ID, "partitions", len(gen.Partitions))
	returned := make(chan struct{})
	raw.Start(func(ended context.Context) {
		fctx, cancel := context.WithCancel(ctx)
		defer context.AfterFunc(ended, cancel)()
		f(fctx, gen)
		cancel()
		close(returned)
		if ctx.Err() != nil { // leaving, not joining again
			<-ended.Done()
		}
	})
	<-returned
}

// refusal gives errors that won't pass by themselves their code.
func (g *Group) refusal(err error) error {
	switch {
	case errors.Is(err, kafkago.InconsistentGroupProtocol):
		return &GroupError{Group: g.o.Name, Code: GroupOtherStore, Err: err}
	case errors.Is(err, kafkago.GroupAuthorizationFailed), errors.Is(err, kafkago.InvalidSessionTimeout), errors.Is(err, kafkago.TopicAuthorizationFailed):
		return &GroupError{Group: g.o.Name, Code: GroupRefused, Err: err}
	}
	return nil
}
