package alarm

import (
	"regexp"
	"strings"
	"time"
)

// moments are the times in what programs say: in UTC, and marked so.
var moments = regexp.MustCompile(`\b\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC\b`)

// Here gives what a program said with its times in a zone, as people read all others.
func Here(text string, zone *time.Location) string {
	return moments.ReplaceAllStringFunc(text, func(m string) string {
		layout := "2006-01-02 15:04:05"
		m = strings.TrimSuffix(m, " UTC")
		layout = layout[:len(m)]
		at, err := time.Parse(layout, m)
		if err != nil { // the 30th of February
			return m + " UTC"
		}
		return at.In(zone).Format(layout)
	})
}
