package console

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/cmd/internal/codes"
	"github.com/tributary-cdc/tributary/cmd/internal/language"
	"github.com/tributary-cdc/tributary/stream/status"
)

// maxLoads bounds the rows of the table of loads; those in trouble come first.
const maxLoads = 100

// load is a table's load that goes on, rests, or has ended badly.
type load struct {
	Source, Table, Part string
	State               pill
	Until               string // when reading is allowed again
	Rows, Estimate      string
	Done                float64 // of the estimate, 0 to 100
	Known               bool    // there is an estimate
	Speed, Left         string
	Error               string

	rank int
}

// loads gives the loads of all sources, and how many more there are.
func loads(records []status.Record, lang language.Language, now time.Time) (out []load, more int) {
	for i := range records {
		r := &records[i]
		if r.Kind != status.OfSource || r.Stale(now) {
			continue
		}
		more += r.MoreLoads
		for _, l := range r.Loads {
			out = append(out, loadOf(r, &l, lang))
		}
	}
	slices.SortStableFunc(out, func(a, b load) int {
		return cmp.Or(cmp.Compare(b.rank, a.rank), strings.Compare(a.Source, b.Source))
	})
	if n := len(out); n > maxLoads {
		out, more = out[:maxLoads], more+n-maxLoads
	}
	return out, more
}

func loadOf(r *status.Record, l *status.Load, lang language.Language) load {
	t := texts[lang]
	tone, rank := wait, 1 // of a phase that this version doesn't know, too
	switch l.Phase {
	case "failed", "canceled":
		tone, rank = bad, 3
	case "loading":
		tone, rank = good, 2
	case "queued", "paused", "waiting", "removed", "dropped":
		tone = quiet
	}
	text := codes.Phase(l.Phase, lang)
	until := ""
	if !l.Resumes.IsZero() {
		until = fmt.Sprintf(t.Until, l.Resumes.Format("15:04"))
	}
	out := load{Until: until, Source: r.Source, Table: l.Table, Part: l.Part, State: pill{tone, text}, Rows: grouped(l.Rows), Error: l.Error, rank: rank}
	if l.Estimate > 0 {
		out.Known, out.Estimate, out.Done = true, grouped(l.Estimate), min(100, 100*float64(l.Rows)/float64(l.Estimate))
	}
	if l.Speed > 0 {
		out.Speed = grouped(int64(l.Speed + 0.5))
	}
	if l.Left > 0 {
		out.Left = span(time.Duration(l.Left*float64(time.Second)), t)
	}
	return out
}

// span says how long something takes, in its two largest units.
func span(d time.Duration, t words) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf(t.Seconds, int(d.Seconds())+1)
	case d < time.Hour:
		return fmt.Sprintf(t.Minutes, int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf(t.Hours, int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf(t.Days, int(d.Hours()/24), int(d.Hours())%24)
}
