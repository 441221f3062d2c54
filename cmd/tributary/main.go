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
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	languages "github.com/tributary-cdc/tributary/cmd/internal/language"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/log"
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
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "tributary:", err)
	code, hint := codeOf(err)
	for _, line := range note(lang, code, "", hint) {
		fmt.Fprintln(stderr, line)
	}
	switch {
	case errors.Is(err, config.ErrInvalid), errors.Is(err, errUsage):
		return exitUsage
	case errors.Is(err, errUnreachable), errors.Is(err, worker.ErrStoreAway), errors.Is(err, log.ErrUnavailable):
		return exitUnreachable
	}
	return exitFailed
}

// codeOf gives an error's stable code and a hint, whichever part it comes from.
func codeOf(err error) (code, hint string) {
	if code := worker.CodeOf(err); code != "" {
		return code, ""
	}
	return capture.CodeOf(err)
}

// errUnreachable: a program that was asked for didn't answer. The output says which.
var errUnreachable = errors.New("unreachable")

var errUsage = errors.New("usage")

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

func command(lang language) *cobra.Command {
	say := texts[lang]
	root := &cobra.Command{Use: "tributary", Short: say.root, SilenceUsage: true, SilenceErrors: true, CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true}}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", errUsage, err) })
	root.PersistentFlags().String("lang", "", say.lang)
	role := func(use, short string, f func(ctx context.Context, file string, out io.Writer, l *slog.Logger) error) {
		c := &cobra.Command{Use: use + " --config FILE", Short: short, Args: cobra.NoArgs}
		file := c.Flags().String("config", "", say.config)
		c.RunE = func(c *cobra.Command, _ []string) error {
			if *file == "" {
				return fmt.Errorf("%w: --config", errUsage)
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
	check := &cobra.Command{Use: "check agent|worker|hub|log|registry FILE", Short: say.check, Args: cobra.ExactArgs(2), RunE: func(c *cobra.Command, args []string) error {
		var into interface{ Check() error }
		switch args[0] {
		case "agent":
			into = &config.Agent{}
		case "worker":
			into = &config.Worker{}
		case "hub":
			into = &config.Hub{}
		case "log":
			into = &config.LogServer{}
		case "registry":
			into = &config.Registry{}
		default:
			return fmt.Errorf("%w: %q", errUsage, args[0])
		}
		if err := config.Load(args[1], into); err != nil {
			return err
		}
		_, err := fmt.Fprintln(c.OutOrStdout(), say.valid)
		return err
	}}
	cfg := &cobra.Command{Use: "config", Short: say.configs}
	cfg.AddCommand(check, &cobra.Command{Use: "example agent|worker|hub|log|registry", Short: say.example, Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		text, err := example(args[0], lang)
		if err == nil {
			_, err = io.WriteString(c.OutOrStdout(), text)
		}
		return err
	}})
	root.AddCommand(cfg, traceCommand(say), statusCommand(say, lang), explainCommand(say, lang), tableCommand(say), &cobra.Command{Use: "version", Short: say.version, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		_, err := fmt.Fprintln(c.OutOrStdout(), "tributary", version)
		return err
	}})
	return root
}

// listen takes the address of the configuration's http, before anything else starts.
func listen(addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("http: %s is in use by another program: give another address, or port 0 for a free one", addr)
	}
	if err != nil {
		return nil, fmt.Errorf("http: %w", err)
	}
	return ln, nil
}

// serve answers h until ctx ends, and logs where.
func serve(ctx context.Context, ln net.Listener, h http.Handler, l *slog.Logger) error {
	l.Info("serving", "url", "http://"+ln.Addr().String())
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("http %s: %w", ln.Addr(), err)
	}
	return nil
}
