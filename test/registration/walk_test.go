package registration

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/test/browser"
	"github.com/tributary-cdc/tributary/test/program"
)

// words are what the pages say in a language, as far as the walk reads them.
type words struct {
	lang, org, orgName string
	dark               bool
	width, height      int64

	id, form, joined, approved, streaming, paused, loading, over, acknowledged, silenced, nothing string
}

var languages = []words{
	{lang: "zh-CN", org: "330106", orgName: "西湖区", width: 1280, height: 800,
		id: "证件号码", form: "值的形式", joined: "已加入 西湖区（330106），agent 为 330106.", approved: "已批准", streaming: "采集中", paused: "已暂停", loading: "装载中", over: "恢复时间", acknowledged: "已确认", silenced: "已静默", nothing: "尚未登记任何数据源"},
	{lang: "en", org: "330108", orgName: "滨江区", width: 390, height: 844, dark: true,
		id: "id number", form: "by the form of values", joined: "joined 滨江区 (330108) as agent 330108.", approved: "approved", streaming: "streaming", paused: "paused", loading: "loading", over: "Over at", acknowledged: "acknowledged", silenced: "silenced", nothing: "Nothing is registered yet"},
}

const password = "correct horse battery"

// walker is a person at a browser, in a language.
type walker struct {
	*province
	words
	v *browser.Tab
}

// TestWay walks the whole way of a registration and of an alarm in both languages, on one
// hub: the administrator's first link, accounts, an invitation, join, the source's
// questions, the inbox, the approval, the first row in the store, a load that is paused and
// goes on; a table that stops, its alarm acknowledged and silenced, and its end. With
// TRIBUTARY_SCREENSHOTS it leaves a picture of every page on the way.
func TestWay(t *testing.T) {
	p := newProvince(t)
	chromium := browser.Chromium(t)
	for i, w := range languages {
		t.Run(w.lang, func(t *testing.T) {
			here := *p
			here.T = t
			x := &walker{&here, w, browser.Open(t, chromium, w.width, w.height, w.dark)}
			x.administrator(i == 0)
			x.alarm(x.registration())
		})
	}
	everyPage(t, p, chromium)
}

// page opens a page and looks at it once it has a text.
func (x *walker) page(name, path, has string) {
	x.Helper()
	x.v.Run(chromedp.Navigate(x.hub + path))
	x.see(name, has)
}

// see waits until the page has a text, and looks at it.
func (x *walker) see(name, has string) {
	x.Helper()
	x.v.Run(x.v.Is(fmt.Sprintf(`document.readyState === "complete" && document.documentElement.lang === %q && document.body.innerText.includes(%q)`, x.lang, has)))
	x.v.Audit(x.lang + " " + name)
}

// fill types into fields by their ids.
func (x *walker) fill(values map[string]string) {
	x.Helper()
	for id, value := range values {
		x.v.Run(chromedp.Evaluate(fmt.Sprintf(`document.getElementById(%q).value = %q`, id, value), nil))
	}
}

// press clicks on a button, and waits for the page that comes.
func (x *walker) press(selector, until string) {
	x.Helper()
	x.v.Run(chromedp.Evaluate(fmt.Sprintf(`window.confirm = () => true; window.before = true; document.querySelector(%q).click()`, selector), nil),
		x.v.Is(`document.readyState === "complete" && window.before === undefined && (`+until+`)`))
}

// text gives what stands in an element.
func (x *walker) text(selector string) (text string) {
	x.Helper()
	x.v.Run(chromedp.Evaluate(fmt.Sprintf(`document.querySelector(%q).innerText`, selector), &text))
	return text
}

func at(path string) string { return fmt.Sprintf("location.pathname === %q", path) }

// login logs in by the keyboard, and comes to a page; whoever was there before logs out.
func (x *walker) login(who, first string) {
	x.Helper()
	x.logout()
	x.v.Run(chromedp.Navigate(x.hub+"/login?lang="+x.lang), x.v.Is(`document.readyState === "complete" && document.getElementById("account") !== null`),
		chromedp.Evaluate(`document.getElementById("account").focus()`, nil), chromedp.KeyEvent(who+kb.Tab+password+kb.Enter), x.v.Is(`document.readyState === "complete" && `+at(first)))
}

func (x *walker) logout() {
	x.Helper()
	x.v.Run(chromedp.Navigate(x.hub+"/me?lang="+x.lang), x.v.Is(`document.readyState === "complete" && document.querySelector("main") !== null`))
	inside := false
	x.v.Run(chromedp.Evaluate(`document.querySelector('form[action="/api/session/end"]') !== null`, &inside))
	if inside {
		x.press(`form[action="/api/session/end"] button`, at("/login"))
	}
}

// setPassword uses a link.
func (x *walker) setPassword(name, link string) {
	x.Helper()
	x.v.Run(chromedp.Navigate(link + "&lang=" + x.lang))
	x.see(name, "")
	x.fill(map[string]string{"password": password, "again": password})
	x.press(`form[action="/api/setup"] button`, at("/login"))
}

// administrator uses the hub's first link, once for all, and makes the accounts of a
// language by the page.
func (x *walker) administrator(first bool) {
	x.Helper()
	if first {
		x.setPassword("01 first link", x.link)
	}
	x.page("02 login", "/login?lang="+x.lang, "")
	x.login("admin", "/")
	x.page("03 orgs", "/orgs", x.orgName)
	for _, role := range []string{"operator", "approver", "auditor"} {
		x.page("04 accounts", "/accounts", "admin")
		x.fill(map[string]string{"account": role + x.org, "title": "张三 " + x.org, "role": role, "org": x.org})
		x.press(`form[action="/api/accounts"] button`, `document.querySelector(".secret pre") !== null`)
		x.see("05 link of "+role, role+x.org)
		link := x.text(".secret pre")
		x.logout()
		x.setPassword("06 link of "+role, link)
		x.login("admin", "/")
	}
}

// house is the district's own folder.
func (x *walker) house(name string) string { return filepath.Join(x.dir, x.org, name) }

// tables makes the district's database: a table of persons, and one that takes a while to
// load.
func (x *walker) tables() string {
	x.Helper()
	db := "xueji_" + x.org
	var rows []string
	for i := range 600 {
		rows = append(rows, fmt.Sprintf("(%d, '旷课')", i))
	}
	for _, sql := range []string{"CREATE DATABASE " + db + " CHARACTER SET utf8mb4",
		"CREATE TABLE " + db + ".student (xh bigint PRIMARY KEY, xm varchar(20), sfzjh varchar(18), lxdh varchar(20), bz varchar(200) COMMENT '健康状况')",
		"INSERT INTO " + db + ".student VALUES (1, '王小明', '11010519491231002X', '13800138000', '对花生过敏'), (2, '李雷', '440524188001010014', '13800138001', ''), (3, '韩梅梅', NULL, NULL, NULL)",
		"CREATE USER " + x.user() + " IDENTIFIED BY '" + firstPassword + "'", "GRANT ALL ON *.* TO " + x.user(),
		"CREATE TABLE " + db + ".absence (id bigint PRIMARY KEY, what varchar(20))", "INSERT INTO " + db + ".absence VALUES " + strings.Join(rows, ", ")} {
		x.at(sql)
	}
	return db
}

// registration goes from the invitation to the first row in the store, and gives the
// agent's address.
func (x *walker) registration() string {
	x.Helper()
	db := x.tables()
	x.login("operator"+x.org, "/")
	x.page("10 nothing asked yet", "/requests", "")
	x.page("10 no source", "/tree", x.nothing)
	x.page("10 no state", "/?lang="+x.lang, x.nothing)
	x.page("10 no alarm", "/alarms", "")
	x.v.Run(x.v.Is(`document.querySelector("#live .problems") === null`))
	x.page("11 invitations", "/invitations", "")
	x.fill(map[string]string{"org": x.org})
	x.press(`form[action="/api/invitations"] button`, `document.querySelector(".secret pre") !== null`)
	x.see("12 invited", x.orgName)
	command := strings.Fields(x.text(".secret pre"))
	if out := x.run(x.lang, "", append(command[1:], "--dir", x.house("joined"), "--name", "host")...); !strings.Contains(out, x.words.joined) {
		x.Errorf("%s", out)
	}
	file := program.Write(x, filepath.Join(x.dir, "agent"+x.org+".yml"), "# %s\nname: a-%s\norg: %q\ndata_dir: %s\nlog: {brokers: [%q], embedded: true}\nhttp: 127.0.0.1:%d\nsources: []\n", x.orgName, x.org, x.org, x.house("agent"), x.log, program.Port(x))
	said := x.add(file, db)
	asked := x.run(x.lang, "", "source", "propose", file, "xueji", "--dir", x.house("joined"))
	if !strings.Contains(asked, x.id) || strings.Contains(asked, "王小明") {
		x.Errorf("%s", asked)
	}
	x.login("approver"+x.org, "/")
	x.page("13 inbox", "/requests", x.org+"-xueji")
	x.press("tbody a", `location.pathname.startsWith("/requests/")`)
	x.see("14 request", x.form)
	if page := x.text("main"); strings.Contains(page, "王小明") || !strings.Contains(page, "sfzjh") || !strings.Contains(page, x.id) {
		x.Errorf("%s", page)
	}
	x.press(`form[action$="/approve"] button`, at("/requests"))
	x.see("15 approved", x.approved)
	x.run(x.lang, "", "source", "fetch", "--dir", x.house("joined"))
	x.slow(file)
	x.at("ALTER USER " + x.user() + " IDENTIFIED BY '" + nextPassword + "'")
	said += x.run(x.lang, nextPassword+"\n", "source", "password", file, "xueji")
	a := &program.Process{Name: "agent" + x.org, Args: []string{"agent", "--config", file, "--lang", x.lang}, Expected: "table stopped"}
	a.Start(x, x.bin, x.dir, nextPassword, firstPassword, x.source.Password)
	x.await("the first row in the store", func() bool {
		var name string
		err := x.store.QueryRow(context.Background(), "SELECT xm FROM ods.student WHERE xh = 1 AND _source = $1", x.org+"-xueji").Scan(&name)
		return err == nil && name == "王小明"
	})
	x.await("the report of what has left", func() bool {
		return strings.Contains(x.run(x.lang, "", "source", "report", file), db+".student")
	})
	x.nowhere(said)
	x.page("16 state", "/?lang="+x.lang, x.org+"-xueji")
	x.page("17 tree", "/tree", x.org+"-xueji")
	agent := x.agent(file)
	x.pause(agent, db)
	x.altered(db)
	return agent
}

// add adds the source: by the agent's own page in Chinese, by questions in English. It gives
// what was said on the terminal.
func (x *walker) add(file, db string) string {
	x.Helper()
	if x.lang == "en" {
		answers := strings.Join([]string{"xueji", "mariadb", x.source.Host, fmt.Sprint(x.source.Port), x.user(), firstPassword, db + ".*", "load"}, "\n") + "\n"
		said := x.run(x.lang, answers, "source", "add", file, "--dir", x.house("joined"))
		if !strings.Contains(said, db+".student") {
			x.Errorf("%s", said)
		}
		return said
	}
	page := &program.Process{Name: "page" + x.org, Args: []string{"source", "add", file, "--page", "--dir", x.house("joined"), "--lang", x.lang}}
	page.Start(x, x.bin, x.dir, firstPassword)
	link := ""
	x.await("the page's link", func() bool {
		b, err := os.ReadFile(filepath.Join(x.dir, page.Name+".out"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			x.Fatal(err)
		}
		link = regexp.MustCompile(`http://127\.0\.0\.1:\d+/start\?token=[A-Z0-9]+&lang=zh-CN`).FindString(string(b))
		return link != ""
	})
	x.v.Run(chromedp.Navigate(link))
	x.see("agent 1 server", "330106")
	x.fill(map[string]string{"name": "xueji", "engine": "mariadb", "host": x.source.Host, "port": fmt.Sprint(x.source.Port), "user": x.user(), "password": nextPassword})
	x.press(`form[action="/server"] button`, `document.querySelector("[role=alert]") !== null`) // not yet that
	x.see("agent 1 refused", "MYSQL_LOGIN")
	x.fill(map[string]string{"engine": "mariadb", "password": firstPassword})
	x.press(`form[action="/server"] button`, `document.querySelector("input[type=checkbox]") !== null`)
	x.see("agent 2 tables", db+".student")
	if text := x.text("main"); !strings.Contains(text, "sfzjh") || strings.Contains(text, "王小明") {
		x.Errorf("%s", text)
	}
	x.v.Run(chromedp.Evaluate(fmt.Sprintf(`for (const box of document.querySelectorAll("input[type=checkbox]")) box.checked = box.closest("tr").innerText.includes(%q)`, db+"."), nil))
	x.press(`form[action="/tables"] button.primary`, `document.getElementById("leaves") !== null`)
	x.see("agent 3 leaves", "sfzjh")
	if leaves := x.text("#leaves"); strings.Contains(leaves, "王小明") || !strings.Contains(leaves, "absence") || strings.Contains(leaves, firstPassword) {
		x.Errorf("%s", leaves)
	}
	x.press(`form[action="/add"] button`, `document.querySelector(".summary.good") !== null`)
	x.see("agent 4 done", "tributary source propose")
	if !page.Signal(syscall.SIGTERM) || !page.Clean() {
		x.Error("the page's command didn't end by itself")
	}
	b, err := os.ReadFile(filepath.Join(x.dir, page.Name+".out"))
	if err != nil {
		x.Fatal(err)
	}
	return string(b)
}

// The passwords of the agent's user at the source: at first, and after a change.
const (
	firstPassword = "erst-口令-7f3c"
	nextPassword  = "dann-口令-91be"
)

// user is who the agent is at the source.
func (x *walker) user() string { return "capture_" + x.org }

// nowhere looks for the source's passwords: in what commands have said, in every file of the
// district, and in all that programs have logged.
func (x *walker) nowhere(said string) {
	x.Helper()
	found := func(text string) bool {
		return strings.Contains(text, firstPassword) || strings.Contains(text, nextPassword)
	}
	if found(said) {
		x.Errorf("a password is printed: %s", said)
	}
	looked := 0
	err := filepath.WalkDir(x.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) { // programs replace files
			return nil
		}
		looked++
		if found(string(b)) {
			x.Errorf("a password stands in %s", name)
		}
		return err
	})
	if sealed := x.house("agent/secrets/xueji.sealed"); err != nil || looked < 10 {
		x.Errorf("%d files, %v", looked, err)
	} else if _, err := os.Stat(sealed); err != nil {
		x.Error(err)
	}
}

// altered sees on the time line which columns a statement of the district has changed, and
// nothing else of it.
func (x *walker) altered(db string) {
	x.Helper()
	source := x.org + "-xueji"
	x.at("ALTER TABLE " + db + ".student ADD COLUMN bjmc varchar(50) NOT NULL DEFAULT 'p@ssw0rd', MODIFY lxdh varchar(40)")
	x.at("INSERT INTO " + db + ".student (xh, xm, bjmc) VALUES (5, '陈晨', '二班')")
	const change = `"lxdh" string(20) → string(40); + "bjmc" string(50)`
	config := x.store.Config().Copy()
	config.Database = "hub"
	hub, err := pgx.ConnectConfig(x.Context(), config)
	if err != nil {
		x.Fatal(err)
	}
	defer func() { _ = hub.Close(context.Background()) }() // read only
	x.await("the change of columns", func() bool {
		var told string
		err := hub.QueryRow(context.Background(), "SELECT coalesce(string_agg(word || ' ' || detail, '\n'), '') FROM tributary.hub_event WHERE source = $1 AND kind = 'altered'", source).Scan(&told)
		if err != nil || told != "" && told != db+".student "+change {
			x.Fatalf("%q, %v", told, err)
		}
		return told != ""
	})
	x.page("25 columns", "/sources/"+source+"/timeline", change)
	if page := x.text("main"); strings.Contains(page, "p@ssw0rd") {
		x.Errorf("%s", page)
	}
}

// slow lets loads read few rows a second, so that one can be paused.
func (x *walker) slow(file string) {
	x.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		x.Fatal(err)
	}
	text := string(b)
	if !strings.HasPrefix(text, "# "+x.orgName) {
		x.Errorf("the file's comment has gone: %s", text)
	}
	program.Write(x, file, "%s", strings.Replace(text, "first_start: load", "first_start: load\n    load: {rows_per_second: 15}", 1))
}

// pause lets the load of a table rest, sees that on the source's page, and lets it go on.
func (x *walker) pause(agent, db string) {
	x.Helper()
	source, table := x.org+"-xueji", db+".absence"
	x.run(x.lang, "", "table", "pause", source, table, "--agent", agent)
	x.page("18 paused", "/sources/"+source, x.paused)
	x.run(x.lang, "", "table", "resume", source, table, "--agent", agent)
	x.v.Run(x.v.Is(fmt.Sprintf(`!document.querySelector("section[aria-labelledby=tables-title]").innerText.includes(%q)`, x.paused))) // the page keeps itself up to date
	x.see("19 goes on", source)
}

// agent is where an agent's file says that it answers.
func (x *walker) agent(file string) string {
	x.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		x.Fatal(err)
	}
	m := regexp.MustCompile(`http: (127\.0\.0\.1:\d+)`).FindStringSubmatch(string(b))
	if m == nil {
		x.Fatalf("%s", b)
	}
	return "http://" + m[1]
}

// alarm lets a table stop, takes its alarm up, silences it, and sees its end once the table
// has its key again and is read anew.
func (x *walker) alarm(agent string) {
	x.Helper()
	db := "xueji_" + x.org
	x.at("ALTER TABLE " + db + ".student DROP PRIMARY KEY")
	x.at("INSERT INTO " + db + ".student (xh, xm) VALUES (4, '赵敏')")
	x.login("operator"+x.org, "/")
	x.v.Run(chromedp.Navigate(x.hub+"/alarms"), x.v.Is(fmt.Sprintf(`[...document.querySelectorAll("#live .problems a")].some(a => a.innerText.includes(%q))`, x.org+"-xueji")))
	x.see("20 alarm", x.org)
	x.press("#live .problems a", `location.pathname.startsWith("/alarms/")`)
	x.see("21 what it means", x.org)
	x.fill(map[string]string{"note": "我来处理 / I look after it"})
	x.press(`form[action$="/acknowledge"] button`, at("/alarms"))
	x.see("22 acknowledged", x.acknowledged)
	x.press("#live .problems a", `location.pathname.startsWith("/alarms/")`)
	x.fill(map[string]string{"hours": "2", "reason": "等待停机窗口"})
	x.press(`form[action$="/silence"] button`, at("/alarms"))
	x.see("23 silenced", x.silenced)
	x.at("ALTER TABLE " + db + ".student ADD PRIMARY KEY (xh)")
	x.run(x.lang, "", "table", "reread", x.org+"-xueji", db+".student", "--agent", agent)
	x.v.Run(x.v.Is(`document.getElementById("open-title") !== null && document.querySelector("#live .problems") === null`))
	x.see("24 over", x.over)
}

// everyPage looks at the pages of the hub that the walk hasn't been to, in both languages, as
// an auditor sees them.
func everyPage(t *testing.T, p *province, chromium context.Context) {
	for _, w := range languages {
		x := &walker{p, w, browser.Open(t, chromium, 1280, 800, false)}
		x.login("auditor"+x.org, "/audit")
		x.see("30 audit", x.org)
		for _, path := range []string{"/complete", "/sources/" + x.org + "-xueji", "/requests", "/alarms", "/me"} {
			x.page("31 "+path, path, x.org)
		}
	}
}
