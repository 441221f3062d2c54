package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/cmd/hub/alarm"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/schema/catalog"
)

const alarms = `
CREATE TABLE tributary.hub_alarm (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind text NOT NULL, object text COLLATE "C" NOT NULL, org text NOT NULL, path text COLLATE "C" NOT NULL,
  code text NOT NULL, detail text NOT NULL, sources text[] NOT NULL, more int NOT NULL, opened timestamptz NOT NULL, seen timestamptz NOT NULL, closed timestamptz,
  acknowledged timestamptz, acknowledged_by text, note text NOT NULL DEFAULT '', silenced_until timestamptz, silenced_by text);
CREATE UNIQUE INDEX hub_alarm_open ON tributary.hub_alarm (kind, object) WHERE closed IS NULL;
CREATE INDEX ON tributary.hub_alarm (closed);
CREATE TABLE tributary.hub_alarm_told (alarm bigint NOT NULL REFERENCES tributary.hub_alarm, webhook text NOT NULL, over boolean NOT NULL, at timestamptz NOT NULL, PRIMARY KEY (alarm, webhook, over));
CREATE TABLE tributary.hub_maintenance (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, org text NOT NULL, path text COLLATE "C" NOT NULL, starts timestamptz NOT NULL, ends timestamptz NOT NULL,
  reason text NOT NULL, made timestamptz NOT NULL, made_by text NOT NULL, ended timestamptz, ended_by text, CHECK (starts < ends));
`

// Alarm is an alarm that was found, with what people have done about it.
type Alarm struct {
	ID     int64      `json:"id"`
	Kind   alarm.Kind `json:"kind"`
	Object string     `json:"object"`
	Org    string     `json:"org"`
	Path   string     `json:"-"`
	Code   string     `json:"code,omitempty"`
	Detail string     `json:"detail"`
	// Sources are muted by it; More counts those that aren't named.
	Sources        []string   `json:"sources"`
	More           int        `json:"more_sources"`
	Opened         time.Time  `json:"opened"`
	Closed         *time.Time `json:"closed,omitempty"`
	Acknowledged   *time.Time `json:"acknowledged,omitempty"`
	AcknowledgedBy *string    `json:"acknowledged_by,omitempty"`
	Note           string     `json:"note,omitempty"`
	SilencedUntil  *time.Time `json:"silenced_until,omitempty"`
	SilencedBy     *string    `json:"silenced_by,omitempty"`
	// Maintenance says that a window of its org goes on, Holiday that its org has no
	// school and the alarm is of a kind that waits for it.
	Maintenance bool `json:"maintenance"`
	Holiday     bool `json:"holiday"`
}

// inWindow is true of an alarm o while a window of an org above it goes on at the time of a
// parameter. What concerns the whole tree is covered by a window of its root.
func inWindow(n int) string {
	return fmt.Sprintf(`EXISTS (SELECT FROM tributary.hub_maintenance m WHERE (starts_with(o.path, m.path) OR o.path = '' AND m.path NOT LIKE '%%/%%_') AND m.ended IS NULL AND $%[1]d >= m.starts AND $%[1]d < m.ends)`, n)
}

func (s *State) alarmColumns(now int) string {
	return `o.id, o.kind, o.object, o.org, o.path, o.code, o.detail, o.sources, o.more, o.opened, o.closed, o.acknowledged, o.acknowledged_by, o.note, o.silenced_until, o.silenced_by, ` + inWindow(now) + `, ` + s.noSchool(now) + ` AS waits`
}

// maxAlarms bounds those that are kept of one look.
const maxAlarms = 5000

// KeepAlarms notes what was found now. What wasn't seen for a while (Options.Lingers) is over. Several hubs
// may do so at once.
func (s *State) KeepAlarms(ctx context.Context, found []alarm.Alarm) error {
	type row struct {
		Kind    string   `json:"kind"`
		Object  string   `json:"object"`
		Org     string   `json:"org"`
		Path    string   `json:"path"`
		Code    string   `json:"code"`
		Detail  string   `json:"detail"`
		Sources []string `json:"sources"`
		More    int      `json:"more"`
	}
	all, seen := []row{}, map[string]bool{}
	for _, a := range found[:min(len(found), maxAlarms)] {
		key := string(a.Kind) + " " + a.Object
		if seen[key] {
			continue
		}
		seen[key] = true
		if a.Sources == nil {
			a.Sources = []string{}
		}
		all = append(all, row{string(a.Kind), a.Object, a.Org, a.Path, a.Code, cutTo(a.Detail, 2000), a.Sources, a.More})
	}
	b, err := json.Marshal(all)
	if err != nil {
		return err
	}
	now := s.o.Now()
	return s.within(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('tributary alarms', 0))`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO tributary.hub_alarm (kind, object, org, path, code, detail, sources, more, opened, seen)
			SELECT kind, object, org, path, code, detail, ARRAY(SELECT jsonb_array_elements_text(sources)), more, $2, $2
			FROM jsonb_to_recordset($1) r(kind text, object text, org text, path text, code text, detail text, sources jsonb, more int)
			ON CONFLICT (kind, object) WHERE closed IS NULL DO UPDATE SET org = excluded.org, path = excluded.path, code = excluded.code, detail = excluded.detail,
				sources = excluded.sources, more = excluded.more, seen = excluded.seen`, b, now)
		if err == nil {
			_, err = tx.Exec(ctx, `UPDATE tributary.hub_alarm SET closed = $1 WHERE closed IS NULL AND seen < $2`, now, now.Add(-s.o.Lingers))
		}
		return err
	})
}

// cutTo keeps the beginning of a text, in bytes, and of it what can be stored.
func cutTo(s string, n int) string {
	if len(s) > n {
		s = s[:n] + "…"
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "�"), "\x00", "�")
}

// Alarms gives those of orgs in the scopes: the open ones first, of them last those that
// wait for school, then those of the last
// week, the newest first, at most 500.
func (s *State) Alarms(ctx context.Context, scopes []string) ([]Alarm, error) {
	now := s.o.Now()
	return list[Alarm](ctx, s, `SELECT `+s.alarmColumns(2)+` FROM tributary.hub_alarm o WHERE `+inScope(1)+` AND (o.closed IS NULL OR o.closed > $3)
		ORDER BY o.closed IS NOT NULL, o.acknowledged IS NOT NULL, waits, o.opened DESC, o.id DESC LIMIT 500`, scopes, now, now.AddDate(0, 0, -7))
}

// Alarm gives one of an org in the scopes.
func (s *State) Alarm(ctx context.Context, scopes []string, id int64) (*Alarm, error) {
	found, err := list[Alarm](ctx, s, `SELECT `+s.alarmColumns(2)+` FROM tributary.hub_alarm o WHERE o.id = $3 AND `+inScope(1), scopes, s.o.Now(), id)
	if err == nil && len(found) == 0 {
		err = refusal.New(refusal.Unknown, "ALARM_UNKNOWN", "%d", id)
	}
	if err != nil {
		return nil, err
	}
	return &found[0], nil
}

// open gives an open alarm of an org in the scopes, locked.
func (s *State) openAlarm(ctx context.Context, tx pgx.Tx, scopes []string, id int64) (a Alarm, err error) {
	err = tx.QueryRow(ctx, `SELECT o.kind, o.object, o.org, o.path, o.closed FROM tributary.hub_alarm o WHERE o.id = $2 AND `+inScope(1)+` FOR UPDATE`, scopes, id).
		Scan(&a.Kind, &a.Object, &a.Org, &a.Path, &a.Closed)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		err = refusal.New(refusal.Unknown, "ALARM_UNKNOWN", "%d", id)
	case err == nil && a.Closed != nil:
		err = refusal.New(refusal.Conflict, "ALARM_OVER", "%d", id)
	}
	return a, err
}

// Acknowledge notes that a person looks after an alarm, with a word on it if they like.
func (s *State) Acknowledge(ctx context.Context, by By, scopes []string, id int64, word string) error {
	if word != "" && !catalog.IsName(word) {
		return refusal.New(refusal.Invalid, "REASON_MISSING", "")
	}
	return s.within(ctx, func(tx pgx.Tx) error {
		a, err := s.openAlarm(ctx, tx, scopes, id)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE tributary.hub_alarm SET acknowledged = $2, acknowledged_by = $3, note = $4 WHERE id = $1`, id, s.o.Now(), by.Name, word); err != nil {
			return err
		}
		return note(ctx, tx, by, Entry{Action: "alarm.acknowledge", Org: a.Org, Path: a.Path, Object: string(a.Kind) + " " + a.Object, Detail: strings.TrimSuffix(fmt.Sprintf("alarm %d; %s", id, word), "; ")})
	})
}

// MaxSilence bounds how long an alarm can be silenced.
const MaxSilence = 7 * 24 * time.Hour

// Silence sends no message about an alarm for a while. It stays on the page.
func (s *State) Silence(ctx context.Context, by By, scopes []string, id int64, length time.Duration, reason string) error {
	if length <= 0 || length > MaxSilence {
		return refusal.New(refusal.Invalid, "INPUT_INVALID", "hours: 1 … %.0f", MaxSilence.Hours())
	}
	if !catalog.IsName(reason) {
		return refusal.New(refusal.Invalid, "REASON_MISSING", "")
	}
	return s.within(ctx, func(tx pgx.Tx) error {
		a, err := s.openAlarm(ctx, tx, scopes, id)
		if err != nil {
			return err
		}
		until := s.o.Now().Add(length)
		if _, err := tx.Exec(ctx, `UPDATE tributary.hub_alarm SET silenced_until = $2, silenced_by = $3, note = $4 WHERE id = $1`, id, until, by.Name, reason); err != nil {
			return err
		}
		return note(ctx, tx, by, Entry{Action: "alarm.silence", Org: a.Org, Path: a.Path, Object: string(a.Kind) + " " + a.Object, Detail: fmt.Sprintf("alarm %d until %s; %s", id, until.UTC().Format("2006-01-02 15:04 UTC"), reason)})
	})
}

// Maintenance is a time during which alarms of a part of the tree send no messages.
type Maintenance struct {
	ID      int64      `json:"id"`
	Org     string     `json:"org"` // empty for the whole tree
	Path    string     `json:"-"`
	Starts  time.Time  `json:"starts"`
	Ends    time.Time  `json:"ends"`
	Reason  string     `json:"reason"`
	Made    time.Time  `json:"made"`
	MadeBy  string     `json:"made_by"`
	Ended   *time.Time `json:"ended,omitempty"`
	EndedBy *string    `json:"ended_by,omitempty"`
}

// Over reports whether a window has passed or was ended.
func (m *Maintenance) Over(now time.Time) bool { return m.Ended != nil || !now.Before(m.Ends) }

// MaxMaintenance bounds a window.
const MaxMaintenance = 14 * 24 * time.Hour

// PlanMaintenance makes a window for an org in the scopes, or for the whole tree. One of the same
// times and reason that hasn't been ended is given again.
func (s *State) PlanMaintenance(ctx context.Context, by By, scopes []string, m Maintenance) (_ Maintenance, again bool, err error) {
	if !m.Starts.Before(m.Ends) || m.Ends.Sub(m.Starts) > MaxMaintenance || !m.Ends.After(s.o.Now()) {
		return m, false, refusal.New(refusal.Invalid, "MAINTENANCE_TIME", "%s … %s", m.Starts.UTC().Format("2006-01-02 15:04 UTC"), m.Ends.UTC().Format("2006-01-02 15:04 UTC"))
	}
	if !catalog.IsName(m.Reason) {
		return m, false, refusal.New(refusal.Invalid, "REASON_MISSING", "")
	}
	m.Made, m.MadeBy = s.o.Now(), by.Name
	err = s.within(ctx, func(tx pgx.Tx) error {
		o, err := org(ctx, tx, m.Org, scopes)
		if err != nil {
			return err
		}
		m.Path = o.Path
		if err := oneByOne(ctx, tx, "maintenance"); err != nil {
			return err
		}
		err = tx.QueryRow(ctx, `SELECT id, made, made_by FROM tributary.hub_maintenance WHERE org = $1 AND starts = $2 AND ends = $3 AND reason = $4 AND ended IS NULL ORDER BY id LIMIT 1`,
			m.Org, m.Starts, m.Ends, m.Reason).Scan(&m.ID, &m.Made, &m.MadeBy)
		if again = err == nil; again || !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if err := tx.QueryRow(ctx, `INSERT INTO tributary.hub_maintenance (org, path, starts, ends, reason, made, made_by) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id`,
			m.Org, m.Path, m.Starts, m.Ends, m.Reason, m.Made, m.MadeBy).Scan(&m.ID); err != nil {
			return err
		}
		return note(ctx, tx, by, Entry{Action: "maintenance.plan", Org: m.Org, Path: m.Path, Object: fmt.Sprint(m.ID),
			Detail: fmt.Sprintf("%s … %s; %s", m.Starts.UTC().Format("2006-01-02 15:04"), m.Ends.UTC().Format("2006-01-02 15:04 UTC"), m.Reason)})
	})
	return m, again, err
}

// EndMaintenance ends a window now.
func (s *State) EndMaintenance(ctx context.Context, by By, scopes []string, id int64) error {
	return s.within(ctx, func(tx pgx.Tx) error {
		var m Maintenance
		err := tx.QueryRow(ctx, `UPDATE tributary.hub_maintenance o SET ended = $3, ended_by = $4 WHERE o.id = $2 AND o.ended IS NULL AND o.ends > $3 AND `+inScope(1)+` RETURNING o.org, o.path`,
			scopes, id, s.o.Now(), by.Name).Scan(&m.Org, &m.Path)
		if errors.Is(err, pgx.ErrNoRows) {
			return refusal.New(refusal.Unknown, "MAINTENANCE_UNKNOWN", "%d", id)
		} else if err != nil {
			return err
		}
		return note(ctx, tx, by, Entry{Action: "maintenance.end", Org: m.Org, Path: m.Path, Object: fmt.Sprint(id)})
	})
}

// Maintenances gives the windows of orgs in the scopes, those to come and of the last week.
func (s *State) Maintenances(ctx context.Context, scopes []string) ([]Maintenance, error) {
	return list[Maintenance](ctx, s, `SELECT o.id, o.org, o.path, o.starts, o.ends, o.reason, o.made, o.made_by, o.ended, o.ended_by FROM tributary.hub_maintenance o
		WHERE `+inScope(1)+` AND o.ends > $2 ORDER BY o.ended IS NOT NULL, o.starts, o.id LIMIT 200`, scopes, s.o.Now().AddDate(0, 0, -7))
}

// leases are until when a hub has a message or a report to send; empty once it was taken.
const leases = `
ALTER TABLE tributary.hub_alarm_told ADD leased timestamptz;
ALTER TABLE tributary.hub_report_sent ADD leased timestamptz;
`

// Lease is how long a hub has for sending what it has taken, longer than any sending lasts.
// Then it is taken to be dead, and another sends it.
const Lease = 2 * time.Minute

// TakeMessage gives the oldest alarm of which a webhook hasn't been told yet that it has come,
// or is over, for the time of a lease; nil if there is none. Of several hubs one gets it.
// What is silenced or in maintenance waits, and isn't told of if it is over before.
func (s *State) TakeMessage(ctx context.Context, webhook string) (m *alarm.Message, err error) {
	err = s.within(ctx, func(tx pgx.Tx) error {
		now := s.o.Now()
		var a alarm.Message
		err := tx.QueryRow(ctx, `WITH next AS (
				SELECT o.*, false AS over, o.opened AS at FROM tributary.hub_alarm o WHERE o.closed IS NULL AND (o.silenced_until IS NULL OR o.silenced_until <= $2) AND NOT `+inWindow(2)+` AND NOT `+s.noSchool(2)+`
					AND NOT EXISTS (SELECT FROM tributary.hub_alarm_told t WHERE t.alarm = o.id AND t.webhook = $1 AND NOT t.over AND (t.leased IS NULL OR t.leased > $2))
				UNION ALL SELECT o.*, true, o.closed FROM tributary.hub_alarm o WHERE o.closed > $3
					AND EXISTS (SELECT FROM tributary.hub_alarm_told t WHERE t.alarm = o.id AND t.webhook = $1 AND NOT t.over AND (t.leased IS NULL OR t.leased <= $2))
					AND NOT EXISTS (SELECT FROM tributary.hub_alarm_told t WHERE t.alarm = o.id AND t.webhook = $1 AND t.over AND (t.leased IS NULL OR t.leased > $2))
				ORDER BY at, id LIMIT 1),
			told AS (INSERT INTO tributary.hub_alarm_told AS t (alarm, webhook, over, at, leased) SELECT id, $1, over, $2, $4 FROM next
				ON CONFLICT (alarm, webhook, over) DO UPDATE SET at = excluded.at, leased = excluded.leased WHERE t.leased <= excluded.at RETURNING alarm)
			SELECT n.id, n.kind, n.object, n.org, n.code, n.detail, n.at, n.over, cardinality(n.sources) + n.more FROM next n JOIN told ON told.alarm = n.id`, webhook, now, now.AddDate(0, 0, -1), now.Add(Lease)).
			Scan(&a.ID, &a.Kind, &a.Object, &a.Org, &a.Code, &a.Detail, &a.At, &a.Over, &a.Sources)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		m = &a
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Told notes that a webhook has taken a message.
func (s *State) Told(ctx context.Context, webhook string, m *alarm.Message) error {
	_, err := s.pool.Exec(ctx, `UPDATE tributary.hub_alarm_told SET leased = NULL WHERE alarm = $1 AND webhook = $2 AND over = $3`, m.ID, webhook, m.Over)
	return failed(err)
}

// Untold gives a message back that a webhook didn't take.
func (s *State) Untold(ctx context.Context, webhook string, m *alarm.Message) error {
	_, err := s.pool.Exec(ctx, `DELETE FROM tributary.hub_alarm_told WHERE alarm = $1 AND webhook = $2 AND over = $3`, m.ID, webhook, m.Over)
	return failed(err)
}
