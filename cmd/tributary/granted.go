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
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/stream/kafka"
)

// granted gives an agent that has joined a hub what the hub has granted: each source of
// its file must be among them, and gets its partition, its tables and their datasets from
// there; and the log its user, unless the file names one. What was kept last counts, so that the
// agent starts while the hub is away.
func granted(c *config.Agent) (*joined.Member, error) {
	if c.Joined == "" {
		return nil, nil
	}
	m, err := joined.Open(c.Joined)
	if err != nil {
		return nil, err
	}
	g, err := m.Granted()
	if err != nil {
		return nil, err
	}
	if m.Org != c.Org {
		return nil, refusal.New(refusal.Invalid, "SOURCE_NOT_GRANTED", "%s: %s, not %s", m.Agent, m.Org, c.Org)
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
	for i := range c.Sources {
		if err := grantTo(&c.Sources[i], c, g); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// literal makes a pattern of a table's name that takes nothing else.
var literal = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`)

func grantTo(s *config.Source, c *config.Agent, g *desk.Grants) error {
	id := c.Org + "-" + s.Name
	for _, a := range g.Sources {
		if a.Source != id || a.Engine != s.Engine || a.Topic != kafka.Changes(c.Org) {
			continue
		}
		s.Partition, s.Tables, s.Datasets = a.Partition, nil, map[string]string{}
		c.Partitions = max(c.Partitions, int(a.Partition)+1)
		for table, dataset := range a.Tables {
			s.Tables = append(s.Tables, literal.Replace(table))
			s.Datasets[table] = dataset
		}
		maps.DeleteFunc(s.Keys, func(table string, _ []string) bool { return !capture.MatchesAs(s.Tables, table, strings.ToLower) })
		return nil
	}
	return refusal.New(refusal.Unknown, "SOURCE_NOT_GRANTED", "%s", id)
}

// How often an agent asks its hub for a new certificate and new assignments.
const (
	askHub     = time.Hour
	askHubSoon = 5 * time.Minute // after a failure
)

// keepMembership renews the certificate when it is time, and fetches what is granted,
// until ctx ends. New assignments count from the next start on.
func keepMembership(ctx context.Context, m *joined.Member, l *slog.Logger) {
	for wait := time.Duration(0); ; {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		wait = askHub
		if err := atHub(ctx, m, l); err != nil && ctx.Err() == nil {
			wait = askHubSoon
			l.Warn("hub", "hub", m.URL, "certificate_until", m.Expires.UTC(), "err", err)
		}
	}
}

func atHub(ctx context.Context, m *joined.Member, l *slog.Logger) error {
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
