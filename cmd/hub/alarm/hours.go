package alarm

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Hours are when an org, with all below it, has school. Outside of them its alarms of
// HolidayKinds send no messages: agents of schools are switched off at night.
type Hours struct {
	Org string `json:"org"`
	// Opens and Closes are minutes of the day, 0 to 1440, of the hub's zone; Closes is the
	// first without school.
	Opens  int `json:"opens"`
	Closes int `json:"closes"`
	// Days are those of the week from 1, Monday, in order.
	Days   []int  `json:"days"`
	MadeBy string `json:"made_by"`
}

// NewHours reads times such as 07:00 and 24:00, and days of the week, 1 to 7, apart by spaces:
// Monday to Friday if there are none.
func NewHours(org, opens, closes, days string) (h Hours, err error) {
	h.Org = org
	if h.Opens, err = minute(opens); err == nil {
		h.Closes, err = minute(closes)
	}
	if err == nil && h.Opens >= h.Closes {
		err = fmt.Errorf("%s … %s", opens, closes)
	}
	if err != nil {
		return h, err
	}
	for _, text := range strings.Fields(days) {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 7 {
			return h, fmt.Errorf("%.20s", text)
		}
		h.Days = append(h.Days, n)
	}
	if len(h.Days) == 0 {
		h.Days = []int{1, 2, 3, 4, 5}
	}
	slices.Sort(h.Days)
	h.Days = slices.Compact(h.Days)
	return h, nil
}

// minute reads a time of the day.
func minute(text string) (int, error) {
	hours, minutes, ok := strings.Cut(text, ":")
	h, err := strconv.Atoi(hours)
	m, wrong := strconv.Atoi(minutes)
	if !ok || err != nil || wrong != nil || len(minutes) != 2 || h < 0 || m < 0 || m > 59 || h*60+m > 24*60 {
		return 0, fmt.Errorf("%.20s", text)
	}
	return h*60 + m, nil
}

// From is when school begins, as 07:00.
func (h Hours) From() string { return clock(h.Opens) }

// Until is when it ends, up to 24:00.
func (h Hours) Until() string { return clock(h.Closes) }

func clock(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }
