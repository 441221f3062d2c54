package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tributary-cdc/tributary/capture/pipeline"
	persons "github.com/tributary-cdc/tributary/capture/sample"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/stream/event"
)

// absentCode is that of a table which the hub has granted and the source doesn't have: it
// went, or was renamed, between the proposal and now.
const absentCode = "GRANTED_TABLE_MISSING"

const (
	// absentEvery is the time between two looks for granted tables.
	absentEvery = 10 * time.Minute
	// absentLimit bounds one.
	absentLimit = time.Minute
)

// absent knows which of the granted tables an agent's sources don't have.
type absent struct {
	l *slog.Logger

	mu sync.Mutex
	of map[string][]string // by source
}

// watch looks for a source's tables until ctx ends. changed is called when others are missing.
func (a *absent) watch(ctx context.Context, agent *config.Agent, s config.Source, changed func()) {
	id := agent.Org + "-" + s.Name
	tables := slices.Sorted(maps.Keys(s.Datasets))
	tick := time.NewTicker(absentEvery)
	defer tick.Stop()
	for {
		missing, err := missingTables(ctx, agent, s, tables)
		if err == nil && a.set(id, missing) { // a server that doesn't answer is the pipeline's to tell
			a.l.Warn("granted tables that the source lacks have changed", "source", id, "missing", missing)
			changed()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func missingTables(ctx context.Context, agent *config.Agent, s config.Source, tables []string) ([]string, error) {
	password, err := s.Password()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, absentLimit)
	defer cancel()
	o := preflightOptions(agent, s, password)
	return persons.Missing(ctx, persons.Options{MySQL: o.MySQL, Postgres: o.Postgres}, tables)
}

// set reports whether other tables are missing than before.
func (a *absent) set(source string, missing []string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if slices.Equal(a.of[source], missing) {
		return false
	}
	a.of[source] = missing
	return true
}

// over adds the missing tables to those that have stopped.
func (a *absent) over(statuses []pipeline.Status) []pipeline.Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range statuses {
		s := &statuses[i]
		for _, table := range a.of[s.Source] {
			s.Stopped = append(slices.Clip(s.Stopped), event.TableStop{Table: table, Code: absentCode, Reason: fmt.Sprintf("the hub has granted %s, and the source has no such table", table)})
		}
	}
	return statuses
}
