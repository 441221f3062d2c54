package main

// language is what people are spoken to in.
type language int

const (
	english language = iota
	chinese
)

// catalogue is every text for people, once per language.
type catalogue struct {
	root, lang, config, agent, worker, log, configs, check, example, valid, version string
}

var texts = map[language]catalogue{
	english: {
		root:    "change data capture from district databases to city and provincial stores",
		lang:    "language of the texts: zh-CN or en (default: from LANG)",
		config:  "the configuration file (YAML)",
		agent:   "read source databases and write their transactions to the log",
		worker:  "apply the log to a store",
		log:     "run the embedded log on loopback",
		configs: "check configuration files, print examples",
		check:   "check a file without any connection",
		example: "print a commented example",
		valid:   "the file is valid",
		version: "print the version",
	},
	chinese: {
		root:    "变更数据捕获：从区县数据库到市级、省级汇聚库",
		lang:    "文字语言：zh-CN 或 en（默认取自 LANG）",
		config:  "配置文件（YAML）",
		agent:   "读取源库，把事务写入日志",
		worker:  "把日志应用到汇聚库",
		log:     "在本机回环地址运行内嵌日志",
		configs: "检查配置文件，输出示例",
		check:   "检查一个文件，不建立任何连接",
		example: "输出带注释的示例",
		valid:   "文件有效",
		version: "显示版本",
	},
}
