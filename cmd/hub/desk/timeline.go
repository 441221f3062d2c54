package desk

import (
	"net/url"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/cmd/hub/alarm"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/cmd/hub/watch"
	"github.com/tributary-cdc/tributary/cmd/internal/language"
)

// The events of one answer, and of a source's own page.
const (
	pageOfTimeline  = 50
	pieceOfTimeline = 10
)

// timelineView is what happened to a source.
type timelineView struct {
	Source string
	Org    watch.Org // with at least code and name
	Events []state.Event
	Older  string // where the earlier ones are; empty if there are none
	// Newest leads to the newest ones; empty if these are.
	Newest string
}

// timeline gives the events of a source before that of the query.
func (c *call) timeline(x *watch.Source, before string, most int) (*timelineView, error) {
	all, err := c.d.o.State.Timeline(c.ctx(), c.session.Scopes(account.See), x.ID, before, most+1)
	if err != nil {
		return nil, err
	}
	v := &timelineView{Source: x.ID, Org: watch.Org{Org: *x.Org}, Events: all}
	path := "/sources/" + url.PathEscape(x.ID) + "/timeline"
	if len(all) > most {
		v.Events = all[:most]
		v.Older = path + "?before=" + url.QueryEscape(v.Events[most-1].Place)
	}
	if before != "" {
		v.Newest = path
	}
	return v, nil
}

func (c *call) askedTimeline() (*timelineView, error) {
	id := c.r.PathValue("source")
	x := c.watched().Source(c.scopes, id)
	if x == nil {
		return nil, refusal.New(refusal.Unknown, "SOURCE_NOT_SEEN", "%.80q", id)
	}
	return c.timeline(x, c.r.URL.Query().Get("before"), pageOfTimeline)
}

func loadTimeline(c *call) (any, error) { return c.askedTimeline() }

func apiTimeline(c *call) (any, error) {
	v, err := c.askedTimeline()
	if err != nil {
		return nil, err
	}
	before := ""
	if v.Older != "" {
		before = v.Events[len(v.Events)-1].Place
	}
	if v.Events == nil {
		v.Events = []state.Event{}
	}
	return map[string]any{"events": v.Events, "before": before}, nil
}

// Happened says in words what an event was.
func (v *view) Happened(e state.Event) string {
	word := e.Word
	switch e.Kind {
	case state.Seen, state.StateChanged:
		word = v.State(e.Word)
		if e.Was != "" && e.Was != e.Word {
			word = v.State(e.Was) + " → " + word
		}
	case state.OfAudit:
		return v.T("action." + e.Word)
	case state.OfAlarm, state.AlarmOver:
		word = v.Alarm(alarm.Kind(e.Word))
	case state.NewEpoch, state.AgentChanged:
		if e.Was != "" && e.Was != "0" {
			word = e.Was + " → " + word
		}
	}
	what := v.T("event." + e.Kind)
	if v.lang == language.Chinese { // whose colon is wide enough
		return what + word
	}
	return what + " " + word
}

// EventTone is how much an event wants to be looked at.
func (v *view) EventTone(e state.Event) string {
	switch {
	case e.Kind == state.OfAlarm && v.Urgent(alarm.Kind(e.Word)):
		return "bad"
	case e.Kind == state.OfAlarm, e.Kind == state.TableStopped, e.Kind == state.NewEpoch:
		return "wait"
	case e.Kind == state.AlarmOver, e.Kind == state.TableResumed:
		return "good"
	}
	return "quiet"
}
