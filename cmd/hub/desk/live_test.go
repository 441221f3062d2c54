package desk

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/test/servers"
)

func liveOf(page string) string { return livePath + "?of=" + url.QueryEscape(page) }

// testLive: an open page hears of its own part of the tree, and of nothing else; what hasn't
// changed isn't sent again, also after a break; those who may see the same are served by one
// look, and there is an end to how many come.
func testLive(t *testing.T, db servers.DB) {
	w := newWorld(t, db)
	usual := w.desk.o.Events
	w.desk.o.Every, w.desk.o.Events = 10*time.Millisecond, time.Second // for a second look on a busy machine
	city := w.person("city", account.Grant{Role: account.Viewer, Org: "3301"})
	status, body, header := city.do(http.MethodGet, liveOf("/tree?lang=en&org=3301"), nil)
	if status != http.StatusOK || header.Get("Content-Type") != "text/event-stream" || strings.Count(body, "event: view\n") != 1 || !strings.Contains(body, "330106-xueji") || strings.Contains(body, "330203") || !strings.Contains(body, ": here\n") {
		t.Errorf("%d %s", status, body)
	}
	w.desk.o.Events = usual
	_, rest, _ := strings.Cut(body, "\nid: ")
	id, _, _ := strings.Cut(rest, "\n")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.web.URL+liveOf("/tree?lang=en&org=3301"), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Last-Event-ID", id)
	if status, body, _ := city.send(req); status != http.StatusOK || strings.Contains(body, "event: view") {
		t.Errorf("after a break, with %s: %d %s", id, status, body)
	}
	for page, want := range map[string]int{"/sources/330106-xueji": http.StatusOK, "/sources/330106-xueji?lang=en": http.StatusOK, "/alarms": http.StatusOK, "/complete": http.StatusOK, "/orgs/3301/history": http.StatusOK,
		"/sources/330203-xueji": http.StatusNotFound, "/tree?org=3302": http.StatusNotFound, "/orgs/33/history": http.StatusNotFound, "/accounts": http.StatusNotFound, "/me": http.StatusNotFound, "/live": http.StatusNotFound,
		"": http.StatusNotFound, "//evil.example/tree": http.StatusNotFound, "/../tree": http.StatusNotFound, "%": http.StatusNotFound} {
		status, body, _ := city.do(http.MethodGet, liveOf(page), nil)
		if status != want || strings.Contains(body, "name=\\\"form\\\"") {
			t.Errorf("%s: %d, want %d: %s", page, status, want, body)
		}
	}
	if status, _, _ := w.nobody().do(http.MethodGet, liveOf("/tree"), nil); status != http.StatusUnauthorized {
		t.Errorf("nobody: %d", status)
	}
	w.desk.o.Events, w.desk.o.WatchersEach = 300*time.Millisecond, 3
	other := w.person("other", account.Grant{Role: account.Viewer, Org: "3301"})
	var mu sync.Mutex
	got := map[string]int{}
	var open sync.WaitGroup
	for i := range 8 {
		open.Go(func() {
			c := []*client{city, other}[i%2]
			status, _, _ := c.do(http.MethodGet, liveOf("/complete"), nil)
			mu.Lock()
			defer mu.Unlock()
			got[fmt.Sprint(i%2, " ", status)]++
		})
	}
	open.Wait()
	if got["0 200"] < 3 || got["1 200"] < 3 || got["0 503"]+got["1 503"] == 0 {
		t.Errorf("%v", got)
	}
	if w.desk.parts.all != 0 || len(w.desk.parts.open) != 0 || len(w.desk.parts.count) != 0 {
		t.Error("pages that are closed count")
	}
}

// TestParts: however many look at a part, it is made once per pause.
func TestParts(t *testing.T) {
	p, made := newParts(), 0
	render := func() (string, error) { made++; return fmt.Sprint(made), nil }
	for range 5 {
		one := p.enter("key", "who", 5, 5)
		if html, err := one.look(time.Hour, render); html != "1" || err != nil {
			t.Error(html, err)
		}
	}
	if p.enter("key", "other", 5, 5) != nil || p.enter("key", "who", 9, 5) != nil {
		t.Error("there is no end to it")
	}
	for range 5 {
		p.leave("key", "who")
	}
	if html, _ := p.enter("key", "who", 5, 5).look(time.Hour, render); html != "2" {
		t.Errorf("a part that nobody looked at is kept: %s", html)
	}
}
