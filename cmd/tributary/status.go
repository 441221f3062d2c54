package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tributary-cdc/tributary/capture/guard"
	"github.com/tributary-cdc/tributary/capture/pipeline"
	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/cmd/columns"
	"github.com/tributary-cdc/tributary/cmd/internal/codes"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

// report is what an agent or a worker answers under /api/status.
type report struct {
	Role    string            `json:"role"`
	Name    string            `json:"name"`
	Sources []pipeline.Status `json:"sources,omitempty"` // of an agent
	// Loads are the loads of tables, by source.
	Loads map[string][]snapshot.Progress `json:"loads,omitempty"`
	// Added are the tables that sources have beside those of their patterns.
	Added map[string][]string `json:"added_tables,omitempty"`
	// Rooms say what the sources' servers keep of their logs, and warn, by source.
	Rooms map[string]guard.Status `json:"rooms,omitempty"`
	// Legacy are the sources for which the agent's file accepts old TLS, an opt-in that is
	// to be seen as long as it lasts.
	Legacy []string              `json:"legacy_tls,omitempty"`
	Stores []worker.SourceStatus `json:"applied,omitempty"` // of a worker
	// Partitions are those that are a worker's now.
	Partitions []worker.PartitionStatus `json:"partitions,omitempty"`
	// Waits says why a worker has no partitions yet, Code is that of the trouble.
	Waits string `json:"waits,omitempty"`
	Code  string `json:"code,omitempty"`
	// Warning says what is wrong with the log while all goes on, WarningCode is its code.
	Warning     string `json:"warning,omitempty"`
	WarningCode string `json:"warning_code,omitempty"`
	// Error says why there is no report.
	Error string `json:"error,omitempty"`
}

func statusCommand(say catalogue, lang language) *cobra.Command {
	c := &cobra.Command{Use: "status URL...", Short: say.status, Long: say.statusLong, Args: say.takes("URL", "[URL]..."),
		Example: "tributary status http://127.0.0.1:8061 http://127.0.0.1:8062\ntributary status http://127.0.0.1:8061 --output json"}
	format := c.Flags().String("output", "table", say.output)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := say.oneOf(c, "--output", *format, outputs...); err != nil {
			return err
		}
		for _, a := range args {
			if err := say.address(c, "URL", a); err != nil {
				return err
			}
		}
		var err error
		reports := make([]report, len(args))
		unwell, away := false, false
		for i, a := range args {
			reports[i] = ask(c.Context(), a)
			unwell, away = unwell || !reports[i].well(), away || reports[i].Error != ""
		}
		if *format == "json" {
			err = printJSON(c.OutOrStdout(), reports)
		} else {
			err = printStatus(c.OutOrStdout(), say, lang, reports)
		}
		switch {
		case err != nil:
			return err
		case away:
			return &problem{code: "PROGRAM_UNREACHABLE", text: say.away, class: errUnreachable}
		case unwell:
			return &problem{code: "NEEDS_PERSON", text: say.unwell}
		}
		return nil
	}
	return c
}

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
		if s.State != pipeline.Streaming && s.State != pipeline.Paused && s.State != pipeline.Starting && s.State != pipeline.Repairing || len(s.Stopped) > 0 {
			return false
		}
	}
	for _, room := range r.Rooms {
		if len(room.Warnings) > 0 {
			return false
		}
	}
	for _, loads := range r.Loads {
		if slices.ContainsFunc(loads, func(p snapshot.Progress) bool {
			return p.Phase == snapshot.Failed || p.Phase == snapshot.Canceled && p.Verify == ""
		}) {
			return false
		}
	}
	for _, s := range r.Stores {
		if s.Gap != "" && !s.Repairing || s.Keys > 0 || len(s.Unequal) > 0 || len(s.Halts) > 0 {
			return false
		}
	}
	for _, p := range r.Partitions {
		if p.State != worker.Applying && p.State != worker.Starting {
			return false
		}
	}
	return r.Code == "" && r.Warning == ""
}

func printStatus(out io.Writer, say catalogue, lang language, reports []report) error {
	var lines [][]string
	line := func(cells ...any) {
		texts := make([]string, len(cells))
		for i, c := range cells {
			texts[i] = fmt.Sprint(c)
		}
		lines = append(lines, texts)
	}
	word := func(state string) string { return codes.State(state, lang) }
	line(say.fieldProgram, say.fieldSource, say.fieldState, say.fieldLag, say.fieldTxns, say.fieldRows, say.fieldPosition, say.fieldNote)
	for _, r := range reports {
		if r.Error != "" {
			line(r.Name, "-", word("unreachable"), "-", "-", "-", "-", r.Error)
		}
		for _, s := range r.Sources {
			notes := note(lang, s.Code, s.Error, s.Hint)
			if added := r.Added[s.Source]; len(added) > 0 {
				notes = append(notes, fmt.Sprintf(say.fieldAdded, strings.Join(added, ", ")))
			}
			if slices.Contains(r.Legacy, s.Source) {
				notes = append(notes, note(lang, "SOURCE_TLS_LEGACY", "", "")...)
			}
			notes = append(notes, roomNotes(say, lang, s.Code, r.Rooms[s.Source])...)
			for _, t := range s.Stopped {
				notes = append(notes, t.Table+": "+strings.Join(note(lang, t.Code, t.Reason, ""), "; "))
			}
			line(r.Role+" "+r.Name, s.Source, word(string(s.State)), lagText(s.Committed, s.Logged), s.Txns, s.Rows, placeText(s.Position), strings.Join(notes, "; "))
		}
		if r.Waits != "" {
			line(r.Role+" "+r.Name, "-", word("waiting"), "-", "-", "-", "-", strings.Join(note(lang, r.Code, r.Waits, ""), "; "))
		}
		if r.Warning != "" {
			line(r.Role+" "+r.Name, "-", word("warning"), "-", "-", "-", "-", strings.Join(note(lang, r.WarningCode, r.Warning, ""), "; "))
		}
		for _, p := range r.Partitions {
			notes := note(lang, p.Code, p.Error, "")
			if p.Foreign > 0 {
				notes = append(notes, counted(say.foreign, p.Foreign, p.LastForeign))
			}
			if p.State != worker.Applying || p.Foreign > 0 { // those that are well stand in their sources' lines
				line(r.Role+" "+r.Name, p.Partition, word(string(p.State)), "-", "-", "-", p.Next, strings.Join(notes, "; "))
			}
		}
		for _, source := range slices.Sorted(maps.Keys(r.Loads)) {
			for _, p := range r.Loads[source] {
				if p.Phase != snapshot.Loaded && p.Phase != snapshot.Verified {
					line(r.Role+" "+r.Name, source, codes.Phase(string(p.Phase), lang), "-", "-", p.Rows, "-", loadText(say, p))
				}
			}
		}
		for _, s := range r.Stores {
			state := "applying"
			gap := ""
			if s.Gap != "" {
				state, gap = "gap", fmt.Sprintf(say.gapBounds, placeText(s.GapLast), s.GapFound.Local().Format("2006-01-02 15:04:05 -07:00"), s.GapReason)
			}
			if s.Repairing {
				state = "repairing"
			}
			notes := note(lang, s.Gap, gap, "")
			if len(s.Unequal) > 0 {
				notes = append(notes, note(lang, worker.TablesUnequal, strings.Join(s.Unequal, ", "), "")...)
			}
			for _, table := range slices.Sorted(maps.Keys(s.LeftOut)) {
				notes = append(notes, note(lang, worker.ColumnsLeftOut, table+": "+strings.Join(s.LeftOut[table], ", "), "")...)
			}
			for i := range s.Halts {
				notes = append(notes, haltNote(say, lang, s.Source, &s.Halts[i]))
			}
			if s.Keys > 0 {
				notes = append(notes, note(lang, worker.KeysQuarantined, strconv.Itoa(s.Keys), "")...)
			}
			line(r.Role+" "+r.Name, s.Source, word(state), lagText(s.Committed, s.At), s.Txns, s.Rows, placeText(s.Applied), strings.Join(notes, "; "))
		}
	}
	_, err := io.WriteString(out, columns.Align(lines, func(i int) bool { return i >= 3 && i <= 5 }))
	return err
}

// haltNote says what has stopped a table in the store, and what a person does about it.
func haltNote(say catalogue, lang language, source string, h *worker.Halt) string {
	h.Source = source
	what := strings.Join(note(lang, h.Code(), h.Error, ""), "; ")
	return fmt.Sprintf(say.halted, h.Table, h.At.Local().Format("2006-01-02 15:04:05 -07:00"), what, counted(say.haltedHeld, h.Rows, h.Remedy()))
}

// roomNotes say how much of a source's log is left, and what is to be looked after. What
// the source's own state says already isn't said again.
func roomNotes(say catalogue, lang language, said string, room guard.Status) (notes []string) {
	if room.Left != nil {
		notes = append(notes, fmt.Sprintf(say.fieldLeft, time.Duration(*room.Left*float64(time.Second)).Round(time.Minute), room.LeftBy))
	}
	for _, w := range room.Warnings {
		if w.Code != said {
			notes = append(notes, note(lang, w.Code, w.Text, w.Hint)...)
		}
	}
	return notes
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

// placeText is a position, if there is one yet.
func placeText(p event.Position) string {
	if p == (event.Position{}) {
		return "-"
	}
	return p.String()
}

func lagText(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return "-"
	}
	return fmt.Sprintf("%.3fs", max(0, to.Sub(from).Seconds()))
}
