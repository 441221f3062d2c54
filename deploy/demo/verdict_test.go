package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/test/oracle"
)

// TestVerdict: each finding alone fails a check, and so does a check that saw too little.
func TestVerdict(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*result)
		want   string
	}{
		"all is well":         {func(*result) {}, ""},
		"lost":                {func(r *result) { r.Lost = 1 }, "1 rows lost"},
		"doubled":             {func(r *result) { r.Doubled = 2 }, "2 rows doubled"},
		"half transaction":    {func(r *result) { r.Half = 1 }, "half transactions"},
		"out of order":        {func(r *result) { r.OutOfOrder = 1 }, "out of order"},
		"gap":                 {func(r *result) { r.Gaps = 1 }, "1 gaps"},
		"few transactions":    {func(r *result) { r.Transactions = 1999 }, "1999 transactions, at least 2000"},
		"few polls":           {func(r *result) { r.Polls = 199 }, "199 polls of a store, at least 200"},
		"a kill hit nothing":  {func(r *result) { r.MissedKills = 1 }, "1 kills hit no live process"},
		"few kills":           {func(r *result) { r.Kills = 9 }, "9 kills, at least 10"},
		"an empty table":      {func(r *result) { r.Empty = []string{"student"} }, "1 tables were empty"},
		"nothing to compare":  {func(r *result) { r.Rows = 0 }, "0 rows compared"},
		"two things are told": {func(r *result) { r.Lost, r.Half = 3, 4 }, "4 half"},
	} {
		r := result{Seed: 1, Transactions: 2000, Kills: 10, Verdict: oracle.Verdict{Polls: 200, Rows: 1}}
		tt.change(&r)
		got := strings.Join(r.failures(), "; ")
		if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// TestResultHasAllFields: the names that the README promises.
func TestResultHasAllFields(t *testing.T) {
	b, err := json.Marshal(result{})
	if err != nil {
		t.Fatal(err)
	}
	var have map[string]any
	if err := json.Unmarshal(b, &have); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"seed", "transactions", "rows", "lost", "doubled", "half_transactions", "out_of_order", "gaps", "polls", "kills", "missed_kills", "lag_p50_ms", "lag_p99_ms"} {
		if _, ok := have[name]; !ok {
			t.Errorf("%s is missing in %s", name, b)
		}
	}
}
