package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// watch shows what flows until ctx ends.
func watch(ctx context.Context, s *system) error {
	working, done := context.WithCancel(ctx)
	var pretending sync.WaitGroup
	defer pretending.Wait()
	defer done()
	pretending.Go(func() { s.simulation.run(working) })
	finished := make(chan error, 1)
	go func() { finished <- s.work(working) }()
	s.hints(os.Stdout)
	out := screen{out: os.Stdout, live: terminal(os.Stdout)}
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return <-finished
		case err := <-finished:
			return errors.Join(errors.New("the workload has ended"), err)
		case <-tick.C:
		}
		lines := s.table(ctx)
		if ctx.Err() == nil {
			out.show(lines)
		}
	}
}

// heads are the table's columns.
var heads = []string{"源 source", "库 store", "已提交 committed", "入日志 in log", "已入库 applied", "p50 ms", "p99 ms", "状态 state"}

// table gives a line per source and store: transactions at each stage, the lag of the
// last minute by the row's own clock, and the state.
func (s *system) table(ctx context.Context) [][]string {
	workers := map[string]said{}
	for _, st := range s.stores {
		workers[st.name] = ask(ctx, s.workers[st.name])
	}
	lines := [][]string{heads}
	for _, d := range s.districts {
		agent := ask(ctx, s.agents[d.ID[:6]])
		logged, reading := agent.logged(d.ID)
		committed := d.Txns.Load()
		for _, st := range s.stores {
			w := workers[st.name]
			applied, state := w.applied(d.ID)
			if reading != "streaming" {
				state = reading
			}
			p50, p99 := "-", "-"
			if a, b, err := lag(ctx, st.db, d.ID); err == nil {
				p50, p99 = fmt.Sprintf("%.1f", a), fmt.Sprintf("%.1f", b)
			}
			lines = append(lines, []string{d.ID, st.name, fmt.Sprint(committed), logged, applied, p50, p99, state})
		}
	}
	return lines
}

// said is what an agent or a worker answers about itself.
type said struct {
	Sources []struct {
		Source string `json:"source"`
		State  string `json:"state"`
		Txns   int64  `json:"transactions"`
	} `json:"sources"`
	Applied []struct {
		Source    string `json:"source"`
		Txns      int64  `json:"transactions"`
		Gap       string `json:"gap"`
		Partition string `json:"partition"`
	} `json:"applied"`
	Partitions []struct {
		Partition string `json:"partition"`
		State     string `json:"state"`
	} `json:"partitions"`
}

// ask asks a program how it is; one that doesn't answer has said nothing.
func ask(ctx context.Context, address string) (s said) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/api/status", nil)
	if err != nil {
		return said{}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return said{}
	}
	defer func() { _ = res.Body.Close() }() // read only
	var answer struct {
		Data said `json:"data"`
	}
	if json.NewDecoder(res.Body).Decode(&answer) != nil {
		return said{}
	}
	return answer.Data
}

// logged gives a source's transactions in the log, and its state.
func (s *said) logged(source string) (txns, state string) {
	for _, x := range s.Sources {
		if x.Source == source {
			return fmt.Sprint(x.Txns), x.State
		}
	}
	return "-", "unreachable"
}

// applied gives a source's transactions in the store, and the state there.
func (s *said) applied(source string) (txns, state string) {
	for _, x := range s.Applied {
		if x.Source != source {
			continue
		}
		state = "waiting"
		for _, p := range s.Partitions {
			if p.Partition == x.Partition {
				state = p.State
			}
		}
		if x.Gap != "" {
			state = "gap"
		}
		return fmt.Sprint(x.Txns), state
	}
	return "-", "unreachable"
}

// lag gives percentiles of the time from the source's clock in a row to the store's, in
// milliseconds, of the rows that came in the last minute.
func lag(ctx context.Context, store *sql.DB, source string) (p50, p99 float64, err error) {
	table := "student"
	if strings.HasSuffix(source, "-chengji") {
		table = "score"
	}
	err = store.QueryRowContext(ctx, `SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY l), percentile_cont(0.99) WITHIN GROUP (ORDER BY l)
		FROM (SELECT extract(epoch FROM _applied_at - changed AT TIME ZONE 'UTC') * 1000 l FROM ods.`+table+`
		WHERE _source = $1 AND _op IN ('c', 'u') AND _applied_at > now() - interval '1 minute') x HAVING count(*) > 0`, source).Scan(&p50, &p99)
	return p50, p99, err
}
