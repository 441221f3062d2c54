package definition

import (
	"fmt"
	"strings"
)

// Periods of MariaDB that an application keeps (PERIOD FOR p (a, b)). A period is no column:
// it makes both of its columns NOT NULL, and they stay so when it goes. A key WITHOUT
// OVERLAPS has its end and its start as its last columns. What the server itself keeps
// (SYSTEM_TIME) isn't followed.

// period is the columns of one, quoted.
type period struct{ start, end string }

// findPeriods reads those that a statement makes, since a key may name one before it comes.
func (w *rewriter) findPeriods() {
	for i := range w.in {
		w.at = i
		if name, p, ok := w.period(); ok {
			if w.periods == nil {
				w.periods = map[string]period{}
			}
			w.periods[strings.ToLower(name)] = p
		}
	}
	w.at = 0
}

// period takes PERIOD FOR name (start, end), with the name quoted.
func (w *rewriter) period() (n string, p period, ok bool) {
	if !w.accept("period", "for") || w.is("system_time") {
		return "", p, false
	}
	n = w.named()
	for _, s := range []struct {
		sign string
		to   *string
	}{{"(", &p.start}, {",", &p.end}, {")", nil}} {
		if !w.sign(s.sign) {
			return "", p, false
		}
		if w.at++; s.to != nil {
			*s.to = w.named()
		}
	}
	return n, p, n != "" && p.start != "" && p.end != ""
}

// addPeriod takes one that a table gets.
func (w *rewriter) addPeriod() string {
	if _, p, ok := w.period(); ok && w.over() {
		w.required = append(w.required, p.start, p.end)
		return ""
	}
	return w.refuse("PERIOD")
}

// dropPeriod takes PERIOD FOR name, which leaves the columns as they are.
func (w *rewriter) dropPeriod() string {
	if w.accept("period", "for"); !w.is("system_time") {
		if w.name(); w.over() {
			return ""
		}
	}
	return w.refuse("PERIOD")
}

// withoutOverlaps gives the columns of a key whose last part is a period.
func (w *rewriter) withoutOverlaps(parts []string) []string {
	last := len(parts) - 1
	if p, ok := w.periods[strings.ToLower(parts[last])]; ok && w.accept("without", "overlaps") {
		return append(parts[:last], p.end, p.start)
	}
	w.refuse("WITHOUT OVERLAPS")
	return nil
}

// require makes the columns of new periods NOT NULL.
func (st *Statement) require(t *Table) error {
	for _, quoted := range st.required {
		c := strings.ReplaceAll(quoted[1:len(quoted)-1], "``", "`")
		i := t.column(c)
		if i < 0 {
			return fmt.Errorf("%w: a period of column %q, which isn't there", ErrRefused, c)
		}
		t.Columns[i].Nulls = NotNull
	}
	return nil
}
