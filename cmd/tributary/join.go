package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tributary-cdc/tributary/cmd/hub/authority"
	"github.com/tributary-cdc/tributary/cmd/hub/joined"
)

// joinText is every text of `tributary join`.
type joinText struct {
	short, long, dir, name, offline, answer, both, wrote, joined, next, certificate, show, renew, renewLong, expires, renewed, ends, wroteRenewal string
}

var joinTexts = map[language]joinText{
	english: {
		short: "join a hub by an invitation",
		long: "Joins the hub that has made the invitation. The agent's key is made here and stays here; the hub\n" +
			"issues a certificate for it. Whoever answers at URL must be the hub that the invitation names.\n" +
			"Without a connection: --offline FILE writes a request file, which the hub's operator answers on the\n" +
			"page of invitations; --answer FILE takes the answer. All with the same URL, INVITATION and --dir.",
		dir: "`FOLDER` of the agent's key and certificate", name: "the agent's `NAME` for people; default the machine's", offline: "write the request to `FILE` instead of sending it", answer: "take the hub's answer from `FILE`",
		both: "--offline and --answer are two steps: give one of them", wrote: "%s: give it to the hub's operator, whose page of invitations answers it", joined: "joined %s (%s) as agent %s; the certificate holds until %s",
		next: "next: tributary source add agent.yml --dir %s", certificate: "show or renew the agent's certificate", show: "show agent, hub and certificate", renew: "renew the certificate; the key stays",
		renewLong: "Gets another certificate for the same key; the one before counts to its end. An agent that runs does so by\n" +
			"itself when a third of the time is left. Without a connection: --offline FILE writes a request file, which the\n" +
			"hub's operator answers on the page of invitations; --answer FILE takes the answer.",
		wroteRenewal: "%s: give it to the hub's operator, whose page of invitations answers it; then run tributary certificate renew --answer FILE",
		expires:      "agent %s of %s (%s), hub %s, certificate until %s", renewed: "renewed; it holds until %s", ends: "the certificate ends on %s: run tributary certificate renew",
	},
	chinese: {
		short: "凭邀请加入 hub",
		long: "加入发出邀请的 hub。agent 的密钥在本机生成且不会离开本机；hub 为其签发证书。\n" +
			"在 URL 应答的必须是邀请所指的 hub。\n" +
			"没有网络连接时：--offline FILE 生成申请文件，由 hub 的操作员在“邀请”页生成应答；\n" +
			"--answer FILE 读入应答。三步使用同样的 URL、INVITATION 和 --dir。",
		dir: "agent 的密钥和证书所在的目录 `FOLDER`", name: "供人识别的 agent 名称 `NAME`；默认取主机名", offline: "把申请写入文件 `FILE`，不通过网络发送", answer: "从文件 `FILE` 读入 hub 的应答",
		both: "--offline 与 --answer 是两个步骤，只能给出其中一个", wrote: "%s：请交给 hub 的操作员，由其在“邀请”页生成应答", joined: "已加入 %s（%s），agent 为 %s；证书有效期至 %s",
		next: "下一步：tributary source add agent.yml --dir %s", certificate: "查看或续签 agent 的证书", show: "查看 agent、hub 和证书", renew: "续签证书，密钥不变",
		renewLong: "为同一密钥取得新证书；原证书到期前仍然有效。运行中的 agent 在剩余三分之一有效期时会自动续签。\n" +
			"没有网络连接时：--offline FILE 生成申请文件，由 hub 的操作员在“邀请与 agent”页生成应答；--answer FILE 读入应答。",
		wroteRenewal: "%s：请交给 hub 的操作员，由其在“邀请与 agent”页生成应答；然后运行 tributary certificate renew --answer FILE",
		expires:      "agent %s，机构 %s（%s），hub %s，证书有效期至 %s", renewed: "已续签，有效期至 %s", ends: "证书将于 %s 到期：请运行 tributary certificate renew",
	},
}

// defaultJoined is where an agent keeps what its hub has given.
const defaultJoined = "/var/lib/tributary/joined"

const shownTime = "2006-01-02 15:04"

func joinCommand(usage catalogue, lang language) *cobra.Command {
	say := joinTexts[lang]
	c := &cobra.Command{Use: "join URL INVITATION", Short: say.short, Long: say.long, Args: usage.takes("URL", "INVITATION"),
		Example: "tributary join https://hub.example.cn:8070 INVITATION\ntributary join https://hub.example.cn:8070 INVITATION --offline request.json\ntributary join https://hub.example.cn:8070 INVITATION --answer answer.json"}
	dir := c.Flags().String("dir", defaultJoined, say.dir)
	name := c.Flags().String("name", "", say.name)
	offline := c.Flags().String("offline", "", say.offline)
	answer := c.Flags().String("answer", "", say.answer)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := usage.address(c, "URL", args[0]); err != nil {
			return err
		}
		if *offline != "" && *answer != "" {
			return wrongUsage(c, "USAGE_FLAG", "%s", say.both)
		}
		host, _ := os.Hostname() // without one the flag is needed, which the hub says
		o := joined.Options{Dir: *dir, URL: args[0], Invitation: args[1], Name: cmp.Or(*name, host)}
		return say.join(c.Context(), c.OutOrStdout(), o, *offline, *answer)
	}
	return c
}

func (say joinText) join(ctx context.Context, out io.Writer, o joined.Options, offline, answer string) error {
	var m *joined.Member
	var err error
	switch {
	case offline != "":
		b, err := joined.Prepare(o)
		if err != nil {
			return err
		}
		if err := authority.WriteNew(offline, append(b, '\n')); err != nil { // it holds the invitation
			return &problem{code: "FILE_NOT_WRITTEN", words: err.Error()}
		}
		_, err = fmt.Fprintf(out, say.wrote+"\n", offline)
		return err
	case answer != "":
		b, err := os.ReadFile(answer)
		if err != nil {
			return &problem{code: "CONFIG_FILE", words: err.Error(), class: errUsage}
		}
		if m, err = joined.Accept(o, b); err != nil {
			return err
		}
	default:
		if m, err = joined.Join(ctx, o); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(out, say.joined+"\n"+say.next+"\n", m.OrgName, m.Org, m.Agent, m.Expires.Local().Format(shownTime), o.Dir)
	return err
}

func certificateCommand(usage catalogue, lang language) *cobra.Command {
	say := joinTexts[lang]
	root := usage.group(&cobra.Command{Use: "certificate", Short: say.certificate, Example: "tributary certificate show\ntributary certificate renew --dir /var/lib/tributary/joined"})
	dir := root.PersistentFlags().String("dir", defaultJoined, say.dir)
	show := &cobra.Command{Use: "show", Short: say.show, Args: usage.takes(), Example: "tributary certificate show\ntributary certificate show --dir /var/lib/tributary/joined", RunE: func(c *cobra.Command, _ []string) error {
		m, err := joined.Open(*dir)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), say.expires+"\n", m.Agent, m.OrgName, m.Org, m.URL, m.Expires.Local().Format(shownTime))
		return err
	}}
	renew := &cobra.Command{Use: "renew", Short: say.renew, Long: say.renewLong, Args: usage.takes(), Example: "tributary certificate renew\ntributary certificate renew --dir /var/lib/tributary/joined\ntributary certificate renew --offline renewal.json\ntributary certificate renew --answer answer.json"}
	offline := renew.Flags().String("offline", "", say.offline)
	answer := renew.Flags().String("answer", "", say.answer)
	renew.RunE = func(c *cobra.Command, _ []string) error {
		if *offline != "" && *answer != "" {
			return wrongUsage(c, "USAGE_FLAG", "%s", say.both)
		}
		m, err := joined.Open(*dir)
		if err != nil {
			return err
		}
		return say.renewal(c, m, *offline, *answer)
	}
	root.AddCommand(show, renew)
	return root
}

// renewal renews a certificate at the hub, or by files.
func (say joinText) renewal(c *cobra.Command, m *joined.Member, offline, answer string) error {
	switch {
	case offline != "":
		b, err := m.RenewalLetter()
		if err != nil {
			return err
		}
		if err := authority.WriteNew(offline, append(b, '\n')); err != nil {
			return &problem{code: "FILE_NOT_WRITTEN", words: err.Error()}
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), say.wroteRenewal+"\n", offline)
		return err
	case answer != "":
		b, err := os.ReadFile(answer)
		if err != nil {
			return &problem{code: "CONFIG_FILE", words: err.Error(), class: errUsage}
		}
		if err := m.Renewed(b); err != nil {
			return err
		}
	default:
		if err := m.Renew(c.Context()); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), say.renewed+"\n", m.Expires.Local().Format(shownTime))
	return err
}

// warnOfEnd tells on the error output when a certificate ends soon.
func (say joinText) warnOfEnd(c *cobra.Command, m *joined.Member) {
	if m.Left() < 30*24*time.Hour {
		_, _ = fmt.Fprintln(c.ErrOrStderr(), strings.TrimSpace(fmt.Sprintf(say.ends, m.Expires.Local().Format(shownTime)))) // nobody may be left to read it
	}
}
