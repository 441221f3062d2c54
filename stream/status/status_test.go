package status

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// memory is a log of one partition per topic, in memory.
type memory struct {
	mu      sync.Mutex
	batches map[log.Partition][]log.Batch
	puts    int
	fail    error
	hang    bool
}

func newMemory() *memory { return &memory{batches: map[log.Partition][]log.Batch{}} }

func (m *memory) set(fail error, hang bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail, m.hang = fail, hang
}

func (m *memory) written() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.puts
}

// PutAll implements putter.
func (m *memory) PutAll(ctx context.Context, p log.Partition, r *log.Records) error {
	m.mu.Lock()
	hang := m.hang
	m.mu.Unlock()
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.puts++
	base := log.Offset(0)
	if n := len(m.batches[p]); n > 0 {
		base = m.batches[p][n-1].Last + 1
	}
	m.batches[p] = append(m.batches[p], log.Batch{Base: base, Last: base + log.Offset(r.Count()) - 1, Count: r.Count(), Data: bytes.Clone(r.Data())})
	return nil
}

// truncate makes the topic anew, empty.
func (m *memory) truncate(p log.Partition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.batches[p] = nil
}

// partition reads one of them.
type partition struct {
	m *memory
	p log.Partition
}

// Bounds implements log.Fetcher.
func (f partition) Bounds(context.Context) (first, end log.Offset, err error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if b := f.m.batches[f.p]; len(b) > 0 {
		end = b[len(b)-1].Last + 1
	}
	return 0, end, f.m.fail
}

// Fetch implements log.Fetcher.
func (f partition) Fetch(ctx context.Context, from log.Offset, wait time.Duration) ([]log.Batch, error) {
	for deadline := time.Now().Add(wait); ; {
		_, end, err := f.Bounds(ctx)
		if err != nil {
			return nil, err
		}
		if from > end {
			return nil, log.ErrOffsetOutOfRange
		}
		f.m.mu.Lock()
		for i, b := range f.m.batches[f.p] {
			if b.Last >= from {
				defer f.m.mu.Unlock()
				return f.m.batches[f.p][i:], nil
			}
		}
		f.m.mu.Unlock()
		left := min(10*time.Millisecond, time.Until(deadline))
		if left <= 0 {
			return nil, nil
		}
		pause := time.NewTimer(left)
		select {
		case <-pause.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func topic(org string) log.Partition { return log.Partition{Topic: "tributary." + org + ".status"} }

func (m *memory) board(t *testing.T, maxBytes int, orgs ...string) *Board {
	t.Helper()
	o := BoardOptions{Fetcher: func(p log.Partition) log.Fetcher { return partition{m, p} }, MaxBytes: maxBytes}
	for _, org := range orgs {
		o.Topics = append(o.Topics, topic(org))
	}
	b, err := NewBoard(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestFollow: a topic that is added while the board runs is read, once.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		board := m.board(t, 0, "330106")
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { board.Run(ctx) })
		synctest.Wait()
		var r log.Records
		rec := Record{Kind: OfSource, Org: "330203", Source: "330203-xueji", State: "streaming"}
		value, err := rec.value()
		if err != nil {
			t.Fatal(err)
		}
		r.Add(rec.Key(), value)
		if err := m.PutAll(t.Context(), topic("330203"), &r); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			board.Follow(topic("330203"))
			board.Follow(topic("330106"))
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if got := board.Newest(); len(got) != 1 || got[0].Source != rec.Source || len(board.Readings()) != 2 || !board.Readings()[1].CaughtUp {
			t.Errorf("%d records, %+v", len(got), board.Readings())
		}
		cancel()
		running.Wait()
		board.Follow(topic("330108")) // nobody reads it any more
	})
}

// TestNobodySpeaksForAnother: what stands in an org's topic about another org, or about a
// source that isn't its own, isn't held.
func TestNobodySpeaksForAnother(t *testing.T) {
	m := newMemory()
	board := m.board(t, 0, "330106", "330203")
	board.o.Org = func(p log.Partition) string { return strings.Split(p.Topic, ".")[1] }
	for _, r := range []Record{
		{Kind: OfSource, Org: "330106", Source: "330106-xueji", State: "streaming"},
		{Kind: OfWorker, Org: "330106", Store: "city", Program: "w", State: "applying"},
		{Kind: OfSource, Org: "330203", Source: "330203-xueji", State: "gap"},
		{Kind: OfSource, Org: "330106", Source: "330203-xueji", State: "gap"},
		{Kind: OfStore, Org: "330106", Source: "3301060-xueji", Store: "city", State: "gap"},
		{Kind: OfWorker, Org: "330203", Store: "city", Program: "w", State: "failed"},
	} {
		value, err := r.value()
		if err != nil {
			t.Fatal(err)
		}
		board.take(topic("330106"), &log.Record{Key: r.Key(), Value: value})
	}
	if got := board.Records(); len(got) != 2 || board.Dropped() != 4 || got[0].Program != "w" || got[1].Source != "330106-xueji" {
		t.Errorf("%d dropped, held: %+v", board.Dropped(), got)
	}
	for _, r := range board.Readings() {
		if here := r.Topic == topic("330106").Topic; r.Forged.IsZero() == here || here && r.ForgedFor != "330203" {
			t.Errorf("%+v", r)
		}
	}
}

func TestRecordKeepsItsBounds(t *testing.T) {
	r := Record{Kind: OfStore, Source: "330106-xueji", Store: "city", Org: "330106", State: "gap", Error: strings.Repeat("学", maxText), Position: event.Position{Epoch: 7}}
	for i := range maxTables + 5 {
		r.Stopped = append(r.Stopped, Table{Table: fmt.Sprint("xueji.t", i), Code: "TABLE_NO_KEY", Reason: strings.Repeat("x", 3*maxText)})
	}
	before := len(r.Stopped[0].Reason)
	value, err := r.value()
	if err != nil || len(r.Stopped[0].Reason) != before {
		t.Fatal(err, "or the caller's text was cut")
	}
	got, err := Parse(r.Key(), value)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Error) > maxText+3 || !utf8.ValidString(got.Error) || len(got.Stopped) != maxTables || got.MoreStopped != 5 || got.Position != r.Position {
		t.Errorf("%d bytes of error, %d tables and %d more, position %s", len(got.Error), len(got.Stopped), got.MoreStopped, got.Position)
	}
	for name, tt := range map[string]struct{ key, value string }{
		"no JSON":        {string(r.Key()), "{"},
		"another key":    {"source\x00330106-xueji", string(value)},
		"another kind":   {"hub\x00a", `{"kind":"hub","source":"a"}`},
		"without source": {"source\x00", `{"kind":"source"}`},
	} {
		if _, err := Parse([]byte(tt.key), []byte(tt.value)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStale(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	r := Record{State: "streaming", Written: at, Within: 10}
	if r.Stale(at.Add(30*time.Second)) || !r.Stale(at.Add(31*time.Second)) {
		t.Error("dead after three times its silence")
	}
	if r.State = "stopped"; r.Stale(at.Add(time.Hour)) {
		t.Error("a program that said it stops is stale")
	}
}

// TestClockAhead: a program whose clock is ahead is taken for dead no later than others are.
func TestClockAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newMemory().board(t, 0, "330106")
		r := Record{Kind: OfSource, Org: "330106", Source: "330106-a", State: "streaming", Written: time.Now().Add(time.Hour), Within: 10}
		value, err := r.value()
		if err != nil {
			t.Fatal(err)
		}
		b.take(topic("330106"), &log.Record{Key: r.Key(), Value: value})
		<-time.After(29 * time.Second)
		if b.Newest()[0].Stale(time.Now()) {
			t.Error("it is taken for dead too early")
		}
		<-time.After(2 * time.Second)
		if !b.Newest()[0].Stale(time.Now()) {
			t.Error("it still seems alive")
		}
	})
}

// TestWriterAndBoard: a change of state is on the board at once, the rest within
// Every, what doesn't change within Within, and the last word is the stop.
func TestWriterAndBoard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		var mu sync.Mutex
		now := []Record{{Kind: OfSource, Org: "330106", Source: "330106-xueji", State: "starting"}, {Kind: OfSource, Org: "330108", Source: "330108-chengji", State: "streaming"}}
		set := func(f func(*Record)) {
			mu.Lock()
			defer mu.Unlock()
			f(&now[0])
		}
		w, err := NewWriter(WriterOptions{Log: m, Topic: topic, Now: func() []Record {
			mu.Lock()
			defer mu.Unlock()
			return append([]Record(nil), now...)
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { w.Run(ctx) })
		board := m.board(t, 0, "330106", "330108")
		watching, blind := context.WithCancel(t.Context())
		var reading sync.WaitGroup
		reading.Go(func() { board.Run(watching) })
		expect := func(what, state string, txns int64) {
			t.Helper()
			got := board.Records()
			if len(got) != 2 || got[0].Source != "330106-xueji" || got[0].State != state || got[0].Txns != txns {
				t.Fatalf("%s: %+v", what, got)
			}
		}
		pass := func(d time.Duration) { <-time.After(d); synctest.Wait() }
		pass(100 * time.Millisecond)
		expect("at the start", "starting", 0)

		set(func(r *Record) { r.State = "streaming" })
		w.Changed()
		pass(100 * time.Millisecond)
		expect("100 ms after a change of state", "streaming", 0)

		set(func(r *Record) { r.Txns = 5 })
		pass(2 * time.Second)
		expect("2 s after a transaction", "streaming", 5)

		puts := m.written()
		pass(8 * time.Second)
		if n := m.written() - puts; n > 3 {
			t.Errorf("%d writes in 8 s of nothing new", n)
		}
		for _, r := range board.Records() {
			if age := time.Since(r.Written); age > 10*time.Second || r.Stale(time.Now()) {
				t.Errorf("%s was written %s ago", r.Source, age)
			}
		}

		set(func(r *Record) { r.State = "stopped" })
		cancel()
		running.Wait()
		pass(100 * time.Millisecond)
		expect("after the stop", "stopped", 5)
		if got := board.Readings(); len(got) != 2 || !got[0].CaughtUp || got[0].Error != "" {
			t.Errorf("readings %+v", got)
		}
		blind()
		reading.Wait()
	})
}

// TestFailingWritesAreCounted: a log that refuses, or never answers, is logged once
// per change and counted, and what was missed is written afterwards.
func TestFailingWritesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		var out bytes.Buffer
		txns := int64(0)
		w, err := NewWriter(WriterOptions{Log: m, Topic: topic, Logger: slog.New(slog.NewTextHandler(&out, nil)), Now: func() []Record {
			txns++
			return []Record{{Kind: OfSource, Org: "330106", Source: "330106-xueji", State: "streaming", Txns: txns}}
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { w.Run(ctx) })
		pass := func(d time.Duration) { <-time.After(d); synctest.Wait() }
		m.set(errors.New("disk full"), false)
		pass(9 * time.Second)
		m.set(nil, true)
		pass(20 * time.Second)
		for range 10 {
			w.Changed() // never waits for the write that hangs
		}
		failed := w.Failed()
		if failed < 5 || strings.Count(out.String(), "aren't written") != 1 || !strings.Contains(out.String(), "disk full") {
			t.Errorf("%d failures counted, log:\n%s", failed, out.String())
		}
		m.set(nil, false)
		pass(10 * time.Second)
		if n := m.written(); n < 2 || strings.Count(out.String(), "written again") != 1 {
			t.Errorf("%d writes, log:\n%s", n, out.String())
		}
		cancel()
		running.Wait()
	})
}

// TestMissingTopic: a topic that nobody has made yet is told apart from one that can't be read,
// and from one that was there.
func TestMissingTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		board := m.board(t, 4000, "330106")
		ctx, cancel := context.WithCancel(t.Context())
		var reading sync.WaitGroup
		reading.Go(func() { board.Run(ctx) })
		for _, step := range []struct {
			err            error
			told, missing  bool
			readToItsEnd   bool
			whatItIsLikely string
		}{
			{log.ErrUnknownTopic, true, true, false, "not made yet"},
			{log.ErrUnavailable, true, false, false, "the log is away"},
			{log.ErrUnknownTopic, true, true, false, "still not made"},
			{nil, false, false, true, "made"},
			{log.ErrUnknownTopic, true, false, true, "deleted"},
		} {
			m.set(step.err, false)
			<-time.After(5 * time.Second)
			synctest.Wait()
			if r := board.Readings()[0]; (r.Error != "") != step.told || r.Missing != step.missing || r.CaughtUp != step.readToItsEnd {
				t.Errorf("%s: %+v", step.whatItIsLikely, r)
			}
		}
		cancel()
		reading.Wait()
	})
}

// TestBoardIsBounded: what goes beyond the limit is dropped and counted, an end and a
// new topic free the room, and a failing log is told.
func TestBoardIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, p := newMemory(), topic("330106")
		board := m.board(t, 4000, "330106")
		ctx, cancel := context.WithCancel(t.Context())
		var reading sync.WaitGroup
		reading.Go(func() { board.Run(ctx) })
		pass := func(d time.Duration) { <-time.After(d); synctest.Wait() }
		add := func(key, value []byte) {
			var r log.Records
			r.Add(key, value)
			if err := m.PutAll(ctx, p, &r); err != nil {
				t.Fatal(err)
			}
		}
		record := func(i, size int) {
			r := Record{Kind: OfSource, Org: "330106", Source: fmt.Sprintf("330106-%d", i), State: "failed", Error: strings.Repeat("x", size)}
			value, err := r.value()
			if err != nil {
				t.Fatal(err)
			}
			add(r.Key(), value)
		}
		for i := range 20 {
			record(i, 700)
		}
		add([]byte("noise"), []byte("{}"))
		pass(2 * time.Second)
		held := len(board.Records())
		if held < 2 || held > 5 || board.Dropped() != int64(20-held+1) {
			t.Fatalf("%d records are held, %d dropped", held, board.Dropped())
		}
		for range 3 {
			record(0, 600) // in place of the older one
		}
		add((&Record{Kind: OfSource, Source: "330106-1"}).Key(), nil)
		pass(2 * time.Second)
		if got := board.Records(); len(got) != held-1 || len(got[0].Error) != 600 {
			t.Errorf("%d records are held after one ended", len(got))
		}
		m.set(log.ErrUnavailable, false)
		pass(5 * time.Second)
		if got := board.Readings()[0]; !strings.Contains(got.Error, "unavailable") || len(board.Records()) != held-1 {
			t.Errorf("a log that is away: %+v, %d records", got, len(board.Records()))
		}
		m.set(nil, false)
		m.truncate(p)
		pass(5 * time.Second)
		record(7, 10)
		pass(5 * time.Second)
		if got := board.Records(); len(got) != 1 || got[0].Source != "330106-7" || board.Readings()[0].Error != "" {
			t.Errorf("after the topic was made anew: %+v, %+v", got, board.Readings())
		}
		cancel()
		reading.Wait()
	})
}
