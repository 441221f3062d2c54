package desk

import (
	"strconv"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/cmd/hub/alarm"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/cmd/hub/watch"
	"github.com/tributary-cdc/tributary/schema/catalog"
)

// alarmsView is what people are called for.
type alarmsView struct {
	Open, Over  []state.Alarm
	Maintenance []state.Maintenance
	Orgs        []catalog.Org // for which the reader may plan maintenance
	Now         time.Time
}

func loadAlarms(c *call) (any, error) {
	v := alarmsView{Now: c.d.o.Now()}
	scopes := c.session.Scopes(account.See)
	all, err := c.d.o.State.Alarms(c.ctx(), scopes)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		if a.Closed == nil {
			v.Open = append(v.Open, a)
		} else {
			v.Over = append(v.Over, a)
		}
	}
	if v.Maintenance, err = c.d.o.State.Maintenances(c.ctx(), scopes); err != nil {
		return nil, err
	}
	if own := c.session.Scopes(account.Tend); len(own) > 0 {
		v.Orgs, err = c.d.o.State.Orgs(c.ctx(), own)
	}
	return v, err
}

// alarmView is one alarm with what it means.
type alarmView struct {
	*state.Alarm
	Words alarm.Explanation
	// Mine says that the reader may acknowledge and silence it.
	Mine bool
	Now  time.Time
	// Behind are its sources as they are now.
	Behind []*watch.Source
	// Source is the one that it is about; empty if it is about something else.
	Source string
}

// Silenced reports whether no messages are sent now because somebody has said so.
func (v *alarmView) Silenced() bool { return v.SilencedUntil != nil && v.SilencedUntil.After(v.Now) }

func (c *call) alarm() (*state.Alarm, error) {
	id, err := c.number("id")
	if err != nil {
		return nil, err
	}
	return c.d.o.State.Alarm(c.ctx(), c.scopes, id)
}

func loadAlarm(c *call) (any, error) {
	id, err := c.number("id")
	if err != nil {
		return nil, err
	}
	scopes := c.session.Scopes(account.See)
	a, err := c.d.o.State.Alarm(c.ctx(), scopes, id)
	if err != nil {
		return nil, err
	}
	v := &alarmView{Alarm: a, Words: alarm.WordsOf(a.Kind, a.Code, c.lang), Mine: a.Closed == nil && c.session.May(account.Tend, a.Path), Now: c.d.o.Now()}
	s := c.watched()
	if id, ok := strings.CutPrefix(a.Object, "source "); ok && s.Source(scopes, id) != nil {
		v.Source = id
	}
	for _, id := range a.Sources {
		if x := s.Source(scopes, id); x != nil {
			v.Behind = append(v.Behind, x)
		}
	}
	return v, nil
}

func acknowledge(c *call) (any, error) {
	id, err := c.number("id")
	if err != nil {
		return nil, err
	}
	return nothing, c.d.o.State.Acknowledge(c.ctx(), c.by, c.scopes, id, c.text("note"))
}

func silence(c *call) (any, error) {
	id, err := c.number("id")
	if err != nil {
		return nil, err
	}
	hours, err := strconv.ParseFloat(c.text("hours"), 64)
	if err != nil || !(hours > 0 && hours <= state.MaxSilence.Hours()) {
		return nil, refusal.New(refusal.Invalid, "INPUT_INVALID", "hours %.20q", c.text("hours"))
	}
	return nothing, c.d.o.State.Silence(c.ctx(), c.by, c.scopes, id, time.Duration(hours*float64(time.Hour)), c.text("reason"))
}

// moment reads a time: RFC 3339, or as a form's field gives it, in the hub's zone.
func (c *call) moment(name string) (time.Time, error) {
	text := c.text(name)
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if at, err := time.ParseInLocation(layout, text, c.d.o.Shifts.Zone); err == nil {
			return at, nil
		}
	}
	return time.Time{}, refusal.New(refusal.Invalid, "INPUT_INVALID", "%s %.40q", name, text)
}

func planMaintenance(c *call) (any, error) {
	m := state.Maintenance{Org: c.text("org"), Reason: c.text("reason")}
	var err error
	if m.Starts, err = c.moment("starts"); err != nil {
		return nil, err
	}
	if m.Ends, err = c.moment("ends"); err != nil {
		return nil, err
	}
	m, again, err := c.d.o.State.PlanMaintenance(c.ctx(), c.by, c.scopes, m)
	return planned{m, again}, err
}

// planned is a window that was planned, now or before.
type planned struct {
	state.Maintenance
	Again bool `json:"again"`
}

func (p planned) again() bool { return p.Again }

func endMaintenance(c *call) (any, error) {
	id, err := c.number("id")
	if err != nil {
		return nil, err
	}
	return nothing, c.d.o.State.EndMaintenance(c.ctx(), c.by, c.scopes, id)
}

// Alarm gives a kind of alarm its name.
func (v *view) Alarm(k alarm.Kind) string { return alarm.Words(k, v.lang).Name }

// AlarmOf gives the name of an alarm with a code, as its page and its message have it.
func (v *view) AlarmOf(k alarm.Kind, code string) string { return alarm.WordsOf(k, code, v.lang).Name }

// AlarmKind is the same of a kind as a text.
func (v *view) AlarmKind(k string) string { return v.Alarm(alarm.Kind(k)) }

// Object names what an alarm is about.
func (v *view) Object(s string) string { return alarm.Object(s, v.lang) }

// Urgent reports whether a kind needs a person at once.
func (v *view) Urgent(k alarm.Kind) bool {
	return k == alarm.Gap || k == alarm.Fuse || k == alarm.Silence || k == alarm.Halt || k == alarm.Retention
}
