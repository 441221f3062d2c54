package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/cmd/hub/desk"
	"github.com/tributary-cdc/tributary/cmd/hub/joined"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/stream/kafka"
)

// granted gives an agent that has joined a hub what the hub has granted: each source of
// its file that is among them gets its partition, its tables and their datasets from there, and
// the log its user, unless the file names one. The others leave the configuration, so that they
// hold up none; without any left there is an error. Those that are retired, and not let go of
// yet, are given back, also with an error. What was kept last counts, so that the agent starts
// while the hub is away.
func granted(c *config.Agent, l *slog.Logger) (m *joined.Member, retired []config.Source, err error) {
	if c.Joined == "" {
		return nil, nil, nil
	}
	if m, err = joined.Open(c.Joined); err != nil {
		return nil, nil, err
	}
	g, err := m.Granted()
	if err != nil {
		return nil, nil, err
	}
	if m.Org != c.Org {
		return nil, nil, refusal.New(refusal.Invalid, "SOURCE_NOT_GRANTED", "%s: %s, not %s", m.Agent, m.Org, c.Org)
	}
	if g.Log != nil {
		dir := c.Joined // connections are made while a certificate is renewed
		c.Log.Granted = &kafka.Login{Mechanism: g.Log.Mechanism, User: g.Log.User, Password: func() (string, error) {
			now, err := joined.Open(dir)
			if err != nil {
				return "", err
			}
			return now.LogPassword()
		}}
	}
	var own []config.Source
	for i := range c.Sources {
		s := &c.Sources[i]
		a := grantTo(s, c, g)
		switch {
		case a == nil:
			err = errors.Join(err, refusal.New(refusal.Unknown, "SOURCE_NOT_GRANTED", "%s-%s", c.Org, s.Name))
		case a.Retired != nil:
			err = errors.Join(err, refusal.New(refusal.Conflict, "SOURCE_RETIRED", "%s", a.Source))
			if a.LetGo == nil {
				retired = append(retired, *s)
			}
		default:
			own = append(own, *s)
		}
	}
	if c.Sources = own; len(own) == 0 {
		return m, retired, err
	}
	if err != nil {
		l.Warn("sources of the file that aren't this agent's are left out", "err", err)
	}
	return m, retired, nil
}

// takesWithin is how long after a hand-over an agent takes the source although the one before
// has just written: the hub has decided between them.
const takesWithin = time.Hour

// grantTo gives a source of the file what it was granted; nil for nothing.
func grantTo(s *config.Source, c *config.Agent, g *desk.Grants) *state.Assignment {
	id := c.Org + "-" + s.Name
	for i := range g.Sources {
		a := &g.Sources[i]
		if a.Source != id || a.Engine != s.Engine || a.Topic != kafka.Changes(c.Org) {
			continue
		}
		s.Partition, s.Tables, s.Datasets = a.Partition, nil, map[string]string{}
		s.Takes = a.HandedOver != nil && time.Since(*a.HandedOver) < takesWithin
		if a.Paused != nil {
			s.Paused = *a.Paused
		}
		c.Partitions = max(c.Partitions, int(a.Partition)+1)
		for table, dataset := range a.Tables {
			s.Tables = append(s.Tables, capture.Literal(table))
			s.Datasets[table] = dataset
		}
		other := func(pattern string) bool {
			table, _ := capture.Name(pattern) // checked
			return !capture.MatchesAs(s.Tables, table, strings.ToLower)
		}
		maps.DeleteFunc(s.Keys, func(pattern string, _ []string) bool { return other(pattern) })
		maps.DeleteFunc(s.Caps, func(pattern string, _ map[string]config.Cap) bool { return other(pattern) })
		return a
	}
	return nil
}

// How often an agent asks its hub for a new certificate and new assignments.
const (
	askHub     = 10 * time.Minute
	askHubSoon = 5 * time.Minute // after a failure
	// lookAtKept is how often it looks whether somebody else has fetched them.
	lookAtKept = time.Second
)

// keepMembership renews the certificate when it is time, and fetches what is granted,
// until ctx ends. What the hub has taken away, or paused, counts at once, also if tributary source fetch
// was told of it; new sources and tables count from the next start on.
func keepMembership(ctx context.Context, m *joined.Member, heard func(context.Context, *desk.Grants), l *slog.Logger) {
	tick := time.NewTicker(lookAtKept)
	defer tick.Stop()
	var next, kept time.Time
	for {
		if now := time.Now(); !now.Before(next) {
			next = now.Add(askHub)
			if err := atHub(ctx, m, l); err != nil && ctx.Err() == nil {
				next = now.Add(askHubSoon)
				l.Warn("hub", "hub", m.URL, "certificate_until", m.Expires.UTC(), "err", err)
			}
		}
		if at := m.Kept(); !at.Equal(kept) {
			if g, err := m.Granted(); err == nil { // else the hub's answer replaces it
				kept = at
				heard(ctx, g)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func atHub(ctx context.Context, m *joined.Member, l *slog.Logger) error {
	if err := m.Refresh(); err != nil { // a command may have renewed the certificate
		return err
	}
	var renewing error
	if m.Due() {
		if renewing = m.Renew(ctx); renewing == nil {
			l.Info("certificate renewed", "agent", m.Agent, "until", m.Expires.UTC())
		}
	}
	before, _ := m.Granted() // none yet, or forged: the hub's answer replaces it
	g, err := m.Fetch(ctx)
	if err == nil && before != nil && versions(g) != versions(before) {
		l.Info("the hub has other assignments; they count from the next start on", "agent", m.Agent)
	}
	return errors.Join(renewing, err)
}

// versions tells assignments apart.
func versions(g *desk.Grants) string {
	text := ""
	for _, s := range g.Sources {
		text += fmt.Sprintf("%s %d\n", s.Source, s.Version)
	}
	return text
}

// grantedOrders are the orders of an agent that has joined: tables are added by a proposal.
func grantedOrders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("order") == "add" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			_ = json.NewEncoder(w).Encode(map[string]any{"error": trouble{Code: "ADD_BY_PROPOSAL", Message: "the hub grants this agent its tables"}}) // the caller may have gone
			return
		}
		next.ServeHTTP(w, r)
	})
}
