package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/preflight"
	"github.com/tributary-cdc/tributary/cmd/internal/codes"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/stream/event"
)

// preflightLimit bounds the look at one source; preflightAtOnce is how many are looked
// at together.
const (
	preflightLimit  = 2 * time.Minute
	preflightAtOnce = 4
)

// explained is a finding with its texts.
type explained struct {
	preflight.Finding
	Meaning     string `json:"meaning"`
	Consequence string `json:"consequence"` // if nobody repairs it
	ToDo        string `json:"to_do"`
}

// checked is what there is to say of one source.
type checked struct {
	*preflight.Report
	Findings []explained `json:"findings"` // in place of the report's
	// Error says why there is no report.
	Error string `json:"error,omitempty"`

	address string
	err     error
}

func preflightCommand(usage catalogue, lang language) *cobra.Command {
	say := preflightTexts[lang]
	c := &cobra.Command{Use: "preflight AGENT [SOURCE]", Short: say.short, Long: say.long, Args: preflightArgs(usage),
		Example: "tributary preflight sql agent.yml xueji > xueji.sql\ntributary preflight agent.yml xueji --from xueji.txt\ntributary preflight agent.yml\ntributary preflight agent.yml xueji --change-order > xueji.sql\ntributary preflight agent.yml xueji --table xueji.banji"}
	format := c.Flags().String("output", "table", usage.output)
	order := c.Flags().Bool("change-order", false, say.order)
	added := c.Flags().StringArray("table", nil, say.table)
	from := c.Flags().String("from", "", say.from)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := usage.oneOf(c, "--output", *format, outputs...); err != nil {
			return err
		}
		if *format == "json" && *order {
			return wrongUsage(c, "USAGE_VALUE", "%s", say.oneForm)
		}
		if args[0] == scriptWord {
			return printScript(usage, say, c, args[1:])
		}
		agent, sources, err := named(usage, c, args)
		if err != nil {
			return err
		}
		if *from != "" && len(sources) != 1 {
			return wrongUsage(c, "USAGE_VALUE", "%s", say.fromOne)
		}
		if len(*added) > 0 {
			if len(sources) != 1 {
				return wrongUsage(c, "USAGE_VALUE", "%s", say.oneSource)
			}
			s := sources[0]
			for _, t := range *added {
				name, ok := patternOf(&s, t)
				if !ok {
					return wrongUsage(c, "USAGE_VALUE", say.noTable, t)
				}
				s.Tables = append(slices.Clone(s.Tables), name)
			}
			sources = []config.Source{s}
		}
		var printed []byte
		if *from != "" {
			if printed, err = os.ReadFile(*from); err != nil {
				return &problem{code: "PREFLIGHT_FILE", text: say.notPrinted, class: errUsage, words: err.Error()}
			}
		}
		results, err := lookAt(c.Context(), agent, sources, printed, lang)
		if err != nil {
			return err
		}
		switch {
		case *format == "json":
			err = printJSON(c.OutOrStdout(), results)
		case *order:
			err = printOrders(c.OutOrStdout(), say, results)
		default:
			err = printFindings(c.OutOrStdout(), say, results)
		}
		return cmp.Or(err, verdict(say, results))
	}
	return c
}

// patternOf gives the pattern that means one table, by the name that orders about it have.
func patternOf(s *config.Source, table string) (string, bool) {
	ok := true
	if event.Engine(s.Engine) == event.Postgres {
		table, ok = strings.CutPrefix(table, s.Database+".")
	}
	database, name, two := strings.Cut(table, ".")
	return table, ok && two && database != "" && name != "" && !strings.ContainsAny(table, `*?[\`) && !strings.Contains(name, ".")
}

// lookAt checks the sources, several at once, or what one's script has printed. Its own
// error is one of the configuration.
func lookAt(ctx context.Context, agent *config.Agent, sources []config.Source, printed []byte, lang language) ([]checked, error) {
	results := make([]checked, len(sources))
	options := make([]preflight.Options, len(sources))
	for i, s := range sources {
		password := ""
		if printed == nil {
			var err error
			if password, err = s.Password(); err != nil {
				return nil, fmt.Errorf("%w: source %s: %w", config.ErrInvalid, s.Name, err)
			}
		}
		options[i] = preflightOptions(agent, s, password)
		options[i].Printed = printed
		results[i] = checked{Report: &preflight.Report{Source: agent.Org + "-" + s.Name, Tables: []preflight.Table{}}, Findings: []explained{}, address: s.Host}
	}
	var g errgroup.Group
	g.SetLimit(preflightAtOnce)
	for i := range sources {
		g.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, preflightLimit)
			defer cancel()
			r, err := preflight.Check(ctx, options[i])
			if err != nil {
				results[i].Error, results[i].err = err.Error(), err
				return nil
			}
			results[i].Report = r
			for _, f := range r.Findings {
				what, do := codes.Explain(f.Code, lang)
				results[i].Findings = append(results[i].Findings, explained{f, what, codes.Consequence(f.Code, lang), do})
			}
			return nil
		})
	}
	return results, g.Wait()
}

// verdict gives the error that the program ends with: a source that can't be reached
// before one that can't be captured.
func verdict(say preflightText, results []checked) error {
	var refuses, failed, away error
	for _, r := range results {
		if errors.Is(r.err, preflight.ErrPrinted) {
			failed = &problem{code: "PREFLIGHT_FILE", text: say.notPrinted, class: errUsage, words: r.err.Error()}
		} else if errors.Is(r.err, capture.ErrConnection) || errors.Is(r.err, context.DeadlineExceeded) {
			away = &problem{code: "SOURCE_UNREACHABLE", text: say.away, class: errUnreachable}
		} else if r.err != nil {
			failed = r.err
		}
		if worst, any := r.Worst(); any && worst == preflight.Refuses {
			refuses = &problem{code: "NEEDS_PERSON", text: say.refuses}
		}
	}
	return cmp.Or(away, failed, refuses)
}

// printFindings prints for each source a table of its findings, and below it what each
// code means and how it is repaired.
func printFindings(out io.Writer, say preflightText, results []checked) error {
	w := &writer{out: out}
	for i, r := range results {
		if i > 0 {
			w.line("")
		}
		if r.Error != "" {
			w.line("%s: %s", r.Source, oneLine(r.Error))
			continue
		}
		w.line("%s  %s  %s", r.Source, r.address, oneLine(r.Server))
		if len(r.Findings) == 0 {
			w.line("%s", say.well)
		}
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		if len(r.Findings) > 0 {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", say.severity, say.code, say.object, say.found) // w keeps the error
		}
		for _, f := range r.Findings {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", say.severities[f.Severity], f.Code, cmp.Or(oneLine(f.Object), "-"), cmp.Or(oneLine(f.Found), "-"))
		}
		_ = table.Flush() // w keeps the error
		printCodes(w, say, r.Findings)
		w.line("")
		for _, f := range figures(say, r.Report) {
			w.line("%s", f)
		}
		for _, u := range r.Unseen {
			w.line("%s: %s (%s)", say.unseen, oneLine(u.Question), oneLine(u.Reason))
		}
	}
	return w.err
}

// printCodes says of each code once what it means, and gives the repairs of all its
// findings.
func printCodes(w *writer, say preflightText, findings []explained) {
	for i, f := range findings {
		if i == 0 || findings[i-1].Code != f.Code || findings[i-1].Severity != f.Severity {
			w.line("")
			w.line("[%s] %s", f.Code, f.Meaning)
			w.line("  %s: %s", say.ignored, f.Consequence)
			w.line("  %s: %s", say.todo, f.ToDo)
		}
		for _, r := range f.Repairs {
			if r.SQL != "" {
				w.line("    %s;%s", oneLine(r.SQL), say.remark(r))
			}
			if r.Setting != "" {
				w.line("    %s: %s%s", say.setting, oneLine(r.Setting), say.remark(preflight.Repair{Restart: r.Restart && r.SQL == ""}))
			}
			if r.Agent != "" {
				w.line("    %s: %s%s", say.agent, oneLine(r.Agent), say.remark(preflight.Repair{Instead: r.Instead && r.SQL == ""}))
			}
		}
	}
}

// writer keeps the first error.
type writer struct {
	out io.Writer
	err error
}

// Write implements io.Writer.
func (w *writer) Write(b []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.out.Write(b)
	w.err = err
	return n, err
}

func (w *writer) line(format string, args ...any) {
	_, _ = fmt.Fprintf(w, format+"\n", args...) // kept
}
