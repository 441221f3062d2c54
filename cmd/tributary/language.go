package main

import lang "github.com/tributary-cdc/tributary/cmd/internal/language"

// counted is fmt.Sprintf with {one|other} forms behind counts.
func counted(format string, args ...any) string { return lang.Sprintf(format, args...) }

// language is what people are spoken to in.
type language = lang.Language

const (
	english = lang.English
	chinese = lang.Chinese
)

// catalogue is every text for people, once per language.
type catalogue struct {
	root, lang, config, agent, worker, hub, log, configs, check, checkLong, example, valid, validAs, version                         string
	trace, traceLong, status, statusLong, output, explain, registry, foreign                                                         string
	table, tableAgent, tableReread, tablePause, tableResume, tableCancel, ordered                                                    string
	tableAdd, tableAddLong, tableRemove, tableRemoveLong, tableRereadLong, tablePart, tableKeep, orderedOnly, wrongPart, partMissing string
	tableAccept, tableAcceptLong, workerAt, tableAccepted, tableRereadToo, halted, haltedHeld                                        string
	sourcePause, sourcePauseLong, sourceResume, sourcePaused, sourceSafe, sourceSafeFuse, sourceResumed, sourceHeld                  string
	gap, gapRepair, gapRepairLong, gapBounds                                                                                         string
	fieldLoad, loadEstimate, loadSpeed, loadLeft, loadResumes, fieldAdded, fieldLeft, fieldVerify                                    string

	helpOf, helpFlag, completion, usageHead, verb, commandsHead, flagsHead, examplesHead, moreHelp, seeHelp, defaultValue string
	unknownCommand, missingVerb, unknownFlag, missingFlag, flagWithoutValue, wrongFlagValue, badFlag                      string
	missingArgument, extraArgument, wrongValue, notAddress, unknownCode, toDo, inItsWords                                 string
	fileInvalid, configInvalid, moreOnCodes, away, unwell, noRow, batchText, logText                                      string

	fieldRow, fieldSource, fieldPosition, fieldOp, fieldCommitted, fieldApplied, fieldBatch, fieldLog, fieldHops, fieldProof string
	fieldProgram, fieldState, fieldLag, fieldTxns, fieldRows, fieldNote                                                      string
}

var texts = map[language]catalogue{
	english: {
		root:    "change data capture from district databases to city and provincial stores",
		lang:    "language of the texts: zh-CN or en; without it LANG of the environment decides",
		config:  "the configuration `FILE` (YAML)",
		agent:   "read source databases and write their transactions to the log",
		worker:  "apply the log to a store",
		hub:     "serve the page: lag, states, newest transactions, trace of a row",
		log:     "run the embedded log on loopback",
		configs: "check configuration files, print examples",
		check:   "check a file without any connection",
		example: "print a commented example",
		checkLong: "Checks a file and opens no connection. Whose file it is is told by its keys where no role stands\n" +
			"before it. Each thing that is wrong comes with its line and its code.",
		valid:   "the file is valid",
		validAs: "the file is valid, for tributary %s",
		version: "print the version",
		trace:   "show where a row of a store came from",
		traceLong: "Shows a row of a store with its stamp, the batch that wrote it, its place in the log,\n" +
			"and the command that shows the event at the source without this program.\n" +
			"STORE is the worker's configuration file, KEY the key's values in the table's order.",
		status:     "show what agents and workers are doing",
		statusLong: "Asks agents and workers at their http addresses. Ends with 3 if one of them\ncan't be reached, with 1 if one needs a person.",
		output:     "`FORMAT` of the result: table or json",
		registry:   "answer the Schema Registry's read calls from the log",
		foreign:    "%d foreign {record|records} set aside, the newest at offset %d",
		explain:    "say what an error's code means and what to do; without a code, all of them",
		fieldRow:   "row", fieldSource: "source", fieldPosition: "position", fieldOp: "operation", fieldCommitted: "committed", fieldApplied: "applied",
		fieldBatch: "batch", fieldLog: "log", fieldHops: "relays", fieldProof: "at the source", fieldProgram: "program", fieldState: "state", fieldLag: "lag",
		fieldTxns: "transactions", fieldRows: "rows", fieldNote: "note", fieldLoad: "load of %s", fieldVerify: "verification of %s", loadEstimate: "about %d {row|rows} in all", loadSpeed: "%.0f {row|rows}/s", loadLeft: "%s left", loadResumes: "goes on at %s, in the quiet hours", fieldAdded: "added: %s", fieldLeft: "%s of its log are left (%s)",
		table: "load tables of a source again, and pause or end a load", tableAgent: "`URL` of the agent: http of its file", tableReread: "read a table again while its changes go on; rows that don't exist any more leave the store",
		tablePause: "let a load rest", tableResume: "go on with a load that rests or has failed", tableCancel: "end a load; the table stays incomplete", ordered: "ordered; tributary status shows how far it is",
		tableAdd: "capture a table that the patterns leave out, and load it", orderedOnly: "ordered, but the log doesn't have it yet: it is lost if the agent ends before; see tributary status",
		tableAddLong: "Captures a table of the source that its patterns leave out, and loads it while everything goes on.\n" +
			"It stays captured over restarts and on another machine: the log keeps it with the source's progress.\n" +
			"On PostgreSQL the publication must hold it: it is put there, or the statement for a DBA is shown.\n" +
			"TABLE is DATABASE.TABLE, on PostgreSQL DATABASE.SCHEMA.TABLE.",
		sourcePause: "don't read a source of this machine's agent until it is resumed", sourceResume: "go on reading a source that was paused, where it stopped",
		sourcePauseLong: "Reading ends, loads included, and so do the connections that read. What was read is written. The order stands in the\n" +
			"agent's data_dir: it outlives the agent, and needs neither the hub nor the log. The source's server keeps what isn't\n" +
			"read by its own bounds, and by the fuse: the answer says until when. The agent goes on watching that.",
		sourcePaused:   "paused; by what is known nothing bounds how long, see tributary status",
		sourceSafe:     "paused; safe until %s, then the server may remove what has not been read (%s)",
		sourceSafeFuse: "paused; safe until %s, then the fuse (%s)",
		sourceResumed:  "resumed; it goes on where it stopped",
		sourceHeld:     "resumed here; the hub has paused it, too, at %s: it is read once it is resumed there",
		tableRemove:    "stop capturing a table that was added",
		tableRemoveLong: "From one place of the stream on no change of the table is delivered; log and store name that place. Its rows stay\n" +
			"in the store, as of then. Added again, it is loaded again. A table of the patterns is taken out of the configuration instead.\n" +
			"On PostgreSQL it stays in the publication; ALTER PUBLICATION NAME DROP TABLE TABLE takes it out.",
		tableRereadLong: "Reads a captured table again while its changes go on. Rows that don't exist at the source any more\n" +
			"leave the store. With --where-key only a part of it is read, and nothing outside is touched.\n" +
			"TABLE is DATABASE.TABLE, on PostgreSQL DATABASE.SCHEMA.TABLE.",
		tableAccept: "let a table that has stopped in a store go on as it is now", workerAt: "`URL` of a worker of the store: http of its file",
		tableAcceptLong: "Accepts what has stopped a table in a store, e.g. a change of its columns: the worker changes the\n" +
			"store's table, applies the rows that the store has held meanwhile, in order, and goes on. What still\n" +
			"can't be applied stops it again, and nothing is lost. A table of which more rows came than may be\n" +
			"held must be read again besides. TABLE is DATABASE.TABLE, on PostgreSQL DATABASE.SCHEMA.TABLE.",
		tableAccepted: "accepted; %d held {row is|rows are} applied now, tributary status shows when the table goes on", tableRereadToo: "accepted; the table must be read again as well, on the agent's machine: %s",
		halted: "table %s, stopped since %s: %s; %s", haltedHeld: "%d {row is|rows are} held: %s",
		gapBounds: "after %s, found %s: %s",
		gap:       "repair gaps of sources", gapRepair: "begin a source in a gap anew, and read all its tables again",
		gapRepairLong: "Begins a source whose continuity is lost anew at its present end, and reads all its captured tables\n" +
			"again while changes flow. Rows that don't exist at the source any more leave the store. The gap is\n" +
			"closed once all of it is applied. Tables without a key (append mode) can't be read again: their log\n" +
			"of changes lacks what lies in the gap, and tributary.anomaly names them.",
		tablePart: "`FROM..TO`: only rows whose key lies between, both ends included, in the source's own order; one end may be left out; several columns: 330106,1..330106,99; a value in double quotes may hold anything",
		wrongPart: "--where-key %q isn't FROM..TO: one end may be left out, columns are parted by commas, a value in double quotes may hold anything", partMissing: "--keep-missing is for a part: --where-key is missing",
		tableKeep: "let rows of the part stay in the store that don't exist at the source any more",

		helpOf: "show the help of a command", helpFlag: "show this help", completion: "print a script that completes commands and flags in a shell", usageHead: "Usage:", verb: "COMMAND", commandsHead: "Commands:",
		flagsHead: "Flags:", examplesHead: "Examples:", moreHelp: "%s COMMAND --help says more about a command.", seeHelp: "Help: %s --help", defaultValue: " (default %s)",
		unknownCommand: "unknown command %q, the nearest known one is %q", missingVerb: "a command is missing, one of: %s", unknownFlag: "unknown flag %s, the nearest known one is %s", missingFlag: "%s is missing",
		flagWithoutValue: "--%s lacks its value", wrongFlagValue: "--%s %q isn't of the kind %s", badFlag: "%q isn't a flag", missingArgument: "the argument %s is missing", extraArgument: "the argument %q is too many",
		wrongValue: "%s %q: one of %s; the nearest is %s", notAddress: "%s %q isn't an address like http://127.0.0.1:8061", unknownCode: "unknown code %q, the nearest known one is %s",
		toDo: "To do: ", inItsWords: "In its words: ", fileInvalid: "%s isn't valid:", configInvalid: "the configuration isn't valid:", moreOnCodes: "tributary explain CODE says more about a code.",
		away: "not every program answers", unwell: "not everything is well", noRow: "%s: no row under the key %s", batchText: "%d, worker %s, fence %d, %s … %s", logText: "%s, offset %d … %d",
	},
	chinese: {
		root:    "变更数据捕获：从区县数据库到市级、省级汇聚库",
		lang:    "文字语言：zh-CN 或 en；不给出则取自环境变量 LANG",
		config:  "配置文件 `FILE`（YAML）",
		agent:   "读取源库，把事务写入日志",
		worker:  "把日志应用到汇聚库",
		hub:     "提供运行状态页面：延迟、状态、最近事务、数据行追溯",
		log:     "在本机回环地址运行内嵌日志",
		configs: "检查配置文件，输出示例",
		check:   "检查一个文件，不建立任何连接",
		example: "输出带注释的示例",
		checkLong: "检查一个文件，不建立任何连接。未给出角色时由文件中的键判断。\n" +
			"每处错误都带有行号与代码。",
		valid:   "文件有效",
		validAs: "文件有效，用于 tributary %s",
		version: "显示版本",
		trace:   "查看汇聚库中一行数据的来历",
		traceLong: "显示汇聚库中的一行及其血缘标记、写入它的批次、它在日志中的位置，\n" +
			"以及不借助本程序在源端查看该事件的命令。\n" +
			"STORE 是 worker 的配置文件，KEY 是按表键顺序给出的键值。",
		status:     "查看 agent 与 worker 的运行状况",
		statusLong: "按 http 地址询问 agent 与 worker。有一个无法访问时退出码为 3，需要人工处理时为 1。",
		output:     "结果的格式 `FORMAT`：table（表格）或 json",
		registry:   "依据日志应答 Schema Registry 的读取接口",
		foreign:    "搁置了 %d 条外来记录，最新一条的偏移量为 %d",
		explain:    "说明错误代码的含义与处理办法；不给代码则列出全部",
		fieldRow:   "数据行", fieldSource: "数据源", fieldPosition: "位点", fieldOp: "操作", fieldCommitted: "源端提交", fieldApplied: "入库",
		fieldBatch: "批次", fieldLog: "日志", fieldHops: "经过的 relay", fieldProof: "源端查看", fieldProgram: "程序", fieldState: "状态", fieldLag: "延迟",
		fieldTxns: "事务数", fieldRows: "行数", fieldNote: "说明", fieldLoad: "装载 %s", fieldVerify: "核对 %s", loadEstimate: "共约 %d 行", loadSpeed: "%.0f 行/秒", loadLeft: "预计还需 %s", loadResumes: "等待静默时段，%s 继续", fieldAdded: "另加的表：%s", fieldLeft: "日志余量 %s（%s）",
		table: "重新装载数据源的表，暂停或结束装载", tableAgent: "agent 的地址 `URL`：其配置文件中的 http", tableReread: "在变更继续的同时重新读取一张表；源端已不存在的行会从汇聚库移除",
		tablePause: "暂停装载", tableResume: "继续已暂停或已失败的装载", tableCancel: "结束装载，该表保持不完整", ordered: "已下达；用 tributary status 查看进度",
		tableAdd: "采集配置的模式未包含的一张表，并装载它", orderedOnly: "已下达，但尚未写入日志：若 agent 在此之前结束，该命令会丢失；请查看 tributary status",
		tableAddLong: "采集数据源中配置的模式未包含的一张表，并在其他数据照常流动的同时装载它。\n" +
			"重启后、换机器后仍然有效：它与数据源的进度一起保存在日志中。\n" +
			"PostgreSQL 的发布（publication）必须包含该表：程序会加入它，无权限时给出供 DBA 执行的语句。\n" +
			"TABLE 为 库名.表名，PostgreSQL 为 库名.模式名.表名。",
		sourcePause: "暂停采集本机 agent 的一个数据源，直到恢复", sourceResume: "恢复采集已暂停的数据源，从停下处继续",
		sourcePauseLong: "停止读取（包括装载），断开读取用的连接；已读取的内容会写完。命令保存在 agent 的 data_dir 中：agent 重启后\n" +
			"仍然有效，不需要 hub，也不需要日志。源库按自己的限制和 fuse 保留未读取的内容：回答会说明安全到何时。\n" +
			"agent 会继续关注这一点。",
		sourcePaused:   "已暂停；就目前所知没有时间限制，见 tributary status",
		sourceSafe:     "已暂停；在 %s 之前安全，此后源库可能删除尚未读取的内容（%s）",
		sourceSafeFuse: "已暂停；在 %s 之前安全，此后触发 fuse（%s）",
		sourceResumed:  "已恢复，从停下处继续",
		sourceHeld:     "本机已恢复；hub 也已于 %s 暂停该数据源，在 hub 上恢复后才会读取",
		tableRemove:    "停止采集一张另加的表",
		tableRemoveLong: "从数据流的某一处起，不再发送该表的变更；日志与汇聚库都记下这一处。其行按当时的样子留在汇聚库中。\n" +
			"再次添加时会重新装载。配置的模式所包含的表，请从配置中去掉。\n" +
			"PostgreSQL 上该表仍留在发布（publication）中，可用 ALTER PUBLICATION 名称 DROP TABLE 表名 移出。",
		tableRereadLong: "在变更继续的同时重新读取一张已采集的表。源端已不存在的行会从汇聚库移除。\n" +
			"使用 --where-key 时只读取一部分，其余的行不受影响。\n" +
			"TABLE 为 库名.表名，PostgreSQL 为 库名.模式名.表名。",
		tableAccept: "让一张在汇聚库中已停止的表按现有结构继续", workerAt: "该汇聚库任一 worker 的地址 `URL`：其配置文件中的 http",
		tableAcceptLong: "接受使一张表在汇聚库中停止的原因，例如列的变更：worker 修改汇聚库的表，按顺序应用期间保留的行，然后继续。\n" +
			"仍无法应用的内容会使该表再次停止，不会丢失。若到来的行超过可保留的数量，还须重新读取该表。\n" +
			"TABLE 为 库名.表名，PostgreSQL 为 库名.模式名.表名。",
		tableAccepted: "已接受；正在应用保留的 %d 行，用 tributary status 查看该表何时继续", tableRereadToo: "已接受；还须在 agent 的机器上重新读取该表：%s",
		halted: "表 %s，自 %s 起停止：%s；%s", haltedHeld: "已保留 %d 行：%s",
		gapBounds: "位于 %s 之后，发现于 %s：%s",
		gap:       "修复数据源的缺口", gapRepair: "让有缺口的数据源重新开始，并重新读取其全部表",
		gapRepairLong: "让无法证明连续的数据源从其当前末尾重新开始，并在变更继续的同时重新读取全部被采集的表。\n" +
			"源端已不存在的行会从汇聚库移除。全部应用之后缺口才关闭。没有主键的表（append 模式）无法重新读取：\n" +
			"其变更流水缺少缺口中的部分，tributary.anomaly 会列出这些表。",
		tablePart: "`FROM..TO`：只读取键在两端之间（含两端）的行，按源库自己的顺序比较；可省略一端；多列的键写作 330106,1..330106,99；双引号内的值可含任意字符",
		wrongPart: "--where-key %q 不是 FROM..TO：可省略一端，多列用逗号分隔，双引号内的值可含任意字符", partMissing: "--keep-missing 用于表的一部分：缺少 --where-key",
		tableKeep: "源端已不存在的行仍保留在汇聚库中",

		helpOf: "查看命令的帮助", helpFlag: "显示此帮助", completion: "输出在 shell 中补全命令与选项的脚本", usageHead: "用法：", verb: "命令", commandsHead: "命令：",
		flagsHead: "选项：", examplesHead: "示例：", moreHelp: "查看某个命令的说明：%s 命令 --help", seeHelp: "帮助：%s --help", defaultValue: "（默认 %s）",
		unknownCommand: "没有命令 %q，最接近的是 %q", missingVerb: "缺少命令，可用：%s", unknownFlag: "没有选项 %s，最接近的是 %s", missingFlag: "缺少 %s",
		flagWithoutValue: "--%s 缺少值", wrongFlagValue: "--%s 的值 %q 不是 %s", badFlag: "%q 不是选项", missingArgument: "缺少参数 %s", extraArgument: "多余的参数 %q",
		wrongValue: "%s %q：应为 %s 之一；最接近的是 %s", notAddress: "%s %q 不是 http://127.0.0.1:8061 这样的地址", unknownCode: "没有代码 %q，最接近的是 %s",
		toDo: "处理：", inItsWords: "原文：", fileInvalid: "%s 无效：", configInvalid: "配置无效：", moreOnCodes: "代码的含义与处理办法：tributary explain CODE",
		away: "有程序没有应答", unwell: "有需要处理的问题", noRow: "%s：没有键为 %s 的行", batchText: "%d，worker %s，栅栏号 %d，%s … %s", logText: "%s，偏移量 %d … %d",
	},
}
