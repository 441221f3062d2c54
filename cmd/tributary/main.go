// Command tributary is the whole system in one program: the agent beside the
// sources, the worker beside a store, the hub with its page, and the embedded log.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tributary-cdc/tributary/cmd/internal/codes"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	languages "github.com/tributary-cdc/tributary/cmd/internal/language"
)

// version is set by the linker for a release.
var version = "development"

// Exit codes.
const (
	exitFailed      = 1 // also: what was asked about needs a person, or isn't there
	exitUsage       = 2
	exitUnreachable = 3 // of a program, the log or the store
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-signals
		cancel()
		if s, ok := (<-signals).(syscall.Signal); ok {
			os.Exit(128 + int(s)) // asked twice: at once
		}
	}()
	lang := speaks(args, os.Getenv("LANG"))
	root := command(lang)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := texts[lang].wrongCommand(root, args)
	if err == nil {
		err = root.ExecuteContext(ctx)
	}
	if err == nil {
		return 0
	}
	printError(stderr, lang, err)
	return exitOf(err)
}

// speaks picks the language: --lang before LANG, Chinese where either says zh.
func speaks(args []string, env string) language {
	lang := env
	for i, a := range args {
		if v, ok := strings.CutPrefix(a, "--lang="); ok {
			lang = v
		} else if a == "--lang" && i+1 < len(args) {
			lang = args[i+1]
		}
	}
	return languages.Of(lang)
}

// roles are the programs that have a configuration file.
var roles = []string{"agent", "worker", "hub", "log", "registry"}

// command makes the whole tree, in a language.
func command(lang language) *cobra.Command {
	say := texts[lang]
	root := &cobra.Command{Use: "tributary", Short: say.root, SilenceUsage: true, SilenceErrors: true, CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Example: "tributary config example agent > agent.yml\ntributary agent --config agent.yml\ntributary status http://127.0.0.1:8061",
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() }}
	root.SetFlagErrorFunc(say.wrongFlag)
	root.SetHelpFunc(func(c *cobra.Command, _ []string) { _, _ = io.WriteString(c.OutOrStdout(), say.help(c)) }) // nobody may be left to read it
	root.SetHelpCommand(helpCommand(say))
	root.PersistentFlags().Var(&tongue{say: say}, "lang", say.lang)
	root.PersistentFlags().BoolP("help", "h", false, say.helpFlag)
	role := func(name, short string, f func(ctx context.Context, file string, out io.Writer, l *slog.Logger) error) {
		c := &cobra.Command{Use: name + " --config FILE", Short: short, Args: say.takes(), Example: "tributary " + name + " --config " + name + ".yml\ntributary config check " + name + ".yml"}
		file := c.Flags().String("config", "", say.config)
		c.RunE = func(c *cobra.Command, _ []string) error {
			if *file == "" {
				return wrongUsage(c, "USAGE_FLAG", say.missingFlag, "--config FILE")
			}
			return f(c.Context(), *file, c.OutOrStdout(), slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil)))
		}
		root.AddCommand(c)
	}
	role("agent", say.agent, runAgent)
	role("worker", say.worker, runWorker)
	role("hub", say.hub, runHub)
	role("log", say.log, runLog)
	role("registry", say.registry, runRegistry)
	root.AddCommand(configCommand(say, lang), traceCommand(say, lang), statusCommand(say, lang), explainCommand(say, lang), tableCommand(say), gapCommand(say), preflightCommand(say, lang), verifyCommand(say, lang), completionCommand(say),
		orgCommand(say, lang), consumerCommand(say, lang), joinCommand(say, lang), sourceCommand(say, lang), certificateCommand(say, lang),
		&cobra.Command{Use: "version", Short: say.version, Args: say.takes(), Example: "tributary version\ntributary version --lang en", RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), "tributary", version)
			return err
		}})
	root.InitDefaultHelpCmd()
	plain(root)
	return root
}

// plain takes "[flags]" from all usage lines: the flags are listed below.
func plain(c *cobra.Command) {
	c.DisableFlagsInUseLine = true
	for _, sub := range c.Commands() {
		plain(sub)
	}
}

func configCommand(say catalogue, lang language) *cobra.Command {
	all := strings.Join(roles, "|")
	c := say.group(&cobra.Command{Use: "config", Short: say.configs, Example: "tributary config example worker > worker.yml\ntributary config check worker.yml"})
	c.AddCommand(&cobra.Command{Use: "check [" + all + "] FILE", Short: say.check, Long: say.checkLong, ValidArgs: roles,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) == 1 && !slices.Contains(roles, args[0]) {
				return say.takes("FILE")(c, args)
			}
			return say.takes(all, "FILE")(c, args)
		},
		Example: "tributary config check agent.yml\ntributary config check worker worker.yml --lang zh-CN",
		RunE: func(c *cobra.Command, args []string) error {
			file, valid := args[len(args)-1], say.valid
			role, err := args[0], error(nil)
			if len(args) == 1 {
				if role, err = config.RoleOf(file); err != nil {
					return err
				}
				if role == "" {
					return wrongUsage(c, "USAGE_ARGUMENTS", say.missingArgument, all)
				}
				valid = fmt.Sprintf(say.validAs, role)
			}
			if err := say.oneOf(c, "ROLE", role, roles...); err != nil {
				return err
			}
			into := map[string]interface{ Check() error }{"agent": &config.Agent{}, "worker": &config.Worker{}, "hub": &config.Hub{}, "log": &config.LogServer{}, "registry": &config.Registry{}}[role]
			if err := config.Load(file, into); err != nil {
				return err
			}
			if w, ok := into.(warner); ok {
				say.printWarnings(c, lang, w.Warnings())
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), valid)
			return err
		}}, &cobra.Command{Use: "example " + all, Short: say.example, Args: say.takes(all), ValidArgs: roles,
		Example: "tributary config example agent\ntributary config example worker --lang zh-CN > worker.yml",
		RunE: func(c *cobra.Command, args []string) error {
			if err := say.oneOf(c, "ROLE", args[0], roles...); err != nil {
				return err
			}
			text, err := example(args[0], lang)
			if err == nil {
				_, err = io.WriteString(c.OutOrStdout(), text)
			}
			return err
		}})
	return c
}

// warner is a configuration that may be valid and yet not wise.
type warner interface{ Warnings() []*config.Finding }

// printWarnings tells it on the error output.
func (say catalogue) printWarnings(c *cobra.Command, lang language, found []*config.Finding) {
	for _, f := range found {
		_, do := codes.Explain(f.Code, lang)
		_, _ = fmt.Fprintf(c.ErrOrStderr(), "[%s] %s\n  %s%s\n", f.Code, f.In(lang), say.toDo, do) // nobody may be left to read it
	}
}

// warned logs what is valid and yet not wise.
func warned(c warner, l *slog.Logger) {
	for _, f := range c.Warnings() {
		l.Warn("configuration", "code", f.Code, "finding", f.Error())
	}
}

// listen takes the address of the configuration's http, before anything else starts.
func listen(addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("http: %s is in use by another program: give another address, or port 0 for a free one: %w", addr, syscall.EADDRINUSE)
	}
	if err != nil {
		return nil, fmt.Errorf("http: %w", err)
	}
	return ln, nil
}

// serve answers h until ctx ends, and logs where.
func serve(ctx context.Context, ln net.Listener, h http.Handler, l *slog.Logger) error {
	l.Info("serving", "url", "http://"+ln.Addr().String())
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("http %s: %w", ln.Addr(), err)
	}
	return nil
}
