package alarm

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Holiday are days without school, during which alarms of some kinds send no messages: where
// nobody works, it is no trouble that an agent is switched off.
type Holiday struct {
	// From and Until are the first and the last day, as 2006-01-02.
	From, Until string
	Name        string
	Org         string // with all below it
	Kinds       []Kind // of HolidayKinds
}

// HolidayKinds are the kinds that can wait until there is school again; all of them without a
// word on it. What is lost meanwhile, or ends, can't: a gap, a halt, the fuse, a disk, a
// certificate.
var HolidayKinds = []Kind{Lag, Silence}

// MaxHoliday bounds the days of one entry.
const MaxHoliday = 120

// CalendarError is what is wrong with an entry; Line is 0 if it isn't known.
type CalendarError struct {
	Line  int
	Value string
}

// Error implements error.
func (e *CalendarError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%.120q", e.Value)
	}
	return fmt.Sprintf("%d: %.120q", e.Line, e.Value)
}

// calendarColumns are the names that a column may have.
var calendarColumns = map[string]string{"from": "from", "until": "until", "name": "name", "org": "org", "kinds": "kinds",
	"开始": "from", "结束": "until", "名称": "name", "机构": "org", "告警": "kinds"}

// ParseCalendar reads holidays from YAML if yml is set, else from CSV with a header line, in
// UTF-8 with or without a byte order mark. Those without an org belong to the given one.
func ParseCalendar(b []byte, yml bool, org string) ([]Holiday, error) {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	if !utf8.Valid(b) {
		return nil, &CalendarError{0, "UTF-8"}
	}
	rows, lines, err := calendarRows(b, yml)
	if err != nil {
		return nil, err
	}
	var all []Holiday
	for i, row := range rows {
		if row["org"] == "" {
			row["org"] = org
		}
		h, err := NewHoliday(row["from"], row["until"], row["name"], row["org"], row["kinds"])
		if err != nil {
			return nil, &CalendarError{lines[i], err.Error()}
		}
		all = append(all, h)
	}
	if len(all) == 0 {
		return nil, &CalendarError{0, "from,until,name,org,kinds"}
	}
	return all, nil
}

// calendarRows gives the fields of each entry with its line.
func calendarRows(b []byte, yml bool) (rows []map[string]string, lines []int, err error) {
	add := func(line int, names, values []string) error {
		row := map[string]string{}
		for i, name := range names {
			known, ok := calendarColumns[strings.ToLower(strings.TrimSpace(name))]
			if _, twice := row[known]; !ok || twice || i >= len(values) {
				return &CalendarError{line, name}
			}
			row[known] = strings.TrimSpace(values[i])
		}
		rows, lines = append(rows, row), append(lines, line)
		return nil
	}
	if yml {
		var list []yaml.Node
		if err := yaml.Unmarshal(b, &list); err != nil {
			return nil, nil, &CalendarError{0, err.Error()}
		}
		for i := range list {
			var names, values []string
			for k, n := range list[i].Content {
				if list[i].Kind != yaml.MappingNode || n.Kind != yaml.ScalarNode {
					return nil, nil, &CalendarError{n.Line, n.Value}
				}
				if k%2 == 0 {
					names = append(names, n.Value)
				} else {
					values = append(values, n.Value)
				}
			}
			if err := add(list[i].Line, names, values); err != nil {
				return nil, nil, err
			}
		}
		return rows, lines, nil
	}
	r := csv.NewReader(bytes.NewReader(b))
	var names []string
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, lines, nil
		}
		if pe, ok := errors.AsType[*csv.ParseError](err); ok {
			return nil, nil, &CalendarError{pe.Line, pe.Err.Error()}
		} else if err != nil {
			return nil, nil, &CalendarError{0, err.Error()}
		}
		line, _ := r.FieldPos(0)
		if names == nil {
			names = row
			continue
		}
		if err := add(line, names, row); err != nil {
			return nil, nil, err
		}
	}
}

// NewHoliday reads an entry: days as 2026-01-31 or, as Excel writes them, 2026/1/31; kinds
// apart by spaces.
func NewHoliday(from, until, name, org, kinds string) (h Holiday, err error) {
	if until == "" {
		until = from
	}
	first, err := day(from)
	if err != nil {
		return h, err
	}
	last, err := day(until)
	if err != nil {
		return h, err
	}
	if last.Before(first) || last.Sub(first) >= MaxHoliday*24*time.Hour {
		return h, fmt.Errorf("%s … %s", from, until)
	}
	h = Holiday{From: first.Format(time.DateOnly), Until: last.Format(time.DateOnly), Name: name, Org: org}
	for _, k := range strings.FieldsFunc(kinds, func(r rune) bool { return strings.ContainsRune(" ;,+、", r) }) {
		if !slices.Contains(HolidayKinds, Kind(k)) {
			return h, fmt.Errorf("%s", k)
		}
		if !slices.Contains(h.Kinds, Kind(k)) {
			h.Kinds = append(h.Kinds, Kind(k))
		}
	}
	if len(h.Kinds) == 0 {
		h.Kinds = HolidayKinds
	}
	return h, nil
}

func day(text string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		if t, err = time.Parse("2006/1/2", text); err != nil {
			return t, errors.New(text)
		}
	}
	return t, nil
}
