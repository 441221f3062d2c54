package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/tributary-cdc/tributary/cmd/internal/language"
	"github.com/tributary-cdc/tributary/test/browser"
)

// hostile are names as a source may have them.
const hostile = `a.<script>window.hit = 1</script>"'&😀`

// home is a house with two tables; a password of "wrong" doesn't log in.
type home struct {
	added    []Choice
	server   Server
	proposed []string
	away     error
}

func (h *home) Look(_ context.Context, s Server, _ language.Language) (*Seen, error) {
	if h.server = s; s.Password == "wrong" {
		return nil, errors.New("access denied")
	}
	return &Seen{Server: "MariaDB 11", Tables: []Table{{ID: "xueji.student", Rows: 1_250_000, Bytes: 3 << 30, Columns: []string{"xh", "xm", "sfzjh"}}, {ID: hostile, Rows: -1, Columns: []string{hostile}}},
		Findings: []Finding{{Severity: "refuses", Code: "MYSQL_ROW_FORMAT", Object: hostile, Found: "STATEMENT", Meaning: "m", Consequence: "c", ToDo: "d"}}, Script: "SET GLOBAL binlog_format = 'ROW'; -- " + hostile}, nil
}

func (h *home) Choose(_ context.Context, _ Server, c Choice, _ language.Language) (*Seen, []byte, error) {
	if len(c.Datasets) == 0 {
		return nil, nil, errors.New("no table")
	}
	return &Seen{Server: "MariaDB 11"}, fmt.Appendf(nil, `{"tables":%q}`, fmt.Sprint(c.Datasets)), nil
}

func (h *home) Add(_ context.Context, _ Server, c Choice, _ language.Language) (Next, error) {
	h.added = append(h.added, c)
	return Next{Propose: true, Commands: []string{"tributary source propose agent.yml xueji"}}, nil
}

func (h *home) Propose(_ context.Context, leaves []byte, _ language.Language) (Next, error) {
	if h.away != nil {
		return Next{}, h.away
	}
	h.proposed = append(h.proposed, string(leaves))
	return Next{Done: "request 7 waits", Commands: []string{"tributary source fetch"}}, nil
}

func (h *home) Dataset(table string) string { return table[strings.LastIndexByte(table, '.')+1:] }

func (h *home) Told(err error, _ language.Language) Trouble {
	return Trouble{Code: "SOURCE_UNREACHABLE", What: "what", Do: "do", Words: err.Error()}
}

func served(t *testing.T, h *home) (*Page, string) {
	t.Helper()
	p, err := New(Options{House: h, Org: "330106", File: "/etc/tributary/agent.yml"})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(p.Handler())
	t.Cleanup(srv.Close)
	return p, srv.URL
}

// TestAccess: only the browser that came first by the link gets anything, under loopback's name,
// and only forms of this page do anything.
func TestAccess(t *testing.T) {
	h := &home{}
	p, base := served(t, h)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	mine := &http.Client{Jar: jar}
	ask := func(c *http.Client, method, path string, form url.Values, headers ...string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i < len(headers); i += 2 {
			if req.Header.Set(headers[i], headers[i+1]); headers[i] == "Host" {
				req.Host = headers[i+1]
			}
		}
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		if err = errors.Join(err, res.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if csp := res.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "script") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: %s", path, csp)
		}
		return res.StatusCode, string(b)
	}
	link := p.Start(language.English)
	everything := []string{"GET /", "GET /leaves.json", "POST /server", "POST /tables", "POST /add", "POST /propose", "POST /back"}
	refused := func(what string, c *http.Client, form url.Values, headers ...string) {
		t.Helper()
		for _, call := range everything {
			method, path, _ := strings.Cut(call, " ")
			if status, body := ask(c, method, path, form, headers...); status != http.StatusForbidden || strings.Contains(body, "330106") {
				t.Errorf("%s: %s answers %d %s", what, call, status, body)
			}
		}
	}
	refused("nobody", http.DefaultClient, nil)
	if status, _ := ask(mine, http.MethodGet, "/start?token=x", nil); status != http.StatusForbidden {
		t.Errorf("another token: %d", status)
	}
	if status, _ := ask(mine, http.MethodGet, "/start?token=", nil); status != http.StatusForbidden {
		t.Errorf("no token: %d", status)
	}
	if status, _ := ask(http.DefaultClient, http.MethodHead, link, nil); status != http.StatusForbidden {
		t.Errorf("a look at the link: %d", status)
	}
	if status, body := ask(mine, http.MethodGet, link, nil); status != http.StatusOK || !strings.Contains(body, "330106") {
		t.Errorf("the link: %d %s", status, body)
	}
	for _, again := range []string{link, "/start?token="} {
		if status, _ := ask(http.DefaultClient, http.MethodGet, again, nil); status != http.StatusForbidden {
			t.Errorf("a second time: %d", status)
		}
	}
	if status, _ := ask(mine, http.MethodGet, "/", nil, "Host", "evil.example"); status != http.StatusMisdirectedRequest {
		t.Errorf("under another name: %d", status)
	}
	everything = everything[2:]
	refused("without the form's secret", mine, url.Values{"form": {"x"}, "name": {"x"}})
	refused("from another site", mine, url.Values{"form": {p.form}}, "Sec-Fetch-Site", "cross-site")
	if h.server != (Server{}) || len(h.added) != 0 {
		t.Errorf("something was done: %+v", h)
	}
	if status, body := ask(mine, http.MethodPost, "/add", url.Values{"form": {p.form}}); status != http.StatusOK || len(h.added) != 0 {
		t.Errorf("out of turn: %d %s", status, body)
	}
	_, body := ask(mine, http.MethodPost, "/server", url.Values{"form": {p.form}, "name": {"xueji"}, "password": {"wrong"}})
	if !strings.Contains(body, "access denied") || strings.Contains(body, `value="wrong"`) {
		t.Errorf("%s", body)
	}
	_, body = ask(mine, http.MethodPost, "/server", url.Values{"form": {p.form}, "name": {"xueji"}, "password": {" geheim "}})
	if h.server.Password != " geheim " || strings.Contains(body, "geheim") || strings.Contains(body, "<script") {
		t.Errorf("%+v, %s", h.server, body)
	}
	if status, _ := ask(mine, http.MethodGet, "/leaves.json", nil); status != http.StatusNotFound {
		t.Errorf("a file before anything was chosen: %d", status)
	}
	ask(mine, http.MethodPost, "/tables", url.Values{"form": {p.form}, "table": {"1", "7", "x"}, "dataset-1": {"other"}, "first": {"now"}})
	if status, body := ask(mine, http.MethodGet, "/leaves.json", nil); status != http.StatusOK || !strings.Contains(body, "other") {
		t.Errorf("%d %s", status, body)
	}
	shown := p.digest()
	ask(mine, http.MethodPost, "/server", url.Values{"form": {p.form}, "name": {"x\"y"}, "password": {"wrong"}})
	if status, body := ask(mine, http.MethodGet, "/leaves.json", nil); status != http.StatusNotFound {
		t.Errorf("another server's file: %d %s", status, body)
	}
	ask(mine, http.MethodPost, "/server", url.Values{"form": {p.form}, "name": {"xueji"}, "password": {"geheim"}})
	ask(mine, http.MethodPost, "/tables", url.Values{"form": {p.form}, "table": {"0", "1"}, "dataset-1": {"other"}, "first": {"now"}})
	for _, seen := range []string{shown, ""} { // by another tab, or by none
		if _, body := ask(mine, http.MethodPost, "/add", url.Values{"form": {p.form}, "leaves": {seen}}); len(h.added) != 0 || !strings.Contains(body, text("changed.do", language.English)) {
			t.Errorf("what nobody has seen: %+v, %s", h.added, body)
		}
	}
	ask(mine, http.MethodPost, "/tables", url.Values{"form": {p.form}, "table": {"1"}, "dataset-1": {"other"}, "first": {"now"}})
	if ask(mine, http.MethodPost, "/add", url.Values{"form": {p.form}, "leaves": {shown}}); len(h.added) != 1 || h.added[0].Load || len(h.added[0].Datasets) != 1 || h.added[0].Datasets[hostile] != "other" {
		t.Errorf("%+v", h.added)
	}
	h.away = errors.New("the hub is away")
	if _, body := ask(mine, http.MethodPost, "/propose", url.Values{"form": {p.form}, "leaves": {shown}}); !strings.Contains(body, "the hub is away") || !strings.Contains(body, `action="/propose"`) {
		t.Errorf("it can't be tried again: %s", body)
	}
	h.away = nil
	if ask(mine, http.MethodPost, "/propose", url.Values{"form": {p.form}, "leaves": {"x"}}); len(h.proposed) != 0 {
		t.Errorf("what nobody has seen is proposed: %q", h.proposed)
	}
	for range 2 { // a second click
		if _, body := ask(mine, http.MethodPost, "/propose", url.Values{"form": {p.form}, "leaves": {shown}}); len(h.proposed) != 1 || h.proposed[0] != string(p.leaves) || !strings.Contains(body, "request 7 waits") || strings.Contains(body, `action="/propose"`) {
			t.Errorf("%q, %s", h.proposed, body)
		}
	}
	if status, body := ask(mine, http.MethodPost, "/server", url.Values{"form": {p.form}, "name": {strings.Repeat("x", maxBody)}}); status != http.StatusForbidden {
		t.Errorf("a form without end: %d %.100s", status, body)
	}
}

// TestTexts: each text that the page asks for is there, in both languages and with the same
// verbs, and none is there for nothing.
func TestTexts(t *testing.T) {
	b, err := assets.ReadFile("assets/page.html")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	used := map[string]bool{"changed": true, "changed.do": true, "mysql": true, "mariadb": true, "postgres": true, "severity.refuses": true, "severity.harms": true, "severity.advice": true}
	for _, m := range regexp.MustCompile(`\.T "([a-z.]+)"`).FindAllStringSubmatch(page, -1) {
		used[m[1]] = true
	}
	verbs := regexp.MustCompile(`%[a-z]`)
	for key := range used {
		both, ok := catalogue[key]
		if !ok || both[0] == "" || both[1] == "" || strings.Join(verbs.FindAllString(both[0], -1), "") != strings.Join(verbs.FindAllString(both[1], -1), "") {
			t.Errorf("%s: %q", key, both)
		}
	}
	for key := range catalogue {
		if !used[key] {
			t.Errorf("%s is used nowhere", key)
		}
	}
}

// TestBrowser walks the page in a real browser, in both languages, on a desk and on a phone:
// names that are hostile stay names, nothing overflows, and everything can be read.
func TestBrowser(t *testing.T) {
	chromium := browser.Chromium(t)
	for _, tt := range []struct {
		lang          string
		width, height int64
		dark          bool
	}{{"zh-CN", 1280, 800, false}, {"en", 390, 844, true}} {
		t.Run(tt.lang, func(t *testing.T) {
			h := &home{}
			p, base := served(t, h)
			v := browser.Open(t, chromium, tt.width, tt.height, tt.dark)
			lang := language.Of(tt.lang)
			see := func(name, has string) {
				t.Helper()
				v.Run(v.Is(fmt.Sprintf(`document.readyState === "complete" && document.documentElement.lang === %q && document.body.innerText.includes(%q)`, tt.lang, has)))
				v.Audit("intake " + tt.lang + " " + name)
			}
			press := func(selector string) {
				t.Helper()
				v.Run(chromedp.Evaluate(fmt.Sprintf(`window.before = true; document.querySelector(%q).click()`, selector), nil), v.Is(`document.readyState === "complete" && window.before === undefined`))
			}
			fill := func(password string) {
				t.Helper()
				for id, value := range map[string]string{"name": "xueji", "password": password} {
					v.Run(chromedp.Evaluate(fmt.Sprintf(`document.getElementById(%q).value = %q`, id, value), nil))
				}
				press(`form[action="/server"] button`)
			}
			v.Run(chromedp.Navigate(base+p.Start(lang)), v.Is(`document.readyState === "complete" && location.pathname === "/"`))
			see("1 server", text("server.do", lang))
			fill("wrong")
			see("1 wrong", "access denied")
			fill("right")
			see("2 tables", "xueji.student")
			press(`button[name=pick][value=all]`)
			v.Run(v.Is(`document.querySelectorAll("input[type=checkbox]:checked").length === 2 && window.hit === undefined`))
			press(`form[action="/tables"] button.primary`)
			see("3 leaves", text("leaves", lang))
			press(`form[action="/add"] button`)
			see("4 done", "tributary source propose")
			if len(h.added) != 1 || len(h.added[0].Datasets) != 2 || !h.added[0].Load {
				t.Errorf("%+v", h.added)
			}
			press(`form[action="/propose"] button`)
			see("5 proposed", "request 7 waits")
			v.Expect("/start")
			v.Run(chromedp.Navigate(base + "/start?token=again"))
			see("refused", text("refused", lang))
		})
	}
}
