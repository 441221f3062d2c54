package intake

import "github.com/tributary-cdc/tributary/cmd/internal/language"

// text gives a text of the page. A test finds those that are missing.
func text(key string, lang language.Language) string {
	t, ok := catalogue[key]
	switch {
	case !ok:
		return key
	case lang == language.Chinese:
		return t[1]
	}
	return t[0]
}

// catalogue is every text of the page, in English and in Chinese.
var catalogue = map[string][2]string{
	"product": {"Tributary agent", "Tributary agent"},
	"tagline": {"This page is on this machine only; nothing leaves the house before you say so", "本页只在本机打开，未经您确认，任何内容都不会离开本单位"},
	"title":   {"Add a source", "添加数据源"},
	"skip":    {"Skip to content", "跳到正文"},
	"other":   {"中文", "English"},
	"todo":    {"To do: ", "处理："},
	"ignored": {"If nobody does: ", "如不处理："},
	"refused": {"This page is for the browser that was opened first by the link.", "本页只供首次打开链接的浏览器使用。"},

	"refused.do": {"Run tributary source add --page again for a new link.", "请重新运行 tributary source add --page 以获得新链接。"},

	"steps": {"Steps", "步骤"}, "step.server": {"Server", "服务器"}, "step.tables": {"Tables", "选择表"}, "step.leaves": {"What leaves", "送出内容"}, "step.done": {"Done", "完成"},

	"server.note": {"The agent connects, lists the tables and looks at the server as preflight does. Nothing is changed there, and nothing is written here yet.", "agent 将连接数据库、列出各表，并按 preflight 检查服务器。不会改动服务器，此时也不写入任何文件。"},
	"name":        {"Name of the source", "数据源名称"}, "name.hint": {"letters, digits, - and _, e.g. xueji", "字母、数字、- 和 _，例如 xueji"},
	"engine": {"Engine", "数据库类型"}, "mysql": {"MySQL", "MySQL"}, "mariadb": {"MariaDB", "MariaDB"}, "postgres": {"PostgreSQL", "PostgreSQL"},
	"host": {"Host", "服务器地址"}, "port": {"Port", "端口"}, "port.hint": {"without one 3306, PostgreSQL 5432", "不填为 3306，PostgreSQL 为 5432"},
	"database": {"Database", "数据库"}, "database.hint": {"for PostgreSQL only", "仅用于 PostgreSQL"}, "user": {"User", "用户"},
	"password": {"Password", "口令"}, "password.hint": {"It is kept encrypted on this machine and never sent.", "加密保存在本机，不会发送。"},
	"server.do": {"Connect and look", "连接并检查"},

	"findings": {"What preflight has found", "preflight 检查结果"}, "findings.note": {"What refuses must be repaired before capture; the others say what they lead to.", "“拒绝”的须先修复才能采集；其余各项说明其后果。"},
	"findings.none":    {"Nothing stands against capture.", "没有妨碍采集的问题。"},
	"severity.refuses": {"refuses", "拒绝"}, "severity.harms": {"harms", "有害"}, "severity.advice": {"advice", "建议"},
	"script": {"Repair script", "修复脚本"}, "script.note": {"For the server's administrator. What takes something away or changes what applications see stands in comments.", "供数据库管理员使用。会删除内容或影响应用的语句写在注释中。"},

	"tables.note": {"%s, %d {table|tables} that the user can see. Choose what is to be sent, and under which dataset.", "%s，该用户可见 %d 张表。请选择要报送的表及其数据集。"},
	"tables":      {"Tables", "表"}, "tables.none": {"The user sees no table: see above what it lacks.", "该用户看不到任何表：请查看上面的检查结果。"},
	"table": {"Table", "表"}, "dataset": {"Dataset", "数据集"}, "rows": {"Rows", "行数"}, "size": {"Size", "大小"}, "columns": {"Columns", "列"},
	"all": {"All", "全选"}, "none": {"None", "全不选"},
	"first": {"First start", "首次启动"}, "first.from": {"How it begins", "开始方式"}, "first.load": {"read what the tables hold, and what changes meanwhile", "读取表中已有数据及其间的变更"}, "first.now": {"begin at the present end of the log", "从日志当前末尾开始"},
	"tables.do": {"See what would leave", "查看将送出的内容"}, "back": {"Back", "返回"},

	"chosen": {"%d {table|tables}, about %d {row|rows}, %s", "%d 张表，约 %d 行，%s"},
	"leaves": {"What the hub would be told", "将告知 hub 的全部内容"}, "leaves.note": {"Just this leaves the house when the source is proposed: names, sizes, findings, and which columns may hold personal data. No value of a row, no password, no address.", "申请登记时送出的只有这些：名称、规模、检查结果，以及可能含有个人信息的列。不含任何数据值、口令和地址。"},
	"leaves.keep": {"Keep it as a file", "保存为文件"}, "add": {"Write it into %s", "写入 %s"},

	"changed": {"What would leave isn't what this tab has shown: it was changed in another one.", "将送出的内容与本标签页所显示的不同：已在其他标签页中更改。"}, "changed.do": {"Look at it again below.", "请重新查看下面的内容。"},

	"added": {"%s stands in %s", "%s 已写入 %s"}, "next": {"What comes next", "下一步"}, "next.note": {"In a terminal on this machine:", "在本机终端执行："}, "next.or": {"Or in a terminal on this machine:", "或在本机终端执行："},
	"propose": {"Propose it to the hub", "向 hub 申请登记"}, "propose.note": {"The hub is told just what you have seen; nothing of it is collected before an approver of the hub agrees.", "只会把您所看到的内容告知 hub；在 hub 的审批人批准之前，不会归集任何数据。"}, "another": {"Add another source", "再添加一个数据源"},
}
