package state

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/cmd/hub/alarm"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/schema/catalog"
)

const calendar = `
CREATE TABLE tributary.hub_holiday (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, org text NOT NULL, path text COLLATE "C" NOT NULL, name text NOT NULL, kinds text[] NOT NULL,
  starts timestamptz NOT NULL, ends timestamptz NOT NULL, made timestamptz NOT NULL, made_by text NOT NULL, CHECK (starts < ends));
CREATE INDEX ON tributary.hub_holiday (ends);
`

// Holiday are days without school of an org and all below it.
type Holiday struct {
	ID     int64     `json:"id"`
	Org    string    `json:"org"`
	Name   string    `json:"name"`
	Kinds  []string  `json:"kinds"`
	Starts time.Time `json:"starts"`
	Ends   time.Time `json:"ends"` // the end of the last day
	MadeBy string    `json:"made_by"`
}

// noSchool is true of an alarm o of a kind that can wait (alarm.HolidayKinds) while its org has
// no school at the time of a parameter: on a day of the calendar, or outside of its hours.
func (s *State) noSchool(n int) string {
	kinds := make([]string, len(alarm.HolidayKinds))
	for i, k := range alarm.HolidayKinds {
		kinds[i] = "'" + string(k) + "'"
	}
	return fmt.Sprintf(`(o.kind IN (`+strings.Join(kinds, ", ")+`) AND (EXISTS (SELECT FROM tributary.hub_holiday h WHERE (starts_with(o.path, h.path) OR o.path = '' AND h.path NOT LIKE '%%/%%_') AND o.kind = ANY(h.kinds) AND $%[1]d >= h.starts AND $%[1]d < h.ends) OR `, n) + s.outside(n) + `))`
}

// maxHolidays bounds those that are noted at once.
const maxHolidays = 1000

// oneByOne lets only one transaction of a kind go on at a time, to its end.
func oneByOne(ctx context.Context, tx pgx.Tx, kind string) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('tributary hub ' || $1, 0))`, kind)
	return err
}

// AddHolidays notes days of orgs in the scopes, all or none, and counts those that it has added.
// The others are noted already, with the same name and kinds.
func (s *State) AddHolidays(ctx context.Context, by By, scopes []string, all []alarm.Holiday) (added int, err error) {
	if len(all) == 0 || len(all) > maxHolidays {
		return 0, refusal.New(refusal.Invalid, "CALENDAR_INVALID", "1 … %d", maxHolidays)
	}
	err = s.within(ctx, func(tx pgx.Tx) error {
		if err := oneByOne(ctx, tx, "calendar"); err != nil {
			return err
		}
		for _, h := range all {
			if !catalog.IsName(h.Name) {
				return refusal.New(refusal.Invalid, "CALENDAR_INVALID", "%.120q", h.Name)
			}
			starts, err := time.ParseInLocation(time.DateOnly, h.From, s.o.Zone)
			last, wrong := time.ParseInLocation(time.DateOnly, h.Until, s.o.Zone)
			if err = errors.Join(err, wrong); err != nil || last.Before(starts) {
				return refusal.New(refusal.Invalid, "CALENDAR_INVALID", "%.40q … %.40q", h.From, h.Until)
			}
			o, err := org(ctx, tx, h.Org, scopes)
			if err != nil {
				return err
			}
			kinds := make([]string, len(h.Kinds))
			for i, k := range h.Kinds {
				kinds[i] = string(k)
			}
			var id int64
			err = tx.QueryRow(ctx, `INSERT INTO tributary.hub_holiday (org, path, name, kinds, starts, ends, made, made_by) SELECT $1::text, $2::text, $3::text, $4::text[], $5::timestamptz, $6::timestamptz, $7::timestamptz, $8::text
				WHERE NOT EXISTS (SELECT FROM tributary.hub_holiday WHERE org = $1 AND name = $3 AND kinds @> $4::text[] AND kinds <@ $4::text[] AND starts = $5 AND ends = $6) RETURNING id`,
				o.Code, o.Path, h.Name, kinds, starts, last.AddDate(0, 0, 1), s.o.Now(), by.Name).Scan(&id)
			if errors.Is(err, pgx.ErrNoRows) {
				continue
			} else if err != nil {
				return err
			}
			added++
			if err := note(ctx, tx, by, Entry{Action: "calendar.add", Org: o.Code, Path: o.Path, Object: fmt.Sprint(id), Detail: fmt.Sprintf("%s … %s %s; %s", h.From, h.Until, h.Name, strings.Join(kinds, " "))}); err != nil {
				return err
			}
		}
		return nil
	})
	return added, err
}

// RemoveHoliday takes days away again. Its line in the audit stays.
func (s *State) RemoveHoliday(ctx context.Context, by By, scopes []string, id int64) error {
	return s.within(ctx, func(tx pgx.Tx) error {
		var code, path, name string
		err := tx.QueryRow(ctx, `DELETE FROM tributary.hub_holiday o WHERE o.id = $2 AND `+inScope(1)+` RETURNING o.org, o.path, o.name`, scopes, id).Scan(&code, &path, &name)
		if errors.Is(err, pgx.ErrNoRows) {
			return refusal.New(refusal.Unknown, "HOLIDAY_UNKNOWN", "%d", id)
		} else if err != nil {
			return err
		}
		return note(ctx, tx, by, Entry{Action: "calendar.remove", Org: code, Path: path, Object: fmt.Sprint(id), Detail: name})
	})
}

// Holidays gives those of orgs in the scopes that aren't over for longer than a month, by
// their begin, at most 1,000.
func (s *State) Holidays(ctx context.Context, scopes []string) ([]Holiday, error) {
	return list[Holiday](ctx, s, `SELECT o.id, o.org, o.name, o.kinds, o.starts, o.ends, o.made_by FROM tributary.hub_holiday o
		WHERE `+inScope(1)+` AND o.ends > $2 ORDER BY o.starts, o.org, o.id LIMIT 1000`, scopes, s.o.Now().AddDate(0, -1, 0))
}
