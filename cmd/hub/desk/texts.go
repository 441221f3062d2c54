package desk

import "github.com/tributary-cdc/tributary/cmd/internal/language"

// text gives a text of the pages. A test finds those that are missing.
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

func known(key string) bool {
	_, ok := catalogue[key]
	return ok
}

// catalogue is every text of the pages, in English and in Chinese.
var catalogue = map[string][2]string{
	"product": {"Tributary hub", "Tributary 汇聚管理"},
	"tagline": {"Who registers what, who approves it, and what leaves whose house", "数据源登记、审批与留痕：谁登记、谁批准、哪些数据离开本单位"},
	"skip":    {"Skip to content", "跳到正文"},
	"other":   {"中文", "English"},
	"menu":    {"Pages", "页面"},
	"logout":  {"Log out", "退出"},
	"login":   {"Log in", "登录"},
	"todo":    {"To do: ", "处理："},
	"sure":    {"Are you sure? This is written into the audit.", "确定吗？此操作将记入审计。"},
	"until":   {"until", "有效期至"},
	"made":    {"Made", "时间"},
	"state":   {"State", "状态"},
	"actions": {"Actions", "操作"},
	"file":    {"File", "文件"},
	"reason":  {"Reason", "原因"},
	"search":  {"Search", "查询"},
	"whole":   {"the whole tree", "全部机构"},
	"org":     {"Org", "机构"},

	"menu.status": {"State", "运行状态"}, "menu.requests": {"Requests", "登记申请"}, "menu.invitations": {"Invitations", "邀请与 agent"}, "menu.orgs": {"Orgs", "机构"},
	"menu.accounts": {"Accounts", "账号"}, "menu.audit": {"Audit", "审计"},

	"title.login": {"Log in", "登录"}, "note.login": {"With the account that an administrator made for you.", "请使用管理员为您开通的账号。"},
	"title.setup": {"Set your password", "设置口令"}, "note.setup": {"This link can be used once.", "此链接只能使用一次。"},
	"title.me": {"Your account", "我的账号"}, "note.me": {"What you may do here, and your password.", "您的角色，以及修改口令。"},
	"title.accounts": {"Accounts", "账号"}, "note.accounts": {"Who may do what, and in which part of the tree.", "谁可以在哪个范围内做什么。"},
	"title.orgs": {"Orgs", "机构"}, "note.orgs": {"Data and rights follow this tree, never the digits of a code.", "数据流向和权限以此机构树为准，与代码的数字无关。"},
	"title.invitations": {"Invitations and agents", "邀请与 agent"}, "note.invitations": {"An agent reads a district's databases. It joins once, by an invitation.", "agent 读取区县的数据库，凭邀请加入一次即可。"},
	"title.requests": {"Requests", "登记申请"}, "note.requests": {"What agents ask to send. Nothing leaves before it is approved.", "agent 申请报送的数据。批准之前不会有数据离开源单位。"},
	"title.request": {"Request", "登记申请"}, "note.request": {"No value of a row has left the house for this page: only names, sizes and findings.", "本页只含名称、规模和检查结果，没有任何数据值离开源单位。"},
	"title.missing": {"No such page", "页面不存在"}, "note.missing": {"Nothing was changed.", "没有任何改动。"}, "missing.what": {"The hub has no page under this address", "hub 中没有这个地址的页面"},
	"missing.why": {"The address may be mistyped, or the page may have another one in this version.", "地址可能有误，或在此版本中已改变。"}, "missing.back": {"To the first page", "返回首页"},
	"title.audit": {"Audit", "审计"}, "note.audit": {"Everything that was done or refused. Nobody can change or remove a line.", "全部操作与被拒绝的操作。任何人不能修改或删除。"},

	"account": {"Account", "账号"}, "password": {"Password", "口令"}, "password.new": {"New password", "新口令"}, "password.old": {"Present password", "当前口令"}, "password.again": {"Once more", "再次输入"},
	"password.rule": {"12 characters or more; a sentence is best", "至少 12 个字符，建议使用一句话"}, "password.set": {"Set the password", "设置口令"}, "password.change": {"Change the password", "修改口令"},

	"done.saved": {"Done.", "已完成。"}, "done.again": {"That is there already; nothing was added.", "已有相同内容，未重复添加。"}, "done.password": {"The password is set. Log in with it.", "口令已设置，请登录。"},

	"role.viewer": {"viewer", "查看员"}, "role.operator": {"operator", "操作员"}, "role.approver": {"approver", "审批员"}, "role.administrator": {"administrator", "管理员"}, "role.auditor": {"auditor", "审计员"},
	"role.note.viewer": {"sees", "查看"}, "role.note.operator": {"sees, invites agents and shuts them out, looks after alarms", "查看，邀请和停用 agent，处理告警"}, "role.note.approver": {"sees, approves and refuses requests", "查看，批准或拒绝申请"},
	"role.note.administrator": {"sees, keeps accounts and orgs", "查看，管理账号和机构"}, "role.note.auditor": {"sees, reads and exports the audit", "查看，查询和导出审计"},

	"accounts.new": {"New account", "新建账号"}, "accounts.new.note": {"You get a link for the person, with which they set their own password. An auditor has no other role.", "系统生成一个链接，由本人凭此设置口令。审计员不能兼任其他角色。"},
	"accounts.title": {"Name", "姓名"}, "accounts.role": {"Role", "角色"}, "accounts.scope": {"For", "范围"}, "accounts.create": {"Make the account", "创建账号"}, "accounts.all": {"All accounts", "全部账号"},
	"accounts.roles": {"Roles", "角色"}, "accounts.on": {"active", "正常"}, "accounts.off": {"switched off", "已停用"}, "accounts.waits": {"waits for its password", "待设置口令"}, "accounts.you": {"that's you", "当前账号"},
	"accounts.set": {"Set the role", "设置角色"}, "accounts.link": {"New link", "重设口令"}, "accounts.disable": {"Switch off", "停用"}, "accounts.enable": {"Switch on", "启用"},
	"link.for": {"Link for %s", "%s 的链接"}, "link.note": {"Give it to the person by a safe way. It is shown here once, and can be used once.", "请通过可靠途径交给本人。此处只显示一次，且只能使用一次。"},

	"orgs.import": {"Import a file", "导入文件"}, "orgs.import.note": {"CSV with the columns code, parent, name, kind, or YAML; UTF-8. All of it or nothing; no org is removed.", "CSV（列：代码,上级,名称,类型）或 YAML，UTF-8 编码。要么全部生效，要么都不生效；不会删除机构。"},
	"orgs.import.do": {"Import", "导入"}, "orgs.done": {"Added %d, changed %d, same %d.", "新增 %d，修改 %d，未变 %d。"}, "orgs.tree": {"The tree", "机构树"}, "orgs.count": {"%d {org|orgs} in your part of it.", "您的范围内共 %d 个机构。"},
	"orgs.none": {"There is no org yet", "还没有机构"}, "orgs.none.do": {"Import a file, or run: tributary org example > orgs.csv; tributary org import orgs.csv --config hub.yml", "请导入文件，或运行：tributary org example > orgs.csv；tributary org import orgs.csv --config hub.yml"},
	"org.name": {"Name", "名称"}, "org.code": {"Code", "代码"}, "org.kind": {"Kind", "类型"},
	"org.hint": {"its code; type a part of code or name", "填写代码；输入代码或名称的一部分可查找"}, "scope.hint": {"an org's code, or * for the whole tree", "机构代码，* 表示全部机构"},
	"kind.province": {"province", "省"}, "kind.city": {"city", "市"}, "kind.district": {"district", "区县"}, "kind.zone": {"functional zone", "功能区"}, "kind.school": {"school", "学校"},

	"invite": {"Invite an agent", "邀请 agent"}, "invite.help": {"You get a command for the district's DBA. It can be used once, within 24 hours. Whoever invites doesn't approve what comes of it.", "系统生成一条命令，交给区县 DBA 执行；24 小时内有效，只能使用一次。邀请人不能审批由此而来的申请。"},
	"invite.do": {"Make an invitation", "生成邀请"}, "invite.for": {"Invitation for %s (%s)", "%s（%s）的邀请"}, "invite.note": {"Give the DBA this command. It is shown here once.", "请将此命令交给 DBA。此处只显示一次。"},
	"offline": {"The district has no connection to this hub", "区县与本 hub 没有网络连接"}, "offline.note": {"The DBA runs tributary join, or for another certificate tributary certificate renew, with --offline FILE and brings the file; you bring back the answer.", "DBA 运行 tributary join（续签证书时用 tributary certificate renew）并加 --offline FILE 生成文件送来；您将生成的应答文件带回。"},
	"offline.do": {"Make the answer", "生成应答"}, "answer.for": {"Answer for %s", "%s 的应答"}, "answer.note": {"Save it as a file. The DBA runs the command again with --answer FILE. It holds no secret.", "请保存为文件，由 DBA 在命令后加 --answer FILE 再次执行。其中不含机密。"},
	"invitations.all": {"Invitations", "邀请"}, "invitations.none": {"Nobody has been invited yet.", "还没有发出邀请。"}, "invitation.used": {"used", "已使用"}, "invitation.withdrawn": {"withdrawn", "已撤回"}, "invitation.expired": {"expired", "已过期"},
	"invitation.open": {"open", "待使用"}, "invitation.withdraw": {"Withdraw", "撤回"},
	"agents": {"Agents", "agent"}, "agents.note": {"An agent renews its certificate by itself; one that ends within 30 days is marked, and wants a look.", "agent 会自行续签证书；30 天内到期的会标出，请检查该 agent。"}, "agents.none": {"No agent has joined yet. Make an invitation.", "还没有 agent 加入，请先生成邀请。"},
	"agent": {"Agent", "agent"}, "agent.revoke": {"Shut out", "停用"}, "agent.rights": {"still a user of Kafka", "Kafka 用户尚未删除"}, "agent.rights.take": {"Take its Kafka user away", "删除其 Kafka 用户"}, "certificate": {"Certificate", "证书"}, "certificate.revoked": {"revoked", "已吊销"}, "certificate.over": {"ended", "已到期"}, "seen": {"Last seen", "最近一次连接"},

	"source": {"Source", "数据源"}, "standing": {"Standing", "性质"}, "tables": {"Tables", "表"}, "standing.authoritative": {"authoritative", "权威源"}, "standing.check": {"check", "校核源"},
	"standing.note.authoritative": {"its rows are the dataset's; one source for each org (一数一源)", "其数据即为数据集的数据；每个机构只有一个（一数一源）"}, "standing.note.check": {"compared, never applied over others", "仅用于比对，不覆盖其他数据"},
	"request.pending": {"waits", "待审批"}, "request.approved": {"approved", "已批准"}, "request.partly": {"approved in part", "部分批准"}, "request.refused": {"refused", "已拒绝"},
	"letter": {"A request that was brought as a file", "以文件送来的申请"}, "letter.note": {"An agent without connection writes it by tributary source propose … --offline FILE. It is signed by the agent and waits here like any other; after the approval take the assignment file back to the agent.", "没有网络连接的 agent 用 tributary source propose … --offline FILE 生成文件。文件由 agent 签名，与其他申请一样等待审批；批准后将分配单文件带回 agent。"}, "letter.do": {"Put it into the inbox", "提交申请"},
	"carry": {"Assignment file", "分配单文件"}, "carry.note": {"For an agent without connection: the DBA takes it by tributary source assign FILE. It is signed for this agent and holds no secret that another could read.", "供没有网络连接的 agent 使用：由 DBA 用 tributary source assign FILE 读入。文件为该 agent 签名，不含他人可读的机密。"},
	"requests.none": {"No request has come yet", "还没有申请"}, "requests.none.do": {"Invite an agent; its DBA proposes a source with tributary source propose.", "请先邀请 agent；由 DBA 用 tributary source propose 提交数据源。"},
	"sponsor": {"invited by", "邀请人"}, "server": {"Server", "服务器"}, "amount": {"Amount", "规模"}, "amount.of": {"%d {table|tables}, about %s {row|rows}, %s", "%d 张表，约 %s 行，%s"}, "decided": {"Decided", "审批"},
	"leaves": {"What would leave", "将要报送的数据"}, "leaves.note": {"Rows and sizes are the source's own statistics. Take away what isn't to be collected.", "行数和大小取自源库的统计。请取消不应归集的表。"},
	"table": {"Table", "表"}, "dataset": {"Dataset", "数据集"}, "rows": {"Rows", "行数"}, "size": {"Size", "大小"}, "rivals": {"Other authoritative sources", "其他权威源"}, "rivals.none": {"none", "无"}, "table.yes": {"approved", "批准"}, "table.no": {"not approved", "未批准"},
	"decide": {"Decide", "审批"}, "decide.note": {"Approval gives the source its topic and partition, and makes the topics; where Kafka has authorisation, also the agent's user and ACLs. Without some of the tables a reason is needed.", "批准后分配主题和分区，并创建主题；Kafka 启用授权时，同时创建 agent 的用户和 ACL。只批准部分表时须填写原因。"},
	"decide.own": {"You invited this agent: another approver decides.", "该 agent 由您邀请，请其他审批员处理。"}, "approve": {"Approve", "批准"}, "refuse": {"Refuse", "拒绝"}, "refuse.do": {"Refuse all", "全部拒绝"},
	"column": {"Column", "列"}, "personal": {"Personal data", "个人信息"}, "personal.none": {"none suspected", "未发现"}, "personal.title": {"Columns that may hold personal data", "可能含有个人信息的列"}, "personal.kind": {"Suspected", "疑似"}, "personal.why": {"Why", "依据"}, "personal.share": {"Share of values", "符合形式的比例"},
	"personal.forms": {"By the names and comments of columns, and by the form of values in %d {row|rows} of %d {table|tables}. The agent looked at them in its house; no value has left it. It may err either way.", "依据列名、注释，以及 %d 行（%d 张表）数据的形式。由 agent 在源单位本地查看，未提交任何数据值。结果仅供参考，可能有误判或遗漏。"},
	"personal.names": {"By the names and comments of columns only: the source's DBA let no row be looked at.", "仅依据列名和注释：源单位未允许查看数据行。"}, "personal.unknown": {"The agent's version doesn't look for personal data.", "该 agent 的版本不检查个人信息。"},
	"personal.nothing": {"No column is suspected.", "没有发现可能含有个人信息的列。"}, "personal.more": {"%d more {isn't|aren't} listed; the API has all.", "另有 %d 列未列出，可通过接口查看全部。"},
	"findings": {"What preflight found", "检查结果"}, "findings.note": {"Found by the agent at the source before it asked.", "agent 在申请前对源库的检查。"}, "findings.none": {"Nothing stands against it.", "没有发现问题。"},
	"severity.advice": {"advice", "建议"}, "severity.harms": {"harms", "有影响"}, "severity.refuses": {"refuses", "无法采集"},

	"menu.alarms": {"Alarms", "告警"}, "title.alarms": {"Alarms", "告警"}, "note.alarms": {"One for each cause. What stands behind a cause is listed there and calls nobody by itself.", "一个原因一条告警。受其影响的数据源列在其中，不再单独告警。"},
	"title.alarm": {"Alarm", "告警"}, "note.alarm": {"What it means, what to do, and by whom.", "含义、处理方法和处理人。"},
	"alarms.open": {"Open", "未恢复"}, "alarms.open.note": {"An alarm ends by itself once its cause has been gone for a while: a minute, unless the hub's file says otherwise.", "原因消除一段时间（默认一分钟）后告警自动恢复。"}, "alarms.none": {"Nothing calls for anybody.", "没有告警。"}, "alarms.over": {"Over, in the last week", "最近一周已恢复"},
	"alarm": {"Alarm", "告警"}, "alarm.since": {"Since", "开始时间"}, "alarm.closed": {"Over at", "恢复时间"}, "alarm.by": {"Acknowledged by", "确认人"}, "alarm.behind": {"%d {source|sources} behind it", "影响 %d 个数据源"}, "alarm.behind.note": {"They have no alarm of their own while this one is open.", "本告警未恢复期间，这些数据源不单独告警。"},
	"alarm.maintenance": {"in maintenance, no messages", "维护中，不发送消息"}, "alarm.silenced": {"silenced", "已静默"}, "alarm.acknowledged": {"acknowledged", "已确认"}, "alarm.means": {"What it means", "含义与处理"}, "alarm.who": {"By whom", "处理人"},
	"alarm.yours": {"Take it up", "处理告警"}, "alarm.yours.note": {"Whoever acknowledges an alarm looks after it. A silenced one stays here and sends no messages. Both are written into the audit with your name.", "确认表示由您负责处理。静默的告警仍显示，但不发送消息。两者均以您的名义记入审计。"},
	"alarm.note": {"A word for the others", "备注"}, "alarm.acknowledge": {"I look after it", "确认，由我处理"}, "alarm.hours": {"Hours", "小时"}, "alarm.silence": {"Silence it", "静默"},
	"maintenance": {"Maintenance", "维护窗口"}, "maintenance.note": {"While a window goes on, alarms of its org and of all below are shown and send no messages.", "维护期间，该机构及其下级的告警照常显示，但不发送消息。"}, "maintenance.starts": {"From", "开始"}, "maintenance.ends": {"Until", "结束"},
	"maintenance.do": {"Plan it", "登记"}, "maintenance.end": {"End it now", "立即结束"}, "maintenance.over": {"over", "已结束"}, "maintenance.none": {"No maintenance is planned.", "没有登记维护窗口。"},
	"action.alarm.acknowledge": {"acknowledge an alarm", "确认告警"}, "action.alarm.silence": {"silence an alarm", "静默告警"}, "action.maintenance.plan": {"plan maintenance", "登记维护窗口"}, "action.maintenance.end": {"end maintenance", "结束维护"},
	"live": {"Live", "实时更新中"}, "live.lost": {"Connection lost, trying again", "连接中断，正在重试"}, "unit.s": {"s", "秒"}, "unit.min": {"min", "分"}, "unit.h": {"h", "小时"}, "unit.d": {"d", "天"},
	"menu.tree": {"Lag", "延迟总览"}, "title.tree": {"Lag of the whole tree", "延迟总览"}, "note.tree": {"From the province to the single source, the worst first. It keeps itself up to date.", "从省到每个数据源，问题最严重的在前，自动更新。"},
	"menu.complete": {"Complete until", "数据完整时间"}, "title.complete": {"Complete until", "数据完整时间"}, "note.complete": {"The moment up to which everything that the approved sources had committed is in the store.", "截至该时刻，各已批准数据源提交的变更均已入库。"},
	"title.source": {"Source", "数据源"}, "note.source": {"One source on its way into the log and into each store.", "该数据源进入日志和各汇聚库的情况。"},
	"tone.bad": {"in trouble", "故障"}, "tone.wait": {"to look at", "需关注"}, "tone.quiet": {"stopped", "已停止"}, "tone.good": {"well", "正常"}, "tone.all": {"sources", "数据源合计"},
	"tree.find": {"Source, org or agent", "数据源、机构或 agent"}, "tree.any": {"any", "全部"}, "tree.where": {"Where you are", "当前位置"}, "tree.yours": {"Your part of the tree", "您的范围"},
	"tree.below": {"Orgs below", "下级机构"}, "tree.below.note": {"Lag is that of the slowest source, rows per second those into the log, backlog what the stores still lack.", "延迟取最慢的数据源；每秒行数为写入日志的行数；积压为汇聚库尚缺的行数。"},
	"tree.health": {"Health", "状况"}, "tree.sources": {"Sources", "数据源"}, "tree.lag": {"Lag", "延迟"}, "tree.rate": {"Rows/s", "行/秒"}, "tree.behind": {"Backlog, rows", "积压行数"}, "tree.catchup": {"Caught up in", "预计追平"}, "tree.word": {"Last error", "最近错误"},
	"tree.well": {"all well", "全部正常"}, "tree.nosource": {"no source", "无数据源"}, "tree.more": {"%d more {org isn't|orgs aren't} listed: look for them by name.", "还有 %d 个机构未列出，请按名称查找。"},
	"tree.list": {"Sources", "数据源"}, "tree.list.note": {"%d found, the worst first. A dash means that it isn't known, or that nothing has flowed in the last minute.", "共 %d 个，问题最严重的在前。“—”表示未知，或近一分钟没有变更。"},
	"unheard.since": {" since its approval, %s, agent %s", "（批准于 %s，agent 为 %s）"}, "unheard.do": {"See whether the agent has fetched its assignment, runs, and reaches the log.", "检查 agent 是否已取得分配单、是否在运行、能否连上日志。"},
	"tree.unregistered": {"Nothing is registered yet", "尚未登记任何数据源"}, "tree.unregistered.do": {"An operator invites an agent; its DBA proposes a source, an approver decides, and it is here at once.", "由操作员邀请 agent，其 DBA 提交申请，审批人批准后，数据源即出现在这里。"},
	"tree.none": {"No source fits", "没有符合条件的数据源"}, "tree.none.do": {"Change the filter. A source appears once its request is approved or its agent reports.", "请更改条件。申请获批或 agent 上报后，数据源会出现在这里。"},
	"tree.pages": {"Pages of the list", "列表分页"}, "tree.page": {"page %d of %d", "第 %d 页，共 %d 页"}, "tree.next": {"Next", "下一页"}, "tree.before": {"Back", "上一页"},
	"lag.log": {"Source → log", "源 → 日志"}, "lag.store": {"Log →", "日志 →"}, "lag.total": {"Source →", "源 →"},
	"source.way": {"Its way", "各环节"}, "source.way.note": {"Lag of the last minute's transactions, p50 / p99. The backlog is known once the store has come to where the agent has spoken of.", "延迟为最近一分钟事务的 p50 / p99。汇聚库到达 agent 上报过的位点之后，积压方可知。"}, "source.stage": {"Stage", "环节"}, "source.lag": {"Lag", "延迟"},
	"source.keys": {"Rows in quarantine", "隔离行"}, "source.waits": {"Held rows", "暂存行"}, "source.anomalies": {"Anomalies, 24 h", "24 小时异常"}, "source.wrong": {"What is wrong", "问题与处理"}, "wrong.what": {"What", "情况"}, "wrong.do": {"To do", "处理"}, "wrong.hint": {"To copy", "可复制执行"}, "wrong.words": {"In its words", "原文"},
	"source.facts": {"Facts", "基本信息"}, "source.engine": {"Engine", "数据库类型"}, "source.committed": {"Last commit", "最近一次提交"}, "source.position": {"Position", "位点"}, "source.position.none": {"not known until its agent reads it again", "agent 重新读取后才可知"}, "source.left.none": {"no bound is known: its server keeps the log without one, or hasn't been asked yet", "未知时限：服务器未设置保留期限，或尚未查询到"}, "source.left": {"Its log is kept for", "源日志剩余保留时间"}, "source.held": {"WAL that the server keeps", "服务器为其保留的 WAL"}, "source.heard": {"Last word", "最近上报"},
	"source.tables.note": {"What is approved, with what has stopped or is being loaded first.", "已批准的表；已停止或装载中的在前。"}, "source.notables": {"No table of this source is registered.", "该数据源没有登记的表。"},
	"complete.until": {"Complete until", "完整至"}, "complete.store": {"Store", "汇聚库"}, "complete.behind": {"Held back by", "受限于"}, "complete.nobody": {"nobody", "无"}, "complete.never": {"not yet", "尚未完整"}, "complete.others": {"All %d", "全部 %d 个"}, "complete.more": {"and %d more", "另有 %d 个"},
	"complete.note": {"Each approved authoritative source counts. Proved by positions: the agent asks its server where its log ends, and tells the moment once reading has come there.", "所有已批准的权威源均计入。以位点为证：agent 询问源库日志的末端位置，读到该位置后才报告对应时刻。"},
	"complete.none": {"No dataset is approved here", "此范围内没有已批准的数据集"}, "complete.none.do": {"Approve a request of an authoritative source, or choose another org.", "请批准权威源的登记申请，或选择其他机构。"},

	"title.history": {"History", "历史"}, "note.history": {"All sources below an org together, over a day and over a month.", "某机构之下全部数据源合计，近一天与近一月。"}, "tree.history": {"History: 24 hours and 30 days", "历史：24 小时与 30 天"},
	"history": {"History", "历史"}, "history.note": {"Grey: nobody knew, because the agent or the hub said nothing. Each chart has its figures as a table below.", "灰色：agent 或 hub 没有消息，情况未知。图下附有对应的数据表。"},
	"history.lag": {"Lag to the slowest store", "到最慢汇聚库的延迟"}, "history.rate": {"Rows/s into the log", "写入日志的行/秒"}, "history.most": {"Longest", "最长"},
	"history.span.24h": {"24 hours", "24 小时"}, "history.span.30d": {"30 days", "30 天"}, "history.now": {"last %s, at most %s (%s)", "最新 %s，最高 %s（%s）"}, "history.none": {"nothing is known yet", "暂无数据"},
	"history.lag.note.24h": {"The longest of each minute, from the commit at the source to that in the store.", "每分钟的最大值，从源库提交到汇聚库提交。"}, "history.lag.note.30d": {"Per half hour the median of its minutes, and thin above it the longest.", "每半小时各分钟的中位数；上方细线为最大值。"},
	"history.rate.note.24h": {"The mean of each minute.", "每分钟的平均值。"}, "history.rate.note.30d": {"The mean of each half hour.", "每半小时的平均值。"},
	"history.table.24h": {"The day as a table, by hour", "一天的数据表（按小时）"}, "history.table.30d": {"The month as a table, by day", "一月的数据表（按天）"},

	"title.timeline": {"Time line", "时间线"}, "note.timeline": {"What happened, the newest first: states, tables and their columns (+ new, - gone, → changed), restarts, alarms, and what people did. Kept for 90 days.", "发生过的事件，最新的在前：状态、表及其结构变更（+ 新增列，- 删除列，→ 变更）、重启、告警和人员操作，保留 90 天。"},
	"event": {"What", "事件"}, "event.detail": {"More", "说明"}, "event.none": {"Nothing has happened yet.", "暂无事件。"}, "event.all": {"All of the time line", "完整时间线"}, "event.newest": {"Newest", "最新"},
	"event.seen": {"Seen for the first time:", "首次出现："}, "event.state": {"State:", "状态："}, "event.epoch": {"New epoch, continuity wasn't proved:", "新的 epoch（未能证明连续）："}, "event.restart": {"Agent restarted:", "agent 重启："},
	"event.agent": {"Agent:", "agent："}, "event.stopped": {"Table has stopped:", "表已停止："}, "event.resumed": {"Table goes on:", "表已恢复："}, "event.altered": {"Columns have changed:", "表结构变更："}, "event.alarm": {"Alarm:", "告警："}, "event.over": {"Alarm over:", "告警恢复："},

	"menu.report": {"Shift report", "值班报告"}, "title.report": {"Shift report", "值班报告"}, "note.report": {"What happened in the shift, what is open, and who looks after it. It is also sent to the webhooks and by e-mail.", "本班发生的情况、未恢复的告警及确认人；同时通过 webhook 和邮件发送。"},
	"report.sum": {"Alarms: %d came, %d over, %d open", "新增告警 %d，已恢复 %d，未恢复 %d"}, "report.before": {"Shift before", "上一班"}, "report.after": {"Shift after", "下一班"},
	"report.kinds": {"Alarms by kind", "按种类统计告警"}, "report.kinds.note": {"Open is at the end of the shift.", "“未恢复”指本班结束时。"}, "report.came": {"Came", "新增"}, "report.over": {"Over", "恢复"}, "report.open": {"Open", "未恢复"},
	"report.left": {"Open at the end of the shift", "本班结束时未恢复"}, "report.left.note": {"What nobody looks after comes first.", "无人确认的在前。"}, "report.nobody": {"nobody looks after it", "无人确认"}, "report.nothing": {"Nothing was open.", "没有未恢复的告警。"},
	"report.ended": {"Over within the shift", "本班内恢复"}, "report.ended.none": {"No alarm ended.", "没有告警恢复。"}, "report.did": {"What people did", "人员操作"}, "report.did.none": {"Nobody did anything.", "没有人员操作。"},
	"report.pending": {"%d {request waits|requests wait} for an approver now.", "目前有 %d 项登记申请待审批。"}, "report.now": {"Sources as they are now", "数据源当前状况"},

	"title.calendar": {"School calendar", "校历"}, "note.calendar": {"Outside of school hours and on days without school, alarms of lag and silence are notices: shown, and told when school opens.", "非在校时间和非教学日，延迟和失联告警降为提示：页面照常显示，到校后仍未恢复再发送消息。"}, "calendar.link": {"School calendar: when nobody is called", "校历：不发送消息的日期"},
	"hours.add": {"Set school hours", "设置在校时间"}, "hours.add.note": {"They count for the org and all below it; those of the nearest org count. Outside of them, and on the days below, alarms of lag and silence are shown as notices and wait until school opens. Gaps, halts, quarantine, retention, fuse, disk and certificate are always told.", "对该机构及其下级有效，以最近一级机构的设置为准。在此时间之外以及下列非教学日，延迟和失联告警仅在页面提示，到校后仍未恢复再发送消息；数据缺口、停止、隔离、源日志即将清除、熔断、磁盘、证书告警不受影响，随时发送。"},
	"hours.title": {"School hours", "在校时间"}, "hours.opens": {"From", "开始"}, "hours.closes": {"Until", "结束"}, "hours.days": {"Days of the week", "星期"}, "hours.none": {"None are set. Alarms of all kinds are told at any hour.", "尚未设置，各类告警均随时发送消息。"},
	"weekday.1": {"Mon", "周一"}, "weekday.2": {"Tue", "周二"}, "weekday.3": {"Wed", "周三"}, "weekday.4": {"Thu", "周四"}, "weekday.5": {"Fri", "周五"}, "weekday.6": {"Sat", "周六"}, "weekday.7": {"Sun", "周日"}, "comma": {", ", "、"},
	"action.calendar.hours": {"set school hours", "设置在校时间"}, "action.calendar.nohours": {"remove school hours", "删除在校时间"},
	"calendar.add": {"Note days without school", "登记非教学日"}, "calendar.add.note": {"They count for the org and all below it, from the first midnight to the last. An alarm that is still open afterwards sends its message then.", "对该机构及其下级有效，自首日零点至末日二十四点；之后仍未恢复的告警届时发送消息。"},
	"calendar.from": {"First day", "首日"}, "calendar.until": {"Last day", "末日"}, "calendar.name": {"Name", "名称"}, "calendar.kinds": {"Alarms that are held back", "不发送消息的告警"}, "calendar.do": {"Note them", "登记"},
	"calendar.import": {"From a file", "从文件导入"}, "calendar.import.note": {"CSV or YAML in UTF-8 with from, until, name, and where wanted org and kinds (apart by spaces). All of a file is taken or nothing. The org chosen here is for lines without one.", "UTF-8 的 CSV 或 YAML，列为 开始、结束、名称，可加 机构、告警（以空格分隔）。整个文件要么全部导入，要么不导入。此处所选机构用于未写机构的行。"}, "calendar.import.do": {"Import", "导入"},
	"calendar.days": {"Days without school", "非教学日"}, "calendar.none": {"No days are noted. Every day counts as a school day.", "尚未登记，每天均按教学日处理。"}, "calendar.remove": {"Remove", "删除"}, "alarm.holiday": {"no school: waits until it opens", "非在校时间：到校后再通知"},
	"action.calendar.add": {"note days without school", "登记非教学日"}, "action.calendar.remove": {"remove days without school", "删除非教学日"}, "source.promised": {"Promised lag", "承诺延迟"}, "source.promised.note": {"the strictest of its datasets; beyond it there is an alarm", "取其数据集中最严格者，超过则告警"},

	"retired": {"Retired", "已停止归集"}, "retired.note": {"Nothing is read any more. What came before stays in the stores, with its lineage.", "不再读取该数据源。此前归集的数据及其血缘保留在汇聚库中。"}, "retired.at": {"Since", "时间"}, "retired.agent": {"Its agent", "agent"},
	"retired.gone": {"has let go of it at", "已释放于"}, "retired.waits": {"hasn't let go of it yet", "尚未释放"}, "retired.remains": {"Left at the source; its DBA runs", "源库中的遗留，请 DBA 执行"},
	"paused": {"Paused by the hub", "已由 hub 暂停"}, "paused.note": {"Nothing is read until it is resumed here. What was read is written, and what is not read yet is kept by the source as long as it can.", "在此恢复之前不再读取。已读取的内容会写完，尚未读取的由源库在其限度内保留。"}, "paused.gone": {"reads no more", "已停止读取"}, "paused.waits": {"hasn't reported that it rests; it asks every ten minutes", "尚未上报已暂停；agent 每十分钟询问一次"},
	"pause": {"Pause the source", "暂停采集"}, "pause.note": {"The agent stops reading when it asks next, within ten minutes, and says until when that is safe. The order outlives restarts, also while the hub is away.", "agent 在下次询问时（十分钟之内）停止读取，并说明安全到何时。重启后仍然有效，hub 无法连接时也一样。"}, "pause.do": {"Pause", "暂停"},
	"resume": {"Resume the source", "恢复采集"}, "resume.note": {"The agent goes on where it stopped when it asks next, within ten minutes. What was paused on its own machine is resumed there as well.", "agent 在下次询问时（十分钟之内）从停下处继续。若在其本机也已暂停，还须在本机恢复。"}, "resume.do": {"Resume", "恢复"},
	"rest": {"Pause or resume", "暂停与恢复"},
	"end":  {"Hand over or retire", "移交或停止归集"}, "end.note": {"Both are done at once and written into the audit.", "立即生效，并记入审计。"},
	"handover": {"Hand over to another agent", "移交给其他 agent"}, "handover.note": {"The other agent of the same org goes on where this one ends; its file must have the source, with address and password. The agent before stops by itself.", "由同一机构的其他 agent 从当前位点继续；其配置中须有该数据源及其地址和口令。原 agent 自动停止读取。"},
	"handover.to": {"To", "移交给"}, "handover.do": {"Hand over", "移交"}, "handover.none": {"The org has no other agent. Make an invitation.", "该机构没有其他 agent，请先生成邀请。"},
	"retire": {"Retire the source", "停止归集"}, "retire.note": {"The agent stops reading and drops its slot and its publication. Rows in the stores stay. Another source may be authoritative then.", "agent 停止读取，并删除其复制槽和发布。汇聚库中的数据保留。此后可由其他数据源作为权威源。"}, "retire.do": {"Retire", "停止归集"},
	"audit.text": {"Who, what, org or object", "人员、操作、机构或对象"}, "audit.from": {"From", "起"}, "audit.until": {"Until", "止"}, "audit.export": {"Export as CSV", "导出 CSV"}, "audit.entries": {"Entries", "记录"}, "audit.at": {"At", "时间"},
	"audit.actor": {"Who", "操作者"}, "audit.action": {"What", "操作"}, "audit.object": {"Object", "对象"}, "audit.older": {"Older", "更早的记录"}, "audit.none": {"Nothing found.", "没有符合条件的记录。"}, "outcome.refused": {"refused", "被拒绝"},
	"action.login": {"log in", "登录"}, "action.logout": {"log out", "退出"}, "action.refused": {"request", "请求"}, "action.account.create": {"make an account", "创建账号"}, "action.account.grants": {"set roles", "设置角色"},
	"action.account.enable": {"switch an account on", "启用账号"}, "action.account.disable": {"switch an account off", "停用账号"}, "action.account.link": {"make a link for a password", "生成设置口令的链接"}, "action.account.password": {"set a password", "设置口令"},
	"action.org.import": {"import orgs", "导入机构"}, "action.invitation.create": {"invite", "生成邀请"}, "action.invitation.withdraw": {"withdraw an invitation", "撤回邀请"}, "action.agent.join": {"join", "加入"},
	"action.agent.renew": {"renew a certificate", "续签证书"}, "action.agent.revoke": {"shut an agent out", "停用 agent"}, "action.agent.forge": {"speak for another", "冒充其他机构"}, "action.rights.take": {"take away rights in Kafka", "收回 Kafka 权限"}, "action.source.pause": {"pause a source", "暂停数据源"}, "action.source.resume": {"resume a source", "恢复数据源"}, "action.source.retire": {"retire a source", "停止归集"}, "action.source.handover": {"hand over a source", "移交数据源"}, "action.source.release": {"let go of a source", "释放数据源"}, "action.request.create": {"ask to register", "提交申请"}, "action.request.approved": {"approve", "批准"},
	"action.request.partly": {"approve in part", "部分批准"}, "action.request.refused": {"refuse", "拒绝申请"}, "action.audit.export": {"export the audit", "导出审计"},
}
