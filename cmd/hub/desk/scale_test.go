package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/cmd/hub/watch"
	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/status"
	"github.com/tributary-cdc/tributary/test/servers"
)

// tide is the status topic of an org whose sources all have something new every two seconds,
// as often as programs write at most.
type tide struct {
	sources []string
	org     string
	begins  time.Duration
	said    *atomic.Int64
	at      log.Offset
	tick    int
	records log.Records // made once: what a test writes shall cost little
}

// Bounds implements log.Fetcher.
func (f *tide) Bounds(context.Context) (first, end log.Offset, err error) { return 0, f.at, nil }

// Fetch implements log.Fetcher.
func (f *tide) Fetch(ctx context.Context, from log.Offset, _ time.Duration) ([]log.Batch, error) {
	if f.tick > 0 {
		wait := 2 * time.Second
		if f.tick == 1 { // agents don't write in step
			wait = f.begins
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	f.tick++
	r := &f.records
	if f.tick > 1 {
		f.said.Add(int64(r.Count()))
		return f.batch(from), nil
	}
	for i, source := range f.sources {
		at := event.Position{Epoch: 1, Place: event.Place{Offset: uint64(f.tick * 1000)}}
		figures := &status.Figures{P50: 0.02, P99: 0.3, Max: 1, Count: 40}
		rec := status.Record{Kind: status.OfSource, Org: f.org, Source: source, Program: "agent-" + f.org, Version: "1.0", State: "streaming", Position: at, Committed: time.Now(), Logged: time.Now(),
			Txns: int64(f.tick * 40), Rows: int64(f.tick * 200), Lag: status.Lag{SourceLog: figures}, Written: time.Now(), Within: 3600}
		if i%50 == 7 {
			rec.State, rec.Code, rec.NeedsPerson = "gap", "BINLOG_PURGED", true
			rec.Error = strings.Repeat("binlog.000012 has been purged on the server. ", 5)
		}
		all := []status.Record{rec}
		for _, store := range []string{"city", "province"} {
			w := rec
			w.Kind, w.Store, w.State, w.Program, w.Lag = status.OfStore, store, "applying", "w-"+store, status.Lag{LogStore: figures, SourceStore: figures}
			all = append(all, w)
		}
		for k := range all {
			value, err := json.Marshal(all[k])
			if err != nil {
				return nil, err
			}
			r.Add(all[k].Key(), value)
			f.said.Add(1)
		}
	}
	return f.batch(from), nil
}

func (f *tide) batch(from log.Offset) []log.Batch {
	b := log.Batch{Base: from, Last: from + log.Offset(f.records.Count()) - 1, Count: f.records.Count(), Data: f.records.Data()}
	f.at = b.Last + 1
	return []log.Batch{b}
}

// testScale measures the tree page of a hub with many sources: the 95th percentile while 50
// pages are open, each of which asks every 5 s, and the memory of the whole process, its
// database apart. With TRIBUTARY_SCALE (make bench-tree) both are held to their bounds.
func testScale(t *testing.T, db servers.DB) {
	n, asks, pause := 200, 16, time.Millisecond
	scale := os.Getenv("TRIBUTARY_SCALE")
	if scale != "" {
		var err error
		if n, err = strconv.Atoi(scale); err != nil {
			t.Fatal(err)
		}
		asks, pause = 240, 100*time.Millisecond
	}
	r := newRig(t, db)
	const perOrg = 100
	file := "code,parent,name,kind\n"
	var feeds []catalog.Registered
	var complete []postgres.Complete
	said := &atomic.Int64{}
	fetchers, owner := map[log.Partition]log.Fetcher{}, map[log.Partition]string{}
	var topics []log.Partition
	for i := range (n + perOrg - 1) / perOrg {
		org := fmt.Sprintf("33%02d%04d", 1+i%2, i)
		file += fmt.Sprintf("%s,%s,区县 %d,district\n", org, []string{"3301", "3302"}[i%2], i)
		f := &tide{org: org, said: said, begins: time.Duration(i%20) * 100 * time.Millisecond}
		for k := range min(perOrg, n-i*perOrg) {
			id := fmt.Sprintf("%s-s%d", org, k)
			f.sources = append(f.sources, id)
			for d := range 5 {
				feeds = append(feeds, catalog.Registered{Source: id, Org: org, Path: "33/" + org[:4] + "/" + org + "/", Standing: catalog.Authoritative, Table: fmt.Sprint("t", d), Dataset: fmt.Sprint("d", d)})
				now := time.Now()
				complete = append(complete, postgres.Complete{Dataset: fmt.Sprint("d", d), Source: id, Until: &now})
			}
		}
		p := log.Partition{Topic: "tributary." + org + ".status"}
		topics, fetchers[p], owner[p] = append(topics, p), f, org
	}
	r.grow(file)
	followed, err := status.NewBoard(status.BoardOptions{Topics: topics, Fetcher: func(p log.Partition) log.Fetcher { return fetchers[p] }, Org: func(p log.Partition) string { return owner[p] }})
	if err != nil {
		t.Fatal(err)
	}
	shop := &board{complete: complete}
	w, err := watch.New(watch.Options{Board: followed, Register: grown{r.state, feeds}, Stores: []watch.Store{{Name: "city", Viewer: shop}, {Name: "province", Viewer: shop}}})
	if err != nil {
		t.Fatal(err)
	}
	r.desk.o.Watch = w.Snapshot
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { followed.Run(ctx) })
	running.Go(func() { w.Run(ctx) })
	diary, err := watch.NewHistorian(watch.HistorianOptions{Diary: r.state, Watch: w.Snapshot})
	if err != nil {
		t.Fatal(err)
	}
	running.Go(func() { diary.Run(ctx) })
	chronicler, err := watch.NewChronicler(watch.ChroniclerOptions{Chronicle: r.state, Watch: w.Snapshot})
	if err != nil {
		t.Fatal(err)
	}
	running.Go(func() { chronicler.Run(ctx) })
	defer func() { cancel(); running.Wait() }()
	c := r.person("viewer", account.Grant{Role: account.Viewer})
	for deadline := time.Now().Add(time.Minute); w.Snapshot().Tree(watch.Query{Scopes: []string{""}}).Found < n; {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d sources are there", w.Snapshot().Tree(watch.Query{Scopes: []string{""}}).Found, n)
		}
		runtime.Gosched()
	}
	paths := []string{"/tree", "/tree?page=100", "/tree?state=gap", "/tree?q=s42", "/tree?org=3301", "/tree?tone=good&page=7", "/complete", "/api/tree"}
	var mu sync.Mutex
	took := map[string][]time.Duration{}
	var all []time.Duration
	begun, before := time.Now(), said.Load()
	var readers sync.WaitGroup
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for i := range asks {
		<-tick.C
		readers.Go(func() {
			path := paths[i%len(paths)]
			at := time.Now()
			if status, body, _ := c.do(http.MethodGet, path, nil); status != http.StatusOK || len(body) < 1000 {
				t.Errorf("%s: %d", path, status)
			}
			d := time.Since(at)
			mu.Lock()
			defer mu.Unlock()
			took[path], all = append(took[path], d), append(all, d)
		})
	}
	readers.Wait()
	rate := float64(said.Load()-before) / time.Since(begun).Seconds()
	p95 := func(d []time.Duration) time.Duration {
		slices.Sort(d)
		return d[len(d)*95/100].Round(time.Millisecond)
	}
	for _, path := range paths {
		high := p95(took[path]) // sorts
		t.Logf("%-24s p50 %v, p95 %v", path, took[path][len(took[path])/2].Round(time.Millisecond), high)
	}
	kib := peak(t)
	t.Logf("%d sources, %.0f records/s, %d CPUs: p95 of all %v; peak memory of the process %d MiB", n, rate, runtime.NumCPU(), p95(all), kib>>10)
	if scale != "" && p95(all) > 200*time.Millisecond || scale != "" && kib > 512<<10 {
		t.Error("beyond 200 ms or 512 MiB")
	}
}

// grown is a register with sources beyond those of its database.
type grown struct {
	*state.State
	feeds []catalog.Registered
}

// Registered implements watch.Register.
func (g grown) Registered(context.Context) ([]catalog.Registered, error) { return g.feeds, nil }

// peak is the most memory that the process has had, in KiB.
func peak(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib
}

// grow puts orgs over the rig's tree.
func (r *rig) grow(file string) {
	r.t.Helper()
	entries, problems := catalog.ParseFile([]byte(file), false)
	if len(problems) > 0 {
		r.t.Fatal(problems)
	}
	if _, err := r.state.Import(r.t.Context(), state.By{Name: "root"}, entries); err != nil {
		r.t.Fatal(err)
	}
}
