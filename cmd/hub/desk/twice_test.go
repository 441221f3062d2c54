package desk

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/test/servers"
)

// testTwice: an order that comes twice, by a second click or after a lost answer, counts once, and
// the answer says so.
func testTwice(t *testing.T, db servers.DB) {
	w := newWorld(t, db)
	op := w.person("twice", account.Grant{Role: account.Operator, Org: "33"})
	invite := func(c *client, org, once string) string {
		t.Helper()
		return data[invited](t, c.want(http.StatusOK, "", http.MethodPost, "/api/invitations", map[string]any{"org": org, "once": once})).Code
	}
	first := invite(op, "330106", "1")
	if invite(op, "330106", "1") != first {
		t.Error("the same order gives another invitation")
	}
	seen := map[string]bool{first: true}
	for _, code := range []string{invite(op, "330106", "2"), invite(op, "330203", "1"), invite(w.person("other", account.Grant{Role: account.Operator, Org: "33"}), "330106", "1"), invite(op, "330106", ""), invite(op, "330106", "")} {
		if seen[code] {
			t.Error("another order gives the same invitation")
		}
		seen[code] = true
	}
	op.want(http.StatusBadRequest, "INPUT_INVALID", http.MethodPost, "/api/invitations", map[string]any{"org": "330106", "once": strings.Repeat("x", 101)})
	w.machine(nil).want(http.StatusOK, "", http.MethodPost, "/agent/join", JoinRequest{Invitation: first, Name: "host", Key: w.request(), Clock: w.clock()})
	op.want(http.StatusConflict, "INVITATION_USED", http.MethodPost, "/api/invitations", map[string]any{"org": "330106", "once": "1"})
	if _, page, _ := op.do(http.MethodGet, "/invitations", nil); !strings.Contains(page, `name="once" value="`) || strings.Contains(page, `name="once" value=""`) {
		t.Error("a form that isn't told from others")
	}

	starts := w.clock().Add(time.Hour).Truncate(time.Second)
	window := map[string]any{"org": "330106", "starts": starts.Format(time.RFC3339), "ends": starts.Add(time.Hour).Format(time.RFC3339), "reason": "割接"}
	plan := func() planned {
		t.Helper()
		return data[planned](t, op.want(http.StatusOK, "", http.MethodPost, "/api/maintenance", window))
	}
	once := plan()
	if again := plan(); once.Again || !again.Again || again.ID != once.ID {
		t.Errorf("%+v, %+v", once, again)
	}
	window["reason"] = "升级"
	if another := plan(); another.Again || another.ID == once.ID {
		t.Errorf("%+v", another)
	}

	days := map[string]any{"org": "330106", "from": "2027-07-01", "until": "2027-08-31", "name": "暑假"}
	note := func(path string, in map[string]any, want noted) {
		t.Helper()
		if got := data[noted](t, op.want(http.StatusOK, "", http.MethodPost, path, in)); got != want {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
	note("/api/calendar", days, noted{Added: 1})
	note("/api/calendar", days, noted{Known: 1})
	note("/api/calendar/import", map[string]any{"org": "330106", "file": "from,until,name\n2027-07-01,2027-08-31,暑假\n2027-10-01,2027-10-07,国庆\n"}, noted{Added: 1, Known: 1})
	values := url.Values{"org": {"330106"}, "from": {"2027-07-01"}, "until": {"2027-08-31"}, "name": {"寒假"}}
	for _, want := range []string{"/calendar?done=saved", "/calendar?done=again"} {
		if status, _, header := op.post("/api/calendar", values); status != http.StatusSeeOther || header.Get("Location") != want {
			t.Errorf("%d %s, want %s", status, header.Get("Location"), want)
		}
	}
	if _, page, _ := op.do(http.MethodGet, "/calendar?done=again&lang=zh-CN", nil); !strings.Contains(page, "未重复添加") {
		t.Error("nothing says that it was there")
	}
}
