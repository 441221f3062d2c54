package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tributary-cdc/tributary/capture/pipeline"
	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/sinks/worker"
)

// report is what an agent or a worker answers under /api/status.
type report struct {
	Role    string            `json:"role"`
	Name    string            `json:"name"`
	Sources []pipeline.Status `json:"sources,omitempty"` // of an agent
	// Loads are the loads of tables, by source.
	Loads  map[string][]snapshot.Progress `json:"loads,omitempty"`
	Stores []worker.SourceStatus          `json:"applied,omitempty"` // of a worker
	// Partitions are those that are a worker's now.
	Partitions []worker.PartitionStatus `json:"partitions,omitempty"`
	// Waits says why a worker has no partitions yet, Code is that of the trouble.
	Waits string `json:"waits,omitempty"`
	Code  string `json:"code,omitempty"`
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
		for _, a := range args {
			if u, err := url.Parse(a); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
				return fmt.Errorf("%w: %q isn't an address like http://127.0.0.1:8061", errUsage, a)
			}
		}
		reports := make([]report, len(args))
		unwell, away := false, false
		for i, a := range args {
			reports[i] = ask(c.Context(), a)
			unwell, away = unwell || !reports[i].well(), away || reports[i].Error != ""
		}
		if asJSON {
			err = printJSON(c.OutOrStdout(), reports)
		} else {
			err = printStatus(c.OutOrStdout(), say, lang, reports)
		}
		switch {
		case err != nil:
			return err
		case away:
			return errUnreachable
		case unwell:
			return errUnwell
		}
		return nil
	}
	return c
}

// errUnwell: something that was asked isn't as it should be. The output says what.
var errUnwell = errors.New("not everything is well")

func ask(ctx context.Context, address string) report {
	r := report{Name: address}
	u, err := url.Parse(address)
	if err != nil {
		r.Error = err.Error()
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
	for _, loads := range r.Loads {
		if slices.ContainsFunc(loads, func(p snapshot.Progress) bool { return p.Phase == snapshot.Failed || p.Phase == snapshot.Canceled }) {
			return false
		}
	}
	for _, s := range r.Stores {
		if s.Gap != "" || s.Keys > 0 {
			return false
		}
	}
	for _, p := range r.Partitions {
		if p.State != worker.Applying && p.State != worker.Starting {
			return false
		}
	}
	return r.Code == ""
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
		if r.Waits != "" {
			line(r.Role+" "+r.Name, "-", "waiting", "-", "-", "-", "-", strings.Join(note(lang, r.Code, r.Waits, ""), "; "))
		}
		for _, p := range r.Partitions {
			notes := note(lang, p.Code, p.Error, "")
			if p.Foreign > 0 {
				notes = append(notes, fmt.Sprintf(say.foreign, p.Foreign, p.LastForeign))
			}
			if p.State != worker.Applying || p.Foreign > 0 { // those that are well stand in their sources' lines
				line(r.Role+" "+r.Name, p.Partition, p.State, "-", "-", "-", p.Next, strings.Join(notes, "; "))
			}
		}
		for _, source := range slices.Sorted(maps.Keys(r.Loads)) {
			for _, p := range r.Loads[source] {
				if p.Phase != snapshot.Loaded {
					line(r.Role+" "+r.Name, source, p.Phase, "-", "-", p.Rows, "-", strings.TrimSpace(fmt.Sprintf(say.fieldLoad, p.Table, p.Estimate)+" "+p.Error))
				}
			}
		}
		for _, s := range r.Stores {
			state := "applying"
			if s.Gap != "" {
				state = "gap"
			}
			notes := note(lang, s.Gap, "", "")
			if s.Keys > 0 {
				notes = append(notes, note(lang, worker.KeysQuarantined, strconv.Itoa(s.Keys), "")...)
			}
			line(r.Role+" "+r.Name, s.Source, state, lagText(s.Committed, s.At), s.Txns, s.Rows, s.Applied.String(), strings.Join(notes, "; "))
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
