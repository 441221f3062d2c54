package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/cmd/console"
	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/stream/status"
	"github.com/tributary-cdc/tributary/test/servers"
)

// board is a board with what a test says, and a store that has what it says.
type board struct {
	records  []status.Record
	complete []postgres.Complete
}

// newBoard has a source of each org in a gap, with a worker that has failed.
func newBoard(orgs ...string) (b board) {
	now, gap := time.Now(), "gap"
	for _, org := range orgs {
		source := org + "-xueji"
		b.records = append(b.records, status.Record{Kind: status.OfSource, Org: org, Source: source, Program: "agent " + org, State: "gap", Code: "SLOT_LOST", Error: "gap of " + org, Written: now, Within: 6000,
			Loads: []status.Load{{Table: "table." + org, Phase: "loading", Rows: 10, Estimate: 100}}},
			status.Record{Kind: status.OfStore, Org: org, Source: source, Store: "city", Program: "w", State: "applying", Written: now, Within: 6000},
			status.Record{Kind: status.OfWorker, Org: org, Store: "city", Program: "worker " + org, State: "failed", Error: "worker of " + org, Written: now, Within: 6000})
		b.complete = append(b.complete, postgres.Complete{Dataset: "d0", Source: source, Until: &now, HeldBy: &gap, HeldSince: &now})
	}
	return b
}

// Records implements console's board.
func (b *board) Records() []status.Record { return slices.Clone(b.records) }

// Newest implements watch.Board.
func (b *board) Newest() (all []*status.Record) {
	for _, r := range b.records {
		all = append(all, &r)
	}
	return all
}

// Readings implements the boards: no topic can be read.
func (b *board) Readings() (all []status.Reading) {
	for _, r := range b.records {
		if r.Kind == status.OfSource {
			all = append(all, status.Reading{Topic: "tributary." + r.Org + ".status", Org: r.Org, Error: "away " + r.Org})
		}
	}
	return all
}

// Complete implements watch.Viewer.
func (b *board) Complete(context.Context) ([]postgres.Complete, error) { return b.complete, nil }

// Troubles implements watch.Viewer.
func (b *board) Troubles(context.Context) (all []postgres.Trouble, _ error) {
	for _, c := range b.complete {
		all = append(all, postgres.Trouble{Source: c.Source, Keys: 3, Anomalies: 4, Held: 5})
	}
	return all, nil
}

// rows is a store that has rows of all sources, and nothing of its own to cut them.
type rows []string

func topicOf(source string) string {
	org, _, _ := strings.Cut(source, "-")
	return "tributary." + org + ".changes"
}

// Recent implements console's store.
func (s rows) Recent(_ context.Context, _ int, topics []string) (found []postgres.Recent, _ error) {
	for i, source := range s {
		if topics == nil || slices.Contains(topics, topicOf(source)) {
			found = append(found, postgres.Recent{Batch: int64(i + 1), Source: source, To: "p", Position: "p", TxnID: "txn-" + source, Partition: topicOf(source) + "/0", Applied: time.Now()})
		}
	}
	return found, nil
}

// Datasets implements console's store: each source has a table of its own, and all one more.
func (s rows) Datasets(_ context.Context, topics []string) (found []postgres.Dataset, _ error) {
	for _, source := range s {
		if topics == nil || slices.Contains(topics, topicOf(source)) {
			found = append(found, postgres.Dataset{Name: "of_" + source, Key: []string{"id"}})
		}
	}
	if len(found) > 0 {
		found = append(found, postgres.Dataset{Name: "student", Key: []string{"id"}})
	}
	return found, nil
}

// Trace implements console's store: all sources have a row under each key.
func (s rows) Trace(_ context.Context, dataset string, _ []string) (found []postgres.Trace, _ error) {
	for _, source := range s {
		if of, own := strings.CutPrefix(dataset, "of_"); !own || of == source {
			found = append(found, postgres.Trace{Source: source, Row: json.RawMessage(`{"secret": "row of ` + source + `"}`), Batch: postgres.TracedBatch{Partition: topicOf(source) + "/0"}})
		}
	}
	return found, nil
}

// testStates: the page of states, its API, its events and its trace show each role of a
// part of the tree that part and nothing else, and nobody anything.
func testStates(t *testing.T, db servers.DB) {
	w := newWorld(t, db)
	var stored rows
	for _, org := range []string{"330106", "330203", "990001"} { // the last isn't in the tree
		stored = append(stored, org+"-xueji")
	}
	page, err := console.New(console.Options{Board: &w.said, Stores: []console.Store{{Name: "city", Viewer: stored}}, Every: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	w.web = httptest.NewServer(w.desk.Handler(page.Behind()))
	t.Cleanup(w.web.Close)
	paths := map[string]string{ // to what stands there of each org
		"/?lang=en": "txn-%s-xueji", "/api/status": "worker of %s", eventsPath + "?lang=en": "txn-%s-xueji",
		"/?lang=en&linked=1": `<a href="/sources/%s-xueji">`, eventsPath + "?lang=en&linked=1": `/sources/%s-xueji`,
		"/?lang=en&store=city&table=student&key=1": "row of %s", "/tree?lang=en": "%s-xueji", "/api/tree": "%s-xueji",
	}
	look := func(c *client, name string, seen map[string]bool) {
		t.Helper()
		for path, has := range paths {
			status, body, _ := c.do(http.MethodGet, path, nil)
			for org, may := range seen {
				if status != http.StatusOK || strings.Contains(body, fmt.Sprintf(has, org)) != may || !may && strings.Contains(body, org) {
					t.Errorf("%s of %s: %d, %s is there: %v, want %v", path, name, status, org, !may, may)
				}
			}
		}
		for org, may := range seen {
			for _, path := range []string{"/sources/" + org + "-xueji", "/api/sources/" + org + "-xueji"} {
				if status, body, _ := c.do(http.MethodGet, path, nil); (status == http.StatusOK) != may || may && !strings.Contains(body, "SLOT_LOST") || !may && !strings.Contains(body, "SOURCE_NOT_SEEN") {
					t.Errorf("%s of %s: %d", path, name, status)
				}
			}
			for _, path := range []string{"/tree?org=" + org, "/api/tree?org=" + org, "/api/complete?org=" + org, "/complete?org=" + org} {
				if status, _, _ := c.do(http.MethodGet, path, nil); (status == http.StatusOK) != (may && org != "990001") {
					t.Errorf("%s of %s: %d", path, name, status)
				}
			}
		}
		for org, may := range seen { // a table that only others have
			if _, body, _ := c.do(http.MethodGet, "/?lang=en&store=city&key=1&table=of_"+org+"-xueji", nil); strings.Contains(body, "row of "+org) != may || !may && !strings.Contains(body, "The table has no row under this key.") {
				t.Errorf("the table of %s is there for %s: %v, want %v", org, name, !may, may)
			}
		}
	}
	for _, role := range account.Roles {
		look(w.person("district-"+string(role), account.Grant{Role: role, Org: "330106"}), "a district's "+string(role), map[string]bool{"330106": true, "330203": false, "990001": false})
	}
	look(w.person("city", account.Grant{Role: account.Viewer, Org: "3302"}), "a city", map[string]bool{"330106": false, "330203": true, "990001": false})
	look(w.person("two", account.Grant{Role: account.Viewer, Org: "330106"}, account.Grant{Role: account.Viewer, Org: "330203"}), "two districts", map[string]bool{"330106": true, "330203": true, "990001": false})
	look(w.person("province", account.Grant{Role: account.Viewer}), "the whole tree", map[string]bool{"330106": true, "330203": true, "990001": true})
	empty := w.person("empty", account.Grant{Role: account.Viewer, Org: "330108"})
	look(empty, "a district without sources", map[string]bool{"330106": false, "330203": false, "990001": false})
	if _, body, _ := empty.do(http.MethodGet, "/?lang=en", nil); !strings.Contains(body, "No source has reported yet") {
		t.Error("a district without sources isn't told so")
	}
	for path, want := range map[string]string{"/nothing/here?lang=en": "To the first page", "/nothing/%3Cscript%3E?lang=zh-CN": "返回首页", "/desk/nothing?lang=zh-CN": "返回首页", "/api/nothing": `"CALL_UNKNOWN"`} {
		status, body, _ := empty.do(http.MethodGet, path, nil)
		if status != http.StatusNotFound || !strings.Contains(body, want) || strings.Contains(body, "<script>") || strings.HasPrefix(path, "/api/") == strings.Contains(body, `<nav aria-label="`) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	empty.want(http.StatusNotFound, "CALL_UNKNOWN", http.MethodPost, "/alarms", nil)
	empty.want(http.StatusNotFound, "CALL_UNKNOWN", http.MethodGet, "/api/session/end", nil)
	w.nobody().want(http.StatusUnauthorized, "LOGIN_NEEDED", http.MethodGet, "/api/nothing", nil)
	if status, _, header := w.nobody().do(http.MethodGet, "/nothing", nil); status != http.StatusSeeOther || header.Get("Location") != "/login" {
		t.Errorf("nobody at no page: %d %s", status, header.Get("Location"))
	}
	for path := range paths {
		if status, body, _ := w.nobody().do(http.MethodGet, path, nil); status == http.StatusOK || strings.Contains(body, "330106") {
			t.Errorf("%s of nobody: %d %s", path, status, body)
		}
	}
}
