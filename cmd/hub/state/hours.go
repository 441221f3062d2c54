package state

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/cmd/hub/alarm"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
)

// schoolHours has one row per org that has declared some; opens and closes are minutes of the
// day, days those of the week from 1, Monday.
const schoolHours = `
CREATE TABLE tributary.hub_school_hours (org text COLLATE "C" PRIMARY KEY, path text COLLATE "C" NOT NULL, opens int NOT NULL, closes int NOT NULL, days int[] NOT NULL, made timestamptz NOT NULL, made_by text NOT NULL,
  CHECK (opens >= 0 AND opens < closes AND closes <= 1440));
`

// outside is true of an alarm o of an org whose school hours it isn't at the time of a
// parameter: those of the nearest org above it count.
func (s *State) outside(n int) string {
	_, east := s.o.Now().In(s.o.Zone).Zone()
	local := fmt.Sprintf("($%d::timestamptz AT TIME ZONE 'UTC' + interval '%d seconds')", n, east)
	return `coalesce((SELECT NOT (extract(isodow FROM ` + local + `)::int = ANY(h.days) AND extract(hour FROM ` + local + `) * 60 + extract(minute FROM ` + local + `) >= h.opens
		AND extract(hour FROM ` + local + `) * 60 + extract(minute FROM ` + local + `) < h.closes) FROM tributary.hub_school_hours h WHERE o.path <> '' AND starts_with(o.path, h.path) ORDER BY length(h.path) DESC LIMIT 1), false)`
}

// SetHours notes when an org in the scopes and all below it have school, in place of what was
// noted of it before.
func (s *State) SetHours(ctx context.Context, by By, scopes []string, h alarm.Hours) error {
	return s.within(ctx, func(tx pgx.Tx) error {
		o, err := org(ctx, tx, h.Org, scopes)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO tributary.hub_school_hours (org, path, opens, closes, days, made, made_by) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (org) DO UPDATE SET path = excluded.path, opens = excluded.opens, closes = excluded.closes, days = excluded.days, made = excluded.made, made_by = excluded.made_by`,
			o.Code, o.Path, h.Opens, h.Closes, h.Days, s.o.Now(), by.Name); err != nil {
			return err
		}
		return note(ctx, tx, by, Entry{Action: "calendar.hours", Org: o.Code, Path: o.Path, Object: o.Code, Detail: fmt.Sprintf("%s … %s; %s", h.From(), h.Until(), strings.Trim(fmt.Sprint(h.Days), "[]"))})
	})
}

// RemoveHours takes an org's school hours away: alarms of it are told at any time, unless an
// org above it has some.
func (s *State) RemoveHours(ctx context.Context, by By, scopes []string, code string) error {
	return s.within(ctx, func(tx pgx.Tx) error {
		var path string
		err := tx.QueryRow(ctx, `DELETE FROM tributary.hub_school_hours o WHERE o.org = $2 AND `+inScope(1)+` RETURNING o.path`, scopes, code).Scan(&path)
		if errors.Is(err, pgx.ErrNoRows) {
			return refusal.New(refusal.Unknown, "HOLIDAY_UNKNOWN", "%.80q", code)
		} else if err != nil {
			return err
		}
		return note(ctx, tx, by, Entry{Action: "calendar.nohours", Org: code, Path: path, Object: code})
	})
}

// Hours gives the school hours of orgs in the scopes, by their place in the tree.
func (s *State) Hours(ctx context.Context, scopes []string) ([]alarm.Hours, error) {
	return list[alarm.Hours](ctx, s, `SELECT o.org, o.opens, o.closes, o.days, o.made_by FROM tributary.hub_school_hours o WHERE `+inScope(1)+` ORDER BY o.path LIMIT 5000`, scopes)
}
