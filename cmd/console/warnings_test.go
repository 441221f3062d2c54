package console

import (
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/stream/status"
)

// TestWarnings: what becomes a gap unless somebody looks after it is on the page, with what
// to do, in both languages; it goes away with the warning, and a gap isn't told twice.
func TestWarnings(t *testing.T) {
	board := &known{}
	r := streaming("330106-xueji")
	r.Warnings = []status.Warning{{Code: "SOURCE_LOG_SHORT", Text: "in 3.2 h the server removes <it>", Hint: "SET GLOBAL binlog_expire_logs_seconds = 604800"}}
	board.set(r)
	base := serve(t, Options{Board: board})
	_, body := get(t, base+"/?lang=zh-CN")
	wants(t, body, "警告", "源库日志中尚未读取的部分即将被删除", "恢复读取", "in 3.2 h the server removes &lt;it&gt;", "SET GLOBAL binlog_expire_logs_seconds = 604800")
	_, body = get(t, base+"/?lang=en")
	wants(t, body, "warning", "will soon be removed there", "let reading go on")
	r.Warnings = nil
	board.set(r)
	if _, body = get(t, base+"/?lang=en"); strings.Contains(body, "will soon be removed") {
		t.Error("the warning stays")
	}
	r.State, r.Code, r.NeedsPerson, r.Error = "gap", "FUSE_BLOWN", true, "the fuse blew"
	r.Warnings = []status.Warning{{Code: "FUSE_BLOWN", Text: "the fuse blew as well"}}
	board.set(r)
	_, body = get(t, base+"/?lang=en")
	wants(t, body, "the agent gave it up", "tributary gap repair SOURCE, which reads the source&#39;s tables again")
	if strings.Contains(body, "as well") {
		t.Error("one gap is told twice")
	}
	r.Written = time.Now().Add(-time.Hour)
	r.State, r.Code = "streaming", ""
	board.set(r)
	if _, body = get(t, base+"/?lang=en"); strings.Contains(body, "as well") {
		t.Error("the warning of a silent agent is shown")
	}
}
