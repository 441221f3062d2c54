package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tributary-cdc/tributary/cmd/hub/alarm"
	"github.com/tributary-cdc/tributary/cmd/hub/watch"
	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/status"
)

// crowd is a hub's world with many sources, all well but the first.
type crowd struct {
	n     int
	until time.Time
}

func (crowd) Readings() []status.Reading { return []status.Reading{{Topic: "t", CaughtUp: true}} }

func (c crowd) Newest() (all []*status.Record) {
	left := 7200.0
	for i := range c.n {
		r := status.Record{Kind: status.OfSource, Org: "330106", Source: fmt.Sprintf("330106-source%d", i), State: "streaming", Position: event.Position{Epoch: 1, Place: event.Place{Offset: 9}}, Rows: 5, Bytes: 500, LogLeft: &left, LogHeld: 4096, Lag: status.Lag{SourceLog: &status.Figures{P99: 0.5, Count: 1}}, Written: time.Now(), Within: 100}
		w := r
		w.Kind, w.Store, w.State, w.Lag = status.OfStore, "city", "applying", status.Lag{LogStore: &status.Figures{P99: 1.25, Count: 1}, SourceStore: &status.Figures{P99: 1.5, Count: 1}}
		if i == 0 {
			r.State = "gap"
		}
		all = append(all, &r, &w)
	}
	return all
}

func (crowd) Orgs(context.Context, []string) ([]catalog.Org, error) {
	return []catalog.Org{{Code: "33", Path: "33/"}, {Code: "330106", Parent: "33", Path: "33/330106/"}}, nil
}

func (crowd) Registered(context.Context) ([]catalog.Registered, error) {
	return []catalog.Registered{{Source: "330106-source0", Org: "330106", Path: "33/330106/", Standing: catalog.Authoritative, Table: "a.b", Dataset: "student"}}, nil
}

func (c crowd) Complete(context.Context) ([]postgres.Complete, error) {
	return []postgres.Complete{{Dataset: "student", Source: "330106-source0", Until: &c.until}}, nil
}

func (crowd) Troubles(context.Context) ([]postgres.Trouble, error) {
	return []postgres.Trouble{{Source: "330106-source0", Keys: 3, Held: 4, Anomalies: 6}}, nil
}

// nothing is a store that none of the sources come into.
type nothing struct{}

func (nothing) Complete(context.Context) ([]postgres.Complete, error) { return nil, nil }
func (nothing) Troubles(context.Context) ([]postgres.Trouble, error)  { return nil, nil }

// TestHubMetrics: the figures of the pages, well-formed, and small enough for 10,000 sources
// in 10 MB; with TRIBUTARY_SCALE of them (make bench-tree) in less than a second.
func TestHubMetrics(t *testing.T) {
	n, scale := 300, os.Getenv("TRIBUTARY_SCALE")
	if scale != "" {
		var err error
		if n, err = strconv.Atoi(scale); err != nil {
			t.Fatal(err)
		}
	}
	c := crowd{n: n, until: time.Unix(1_800_000_000, 0)}
	w, err := watch.New(watch.Options{Board: c, Register: c, Stores: []watch.Store{{Name: "city", Viewer: c}, {Name: "other", Viewer: nothing{}, Orgs: []string{"3399"}}}})
	if err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	known := error(nil)
	reg.MustRegister(hubMetrics(w.Snapshot, func(context.Context) (map[alarm.Kind]int, error) { return map[alarm.Kind]int{alarm.Gap: 1}, known }))
	if got, err := reg.Gather(); err != nil || len(got) != 0 {
		t.Errorf("before the first look: %v, %v", got, err)
	}
	w.Ask(t.Context())
	w.Look()
	if scale == "" { // which takes minutes over many
		if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
			t.Errorf("%v, %v", problems, err)
		}
	}
	scrape := func() string {
		t.Helper()
		rec := httptest.NewRecorder()
		promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return rec.Body.String()
	}
	at := time.Now()
	body := scrape()
	if took := time.Since(at); scale != "" {
		if t.Logf("%d sources in %v, %d bytes", n, took.Round(time.Millisecond), len(body)); took > time.Second {
			t.Error("beyond a second")
		}
	}
	for _, line := range []string{`tributary_hub_source_tone{org="330106",source="330106-source0"} 3`, `tributary_hub_source_tone{org="330106",source="330106-source1"} 0`,
		`tributary_hub_store_quarantined_keys{org="330106",source="330106-source0",store="city"} 3`, `tributary_hub_store_behind_rows{org="330106",source="330106-source1",store="city"} 0`,
		`tributary_hub_source_log_left_seconds{org="330106",source="330106-source1"} 7200`, `tributary_hub_complete_until_timestamp_seconds{dataset="student",store="city"} 1.8e+09`,
		`tributary_hub_source_log_lag_seconds{org="330106",source="330106-source1"} 0.5`, `tributary_hub_store_log_lag_seconds{org="330106",source="330106-source1",store="city"} 1.25`,
		`tributary_hub_store_held_rows{org="330106",source="330106-source0",store="city"} 4`, `tributary_hub_store_anomalies{org="330106",source="330106-source0",store="city"} 6`,
		`tributary_hub_store_up{store="city"} 1`, `tributary_hub_alarms{kind="gap"} 1`, `tributary_hub_alarms{kind="lag"} 0`} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("there is no %s", line)
		}
	}
	for _, line := range []string{`tributary_hub_store_held_rows{org="330106",source="330106-source1"`, `source="330106-source1",store="other"`} {
		if strings.Contains(body, line) {
			t.Errorf("there is %s", line)
		}
	}
	if size := len(body) * 10_000 / n; size > 10<<20 {
		t.Errorf("10,000 sources take %d bytes", size)
	}
	known = errors.New("away")
	if strings.Contains(scrape(), "tributary_hub_alarms") {
		t.Error("alarms are counted that nobody knows")
	}
}

// TestOwnMachine: figures of all sources are for this machine's programs, and for no proxy that
// runs there.
func TestOwnMachine(t *testing.T) {
	h := ownMachine(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for name, tt := range map[string]struct {
		from, host, header string
		want               int
	}{
		"a program here":        {"127.0.0.1:5", "127.0.0.1:8060", "", http.StatusOK},
		"by IPv6":               {"[::1]:5", "[::1]:8060", "", http.StatusOK},
		"from elsewhere":        {"192.0.2.7:5", "127.0.0.1:8060", "", http.StatusForbidden},
		"under another name":    {"127.0.0.1:5", "hub.example", "", http.StatusForbidden},
		"a proxy":               {"127.0.0.1:5", "127.0.0.1:8060", "X-Forwarded-For", http.StatusForbidden},
		"a proxy by RFC 7239":   {"127.0.0.1:5", "127.0.0.1:8060", "Forwarded", http.StatusForbidden},
		"nothing of an address": {"", "127.0.0.1:8060", "", http.StatusForbidden},
	} {
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		if r.RemoteAddr, r.Host = tt.from, tt.host; tt.header != "" {
			r.Header.Set(tt.header, "192.0.2.7")
		}
		rec := httptest.NewRecorder()
		if h.ServeHTTP(rec, r); rec.Code != tt.want {
			t.Errorf("%s: %d, want %d", name, rec.Code, tt.want)
		}
	}
}
