package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	persons "github.com/tributary-cdc/tributary/capture/sample"
	"github.com/tributary-cdc/tributary/cmd/columns"
	"github.com/tributary-cdc/tributary/cmd/hub/authority"
	"github.com/tributary-cdc/tributary/cmd/hub/desk"
	"github.com/tributary-cdc/tributary/cmd/hub/joined"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/cmd/internal/codes"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/schema/catalog"
)

// sourceText is every text of `tributary source`.
type sourceText struct {
	group, propose, proposeLong, standing, dry, fetch, list, otherOrg, leaves, fields, sent, none  string
	kept, namesOnly, column, personal, why, share, nothing, byNames, notRead, sampled              string
	table, dataset, rows, bytes, source, state, decided, topic, version, output, noTables, retired string
	offline, wrote, assign, assignLong                                                             string
	states                                                                                         map[string]string
}

var sourceTexts = map[language]sourceText{
	english: {
		group: "register sources at the hub", propose: "propose a source of the agent's file to the hub", standing: "`STANDING` of the source: authoritative, or check (compared only)", dry: "print what would be sent, and send nothing",
		proposeLong: "Looks at the source as preflight does, prints what the hub is told, and puts it into the hub's inbox: names\n" +
			"of tables with rows and bytes by the source's statistics, their datasets, the server's version,\n" +
			"preflight's findings by code and object, and which columns may hold personal data. For that, up to 100\n" +
			"rows of each table are looked at here; kind, reason and the share of values that have the form are told.\n" +
			"No value of a row, no password and no address leaves. What leaves is kept as a file in --dir.",
		kept: "what has left is kept in %s", namesOnly: "look at no row: personal data by the names and comments of columns only", column: "column", personal: "personal data", why: "why", share: "share of values",
		nothing: "No column is suspected to hold personal data.", byNames: "No row was looked at.", notRead: "Of %d {table|tables} no row could be looked at: empty, or reading took too long or isn't allowed.", sampled: "%d {row|rows} of %d {table|tables} were looked at.",
		fetch: "get what the agent's sources were granted, and keep it", list: "list the agent's requests", otherOrg: "the agent's file is of org %s, the agent has joined for %s", leaves: "The hub is told of %s (%s, %s):", fields: "Findings: %s",
		offline: "write the request to `FILE` instead of sending it", wrote: "%s: give it to the hub's operator, whose page of requests takes it; after the approval run tributary source assign with the file that comes back",
		assign: "take the assignment file of an agent without connection",
		assignLong: "Verifies that the hub has signed the file for this agent, and keeps it as if it had been fetched. The hub's\n" +
			"operator gets it on the page of the request. One that is older than what the agent has is refused.",
		sent: "request %d waits for an approver of the hub; see tributary source list", none: "nothing yet", table: "table", dataset: "dataset", rows: "rows", bytes: "bytes", source: "source", state: "state", decided: "decided by", topic: "topic and partition", version: "version",
		output: "`FORMAT` of the result: table or json", noTables: "the source has no table that the patterns take", retired: "retired",
		states: map[string]string{state.Pending: "waits", state.Approved: "approved", state.Partly: "approved in part", state.Turned: "refused"},
	},
	chinese: {
		group: "在 hub 登记数据源", propose: "向 hub 申请登记 agent 配置中的数据源", standing: "数据源的性质 `STANDING`：authoritative（权威源）或 check（校核源，仅用于比对）", dry: "只显示将要发送的内容，不发送",
		proposeLong: "像 preflight 那样检查数据源，显示并向 hub 提交：表名、源库统计的行数和大小、对应的数据集、\n" +
			"服务器版本、preflight 检查结果的代码和对象，以及可能含有个人信息的列。为此在本机查看每张表至多 100 行，\n" +
			"只提交信息种类、判断依据和符合该形式的值所占比例。任何数据值、口令和地址都不会离开本机。\n" +
			"所提交的内容同时以文件形式保存在 --dir 中。",
		kept: "所提交的内容已保存在 %s", namesOnly: "不查看任何数据行，仅凭列名和注释判断个人信息", column: "列", personal: "个人信息", why: "依据", share: "所占比例",
		nothing: "没有发现可能含有个人信息的列。", byNames: "未查看任何数据行。", notRead: "有 %d 张表未能查看数据行：表为空、读取超时或没有权限。", sampled: "共查看 %d 行，涉及 %d 张表。",
		fetch: "获取并保存本 agent 各数据源的分配单", list: "列出本 agent 的申请", otherOrg: "agent 配置属于机构 %s，而 agent 加入的是 %s", leaves: "将告知 hub 数据源 %s（%s，%s）：", fields: "检查结果：%s",
		offline: "把申请写入文件 `FILE`，不通过网络发送", wrote: "%s：请交给 hub 的操作员，由其在“登记申请”页提交；批准后用 tributary source assign 读入带回的文件",
		assign: "读入没有网络连接的 agent 的分配单文件",
		assignLong: "验证文件由 hub 为本 agent 签名，并像 fetch 那样保存。文件由 hub 的操作员在申请页下载；\n" +
			"比 agent 现有内容更旧的文件会被拒绝。",
		sent: "申请 %d 等待 hub 审批，见 tributary source list", none: "暂无", table: "表", dataset: "数据集", rows: "行数", bytes: "字节", source: "数据源", state: "状态", decided: "审批人", topic: "主题与分区", version: "版本",
		output: "结果的格式 `FORMAT`：table（表格）或 json", noTables: "没有表与数据源的匹配规则相符", retired: "已停止归集",
		states: map[string]string{state.Pending: "待审批", state.Approved: "已批准", state.Partly: "部分批准", state.Turned: "已拒绝"},
	},
}

func sourceCommand(usage catalogue, lang language) *cobra.Command {
	say := sourceTexts[lang]
	root := usage.group(&cobra.Command{Use: "source", Short: say.group, Example: "tributary source propose agent.yml xueji\ntributary source fetch"})
	dir := root.PersistentFlags().String("dir", defaultJoined, joinTexts[lang].dir)
	format := root.PersistentFlags().String("output", "table", say.output)
	open := func(c *cobra.Command) (*joined.Member, error) {
		if err := usage.oneOf(c, "--output", *format, outputs...); err != nil {
			return nil, err
		}
		m, err := joined.Open(*dir)
		if err == nil {
			joinTexts[lang].warnOfEnd(c, m)
		}
		return m, err
	}
	propose := &cobra.Command{Use: "propose AGENT SOURCE", Short: say.propose, Long: say.proposeLong, Args: usage.takes("AGENT", "SOURCE"),
		Example: "tributary source propose agent.yml xueji\ntributary source propose agent.yml xueji --standing check --dry-run\ntributary source propose agent.yml xueji --offline request.json"}
	standing := propose.Flags().String("standing", string(catalog.Authoritative), say.standing)
	dry := propose.Flags().Bool("dry-run", false, say.dry)
	names := propose.Flags().Bool("names-only", false, say.namesOnly)
	offline := propose.Flags().String("offline", "", say.offline)
	propose.RunE = func(c *cobra.Command, args []string) error {
		if err := usage.oneOf(c, "--standing", *standing, string(catalog.Authoritative), string(catalog.Check)); err != nil {
			return err
		}
		m, err := open(c)
		if err != nil {
			return err
		}
		p, err := proposal(c, usage, say, lang, m, args[0], args[1], *names)
		if err != nil {
			return err
		}
		p.Standing = catalog.Standing(*standing)
		if *format == "json" && *dry {
			return printJSON(c.OutOrStdout(), p)
		}
		if *format == "table" {
			if err := say.printProposal(c.OutOrStdout(), lang, p); err != nil {
				return err
			}
		}
		if *dry {
			return nil
		}
		if *offline != "" {
			return say.letter(c.OutOrStdout(), m, p, *offline)
		}
		r, kept, err := m.Propose(c.Context(), *p)
		if err != nil {
			return err
		}
		if *format == "json" {
			return printJSON(c.OutOrStdout(), r)
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), say.kept+"\n"+say.sent+"\n", kept, r.ID)
		return err
	}
	list := &cobra.Command{Use: "list", Short: say.list, Args: usage.takes(), Example: "tributary source list\ntributary source list --output json", RunE: func(c *cobra.Command, _ []string) error {
		m, err := open(c)
		if err != nil {
			return err
		}
		all, err := m.Requests(c.Context())
		if err != nil || *format == "json" {
			return cmp.Or(err, printIf(err == nil, c.OutOrStdout(), all))
		}
		lines := [][]string{{"#", say.source, say.state, say.decided, ""}}
		for _, r := range all {
			lines = append(lines, []string{fmt.Sprint(r.ID), r.Source, say.states[r.State], r.DecidedBy, r.Reason})
		}
		return say.print(c.OutOrStdout(), lines)
	}}
	fetch := &cobra.Command{Use: "fetch", Short: say.fetch, Args: usage.takes(), Example: "tributary source fetch\ntributary source fetch --output json", RunE: func(c *cobra.Command, _ []string) error {
		m, err := open(c)
		if err != nil {
			return err
		}
		g, err := m.Fetch(c.Context())
		if err != nil || *format == "json" {
			return cmp.Or(err, printIf(err == nil, c.OutOrStdout(), g))
		}
		return say.print(c.OutOrStdout(), say.granted(g))
	}}
	assign := &cobra.Command{Use: "assign FILE", Short: say.assign, Long: say.assignLong, Args: usage.takes("FILE"), Example: "tributary source assign assignments-330106.1.json\ntributary source assign assignments-330106.1.json --output json", RunE: func(c *cobra.Command, args []string) error {
		m, err := open(c)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(args[0])
		if err != nil {
			return &problem{code: "CONFIG_FILE", words: err.Error(), class: errUsage}
		}
		g, err := m.Assign(b)
		if err != nil || *format == "json" {
			return cmp.Or(err, printIf(err == nil, c.OutOrStdout(), g))
		}
		return say.print(c.OutOrStdout(), say.granted(g))
	}}
	root.AddCommand(propose, list, fetch, assign, reportCommand(usage, lang, format), addCommand(usage, lang, dir), releaseCommand(usage, lang, dir), passwordCommand(usage, lang))
	root.AddCommand(restCommands(usage)...)
	return root
}

// letter writes a proposal to a file that a person brings to the hub.
func (say sourceText) letter(out io.Writer, m *joined.Member, p *state.Proposal, file string) error {
	b, kept, err := m.Letter(*p)
	if err != nil {
		return err
	}
	if err := authority.WriteNew(file, append(b, '\n')); err != nil {
		return &problem{code: "FILE_NOT_WRITTEN", words: err.Error()}
	}
	_, err = fmt.Fprintf(out, say.kept+"\n"+say.wrote+"\n", kept, file)
	return err
}

func printIf(ok bool, out io.Writer, v any) error {
	if !ok {
		return nil
	}
	return printJSON(out, v)
}

// print prints a table, or that there is nothing.
func (say sourceText) print(out io.Writer, lines [][]string) error {
	text := say.none + "\n"
	if len(lines) > 1 {
		text = columns.Align(lines, nil)
	}
	_, err := io.WriteString(out, text)
	return err
}

func (say sourceText) granted(g *desk.Grants) [][]string {
	lines := [][]string{{say.source, say.topic, say.version, say.table + " → " + say.dataset}}
	for _, s := range g.Sources {
		var tables []string
		for table, dataset := range s.Tables {
			tables = append(tables, oneLine(table)+" → "+dataset)
		}
		slices.Sort(tables)
		if s.Retired != nil {
			tables = []string{say.retired}
		}
		lines = append(lines, []string{s.Source, fmt.Sprintf("%s/%d", s.Topic, s.Partition), fmt.Sprint(s.Version), strings.Join(tables, ", ")})
	}
	return lines
}

// proposal looks at a source of the agent's file and gives what the hub is told of it.
func proposal(c *cobra.Command, usage catalogue, say sourceText, lang language, m *joined.Member, file, name string, namesOnly bool) (*state.Proposal, error) {
	var agent config.Agent
	if err := config.Load(file, &agent); err != nil {
		return nil, err
	}
	if agent.Org != m.Org {
		return nil, &problem{code: "CONFIG_VALUE", text: fmt.Sprintf(say.otherOrg, agent.Org, m.Org), class: errUsage}
	}
	s, err := usage.sourceOf(c, &agent, name)
	if err != nil {
		return nil, err
	}
	return look(c.Context(), &agent, *s, lang, say, namesOnly)
}

func look(ctx context.Context, agent *config.Agent, s config.Source, lang language, say sourceText, namesOnly bool) (*state.Proposal, error) {
	results, err := lookAt(ctx, agent, []config.Source{s}, nil, lang)
	if err != nil {
		return nil, err
	}
	r := results[0]
	if r.err != nil {
		return nil, &problem{code: "SOURCE_UNREACHABLE", words: r.Error, class: errUnreachable}
	}
	p := &state.Proposal{Name: s.Name, Engine: s.Engine, Server: r.Server, Tables: []state.ProposedTable{}, Findings: []state.ProposedFinding{}}
	for _, t := range r.Tables {
		p.Tables = append(p.Tables, state.ProposedTable{Table: t.ID, Dataset: cmp.Or(s.Datasets[t.ID], t.ID[strings.LastIndexByte(t.ID, '.')+1:]), Rows: max(-1, t.Rows), Bytes: max(0, t.Bytes)})
	}
	for _, f := range r.Findings {
		p.Findings = append(p.Findings, state.ProposedFinding{Code: f.Code, Severity: f.Severity.String(), Object: f.Object})
	}
	if len(p.Tables) == 0 {
		return nil, refusal.New(refusal.Invalid, "REQUEST_INVALID", "%s", say.noTables)
	}
	return p, lookForPersons(ctx, agent, s, p, namesOnly)
}

// sampleLimit bounds the look at rows of one source.
const sampleLimit = 5 * time.Minute

// lookForPersons adds to a proposal which columns may hold personal data.
func lookForPersons(ctx context.Context, agent *config.Agent, s config.Source, p *state.Proposal, namesOnly bool) error {
	password, err := s.Password()
	if err != nil {
		return fmt.Errorf("%w: source %s: %w", config.ErrInvalid, s.Name, err)
	}
	o := preflightOptions(agent, s, password)
	ids := make([]string, len(p.Tables))
	for i, t := range p.Tables {
		ids[i] = t.Table
	}
	ctx, cancel := context.WithTimeout(ctx, sampleLimit)
	defer cancel()
	seen, err := persons.Look(ctx, persons.Options{MySQL: o.MySQL, Postgres: o.Postgres, NamesOnly: namesOnly}, ids)
	if err != nil {
		return err
	}
	p.Looked = state.LookedForms
	if namesOnly {
		p.Looked = state.LookedNames
	}
	for i := range p.Tables {
		t := &p.Tables[i]
		t.Sampled, t.Personal = seen[t.Table].Rows, seen[t.Table].Hints
	}
	return nil
}

// printProposal prints all that the hub is told.
func (say sourceText) printProposal(out io.Writer, lang language, p *state.Proposal) error {
	lines := [][]string{{say.table, say.dataset, say.rows, say.bytes}}
	for _, t := range p.Tables {
		lines = append(lines, []string{oneLine(t.Table), t.Dataset, fmt.Sprint(t.Rows), fmt.Sprint(t.Bytes)})
	}
	text := fmt.Sprintf(say.leaves+"\n", p.Name, p.Engine, oneLine(p.Server)) + columns.Align(lines, nil)
	text += say.persons(p, lang)
	for _, f := range p.Findings {
		what, _ := codes.Explain(f.Code, lang)
		text += fmt.Sprintf(say.fields+"\n", strings.TrimSpace("["+f.Code+"] "+oneLine(f.Object)+" "+what))
	}
	_, err := io.WriteString(out, text)
	return err
}

// persons lists the columns that may hold personal data, as the hub is told of them.
func (say sourceText) persons(p *state.Proposal, lang language) string {
	lines := [][]string{{say.table, say.column, say.personal, say.why, say.share}}
	rows, read := 0, 0
	for _, t := range p.Tables {
		if t.Sampled > 0 {
			rows, read = rows+t.Sampled, read+1
		}
		for _, h := range t.Personal {
			var why []string
			for _, r := range h.Reasons {
				why = append(why, codes.PersonalReason(string(r), lang))
			}
			share := "-"
			if t.Sampled > 0 && h.Share > 0 {
				share = fmt.Sprintf("%.0f %%", 100*h.Share)
			}
			lines = append(lines, []string{oneLine(t.Table), oneLine(h.Column), codes.PersonalKind(string(h.Kind), lang), strings.Join(why, ", "), share})
		}
	}
	text := say.nothing + "\n"
	if len(lines) > 1 {
		text = columns.Align(lines, nil)
	}
	if p.Looked == state.LookedNames {
		return text + say.byNames + "\n"
	}
	text += counted(say.sampled+"\n", rows, read)
	if n := len(p.Tables) - read; n > 0 {
		text += counted(say.notRead+"\n", n)
	}
	return text
}
