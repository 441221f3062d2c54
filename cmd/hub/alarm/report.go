package alarm

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/cmd/internal/language"
)

// Shifts are the times of day at which a shift ends and its report is made. The zero value is
// 08:30 in China, of which the shift is 24 hours.
type Shifts struct {
	// At are minutes since midnight, in order.
	At   []int
	Zone *time.Location
}

// DefaultReport is when shifts end without a word on it.
const (
	DefaultReport     = "08:30"
	DefaultReportZone = "Asia/Shanghai"
)

// NewShifts reads times of day (15:04) and the name of a zone; without any the default.
func NewShifts(at []string, zone string) (s Shifts, err error) {
	if len(at) == 0 {
		at = []string{DefaultReport}
	}
	if zone == "" {
		zone = DefaultReportZone
	}
	if s.Zone, err = time.LoadLocation(zone); err != nil {
		return s, err
	}
	for _, text := range at {
		t, err := time.Parse("15:04", text)
		if err != nil {
			return s, err
		}
		s.At = append(s.At, t.Hour()*60+t.Minute())
	}
	slices.Sort(s.At)
	s.At = slices.Compact(s.At)
	return s, nil
}

// Last gives the shift that has ended last at a moment.
func (s Shifts) Last(now time.Time) (from, until time.Time) {
	if len(s.At) == 0 {
		s, _ = NewShifts(nil, "") // the zone comes with the program
	}
	now = now.In(s.Zone)
	y, m, d := now.Date()
	for day := d - 2; day <= d; day++ {
		for _, at := range s.At {
			if end := time.Date(y, m, day, at/60, at%60, 0, 0, s.Zone); !end.After(now) {
				from, until = until, end
			}
		}
	}
	return from, until
}

// Next gives when the shift after one that ended at a moment ends.
func (s Shifts) Next(until time.Time) time.Time {
	until = until.In(s.Zone)
	y, m, d := until.Date()
	for day := d; ; day++ {
		for _, at := range s.At {
			if end := time.Date(y, m, day, at/60, at%60, 0, 0, s.Zone); end.After(until) {
				return end
			}
		}
	}
}

// Report is what happened in a shift, and what was open at its end.
type Report struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	// Kinds count the alarms by kind, the worst first.
	Kinds []Counted `json:"kinds"`
	// Open are those that were open at the end, Over those that came or were open in the shift
	// and were over at its end; the newest first, at most 100 each.
	Open []Reported `json:"open"`
	Over []Reported `json:"over"`
	// Actions are what people did: decisions, acknowledgements, silences, maintenance and the
	// like, the newest first, at most 100.
	Actions []Action `json:"actions"`
	// Pending counts the requests that wait for an approver now.
	Pending int `json:"pending_requests"`
}

// Counted is how many alarms of a kind came, ended, and were open at the end.
type Counted struct {
	Kind Kind `json:"kind"`
	Came int  `json:"came"`
	Over int  `json:"over"`
	Open int  `json:"open"`
}

// Reported is an alarm of a report.
type Reported struct {
	ID      int64      `json:"id"`
	Kind    Kind       `json:"kind"`
	Object  string     `json:"object"`
	Org     string     `json:"org"`
	Detail  string     `json:"detail,omitempty"`
	Sources int        `json:"sources"`
	Opened  time.Time  `json:"opened"`
	Closed  *time.Time `json:"closed,omitempty"`
	// By has acknowledged it; nil if nobody has.
	By   *string `json:"acknowledged_by,omitempty"`
	Note string  `json:"note,omitempty"`
}

// Action is something that a person did.
type Action struct {
	At     time.Time `json:"at"`
	Actor  string    `json:"actor"`
	Action string    `json:"action"`
	Org    string    `json:"org"`
	Object string    `json:"object"`
	Detail string    `json:"detail,omitempty"`
}

// Sum counts all kinds.
func (r *Report) Sum() (all Counted) {
	for _, k := range r.Kinds {
		all.Came, all.Over, all.Open = all.Came+k.Came, all.Over+k.Over, all.Open+k.Open
	}
	return all
}

// told bounds the alarms that a message names.
const told = 10

// Title names a report.
func (r *Report) Title(lang language.Language) string {
	title := "Shift report "
	if lang == language.Chinese {
		title = "值班报告 "
	}
	return title + r.From.Format("01-02 15:04") + " – " + r.Until.Format("01-02 15:04")
}

// Text gives a report as markdown, which leads to its page at an address if there is one.
func (r *Report) Text(lang language.Language, page string) string {
	counts, nobody, by, pending, more, details := "came %d, over %d, open %d", "nobody looks after it", "%s looks after it", "%d {request waits|requests wait} for an approver", "and %d more", "Details"
	if lang == language.Chinese {
		counts, nobody, by, pending, more, details = "新增 %d，恢复 %d，未恢复 %d", "无人确认", "%s 已确认", "%d 项登记申请待审批", "另有 %d 条", "查看详情"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n", r.Title(lang))
	sum := r.Sum()
	fmt.Fprintf(&b, "**"+counts+"**\n\n", sum.Came, sum.Over, sum.Open)
	for _, k := range r.Kinds {
		fmt.Fprintf(&b, "- %s: "+counts+"\n", Words(k.Kind, lang).Name, k.Came, k.Over, k.Open)
	}
	b.WriteString("\n")
	for _, a := range r.Open[:min(len(r.Open), told)] {
		who := nobody
		if a.By != nil {
			who = fmt.Sprintf(by, plain(*a.By))
		}
		fmt.Fprintf(&b, "- %s · %s (%s): %s\n", Words(a.Kind, lang).Name, plain(Object(a.Object, lang)), a.Opened.In(r.Until.Location()).Format("01-02 15:04"), who)
	}
	if n := sum.Open - told; n > 0 {
		fmt.Fprintf(&b, "- "+more+"\n", n)
	}
	if r.Pending > 0 {
		b.WriteString(language.Sprintf("\n"+pending+"\n", r.Pending))
	}
	if page != "" {
		fmt.Fprintf(&b, "\n[%s](%s/report?until=%s)", details, page, r.Until.UTC().Format(time.RFC3339))
	}
	return b.String()
}
