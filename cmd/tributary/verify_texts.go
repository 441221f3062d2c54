package main

// verifyText is what tributary verify says in a language.
type verifyText struct {
	short, long, store, repair, without, whichTable, last, rows                   string
	table, state, compared, missing, surplus, different, repaired, note           string
	ordered, lost, refused, more, unequal, incomplete, none, quarantined, byOther string
	kinds                                                                         map[string]string
}

var verifyTexts = map[language]verifyText{
	english: {
		short: "compare tables of a source with the stores, row by row, while everything flows",
		long: "Compares a table of the source, or all of them, with what stores have: each row by a digest of its\n" +
			"values, at one place of the stream, so that changes on their way are no differences. Missing,\n" +
			"surplus and different rows are named by their keys. The agent takes the order; with --store, the\n" +
			"worker's configuration file, the command waits for what that store finds.\n" +
			"TABLE is DATABASE.TABLE, on PostgreSQL DATABASE.SCHEMA.TABLE.\n" +
			"Ends with 0 if store and source are equal, also after a repair, and with 1 if a difference stands,\n" +
			"or a table couldn't be compared.",
		store:      "the worker's configuration `FILE` of the store whose result is waited for; without it the order is given and nothing more",
		repair:     "have stores mend what differs, through the stream; the table's rows then go through the log",
		without:    "a `COLUMN` of TABLE that isn't compared, since a store leaves it out; may be repeated. With --store those that this store leaves out are known",
		whichTable: "--without needs a TABLE",
		last:       "give no order, show what the last verifications in the store have found",
		rows:       "the `NUMBER` of differing rows that are shown per table; the store names up to 10000",
		table:      "table", state: "state", compared: "rows", missing: "missing", surplus: "surplus", different: "different", repaired: "repaired", note: "note",
		ordered: "verification %s ordered for %d {table|tables}; tributary verify SOURCE --last --store FILE shows what a store has found",
		lost:    "the log doesn't have the order yet: it is lost if the agent ends before",
		refused: "not compared", more: "%s: %d further {row that differs isn't|rows that differ aren't} shown", unequal: "the store differs from the source", incomplete: "not every table could be compared",
		none: "the store has no verification of this", quarantined: "%d in quarantine", byOther: "%d owned by another source",
		kinds: map[string]string{"missing": "missing", "surplus": "surplus", "different": "different"},
	},
	chinese: {
		short: "在数据照常流动的同时，逐行核对数据源的表与汇聚库",
		long: "核对数据源的一张表或全部表与汇聚库中的内容：逐行比较各值的摘要，且在数据流的同一位置比较，\n" +
			"因此尚在途中的变更不会算作差异。缺少、多余和不同的行按其键列出。指令由 agent 接收；\n" +
			"给出 --store（worker 的配置文件）时，命令会等待该汇聚库的核对结果。\n" +
			"TABLE 为 库名.表名，PostgreSQL 为 库名.模式名.表名。\n" +
			"汇聚库与源库一致（包括修复之后一致）时退出码为 0；仍有差异或有表无法核对时为 1。",
		store:      "等待其结果的汇聚库所对应的 worker 配置文件 `FILE`；不给出则只下达指令",
		repair:     "由汇聚库通过数据流修复差异；该表的各行会经过日志",
		without:    "TABLE 中不核对的列 `COLUMN`（汇聚库未收入的列），可重复；给出 --store 时自动得知该汇聚库未收入的列",
		whichTable: "--without 需要给出 TABLE",
		last:       "不下达指令，只显示汇聚库中最近一次核对的结果",
		rows:       "每张表显示的差异行数 `NUMBER`；汇聚库最多记录 10000 行",
		table:      "表", state: "状态", compared: "行数", missing: "缺少", surplus: "多余", different: "不同", repaired: "已修复", note: "说明",
		ordered: "核对 %s 已下达，共 %d 张表；用 tributary verify SOURCE --last --store FILE 查看汇聚库的核对结果",
		lost:    "日志中尚无该指令：若 agent 在此之前结束，指令会丢失",
		refused: "未核对", more: "%s：另有 %d 行差异未显示", unequal: "汇聚库与源库不一致", incomplete: "有表未能核对",
		none: "汇聚库中没有相应的核对记录", quarantined: "%d 行在隔离区", byOther: "%d 行归其他数据源所有",
		kinds: map[string]string{"missing": "缺少", "surplus": "多余", "different": "不同"},
	},
}
