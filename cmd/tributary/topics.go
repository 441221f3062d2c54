package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
)

// topicCheck holds the settings of orgs' topics against the promises while a worker
// runs. It only tells: to stop applying would bring the loss nearer that it warns of.
type topicCheck struct {
	client  *kafka.Client
	orgs    []string
	durable bool // two brokers must have a record
	changed func()
	log     *slog.Logger

	silent map[string]bool // orgs whose missing answer has been told

	mu    sync.Mutex
	found map[string]error
}

func newTopicCheck(client *kafka.Client, c *config.Worker, l *slog.Logger) *topicCheck {
	return &topicCheck{client: client, orgs: c.Orgs, durable: c.Log.Durability == config.Replicated, log: l, silent: map[string]bool{}, found: map[string]error{}}
}

const (
	// checkEvery is the time between two looks at the settings, which a person may change.
	checkEvery = 30 * time.Second
	// checkSoon is the same while an org hasn't been answered for.
	checkSoon = 3 * time.Second
)

// run looks until ctx ends.
func (t *topicCheck) run(ctx context.Context) {
	for {
		wait := checkEvery
		for _, org := range t.orgs {
			if !t.check(ctx, org) {
				wait = checkSoon
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// check looks at one org's topics, and tells whether there was an answer. What has been
// found stays until there is another one.
func (t *topicCheck) check(ctx context.Context, org string) bool {
	err := t.client.CheckTopics(ctx, org)
	if t.durable && (err == nil || errors.Is(err, log.ErrTopicConfig)) {
		err = errors.Join(err, t.client.CheckDurable(ctx, org))
	}
	if told(err) {
		err = errors.Join(err, t.client.CheckRetention(ctx, org))
	}
	if !told(err) {
		if ctx.Err() == nil && !t.silent[org] { // an account without DESCRIBE_CONFIGS, or topics that nobody has made yet
			t.silent[org] = true
			t.log.Info("the topics' settings can't be checked, looking again", "org", org, "code", log.CodeOf(err), "err", err)
		}
		return false
	}
	delete(t.silent, org)
	t.mu.Lock()
	before := t.found[org]
	t.found[org] = err
	t.mu.Unlock()
	if (err == nil) != (before == nil) {
		if err != nil {
			t.log.Warn("the topics' settings would break a promise", "org", org, "code", log.CodeOf(err), "err", err)
		}
		t.changed()
	}
	return true
}

// told reports whether an answer came, be it that something is wrong.
func told(err error) bool {
	return err == nil || errors.Is(err, log.ErrTopicConfig) || errors.Is(err, log.ErrNotDurable) || errors.Is(err, log.ErrSizeBound)
}

// of gives what is wrong with an org's topics; nil if nothing is known.
func (t *topicCheck) of(org string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.found[org]
}

// all gives what is wrong with any.
func (t *topicCheck) all() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []error
	for _, org := range t.orgs {
		all = append(all, t.found[org])
	}
	return errors.Join(all...)
}
