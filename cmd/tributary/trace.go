package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tributary-cdc/tributary/cmd/columns"
	"github.com/tributary-cdc/tributary/cmd/internal/codes"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/sinks/postgres"
)

// outputs are the values of --output.
var outputs = []string{"table", "json"}

func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(map[string]any{"data": v})
}

func traceCommand(say catalogue, lang language) *cobra.Command {
	c := &cobra.Command{Use: "trace STORE TABLE KEY...", Short: say.trace, Long: say.traceLong, Args: say.takes("STORE", "TABLE", "KEY", "[KEY]..."),
		Example: "tributary trace worker.yml student 4711\ntributary trace worker.yml score 4711 2 --output json"}
	format := c.Flags().String("output", "table", say.output)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := say.oneOf(c, "--output", *format, outputs...); err != nil {
			return err
		}
		var file config.Worker
		if err := config.Load(args[0], &file); err != nil {
			return err
		}
		store, err := newStore(file.Store)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(c.Context(), 30*time.Second)
		defer cancel()
		found, err := store.Trace(ctx, args[1], args[2:])
		err = errors.Join(err, store.Close())
		if errors.Is(err, postgres.ErrKeyValues) {
			return &problem{code: "USAGE_VALUE", words: err.Error(), help: c.CommandPath(), class: errUsage}
		}
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return &problem{code: "ROW_NOT_FOUND", text: fmt.Sprintf(say.noRow, args[1], strings.Join(args[2:], " "))}
		}
		if *format == "json" {
			return printJSON(c.OutOrStdout(), found)
		}
		for i := range found {
			if err := printTrace(c.OutOrStdout(), say, lang, &found[i]); err != nil {
				return err
			}
		}
		return nil
	}
	return c
}

func printTrace(out io.Writer, say catalogue, lang language, t *postgres.Trace) error {
	var lines [][]string
	line := func(name string, v any) { lines = append(lines, []string{name, fmt.Sprint(v)}) }
	line(say.fieldRow, string(t.Row))
	line(say.fieldSource, t.Source)
	line(say.fieldPosition, t.Position.String())
	line(say.fieldOp, fmt.Sprintf("%s (%s)", codes.Operation(t.Op, lang), t.Op))
	line(say.fieldCommitted, t.Committed.Format(time.RFC3339Nano))
	line(say.fieldApplied, fmt.Sprintf("%s (+%s)", t.Applied.Format(time.RFC3339Nano), t.Applied.Sub(t.Committed).Round(time.Millisecond)))
	line(say.fieldBatch, fmt.Sprintf(say.batchText, t.Batch.ID, t.Batch.Worker, t.Batch.Fence, t.Batch.From, t.Batch.To))
	line(say.fieldLog, fmt.Sprintf(say.logText, t.Batch.Partition, t.Batch.First, t.Batch.Last))
	if len(t.Batch.Hops) > 0 {
		line(say.fieldHops, strings.Join(t.Batch.Hops, " → "))
	}
	line(say.fieldProof, t.Command())
	_, err := io.WriteString(out, columns.Align(lines, nil))
	return err
}

func newStore(s config.StoreDB) (*postgres.Store, error) {
	password, err := s.Secret.Read()
	if err != nil {
		return nil, err
	}
	target, datasets := s.Layouts()
	return postgres.New(postgres.Options{Host: s.Host, Port: s.Port, Database: s.Database, User: s.User, Password: password, Schema: s.Schema, TLS: s.TLS.Peer(),
		Target: target, Datasets: datasets, Evolution: postgres.Evolution(s.Evolution), Evolutions: s.Evolutions()})
}
