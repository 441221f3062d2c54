package config

import (
	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/cmd/internal/language"
)

// words is a text in each language, with the same verbs of fmt.
type words struct{ english, chinese string }

func (w words) in(l language.Language) string {
	if l == language.Chinese {
		return w.chinese
	}
	return w.english
}

// The catalogue of findings.
var (
	asIs   = words{"%v", "%v"}
	atLine = words{"line %d", "第 %d 行"}

	cantRead        = words{"the file can't be read: %v", "无法读取文件：%v"}
	notYAML         = words{"not valid YAML: %s", "不是有效的 YAML：%s"}
	unknown         = words{"unknown key %q, the nearest known one is %q", "未知的键 %q，最接近的已知键是 %q"}
	passwordInFile  = words{"a password doesn't stand in the file: use password_file or password_env", "口令不写在文件中：使用 password_file 或 password_env"}
	oneSecret       = words{"set one of password_file and password_env", "password_file 与 password_env 须设置其中一个，且只能一个"}
	noKey           = words{"it isn't the file of a key, or not as it was written", "不是密钥文件，或内容已改变"}
	otherKey        = words{"the password was sealed with another key than that of %s", "该口令是用另一把密钥加密的，而不是 %s 中的密钥"}
	damagedPassword = words{"it isn't as it was written, or is another source's", "内容已改变，或属于另一个数据源"}
	keyOfSealed     = words{"password_sealed needs the key with which the password was sealed", "使用 password_sealed 须指明加密口令所用的密钥"}
	variableUnset   = words{"the variable %s isn't set", "环境变量 %s 未设置"}

	aDuration = words{"a duration with its unit is wanted, such as 10s", "应为带单位的时长，例如 10s"}
	aNumber   = words{"a whole number within its range is wanted", "应为取值范围内的整数"}
	aBool     = words{"true or false is wanted", "应为 true 或 false"}
	aText     = words{"a text is wanted; put it in quotes", "应为文字，请加引号"}
	aList     = words{"a list is wanted, such as [a, b]", "应为列表，例如 [a, b]"}
	aMapping  = words{"keys with values are wanted, such as {key: value}", "应为键值对，例如 {key: value}"}

	isMissing   = words{"is missing", "缺失"}
	aFolder     = words{"a folder is needed", "须指定目录"}
	atLeastOne  = words{"at least one", "至少一个"}
	atLeastHost = words{"at least one host:port", "至少一个 host:port"}
	onePattern  = words{"at least one pattern", "至少一个匹配规则"}
	twoParts    = words{"a pattern has two parts, such as %s.*", "匹配规则有两部分，例如 %s.*"}
	faults      = map[capture.Fault]words{
		capture.FaultTable:   {"isn't the name of one table, in two parts (a dot of a name has a backslash before it)", "应为一张表的名称，由两部分组成（名称中的点前加反斜杠）"},
		capture.FaultUnasked: {"is taken by no pattern of tables", "tables 中没有匹配该表的规则"},
		capture.FaultColumns: {"has no columns", "没有列"},
		capture.FaultColumn:  {"has a column that is empty or stands twice", "有列名为空或重复"},
		capture.FaultPattern: {"is no pattern of two parts", "不是由两部分组成的匹配规则"},
	}
	needsBase      = words{"postgres needs one", "postgres 须指定数据库"}
	noBase         = words{"is for postgres; with %s the table patterns name the databases", "仅用于 postgres；%s 由表的匹配规则指明数据库"}
	certAndKey     = words{"cert_file and key_file belong together", "cert_file 与 key_file 须同时填写"}
	noUse          = words{"ca_file is for verify-ca and verify-full, server_name for verify-full; none goes with no other key", "ca_file 用于 verify-ca 与 verify-full，server_name 用于 verify-full；none 不能与其他键同用"}
	noPrefer       = words{"a broker's port speaks TLS or it doesn't: verify-full, verify-ca, require or none", "broker 的端口要么使用 TLS 要么不用：verify-full、verify-ca、require 或 none"}
	embeddedPlain  = words{"the embedded log is on loopback and takes no tls or sasl", "内嵌日志只在本机回环地址，不支持 tls 与 sasl"}
	plainPassword  = words{"the password itself is sent, so the broker must be verified beyond loopback: tls.mode verify-full or verify-ca, or a SCRAM mechanism", "PLAIN 会发送口令原文，非回环地址必须验证 broker：tls.mode 设为 verify-full 或 verify-ca，或改用 SCRAM"}
	oneOf          = words{"one of %s", "应为 %s 之一"}
	firstStarts    = words{"load, now, or nothing", "应为 load、now，或不填"}
	outside        = words{"is outside %d to %d", "超出范围 %d 至 %d"}
	belowZero      = words{"is below 0", "小于 0"}
	aSize          = words{"a size with its unit is wanted, such as 20GB (kB, MB, GB, TB)", "应为带单位的大小，例如 20GB（kB、MB、GB、TB）"}
	needsEvery     = words{"it needs verify.every", "须同时设置 verify.every"}
	atLeast        = words{"at least %s", "至少为 %s"}
	fuseForSlots   = words{"is for postgres: %s keeps its binary log by its own settings (binlog_expire_logs_seconds), whoever reads it, so that nothing is held back and nothing can be given up", "仅用于 postgres：%s 按自身设置（binlog_expire_logs_seconds）保留二进制日志，与谁在读取无关，因此没有可以放弃的占用"}
	above0         = words{"more than 0 is wanted, such as 5m", "应大于 0，例如 5m"}
	openMail       = words{"without TLS on loopback only: starttls or tls", "不使用 TLS 时只能是本机回环地址：starttls 或 tls"}
	aTimeOfDay     = words{"a time of day such as 08:30", "应为时刻，例如 08:30"}
	aMailAddress   = words{"an address such as duty@example.cn, without a name", "应为邮件地址，例如 duty@example.cn，不带姓名"}
	aZone          = words{"a name such as Asia/Shanghai", "应为时区名，例如 Asia/Shanghai"}
	zoneOfNothing  = words{"it is that of quiet_hours, and there are none", "它是 quiet_hours 的时区，而未设置 quiet_hours"}
	someHours      = words{"hours of the day such as 22:00-06:00", "应为一天中的时段，例如 22:00-06:00"}
	nameCodes      = words{"is empty, stands twice or has other characters than letters, digits, - and _", "为空、重复，或含有字母、数字、- 和 _ 以外的字符"}
	codeChars      = words{"has other characters than letters, digits, - and _", "含有字母、数字、- 和 _ 以外的字符"}
	nameTwice      = words{"is empty or stands twice", "为空或重复"}
	agentNames     = words{"both are needed, org of letters, digits, - and _", "二者均须填写，org 由字母、数字、- 和 _ 组成"}
	workerName     = words{"the worker needs one", "worker 须有名称"}
	durabilities   = words{Replicated + " or " + Single, "应为 " + Replicated + " 或 " + Single}
	oneNode        = words{"the embedded log has one node; leave it out, or set embedded: false", "内嵌日志只有一个节点；请删去此项，或设置 embedded: false"}
	schemaName     = words{"a name of at most 63 bytes that has no other purpose", "应为不超过 63 字节且没有其他用途的名称"}
	mirrorKey      = words{"a mirror has the keys of its source; leave it out", "镜像的主键与源端相同，请删去此项"}
	anAddress      = words{"an address with a port, e.g. 127.0.0.1:8061; port 0 takes a free one", "应为带端口的地址，例如 127.0.0.1:8061；端口 0 表示任选一个空闲端口"}
	everybodysKey  = words{"every user of this machine may use the key of the encrypted passwords: its mode is %s", "本机任何用户都能使用加密口令的密钥：其权限为 %s"}
	everybodyReads = words{"whoever reaches this address reads status, metrics and profiles, without TLS and without login: names of sources and tables and their errors stand there", "能访问该地址的人都能读取状态、指标和性能剖析，没有 TLS 也无需登录：其中有数据源和表的名称及错误信息"}
	loopbackOnly   = words{"a loopback address with a port, e.g. 127.0.0.1:8060: without accounts the page has no login", "应为带端口的回环地址，例如 127.0.0.1:8060：没有账号时页面无需登录"}
	needsAccounts  = words{"agents can join a hub with accounts only", "只有启用账号的 hub 才能接入 agent"}
	hubState       = words{"accounts need a database; for a page of states without login on loopback: accounts: none", "账号须保存在数据库中；只在本机查看、无需登录的状态页：accounts: none"}
	hubNames       = words{"beyond loopback at least one name or address by which the hub is reached", "供其他机器访问时，至少写明一个访问 hub 所用的名称或地址"}
	aHostName      = words{"a host's name or address without a port", "应为不带端口的主机名或地址"}
)
