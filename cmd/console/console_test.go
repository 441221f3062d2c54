package console

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/cmd/internal/language"
	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/status"
)

// known is a board with what a test says.
type known struct {
	mu       sync.Mutex
	records  []status.Record
	readings []status.Reading
}

// Records implements board.
func (k *known) Records() []status.Record {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]status.Record(nil), k.records...)
}

// Readings implements board.
func (k *known) Readings() []status.Reading { return k.readings }

func (k *known) set(records ...status.Record) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.records = records
}

// shelf is a store with what a test says.
type shelf struct {
	recent []postgres.Recent
	traces []postgres.Trace
	err    error
	asked  []string // the last trace's table and key
}

// Recent implements store.
func (s *shelf) Recent(_ context.Context, _ int, topics []string) (found []postgres.Recent, _ error) {
	for _, r := range s.recent {
		if topic, _, _ := strings.Cut(r.Partition, "/"); topics == nil || slices.Contains(topics, topic) {
			found = append(found, r)
		}
	}
	return found, s.err
}

// Datasets implements store.
func (s *shelf) Datasets(_ context.Context, topics []string) ([]postgres.Dataset, error) {
	if topics != nil && !slices.Contains(topics, "tributary.330106.changes") {
		return nil, s.err
	}
	return []postgres.Dataset{{Name: "student", Key: []string{"xh"}}}, s.err
}

// Trace implements store.
func (s *shelf) Trace(_ context.Context, dataset string, key []string) ([]postgres.Trace, error) {
	s.asked = append([]string{dataset}, key...)
	return s.traces, s.err
}

func serve(t *testing.T, o Options) string {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(c.Handler())
	t.Cleanup(srv.Close)
	return srv.URL
}

// get asks and gives the answer with its body.
func get(t *testing.T, url string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

func wants(t *testing.T, body string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(body, text) {
			t.Errorf("the page lacks %q", text)
		}
	}
}

func streaming(source string) status.Record {
	return status.Record{Kind: status.OfSource, Org: "330106", Source: source, Program: "a1", State: "streaming", Txns: 12345, Rows: 1234567,
		Committed: time.Now().Add(-90 * time.Second), Written: time.Now(), Within: 10, WholeSeconds: true,
		Lag: status.Lag{SourceLog: &status.Figures{P50: 0.0042, P99: 12.345, Max: 13, Count: 9}}}
}

func applying(source, store string) status.Record {
	return status.Record{Kind: status.OfStore, Org: "330106", Source: source, Store: store, Program: store, State: "applying", Written: time.Now(), Within: 10,
		Lag: status.Lag{LogStore: &status.Figures{P50: 0.0001, P99: 0.25, Max: 1, Count: 9}}}
}

func TestAllIsWell(t *testing.T) {
	board := &known{}
	board.set(streaming("330106-xueji"), applying("330106-xueji", "city"), applying("330106-xueji", "province"))
	at := time.Date(2026, 9, 1, 8, 0, 0, 123e6, time.Local)
	recent := postgres.Recent{Batch: 77, Source: "330106-xueji", From: "a1", To: "a3", Position: "a3", TxnID: "0-1-99", Partition: "tributary.330106.changes/0", Offset: 48, Rows: 2009, Applied: at}
	before, behind := recent, recent
	before.Position, before.TxnID, before.Offset, before.Rows = "a2", "0-1-98", 44, 1
	behind.Position, behind.To, behind.Batch, behind.TxnID = "a2", "a2", 5, "0-1-98"
	base := serve(t, Options{Board: board, Stores: []Store{{"city", &shelf{recent: []postgres.Recent{recent, before}}}, {"province", &shelf{recent: []postgres.Recent{behind}}}}})
	res, body := get(t, base+"/")
	wants(t, body, `<html lang="zh-CN">`, "一切正常", "采集中", "入库中", "源 → 日志", "日志 → city", "日志 → province", "<b>0.004</b> / 12.3", "&lt;0.001</b> / 0.250", "±1", "12\u202f345", "1\u202f234\u202f567", "90 秒前",
		"0-1-99", "0-1-98", "tributary.330106.changes/0 48", "tributary.330106.changes/0 44", "08:00:00.123", "批次 77", "2\u202f009", "未到")
	if strings.Contains(body, "需要关注") {
		t.Error("there is trouble on a page where all is well")
	}
	// What city had in its batch to a3 is there at a2, too.
	if n := strings.Count(body, "批次 77"); n != 2 {
		t.Errorf("the batch stands %d times", n)
	}
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
		"Cache-Control": "no-store", "Content-Type": "text/html; charset=utf-8", "Content-Language": "zh-CN", "Vary": "Accept-Language", "Cross-Origin-Resource-Policy": "same-origin",
	} {
		if got := res.Header.Get(name); !strings.Contains(got, want) {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if csp := res.Header.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || strings.Contains(csp, "http") {
		t.Errorf("the policy allows too much: %s", csp)
	}
}

// TestNothingForeign: the page loads nothing from elsewhere and has no script or style
// in it, so that its policy holds.
func TestNothingForeign(t *testing.T) {
	base := serve(t, Options{Board: &known{}})
	for path, kind := range map[string]string{"/": "text/html", "/assets/style.css": "text/css", "/assets/live.js": "text/javascript", "/assets/icon.svg": "image/svg+xml"} {
		res, body := get(t, base+path)
		if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), kind) {
			t.Errorf("%s: %s, %s", path, res.Status, res.Header.Get("Content-Type"))
		}
		body = strings.ReplaceAll(body, "http://www.w3.org/2000/svg", "") // a name, not an address
		for _, bad := range []string{"http:", "https:", "//cdn", "@import", "<style", " style=", "onclick", "javascript:", "eval("} {
			if strings.Contains(body, bad) {
				t.Errorf("%s holds %q", path, bad)
			}
		}
	}
	for _, path := range []string{"/nosuch", "/assets/page.html", "/assets/../console.go"} {
		if res, _ := get(t, base+path); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
}

func TestLanguages(t *testing.T) {
	base := serve(t, Options{Board: &known{}})
	for _, tt := range []struct{ query, accept, want string }{
		{"", "", "zh-CN"}, {"", "en-GB,en;q=0.8", "en"}, {"", "fr", "zh-CN"}, {"?lang=en", "zh-CN", "en"}, {"?lang=zh-CN", "en", "zh-CN"}, {"?lang=%22%3E%3Cscript%3E", "", "en"},
	} {
		res, body := get(t, base+"/"+tt.query, "Accept-Language", tt.accept)
		if got := res.Header.Get("Content-Language"); got != tt.want || !strings.Contains(body, `<html lang="`+tt.want+`">`) {
			t.Errorf("%q with %q: %s, want %s", tt.query, tt.accept, got, tt.want)
		}
	}
	_, body := get(t, base+"/?lang=en")
	wants(t, body, "No source has reported yet", "tributary agent --config FILE", "No transaction has come into a store yet", "No store is configured", `href="/?lang=zh-CN"`, "中文")
	_, body = get(t, base+"/?lang=zh-CN&store=city&table=student&key=1%262")
	wants(t, body, "还没有任何数据源的状态", `href="/?key=1%262&amp;lang=en&amp;store=city&amp;table=student"`)
}

// TestTrouble: each way of not being well is shown, the worst first, with what to do.
func TestTrouble(t *testing.T) {
	waiting := streaming("330108-chengji")
	waiting.State, waiting.NeedsPerson, waiting.Code, waiting.Error, waiting.Hint = "retrying", true, "PG_WAL_LEVEL", "wal_level is replica [PG_WAL_LEVEL]", "ALTER SYSTEM SET wal_level = 'logical'"
	away := streaming("330109-renshi")
	away.State, away.Error = "retrying", "connection refused"
	partly := streaming("330106-xueji")
	partly.Stopped, partly.MoreStopped = []status.Table{{Table: "xueji.photo", Code: "TABLE_NO_KEY", Reason: "no primary key"}}, 3
	gap := applying("330106-xueji", "city")
	gap.State, gap.Code, gap.NeedsPerson, gap.Skipped = "gap", "PREV_MISMATCH", true, 7
	dead := streaming("330110-dead")
	dead.Written = time.Now().Add(-5 * time.Minute)
	noStore := status.Record{Kind: status.OfWorker, Org: "330106", Store: "province", Program: "province", State: "retrying", Error: "connect to store: refused", Written: time.Now(), Within: 10}
	board := &known{readings: []status.Reading{{Topic: "tributary.330107.status", Error: "log unavailable"}}}
	board.set(waiting, away, partly, gap, dead, noStore)
	base := serve(t, Options{Board: board, Stores: []Store{{"city", &shelf{err: errors.New("connection to city refused")}}}})
	_, body := get(t, base+"/")
	wants(t, body, "需要关注", "PG_WAL_LEVEL", "wal_level 不是 logical", "ALTER SYSTEM SET wal_level = &#39;logical&#39;", "connection refused", "正在自动重试", "xueji.photo", "表没有主键", "no primary key", "&#43;3",
		"PREV_MISMATCH", "有缺失", "(7 行)", "失联", "5 分钟前", "connect to store: refused", "tributary.330107.status", "log unavailable", "本页无法读取该汇聚库", "connection to city refused", "province")
	_, body = get(t, base+"/?lang=en")
	wants(t, body, "Needs attention", "wal_level is not logical", "silent", "the table has no primary key", "9 to look at")
	if dead, away := strings.Index(body, "<h3>330110-dead"), strings.Index(body, "<h3>330109-renshi"); dead < 0 || away < dead {
		t.Errorf("a dead program at %d stands behind a passing trouble at %d", dead, away)
	}
	if strings.Count(body, "<b>0.004</b>") != 3 {
		t.Error("a dead program's lag is shown as if it were of now")
	}
	second := dead
	second.Source = "330110-dead2"
	board.set(dead, second)
	_, body = get(t, base+"/?lang=en")
	wants(t, body, "<h3>330110-dead, 330110-dead2 ")
	board.set(waiting, away, partly, gap, dead, noStore)
	_, body = get(t, base+"/api/status")
	var answer struct{ Data []status.Record }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || len(answer.Data) != 6 {
		t.Errorf("%v, %s", err, body)
	}
}

const evil = `<script>alert("x")</script>'"&`

// TestEverythingIsEscaped puts a script into every text that comes from outside.
func TestEverythingIsEscaped(t *testing.T) {
	r := streaming(evil)
	r.Program, r.State, r.Code, r.Error, r.Hint, r.NeedsPerson = evil, evil, evil, evil, evil, true
	r.Stopped = []status.Table{{Table: evil, Code: evil, Reason: evil}}
	w := applying(evil, evil)
	w.State, w.Error = "retrying", evil
	board := &known{readings: []status.Reading{{Topic: evil, Error: evil}}}
	board.set(r, w)
	s := &shelf{
		recent: []postgres.Recent{{Source: evil, From: "", To: evil, Position: evil, TxnID: evil, Partition: evil}},
		traces: []postgres.Trace{{Source: evil, Row: json.RawMessage(fmt.Sprintf("{%q: %q}", evil, evil)), Op: evil, TxnID: evil, File: evil,
			Batch: postgres.TracedBatch{Partition: evil, Worker: evil, From: evil, To: evil}}},
	}
	base := serve(t, Options{Board: board, Stores: []Store{{evil, s}}})
	query := "?store=" + strings.NewReplacer("<", "%3C", ">", "%3E", `"`, "%22", "&", "%26", "'", "%27", "/", "%2F").Replace(evil) + "&table=%3Cscript%3Ealert&key=%3Cscript%3Ealert"
	_, body := get(t, base+"/"+query)
	if len(s.asked) != 2 || s.asked[1] != "<script>alert" {
		t.Errorf("the store was asked for %q", s.asked)
	}
	s.err = errors.New(evil)
	_, failed := get(t, base+"/"+query)
	for name, html := range map[string]string{"page": body, "failed": failed, "events": strings.Join(events(t, base, 1, nil), "")} {
		if strings.Contains(strings.ToLower(html), "<script>") || strings.Contains(html, `alert("x")`) {
			t.Errorf("the %s holds a script that came from outside", name)
		}
		if !strings.Contains(html, "&lt;script&gt;alert") {
			t.Errorf("the %s doesn't show the text either", name)
		}
	}
}

// events gives the HTML of the first n events, part by part. After the first one it
// calls then.
func events(t *testing.T, base string, n int, then func()) (html []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/events?lang=en", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }() // it has no end
	if got := res.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("content type %q", got)
	}
	lines := bufio.NewReader(res.Body)
	for len(html) < n {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		var changed map[string]string
		if err := json.Unmarshal([]byte(data), &changed); err != nil {
			t.Fatalf("%v: %s", err, data)
		}
		all := ""
		for _, name := range parts {
			all += changed[name]
		}
		if html = append(html, all); len(html) == 1 && then != nil {
			then()
		}
	}
	return html
}

// TestLive: the first event holds everything, the next ones what has changed.
func TestLive(t *testing.T) {
	board := &known{}
	first := streaming("330106-xueji")
	first.Committed = time.Time{} // whose age would change
	board.set(first)
	base := serve(t, Options{Board: board, Every: 20 * time.Millisecond})
	got := events(t, base, 3, nil)
	wants(t, got[0], "All is well", "330106-xueji", "No transaction has come")
	if got[1] != "" || got[2] != "" {
		t.Errorf("without a change: %q", got[1:])
	}
	second := first
	second.State = "gap"
	changed := events(t, base, 5, func() { board.set(second) })
	if all := strings.Join(changed, ""); strings.Count(all, "No transaction has come") != 1 || !strings.Contains(all, "1 to look at") {
		t.Errorf("after a change: %s", all)
	}
}

// TestFirstEventIsWhole: the first event has the empty parts, too. The page was made before,
// when there may have been trouble that is over by then.
func TestFirstEventIsWhole(t *testing.T) {
	board := &known{}
	board.set(streaming("330106-xueji"))
	c, err := New(Options{Board: board})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/events", nil)
	last := map[string]string{}
	first, err := c.changes(r, language.English, last)
	if err != nil || len(first) != len(parts) || first["trouble"] != "" {
		t.Errorf("%q, %v", first, err)
	}
	if next, err := c.changes(r, language.English, last); err != nil || next["trouble"] != "" || len(next) >= len(parts) {
		t.Errorf("%q, %v", next, err)
	}
}

func TestTooManyWatchers(t *testing.T) {
	base := serve(t, Options{Board: &known{}, Watchers: 1})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	open, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = open.Body.Close() }() // it has no end
	if res, _ := get(t, base+"/events"); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the second page: %s", res.Status)
	}
}

// TestOnlyUnderLoopback: a foreign name that resolves to this machine gets nothing.
func TestOnlyUnderLoopback(t *testing.T) {
	base := serve(t, Options{Board: &known{}})
	for host, want := range map[string]int{"127.0.0.1:8060": 200, "localhost": 200, "[::1]:8060": 200, "127.0.0.1.evil.example": 421, "evil.example:8060": 421, "10.1.2.3": 421, "localhost.evil.example": 421} {
		for _, path := range []string{"/", "/api/status", "/assets/style.css"} {
			if res, body := get(t, base+path, "Host", host); res.StatusCode != want || want != 200 && strings.Contains(body, "<html") {
				t.Errorf("%s of %s: %s", path, host, res.Status)
			}
		}
	}
}

func TestTrace(t *testing.T) {
	at := time.Now()
	s := &shelf{traces: []postgres.Trace{{Source: "330106-xueji", Row: json.RawMessage(`{"xh": 4711}`), Op: "u", Committed: at, Applied: at.Add(1500 * time.Millisecond),
		Position: event.Position{Epoch: 7, Place: event.Place{File: 3, Offset: 4242}}, File: "binlog.000003", TxnID: "0-1-99",
		Batch: postgres.TracedBatch{ID: 88, Partition: "tributary.330106.changes/0", First: 40, Last: 48, Worker: "w1", Fence: 6, From: "p1", To: "p2"}}}}
	other := &shelf{}
	base := serve(t, Options{Board: &known{}, Stores: []Store{{"city", other}, {"province", s}}})
	_, body := get(t, base+"/?lang=en")
	wants(t, body, `<option value="student">xh</option>`, `<option selected>province</option>`)
	if s.asked != nil || strings.Contains(body, "no row under this key") {
		t.Error("an empty form was traced")
	}
	_, body = get(t, base+"/?lang=en&store=province&table=score&key=4711,+%22a,b%22")
	if got := fmt.Sprintf("%q", s.asked); got != `["score" "4711" "a,b"]` {
		t.Errorf("the store was asked for %s", got)
	}
	wants(t, body, "update (u)", "1.500 s", "00000007/00000003.0000000000001092/00000000", "88", "worker w1", "fence 6", "p1 … p2", "tributary.330106.changes/0", "40 – 48", "0-1-99",
		"mariadb-binlog", "--start-position=4242 binlog.000003", "&#34;xh&#34;: 4711")
	_, body = get(t, base+"/?lang=en&store=city&table=score&key=1")
	wants(t, body, "The table has no row under this key")
	_, body = get(t, base+"/?lang=en&store=city&table=score&key=%221")
	wants(t, body, "The row can&#39;t be traced")
	other.asked = nil
	get(t, base+"/?lang=en&store=nosuch&table=score&key=1")
	if other.asked != nil {
		t.Error("an unknown store was another one")
	}
}

// TestManySources: the table is bounded, and those in trouble are in it.
func TestManySources(t *testing.T) {
	board := &known{}
	var all []status.Record
	for i := range 500 {
		r := streaming(fmt.Sprintf("330106-s%03d", i))
		if i == 499 {
			r.State, r.NeedsPerson = "gap", true
		}
		all = append(all, r)
	}
	board.set(all...)
	_, body := get(t, serve(t, Options{Board: board})+"/?lang=en")
	if n := strings.Count(body, `<th role="rowheader"`); n != maxFlows {
		t.Errorf("%d rows", n)
	}
	wants(t, body, "330106-s499", "300 more sources are not listed")
}

func TestTextsAreWhole(t *testing.T) {
	zh, en := texts[language.Chinese], texts[language.English]
	for lang, w := range texts {
		v := reflect.ValueOf(w)
		for i := range v.NumField() {
			if v.Field(i).Len() == 0 {
				t.Errorf("%s lacks %s", lang.Tag(), v.Type().Field(i).Name)
			}
		}
	}
	for k := range zh.States {
		if en.States[k] == "" {
			t.Errorf("English lacks the state %s", k)
		}
	}
	if len(zh.States) != len(en.States) || len(zh.Generic) != len(en.Generic) || len(zh.Ops) != len(en.Ops) {
		t.Error("the languages don't have the same states, explanations and operations")
	}
	for k, g := range zh.Generic {
		if g[0] == "" || g[1] == "" || en.Generic[k][0] == "" || en.Generic[k][1] == "" {
			t.Errorf("%s isn't explained", k)
		}
	}
}

// TestUnderAMenu: the page stands under the menu of whoever has logged in, with names as they
// are, and alone otherwise.
func TestUnderAMenu(t *testing.T) {
	c, err := New(Options{Board: &known{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*Menu{nil, {Name: "王 <b>", Label: "菜单", Items: []MenuItem{{"/", "运行状态", true}, {"/requests", "登记申请", false}}}} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if m != nil {
			r = r.WithContext(Under(r.Context(), m))
		}
		w := httptest.NewRecorder()
		c.Behind().ServeHTTP(w, r)
		for _, part := range []string{`<a href="/me">王 &lt;b&gt;</a>`, `<nav aria-label="菜单">`, `<a href="/" aria-current="page">运行状态</a>`, `<a href="/requests">登记申请</a>`} {
			if strings.Contains(w.Body.String(), part) != (m != nil) {
				t.Errorf("%v: not so: %s", m, part)
			}
		}
	}
}
