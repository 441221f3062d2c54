package main

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tributary-cdc/tributary/capture/pipeline"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

func TestMetrics(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	agent := agentMetrics(func() []pipeline.Status {
		return []pipeline.Status{{Source: "330106-xueji", State: pipeline.Streaming, Txns: 3, Rows: 9, Bytes: 700, Committed: at, Logged: at.Add(250 * time.Millisecond),
			Stopped: []event.TableStop{{Table: "xueji.a"}}}, {Source: "330106-idle", State: pipeline.Starting}}
	})
	store := workerMetrics(func() (map[string]worker.SourceStatus, worker.Counts) {
		return map[string]worker.SourceStatus{"330106-xueji": {Txns: 2, Rows: 5, Skipped: 1, Gap: "ROW_COUNT", LeftOut: map[string][]string{"xueji.a": {"x", "y"}}, Halts: []worker.Halt{{Rows: 3}, {Rows: 4}, {Reread: true}}, Committed: at, Logged: at.Add(750 * time.Millisecond), At: at.Add(time.Second)}}, worker.Counts{Fenced: 4}
	})
	for name, tt := range map[string]struct {
		c    collector
		want []string
	}{
		"agent": {agent, []string{`tributary_source_rows_total{source="330106-xueji"} 9`, `tributary_source_log_lag_seconds{source="330106-xueji"} 0.25`,
			`tributary_source_state{source="330106-xueji",state="streaming"} 1`, `tributary_source_stopped_tables{source="330106-xueji"} 1`}},
		"worker": {store, []string{`tributary_store_gap{source="330106-xueji"} 1`, `tributary_store_lag_seconds{source="330106-xueji"} 1`, `tributary_store_log_lag_seconds{source="330106-xueji"} 0.25`,
			`tributary_store_skipped_rows_total{source="330106-xueji"} 1`, `tributary_store_halted_tables{source="330106-xueji"} 3`, `tributary_store_held_rows{source="330106-xueji"} 7`,
			`tributary_store_reread_tables{source="330106-xueji"} 1`, `tributary_store_left_out_columns{source="330106-xueji"} 2`, `tributary_log_records_set_aside_total{reason="fenced"} 4`}},
	} {
		reg := prometheus.NewRegistry()
		reg.MustRegister(tt.c)
		if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
			t.Errorf("%s: %v, %v", name, problems, err)
		}
		srv := httptest.NewServer(handler(answers{figures: []prometheus.Collector{tt.c}}))
		resp, err := srv.Client().Get(srv.URL + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if cerr := resp.Body.Close(); err != nil || cerr != nil {
			t.Fatal(err, cerr)
		}
		srv.Close()
		for _, want := range tt.want {
			if !strings.Contains(string(b), want) {
				t.Errorf("%s lacks %s:\n%s", name, want, b)
			}
		}
		if strings.Contains(string(b), `lag_seconds{source="330106-idle"}`) {
			t.Errorf("%s gives a lag before the first transaction", name)
		}
	}
}
