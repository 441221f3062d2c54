package desk

import (
	"context"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/cmd/hub/watch"
)

// pastOf asks for the history of a source or an org.
type pastOf func(ctx context.Context, span state.Span) ([]state.Past, error)

func (c *call) pastOfSource(x *watch.Source) pastOf {
	return func(ctx context.Context, span state.Span) ([]state.Past, error) {
		return c.d.o.State.SourceHistory(ctx, x.Org.Code, x.ID, span)
	}
}

func (c *call) pastOfOrg(o *watch.Org) pastOf {
	return func(ctx context.Context, span state.Span) ([]state.Past, error) {
		return c.d.o.State.OrgHistory(ctx, o.Code, span)
	}
}

// spanView is the history of a span: charts, and the same as a table.
type spanView struct {
	Span      string
	Lag, Rate chart
	Rows      []pastRow
}

// charts draws the spans that there are.
func (c *call) charts(of pastOf) (out []spanView, err error) {
	v := &view{lang: c.lang, zone: c.d.o.Shifts.Zone}
	for _, span := range []state.Span{state.Day, state.Month} {
		f := figures{v: v, until: c.d.o.Now()}
		f.axis = axis{f.until.Add(-span.Length), span}
		if f.past, err = of(c.ctx(), span); err != nil {
			return nil, err
		}
		lag := func(p *state.Past) *float32 { return p.Lag }
		var below []reading
		if span == state.Month {
			below = f.of(lag)
		}
		out = append(out, spanView{span.Name,
			f.chart("lag", lagSteps, v.Span, f.of(func(p *state.Past) *float32 { return p.Top }), below),
			f.chart("rate", rateSteps, v.Rate, f.of(func(p *state.Past) *float32 { return p.Rate }), nil), f.rows()})
	}
	return out, nil
}

// historyView is an org with how it was.
type historyView struct {
	*watch.Org
	Charts []spanView
}

func (c *call) org() (*watch.Org, error) {
	code := c.r.PathValue("org")
	o := c.watched().Org(c.scopes, code)
	if o == nil {
		return nil, refusal.New(refusal.Unknown, "ORG_UNKNOWN", "%.80q", code)
	}
	return o, nil
}

func loadHistory(c *call) (any, error) {
	o, err := c.org()
	if err != nil {
		return nil, err
	}
	v := &historyView{Org: o}
	v.Charts, err = c.charts(c.pastOfOrg(o))
	return v, err
}

// pastJSON is what the API says of a history.
type pastJSON struct {
	Span   string       `json:"span"`
	Step   float64      `json:"step_seconds"`
	From   time.Time    `json:"from"`
	Until  time.Time    `json:"until"`
	Points []state.Past `json:"points"`
}

// past answers for the span of the query, a day without one.
func (c *call) past(of pastOf) (any, error) {
	now := c.d.o.Now()
	for _, span := range []state.Span{state.Day, state.Month} {
		if q := c.r.URL.Query().Get("span"); q != span.Name && (q != "" || span != state.Day) {
			continue
		}
		points, err := of(c.ctx(), span)
		if points == nil {
			points = []state.Past{}
		}
		return pastJSON{span.Name, span.Step.Seconds(), now.Add(-span.Length), now, points}, err
	}
	return nil, refusal.New(refusal.Invalid, "INPUT_INVALID", "span %.20q: 24h, 30d", c.r.URL.Query().Get("span"))
}

func apiSourceHistory(c *call) (any, error) {
	id := c.r.PathValue("source")
	x := c.watched().Source(c.scopes, id)
	if x == nil {
		return nil, refusal.New(refusal.Unknown, "SOURCE_NOT_SEEN", "%.80q", id)
	}
	return c.past(c.pastOfSource(x))
}

func apiOrgHistory(c *call) (any, error) {
	o, err := c.org()
	if err != nil {
		return nil, err
	}
	return c.past(c.pastOfOrg(o))
}
