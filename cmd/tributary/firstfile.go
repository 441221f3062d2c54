package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/tributary-cdc/tributary/cmd/hub/joined"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
)

// firstFileText is every text of the file that an agent begins with.
type firstFileText struct{ brokers, ask, hostPort, made, name, secure string }

var firstFileTexts = map[language]firstFileText{
	english: {
		brokers: "`BROKERS` of the log with commas between, for a file AGENT that isn't there yet", ask: "Brokers of the log, as kafka1.example.cn:9093, with commas between; the hub's operator knows them", hostPort: "HOST:PORT",
		made: "made %s, with the org and the folder of the agent that has joined", name: "what the agent is called on the pages", secure: "tls: {ca_file: FILE} where no public authority vouches for the brokers; see tributary config example agent",
	},
	chinese: {
		brokers: "日志的 broker 地址 `BROKERS`，以逗号分隔；仅当文件 AGENT 尚不存在时使用", ask: "日志的 broker 地址，如 kafka1.example.cn:9093，以逗号分隔；可询问 hub 的操作员", hostPort: "应为 主机:端口",
		made: "已生成 %s，其中含已加入的 agent 的机构和目录", name: "页面上显示的 agent 名称", secure: "broker 的证书不由公共机构签发时加 tls: {ca_file: 文件}；见 tributary config example agent",
	},
}

// firstFile makes the file of an agent that has joined, where there is none yet, without any
// source. Only the brokers have to be asked for.
func firstFile(c *cobra.Command, lang language, q *questions, name, dir, brokers string) error {
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		return nil // what else is wrong with it is told by whoever reads it
	}
	folder, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	m, err := joined.Open(folder)
	if err != nil {
		return err
	}
	say := firstFileTexts[lang]
	check := func(text string) error {
		for _, b := range strings.Split(text, ",") {
			if host, port, err := net.SplitHostPort(strings.TrimSpace(b)); err != nil || host == "" || port == "" {
				return errors.New(say.hostPort)
			}
		}
		return nil
	}
	if brokers == "" {
		brokers, err = q.ask(say.ask, "", check)
	} else if problem := check(brokers); problem != nil {
		err = wrongUsage(c, "USAGE_VALUE", "--brokers %q: %s", brokers, problem)
	}
	if err != nil {
		return err
	}
	text, err := firstText(say, m, folder, brokers)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return &problem{code: "FILE_NOT_WRITTEN", words: err.Error()}
	}
	if err = replaceFile(name, text); err == nil {
		err = owned(name, folder) // whoever has the key reads the file
	}
	if err != nil {
		return &problem{code: "FILE_NOT_WRITTEN", words: err.Error()}
	}
	_, err = fmt.Fprintf(c.ErrOrStderr(), say.made+"\n", name)
	return err
}

// firstText is what stands in the file. A log on loopback is taken for the embedded one.
func firstText(say firstFileText, m *joined.Member, folder, brokers string) ([]byte, error) {
	var log struct {
		Brokers  []string `yaml:"brokers,flow"`
		Embedded bool     `yaml:"embedded,omitempty"`
	}
	log.Embedded = true
	for _, b := range strings.Split(brokers, ",") {
		log.Brokers = append(log.Brokers, strings.TrimSpace(b))
		log.Embedded = log.Embedded && config.OnLoopback(strings.TrimSpace(b))
	}
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, e := range [][2]string{{"name", "agent-" + m.Org}, {"org", m.Org}, {"http", "127.0.0.1:8061"}, {"data_dir", filepath.Join(filepath.Dir(folder), "agent")}, {"joined", folder}} {
		root.Content = append(root.Content, entry(e[0], e[1])...)
	}
	root.Content[0].HeadComment = say.name
	var where yaml.Node
	if err := where.Encode(log); err != nil {
		return nil, err
	}
	key := &yaml.Node{Kind: yaml.ScalarNode, Value: "log"}
	if !log.Embedded {
		key.HeadComment = say.secure
	}
	root.Content = append(root.Content, key, &where)
	return yaml.Marshal(root)
}
