package desk

import (
	"net/url"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/cmd/hub/alarm"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
)

// reportView is the report of a shift for a part of the tree.
type reportView struct {
	*alarm.Report
	// Before and After lead to the shifts beside it; After is empty if it is the last one.
	Before, After string
	// Tones count the reader's sources as they are now.
	Tones [4]int
	Now   time.Time
}

// Place is the tone's number of a card, of which the worst stands first.
func (v *reportView) Place(card int) int { return len(v.Tones) - 1 - card }

// shift gives the shift that has ended last, or at the moment of the query.
func (c *call) shift() (from, until time.Time, err error) {
	at := c.d.o.Now()
	if text := c.r.URL.Query().Get("until"); text != "" {
		asked, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return from, until, refusal.New(refusal.Invalid, "INPUT_INVALID", "until %.40q", text)
		}
		if asked.Before(at) {
			at = asked
		}
	}
	from, until = c.d.o.Shifts.Last(at)
	return from, until, nil
}

func (c *call) report() (*alarm.Report, error) {
	from, until, err := c.shift()
	if err != nil {
		return nil, err
	}
	return c.d.o.State.Report(c.ctx(), c.session.Scopes(account.See), from, until)
}

func loadReport(c *call) (any, error) {
	r, err := c.report()
	if err != nil {
		return nil, err
	}
	v := &reportView{Report: r, Now: c.d.o.Now()}
	at := func(t time.Time) string { return "/report?until=" + url.QueryEscape(t.UTC().Format(time.RFC3339)) }
	v.Before = at(r.From)
	if next := c.d.o.Shifts.Next(r.Until); !next.After(v.Now) {
		v.After = at(next)
	}
	for _, o := range c.watched().Tops(c.scopes) {
		for t, n := range o.Tones {
			v.Tones[t] += n
		}
	}
	return v, nil
}

func apiReport(c *call) (any, error) { return c.report() }

// Clock gives a time of a report, in the zone of its shifts.
func (v *view) Clock(at time.Time, of *reportView) string {
	return at.In(of.Until.Location()).Format("01-02 15:04")
}
