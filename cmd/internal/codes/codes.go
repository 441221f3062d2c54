// Package codes says what the stable code of an error means and what a person does
// about it, in each language. It decides the words; it knows no error values.
package codes

import (
	"maps"
	"slices"

	"github.com/tributary-cdc/tributary/cmd/internal/language"
)

// The languages of the explanations.
const (
	english = language.English
	chinese = language.Chinese
)

// explanation is what an error's code means, and what a person does about it.
type explanation struct{ what, do string }

// explanations are the codes of what can go wrong on the way from source to store.
var explanations = map[string]map[language.Language]explanation{
	"AGENT_FENCED": {
		english: {"another agent has taken the source; this one has stopped writing it", "make sure that only one agent has the source in its configuration; a restart of this one is refused while the other runs"},
		chinese: {"另一个 agent 已接管该数据源，本 agent 已停止写入", "确认只有一个 agent 配置了该数据源；另一个在运行时，本 agent 重启会被拒绝"}},
	"BINLOG_PURGED": {
		english: {"the server has deleted binary log that had not been read", "tributary gap repair SOURCE reads the source's tables again; raise binlog_expire_logs_seconds"},
		chinese: {"服务器删除了尚未读取的 binlog", "用 tributary gap repair 数据源 重新读取其各表；调大 binlog_expire_logs_seconds"}},
	"CLAIM_LOST": {
		english: {"another worker has taken the partition", "nothing, if it was wanted; else see which workers run on this store"},
		chinese: {"另一个 worker 已接管该分区", "若是预期的则无需处理；否则检查有哪些 worker 在使用这个汇聚库"}},
	"COLUMN_TOO_LARGE": {
		english: {"a value is larger than its column's cap in the agent's file, whose action is stop; the text names table, column and key", "raise the cap (size), or set action: omit, which has NULL in its place and says so in tributary.anomaly; the source goes on where it stopped"},
		chinese: {"某个值超过 agent 配置中该列的上限（caps），且其 action 为 stop；文字中写明表、列与主键", "调大上限（size），或设 action: omit，以 NULL 代替并记入 tributary.anomaly；数据源从停止处继续"}},
	"COLUMNS_LEFT_OUT": {
		english: {"columns of a source's table have no place in the store, since the dataset's rule is evolution: ignore", "nothing, if that is meant; else set the rule evolve and start the worker again, then read the table again for the values of before"},
		chinese: {"因数据集的规则为 evolution: ignore，源端表的某些列未入库", "若属有意则无需处理；否则把规则改为 evolve 并重新启动 worker，再重新读取该表以补上此前的值"}},
	"GROUP_OTHER_STORE": {
		english: {"the consumer group has members that work for another store", "give each store's workers a group of their own: the key group in the worker's file"},
		chinese: {"该消费者组中已有为其他库工作的成员", "每个库的应用程序使用自己的消费者组：配置文件中的 group"}},
	"GROUP_REFUSED": {
		english: {"the broker refuses the consumer group", "the worker needs READ on the group and its topics, and group.min.session.timeout.ms may be 6000 at most"},
		chinese: {"Kafka 拒绝该消费者组", "应用程序需要对该组及其主题的 READ 权限；group.min.session.timeout.ms 不得大于 6000"}},
	"GTID_UNKNOWN": {
		english: {"the server lacks transactions that were read from it, e.g. after a failover", "find out which server is right, then tributary gap repair SOURCE, which reads the source's tables again"},
		chinese: {"服务器缺少已从它读取过的事务，例如主备切换之后", "确认哪台服务器的数据正确，再用 tributary gap repair 数据源 重新读取其各表"}},
	"FUSE_BLOWN": {
		english: {"before the source's slot filled its server's disk, the agent gave it up, as fuse in the agent's file says; what was written from then on is missing", "bring back what was down (log, agent, network), then tributary gap repair SOURCE, which reads the source's tables again"},
		chinese: {"在复制槽写满源库磁盘之前，agent 按其配置中的 fuse 放弃了它；此后写入的变更缺失", "先恢复故障部分（日志、agent、网络），再用 tributary gap repair 数据源 重新读取其各表"}},
	"IMAGE_INCOMPLETE": {
		english: {"rows of the binary log lack columns whose values aren't known without them", "SET GLOBAL binlog_row_image = 'FULL', then read the table again; on MariaDB before 10.11 make virtual columns STORED"},
		chinese: {"binlog 中的行缺少某些列，且其值无法推断", "执行 SET GLOBAL binlog_row_image = 'FULL'，然后重新读取该表；MariaDB 10.11 之前的版本须把虚拟列改为 STORED"}},
	"KEY_MOVED": {
		english: {"a row in quarantine got another key at the source, which is in quarantine, too", "see the row's first key; repair the store's table, then read both keys again"},
		chinese: {"被隔离的行在源端更换了主键，新主键一并隔离", "查看该行最初的主键；修复汇聚库中的表，然后重新读取这两个主键"}},
	"KEYS_QUARANTINED": {
		english: {"the store refuses some rows; they are kept by their keys in tributary.quarantine, with what follows for them", "see code and error there; repair the store's table, then read these keys again"},
		chinese: {"汇聚库拒绝了部分行；这些行及其后续变更按主键保存在 tributary.quarantine 中", "查看其中的 code 与 error；修复汇聚库中的表，然后重新读取这些主键"}},
	"LOG_BATCH_TOO_LARGE": {
		english: {"the log refuses a batch of this size", "raise max.message.bytes of the topic and the broker to 16777216"},
		chinese: {"日志拒绝这样大的批次", "把主题和 broker 的 max.message.bytes 调到 16777216"}},
	"LOG_CORRUPT": {
		english: {"a record in the log is damaged; the partition is stopped at its offset", "find out what wrote or damaged it, see the broker's disks, then read the sources' tables again"},
		chinese: {"日志中有损坏的记录，该分区停在其偏移量处", "查明是谁写入或损坏的，检查 broker 的磁盘，然后重新读取这些数据源的表"}},
	"LOG_MALFORMED": {
		english: {"a record in the log isn't what an agent of this version writes; the partition is stopped at its offset", "find out who writes to the topic; a newer agent needs a newer worker"},
		chinese: {"日志中有一条记录不符合本版本 agent 的格式，该分区停在其偏移量处", "查明是谁在写该主题；agent 升级后 worker 也要升级"}},
	"LOG_NOT_DURABLE": {
		english: {"acknowledged records can be lost with one broker", "use three brokers and min.insync.replicas=2 on the org's topics; or declare durability: single under log, if that loss is accepted"},
		chinese: {"一个 broker 损坏就会丢失已确认的记录", "使用三个 broker，并把该机构各主题的 min.insync.replicas 设为 2；若接受这种丢失，在 log 下声明 durability: single"}},
	"LOG_OFFSET_GONE": {
		english: {"the log doesn't hold the wanted record any more, or not yet", "raise the topic's retention; see whether it was deleted and made again"},
		chinese: {"日志中已没有（或还没有）所需的记录", "调大主题的保留时间；检查它是否被删除重建过"}},
	"LOG_RESET": {
		english: {"the source's log was made anew or set back: RESET MASTER, or a restored backup", "tributary gap repair SOURCE reads the source's tables again"},
		chinese: {"源端日志被重置或回退：RESET MASTER，或从备份恢复", "用 tributary gap repair 数据源 重新读取其各表"}},
	"LOG_UNAVAILABLE": {
		english: {"the log doesn't answer", "check the brokers and the network, and whether their port speaks TLS as log.tls says; nothing is lost, the way goes on by itself"},
		chinese: {"日志没有应答", "检查 broker 和网络，以及其端口是否如 log.tls 所设使用 TLS；不会丢失数据，恢复后自动继续"}},
	"MYSQL_BINLOG_FORMAT": {
		english: {"binlog_format is not ROW", "SET GLOBAL binlog_format = 'ROW', and the same in the server's configuration; sessions that are open keep the old one"},
		chinese: {"binlog_format 不是 ROW", "执行 SET GLOBAL binlog_format = 'ROW'，并写入服务器配置；已打开的会话仍用旧值"}},
	"MYSQL_GRANT": {
		english: {"the capture user lacks a privilege", "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* and SELECT on the captured databases"},
		chinese: {"采集用户缺少权限", "授予 REPLICATION SLAVE、REPLICATION CLIENT ON *.*，以及被采集数据库的 SELECT"}},
	"MYSQL_GTID_MODE": {
		english: {"without GTIDs nothing tells which commits a MySQL view shows, so its tables can't be loaded", "switch gtid_mode on online, step by step"},
		chinese: {"没有 GTID 就无法判断 MySQL 的一致性视图包含哪些提交，因此不能装载其表", "在线逐步开启 gtid_mode"}},
	"MYSQL_LOGIN": {
		english: {"the server refuses user or password", "check user and password of the source, from which host the user may come, and whether the account demands TLS or a certificate (REQUIRE)"},
		chinese: {"服务器拒绝用户名或口令", "检查数据源的用户名、口令、允许该用户登录的主机，以及该账户是否要求 TLS 或证书（REQUIRE）"}},
	"MYSQL_LOG_BIN": {
		english: {"the server writes no binary log", "set log_bin in the server's configuration and restart it"},
		chinese: {"服务器没有开启 binlog", "在服务器配置中设置 log_bin 并重启"}},
	"MYSQL_NO_TABLE": {
		english: {"no table matches the source's patterns", "check the patterns, and GRANT SELECT on the database to the capture user"},
		chinese: {"没有表与数据源的匹配规则相符", "检查匹配规则，并授予采集用户该数据库的 SELECT"}},
	"MYSQL_NO_VIEW_PLACE": {
		english: {"the server doesn't say at which place of its binary log a view was taken", "load the tables from a server that writes a binary log itself"},
		chinese: {"服务器没有给出一致性视图在二进制日志中的位置", "从自身写二进制日志的服务器装载这些表"}},
	"MYSQL_PREPARED": {
		english: {"the server takes no more prepared statements, by which the agent asks for settings and loads tables", "raise max_prepared_stmt_count, or find who leaves them open (Prepared_stmt_count); the agent goes on by itself"},
		chinese: {"服务器不再接受预处理语句，而 agent 查询设置、装载表都要用它", "调大 max_prepared_stmt_count，或查明是谁没有关闭（Prepared_stmt_count）；之后会自动继续"}},
	"MYSQL_STATEMENT": {
		english: {"rows were changed by a statement whose tables can't be told", "binlog_format must be ROW in every session; then tributary gap repair SOURCE, which reads the source's tables again"},
		chinese: {"有数据被按语句记录的 SQL 修改，无法判断涉及哪些表", "所有会话都须使用 binlog_format=ROW，然后用 tributary gap repair 数据源 重新读取其各表"}},
	"MYSQL_TABLE_CASE": {
		english: {"lower_case_table_names is 2, whose names differ in log and catalogue", "use a server with 0 or 1"},
		chinese: {"lower_case_table_names 为 2，日志与系统目录中的表名不一致", "改用值为 0 或 1 的服务器"}},
	"MYSQL_XA": {
		english: {"an XA transaction was prepared or ended; its rows can't be placed yet", "end it at the source (XA RECOVER lists them); then tributary gap repair SOURCE reads the source's tables again"},
		chinese: {"出现 XA 事务（XA PREPARE 或其结束），暂不支持", "在源端结束该 XA 事务（XA RECOVER 可列出），然后用 tributary gap repair 数据源 重新读取其各表"}},
	"NO_FIRST_START": {
		english: {"nothing is known of this source, and nobody has ordered a first start", "set first_start: load to read its tables too, or now to begin at its present end"},
		chinese: {"没有该数据源的任何进度，也没有首次启动的指令", "设置 first_start: load 连同已有数据一起读取，或 first_start: now 从当前末尾开始"}},
	"NO_STATE": {
		english: {"the log has transactions of this source, but nothing proves where they continue", "tributary gap repair SOURCE reads the source's tables again"},
		chinese: {"日志中已有该数据源的事务，但无法证明从何处继续", "用 tributary gap repair 数据源 重新读取其各表"}},
	"OTHER_AGENT": {
		english: {"another agent wrote for the source within the last 30 s", "stop one of the two; a copied configuration or data folder makes a second agent of the same name"},
		chinese: {"另一个 agent 在最近 30 秒内写过该数据源", "停掉其中一个；复制配置文件或数据目录会产生同名的第二个 agent"}},
	"OTHER_SERVER": {
		english: {"another server answers than last time", "correct the address, or let tributary gap repair SOURCE read the source's tables again from this one"},
		chinese: {"应答的服务器与上次不是同一台", "更正地址，或用 tributary gap repair 数据源 从这台服务器重新读取各表"}},
	"OTHER_TIMELINE": {
		english: {"the server is on another timeline, without the slot or without transactions that were read: a standby was promoted, or a backup restored", "tributary gap repair SOURCE reads the source's tables again"},
		chinese: {"服务器处于另一条时间线，且没有复制槽或缺少已读过的事务：备库被提升，或从备份恢复", "用 tributary gap repair 数据源 重新读取其各表"}},
	"PARTIAL_JSON": {
		english: {"the binary log has JSON differences, and not the document that they change", "SET GLOBAL binlog_row_image = 'FULL', or binlog_row_value_options = '', then read the table again"},
		chinese: {"binlog 只记录了 JSON 差异，没有变更前的完整文档", "执行 SET GLOBAL binlog_row_image = 'FULL' 或 binlog_row_value_options = ''，然后重新读取该表"}},
	"PARTITION_CHANGED": {
		english: {"the source's transactions lie in another partition than the configuration says", "set partition back; a source keeps its partition"},
		chinese: {"该数据源的事务在另一个分区，与配置不符", "把 partition 改回原值；数据源不能更换分区"}},
	"PG_ACCESS": {
		english: {"the server refuses the user, the password or a privilege", "the capture user needs LOGIN, REPLICATION and SELECT on the tables, and a line in pg_hba.conf; a hostssl line wants tls in the agent's file"},
		chinese: {"服务器拒绝用户、口令或权限", "采集用户需要 LOGIN、REPLICATION、各表的 SELECT，以及 pg_hba.conf 中的一行；hostssl 行要求在 agent 配置中设置 tls"}},
	"PG_NO_TABLE": {
		english: {"no table matches the source's patterns", "check the patterns of the source"},
		chinese: {"没有表与数据源的匹配规则相符", "检查数据源的匹配规则"}},
	"PG_PUBLICATION": {
		english: {"the capture user may not create the publication", "have the owner of the tables run the CREATE PUBLICATION that stands beside the error"},
		chinese: {"采集用户无权创建 publication", "请表的属主执行错误旁给出的 CREATE PUBLICATION"}},
	"PG_SLOT": {
		english: {"the replication slot can't be created", "a slot of this name may be left: SELECT pg_drop_replication_slot(…); or max_replication_slots is reached"},
		chinese: {"无法创建复制槽", "可能有同名旧槽：SELECT pg_drop_replication_slot(…)；或已达 max_replication_slots"}},
	"PG_SLOT_WAITS": {
		english: {"the server makes the replication slot once the transactions that were open before it have ended, in whichever of its databases", "the text beside the code names them, since when they are open, and the statement that ends each; until then the server keeps its log and dead rows for the slot"},
		chinese: {"须等此前已打开的事务（不论在哪个数据库）全部结束，服务器才会建好复制槽", "代码旁的文字列出这些事务、开始时间和结束它们的语句；在此之前服务器会为该槽保留日志和死行"}},
	"PG_STANDBY": {
		english: {"tables can't be loaded from a standby", "give the primary's address"},
		chinese: {"不能从备库装载表", "改用主库的地址"}},
	"PG_VERSION": {
		english: {"the server is older than PostgreSQL 10, which has no logical replication of its own", "upgrade the server"},
		chinese: {"服务器早于 PostgreSQL 10，没有内置逻辑复制", "升级服务器"}},
	"PG_WAL_LEVEL": {
		english: {"wal_level is not logical", "ALTER SYSTEM SET wal_level = 'logical', then restart the server"},
		chinese: {"wal_level 不是 logical", "执行 ALTER SYSTEM SET wal_level = 'logical' 并重启服务器"}},
	"PREV_MISMATCH": {
		english: {"transactions between the last applied one and the next are missing in the log", "tributary gap repair SOURCE reads the source's tables again"},
		chinese: {"日志中，上一个已应用事务与下一个事务之间有缺失", "用 tributary gap repair 数据源 重新读取其各表"}},
	"PROGRESS_MOVED": {
		english: {"the source's position in the store was moved by somebody else", "nothing, if it goes on; else see whether somebody edits tributary.progress"},
		chinese: {"该数据源在汇聚库中的位点被别人改动", "若已自行恢复则无需处理；否则检查是否有人修改 tributary.progress"}},
	"RANGE_ORDER": {
		english: {"only the source's server knows the order of the key, e.g. text by a language's rules, so the store can't tell which of its rows lie in the part", "read all of the table again; or the part with --keep-missing, which lets rows stay that the source has no more"},
		chinese: {"只有源库知道该键的顺序（如按语言规则排序的文本），汇聚库无法判断哪些行属于这一部分", "重新读取整张表；或加 --keep-missing 只读取这一部分，源端已不存在的行会保留"}},
	"ROW_COUNT": {
		english: {"a transaction has fewer or more rows in the log than its commit says", "tributary gap repair SOURCE reads the source's tables again"},
		chinese: {"日志中某个事务的行数与其提交记录不符", "用 tributary gap repair 数据源 重新读取其各表"}},
	"ROW_TOO_LARGE": {
		english: {"a row is larger than a record may be (8 MiB)", "bound the column that is named beside the code by caps in the agent's file (action: omit has NULL in the place of larger values), or leave the table out of the source's tables"},
		chinese: {"某一行超过单条记录的上限（8 MiB）", "在 agent 配置中用 caps 为代码旁所列的列设上限（action: omit 以 NULL 代替更大的值），或把该表从数据源的 tables 中去掉"}},
	"SCHEMA_CHANGE_REFUSED": {
		english: {"the table has changed in a way that loses something, that doesn't go together with the store's table, or that the dataset's rule (evolution) doesn't let pass; the text says from what to what", "tributary table accept SOURCE TABLE, on the machine of a worker of the store, takes the change and applies the rows that are held; where the table needs to be read again, tributary table reread SOURCE TABLE on the agent's machine"},
		chinese: {"表结构变更会丢失数据、与汇聚库的表不相容，或被该数据集的规则（evolution）拦下；文字中写明由何变为何", "在该汇聚库任一 worker 的机器上执行 tributary table accept 数据源 表，即接受该变更并应用保留的行；若须重新读取，在 agent 的机器上执行 tributary table reread 数据源 表"}},
	"SLOT_AHEAD": {
		english: {"the replication slot was moved or made again, past changes that had not been read", "tributary gap repair SOURCE reads the source's tables again"},
		chinese: {"复制槽被推进或重建，越过了尚未读取的变更", "用 tributary gap repair 数据源 重新读取其各表"}},
	"SLOT_INVALIDATED": {
		english: {"the server has removed WAL that the slot needed", "tributary gap repair SOURCE reads the source's tables again; raise max_slot_wal_keep_size"},
		chinese: {"服务器删除了复制槽需要的 WAL", "用 tributary gap repair 数据源 重新读取其各表；调大 max_slot_wal_keep_size"}},
	"SLOT_LOST": {
		english: {"the replication slot is gone", "find out who dropped it, then tributary gap repair SOURCE, which reads the source's tables again"},
		chinese: {"复制槽不存在了", "查明是谁删除的，再用 tributary gap repair 数据源 重新读取其各表"}},
	"SLOT_OTHER": {
		english: {"the slot of this name belongs to somebody else", "drop it or rename the source, then read its tables again"},
		chinese: {"同名复制槽属于别的程序", "删除该槽或更改数据源名称，再重新读取各表"}},
	"SLOT_HOLDS_WAL": {
		english: {"the server keeps much WAL for the source's slot, since nothing newer was read", "see why reading rests: the log, the agent, a long transaction at the source; see to the server's disk"},
		chinese: {"因未能继续读取，源库为复制槽保留了大量 WAL", "查明读取停滞的原因：日志、agent 或源库上的长事务；留意源库的磁盘"}},
	"SOURCE_LOG_SHORT": {
		english: {"what has not been read of the source's log will soon be removed there, which is a gap", "let reading go on (log, agent, network), or let the server keep its log longer by the statement beside the code"},
		chinese: {"源库日志中尚未读取的部分即将被删除，届时将出现缺口", "恢复读取（日志、agent、网络），或按代码旁的语句让源库保留更久"}},
	"SOURCE_PAUSED": {
		english: {"a person has paused the source on its agent's machine: it isn't read for now", "tributary source resume SOURCE; where a moment is named, before it: from then on something may be missing"},
		chinese: {"有人在 agent 所在机器上暂停了该数据源，暂不读取", "执行 tributary source resume 数据源；标明时刻的，须在此之前：此后可能出现缺失"}},
	"SOURCE_PAUSED_BY_HUB": {
		english: {"a person has paused the source at the hub: it isn't read for now", "an approver resumes it on its page at the hub; where a moment is named, before it: from then on something may be missing. If it is paused on its agent's machine as well, tributary source resume SOURCE there, too"},
		chinese: {"有人在 hub 上暂停了该数据源，暂不读取", "由审批员于 hub 的数据源页面恢复；标明时刻的，须在此之前：此后可能出现缺失。若在 agent 所在机器上也已暂停，还须在那里执行 tributary source resume 数据源"}},
	"SOURCE_UNREACHABLE": {
		english: {"the source database doesn't answer", "check address, network and server; reading goes on by itself"},
		chinese: {"源库没有应答", "检查地址、网络和服务器；恢复后会自动继续"}},
	"STATEMENT_LOGGED": {
		english: {"rows of this table were changed by a statement in the log", "binlog_format must be ROW in every session; read the table again"},
		chinese: {"该表的数据被按语句记录的 SQL 修改", "所有会话都须使用 binlog_format=ROW；重新读取该表"}},
	"STORE_ACCESS": {
		english: {"the store refuses the user, the password or a privilege", "check user and password of the store; the user must own its schemas or have CREATE on the database"},
		chinese: {"汇聚库拒绝用户、口令或权限", "检查汇聚库的用户名和口令；该用户须拥有相应模式，或有数据库的 CREATE 权限"}},
	"STORE_TABLE_REFUSED": {
		english: {"the store's table can't take the rows, e.g. because a person altered it", "undo what the text names, then tributary table accept SOURCE TABLE on the machine of a worker of the store; its rows are held until then"},
		chinese: {"汇聚库的表无法接收数据，例如被人改过结构", "按文字所说恢复原状，再在该汇聚库任一 worker 的机器上执行 tributary table accept 数据源 表；在此之前其数据行会被保留"}},
	"STORE_UNREACHABLE": {
		english: {"the store doesn't answer", "check address, network and server; applying goes on by itself"},
		chinese: {"汇聚库没有应答", "检查地址、网络和服务器；恢复后会自动继续"}},
	"TABLE_CHANGED": {
		english: {"the table's definition has changed in a way that can't be followed, and the log doesn't describe it", "nothing if the text says that it goes on by itself; else tributary table reread SOURCE TABLE lets it go on, as it is now. binlog_row_metadata = FULL has each change followed"},
		chinese: {"表结构已变更且无法跟随，而日志中没有表的描述", "若文字说明会自动恢复则无需处理；否则用 tributary table reread 数据源 表 按现有结构继续。设置 binlog_row_metadata = FULL 后任何变更均可自动跟随"}},
	"TABLE_DROPPED": {
		english: {"the table was dropped or renamed at the source; the store keeps its last rows and says dropped", "nothing if that was meant; once the table is there again it is read anew by itself (PostgreSQL: after ALTER PUBLICATION … ADD TABLE)"},
		chinese: {"源库中该表已被删除或改名；汇聚库保留其最后的数据，状态为 dropped", "若属有意则无需处理；同名表重新出现后会自动重新读取（PostgreSQL 须先 ALTER PUBLICATION … ADD TABLE）"}},
	"TABLE_KEY_REFUSED": {
		english: {"the key that the agent's file gives the table can't be used", "the text beside the code has the ALTER, or names the column; then read the table again"},
		chinese: {"agent 配置为该表指定的键不可用", "按代码旁的 ALTER 语句修改，或更正列名；然后重新读取该表"}},
	"TABLE_NOT_HALTED": {
		english: {"the table hasn't stopped in this store, so there is nothing to accept", "see tributary status; a table that its agent has stopped is read again: tributary table reread SOURCE TABLE"},
		chinese: {"该表在此汇聚库中并未停止，没有可接受的内容", "查看 tributary status；若是 agent 停止了该表，用 tributary table reread 数据源 表 重新读取"}},
	"TABLE_NO_KEY": {
		english: {"the table has no primary key", "the text beside the code has the ALTER; or name unique columns in keys, or the table in append, in the agent's file; then read the table again"},
		chinese: {"表没有主键", "按代码旁的 ALTER 语句修改；或在 agent 配置的 keys 中指定唯一列，或在 append 中列出该表；然后重新读取该表"}},
	"TABLE_REFUSED": {
		english: {"the table can't be described", "the text beside the code says why"},
		chinese: {"无法描述该表", "原因见代码旁的文字"}},
	"TABLE_UNPUBLISHED": {
		english: {"the table is there, and the publication hasn't got it, so that none of its changes come", "ALTER PUBLICATION … ADD TABLE …: it is read anew by itself then; or take it out of the source's tables"},
		chinese: {"表仍存在，但不在发布中，其变更无法到达", "执行 ALTER PUBLICATION … ADD TABLE …，之后会自动重新读取；或将其从数据源的 tables 中去掉"}},
	"TOPIC_MISSING": {
		english: {"a topic of the org doesn't exist", "find out who deleted it; an agent makes missing topics when it starts"},
		chinese: {"该机构的主题不存在", "查明是谁删除的；agent 启动时会创建缺少的主题"}},
	"TOPIC_REPLACED": {
		english: {"the log's topic is not the one that was written or read before", "find out who deleted it, then tributary gap repair SOURCE, which reads the source's tables again"},
		chinese: {"日志主题已不是原来的那个", "查明是谁删除的，再用 tributary gap repair 数据源 重新读取其各表"}},
	"TOPIC_SETTINGS": {
		english: {"a topic's settings would break a promise", "set what the error names: kafka-configs.sh --alter --entity-type topics"},
		chinese: {"主题的设置会使承诺无法兑现", "按错误中所说修改：kafka-configs.sh --alter --entity-type topics"}},
	"TOPIC_SIZE_BOUND": {
		english: {"the topic of changes is bounded by its size: a burst, or a store that is away for long, ends in a gap, because what is beyond that size is deleted unread", "kafka-configs.sh --alter --entity-type topics --entity-name TOPIC --add-config retention.bytes=-1, and bound it by retention.ms"},
		chinese: {"变更主题按大小保留：超出部分未读也会被删除，突发写入或汇聚库长时间不可用会造成缺口", "kafka-configs.sh --alter --entity-type topics --entity-name 主题 --add-config retention.bytes=-1，改由 retention.ms 限制"}},
	"TYPE_UNSUPPORTED": {
		english: {"a column has a type that can't be carried yet", "leave the table out, or change the column"},
		chinese: {"某列的类型暂不支持", "不采集该表，或更改该列"}},
}

// all are the codes with their texts, by where they come from.
var all = []map[string]map[language.Language]explanation{explanations, ofProgram, findings, ofHub, protected}

// Explain gives a code's meaning and what to do about it; both are empty for an
// unknown code.
func Explain(code string, lang language.Language) (what, do string) {
	for _, list := range all {
		if e, ok := list[code]; ok {
			return e[lang].what, e[lang].do
		}
	}
	return "", ""
}

// All gives every code, sorted.
func All() []string {
	var out []string
	for _, list := range all {
		out = slices.AppendSeq(out, maps.Keys(list))
	}
	slices.Sort(out)
	return out
}
