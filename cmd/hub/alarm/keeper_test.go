package alarm

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/cmd/internal/language"
	"github.com/tributary-cdc/tributary/stream/status"
)

// book is a Book in memory with one message.
type book struct {
	found  []Alarm
	next   *Message
	told   []int64
	report *Report
	sent   map[string]bool
}

func (b *book) KeepAlarms(_ context.Context, found []Alarm) error { b.found = found; return nil }
func (b *book) Certificates(context.Context) ([]Agent, error)     { return nil, nil }
func (b *book) TakeMessage(context.Context, string) (*Message, error) {
	m := b.next
	b.next = nil
	return m, nil
}
func (b *book) DueReport(_ context.Context, to string, from, until time.Time) (*Report, error) {
	if b.report == nil || b.sent[to] {
		return nil, nil
	}
	b.sent[to] = true
	r := *b.report
	r.From, r.Until = from, until
	return &r, nil
}
func (b *book) UnsentReport(_ context.Context, to string, _ time.Time) error {
	delete(b.sent, to)
	return nil
}
func (b *book) SentReport(context.Context, string, time.Time) error  { return nil }
func (b *book) Untold(_ context.Context, _ string, m *Message) error { b.next = m; return nil }
func (b *book) Told(_ context.Context, _ string, m *Message) error {
	b.told = append(b.told, m.ID)
	return nil
}

// TestKeeper: what doesn't hold is no alarm, nothing is known before all states have been
// read, and a message that isn't taken is sent again, without the address in any error.
func TestKeeper(t *testing.T) {
	w := newWorld(t)
	var got []string
	answer := `{"errcode": 45009, "errmsg": "api freq out of limit"}`
	robot := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = append(got, r.URL.RawQuery+"\n"+string(b))
		if _, err := io.WriteString(rw, answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(robot.Close)
	b := &book{next: &Message{ID: 7, Kind: Gap, Object: "source 330106-a", Detail: "x\n# [evil](http://x) <font>", At: w.now}}
	k, err := NewKeeper(KeeperOptions{Book: b, Watch: w.w.Snapshot, Webhooks: []Webhook{{Name: "duty", Form: DingTalk, URL: robot.URL + "/robot/send?access_token=hidden", Secret: "SEC", Language: language.Chinese, Page: "https://hub"}}})
	if err != nil {
		t.Fatal(err)
	}
	look := func(pass time.Duration) {
		t.Helper()
		w.now = w.now.Add(pass)
		for i := range w.records {
			if w.records[i].State != "gap" {
				w.records[i].Written = w.now
			}
		}
		w.look()
		if err := k.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.change(of(status.OfStore, "330106-a city"), func(r *status.Record) { r.Lag.SourceStore = &status.Figures{P99: 90, Count: 1} })
	w.readings[0].CaughtUp = false
	look(time.Hour)
	w.readings[0].CaughtUp = true
	if look(0); len(b.found) != 0 || len(got) != 1 || b.next == nil || len(b.told) != 0 {
		t.Errorf("at first: %+v, %d messages", b.found, len(got))
	}
	if look(14 * time.Second); len(b.found) != 0 {
		t.Errorf("too early: %+v", b.found)
	}
	answer = `{"errcode": 0, "errmsg": "ok"}`
	if look(2 * time.Second); len(b.found) != 1 || b.found[0].Kind != Lag || b.next != nil || len(b.told) != 1 {
		t.Errorf("it has held: %+v, %+v", b.found, b.next)
	}
	last := got[len(got)-1]
	if !strings.Contains(last, "sign=") || !strings.Contains(last, "timestamp=") || !strings.Contains(last, "数据缺口") || !strings.Contains(last, "https://hub/alarms/7") || strings.Contains(last, "[evil]") || strings.Contains(last, "<font>") {
		t.Error(last)
	}
	robot.Close()
	h := &Webhook{Name: "duty", Form: WeCom, URL: robot.URL + "/?key=hidden"}
	if err := h.Post(t.Context(), http.DefaultClient, Message{Kind: Gap}); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("%v", err)
	}
}

// TestForms: what each kind of robot is sent, within its bounds.
func TestForms(t *testing.T) {
	m := Message{ID: 1, Kind: Silence, Object: "store city", Code: "STORE_AWAY", Detail: strings.Repeat("很长", 3000), At: time.Unix(1_800_000_000, 0), Sources: 6}
	for form, field := range map[Form]string{WeCom: "content", DingTalk: "text"} {
		b, err := (&Webhook{Form: form}).body(m)
		if err != nil {
			t.Fatal(err)
		}
		var sent struct {
			Type     string            `json:"msgtype"`
			Markdown map[string]string `json:"markdown"`
		}
		if err := json.Unmarshal(b, &sent); err != nil || sent.Type != "markdown" || len(sent.Markdown[field]) > 4096 || !strings.Contains(sent.Markdown[field], "store city") || !strings.Contains(sent.Markdown[field], "6 sources") {
			t.Errorf("%s: %s, %v", form, b, err)
		}
	}
	b, err := (&Webhook{Form: JSON, Page: "https://hub"}).body(m)
	var back Message
	if err != nil || json.Unmarshal(b, &back) != nil || back.Kind != Silence || back.URL != "https://hub/alarms/1" {
		t.Errorf("%s, %v", b, err)
	}
	if over := m; !strings.Contains(func() string { over.Over = true; return over.Text(language.Chinese) }(), "已恢复：失联") {
		t.Error(over.Text(language.Chinese))
	}
}
