package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tributary-cdc/tributary/capture/pipeline"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/sinks/worker"
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

// report is what an agent or a worker answers under /api/status.
type report struct {
	Role    string                `json:"role"`
	Name    string                `json:"name"`
	Sources []pipeline.Status     `json:"sources,omitempty"` // of an agent
	Stores  []worker.SourceStatus `json:"applied,omitempty"` // of a worker
	// Error says why there is no report.
	Error string `json:"error,omitempty"`
}

func statusCommand(say catalogue, lang language) *cobra.Command {
	c := &cobra.Command{Use: "status URL...", Short: say.status, Long: say.statusLong, Args: cobra.MinimumNArgs(1)}
	format := c.Flags().String("output", "table", say.output)
	c.RunE = func(c *cobra.Command, args []string) error {
		asJSON, err := output(*format)
		if err != nil {
			return err
		}
		reports := make([]report, len(args))
		bad := false
		for i, a := range args {
			reports[i] = ask(c.Context(), a)
			bad = bad || !reports[i].well()
		}
		if asJSON {
			err = printJSON(c.OutOrStdout(), reports)
		} else {
			err = printStatus(c.OutOrStdout(), say, lang, reports)
		}
		if err == nil && bad {
			err = errUnwell
		}
		return err
	}
	return c
}

// errUnwell: something that was asked isn't as it should be. The output says what.
var errUnwell = errors.New("not everything is well")

func ask(ctx context.Context, address string) report {
	r := report{Name: address}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		r.Error = "not an address like http://127.0.0.1:8080"
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.JoinPath("api/status").String(), nil)
	if err != nil {
		r.Error = err.Error()
		return r
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.Error = err.Error()
		return r
	}
	defer func() { _ = res.Body.Close() }() // read only
	var answer struct {
		Data *report `json:"data"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 64<<20)).Decode(&answer); err != nil || answer.Data == nil || res.StatusCode != http.StatusOK {
		r.Error = fmt.Sprintf("%s isn't an agent's or worker's answer (%s)", u, res.Status)
		return r
	}
	return *answer.Data
}

// well reports whether nothing needs a person.
func (r *report) well() bool {
	if r.Error != "" {
		return false
	}
	for _, s := range r.Sources {
		if s.State != pipeline.Streaming && s.State != pipeline.Starting || len(s.Stopped) > 0 {
			return false
		}
	}
	for _, s := range r.Stores {
		if s.Gap != "" {
			return false
		}
	}
	return true
}

func printStatus(out io.Writer, say catalogue, lang language, reports []report) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(cells ...any) {
		for i, c := range cells {
			if i > 0 {
				_, _ = fmt.Fprint(w, "\t")
			}
			_, _ = fmt.Fprint(w, c) // Flush tells
		}
		_, _ = fmt.Fprintln(w)
	}
	line(say.fieldProgram, say.fieldSource, say.fieldState, say.fieldLag, say.fieldTxns, say.fieldRows, say.fieldPosition, say.fieldNote)
	for _, r := range reports {
		if r.Error != "" {
			line(r.Name, "-", "unreachable", "-", "-", "-", "-", r.Error)
		}
		for _, s := range r.Sources {
			notes := note(lang, s.Code, s.Error, s.Hint)
			for _, t := range s.Stopped {
				notes = append(notes, t.Table+": "+strings.Join(note(lang, t.Code, t.Reason, ""), "; "))
			}
			line(r.Role+" "+r.Name, s.Source, s.State, lagText(s.Committed, s.Logged), s.Txns, s.Rows, s.Position.String(), strings.Join(notes, "; "))
		}
		for _, s := range r.Stores {
			state := "applying"
			if s.Gap != "" {
				state = "gap"
			}
			line(r.Role+" "+r.Name, s.Source, state, lagText(s.Committed, s.At), s.Txns, s.Rows, s.Applied.String(), strings.Join(note(lang, s.Gap, "", ""), "; "))
		}
	}
	return w.Flush()
}

// note says what is wrong, in the reader's language where there is a code, and what
// to do about it here.
func note(lang language, code, text, hint string) (parts []string) {
	if what := explain(code, lang); what != "" {
		parts = append(parts, "["+code+"] "+what)
	}
	for _, s := range []string{text, hint} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return parts
}

func lagText(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return "-"
	}
	return fmt.Sprintf("%.3fs", max(0, to.Sub(from).Seconds()))
}
