package main

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/tributary-cdc/tributary/cmd/internal/codes"
)

// tongues are what people may be spoken to in, by their tags.
var tongues = map[string]language{"zh-CN": chinese, "en": english}

// han reports whether a text holds Chinese characters.
func han(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

// walk calls f for a command and all below it.
func walk(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		walk(sub, f)
	}
}

// words are the arguments that lead to a command.
func words(c *cobra.Command) []string { return strings.Fields(c.CommandPath())[1:] }

// TestHelp walks the whole tree: each command has help in either language with nothing
// of the other one in it, and at least two examples that can be run as they stand.
func TestHelp(t *testing.T) {
	seen := 0
	for tag, lang := range tongues {
		walk(command(lang), func(c *cobra.Command) {
			seen++
			for _, args := range [][]string{append(words(c), "--help"), append([]string{"help"}, words(c)...)} {
				code, out, errs := call(append(args, "--lang", tag)...)
				if code != 0 || errs != "" {
					t.Fatalf("%v: exit %d, %s", args, code, errs)
				}
				checkHelp(t, lang, c, out)
			}
			if n := strings.Count(c.Example, "\n") + 1; n < 2 {
				t.Errorf("%s has %d examples", c.CommandPath(), n)
			}
			for line := range strings.Lines(c.Example) {
				checkExample(t, lang, strings.TrimSpace(line))
			}
		})
	}
	if seen < 30 {
		t.Errorf("only %d commands", seen)
	}
}

// checkHelp looks at each line of a help but those of usage and examples, which are
// the same in all tongues.
func checkHelp(t *testing.T, lang language, c *cobra.Command, text string) {
	t.Helper()
	say, commands := texts[lang], false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case line == "":
		case !strings.HasPrefix(line, " "):
			commands = line == say.usageHead || line == say.examplesHead
			fallthrough
		case !commands:
			if han(line) != (lang == chinese) {
				t.Errorf("%s: %q is in the wrong language", c.CommandPath(), line)
			}
		}
	}
	if bad := regexp.MustCompile(`Available Commands|Global Flags|help for|Additional help|\[flags\]|\[command\]`).FindString(text); bad != "" {
		t.Errorf("%s: the help has %q", c.CommandPath(), bad)
	}
	if lang == chinese {
		if bad := regexp.MustCompile(`(Usage|Flags|Commands|Examples):|\(default`).FindString(text); bad != "" {
			t.Errorf("%s: the Chinese help has %q", c.CommandPath(), bad)
		}
	}
	if !strings.Contains(text, say.usageHead) || !strings.Contains(text, say.flagsHead) || !strings.Contains(text, say.examplesHead) {
		t.Errorf("%s: the help lacks a part:\n%s", c.CommandPath(), text)
	}
}

// checkExample reads an example's command line, without running it.
func checkExample(t *testing.T, lang language, line string) {
	t.Helper()
	line, _, _ = strings.Cut(line, " > ")
	line = strings.TrimSuffix(strings.TrimPrefix(line, "source <("), ")")
	fields := strings.Fields(line)
	if len(fields) < 2 || fields[0] != "tributary" {
		t.Errorf("%q isn't an example", line)
		return
	}
	c, rest, err := command(lang).Find(fields[1:])
	if err == nil {
		err = c.ParseFlags(rest)
	}
	if err == nil {
		err = c.ValidateArgs(c.Flags().Args())
	}
	if err != nil || !c.HasParent() || c.HasSubCommands() {
		t.Errorf("%q can't be run: %v", line, err)
	}
}

// TestUsageErrors walks the whole tree with what can be wrong with any command line.
func TestUsageErrors(t *testing.T) {
	for tag, lang := range tongues {
		refused := func(want string, args ...string) {
			t.Helper()
			usageError(t, lang, want, append([]string{"--lang", tag}, args...)...)
		}
		walk(command(lang), func(c *cobra.Command) {
			path := words(c)
			with := func(args ...string) []string { return append(slices.Clone(path), args...) }
			if c.HasSubCommands() {
				refused("USAGE_COMMAND", with("nosuch")...)
				refused("USAGE_COMMAND", with("nosuch", "--flag", "x")...)
				if c.HasParent() {
					refused("USAGE_ARGUMENTS", path...)
				}
				return
			}
			refused("USAGE_FLAG", with("--nosuch")...)
			refused("USAGE_FLAG", with("-x")...)
			refused("USAGE_FLAG", with("--lang")...)
			needed := regexp.MustCompile(` [A-Za-z|]+`).FindAllString(strings.Split(c.Use, " --")[0], -1)
			if len(needed) > 0 {
				refused("USAGE_ARGUMENTS", path...)
			}
			if !strings.Contains(c.Use, "...") {
				refused("USAGE_ARGUMENTS", with(slices.Repeat([]string{"x"}, 4)...)...)
			}
		})
	}
}

// TestUsageErrorsNameTheNearest: who mistypes is told the word that was meant.
func TestUsageErrorsNameTheNearest(t *testing.T) {
	for tag, lang := range tongues {
		for _, tt := range []struct{ args, code, near string }{
			{"agnet --config x", "USAGE_COMMAND", `"agent"`},
			{"table rereed a b", "USAGE_COMMAND", `"reread"`},
			{"help agnet", "USAGE_COMMAND", `"agent"`},
			{"help table rereed", "USAGE_COMMAND", `"reread"`},
			{"agent", "USAGE_FLAG", "--config"},
			{"agent --cnfig x", "USAGE_FLAG", "--config"},
			{"config check agnet x", "USAGE_VALUE", "agent"},
			{"config example relay", "USAGE_VALUE", "agent, worker, hub, log, registry"},
			{"completion bsh", "USAGE_VALUE", "bash"},
			{"status http://127.0.0.1:1 --output jsn", "USAGE_VALUE", "json"},
			{"trace a b c --output jsn", "USAGE_VALUE", "json"},
			{"explain pg_wal_levl", "USAGE_VALUE", "PG_WAL_LEVEL"},
			{"status 127.0.0.1:1", "USAGE_VALUE", "http://"},
			{"table pause a b --agent 127.0.0.1:1", "USAGE_VALUE", "--agent"},
			{"version --help=perhaps", "USAGE_VALUE", "--help"},
			{"version --=x", "USAGE_FLAG", "--=x"},
		} {
			if errs := usageError(t, lang, tt.code, append(strings.Fields(tt.args), "--lang", tag)...); !strings.Contains(errs, tt.near) {
				t.Errorf("%s doesn't name %s:\n%s", tt.args, tt.near, errs)
			}
		}
	}
	if errs := usageError(t, english, "USAGE_VALUE", "version", "--lang", "fr"); !strings.Contains(errs, "zh-CN, en") {
		t.Errorf("%s", errs)
	}
}

// usageError runs a command line that can't be, and gives what is said about it.
func usageError(t *testing.T, lang language, want string, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(args, &out, &errs)
	if code != exitUsage || out.Len() > 0 || !strings.HasPrefix(errs.String(), "tributary: ["+want+"] ") || han(errs.String()) != (lang == chinese) {
		t.Errorf("%v: exit %d, %q, %s; want %s", args, code, out.String(), errs.String(), want)
	}
	if what, _ := codes.Explain(want, lang); what == "" {
		t.Errorf("%s isn't explained", want)
	}
	return errs.String()
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if code, out, errs := call("completion", shell); code != 0 || !strings.Contains(out, "tributary") || errs != "" {
			t.Errorf("%s: exit %d, %s", shell, code, errs)
		}
	}
	for args, want := range map[string]string{"ag": "agent", "config check wo": "worker", "explain PG_W": "PG_WAL_LEVEL"} {
		code, out, _ := call(append([]string{"__complete"}, strings.Fields(args)...)...)
		if code != 0 || !strings.HasPrefix(out, want) {
			t.Errorf("%s: exit %d, %q", args, code, out)
		}
	}
}
