package codes

import "github.com/tributary-cdc/tributary/cmd/internal/language"

// ofProgram are the codes of what can be wrong with a command line, a configuration, or
// what a command asked for.
var ofProgram = map[string]map[language.Language]explanation{
	"ADDRESS_IN_USE": {
		english: {"the address is in use by another program", "give another address in the file, or port 0 for a free one; see whether the program runs twice"},
		chinese: {"该地址正被另一个程序使用", "在配置文件中换一个地址，或用端口 0 任选一个空闲端口；检查本程序是否重复启动"}},
	"CONFIG_EXPOSED": {
		english: {"status, metrics and profiles can be read from other machines, without TLS and without login", "set http to a loopback address; where Prometheus comes from another machine let a proxy with TLS stand before it, or bound who reaches the port (firewall, IPAddressAllow= of the unit)"},
		chinese: {"状态、指标和性能剖析可从其他机器读取，没有 TLS 也无需登录", "把 http 设为本机回环地址；Prometheus 在其他机器上时，在前面放置带 TLS 的代理，或限制可访问该端口的地址（防火墙、服务的 IPAddressAllow=）"}},
	"CONFIG_FILE": {
		english: {"a file that was named can't be read", "check its name and its rights"},
		chinese: {"无法读取所指定的文件", "检查文件名与读取权限"}},
	"CONFIG_KEY": {
		english: {"a configuration file has a key that nobody knows", "correct it; tributary config example prints all keys"},
		chinese: {"配置文件中有未知的键", "更正它；tributary config example 会输出全部的键"}},
	"CONFIG_MISSING": {
		english: {"a configuration file lacks something", "add it; tributary config example shows how"},
		chinese: {"配置文件缺少必要内容", "补上；写法见 tributary config example"}},
	"CONFIG_SECRET": {
		english: {"a password isn't where the configuration says, or stands in the file itself", "set password_file or password_env, and make the file or the variable"},
		chinese: {"口令不在配置所说的地方，或写在了配置文件里", "设置 password_file 或 password_env，并准备好该文件或环境变量"}},
	"CONFIG_SYNTAX": {
		english: {"a configuration file isn't YAML", "correct the line; often it is the indentation, or a text that needs quotes"},
		chinese: {"配置文件不是有效的 YAML", "更正所指的行；常见原因是缩进，或文字需要加引号"}},
	"CONFIG_VALUE": {
		english: {"a value in a configuration file can't be", "correct it; tributary config check FILE finds all of them without any connection"},
		chinese: {"配置文件中有无效的值", "更正它；tributary config check 不需任何连接就能找出全部问题"}},
	"DATA_DIR_IN_USE": {
		english: {"another process works in the data folder", "stop it, or give this one a folder of its own: data_dir"},
		chinese: {"另一个进程正在使用该数据目录", "停止那个进程，或用 data_dir 为本程序另设目录"}},
	"DATA_DIR_WRITE": {
		english: {"the agent can't write its data folder, so the order was not taken", "make room on the disk, or correct the folder's rights; then give the order again"},
		chinese: {"agent 无法写入数据目录，命令未生效", "腾出磁盘空间或更正目录权限，然后再次下达"}},
	"DATASET_UNKNOWN": {
		english: {"no table of the file's orgs belongs to the dataset", "check its name and the file's orgs; a table is known once its agent has written a row of it"},
		chinese: {"该文件所列机构中没有属于此数据集的表", "检查数据集名称和文件中的 orgs；agent 写过某张表的行之后，该表才为人所知"}},
	"GAP_NONE": {
		english: {"neither the agent nor a store says that the source is in a gap", "nothing; to read a single table again: tributary table reread"},
		chinese: {"agent 与各汇聚库都未报告该数据源有缺口", "无需处理；只重新读取一张表时用 tributary table reread"}},
	"GAP_REPAIRING": {
		english: {"a gap of the source is being repaired already", "see tributary status for how far it is"},
		chinese: {"该数据源的缺口已在修复中", "用 tributary status 查看进度"}},
	"LOAD_REFUSED": {
		english: {"the load of a table can't be ordered now", "see tributary status: a load is under way, the table has stopped, or one that is to be removed wasn't added by an order"},
		chinese: {"现在不能下达该表的装载指令", "查看 tributary status：装载正在进行、该表已停止，或要移除的表并非由命令添加"}},
	"LOAD_UNKNOWN": {
		english: {"the source has no such table, or no such load", "check the table's name, database or schema included; see tributary status"},
		chinese: {"该数据源没有这张表，或没有这项装载", "检查表名（含数据库或模式名）；查看 tributary status"}},
	"LOG_STORAGE": {
		english: {"the embedded log can't write its data folder, and has stopped; every acknowledged record is kept", "make room on the disk or repair it, then start the log again"},
		chinese: {"内嵌日志无法写入数据目录，已停止；已确认的记录都还在", "腾出或修复磁盘空间，然后重新启动日志"}},
	"NEEDS_PERSON": {
		english: {"not everything is well", "see the notes of the lines above"},
		chinese: {"有需要处理的问题", "见上面各行的说明"}},
	"NOT_TRIBUTARY": {
		english: {"what answers at the address isn't a program of this kind", "check the address: it is http of the agent's or worker's file"},
		chinese: {"该地址上应答的不是所要的程序", "检查地址：即 agent 或 worker 配置文件中的 http"}},
	"ORDER_FORBIDDEN": {
		english: {"an agent or worker takes orders from its own machine only", "run the command there: tributary table, gap or source"},
		chinese: {"agent 与 worker 只接受本机下达的指令", "在其所在的机器上运行该命令：tributary table、gap 或 source"}},
	"ORDER_UNKNOWN": {
		english: {"the agent doesn't know this order", "use a program of the agent's version"},
		chinese: {"agent 不认识该指令", "使用与 agent 同一版本的程序"}},
	"PASSWORD_DAMAGED": {
		english: {"the file of an encrypted password isn't as it was written, or belongs to another source", "set the password anew: tributary source password AGENT SOURCE"},
		chinese: {"加密口令文件的内容已改变，或属于另一个数据源", "重新设置口令：tributary source password AGENT SOURCE"}},
	"PASSWORD_KEY_FILE": {
		english: {"the key of the encrypted passwords can't be read, or isn't one", "check password_key of the agent's file, its rights and its owner; where systemd gives the key, run the command as the handbook says; if the key is lost: tributary source password AGENT SOURCE --new-key makes another one"},
		chinese: {"无法读取加密口令的密钥，或文件不是密钥", "检查 agent 配置中的 password_key 以及该文件的权限和属主；密钥由 systemd 提供时，按手册所示运行命令；密钥已丢失时，用 tributary source password AGENT SOURCE --new-key 生成新密钥"}},
	"PASSWORD_KEY_EXPOSED": {
		english: {"the key of the encrypted passwords can be read by every user of the machine", "chmod 600 the key's file and leave it to the agent's user; if somebody may have copied it, change the passwords at the servers and set them by tributary source password"},
		chinese: {"加密口令的密钥可被本机任何用户读取", "对密钥文件执行 chmod 600 并使其属于 agent 的用户；若可能已被复制，请在服务器上更换口令，并用 tributary source password 重新设置"}},
	"PASSWORD_KEY_GONE": {
		english: {"the key of the encrypted passwords isn't where the agent's file says", "bring it back; where systemd gives the key, run the command as the handbook says; if it is lost: tributary source password AGENT SOURCE --new-key makes another one, and then all other encrypted passwords must be set anew"},
		chinese: {"agent 配置所指的口令密钥不存在", "找回该文件；密钥由 systemd 提供时，按手册所示运行命令；确已丢失时，用 tributary source password AGENT SOURCE --new-key 生成新密钥，此后须重新设置其他所有加密口令"}},
	"PASSWORD_KEY_OTHER": {
		english: {"a password was encrypted with another key", "bring back the key, or set the password anew: tributary source password AGENT SOURCE"},
		chinese: {"口令是用另一把密钥加密的", "找回原密钥，或重新设置口令：tributary source password AGENT SOURCE"}},
	"PASSWORD_ELSEWHERE": {
		english: {"the source's password isn't kept by tributary: the agent's file names a file or a variable for it", "change it there"},
		chinese: {"该数据源的口令不由 tributary 保管：agent 配置指定了文件或环境变量", "在所指定的地方修改"}},
	"PREFLIGHT_FILE": {
		english: {"the file for --from isn't what the script of this source prints", "print the script again (tributary preflight sql), run it as its first lines say, and give the file that it has written"},
		chinese: {"--from 的文件不是该数据源脚本的输出", "用 tributary preflight sql 重新输出脚本，按脚本开头的说明执行，再给出所得的文件"}},
	"PROGRAM_UNREACHABLE": {
		english: {"a program that was asked doesn't answer", "see whether it runs, and whether the address is that of http in its file"},
		chinese: {"所询问的程序没有应答", "检查它是否在运行，地址是否与其配置文件中的 http 一致"}},
	"RANGE_INVALID": {
		english: {"the part of the table can't be: its ends aren't values of the key", "give FROM..TO with values of the key's first columns, as the source prints them"},
		chinese: {"表的这一部分无效：两端不是该键的值", "给出 FROM..TO，其值为键的前几列，写法与源库输出一致"}},
	"ROW_NOT_FOUND": {
		english: {"the store's table has no row under this key", "check the key: its values in the table's order, without the source; the row may be deleted, or not here yet"},
		chinese: {"汇聚库的表中没有这个键的行", "检查键：按表键顺序给出各值，不含数据源；该行可能已删除，或尚未到达"}},
	"TABLE_NOT_FOUND": {
		english: {"the store has no table of this name", "check the name: it is the dataset's; tables come with their first row, and a table that stopped before has none"},
		chinese: {"汇聚库中没有这个名称的表", "检查名称：应为数据集的名称；表在第一行到达时建立，此前已停止的表没有"}},
	"SOURCE_STOPPED": {
		english: {"the source has stopped for a reason that reading its tables again doesn't mend", "see its code in tributary status, mend that and start the agent again"},
		chinese: {"该数据源因其他原因停止，重新读取各表无济于事", "用 tributary status 查看其代码，排除原因后重新启动 agent"}},
	"SOURCE_UNKNOWN": {
		english: {"the agent has no such source", "give the source's id, e.g. 330106-xueji, and its agent's address: --agent"},
		chinese: {"该 agent 没有这个数据源", "给出数据源的编号，例如 330106-xueji，以及其 agent 的地址：--agent"}},
	"VERIFY_DIFFERENT": {
		english: {"rows of the store differ from the source", "see the rows named above, and tributary trace for where they came from; --repair has the store mend them through the stream"},
		chinese: {"汇聚库中有行与源库不一致", "查看上面列出的行，并用 tributary trace 追溯其来历；--repair 由汇聚库通过数据流修复"}},
	"VERIFY_INCOMPLETE": {
		english: {"a table couldn't be compared, or its verification was given up", "see the note of its line: load or reread the table where it isn't whole, then order the verification again"},
		chinese: {"有表无法核对，或核对已放弃", "见该表一行的说明：表不完整时先装载或重新读取，然后再次下达核对"}},
	"VERIFY_NOTHING": {
		english: {"the store has no verification of this source or table", "check the names, or order one: tributary verify SOURCE TABLE"},
		chinese: {"汇聚库中没有该数据源或该表的核对记录", "检查名称，或下达一次核对：tributary verify SOURCE TABLE"}},
	"UNEXPECTED_ERROR": {
		english: {"something failed that has no code of its own", "the text beside it says what; please report it"},
		chinese: {"出现了没有专门代码的错误", "见旁边的原文；请反馈给我们"}},
	"USAGE_ARGUMENTS": {
		english: {"a command got too few or too many arguments", "see its help: --help"},
		chinese: {"命令的参数过多或过少", "查看该命令的帮助：--help"}},
	"USAGE_COMMAND": {
		english: {"there is no such command", "see the list: tributary help"},
		chinese: {"没有这个命令", "查看命令列表：tributary help"}},
	"USAGE_FLAG": {
		english: {"the command has no such flag, or the flag lacks its value", "see its help: --help"},
		chinese: {"命令没有这个选项，或选项缺少值", "查看该命令的帮助：--help"}},
	"USAGE_VALUE": {
		english: {"an argument or a flag can't have this value", "use one of those that the error names"},
		chinese: {"参数或选项的值无效", "使用错误信息中列出的值"}},
}
