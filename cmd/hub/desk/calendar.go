package desk

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/cmd/hub/alarm"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/schema/catalog"
)

// calendarView are the days without school.
type calendarView struct {
	Holidays []state.Holiday
	Hours    []alarm.Hours
	Kinds    []alarm.Kind
	Orgs     []catalog.Org // for which the reader may note some
	Now      time.Time
}

// Week are the days of the week, from 1.
func (*calendarView) Week() []int { return []int{1, 2, 3, 4, 5, 6, 7} }

func loadCalendar(c *call) (any, error) {
	v := &calendarView{Kinds: alarm.HolidayKinds, Now: c.d.o.Now()}
	var err error
	if v.Holidays, err = c.d.o.State.Holidays(c.ctx(), c.session.Scopes(account.See)); err != nil {
		return nil, err
	}
	if v.Hours, err = c.d.o.State.Hours(c.ctx(), c.session.Scopes(account.See)); err != nil {
		return nil, err
	}
	if own := c.session.Scopes(account.Tend); len(own) > 0 {
		v.Orgs, err = c.d.o.State.Orgs(c.ctx(), own)
	}
	return v, err
}

func addHoliday(c *call) (any, error) {
	h, err := alarm.NewHoliday(c.text("from"), c.text("until"), c.text("name"), c.text("org"), strings.Join(c.in["kinds"], " "))
	if err != nil {
		return nil, refusal.New(refusal.Invalid, "CALENDAR_INVALID", "%.120s", err.Error())
	}
	return c.addHolidays([]alarm.Holiday{h})
}

// noted counts days of the calendar that are new, and those that were there.
type noted struct {
	Added int `json:"added"`
	Known int `json:"known"`
}

func (n noted) again() bool { return n.Added == 0 }

func (c *call) addHolidays(all []alarm.Holiday) (any, error) {
	added, err := c.d.o.State.AddHolidays(c.ctx(), c.by, c.scopes, all)
	return noted{added, len(all) - added}, err
}

func importCalendar(c *call) (any, error) {
	yml := slices.Contains([]string{".yml", ".yaml"}, strings.ToLower(path.Ext(c.text("filename"))))
	all, err := alarm.ParseCalendar([]byte(first(c.in["file"])), yml, c.text("org"))
	if err != nil {
		return nil, refusal.New(refusal.Invalid, "CALENDAR_INVALID", "%.200s", err.Error())
	}
	return c.addHolidays(all)
}

func removeHoliday(c *call) (any, error) {
	id, err := c.number("id")
	if err != nil {
		return nil, err
	}
	return nothing, c.d.o.State.RemoveHoliday(c.ctx(), c.by, c.scopes, id)
}

func setHours(c *call) (any, error) {
	h, err := alarm.NewHours(c.text("org"), c.text("opens"), c.text("closes"), strings.Join(c.in["days"], " "))
	if err != nil {
		return nil, refusal.New(refusal.Invalid, "CALENDAR_INVALID", "%.120s", err.Error())
	}
	return nothing, c.d.o.State.SetHours(c.ctx(), c.by, c.scopes, h)
}

func removeHours(c *call) (any, error) {
	return nothing, c.d.o.State.RemoveHours(c.ctx(), c.by, c.scopes, c.r.PathValue("org"))
}

// Weekdays gives days of the week, those that follow each other as a span.
func (v *view) Weekdays(days []int) string {
	var out []string
	for i := 0; i < len(days); {
		k := i
		for k+1 < len(days) && days[k+1] == days[k]+1 {
			k++
		}
		first := v.Weekday(days[i])
		if k > i {
			first += "–" + v.Weekday(days[k])
		}
		out, i = append(out, first), k+1
	}
	return strings.Join(out, v.T("comma"))
}

// Weekday gives a day of the week, from 1.
func (v *view) Weekday(n int) string { return v.T("weekday." + strconv.Itoa(n)) }

// Day gives a day of the calendar: of an end, which is the midnight after it, the day before.
func (v *view) Day(at time.Time, end bool) string {
	if end {
		at = at.Add(-time.Minute)
	}
	return at.In(v.zone).Format(time.DateOnly)
}
