package alarm

import (
	"strings"

	"github.com/tributary-cdc/tributary/cmd/internal/language"
)

// objects are the first words of Alarm.Object in Chinese.
var objects = map[string]string{ofSource: "数据源", ofStore: "汇聚库", ofLog: "日志", ofAgent: "agent", ofWorker: "worker", ofServer: "数据库服务器"}

// Object names what an alarm is about.
func Object(object string, lang language.Language) string {
	word, name, _ := strings.Cut(object, " ")
	if chinese, ok := objects[word]; ok && lang == language.Chinese {
		return strings.TrimSpace(chinese + " " + name)
	}
	return object
}

// Explanation is what a kind of alarm means.
type Explanation struct {
	Name string
	What string // it means
	Do   string
	Who  string // does it
}

// WordsOf explain an alarm by its code where that means something else than its kind does.
func WordsOf(k Kind, code string, lang language.Language) Explanation {
	own := unheardWords
	switch {
	case k == Lag && code != "": // only what isn't read has one
		own = unreadWords
	case code != unheardCode:
		return Words(k, lang)
	}
	if lang == language.Chinese {
		return own[1]
	}
	return own[0]
}

var unreadWords = [2]Explanation{
	{"Can't be read", "The agent runs and can't read its database, longer than the lag may be. What was committed since isn't collected yet; nothing is lost while the database keeps its log.",
		"See by the code and the words whether the server runs, the network lets the agent through and the user may log in. It goes on by itself.", "The district's DBA"},
	{"无法读取", "agent 在运行，但无法读取其数据库，时间已超过允许的延迟。此后提交的变更尚未归集；只要数据库保留其日志，就不会丢失。",
		"按代码和原文检查数据库服务器是否在运行、网络是否放行、用户能否登录。恢复后会自动继续。", "区县 DBA"},
}

var unheardWords = [2]Explanation{
	{"Never heard of", "It was approved, and nothing has been heard of it since. Nothing is collected of it, and what is complete waits for it.",
		"See whether the agent runs, has its assignment (tributary source fetch; without a connection tributary source assign) and reaches the log. If it is to send nothing, an approver retires the source on its page.", "The district whose agent it is, with the hub's operators"},
	{"从未上报", "已获批准，但至今没有任何消息。尚未归集其数据，“完整至”也在等待它。",
		"检查 agent 是否在运行、是否已取得分配单（tributary source fetch；没有网络连接时用 tributary source assign）、能否连上日志。如不再需要，由审批人在数据源页停止归集。", "该 agent 所属区县，会同汇聚平台运维"},
}

// Words explain a kind.
func Words(k Kind, lang language.Language) Explanation {
	if lang == language.Chinese {
		return words[k][1]
	}
	return words[k][0]
}

var words = map[Kind][2]Explanation{
	Silence: {
		{"Silence", "Nothing has been heard of it for longer than three of its intervals. What stands behind it may be well; nobody knows.",
			"See whether the machine and the program run and reach the log: an agent by systemctl status, a store by its own client, the log by its brokers. Data that waits is not lost: it goes on from where it was.", "Whoever runs the machine: the district for an agent, the hub's operators for store, log and workers"},
		{"失联", "超过三个上报周期没有任何消息。其后的数据源可能正常，但无从得知。",
			"检查机器和程序是否在运行、能否连上日志：agent 用 systemctl status，汇聚库用其客户端，日志查看 broker。等待中的数据不会丢失，恢复后从原处继续。", "机器的运维方：agent 由区县负责，汇聚库、日志和 worker 由汇聚平台运维负责"},
	},
	Lag: {
		{"Lag", "Changes take longer to reach the store than they may, and no other alarm is the cause.",
			"Look at the source's page: at which stage it waits, whether the backlog shrinks, and when it will have caught up. One stage of many sources: the worker or the store is too slow. One source: a large transaction or a slow line.", "The hub's operators"},
		{"延迟超限", "变更入库所需时间超过允许值，且没有其他告警可以解释。",
			"查看该数据源页面：在哪个环节等待、积压是否在减少、预计何时追平。多个数据源停在同一环节：worker 或汇聚库过慢。仅一个数据源：大事务或线路慢。", "汇聚平台运维"},
	},
	Gap: {
		{"Gap", "Nothing proves that the changes go on where they ended. Nothing beyond the gap is applied, so that the store stays as it was.",
			"Find out why by its code, then order the repair on the agent's machine: tributary gap repair SOURCE. All tables of the source are read again; others go on.", "The district's DBA, who knows what was done to the server"},
		{"数据缺口", "无法证明变更从上次结束处连续。缺口之后的变更不会入库，汇聚库保持原状。",
			"按代码查明原因，然后在 agent 机器上执行 tributary gap repair 加数据源进行修复。该数据源的全部表会重新读取，其他数据源不受影响。", "区县 DBA，了解服务器上做过什么"},
	},
	Halt: {
		{"Halt", "The source, or some of its tables, has stopped, because something isn't understood, isn't allowed, or belongs to another agent now. It doesn't start by itself.",
			"Repair what the code and the words say. A stopped table is read again by tributary table reread; a source starts with its agent.", "The district's DBA; for tables that the store refuses the hub's engineers"},
		{"停止", "数据源或其中的表已停止：有内容无法理解、没有权限，或已被其他 agent 接管。不会自行恢复。",
			"按代码和原文排除原因。停止的表用 tributary table reread 重新读取；停止的数据源随 agent 重新启动。", "区县 DBA；汇聚库拒收的表由汇聚平台工程师处理"},
	},
	Quarantine: {
		{"Quarantine", "A store refuses rows. They are kept apart with everything that follows for their keys; all others flow.",
			"See tributary.quarantine in the store: code, error and row. Repair the value at the source or the table in the store, then read the table again.", "The hub's engineers, with the steward of the dataset"},
		{"隔离行", "汇聚库拒收部分行。这些行及其后续变更被隔离保存，其余照常流动。",
			"查看汇聚库 tributary.quarantine 中的代码、错误和行内容。在源端更正数据或调整库表，然后重新读取该表。", "汇聚平台工程师，会同数据集责任人"},
	},
	Retention: {
		{"Retention", "The server will remove part of its log before it has been read. Then there is a gap.",
			"Let the agent catch up, or have the server keep its log longer with the statement on the source's page.", "The district's DBA, before the time is over"},
		{"源日志即将清除", "源库将在读取之前清除部分日志，届时会形成缺口。",
			"让 agent 追平，或用数据源页面给出的语句延长源库日志保留时间。", "区县 DBA，须在到期前完成"},
	},
	Fuse: {
		{"Fuse", "The agent has given up its replication slot, so that the source's disk doesn't fill. The source works on; what was not read is a gap.",
			"Remove the reason for which nothing was read, then order the repair: tributary gap repair SOURCE.", "The district's DBA and the hub's operators"},
		{"熔断", "为避免源库磁盘写满，agent 已放弃其复制槽。源库业务不受影响，未读取的部分成为缺口。",
			"排除无法读取的原因，然后执行 tributary gap repair 加数据源进行修复。", "区县 DBA 和汇聚平台运维"},
	},
	Disk: {
		{"Disk", "The source's server keeps WAL for us that has not been read, on its own disk.",
			"See why reading waits: the log, the line, or the agent. With a fuse the slot is given up before the disk is full.", "The hub's operators; the district's DBA watches the disk"},
		{"源库磁盘占用", "源库服务器为尚未读取的部分保留 WAL，占用其磁盘。",
			"查明读取等待的原因：日志、线路或 agent。配置了熔断时，磁盘写满前会放弃复制槽。", "汇聚平台运维；区县 DBA 关注磁盘"},
	},
	Forgery: {
		{"Forgery", "Somebody has spoken for another org: an agent at the hub, or whoever may write to the org's topic of states in the log. It was refused, or dropped, and has changed nothing.",
			"Find out who and why: the audit has the agent's tries, the detail names whom it spoke for. If it isn't a mistake shut the agent out on the page of invitations, which takes its certificate and its user of Kafka.", "The hub's operators, with the district whose agent it is"},
		{"冒充", "有人以其他机构的名义上报：agent 向 hub 上报，或由可写该机构状态主题者写入日志。该内容已被拒绝或丢弃，未产生任何影响。",
			"查明来源和原因：审计中有该 agent 的尝试，详情写明其冒充的对象。如非误操作，请在“邀请与 agent”页停用该 agent，其证书和 Kafka 用户随之失效。", "汇聚平台运维，会同该 agent 所属区县"},
	},
	Certificate: {
		{"Certificate", "The agent's certificate ends soon, and it hasn't renewed it, which it does by itself when a third of the time is left.",
			"See whether the agent runs and reaches the hub: tributary certificate show. One that has ended joins again by a new invitation. Data flows on meanwhile.", "The district, for its agent"},
		{"证书即将到期", "agent 的证书即将到期且未续签。正常情况下剩余三分之一有效期时会自动续签。",
			"检查 agent 是否运行、能否连上 hub：tributary certificate show。已到期的须凭新邀请重新加入。期间数据照常流动。", "区县，负责其 agent"},
	},
}
