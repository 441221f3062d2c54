package main

import "github.com/tributary-cdc/tributary/capture/preflight"

// preflightText is what preflight says in a language.
type preflightText struct {
	short, long, order, well                                                                               string
	severity, code, object, found, ignored, todo, setting, agent, unseen, restart, remake, decide, instead string
	table, oneSource, noTable, oneForm, away, refuses                                                      string
	from, fromOne, notPrinted, scriptReads, scriptRun, scriptErrors, scriptThen                            string
	sheet, dry, growth, load, noStatistics, online, restarts, makes, rollback                              string

	severities [preflight.Refuses + 1]string
}

// remark says what a statement costs beyond its own time.
func (t preflightText) remark(r preflight.Repair) (text string) {
	if r.Restart {
		text += "  -- " + t.restart
	}
	if r.Rebuild {
		text += "  -- " + t.remake
	}
	if r.Decide {
		text += "  -- " + t.decide
	}
	if r.Instead {
		text += "  -- " + t.instead
	}
	return text
}

var preflightTexts = map[language]preflightText{
	english: {
		short: "look at the sources of an agent's file before they are captured",
		long: "Finds all that stands against the capture of the agent's sources at once: what it is, what it\n" +
			"leads to, and the statement that repairs it. Reads settings, statistics and catalogue; no row of\n" +
			"a table, and writes nothing. AGENT is the agent's configuration file. Tables that were added by\n" +
			"tributary table add aren't in the file: name them by --table.\n" +
			"tributary preflight sql AGENT SOURCE prints the same questions as a script for mysql, mariadb or psql;\n" +
			"--from judges what it prints by the same rules.\n" +
			"Ends with 0 if nothing refuses capture, with 1 if something does, with 2 if the file is wrong,\n" +
			"with 3 if a source can't be reached.",
		order: "print the change sheet for the source's administrator: SQL, rollback, restarts, figures",
		well:  "nothing stands against capture",
		from:  "judge the `FILE` that the script of preflight sql has printed, instead of asking the server", fromOne: "--from is about one source: name it",
		notPrinted:  "the file isn't, or isn't all of, what the script of this source prints",
		scriptReads: "Reads settings, statistics and catalogue only: no row of a table, and writes nothing.", scriptRun: "Run it as the source's user, at best from the agent's machine:",
		scriptErrors: "Errors about statements that this release doesn't know, or that the user may not use, are no harm.", scriptThen: "What it prints is then judged by",

		severity: "severity", code: "code", object: "object", found: "found", ignored: "if ignored", todo: "to do", setting: "server's configuration", agent: "agent's file",
		unseen: "not seen, for lack of a privilege", restart: "from the server's next start on", remake: "rebuilds the table, or keeps writers waiting",
		decide: "takes something away, or changes what applications see: decide first", instead: "does as well, instead of the lines before",
		table: "a table beside those of the file, as tributary table add names it; may stand several times", oneSource: "--table is about one source: name it",
		noTable: "--table %s: want DATABASE.TABLE of the source, for PostgreSQL DATABASE.SCHEMA.TABLE",
		oneForm: "--change-order is a script: it goes without --output json", away: "a source can't be reached", refuses: "something stands against the capture of a source",
		sheet: "change sheet", dry: "made without reading a row or writing anything; what needs a decision, and the rollback at the end, stand in comments",
		growth: "the log grows per day by about", load: "first load: %d {table|tables}, about %d {row|rows}, %s, about %s (reckoned with %d {row|rows}/s and %d MiB/s)",
		noStatistics: "%d {table has no statistics and counts|tables have no statistics and count} as empty", online: "while the server runs", restarts: "with a restart of the server",
		makes: "the agent makes this by itself at its first start, if it may", rollback: "rollback, in this order",
		severities: [...]string{preflight.Advice: "advice", preflight.Harms: "harms", preflight.Refuses: "refuses"},
	},
	chinese: {
		short: "在采集之前检查 agent 配置中的数据源",
		long: "一次列出妨碍采集的全部问题：是什么、会导致什么、用什么语句修复。只读取设置、统计信息和系统目录，\n" +
			"不读取任何一行数据，不写入任何内容。AGENT 是 agent 的配置文件。\n" +
			"用 tributary table add 添加的表不在该文件中：请用 --table 指明。\n" +
			"tributary preflight sql AGENT SOURCE 把同样的查询输出为 mysql、mariadb 或 psql 的脚本；--from 按相同规则判断其输出。\n" +
			"没有阻止采集的问题时退出码为 0，有则为 1，配置有误为 2，数据源无法访问为 3。",
		order: "输出给数据库管理员的变更单：SQL、回退 SQL、重启项与用量",
		well:  "没有妨碍采集的问题",
		from:  "判断 preflight sql 的脚本所输出的 `FILE`，不询问服务器", fromOne: "--from 只针对一个数据源：请写明",
		notPrinted:  "该文件不是此数据源的脚本的（完整）输出",
		scriptReads: "只读取设置、统计信息与数据字典：不读取表中的行，也不写入。", scriptRun: "以数据源的采集用户执行，最好在 agent 所在的机器上：",
		scriptErrors: "该版本没有的语句、或该用户无权执行的语句会报错，不影响结果。", scriptThen: "其输出由下面的命令判断：",

		severity: "级别", code: "代码", object: "对象", found: "现状", ignored: "若不处理", todo: "处理", setting: "服务器配置", agent: "agent 配置",
		unseen: "权限不足，未能查看", restart: "重启服务器后生效", remake: "会重建表，或让写入等待",
		decide: "会移除内容或改变应用所见，请先决定", instead: "也可用此项代替前面各行",
		table: "文件之外的一张表，写法同 tributary table add；可多次给出", oneSource: "--table 只针对一个数据源：请指明",
		noTable: "--table %s：应为该数据源的 DATABASE.TABLE，PostgreSQL 为 DATABASE.SCHEMA.TABLE",
		oneForm: "--change-order 输出的是脚本，不能与 --output json 同用", away: "有数据源无法访问", refuses: "有数据源不能采集",
		sheet: "变更单", dry: "生成时未读取任何数据行，未写入任何内容；需要决定的语句和最后的回退语句均为注释",
		growth: "日志每天约增长", load: "首次装载：%d 张表，约 %d 行，%s，约需 %s（按每秒 %d 行、%d MiB 估算）",
		noStatistics: "%d 张表没有统计信息，按空表计", online: "无需重启", restarts: "需要重启服务器",
		makes: "以下对象由 agent 在首次启动时自行创建（如有权限）", rollback: "回退，按此顺序执行",
		severities: [...]string{preflight.Advice: "建议", preflight.Harms: "有害", preflight.Refuses: "阻止"},
	},
}
