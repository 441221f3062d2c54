package alarm

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/cmd/internal/language"
)

// Form is how a webhook wants its messages.
type Form string

// The forms.
const (
	WeCom    Form = "wecom"    // 企业微信群机器人
	DingTalk Form = "dingtalk" // 钉钉群机器人
	JSON     Form = "json"     // Message as it is
)

// Webhook is where messages go. Its address is a secret: whoever has it may write there.
type Webhook struct {
	Name string
	Form Form
	URL  string
	// Secret signs the messages of DingTalk; empty for robots that want no signature.
	Secret   string
	Language language.Language
	// Page is the hub's own address, to which messages lead; empty for none.
	Page string
}

// Message is an alarm that has come or gone.
type Message struct {
	ID     int64     `json:"id"`
	Kind   Kind      `json:"kind"`
	Object string    `json:"object"`
	Org    string    `json:"org"`
	Code   string    `json:"code,omitempty"`
	Detail string    `json:"detail,omitempty"`
	At     time.Time `json:"at"`
	Over   bool      `json:"over"`
	// Sources counts those behind it.
	Sources int    `json:"sources"`
	URL     string `json:"url,omitempty"`
}

// maxMessage bounds what comes out of a webhook, in bytes: 4096 is the limit of WeCom's
// markdown.
const maxMessage = 4000

// title says in a line what has come or gone.
func (m *Message) title(lang language.Language) string {
	title, over := WordsOf(m.Kind, m.Code, lang).Name+" · "+Object(m.Object, lang), "Over: "
	if lang == language.Chinese {
		over = "已恢复："
	}
	if m.Over {
		title = over + title
	}
	return plain(title)
}

// Text gives a message as markdown.
func (m *Message) Text(lang language.Language) string {
	w := WordsOf(m.Kind, m.Code, lang)
	who, do, behind, page := "By: ", "To do: ", "%d {source stands|sources stand} behind it", "Details"
	if lang == language.Chinese {
		who, do, behind, page = "处理人：", "处理：", "影响 %d 个数据源", "查看详情"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n", m.title(lang))
	if m.Detail != "" || m.Code != "" {
		fmt.Fprintf(&b, "> %s\n\n", plain(strings.TrimSpace(m.Code+" "+Here(m.Detail, m.At.Location()))))
	}
	if m.Sources > 0 {
		b.WriteString(language.Sprintf(behind+"\n\n", m.Sources))
	}
	if !m.Over {
		fmt.Fprintf(&b, "%s\n\n%s%s\n\n%s%s\n\n", w.What, do, w.Do, who, w.Who)
	}
	b.WriteString(m.At.Format("2006-01-02 15:04:05"))
	if m.URL != "" {
		fmt.Fprintf(&b, " [%s](%s)", page, m.URL)
	}
	return b.String()
}

// plain takes from a text what markdown would make something of.
func plain(s string) string {
	if len(s) > 600 {
		s = strings.ToValidUTF8(s[:600], "") + "…"
	}
	return strings.NewReplacer("\n", " ", "\r", " ", "<", "‹", ">", "›", "[", "(", "]", ")", "`", "'").Replace(s)
}

// body gives what a webhook is sent.
func (h *Webhook) body(m Message) ([]byte, error) {
	if h.Page != "" {
		m.URL = fmt.Sprintf("%s/alarms/%d", h.Page, m.ID)
	}
	return h.formed(WordsOf(m.Kind, m.Code, h.Language).Name, m.Text(h.Language), m)
}

// formed gives a text as the form wants it, or a value as it is.
func (h *Webhook) formed(title, text string, value any) ([]byte, error) {
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "")
	}
	switch h.Form {
	case WeCom: // developer.work.weixin.qq.com/document/path/91770
		return json.Marshal(map[string]any{"msgtype": "markdown", "markdown": map[string]string{"content": text}})
	case DingTalk: // open.dingtalk.com/document/robots/custom-robot-access
		return json.Marshal(map[string]any{"msgtype": "markdown", "markdown": map[string]string{"title": title, "text": text}})
	}
	return json.Marshal(value)
}

// address gives where to, signed if need be.
func (h *Webhook) address(now time.Time) (string, error) {
	u, err := url.Parse(h.URL)
	if err != nil || u.Host == "" {
		return "", errors.New("not an address")
	}
	if h.Secret != "" {
		at := fmt.Sprint(now.UnixMilli())
		mac := hmac.New(sha256.New, []byte(h.Secret))
		mac.Write([]byte(at + "\n" + h.Secret)) // never fails
		q := u.Query()
		q.Set("timestamp", at)
		q.Set("sign", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
		u.RawQuery = q.Encode()
	}
	return u.String(), nil
}

// Post sends a message.
func (h *Webhook) Post(ctx context.Context, client *http.Client, m Message) error {
	b, err := h.body(m)
	if err != nil {
		return err
	}
	return h.send(ctx, client, b)
}

// robot is a webhook with the client that reaches it.
type robot struct {
	*Webhook
	client *http.Client
}

func (r robot) ID() string { return r.Name }

func (r robot) Tell(ctx context.Context, m Message) error { return r.Post(ctx, r.client, m) }

// Report sends a report, which is {"report": …} in JSON.
func (r robot) Report(ctx context.Context, report *Report) error {
	b, err := r.formed(report.Title(r.Language), report.Text(r.Language, r.Page), map[string]any{"report": report})
	if err != nil {
		return err
	}
	return r.send(ctx, r.client, b)
}

// send posts a body. The robots answer 200 also to what they refuse, and say so in errcode.
// No error holds the address.
func (h *Webhook) send(ctx context.Context, client *http.Client, b []byte) error {
	to, err := h.address(time.Now())
	if err != nil {
		return fmt.Errorf("webhook %s: %w", h.Name, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("webhook %s: not an address", h.Name)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if ue := (*url.Error)(nil); errors.As(err, &ue) {
		err = ue.Err // without the address
	}
	if err != nil {
		return fmt.Errorf("webhook %s: %w", h.Name, err)
	}
	answer, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return fmt.Errorf("webhook %s: %w", h.Name, err)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("webhook %s answers %s", h.Name, res.Status)
	}
	var said struct {
		Code int    `json:"errcode"`
		Text string `json:"errmsg"`
	}
	if h.Form == JSON || json.Unmarshal(answer, &said) == nil && said.Code == 0 {
		return nil
	}
	return fmt.Errorf("webhook %s refuses the message: %d %.200s", h.Name, said.Code, said.Text)
}
