package config

import (
	"errors"
	"fmt"
	"time"
	_ "time/tzdata" // zones by name, whatever the machine has

	"github.com/tributary-cdc/tributary/capture/snapshot"
)

// Loading bounds what the loads of tables cost a source. The zero value bounds nothing.
type Loading struct {
	// RowsPerSecond bounds the rows read, of all tables together; 0 for no bound.
	RowsPerSecond int `yaml:"rows_per_second"`
	// QuietHours are the hours of the day in which tables are read, e.g. 22:00-06:00; empty
	// for all of it. The stream knows no hours.
	QuietHours string `yaml:"quiet_hours"`
	// TimeZone names the zone of QuietHours, e.g. Asia/Shanghai. Default the machine's.
	TimeZone string `yaml:"time_zone"`
}

// Hours gives the quiet hours.
func (l Loading) Hours() (snapshot.Hours, error) {
	if l.QuietHours == "" {
		return snapshot.Hours{}, nil
	}
	zone := time.Local
	if l.TimeZone != "" {
		var err error
		if zone, err = time.LoadLocation(l.TimeZone); err != nil {
			return snapshot.Hours{}, err
		}
	}
	return snapshot.ParseHours(l.QuietHours, zone)
}

func (l Loading) check(where string) error {
	var all []error
	if l.RowsPerSecond < 0 {
		all = append(all, wrong(fmt.Sprintf("%s.load.rows_per_second %d", where, l.RowsPerSecond), belowZero))
	}
	if l.QuietHours == "" && l.TimeZone != "" {
		all = append(all, wrong(where+".load.time_zone", zoneOfNothing))
	}
	if _, err := time.LoadLocation(l.TimeZone); err != nil {
		all = append(all, wrong(fmt.Sprintf("%s.load.time_zone %q", where, l.TimeZone), aZone))
	} else if _, err := l.Hours(); err != nil {
		all = append(all, wrong(fmt.Sprintf("%s.load.quiet_hours %q", where, l.QuietHours), someHours))
	}
	return errors.Join(all...)
}
