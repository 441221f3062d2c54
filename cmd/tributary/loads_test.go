package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/pipeline"
	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/schema"
)

func someLoads() map[string][]snapshot.Progress {
	return map[string][]snapshot.Progress{"330106-xueji": {
		{Table: "xueji.done", Phase: snapshot.Loaded, Rows: 100, Estimate: 90},
		{Table: "xueji.student", Phase: snapshot.Loading, Rows: 1000, Estimate: 5000, Speed: 250, Left: 16},
		{Table: "xueji.score", Phase: snapshot.Waiting, Rows: 0, Estimate: 1000, Resumes: time.Date(2026, 9, 1, 22, 0, 0, 0, time.Local)},
		{Table: "xueji.part", Part: "1..9", Phase: snapshot.Paused, Rows: 4, Estimate: -1},
		{Table: "xueji.bad", Phase: snapshot.Failed, Rows: 5, Estimate: 50, Error: "permission denied"},
	}}
}

func TestLoadMetrics(t *testing.T) {
	c := loadMetrics(someLoads)
	reg := prometheus.NewRegistry()
	reg.MustRegister(c)
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	srv := httptest.NewServer(handler(answers{figures: []prometheus.Collector{c}}))
	defer srv.Close()
	res, err := srv.Client().Get(srv.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`load_rows_total{source="330106-xueji"} 1109`, `load_estimated_rows{source="330106-xueji"} 6000`, `load_rows_per_second{source="330106-xueji"} 250`,
		`load_left_seconds{source="330106-xueji"} 20`, `load_tables{phase="waiting",source="330106-xueji"} 1`, `load_tables{phase="failed",source="330106-xueji"} 1`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

// TestStatusOfLoads: the table says how far each load is, in both languages, and which
// tables were added; the JSON has the same.
func TestStatusOfLoads(t *testing.T) {
	r := report{Role: "agent", Name: "a1", Sources: []pipeline.Status{{Source: "330106-xueji", State: pipeline.Streaming}}, Loads: someLoads(),
		Added: map[string][]string{"330106-xueji": {"xueji.late", "xueji.later"}}}
	for lang, wants := range map[language][]string{
		english: {"load of xueji.student; about 5000 rows in all; 250 rows/s; 16s left", "load of xueji.score; about 1000 rows in all; goes on at 2026-09-01 22:00", "load of xueji.part [1..9]\n",
			"load of xueji.bad; about 50 rows in all; permission denied", "added: xueji.late, xueji.later", "waiting"},
		chinese: {"装载 xueji.student; 共约 5000 行; 250 行/秒; 预计还需 16s", "等待静默时段，2026-09-01 22:00", "另加的表：xueji.late, xueji.later"},
	} {
		var out bytes.Buffer
		if err := printStatus(&out, texts[lang], lang, []report{r}); err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !strings.Contains(out.String(), want) {
				t.Errorf("the status lacks %q:\n%s", want, out.String())
			}
		}
		if strings.Contains(out.String(), "xueji.done") {
			t.Error("a load that has ended well stands in the table")
		}
	}
	if r.well() {
		t.Error("a failed load is well")
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"added_tables":{"330106-xueji":["xueji.late","xueji.later"]}`, `"rows_per_second":250,"seconds_left":16`, `"phase":"waiting"`, `"part":"1..9"`, `"resumes_at":"2026-09-01T22:00:00`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the JSON lacks %s", want)
		}
	}
}

// TestRefusals gives each trouble of an order its place in HTTP and its code.
func TestRefusals(t *testing.T) {
	for _, tt := range []struct {
		err    error
		status int
		code   string
	}{
		{snapshot.ErrBusy, http.StatusConflict, "LOAD_REFUSED"}, {snapshot.ErrStopped, http.StatusConflict, "LOAD_REFUSED"}, {snapshot.ErrCaptured, http.StatusConflict, "LOAD_REFUSED"},
		{snapshot.ErrNotAdded, http.StatusConflict, "LOAD_REFUSED"}, {snapshot.ErrIncomplete, http.StatusConflict, "LOAD_REFUSED"}, {snapshot.ErrFixed, http.StatusConflict, "LOAD_REFUSED"},
		{snapshot.ErrBadBounds, http.StatusBadRequest, "RANGE_INVALID"},
		{snapshot.ErrUnknown, http.StatusNotFound, "LOAD_UNKNOWN"}, {snapshot.ErrNotCaptured, http.StatusNotFound, "LOAD_UNKNOWN"}, {snapshot.ErrTable, http.StatusNotFound, "LOAD_UNKNOWN"},
		{capture.ErrConnection, http.StatusServiceUnavailable, "SOURCE_UNREACHABLE"},
		{&capture.Coded{Code: "PG_PUBLICATION", Hint: "ALTER PUBLICATION p ADD TABLE t", Err: capture.ErrAccess}, http.StatusConflict, "PG_PUBLICATION"},
	} {
		status, got := refusedOrder(fmt.Errorf("table d.t: %w", tt.err))
		if status != tt.status || got.Code != tt.code || !strings.HasPrefix(got.Message, "table d.t: ") {
			t.Errorf("%v: %d, %+v; want %d, %s", tt.err, status, got, tt.status, tt.code)
		}
	}
}

// TestOrderIsExplained: a person sees the agent's words, the code once, and the statement
// for a DBA; bounds that can't be read never leave the program.
func TestOrderIsExplained(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/reread") {
			_ = json.NewEncoder(w).Encode(map[string]any{"data": given{Durable: r.URL.Query().Get("where_key") == "a..b"}}) // the test sees
			return
		}
		status, refused := refusedOrder(&capture.Coded{Code: "PG_PUBLICATION", Hint: "ALTER PUBLICATION p ADD TABLE t", Err: errors.New("must be owner")})
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": refused}) // the test sees
	}))
	defer srv.Close()
	for name, tt := range map[string]struct {
		args []string
		code int
		want string
	}{
		"refused":      {[]string{"add", "s", "d.t"}, exitFailed, "ALTER PUBLICATION p ADD TABLE t"},
		"in the log":   {[]string{"reread", "s", "d.t", "--where-key", "a..b"}, 0, "tributary status shows how far it is"},
		"not yet":      {[]string{"reread", "s", "d.t"}, 0, "the log doesn't have it yet"},
		"no bounds":    {[]string{"reread", "s", "d.t", "--where-key", "a"}, exitUsage, "--where-key"},
		"empty bounds": {[]string{"reread", "s", "d.t", "--where-key", ""}, exitUsage, "--where-key"},
		"no part":      {[]string{"reread", "s", "d.t", "--keep-missing"}, exitUsage, "--keep-missing"},
	} {
		var out, trouble bytes.Buffer
		if code := run(append([]string{"--lang=en", "table", "--agent", srv.URL}, tt.args...), &out, &trouble); code != tt.code || !strings.Contains(out.String()+trouble.String(), tt.want) {
			t.Errorf("%s: %d, %s%s; want %d, %q", name, code, out.String(), trouble.String(), tt.code, tt.want)
		}
		if strings.Count(trouble.String(), "[PG_PUBLICATION]") > 2 {
			t.Errorf("%s: the code stands there again and again: %s", name, trouble.String())
		}
	}
}

// TestDurableGivesUp: an answer doesn't wait for a log that doesn't come.
func TestDurableGivesUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l, err := snapshot.New(snapshot.Options{Reader: nobody{}, Open: func(context.Context) (snapshot.Source, error) { return single{}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // a fake has nothing to lose
	if _, err := l.Start(t.Context(), capture.Resume{}); err != nil {
		t.Fatal(err)
	}
	if err := l.Load(t.Context(), "d.t"); err != nil {
		t.Fatal(err)
	}
	if (loading{Loader: l}).durable(ctx, "d.t") {
		t.Error("an order without a place in the log is said to be durable")
	}
}

// single is a source that has one table.
type single struct{ snapshot.Source }

func (single) Tables(context.Context) ([]snapshot.Table, error) {
	return []snapshot.Table{{ID: "d.t", Schema: &schema.Table{Database: "d", Name: "t", Dataset: "t"}}}, nil
}

func (single) Close() error { return nil }

// nobody is a reader that nobody reads.
type nobody struct{ capture.Reader }

func (nobody) Start(context.Context, capture.Resume) (uint32, error) { return 1, nil }
func (nobody) Close() error                                          { return nil }
