package main

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/stream/event"
)

// bySchedule is who has asked for a verification that nobody has asked for.
const bySchedule = "schedule"

// lookForVerification is how often a schedule is looked at, at most; how long an order that
// was refused waits.
const lookForVerification = time.Minute

// verifies has a source's tables compared with the stores each time that is due, until ctx
// ends. When they were compared last is in the loader's state, so a restart changes nothing.
func (l loading) verifies(ctx context.Context, source string, s *config.Source, logger *slog.Logger) {
	v := &s.Verify
	if v.Every == 0 {
		return
	}
	var wanted func(string) bool
	if len(v.Tables) > 0 {
		wanted = func(table string) bool { return capture.Matches(v.Tables, patternName(event.Engine(s.Engine), table)) }
	}
	tick := time.NewTicker(min(lookForVerification, v.Every/4))
	defer tick.Stop()
	said := 0 // how many tables were refused
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !due(l.Progress(), v.Every, time.Now()) {
			continue
		}
		order := scheduled(s)
		ordered, refused, err := l.VerifyAll(ctx, order, wanted)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			logger.Warn("verification isn't ordered", "source", source, "err", err)
		case len(ordered) > 0 || len(refused) != said:
			said = len(refused)
			logger.Info("verification ordered", "source", source, "verification", order.ID, "tables", len(ordered), "refused", len(refused))
		}
	}
}

// scheduled is a source's next order.
func scheduled(s *config.Source) snapshot.Verification {
	v := newVerification(bySchedule, s.Verify.Repair)
	v.Without = map[string][]string{}
	for table, columns := range s.Verify.Without {
		if s.Database != "" { // which the configuration's names lack
			table = s.Database + "." + table
		}
		v.Without[table] = columns
	}
	return v
}

// due reports whether a source's tables are to be compared: nothing is being loaded or
// compared, and the last comparison, by whomever, began long enough ago.
func due(all []snapshot.Progress, every time.Duration, now time.Time) bool {
	var last time.Time
	for _, p := range all {
		if slices.Contains([]snapshot.Phase{snapshot.Queued, snapshot.Waiting, snapshot.Loading, snapshot.Verifying}, p.Phase) {
			return false
		}
		if p.Verify != "" && p.Begun.After(last) {
			last = p.Begun
		}
	}
	return now.Sub(last) >= every
}

// patternName is a table's name as patterns have it: they don't name PostgreSQL's database.
func patternName(engine event.Engine, table string) string {
	if _, rest, ok := strings.Cut(table, "."); ok && engine == event.Postgres {
		return rest
	}
	return table
}
