package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/tributary-cdc/tributary/capture/preflight"
)

// What a first load is reckoned with, for two shared cores and wide rows: the slower of
// the two counts.
const (
	sheetRows  = 50_000   // per second
	sheetBytes = 20 << 20 // per second, of the tables as the server stores them
)

// printOrders prints each source's change sheet: a script whose SQL may be run as it
// stands, all else in comments.
func printOrders(out io.Writer, say preflightText, results []checked) error {
	w := &writer{out: out}
	for _, r := range results {
		w.comment(fmt.Sprintf("%s: %s  %s  %s", say.sheet, r.Source, r.address, r.Server))
		if r.Error != "" {
			w.comment(r.Error)
			continue
		}
		w.comment(say.dry)
		for _, f := range figures(say, r.Report) {
			w.comment(f)
		}
		var online, later []explained
		for _, f := range r.Findings {
			if restarts(f) {
				later = append(later, f)
			} else {
				online = append(online, f)
			}
		}
		printSteps(w, say, say.online, online)
		printSteps(w, say, say.restarts, later)
		if len(r.Makes) > 0 {
			w.line("")
			w.comment(say.makes)
			for _, m := range r.Makes {
				w.comment(fmt.Sprintf("%s;", m.SQL))
			}
		}
		w.line("")
		w.comment(say.rollback)
		for _, m := range r.Makes {
			w.comment(fmt.Sprintf("%s;", m.Undo))
		}
		for _, list := range [][]explained{later, online} {
			printUndo(w, list)
		}
		w.line("")
	}
	return w.err
}

// comment prints a text as a comment, whatever it holds: names at the source may have
// line breaks in them.
func (w *writer) comment(text string) {
	w.line("-- %s", oneLine(text))
}

// oneLine gives a text on one line, without what moves a terminal's cursor.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return '\uFFFD'
		}
		return r
	}, s)
}

func restarts(f explained) bool {
	for _, r := range f.Repairs {
		if r.Restart {
			return true
		}
	}
	return false
}

// figures gives what capture will cost: the log's growth, the load's time.
func figures(say preflightText, r *preflight.Report) []string {
	growth := say.growth + ": -"
	if r.LogRate != nil {
		growth = fmt.Sprintf("%s: %s (%s)", say.growth, bytesText(r.LogRate.BytesPerDay), r.LogRate.Basis)
	}
	var rows, bytes int64
	unknown := 0
	for _, t := range r.Tables {
		rows, bytes = rows+max(0, t.Rows), bytes+t.Bytes
		if t.Rows < 0 {
			unknown++
		}
	}
	took := time.Duration(max(float64(rows)/sheetRows, float64(bytes)/sheetBytes) * float64(time.Second))
	out := []string{growth, counted(say.load, len(r.Tables), rows, bytesText(bytes), took.Round(time.Second), sheetRows, sheetBytes>>20)}
	if unknown > 0 {
		out = append(out, counted(say.noStatistics, unknown))
	}
	return out
}

func printSteps(w *writer, say preflightText, title string, findings []explained) {
	if len(findings) == 0 {
		return
	}
	w.line("")
	w.comment("== " + title + " ==")
	for i, f := range findings {
		w.line("")
		w.comment(fmt.Sprintf("%d. [%s] %s", i+1, f.Code, strings.TrimSpace(f.Object+" "+f.Found)))
		w.comment(fmt.Sprintf("   %s", f.Meaning))
		w.comment(fmt.Sprintf("   %s: %s", say.ignored, f.Consequence))
		if len(f.Repairs) == 0 {
			w.comment(fmt.Sprintf("   %s: %s", say.todo, f.ToDo))
		}
		for _, r := range f.Repairs {
			switch {
			case r.SQL != "" && (r.Decide || r.Instead):
				w.comment(r.SQL + ";" + say.remark(r))
			case r.SQL != "":
				w.line("%s;%s", r.SQL, say.remark(r))
			}
			if r.Setting != "" {
				w.comment(fmt.Sprintf("   %s: %s", say.setting, r.Setting))
			}
			if r.Agent != "" {
				w.comment(fmt.Sprintf("   %s: %s%s", say.agent, r.Agent, say.remark(preflight.Repair{Instead: r.Instead && r.SQL == ""})))
			}
		}
	}
}

// printUndo prints the rollback, the last step first, in comments: it is not to be run
// with the rest.
func printUndo(w *writer, findings []explained) {
	for i := len(findings) - 1; i >= 0; i-- {
		for k := len(findings[i].Repairs) - 1; k >= 0; k-- {
			if undo := findings[i].Repairs[k].Undo; undo != "" {
				w.comment(fmt.Sprintf("%s;", undo))
			}
		}
	}
}

// bytesText gives a size in the largest unit that leaves a whole number in front.
func bytesText(n int64) string {
	for _, u := range []struct {
		name string
		bits uint
	}{{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}} {
		if n >= 1<<u.bits {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(int64(1)<<u.bits), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
