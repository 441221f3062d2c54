package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tributary-cdc/tributary/cmd/columns"
	"github.com/tributary-cdc/tributary/cmd/hub/joined"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/schema/catalog"
)

// addText is every text of `tributary source add`.
type addText struct {
	short, long, name, engine, host, port, database, user, passwordFile, tables, firstStart                                      string
	askName, askEngine, askHost, askPort, askDatabase, askUser, askPassword, askTables, askFirst                                 string
	wrong, badName, taken, oneOf, badPort, empty, twoParts, intro, found, nothing, added, kept, ownFile, next, later, unanswered string
	page, open, other                                                                                                            string
}

var addTexts = map[language]addText{
	english: {
		short: "add a source to an agent's file, by questions or by flags",
		long: "Asks in the terminal for what isn't given by a flag, connects, lists the tables with rows and bytes, looks at\n" +
			"the source as preflight does, and writes it into the file AGENT. The password is kept encrypted in\n" +
			"the agent's data_dir, its key beside the file AGENT unless systemd gives it; it is never sent. Nothing leaves the house for this.\n" +
			"Then tributary source propose asks the hub. The file keeps its comments. Where there is none it is made, for the agent that has joined.",
		page: "by a page in the browser of this machine instead of questions; it prints the page's link", open: "open this link in a browser of this machine; it lets one browser in, once:", other: "--page asks everything itself: leave the other flags out",
		name: "the source's `NAME`: letters, digits, - and _", engine: "`ENGINE`: mysql, mariadb or postgres", host: "`HOST` of the server", port: "`PORT` of the server; default 3306, PostgreSQL 5432", database: "`DATABASE`, for PostgreSQL only", user: "the server's `USER`",
		passwordFile: "`FILE` that has the password, instead of asking for it; it stays as it is", tables: "`PATTERN` of tables, as xueji.*; may stand several times", firstStart: "load: read what the tables hold and what changes meanwhile; now: begin at the present end (`HOW`)",
		askName: "Name of the source, as xueji", askEngine: "Engine: mysql, mariadb or postgres", askHost: "Host of the server", askPort: "Port", askDatabase: "Database", askUser: "User", askPassword: "Password (not shown)",
		askTables: "Tables to send, patterns with commas between", askFirst: "First start: load (what the tables hold, too) or now",
		wrong: "  not taken: %s", badName: "letters, digits, - and _", taken: "the file has a source of this name", oneOf: "one of %s", badPort: "a number from 1 to 65535", empty: "an answer is needed", twoParts: "DATABASE.TABLE, for PostgreSQL SCHEMA.TABLE; * and ? stand for more",
		intro: "Source for %s. An empty line takes what stands in brackets.", found: "%s has %d {table|tables} that the user can see:", nothing: "the user sees no table: see what preflight says",
		added: "added %s to %s", kept: "the password is kept encrypted in %s", ownFile: "the password is read from %s", next: "next: tributary source propose %s %s --dir %s", later: "start the agent with this file: tributary agent --config %s", unanswered: "the input has ended; give the rest by flags",
	},
	chinese: {
		short: "在 agent 配置文件中添加数据源（问答或选项）",
		long: "未用选项给出的内容在终端逐项询问；随后连接数据库，列出各表的行数和大小，按 preflight 检查，\n" +
			"并写入配置文件 AGENT。口令加密保存在 agent 的 data_dir 中，密钥位于配置文件旁（或由 systemd 提供），不会发送。\n" +
			"此过程中没有任何内容离开本机。之后用 tributary source propose 向 hub 申请。文件中的注释保持不变；\n" +
			"文件不存在时，为已加入的 agent 生成。",
		page: "不在终端询问，改用本机浏览器中的页面；会输出页面链接", open: "请在本机浏览器中打开以下链接；只允许一个浏览器使用一次：", other: "--page 会自行询问全部内容，请勿同时使用其他选项",
		name: "数据源名称 `NAME`：字母、数字、- 和 _", engine: "数据库类型 `ENGINE`：mysql、mariadb 或 postgres", host: "服务器地址 `HOST`", port: "服务器端口 `PORT`；默认 3306，PostgreSQL 为 5432", database: "数据库 `DATABASE`，仅用于 PostgreSQL", user: "服务器的用户 `USER`",
		passwordFile: "含有口令的文件 `FILE`，不再询问；文件保持原样", tables: "表的匹配规则 `PATTERN`，如 xueji.*；可多次使用", firstStart: "load：读取表中已有数据及其间的变更；now：从当前末尾开始（`HOW`）",
		askName: "数据源名称，如 xueji", askEngine: "数据库类型：mysql、mariadb 或 postgres", askHost: "服务器地址", askPort: "端口", askDatabase: "数据库", askUser: "用户", askPassword: "口令（不显示）",
		askTables: "要报送的表（匹配规则，以逗号分隔）", askFirst: "首次启动：load（包括已有数据）或 now",
		wrong: "  无效：%s", badName: "应为字母、数字、- 和 _", taken: "文件中已有同名数据源", oneOf: "应为 %s 之一", badPort: "应为 1 至 65535 的数字", empty: "须填写", twoParts: "应为 库名.表名，PostgreSQL 为 模式.表名；可用 * 和 ?",
		intro: "为 %s 添加数据源。直接回车采用方括号中的内容。", found: "%s 中该用户可见 %d 张表：", nothing: "该用户看不到任何表：请查看 preflight 的检查结果",
		added: "已将 %s 写入 %s", kept: "口令已加密保存在 %s", ownFile: "口令从 %s 读取", next: "下一步：tributary source propose %s %s --dir %s", later: "用该文件启动 agent：tributary agent --config %s", unanswered: "输入已结束；其余内容请用选项给出",
	},
}

// engines are the words for a source's engine.
var engines = []string{"mysql", "mariadb", "postgres"}

// firstStarts are those that a new source may have.
var firstStarts = []string{"load", "now"}

// addition is a source that is being added.
type addition struct {
	say          addText
	lang         language
	file         *editedAgent
	s            newSource
	passwordFile string
	typed        *string // a password that isn't kept yet
	q            *questions
	c            *cobra.Command
}

func addCommand(usage catalogue, lang language, dir *string) *cobra.Command {
	say := addTexts[lang]
	c := &cobra.Command{Use: "add AGENT", Short: say.short, Long: say.long, Args: usage.takes("AGENT"),
		Example: "tributary source add agent.yml\ntributary source add agent.yml --name xueji --engine mariadb --host 10.1.2.3 --user tributary --password-file xueji.password --tables 'xueji.*' --first-start load\ntributary source add agent.yml --page"}
	var s newSource
	flags := c.Flags()
	flags.StringVar(&s.Name, "name", "", say.name)
	flags.StringVar(&s.Engine, "engine", "", say.engine)
	flags.StringVar(&s.Host, "host", "", say.host)
	flags.Uint16Var(&s.Port, "port", 0, say.port)
	flags.StringVar(&s.Database, "database", "", say.database)
	flags.StringVar(&s.User, "user", "", say.user)
	flags.StringVar(&s.FirstStart, "first-start", "", say.firstStart)
	flags.StringArrayVar(&s.Tables, "tables", nil, say.tables)
	password := flags.String("password-file", "", say.passwordFile)
	page := flags.Bool("page", false, say.page)
	brokers := flags.String("brokers", "", firstFileTexts[lang].brokers)
	c.RunE = func(c *cobra.Command, args []string) error {
		for flag, known := range map[string][]string{"engine": engines, "first-start": firstStarts} {
			if value := flags.Lookup(flag).Value.String(); value != "" {
				if err := usage.oneOf(c, "--"+flag, value, known...); err != nil {
					return err
				}
			}
		}
		q := newQuestions(c.InOrStdin(), c.ErrOrStderr(), say.wrong)
		err := firstFile(c, lang, q, args[0], *dir, *brokers)
		if errors.Is(err, errNoAnswer) {
			return wrongUsage(c, "USAGE_FLAG", "%s", say.unanswered)
		} else if err != nil {
			return err
		}
		file, err := openEdited(args[0])
		if err != nil {
			return err
		}
		if *page {
			return servePage(c, usage, lang, file, *dir)
		}
		a := &addition{say: say, lang: lang, file: file, s: s, passwordFile: *password, c: c, q: q}
		err = a.run(c.Context(), *dir)
		if errors.Is(err, errNoAnswer) {
			return wrongUsage(c, "USAGE_FLAG", "%s", say.unanswered)
		}
		return err
	}
	return c
}

// run asks, looks and writes. Until all is known nothing has changed.
func (a *addition) run(ctx context.Context, dir string) error {
	if err := a.server(); err != nil {
		return err
	}
	password, err := a.password(ctx)
	if err != nil {
		return err
	}
	if err := a.keep(password); err != nil {
		return err
	}
	text, err := a.look(ctx, dir)
	if err == nil {
		err = a.file.write(text)
	}
	if err != nil {
		return errors.Join(err, a.drop())
	}
	return a.done(dir)
}

// keep keeps the password encrypted, unless a file of its own is given.
func (a *addition) keep(password string) (err error) {
	if a.passwordFile != "" {
		a.s.PasswordFile, err = filepath.Abs(a.passwordFile)
		return err
	}
	a.s.Sealed = a.file.sealedFile(a.s.Name)
	return a.file.seal(a.s.Sealed, a.s.Name, password, false)
}

// drop takes away what keep has written, for a try that came to nothing.
func (a *addition) drop() error {
	if a.s.Sealed == "" {
		return nil
	}
	return os.Remove(a.s.Sealed)
}

// done says what was written, and what comes next.
func (a *addition) done(dir string) error {
	lines := []string{fmt.Sprintf(a.say.added, a.s.Name, a.file.name), fmt.Sprintf(a.say.kept, a.s.Sealed)}
	if a.s.PasswordFile != "" {
		lines[1] = fmt.Sprintf(a.say.ownFile, a.s.PasswordFile)
	}
	if folder := a.joinedFolder(dir); folder != "" {
		lines = append(lines, fmt.Sprintf(a.say.next, a.file.name, a.s.Name, folder))
	} else {
		lines = append(lines, fmt.Sprintf(a.say.later, a.file.name))
	}
	_, err := io.WriteString(a.c.OutOrStdout(), strings.Join(lines, "\n")+"\n")
	return err
}

// joinedFolder is that of the agent that has joined a hub for the file's org; empty for none.
func (a *addition) joinedFolder(dir string) string {
	folder, err := filepath.Abs(cmp.Or(a.file.Joined, dir))
	if err != nil {
		return ""
	}
	if m, err := joined.Open(folder); err != nil || m.Org != a.file.Org {
		return ""
	}
	return folder
}

// server asks for what a connection needs.
func (a *addition) server() error {
	say := a.say
	if _, err := fmt.Fprintf(a.c.ErrOrStderr(), say.intro+"\n", a.file.Org); err != nil {
		return err
	}
	filled := func(v string) error {
		if strings.TrimSpace(v) == "" {
			return errors.New(say.empty)
		}
		return nil
	}
	name := func(v string) error {
		if _, ok := catalog.SourceID(a.file.Org, v); !ok {
			return errors.New(say.badName)
		}
		if a.file.has(v) {
			return errors.New(say.taken)
		}
		return nil
	}
	among := func(known []string) func(string) error {
		return func(v string) error {
			if !slices.Contains(known, v) {
				return fmt.Errorf(say.oneOf, strings.Join(known, ", "))
			}
			return nil
		}
	}
	port := fmt.Sprint(a.s.Port)
	if a.s.Port == 0 {
		port = ""
	}
	for _, question := range []struct {
		into        *string
		text, usual string
		check       func(string) error
		needed      func() bool
	}{
		{&a.s.Name, say.askName, "", name, nil},
		{&a.s.Engine, say.askEngine, "", among(engines), nil},
		{&a.s.Host, say.askHost, "127.0.0.1", filled, nil},
		{&port, say.askPort, "", func(v string) error {
			if n, err := strconv.ParseUint(v, 10, 16); err != nil || n == 0 {
				return errors.New(say.badPort)
			}
			return nil
		}, nil},
		{&a.s.Database, say.askDatabase, "", filled, func() bool { return a.s.Engine == "postgres" }},
		{&a.s.User, say.askUser, "tributary", filled, nil},
	} {
		if question.needed != nil && !question.needed() {
			continue
		}
		if question.into == &port {
			question.usual = map[bool]string{true: "5432", false: "3306"}[a.s.Engine == "postgres"]
		}
		if err := a.answer(question.into, question.text, question.usual, question.check); err != nil {
			return err
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	a.s.Port = uint16(n) // checked
	return err
}

// answer keeps what a flag has given if it can be, and asks for the rest.
func (a *addition) answer(into *string, text, usual string, check func(string) error) (err error) {
	if *into != "" {
		if problem := check(*into); problem != nil {
			return wrongUsage(a.c, "USAGE_VALUE", "%s: %q: %s", text, *into, problem)
		}
		return nil
	}
	*into, err = a.q.ask(text, usual, check)
	return err
}

func (a *addition) password(ctx context.Context) (string, error) {
	if a.passwordFile != "" {
		return "", nil
	}
	return a.q.secret(ctx, a.say.askPassword)
}

// look connects, shows the tables, asks which of them, and looks as preflight does. It gives
// the file's new text.
func (a *addition) look(ctx context.Context, dir string) ([]byte, error) {
	say := a.say
	all := a.s
	all.Tables, all.FirstStart = []string{"*.*"}, firstStarts[1]
	r, err := a.check(ctx, all, dir)
	if err != nil {
		return nil, err
	}
	lines := [][]string{{sourceTexts[a.lang].table, sourceTexts[a.lang].rows, sourceTexts[a.lang].bytes}}
	for _, t := range r.Tables {
		lines = append(lines, []string{oneLine(t.ID), fmt.Sprint(t.Rows), fmt.Sprint(t.Bytes)})
	}
	text := say.nothing + "\n"
	if len(r.Tables) > 0 {
		text = counted(say.found+"\n", oneLine(r.Server), len(r.Tables)) + columns.Align(lines, nil)
	}
	if _, err := io.WriteString(a.c.OutOrStdout(), text); err != nil {
		return nil, err
	}
	if err := a.choose(r); err != nil {
		return nil, err
	}
	if r, err = a.check(ctx, a.s, dir); err != nil {
		return nil, err
	}
	if err := printFindings(a.c.OutOrStdout(), preflightTexts[a.lang], []checked{*r}); err != nil {
		return nil, err
	}
	b, _, err := a.file.with(a.s, a.joinedFolder(dir))
	return b, err
}

// choose asks which tables, and how they begin.
func (a *addition) choose(r *checked) error {
	usual := ""
	if len(r.Tables) > 0 {
		part, _, _ := strings.Cut(r.Tables[0].ID, ".")
		usual = part + ".*"
	}
	patterns := strings.Join(a.s.Tables, ",")
	if err := a.answer(&patterns, a.say.askTables, usual, func(v string) error {
		for _, p := range strings.Split(v, ",") {
			if !strings.Contains(strings.TrimSpace(p), ".") {
				return errors.New(a.say.twoParts)
			}
		}
		return nil
	}); err != nil {
		return err
	}
	a.s.Tables = nil
	for _, p := range strings.Split(patterns, ",") {
		a.s.Tables = append(a.s.Tables, strings.TrimSpace(p))
	}
	return a.answer(&a.s.FirstStart, a.say.askFirst, firstStarts[0], func(v string) error {
		if !slices.Contains(firstStarts, v) {
			return fmt.Errorf(a.say.oneOf, strings.Join(firstStarts, ", "))
		}
		return nil
	})
}

// source gives the source as the agent would have it, and the agent.
func (a *addition) source(dir string) (*config.Source, *config.Agent, error) {
	_, agent, err := a.file.with(a.s, a.joinedFolder(dir))
	if err != nil {
		return nil, nil, err
	}
	src := &agent.Sources[len(agent.Sources)-1]
	src.Typed = a.typed
	return src, agent, nil
}

// check looks at the source as it would stand in the file.
func (a *addition) check(ctx context.Context, s newSource, dir string) (*checked, error) {
	_, agent, err := a.file.with(s, a.joinedFolder(dir))
	if err != nil {
		return nil, err
	}
	src := agent.Sources[len(agent.Sources)-1]
	src.Typed = a.typed
	results, err := lookAt(ctx, agent, []config.Source{src}, nil, a.lang)
	if err != nil {
		return nil, err
	}
	return &results[0], results[0].reached()
}

// reached gives why a look at a source hasn't come as far as its server: it isn't there, or it
// lets the user not in, which preflight tells as a finding.
func (r *checked) reached() error {
	switch {
	case r.err != nil:
		return &problem{code: "SOURCE_UNREACHABLE", words: r.Error, class: errUnreachable}
	case r.Server == "" && len(r.Findings) > 0:
		f := r.Findings[0]
		p := &problem{code: f.Code, words: f.Found}
		if len(f.Repairs) > 0 {
			p.hint = cmp.Or(f.Repairs[0].Agent, f.Repairs[0].SQL)
		}
		return p
	}
	return nil
}
