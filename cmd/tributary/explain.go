package main

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tributary-cdc/tributary/cmd/columns"
	"github.com/tributary-cdc/tributary/cmd/internal/codes"
	"github.com/tributary-cdc/tributary/cmd/internal/nearest"
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
	return &cobra.Command{Use: "explain [CODE]", Short: say.explain, Args: say.takes("[CODE]"), ValidArgs: codes.All(), Example: "tributary explain PG_WAL_LEVEL\ntributary explain --lang zh-CN",
		RunE: func(c *cobra.Command, args []string) error {
			lines := [][]string{}
			if len(args) == 0 {
				for _, code := range codes.All() {
					lines = append(lines, []string{code, explain(code, lang)})
				}
			} else {
				code := strings.ToUpper(args[0])
				text := explain(code, lang)
				if text == "" {
					return wrongUsage(c, "USAGE_VALUE", say.unknownCode, args[0], nearest.Of(code, codes.All()...))
				}
				lines = append(lines, []string{text})
			}
			_, err := io.WriteString(c.OutOrStdout(), columns.Align(lines, nil))
			return err
		}}
}
