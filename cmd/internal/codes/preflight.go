package codes

import "github.com/tributary-cdc/tributary/cmd/internal/language"

// findings are the codes of what preflight finds before an error can say it.
var findings = map[string]map[language.Language]explanation{
	"CAP_UNUSED": {
		english: {"a cap in the agent's file has no effect: it names a table or column that doesn't exist, or a column of the key, whose values are never left out", "correct the name in caps, or take it out; a table that was added by an order is looked at with --table"},
		chinese: {"agent 配置中的某个上限不起作用：所列的表或列不存在，或该列属于主键（键列的值从不省略）", "更正 caps 中的名称，或将其删除；由命令加入的表请用 --table 一并检查"}},
	"DATASET_SHARED": {
		english: {"several tables of the source go into one table of the store", "give one of them another name by datasets in the agent's file"},
		chinese: {"该数据源的多张表写入汇聚库的同一张表", "在 agent 配置的 datasets 中为其中一张另取名称"}},
	"MYSQL_BINLOG_FILTER": {
		english: {"the server leaves a wanted database out of its binary log", "take binlog_do_db and binlog_ignore_db out of the server's configuration and restart it"},
		chinese: {"服务器的 binlog 不记录某个要采集的数据库", "从服务器配置中去掉 binlog_do_db 与 binlog_ignore_db 并重启"}},
	"MYSQL_CASCADE": {
		english: {"a foreign key changes or deletes rows of the table by itself, which the binary log doesn't hold (InnoDB; MySQL from 9.6 on logs it)", "let the application delete the children first and set the rule to RESTRICT; or read the table again from time to time"},
		chinese: {"外键会自行修改或删除该表的行，而 binlog 不记录（InnoDB；MySQL 9.6 及以上会记录）", "由应用先删除子表的行，并把规则改为 RESTRICT；或定期重新读取该表"}},
	"MYSQL_ENGINE": {
		english: {"the table's engine has no transactions", "ALTER TABLE … ENGINE = InnoDB"},
		chinese: {"表的存储引擎不支持事务", "执行 ALTER TABLE … ENGINE = InnoDB"}},
	"MYSQL_GRANT_EXCESS": {
		english: {"the capture user may do more than capture needs", "revoke what is named; capture needs REPLICATION SLAVE, REPLICATION CLIENT (MariaDB: BINLOG MONITOR) and SELECT on its tables"},
		chinese: {"采集用户的权限超出所需", "收回所列权限；采集只需 REPLICATION SLAVE、REPLICATION CLIENT（MariaDB：BINLOG MONITOR）和各表的 SELECT"}},
	"MYSQL_REPLICA_LOG": {
		english: {"the server is a replica that doesn't log what it replicates", "set log_slave_updates (log_replica_updates) in its configuration and restart it, or capture its primary"},
		chinese: {"服务器是从库，且不记录复制来的变更", "在其配置中开启 log_slave_updates（log_replica_updates）并重启，或改为采集主库"}},
	"MYSQL_RETENTION": {
		english: {"the binary log is deleted soon after it was written", "raise the named setting: at least three days, better a week"},
		chinese: {"binlog 写入后很快就被删除", "调大所列设置：至少三天，最好一周"}},
	"MYSQL_ROW_IMAGE": {
		english: {"the binary log holds rows with some of their columns only", "SET GLOBAL binlog_row_image = 'FULL'; sessions that are open keep the old one"},
		chinese: {"binlog 只记录行的部分列", "执行 SET GLOBAL binlog_row_image = 'FULL'；已打开的会话仍用旧值"}},
	"MYSQL_ROW_METADATA": {
		english: {"the binary log doesn't hold the names of columns", "SET GLOBAL binlog_row_metadata = 'FULL' (MySQL 8.0.1, MariaDB 10.5 and newer)"},
		chinese: {"binlog 不含列名", "执行 SET GLOBAL binlog_row_metadata = 'FULL'（MySQL 8.0.1、MariaDB 10.5 及以上）"}},
	"MYSQL_SERVER_ID": {
		english: {"the source's server_id belongs to somebody else, or the server has none", "give the other one another server_id"},
		chinese: {"该数据源的 server_id 已被占用，或服务器没有 server_id", "让对方改用别的 server_id"}},
	"MYSQL_TIMEOUT": {
		english: {"the server ends a slow or silent connection early", "raise the named setting"},
		chinese: {"服务器过早断开缓慢或空闲的连接", "调大所列设置"}},
	"MYSQL_VERSION": {
		english: {"the server is older than MySQL 5.7 or MariaDB 10.2", "upgrade it"},
		chinese: {"服务器早于 MySQL 5.7 或 MariaDB 10.2", "升级服务器"}},
	"TABLE_TOO_WIDE": {
		english: {"the table has more columns than a table of a PostgreSQL store can have, which are 1593 beside its own", "leave it out, or split it at the source"},
		chinese: {"表的列数超过 PostgreSQL 汇聚库的上限（除自身的列外 1593 列）", "不采集该表，或在源库中拆分"}},
	"NAME_TOO_LONG": {
		english: {"a name has more bytes than PostgreSQL's 63, which are 21 Chinese characters", "rename the column; give a table another name by datasets in the agent's file"},
		chinese: {"名称超过 PostgreSQL 的 63 字节（21 个汉字）", "修改列名；表名可在 agent 配置的 datasets 中另取"}},
	"PG_DECODING_MEMORY": {
		english: {"logical_decoding_work_mem is below the server's default", "ALTER ROLE … SET logical_decoding_work_mem = '64MB'"},
		chinese: {"logical_decoding_work_mem 低于默认值", "执行 ALTER ROLE … SET logical_decoding_work_mem = '64MB'"}},
	"PG_ENCODING": {
		english: {"the database has the encoding SQL_ASCII, which checks nothing", "dump the database and restore it into one with UTF8"},
		chinese: {"数据库编码为 SQL_ASCII，不做任何校验", "导出数据库，并恢复到编码为 UTF8 的库"}},
	"PG_GENERATED": {
		english: {"the log has none of these generated columns: before PostgreSQL 18 of none, from 18 on of virtual ones, and of stored ones where the publication doesn't say publish_generated_columns = stored, as the agent's own does", "PostgreSQL 18, stored: ALTER PUBLICATION … SET (publish_generated_columns = stored); else compute them in the store, or make them plain columns"},
		chinese: {"日志中没有这些生成列：PostgreSQL 18 以前一律没有；18 起没有虚拟生成列，存储型的仅当 publication 设有 publish_generated_columns = stored（agent 自建的已设）时才有", "PostgreSQL 18 的存储型生成列：ALTER PUBLICATION … SET (publish_generated_columns = stored)；否则在汇聚库中计算，或改为普通列"}},
	"PG_GRANT": {
		english: {"the capture role lacks a privilege", "grant what is named"},
		chinese: {"采集角色缺少权限", "授予所列权限"}},
	"PG_GRANT_EXCESS": {
		english: {"the capture role may do more than capture needs", "revoke what is named; capture needs LOGIN, REPLICATION and SELECT on its tables"},
		chinese: {"采集角色的权限超出所需", "收回所列权限；采集只需 LOGIN、REPLICATION 和各表的 SELECT"}},
	"PG_OPEN_TRANSACTION": {
		english: {"a transaction is open that the making of a replication slot waits for", "end it: ROLLBACK PREPARED, or pg_terminate_backend; or wait for its end"},
		chinese: {"有未结束的事务，创建复制槽须等待它", "结束该事务：ROLLBACK PREPARED 或 pg_terminate_backend；或等它结束"}},
	"PG_PARTITION": {
		english: {"partitions arrive as tables of their own: always before PostgreSQL 13, later where the publication lacks publish_via_partition_root", "PostgreSQL 13 and newer: ALTER PUBLICATION as given; before: keep one dataset per partition, for TRUNCATE of a partition takes all rows of its dataset"},
		chinese: {"分区各自作为一张表到达：PostgreSQL 13 以前一律如此，之后仅当 publication 未设 publish_via_partition_root", "PostgreSQL 13 及以上：按所列语句执行 ALTER PUBLICATION；更早的版本：每个分区用各自的数据集，因为清空（TRUNCATE）一个分区会清空其数据集的全部行"}},
	"PG_PUBLICATION_FILTER": {
		english: {"the publication leaves out rows or columns of a table", "drop the table from the publication and add it without filter"},
		chinese: {"publication 过滤了某张表的行或列", "从 publication 移除该表，再不带过滤条件加入"}},
	"PG_PUBLISHED": {
		english: {"the publication lacks a wanted table or a kind of change", "ALTER PUBLICATION as given"},
		chinese: {"publication 缺少要采集的表或某类变更", "按所列语句执行 ALTER PUBLICATION"}},
	"PG_ROW_SECURITY": {
		english: {"policies hide rows of the table from the capture role", "ALTER ROLE … BYPASSRLS"},
		chinese: {"行级安全策略对采集角色隐藏了部分行", "执行 ALTER ROLE … BYPASSRLS"}},
	"PG_SLOTS": {
		english: {"the server has no replication slot left", "raise max_replication_slots and restart it, or drop a slot that nobody uses"},
		chinese: {"服务器没有空余的复制槽", "调大 max_replication_slots 并重启，或删除无人使用的槽"}},
	"PG_SLOT_IDLE": {
		english: {"other replication slots are there that nobody reads", "find out whose they are; SELECT pg_drop_replication_slot(…) if nobody's"},
		chinese: {"存在无人读取的其他复制槽", "查明归属；若无主，执行 SELECT pg_drop_replication_slot(…)"}},
	"PG_SLOT_WAL": {
		english: {"what an agent that is down holds back of the WAL is unbounded, or bounded too narrowly", "set max_slot_wal_keep_size to what the disk can spare, for three days at least (PostgreSQL 13 and newer)"},
		chinese: {"agent 停机时占用的 WAL 没有上限，或上限过小", "按磁盘余量设置 max_slot_wal_keep_size，至少够三天（PostgreSQL 13 及以上）"}},
	"PG_TIMEOUT": {
		english: {"the server ends the capture role's connections or statements early", "raise the named setting, for the capture role alone where the server lets it be"},
		chinese: {"服务器过早结束采集角色的连接或语句", "调大所列设置；可以时只对采集角色设置"}},
	"PG_UNLOGGED": {
		english: {"the table is UNLOGGED, so the WAL has nothing of it", "ALTER TABLE … SET LOGGED"},
		chinese: {"表为 UNLOGGED，WAL 中没有它的内容", "执行 ALTER TABLE … SET LOGGED"}},
	"PG_WAL_SENDERS": {
		english: {"the server has no WAL sender left", "raise max_wal_senders and restart it"},
		chinese: {"服务器没有空余的 WAL 发送进程", "调大 max_wal_senders 并重启"}},
	"SOURCE_CLOCK": {
		english: {"the clocks of server and agent differ by more than a second", "let both follow the same time server (chrony, NTP)"},
		chinese: {"服务器与 agent 的时钟相差一秒以上", "让两者使用同一时间服务器（chrony、NTP）"}},
	"SOURCE_CONNECTIONS": {
		english: {"the capture user may not have as many connections as capture needs", "allow six at least"},
		chinese: {"采集用户允许的连接数不够", "至少允许六个"}},
	"SOURCE_ENGINE": {
		english: {"the agent's file names another product than the server is", "correct engine in the agent's file"},
		chinese: {"agent 配置中的产品与服务器不符", "更正 agent 配置中的 engine"}},
	"SOURCE_TLS": {
		english: {"the connection to the source isn't encrypted", "tls in the agent's file: mode: verify-full and the authority's certificate as ca_file; or run the agent on the server's machine"},
		chinese: {"与源库的连接没有加密", "在 agent 配置的 tls 中设 mode: verify-full，并以 CA 证书作 ca_file；或在服务器本机运行 agent"}},
	"TABLE_APPEND": {
		english: {"the table has no key and is taken as a log of its changes (append in the agent's file)", "nothing, if a log is wanted; else give the table a key, or name unique columns in keys"},
		chinese: {"该表没有键，按变更日志采集（agent 配置中的 append）", "若需要的就是变更日志，无需处理；否则为该表添加键，或在 keys 中指定唯一列"}},
	"TABLE_VERSIONED": {
		english: {"the table keeps its own history (WITH SYSTEM VERSIONING)", "leave the table out, or drop its system versioning"},
		chinese: {"该表自带历史版本（WITH SYSTEM VERSIONING）", "不采集该表，或取消其系统版本"}},
}

// consequences say what becomes of a finding that nobody repairs.
var consequences = map[string]map[language.Language]string{
	"DATASET_SHARED":         {english: "rows with equal keys overwrite each other, and a table with other columns stops", chinese: "主键相同的行互相覆盖；列不同的表会停止"},
	"CAP_UNUSED":             {english: "a large value of that column stops the source as without a cap", chinese: "该列的过大值仍会使数据源停止，与未设上限相同"},
	"IMAGE_INCOMPLETE":       {english: "the table stops at its first change", chinese: "该表在第一次变更时停止"},
	"MYSQL_BINLOG_FILTER":    {english: "changes of that database never arrive, and nothing tells", chinese: "该数据库的变更不会到达，且没有任何提示"},
	"MYSQL_BINLOG_FORMAT":    {english: "the source doesn't start; tables that statements change stop", chinese: "数据源不能启动；被语句修改的表会停止"},
	"MYSQL_CASCADE":          {english: "rows that the foreign key deletes or changes stay as they were in the store", chinese: "外键删除或修改的行在汇聚库中保持原样"},
	"MYSQL_ENGINE":           {english: "a statement that breaks off leaves half of its rows, and a crash of the server may lose rows or log them twice", chinese: "中断的语句会留下一半的行；服务器崩溃可能丢失行或重复记录"},
	"MYSQL_GRANT":            {english: "the source doesn't start, or a table isn't seen at all", chinese: "数据源不能启动，或根本看不到某张表"},
	"MYSQL_GRANT_EXCESS":     {english: "whoever gets the agent's password may do the same at the source", chinese: "得到 agent 口令的人也能在源库执行这些操作"},
	"MYSQL_GTID_MODE":        {english: "tables can't be loaded, and nothing proves where to go on after a failover", chinese: "不能装载已有数据；主备切换后无法证明从何处继续"},
	"MYSQL_LOGIN":            {english: "the source doesn't start", chinese: "数据源不能启动"},
	"MYSQL_LOG_BIN":          {english: "there is nothing to read: the source doesn't start", chinese: "没有可读取的日志，数据源不能启动"},
	"MYSQL_NO_TABLE":         {english: "the source doesn't start if no other pattern matches; else these tables are missing", chinese: "若其他规则也不匹配，数据源不能启动；否则缺少这些表"},
	"MYSQL_REPLICA_LOG":      {english: "what reaches the server by replication never arrives, and nothing tells", chinese: "经复制到达该服务器的变更不会送达，且没有任何提示"},
	"MYSQL_RETENTION":        {english: "an agent that is down for longer comes back to a gap, and its tables must be read again", chinese: "agent 停机超过该时间即出现缺口，各表须重新读取"},
	"MYSQL_ROW_IMAGE":        {english: "columns that an insert doesn't name are taken from the catalogue's defaults; a table where that can't be done stops", chinese: "插入未给出的列取数据字典中的默认值；做不到的表会停止"},
	"MYSQL_ROW_METADATA":     {english: "definitions are followed by the DDL statements in the log: a table whose statement isn't understood stops", chinese: "表结构按日志中的 DDL 语句跟随：语句无法理解的表会停止"},
	"MYSQL_SERVER_ID":        {english: "the two end each other's connection again and again, or the server refuses to send its log", chinese: "两者会不断踢掉对方的连接，或服务器拒绝发送日志"},
	"MYSQL_TABLE_CASE":       {english: "the source doesn't start", chinese: "数据源不能启动"},
	"MYSQL_TIMEOUT":          {english: "the connection breaks under load or in quiet hours and is made anew each time", chinese: "高负载或空闲时连接会中断，并反复重建"},
	"MYSQL_VERSION":          {english: "nothing is known of how such a server's log is to be read: it may stop anywhere", chinese: "无法保证能读懂此类服务器的日志，随时可能停止"},
	"MYSQL_XA":               {english: "the source stops at the next XA PREPARE", chinese: "遇到下一个 XA PREPARE 时数据源停止"},
	"TABLE_TOO_WIDE":         {english: "the store refuses the table, and it stops there", chinese: "汇聚库拒绝该表，该表停止"},
	"NAME_TOO_LONG":          {english: "the store refuses the table", chinese: "汇聚库拒绝该表"},
	"PARTIAL_JSON":           {english: "a table stops at its first update of a part of a JSON document", chinese: "表在首次局部更新 JSON 时停止"},
	"PG_ACCESS":              {english: "the source doesn't start", chinese: "数据源不能启动"},
	"PG_DECODING_MEMORY":     {english: "the server writes more transactions to its disk before it sends them: late, and a load on the disk", chinese: "服务器会把更多事务先写入磁盘再发送：延迟增大，磁盘负担加重"},
	"PG_ENCODING":            {english: "texts arrive as whatever bytes the applications wrote; those that aren't UTF-8 stop the source", chinese: "文本按应用写入的字节送达；不是 UTF-8 的会使数据源停止"},
	"PG_GENERATED":           {english: "these columns are missing in the store", chinese: "汇聚库中没有这些列"},
	"PG_GRANT":               {english: "the source doesn't start, or a table can't be loaded", chinese: "数据源不能启动，或某张表不能装载"},
	"PG_GRANT_EXCESS":        {english: "whoever gets the agent's password may do the same at the source", chinese: "得到 agent 口令的人也能在源库执行这些操作"},
	"PG_NO_TABLE":            {english: "the source doesn't start if no other pattern matches; else these tables are missing", chinese: "若其他规则也不匹配，数据源不能启动；否则缺少这些表"},
	"PG_OPEN_TRANSACTION":    {english: "the first start waits until it ends", chinese: "首次启动会一直等到它结束"},
	"PG_PARTITION":           {english: "the store gets a table per partition; nothing, where no pattern names the partitions", chinese: "汇聚库中每个分区各成一张表；若没有规则匹配分区名，则什么也不会到达"},
	"PG_PUBLICATION":         {english: "the source waits until the publication is there", chinese: "数据源会一直等待该 publication"},
	"PG_PUBLICATION_FILTER":  {english: "what is left out never arrives", chinese: "被过滤的内容不会到达"},
	"PG_PUBLISHED":           {english: "what isn't published never arrives, and nothing tells", chinese: "未发布的内容不会到达，且没有任何提示"},
	"PG_ROW_SECURITY":        {english: "a load reads the table without these rows, while the stream has them", chinese: "装载时读不到这些行，而实时流中有"},
	"PG_SLOTS":               {english: "the source doesn't start", chinese: "数据源不能启动"},
	"PG_SLOT_IDLE":           {english: "they hold back WAL until the server's disk is full", chinese: "它们会一直占用 WAL，直到磁盘写满"},
	"PG_SLOT_WAL":            {english: "unbounded: an agent that is down fills the server's disk; too narrow: it comes back to a gap", chinese: "无上限：agent 停机会写满服务器磁盘；过小：恢复时出现缺口"},
	"PG_STANDBY":             {english: "the source doesn't start", chinese: "数据源不能启动"},
	"PG_TIMEOUT":             {english: "the connection breaks in quiet hours, or chunks of a load are broken off and read again", chinese: "空闲时连接中断，或装载的分块被打断重读"},
	"PG_UNLOGGED":            {english: "changes of the table never arrive", chinese: "该表的变更不会到达"},
	"PG_VERSION":             {english: "the source doesn't start", chinese: "数据源不能启动"},
	"PG_WAL_LEVEL":           {english: "the source doesn't start", chinese: "数据源不能启动"},
	"PG_WAL_SENDERS":         {english: "the source doesn't start", chinese: "数据源不能启动"},
	"ROW_TOO_LARGE":          {english: "a row above 8 MiB stops the source; a cap (caps) has NULL in the place of large values instead", chinese: "超过 8 MiB 的行会使数据源停止；设上限（caps）则以 NULL 代替过大的值"},
	"SLOT_OTHER":             {english: "the source doesn't start", chinese: "数据源不能启动"},
	"SOURCE_CLOCK":           {english: "lag figures are wrong by the difference", chinese: "延迟数字会偏差这么多"},
	"SOURCE_CONNECTIONS":     {english: "the source doesn't start, or tables can't be loaded", chinese: "数据源不能启动，或不能装载已有数据"},
	"SOURCE_ENGINE":          {english: "stamps and pages name the wrong product", chinese: "血缘标记与页面中的产品名称有误"},
	"SOURCE_TLS":             {english: "whoever listens on the way reads the rows", chinese: "途中的窃听者可以读到数据"},
	"SOURCE_TLS_LEGACY":      {english: "whoever records the traffic may be able to read it one day", chinese: "记录下流量的人日后可能读到数据"},
	"SOURCE_TLS_UNVERIFIED":  {english: "whoever stands in the way can pass for the source, take the password and read the rows", chinese: "途中的攻击者可以冒充源库，取得口令并读到数据"},
	"TLS_CLIENT_CERTIFICATE": {english: "the source doesn't start", chinese: "数据源不能启动"},
	"TLS_EXPIRED":            {english: "the source doesn't start", chinese: "数据源不能启动"},
	"TLS_FILE":               {english: "the source doesn't start", chinese: "数据源不能启动"},
	"TLS_NAME":               {english: "the source doesn't start", chinese: "数据源不能启动"},
	"TLS_REQUIRED":           {english: "the source doesn't start", chinese: "数据源不能启动"},
	"TLS_UNSUPPORTED":        {english: "the source doesn't start", chinese: "数据源不能启动"},
	"TLS_UNTRUSTED":          {english: "the source doesn't start", chinese: "数据源不能启动"},
	"TLS_VERSION":            {english: "the source doesn't start", chinese: "数据源不能启动"},
	"TABLE_APPEND":           {english: "what the table holds already isn't loaded; each change is a row of the store", chinese: "表中已有的数据不会装载；每次变更在汇聚库中为一行"},
	"TABLE_KEY_REFUSED":      {english: "the table stops", chinese: "该表停止"},
	"TABLE_NO_KEY":           {english: "the table stops; on PostgreSQL the agent leaves it out of its publication, for there the application's own updates and deletes of it would fail", chinese: "该表停止；在 PostgreSQL 上 agent 不会发布它，否则应用自己对该表的更新和删除会失败"},
	"TABLE_VERSIONED":        {english: "the table isn't loaded, and its history arrives as rows", chinese: "该表不会被装载，其历史版本会作为数据行到达"},
	"TYPE_UNSUPPORTED":       {english: "the table stops", chinese: "该表停止"},
}

// Consequence says what becomes of a finding of preflight that nobody repairs; empty for
// a code that preflight doesn't give.
func Consequence(code string, lang language.Language) string { return consequences[code][lang] }
