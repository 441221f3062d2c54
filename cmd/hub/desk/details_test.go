package desk

import (
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/cmd/internal/language"
)

// TestDetails: what the program says in the audit is Chinese for Chinese readers; what people say
// stays, also if it reads like the program's.
func TestDetails(t *testing.T) {
	zone := time.FixedZone("", 8*3600)
	for _, tt := range []struct{ action, text, chinese string }{
		{"request.create", "request 7, authoritative, 1 table", "申请 7，权威源，1 张表"},
		{"request.create", "letter of 330106.1, request 7, check, 12 tables", "由 330106.1 的文件提交，申请 7，校核源，12 张表"},
		{"request.approved", "request 7, 3 of 3 tables, tributary.330106.changes/0, agent-330106.1", "申请 7，批准 3 张表中的 3 张, tributary.330106.changes/0, agent-330106.1"},
		{"request.refused", "request 7, 0 of 1 table; request 7, 0 of 1 table", "申请 7，批准 1 张表中的 0 张; request 7, 0 of 1 table"},
		{"agent.renew", "certificate 12ab", "证书 12ab"},
		{"agent.revoke", "certificate 12ab", "certificate 12ab"},
		{"alarm.silence", "alarm 3 until 2026-11-30 01:00 UTC; alarm 4", "告警 3，静默至 2026-11-30 09:00; alarm 4"},
		{"org.import", "added 1, changed 2, same 3", "新增 1，变更 2，未变 3"},
		{"audit.export", "1 line", "1 行"},
	} {
		if got := (&view{lang: language.Chinese, zone: zone}).DetailOf(tt.action, tt.text); got != tt.chinese {
			t.Errorf("%s: %q, want %q", tt.action, got, tt.chinese)
		}
		v := &view{lang: language.English, zone: zone}
		if got := v.DetailOf(tt.action, tt.text); got != v.Here(tt.text) {
			t.Errorf("%s in English: %q", tt.action, got)
		}
	}
}
