package codes

import "github.com/tributary-cdc/tributary/cmd/internal/language"

// ofHub are the codes by which the hub says no to people and agents.
var ofHub = map[string]map[language.Language]explanation{
	"ACCOUNT_EXISTS": {
		english: {"there is an account of this name", "choose another name"},
		chinese: {"已有同名账号", "换一个账号名"}},
	"ACCOUNT_GRANTS": {
		english: {"these roles can't be given", "give at least one known role, none twice; an auditor has no other role"},
		chinese: {"不能授予这样的角色", "至少授予一个已知角色且不重复；审计员不能兼任其他角色"}},
	"ACCOUNT_NAME": {
		english: {"this can't be an account's name or title", "2 to 64 small letters, digits, dots, - and _; the title has 1 to 120 visible characters"},
		chinese: {"账号名或姓名无效", "账号名为 2 至 64 个小写字母、数字、点、- 和 _；姓名为 1 至 120 个可见字符"}},
	"ACCOUNT_OWN": {
		english: {"nobody changes their own roles or switches themselves off", "ask another administrator"},
		chinese: {"不能修改自己的角色，也不能停用自己", "请其他管理员操作"}},
	"ACCOUNT_UNKNOWN": {
		english: {"there is no such account, or it also has roles outside your part of the tree", "check the name; else ask an administrator further up"},
		chinese: {"没有该账号，或其角色超出您的管辖范围", "检查账号名；否则请上级管理员操作"}},
	"ADD_BY_PROPOSAL": {
		english: {"the agent has joined a hub, which grants it its tables", "add the table to the source's patterns in the agent's file and run tributary source propose"},
		chinese: {"该 agent 已加入 hub，其采集的表须经 hub 批准", "在 agent 配置的匹配规则中加入该表，然后运行 tributary source propose"}},
	"AGENTS_NOT_SERVED": {
		english: {"the hub doesn't listen for agents, so that nobody can join", "set agents and names in the hub's file"},
		chinese: {"hub 未开放 agent 接入，无法邀请", "在 hub 配置文件中设置 agents 和 names"}},
	"AGENT_KEY_UNKNOWN": {
		english: {"the hub doesn't know the agent's key, so that it can seal no password for it", "the agent's certificate is from an older version of the hub: let the agent renew it (tributary certificate renew), or join anew by an invitation"},
		chinese: {"hub 不知道该 agent 的公钥，无法为其加密口令", "该 agent 的证书由旧版 hub 签发：请在 agent 处续签（tributary certificate renew），或凭新的邀请重新加入"}},
	"AGENT_NAME": {
		english: {"this can't be an agent's name", "1 to 120 visible characters"},
		chinese: {"agent 名称无效", "应为 1 至 120 个可见字符"}},
	"AGENT_UNKNOWN": {
		english: {"there is no such agent in your part of the tree", "check its id on the page of invitations"},
		chinese: {"您的管辖范围内没有该 agent", "在“邀请”页核对其编号"}},
	"ALREADY_JOINED": {
		english: {"the folder belongs to an agent that has joined already", "use another folder with --dir; to join anew, move the old one away"},
		chinese: {"该目录属于已加入的 agent", "用 --dir 指定其他目录；如需重新加入，请先移走原目录"}},
	"ALARM_OVER": {
		english: {"the alarm is over", "nothing; reload the page"},
		chinese: {"该告警已恢复", "无需处理，请刷新页面"}},
	"ALARM_UNKNOWN": {
		english: {"there is no such alarm in your part of the tree", "see the page of alarms"},
		chinese: {"您的管辖范围内没有该告警", "查看“告警”页"}},
	"ANSWER_INVALID": {
		english: {"the answer of the hub doesn't fit to this agent", "use the answer to this agent's own request file, in the folder that made it"},
		chinese: {"hub 的应答与本 agent 不符", "使用对本 agent 申请文件的应答，并使用生成申请的目录"}},
	"CALENDAR_INVALID": {
		english: {"this can't be in the school calendar", "the detail says the line and what is wrong in it: from and until are days such as 2026-07-01, at most 120 apart, the name has 1 to 120 visible characters, kinds are lag and silence; school hours are times such as 07:00, the first before the last; files are UTF-8. Nothing was taken"},
		chinese: {"校历内容无效", "详情给出所在行和错误内容：开始、结束为 2026-07-01 形式的日期，最长 120 天；名称为 1 至 120 个可见字符；告警种类仅限 lag、silence；在校时间为 07:00 形式，开始须早于结束；文件为 UTF-8。未导入任何内容"}},
	"CALL_UNKNOWN": {
		english: {"the hub has no such call", "use a program of the hub's version"},
		chinese: {"hub 没有这个接口", "使用与 hub 同一版本的程序"}},
	"CERTIFICATE_OLDER": {
		english: {"the answer's certificate ends before the one that the agent has", "use the newest answer; nothing was changed"},
		chinese: {"应答中的证书比 agent 现有的证书更早到期", "使用最新的应答；未作任何改变"}},
	"CERTIFICATE_ENDED": {
		english: {"the agent's certificate has ended, or its clock is wrong", "check the clock; else ask the hub's operator for an invitation and join in a new folder"},
		chinese: {"agent 的证书已到期，或本机时钟有误", "检查时钟；否则请 hub 的操作员发出邀请，在新目录中重新加入"}},
	"CERTIFICATE_REQUEST": {
		english: {"the request for a certificate can't be used", "join with a program of the hub's version; the key is ECDSA P-256"},
		chinese: {"证书申请无效", "使用与 hub 同一版本的程序；密钥应为 ECDSA P-256"}},
	"CERTIFICATE_REVOKED": {
		english: {"the agent was shut out: its certificate is revoked", "ask the hub's operator why; to come back, join again by a new invitation"},
		chinese: {"该 agent 已被停用：其证书已吊销", "向 hub 的操作员询问原因；如需恢复，用新的邀请重新加入"}},
	"CERTIFICATE_UNKNOWN": {
		english: {"the hub doesn't know the certificate", "join again by a new invitation"},
		chinese: {"hub 不认识该证书", "用新的邀请重新加入"}},
	"CLOCK_WRONG": {
		english: {"the agent's clock and the hub's differ by more than 5 minutes", "set the one that is wrong, best by NTP; then try again"},
		chinese: {"agent 与 hub 的时钟相差超过 5 分钟", "校准有误的一方（建议使用 NTP），然后重试"}},
	"DATASET_NAME": {
		english: {"a dataset can't have this name: 1 to 63 bytes, which are 21 Chinese characters, without slashes, quotes and what is invisible", "give the table a dataset of another name in the agent's file, datasets: {TABLE: NAME}, or leave the table out of tables"},
		chinese: {"数据集不能使用此名称：应为 1 至 63 字节（21 个汉字），且不含斜杠、引号和不可见字符", "在 agent 配置中为该表另取数据集名称，即 datasets: {表: 名称}；或从 tables 中去掉该表"}},
	"DATASET_TAKEN": {
		english: {"the dataset has an authoritative source for this part of the tree; there is one at most (一数一源)", "register the source as a check source, or retire the one that is named"},
		chinese: {"该数据集在此范围内已有权威数据源（一数一源）", "将本数据源登记为校核源，或先注销所列的数据源"}},
	"FILE_NOT_WRITTEN": {
		english: {"a file can't be written, or is there already", "give another name, or move the old file away"},
		chinese: {"无法写入文件，或文件已存在", "换一个文件名，或移走原有文件"}},
	"FORM_EXPIRED": {
		english: {"the form is too old, or another site sent it; nothing was done", "load the page again and send it once more; a program sends the header X-Tributary-Form from /api/session"},
		chinese: {"表单已过期，或来自其他网站；未作任何操作", "刷新页面后重新提交；程序须发送取自 /api/session 的 X-Tributary-Form 头"}},
	"GRANTED_TABLE_MISSING": {
		english: {"the hub has granted a table that the source doesn't have, or doesn't show to its user", "if it was renamed or dropped, propose the source again; else GRANT SELECT on it to the capture user"},
		chinese: {"hub 已批准该表，但源库中没有该表，或其用户无权查看", "若表已改名或删除，请重新提交申请；否则向采集用户授予该表的 SELECT 权限"}},
	"GRANT_FORGED": {
		english: {"the assignment isn't signed by the agent's hub; it isn't used", "fetch it again: tributary source fetch; without a connection have the hub's operator give the file for just this agent once more"},
		chinese: {"分配单不是由本 agent 的 hub 签发，不予采用", "重新获取：tributary source fetch；没有网络连接时，请 hub 的操作员重新提供本 agent 的分配单文件"}},
	"GRANT_OLDER": {
		english: {"the assignment file is older than what the agent has", "have a new one made on the hub's page of the request"},
		chinese: {"分配单文件比 agent 现有的更旧", "在 hub 的申请页重新下载分配单文件"}},
	"HOLIDAY_UNKNOWN": {
		english: {"there are no such days in your part of the tree", "see the school calendar"},
		chinese: {"您的管辖范围内没有该校历条目", "查看“校历”页"}},
	"HUB_KEY_MISSING": {
		english: {"the hub's data folder doesn't have the key of this database's hubs", "copy authority.key from the data folder of the other hub, or from its backup; without it every agent has to join again"},
		chinese: {"hub 的数据目录中没有与该数据库对应的密钥", "从另一个 hub 的数据目录或其备份复制 authority.key；若已丢失，所有 agent 须重新加入"}},
	"HUB_STATE_ACCESS": {
		english: {"the hub's database refuses the user, the password or a privilege", "check state in the hub's file; the user must own the schema tributary or have USAGE and CREATE on it"},
		chinese: {"hub 的数据库拒绝用户、口令或权限", "检查 hub 配置中的 state；该用户须拥有模式 tributary，或有其 USAGE 与 CREATE 权限"}},
	"HUB_STATE_AWAY": {
		english: {"the hub's database doesn't answer", "check address, network and server; data flows without the hub"},
		chinese: {"hub 的数据库没有应答", "检查地址、网络和服务器；数据流动不受影响"}},
	"HUB_STATE_NEWER": {
		english: {"a newer version of the hub has changed the database", "use that version, or a newer one"},
		chinese: {"数据库已由更新版本的 hub 升级", "使用该版本或更新的版本"}},
	"HUB_UNKNOWN": {
		english: {"what answers isn't the hub of the invitation", "check the address; if it is right, somebody stands between, or the hub's authority was made anew: ask its operator"},
		chinese: {"应答者不是发出邀请的 hub", "检查地址；若地址正确，则可能有人在中间，或 hub 的密钥已更换：请询问其操作员"}},
	"HUB_UNREACHABLE": {
		english: {"the hub doesn't answer", "check address, network and proxy; data flows without the hub. Without a connection: --offline"},
		chinese: {"hub 没有应答", "检查地址、网络和代理；数据流动不受影响。没有网络连接时使用 --offline"}},
	"INPUT_INVALID": {
		english: {"what was sent can't be understood", "correct what is named; /api/openapi.yml says what is taken"},
		chinese: {"无法理解发送的内容", "更正所指内容；接口说明见 /api/openapi.yml"}},
	"INPUT_TOO_LARGE": {
		english: {"what was sent is too large", "send less at once"},
		chinese: {"发送的内容过大", "分次发送"}},
	"INVITATION_EXPIRED": {
		english: {"the invitation was good for 24 hours, which are over", "ask the hub's operator for a new one"},
		chinese: {"邀请的有效期为 24 小时，已过期", "请 hub 的操作员重新发出邀请"}},
	"INVITATION_UNKNOWN": {
		english: {"the hub knows no such invitation", "copy it whole; it belongs to the hub whose page made it"},
		chinese: {"hub 没有发出过这样的邀请", "请完整复制；邀请只能用于发出它的 hub"}},
	"INVITATION_USED": {
		english: {"the invitation has been used, which it can be once", "ask the hub's operator for a new one; if you haven't used it, say so"},
		chinese: {"该邀请已被使用，每个邀请只能使用一次", "请 hub 的操作员重新发出邀请；若不是您使用的，请告知操作员"}},
	"INVITATION_WITHDRAWN": {
		english: {"the hub's operator has withdrawn the invitation", "ask for a new one"},
		chinese: {"hub 的操作员已撤回该邀请", "请操作员重新发出邀请"}},
	"LETTER_ELSEWHERE": {
		english: {"this file of an agent belongs to another page", "requests and reports of retired sources belong to the page of requests; what asks for a certificate belongs to the page of invitations"},
		chinese: {"agent 的这个文件应在另一页提交", "登记申请和停止归集的报告在“登记申请”页提交；申请证书的文件在“邀请与 agent”页提交"}},
	"LETTER_FORGED": {
		english: {"the file isn't what an agent of this hub has signed", "use the file as a command with --offline has written it, of an agent that has joined this hub"},
		chinese: {"该文件不是本 hub 的 agent 所签名的内容", "使用带 --offline 的命令生成的原文件，且该 agent 已加入本 hub"}},
	"LETTER_INVALID": {
		english: {"the file isn't a request of an agent", "give the file that tributary source propose, source release or certificate renew with --offline has written, by a program of the hub's version"},
		chinese: {"该文件不是 agent 的申请文件", "使用 tributary source propose、source release 或 certificate renew 加 --offline 生成的文件，程序版本应与 hub 相同"}},
	"LETTER_USED": {
		english: {"this file has been brought already", "see the inbox; for another request have the agent write a new file"},
		chinese: {"该文件已提交过", "查看收件箱；如需再次申请，请在 agent 处重新生成文件"}},
	"LINK_INVALID": {
		english: {"the link has been used, is too old, or was never made", "ask an administrator for a new one; a new hub prints one at each start until it has an administrator"},
		chinese: {"链接已使用、已过期或不存在", "请管理员重新生成；新部署的 hub 在设置管理员之前，每次启动都会输出一个新链接"}},
	"LOGIN_FAILED": {
		english: {"account or password is wrong", "try again; after five wrong ones you have to wait"},
		chinese: {"账号或口令错误", "请重试；连续错误五次后须等待"}},
	"LOGIN_NEEDED": {
		english: {"nobody is logged in, or the session has ended", "log in"},
		chinese: {"尚未登录，或会话已结束", "请登录"}},
	"LOGIN_TOO_OFTEN": {
		english: {"too many wrong passwords; nothing is tried for a while", "wait, or ask an administrator for a link that sets a new password"},
		chinese: {"口令错误次数过多，暂停登录", "稍后再试，或请管理员生成重设口令的链接"}},
	"MAINTENANCE_TIME": {
		english: {"this can't be a window of maintenance", "it begins before it ends, ends in the future, and takes 14 days at most"},
		chinese: {"维护窗口的时间无效", "开始须早于结束，结束须晚于现在，最长 14 天"}},
	"MAINTENANCE_UNKNOWN": {
		english: {"there is no such window in your part of the tree, or it is over", "see the page of alarms"},
		chinese: {"您的管辖范围内没有该维护窗口，或已结束", "查看“告警”页"}},
	"NOT_ALLOWED": {
		english: {"your roles don't allow this here", "ask an administrator for the role, or somebody who has it"},
		chinese: {"您的角色不允许此操作", "请管理员授予相应角色，或请有权限的人操作"}},
	"NOT_JOINED": {
		english: {"the folder has no agent that has joined", "run tributary join URL INVITATION first, with the same --dir"},
		chinese: {"该目录中没有已加入的 agent", "先用同样的 --dir 运行 tributary join URL INVITATION"}},
	"ORG_FILE_INVALID": {
		english: {"the file of orgs has faults; nothing was changed", "correct all lines that are named, then import it again"},
		chinese: {"机构文件有错误，未作任何修改", "更正所列各行后重新导入"}},
	"ORG_UNKNOWN": {
		english: {"there is no such org in your part of the tree", "check the code; orgs come by tributary org import, or on the page"},
		chinese: {"您的管辖范围内没有该机构", "检查代码；机构由 tributary org import 或在页面上导入"}},
	"PAGES_TOO_MANY": {
		english: {"too many pages are kept up to date at once", "close pages that nobody looks at; the page itself is right, and is up to date when it is loaded again"},
		chinese: {"同时自动更新的页面过多", "关闭不看的页面；本页内容在打开时是正确的，重新加载即为最新"}},
	"PASSWORD_DIFFERS": {
		english: {"the two passwords aren't the same", "type both again"},
		chinese: {"两次输入的口令不一致", "请重新输入"}},
	"PASSWORD_WEAK": {
		english: {"the password is too easy", "take 12 characters or more, not the account's name and not one character over and over"},
		chinese: {"口令过于简单", "至少 12 个字符，不能是账号名，也不能是重复的单个字符"}},
	"REASON_MISSING": {
		english: {"a reason is needed, or it has invisible characters", "give one in 1 to 120 characters"},
		chinese: {"须填写原因，且不含不可见字符", "填写 1 至 120 个字符的原因"}},
	"REQUEST_DECIDED": {
		english: {"the request has been decided", "see by whom and how"},
		chinese: {"该申请已有结论", "查看处理人和结论"}},
	"REQUEST_INVALID": {
		english: {"the proposal of a source can't be as it is", "correct what is named"},
		chinese: {"数据源的登记申请有误", "更正所指内容"}},
	"REQUEST_OWN": {
		english: {"whoever invited the agent doesn't decide on its requests", "another approver decides"},
		chinese: {"发出邀请的人不能审批由此而来的申请", "请其他审批员处理"}},
	"REQUEST_PENDING": {
		english: {"a request for this source waits already", "wait until it is decided"},
		chinese: {"该数据源已有待审批的申请", "请等待审批结论"}},
	"REQUEST_TABLES": {
		english: {"the request has no such table", "approve tables of the request only"},
		chinese: {"申请中没有该表", "只能批准申请中的表"}},
	"REQUEST_UNKNOWN": {
		english: {"there is no such request in your part of the tree", "check its number"},
		chinese: {"您的管辖范围内没有该申请", "检查编号"}},
	"RIGHTS_FORBIDDEN": {
		english: {"Kafka has authorisation and doesn't let the hub make users and ACLs, so that nothing was approved", "give the hub's user Alter on the cluster and approve again; or make agents' users by hand and set rights: given in the hub's file"},
		chinese: {"Kafka 启用了授权，但不允许 hub 创建用户和 ACL，因此未批准", "授予 hub 用户对集群的 Alter 权限后重新批准；或由管理员手工创建 agent 的用户，并在 hub 配置中设 rights: given"}},
	"RIGHTS_NOT_MADE": {
		english: {"the agent's user and ACLs can't be made in Kafka, so that nothing was approved", "see that Kafka runs and knows SCRAM users; then approve again"},
		chinese: {"无法在 Kafka 中创建 agent 的用户和 ACL，因此未批准", "检查 Kafka 是否在运行、是否支持 SCRAM 用户，然后重新批准"}},
	"RIGHTS_NOT_TAKEN": {
		english: {"the hub has shut out the agent, but couldn't take its user and ACLs in Kafka away", "see that Kafka runs; then do the same again"},
		chinese: {"hub 已停用该 agent，但未能删除其 Kafka 用户和 ACL", "检查 Kafka 是否在运行，然后重复同一操作"}},
	"SOURCE_NOT_RETIRED": {
		english: {"the hub hasn't retired this source", "an approver retires it on its page; then run tributary source fetch, without a connection tributary source assign"},
		chinese: {"hub 尚未停止归集此数据源", "由审批人在数据源页停止归集，然后运行 tributary source fetch；没有网络连接时用 tributary source assign"}},
	"SOURCE_NOT_GRANTED": {
		english: {"the hub has granted this agent no such source yet", "wait for the approval, then tributary source fetch"},
		chinese: {"hub 尚未批准该 agent 的此数据源", "等待审批后运行 tributary source fetch"}},
	"SOURCE_ITS_OWN": {
		english: {"the agent has the source already", "choose the agent that is to have it from now on"},
		chinese: {"该数据源已归这个 agent", "选择今后接手的另一个 agent"}},
	"SOURCE_NOT_PAUSED": {
		english: {"the source isn't paused at the hub", "see its page; what was paused on its agent's machine is resumed there: tributary source resume SOURCE"},
		chinese: {"该数据源并未在 hub 上暂停", "查看其页面；在 agent 所在机器上暂停的，须在那里恢复：tributary source resume 数据源"}},
	"SOURCE_NOT_SEEN": {
		english: {"there is no such source in your part of the tree", "check its id, e.g. 330106-xueji; the tree has a search"},
		chinese: {"您的管辖范围内没有该数据源", "核对其编号，例如 330106-xueji；可在“延迟总览”页查找"}},
	"SOURCE_REGISTERED": {
		english: {"the source is registered by another agent", "give yours another name; or shut the other agent out and hand the source over"},
		chinese: {"该数据源已由另一个 agent 登记", "换一个名称；或停用原 agent 后办理移交"}},
	"SOURCE_RETIRED": {
		english: {"the source is retired: nothing is read of it any more", "take it out of the agent's file; to collect it again, propose it again"},
		chinese: {"该数据源已停止归集", "从 agent 配置中删去该数据源；如需重新归集，请重新申请"}},
	"SOURCE_UNHEARD": {
		english: {"never heard of since approval: no agent has ever reported this source", "see whether the agent has fetched its assignment, runs, and reaches the log"},
		chinese: {"批准以来从未上报：没有任何 agent 上报过该数据源", "检查 agent 是否已取得分配单、是否在运行、能否连上日志"}},
	"SPEAKS_FOR_ANOTHER": {
		english: {"the agent speaks for another agent, org or source than its own; the hub's operators have been told", "an agent proposes and reports sources of its own org only; who it is stands in its certificate"},
		chinese: {"该 agent 以其他 agent、机构或数据源的名义请求；已告警", "agent 只能登记和上报本机构的数据源；其身份以证书为准"}},
	"TLS_FILES": {
		english: {"the page's certificate or its key can't be used", "check tls in the hub's file: both in PEM, belonging together, readable for the hub; or leave tls out"},
		chinese: {"页面的证书或密钥无法使用", "检查 hub 配置中的 tls：两个文件均为 PEM、互相匹配且 hub 可读；也可省略 tls"}},
	"TOPICS_NOT_MADE": {
		english: {"the topics of the org can't be made, so that nothing was approved", "see that the log runs and lets the hub make topics; then approve again"},
		chinese: {"无法创建该机构的主题，因此未批准", "检查日志是否在运行、是否允许 hub 创建主题，然后重新批准"}},
}
