package desk

import (
	"fmt"
	"html/template"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/cmd/hub/alarm"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/cmd/hub/watch"
	"github.com/tributary-cdc/tributary/cmd/internal/codes"
	"github.com/tributary-cdc/tributary/cmd/internal/language"
)

// item is a place in the menu.
type item struct {
	Path, Text string
	Here       bool
}

// view is what a template is given.
type view struct {
	Lang, OtherLang, OtherURL string
	Page                      string
	Menu                      []item
	Me                        *state.Session
	Form                      string
	Done                      string   // what a form has done, as a text's key; empty for nothing
	Error                     *trouble // what is wrong with a form
	Result                    any      // what a form gave
	Data                      any
	Query                     url.Values

	lang language.Language
	orgs func(code string) *watch.Org // those that the reader may see
	now  time.Time
	zone *time.Location // of all times
}

// T gives a text.
func (v *view) T(key string) string { return text(key, v.lang) }

// Org gives an org's name with its code, or the code alone of one that the reader doesn't see.
func (v *view) Org(code string) string {
	if v.orgs != nil {
		if o := v.orgs(code); o != nil && o.Name != "" {
			return o.Name + " " + code
		}
	}
	return code
}

// May reports whether the reader's roles allow an act anywhere.
func (v *view) May(act string) bool {
	return v.Me != nil && len(v.Me.Scopes(account.Act(act))) > 0
}

// Whole reports whether they allow it in the whole tree.
func (v *view) Whole(act string) bool { return v.Me != nil && v.Me.May(account.Act(act), "") }

// Once gives a form what tells it from all others.
func (v *view) Once() string { return account.Secret() }

// Explain gives what a code of preflight means.
func (v *view) Explain(code string) string {
	what, _ := codes.Explain(code, v.lang)
	return what
}

// At gives a time for people, in the hub's zone.
func (v *view) At(at any) string {
	switch t := at.(type) {
	case time.Time:
		return v.here(t).Format("2006-01-02 15:04:05")
	case *time.Time:
		if t != nil {
			return v.here(*t).Format("2006-01-02 15:04:05")
		}
	}
	return "—"
}

// Moment gives a time to the minute.
func (v *view) Moment(at time.Time) string { return v.here(at).Format("01-02 15:04") }

// Here gives what a program said, with its times in the hub's zone.
func (v *view) Here(text string) string { return alarm.Here(text, v.zone) }

// here gives a time in the hub's zone.
func (v *view) here(at time.Time) time.Time { return at.In(v.zone) }

// Pack gives a part of a page to a template of its own.
func (v *view) Pack(part any) any {
	return struct {
		View *view
		Part any
	}{v, part}
}

// Chart gives a chart to its template.
func (v *view) Chart(c chart, span string) any {
	return struct {
		View  *view
		Chart chart
		Span  string
	}{v, c, span}
}

// Soon reports whether a certificate ends within 30 days.
func (v *view) Soon(at time.Time) bool { return at.Sub(v.now) < 30*24*time.Hour }

// Past reports whether a time is over.
func (v *view) Past(at any) bool {
	switch t := at.(type) {
	case time.Time:
		return !t.After(v.now)
	case *time.Time:
		return !t.After(v.now)
	}
	return false
}

// functions are those of templates.
var functions = template.FuncMap{
	"printf": language.Sprintf,
	"bytes":  size,
	"number": grouped,
	"spaces": func(n int) string { return strings.Repeat("\u2003", n) },
	"tones":  func() []string { return []string{"bad", "wait", "quiet", "good"} },
	"int64":  func(n int) int64 { return int64(n) },
	"share":  share,
	"has":    func(list []string, s string) bool { return slices.Contains(list, s) },
}

// size prints a number of bytes with a unit.
func size(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	f := float64(n)
	for len(units) > 1 && f >= 1024 {
		f, units = f/1024, units[1:]
	}
	if f >= 100 || f == float64(int64(f)) {
		return fmt.Sprintf("%.0f %s", f, units[0])
	}
	return fmt.Sprintf("%.1f %s", f, units[0])
}

// grouped prints a number with its thousands apart, and what nobody knows as a dash.
func grouped(n int64) string {
	if n < 0 {
		return "—"
	}
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// State gives a state in words.
func (v *view) State(s string) string { return codes.State(s, v.lang) }

// Phase gives the phase of a load in words.
func (v *view) Phase(s string) string { return codes.Phase(s, v.lang) }

// Todo says what to do about a code.
func (v *view) Todo(code string) string {
	_, do := codes.Explain(code, v.lang)
	return do
}

// Span gives a length of time in seconds for people; a dash for what isn't known.
func (v *view) Span(s float64) string {
	switch d := time.Duration(s * float64(time.Second)); {
	case s < 0 || math.IsNaN(s) || s > 1e9:
		return "—"
	case s == 0:
		return "0 " + v.T("unit.s")
	case s < 1:
		return fmt.Sprintf("%.2f ", max(s, 0.01)) + v.T("unit.s")
	case s < 10:
		return fmt.Sprintf("%.1f ", s) + v.T("unit.s")
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f ", s) + v.T("unit.s")
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f ", d.Minutes()) + v.T("unit.min")
	case d < 96*time.Hour:
		return fmt.Sprintf("%.1f ", d.Hours()) + v.T("unit.h")
	default:
		return fmt.Sprintf("%.0f ", d.Hours()/24) + v.T("unit.d")
	}
}

// Rate gives a number per second.
func (v *view) Rate(r float64) string {
	if r > 0 && r < 10 {
		return strings.TrimSuffix(fmt.Sprintf("%.1f", r), ".0")
	}
	return grouped(int64(r + 0.5))
}

// segment is a part of a bar that is 100 wide.
type segment struct {
	Tone     string
	X, Width float64
}

// bar draws how many sources are how.
func bar(tones [4]int) (out []segment) {
	all := 0
	for _, n := range tones {
		all += n
	}
	x := 0.0
	for t := watch.Bad; t >= watch.Good; t-- {
		if n := tones[t]; n > 0 {
			w := 100 * float64(n) / float64(all)
			out = append(out, segment{t.String(), x, w})
			x += w
		}
	}
	return out
}

// share bounds a part of a whole, 0 to 100.
func share(part, whole int64) float64 {
	if whole <= 0 {
		return 0
	}
	return min(100, 100*float64(part)/float64(whole))
}
