package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tributary-cdc/tributary/cmd/hub/authority"
	"github.com/tributary-cdc/tributary/cmd/hub/joined"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
)

// releaseText is every text of `tributary source release`.
type releaseText struct{ short, long, offline, wrote, told, remains, nothing string }

var releaseTexts = map[language]releaseText{
	english: {
		short: "let go of a source that the hub has retired, and tell the hub",
		long: "Takes away what the source has at its server (PostgreSQL's slot and publication), prints the SQL for what the\n" +
			"agent's user may not, and tells the hub. An agent that runs and reaches the hub does so by itself. Without a\n" +
			"connection to the hub: --offline FILE writes the report as a file, which the hub's operator puts in on the page\n" +
			"of requests. The agent must have heard of the end (tributary source assign), and reads the source no more then.",
		offline: "write the report to `FILE` instead of sending it", wrote: "%s: give it to the hub's operator, whose page of requests takes it", told: "the hub knows that %s is let go of",
		remains: "the agent's user may not take this away; the DBA runs it:", nothing: "nothing of the source is left at its server",
	},
	chinese: {
		short: "释放 hub 已停止归集的数据源，并告知 hub",
		long: "删除该数据源在其服务器上的内容（PostgreSQL 的复制槽和发布），列出 agent 用户无权删除时所需的 SQL，并告知 hub。\n" +
			"运行中且能连上 hub 的 agent 会自动完成。无法连接 hub 时：--offline FILE 把报告写入文件，\n" +
			"由 hub 的操作员在“登记申请”页提交。agent 须已得知停止归集（tributary source assign），此后不再读取该数据源。",
		offline: "把报告写入文件 `FILE`，不通过网络发送", wrote: "%s：请交给 hub 的操作员，由其在“登记申请”页提交", told: "hub 已获知 %s 已释放",
		remains: "agent 的用户无权删除以下内容，请由 DBA 执行：", nothing: "服务器上已没有该数据源的内容",
	},
}

func releaseCommand(usage catalogue, lang language, dir *string) *cobra.Command {
	say := releaseTexts[lang]
	c := &cobra.Command{Use: "release AGENT SOURCE", Short: say.short, Long: say.long, Args: usage.takes("AGENT", "SOURCE"),
		Example: "tributary source release agent.yml xueji\ntributary source release agent.yml xueji --offline released.json"}
	offline := c.Flags().String("offline", "", say.offline)
	c.RunE = func(c *cobra.Command, args []string) error {
		var agent config.Agent
		if err := config.Load(args[0], &agent); err != nil {
			return err
		}
		s, err := usage.sourceOf(c, &agent, args[1])
		if err != nil {
			return err
		}
		m, err := joined.Open(*dir)
		if err != nil {
			return err
		}
		joinTexts[lang].warnOfEnd(c, m)
		id := agent.Org + "-" + s.Name
		if err := retired(m, id); err != nil {
			return err
		}
		remains, err := leave(c.Context(), agent.Org, *s)
		if err != nil {
			return err
		}
		return say.tell(c, m, id, remains, *offline)
	}
	return c
}

// retired refuses a source that the hub, as far as the agent has heard, hasn't retired.
func retired(m *joined.Member, id string) error {
	g, err := m.Granted()
	if err != nil {
		return err
	}
	for _, a := range g.Sources {
		switch {
		case a.Source != id:
		case a.Retired == nil:
			return refusal.New(refusal.Conflict, "SOURCE_NOT_RETIRED", "%s", id)
		default:
			return nil
		}
	}
	return refusal.New(refusal.Unknown, "SOURCE_NOT_GRANTED", "%s", id)
}

// tell tells the hub, or writes what it is to be told.
func (say releaseText) tell(c *cobra.Command, m *joined.Member, id, remains, offline string) error {
	text := say.nothing + "\n"
	if remains != "" {
		text = say.remains + "\n" + remains + "\n"
	}
	if offline == "" {
		if err := m.Released(c.Context(), id, remains); err != nil {
			return err
		}
		text += fmt.Sprintf(say.told+"\n", id)
	} else {
		b, err := m.ReleaseLetter(id, remains)
		if err != nil {
			return err
		}
		if err := authority.WriteNew(offline, append(b, '\n')); err != nil {
			return &problem{code: "FILE_NOT_WRITTEN", words: err.Error()}
		}
		text += fmt.Sprintf(say.wrote+"\n", offline)
	}
	_, err := io.WriteString(c.OutOrStdout(), text)
	return err
}
