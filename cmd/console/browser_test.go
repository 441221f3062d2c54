package console

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/status"
)

// audit is run in the page: it lists what is wrong with how the page is shown.
//
//go:embed testdata/audit.js
var audit string

// patience is how long a busy machine's browser may take for one step.
const patience = 60 * time.Second

// chromium gives a browser that ends with the test. Root's has no sandbox, which it
// can't have.
func chromium(t *testing.T) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium-headless-shell", "chromium", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Fatal("no Chromium on this machine: install it (Debian: apt-get install chromium)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.WSURLReadTimeout(patience))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Run(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return ctx
}

// tab is a page that is looked at.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	troubles []string // errors of scripts, loads and the content policy
}

func openTab(t *testing.T, browser context.Context, width, height int64, dark bool) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	context.AfterFunc(t.Context(), cancel) // before servers are closed, which wait for the page to let go
	v := &tab{t: t, ctx: ctx}
	chromedp.ListenTarget(ctx, func(ev any) {
		text := ""
		switch e := ev.(type) {
		case *runtime.EventExceptionThrown:
			text = e.ExceptionDetails.Error()
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning {
				text = fmt.Sprint(e.Type, e.Args)
			}
		case *log.EventEntryAdded:
			if e.Entry.Level == log.LevelError || e.Entry.Level == log.LevelWarning {
				text = e.Entry.Text + " " + e.Entry.URL
			}
		}
		if text != "" {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.troubles = append(v.troubles, text)
		}
	})
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	if err := chromedp.Run(ctx); err != nil { // the tab lives as long as the context of its first step
		t.Fatal(err)
	}
	v.run(log.Enable(), chromedp.EmulateViewport(width, height),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}))
	return v
}

func (v *tab) run(actions ...chromedp.Action) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		v.t.Fatal(err)
	}
}

// is waits until an expression is true in the page. The page's policy forbids chromedp's
// own way, which makes functions of texts.
func (v *tab) is(expression string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			var holds bool
			err := chromedp.Evaluate("Boolean("+expression+")", &holds).Do(ctx) // fails while another page is coming
			if holds {
				return nil
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return fmt.Errorf("%s: %w, %w", expression, ctx.Err(), err)
			}
		}
	})
}

// audit looks at the page as it is, and keeps a picture of it where
// TRIBUTARY_SCREENSHOTS names a folder.
func (v *tab) audit(name string) {
	v.t.Helper()
	var wrong []string
	v.run(chromedp.Evaluate(audit, &wrong))
	for _, w := range wrong {
		v.t.Errorf("%s: %s", name, w)
	}
	v.mu.Lock()
	for _, w := range v.troubles {
		v.t.Errorf("%s: the browser's console says: %s", name, w)
	}
	v.mu.Unlock()
	if dir := os.Getenv("TRIBUTARY_SCREENSHOTS"); dir != "" {
		var png []byte
		v.run(chromedp.FullScreenshot(&png, 100))
		if err := os.WriteFile(filepath.Join(dir, strings.NewReplacer("/", "-", " ", "-").Replace(name)+".png"), png, 0o600); err != nil {
			v.t.Fatal(err)
		}
	}
}

// tabTo presses the tabulator until the element has the focus.
func (v *tab) tabTo(id string) {
	v.t.Helper()
	for range 40 {
		var at string
		v.run(chromedp.KeyEvent(kb.Tab), chromedp.Evaluate(`document.activeElement.id`, &at))
		if at == id {
			return
		}
	}
	v.t.Fatalf("#%s can't be reached with the keyboard", id)
}

// sample is a small system: two sources, two stores, and, with trouble, what isn't well.
func sample(trouble bool) (*known, []Store) {
	at := time.Date(2026, 9, 1, 8, 0, 0, 123e6, time.Local)
	lagged := func(r status.Record) status.Record { r.WholeSeconds = false; return r }
	records := []status.Record{streaming("330106-xueji"), applying("330106-xueji", "city"), applying("330106-xueji", "province"),
		lagged(streaming("330108-chengji")), applying("330108-chengji", "city"), applying("330108-chengji", "province")}
	board := &known{}
	if trouble {
		waiting := streaming("330109-renshi")
		waiting.State, waiting.NeedsPerson, waiting.Code, waiting.Error, waiting.Hint = "retrying", true, "PG_WAL_LEVEL", "wal_level is replica [PG_WAL_LEVEL]", "ALTER SYSTEM SET wal_level = 'logical'; -- then restart the server, and see that max_replication_slots is large enough for all sources of this server"
		partly := streaming("330110-xueji")
		partly.Stopped = []status.Table{{Table: "xueji.photo_of_a_table_with_a_long_name", Code: "TABLE_NO_KEY", Reason: "no primary key"}}
		partly.Loads = []status.Load{{Table: "xueji.photo_of_another_table_with_a_long_name", Phase: "loading", Rows: 1_250_000, Estimate: 5_000_000, Speed: 12_345, Left: 3_725},
			{Table: "xueji.score", Part: "2012000001,a long value..2012999999,another long value", Phase: "waiting", Rows: 10, Estimate: -1, Resumes: time.Now()},
			{Table: "xueji.bad", Phase: "failed", Error: "permission denied for table bad"}}
		dead := streaming("330111-dead")
		dead.Written = time.Now().Add(-5 * time.Minute)
		gap := applying("330110-xueji", "city")
		gap.State, gap.Code, gap.NeedsPerson = "gap", "PREV_MISMATCH", true
		records = append(records, waiting, partly, dead, gap)
		board.readings = []status.Reading{{Topic: "tributary.330107.status", Error: "log unavailable: dial tcp 127.0.0.1:9092: connect: connection refused"}}
	}
	board.set(records...)
	recent := func(source, id, position string) postgres.Recent {
		return postgres.Recent{Batch: 7712345, Source: source, From: "00000001/00000003.0000000000000001/00000000", To: position, TxnID: id, Partition: "tributary." + source[:6] + ".changes/0", First: 4012345, Last: 4812345, Txns: 3, Rows: 2000, Sources: 1, Applied: at}
	}
	txns := []postgres.Recent{recent("330106-xueji", "0-1-99123", "p3"), recent("330108-chengji", "1234567", "p9")}
	shelf := &shelf{recent: txns, traces: []postgres.Trace{{Source: "330106-xueji", Row: json.RawMessage(`{"xh": 4711, "name": "王小明", "note": "` + strings.Repeat("很长的一段文字", 12) + `"}`), Op: "u", Committed: at, Applied: at.Add(15 * time.Millisecond),
		Position: event.Position{Epoch: 7, Place: event.Place{File: 3, Offset: 4242}}, File: "binlog.000003", TxnID: "0-1-99123",
		Batch: postgres.TracedBatch{ID: 88, Partition: "tributary.330106.changes/0", First: 40, Last: 48, Worker: "city", Fence: 6, From: "00000001/00000003.0000000000000001/00000000", To: "00000001/00000003.0000000000001092/00000000"}}}}
	return board, []Store{{"city", shelf}, {"province", shelf}}
}

// TestBrowser opens the page in a real browser, in both languages, on a desk and on a
// phone, by day and by night: nothing overflows, everything can be read and reached,
// what changes is shown without a reload, and a row is traced by keyboard alone.
func TestBrowser(t *testing.T) {
	browser := chromium(t)
	for _, lang := range []string{"zh-CN", "en"} {
		for _, size := range []struct{ width, height int64 }{{1280, 800}, {390, 844}} {
			for name, dark := range map[string]bool{"day": false, "night": true} {
				name := fmt.Sprintf("%s %d %s", lang, size.width, name)
				t.Run(name, func(t *testing.T) {
					lookAt(t, openTab(t, browser, size.width, size.height, dark), lang, name)
				})
			}
		}
	}
}

func lookAt(t *testing.T, v *tab, lang, name string) {
	board, stores := sample(false)
	base := serve(t, Options{Board: board, Stores: stores, Every: 50 * time.Millisecond})
	connected := v.is(`document.readyState === "complete" && document.getElementById("live").classList.contains("good")`)
	v.run(chromedp.Navigate(base+"/?lang="+lang), connected, chromedp.Evaluate(`window.sameDocument = true`, nil))
	v.audit(name + " well")

	slower := streaming("330106-xueji")
	slower.Lag.SourceLog = &status.Figures{P50: 7.654, P99: 8.765, Max: 9, Count: 9}
	board.set(slower, applying("330106-xueji", "city"))
	v.run(v.is(`document.getElementById("lag").innerText.includes("7.654")`), v.is(`window.sameDocument === true`))

	v.run(chromedp.Evaluate(`document.activeElement.blur()`, nil))
	v.tabTo("table")
	v.run(chromedp.KeyEvent("student"))
	v.tabTo("key")
	v.run(chromedp.KeyEvent("4711"+kb.Enter), v.is(`document.querySelector("article.way pre") !== null`), connected,
		v.is(fmt.Sprintf(`document.documentElement.lang === %q && document.querySelector("article.way").innerText.includes("0-1-99123")`, lang)))
	v.audit(name + " traced")

	board, stores = sample(true)
	base = serve(t, Options{Board: board, Stores: stores, Every: 50 * time.Millisecond})
	v.run(chromedp.Navigate(base+"/?lang="+lang), connected)
	v.audit(name + " trouble")
	v.run(chromedp.Navigate(serve(t, Options{Board: &known{}})+"/?lang="+lang), connected)
	v.audit(name + " empty")
}

// TestPauseInBrowser: a paused page stays as it is, and goes on when asked to.
func TestPauseInBrowser(t *testing.T) {
	v := openTab(t, chromium(t), 1280, 800, false)
	board, stores := sample(false)
	v.run(chromedp.Navigate(serve(t, Options{Board: board, Stores: stores, Every: 50 * time.Millisecond})+"/?lang=en"), v.is(`document.getElementById("live").innerText === "Live"`))
	v.tabTo("pause")
	v.run(chromedp.KeyEvent(kb.Enter), v.is(`document.getElementById("live").innerText === "Updates paused"`))
	gap := streaming("330106-xueji")
	gap.State, gap.NeedsPerson = "gap", true
	board.set(gap)
	v.run(chromedp.KeyEvent(kb.Enter), v.is(`document.getElementById("summary").innerText.includes("1 to look at")`))
	v.audit("pause")
}
