package console

import (
	"github.com/tributary-cdc/tributary/cmd/internal/codes"
	"github.com/tributary-cdc/tributary/cmd/internal/language"
)

// words is every text of the page, once per language.
type words struct {
	Title, Tagline, Skip, Live, Paused, Lost, Pause, Resume, Other, NoScript string

	AllWell, Trouble, NoRecords, NoRecordsDo string
	Nothing, NothingDo, Unmade               string

	Attention, What, Do, Detail, Tables string

	Lag, LagNote, Source, State, Log, Total, Last, Txns, Rows, TxnsHead, RowsHead, SecondsAgo, MinutesAgo, HoursAgo, DaysAgo, WholeSecond, NoWord, NoTraffic, Scale, More string

	Loads, LoadsNote, LoadRows, Speed, Left, Until, MoreLoads, Seconds, Minutes, Hours, Days string

	Recent, RecentNote, NoRecent, Transaction, Place, AppliedAt, Batch, Partial, NotYet string

	Trace, TraceNote, Store, Table, Key, KeyHint, Find, NoStores, NotFound, TraceFailed     string
	Row, Position, Op, Committed, Applied, BatchOf, InLog, AtSource, Fence, Worker, LastTxn string

	Ops    map[string]string
	States map[string]string
	// Generic is what a state means and what to do where no code says more.
	Generic map[string][2]string
}

var texts = map[language.Language]words{
	language.Chinese: {
		Title: "Tributary 运行状态", Tagline: "从区县数据库到市级、省级汇聚库的变更流", Skip: "跳到正文", Live: "实时更新中", Paused: "已暂停更新", Lost: "连接中断，正在重连",
		Pause: "暂停更新", Resume: "继续更新", Other: "English", NoScript: "浏览器未启用脚本，请手动刷新页面查看最新状态。",

		AllWell: "一切正常", Trouble: "项需要关注", NoRecords: "还没有任何数据源的状态",
		Nothing: "尚未登记任何数据源", NothingDo: "在“邀请与 agent”页邀请区县的 agent；其 DBA 提交登记申请，获批并启动 agent 后，状态会出现在这里。不用账号的 hub：用 tributary agent --config FILE 启动 agent。", Unmade: "尚未登记数据源的机构：",
		NoRecordsDo: "agent 启动并连上日志后，状态会在几秒内出现在这里。用 tributary agent --config FILE 启动它。",

		Attention: "需要关注", What: "情况", Do: "处理", Detail: "原文", Tables: "已停止的表",

		Lag: "各环节延迟", LagNote: "最近一分钟的事务，单位：秒，p50 / p99。", Source: "数据源", State: "状态", Log: "源 → 日志", Total: "日志 → ",
		Last: "最近一次提交", Txns: "个事务", Rows: "行", TxnsHead: "事务", RowsHead: "行", SecondsAgo: "%d 秒前", MinutesAgo: "%d 分钟前", HoursAgo: "%d 小时前", DaysAgo: "%d 天前", WholeSecond: "该源以整秒记录提交时间，延迟最多偏高 1 秒", NoWord: "无消息", NoTraffic: "近一分钟无事务",
		Scale: "刻度：1 毫秒至 100 秒，对数", More: "个数据源未列出",

		Loads: "表的装载", LoadsNote: "正在读取、等待或未完成的表；总行数为源库的统计值，速度取最近半分钟。", LoadRows: "行 / 约共", Speed: "行/秒", Left: "预计还需", Until: "至 %s", MoreLoads: "个装载未列出",
		Seconds: "%d 秒", Minutes: "%d 分 %d 秒", Hours: "%d 小时 %d 分", Days: "%d 天 %d 小时",

		Recent: "最近 20 个事务", RecentNote: "每行一个源端事务，最近入库的在前；每个汇聚库分批写入，每批每个数据源最多列出最后 20 个。", NoRecent: "还没有事务入库。源端提交后会出现在这里。",
		Transaction: "事务", Place: "日志位置", AppliedAt: "入库", Batch: "批次", Partial: "不完整：有已停止的表", NotYet: "未到",

		Trace: "追溯一行数据", TraceNote: "从汇聚库的一行，追到写入它的批次、它在日志中的位置，以及源端原始事件。", Store: "汇聚库", Table: "表", Key: "键", KeyHint: "多列的键用逗号分隔，按表键顺序", Find: "追溯",
		NoStores: "本页没有配置汇聚库。", NotFound: "该表中没有这个键的行。", TraceFailed: "无法追溯",
		Row: "数据行", Position: "位点", Op: "操作", Committed: "源端提交", Applied: "入库", BatchOf: "批次", InLog: "日志位置", AtSource: "源端查看（不借助本程序）", Fence: "栅栏号", Worker: "worker", LastTxn: "批内最后一个事务",

		Ops: codes.Operations(language.Chinese), States: codes.States(language.Chinese),
		Generic: map[string][2]string{
			"starting": {"正在启动，尚未开始", "通常几秒内完成；若持续，请查看该程序的日志"},
			"retrying": {"暂时连不上，正在自动重试", "通常不用处理；若持续数分钟，请检查网络和服务器"},
			"gap":      {"无法证明数据连续，此后的变更不再入库", "在 agent 的机器上执行 tributary gap repair 加数据源"},
			"fenced":   {"另一个 agent 接管了该数据源", "确认只有一个 agent 在运行"},
			"failed":   {"读到了无法理解的内容，或被另一个程序取代，已停止", "见下方原文；修复后重新启动该程序"},
			"stopped":  {"程序已正常停止", "需要时重新启动它"},
			"paused":   {"有人暂停了该数据源，暂不读取", "需要时执行 tributary source resume 加数据源"},
			"silent":   {"程序已很久没有消息，可能已退出或连不上日志", "检查该程序是否在运行、能否连上日志"},
			"unread":   {"无法从日志读取状态，下面显示的可能已过时", "检查日志是否在运行、地址是否正确"},
			"store":    {"本页无法读取该汇聚库", "检查数据库是否在运行，以及本页配置中的地址、用户和口令"},
			"tables":   {"有表已停止，其余的表照常流动", "按各表的原因修复，然后执行所列的命令"},
			"loads":    {"有表未装载完整", "失败的：排除原因后 tributary table resume；取消的：用 tributary table reread 重新读取"},
			"skipped":  {"已停止的表有行未入库", "修复后重新读取这些表"},
		},
	},
	language.English: {
		Title: "Tributary status", Tagline: "changes on their way from district databases to city and provincial stores", Skip: "Skip to content", Live: "Live", Paused: "Updates paused", Lost: "Connection lost, trying again",
		Pause: "Pause updates", Resume: "Resume updates", Other: "中文", NoScript: "Scripts are off in this browser: reload the page to see the present state.",

		AllWell: "All is well", Trouble: "to look at", NoRecords: "No source has reported yet",
		Nothing: "Nothing is registered yet", NothingDo: "Invite a district's agent on the page “Invitations and agents”; its DBA proposes a source, and once that is approved and the agent runs its state is here. A hub without accounts: start an agent with tributary agent --config FILE.", Unmade: "Nothing is registered yet for",
		NoRecordsDo: "Once an agent runs and reaches the log, its sources are here within seconds. Start one with tributary agent --config FILE.",

		Attention: "Needs attention", What: "What", Do: "To do", Detail: "In its words", Tables: "Stopped tables",

		Lag: "Lag per stage", LagNote: "Transactions of the last minute, in seconds, p50 / p99.", Source: "Source", State: "State", Log: "Source → log", Total: "Log → ",
		Last: "Last commit", Txns: "transactions", Rows: "rows", TxnsHead: "Transactions", RowsHead: "Rows", SecondsAgo: "%d s ago", MinutesAgo: "%d min ago", HoursAgo: "%d h ago", DaysAgo: "%d d ago", WholeSecond: "This source logs commit times in whole seconds: its lag is up to 1 s too high", NoWord: "no word", NoTraffic: "no transaction in the last minute",
		Scale: "Scale: 1 ms to 100 s, logarithmic", More: "more sources are not listed",

		Loads: "Loads of tables", LoadsNote: "Tables that are being read, that wait, or whose load hasn't ended; totals are the server's own statistics, the speed that of the last half minute.", LoadRows: "Rows / about", Speed: "Rows/s", Left: "Time left", Until: "until %s", MoreLoads: "more loads are not listed",
		Seconds: "%d s", Minutes: "%d min %d s", Hours: "%d h %d min", Days: "%d d %d h",

		Recent: "The last 20 transactions", RecentNote: "One transaction of a source a line, what was applied last first. A store commits in batches; of each source the last 20 of a batch can be listed.", NoRecent: "No transaction has come into a store yet. It is here once a source commits one.",
		Transaction: "Transaction", Place: "Place in the log", AppliedAt: "Applied", Batch: "batch", Partial: "partial: a table has stopped", NotYet: "not yet",

		Trace: "Trace a row", TraceNote: "From a row of a store to the batch that wrote it, its place in the log, and its event at the source.", Store: "Store", Table: "Table", Key: "Key", KeyHint: "several columns: separated by commas, in the key's order", Find: "Trace",
		NoStores: "No store is configured for this page.", NotFound: "The table has no row under this key.", TraceFailed: "The row can't be traced",
		Row: "Row", Position: "Position", Op: "Operation", Committed: "Committed at the source", Applied: "Applied", BatchOf: "Batch", InLog: "Place in the log", AtSource: "At the source, without this program", Fence: "fence", Worker: "worker", LastTxn: "its last transaction",

		Ops: codes.Operations(language.English), States: codes.States(language.English),
		Generic: map[string][2]string{
			"starting": {"It is starting and does nothing yet", "this takes seconds; if it lasts, look into the program's log"},
			"retrying": {"Something can't be reached; it is tried again by itself", "nothing, as a rule; if it lasts for minutes, check network and servers"},
			"gap":      {"Continuity isn't proved; nothing beyond it is applied", "tributary gap repair SOURCE, on the agent's machine"},
			"fenced":   {"Another agent has taken the source", "make sure that only one agent runs"},
			"failed":   {"What was read isn't understood, or another program has taken its place; it has stopped", "the words below say why; start it again once that is repaired"},
			"stopped":  {"The program was stopped in good order", "start it again when it is wanted"},
			"paused":   {"A person has paused the source: it isn't read for now", "tributary source resume SOURCE, when it is wanted"},
			"silent":   {"The program hasn't said anything for long; it has ended, or can't reach the log", "see whether it runs and reaches the log"},
			"unread":   {"The states can't be read from the log; what stands below may be old", "see whether the log runs and whether its address is right"},
			"store":    {"This page can't read the store", "see whether the database runs, and check address, user and password in the page's configuration"},
			"tables":   {"Tables have stopped; the others flow on", "repair what the reason says, then give the command that stands there, or read the table again"},
			"loads":    {"Tables weren't loaded to their end", "one that failed: tributary table resume, once the reason is gone; one that was cancelled: tributary table reread"},
			"skipped":  {"Rows of stopped tables are missing in the store", "repair the tables, then read them again"},
		},
	},
}
