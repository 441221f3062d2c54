package alarm

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/watch"
)

// Book is where alarms and messages are kept: a state.State.
type Book interface {
	// KeepAlarms notes what was found now.
	KeepAlarms(ctx context.Context, found []Alarm) error
	// Certificates gives the agents that aren't shut out.
	Certificates(ctx context.Context) ([]Agent, error)
	// TakeMessage gives what a webhook is to be told next, nil for nothing, for long enough to
	// send it. Told notes that it was taken, Untold gives it back; after neither it is given
	// again.
	TakeMessage(ctx context.Context, webhook string) (*Message, error)
	Told(ctx context.Context, webhook string, m *Message) error
	Untold(ctx context.Context, webhook string, m *Message) error
	// DueReport gives the report of a shift that a webhook or a mail server hasn't been sent
	// yet, nil if it has, in the same way; SentReport notes it, UnsentReport gives it back.
	DueReport(ctx context.Context, to string, from, until time.Time) (*Report, error)
	SentReport(ctx context.Context, to string, until time.Time) error
	UnsentReport(ctx context.Context, to string, until time.Time) error
}

// channel is where messages and reports go. Calls block until they are taken or refused.
type channel interface {
	ID() string
	Tell(ctx context.Context, m Message) error
	Report(ctx context.Context, r *Report) error
}

// KeeperOptions says what a Keeper works with. Book and Watch are required.
type KeeperOptions struct {
	Book     Book
	Watch    func() *watch.Snapshot
	Rules    Rules
	Webhooks []Webhook
	Mails    []Mail
	// Shifts are when reports are sent.
	Shifts Shifts
	// Every is the pause between two looks. Default 5s.
	Every time.Duration
	// Holds is how long something must be found before it is an alarm. Default 15s.
	Holds time.Duration
	// Client sends messages. Default one with a timeout of 10s.
	Client *http.Client
	Logger *slog.Logger
}

// Keeper looks for alarms, has them kept, and sends messages about them.
type Keeper struct {
	o     KeeperOptions
	since map[string]time.Time // when each was first found
	to    []channel
	bad   map[string]bool // channels that don't take what they are sent
}

// NewKeeper checks the options. It starts nothing.
func NewKeeper(o KeeperOptions) (*Keeper, error) {
	if o.Book == nil || o.Watch == nil {
		return nil, errors.New("alarm keeper options: Book and Watch must be set")
	}
	if o.Every == 0 {
		o.Every = 5 * time.Second
	}
	if o.Holds == 0 {
		o.Holds = 15 * time.Second
	}
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 10 * time.Second}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	k := &Keeper{o: o, since: map[string]time.Time{}, bad: map[string]bool{}}
	for i := range o.Webhooks {
		k.to = append(k.to, robot{&o.Webhooks[i], o.Client})
	}
	for i := range o.Mails {
		k.to = append(k.to, &o.Mails[i])
	}
	return k, nil
}

// Run looks until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	watch.Repeat(ctx, k.o.Every, k.o.Logger, "alarms", k.Look)
}

// Look finds alarms, keeps those that have held for long enough, and sends what is to be told.
// Before the states have been read to their end nothing is known.
func (k *Keeper) Look(ctx context.Context) error {
	s := k.o.Watch()
	if !s.Ready {
		return nil
	}
	agents, err := k.o.Book.Certificates(ctx)
	if err != nil {
		return err
	}
	var held []Alarm
	fresh := map[string]time.Time{}
	for _, a := range Find(s, agents, k.o.Rules) {
		key := string(a.Kind) + " " + a.Object
		at, ok := k.since[key]
		if !ok {
			at = s.At
		}
		fresh[key] = at
		if s.At.Sub(at) >= k.o.Holds || a.Kind == Forgery { // which is done, and doesn't come and go
			held = append(held, a)
		}
	}
	k.since = fresh
	if err := k.o.Book.KeepAlarms(ctx, held); err != nil {
		return err
	}
	for _, c := range k.to {
		if err := k.tell(ctx, c); err != nil {
			return err
		}
		if err := k.report(ctx, c, s.At); err != nil {
			return err
		}
	}
	return nil
}

// tell sends the next message, if there is one: robots refuse more than 20 a minute. What isn't
// taken is tried again later.
func (k *Keeper) tell(ctx context.Context, c channel) error {
	m, err := k.o.Book.TakeMessage(ctx, c.ID())
	if err != nil || m == nil {
		return err
	}
	told := *m
	told.At = m.At.In(k.zone())
	if err := c.Tell(ctx, told); k.note(c, err) {
		return k.o.Book.Untold(context.WithoutCancel(ctx), c.ID(), m)
	}
	return k.o.Book.Told(context.WithoutCancel(ctx), c.ID(), m)
}

// zone is that of the times in messages: that of the shifts.
func (k *Keeper) zone() *time.Location {
	if z := k.o.Shifts.Zone; z != nil {
		return z
	}
	return time.Local
}

// reportWithin is how long after the end of a shift its report is still sent.
const reportWithin = 2 * time.Hour

// report sends the report of the shift that has ended, once.
func (k *Keeper) report(ctx context.Context, c channel, now time.Time) error {
	from, until := k.o.Shifts.Last(now)
	if now.Sub(until) > reportWithin {
		return nil
	}
	r, err := k.o.Book.DueReport(ctx, c.ID(), from, until)
	if err != nil || r == nil {
		return err
	}
	if err := c.Report(ctx, r); k.note(c, err) {
		return k.o.Book.UnsentReport(context.WithoutCancel(ctx), c.ID(), until)
	}
	return k.o.Book.SentReport(context.WithoutCancel(ctx), c.ID(), until)
}

// note logs when a channel begins or ceases to refuse, and says whether it refuses.
func (k *Keeper) note(c channel, err error) bool {
	if (err != nil) != k.bad[c.ID()] {
		k.o.Logger.Warn("message", "to", c.ID(), "err", err)
		k.bad[c.ID()] = err != nil
	}
	return err != nil
}
