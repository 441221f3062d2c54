package main

import (
	"fmt"

	"github.com/tributary-cdc/tributary/test/oracle"
)

// What a check needs at least to say anything.
const (
	wantTxns  = 2000
	wantKills = 10
	wantPolls = 200 // of each store
)

// result is the one object that -check prints.
type result struct {
	Seed         uint64  `json:"seed"`
	Transactions int64   `json:"transactions"`
	Kills        int     `json:"kills"` // that ended a live process
	MissedKills  int     `json:"missed_kills"`
	P50          float64 `json:"lag_p50_ms"`
	P99          float64 `json:"lag_p99_ms"`
	oracle.Verdict
}

// failures says why the check has failed; none if it hasn't.
func (r *result) failures() (why []string) {
	for _, f := range []struct {
		n    int
		what string
	}{
		{r.Lost, "rows lost"}, {r.Doubled, "rows doubled"}, {r.Half, "half transactions seen"}, {r.OutOfOrder, "batches out of order"},
		{r.Gaps, "gaps"}, {r.MissedKills, "kills hit no live process"}, {len(r.Empty), "tables were empty"},
	} {
		if f.n > 0 {
			why = append(why, fmt.Sprintf("%d %s", f.n, f.what))
		}
	}
	for _, f := range []struct {
		n, want int64
		what    string
	}{
		{r.Transactions, wantTxns, "transactions"}, {int64(r.Kills), wantKills, "kills"}, {int64(r.Polls), wantPolls, "polls of a store"}, {int64(r.Rows), 1, "rows compared"},
	} {
		if f.n < f.want {
			why = append(why, fmt.Sprintf("%d %s, at least %d are wanted", f.n, f.what, f.want))
		}
	}
	return why
}
