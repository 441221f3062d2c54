package main

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tributary-cdc/tributary/cmd/internal/nearest"
)

// wrongUsage makes the error of a command line.
func wrongUsage(c *cobra.Command, code, format string, args ...any) error {
	return &problem{code: code, text: fmt.Sprintf(format, args...), help: c.CommandPath(), class: errUsage}
}

// oneOf refuses a value of an argument or a flag that isn't among the known ones, and
// names the nearest.
func (say catalogue) oneOf(c *cobra.Command, what, value string, known ...string) error {
	if slices.Contains(known, value) {
		return nil
	}
	return wrongUsage(c, "USAGE_VALUE", say.wrongValue, what, value, strings.Join(known, ", "), nearest.Of(value, known...))
}

// address refuses what isn't an address of http.
func (say catalogue) address(c *cobra.Command, what, value string) error {
	if u, err := url.Parse(value); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return wrongUsage(c, "USAGE_VALUE", say.notAddress, what, value)
	}
	return nil
}

// takes says which arguments a command needs, by their names. The last one may end
// with "..." and come several times, or stand in brackets and be left out.
func (say catalogue) takes(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		for i, name := range names {
			if i >= len(args) && !strings.HasPrefix(name, "[") {
				return wrongUsage(c, "USAGE_ARGUMENTS", say.missingArgument, strings.TrimSuffix(name, "..."))
			}
		}
		if len(args) > len(names) && (len(names) == 0 || !strings.HasSuffix(names[len(names)-1], "...")) {
			return wrongUsage(c, "USAGE_ARGUMENTS", say.extraArgument, args[len(names)])
		}
		return nil
	}
}

// verbs gives the names of a command's visible commands.
func verbs(c *cobra.Command) (names []string) {
	for _, sub := range c.Commands() {
		if !sub.Hidden {
			names = append(names, sub.Name())
		}
	}
	return names
}

// group makes a command whose commands do something, not it itself.
func (say catalogue) group(c *cobra.Command) *cobra.Command {
	c.RunE = func(c *cobra.Command, _ []string) error {
		return wrongUsage(c, "USAGE_ARGUMENTS", say.missingVerb, strings.Join(verbs(c), ", "))
	}
	return c
}

// wrongCommand looks for a word in a command's place that is none, before flags are
// read: they may be those of the command that was meant.
func (say catalogue) wrongCommand(root *cobra.Command, args []string) error {
	c, rest, _ := root.Find(args) // what it finds wrong is what the loop looks for
	if !c.HasSubCommands() || len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		return nil
	}
	for i := 0; i < len(rest); i++ {
		name, isFlag := strings.CutPrefix(rest[i], "-")
		if !isFlag {
			return say.unknownVerb(c, rest[i])
		}
		f := c.Flags().Lookup(strings.TrimPrefix(name, "-"))
		if f == nil {
			f = c.InheritedFlags().Lookup(strings.TrimPrefix(name, "-"))
		}
		if f == nil {
			f = c.PersistentFlags().Lookup(strings.TrimPrefix(name, "-"))
		}
		if f != nil && f.NoOptDefVal == "" {
			i++ // its value
		}
	}
	return nil
}

func (say catalogue) unknownVerb(c *cobra.Command, verb string) error {
	return wrongUsage(c, "USAGE_COMMAND", say.unknownCommand, verb, nearest.Of(verb, verbs(c)...))
}

// wrongFlag tells what is wrong with a flag.
func (say catalogue) wrongFlag(c *cobra.Command, err error) error {
	if p, ok := errors.AsType[*problem](err); ok { // a value that says itself what is wrong
		p.help = c.CommandPath()
		return p
	}
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		var known []string
		c.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, "--"+f.Name) })
		name := "--" + unknown.GetSpecifiedName()
		if short := unknown.GetSpecifiedShortnames(); short != "" {
			name = "-" + short
		}
		return wrongUsage(c, "USAGE_FLAG", say.unknownFlag, name, nearest.Of(name, known...))
	}
	if bare, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return wrongUsage(c, "USAGE_FLAG", say.flagWithoutValue, bare.GetSpecifiedName())
	}
	if value, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return wrongUsage(c, "USAGE_VALUE", say.wrongFlagValue, value.GetFlag().Name, value.GetValue(), value.GetFlag().Value.Type())
	}
	if bad, ok := errors.AsType[*pflag.InvalidSyntaxError](err); ok {
		return wrongUsage(c, "USAGE_FLAG", say.badFlag, bad.GetSpecifiedFlag())
	}
	return wrongUsage(c, "USAGE_FLAG", "%v", err)
}

// tongue is the value of --lang. What it holds has been found before flags are read.
type tongue struct {
	say  catalogue
	text string
}

// String implements pflag.Value.
func (t *tongue) String() string { return t.text }

// Type implements pflag.Value.
func (t *tongue) Type() string { return "LANG" }

// Set implements pflag.Value.
func (t *tongue) Set(v string) error {
	low := strings.ToLower(v)
	for _, known := range []string{"zh", "en"} {
		if low == known || strings.HasPrefix(low, known+"-") || strings.HasPrefix(low, known+"_") {
			t.text = v
			return nil
		}
	}
	return &problem{code: "USAGE_VALUE", text: fmt.Sprintf(t.say.wrongValue, "--lang", v, "zh-CN, en", nearest.Of(v, "zh-CN", "en")), class: errUsage}
}
