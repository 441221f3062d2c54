package alarm

import (
	"regexp"
	"strings"
	"time"
)

// moments are the times in what programs say: in UTC, and marked so, or with their offset.
var moments = regexp.MustCompile(`\b\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? (UTC\b|[+-]\d\d:\d\d\b)`)

// Here gives what a program said with its times in a zone, as people read all others.
func Here(text string, zone *time.Location) string {
	return moments.ReplaceAllStringFunc(text, func(m string) string {
		i := strings.LastIndexByte(m, ' ')
		layout := "2006-01-02 15:04:05"[:i]
		at, err := time.Parse(layout+" -07:00", m[:i]+strings.Replace(m[i:], "UTC", "+00:00", 1))
		if err != nil { // the 30th of February
			return m
		}
		return at.In(zone).Format(layout)
	})
}
