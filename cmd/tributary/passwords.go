package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/tributary-cdc/tributary/cmd/hub/authority"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/cmd/internal/sealed"
)

// passwordText is every text of `tributary source password`.
type passwordText struct {
	short, long, seal, newKey, keyThere, ask, changed, kept, madeKey, others, restart, remains string
}

var passwordTexts = map[language]passwordText{
	english: {
		short: "change the password by which an agent logs in at a source",
		long: "Asks for the new password, logs in with it, and keeps it encrypted in the agent's data_dir in place of the\n" +
			"one before. If it can't log in, nothing changes. The key lies beside the file AGENT, or systemd gives it\n" +
			"(tributary.key). Change the password at the server first. A source of which the file names password_file or\n" +
			"password_env is left to whoever manages that, unless --seal. If the key that the file names is gone, nothing is\n" +
			"done without --new-key: then a new key is made, and the passwords of all other sources that are kept\n" +
			"encrypted can't be read any more.",
		seal: "keep a password encrypted that stood in a file or a variable of its own", newKey: "make a new key in place of one that is lost: set all other encrypted passwords anew then", keyThere: "--new-key is for a key that is lost, and %s is there",
		madeKey: "a new key lies in %s, in place of the one that is lost", others: "%s: the password can't be read any more; set it anew by tributary source password", ask: "New password (not shown)",
		changed: "%s: the new password logs in at %s", kept: "it is kept encrypted in %s", restart: "restart the agent: it reads passwords at its start", remains: "%s still has a password: remove it if nobody else needs it",
	},
	chinese: {
		short: "更换 agent 登录数据源所用的口令",
		long: "询问新口令，用它登录，成功后加密保存在 agent 的 data_dir 中并取代原口令；无法登录时不作任何改变。\n" +
			"密钥位于配置文件 AGENT 旁，或由 systemd 提供（tributary.key）。请先在服务器上更换口令。\n" +
			"配置中写明 password_file 或 password_env 的数据源由其管理者自行更换，除非使用 --seal。\n" +
			"配置所指的密钥文件不存在时不作任何改变，除非使用 --new-key：生成新密钥，其他数据源的加密口令此后无法读取。",
		seal: "把原先放在文件或环境变量中的口令改为加密保存", newKey: "密钥已丢失，生成新密钥；其他加密保存的口令须重新设置", keyThere: "--new-key 用于密钥已丢失的情况，而 %s 仍在",
		madeKey: "已生成新密钥 %s，取代丢失的密钥", others: "%s：其口令已无法读取，请用 tributary source password 重新设置", ask: "新口令（不显示）",
		changed: "%s：新口令可以登录 %s", kept: "口令已加密保存在 %s", restart: "请重新启动 agent：它在启动时读取口令", remains: "%s 中仍有口令：若无他用请删除",
	},
}

// secretsFolder is where encrypted passwords stand, in the agent's data folder.
const secretsFolder = "secrets"

// keyFile gives where the key for an agent's passwords lies, or is to lie: beside the agent's
// file, since a copy of the data folder must not have it. given says that systemd gives it.
func (f *editedAgent) keyFile() (name string, given bool, err error) {
	if name = sealed.Credentials(); name != "" {
		return name, true, nil
	}
	if f.PasswordKey != "" {
		return f.PasswordKey, false, nil
	}
	beside, err := filepath.Abs(f.name)
	f.newKey = beside + ".key"
	return f.newKey, false, err
}

// lostKey gives the name of the key's file if the agent's file names one and it isn't there; what
// was sealed with it can't be read without it. there is its name if it is.
func (f *editedAgent) lostKey() (lost, there string, err error) {
	name, given, err := f.keyFile()
	if err != nil || given {
		return "", name, err
	}
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		return "", name, nil // one that can't be read is told by whoever reads it
	}
	if f.newKey != "" {
		return "", "", nil
	}
	return name, "", nil
}

// keyOf gives the key, and makes the first one. One that is lost is made anew only by order.
func (f *editedAgent) keyOf(replace bool) (*sealed.Key, error) {
	lost, there, err := f.lostKey()
	if err != nil {
		return nil, err
	}
	if lost != "" && !replace {
		return nil, &problem{code: "PASSWORD_KEY_GONE", words: lost, class: errUsage}
	}
	name := cmp.Or(there, lost, f.newKey)
	if there == "" {
		text, err := sealed.NewKey()
		if err == nil {
			err = authority.WriteNew(name, text)
		}
		if err == nil {
			f.madeKey = name
			err = owned(name, f.DataDir)
		}
		if err != nil {
			return nil, &problem{code: "FILE_NOT_WRITTEN", words: err.Error()}
		}
	}
	key, err := sealed.ReadKey(name)
	if err != nil {
		return nil, &problem{code: "PASSWORD_KEY_FILE", words: err.Error(), class: errUsage}
	}
	return key, nil
}

// sealedFile is where the password of a source of the file is kept.
func (f *editedAgent) sealedFile(source string) string {
	return filepath.Join(f.DataDir, secretsFolder, source+".sealed")
}

// seal writes a password to a file of its own, encrypted. The file must not be there. replace
// makes a key that is lost anew.
func (f *editedAgent) seal(file, source, password string, replace bool) error {
	dir := filepath.Dir(file)
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = owned(dir, f.DataDir)
	}
	if err != nil {
		return &problem{code: "FILE_NOT_WRITTEN", words: err.Error()}
	}
	key, err := f.keyOf(replace)
	if err != nil {
		return err
	}
	text, err := key.Seal(source, password)
	if err != nil {
		return err
	}
	if err = authority.WriteNew(file, text); err == nil {
		err = owned(file, f.DataDir)
	}
	if err != nil {
		return &problem{code: "FILE_NOT_WRITTEN", words: err.Error()}
	}
	return nil
}

// owned gives what root has written to the owner of another file or folder: the agent doesn't
// run as root and must read it.
func owned(name, as string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(as)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return os.Chown(name, int(st.Uid), int(st.Gid))
}

func passwordCommand(usage catalogue, lang language) *cobra.Command {
	say := passwordTexts[lang]
	c := &cobra.Command{Use: "password AGENT SOURCE", Short: say.short, Long: say.long, Args: usage.takes("AGENT", "SOURCE"),
		Example: "tributary source password agent.yml xueji\ntributary source password agent.yml xueji --password-file new.password"}
	given := c.Flags().String("password-file", "", addTexts[lang].passwordFile)
	seal := c.Flags().Bool("seal", false, say.seal)
	newKey := c.Flags().Bool("new-key", false, say.newKey)
	c.RunE = func(c *cobra.Command, args []string) error {
		var agent config.Agent
		if err := config.Load(args[0], &agent); err != nil {
			return err
		}
		s, err := usage.sourceOf(c, &agent, args[1])
		if err != nil {
			return err
		}
		if s.Sealed == "" && !*seal {
			return &problem{code: "PASSWORD_ELSEWHERE", words: s.File + s.Env}
		}
		file, err := openEdited(args[0])
		if err != nil {
			return err
		}
		lost, there, err := file.lostKey() // told before anything is asked
		switch {
		case err != nil:
			return err
		case lost != "" && !*newKey:
			return &problem{code: "PASSWORD_KEY_GONE", words: lost, class: errUsage}
		case *newKey && there != "":
			return wrongUsage(c, "USAGE_FLAG", say.keyThere, there)
		}
		usage.printWarnings(c, lang, agent.KeyWarnings())
		var password string
		if *given != "" {
			password, err = config.Secret{File: *given}.Read()
		} else {
			password, err = newQuestions(c.InOrStdin(), c.ErrOrStderr(), "").secret(c.Context(), say.ask)
		}
		if errors.Is(err, errNoAnswer) {
			return wrongUsage(c, "USAGE_FLAG", "%s", addTexts[lang].unanswered)
		} else if err != nil {
			return err
		}
		return say.change(c, lang, file, &agent, *s, password)
	}
	return c
}

// sourceOf gives a source of an agent's file by its name or its id.
func (say catalogue) sourceOf(c *cobra.Command, agent *config.Agent, name string) (*config.Source, error) {
	var known []string
	for i, s := range agent.Sources {
		if s.Name == name || agent.Org+"-"+s.Name == name {
			return &agent.Sources[i], nil
		}
		known = append(known, s.Name)
	}
	return nil, say.oneOf(c, "SOURCE", name, known...)
}

// change logs in with a new password, and then keeps it.
func (say passwordText) change(c *cobra.Command, lang language, file *editedAgent, agent *config.Agent, s config.Source, password string) (err error) {
	kept, before := file.sealedFile(s.Name), s
	if s.Sealed != "" {
		kept = s.Sealed
	}
	next := kept + ".next"
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) { // of a try that was cut off
		return &problem{code: "FILE_NOT_WRITTEN", words: err.Error()}
	}
	lost, _, err := file.lostKey()
	if err != nil {
		return err
	}
	if err := file.seal(next, s.Name, password, true); err != nil { // which was asked for, or no key is lost
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(next))
		}
		if err != nil && file.madeKey != "" {
			err = errors.Join(err, os.Remove(file.madeKey))
		}
	}()
	_, changed, err := file.withSealed(s.Name, next)
	if err != nil {
		return err
	}
	s = changed.Sources[slices.IndexFunc(changed.Sources, func(o config.Source) bool { return o.Name == s.Name })]
	results, err := lookAt(c.Context(), agent, []config.Source{s}, nil, lang)
	if err != nil {
		return err
	}
	if err := results[0].reached(); err != nil {
		return err
	}
	text, _, err := file.withSealed(s.Name, kept)
	if err != nil {
		return err
	}
	if err := os.Rename(next, kept); err != nil {
		return &problem{code: "FILE_NOT_WRITTEN", words: err.Error()}
	}
	if before.Sealed == "" || file.newKey != "" {
		if err := file.write(text); err != nil {
			return err
		}
	}
	said := fmt.Sprintf(say.changed+"\n"+say.kept+"\n", s.Name, oneLine(results[0].Server), kept)
	if lost != "" {
		said += fmt.Sprintf(say.madeKey+"\n", lost)
		for _, other := range agent.Sources {
			if other.Sealed != "" && other.Name != s.Name {
				said += fmt.Sprintf(say.others+"\n", other.Name)
			}
		}
	}
	said += say.restart + "\n"
	if before.File != "" {
		said += fmt.Sprintf(say.remains+"\n", before.File)
	}
	_, err = io.WriteString(c.OutOrStdout(), said)
	return err
}

// withSealed gives the file's text with a source's password in a file that is encrypted.
func (f *editedAgent) withSealed(source, name string) ([]byte, *config.Agent, error) {
	list := f.value("sources")
	if list == nil {
		return f.text()
	}
	for _, s := range list.Content {
		keys := s.Content
		for i := 0; i+1 < len(keys); i += 2 {
			if keys[i].Value != "name" || keys[i+1].Value != source {
				continue
			}
			for j := 0; j+1 < len(keys); j += 2 {
				if slices.Contains([]string{"password_file", "password_env", "password_sealed"}, keys[j].Value) {
					keys[j].Value = "password_sealed"
					keys[j+1] = &yaml.Node{Kind: yaml.ScalarNode, Value: name, Style: yaml.DoubleQuotedStyle}
				}
			}
		}
	}
	return f.text()
}
