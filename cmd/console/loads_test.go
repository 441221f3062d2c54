package console

import (
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/stream/status"
)

// TestLoads: the page shows each load with its table, state, rows, speed and time left, in
// both languages, those in trouble first, and nothing of loads without any.
func TestLoads(t *testing.T) {
	board := &known{}
	board.set(streaming("330106-xueji"))
	base := serve(t, Options{Board: board})
	if _, body := get(t, base+"/"); strings.Contains(body, "表的装载") {
		t.Error("a page without loads speaks of them")
	}
	resumes := time.Date(2026, 9, 1, 22, 0, 0, 0, time.Local)
	r := streaming("330106-xueji")
	r.Loads = []status.Load{
		{Table: "xueji.queued", Phase: "queued", Estimate: -1},
		{Table: "xueji.student", Phase: "loading", Rows: 1_250_000, Estimate: 5_000_000, Speed: 12_345.6, Left: 3_725},
		{Table: "xueji.score", Part: "<1>..9", Phase: "waiting", Rows: 10, Estimate: -1, Resumes: resumes},
		{Table: "xueji.few", Phase: "loading", Rows: 90, Estimate: 60, Speed: 3, Left: 0.4},
		{Table: "xueji.rests", Phase: "paused", Rows: 7, Estimate: 70},
		{Table: "xueji.given_up", Phase: "canceled", Rows: 7, Estimate: 70},
		{Table: "xueji.bad", Phase: "failed", Error: "permission denied for table bad"},
	}
	r.MoreLoads = 3
	board.set(r)
	_, body := get(t, base+"/?lang=zh-CN")
	wants(t, body, "表的装载", "装载中", "1\u202f250\u202f000", "5\u202f000\u202f000", "12\u202f346", "1 小时 2 分", `width="25.0"`, `width="100.0"`, "等待静默时段", "至 22:00", "&lt;1&gt;..9", "1 秒",
		"排队中", "已暂停", "已取消", "已失败", "permission denied for table bad", "有表未装载完整", "3 个装载未列出")
	if strings.Contains(body, "<1>") {
		t.Error("a part stands in the page as it is")
	}
	if at := strings.Index(body, "xueji.bad"); at < 0 || at > strings.Index(body, "xueji.student") || strings.Index(body, "xueji.student") > strings.Index(body, "xueji.queued") {
		t.Error("loads in trouble don't come first, then those that go on")
	}
	_, body = get(t, base+"/?lang=en")
	wants(t, body, "Loads of tables", "loading", "waiting for the quiet hours", "until 22:00", "1 h 2 min", "canceled", "Tables weren&#39;t loaded to their end", "3 more loads are not listed")
	r.Written = time.Now().Add(-time.Hour)
	board.set(r)
	if _, body := get(t, base+"/?lang=en"); strings.Contains(body, "Loads of tables") {
		t.Error("the page shows loads of an agent that is silent")
	}
}
