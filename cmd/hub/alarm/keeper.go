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
	// Certificates gives the newest certificates of the agents that aren't shut out.
	Certificates(ctx context.Context) ([]Agent, error)
	// TakeMessage gives what a webhook is to be told next, nil for nothing, and notes it as
	// told; Untold takes that back.
	TakeMessage(ctx context.Context, webhook string) (*Message, error)
	Untold(ctx context.Context, webhook string, m *Message) error
}

// KeeperOptions says what a Keeper works with. Book and Watch are required.
type KeeperOptions struct {
	Book     Book
	Watch    func() *watch.Snapshot
	Rules    Rules
	Webhooks []Webhook
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
	bad   map[string]bool      // webhooks that don't take messages
	err   error
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
	return &Keeper{o: o, since: map[string]time.Time{}, bad: map[string]bool{}}, nil
}

// Run looks until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	tick := time.NewTicker(k.o.Every)
	defer tick.Stop()
	for {
		if err := k.Look(ctx); (err == nil) != (k.err == nil) && ctx.Err() == nil {
			k.o.Logger.Warn("alarms", "err", err)
			k.err = err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
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
		if s.At.Sub(at) >= k.o.Holds {
			held = append(held, a)
		}
	}
	k.since = fresh
	if err := k.o.Book.KeepAlarms(ctx, held); err != nil {
		return err
	}
	for i := range k.o.Webhooks {
		if err := k.tell(ctx, &k.o.Webhooks[i]); err != nil {
			return err
		}
	}
	return nil
}

// atOnce bounds the messages to one webhook in one look: robots refuse more than 20 a minute.
const atOnce = 1

// tell sends what a webhook is to be told. One that doesn't take it is tried again later.
func (k *Keeper) tell(ctx context.Context, h *Webhook) error {
	for range atOnce {
		m, err := k.o.Book.TakeMessage(ctx, h.Name)
		if err != nil || m == nil {
			return err
		}
		err = h.Post(ctx, k.o.Client, *m)
		if (err != nil) != k.bad[h.Name] {
			k.o.Logger.Warn("webhook", "webhook", h.Name, "err", err)
			k.bad[h.Name] = err != nil
		}
		if err != nil {
			return k.o.Book.Untold(context.WithoutCancel(ctx), h.Name, m)
		}
	}
	return nil
}
