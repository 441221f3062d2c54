package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/sinks/postgres"
)

// errNotFound: what was asked for isn't there.
var errNotFound = errors.New("not found")

// output checks the value of --output.
func output(v string) (asJSON bool, err error) {
	if v != "table" && v != "json" {
		return false, fmt.Errorf("%w: --output %q: table, json", errUsage, v)
	}
	return v == "json", nil
}

func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(map[string]any{"data": v})
}

func traceCommand(say catalogue) *cobra.Command {
	c := &cobra.Command{Use: "trace STORE TABLE KEY...", Short: say.trace, Long: say.traceLong, Args: cobra.MinimumNArgs(3)}
	format := c.Flags().String("output", "table", say.output)
	c.RunE = func(c *cobra.Command, args []string) error {
		asJSON, err := output(*format)
		if err != nil {
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
		if err = errors.Join(err, store.Close()); err != nil {
			return err
		}
		if len(found) == 0 {
			return fmt.Errorf("%s %s: %w", args[1], strings.Join(args[2:], " "), errNotFound)
		}
		if asJSON {
			return printJSON(c.OutOrStdout(), found)
		}
		for i := range found {
			if err := printTrace(c.OutOrStdout(), say, &found[i]); err != nil {
				return err
			}
		}
		return nil
	}
	return c
}

func printTrace(out io.Writer, say catalogue, t *postgres.Trace) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name string, v any) { _, _ = fmt.Fprintf(w, "%s\t%v\n", name, v) } // Flush tells
	line(say.fieldRow, string(t.Row))
	line(say.fieldSource, t.Source)
	line(say.fieldPosition, t.Position.String())
	line(say.fieldOp, t.Op)
	line(say.fieldCommitted, t.Committed.Format(time.RFC3339Nano))
	line(say.fieldApplied, fmt.Sprintf("%s (+%s)", t.Applied.Format(time.RFC3339Nano), t.Applied.Sub(t.Committed).Round(time.Millisecond)))
	line(say.fieldBatch, fmt.Sprintf("%d, worker %s, fence %d, %s … %s", t.Batch.ID, t.Batch.Worker, t.Batch.Fence, t.Batch.From, t.Batch.To))
	line(say.fieldLog, fmt.Sprintf("%s, offset %d … %d", t.Batch.Partition, t.Batch.First, t.Batch.Last))
	line(say.fieldProof, t.Command())
	return w.Flush()
}

func newStore(s config.StoreDB) (*postgres.Store, error) {
	password, err := s.Secret.Read()
	if err != nil {
		return nil, err
	}
	return postgres.New(postgres.Options{Host: s.Host, Port: s.Port, Database: s.Database, User: s.User, Password: password, Schema: s.Schema, SSLMode: s.SSLMode})
}
