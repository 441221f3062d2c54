package console

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/tributary-cdc/tributary/cmd/internal/language"
	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/status"
	"github.com/tributary-cdc/tributary/test/browser"
)

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
		return postgres.Recent{Batch: 7712345, Source: source, From: "00000001/00000003.0000000000000001/00000000", To: position, Position: position, TxnID: id, Partition: "tributary." + source[:6] + ".changes/0", Offset: 4812345, Rows: 2000, Applied: at}
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
	chromium := browser.Chromium(t)
	for _, lang := range []string{"zh-CN", "en"} {
		for _, size := range []struct{ width, height int64 }{{1280, 800}, {390, 844}} {
			for name, dark := range map[string]bool{"day": false, "night": true} {
				name := fmt.Sprintf("%s %d %s", lang, size.width, name)
				t.Run(name, func(t *testing.T) {
					lookAt(t, browser.Open(t, chromium, size.width, size.height, dark), lang, name)
				})
			}
		}
	}
}

func lookAt(t *testing.T, v *browser.Tab, lang, name string) {
	board, stores := sample(false)
	base := serve(t, Options{Board: board, Stores: stores, Every: 50 * time.Millisecond})
	connected := v.Is(`document.readyState === "complete" && document.getElementById("live").classList.contains("good")`)
	v.Run(chromedp.Navigate(base+"/?lang="+lang), connected, chromedp.Evaluate(`window.sameDocument = true`, nil))
	v.Audit(name + " well")

	slower := streaming("330106-xueji")
	slower.Lag.SourceLog = &status.Figures{P50: 7.654, P99: 8.765, Max: 9, Count: 9}
	board.set(slower, applying("330106-xueji", "city"))
	v.Run(v.Is(`document.getElementById("lag").innerText.includes("7.654")`), v.Is(`window.sameDocument === true`))

	v.Run(chromedp.Evaluate(`document.activeElement.blur()`, nil))
	v.TabTo("table")
	v.Run(chromedp.KeyEvent("student"))
	v.TabTo("key")
	v.Run(chromedp.KeyEvent("4711"+kb.Enter), v.Is(`document.querySelector("article.way pre") !== null`), connected,
		v.Is(fmt.Sprintf(`document.documentElement.lang === %q && document.querySelector("article.way").innerText.includes("0-1-99123")`, lang)))
	v.Audit(name + " traced")

	board, stores = sample(true)
	base = serve(t, Options{Board: board, Stores: stores, Every: 50 * time.Millisecond})
	v.Run(chromedp.Navigate(base+"/?lang="+lang), connected)
	v.Audit(name + " trouble")
	board, stores = sample(false)
	board.readings = []status.Reading{{Topic: "tributary.330106.status", Org: "330106", CaughtUp: true}, {Topic: "tributary.330109.status", Org: "330109", Missing: true, Error: "no such topic"}}
	v.Run(chromedp.Navigate(serve(t, Options{Board: board, Stores: stores})+"/?lang="+lang), connected,
		v.Is(`document.getElementById("summary").querySelector(".good") !== null && document.getElementById("lag").innerText.includes("330109") && document.querySelector(".problems") === null`))
	v.Audit(name + " one org without sources")
	v.Run(chromedp.Navigate(serve(t, Options{Board: &known{readings: []status.Reading{{Topic: "tributary.330109.status", Org: "330109", Missing: true, Error: "no such topic"}}}})+"/?lang="+lang), connected,
		v.Is(fmt.Sprintf(`document.getElementById("lag").innerText.includes(%q) && document.querySelector(".problems") === null`, texts[map[string]language.Language{"zh-CN": language.Chinese, "en": language.English}[lang]].Nothing)))
	v.Audit(name + " nothing registered")
	v.Run(chromedp.Navigate(serve(t, Options{Board: &known{}})+"/?lang="+lang), connected)
	v.Audit(name + " empty")
}

// TestPauseInBrowser: a paused page stays as it is, and goes on when asked to.
func TestPauseInBrowser(t *testing.T) {
	v := browser.Open(t, browser.Chromium(t), 1280, 800, false)
	board, stores := sample(false)
	v.Run(chromedp.Navigate(serve(t, Options{Board: board, Stores: stores, Every: 50 * time.Millisecond})+"/?lang=en"), v.Is(`document.getElementById("live").innerText === "Live"`))
	v.TabTo("pause")
	v.Run(chromedp.KeyEvent(kb.Enter), v.Is(`document.getElementById("live").innerText === "Updates paused"`))
	gap := streaming("330106-xueji")
	gap.State, gap.NeedsPerson = "gap", true
	board.set(gap)
	v.Run(chromedp.KeyEvent(kb.Enter), v.Is(`document.getElementById("summary").innerText.includes("1 to look at")`))
	v.Audit("pause")
}
