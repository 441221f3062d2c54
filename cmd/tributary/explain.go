package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tributary-cdc/tributary/cmd/internal/codes"
)

// explain gives a code's text in a language, empty for an unknown code.
func explain(code string, lang language) string {
	what, do := codes.Explain(code, lang)
	switch {
	case what == "":
		return ""
	case lang == chinese:
		return what + "。处理：" + do
	}
	return what + ". To do: " + do
}

func explainCommand(say catalogue, lang language) *cobra.Command {
	return &cobra.Command{Use: "explain [CODE]", Short: say.explain, Args: cobra.MaximumNArgs(1), RunE: func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			for _, code := range codes.All() {
				if _, err := fmt.Fprintf(c.OutOrStdout(), "%-20s %s\n", code, explain(code, lang)); err != nil {
					return err
				}
			}
			return nil
		}
		text := explain(args[0], lang)
		if text == "" {
			return fmt.Errorf("%w: %s", errUsage, args[0])
		}
		_, err := fmt.Fprintln(c.OutOrStdout(), text)
		return err
	}}
}
