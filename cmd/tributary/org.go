package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tributary-cdc/tributary/cmd/columns"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/schema/catalog"
	"github.com/tributary-cdc/tributary/sinks/postgres"
)

// orgText is every text of `tributary org`.
type orgText struct {
	group, imports, importLong, list, example, config, done, made, noState, format string
}

var orgTexts = map[language]orgText{
	english: {
		group: "keep the tree of orgs", imports: "add and change orgs from a file", list: "print the tree of orgs", example: "print a file of orgs to begin with", config: "the hub's configuration `FILE`",
		importLong: "Adds and changes orgs from a CSV file with the columns code, parent, name, kind, or from a YAML list with\n" +
			"these keys (FILE ends with .yml or .yaml). UTF-8, with or without a byte order mark. Kinds: province, city,\n" +
			"district, zone, school. A zone may do without a code and gets one from its parent and its name.\n" +
			"All of the file or nothing; the same file again changes nothing; no org is removed.",
		done: "added %d, changed %d, same %d", made: "code of %s: %s", noState: "the hub's file has no database to keep orgs in: state", format: "`FORMAT` of the result: table or json",
	},
	chinese: {
		group: "维护机构树", imports: "从文件新增、修改机构", list: "输出机构树", example: "输出一份可供修改的机构文件", config: "hub 的配置文件 `FILE`",
		importLong: "从 CSV 文件（列：代码,上级,名称,类型，或 code,parent,name,kind）或同样键的 YAML 列表（文件名以\n" +
			".yml 或 .yaml 结尾）新增、修改机构。文件为 UTF-8，有无 BOM 均可。类型：省、市、区县、功能区、学校。\n" +
			"功能区可以没有代码，程序按其上级和名称生成。\n" +
			"要么全部生效，要么都不生效；重复导入同一文件不改变任何内容；不会删除机构。",
		done: "新增 %d，修改 %d，未变 %d", made: "%s 的代码：%s", noState: "hub 的配置文件没有指定保存机构的数据库：state", format: "结果的格式 `FORMAT`：table（表格）或 json",
	},
}

func orgCommand(usage catalogue, lang language) *cobra.Command {
	say := orgTexts[lang]
	root := usage.group(&cobra.Command{Use: "org", Short: say.group, Example: "tributary org example > orgs.csv\ntributary org import orgs.csv --config hub.yml"})
	imports := &cobra.Command{Use: "import FILE --config FILE", Short: say.imports, Long: say.importLong, Args: usage.takes("FILE"),
		Example: "tributary org import orgs.csv --config hub.yml\ntributary org import orgs.yml --config hub.yml --output json"}
	list := &cobra.Command{Use: "list --config FILE", Short: say.list, Args: usage.takes(), Example: "tributary org list --config hub.yml\ntributary org list --config hub.yml --output json"}
	for _, c := range []*cobra.Command{imports, list} {
		file := c.Flags().String("config", "", say.config)
		format := c.Flags().String("output", "table", say.format)
		c.RunE = func(c *cobra.Command, args []string) error {
			if err := usage.oneOf(c, "--output", *format, outputs...); err != nil {
				return err
			}
			if *file == "" {
				return wrongUsage(c, "USAGE_FLAG", usage.missingFlag, "--config FILE")
			}
			return withState(c.Context(), *file, say.noState, func(s *state.State) error {
				if len(args) == 0 {
					return say.listOrgs(c.Context(), c.OutOrStdout(), s, *format)
				}
				return say.importOrgs(c.Context(), c.OutOrStdout(), s, args[0], *format)
			})
		}
	}
	root.AddCommand(imports, list, &cobra.Command{Use: "example", Short: say.example, Args: usage.takes(), Example: "tributary org example\ntributary org example > orgs.csv",
		RunE: func(c *cobra.Command, _ []string) error {
			b, err := examples.ReadFile("examples/orgs.csv")
			if err == nil {
				_, err = c.OutOrStdout().Write(b)
			}
			return err
		}})
	return root
}

// openState opens the state of a hub whose file has one.
func openState(ctx context.Context, c *config.Hub) (*state.State, error) {
	password, err := c.State.Read()
	if err != nil {
		return nil, err
	}
	conn, err := postgres.Connection(postgres.Options{Host: c.State.Host, Port: c.State.Port, Database: c.State.Database, User: c.State.User, Password: password, TLS: c.State.TLS.Peer()})
	if err != nil {
		return nil, err
	}
	s, err := shifts(c)
	if err != nil {
		return nil, err
	}
	return state.Open(ctx, state.Options{Config: conn, TLS: c.State.TLS.Peer(), Zone: s.Zone, Lingers: c.Alarms.Calm})
}

// withState lends the state of the hub of a configuration file.
func withState(ctx context.Context, file, noState string, f func(*state.State) error) error {
	var c config.Hub
	if err := config.Load(file, &c); err != nil {
		return err
	}
	if c.State == nil {
		return &problem{code: "CONFIG_MISSING", text: noState, class: errUsage}
	}
	s, err := openState(ctx, &c)
	if err != nil {
		return err
	}
	defer s.Close()
	return f(s)
}

// maxOrgFile bounds a file of orgs, in bytes.
const maxOrgFile = 16 << 20

func (say orgText) importOrgs(ctx context.Context, out io.Writer, s *state.State, name, format string) error {
	f, err := os.Open(name)
	if err != nil {
		return &problem{code: "CONFIG_FILE", words: err.Error(), class: errUsage}
	}
	defer func() { _ = f.Close() }() // read only
	b, err := io.ReadAll(io.LimitReader(f, maxOrgFile+1))
	if err != nil {
		return &problem{code: "CONFIG_FILE", words: err.Error(), class: errUsage}
	}
	if len(b) > maxOrgFile {
		return refusal.New(refusal.Invalid, "INPUT_TOO_LARGE", "%s: > %d MiB", name, maxOrgFile>>20)
	}
	entries, problems := catalog.ParseFile(b, slices.Contains([]string{".yml", ".yaml"}, strings.ToLower(filepath.Ext(name))))
	if len(problems) > 0 {
		return &refusal.Refusal{Kind: refusal.Invalid, Code: "ORG_FILE_INVALID", Detail: name, Problems: problems}
	}
	done, err := s.Import(ctx, commandLine(), entries)
	if err != nil {
		return err
	}
	if format == "json" {
		return printJSON(out, done)
	}
	lines := []string{fmt.Sprintf(say.done, done.Added, done.Changed, done.Same)}
	for _, o := range done.Made {
		lines = append(lines, fmt.Sprintf(say.made, o.Name, o.Code))
	}
	_, err = fmt.Fprintln(out, strings.Join(lines, "\n"))
	return err
}

// commandLine is who uses the program on the hub's machine, for the audit.
func commandLine() state.By {
	name := fmt.Sprint(os.Getuid())
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return state.By{Name: "command line: " + name}
}

func (say orgText) listOrgs(ctx context.Context, out io.Writer, s *state.State, format string) error {
	orgs, err := s.Orgs(ctx, []string{""})
	if err != nil {
		return err
	}
	if format == "json" {
		return printJSON(out, orgs)
	}
	var lines [][]string
	for _, o := range orgs {
		lines = append(lines, []string{strings.Repeat("  ", o.Depth()) + o.Code, o.Name, string(o.Kind)})
	}
	_, err = io.WriteString(out, columns.Align(lines, nil))
	return err
}
