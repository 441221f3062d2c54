package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tributary-cdc/tributary/cmd/columns"
)

// help is a command's help: what it does, usage, commands, flags and examples.
func (say catalogue) help(c *cobra.Command) string {
	var b strings.Builder
	text := c.Long
	if text == "" {
		text = c.Short
	}
	section := func(head string, lines [][]string) {
		if len(lines) > 0 {
			b.WriteString("\n" + head + "\n" + columns.Align(lines, nil))
		}
	}
	b.WriteString(text + "\n")
	usage := c.UseLine()
	if c.HasSubCommands() {
		usage = c.CommandPath() + " " + say.verb
	}
	section(say.usageHead, [][]string{{"  " + usage}})
	var lines [][]string
	for _, sub := range c.Commands() {
		if !sub.Hidden {
			lines = append(lines, []string{"  " + sub.Name(), sub.Short})
		}
	}
	section(say.commandsHead, lines)
	section(say.flagsHead, say.flags(c))
	lines = nil
	for line := range strings.Lines(c.Example) {
		lines = append(lines, []string{"  " + strings.TrimSpace(line)})
	}
	section(say.examplesHead, lines)
	if c.HasSubCommands() {
		fmt.Fprintf(&b, "\n"+say.moreHelp+"\n", c.CommandPath())
	}
	return b.String()
}

// flags are a command's own flags and those of all above it.
func (say catalogue) flags(c *cobra.Command) (lines [][]string) {
	line := func(f *pflag.Flag) {
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		value, usage := pflag.UnquoteUsage(f)
		if value != "" {
			name += " " + value
		}
		if f.DefValue != "" && f.DefValue != "false" {
			usage += fmt.Sprintf(say.defaultValue, f.DefValue)
		}
		lines = append(lines, []string{"  " + name, usage})
	}
	c.LocalFlags().VisitAll(line)
	c.InheritedFlags().VisitAll(line)
	return lines
}

// helpCommand shows the help of the command that its arguments name.
func helpCommand(say catalogue) *cobra.Command {
	return &cobra.Command{Use: "help [COMMAND...]", Short: say.helpOf, Example: "tributary help trace\ntributary help table reread", RunE: func(c *cobra.Command, args []string) error {
		of := c.Root()
		for _, name := range args {
			next, rest, err := of.Find([]string{name})
			if err != nil || len(rest) > 0 || next == of {
				return say.unknownVerb(of, name)
			}
			of = next
		}
		_, err := fmt.Fprint(c.OutOrStdout(), say.help(of))
		return err
	}}
}

// completionCommand prints a script that completes commands and flags in a shell.
func completionCommand(say catalogue) *cobra.Command {
	return &cobra.Command{Use: "completion bash|zsh|fish", Short: say.completion, Args: say.takes("bash|zsh|fish"), ValidArgs: []string{"bash", "zsh", "fish"},
		Example: "source <(tributary completion bash)\ntributary completion zsh > ~/.zsh/completions/_tributary",
		RunE: func(c *cobra.Command, args []string) error {
			if err := say.oneOf(c, "SHELL", args[0], c.ValidArgs...); err != nil {
				return err
			}
			switch out := c.OutOrStdout(); args[0] {
			case "bash":
				return c.Root().GenBashCompletionV2(out, true)
			case "zsh":
				return c.Root().GenZshCompletion(out)
			default:
				return c.Root().GenFishCompletion(out, true)
			}
		}}
}
